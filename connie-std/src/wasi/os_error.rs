//! What can go wrong with one socket of WASI.

use std::fmt;
use std::io;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};

/// An error of one of the runtime's sockets.
#[derive(Debug)]
pub struct OsError {
    error: io::Error,
    attempt_error: AttemptError,
    kind: TcpErrorKind,
}

impl OsError {
    /// The error as std has it.
    #[must_use]
    pub fn as_io(&self) -> &io::Error {
        &self.error
    }

    /// There is a source address for the other family alone, so that this one is left out.
    pub(crate) fn of_other_family() -> Self {
        OsError {
            error: io::Error::new(io::ErrorKind::AddrNotAvailable, LEFT_OUT),
            attempt_error: AttemptErrorKind::NoSourceAddress.into(),
            kind: TcpErrorKind::Other,
        }
    }

    /// What it means to a race.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        self.attempt_error
    }
}

impl From<connie_wasi::SocketError> for OsError {
    fn from(error: connie_wasi::SocketError) -> Self {
        OsError { attempt_error: error.attempt_error(), kind: error.kind(), error: error.into() }
    }
}

impl From<OsError> for io::Error {
    fn from(error: OsError) -> Self {
        error.error
    }
}

impl TcpError for OsError {
    fn kind(&self) -> TcpErrorKind {
        self.kind
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

/// Why an address of the family that has no source address is not tried.
const LEFT_OUT: &str = "left out: a source address was given for the other family alone";

/// The error in the runtime's words where there are any.
pub(crate) fn describe(error: AttemptError) -> String {
    // No call has failed: the runtime's errors have a number.
    if (error.kind(), error.number()) == (AttemptErrorKind::NoSourceAddress, None) {
        return LEFT_OUT.to_owned();
    }
    connie_wasi::describe(error).to_string()
}

/// The number of an error is the runtime's code, and none that std knows.
pub(crate) fn number(_: AttemptError) -> Option<i32> {
    None
}
