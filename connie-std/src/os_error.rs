//! What can go wrong with one socket.

use std::fmt;
use std::io;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};
use rustix::io::Errno;

use crate::errno::{Call, meaning, words};

/// An error of one of the operating system's sockets.
#[derive(Debug)]
pub struct OsError {
    error: io::Error,
    call: Call,
}

impl OsError {
    /// The error as the operating system gave it.
    #[must_use]
    pub fn as_io(&self) -> &io::Error {
        &self.error
    }

    /// An error of this call.
    pub(crate) fn of(call: Call, error: impl Into<io::Error>) -> Self {
        OsError { error: error.into(), call }
    }

    /// The same error once more.
    #[cfg(feature = "tls")]
    pub(crate) fn again(&self) -> Self {
        let error = match self.error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => self.error.kind().into(),
        };
        OsError { error, call: self.call }
    }

    /// What it means to a race, with the operating system's number.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        AttemptError::new(self.meaning()).with_number(self.error.raw_os_error().unwrap_or(0))
    }

    fn meaning(&self) -> AttemptErrorKind {
        Errno::from_io_error(&self.error).map_or(AttemptErrorKind::Other, |errno| meaning(self.call, errno))
    }
}

impl From<io::Error> for OsError {
    /// An error of `connect`, of `SO_ERROR`, or of a connection that is being used.
    fn from(error: io::Error) -> Self {
        OsError::of(Call::Connect, error)
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

/// The error in the table's words or in the operating system's, where those say more, without the number, which
/// [the cause](connie_core::verdict::AttemptFailure) tells.
pub(crate) fn describe(error: AttemptError) -> String {
    let Some(number) = error.number() else { return error.to_string() };
    match words(error.kind(), Errno::from_raw_os_error(number)) {
        Some(words) => words.to_owned(),
        None if error == AttemptErrorKind::Other => reason(&io::Error::from_raw_os_error(number)),
        None => error.to_string(),
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
}
