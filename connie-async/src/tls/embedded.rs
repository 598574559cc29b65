//! TLS by embedded-tls: TLS 1.3 with `TLS_AES_128_GCM_SHA256` and P-256 (feature `embedded-tls`).
//!
//! What embedded-tls 0.19 panics at, or believes, and a server can send, is kept from it: records in the
//! clear when there are keys, records without a type, and after the handshake every message of a handshake
//! but a ticket. No other is known. A program that must go on whatever happens has a watchdog, or a panic
//! handler that restarts.

use core::cell::RefCell;
use core::fmt;

use connie_core::TlsFailure;
use embedded_io_async::{BufRead, ErrorKind, ErrorType, Read, Write};
pub use embedded_tls::CryptoRngCore;
use embedded_tls::{
    CryptoProvider, CryptoRng, MaxFragmentLength, TlsConfig, TlsConnection, TlsContext,
    TlsError as LibraryError, TlsVerifier,
};
use rand_core::RngCore;
pub use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};

use super::records::{FORBIDDEN, Progress, Records};
use super::session::{RecordPair, SessionError, Tls, TlsSession};
use super::suite::Suite;
use super::verify::ALGORITHMS;
pub use super::verify::CertificateTime;
use super::verify::{ServerVerifier, Trust};

/// embedded-tls, and whom it trusts. There is no way to have it trust everybody.
///
/// ```no_run
/// use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
/// # use rand_core::OsRng as HardwareRng;
/// # let authority = [0];
///
/// // An authority's certificate: `openssl x509 -in authority.pem -outform der`.
/// let authority = CertificateDer::from(&authority[..]);
/// let anchors = [trust_anchor(&authority)?];
/// // Such as SNTP has brought it, in seconds since 1970.
/// let now = || Some(1_800_000_000);
/// let tls = EmbeddedTls::new(HardwareRng, &anchors, CertificateTime::Clock(&now));
/// # Ok::<(), connie_async::connie_core::TlsFailure>(())
/// ```
pub struct EmbeddedTls<'a, R> {
    random: RefCell<R>,
    trust: Trust<'a>,
}

/// The authority that this is the certificate of, in DER.
///
/// # Errors
///
/// It cannot be read.
pub fn trust_anchor<'a>(certificate: &'a CertificateDer<'a>) -> Result<TrustAnchor<'a>, TlsFailure> {
    webpki::anchor_from_trusted_cert(certificate).map_err(|_| TlsFailure::CertificateInvalid)
}

impl<'a, R: CryptoRngCore> EmbeddedTls<'a, R> {
    /// Keys come from `random`, which must be a source that nobody can foresee. Certificates are good that
    /// one of `anchors` stands behind, at `time`, by signatures of ECDSA with P-256 and, with the feature
    /// `p384`, P-384.
    pub const fn new(random: R, anchors: &'a [TrustAnchor<'a>], time: CertificateTime<'a>) -> Self {
        EmbeddedTls { random: RefCell::new(random), trust: Trust { anchors, algorithms: ALGORITHMS, time } }
    }

    /// The same with other algorithms for signatures, such as one of hardware.
    #[must_use]
    pub const fn with_algorithms(mut self, algorithms: &'a [&'a dyn SignatureVerificationAlgorithm]) -> Self {
        self.trust.algorithms = algorithms;
        self
    }
}

impl<R> fmt::Debug for EmbeddedTls<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedTls").field("time", &self.trust.time).finish_non_exhaustive()
    }
}

impl<R: CryptoRngCore> Tls for EmbeddedTls<'_, R> {
    type Session<'b, S: Read + Write + 'b>
        = EmbeddedSession<'b, S>
    where
        Self: 'b;

    async fn handshake<'b, S: Read + Write + 'b>(
        &self,
        server: &str,
        socket: S,
        records: RecordPair<'b>,
    ) -> Result<EmbeddedSession<'b, S>, SessionError>
    where
        Self: 'b,
    {
        let mut config = TlsConfig::new();
        // RFC 6066 section 3: "Literal IPv4 and IPv6 addresses are not permitted".
        if server.parse::<core::net::IpAddr>().is_err() {
            config = config.with_server_name(server);
        }
        if let Some(length) = fragment_length(records.read.len()) {
            config = config.with_max_fragment_length(length);
        }
        let (progress, write) = Progress::new(records.write).ok_or(TlsFailure::Local)?;
        let mut session = TlsConnection::new(Records::new(socket, progress), records.read, write);
        let verifier = ServerVerifier::new(self.trust, server);
        let mut provider = Provider { random: &self.random, verifier };
        let opened = session.open(TlsContext::new(&config, &mut provider)).await;
        match (opened, provider.verifier.failure()) {
            (_, Some(failure)) => Err(failure.into()),
            (Err(error), None) => Err(handshake_error(&error)),
            // embedded-tls takes a handshake without certificate or signature.
            (Ok(()), None) if !provider.verifier.is_done() => Err(TlsFailure::Protocol.into()),
            (Ok(()), None) => {
                progress.end_handshake();
                Ok(EmbeddedSession { session: Some(session), progress, ended: false })
            }
        }
    }
}

/// The longest fragment for which a buffer of so many octets has room (RFC 6066 section 4), with the 256
/// octets that encryption may add (RFC 8446 section 5.2). `None` is the longest there is.
fn fragment_length(buffer: usize) -> Option<MaxFragmentLength> {
    match buffer.saturating_sub(256) {
        16384.. => None,
        4096.. => Some(MaxFragmentLength::Bits12),
        2048.. => Some(MaxFragmentLength::Bits11),
        1024.. => Some(MaxFragmentLength::Bits10),
        _ => Some(MaxFragmentLength::Bits9),
    }
}

struct Provider<'p, 'a, R> {
    random: &'p RefCell<R>,
    verifier: ServerVerifier<'a>,
}

impl<R: CryptoRngCore> CryptoProvider for Provider<'_, '_, R> {
    type CipherSuite = Suite;
    type Signature = p256::ecdsa::DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        Random(self.random)
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, LibraryError> {
        Ok(&mut self.verifier)
    }
}

/// The one source of randomness of all sessions.
struct Random<'r, R>(&'r RefCell<R>);

impl<R: RngCore> RngCore for Random<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.borrow_mut().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.borrow_mut().next_u64()
    }

    fn fill_bytes(&mut self, octets: &mut [u8]) {
        self.0.borrow_mut().fill_bytes(octets);
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.borrow_mut().try_fill_bytes(octets)
    }
}

impl<R: CryptoRng> CryptoRng for Random<'_, R> {}

/// A session of embedded-tls.
///
/// A read that is dropped, or fails, in the middle of a record, and a write that is dropped or fails before
/// the connection below has taken all of its record, end the session: whatever is asked of it then is
/// [`SessionError::Unfinished`]. After such a write, closing sends no `close_notify`.
pub struct EmbeddedSession<'b, S: Read + Write + 'b> {
    /// None when it has been closed.
    session: Option<TlsConnection<'b, Records<'b, S>, Suite>>,
    progress: Progress<'b>,
    /// Whether the server has said that nothing more comes.
    ended: bool,
}

impl<'b, S: Read + Write + 'b> EmbeddedSession<'b, S> {
    /// What can be asked for more.
    fn whole(&mut self) -> Result<&mut TlsConnection<'b, Records<'b, S>, Suite>, SessionError> {
        let session = self.session.as_mut().ok_or(CLOSED)?;
        if self.progress.is_midway() { Err(SessionError::Unfinished) } else { Ok(session) }
    }
}

impl<S: Read + Write> fmt::Debug for EmbeddedSession<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSession").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<S: Read + Write> ErrorType for EmbeddedSession<'_, S> {
    type Error = SessionError;
}

const CLOSED: SessionError = SessionError::Io(ErrorKind::NotConnected);

impl<S: Read + Write> Read for EmbeddedSession<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SessionError> {
        if self.ended {
            return Ok(0);
        }
        match self.whole()?.read(buffer).await {
            Err(LibraryError::ConnectionClosed) => {
                self.ended = true;
                Ok(0)
            }
            result => result.map_err(|error| session_error(&error)),
        }
    }
}

impl<S: Read + Write> Write for EmbeddedSession<'_, S> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, SessionError> {
        // RFC 8446 section 6.1: what the server has closed is its own side alone, but embedded-tls writes no
        // more.
        let written = self.whole()?.write(buffer).await;
        written.map_err(|error| session_error(&error))
    }

    async fn flush(&mut self) -> Result<(), SessionError> {
        let flushed = self.whole()?.flush().await;
        flushed.map_err(|error| session_error(&error))
    }
}

impl<S: Read + Write> TlsSession<S> for EmbeddedSession<'_, S> {
    async fn readable(&mut self) -> Result<(), SessionError> {
        if self.ended {
            return Ok(());
        }
        match self.whole()?.fill_buf().await {
            Ok(_) => Ok(()),
            Err(LibraryError::ConnectionClosed) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => Err(session_error(&error)),
        }
    }

    async fn close(&mut self) -> Result<Option<S>, SessionError> {
        match self.session.take() {
            None => Ok(None),
            Some(session) => {
                let is_midway = self.progress.is_midway_in_writing();
                match session.close().await {
                    Ok(records) => Ok(Some(records.socket)),
                    // It has encrypted a `close_notify`, which `Records` has not let out.
                    Err((records, _)) if is_midway => Ok(Some(records.socket)),
                    Err((_, error)) => Err(session_error(&error)),
                }
            }
        }
    }

    async fn abort(&mut self) -> Option<S> {
        let session = self.session.take()?;
        self.progress.end_writing();
        // It awaits nothing: `Records` takes no octet.
        Some(match session.close().await {
            Ok(records) | Err((records, _)) => records.socket,
        })
    }
}

fn handshake_error(error: &LibraryError) -> SessionError {
    SessionError::Tls(match error {
        LibraryError::HandshakeAborted(_, alert) | LibraryError::AbortHandshake(_, alert) => {
            TlsFailure::Alert(*alert as u8)
        }
        LibraryError::IoError | LibraryError::ConnectionClosed => TlsFailure::ClosedEarly,
        // The first octet of a record says what it is.
        LibraryError::InvalidRecord | LibraryError::UnknownContentType => TlsFailure::NotTls,
        LibraryError::InvalidCipherSuite | LibraryError::InvalidSupportedVersions => TlsFailure::Incompatible,
        LibraryError::InvalidSignature | LibraryError::InvalidCertificate => TlsFailure::CertificateInvalid,
        _ => return session_error(error),
    })
}

/// What has happened to a session.
fn session_error(error: &LibraryError) -> SessionError {
    match error {
        LibraryError::InsufficientSpace => SessionError::RecordTooLong,
        // What `Records` refuses.
        LibraryError::Io(FORBIDDEN) => TlsFailure::Protocol.into(),
        LibraryError::Io(kind) => SessionError::Io(*kind),
        LibraryError::IoError => TlsFailure::Truncated.into(),
        LibraryError::MissingHandshake => CLOSED,
        LibraryError::OutOfMemory | LibraryError::EncodeError | LibraryError::Unimplemented => {
            TlsFailure::Local.into()
        }
        _ => TlsFailure::Protocol.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_decides_which_fragments_are_asked_for() {
        for (buffer, wanted) in [
            (768, Some(MaxFragmentLength::Bits9)),
            (1279, Some(MaxFragmentLength::Bits9)),
            (1280, Some(MaxFragmentLength::Bits10)),
            (2303, Some(MaxFragmentLength::Bits10)),
            (2304, Some(MaxFragmentLength::Bits11)),
            (4351, Some(MaxFragmentLength::Bits11)),
            (4352, Some(MaxFragmentLength::Bits12)),
            (16639, Some(MaxFragmentLength::Bits12)),
            (16640, None),
        ] {
            assert_eq!(fragment_length(buffer), wanted, "{buffer}");
        }
    }
}
