//! What a race came to, and the sentences that a test says about it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::resolution::Query;
use connie_core::timeline::Attempt;
use connie_core::{Failure, Timeline};

use crate::label::{address, label};
use crate::recording::Recording;
use crate::stack::SimStack;
use crate::tally::Tally;

/// How a race ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a connection to this address.
    Connected(SocketAddr),
    /// Without.
    Failed(Failure),
    /// Not at all: it waits for an answer that never comes.
    Waiting,
}

/// What a race came to.
///
/// The methods that take text assert it and answer `self`, so that a test can go on. Their times are
/// milliseconds from the start of the race, with decimals only where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaceOutcome {
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub elapsed: Duration,
    /// The most sockets that were open at a time.
    pub peak: usize,
    /// Its timeline.
    pub recording: Recording,
    /// What each address that was tried saw, in the order of the timeline's destinations.
    pub tallies: Vec<(SocketAddr, Tally)>,
    /// The queries that were sent, in order.
    pub queries: Vec<Query>,
    /// Those that failed, as an error names them.
    pub failed_queries: Vec<String>,
}

impl RaceOutcome {
    pub(crate) fn new(ending: Ending, timeline: &Timeline<'_>, stack: &SimStack) -> Self {
        let addresses = timeline.destinations().map(connie_core::race::Destination::address);
        RaceOutcome {
            ending,
            elapsed: timeline.summary().ended.unwrap_or(Duration::from_micros(stack.now().as_micros())),
            peak: stack.peak(),
            recording: Recording::from_timeline(timeline),
            tallies: addresses.map(|address| (address, stack.tally(address))).collect(),
            queries: Vec::new(),
            failed_queries: Vec::new(),
        }
    }

    /// The attempts in the order of their start.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + Clone {
        self.recording.timeline().attempts()
    }

    /// How long it took to connect; `None` where the race came to no connection.
    #[must_use]
    pub fn time_to_connect(&self) -> Option<Duration> {
        matches!(self.ending, Ending::Connected(_)).then_some(self.elapsed)
    }

    /// What the address named `label` saw.
    ///
    /// # Panics
    ///
    /// When the race never knew it.
    #[must_use]
    #[track_caller]
    pub fn tally(&self, label: &str) -> Tally {
        let address = address(label);
        let known = self.tallies.iter().find(|(known, _)| *known == address);
        known.unwrap_or_else(|| panic!("the race knows no {label}")).1
    }

    /// What [`starts`](RaceOutcome::starts) compares with.
    #[must_use]
    pub fn start_list(&self) -> String {
        let mut list = String::new();
        for attempt in self.attempts() {
            let gap = if list.is_empty() { "" } else { " " };
            let hedge = if attempt.hedge { "+" } else { "" };
            let at = Millis(attempt.started);
            write!(list, "{gap}{}{hedge}@{at}", label(attempt.destination)).expect("text grows");
        }
        list
    }

    /// What [`ends`](RaceOutcome::ends) compares with.
    #[must_use]
    pub fn end_list(&self) -> String {
        let mut list = String::new();
        for attempt in self.attempts() {
            let gap = if list.is_empty() { "" } else { " " };
            let hedge = if attempt.hedge { "+" } else { "" };
            let how = attempt.outcome.map_or("open", |outcome| outcome.name());
            let at = Millis(attempt.ended.unwrap_or(self.elapsed));
            write!(list, "{gap}{}{hedge}:{how}@{at}", label(attempt.destination)).expect("text grows");
        }
        list
    }

    /// These queries were sent, in this order, and no others: `AAAA A prefix`.
    #[track_caller]
    pub fn asks(&self, expected: &str) -> &Self {
        let name = |query: &Query| match query {
            Query::Nat64Prefix => "prefix",
            Query::Aaaa | Query::A => query.record_type(),
        };
        let sent: Vec<_> = self.queries.iter().map(name).collect();
        assert_eq!(sent.join(" "), expected, "the queries");
        self
    }

    /// These attempts started, in this order, and no others: `6a@0 4a@250`. A hedge has a plus: `6a+@250`.
    #[track_caller]
    pub fn starts(&self, expected: &str) -> &Self {
        self.nothing_omitted();
        assert_eq!(self.start_list(), expected, "the starts");
        self
    }

    /// The attempts ended like this, listed in the order of their start:
    /// `6a:canceled@270 4a:established@270`.
    #[track_caller]
    pub fn ends(&self, expected: &str) -> &Self {
        self.nothing_omitted();
        assert_eq!(self.end_list(), expected, "the ends");
        self
    }

    #[track_caller]
    fn nothing_omitted(&self) {
        let omitted = self.recording.timeline().summary().omitted_attempts;
        assert_eq!(omitted, 0, "the record is too short for a list of all attempts");
    }

    /// The address named `winner` won at `millis`.
    #[track_caller]
    pub fn connects(&self, winner: &str, millis: u64) -> &Self {
        let expected = (Ending::Connected(address(winner)), Duration::from_millis(millis));
        assert_eq!((self.ending, self.elapsed), expected, "{}", self.end_list());
        self
    }

    /// The address named `winner` won at `millis` or earlier.
    #[track_caller]
    pub fn connects_by(&self, winner: &str, millis: u64) -> &Self {
        assert_eq!(self.ending, Ending::Connected(address(winner)), "{}", self.end_list());
        assert!(self.elapsed <= Duration::from_millis(millis), "connected only after {:?}", self.elapsed);
        self
    }

    /// The race was lost at `millis`, for this reason.
    #[track_caller]
    pub fn fails(&self, failure: Failure, millis: u64) -> &Self {
        let expected = (Ending::Failed(failure), Duration::from_millis(millis));
        assert_eq!((self.ending, self.elapsed), expected, "{}", self.end_list());
        self
    }

    /// The race waits for an answer that never comes, and has nothing in flight.
    #[track_caller]
    pub fn waits_for_an_answer(&self) -> &Self {
        assert_eq!(self.ending, Ending::Waiting, "{}", self.end_list());
        self
    }

    /// These addresses have failed with these errors: `6a refused, 4a timed_out`.
    #[track_caller]
    pub fn errors(&self, expected: &str) -> &Self {
        let timeline = self.recording.timeline();
        let failed = timeline.destinations().filter_map(|destination| {
            let error = destination.error()?.kind().name();
            Some(format!("{} {error}", label(destination.address())))
        });
        assert_eq!(failed.collect::<Vec<_>>().join(", "), expected, "the errors");
        self
    }
}

/// A duration as milliseconds, with decimals only where there are any.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        match micros % 1_000 {
            0 => write!(f, "{}", micros / 1_000),
            rest => write!(f, "{}.{rest:03}", micros / 1_000),
        }
    }
}
