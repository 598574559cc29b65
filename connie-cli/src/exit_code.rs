//! curl's exit codes, as far as this program has them, and which failure of an exchange or of TLS has which.

use connie_core::{Failure, TlsFailure};
use connie_http::HttpError;

pub const UNSUPPORTED_SCHEME: u8 = 1;
/// As curl has it: the answer is of no version of HTTP that is spoken.
const UNSUPPORTED_ANSWER: u8 = 1;
pub const USAGE: u8 = 2;
pub const MALFORMED_URL: u8 = 3;
pub const RESOLVE_PROXY: u8 = 5;
pub const RESOLVE: u8 = 6;
pub const CONNECT: u8 = 7;
pub const WEIRD_REPLY: u8 = 8;
pub const PARTIAL: u8 = 18;
pub const HTTP_ERROR: u8 = 22;
pub const WRITE: u8 = 23;
pub const READ: u8 = 26;
pub const TIMED_OUT: u8 = 28;
pub const RANGE: u8 = 33;
pub const TLS: u8 = 35;
pub const ABORTED: u8 = 42;
pub const INTERFACE: u8 = 45;
pub const REDIRECTS: u8 = 47;
pub const EMPTY_REPLY: u8 = 52;
pub const SEND: u8 = 55;
pub const RECEIVE: u8 = 56;
#[cfg(feature = "tls")]
pub const CLIENT_CERTIFICATE: u8 = 58;
pub const CERTIFICATE: u8 = 60;
pub const CODING: u8 = 61;
pub const TOO_LARGE: u8 = 63;
pub const REWIND: u8 = 65;
pub const PROXY: u8 = 97;
#[cfg(feature = "tls")]
pub const CA_FILE: u8 = 77;

/// For an exchange that failed.
pub const fn of_http(error: &HttpError) -> u8 {
    match error {
        HttpError::EmptyReply | HttpError::Stale => EMPTY_REPLY,
        HttpError::NotHttp | HttpError::UnsupportedVersion | HttpError::MalformedStatusLine => {
            UNSUPPORTED_ANSWER
        }
        HttpError::MalformedHeader
        | HttpError::HeadTooLarge { .. }
        | HttpError::TooManyInterim
        | HttpError::UnaskedSwitch
        | HttpError::InvalidContentLength
        | HttpError::ConflictingContentLength
        | HttpError::InvalidTransferEncoding => WEIRD_REPLY,
        HttpError::IncompleteRead { .. } => PARTIAL,
        HttpError::UnsupportedTransferCoding(_) => CODING,
        HttpError::TimedOut | HttpError::Connect(Failure::DeadlineExceeded) => TIMED_OUT,
        HttpError::Canceled | HttpError::Connect(Failure::Canceled) => ABORTED,
        HttpError::Connect(_) => CONNECT,
        HttpError::Send(_) => SEND,
        HttpError::BodyTooLarge { .. } => TOO_LARGE,
        HttpError::Receive(_)
        | HttpError::IncompleteHead
        | HttpError::MalformedChunk
        | HttpError::MalformedTrailer
        | HttpError::TrailersTooLarge
        | HttpError::TunnelRefused { .. } => RECEIVE,
        // What is left is the caller's own; curl's "failed to initialize" has the number of a wrong command
        // line.
        _ => USAGE,
    }
}

/// For TLS that failed: the certificate, the rest of the handshake, or what was cut off.
pub const fn of_tls(failure: TlsFailure) -> u8 {
    match failure {
        TlsFailure::Truncated => RECEIVE,
        other if other.is_certificate() => CERTIFICATE,
        _ => TLS,
    }
}

#[cfg(test)]
mod tests {
    use connie_core::AttemptErrorKind;
    use connie_http::TransferCoding;

    use super::*;

    #[test]
    fn curl_s_codes_tell_the_kinds_apart() {
        let codes = [
            (HttpError::NotHttp, 1),
            (HttpError::InvalidContentLength, 8),
            (HttpError::IncompleteRead { got: 0, expected: None }, 18),
            (HttpError::Connect(Failure::AllAttemptsFailed), 7),
            (HttpError::TimedOut, 28),
            (HttpError::Connect(Failure::DeadlineExceeded), 28),
            (HttpError::Canceled, 42),
            (HttpError::Connect(Failure::Canceled), 42),
            (HttpError::EmptyReply, 52),
            (HttpError::Stale, 52),
            (HttpError::Send(AttemptErrorKind::Reset.into()), 55),
            (HttpError::Receive(AttemptErrorKind::Reset.into()), 56),
            (HttpError::UnsupportedTransferCoding(TransferCoding::new("gzip").unwrap()), 61),
            (HttpError::BodyTooLarge { capacity: 5 }, 63),
            (HttpError::InvalidTarget, 2),
        ];
        for (error, code) in codes {
            assert_eq!(of_http(&error), code, "{error}");
        }
    }

    #[test]
    fn a_bad_certificate_is_told_from_other_tls_trouble() {
        let failures = [TlsFailure::CertificateName, TlsFailure::Alert(42), TlsFailure::Truncated];
        assert_eq!(failures.map(of_tls), [60, 35, 56]);
    }
}
