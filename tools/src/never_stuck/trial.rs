//! A network drawn from a seed that the law can be checked on.

use std::time::Duration;

use connie_core::{Config, Failure, Family, Pacing};
use connie_sim::{
    Bound, Ending, Live, RaceOutcome, Rng, Scenario, SimHost, hang, no_route, ok, refuse, unreachable,
};

use crate::never_stuck::Course;

/// More SYNs in a row than a stack sends in one attempt: a client that loses this many may fail.
const SYNS: u32 = 7;

/// A network and a race over it, of up to 64 destinations and 8 sockets, all known at the start and without a
/// deadline.
#[derive(Clone, Debug)]
pub struct Trial {
    course: Course,
    config: Config,
    rules: Rules,
    /// The longest round trip of each address that accepts, jitter included.
    alive: Vec<Option<Duration>>,
}

/// What makes a race other than a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    Plain,
    /// Each wait ends this many microseconds late.
    Late(u64),
    /// The stack has fewer sockets than the race was told.
    Sockets {
        count: usize,
        late: bool,
    },
    /// `Staggered` pacing, with a delay that never exceeds this.
    Staggered(Duration),
}

/// How a race on a [`Trial`] went.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// How many destinations there are.
    pub n: usize,
    /// How many sockets the race had in the end.
    pub k: usize,
    /// When it was connected; `None` where it failed.
    pub took: Option<Duration>,
    /// The least round trip of an address that accepts; `None` where all are dead.
    pub oracle: Option<Duration>,
    /// When it had to be connected; `None` where none is so alive that it had to be.
    pub bound: Option<Duration>,
}

impl Trial {
    /// The trial of `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (n, k) = (rng.within(1, 64) as usize, rng.within(1, 8) as usize);
        let alive = rng.pick(&[0, 0, 0, 1, 5, 20, 60, 100]);
        // Mostly one at least is alive: where all are dead there is no law to break.
        let lucky = if rng.chance(95) { rng.below(n as u64) as usize } else { n };
        let slowest = rng.pick(&[50, 300, 300, 1_000, 5_000]);
        let v6 = rng.pick(&[0, 10, 50, 90, 100]);
        let trouble = rng.chance(50);
        let mut trial = Trial {
            course: Course::new(seed),
            config: Config::all_at_once(),
            rules: Rules::Plain,
            alive: Vec::new(),
        };
        for place in 0..n {
            let family = if rng.chance(v6) { Family::V6 } else { Family::V4 };
            let lives = place == lucky || rng.chance(alive);
            let host = if lives { ok(rng.within(1, slowest)) } else { dead(&mut rng) };
            trial.push(family, host.plus_micros(rng.below(1_000)), trouble, &mut rng);
        }
        trial.config = config(k, &mut rng);
        trial.rules = rules(k, &mut trial.config, &mut rng);
        trial
    }

    /// Adds an address, and some trouble to it.
    fn push(&mut self, family: Family, mut host: SimHost, trouble: bool, rng: &mut Rng) {
        let mut jitter = 0;
        if trouble && rng.chance(30) {
            jitter = rng.within(1, 100);
            host = host.jitter(jitter);
        }
        match rng.below(10) {
            0 | 1 if trouble => host = host.lose_first(rng.within(1, 4) as u32),
            2 | 3 if trouble => host = host.loss(rng.pick(&[1, 10, 30, 60, 100])),
            4 if trouble => host = host.resets_after(rng.pick(&[0, 0, 100])),
            _ => {}
        }
        let longest = Duration::from_micros(host.round_trip_micros()) + Duration::from_millis(jitter);
        self.alive.push(host.accepts().then_some(longest));
        self.course.push(family, host);
    }

    /// Runs the race and holds it to the law.
    ///
    /// # Panics
    ///
    /// When the law, or another one, is broken.
    #[track_caller]
    pub fn check(&self) -> Verdict {
        let Live { outcome, driver, .. } = self.scenario().connect();
        let n = self.course.count();
        let k = driver.connect().race().max_in_flight();
        let bound = Bound::new(n, k, self.config.patience);
        self.first_starts(&bound, &outcome);
        let took = matches!(outcome.ending, Ending::Connected(_)).then_some(outcome.elapsed);
        let must = self.needs(&outcome).map(|needs| self.win(&bound, needs)).min();
        let verdict = Verdict { n, k, took, oracle: self.course.oracle(), bound: must };
        self.judge(&verdict, &outcome);
        verdict
    }

    fn scenario(&self) -> Scenario {
        let scenario = self.course.scenario(self.config.clone());
        match self.rules {
            Rules::Plain | Rules::Staggered(_) => scenario,
            Rules::Late(micros) => scenario.oversleeps(micros),
            Rules::Sockets { count, late: false } => scenario.stack_of(count),
            Rules::Sockets { count, late: true } => scenario.stack_of(count).reports_late(),
        }
    }

    /// When a destination that needs `r` has won.
    fn win(&self, bound: &Bound, r: Duration) -> Duration {
        match self.rules {
            Rules::Plain | Rules::Sockets { .. } => bound.win(r),
            Rules::Late(micros) => bound.win_late(r, Duration::from_micros(micros)),
            Rules::Staggered(delay) => bound.win_staggered(r, delay),
        }
    }

    /// What each destination that accepts needs, however often it is tried: its round trip, and 1, 3, 7 ... s
    /// more where it loses that many SYNs in a row. Whether it does shows only in the race.
    fn needs(&self, outcome: &RaceOutcome) -> impl Iterator<Item = Duration> {
        let addresses = self.course.addresses().enumerate().zip(&self.alive);
        addresses.filter_map(|((place, address), longest)| {
            let seen = outcome.tallies.iter().find(|(known, _)| *known == address);
            let lost = self.course.lost_in_a_row(place, seen.map_or(0, |(_, tally)| tally.syns));
            let resent = Duration::from_secs((1 << lost.min(SYNS)) - 1);
            longest.filter(|_| lost < SYNS).map(|longest| resent + longest)
        })
    }

    #[track_caller]
    fn judge(&self, verdict: &Verdict, outcome: &RaceOutcome) {
        let Some(took) = verdict.took else {
            assert_eq!(verdict.bound, None, "a live address and no connection: {self:?}");
            return assert_eq!(outcome.ending, Ending::Failed(Failure::AllAttemptsFailed));
        };
        let oracle = verdict.oracle.expect("a connection comes from an address that accepts");
        assert!(oracle <= took, "connected in {took:?}, and the fastest answers in {oracle:?}");
        if let Some(bound) = verdict.bound {
            assert!(took <= bound, "stuck: took {took:?} of {bound:?}: {self:?}");
        }
    }

    /// Every destination is started in the first round.
    #[track_caller]
    fn first_starts(&self, bound: &Bound, outcome: &RaceOutcome) {
        let timeline = outcome.recording.timeline();
        if self.rules != Rules::Plain || timeline.summary().omitted_attempts > 0 {
            return;
        }
        let by = bound.first_start();
        for destination in timeline.destinations() {
            let first = outcome.attempts().find(|attempt| attempt.destination == destination.address());
            let started = first.map_or(outcome.elapsed, |first| first.started);
            assert!(started <= by, "{} waits until {started:?}, not {by:?}", destination.address());
        }
    }
}

fn dead(rng: &mut Rng) -> SimHost {
    match rng.below(10) {
        0 => no_route(),
        1 => unreachable(rng.within(1, 300)),
        2 | 3 => refuse(rng.within(1, 300)),
        _ => hang(),
    }
}

fn config(k: usize, rng: &mut Rng) -> Config {
    let patience = rng.pick(&[10, 100, 250, 250, 250, 300, 1_000]);
    Config::all_at_once()
        .max_in_flight(k)
        .patience(Duration::from_millis(patience))
        .hedge(rng.chance(80))
        .first_address_family_count(rng.pick(&[1, 1, 1, 2, 5]))
}

fn rules(k: usize, config: &mut Config, rng: &mut Rng) -> Rules {
    match rng.below(10) {
        0 => Rules::Late(rng.within(1, 20_000)),
        1 => Rules::Sockets { count: rng.within(1, k as u64) as usize, late: rng.chance(50) },
        2 => {
            let delay = Duration::from_millis(rng.pick(&[10, 50, 100, 250]));
            let growth_percent = rng.pick(&[100, 100, 150]);
            config.pacing = Pacing::Staggered { delay, growth_percent };
            Rules::Staggered(if growth_percent > 100 { Config::MAX_DELAY } else { delay })
        }
        _ => Rules::Plain,
    }
}
