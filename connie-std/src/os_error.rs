//! What can go wrong with one socket.

use std::fmt;
use std::io;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};
use rustix::io::Errno;

/// An error of one of the operating system's sockets.
#[derive(Debug)]
pub struct OsError {
    error: io::Error,
    /// Whether it came of binding the socket to the source address that the program asked for.
    of_source: bool,
}

impl OsError {
    /// The error as the operating system gave it.
    #[must_use]
    pub fn as_io(&self) -> &io::Error {
        &self.error
    }

    /// The source address that the program asked for could not be had.
    pub(crate) fn of_source(errno: Errno) -> Self {
        OsError { error: errno.into(), of_source: true }
    }

    /// What it means to a race, with the operating system's number.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        AttemptError::new(self.meaning()).with_number(self.error.raw_os_error().unwrap_or(0))
    }

    fn meaning(&self) -> AttemptErrorKind {
        match Errno::from_io_error(&self.error) {
            // Nothing about the destination: the program asked for an address that this machine does not have.
            Some(Errno::ADDRNOTAVAIL) if self.of_source => AttemptErrorKind::NoSourceAddress,
            Some(Errno::CONNREFUSED) => AttemptErrorKind::Refused,
            // EACCES is how Linux reports "administratively prohibited" over IPv6, EHOSTDOWN what it makes of
            // a router's "destination host unknown" (RFC 1122 section 3.2.2.1), and EADDRNOTAVAIL that there
            // is no source address for the destination. A local firewall's rule can show as EPERM, below.
            // ENETDOWN speaks of the interface that this address's route leads over: a system has others, and
            // the next address may go out over one of them. So nothing that a system says of one address is
            // `StackGone`.
            Some(
                Errno::NETUNREACH
                | Errno::NETDOWN
                | Errno::HOSTUNREACH
                | Errno::HOSTDOWN
                | Errno::ACCESS
                | Errno::ADDRNOTAVAIL
                | Errno::AFNOSUPPORT
                | Errno::PFNOSUPPORT
                | Errno::PROTONOSUPPORT,
            ) => AttemptErrorKind::Unreachable,
            Some(Errno::TIMEDOUT) => AttemptErrorKind::TimedOut,
            Some(Errno::CONNRESET | Errno::CONNABORTED) => AttemptErrorKind::Reset,
            Some(Errno::MFILE | Errno::NOBUFS) => AttemptErrorKind::OutOfSockets,
            #[cfg(unix)]
            Some(Errno::NFILE | Errno::NOMEM) => AttemptErrorKind::OutOfSockets,
            #[cfg(unix)]
            Some(Errno::PERM) => AttemptErrorKind::Unreachable,
            // What Linux makes of a router's "source host isolated".
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Some(Errno::NONET) => AttemptErrorKind::Unreachable,
            _ => AttemptErrorKind::Other,
        }
    }
}

impl From<io::Error> for OsError {
    fn from(error: io::Error) -> Self {
        OsError { error, of_source: false }
    }
}

impl From<Errno> for OsError {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl From<OsError> for io::Error {
    fn from(error: OsError) -> Self {
        error.error
    }
}

impl TcpError for OsError {
    fn kind(&self) -> TcpErrorKind {
        match self.error.kind() {
            // Not a reset: that is no end of what the peer had to say, and a body that it cuts short must not pass for whole.
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => TcpErrorKind::PipeClosed,
            _ => TcpErrorKind::Other,
        }
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for OsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Its own words are those of `{}`.
        self.error.source()
    }
}

/// The error in the operating system's words where there are any that say more, without the number, which
/// [the cause](connie_core::verdict::AttemptFailure) tells.
pub(crate) fn describe(error: AttemptError) -> String {
    match (error.kind(), error.number()) {
        (AttemptErrorKind::Other, Some(number)) => reason(&io::Error::from_raw_os_error(number)),
        _ => error.to_string(),
    }
}

/// The operating system's words for an error, without the number that std adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// The operating system's number of an error that came of it.
pub(crate) fn number(error: AttemptError) -> Option<i32> {
    error.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a call on one socket says, it says it of that socket and its address: an operating system is
    /// never gone.
    #[test]
    fn no_error_of_one_address_ends_the_race() {
        for code in 0..=20_000 {
            let error = OsError::from(io::Error::from_raw_os_error(code)).attempt_error();
            assert_ne!(error.kind(), AttemptErrorKind::StackGone, "{code}");
            assert_eq!(error.number().unwrap_or(0), code);
        }
    }

    #[test]
    fn what_speaks_of_a_route_or_a_family_is_unreachable() {
        let errors = [
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::ACCESS,
            Errno::ADDRNOTAVAIL,
            Errno::AFNOSUPPORT,
            Errno::PFNOSUPPORT,
            Errno::PROTONOSUPPORT,
        ];
        for errno in errors {
            assert_eq!(OsError::from(errno).attempt_error(), AttemptErrorKind::Unreachable, "{errno:?}");
        }
    }
}
