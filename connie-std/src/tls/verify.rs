//! Which certificates are taken, beyond what rustls takes by itself.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// What webpki takes, and beside it the very certificates that the caller trusts.
///
/// A server that was set up with one command shows a certificate that is its own authority. webpki takes no
/// authority for a server (`CaUsedAsEndEntity`), while OpenSSL, and curl with it, does; and who names that
/// certificate as trusted means just this server.
///
/// webpki asks of a trust anchor nothing but its name and key. A server's certificate that the caller trusts
/// must not become one: its key is kept by that server, and could sign for every other.
#[derive(Debug)]
pub(super) struct OwnCertificates {
    /// Over what may sign for others; `None` where the caller trusts servers alone.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Over everything trusted, for a server that shows one of `own`.
    inner: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl OwnCertificates {
    /// Trusts `system`, and `own` for what each of them is. `None` where that is nobody.
    pub(super) fn new(
        system: &[CertificateDer<'static>],
        own: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Self> {
        let authorities = own.iter().filter(|certificate| is_authority(certificate, provider));
        let authorities = verifier(system.iter().chain(authorities), provider);
        let inner = verifier(system.iter().chain(&own), provider)?;
        Some(OwnCertificates { authorities, inner, own })
    }
}

/// A verifier that builds on `anchors`, those ignored that cannot be one; `None` where none is left.
fn verifier<'a>(
    anchors: impl Iterator<Item = &'a CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors.cloned());
    // All that it asks for is that there be a root.
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// Whether a certificate may sign others (basicConstraints, RFC 5280 section 4.2.1.9). webpki says so in one
/// way only: it takes no authority for a server. It looks at the dates before that, so it is asked for a day
/// on which they are in order.
fn is_authority(certificate: &CertificateDer<'static>, provider: &Arc<CryptoProvider>) -> bool {
    let Some(verifier) = verifier(std::iter::once(certificate), provider) else { return false };
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let verdict = |day| match verifier.verify_server_cert(certificate, &[], &name, &[], day) {
        Err(Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    };
    let mut error = verdict(UnixTime::since_unix_epoch(Duration::ZERO));
    if let Some(
        CertificateError::NotValidYetContext { not_before: day, .. }
        | CertificateError::ExpiredContext { not_after: day, .. },
    ) = error
    {
        error = verdict(day);
    }
    matches!(error, Some(CertificateError::Other(other)) if is_own_authority(&other))
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_own = self.own.iter().any(|own| own == end_entity);
        let verdict = match (is_own, &self.authorities) {
            (true, _) => self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            (false, Some(it)) => it.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            (false, None) => Err(CertificateError::UnknownIssuer.into()),
        };
        // webpki looks at the dates before it looks for the issuer, or at whose certificate it is, so those
        // are in order here.
        let issuer_only = matches!(
            verdict,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
        );
        if issuer_only && is_own {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match verdict {
            // "certificate is its own authority" means to people that nobody else has issued it.
            Err(Error::InvalidCertificate(CertificateError::Other(other))) if is_own_authority(&other) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// rustls hands webpki's errors on by their names alone, for those that it has none for.
fn is_own_authority(error: &OtherError) -> bool {
    error.0.to_string() == "CaUsedAsEndEntity"
}

/// Takes any certificate, and so any signature by one. A signature says that a server has the key of a
/// certificate; where that may be anybody's, it says nothing. And webpki checks none by a certificate that it
/// does not read: of X.509 version 1, with a short key, or with a critical extension that it does not know.
#[derive(Debug)]
pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

impl AnyCertificate {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        AnyCertificate(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
