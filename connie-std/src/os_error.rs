//! What can go wrong with one socket.

use std::fmt;
use std::io;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};
use rustix::io::Errno;

use crate::errno::{Call, meaning, words};
use crate::setup_step::SetupStep;

/// An error of one of the operating system's sockets.
#[derive(Debug)]
pub struct OsError {
    error: io::Error,
    origin: Origin,
}

/// What an error came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This call.
    Call(Call),
    /// There is a source address for the other family alone.
    OtherFamily,
    /// The program's own set-up of the socket.
    Setup(SetupStep),
}

impl OsError {
    /// The error as the operating system gave it.
    #[must_use]
    pub fn as_io(&self) -> &io::Error {
        &self.error
    }

    /// An error of this call.
    pub(crate) fn of(call: Call, error: impl Into<io::Error>) -> Self {
        OsError { error: error.into(), origin: Origin::Call(call) }
    }

    /// The same error once more.
    #[cfg(feature = "tls")]
    pub(crate) fn again(&self) -> Self {
        let error = match self.error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => self.error.kind().into(),
        };
        OsError { error, origin: self.origin }
    }

    /// There is a source address for the other family alone, so that this one is left out.
    pub(crate) fn of_other_family() -> Self {
        OsError {
            error: io::Error::new(io::ErrorKind::AddrNotAvailable, LEFT_OUT),
            origin: Origin::OtherFamily,
        }
    }

    /// The socket could not be set up as the program asked.
    pub(crate) fn of_setup(step: SetupStep, error: impl Into<io::Error>) -> Self {
        OsError { error: error.into(), origin: Origin::Setup(step) }
    }

    /// For those who have no race that keeps the option's name: where the set-up failed, in words that have
    /// it.
    pub(crate) fn into_named(self) -> io::Error {
        match self.origin {
            Origin::Setup(_) if self.error.raw_os_error().is_some() => {
                io::Error::new(self.error.kind(), describe(self.attempt_error()))
            }
            Origin::Setup(_) => io::Error::new(self.error.kind(), self.to_string()),
            Origin::Call(_) | Origin::OtherFamily => self.error,
        }
    }

    /// Whether this machine lacks the source address.
    pub(crate) fn is_of_source(&self) -> bool {
        self.attempt_error() == AttemptErrorKind::NoSourceAddress
    }

    /// What it means to a race, with the operating system's number.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        AttemptError::new(self.meaning()).with_number(self.error.raw_os_error().unwrap_or(0))
    }

    fn meaning(&self) -> AttemptErrorKind {
        match self.origin {
            Origin::Setup(step) => AttemptErrorKind::Setup(step.number()),
            // Nothing about the destination: the program asked for an address of the other family.
            Origin::OtherFamily => AttemptErrorKind::NoSourceAddress,
            Origin::Call(call) => Errno::from_io_error(&self.error)
                .map_or(AttemptErrorKind::Other, |errno| meaning(call, errno)),
        }
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
            // Not a reset: that is no end of what the peer had to say, and a body that it cuts short must not
            // pass for whole.
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => TcpErrorKind::PipeClosed,
            _ => TcpErrorKind::Other,
        }
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Setup(step) => write!(f, "{}: {}", step.failed(), self.error),
            Origin::Call(_) | Origin::OtherFamily => self.error.fmt(f),
        }
    }
}

impl std::error::Error for OsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Its own words are those of `{}`.
        self.error.source()
    }
}

/// Why an address of the family that has no source address is not tried.
pub(crate) const LEFT_OUT: &str = "left out: a source address was given for the other family alone";

/// The error in the table's words or in the operating system's, where those say more, without the number,
/// which [the cause](connie_core::verdict::AttemptFailure) tells.
pub(crate) fn describe(error: AttemptError) -> String {
    match (error.kind(), error.number()) {
        // No call has failed.
        (AttemptErrorKind::NoSourceAddress, None) => return LEFT_OUT.to_owned(),
        (AttemptErrorKind::Setup(which), number) => {
            let told = SetupStep::from_number(which)
                .map_or_else(|| error.to_string(), |step| step.failed().to_owned());
            let reason = number.map(|number| reason(&io::Error::from_raw_os_error(number)));
            return reason.map_or_else(|| told.clone(), |reason| format!("{told}: {reason}"));
        }
        _ => {}
    }
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

    #[test]
    fn an_error_of_the_set_up_names_the_option_and_has_the_systems_words() {
        let mut seen = std::collections::BTreeSet::new();
        for step in SetupStep::ALL {
            let error = OsError::of_setup(step, Errno::ACCESS).attempt_error();
            assert_eq!(error.number(), Some(Errno::ACCESS.raw_os_error()));
            let words = describe(error);
            assert!(words.starts_with(step.failed()) && words.len() > step.failed().len() + 2, "{words}");
            assert!(seen.insert(step.failed()), "{words}");
        }
        let own = OsError::of_setup(SetupStep::OnSocket, io::Error::other("not today")).attempt_error();
        assert_eq!(describe(own), "on_socket refused the socket");
        let own = || OsError::of_setup(SetupStep::OnSocket, io::Error::other("not today"));
        for text in [own().to_string(), own().into_named().to_string()] {
            assert_eq!(text, "on_socket refused the socket: not today");
        }
    }
}
