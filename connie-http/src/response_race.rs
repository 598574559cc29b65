//! The race to the first byte of an answer: the finish line `Response`. All of its state, and every
//! transition.
//!
//! A plain value without a socket, a buffer or a clock. A server can complete the handshakes and then say
//! nothing: the process behind it hangs, or a middlebox accepts every connection. Who races to the handshake
//! has then chosen the wrong address, and never tries another. [`ResponseRace`] goes on where that race
//! ended. A client asks it [what to do](ResponseRace::poll_output), does it, and reports what happened by the
//! methods that begin with `handle_`.
//!
//! ```
//! use connie_http::{ResponseOutput, ResponseRace, ResponseRaceConfig, RetryBucket, Side};
//! use connie_core::Instant;
//!
//! let mut bucket = RetryBucket::new();
//! // The request went out over the connection that won the race of the handshakes.
//! let config = ResponseRaceConfig { may_repeat: true, ..ResponseRaceConfig::default() };
//! let mut race = ResponseRace::new(config, &mut bucket, Instant::ZERO);
//! let due = Instant::from_millis(1_000);
//! assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), ResponseOutput::Wait(Some(due)));
//!
//! // Nothing came for a second: another address is asked as well.
//! assert_eq!(race.poll_output(&mut bucket, due), ResponseOutput::OpenSecond);
//! race.handle_second_opened();
//! assert_eq!(race.poll_output(&mut bucket, due), ResponseOutput::SendSecond);
//! race.handle_first_byte(Side::Second);
//! assert_eq!(race.poll_output(&mut bucket, due), ResponseOutput::Keep(Side::Second));
//! ```
//!
//! # The rules
//!
//! ```text
//! the first    awaited ──lost──▶ lost
//! the second   none ──OpenSecond──▶ opening ──opened──▶ open ──SendSecond──▶ sent
//!               │                      │                 │                    │
//!               └─not allowed, unpaid──┴─────failed──────┴───────lost─────────┴──▶ gone
//! the race     runs ──first byte──▶ kept        runs ──lost and gone │ given up──▶ failed
//! ```
//!
//! 1. **The first** connection has been sent the request when the race begins. It has its patience to answer.
//! 2. **The second** leads to another address. It is called for when the patience has passed, or when the
//!    first was lost: reset, closed or refused by an alert before the first byte of an answer.
//! 3. **A warm spare**, where it is asked for, is the second opened at once. The request goes over it when it
//!    is called for, and not before.
//! 4. **The first byte** ends the race, whoever sends it and whatever it is the beginning of: half a status
//!    line, a status of 503. Its connection is kept, and the other one is reset.
//! 5. **One request more** at most, and only for a request that may be repeated: see
//!    [`is_safe_to_race`](crate::is_safe_to_race).
//! 6. **A bucket** pays for it: each request brings a tenth of one more, and three can be saved. What was
//!    paid for and not sent is paid back. Where the bucket is empty the first is waited for alone.
//! 7. **The end** without an answer is when the first is lost and there is no second, or no more. How long
//!    all may take is the caller's matter, who [gives up](ResponseRace::handle_given_up).
//!
//! # The laws
//!
//! They hold after every event. The tests walk every state that any sequence of events can reach.
//!
//! 1. The request is sent once more at most, over a second connection that is open, and only where it may be
//!    repeated.
//! 2. It is sent once more only when the patience has passed or the first was lost.
//! 3. At most one second connection is opened.
//! 4. The bucket pays for each request more exactly once, and for nothing else.
//! 5. After the race has ended nothing is opened and nothing is sent, and the end stays what it is.
//! 6. As long as a connection that was sent the request may still answer, the race has not failed by itself.
//! 7. An event that has no place in a state changes nothing.

use core::time::Duration;

use connie_core::Instant;

/// How long a server has for the first byte of its answer where nothing is known of it.
pub const DEFAULT_RESPONSE_PATIENCE: Duration = Duration::from_secs(1);

/// How a [`ResponseRace`] is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseRaceConfig {
    /// How long the first connection has for the first byte. Default: [`DEFAULT_RESPONSE_PATIENCE`].
    pub patience: Duration,
    /// Whether the request may be sent to two servers. Default: no.
    pub may_repeat: bool,
    /// Whether a second connection is opened at once, to be ready when it is called for. Default: no.
    pub warm_spare: bool,
}

impl Default for ResponseRaceConfig {
    fn default() -> Self {
        ResponseRaceConfig { patience: DEFAULT_RESPONSE_PATIENCE, may_repeat: false, warm_spare: false }
    }
}

/// One of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that won the race of the handshakes, and was sent the request first.
    First,
    /// The one to another address.
    Second,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseOutput {
    /// Open a connection to another address than that of the first. Report
    /// [`handle_second_opened`](ResponseRace::handle_second_opened) or
    /// [`handle_second_failed`](ResponseRace::handle_second_failed).
    OpenSecond,
    /// Send the request over the second connection.
    SendSecond,
    /// Wait for something to happen on the connections, until this moment at most.
    Wait(Option<Instant>),
    /// The race is over. Read the answer from this connection, and reset the other one where there is one.
    Keep(Side),
    /// The race is over, and there is no answer.
    Fail,
}

/// A race to the first byte of an answer. The head of `response_race.rs` has its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResponseRace {
    due: Instant,
    may_repeat: bool,
    warm_spare: bool,
    is_first_lost: bool,
    second: Second,
    /// Whether the bucket has paid for a request more that was not sent.
    has_paid: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Second {
    /// It was not called for.
    None,
    Opening,
    /// It has not been sent the request.
    Open,
    Sent,
    /// There is none, and there will be none.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Kept(Side),
    Failed,
}

impl ResponseRace {
    /// A race for a request that was sent over the first connection just now.
    pub fn new(config: ResponseRaceConfig, bucket: &mut RetryBucket, now: Instant) -> Self {
        let ResponseRaceConfig { patience, may_repeat, warm_spare } = config;
        bucket.earn();
        ResponseRace {
            due: now + patience,
            may_repeat,
            warm_spare,
            is_first_lost: false,
            second: Second::None,
            has_paid: false,
            end: None,
        }
    }

    /// What is to be done at this moment. Ask again after each thing done, and after each event; and report
    /// first what has come by then, so that an answer which is there is not asked for twice.
    pub fn poll_output(&mut self, bucket: &mut RetryBucket, now: Instant) -> ResponseOutput {
        let output = self.decide(bucket, now);
        let is_of_no_use = self.end.is_some() || self.second == Second::Gone;
        if self.has_paid && is_of_no_use {
            bucket.give_back();
            self.has_paid = false;
        }
        output
    }

    fn decide(&mut self, bucket: &mut RetryBucket, now: Instant) -> ResponseOutput {
        match self.end {
            Some(End::Kept(side)) => return ResponseOutput::Keep(side),
            Some(End::Failed) => return ResponseOutput::Fail,
            None => {}
        }
        let is_called_for = self.is_first_lost || now >= self.due;
        match self.second {
            Second::None if !self.may_repeat => self.second = Second::Gone,
            Second::None if is_called_for || self.warm_spare => {
                self.has_paid = bucket.take();
                self.second = if self.has_paid { Second::Opening } else { Second::Gone };
                if self.has_paid {
                    return ResponseOutput::OpenSecond;
                }
            }
            Second::Open if is_called_for => {
                self.second = Second::Sent;
                // From here on it is spent.
                self.has_paid = false;
                return ResponseOutput::SendSecond;
            }
            Second::None | Second::Open => return ResponseOutput::Wait(Some(self.due)),
            Second::Opening | Second::Sent | Second::Gone => {}
        }
        if self.is_first_lost && self.second == Second::Gone {
            self.end = Some(End::Failed);
            return ResponseOutput::Fail;
        }
        ResponseOutput::Wait(None)
    }

    /// The second connection is open, and leads to its server as the first one does: through TLS where that
    /// is spoken.
    pub fn handle_second_opened(&mut self) {
        if self.second == Second::Opening && self.end.is_none() {
            self.second = Second::Open;
        }
    }

    /// There is no other address, or none could be connected to.
    pub fn handle_second_failed(&mut self) {
        if self.second == Second::Opening && self.end.is_none() {
            self.second = Second::Gone;
        }
    }

    /// The first byte of an answer has come. What a server says before it was asked is no answer: that
    /// connection is of no use.
    pub fn handle_first_byte(&mut self, side: Side) {
        if self.end.is_some() {
            return;
        }
        match (side, self.second) {
            (Side::First, _) if !self.is_first_lost => self.end = Some(End::Kept(side)),
            (Side::Second, Second::Sent) => self.end = Some(End::Kept(side)),
            (Side::Second, Second::Open) => self.second = Second::Gone,
            _ => {}
        }
    }

    /// A connection has ended before the first byte of an answer, or could not be sent the request.
    pub fn handle_lost(&mut self, side: Side) {
        if self.end.is_some() {
            return;
        }
        match (side, self.second) {
            (Side::First, _) => self.is_first_lost = true,
            (Side::Second, Second::Open | Second::Sent) => self.second = Second::Gone,
            (Side::Second, _) => {}
        }
    }

    /// The caller waits no longer. A race that has ended stays what it is.
    pub fn handle_given_up(&mut self) {
        self.end.get_or_insert(End::Failed);
    }
}

/// What pays for requests more: each request brings a tenth of one, and three can be saved. Many races can
/// share one.
///
/// Without it a service that is overloaded, and so answers late, would have twice as much to do from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryBucket {
    tenths: u8,
}

impl RetryBucket {
    /// The most requests that can be saved.
    pub const CAPACITY: u8 = 3;
    const FULL: u8 = Self::CAPACITY * 10;

    /// A full one.
    #[must_use]
    pub const fn new() -> Self {
        RetryBucket { tenths: Self::FULL }
    }

    /// How many requests more it pays for now.
    #[must_use]
    pub const fn available(&self) -> u8 {
        self.tenths / 10
    }

    /// A request was sent for the first time.
    fn earn(&mut self) {
        self.tenths = self.tenths.saturating_add(1).min(Self::FULL);
    }

    /// Whether it pays for a request more.
    fn take(&mut self) -> bool {
        match self.tenths.checked_sub(10) {
            Some(rest) => self.tenths = rest,
            None => return false,
        }
        true
    }

    fn give_back(&mut self) {
        self.tenths = self.tenths.saturating_add(10).min(Self::FULL);
    }
}

impl Default for RetryBucket {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
