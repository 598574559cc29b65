//! What can go wrong, for a caller who knows only the traits.

use core::fmt;

use connie_core::connect::InvalidHost;
use connie_core::resolution::QueryError;
use connie_core::{AttemptError, AttemptErrorKind, Failure};
use embedded_io_async::ErrorKind;

/// Why there is no connection, or what happened to one. `E` is the stack's own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectionError<E> {
    /// The stack's error, on a connection that was established.
    Stack(E),
    /// Each address was tried and failed. The error is the one among theirs that says most: a refusal before
    /// a reset, a reset before silence, silence before a missing route. None where the race itself gave up
    /// each attempt ([`Config::attempt_timeout`](connie_core::Config::attempt_timeout)).
    AllAttemptsFailed(Option<E>),
    /// The deadline passed first.
    DeadlineExceeded,
    /// None of the addresses can be reached, by what [`Lookup::route`](crate::Lookup::route) says: none was
    /// tried.
    Unreachable,
    /// There was no address to connect to: the name has none of a family that may be used.
    NoAddress,
    /// There was no address to connect to, since the name does not exist or could not be looked up, as far as
    /// [`Lookup::query_error`](crate::Lookup::query_error) tells.
    NotResolved(QueryError),
    /// The host is neither a name nor an address, or an address in a zone that has a name and no number.
    InvalidHost(InvalidHost),
    /// A text that was to be a host and a port is not.
    InvalidTarget,
    /// A client that has the connection through the traits tried to write something other than TLS to port
    /// 443, the port of `https`. Nothing was sent: see [`RaceConnect`](crate::RaceConnect#port-443).
    InTheClear,
}

impl<E: embedded_io_async::Error> embedded_io_async::Error for ConnectionError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            ConnectionError::Stack(error) | ConnectionError::AllAttemptsFailed(Some(error)) => error.kind(),
            ConnectionError::AllAttemptsFailed(None) | ConnectionError::DeadlineExceeded => {
                ErrorKind::TimedOut
            }
            ConnectionError::Unreachable => ErrorKind::NotConnected,
            ConnectionError::NoAddress => ErrorKind::NotFound,
            ConnectionError::NotResolved(error) => kind(*error),
            ConnectionError::InvalidHost(_) | ConnectionError::InvalidTarget => ErrorKind::InvalidInput,
            ConnectionError::InTheClear => ErrorKind::Unsupported,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ConnectionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionError::Stack(error) => error.fmt(f),
            ConnectionError::AllAttemptsFailed(Some(error)) => {
                write!(f, "{}: {error}", Failure::AllAttemptsFailed)
            }
            ConnectionError::AllAttemptsFailed(None) => {
                write!(f, "{}: {}", Failure::AllAttemptsFailed, AttemptErrorKind::TimedOut)
            }
            ConnectionError::DeadlineExceeded => Failure::DeadlineExceeded.fmt(f),
            ConnectionError::Unreachable => f.write_str("no address can be reached"),
            ConnectionError::NoAddress => Failure::NoDestinations.fmt(f),
            ConnectionError::NotResolved(error) => error.fmt(f),
            ConnectionError::InvalidHost(error) => error.fmt(f),
            ConnectionError::InvalidTarget => {
                f.write_str("not HOST:PORT: add the port, and write an IPv6 address in brackets")
            }
            ConnectionError::InTheClear => f.write_str(
                "port 443 takes TLS, and this is not TLS: give the client a TlsRaceConnect, or \
                 allow it by RaceConnect::allow_plain_443",
            ),
        }
    }
}

impl<E: core::error::Error> core::error::Error for ConnectionError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // Its own words are in the line.
            ConnectionError::Stack(error) | ConnectionError::AllAttemptsFailed(Some(error)) => error.source(),
            _ => None,
        }
    }
}

/// What a failed query is to those who know no queries.
const fn kind(error: QueryError) -> ErrorKind {
    match error {
        QueryError::NoSuchName => ErrorKind::NotFound,
        QueryError::TimedOut => ErrorKind::TimedOut,
        _ => ErrorKind::Other,
    }
}

/// Why a lookup brought no address. `E` is the error of the [`Lookup`](crate::Lookup).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResolveError<E> {
    /// No family brought an address, and of the failures this is the one that [tells
    /// most](QueryError::precedence).
    Failed(E),
    /// The name does not exist: the [`Lookup`](crate::Lookup) says so, or it is below `invalid` (RFC 6761
    /// section 6.4) or `onion` (RFC 7686) and was not asked for.
    NoSuchName,
    /// The name has no address of a family that was asked for.
    NoAddress,
    /// The deadline passed first.
    DeadlineExceeded,
    /// The host is neither a name nor an address, or an address in a zone that has a name and no number.
    InvalidHost(InvalidHost),
}

impl<E: fmt::Debug> embedded_io_async::Error for ResolveError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            ResolveError::Failed(_) => ErrorKind::Other,
            ResolveError::NoSuchName | ResolveError::NoAddress => ErrorKind::NotFound,
            ResolveError::DeadlineExceeded => ErrorKind::TimedOut,
            ResolveError::InvalidHost(_) => ErrorKind::InvalidInput,
        }
    }
}

impl<E: fmt::Debug> fmt::Display for ResolveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Failed(error) => write!(f, "the name could not be looked up: {error:?}"),
            ResolveError::NoSuchName => QueryError::NoSuchName.fmt(f),
            ResolveError::NoAddress => f.write_str("the name has no address"),
            ResolveError::DeadlineExceeded => QueryError::TimedOut.fmt(f),
            ResolveError::InvalidHost(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ResolveError<E> {}

/// What an error of a `connect` means to the race. `at_once`: it came before anything could have come from
/// the network.
///
/// A reset that comes at once is nobody's: embassy-net's `TcpClient` says so when its pool of buffers is
/// empty.
pub(crate) fn attempt_error(kind: ErrorKind, at_once: bool) -> AttemptError {
    AttemptError::new(match kind {
        ErrorKind::OutOfMemory => AttemptErrorKind::OutOfSockets,
        ErrorKind::ConnectionReset if at_once => AttemptErrorKind::OutOfSockets,
        ErrorKind::ConnectionRefused => AttemptErrorKind::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            AttemptErrorKind::Reset
        }
        ErrorKind::TimedOut => AttemptErrorKind::TimedOut,
        ErrorKind::NotConnected | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => {
            AttemptErrorKind::Unreachable
        }
        _ => AttemptErrorKind::Other,
    })
}

/// The error of those that failed that says most, and how much.
#[derive(Debug)]
pub(crate) struct MostTellingError<E>(Option<(u8, E)>);

impl<E: embedded_io_async::Error> MostTellingError<E> {
    pub(crate) const fn none() -> Self {
        MostTellingError(None)
    }

    /// Keeps `error`, which means `meaning` to the race, if it says more than what is kept; of two that say
    /// as much, the first.
    pub(crate) fn note(&mut self, error: E, meaning: AttemptError) {
        let rank = rank(error.kind(), meaning);
        if self.0.as_ref().is_none_or(|(kept, _)| rank < *kept) {
            self.0 = Some((rank, error));
        }
    }

    pub(crate) fn take(&mut self) -> Option<E> {
        self.0.take().map(|(_, error)| error)
    }
}

/// How much an error says: what the host itself has said before what routers and time say, and these before
/// what is our own trouble.
fn rank(kind: ErrorKind, meaning: AttemptError) -> u8 {
    match kind {
        // Whatever the stack calls it.
        _ if meaning == AttemptErrorKind::OutOfSockets => 8,
        _ if matches!(meaning.kind(), AttemptErrorKind::Tls(failure) if failure.is_certificate()) => 1,
        _ if matches!(meaning.kind(), AttemptErrorKind::Tls(_)) => 2,
        ErrorKind::ConnectionRefused => 0,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => 3,
        ErrorKind::PermissionDenied => 4,
        ErrorKind::TimedOut => 5,
        ErrorKind::NotConnected | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => 7,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_at_once_is_want_of_a_socket() {
        assert_eq!(attempt_error(ErrorKind::ConnectionReset, true), AttemptErrorKind::OutOfSockets);
        assert_eq!(attempt_error(ErrorKind::ConnectionReset, false), AttemptErrorKind::Reset);
        assert_eq!(attempt_error(ErrorKind::ConnectionRefused, true), AttemptErrorKind::Refused);
    }

    #[test]
    fn the_first_of_the_most_telling_errors_is_kept() {
        #[derive(Debug, PartialEq)]
        struct Fake(ErrorKind, u8);
        impl fmt::Display for Fake {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Ok(())
            }
        }
        impl core::error::Error for Fake {}
        impl embedded_io_async::Error for Fake {
            fn kind(&self) -> ErrorKind {
                self.0
            }
        }
        let mut kept = MostTellingError::none();
        for (number, kind) in [
            ErrorKind::NotConnected,
            ErrorKind::TimedOut,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionRefused,
            ErrorKind::Other,
        ]
        .into_iter()
        .enumerate()
        {
            kept.note(Fake(kind, number as u8), attempt_error(kind, false));
        }
        assert_eq!(kept.take(), Some(Fake(ErrorKind::ConnectionRefused, 2)));
    }
}
