//! TLS servers in the test's own process, and certificates of every kind, made on the spot.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::black_hole::listener;
use crate::temporary_path;

/// How long a server waits for a client that says nothing. Tests end long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority that signs certificates.
pub struct Authority {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    subject: DistinguishedName,
    key: Vec<u8>,
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The key in PEM.
    pub key_pem: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = parameters(&[]);
        parameters.distinguished_name.push(DnType::CommonName, unique("authority"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { certificate: parameters.self_signed(&key).expect("a certificate"), key }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The same in DER.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// The same in a file, which is removed with the result.
    #[must_use]
    pub fn file(&self) -> PemFile {
        PemFile::new(&self.pem())
    }

    /// A certificate for these names and addresses, valid for ages.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Identity {
        self.sign(names, |_| {})
    }

    /// One that was valid until the end of 2001.
    #[must_use]
    pub fn certify_until_2001(&self, names: &[&str]) -> Identity {
        self.sign(names, |parameters| parameters.not_after = date_time_ymd(2001, 12, 31))
    }

    /// One that is valid from 3001 on.
    #[must_use]
    pub fn certify_from_3001(&self, names: &[&str]) -> Identity {
        self.sign(names, |parameters| parameters.not_before = date_time_ymd(3001, 1, 1))
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = parameters(names);
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.certificate, &self.key).expect("a certificate");
        Identity::new(&certificate, &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// A certificate that is its own authority, as `openssl req -x509` makes one.
    #[must_use]
    pub fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = parameters(names);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::new(&parameters.self_signed(&key).expect("a certificate"), &key)
    }

    /// One that says that it is of X.509 version 1, which webpki does not read.
    #[must_use]
    pub fn of_version_1() -> Self {
        let identity = Self::self_signed(&[]);
        let mut certificate = identity.certificate.to_vec();
        // RFC 5280 section 4.1: `version [0] EXPLICIT Version`, where v3 is 2 and v1 is 0.
        let version = certificate.windows(5).position(|bytes| bytes == [0xa0, 3, 2, 1, 2]);
        certificate[version.expect("a version") + 4] = 0;
        Self { certificate: certificate.into(), ..identity }
    }

    /// What the holder of this certificate's key can sign, whether or not anybody has made it an authority.
    #[must_use]
    pub fn misused_as_authority(&self, names: &[&str]) -> Self {
        let issuer_key = KeyPair::from_pem(&self.key_pem).expect("a key");
        // For its name and key alone; what it signs holds no more of it.
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = self.subject.clone();
        let issuer = issuer.self_signed(&issuer_key).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters(names).signed_by(&key, &issuer, &issuer_key).expect("a certificate");
        Self::new(&certificate, &key)
    }

    /// How a server is configured that shows this certificate and speaks these versions.
    #[must_use]
    pub fn server_config(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
        // `with_single_cert` reads the certificate, and webpki does not read each.
        let shown = rustls::sign::CertifiedKey::new(vec![self.certificate.clone()], key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions that the provider has")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.der().clone(),
            subject: certificate.params().distinguished_name.clone(),
            key: key.serialize_der(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names");
    // What it would have by default is the same for all, and an authority is found by its name.
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, unique("server"));
    parameters
}

fn unique(what: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{what} {}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A file in PEM, removed when this is dropped.
pub struct PemFile(PathBuf);

impl PemFile {
    /// Writes it.
    ///
    /// # Panics
    /// When the temporary directory cannot be written to.
    #[must_use]
    pub fn new(pem: &str) -> Self {
        let path = temporary_path("pem");
        std::fs::write(&path, pem).expect("a file in the temporary directory");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for PemFile {
    fn drop(&mut self) {
        // Left behind where it cannot be removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// One connection of a [`TlsServer`], as its behaviour sees it.
pub struct Served {
    tls: ServerConnection,
    tcp: TcpStream,
}

impl Served {
    /// Receives some bytes; 0 after the client's `close_notify`.
    ///
    /// # Errors
    /// What TLS or the socket has against it.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.tcp).read(into)
    }

    /// Receives as many bytes as fit.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
        rustls::Stream::new(&mut self.tls, &mut self.tcp).read_exact(into)
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.tcp);
        stream.write_all(data)?;
        stream.flush()
    }

    /// Receives a request's head, and says what it is. Empty where the client closes instead.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_head(&mut self) -> io::Result<String> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && self.read(&mut byte)? > 0 {
            head.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Says `close_notify` and closes this side.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn close(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        self.tcp.shutdown(Shutdown::Write)
    }

    /// The TCP connection under it.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Sends bytes that are no TLS: the client answers with an alert, and what it has of the connection ends.
    ///
    /// # Errors
    /// What the socket has against it.
    pub fn write_plain(&mut self, data: &[u8]) -> io::Result<()> {
        self.tcp.write_all(data)
    }

    /// Closes this side without a word.
    ///
    /// # Errors
    /// What the socket has against it.
    pub fn cut(&mut self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }

    /// The name that the client asked for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.tls.server_name()
    }
}

/// A server on loopback that does what it is told with every connection, each on a thread of its own.
pub struct TlsServer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    shaken: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Shows this certificate, speaks TLS 1.2 and 1.3, and does this once the handshake is over.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn start(
        identity: &Identity,
        behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), identity, behave)
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn start_at(
        address: SocketAddr,
        identity: &Identity,
        behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with_versions(address, identity, rustls::ALL_VERSIONS, behave)
    }

    /// The same, for clients that show a certificate of `authority`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn start_for_clients(
        identity: &Identity,
        authority: &Authority,
        behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions that the provider has")
            .with_client_cert_verifier(verifier.build().expect("an authority"))
            .with_single_cert(vec![identity.certificate.clone()], key)
            .expect("a certificate and its key");
        Self::with_config((Ipv4Addr::LOCALHOST, 0).into(), config, behave)
    }

    /// Sends back what it receives until the client closes.
    #[must_use]
    #[track_caller]
    pub fn echo(identity: &Identity) -> Self {
        Self::start(identity, echo)
    }

    /// The same in TLS 1.2 alone.
    #[must_use]
    #[track_caller]
    pub fn echo_in_tls_1_2(identity: &Identity) -> Self {
        Self::with_versions((Ipv4Addr::LOCALHOST, 0).into(), identity, &[&rustls::version::TLS12], echo)
    }

    #[track_caller]
    fn with_versions(
        address: SocketAddr,
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::with_config(address, identity.server_config(versions), behave)
    }

    #[track_caller]
    fn with_config(
        address: SocketAddr,
        config: ServerConfig,
        behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(config);
        let shaken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&shaken);
        let mut server = Self::raw_at(address, move |mut tcp| {
            let mut tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            while tls.is_handshaking() {
                if tls.complete_io(&mut tcp)? == (0, 0) {
                    return Ok(());
                }
            }
            count.fetch_add(1, Ordering::SeqCst);
            behave(&mut Served { tls, tcp })
        });
        server.shaken = shaken;
        server
    }

    /// Accepts TCP connections and hands them over: for what is no TLS.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn raw(behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::raw_at((Ipv4Addr::LOCALHOST, 0).into(), behave)
    }

    /// The same at this address.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    #[track_caller]
    pub fn raw_at(
        address: SocketAddr,
        behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = listener(address);
        let address = listener.local_addr().expect("an address");
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&accepted), Arc::clone(&stop));
        let thread = std::thread::spawn(move || accept(&listener, &stopped, &count, &Arc::new(behave)));
        Self { address, accepted, shaken: Arc::default(), stop, thread: Some(thread) }
    }

    /// Accepts, reads, and never says a word.
    #[must_use]
    #[track_caller]
    pub fn silent() -> Self {
        Self::raw(|mut tcp| io::copy(&mut tcp, &mut io::sink()).map(|_| ()))
    }

    /// Answers whatever it is asked in plain HTTP, as a server that expects no TLS on this port.
    #[must_use]
    #[track_caller]
    pub fn plain_http() -> Self {
        Self::raw(|mut tcp| {
            let _ = tcp.read(&mut [0; 1024])?;
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        })
    }

    /// Closes as soon as it has heard something.
    #[must_use]
    #[track_caller]
    pub fn closing() -> Self {
        Self::raw(|mut tcp| tcp.read(&mut [0; 1024]).map(|_| ()))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many TCP connections it has had.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many TLS handshakes it has completed.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.shaken.load(Ordering::SeqCst)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // Nothing in it panics.
            let _ = thread.join();
        }
    }
}

fn echo(served: &mut Served) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match served.read(&mut buffer)? {
            0 => return served.close(),
            count => served.write_all(&buffer[..count])?,
        }
    }
}

fn accept(
    listener: &TcpListener,
    stopped: &AtomicBool,
    count: &AtomicUsize,
    behave: &Arc<impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static>,
) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        // Gone again while it waited in the queue.
        let Ok(stream) = stream else { continue };
        count.fetch_add(1, Ordering::SeqCst);
        let behave = Arc::clone(behave);
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            // A client that goes away, or takes no such certificate, is what tests are about.
            let _ = behave(stream);
        });
    }
}
