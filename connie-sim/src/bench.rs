//! A bare race, driven step by step.

use std::net::SocketAddr;

use connie_core::{AttemptError, AttemptId, Config, Failure, Family, Input, Instant, Output, Race, Timeline};

use crate::label::{addresses, label};
use crate::referee::Referee;

/// What a race says, with labels for addresses and milliseconds since its start for moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BenchOutput {
    /// Start an attempt on this address.
    Start(String),
    /// Give up an attempt on this address.
    Cancel(String),
    /// Nothing to do until then.
    WaitUntil(u64),
    /// Nothing to do until an input comes.
    WaitForInput,
    /// This address has won.
    Connected(String),
    /// The race is lost.
    Failed(Failure),
}

/// "Start an attempt on the address named `label`."
#[must_use]
pub fn starts(label: &str) -> BenchOutput {
    BenchOutput::Start(label.into())
}

/// "Give up an attempt on the address named `label`."
#[must_use]
pub fn cancels(label: &str) -> BenchOutput {
    BenchOutput::Cancel(label.into())
}

/// "Nothing to do until `millis`."
#[must_use]
pub fn waits_until(millis: u64) -> BenchOutput {
    BenchOutput::WaitUntil(millis)
}

/// "Nothing to do until an input comes."
#[must_use]
pub fn waits_for_input() -> BenchOutput {
    BenchOutput::WaitForInput
}

/// "The address named `label` has won."
#[must_use]
pub fn connects(label: &str) -> BenchOutput {
    BenchOutput::Connected(label.into())
}

/// "The race is lost."
#[must_use]
pub fn fails(failure: Failure) -> BenchOutput {
    BenchOutput::Failed(failure)
}

/// A race with up to 64 destinations and 16 sockets, under the eyes of a [`Referee`], at a moment of its own.
///
/// ```
/// use connie_core::Config;
/// use connie_sim::{Bench, connects, starts, waits_until};
///
/// let mut race = Bench::new(&Config::staggered());
/// race.resolves("6a 4a");
/// race.expect([starts("6a"), waits_until(250)]);
/// race.advance(250);
/// race.expect(starts("4a"));
/// race.succeeds("4a");
/// race.expect([connie_sim::cancels("6a"), connects("4a")]);
/// ```
#[derive(Clone, Debug)]
pub struct Bench {
    race: Race<64, 16, 64>,
    referee: Referee,
    now: Instant,
    /// Every attempt that was ever started.
    attempts: Vec<(AttemptId, SocketAddr)>,
}

impl Bench {
    /// A race that begins at 0.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Bench {
            race: Race::new(config, Instant::ZERO),
            referee: Referee::new(config, 64, 16, Instant::ZERO),
            now: Instant::ZERO,
            attempts: Vec::new(),
        }
    }

    /// Takes an input.
    #[track_caller]
    pub fn input(&mut self, input: Input<'_>) {
        self.referee.handle_input(&input);
        self.race.handle_input(input, self.now);
    }

    /// Both families have answered, with these addresses between them.
    #[track_caller]
    pub fn resolves(&mut self, labels: &str) {
        let addresses = addresses(labels);
        for family in [Family::V6, Family::V4] {
            self.input(Input::Resolved { family, addresses: &addresses });
        }
    }

    /// `family` has answered, with these addresses.
    #[track_caller]
    pub fn answers(&mut self, family: Family, labels: &str) {
        self.input(Input::Resolved { family, addresses: &addresses(labels) });
    }

    /// The newest attempt on the address named `label` has completed its handshake, whether or not it is
    /// still wanted.
    #[track_caller]
    pub fn succeeds(&mut self, label: &str) {
        let id = self.newest(label);
        self.input(Input::AttemptSucceeded { id });
    }

    /// The newest attempt on the address named `label` has failed, whether or not it is still wanted.
    #[track_caller]
    pub fn fails(&mut self, label: &str, error: impl Into<AttemptError>) {
        let id = self.newest(label);
        self.input(Input::AttemptFailed { id, error: error.into() });
    }

    /// The program gives up.
    #[track_caller]
    pub fn cancel(&mut self) {
        self.input(Input::Cancel);
    }

    /// Lets time pass until `millis` after the start.
    #[track_caller]
    pub fn advance(&mut self, millis: u64) {
        let to = Instant::from_millis(millis);
        assert!(to >= self.now, "time does not run backwards");
        self.now = to;
    }

    /// The race says this next, or these one after the other.
    #[track_caller]
    pub fn expect(&mut self, said: impl IntoIterator<Item = BenchOutput>) {
        for expected in said {
            let output = self.poll();
            assert_eq!(self.said(output), expected, "at {}", self.now);
        }
    }

    /// The race has nothing to do now, and says the same when it is asked again.
    #[track_caller]
    pub fn expect_idle(&mut self) {
        let output = self.poll();
        assert!(output.ends_drain(), "the race is not idle: {:?}", self.said(output));
        let again = self.poll();
        assert_eq!(output, again, "asked again, the race says something else");
    }

    /// Polls the race once.
    #[track_caller]
    pub fn poll(&mut self) -> Output {
        let output = self.race.poll_output(self.now);
        self.referee.handle_output(&output, self.now);
        if let Output::StartAttempt { id, destination } = output {
            self.attempts.push((id, destination));
        }
        output
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.race.timeline()
    }

    #[track_caller]
    fn newest(&self, label: &str) -> AttemptId {
        let address = crate::label::address(label);
        let known = self.attempts.iter().rev().find(|(_, destination)| *destination == address);
        known.unwrap_or_else(|| panic!("{label} was never started")).0
    }

    fn said(&self, output: Output) -> BenchOutput {
        match output {
            Output::StartAttempt { destination, .. } => BenchOutput::Start(label(destination)),
            Output::CancelAttempt { id } => {
                let known = self.attempts.iter().find(|(known, _)| *known == id);
                BenchOutput::Cancel(
                    known.map_or_else(|| id.to_string(), |(_, destination)| label(*destination)),
                )
            }
            Output::WaitUntil(until) => BenchOutput::WaitUntil(until.as_micros() / 1_000),
            Output::WaitForInput => BenchOutput::WaitForInput,
            Output::Established { destination, .. } => BenchOutput::Connected(label(destination)),
            Output::Failed(failure) => BenchOutput::Failed(failure),
        }
    }
}

impl IntoIterator for BenchOutput {
    type Item = BenchOutput;
    type IntoIter = std::iter::Once<BenchOutput>;

    /// One saying, for [`Bench::expect`].
    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}
