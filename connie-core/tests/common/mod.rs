//! The verbs of the tests of a race: `input`, `expect`, `expect_idle`, `advance`; and `at` where only what
//! the race leaves behind matters.
//!
//! The crate's own tests include this file too, without the prelude of std.

#![allow(dead_code, reason = "each test file uses some of the verbs")]

use std::borrow::ToOwned as _;
use std::format;
use std::net::SocketAddr;
use std::string::{String, ToString as _};
use std::time::Duration;
use std::vec::Vec;

use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, AttemptOutcome, Config, Failure, Family, Input, Instant,
    Output, Race, Timeline,
};

pub const REFUSED: AttemptErrorKind = AttemptErrorKind::Refused;

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// `a` to `z` are IPv6 addresses, `A` to `Z` IPv4.
#[track_caller]
pub fn address(name: char) -> SocketAddr {
    match name {
        'A'..='Z' => SocketAddr::from(([192, 0, 2, name as u8], 80)),
        'a'..='z' => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, name as u16], 80)),
        _ => panic!("{name:?} names no address"),
    }
}

pub fn addresses(names: &str) -> Vec<SocketAddr> {
    names.chars().map(address).collect()
}

/// The letter of an address, and any other written out.
pub fn name(of: SocketAddr) -> String {
    let byte = match of {
        SocketAddr::V4(v4) => v4.ip().octets()[3],
        SocketAddr::V6(v6) => v6.ip().octets()[15],
    };
    let letter = char::from(byte);
    if letter.is_ascii_alphabetic() && address(letter) == of { letter.to_string() } else { of.to_string() }
}

/// With the room that is filled where the record is what matters.
pub type Recorded = Bench<16, 4, 8>;

/// A race under test, with a clock that the test moves. Attempts are called by the name of their destination;
/// a hedge by the name with a second mark, as in `a'`.
pub struct Bench<const N: usize = 16, const K: usize = 4, const R: usize = 32> {
    pub race: Race<N, K, R>,
    now: Instant,
    /// Every attempt that was ever started.
    attempts: Vec<(String, AttemptId)>,
    in_flight: Vec<String>,
    /// Whether the test takes the outputs. If not, they are taken as they come.
    watched: bool,
}

impl<const N: usize, const K: usize, const R: usize> Bench<N, K, R> {
    /// A race that begins at time 0.
    pub fn new(config: Config) -> Self {
        // A clock that does not start at zero shows confusions of moments with durations.
        let now = Instant::from_millis(1_000_000);
        let race = Race::new(&config, now);
        Bench { race, now, attempts: Vec::new(), in_flight: Vec::new(), watched: true }
    }

    /// A race whose outputs nobody expects: what it says is done at once. It knows no address yet.
    pub fn unwatched(config: &Config) -> Self {
        Bench { watched: false, ..Bench::new(config.clone()) }
    }

    /// The same with its addresses from the start, written out.
    #[track_caller]
    pub fn racing(config: &Config, addresses: &[&str]) -> Self {
        let mut bench = Bench::unwatched(config);
        bench.resolves(addresses);
        bench
    }

    /// Milliseconds since the race's start.
    pub fn time(&self) -> u64 {
        self.now.as_micros() / 1_000 - 1_000_000
    }

    /// Lets time pass to `millis` after the race's start. Nothing may be due before.
    #[track_caller]
    pub fn advance(&mut self, millis: u64) {
        assert!(millis >= self.time(), "time runs forwards");
        self.now = Instant::from_millis(1_000_000 + millis);
    }

    /// Sets the clock back to `millis` after the race's start.
    #[track_caller]
    pub fn set_back(&mut self, millis: u64) {
        assert!(millis < self.time(), "an earlier time");
        self.now = Instant::from_millis(1_000_000 + millis);
    }

    /// Moves on to `micros` after the race's start, and does what falls due on the way.
    #[track_caller]
    pub fn at(&mut self, micros: u64) -> &mut Self {
        assert!(!self.watched, "outputs on the way would be lost");
        let until = Instant::from_micros(1_000_000_000 + micros);
        while let Some(due) = self.settle().filter(|due| *due < until) {
            self.now = due;
        }
        self.now = until;
        self.settle();
        self
    }

    /// The newest attempt called `name`.
    #[track_caller]
    pub fn id(&self, name: &str) -> AttemptId {
        self.attempts
            .iter()
            .rfind(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("{name} was never started"))
            .1
    }

    #[track_caller]
    pub fn input(&mut self, input: Input<'_>) {
        self.race.handle_input(input, self.now);
        self.settle_unwatched();
    }

    /// The answer for the family of the first address named.
    #[track_caller]
    pub fn resolved(&mut self, names: &str) {
        let addresses = addresses(names);
        self.input(Input::Resolved { family: Family::of(&addresses[0]), addresses: &addresses });
    }

    /// Hints for the family of the first address named.
    #[track_caller]
    pub fn hinted(&mut self, names: &str) {
        let addresses = addresses(names);
        self.input(Input::Hinted { family: Family::of(&addresses[0]), addresses: &addresses });
    }

    /// The query for this family failed.
    pub fn unanswered(&mut self, family: Family) {
        self.input(Input::ResolutionFailed { family });
    }

    /// There is no address of this family.
    pub fn no_address(&mut self, family: Family) {
        self.input(Input::Resolved { family, addresses: &[] });
    }

    /// All addresses of both families.
    pub fn addresses(&mut self, names: &str) {
        self.all_of(&addresses(names));
    }

    /// The same, written out.
    #[track_caller]
    pub fn resolves(&mut self, addresses: &[&str]) {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.all_of(&addresses);
    }

    fn all_of(&mut self, addresses: &[SocketAddr]) {
        self.race.handle_addresses(addresses, self.now);
        self.settle_unwatched();
    }

    #[track_caller]
    pub fn succeeds(&mut self, name: &str) {
        let id = self.id(name);
        self.in_flight.retain(|known| known != name);
        self.input(Input::AttemptSucceeded { id });
    }

    #[track_caller]
    pub fn fails(&mut self, name: &str, error: impl Into<AttemptError>) {
        let id = self.id(name);
        self.in_flight.retain(|known| known != name);
        self.input(Input::AttemptFailed { id, error: error.into() });
    }

    /// This machine has another address of this family: its attempts have ended.
    #[track_caller]
    pub fn changes(&mut self, family: Family) {
        let is_v4 = |called: &str| called.starts_with(|first: char| first.is_ascii_uppercase());
        self.in_flight.retain(|called| is_v4(called) != (family == Family::V4));
        self.input(Input::SourceChanged { family });
    }

    /// The same where the race has ended, which has them canceled.
    #[track_caller]
    pub fn changes_after_the_end(&mut self, family: Family) {
        self.input(Input::SourceChanged { family });
    }

    /// The next output is this one, written as the output reads: `start a`, `cancel a`, `wait 250`, `wait`,
    /// `established a`, `failed: timed out`.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        let output = self.race.poll_output(self.now);
        let said = self.say(output);
        assert_eq!(said, expected, "at {} ms", self.time());
    }

    /// The next outputs are these, separated by `, `.
    #[track_caller]
    pub fn expect_all(&mut self, expected: &str) {
        for one in expected.split(", ") {
            self.expect(one);
        }
    }

    fn settle_unwatched(&mut self) {
        if !self.watched {
            self.settle();
        }
    }

    /// Does what the race says until it waits, and answers until when.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            let output = self.race.poll_output(self.now);
            let _ = self.say(output);
            match output {
                Output::StartAttempt { .. } | Output::CancelAttempt { .. } => {}
                Output::WaitUntil(at) => return Some(at),
                Output::WaitForInput | Output::Established { .. } | Output::Failed(_) => return None,
            }
        }
    }

    /// There is nothing to do before `millis` after the race's start, and asking again changes nothing.
    #[track_caller]
    pub fn expect_idle(&mut self, until: u64) {
        self.expect(&format!("wait {until}"));
        self.expect(&format!("wait {until}"));
    }

    /// There is nothing to do before an input comes, and asking again changes nothing.
    #[track_caller]
    pub fn expect_idle_for_input(&mut self) {
        self.expect("wait");
        self.expect("wait");
    }

    /// Lets time pass to just before `millis`, sees that nothing happens, and then to `millis`.
    #[track_caller]
    pub fn idle_until(&mut self, millis: u64) {
        self.expect_idle(millis);
        self.now = Instant::from_micros((1_000_000 + millis) * 1_000 - 1);
        self.expect_idle(millis);
        self.advance(millis);
    }

    #[track_caller]
    fn say(&mut self, output: Output) -> String {
        match output {
            Output::StartAttempt { id, destination } => {
                let mut called = name(destination);
                if self.in_flight.contains(&called) {
                    called.push('\'');
                }
                assert!(!self.attempts.iter().any(|(_, known)| *known == id), "{id} was used before");
                self.attempts.push((called.clone(), id));
                self.in_flight.push(called.clone());
                format!("start {called}")
            }
            Output::CancelAttempt { id } => {
                let called =
                    self.attempts.iter().find(|(_, known)| *known == id).map(|(called, _)| called.clone());
                let called = called.unwrap_or_else(|| panic!("{id} was never started"));
                self.in_flight.retain(|known| *known != called);
                format!("cancel {called}")
            }
            Output::WaitUntil(at) => {
                assert!(at > self.now, "a wait is for the future");
                format!("wait {}", at.as_micros() / 1_000 - 1_000_000)
            }
            Output::WaitForInput => "wait".to_owned(),
            Output::Established { destination, .. } => format!("established {}", name(destination)),
            Output::Failed(failure) => format!("failed: {failure}"),
        }
    }

    pub fn timeline(&self) -> Timeline<'_> {
        self.race.timeline()
    }

    /// The timeline as `a 0..30 established`, one attempt after the other; a hedge has its mark.
    #[track_caller]
    pub fn expect_timeline(&self, expected: &[&str]) {
        let timeline = self.race.timeline();
        let said: Vec<String> = timeline
            .attempts()
            .map(|attempt| {
                let mark = if attempt.hedge { "'" } else { "" };
                let ended = attempt.ended.map_or("".to_owned(), |ended| ended.as_millis().to_string());
                let outcome = attempt.outcome.map_or("in flight".to_owned(), |outcome| outcome.to_string());
                format!(
                    "{}{mark} {}..{ended} {outcome}",
                    name(attempt.destination),
                    attempt.started.as_millis()
                )
            })
            .collect();
        assert_eq!(said, expected);
    }

    pub fn outcomes(&self) -> Vec<AttemptOutcome> {
        self.race.timeline().attempts().filter_map(|attempt| attempt.outcome).collect()
    }

    #[track_caller]
    pub fn expect_failure(&self, failure: Failure) {
        assert_eq!(self.race.timeline().summary().failure, Some(failure));
    }
}
