//! What can go wrong with a socket.

use alloc::string::String;
use core::fmt;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};
use wasip2::io::streams::StreamError;
use wasip2::sockets::network::ErrorCode;

/// What can go wrong with a socket of a [`WasiStack`](crate::WasiStack).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketError {
    /// What the runtime says of a socket (`wasi:sockets/network.error-code`).
    Code(ErrorCode),
    /// A stream of a connection has failed, in the words of the runtime. WASI 0.2 has no stable way to ask
    /// what kind of failure it was.
    Stream(String),
    /// The sending side was closed.
    Closed,
    /// The socket is not connected.
    NotConnected,
    /// The time that the program allowed has passed:
    /// [`TcpStream::set_timeout`](crate::TcpStream::set_timeout).
    TimedOut,
    /// The program has canceled: [`WasiPoller::cancel_when`](crate::WasiPoller::cancel_when).
    Canceled,
}

impl SocketError {
    /// What this means to a race, with the number of the runtime's code in `wasi:sockets`. A code that a race
    /// has no word for is [`AttemptErrorKind::Other`], and [`describe`] has its words.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        match self {
            SocketError::Code(code) => AttemptError::new(meaning(*code)).with_number(i32::from(*code as u8)),
            // Of an established connection: that it broke.
            SocketError::Stream(_) => AttemptErrorKind::Reset.into(),
            SocketError::TimedOut => AttemptErrorKind::TimedOut.into(),
            SocketError::Closed | SocketError::NotConnected | SocketError::Canceled => {
                AttemptErrorKind::Other.into()
            }
        }
    }

    /// Of a stream.
    pub(crate) fn from_stream(error: &StreamError) -> Self {
        match error {
            StreamError::Closed => SocketError::Closed,
            StreamError::LastOperationFailed(error) => SocketError::Stream(error.to_debug_string()),
        }
    }
}

impl From<ErrorCode> for SocketError {
    fn from(code: ErrorCode) -> Self {
        SocketError::Code(code)
    }
}

impl TcpError for SocketError {
    fn kind(&self) -> TcpErrorKind {
        match self {
            SocketError::Closed => TcpErrorKind::PipeClosed,
            _ => TcpErrorKind::Other,
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketError::Code(code) => f.write_str(text(*code)),
            SocketError::Stream(text) => write!(f, "the connection broke: {text}"),
            SocketError::Closed => f.write_str("the sending side was closed"),
            SocketError::NotConnected => f.write_str("not connected"),
            SocketError::TimedOut => f.write_str("timed out"),
            SocketError::Canceled => f.write_str("canceled"),
        }
    }
}

impl core::error::Error for SocketError {}

/// What a code means to a race.
fn meaning(code: ErrorCode) -> AttemptErrorKind {
    match code {
        ErrorCode::ConnectionRefused => AttemptErrorKind::Refused,
        // `not-supported` is the answer for a family that the host does not have (EAFNOSUPPORT).
        ErrorCode::RemoteUnreachable | ErrorCode::NotSupported => AttemptErrorKind::Unreachable,
        ErrorCode::Timeout => AttemptErrorKind::TimedOut,
        ErrorCode::ConnectionReset | ErrorCode::ConnectionAborted => AttemptErrorKind::Reset,
        // A `start-connect` that ends in `address-in-use` found no ephemeral port.
        ErrorCode::NewSocketLimit | ErrorCode::OutOfMemory | ErrorCode::AddressInUse => {
            AttemptErrorKind::OutOfSockets
        }
        ErrorCode::AddressNotBindable => AttemptErrorKind::NoSourceAddress,
        _ => AttemptErrorKind::Other,
    }
}

/// `error` in words, where it came from a [`WasiStack`](crate::WasiStack): the number of an
/// [`AttemptErrorKind::Other`] is read as the code that it stands for.
///
/// ```
/// use connie_wasi::{SocketError, describe, wasip2::sockets::network::ErrorCode};
///
/// let denied = SocketError::Code(ErrorCode::AccessDenied).attempt_error();
/// assert!(describe(denied).to_string().starts_with("the runtime does not allow it"));
/// ```
pub fn describe(error: AttemptError) -> impl fmt::Display {
    RuntimeMessage(error)
}

/// Whether the runtime does not allow it.
#[cfg(feature = "dns")]
pub(crate) fn is_denial(error: AttemptError) -> bool {
    error == SocketError::Code(ErrorCode::AccessDenied).attempt_error()
}

/// An error in the words of the runtime.
pub(crate) struct RuntimeMessage(pub(crate) AttemptError);

impl fmt::Display for RuntimeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match (self.0.kind(), self.0.number()) {
            (AttemptErrorKind::Other, Some(number)) => {
                CODES.into_iter().find(|known| i32::from(*known as u8) == number)
            }
            _ => None,
        };
        match code {
            Some(code) => f.write_str(text(code)),
            None => self.0.fmt(f),
        }
    }
}

/// The codes that become [`AttemptErrorKind::Other`].
const CODES: [ErrorCode; 10] = [
    ErrorCode::AccessDenied,
    ErrorCode::InvalidArgument,
    ErrorCode::ConcurrencyConflict,
    ErrorCode::NotInProgress,
    ErrorCode::WouldBlock,
    ErrorCode::InvalidState,
    ErrorCode::DatagramTooLarge,
    ErrorCode::NameUnresolvable,
    ErrorCode::TemporaryResolverFailure,
    ErrorCode::PermanentResolverFailure,
];

/// A code in a few words, and what to do about it where that is known.
pub(crate) fn text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDenied => {
            "the runtime does not allow it: give the component the network (-S inherit-network)"
        }
        ErrorCode::NotSupported => "not supported by this host",
        ErrorCode::InvalidArgument => "not an address that one can connect to",
        ErrorCode::OutOfMemory => "out of memory",
        ErrorCode::Timeout => "timed out",
        ErrorCode::NewSocketLimit => "no socket left",
        ErrorCode::AddressNotBindable => "this machine does not have the source address that was asked for",
        ErrorCode::AddressInUse => "no port left",
        ErrorCode::RemoteUnreachable => "unreachable",
        ErrorCode::ConnectionRefused => "connection refused",
        ErrorCode::ConnectionReset => "connection reset",
        ErrorCode::ConnectionAborted => "connection aborted",
        ErrorCode::NameUnresolvable => "no such name",
        ErrorCode::TemporaryResolverFailure => "a temporary failure of name resolution",
        ErrorCode::PermanentResolverFailure => "name resolution failed",
        other => other.name(),
    }
}
