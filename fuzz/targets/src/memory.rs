//! The life of a memory: races that begin, end and are given up in any order, to hosts that share addresses,
//! on networks that change; what users report; a clock that jumps and runs backwards; its bytes written and
//! read. In a second target it begins with bytes that nobody wrote.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{
    ExplainedAddress, Finish, InvalidMemory, Memory, Network, Remembered, Verdict, Visit,
};
use connie_core::race::{Plan, PlannedRace};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Config, Input, Instant, Output, Pacing};
use connie_sim::{Referee, words};
use serde_json::Value;

use crate::decoded::note;
use crate::draw::Draw;
use crate::race::{LONGEST_SLEEP, address, span};
use crate::stored::{SALT, Stored, forged};

/// The most that happens in one life.
const STEPS: u32 = 400;
/// The most races at one time.
const RACES: usize = 3;
/// What a race has room for: fewer than it may be told.
const DESTINATIONS: usize = 4;
const SOCKETS: usize = 2;

type Race = PlannedRace<DESTINATIONS, SOCKETS, 6>;

/// The life of a memory that knows nothing at first.
///
/// # Panics
///
/// Where a promise is broken.
pub fn memory(data: &[u8]) {
    let mut draw = Draw::new(data);
    let start = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 32, 1 << 62]));
    let size = draw.below(4);
    note(|| format!("memory {size} at {}", start.as_micros()));
    match size {
        0 => Life::<8>::new(draw, Memory::new(SALT, start), start).live(),
        1 => Life::<2>::new(draw, Memory::new(SALT, start), start).live(),
        2 => Life::<3>::new(draw, Memory::new(SALT, start), start).live(),
        _ => Life::<64>::new(draw, Memory::new(SALT, start), start).live(),
    }
}

/// The life of a memory that is read from any bytes; most have the right check.
///
/// # Panics
///
/// Where a promise is broken.
pub fn memory_bytes(data: &[u8]) {
    let mut draw = Draw::new(data);
    let start = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 62]));
    let (size, age, count) = (draw.below(4), span(&mut draw), draw.byte());
    let acts = Draw::new(draw.take(count.into()));
    let bytes = forged(draw);
    note(|| format!("read {size}, {} old, {:08x}", age.as_nanos(), words::hash(&[format!("{bytes:?}")])));
    match size {
        0 => read::<8>(&bytes, age, acts, start),
        1 => read::<2>(&bytes, age, acts, start),
        2 => read::<3>(&bytes, age, acts, start),
        _ => read::<64>(&bytes, age, acts, start),
    }
}

fn read<const N: usize>(bytes: &[u8], age: Duration, acts: Draw<'_>, start: Instant) {
    match Memory::<N>::from_bytes(bytes, SALT, age, start) {
        Ok(memory) => {
            assert!(memory.byte_len() <= bytes.len(), "it has more than it was given");
            Stored::of(&memory, start).keeps_those_that_have_led(&Stored::from_bytes(bytes), N);
            Life::new(acts, memory, start).live();
        }
        Err(InvalidMemory::Checksum) => {
            assert!(!Stored::has_right_check(bytes), "it does not know its own check");
        }
        Err(_) => {}
    }
}

/// A race that runs.
struct Running {
    race: Box<Race>,
    referee: Referee,
    visit: Visit,
    attempts: Vec<AttemptId>,
    due: Option<Instant>,
    /// The newest moment that it was told of.
    now: Instant,
}

struct Life<'a, const N: usize> {
    draw: Draw<'a>,
    memory: Memory<N>,
    /// What the clock shows; it may run backwards.
    clock: Instant,
    /// The latest that it has shown.
    latest: Instant,
    races: Vec<Running>,
    /// What was in it after the last step.
    stored: Stored,
}

impl<'a, const N: usize> Life<'a, N> {
    fn new(draw: Draw<'a>, memory: Memory<N>, clock: Instant) -> Self {
        let stored = Stored::of(&memory, clock);
        Life { draw, memory, clock, latest: clock, races: Vec::new(), stored }
    }

    fn live(mut self) {
        self.check(true);
        for _ in 0..STEPS {
            if self.draw.is_done() {
                break;
            }
            let forgets = self.happen();
            self.check(forgets);
        }
    }

    /// Answers whether it may forget what it likes.
    fn happen(&mut self) -> bool {
        match self.draw.below(20) {
            0..=4 => self.begin(),
            5..=8 => self.succeed(),
            9 | 10 => self.fail(),
            11 => self.wake(),
            12 | 13 => self.sleep(),
            14 => self.give_up(),
            15 => self.report(),
            16 => self.is_told_more(),
            17 => return self.is_rewritten(),
            18 => self.turn_back(),
            _ => return self.rarer(),
        }
        false
    }

    // What happens.

    fn visit(&mut self) -> Visit {
        let host = self.draw.pick(&["a.test", "b.test", "c.test", "d.test"]);
        let byte = self.draw.byte();
        let network = match byte & 3 {
            0 => Network::new("192.0.2.200".parse().ok(), "2001:db8:ff::1".parse().ok()),
            1 => Network::new("192.0.0.1".parse().ok(), "2001:db8:ff::1".parse().ok()),
            2 => Network::new("198.51.100.7".parse().ok(), None),
            _ => Network::default(),
        };
        let finish = if byte & 4 == 0 { Finish::Tcp } else { Finish::Tls };
        note(|| format!("{host}, {network:?}, {finish:?}, {}", byte >> 7));
        self.memory.visit(host, finish, u32::from(byte >> 7), &network)
    }

    fn addresses(&mut self) -> Vec<SocketAddr> {
        let count = self.draw.below(8);
        let addresses: Vec<_> = (0..count).map(|_| address(self.draw.byte())).collect();
        note(|| words::list(&addresses));
        addresses
    }

    fn begin(&mut self) {
        let (visit, addresses) = (self.visit(), self.addresses());
        let pacing =
            self.draw.pick(&[Pacing::AllAtOnce, Pacing::AllAtOnce, Pacing::ALL[1], Pacing::OneByOne]);
        let byte = self.draw.byte();
        let config = Config::from(pacing)
            .max_in_flight(if byte & 1 == 0 { usize::MAX } else { 1 })
            .deadline(Some(Duration::from_millis(if byte & 2 == 0 { 30_000 } else { 100 })))
            .patience(Duration::from_millis(if byte & 4 == 0 { 250 } else { 20 }));
        note(|| words::config(&config));
        while self.races.len() >= RACES {
            self.ends(0);
        }
        // What is unpaid waits for as long as it takes; the sixth law and the deadline are held to.
        let referee = Referee::new(&config, DESTINATIONS, SOCKETS, self.clock).with_plans_of(Duration::MAX);
        let race = Box::new(Race::new(&config, self.clock));
        let (attempts, due, now) = (Vec::new(), None, self.clock);
        self.races.push(Running { race, referee, visit, attempts, due, now });
        let newest = self.races.len() - 1;
        self.answers(newest, &addresses);
    }

    /// The race at `index` is told of `addresses`, and follows what the memory knows.
    fn answers(&mut self, index: usize, addresses: &[SocketAddr]) {
        let byte = self.draw.byte();
        note(|| format!("plan {byte}"));
        let Some(running) = self.races.get_mut(index) else { return };
        running.handle_addresses(addresses, self.clock);
        let (race, visit) = (&running.race, &running.visit);
        let plan = match byte & 0x80 {
            0 => self.memory.plan(visit, race, u32::from(byte & 3), self.clock),
            _ => self.memory.plan_for_incumbent(visit, race, self.clock),
        };
        let plan = if byte & 4 == 0 { plan } else { plan.without_exploring() };
        check_plan(&plan, race);
        if byte & 8 != 0 {
            self.explains(index, &plan);
        }
        let running = &mut self.races[index];
        running.race.follow(&plan);
        running.drain(self.clock);
    }

    fn explains(&self, index: usize, plan: &Plan<DESTINATIONS>) {
        let Running { race, visit, .. } = &self.races[index];
        let mut room = [ExplainedAddress::EMPTY; DESTINATIONS];
        let explanation = self.memory.explain(visit, race, plan, &mut room, self.clock);
        assert!(!explanation.to_string().is_empty() && explanation.omitted() == 0);
        let json = explanation.json().to_string();
        let value: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(
            value["addresses"].as_array().map(Vec::len),
            Some(explanation.addresses().len()),
            "{json}"
        );
        assert_eq!(explanation.whole().is_some(), plan.lead().is_none());
    }

    /// More addresses for a race that runs.
    fn is_told_more(&mut self) {
        let (index, addresses) = (self.index(), self.addresses());
        self.answers(index, &addresses);
    }

    /// The index of one of the races; one past the end if there are none.
    fn index(&mut self) -> usize {
        usize::from(self.draw.byte()) % self.races.len().max(1)
    }

    fn succeed(&mut self) {
        let (index, number, is_sent_again) = (self.index(), self.draw.byte(), self.draw.flag());
        note(|| format!("succeed {number}, {is_sent_again}"));
        let clock = self.clock;
        let Some(running) = self.races.get_mut(index) else { return };
        let Some(id) = running.attempt(number) else { return };
        running.handle_input(Input::AttemptSucceeded { id }, clock);
        running.drain(clock);
        self.learn(index, is_sent_again);
    }

    fn fail(&mut self) {
        let (index, number) = (self.index(), self.draw.byte());
        let kind = self.draw.pick(&[
            AttemptErrorKind::Refused,
            AttemptErrorKind::Unreachable,
            AttemptErrorKind::TimedOut,
            AttemptErrorKind::OutOfSockets,
            AttemptErrorKind::Reset,
            AttemptErrorKind::Other,
            AttemptErrorKind::Tls(connie_core::TlsFailure::NotTls),
            AttemptErrorKind::Tls(connie_core::TlsFailure::CertificateName),
        ]);
        note(|| format!("fail {number}, {}", words::error(kind.into())));
        let clock = self.clock;
        let Some(running) = self.races.get_mut(index) else { return };
        let Some(id) = running.attempt(number) else { return };
        running.handle_input(Input::AttemptFailed { id, error: AttemptError::from(kind) }, clock);
        running.drain(clock);
        self.learn(index, false);
    }

    /// The race goes on when it wants to.
    fn wake(&mut self) {
        let index = self.index();
        note(|| "wake".to_owned());
        let Some(running) = self.races.get_mut(index) else { return };
        self.clock = running.due.map_or(self.clock, |due| self.clock.max(due));
        running.drain(self.clock);
        self.learn(index, false);
    }

    fn give_up(&mut self) {
        let index = self.index();
        note(|| "give up".to_owned());
        self.ends(index);
    }

    fn ends(&mut self, index: usize) {
        let clock = self.clock;
        let Some(running) = self.races.get_mut(index) else { return };
        running.handle_input(Input::Cancel, clock);
        running.drain(clock);
        self.learn(index, false);
    }

    /// Learns from the race, which is over then if it has ended. From one that runs there is nothing to
    /// learn.
    fn learn(&mut self, index: usize, is_sent_again: bool) {
        let Running { race, visit, referee, .. } = &self.races[index];
        let before = referee.ended().is_none().then(|| Stored::of(&self.memory, self.clock));
        self.memory.learn(visit, race, is_sent_again, self.clock);
        match before {
            Some(before) => {
                assert_eq!(before, Stored::of(&self.memory, self.clock), "it learns from a race that runs");
            }
            None => drop(self.races.remove(index)),
        }
    }

    fn report(&mut self) {
        let (visit, of) = (self.visit(), address(self.draw.byte()));
        let verdict =
            self.draw.pick(&[Verdict::Good, Verdict::Refused, Verdict::Stalled, Verdict::TlsFailed]);
        note(|| format!("report {}, {verdict:?}", words::address(of)));
        self.memory.report(&visit, of, verdict, self.clock);
    }

    /// Its bytes are written, and read in another run. Nothing is lost by that but how a family is doubted.
    fn is_rewritten(&mut self) -> bool {
        let (age, keeps) = (span(&mut self.draw), self.draw.flag());
        note(|| format!("rewritten, {} old, {keeps}", age.as_nanos()));
        let (now, before) = (self.clock, Stored::of(&self.memory, self.clock));
        let again = |age| {
            let memory = Memory::<N>::from_bytes(before.bytes(), SALT, age, now);
            memory.expect("what it has written it can read")
        };
        // Ages have stopped at some point, and stay there.
        let once = Stored::of(&again(Duration::ZERO), now);
        let memory = Memory::<N>::from_bytes(once.bytes(), SALT, Duration::ZERO, now).expect("it can");
        assert_eq!(once, Stored::of(&memory, now));
        assert_eq!(before.keys(), once.keys(), "it has lost or gained some");
        Stored::of(&again(age), now).has_aged(&before);
        if keeps {
            let settings = self.memory.settings();
            self.memory = again(age);
            self.memory.set_settings(&settings);
            // They were of the other run.
            self.races.clear();
        }
        keeps
    }

    /// What happens once or twice in a life. Answers whether it has forgotten.
    fn rarer(&mut self) -> bool {
        let byte = self.draw.byte();
        note(|| format!("rarer {byte}"));
        match byte % 32 {
            0 => {
                self.memory.forget();
                assert_eq!(self.memory.entries(self.clock).count(), 0);
                return true;
            }
            1..=8 => {
                let mut settings = self.memory.settings();
                settings.life = span(&mut self.draw);
                settings.least_delay = span(&mut self.draw);
                settings.gap = span(&mut self.draw);
                settings.short_delays = byte & 32 != 0;
                self.memory.set_settings(&settings);
            }
            _ => {}
        }
        false
    }

    // Time.

    fn sleep(&mut self) {
        let sleep = span(&mut self.draw).min(LONGEST_SLEEP);
        note(|| format!("sleep {}", sleep.as_nanos()));
        let ages = |life: &Self| life.memory.entries(life.clock).map(|it| it.age).collect::<Vec<_>>();
        let (before, is_latest) = (ages(self), self.clock == self.latest);
        self.clock += sleep;
        // Sleeping counts as age; ages stop at 24 days or later. Two readings of a clock of 1,024 µs lose
        // one.
        let oldest = Duration::from_secs(24 * 86_400);
        if sleep > oldest / 2 {
            // No race takes as long as a memory's times go.
            self.races.clear();
        }
        for (age, before) in ages(self).into_iter().zip(before).filter(|_| is_latest) {
            assert!(age + Duration::from_micros(1_024) >= oldest.min(before + sleep), "{age:?}, {before:?}");
        }
    }

    fn turn_back(&mut self) {
        let back = span(&mut self.draw).as_micros() as u64;
        note(|| format!("turn back {back}"));
        self.clock = Instant::from_micros(self.clock.as_micros().saturating_sub(back));
    }

    // What it promises.

    fn check(&mut self, forgets: bool) {
        self.latest = self.latest.max(self.clock);
        let stored = Stored::of(&self.memory, self.clock);
        stored.check(N);
        if !forgets {
            stored.keeps_those_that_have_led(&self.stored, N);
        }
        self.stored = stored;
        assert!(self.memory.paid_syns() <= 16, "{} in hand", self.memory.paid_syns());
        let mut known: Vec<Remembered> = self.memory.entries(self.clock).collect();
        known.iter().for_each(check_entry);
        let name = |it: &Remembered| (it.address, it.network, it.finish == Finish::Tls);
        known.sort_by_key(name);
        let count = known.len();
        known.dedup_by_key(|it| name(it));
        assert_eq!(known.len(), count, "it knows an address twice");
    }
}

fn check_entry(entry: &Remembered) {
    // 32 bits of 1,024 µs.
    assert!(entry.age < Duration::from_secs(51 * 86_400), "{entry:?}");
    assert!(!(entry.is_live && entry.is_demoted), "{entry:?}");
    assert!(entry.is_demoted == (entry.demoted_for > Duration::ZERO), "{entry:?}");
    assert!(entry.demoted_for <= Duration::from_secs(451), "{entry:?}");
    assert!(entry.failures <= 8, "{entry:?}");
    if let Some(round_trip) = entry.round_trip {
        assert!(round_trip > Duration::ZERO && entry.measure >= round_trip + Config::MIN_DELAY, "{entry:?}");
    }
}

/// A plan is about addresses that the race has, and keeps none back for longer than a patience.
fn check_plan(plan: &Plan<DESTINATIONS>, race: &Race) {
    let count = race.destinations().len();
    for place in [plan.lead(), plan.explored()].into_iter().flatten() {
        assert!(place < count && !race.destinations()[place].was_started(), "{plan:?}");
    }
    assert!(plan.explored().is_none() || plan.lead() != plan.explored(), "{plan:?}");
    assert!(plan.longest_delay() <= 250_000 && plan.lead_is_due() <= plan.longest_delay(), "{plan:?}");
}

impl Running {
    fn handle_addresses(&mut self, addresses: &[SocketAddr], now: Instant) {
        for family in [connie_core::Family::V4, connie_core::Family::V6] {
            self.referee.handle_input(&Input::Resolved { family, addresses });
        }
        self.now = self.now.max(now);
        self.race.handle_addresses(addresses, now);
    }

    fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        self.now = self.now.max(now);
        self.referee.handle_input(&input);
        self.race.handle_input(input, now);
    }

    fn drain(&mut self, now: Instant) {
        self.now = self.now.max(now);
        loop {
            let output = self.race.poll_output(now);
            self.referee.handle_output(&output, self.now);
            self.due = None;
            match output {
                Output::StartAttempt { id, .. } => self.attempts.push(id),
                Output::WaitUntil(until) => self.due = Some(until),
                _ => {}
            }
            if output.ends_drain() {
                return;
            }
        }
    }

    /// One of the newest four attempts.
    fn attempt(&self, number: u8) -> Option<AttemptId> {
        let newest = &self.attempts[self.attempts.len().saturating_sub(4)..];
        newest.get(usize::from(number) % newest.len().max(1)).copied()
    }
}
