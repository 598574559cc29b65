use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct CountedWaker(AtomicUsize);

impl Wake for CountedWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A race of which nothing is known but what it asks its allowance.
struct Racer {
    allowance: BudgetState,
    waker: Arc<CountedWaker>,
    in_flight: usize,
    most: usize,
    by_plan: Option<(usize, Instant)>,
    /// What its lookups take their sockets from.
    lookups: SocketBudget,
}

impl Racer {
    fn new(budget: &SocketBudget, race: &Config) -> Self {
        let lookups = budget.for_lookups();
        let allowance = BudgetState::new(budget.clone(), lookups.loan().expect("of lookups"), race);
        Racer { allowance, waker: Arc::default(), in_flight: 0, most: usize::MAX, by_plan: None, lookups }
    }

    /// Looks after its sockets as a task, and puts as many to use as it may.
    fn look(&mut self, addresses: usize, millis: u64) -> SocketSupply {
        let to =
            SocketDemand { addresses, in_flight: self.in_flight, most: self.most, by_plan: self.by_plan };
        let now = Instant::from_millis(millis);
        let sockets = self.allowance.poll(to, true, &self.waker.clone().into(), now);
        self.in_flight = self.in_flight.max(self.allowance.limit().unwrap_or(0).min(addresses));
        sockets
    }

    /// What it has, and what it may use.
    fn has(&self) -> (usize, usize) {
        (self.allowance.sockets(), self.allowance.limit().unwrap_or(0))
    }

    /// When it looks again, in milliseconds.
    fn looks_at(&self) -> Option<u64> {
        self.allowance.looks_at().map(|at| at.as_micros() / 1_000)
    }

    fn woken(&self) -> usize {
        self.waker.0.load(Ordering::Relaxed)
    }
}

fn all_at_once() -> Config {
    Config::all_at_once().max_in_flight(16)
}

fn no_hedge() -> Config {
    all_at_once().hedge(false)
}

#[test]
fn a_race_takes_a_socket_for_each_address_and_another_once_it_can_use_that() {
    let budget = SocketBudget::new(30);
    let mut race = Racer::new(&budget, &all_at_once());
    assert_eq!((race.look(0, 0), race.has(), budget.free()), (SocketSupply::Ready, (0, 0), 30));
    assert_eq!((race.look(3, 10), race.has(), race.looks_at()), (SocketSupply::Ready, (3, 3), Some(260)));
    race.look(5, 20);
    assert_eq!(race.has(), (5, 5), "addresses that come later");
    race.look(5, 259);
    assert_eq!(race.has(), (5, 5));
    race.look(5, 260);
    assert_eq!((race.has(), race.looks_at()), ((10, 10), None), "hedges");
    race.look(9, 270);
    assert_eq!(race.has(), (16, 16), "never more than the configuration allows");
    // Addresses that have failed.
    race.in_flight = 2;
    race.look(2, 280);
    assert_eq!((race.has(), budget.free()), ((4, 4), 26));
    race.in_flight = 0;
    race.look(0, 290);
    assert_eq!((race.has(), race.looks_at(), budget.free()), ((0, 0), None, 30), "a lookup may need it");
    race.look(1, 300);
    assert_eq!((race.has(), race.looks_at()), ((1, 1), Some(550)));
    assert!(race.allowance.into_held().is_some());
    assert_eq!(budget.free(), 30);
}

#[test]
fn a_pace_takes_no_sockets_that_it_does_not_use() {
    let budget = SocketBudget::new(30);
    let mut staggered = Racer::new(&budget, &Config::staggered().max_in_flight(16));
    staggered.look(6, 0);
    assert_eq!(staggered.has(), (2, 2), "one for the next beside that which starts");
    staggered.in_flight = 1;
    staggered.look(6, 250);
    assert_eq!(staggered.has(), (3, 3));
    staggered.in_flight = 5;
    staggered.look(6, 260);
    assert_eq!(staggered.has(), (6, 6));
    let mut one_by_one = Racer::new(&budget, &Config::one_by_one().max_in_flight(16));
    one_by_one.look(6, 0);
    assert_eq!(one_by_one.has(), (1, 1));
}

/// With a memory: one for the lead, and the others when their time has come.
#[test]
fn what_a_plan_holds_back_takes_no_socket_before_its_time() {
    let budget = SocketBudget::new(8);
    let mut race = Racer::new(&budget, &all_at_once());
    race.by_plan = Some((1, Instant::from_millis(40)));
    race.look(12, 0);
    assert_eq!((race.has(), race.looks_at()), ((1, 1), Some(40)));
    race.by_plan = Some((2, Instant::from_millis(90)));
    race.look(12, 40);
    assert_eq!((race.has(), race.looks_at(), budget.free()), ((2, 2), Some(90), 6));
    // There is room for some of the rest.
    race.by_plan = None;
    race.look(12, 90);
    assert_eq!((race.has(), budget.free()), ((8, 8), 0));
    // Another has none, and goes on with what it has.
    race.in_flight = 7;
    race.look(7, 95);
    let mut other = Racer::new(&budget, &all_at_once());
    other.by_plan = Some((1, Instant::from_millis(140)));
    other.look(12, 100);
    other.by_plan = None;
    assert_eq!((other.look(12, 140), other.has()), (SocketSupply::Ready, (1, 1)));
}

#[test]
fn who_has_less_than_it_can_use_is_next_until_its_patience_has_passed() {
    let budget = SocketBudget::new(6);
    let [mut first, mut second, mut third] = [(); 3].map(|()| Racer::new(&budget, &no_hedge()));
    first.look(4, 0);
    second.look(4, 10);
    assert_eq!((second.has(), second.looks_at()), ((2, 2), Some(260)));
    assert_eq!(third.look(4, 10), SocketSupply::InLine(None));
    // One of the first's addresses fails.
    first.in_flight = 3;
    first.look(3, 20);
    assert_eq!((second.woken(), third.woken()), (1, 0));
    second.look(4, 20);
    assert_eq!(second.has(), (3, 3));
    second.look(4, 260);
    assert_eq!(
        (second.has(), third.woken()),
        ((3, 2), 0),
        "it has to lend then, as soon as one is not in flight"
    );
    first.in_flight = 2;
    first.look(2, 261);
    assert_eq!(third.woken(), 1, "and then it is the next one's turn");
    assert_eq!((third.look(4, 261), third.has()), (SocketSupply::Ready, (1, 1)));
}

#[test]
fn a_thread_does_not_stay_in_line_beside_its_sockets() {
    let budget = SocketBudget::new(5);
    let mut first = Racer::new(&budget, &no_hedge());
    first.look(4, 0);
    let mut allowance = BudgetState::new(budget.clone(), SparePermits::default(), &no_hedge());
    let to = SocketDemand { addresses: 4, in_flight: 0, most: usize::MAX, by_plan: None };
    assert_eq!(allowance.poll(to, false, Waker::noop(), Instant::ZERO), SocketSupply::Ready);
    assert_eq!((allowance.limit(), allowance.place.is_none()), (Some(1), true));
    // It takes what is spare when it looks again.
    drop(first);
    allowance.poll(SocketDemand { in_flight: 1, ..to }, false, Waker::noop(), Instant::from_millis(250));
    assert_eq!(allowance.limit(), Some(4));
}

#[test]
fn a_race_whose_patience_has_passed_keeps_its_part_where_others_stand_in_line() {
    let budget = SocketBudget::new(8);
    let mut early = Racer::new(&budget, &no_hedge());
    early.look(12, 0);
    assert_eq!(early.has(), (8, 8));
    let mut late = Racer::new(&budget, &no_hedge());
    assert_eq!(late.look(2, 100), SocketSupply::InLine(None));
    early.look(12, 249);
    assert_eq!(early.has(), (8, 8), "it can use them");
    early.look(12, 250);
    assert_eq!((early.has(), late.woken()), ((8, 4), 0), "all are in flight");
    early.in_flight = 7;
    early.allowance.give_back(7);
    assert_eq!((early.has(), late.woken()), ((7, 4), 1));
    assert_eq!((late.look(2, 260), late.has()), (SocketSupply::Ready, (1, 1)));
    // It is the late one's turn as long as that can use more.
    early.in_flight = 4;
    early.look(12, 270);
    assert_eq!(early.has(), (4, 4));
    late.look(2, 270);
    assert_eq!((late.has(), budget.free()), ((2, 2), 2));
    early.look(12, 280);
    assert_eq!((early.has(), budget.free()), ((6, 6), 0), "what nobody needs comes back");
}

#[test]
fn it_waits_for_connections_as_long_as_the_budget_says() {
    let budget = SocketBudget::new(1).waits(Duration::from_millis(40));
    let held = budget.try_acquire(1).map(Permits::hold);
    let mut race = Racer::new(&budget, &all_at_once());
    let until = Instant::from_millis(140);
    assert_eq!(race.look(1, 100), SocketSupply::InLine(Some(until)));
    assert_eq!(race.look(1, 139), SocketSupply::InLine(Some(until)), "since it has found it so");
    assert_eq!(
        (race.allowance.lack(), race.look(1, 140)),
        (Some(Lack::AllHeld { sockets: 1 }), SocketSupply::AllHeld)
    );
    assert_eq!(race.allowance.lack(), Some(Lack::Refused { sockets: 1 }));
    // Who waits for a race waits on, however long that is.
    let mut race = Racer::new(&budget, &all_at_once());
    assert_eq!(race.look(1, 100), SocketSupply::InLine(Some(until)));
    drop(held);
    assert_eq!((race.woken(), race.look(1, 500)), (1, SocketSupply::Ready));
}

#[test]
fn each_time_that_connections_hold_all_it_waits_as_long_again() {
    let budget = SocketBudget::new(1).waits(Duration::from_millis(40));
    let held = budget.try_acquire(1).map(Permits::hold);
    let mut first = Racer::new(&budget, &all_at_once());
    let mut second = Racer::new(&budget, &all_at_once());
    let until = |millis| SocketSupply::InLine(Some(Instant::from_millis(millis)));
    assert_eq!((first.look(1, 100), second.look(1, 100)), (until(140), until(140)));
    drop(held);
    assert_eq!((first.look(1, 110), second.look(1, 110)), (SocketSupply::Ready, SocketSupply::InLine(None)));
    let _held = first.allowance.into_held();
    assert_eq!((second.look(1, 500), second.look(1, 539)), (until(540), until(540)));
    assert_eq!(second.look(1, 540), SocketSupply::AllHeld);
}

#[test]
fn what_the_system_does_not_have_for_it_goes_back_until_it_tries_again() {
    let budget = SocketBudget::new(6);
    let mut race = Racer::new(&budget, &no_hedge());
    race.look(5, 0);
    let mut next = Racer::new(&budget, &no_hedge());
    next.look(3, 0);
    assert_eq!((race.has(), next.has()), ((5, 5), (1, 1)));
    (race.in_flight, race.most) = (2, 2);
    race.look(5, 10);
    assert_eq!((race.has(), race.looks_at(), next.woken()), ((2, 2), None, 1));
    next.look(3, 10);
    assert_eq!((next.has(), budget.free()), ((3, 3), 1));
    race.most = usize::MAX;
    race.look(5, 20);
    assert_eq!((race.has(), budget.free()), ((3, 3), 0));
}

/// A lookup that waits in line.
fn look_up(race: &Racer) -> impl FnMut() -> Option<Permits> + use<> {
    let (lookups, mut place) = (race.lookups.clone(), None);
    let mut poll = move || match lookups.poll_acquire(&mut place, 1, Waker::noop()) {
        Acquire::Acquired(share) => Some(share),
        Acquire::Queued | Acquire::AllHeld => None,
    };
    assert!(poll().is_none());
    poll
}

#[test]
fn a_race_lends_its_look_up_what_is_not_in_flight_but_for_one() {
    let budget = SocketBudget::new(3);
    let mut race = Racer::new(&budget, &no_hedge());
    race.look(3, 0);
    let mut other = Racer::new(&budget, &no_hedge());
    assert_eq!(other.look(1, 0), SocketSupply::InLine(None));
    race.in_flight = 1;
    let mut lookups = [look_up(&race), look_up(&race), look_up(&race)];
    race.look(3, 10);
    assert_eq!((race.has(), race.allowance.loan.has_lent()), ((1, 0), true));
    let lent: Vec<_> = lookups.iter_mut().filter_map(|poll| poll()).collect();
    assert_eq!((lent.len(), race.allowance.loan.has_lent(), other.woken()), (2, false, 0));
}

#[test]
fn an_attempt_yields_to_a_look_up_of_its_race_that_stands_in_line() {
    let budget = SocketBudget::new(2);
    let mut race = Racer::new(&budget, &no_hedge());
    race.look(2, 0);
    assert_eq!((race.has(), race.looks_at()), ((2, 2), None));
    let mut first = look_up(&race);
    race.look(2, 10);
    assert_eq!((race.has(), race.looks_at(), first().is_some()), ((2, 1), Some(250), false));
    // The core has evicted one.
    race.in_flight = 1;
    race.allowance.give_back(1);
    assert_eq!((race.has(), race.allowance.loan.has_lent()), ((1, 1), true));
    let lent = first().expect("it was lent");
    race.look(2, 300);
    assert_eq!((race.has(), budget.free()), ((1, 1), 0));
    // One more, and the last socket.
    let mut second = look_up(&race);
    race.look(2, 310);
    assert_eq!(race.has(), (1, 0));
    race.in_flight = 0;
    assert_eq!(race.look(2, 500), SocketSupply::InLine(None));
    assert_eq!((race.has(), race.allowance.limit(), race.in_flight), ((0, 0), None, 0));
    drop(second().expect("it was lent"));
    assert_eq!((race.woken(), race.look(2, 510), race.has()), (1, SocketSupply::Ready, (1, 1)));
    drop(lent);
    race.look(2, 520);
    assert_eq!(race.has(), (2, 2));
}

#[test]
fn a_thread_whose_attempt_is_to_yield_looks_whether_it_has() {
    let budget = SocketBudget::new(1);
    let mut race = Racer::new(&budget, &no_hedge());
    race.look(1, 0);
    let in_line = look_up(&race);
    let to = SocketDemand { addresses: 1, in_flight: 1, most: usize::MAX, by_plan: None };
    race.allowance.poll(to, false, Waker::noop(), Instant::from_millis(10));
    assert_eq!((race.has(), race.looks_at()), ((1, 0), Some(15)));
    // The lookup does without: the race goes on as it was.
    drop(in_line);
    race.allowance.poll(to, false, Waker::noop(), Instant::from_millis(15));
    assert_eq!((race.has(), race.looks_at()), ((1, 1), None));
}

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What a race, or the connection that it has become, is up to.
enum Life {
    /// It has not begun.
    Unborn,
    Racing {
        racer: Box<Racer>,
        addresses: usize,
        rung: usize,
    },
    Connected(#[expect(dead_code, reason = "its drop gives the place back")] SocketPermit),
    Ended,
}

/// Some races over one budget, at random. Each is asked only when it was woken, has something to do by
/// itself, or has said so.
struct Crowd {
    budget: SocketBudget,
    config: Config,
    lives: Vec<Life>,
    millis: u64,
    won: usize,
    refused: usize,
}

impl Crowd {
    fn new(random: &mut Random) -> Self {
        let waits = [Duration::ZERO, Duration::from_millis(300), Duration::MAX][random.below(3)];
        let budget = SocketBudget::new(1 + random.below(12)).waits(waits);
        let config = [all_at_once(), no_hedge(), Config::staggered()][random.below(3)].clone();
        let lives = (0..2 + random.below(30)).map(|_| Life::Unborn).collect();
        Crowd { budget, config, lives, millis: 0, won: 0, refused: 0 }
    }

    /// A race begins, an attempt or a race or a connection ends, or somebody gives up.
    fn happens(&mut self, random: &mut Random) {
        let index = random.below(self.lives.len());
        let life = std::mem::replace(&mut self.lives[index], Life::Ended);
        self.lives[index] = match life {
            Life::Unborn => {
                let racer = Box::new(Racer::new(&self.budget, &self.config));
                Life::Racing { racer, addresses: 1 + random.below(8), rung: usize::MAX }
            }
            Life::Racing { racer, .. } if racer.allowance.limit().is_some() && random.below(3) == 0 => {
                self.won += 1;
                racer.allowance.into_held().map_or(Life::Ended, Life::Connected)
            }
            Life::Racing { .. } if random.below(20) == 0 => Life::Ended,
            Life::Racing { mut racer, addresses, .. } if racer.in_flight > 0 => {
                racer.in_flight -= 1;
                Life::Racing { racer, addresses: addresses.saturating_sub(1).max(1), rung: usize::MAX }
            }
            racing @ Life::Racing { .. } => racing,
            Life::Connected(_) | Life::Ended => Life::Ended,
        };
    }

    /// Asks all that have to look, until nobody has to. Returns whether anybody waits for a time.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut asked = false;
            for index in 0..self.lives.len() {
                let Life::Racing { racer, addresses, rung } = &mut self.lives[index] else { continue };
                let due = racer.looks_at().is_some_and(|at| at <= self.millis);
                if *rung == racer.woken() && !due {
                    continue;
                }
                asked = true;
                *rung = racer.woken();
                if racer.look(*addresses, self.millis) == SocketSupply::AllHeld {
                    assert_eq!(self.budget.held(), self.budget.sockets(), "something comes back");
                    self.refused += 1;
                    self.lives[index] = Life::Ended;
                }
                self.check();
            }
            if !asked {
                return;
            }
        }
        panic!("they ask for ever");
    }

    fn check(&self) {
        let (mut passing, mut held, mut sharers) = (0, 0, 0);
        for life in &self.lives {
            match life {
                Life::Racing { racer, .. } => {
                    let (has, may_use) = racer.has();
                    assert!(
                        may_use <= has && racer.in_flight <= has,
                        "{may_use}, {} of {has}",
                        racer.in_flight
                    );
                    passing += has;
                    sharers += usize::from(has > 0);
                }
                Life::Connected(_) => held += 1,
                Life::Unborn | Life::Ended => {}
            }
        }
        let sockets = self.budget.sockets();
        assert_eq!(
            (self.budget.held(), self.budget.free()),
            (held, sockets - held - passing),
            "of {sockets}"
        );
        assert!(self.budget.fair_share().is_none_or(|part| part * sharers.max(1) <= sockets.max(sharers)));
    }

    /// Whether somebody waits in line while something is free, or though nothing comes back and it would not
    /// wait.
    fn is_stuck(&self) -> bool {
        let waits = |life: &Life| matches!(life, Life::Racing { racer, .. } if racer.has().0 == 0);
        let nothing_comes =
            self.budget.held() == self.budget.sockets() && self.budget.patience() == Duration::ZERO;
        self.lives.iter().any(waits) && (self.budget.free() > 0 || nothing_comes)
    }
}

#[test]
fn nobody_starves_and_the_budget_is_kept_whatever_happens() {
    let (mut won, mut refused) = (0, 0);
    for seed in 1..=600 {
        let _told = Told(seed);
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut crowd = Crowd::new(&mut random);
        for _ in 0..200 {
            crowd.millis += [0, 0, 1, 40, 250][random.below(5)];
            crowd.happens(&mut random);
            crowd.settle();
            assert!(!crowd.is_stuck());
        }
        (won, refused) = (won + crowd.won, refused + crowd.refused);
        drop(crowd.lives);
        assert_eq!((crowd.budget.free(), crowd.budget.held()), (crowd.budget.sockets(), 0));
    }
    assert!(won > 1_000 && refused > 100, "{won} won, {refused} were refused: too little has happened");
}

/// Says which seed it was.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}
