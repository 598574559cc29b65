//! What a TLS library is to a race, and what can go wrong with it.

use core::fmt;

use connie_core::{AttemptError, AttemptErrorKind, TlsFailure};
use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use crate::error::attempt_error;

/// A TLS library: makes a session of a TCP connection. `EmbeddedTls` (feature `embedded-tls`) is one.
pub trait Tls {
    /// A session over the connection `S`, with record buffers that it has for `'b`.
    type Session<'b, S: Read + Write + 'b>: TlsSession<S>
    where
        Self: 'b;

    /// Does the handshake over `socket`. The server is the one of this name, or of this literal address
    /// (without brackets and zone), as it was looked up: the session says so to the server (RFC 6066 section
    /// 3, for names alone), and goes on only with a certificate for it. Dropping the future ends all.
    async fn handshake<'b, S: Read + Write + 'b>(
        &self,
        server: &str,
        socket: S,
        records: RecordPair<'b>,
    ) -> Result<Self::Session<'b, S>, SessionError>
    where
        Self: 'b;
}

impl<L: Tls + ?Sized> Tls for &L {
    type Session<'b, S: Read + Write + 'b>
        = L::Session<'b, S>
    where
        Self: 'b;

    async fn handshake<'b, S: Read + Write + 'b>(
        &self,
        server: &str,
        socket: S,
        records: RecordPair<'b>,
    ) -> Result<Self::Session<'b, S>, SessionError>
    where
        Self: 'b,
    {
        L::handshake(self, server, socket, records).await
    }
}

/// The buffers of one session.
#[derive(Debug)]
pub struct RecordPair<'b> {
    /// For what comes from the server.
    pub read: &'b mut [u8],
    /// For what goes to it.
    pub write: &'b mut [u8],
}

/// A session whose handshake is complete.
pub trait TlsSession<S>: Read + Write + ErrorType<Error = SessionError> {
    /// Ends when there is something to read, or the server has ended.
    async fn readable(&mut self) -> Result<(), SessionError>;

    /// Says that nothing more comes (RFC 8446 section 6.1), and gives the connection back, unless it has been
    /// given back before. After a write that was given up midway it gives the connection back and says
    /// nothing: what it would send could use a nonce again.
    async fn close(&mut self) -> Result<Option<S>, SessionError>;

    /// Gives the connection back at once, and says nothing to the server.
    async fn abort(&mut self) -> Option<S>;
}

/// What a session says went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// TLS itself.
    Tls(TlsFailure),
    /// The connection below it.
    Io(ErrorKind),
    /// The server sent a record that is longer than the buffer: it does not honour `max_fragment_length`.
    RecordTooLong,
    /// A read or a write before has ended in the middle of a record, since its future was dropped or the
    /// connection failed: nothing more can be read or written.
    Unfinished,
}

impl From<TlsFailure> for SessionError {
    fn from(failure: TlsFailure) -> Self {
        SessionError::Tls(failure)
    }
}

impl Error for SessionError {
    fn kind(&self) -> ErrorKind {
        match self {
            SessionError::Tls(failure) if failure.is_certificate() => ErrorKind::PermissionDenied,
            SessionError::Tls(_) => ErrorKind::InvalidData,
            SessionError::Io(kind) => *kind,
            SessionError::RecordTooLong => ErrorKind::OutOfMemory,
            SessionError::Unfinished => ErrorKind::BrokenPipe,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Tls(failure) => failure.fmt(f),
            SessionError::Io(kind) => write!(f, "the connection under TLS failed: {kind}"),
            SessionError::RecordTooLong => {
                f.write_str("a TLS record of the server is longer than the buffer for it")
            }
            SessionError::Unfinished => {
                f.write_str("a read or write of TLS was given up midway, and nothing can follow it")
            }
        }
    }
}

impl core::error::Error for SessionError {}

/// Why an attempt to connect by TLS failed, or what happened to a session. `E` is the stack's own error.
///
/// A client that hears the [kind](Error::kind) alone can tell a bad certificate
/// ([`PermissionDenied`](ErrorKind::PermissionDenied)), another failure of TLS
/// ([`InvalidData`](ErrorKind::InvalidData)) and silence ([`TimedOut`](ErrorKind::TimedOut)) apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlsError<E> {
    /// TCP did not connect.
    Stack(E),
    /// TLS failed, or the connection under it.
    Session(SessionError),
    /// TCP connected, and TLS was not complete within the time for a handshake.
    TimedOut,
    /// All record buffers are held by connections that the program keeps.
    OutOfBuffers,
    /// The address stands for several names: it is not known which of them the certificate must have.
    SeveralNames,
    /// The other half of the connection is at work: a TLS session reads or writes.
    Busy,
}

impl<E> From<SessionError> for TlsError<E> {
    fn from(error: SessionError) -> Self {
        TlsError::Session(error)
    }
}

impl<E: Error> TlsError<E> {
    /// What it means to the race.
    pub(super) fn meaning(&self, at_once: bool) -> AttemptError {
        AttemptError::new(match self {
            TlsError::Stack(error) => return attempt_error(error.kind(), at_once),
            TlsError::Session(SessionError::Io(kind)) => return attempt_error(*kind, false),
            TlsError::Session(SessionError::Tls(failure)) => AttemptErrorKind::Tls(*failure),
            TlsError::Session(SessionError::RecordTooLong) => AttemptErrorKind::Tls(TlsFailure::Local),
            TlsError::Session(SessionError::Unfinished) => AttemptErrorKind::Other,
            TlsError::TimedOut => AttemptErrorKind::TimedOut,
            TlsError::OutOfBuffers => AttemptErrorKind::OutOfSockets,
            TlsError::SeveralNames | TlsError::Busy => AttemptErrorKind::Other,
        })
    }
}

impl<E: Error> Error for TlsError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            TlsError::Stack(error) => error.kind(),
            TlsError::Session(error) => error.kind(),
            TlsError::TimedOut => ErrorKind::TimedOut,
            TlsError::OutOfBuffers => ErrorKind::OutOfMemory,
            TlsError::SeveralNames => ErrorKind::InvalidInput,
            TlsError::Busy => ErrorKind::Unsupported,
        }
    }
}

impl<E: fmt::Display> fmt::Display for TlsError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsError::Stack(error) => return error.fmt(f),
            TlsError::Session(error) => return error.fmt(f),
            TlsError::TimedOut => "connected by TCP, but no TLS handshake in time",
            TlsError::OutOfBuffers => "all TLS record buffers are held by connections that are kept",
            TlsError::SeveralNames => "the address stands for several names, and a certificate is for one",
            TlsError::Busy => "the other half of this TLS connection is at work",
        })
    }
}

impl<E: core::error::Error> core::error::Error for TlsError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // Its own words are in the line.
            TlsError::Stack(error) => error.source(),
            _ => None,
        }
    }
}
