//! Networks drawn from a seed.

use std::time::Duration;

use connie_core::{Config, Families, Family, Pacing};

use crate::bound::Bound;
use crate::host::{SimHost, hang, no_route, ok, refuse, unreachable};
use crate::rng::Rng;
use crate::scenario::Scenario;

/// A network on which the law that a race is never stuck can be checked.
#[derive(Clone, Debug)]
pub struct RandomNetwork {
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

/// A network with up to 64 destinations and 8 sockets where nothing is left to chance but the draw itself:
/// each address always does the same, the resolver has answered, and there is no deadline.
#[must_use]
pub fn steady(seed: u64) -> RandomNetwork {
    let mut rng = Rng::new(seed);
    let (n, k) = (rng.within(1, 64) as usize, rng.within(1, 8) as usize);
    let patience = Duration::from_millis(rng.pick(&[10, 100, 250, 250, 250, 300, 1_000]));
    let hedge = rng.chance(80);
    let config = Config::all_at_once().max_in_flight(k).patience(patience).hedge(hedge);
    let (alive, slowest) = (rng.pick(&[0, 1, 2, 5, 20, 60, 100]), rng.pick(&[50, 300, 300, 1_000, 5_000]));
    let v6 = rng.pick(&[0, 10, 50, 90, 100]);
    let mut scenario = Scenario::with(config).seed(seed);
    for _ in 0..n {
        let host = if rng.chance(alive) { ok(rng.within(1, slowest)) } else { dead(&mut rng) };
        let host = host.plus_micros(rng.below(1_000));
        scenario = if rng.chance(v6) { scenario.v6(host) } else { scenario.v4(host) };
    }
    let oracle = scenario.oracle().map(Duration::from_micros);
    RandomNetwork { scenario, n, k, bound: Bound::new(n, k, patience), oracle }
}

/// A network, and a race over it whose sockets come and go.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// The network, and what the race has at its start.
    pub network: RandomNetwork,
    /// How many sockets the race has from a moment on, in the order of time.
    pub shares: Vec<(Duration, usize)>,
    /// How many sockets the stack has.
    capacity: usize,
    /// The longest connection attempt delay, where the pacing is `Staggered`.
    delay: Option<Duration>,
}

impl Sharing {
    /// The least number of sockets that the race had before it had run for `took`, and that it could be
    /// without.
    #[must_use]
    pub fn least(&self, took: Duration) -> usize {
        let shares = self.shares.iter().filter(|(at, _)| *at < took).map(|(_, count)| *count);
        shares.fold(self.network.k.min(self.capacity), usize::min)
    }

    /// When a destination that needs `r` must have won in a race that `took` so long.
    #[must_use]
    pub fn win(&self, r: Duration, took: Duration) -> Duration {
        let bound = self.bound(took);
        self.delay.map_or_else(|| bound.win(r), |delay| bound.win_staggered(r, delay))
    }

    /// When the last destination must have been first started in a race that `took` so long; `None` where a
    /// delay stands between starts.
    #[must_use]
    pub fn first_start(&self, took: Duration) -> Option<Duration> {
        self.delay.is_none().then(|| self.bound(took).first_start())
    }

    fn bound(&self, took: Duration) -> Bound {
        Bound::new(self.network.n, self.least(took), self.network.bound.patience())
    }
}

/// A [steady](steady) network, over which the race has up to 8 sockets, now more and now fewer: a program
/// shares them out. Where the stack has fewer than the program thinks, each growth makes it run out again.
#[must_use]
pub fn sharing(seed: u64) -> Sharing {
    let mut network = steady(seed);
    // Other numbers than those that the network was drawn from.
    let mut rng = Rng::new(!seed);
    let most = rng.within(1, 8);
    let least = rng.within(1, most);
    network.k = most as usize;
    network.bound = Bound::new(network.n, network.k, network.bound.patience());
    let mut scenario = network.scenario.sockets(network.k);
    let mut delay = None;
    if rng.chance(20) {
        let millis = rng.pick(&[10, 50, 100, 250]);
        scenario = scenario.delay(millis);
        delay = Some(Duration::from_millis(millis));
    }
    let mut capacity = usize::MAX;
    if rng.chance(20) {
        capacity = rng.within(1, most) as usize;
        scenario = scenario.stack_of(capacity);
    }
    let (mut millis, mut shares) = (0, Vec::new());
    for _ in 0..rng.pick(&[1, 2, 5, 20, 100]) {
        millis += rng.pick(&[0, 1, 10, 100, 250, 251, 1_000, 5_000]);
        // One in ten asks for more than there can be.
        let count = if rng.chance(10) { 99 } else { rng.within(least, most) as usize };
        scenario = scenario.shares_at(millis, count);
        shares.push((Duration::from_millis(millis), count));
    }
    Sharing { network: RandomNetwork { scenario, ..network }, shares, capacity, delay }
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

fn dead(rng: &mut Rng) -> SimHost {
    match rng.below(10) {
        0 => no_route(),
        1 => unreachable(rng.within(1, 300)),
        2 | 3 => refuse(rng.within(1, 300)),
        _ => hang(),
    }
}

pub(crate) fn host(rng: &mut Rng) -> SimHost {
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
        1 => Config::staggered().pacing(Pacing::Staggered {
            delay: Duration::from_millis(rng.pick(&[0, 10, 100, 250, 250, 5_000])),
            growth_percent: rng.pick(&[50, 100, 100, 150, 200]),
        }),
        _ => Config::one_by_one(),
    };
    let families = match rng.below(10) {
        0 => Families::Only(Family::V4),
        1 => Families::Only(Family::V6),
        _ => Families::Both,
    };
    preset
        .clone()
        .families(families)
        .preferred_family(if rng.chance(20) { Family::V4 } else { Family::V6 })
        .first_address_family_count(rng.pick(&[0, 1, 1, 1, 2, 3, 255]))
        .resolution_delay(Duration::from_millis(rng.pick(&[0, 50, 50, 300])))
        .max_in_flight(rng.within(1, 8) as usize)
        .patience(Duration::from_millis(rng.pick(&[1, 10, 250, 250, 300, 2_000])))
        .evict(rng.chance(85))
        .hedge(rng.chance(50))
        .deadline(rng.chance(40).then(|| Duration::from_millis(rng.within(0, 5_000))))
        .attempt_timeout(rng.chance(20).then(|| Duration::from_millis(rng.within(0, 2_000))))
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
