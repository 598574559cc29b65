//! What can go wrong with a TLS connection, in words.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind, Failure, TlsFailure};
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, OtherError, PeerIncompatible};

use crate::error_chain::repeats;
use crate::memory::Verdict;
use crate::os_error::OsError;
use crate::report::Report;

/// An error of a TLS connection, or of the socket below it.
#[derive(Debug)]
pub struct TlsError(TlsErrorKind);

#[derive(Debug)]
enum TlsErrorKind {
    Os(OsError),
    Tls(Arc<rustls::Error>),
    ClosedEarly,
    Truncated,
    TimedOut,
    Canceled,
}

impl TlsError {
    pub(super) fn closed_early() -> Self {
        TlsError(TlsErrorKind::ClosedEarly)
    }

    pub(super) fn truncated() -> Self {
        TlsError(TlsErrorKind::Truncated)
    }

    pub(crate) fn timed_out() -> Self {
        TlsError(TlsErrorKind::TimedOut)
    }

    pub(crate) fn canceled() -> Self {
        TlsError(TlsErrorKind::Canceled)
    }

    /// What a handshake of tokio-rustls has failed with.
    #[cfg(feature = "tokio-tls")]
    pub(crate) fn of_handshake(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            // Its own, with no number of the system's: the server has closed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && error.raw_os_error().is_none() => {
                TlsError::closed_early()
            }
            Err(error) => error.into(),
        }
    }

    /// What TLS found wrong; `None` where the socket failed or the time was up.
    #[must_use]
    pub fn failure(&self) -> Option<TlsFailure> {
        match &self.0 {
            TlsErrorKind::Tls(error) => Some(failure(error)),
            TlsErrorKind::ClosedEarly => Some(TlsFailure::ClosedEarly),
            TlsErrorKind::Truncated => Some(TlsFailure::Truncated),
            TlsErrorKind::Os(_) | TlsErrorKind::TimedOut | TlsErrorKind::Canceled => None,
        }
    }

    /// Whether the program canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, TlsErrorKind::Canceled)
    }

    /// What rustls says of it, where it is the protocol that failed. It is no
    /// [`source`](std::error::Error::source) where its words stand in the line of `{}`.
    #[must_use]
    pub fn as_rustls(&self) -> Option<&rustls::Error> {
        match &self.0 {
            TlsErrorKind::Tls(error) => Some(error),
            _ => None,
        }
    }

    /// What it means to a race.
    #[must_use]
    pub fn attempt_error(&self) -> AttemptError {
        match (&self.0, self.failure()) {
            (_, Some(failure)) => AttemptErrorKind::Tls(failure).into(),
            (TlsErrorKind::Os(error), None) => error.attempt_error(),
            (TlsErrorKind::TimedOut, None) => AttemptErrorKind::TimedOut.into(),
            (_, None) => AttemptErrorKind::Other.into(),
        }
    }

    /// Tells the memory of a race that was won before what its winner is worth.
    pub(crate) fn report_to_memory(&self, race: &Report) {
        let verdict = match self.attempt_error().kind() {
            AttemptErrorKind::Tls(TlsFailure::Local) => None,
            // A wrong name or an untrusted issuer is between the host and its caller.
            AttemptErrorKind::Tls(failure) => (!failure.is_certificate()).then_some(Verdict::TlsFailed),
            AttemptErrorKind::TimedOut => Some(Verdict::Stalled),
            AttemptErrorKind::Reset => Some(Verdict::TlsFailed),
            _ => None,
        };
        if let Some(verdict) = verdict {
            race.report_to_memory(verdict);
        }
    }

    /// What a failed handshake means to a race that was won before.
    pub(crate) fn race_failure(&self) -> Failure {
        match &self.0 {
            TlsErrorKind::TimedOut => Failure::DeadlineExceeded,
            TlsErrorKind::Canceled => Failure::Canceled,
            _ => Failure::AllAttemptsFailed,
        }
    }

    /// The operating system's number, where its socket failed.
    pub(crate) fn raw_os_error(&self) -> Option<i32> {
        match &self.0 {
            TlsErrorKind::Os(error) => error.as_io().raw_os_error(),
            _ => None,
        }
    }

    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match &self.0 {
            TlsErrorKind::Os(error) => error.as_io().kind(),
            TlsErrorKind::Tls(_) => io::ErrorKind::InvalidData,
            TlsErrorKind::ClosedEarly | TlsErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            TlsErrorKind::TimedOut => io::ErrorKind::TimedOut,
            // Not `Interrupted`, which readers and writers take for a reason to try again.
            TlsErrorKind::Canceled => io::ErrorKind::ConnectionAborted,
        }
    }

    /// The same error once more: a session that has failed says so as often as it is asked.
    pub(super) fn again(&self) -> Self {
        TlsError(match &self.0 {
            TlsErrorKind::Os(error) => TlsErrorKind::Os(error.again()),
            TlsErrorKind::Tls(error) => TlsErrorKind::Tls(Arc::clone(error)),
            TlsErrorKind::ClosedEarly => TlsErrorKind::ClosedEarly,
            TlsErrorKind::Truncated => TlsErrorKind::Truncated,
            TlsErrorKind::TimedOut => TlsErrorKind::TimedOut,
            TlsErrorKind::Canceled => TlsErrorKind::Canceled,
        })
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        TlsError(TlsErrorKind::Tls(Arc::new(error)))
    }
}

impl From<OsError> for TlsError {
    fn from(error: OsError) -> Self {
        TlsError(TlsErrorKind::Os(error))
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        TlsError(TlsErrorKind::Os(error.into()))
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        match error.0 {
            TlsErrorKind::Os(error) => error.into(),
            _ => io::Error::new(error.io_kind(), error),
        }
    }
}

impl TcpError for TlsError {
    fn kind(&self) -> TcpErrorKind {
        match &self.0 {
            TlsErrorKind::Os(error) => error.kind(),
            // Not even where the connection was closed: what came before may have been cut off.
            _ => TcpErrorKind::Other,
        }
    }
}

impl fmt::Display for TlsError {
    /// One line, with the names, dates and alerts that go with it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TlsErrorKind::Os(error) => error.fmt(f),
            TlsErrorKind::Tls(error) => describe(error, f),
            TlsErrorKind::ClosedEarly => TlsFailure::ClosedEarly.fmt(f),
            TlsErrorKind::Truncated => TlsFailure::Truncated.fmt(f),
            TlsErrorKind::TimedOut => f.write_str("timed out during the TLS handshake"),
            TlsErrorKind::Canceled => f.write_str("canceled"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            TlsErrorKind::Os(error) => error.source(),
            // Where its own words say more.
            TlsErrorKind::Tls(error) if !repeats(&self.to_string(), &error.to_string()) => Some(&**error),
            _ => None,
        }
    }
}

fn failure(error: &rustls::Error) -> TlsFailure {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(error) => certificate_failure(error),
        Error::NoCertificatesPresented => TlsFailure::CertificateInvalid,
        Error::AlertReceived(alert) => TlsFailure::Alert(u8::from(*alert)),
        // What does not begin as a record does, and what begins as a record that nobody sends.
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => TlsFailure::NotTls,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => TlsFailure::Incompatible,
        Error::PeerMisbehaved(_)
        | Error::DecryptError
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => TlsFailure::Protocol,
        _ => TlsFailure::Local,
    }
}

fn certificate_failure(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::CertificateNotYetValid
        }
        CertificateError::UnknownIssuer => TlsFailure::CertificateUntrusted,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::CertificateName
        }
        CertificateError::Revoked => TlsFailure::CertificateRevoked,
        _ => TlsFailure::CertificateInvalid,
    }
}

/// The failure in one line, with what rustls knows beside it.
fn describe(error: &rustls::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            write!(f, "certificate not valid for {:?}", expected.to_str())?;
            for (index, name) in presented.iter().take(NAMES_AT_MOST).enumerate() {
                f.write_str(if index == 0 { ": it is for " } else { ", " })?;
                write!(f, "{:?}", bare_name(name))?;
            }
            if presented.len() > NAMES_AT_MOST { f.write_str(", ...") } else { Ok(()) }
        }
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            write!(f, "{} {} ago", TlsFailure::CertificateExpired, Span::between(*not_after, *time))
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            write!(f, "certificate not valid for another {}", Span::between(*time, *not_before))
        }
        Error::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        }) => {
            let how = signature_fault(signature_algorithm_id);
            write!(f, "{}: it is signed {how}", TlsFailure::CertificateInvalid)
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            write!(f, "{}: {other}", TlsFailure::CertificateInvalid)
        }
        Error::InvalidCertificate(other) if failure(error) == TlsFailure::CertificateInvalid => {
            write!(f, "{}: {other}", TlsFailure::CertificateInvalid)
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => f.write_str("the server speaks neither TLS 1.2 nor 1.3"),
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError => write!(f, "{}: {error}", TlsFailure::Protocol),
        other => match failure(other) {
            TlsFailure::Local => write!(f, "{}: {other}", TlsFailure::Local),
            failure => write!(f, "{failure}"),
        },
    }
}

/// What is wrong with a signature that is made with this algorithm, an `AlgorithmIdentifier` in DER without
/// its head.
fn signature_fault(algorithm: &[u8]) -> &'static str {
    // The object identifiers of RFC 8017 appendix C and RFC 3279 section 2.2.3.
    const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
    // Behind the tag and the length of the identifier.
    let is = |identifier: &[u8]| algorithm.get(2..).is_some_and(|rest| rest.starts_with(identifier));
    match () {
        () if is(RSA_SHA1) || is(ECDSA_SHA1) => "with SHA-1, which is no longer safe",
        () if is(RSA_MD5) => "with MD5, which is no longer safe",
        () => "with an unsupported algorithm",
    }
}

/// How many of a certificate's names an error lists; some have hundreds.
const NAMES_AT_MOST: usize = 4;

/// `example.org` of `DnsName("example.org")`, as webpki writes it.
fn bare_name(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(presented, |inner| inner.trim_matches('"'))
}

/// A length of time for people: its largest unit.
struct Span(Duration);

impl Span {
    fn between(earlier: UnixTime, later: UnixTime) -> Self {
        Span(Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs())))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
        let (unit, length) = units.into_iter().find(|&(_, length)| seconds >= length).unwrap_or(units[3]);
        let count = seconds / length;
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    fn text(error: rustls::Error) -> String {
        TlsError::from(error).to_string()
    }

    fn certificate(error: CertificateError) -> String {
        text(rustls::Error::InvalidCertificate(error))
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_certificate_for_other_names_lists_some_of_them() {
        let names = |presented: &[&str]| {
            certificate(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("x.test").expect("a name"),
                presented: presented.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        assert_eq!(names(&[]), r#"certificate not valid for "x.test""#);
        let two = [r#"DnsName("a.test")"#, "IpAddress(192.0.2.1)"];
        assert_eq!(names(&two), r#"certificate not valid for "x.test": it is for "a.test", "192.0.2.1""#);
        assert!(names(&["a", "b", "c", "d"]).ends_with(r#""c", "d""#));
        assert!(names(&["a", "b", "c", "d", "e"]).ends_with(r#""d", ..."#));
    }

    #[test]
    fn a_signature_that_is_not_taken_is_named() {
        let signed = |identifier: &[u8]| {
            let length = u8::try_from(identifier.len()).expect("a short one");
            certificate(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: [&[6, length], identifier, &[5, 0]].concat(),
                supported_algorithms: Vec::new(),
            })
        };
        let start = "invalid certificate: it is signed";
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
        assert_eq!(
            signed(&[&rsa[..], &[5]].concat()),
            format!("{start} with SHA-1, which is no longer safe")
        );
        assert_eq!(signed(&[&rsa[..], &[4]].concat()), format!("{start} with MD5, which is no longer safe"));
        let ecdsa = signed(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
        assert_eq!(ecdsa, format!("{start} with SHA-1, which is no longer safe"));
        assert_eq!(signed(&[1, 2]), format!("{start} with an unsupported algorithm"));
    }

    #[test]
    fn dates_are_told_by_their_distance() {
        let expired =
            |now| certificate(CertificateError::ExpiredContext { time: at(now), not_after: at(1_000) });
        assert_eq!(expired(1_000), "certificate expired 0 seconds ago");
        assert_eq!(expired(1_001), "certificate expired 1 second ago");
        assert_eq!(expired(1_000 + 86_399), "certificate expired 23 hours ago");
        assert_eq!(expired(1_000 + 86_400 * 400), "certificate expired 400 days ago");
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(120) };
        assert_eq!(certificate(early), "certificate not valid for another 2 minutes");
    }

    #[test]
    fn what_is_not_tls_and_what_the_server_says_is_told() {
        use rustls::Error::{AlertReceived, InvalidMessage as Invalid};
        assert_eq!(text(Invalid(InvalidMessage::InvalidContentType)), "the server does not speak TLS");
        let refused = text(AlertReceived(AlertDescription::HandshakeFailure));
        assert_eq!(refused, "TLS refused by the server: handshake_failure");
    }

    #[test]
    fn an_error_can_be_told_twice() {
        let errors = [
            TlsError::from(rustls::Error::DecryptError),
            TlsError::truncated(),
            TlsError::from(io::Error::from_raw_os_error(1)),
            TlsError::from(io::Error::from(io::ErrorKind::WriteZero)),
        ];
        for error in errors {
            assert_eq!(error.again().to_string(), error.to_string());
            assert_eq!(error.again().attempt_error(), error.attempt_error());
        }
    }

    /// A loop that goes on after `Interrupted` would spin.
    #[test]
    fn what_was_canceled_is_not_to_be_tried_again() {
        let canceled = TlsError::canceled();
        assert!(canceled.is_canceled());
        let error = io::Error::from(canceled);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        assert!(inner.is_some_and(TlsError::is_canceled));
    }

    #[test]
    fn a_truncated_stream_is_no_end_of_file() {
        assert_eq!(TcpError::kind(&TlsError::truncated()), TcpErrorKind::Other);
        assert_eq!(TlsError::truncated().attempt_error(), AttemptErrorKind::Tls(TlsFailure::Truncated));
        assert_eq!(io::Error::from(TlsError::truncated()).kind(), io::ErrorKind::UnexpectedEof);
    }
}
