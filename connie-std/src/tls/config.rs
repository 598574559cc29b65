//! How TLS connections are made: whom to trust, and where the race ends.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use connie_core::memory::Finish;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};

use super::finish_line::FinishLine;
use super::verify::{AnyCertificate, OwnCertificates};

/// How to make TLS connections, for [`TlsConnector::new`]: made by [`TlsOptions::new`], and changed by
/// methods that have the names of its fields.
///
/// ```
/// use connie_std::{FinishLine, TlsOptions};
///
/// let options = TlsOptions::new().ca_files(["/etc/our/ca.pem"]).finish_line(FinishLine::Tcp);
/// ```
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Whether to trust the authorities that the machine trusts. Default: yes.
    ///
    /// They are read by rustls-native-certs: from the files of OpenSSL's usual places or those that
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name, on macOS from the key chain, on Windows from the certificate
    /// store.
    pub system_roots: bool,
    /// Files with further certificates to trust, in PEM: authorities, and certificates of servers. A server
    /// that shows one of these itself is trusted, be it self-signed; what one has signed is trusted where it
    /// is an authority (basicConstraints, RFC 5280 section 4.2.1.9).
    pub ca_files: Vec<PathBuf>,
    /// Further certificates to trust, in PEM, as such a file holds them. Default: none.
    pub ca_pem: Vec<u8>,
    /// Takes any certificate: whoever is on the way can read and change everything. Default: no.
    pub insecure: bool,
    /// What is shown to servers that ask for a client's certificate. Default: nothing.
    pub client_certificate: Option<ClientCertificate>,
    /// The name that the server's certificate must be valid for, where it is not the host connected to.
    pub server_name: Option<String>,
    /// The protocols offered (RFC 7301), best first; none to offer none. Default: `http/1.1`.
    pub alpn: Vec<String>,
    /// Where the race ends. Default: at the TLS handshake.
    pub finish_line: FinishLine,
}

impl TlsOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`system_roots`](Self::system_roots).
    pub fn system_roots(mut self, trusted: bool) -> Self {
        self.system_roots = trusted;
        self
    }

    /// Sets [`ca_files`](Self::ca_files).
    pub fn ca_files(mut self, files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.ca_files = files.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`ca_pem`](Self::ca_pem).
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = pem.into();
        self
    }

    /// Sets [`insecure`](Self::insecure).
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets [`client_certificate`](Self::client_certificate).
    pub fn client_certificate(mut self, certificate: impl Into<Option<ClientCertificate>>) -> Self {
        self.client_certificate = certificate.into();
        self
    }

    /// Sets [`server_name`](Self::server_name).
    pub fn server_name(mut self, name: impl Into<Option<String>>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sets [`alpn`](Self::alpn).
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`finish_line`](Self::finish_line).
    pub fn finish_line(mut self, finish_line: FinishLine) -> Self {
        self.finish_line = finish_line;
        self
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        TlsOptions {
            system_roots: true,
            ca_files: Vec::new(),
            ca_pem: Vec::new(),
            insecure: false,
            client_certificate: None,
            server_name: None,
            alpn: vec!["http/1.1".to_owned()],
            finish_line: FinishLine::default(),
        }
    }
}

/// A certificate by which servers know the client, and its key: files in PEM.
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, followed by those between it and its authority where servers do not have them.
    pub certificate: PathBuf,
    /// The key, without a password; `None` where it is in the same file.
    pub key: Option<PathBuf>,
}

impl ClientCertificate {
    /// The certificate of this file, with its key in the same.
    pub fn new(certificate: impl Into<PathBuf>) -> Self {
        ClientCertificate { certificate: certificate.into(), key: None }
    }

    /// Sets [`key`](Self::key).
    pub fn key(mut self, key: impl Into<Option<PathBuf>>) -> Self {
        self.key = key.into();
        self
    }

    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsSetupError> {
        let path = &self.certificate;
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| TlsSetupError::ClientFile(path.clone(), error))
        };
        let text = read(path)?;
        let chain = certificates(&text).ok_or_else(|| TlsSetupError::NoClientCertificate(path.clone()))?;
        let (path, text) = match &self.key {
            Some(key) => (key, read(key)?),
            None => (path, text),
        };
        let key = PrivateKeyDer::from_pem_slice(&text);
        Ok((chain, key.map_err(|_| TlsSetupError::NoClientKey(path.clone()))?))
    }
}

/// Makes TLS connections, 1.2 and 1.3. Made once, since that reads the machine's list of authorities (some
/// milliseconds); a clone is a reference.
///
/// Connections of one connector resume each other's sessions where the server offers that.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    client: Arc<ClientConfig>,
    finish_line: FinishLine,
    server_name: Option<String>,
    insecure: bool,
}

impl TlsConnector {
    /// A connector with these options.
    ///
    /// # Errors
    ///
    /// [`TlsSetupError`] where a file cannot be read or holds no certificate, where there is nobody to trust,
    /// and where the server name is none.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        let server_name = checked(options.server_name.as_deref())?;
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn rustls::client::danger::ServerCertVerifier> = if options.insecure {
            Arc::new(AnyCertificate::new(&provider))
        } else {
            verifier(options, &provider)?
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsSetupError::Provider(error.to_string()))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut client = match &options.client_certificate {
            Some(files) => {
                let (chain, key) = files.read()?;
                let path = files.key.as_ref().unwrap_or(&files.certificate);
                let refused =
                    |error: rustls::Error| TlsSetupError::ClientKey(path.clone(), error.to_string());
                builder.with_client_auth_cert(chain, key).map_err(refused)?
            }
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = options.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        let (finish_line, insecure) = (options.finish_line, options.insecure);
        Ok(TlsConnector { client: Arc::new(client), finish_line, server_name, insecure })
    }

    /// A connector over a configuration of rustls that the caller has made, which is used as it stands: whom
    /// it trusts, the certificates that it shows servers, the protocols that it offers (`alpn_protocols`,
    /// which are none unless it names some), and what it remembers of sessions. `server_name` and
    /// `finish_line` are as in [`TlsOptions`].
    ///
    /// # Errors
    ///
    /// [`TlsSetupError::ServerName`].
    ///
    /// ```
    /// use connie_std::tls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    /// use connie_std::{FinishLine, TlsConnector};
    /// use std::sync::Arc;
    ///
    /// # let roots = RootCertStore::empty();
    /// let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(roots)
    ///     .with_no_client_auth();
    /// config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    /// let tls = TlsConnector::from_rustls(config, None, FinishLine::Tls)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_rustls(
        config: impl Into<Arc<ClientConfig>>,
        server_name: Option<&str>,
        finish_line: FinishLine,
    ) -> Result<Self, TlsSetupError> {
        let server_name = checked(server_name)?;
        Ok(TlsConnector { client: config.into(), finish_line, server_name, insecure: false })
    }

    /// The connector with the default options, made at the first call and shared by all.
    ///
    /// # Errors
    ///
    /// [`TlsSetupError::NoRoots`] where the machine trusts nobody.
    pub fn system() -> Result<Self, TlsSetupError> {
        static SHARED: OnceLock<TlsConnector> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared.clone());
        }
        let made = Self::new(&TlsOptions::default())?;
        // Where two threads make one at a time, both get the first.
        Ok(SHARED.get_or_init(|| made).clone())
    }

    /// The name that a certificate of `host` must be valid for.
    pub(super) fn name_for(&self, host: &str) -> Option<ServerName<'static>> {
        parse(self.server_name.as_deref().unwrap_or(host))
    }

    /// Where its races end.
    #[must_use]
    pub fn finish_line(&self) -> FinishLine {
        self.finish_line
    }

    /// The same, as a memory has it.
    pub(crate) fn finish(&self) -> Finish {
        match self.finish_line {
            FinishLine::Tls => Finish::Tls,
            FinishLine::Tcp => Finish::Tcp,
        }
    }

    /// The configuration, for a session.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// Whether certificates are checked against a name that does not come from a host.
    pub(super) fn knows_name(&self) -> bool {
        self.server_name.is_some() || self.insecure
    }
}

fn verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<OwnCertificates>, TlsSetupError> {
    let own = own_certificates(options)?;
    let system = match options.system_roots {
        true => rustls_native_certs::load_native_certs().certs,
        false => Vec::new(),
    };
    let none = match options.system_roots {
        true => TlsSetupError::NoRoots,
        false => TlsSetupError::NoRootsGiven,
    };
    OwnCertificates::new(&system, own, provider).map(Arc::new).ok_or(none)
}

/// The certificates that the caller gave.
fn own_certificates(options: &TlsOptions) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let mut own = Vec::new();
    for path in &options.ca_files {
        let text = std::fs::read(path).map_err(|error| TlsSetupError::CaFile(path.clone(), error))?;
        own.extend(certificates(&text).ok_or_else(|| TlsSetupError::NoCertificate(Some(path.clone())))?);
    }
    if !options.ca_pem.is_empty() {
        own.extend(certificates(&options.ca_pem).ok_or(TlsSetupError::NoCertificate(None))?);
    }
    Ok(own)
}

/// The certificates of a PEM text; `None` where there is none, or one is broken. One that webpki does not
/// take, such as one of X.509 version 1, does not stand in the way of the others.
fn certificates(text: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    let is_broken = |certificate: &CertificateDer<'_>| {
        let read = rustls::server::ParsedCertificate::try_from(certificate);
        matches!(read, Err(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding)))
    };
    found.ok().filter(|found| !found.is_empty() && !found.iter().any(is_broken))
}

/// A server name that the caller gave.
fn checked(name: Option<&str>) -> Result<Option<String>, TlsSetupError> {
    match name {
        Some(name) if parse(name).is_none() => Err(TlsSetupError::ServerName(name.to_owned())),
        name => Ok(name.map(str::to_owned)),
    }
}

/// `host` as a name that a certificate can hold: brackets, a zone and a final dot are not part of it.
fn parse(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let bare = match bare.split_once('%') {
        Some((address, _)) if address.contains(':') => address,
        _ => bare,
    };
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare).ok().map(|name| name.to_owned())
}

/// Why a [`TlsConnector`] could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A file of certificates could not be read.
    CaFile(PathBuf, io::Error),
    /// A file, or [`TlsOptions::ca_pem`], holds no certificate in PEM, or a broken one.
    NoCertificate(Option<PathBuf>),
    /// A file of the client's certificate or key could not be read.
    ClientFile(PathBuf, io::Error),
    /// A file holds no certificate for the client in PEM, or a broken one.
    NoClientCertificate(PathBuf),
    /// A file holds no private key in PEM, or one with a password.
    NoClientKey(PathBuf),
    /// The key of this file cannot be used with the client's certificate.
    ClientKey(PathBuf, String),
    /// There is nobody to trust: no authority was given, and the machine has none.
    NoRoots,
    /// There is nobody to trust: the machine's authorities are turned off ([`TlsOptions::system_roots`]), and
    /// none was given.
    NoRootsGiven,
    /// The server name is neither a name nor an address.
    ServerName(String),
    /// The cryptography is not usable.
    Provider(String),
}

impl fmt::Display for TlsSetupError {
    /// One line that says what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsSetupError::CaFile(path, error) => write!(f, "could not read {}: {error}", path.display()),
            TlsSetupError::NoCertificate(Some(path)) => {
                write!(f, "{} does not contain valid certificates in PEM", path.display())
            }
            TlsSetupError::ClientFile(path, error) => {
                write!(f, "could not read the client's {}: {error}", path.display())
            }
            TlsSetupError::NoClientCertificate(path) => {
                write!(f, "{} does not contain a valid client certificate in PEM", path.display())
            }
            TlsSetupError::NoClientKey(path) => {
                write!(f, "{} does not contain a private key in PEM without a password", path.display())
            }
            TlsSetupError::ClientKey(path, reason) => {
                write!(f, "the key in {} cannot be used with the client certificate: {reason}", path.display())
            }
            TlsSetupError::NoCertificate(None) => f.write_str("no valid certificates in PEM"),
            TlsSetupError::NoRoots => f.write_str(
                "this machine has no list of trusted authorities: install ca-certificates, or name a file with SSL_CERT_FILE",
            ),
            TlsSetupError::NoRootsGiven => f.write_str(
                "no authority is trusted: system_roots is off, and neither ca_files nor ca_pem has a certificate; give one there",
            ),
            TlsSetupError::ServerName(name) => {
                write!(f, "{name:?} is not a server name: give a host name or an address")
            }
            TlsSetupError::Provider(reason) => write!(f, "the cryptography of TLS is not available: {reason}"),
        }
    }
}

impl std::error::Error for TlsSetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its own words are in the line.
            TlsSetupError::CaFile(_, error) | TlsSetupError::ClientFile(_, error) => error.source(),
            _ => None,
        }
    }
}

impl From<TlsSetupError> for io::Error {
    fn from(error: TlsSetupError) -> Self {
        let kind = match &error {
            TlsSetupError::CaFile(_, error) | TlsSetupError::ClientFile(_, error) => error.kind(),
            TlsSetupError::NoRoots => io::ErrorKind::NotFound,
            _ => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of X.509 version 1, signed by itself.
    const VERSION_1: &[u8] = b"\
-----BEGIN CERTIFICATE-----\n\
MIIBGTCBvwIUAXqOXL8aHLaz6GdtJSoqKn+MQoMwCgYIKoZIzj0EAwIwDjEMMAoG\n\
A1UEAwwDb2xkMCAXDTI2MTEzMDE1MDQxN1oYDzIxMjYxMTA2MTUwNDE3WjAOMQww\n\
CgYDVQQDDANvbGQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATNcvRnd4TVWOwA\n\
DrfDrCI8sQgMuXjJAwevLrBSF2NtskPzNEAbwuGF6X10hxI3/xvbXUHr454P8yB/\n\
9xzCzFnTMAoGCCqGSM49BAMCA0kAMEYCIQCW0zgf7pDjf6IdB50BNv7WsO9Wkub7\n\
C9AwsOOBgvT5+AIhAIsKySN9HoJH0ThAb/6az/tno/JDQus613zs5gdk3EI3\n\
-----END CERTIFICATE-----\n\
";

    #[test]
    fn an_old_certificate_does_not_stand_in_the_way_of_others() {
        assert_eq!(certificates(VERSION_1).map(|found| found.len()), Some(1));
        let certificate = CertificateDer::from_pem_slice(VERSION_1).expect("PEM");
        let read = rustls::server::ParsedCertificate::try_from(&certificate);
        assert!(read.is_err(), "webpki does not take it");
    }

    #[track_caller]
    fn expect_name(host: &str, name: &str) {
        assert_eq!(parse(host).expect(host).to_str(), name);
    }

    #[test]
    fn a_host_is_a_server_name_without_what_is_not_part_of_it() {
        expect_name("name.test", "name.test");
        expect_name("name.test.", "name.test");
        expect_name("192.0.2.1", "192.0.2.1");
        expect_name("[2001:db8::1]", "2001:db8::1");
        expect_name("fe80::1%2", "fe80::1");
        for none in ["", ".", "a b", "name%2", "n\u{e4}me", "[name.test", &"x".repeat(300)] {
            assert_eq!(parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn options_that_cannot_be_used_say_why() {
        let only = |pem: &[u8]| TlsOptions::new().system_roots(false).ca_pem(pem.to_vec());
        let error = |options| TlsConnector::new(&options).expect_err("unusable").to_string();
        let nobody = error(only(b""));
        assert!(nobody.starts_with("no authority is trusted: system_roots is off"), "{nobody}");
        assert!(nobody.contains("ca_files") && nobody.contains("ca_pem"), "{nobody}");
        assert_eq!(error(only(b"not PEM")), "no valid certificates in PEM");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(error(only(broken)), "no valid certificates in PEM");
        assert_eq!(error(only(&[VERSION_1, broken].concat())), "no valid certificates in PEM");
        let file = TlsOptions::new().ca_files(["/nonexistent/ca.pem"]);
        assert!(error(file).starts_with("could not read /nonexistent/ca.pem: "));
        let name = TlsOptions::new().server_name("a b".to_owned());
        assert_eq!(error(name), "\"a b\" is not a server name: give a host name or an address");
    }
}
