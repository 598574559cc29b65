//! What a race wants done.

use core::fmt;
use core::net::SocketAddr;

use super::attempt::AttemptId;
use crate::time::Instant;

/// What to do next, from [`Race::poll_output`](super::Race::poll_output).
///
/// The first two ask for more polls; the other four end a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "an output that is not acted on leaves the race waiting for something that never happens"]
pub enum Output {
    /// Open a socket and begin connecting to `destination`, without blocking. Report the result under `id`.
    StartAttempt {
        /// The attempt's name.
        id: AttemptId,
        /// Where to connect.
        destination: SocketAddr,
    },
    /// Give the attempt up and release its socket now. There is nothing to report back.
    CancelAttempt {
        /// The attempt.
        id: AttemptId,
    },
    /// Nothing to do before this moment, which is in the future, unless an input comes sooner.
    WaitUntil(Instant),
    /// Nothing to do before an input comes.
    WaitForInput,
    /// The race is won. All other attempts have been canceled.
    Established {
        /// The winner.
        id: AttemptId,
        /// Where it leads.
        destination: SocketAddr,
    },
    /// The race is over without a connection, and no attempt is open.
    Failed(Failure),
}

impl Output {
    /// Whether this ends a drain: there is nothing more to do until an input comes or its time has come.
    #[must_use]
    pub const fn ends_drain(&self) -> bool {
        !matches!(self, Output::StartAttempt { .. } | Output::CancelAttempt { .. })
    }
}

/// Why a race ended without a connection. What became of each destination is in the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Failure {
    /// Resolution has ended and brought no address to connect to.
    NoDestinations,
    /// Every destination has been tried, and each attempt failed.
    AllAttemptsFailed,
    /// The deadline passed first.
    DeadlineExceeded,
    /// The caller canceled.
    Canceled,
    /// The stack is gone.
    StackGone,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::NoDestinations => "no address to connect to",
            Failure::AllAttemptsFailed => "every address failed",
            Failure::DeadlineExceeded => "timed out",
            Failure::Canceled => "canceled",
            Failure::StackGone => "the network is down",
        })
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_goes_on_while_there_is_something_to_do() {
        let (id, destination) = (AttemptId(0), SocketAddr::from(([192, 0, 2, 1], 80)));
        for more in [Output::StartAttempt { id, destination }, Output::CancelAttempt { id }] {
            assert!(!more.ends_drain(), "{more:?}");
        }
        for last in [
            Output::WaitUntil(Instant::ZERO),
            Output::WaitForInput,
            Output::Established { id, destination },
            Output::Failed(Failure::Canceled),
        ] {
            assert!(last.ends_drain(), "{last:?}");
        }
    }
}
