//! The inputs and outputs of a connect.

use core::net::SocketAddr;

use super::facts::AddressOrder;
use crate::race::{self, AttemptError, AttemptId, Failure, Family};
use crate::resolution::{Query, QueryError};
use crate::time::Instant;

/// Something that happened, for [`Connect::handle_input`](super::Connect::handle_input).
///
/// Every input is welcome at any time: one that comes too late, twice, or for what was never asked changes
/// nothing of what the race does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectInput<'a> {
    /// A query has its answer. A later answer takes the place of an earlier one.
    Answered {
        /// The query.
        query: Query,
        /// Its addresses, with the port to connect to (which a service record can change, RFC 9460
        /// section 7.2); none where the name has none of the family. Those of the other family are passed
        /// over.
        addresses: &'a [SocketAddr],
        /// Their order.
        order: AddressOrder<'a>,
    },
    /// Addresses to go on with until their family's answer comes, which takes their place: the hints of a
    /// service record (RFC 9460 section 7.3).
    Hinted {
        /// Their family.
        family: Family,
        /// The addresses, with the port to connect to.
        addresses: &'a [SocketAddr],
        /// Their order.
        order: AddressOrder<'a>,
    },
    /// A query failed: there will be no answer. What came before stays.
    QueryFailed {
        /// The query.
        query: Query,
        /// Why.
        error: QueryError,
    },
    /// An attempt completed its handshake. It wins, unless the race has ended.
    AttemptSucceeded {
        /// The attempt.
        id: AttemptId,
    },
    /// An attempt failed; the caller has released its socket, or does so now.
    AttemptFailed {
        /// The attempt.
        id: AttemptId,
        /// What went wrong.
        error: AttemptError,
    },
    /// This machine has another address of this family, or another router: see
    /// [`Input::SourceChanged`](race::Input::SourceChanged). An answer keeps the order that it came in; one
    /// with the new routes may take its place.
    SourceChanged {
        /// The family.
        family: Family,
    },
    /// The caller no longer wants a connection. After the race has been won this changes nothing: the winner
    /// stays usable.
    Cancel,
}

/// What to do next, from [`Connect::poll_output`](super::Connect::poll_output).
///
/// The first three ask for more polls; the others end a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "an output that is not acted on leaves the race waiting for something that never happens"]
pub enum ConnectOutput {
    /// Send this query, for [`Query::name`] of the host; all before the first attempt. Report the answer, or
    /// that there will be none.
    SendQuery {
        /// The query.
        query: Query,
    },
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
    /// The race is won. All other attempts have been canceled, and queries under way are of no more use.
    Established {
        /// The winner.
        id: AttemptId,
        /// Where it leads.
        destination: SocketAddr,
    },
    /// It is over without a connection, no attempt is open, and queries under way are of no more use.
    Failed(Failure),
}

impl ConnectOutput {
    /// Whether this ends a drain: there is nothing more to do until an input comes or its time has come.
    #[must_use]
    pub const fn ends_drain(&self) -> bool {
        !matches!(
            self,
            ConnectOutput::SendQuery { .. }
                | ConnectOutput::StartAttempt { .. }
                | ConnectOutput::CancelAttempt { .. }
        )
    }
}

impl From<race::Output> for ConnectOutput {
    fn from(output: race::Output) -> Self {
        match output {
            race::Output::StartAttempt { id, destination } => ConnectOutput::StartAttempt { id, destination },
            race::Output::CancelAttempt { id } => ConnectOutput::CancelAttempt { id },
            race::Output::WaitUntil(until) => ConnectOutput::WaitUntil(until),
            race::Output::WaitForInput => ConnectOutput::WaitForInput,
            race::Output::Established { id, destination } => ConnectOutput::Established { id, destination },
            race::Output::Failed(failure) => ConnectOutput::Failed(failure),
        }
    }
}
