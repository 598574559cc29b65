//! TLS by embedded-tls: TLS 1.3 with `TLS_AES_128_GCM_SHA256` and P-256 (feature `embedded-tls`).

use core::cell::RefCell;
use core::fmt;

use connie_core::TlsFailure;
use embedded_io_async::{BufRead, Error, ErrorKind, ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, CryptoProvider, CryptoRng, CryptoRngCore, MaxFragmentLength, TlsConfig, TlsConnection,
    TlsContext, TlsError as LibraryError, TlsVerifier,
};
use rand_core::RngCore;
pub use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};

use super::session::{RecordPair, SessionError, Tls, TlsSession};
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
        let mut session = TlsConnection::new(Records::new(socket), records.read, records.write);
        let verifier = ServerVerifier::new(self.trust, server);
        let mut provider = Provider { random: &self.random, verifier };
        let opened = session.open(TlsContext::new(&config, &mut provider)).await;
        match (opened, provider.verifier.failure()) {
            (_, Some(failure)) => Err(failure.into()),
            (Err(error), None) => Err(handshake_error(&error)),
            // embedded-tls takes a handshake without certificate or signature.
            (Ok(()), None) if !provider.verifier.is_done() => Err(TlsFailure::Protocol.into()),
            (Ok(()), None) => Ok(EmbeddedSession { session: Some(session), ended: false }),
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
    type CipherSuite = Aes128GcmSha256;
    type Signature = p256::ecdsa::DerSignature;

    fn rng(&mut self) -> impl CryptoRngCore {
        Random(self.random)
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, LibraryError> {
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
pub struct EmbeddedSession<'b, S: Read + Write + 'b> {
    /// None when it has been closed.
    session: Option<TlsConnection<'b, Records<S>, Aes128GcmSha256>>,
    /// Whether the server has said that nothing more comes.
    ended: bool,
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
        match self.session.as_mut().ok_or(CLOSED)?.read(buffer).await {
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
        let written = self.session.as_mut().ok_or(CLOSED)?.write(buffer).await;
        written.map_err(|error| session_error(&error))
    }

    async fn flush(&mut self) -> Result<(), SessionError> {
        let flushed = self.session.as_mut().ok_or(CLOSED)?.flush().await;
        flushed.map_err(|error| session_error(&error))
    }
}

impl<S: Read + Write> TlsSession<S> for EmbeddedSession<'_, S> {
    async fn readable(&mut self) -> Result<(), SessionError> {
        if self.ended {
            return Ok(());
        }
        match self.session.as_mut().ok_or(CLOSED)?.fill_buf().await {
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
            Some(session) => match session.close().await {
                Ok(records) => Ok(Some(records.socket)),
                Err((_, error)) => Err(session_error(&error)),
            },
        }
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

/// The connection below, less what a server must not send and embedded-tls 0.19 panics at, or believes:
/// records in the clear when keys are there (RFC 8446 section 5: a forged `close_notify` would cut off what
/// comes; a handshake message is "not implemented" after the handshake), and encrypted ones that are too
/// short to have a type in them (section 5.2).
struct Records<S> {
    socket: S,
    header: [u8; 5],
    /// How much of the header has come.
    come: usize,
    /// How much of the record is to come.
    rest: usize,
    /// Whether there are keys: the `ServerHello` has come.
    keys: bool,
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A type, and the 16 octets by which AES-GCM makes a record longer.
const LEAST: usize = 1 + 16;

impl<S> Records<S> {
    const fn new(socket: S) -> Self {
        Records { socket, header: [0; 5], come: 0, rest: 0, keys: false }
    }

    /// Whether the record of this header may come.
    fn begin(&mut self) -> bool {
        let [kind, _, _, high, low] = self.header;
        self.come = 0;
        self.rest = usize::from(u16::from_be_bytes([high, low]));
        let allowed = match kind {
            APPLICATION_DATA => self.rest >= LEAST,
            CHANGE_CIPHER_SPEC => true,
            _ => !self.keys,
        };
        self.keys |= kind == HANDSHAKE;
        allowed
    }
}

/// What a record that must not come is told as. Nothing of the connection below is.
const FORBIDDEN: ErrorKind = ErrorKind::InvalidData;

/// What the connection below says.
fn socket_error(error: &impl Error) -> ErrorKind {
    match error.kind() {
        FORBIDDEN => ErrorKind::Other,
        kind => kind,
    }
}

impl<S> ErrorType for Records<S> {
    type Error = ErrorKind;
}

impl<S: Read> Read for Records<S> {
    /// Never over the end of a header or a record.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let in_header = self.rest == 0;
        let most = if in_header { self.header.len() - self.come } else { self.rest };
        let most = most.min(buffer.len());
        let Some(room) = buffer.get_mut(..most) else { return Ok(0) };
        let read = self.socket.read(room).await.map_err(|error| socket_error(&error))?;
        let octets = room.get(..read).unwrap_or(room);
        if !in_header {
            self.rest = self.rest.saturating_sub(octets.len());
            return Ok(octets.len());
        }
        for octet in octets {
            if let Some(place) = self.header.get_mut(self.come) {
                *place = *octet;
                self.come = self.come.saturating_add(1);
            }
        }
        if self.come == self.header.len() && !self.begin() {
            return Err(FORBIDDEN);
        }
        Ok(octets.len())
    }
}

impl<S: Write> Write for Records<S> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        self.socket.write(buffer).await.map_err(|error| socket_error(&error))
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.socket.flush().await.map_err(|error| socket_error(&error))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use embassy_futures::block_on;

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

    /// What a library that reads header and content by turns gets of `octets`, and whether all of it.
    fn passes(mut octets: &[u8]) -> bool {
        let mut records = Records::new(&mut octets);
        let whole: Result<(), _> = block_on(async {
            loop {
                let mut header = [0; 5];
                match embedded_io_async::Read::read_exact(&mut records, &mut header).await {
                    Ok(()) => {}
                    Err(embedded_io_async::ReadExactError::UnexpectedEof) => return Ok(()),
                    Err(embedded_io_async::ReadExactError::Other(error)) => return Err(error.kind()),
                }
                let mut content = std::vec![0; usize::from(header[3]) << 8 | usize::from(header[4])];
                embedded_io_async::Read::read_exact(&mut records, &mut content)
                    .await
                    .expect("as long as it says");
            }
        });
        assert!(matches!(whole, Ok(()) | Err(ErrorKind::InvalidData)));
        whole.is_ok()
    }

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut record = std::vec![kind, 3, 3, high, low];
        record.resize(record.len() + usize::from(length), 0);
        record
    }

    #[test]
    fn no_record_comes_in_the_clear_once_there_are_keys_and_none_without_a_type() {
        let (alert, handshake) = (21, HANDSHAKE);
        let hello = record(handshake, 90);
        for (records, wanted) in [
            (record(alert, 2), true),
            (hello.clone(), true),
            ([hello.clone(), record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 17)].concat(), true),
            ([hello.clone(), record(APPLICATION_DATA, 16)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 0)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 400), record(alert, 2)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 400), record(handshake, 40)].concat(), false),
            ([hello, record(0, 1)].concat(), false),
        ] {
            assert_eq!(passes(&records), wanted, "{records:?}");
        }
    }
}
