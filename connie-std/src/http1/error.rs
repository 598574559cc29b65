//! Why an exchange failed: the connection could not be made, or what passed on it was wrong.

use std::fmt;
use std::io;

use connie_core::{AttemptErrorKind, Failure, TlsFailure};
use connie_http::HttpError;
use connie_http::parts::Socks5Error;

use super::response_race::NoResponse;
use crate::error::ConnectError;

/// Why a request could not be made or a response could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no connection: the name could not be resolved, the race failed, or TLS did.
    Connect(Box<ConnectError>),
    /// The proxy has opened no tunnel: it refused, did not answer in time, or answered as no proxy does.
    Tunnel(HttpError),
    /// The SOCKS5 proxy has not connected to the host.
    Socks5(Socks5Error),
    /// All that can go wrong with an exchange.
    Http(HttpError),
    /// Two addresses were tried for the request, and neither has answered: see
    /// [`ResponseFinish`](super::ResponseFinish).
    NoResponse(Box<NoResponse>),
    /// The body of the request could not be read.
    Body(io::Error),
    /// TLS is not usable on this machine.
    #[cfg(feature = "tls")]
    Tls(crate::TlsSetupError),
}

impl ClientError {
    /// The error of HTTP, spoken with the server or with the proxy.
    #[must_use]
    pub fn as_http(&self) -> Option<&HttpError> {
        match self {
            ClientError::Http(error) | ClientError::Tunnel(error) => Some(error),
            ClientError::NoResponse(both) => Some(both.error()),
            _ => None,
        }
    }
}

impl ClientError {
    /// Whether the program canceled: while there was no connection yet, or within the exchange.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        match self {
            ClientError::Connect(error) => error.is_canceled(),
            ClientError::Http(error) | ClientError::Tunnel(error) => {
                matches!(error, HttpError::Canceled | HttpError::Connect(Failure::Canceled))
            }
            ClientError::Socks5(_) | ClientError::NoResponse(_) | ClientError::Body(_) => false,
            #[cfg(feature = "tls")]
            ClientError::Tls(_) => false,
        }
    }
}

impl From<HttpError> for ClientError {
    fn from(error: HttpError) -> Self {
        ClientError::Http(error)
    }
}

#[cfg(feature = "tls")]
impl From<crate::TlsSetupError> for ClientError {
    fn from(error: crate::TlsSetupError) -> Self {
        ClientError::Tls(error)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Connect(error) => error.fmt(f),
            ClientError::Socks5(error) => error.fmt(f),
            ClientError::Http(error) => error.fmt(f),
            ClientError::NoResponse(both) => both.fmt(f),
            ClientError::Tunnel(error) => write!(f, "could not open a tunnel through the proxy: {error}"),
            ClientError::Body(error) => write!(f, "could not read the body of the request: {error}"),
            #[cfg(feature = "tls")]
            ClientError::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClientError::Connect(error) => error.source(),
            ClientError::Http(error) | ClientError::Tunnel(error) => error.source(),
            ClientError::Socks5(error) => error.source(),
            ClientError::NoResponse(_) => None,
            ClientError::Body(error) => error.source(),
            #[cfg(feature = "tls")]
            ClientError::Tls(error) => error.source(),
        }
    }
}

impl From<ClientError> for io::Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Connect(error) => (*error).into(),
            ClientError::Socks5(error) => io::Error::other(error),
            ClientError::Http(error) => io::Error::new(kind(&error), error),
            ClientError::Tunnel(ref inner) => io::Error::new(kind(inner), error),
            ClientError::NoResponse(both) => io::Error::new(kind(both.error()), both),
            ClientError::Body(error) => error,
            #[cfg(feature = "tls")]
            ClientError::Tls(error) => error.into(),
        }
    }
}

/// `error` as a reader tells it.
pub(super) fn kind(error: &HttpError) -> io::ErrorKind {
    match error {
        _ if error.is_usage() => io::ErrorKind::InvalidInput,
        HttpError::TimedOut | HttpError::Connect(Failure::DeadlineExceeded) => io::ErrorKind::TimedOut,
        // Not `Interrupted`, which readers take for a reason to try again.
        HttpError::Canceled | HttpError::Connect(Failure::Canceled) => io::ErrorKind::ConnectionAborted,
        HttpError::EmptyReply | HttpError::IncompleteHead | HttpError::IncompleteRead { .. } => {
            io::ErrorKind::UnexpectedEof
        }
        HttpError::Receive(error) if *error == AttemptErrorKind::Tls(TlsFailure::Truncated) => {
            io::ErrorKind::UnexpectedEof
        }
        HttpError::Receive(error) if *error == AttemptErrorKind::Reset => io::ErrorKind::ConnectionReset,
        HttpError::Stale => io::ErrorKind::ConnectionReset,
        HttpError::Send(_) => io::ErrorKind::BrokenPipe,
        HttpError::Receive(_) | HttpError::Connect(_) | HttpError::TunnelRefused { .. } => {
            io::ErrorKind::Other
        }
        _ => io::ErrorKind::InvalidData,
    }
}
