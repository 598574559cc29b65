//! What a failed `connect` is to a program that knows [`io::Error`]: one kind, one number, and the cause.

use std::fmt;
use std::io;

use connie_core::verdict::{AttemptFailure, ErrorKind};
use connie_core::{Failure, TlsFailure};

use super::{ConnectError, ConnectErrorKind};
use crate::os_error::number;

impl ConnectError {
    /// The kind that this is as an [`io::Error`].
    ///
    /// | what went wrong | kind |
    /// |---|---|
    /// | an invalid host or target, an option that cannot be applied | `InvalidInput` |
    /// | no such name, or no address to connect to | `NotFound` |
    /// | the lookup timed out (of queries that failed in different ways the [most informative](ErrorKind::of_queries) counts) | `TimedOut` |
    /// | the lookup reached no name server | `NetworkUnreachable` |
    /// | the lookup failed in another way | `Other` |
    /// | [`Options::filter`](crate::Options::filter) denies every address | `PermissionDenied` |
    /// | the deadline passed | `TimedOut` |
    /// | the program canceled | `ConnectionAborted` |
    /// | connections hold all of the budget | `QuotaExceeded` |
    /// | every address failed | that of the most informative failure |
    ///
    /// Where addresses have failed in different ways, a refusal counts first (`ConnectionRefused`), then TLS
    /// (`InvalidData`, and `UnexpectedEof` for a connection that ended within the handshake), then silence
    /// (`TimedOut`), then no route (`NetworkUnreachable`, `HostUnreachable`, `NetworkDown`),
    /// then all else, of which the first address counts (`ConnectionReset`, or what the system calls it).
    /// Of two equal failures the first address counts too.
    #[must_use]
    pub fn io_kind(&self) -> io::ErrorKind {
        kind(self)
    }

    /// The operating system's number for what went wrong, where there is one: `errno` on Unix, the WSA code
    /// on Windows. Where every address has failed, it is that of the failure which [the kind](Self::io_kind)
    /// goes by.
    ///
    /// `None` where no call of the system's failed: the race's own time ran out, the program canceled, TLS
    /// failed, a name was not found.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match &self.kind {
            ConnectErrorKind::Socket(error) => error.raw_os_error(),
            ConnectErrorKind::Race(Failure::AllAttemptsFailed, report) => {
                report.timeline().most_telling().and_then(|(_, error)| number(error))
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    /// Of the kind [`ConnectError::io_kind`]. The error itself is within: `get_ref` and `downcast_ref` lead
    /// to it, and so to [`ConnectError::raw_os_error`]. [`io::Error::raw_os_error`] is `None`, as it is of
    /// every [`io::Error`] that has another error within.
    ///
    /// ```
    /// use connie_std::{ConnectError, Options, connect};
    /// use std::io;
    ///
    /// let error = io::Error::from(connect("127.0.0.1:1", &Options::default()).unwrap_err());
    /// assert_eq!((error.kind(), error.raw_os_error()), (io::ErrorKind::ConnectionRefused, None));
    /// let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ConnectError>());
    /// assert!(inner.is_some_and(|inner| inner.raw_os_error().is_some()));
    /// ```
    fn from(error: ConnectError) -> Self {
        io::Error::new(error.io_kind(), error)
    }
}

fn kind(error: &ConnectError) -> io::ErrorKind {
    match &error.kind {
        ConnectErrorKind::Socket(error) => error.kind(),
        // Not `WouldBlock` or `ResourceBusy`, which a loop takes for a reason to try again: it would spin on
        // its own connections.
        ConnectErrorKind::BudgetHeld { .. } => io::ErrorKind::QuotaExceeded,
        ConnectErrorKind::InvalidOption(_) => io::ErrorKind::InvalidInput,
        ConnectErrorKind::Denied(_) => io::ErrorKind::PermissionDenied,
        #[cfg(feature = "tokio")]
        ConnectErrorKind::NoRuntime => io::ErrorKind::Other,
        #[cfg(feature = "tls")]
        ConnectErrorKind::NoServerName => io::ErrorKind::InvalidInput,
        #[cfg(feature = "tls")]
        ConnectErrorKind::Tls(_, error) => error.io_kind(),
        ConnectErrorKind::InvalidHost(_)
        | ConnectErrorKind::UnknownZone(_)
        | ConnectErrorKind::InvalidTarget
        | ConnectErrorKind::TooManyHosts(_)
        | ConnectErrorKind::Resolve(_)
        | ConnectErrorKind::Race(..) => {
            error.error_kind().map_or(io::ErrorKind::Other, |kind| as_io(kind, error.raw_os_error()))
        }
    }
}

/// std's kind for one of the core's. `number` is the operating system's, where that is known.
fn as_io(kind: ErrorKind, number: Option<i32>) -> io::ErrorKind {
    let said = number.map(|number| io::Error::from_raw_os_error(number).kind());
    match kind {
        ErrorKind::InvalidHost => io::ErrorKind::InvalidInput,
        ErrorKind::NoSuchName | ErrorKind::NoAddress => io::ErrorKind::NotFound,
        ErrorKind::LookupTimedOut | ErrorKind::TimedOut => io::ErrorKind::TimedOut,
        ErrorKind::LookupUnreachable => io::ErrorKind::NetworkUnreachable,
        ErrorKind::Refused => io::ErrorKind::ConnectionRefused,
        ErrorKind::Tls(TlsFailure::ClosedEarly) => io::ErrorKind::UnexpectedEof,
        ErrorKind::Tls(_) => io::ErrorKind::InvalidData,
        ErrorKind::Unreachable => match said {
            Some(kind @ (io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkDown)) => kind,
            // A program would not look for the kinds that a firewall or a family that is switched off
            // gives.
            _ => io::ErrorKind::NetworkUnreachable,
        },
        ErrorKind::Reset => io::ErrorKind::ConnectionReset,
        ErrorKind::NetworkDown => io::ErrorKind::NetworkDown,
        ErrorKind::NoSourceAddress => io::ErrorKind::AddrNotAvailable,
        // Not `Interrupted`, which readers and writers take for a reason to try again.
        ErrorKind::Canceled => io::ErrorKind::ConnectionAborted,
        // A customary loop takes the first two for a reason to try again, or for a time-out that has run out.
        ErrorKind::Other => match said {
            Some(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::TimedOut) | None => {
                io::ErrorKind::Other
            }
            Some(kind) => kind,
        },
        _ => io::ErrorKind::Other,
    }
}

/// The cause of a failed race, which says what the race's own words do not, in an [`io::Error`] of the same
/// kind.
pub(crate) fn cause(kind: &ConnectErrorKind) -> Option<io::Error> {
    let ConnectErrorKind::Race(failure, report) = kind else { return None };
    let timeline = report.timeline();
    let number = timeline.most_telling().and_then(|(_, error)| number(error));
    let kind = as_io(ErrorKind::of_race(*failure, &timeline), number);
    match failure {
        Failure::DeadlineExceeded => Some(io::Error::new(kind, Ended("the deadline has passed"))),
        Failure::Canceled => Some(io::Error::new(kind, Ended("the program gave it up"))),
        _ => AttemptFailure::of_race(*failure, &timeline).map(|cause| io::Error::new(kind, cause)),
    }
}

/// What ended a race that had not come to an end of its own.
#[derive(Debug)]
struct Ended(&'static str);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Ended {}

#[cfg(test)]
mod tests {
    use connie_core::AttemptErrorKind;

    use super::*;
    use crate::error::tests::failed;

    const REFUSED: (AttemptErrorKind, Option<i32>) = (AttemptErrorKind::Refused, Some(1));
    const EXPIRED: (AttemptErrorKind, Option<i32>) =
        (AttemptErrorKind::Tls(TlsFailure::CertificateExpired), None);
    const CLOSED: (AttemptErrorKind, Option<i32>) = (AttemptErrorKind::Tls(TlsFailure::ClosedEarly), None);
    const SILENT: (AttemptErrorKind, Option<i32>) = (AttemptErrorKind::TimedOut, Some(2));
    const NOWHERE: (AttemptErrorKind, Option<i32>) = (AttemptErrorKind::Unreachable, Some(3));
    const RESET: (AttemptErrorKind, Option<i32>) = (AttemptErrorKind::Reset, Some(4));

    /// What the documentation of `io_kind` promises, for each pair in both orders.
    #[test]
    fn the_failure_that_tells_most_gives_kind_and_number() {
        let order = [
            (REFUSED, io::ErrorKind::ConnectionRefused),
            (EXPIRED, io::ErrorKind::InvalidData),
            (CLOSED, io::ErrorKind::UnexpectedEof),
            (SILENT, io::ErrorKind::TimedOut),
            (NOWHERE, io::ErrorKind::NetworkUnreachable),
            (RESET, io::ErrorKind::ConnectionReset),
        ];
        for (index, &(first, kind)) in order.iter().enumerate() {
            for &(second, _) in &order[index..] {
                for errors in [[first, second], [second, first]] {
                    let error = failed("name.test", &errors);
                    assert_eq!((error.io_kind(), error.raw_os_error()), (kind, first.1), "{errors:?}");
                    let source = std::error::Error::source(&error);
                    let cause = source.and_then(|source| source.downcast_ref::<AttemptFailure>());
                    let (address, told) =
                        cause.map(|it| (it.address(), it.error())).expect("the cause, as a value");
                    assert_eq!((told.kind(), told.number()), first, "{errors:?}");
                    assert_eq!(error.timeline().unwrap().most_telling(), Some((address, told)));
                    assert_eq!(error.cause().map(io::Error::kind), Some(kind), "{errors:?}");
                    assert_eq!(io::Error::from(error).kind(), kind, "{errors:?}");
                }
            }
        }
    }

    #[test]
    fn of_what_tells_as_much_the_first_counts() {
        let other = (AttemptErrorKind::Other, None);
        assert_eq!(failed("name.test", &[RESET, other]).io_kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(failed("name.test", &[other, RESET]).io_kind(), io::ErrorKind::Other);
        let later = (AttemptErrorKind::Refused, Some(9));
        assert_eq!(failed("name.test", &[SILENT, REFUSED, later]).raw_os_error(), REFUSED.1);
    }

    #[test]
    #[cfg(any(unix, windows))]
    fn what_is_unreachable_is_called_as_the_system_does() {
        use rustix::io::Errno;
        let kind = |errno: Errno| {
            failed("name.test", &[(AttemptErrorKind::Unreachable, Some(errno.raw_os_error()))]).io_kind()
        };
        assert_eq!(kind(Errno::HOSTUNREACH), io::ErrorKind::HostUnreachable);
        assert_eq!(kind(Errno::NETDOWN), io::ErrorKind::NetworkDown);
        for errno in [Errno::NETUNREACH, Errno::ACCESS, Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert_eq!(kind(errno), io::ErrorKind::NetworkUnreachable, "{errno:?}");
        }
    }
}
