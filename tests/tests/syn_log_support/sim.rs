//! The network in virtual time of `connie-sim`.

use std::net::IpAddr;

use connie_core::Family;
use connie_sim::{Ending, Host, Scenario, hang, ok, refuse};
use connie_tests::names_table::{Name, Place, Reply, ZONE};

use super::stage::ip;
use super::{Ended, Log, lost};

/// The name of which the simulation has addresses: one after the other, from 1.
const ASKED_FOR: &str = "name.test";

/// Why the log of a name tells less than it seems to.
pub fn blind(name: &Name) -> Option<&'static str> {
    let nowhere = |ip: &str| !ip.starts_with("192.0.2.") && !ip.starts_with("2001:db8::");
    let is_nat64 = name.lacks == Some(Family::V4) && name.prefix != Reply::NoSuchName;
    match name.places {
        _ if is_nat64 => Some("knows neither the host's routes nor NAT64"),
        places if places.iter().any(|(ip, _)| nowhere(ip)) => Some("has nobody at such addresses"),
        _ if name.lacks.is_some() => Some("does not know the host's routes"),
        _ => None,
    }
}

/// Runs `name` over a simulated network.
pub fn play(name: &'static Name) -> Log {
    let mut scenario = Scenario::with(name.race.config()).host(&name.host.replace(ZONE, "2"));
    scenario = told(scenario, Family::V6, name, name.aaaa);
    scenario = told(scenario, Family::V4, name, name.a);
    if let Some(family) = name.lacks {
        scenario = scenario.without(family);
    }
    let outcome = scenario.run();
    let sent = |ip: IpAddr| outcome.tallies.iter().any(|(known, tally)| known.ip() == ip && tally.syns > 0);
    let syns = outcome.attempts().map(|attempt| attempt.destination.ip()).filter(|ip| sent(*ip)).collect();
    let ended = match outcome.ending {
        Ending::Connected(winner) => Ended::Won(winner.ip()),
        Ending::Failed(failure) => Ended::Lost(lost(failure, &outcome.recording.timeline())),
        Ending::Waiting => Ended::Lost("waits for ever".to_owned()),
    };
    let asked = outcome.queries.iter().map(|query| query.record_type().to_owned()).collect();
    Log { asked, syns, ended }
}

/// The addresses of a family, and when they are told.
fn told(scenario: Scenario, family: Family, name: &Name, reply: Reply) -> Scenario {
    let is_v6 = family == Family::V6;
    let (at, addresses) = match reply {
        Reply::Has(at, addresses) if name.host == ASKED_FOR => (at, addresses.to_vec()),
        // A literal address is in no answer, and yet there.
        _ => (0, name.places.iter().map(|(ip, _)| *ip).filter(|ip| *ip == name.host).collect()),
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

fn host(name: &Name, address: &str) -> Host {
    let place = name.places.iter().find(|(known, _)| *known == address);
    match place.map_or(Place::Silent, |(_, place)| *place) {
        Place::Live => ok(Place::NEAR),
        Place::Slow => ok(Place::FAR),
        Place::Refuses => refuse(Place::NEAR),
        Place::Silent => hang(),
    }
}
