//! Names drawn from a seed, on hosts of every kind: which routes they have, a NAT64 or none, a hosts file.
//!
//! Beside the networks of `random.rs`, whose draw is left as it is: what a seed stands for there is kept
//! elsewhere.

use std::net::{Ipv6Addr, SocketAddr};

use connie_core::connect::Routes;
use connie_core::resolution::selection::Route;
use connie_core::{Config, Family};

use crate::label::{label, numbered};
use crate::random::{config, host, resolver, trouble};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// Any host's text, looked up on any host.
#[must_use]
pub fn any_name(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let mut scenario = Scenario::with(calm(config(&mut rng), &mut rng)).seed(seed);
    let counts = [0, 1, 1, 2, 2, 3, 4];
    let (of_v6, of_v4) = (rng.pick(&counts), rng.pick(&counts));
    for _ in 0..of_v6 {
        scenario = later(scenario.v6(host(&mut rng)), Family::V6, &mut rng);
    }
    for _ in 0..of_v4 {
        scenario = later(scenario.v4(host(&mut rng)), Family::V4, &mut rng);
    }
    scenario = text(scenario, &mut rng);
    scenario = routes(scenario, &mut rng);
    scenario = prefix(scenario, &mut rng);
    scenario = hints(scenario, &mut rng);
    scenario = again(resolver(scenario, &mut rng), &mut rng);
    trouble(scenario, &mut rng)
}

/// Most races have room for all and end by themselves: a deadline hides whether they know when to end.
fn calm(config: Config, rng: &mut Rng) -> Config {
    let max_in_flight = if rng.chance(60) { 16 } else { config.max_in_flight };
    config.clone().max_in_flight(max_in_flight).deadline(config.deadline.filter(|_| rng.chance(40)))
}

/// Some addresses come or go in a later answer, and of some it is known how the host would send there.
fn later(mut scenario: Scenario, family: Family, rng: &mut Rng) -> Scenario {
    if rng.chance(10) {
        scenario = scenario.joins_at(rng.within(1, 1_000));
    } else if rng.chance(10) {
        scenario = scenario.leaves_at(rng.within(1, 1_000));
    }
    match rng.below(10) {
        0 => scenario.by_way_of(Route::Unreachable),
        1 => scenario.by_way_of(Route::from_source(numbered(family, 200).ip())),
        2 => scenario.by_way_of(Route::from_source(match family {
            Family::V4 => [169, 254, 0, 1].into(),
            Family::V6 => [0xfe80, 0, 0, 0, 0, 0, 0, 1].into(),
        })),
        _ => scenario,
    }
}

/// What the program has asked for: mostly a name.
fn text(scenario: Scenario, rng: &mut Rng) -> Scenario {
    let host = match rng.below(20) {
        0 => "192.0.2.1",
        1 => "2001:db8::1",
        2 => "127.0.0.1",
        3 => "10.0.0.1",
        4 => "localhost",
        5 => "a.LocalHost.",
        6 => "name.invalid",
        7 => "name.onion.",
        8 => "[fe80::1%2]",
        9 | 10 => return known(scenario, rng),
        _ => return scenario,
    };
    scenario.host(host)
}

fn known(scenario: Scenario, rng: &mut Rng) -> Scenario {
    let mut list = Vec::new();
    for _ in 0..rng.below(4) {
        let family = rng.pick(&[Family::V4, Family::V6]);
        list.push(numbered(family, rng.within(1, 3) as u16));
    }
    scenario.known_as(list)
}

fn routes(scenario: Scenario, rng: &mut Rng) -> Scenario {
    let (v4, v6) = rng.pick(&[(true, true), (true, false), (false, true), (false, true), (false, false)]);
    let scenario = scenario.routes(Routes { v4, v6 });
    // A host without a route for a family mostly cannot reach any address of it.
    match (v4, v6) {
        (false, true) if rng.chance(70) => scenario.without(Family::V4),
        (true, false) if rng.chance(70) => scenario.without(Family::V6),
        _ => scenario,
    }
}

/// The network's NAT64: what `ipv4only.arpa` has, and when.
fn prefix(scenario: Scenario, rng: &mut Rng) -> Scenario {
    let at = if rng.chance(30) { 0 } else { rng.within(1, 1_000) };
    let told = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    match rng.below(10) {
        0 => scenario.prefix_never(),
        1 | 2 => scenario.prefix_fails_at(at),
        3 => scenario.prefix_told_at(at, &[]),
        4 => scenario.prefix_told_at(at, &[told("2001:db8::99")]),
        5 => scenario.prefix_told_at(at, &[told("2001:db8:122:c000:0:aa00::")]),
        _ => scenario.prefix_at(at),
    }
}

fn hints(mut scenario: Scenario, rng: &mut Rng) -> Scenario {
    for family in [Family::V4, Family::V6] {
        if rng.chance(20) {
            let hinted = rng.pick(&[1, 1, 2, 9]);
            let labels = label(numbered(family, hinted));
            scenario = scenario.hints_at(rng.within(0, 600), family, &labels);
        }
    }
    scenario
}

/// A second answer, now and then one that holds what no answer should.
fn again(scenario: Scenario, rng: &mut Rng) -> Scenario {
    if !rng.chance(15) {
        return scenario;
    }
    let family = rng.pick(&[Family::V4, Family::V6]);
    let odd: [SocketAddr; 5] = [
        numbered(family, 1),
        numbered(family.other(), 1),
        ([127, 0, 0, 1], 80).into(),
        ([10, 0, 0, 1], 80).into(),
        ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0202], 80).into(),
    ];
    let addresses = (0..rng.below(3)).map(|_| rng.pick(&odd)).collect();
    scenario.answers(rng.within(0, 1_000), family, addresses)
}
