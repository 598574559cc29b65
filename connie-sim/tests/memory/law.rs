//! Law 9: what a memory believes adds at most `Δ` to what is proved (docs/never-stuck.md), whatever it
//! believes.

use std::cell::Cell;
use std::time::Duration;

use connie_core::memory::{Finish, Network, Verdict};
use connie_core::{Config, Pacing};
use connie_sim::{Bound, Rng, SimHost, Visits, address, hang, ok, refuse, seeds, unreachable};

const LABELS: [&str; 24] = [
    "4a", "6a", "4b", "6b", "4c", "6c", "4d", "6d", "4e", "6e", "4f", "6f", "4g", "6g", "4h", "6h", "4i",
    "6i", "4j", "6j", "4k", "6k", "4l", "6l",
];

/// What a memory has seen before the network is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Empty,
    /// The same network.
    Right,
    /// One that has changed since.
    Stale,
    /// Another network, where the same addresses did something else.
    Elsewhere,
    /// A world that does something else at each visit, and verdicts that are lies.
    Adversarial,
}

const PASTS: [Past; 5] = [Past::Empty, Past::Right, Past::Stale, Past::Elsewhere, Past::Adversarial];

/// A host that needs the time that it is with, or none that can win.
fn any_host(rng: &mut Rng) -> (SimHost, Option<Duration>) {
    match rng.below(10) {
        0..4 => (hang(), None),
        4 => (refuse(rng.within(1, 400)), None),
        5 => (unreachable(rng.within(1, 400)), None),
        _ => {
            let millis = rng.pick(&[5, 20, 40, 90, 249, 250, 251, 400, 900, 1_100]);
            (ok(millis), Some(Duration::from_millis(millis)))
        }
    }
}

struct World {
    visits: Visits,
    rng: Rng,
    n: usize,
    /// What each address needs.
    needs: Vec<Option<Duration>>,
}

impl World {
    fn new(seed: u64, pacing: Pacing) -> Self {
        let mut rng = Rng::new(seed);
        let n = rng.within(1, 24) as usize;
        let config = Config::from(pacing).max_in_flight(rng.within(1, 8) as usize).hedge(rng.chance(50));
        let mut visits = Visits::new(&config, seed);
        visits.pause = Duration::from_millis(rng.pick(&[1, 200, 20_000, 700_000]));
        visits.answer(&LABELS[..n].join(" "));
        World { visits, rng, n, needs: Vec::new() }
    }

    /// Other hosts behind all addresses, one of them alive.
    fn turns(&mut self) {
        self.needs.clear();
        for label in &LABELS[..self.n] {
            let (host, needs) = any_host(&mut self.rng);
            self.visits.put(label, host);
            self.needs.push(needs);
        }
        if self.needs.iter().all(Option::is_none) {
            let alive = self.rng.below(self.n as u64) as usize;
            self.visits.put(LABELS[alive], ok(30));
            self.needs[alive] = Some(Duration::from_millis(30));
        }
    }

    fn lives(&mut self, past: Past) {
        self.turns();
        let times = self.rng.within(1, 12);
        match past {
            Past::Empty => {}
            Past::Right => (0..times).for_each(|_| drop(self.visits.visit())),
            Past::Stale => {
                (0..times).for_each(|_| drop(self.visits.visit()));
                self.turns();
            }
            Past::Elsewhere => {
                let here = self.visits.network;
                self.visits.network = Network::new("198.51.100.7".parse().ok(), None);
                (0..times).for_each(|_| drop(self.visits.visit()));
                self.turns();
                self.visits.network = here;
            }
            Past::Adversarial => {
                for _ in 0..times {
                    self.visits.visit();
                    self.lie();
                    self.turns();
                }
            }
        }
    }

    fn lie(&mut self) {
        let now = self.visits.now();
        let Visits { memory: Some(memory), host, network, .. } = &mut self.visits else { return };
        let visit = memory.visit(host, Finish::Tcp, 0, network);
        for label in &LABELS[..self.n] {
            let verdict =
                self.rng.pick(&[Verdict::Good, Verdict::Refused, Verdict::Stalled, Verdict::TlsFailed]);
            memory.report(&visit, address(label), verdict, now);
        }
    }

    /// The soonest moment by which the bound has some address win, and whether all that was started was paid
    /// for.
    #[track_caller]
    fn visit(&mut self, past: Past) -> (Duration, bool) {
        let config = self.visits.config.clone();
        let bound = Bound::new(self.n, config.max_in_flight, config.patience);
        let visit = self.visits.visit();
        // One more would have been, so that none was kept back.
        let is_paid = visit.syns as usize <= visit.plan.paid();
        let needs = self.needs.iter().flatten();
        let own = |needs: &Duration| match config.pacing {
            Pacing::Staggered { delay, .. } if is_paid => bound.win_staggered(*needs, delay),
            Pacing::AllAtOnce if is_paid => bound.win(*needs),
            // "While the bucket is empty: the Staggered bound with the ladder's longest delay".
            _ => bound.win_staggered(*needs, Config::MAX_DELAY),
        };
        let most = needs.map(own).min().expect("one is alive");
        let delta = Duration::from_micros(visit.plan.longest_delay().into());
        assert!(delta <= config.patience);
        assert!(
            visit.took <= most + delta,
            "{past:?}: {:?}, and {most:?} and {delta:?} is all that it may take: {}",
            visit.took,
            visit.starts
        );
        assert!(visit.winner.is_some(), "{past:?}");
        (visit.took, is_paid)
    }
}

#[test]
fn whatever_a_memory_believes_a_race_wins_by_its_bound_and_a_patience() {
    let (paid, unpaid) = (Cell::new(0), Cell::new(0));
    seeds(600, |seed| {
        for past in PASTS {
            let mut world = World::new(seed, Pacing::AllAtOnce);
            world.lives(past);
            for _ in 0..3 {
                let counter = if world.visit(past).1 { &paid } else { &unpaid };
                counter.set(counter.get() + 1);
            }
        }
    });
    if std::env::var_os("CONNIE_SEED").is_none() {
        assert!(paid.get() > 4_000 && unpaid.get() > 100, "{paid:?} and {unpaid:?}");
    }
}

#[test]
fn a_staggered_race_keeps_its_bound() {
    seeds(300, |seed| {
        for past in PASTS {
            let delay = Duration::from_millis(Rng::new(seed).within(10, 400));
            let mut world = World::new(seed, Pacing::Staggered { delay, growth_percent: 100 });
            world.lives(past);
            for _ in 0..3 {
                world.visit(past);
            }
        }
    });
}

/// "With n <= k the race itself is at most Δ later than without memory."
#[test]
fn with_a_socket_for_each_address_no_race_is_later_than_without_a_memory_and_a_patience() {
    seeds(300, |seed| {
        for past in PASTS {
            let mut world = World::new(seed, Pacing::AllAtOnce);
            world.n = world.n.min(16);
            world.visits.answer(&LABELS[..world.n].join(" "));
            world.visits.config.max_in_flight = 16;
            world.lives(past);
            let best = *world.needs.iter().flatten().min().unwrap();
            let (took, is_paid) = world.visit(past);
            assert!(!is_paid || took <= best + world.visits.config.patience, "{past:?}: {took:?}");
        }
    });
}

/// Law 8: the set tried is the set given. A race that nobody wins has tried all.
#[test]
fn a_memory_neither_adds_an_address_nor_takes_one_away() {
    seeds(300, |seed| {
        for past in PASTS {
            let mut world = World::new(seed, Pacing::AllAtOnce);
            world.lives(past);
            for label in &LABELS[..world.n] {
                world.visits.put(label, refuse(10));
            }
            let mut tried = Vec::new();
            let visit = world.visits.visit_with(0, |attempts, _| {
                tried.extend(attempts.iter().map(|attempt| attempt.destination));
            });
            assert!(visit.failure.is_some());
            tried.sort_unstable();
            let mut given: Vec<_> = LABELS[..world.n].iter().map(|label| address(label)).collect();
            given.sort_unstable();
            assert_eq!(tried, given, "{past:?}");
        }
    });
}
