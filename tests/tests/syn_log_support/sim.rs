//! The network in virtual time of `connie-sim`.

use std::net::IpAddr;

use connie_core::resolution::Query;
use connie_core::{Failure, Family};
use connie_sim::{Ending, Scenario, SimHost, hang, ok, refuse};
use connie_tests::names_table::{Name, Place, Reply, ZONE};

use super::stage::ip;
use super::{Ended, Log, lost};

/// The name of which the simulation has addresses: one after the other, from 1.
const ASKED_FOR: &str = "name.test";

/// Why it does something else with a name.
pub fn reason(name: &Name) -> Option<&'static str> {
    let nowhere = |ip: &str| ["fe80:", "::1", "127."].iter().any(|start| ip.starts_with(start));
    if name.places.iter().any(|(ip, _)| nowhere(ip)) {
        return Some("has nobody at such addresses");
    }
    (name.aaaa == Reply::NoSuchName).then_some("its queries fail in one way")
}

/// Runs `name` over a simulated network.
pub fn play(name: &'static Name) -> Log {
    let mut scenario = Scenario::with(name.race.config()).host(&name.host.replace(ZONE, "2"));
    scenario = told(scenario, Family::V6, name, name.aaaa);
    scenario = told(scenario, Family::V4, name, name.a);
    if let Some(family) = name.lacks {
        scenario = scenario.without(family).without_route(family);
    }
    scenario = match name.prefix {
        Reply::Has(at, _) => scenario.prefix_at(at),
        Reply::Never => scenario.prefix_never(),
        Reply::Empty | Reply::NoSuchName | Reply::Fails => scenario.prefix_fails_at(0),
    };
    let outcome = scenario.run();
    let sent = |ip: IpAddr| outcome.tallies.iter().any(|(known, tally)| known.ip() == ip && tally.syns > 0);
    let syns = outcome.attempts().map(|attempt| attempt.destination.ip()).filter(|ip| sent(*ip)).collect();
    let ended = match outcome.ending {
        Ending::Connected(winner) => Ended::Won(winner.ip()),
        Ending::Failed(Failure::NoDestinations) => Ended::Lost(not_resolved(&outcome.failed_queries)),
        Ending::Failed(failure) => Ended::Lost(lost(failure, &outcome.recording.timeline())),
        Ending::Waiting => Ended::Lost("waits for ever".to_owned()),
    };
    let asked = outcome.queries.iter().map(|query| match query {
        Query::Nat64Prefix => "prefix".to_owned(),
        query => query.record_type().to_owned(),
    });
    Log { asked: asked.collect(), syns, ended }
}

/// By the first query that failed.
fn not_resolved(failures: &[String]) -> String {
    match failures.first() {
        None => "no address",
        Some(failure) if failure.ends_with("no such name") => "no such name",
        Some(_) => "look-up failed",
    }
    .to_owned()
}

/// The addresses of a family, and when they are told.
fn told(scenario: Scenario, family: Family, name: &Name, reply: Reply) -> Scenario {
    let is_v6 = family == Family::V6;
    let (at, addresses) = match reply {
        Reply::Has(at, addresses) if name.host == ASKED_FOR => (at, addresses.to_vec()),
        // A literal address is in no answer, and yet there.
        _ => (0, [name.host].into_iter().filter(|host| host.parse::<IpAddr>().is_ok()).collect()),
    };
    let mut scenario = scenario;
    for (index, address) in addresses.iter().enumerate().filter(|(_, address)| ip(address).is_ipv6() == is_v6)
    {
        let copies = addresses.iter().filter(|other| *other == address).count();
        if !addresses[..index].contains(address) {
            let host = host(name, address);
            scenario = if is_v6 { scenario.v6(host) } else { scenario.v4(host) }.copies(copies);
        }
    }
    match (reply, family) {
        (Reply::Has(..) | Reply::Empty, Family::V6) => scenario.aaaa_at(at),
        (Reply::Has(..) | Reply::Empty, Family::V4) => scenario.a_at(at),
        // It knows one failure.
        (Reply::NoSuchName | Reply::Fails, Family::V6) => scenario.aaaa_fails_at(0),
        (Reply::NoSuchName | Reply::Fails, Family::V4) => scenario.a_fails_at(0),
        (Reply::Never, Family::V6) => scenario.aaaa_never(),
        (Reply::Never, Family::V4) => scenario.a_never(),
    }
}

fn host(name: &Name, address: &str) -> SimHost {
    // One that has no route is where its NAT64 leads.
    let place = name.places.iter().find(|(known, _)| *known == address || known.starts_with("64:ff9b::"));
    match place.map_or(Place::Silent, |(_, place)| *place) {
        Place::Live => ok(Place::NEAR),
        Place::Slow => ok(Place::FAR),
        Place::Refuses => refuse(Place::NEAR),
        Place::Silent => hang(),
    }
}
