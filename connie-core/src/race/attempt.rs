//! A connection attempt: its name, and the ways it can end.

use core::fmt;

/// The name of one connection attempt, never used twice within a race.
///
/// A late result of an attempt that has ended is recognised by its id and ignored. Every race counts from 0: results of one must not
/// be told to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub(super) u32);

impl fmt::Display for AttemptId {
    /// `#` and the attempt's number, counted from 0 in the order of starting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptError {
    /// The peer refused the connection: it answered the SYN with a reset.
    Refused,
    /// There is no way to the destination: no route, no address of the family, or a router said so.
    Unreachable,
    /// The stack, or the time allowed for one attempt, gave up waiting for an answer.
    TimedOut,
    /// The connection was reset after the handshake had completed.
    Reset,
    /// The stack had no socket left for this attempt.
    ///
    /// The race goes on with the sockets that it holds and starts the destination again when one of them is free. With
    /// none in flight the destination has failed.
    OutOfSockets,
    /// The stack itself is gone (the interface is down): no attempt can succeed, so the race ends.
    StackGone,
    /// Anything else, with a number of the stack's own: `errno` on Unix, the WSA code less 10000 on Windows, 0 where the
    /// stack has none.
    Other(u8),
}

impl AttemptError {
    /// The name that the JSON timeline uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AttemptError::Refused => "refused",
            AttemptError::Unreachable => "unreachable",
            AttemptError::TimedOut => "timed_out",
            AttemptError::Reset => "reset",
            AttemptError::OutOfSockets => "out_of_sockets",
            AttemptError::StackGone | AttemptError::Other(_) => "other",
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptError::Refused => f.write_str("connection refused"),
            AttemptError::Unreachable => f.write_str("unreachable"),
            AttemptError::TimedOut => f.write_str("timed out"),
            AttemptError::Reset => f.write_str("connection reset"),
            AttemptError::OutOfSockets => f.write_str("no socket left"),
            AttemptError::StackGone => f.write_str("the network is down"),
            AttemptError::Other(0) => f.write_str("failed"),
            AttemptError::Other(code) => write!(f, "failed with error {code}"),
        }
    }
}

impl core::error::Error for AttemptError {}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It completed its handshake first: the winner.
    Established,
    /// It failed.
    Failed(AttemptError),
    /// It was given up because the race had ended.
    Canceled,
    /// It was given up only to lend its socket to a destination that waited.
    Evicted,
}

impl Outcome {
    /// The name that the JSON timeline uses: one of `established`, `refused`, `unreachable`, `timed_out`, `reset`, `canceled`,
    /// `evicted`, `out_of_sockets`, `other`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Established => "established",
            Outcome::Failed(error) => error.name(),
            Outcome::Canceled => "canceled",
            Outcome::Evicted => "evicted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Failed(error) => error.fmt(f),
            other => f.write_str(other.name()),
        }
    }
}
