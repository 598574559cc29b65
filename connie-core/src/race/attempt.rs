//! A connection attempt: its name, and the ways it can end.

use core::fmt;

use crate::plain::{Number, Text};

/// The name of one connection attempt, never used twice within a race.
///
/// A late result of an attempt that has ended is recognised by its id and ignored. Every race counts from 0:
/// results of one must not be reported to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptId(pub(super) u32);

impl AttemptId {
    /// The attempt's number, counted from 0 in the order of starting: for an index, or the token of an event
    /// loop.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for AttemptId {
    /// `#` and the attempt's number, counted from 0 in the order of starting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Why an attempt failed: what [kind](Self::kind) of thing happened, and the number that the stack's own
/// error has, where it has one.
///
/// ```
/// use connie_core::{AttemptError, AttemptErrorKind};
///
/// let refused = AttemptError::new(AttemptErrorKind::Refused).with_number(111);
/// assert_eq!((refused.kind(), refused.number()), (AttemptErrorKind::Refused, Some(111)));
/// assert_eq!(refused.to_string(), "connection refused");
/// // The same kind of thing, though not an equal error.
/// assert_eq!(refused, AttemptErrorKind::Refused);
/// assert_ne!(refused, AttemptError::from(AttemptErrorKind::Refused));
/// ```
///
/// Two are equal where kind and number are. What happened is the kind's to say: match on that, or compare an
/// error with a kind. Nothing in a race depends on the number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptError {
    kind: AttemptErrorKind,
    /// 0 is none.
    number: i32,
}

/// What kind of thing made an attempt fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AttemptErrorKind {
    /// The peer refused the connection: it answered the SYN with a reset.
    Refused,
    /// There is no route to the destination: none is known, no address of the family, the interface of its
    /// route is down, or a router said so.
    Unreachable,
    /// The stack, or the time allowed for one attempt, gave up waiting for an answer.
    TimedOut,
    /// The connection was reset after the handshake had completed.
    Reset,
    /// The stack had no socket left for this attempt.
    ///
    /// The race goes on with the sockets that it holds and starts the destination again when one of them is
    /// free. With none in flight the destination has failed.
    OutOfSockets,
    /// The stack itself is gone (its only interface is down, say): no attempt can succeed, so the race ends.
    ///
    /// An operating system's `ENETDOWN` is not that. It speaks of the route to one address, where the next
    /// may have another, and is [`Unreachable`](Self::Unreachable).
    StackGone,
    /// The address of this machine that it was sent from, or the router that it went by, has been replaced
    /// ([`Input::SourceChanged`](super::Input::SourceChanged)). It says nothing about the destination.
    ///
    /// A driver that hears it of an attempt in flight takes it for a change of that whole family. To a race
    /// it is, of a single attempt, a failure as any other.
    SourceGone,
    /// TCP connected, and TLS failed: for a stack whose `connect` ends with the TLS handshake.
    Tls(TlsFailure),
    /// This machine does not have the source address that the program asked for.
    NoSourceAddress,
    /// The socket could not be set up as the program asked: an option of it could not be set, or the program
    /// itself said no. Which it was, the stack's own number says, which the stack documents: connie-std
    /// in its `SetupStep`.
    Setup(u8),
    /// Anything else. The stack's [number](AttemptError::number) may tell more.
    Other,
}

impl AttemptError {
    /// An error of this kind, without a number.
    #[must_use]
    pub const fn new(kind: AttemptErrorKind) -> Self {
        AttemptError { kind, number: 0 }
    }

    /// The same with the number of the stack's own error: `errno` on Unix, the WSA code on Windows. 0 is
    /// none.
    #[must_use]
    pub const fn with_number(self, number: i32) -> Self {
        AttemptError { number, ..self }
    }

    /// What kind of thing happened.
    #[must_use]
    pub const fn kind(self) -> AttemptErrorKind {
        self.kind
    }

    /// The number that the stack's own error has: `errno` on Unix, the WSA code on Windows. `None` where the
    /// stack has no numbers, and where no call of the stack's failed: the race's own time ran out, TLS
    /// failed.
    #[must_use]
    pub const fn number(self) -> Option<i32> {
        match self.number {
            0 => None,
            number => Some(number),
        }
    }

    /// The kind's [name](AttemptErrorKind::name).
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.kind.name()
    }

    /// How much it says about a host whose addresses have failed in different ways: see
    /// [`AttemptErrorKind::precedence`].
    #[must_use]
    pub const fn precedence(self) -> u8 {
        self.kind.precedence()
    }
}

impl From<AttemptErrorKind> for AttemptError {
    fn from(kind: AttemptErrorKind) -> Self {
        AttemptError::new(kind)
    }
}

impl PartialEq<AttemptErrorKind> for AttemptError {
    fn eq(&self, kind: &AttemptErrorKind) -> bool {
        self.kind == *kind
    }
}

impl AttemptErrorKind {
    /// The name that the JSON timeline uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AttemptErrorKind::Refused => "refused",
            AttemptErrorKind::Unreachable => "unreachable",
            AttemptErrorKind::TimedOut => "timed_out",
            AttemptErrorKind::Reset => "reset",
            AttemptErrorKind::OutOfSockets => "out_of_sockets",
            AttemptErrorKind::SourceGone => "source_gone",
            AttemptErrorKind::Tls(failure) if failure.is_certificate() => "bad_certificate",
            AttemptErrorKind::Tls(_) => "tls_failed",
            AttemptErrorKind::StackGone | AttemptErrorKind::NoSourceAddress | AttemptErrorKind::Other => {
                "other"
            }
            AttemptErrorKind::Setup(_) => "setup",
        }
    }

    /// How much it tells about a host whose addresses have failed in different ways, from 0, the most: that a
    /// machine refused, which is there; that TLS failed, a bad certificate before all else; that nothing
    /// answered; that there is no route; then anything else, which concerns one address or about
    /// this side only. [`Timeline::most_telling`](crate::Timeline::most_telling) uses it.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            AttemptErrorKind::Refused => 0,
            AttemptErrorKind::Tls(failure) if failure.is_certificate() => 1,
            AttemptErrorKind::Tls(_) => 2,
            AttemptErrorKind::TimedOut => 3,
            AttemptErrorKind::Unreachable => 4,
            _ => 5,
        }
    }
}

impl fmt::Display for AttemptErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttemptErrorKind::Refused => "connection refused",
            AttemptErrorKind::Unreachable => "unreachable",
            AttemptErrorKind::TimedOut => "timed out",
            AttemptErrorKind::Reset => "connection reset",
            AttemptErrorKind::OutOfSockets => "no socket left",
            AttemptErrorKind::StackGone => "the network is down",
            AttemptErrorKind::SourceGone => "this machine's address has changed",
            AttemptErrorKind::Tls(failure) => return fmt::Display::fmt(failure, f),
            AttemptErrorKind::NoSourceAddress => {
                "this machine does not have the source address that was asked for"
            }
            AttemptErrorKind::Setup(_) => "the socket could not be set up",
            AttemptErrorKind::Other => "failed",
        })
    }
}

impl fmt::Display for AttemptError {
    /// The kind's words, and the number where they say nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)?;
        match (self.kind, self.number()) {
            (AttemptErrorKind::Other, Some(number)) => write!(f, " with error {}", Signed(number)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.kind, f)?;
        match self.number() {
            Some(number) => write!(f, " ({number})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for AttemptError {}

/// Prints as an `i32`, in little code.
pub(crate) struct Signed(pub(crate) i32);

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 < 0 { "-" } else { "" })?;
        Number(self.0.unsigned_abs().into()).fmt(f)
    }
}

/// Why TLS failed on a TCP connection that was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server's certificate is no longer valid.
    CertificateExpired,
    /// The server's certificate is not valid yet.
    CertificateNotYetValid,
    /// The server's certificate was not issued by an authority that is trusted here.
    CertificateUntrusted,
    /// The server's certificate is for other names.
    CertificateName,
    /// The server's certificate was revoked.
    CertificateRevoked,
    /// The server's certificate is wrong in another way: malformed, badly signed, or for another use.
    CertificateInvalid,
    /// What the server sent is not TLS.
    NotTls,
    /// The server and this side have no version, cipher suite or key exchange in common.
    Incompatible,
    /// The server ended it with this alert (RFC 8446 section 6).
    Alert(u8),
    /// The server closed the connection within the handshake.
    ClosedEarly,
    /// The server closed the connection and did not say that this was the end of what it had to send. RFC
    /// 8446 section 6.1: what follows may have been cut off by an attacker.
    Truncated,
    /// The server broke the rules of TLS.
    Protocol,
    /// This side could not do its part.
    Local,
}

impl TlsFailure {
    /// Whether the fault is the server's certificate.
    #[must_use]
    pub const fn is_certificate(self) -> bool {
        matches!(
            self,
            TlsFailure::CertificateExpired
                | TlsFailure::CertificateNotYetValid
                | TlsFailure::CertificateUntrusted
                | TlsFailure::CertificateName
                | TlsFailure::CertificateRevoked
                | TlsFailure::CertificateInvalid
        )
    }

    const fn text(self) -> &'static str {
        match self {
            TlsFailure::CertificateExpired => "certificate expired",
            TlsFailure::CertificateNotYetValid => "certificate not valid yet",
            TlsFailure::CertificateUntrusted => "certificate not issued by a trusted authority",
            TlsFailure::CertificateName => "certificate not valid for this name",
            TlsFailure::CertificateRevoked => "certificate revoked",
            TlsFailure::CertificateInvalid => "invalid certificate",
            TlsFailure::NotTls => "the server does not speak TLS",
            TlsFailure::Incompatible => "no TLS version or cipher suite in common",
            TlsFailure::Alert(_) => "TLS refused by the server",
            TlsFailure::ClosedEarly => "connection closed within the TLS handshake",
            TlsFailure::Truncated => "connection closed without a TLS close_notify",
            TlsFailure::Protocol => "the server broke the rules of TLS",
            TlsFailure::Local => "TLS failed on this side",
        }
    }
}

impl fmt::Display for TlsFailure {
    /// What is wrong, in one line, with the alert's name as RFC 8446 section 6 has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match *self {
            TlsFailure::Alert(code) => match alert_name(code) {
                Some(name) => write!(f, ": {}", Text(name)),
                None => write!(f, ": alert {}", Number(u64::from(code))),
            },
            _ => Ok(()),
        }
    }
}

impl core::error::Error for TlsFailure {}

/// RFC 8446 section 6, and RFC 5246 section 7.2 for what only TLS 1.2 has.
const fn alert_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return None,
    })
}

/// How an attempt ended.
///
/// Every attempt ends in one of these four ways, so a program may match on all of them: what grows is
/// [`AttemptErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AttemptOutcome {
    /// It completed its handshake first: the winner.
    Established,
    /// It failed like this.
    Failed(AttemptErrorKind),
    /// It was given up because the race had ended.
    Canceled,
    /// It was given up only to lend its socket to a destination that waited.
    Evicted,
}

impl AttemptOutcome {
    /// The name that the JSON timeline uses: one of `established`, `refused`, `unreachable`, `timed_out`,
    /// `reset`, `canceled`, `evicted`, `out_of_sockets`, `source_gone`, `bad_certificate`, `tls_failed`,
    /// `setup`, `other`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AttemptOutcome::Established => "established",
            AttemptOutcome::Failed(error) => error.name(),
            AttemptOutcome::Canceled => "canceled",
            AttemptOutcome::Evicted => "evicted",
        }
    }
}

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttemptOutcome::Failed(error) => error.fmt(f),
            other => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::ToString;

    #[test]
    fn an_error_is_small() {
        // Every record keeps the kind.
        assert_eq!((size_of::<AttemptError>(), size_of::<Option<AttemptOutcome>>()), (8, 2));
    }

    #[test]
    fn every_kind_can_have_any_number() {
        let kinds = [
            AttemptErrorKind::Refused,
            AttemptErrorKind::Other,
            AttemptErrorKind::Tls(TlsFailure::Alert(40)),
        ];
        for kind in kinds {
            assert_eq!(AttemptError::new(kind).number(), None);
            for number in [1, 111, 10_061, i32::MAX, -1, i32::MIN] {
                let error = AttemptError::new(kind).with_number(number);
                assert_eq!((error.kind(), error.number()), (kind, Some(number)));
                assert!(error == kind && error != AttemptError::new(kind));
            }
            assert_eq!(AttemptError::new(kind).with_number(0), AttemptError::new(kind), "0 is none");
        }
    }

    #[test]
    fn the_number_is_said_where_the_kind_says_nothing() {
        let text = |kind: AttemptErrorKind| AttemptError::new(kind).with_number(95).to_string();
        assert_eq!(text(AttemptErrorKind::Refused), "connection refused");
        assert_eq!(text(AttemptErrorKind::Other), "failed with error 95");
        assert_eq!(AttemptError::from(AttemptErrorKind::Other).to_string(), "failed");
        let debug = |number| format!("{:?}", AttemptError::new(AttemptErrorKind::Reset).with_number(number));
        assert_eq!((debug(0), debug(104)), ("Reset".to_string(), "Reset (104)".to_string()));
    }

    #[test]
    fn a_tls_failure_reads_as_one_line() {
        let text = |failure| AttemptErrorKind::Tls(failure).to_string();
        assert_eq!(text(TlsFailure::CertificateExpired), "certificate expired");
        assert_eq!(text(TlsFailure::Alert(40)), "TLS refused by the server: handshake_failure");
        assert_eq!(text(TlsFailure::Alert(7)), "TLS refused by the server: alert 7");
    }

    /// RFC 8446 appendix B.2, without what is reserved there.
    const ALERTS: &str = "close_notify(0), unexpected_message(10), bad_record_mac(20), record_overflow(22), \
        handshake_failure(40), bad_certificate(42), unsupported_certificate(43), certificate_revoked(44), \
        certificate_expired(45), certificate_unknown(46), illegal_parameter(47), unknown_ca(48), access_denied(49), \
        decode_error(50), decrypt_error(51), protocol_version(70), insufficient_security(71), internal_error(80), \
        inappropriate_fallback(86), user_canceled(90), missing_extension(109), unsupported_extension(110), \
        unrecognized_name(112), bad_certificate_status_response(113), unknown_psk_identity(115), \
        certificate_required(116), no_application_protocol(120)";

    #[test]
    fn every_alert_has_the_name_that_the_standard_gives_it() {
        for code in 0..=u8::MAX {
            let number = format!("({code})");
            let listed = ALERTS.split(", ").find_map(|alert| alert.strip_suffix(number.as_str()));
            assert_eq!(alert_name(code), listed, "{code}");
        }
    }

    #[test]
    fn an_attempt_is_known_by_its_number() {
        assert_eq!(AttemptId(7).to_string(), "#7");
    }

    #[test]
    fn the_timeline_tells_a_socket_that_could_not_be_set_up() {
        assert_eq!(AttemptErrorKind::Setup(6).name(), "setup");
        assert_eq!(super::AttemptOutcome::Failed(AttemptErrorKind::Setup(6)).name(), "setup");
    }

    #[test]
    fn the_timeline_tells_a_bad_certificate_from_other_tls_trouble() {
        let name = |failure| AttemptErrorKind::Tls(failure).name();
        assert_eq!(name(TlsFailure::CertificateName), "bad_certificate");
        assert_eq!((name(TlsFailure::NotTls), name(TlsFailure::Alert(42))), ("tls_failed", "tls_failed"));
    }
}
