//! Networks drawn from a seed.

use std::time::Duration;

use connie_core::{Config, Families, Family, Pacing};

use crate::bound::Bound;
use crate::host::{Host, hang, no_route, ok, refuse, unreachable};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// A network on which the law that a race is never stuck can be checked.
#[derive(Clone, Debug)]
pub struct Network {
    /// The race over it, under `AllAtOnce`.
    pub scenario: Scenario,
    /// How many destinations there are.
    pub n: usize,
    /// How many sockets the race has.
    pub k: usize,
    /// The bounds that must hold.
    pub bound: Bound,
    /// The least round trip of a destination that accepts; `None` when all are dead.
    pub oracle: Option<Duration>,
}

/// A network with up to 64 destinations and 8 sockets where nothing is left to chance but the draw itself: each address always
/// does the same, the resolver has answered, and there is no deadline.
#[must_use]
pub fn steady(seed: u64) -> Network {
    let mut rng = Rng::new(seed);
    let (n, k) = (rng.within(1, 64) as usize, rng.within(1, 8) as usize);
    let patience = Duration::from_millis(rng.pick(&[10, 100, 250, 250, 250, 300, 1_000]));
    let hedge = rng.chance(80);
    let config = Config { max_in_flight: k, patience, hedge, ..Config::all_at_once() };
    let (alive, slowest) = (rng.pick(&[0, 1, 2, 5, 20, 60, 100]), rng.pick(&[50, 300, 300, 1_000, 5_000]));
    let v6 = rng.pick(&[0, 10, 50, 90, 100]);
    let mut scenario = Scenario::with(config).seed(seed);
    for _ in 0..n {
        let host = if rng.chance(alive) { ok(rng.within(1, slowest)) } else { dead(&mut rng) };
        let host = host.plus_micros(rng.below(1_000));
        scenario = if rng.chance(v6) { scenario.v6(host) } else { scenario.v4(host) };
    }
    let oracle = scenario.oracle().map(Duration::from_micros);
    Network { scenario, n, k, bound: Bound::new(n, k, patience), oracle }
}

/// Any network and any race that the simulation knows how to make.
#[must_use]
pub fn anything(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed);
    let mut scenario = Scenario::with(config(&mut rng)).seed(seed);
    let count = rng.pick(&[0, 1, 2, 3, 4, 6, 8, 12, 24, 64]);
    for _ in 0..count {
        let host = host(&mut rng);
        scenario = if rng.chance(50) { scenario.v6(host) } else { scenario.v4(host) };
        if rng.chance(5) {
            scenario = scenario.copies(rng.within(2, 5) as usize);
        }
        if rng.chance(10) {
            scenario = scenario.joins_at(rng.within(1, 1_000));
        } else if rng.chance(5) {
            scenario = scenario.leaves_at(rng.within(1, 1_000));
        }
    }
    trouble(resolver(scenario, &mut rng), &mut rng)
}

fn dead(rng: &mut Rng) -> Host {
    match rng.below(10) {
        0 => no_route(),
        1 => unreachable(rng.within(1, 300)),
        2 | 3 => refuse(rng.within(1, 300)),
        _ => hang(),
    }
}

pub(crate) fn host(rng: &mut Rng) -> Host {
    let slowest = rng.pick(&[0, 20, 300, 2_000]);
    let mut host = if rng.chance(40) { ok(rng.within(0, slowest)) } else { dead(rng) };
    if rng.chance(20) {
        host = host.jitter(rng.within(1, 50));
    }
    if rng.chance(20) {
        host = host.lose_first(rng.within(1, 3) as u32);
    }
    if rng.chance(20) {
        host = host.loss(rng.within(1, 100) as u8);
    }
    if rng.chance(10) {
        host = host.resets_after(rng.pick(&[0, 1, 100]));
    }
    host
}

pub(crate) fn config(rng: &mut Rng) -> Config {
    let preset = match rng.below(3) {
        0 => Config::all_at_once(),
        1 => Config {
            pacing: Pacing::Staggered {
                delay: Duration::from_millis(rng.pick(&[0, 10, 100, 250, 250, 5_000])),
                growth_percent: rng.pick(&[50, 100, 100, 150, 200]),
            },
            ..Config::staggered()
        },
        _ => Config::one_by_one(),
    };
    let families = match rng.below(10) {
        0 => Families::Only(Family::V4),
        1 => Families::Only(Family::V6),
        _ => Families::Both,
    };
    Config {
        families,
        preferred_family: if rng.chance(20) { Family::V4 } else { Family::V6 },
        first_address_family_count: rng.pick(&[0, 1, 1, 1, 2, 3, 255]),
        resolution_delay: Duration::from_millis(rng.pick(&[0, 50, 50, 300])),
        max_in_flight: rng.within(1, 8) as usize,
        patience: Duration::from_millis(rng.pick(&[1, 10, 250, 250, 300, 2_000])),
        evict: rng.chance(85),
        hedge: rng.chance(50),
        deadline: rng.chance(40).then(|| Duration::from_millis(rng.within(0, 5_000))),
        attempt_timeout: rng.chance(20).then(|| Duration::from_millis(rng.within(0, 2_000))),
        ..preset
    }
}

/// What the resolver does: mostly an answer for each family within a second.
pub(crate) fn resolver(scenario: Scenario, rng: &mut Rng) -> Scenario {
    let scenario = match rng.below(10) {
        0..=3 => scenario,
        4 => scenario.aaaa_never(),
        5 => scenario.aaaa_fails_at(rng.within(0, 300)),
        _ => scenario.aaaa_at(rng.within(0, 1_000)),
    };
    match rng.below(10) {
        0..=3 => scenario,
        4 => scenario.a_never(),
        5 => scenario.a_fails_at(rng.within(0, 300)),
        _ => scenario.a_at(rng.within(0, 1_000)),
    }
}

/// What goes wrong beside the hosts: mostly nothing.
pub(crate) fn trouble(mut scenario: Scenario, rng: &mut Rng) -> Scenario {
    if rng.chance(15) {
        scenario = scenario.runs_out_at(rng.within(1, 6) as u32);
    }
    if rng.chance(10) {
        scenario = scenario.stack_of(rng.within(1, 4) as usize);
    }
    if rng.chance(20) {
        scenario = scenario.reports_late();
    }
    if rng.chance(10) {
        scenario = scenario.without(rng.pick(&[Family::V4, Family::V6]));
    }
    if rng.chance(5) {
        scenario = scenario.gone_at(rng.within(0, 1_000));
    }
    if rng.chance(10) {
        scenario = scenario.cancel_at(rng.within(0, 2_000));
    }
    if rng.chance(10) {
        scenario = scenario.oversleeps(rng.within(1, 20_000));
    } else if rng.chance(30) {
        scenario = scenario.restless();
    }
    scenario
}
