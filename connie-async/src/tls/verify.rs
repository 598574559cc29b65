//! Whether the server is the one whose name was looked up: its certificates, by webpki, and its signature
//! (RFC 8446 sections 4.4.2 and 4.4.3).
//!
//! Not by embedded-tls's own `CertVerifier`: that takes any certificate as an issuer, also one that is no
//! authority (RFC 5280 section 6.1.4 (k)), has an end to the names that it reads, and panics where a server
//! signs before it has shown a certificate.

use core::fmt;
use core::time::Duration;

use connie_core::TlsFailure;
use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, SignatureScheme, TlsCipherSuite,
    TlsError as LibraryError, TlsVerifier,
};
use heapless::Vec;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer, TrustAnchor, UnixTime, alg_id,
};
use sha2::Digest;
use webpki::{EndEntityCert, Error, KeyUsage, RawPublicKeyEntity};

/// What signatures are checked by unless a program says otherwise. P-384 is what several public authorities
/// sign with.
pub(crate) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &P256,
    #[cfg(feature = "p384")]
    &P384,
];

#[derive(Debug)]
struct P256;

impl SignatureVerificationAlgorithm for P256 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        use p256::ecdsa::signature::Verifier;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[cfg(feature = "p384")]
#[derive(Debug)]
struct P384;

#[cfg(feature = "p384")]
impl SignatureVerificationAlgorithm for P384 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        use p384::ecdsa::signature::Verifier;
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = p384::ecdsa::Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P384
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA384
    }
}

/// The time for which certificates must be valid.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum CertificateTime<'a> {
    /// What this says, in seconds since 1970. `None` where it is not known (yet): then every handshake fails.
    Clock(&'a dyn Fn() -> Option<u64>),
    /// For a device that has no way to know the time: a certificate that expired is as good as any other.
    /// There must still be a time at which all of a chain were valid.
    Unknown,
}

impl fmt::Debug for CertificateTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificateTime::Clock(_) => "Clock",
            CertificateTime::Unknown => "Unknown",
        })
    }
}

/// What certificates are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trust<'a> {
    pub(crate) anchors: &'a [TrustAnchor<'a>],
    pub(crate) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    pub(crate) time: CertificateTime<'a>,
}

/// The most certificates that a server sends; embedded-tls has room for as many.
const CHAIN: usize = 16;
/// The longest public key, with what it is: one of RSA with 2,048 bits has 294 octets, one of P-384 120.
const KEY: usize = 300;
/// The longest hash of a cipher suite, that of SHA-384.
const HASH: usize = 48;

/// What has become of the server's word for who it is. embedded-tls itself is content where a server sends
/// none: it checks what comes, and does not ask whether it came.
pub(crate) struct ServerVerifier<'a> {
    trust: Trust<'a>,
    server: &'a str,
    progress: Progress,
    /// Why it was not good.
    failure: Option<TlsFailure>,
}

#[expect(clippy::large_enum_variant, reason = "there is no allocation")]
enum Progress {
    /// RFC 8446 section 4.4.2: the certificate comes first.
    Nothing,
    /// It is good, and has this public key. The server signs the handshake up to here, which has this hash.
    Certificate { key: Vec<u8, KEY>, hash: Vec<u8, HASH> },
    /// The server has the key.
    Signed,
}

/// RFC 8446 section 4.4.3: what is signed is 64 spaces, a text, an octet of zero, and the hash.
const SIGNED_TEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

impl<'a> ServerVerifier<'a> {
    pub(crate) const fn new(trust: Trust<'a>, server: &'a str) -> Self {
        ServerVerifier { trust, server, progress: Progress::Nothing, failure: None }
    }

    /// Why it was not good, if this has said so.
    pub(crate) const fn failure(&self) -> Option<TlsFailure> {
        self.failure
    }

    /// Whether the server has shown a good certificate, and that it has the key of that.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.progress, Progress::Signed)
    }

    fn note<T>(&mut self, result: Result<T, TlsFailure>) -> Result<T, LibraryError> {
        result.map_err(|failure| {
            self.failure = Some(failure);
            LibraryError::InvalidCertificate
        })
    }

    /// The public key of the first of `chain`, if that is a certificate for the server.
    fn check_chain(&self, chain: &CertificateRef<'_>) -> Result<Vec<u8, KEY>, TlsFailure> {
        let mut all = Vec::<CertificateDer<'_>, CHAIN>::new();
        for entry in &chain.entries {
            let CertificateEntryRef::X509(der) = entry else { return Err(TlsFailure::CertificateInvalid) };
            all.push(CertificateDer::from(*der)).map_err(|_| TlsFailure::CertificateInvalid)?;
        }
        let (first, rest) = all.split_first().ok_or(TlsFailure::CertificateInvalid)?;
        let certificate = EndEntityCert::try_from(first).map_err(failure)?;
        self.check_issuers(&certificate, rest)?;
        let server = ServerName::try_from(self.server).map_err(|_| TlsFailure::CertificateName)?;
        certificate.verify_is_valid_for_subject_name(&server).map_err(failure)?;
        let key = webpki::anchor_from_trusted_cert(first).map_err(failure)?.subject_public_key_info;
        with_tag(&key).ok_or(TlsFailure::CertificateInvalid)
    }

    fn check_issuers(
        &self,
        certificate: &EndEntityCert<'_>,
        rest: &[CertificateDer<'_>],
    ) -> Result<(), TlsFailure> {
        let check = |seconds| {
            let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let Trust { anchors, algorithms, .. } = self.trust;
            let usage = KeyUsage::server_auth();
            certificate.verify_for_usage(algorithms, anchors, rest, time, usage, None, None).map(|_| ())
        };
        match self.trust.time {
            CertificateTime::Clock(now) => check(now().ok_or(TlsFailure::Local)?).map_err(failure),
            CertificateTime::Unknown => {
                let mut result = check(0);
                // Each is valid from some moment on: the last of these is where all are, if there is any.
                for _ in 0..CHAIN {
                    let Err(Error::CertNotValidYet { not_before, .. }) = &result else { break };
                    result = check(not_before.as_secs());
                }
                result.map_err(failure)
            }
        }
    }

    fn check_signature(&self, verify: &CertificateVerifyRef<'_>) -> Result<(), TlsFailure> {
        let Progress::Certificate { key, hash } = &self.progress else { return Err(TlsFailure::Protocol) };
        let (public_key, signature) = match verify.signature_scheme {
            SignatureScheme::EcdsaSecp256r1Sha256 => (alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
            SignatureScheme::EcdsaSecp384r1Sha384 => (alg_id::ECDSA_P384, alg_id::ECDSA_SHA384),
            SignatureScheme::Ed25519 => (alg_id::ED25519, alg_id::ED25519),
            SignatureScheme::RsaPssRsaeSha256 => (alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256),
            SignatureScheme::RsaPssRsaeSha384 => (alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384),
            SignatureScheme::RsaPssRsaeSha512 => (alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512),
            _ => return Err(TlsFailure::Protocol),
        };
        let is = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.public_key_alg_id() == public_key && algorithm.signature_alg_id() == signature
        };
        let algorithm = self.trust.algorithms.iter().find(is).ok_or(TlsFailure::Incompatible)?;
        let key = SubjectPublicKeyInfoDer::from(&**key);
        let key = RawPublicKeyEntity::try_from(&key).map_err(failure)?;
        let mut signed = Vec::<u8, { 64 + SIGNED_TEXT.len() + HASH }>::new();
        // It has room for just these.
        let _ = signed.resize(64, b' ');
        let _ = signed.extend_from_slice(SIGNED_TEXT).and_then(|()| signed.extend_from_slice(hash));
        key.verify_signature(*algorithm, &signed, verify.signature).map_err(failure)
    }
}

impl<C: TlsCipherSuite> TlsVerifier<C> for ServerVerifier<'_> {
    /// The name is known from the start.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), LibraryError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &C::Hash,
        chain: CertificateRef<'_>,
    ) -> Result<(), LibraryError> {
        let first = matches!(self.progress, Progress::Nothing);
        let key = if first { self.check_chain(&chain) } else { Err(TlsFailure::Protocol) };
        let key = self.note(key)?;
        let hash = Vec::from_slice(&transcript.clone().finalize()).map_err(|_| TlsFailure::Local);
        let hash = self.note(hash)?;
        self.progress = Progress::Certificate { key, hash };
        Ok(())
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), LibraryError> {
        let result = self.check_signature(&verify);
        self.note(result)?;
        self.progress = Progress::Signed;
        Ok(())
    }
}

/// A SEQUENCE of these contents (X.690 section 8.1), or `None` where it has no room.
fn with_tag(contents: &[u8]) -> Option<Vec<u8, KEY>> {
    const SEQUENCE: u8 = 0x30;
    let mut all = Vec::new();
    let [high, low] = u16::try_from(contents.len()).ok()?.to_be_bytes();
    match (high, low) {
        (0, 0..=0x7f) => all.extend_from_slice(&[SEQUENCE, low]),
        (0, _) => all.extend_from_slice(&[SEQUENCE, 0x81, low]),
        _ => all.extend_from_slice(&[SEQUENCE, 0x82, high, low]),
    }
    .ok()?;
    all.extend_from_slice(contents).ok()?;
    Some(all)
}

/// What is wrong with a certificate.
fn failure(error: Error) -> TlsFailure {
    match error {
        Error::CertExpired { .. } => TlsFailure::CertificateExpired,
        Error::CertNotValidYet { .. } => TlsFailure::CertificateNotYetValid,
        Error::CertNotValidForName(_) => TlsFailure::CertificateName,
        Error::UnknownIssuer => TlsFailure::CertificateUntrusted,
        Error::CertRevoked => TlsFailure::CertificateRevoked,
        _ => TlsFailure::CertificateInvalid,
    }
}

#[cfg(test)]
mod tests {
    use embedded_tls::Aes128GcmSha256;

    use super::*;

    const TRUST: Trust<'_> = Trust { anchors: &[], algorithms: ALGORITHMS, time: CertificateTime::Unknown };

    fn sign(verifier: &mut ServerVerifier<'_>) -> Result<(), LibraryError> {
        let signature_scheme = SignatureScheme::EcdsaSecp256r1Sha256;
        let verify = CertificateVerifyRef { signature_scheme, signature: &[0; 70] };
        TlsVerifier::<Aes128GcmSha256>::verify_signature(verifier, verify)
    }

    /// A server that shows nothing has not been checked, and one that signs first has broken the rules.
    #[test]
    fn nothing_is_done_before_a_certificate_and_its_signature() {
        let mut verifier = ServerVerifier::new(TRUST, "name.test");
        assert!(!verifier.is_done() && verifier.failure().is_none());
        assert!(sign(&mut verifier).is_err());
        assert_eq!((verifier.is_done(), verifier.failure()), (false, Some(TlsFailure::Protocol)));

        let mut verifier = ServerVerifier::new(TRUST, "name.test");
        let none = CertificateRef::with_context(&[]);
        let shown = TlsVerifier::<Aes128GcmSha256>::verify_certificate(&mut verifier, &Digest::new(), none);
        assert!(shown.is_err());
        assert_eq!((verifier.is_done(), verifier.failure()), (false, Some(TlsFailure::CertificateInvalid)));

        // A certificate that was good, and a signature that is not of its key.
        let (key, hash) = (Vec::from_slice(&[0x30, 0]).expect("room"), Vec::new());
        verifier.progress = Progress::Certificate { key, hash };
        verifier.failure = None;
        assert!(sign(&mut verifier).is_err() && !verifier.is_done());
        // And a second certificate is against the rules (RFC 8446 section 4.4.2).
        verifier.failure = None;
        let none = CertificateRef::with_context(&[]);
        let again = TlsVerifier::<Aes128GcmSha256>::verify_certificate(&mut verifier, &Digest::new(), none);
        assert!(again.is_err());
        assert_eq!(verifier.failure(), Some(TlsFailure::Protocol));
    }

    #[test]
    fn a_public_key_gets_its_tag_and_its_length_back() {
        for (length, head) in [
            (0, &[0x30, 0][..]),
            (127, &[0x30, 127]),
            (128, &[0x30, 0x81, 128]),
            (255, &[0x30, 0x81, 255]),
            (256, &[0x30, 0x82, 1, 0]),
        ] {
            let tagged = with_tag(&[7; 300][..length]).expect("room");
            assert_eq!((&tagged[..head.len()], tagged.len()), (head, head.len() + length));
        }
        assert!(with_tag(&[7; 296]).is_some() && with_tag(&[7; 297]).is_none());
    }
}
