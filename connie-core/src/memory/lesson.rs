//! What the end of an attempt teaches: the table of all ways in which one can end.

use super::key::Finish;
use crate::race::{AttemptErrorKind, AttemptOutcome, TlsFailure};

/// What an attempt teaches about its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// It answered after so long.
    Sample,
    /// It is not there.
    Failure,
    /// It is there, and of no use to this host.
    FailureOfHost,
    /// It had not answered by then: it is slower than that, or not there.
    Silence,
    Nothing,
}

/// No packet comes back sooner from beyond this machine: an attempt that finds no route in less failed by
/// this machine's own routing table.
const SOONEST_PACKET: u32 = 200;

impl Lesson {
    /// What an attempt to `finish` teaches that ended like this after `ran` microseconds. `cut_short` is
    /// whether the end of its race was what ended it.
    pub(super) fn of(outcome: AttemptOutcome, finish: Finish, ran: u32, cut_short: bool) -> Self {
        use AttemptErrorKind as Kind;
        match outcome {
            AttemptOutcome::Established => Lesson::Sample,
            // Lent its socket to another, which is its race's affair.
            AttemptOutcome::Evicted => Lesson::Nothing,
            AttemptOutcome::Canceled => Lesson::Silence,
            AttemptOutcome::Failed(Kind::TimedOut) if cut_short => Lesson::Silence,
            AttemptOutcome::Failed(Kind::Unreachable) if ran < SOONEST_PACKET => Lesson::Nothing,
            // Who answers a SYN with one refuses: this one came later, in the handshake of TLS.
            AttemptOutcome::Failed(Kind::Reset) if finish == Finish::Tls => Lesson::FailureOfHost,
            AttemptOutcome::Failed(Kind::Refused | Kind::Unreachable | Kind::TimedOut | Kind::Reset) => {
                Lesson::Failure
            }
            // A wrong name or an untrusted issuer is between the host and its caller.
            AttemptOutcome::Failed(Kind::Tls(failure)) if failure.is_certificate() => Lesson::Nothing,
            AttemptOutcome::Failed(Kind::Tls(TlsFailure::Local)) => Lesson::Nothing,
            AttemptOutcome::Failed(Kind::Tls(_)) => Lesson::FailureOfHost,
            AttemptOutcome::Failed(
                Kind::OutOfSockets
                | Kind::StackGone
                | Kind::SourceGone
                | Kind::NoSourceAddress
                | Kind::Setup(_)
                | Kind::Other,
            ) => Lesson::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which an attempt can end, learnt or not. A new one does not compile without a line in
    /// `Lesson::of`.
    #[test]
    fn every_end_of_an_attempt() {
        use AttemptErrorKind as Kind;
        for (outcome, lesson) in [
            (AttemptOutcome::Established, Lesson::Sample),
            (AttemptOutcome::Canceled, Lesson::Silence),
            (AttemptOutcome::Evicted, Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Refused), Lesson::Failure),
            (AttemptOutcome::Failed(Kind::Unreachable), Lesson::Failure),
            (AttemptOutcome::Failed(Kind::TimedOut), Lesson::Failure),
            (AttemptOutcome::Failed(Kind::Reset), Lesson::Failure),
            (AttemptOutcome::Failed(Kind::OutOfSockets), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::StackGone), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::SourceGone), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::NoSourceAddress), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Setup(1)), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Other), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Tls(TlsFailure::CertificateName)), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Tls(TlsFailure::CertificateExpired)), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Tls(TlsFailure::Alert(40))), Lesson::FailureOfHost),
            (AttemptOutcome::Failed(Kind::Tls(TlsFailure::Local)), Lesson::Nothing),
            (AttemptOutcome::Failed(Kind::Tls(TlsFailure::NotTls)), Lesson::FailureOfHost),
        ] {
            for finish in [Finish::Tcp, Finish::Tls] {
                let lesson = match (outcome, finish) {
                    (AttemptOutcome::Failed(Kind::Reset), Finish::Tls) => Lesson::FailureOfHost,
                    _ => lesson,
                };
                assert_eq!(Lesson::of(outcome, finish, 30_000, false), lesson, "{outcome}");
            }
        }
    }

    /// "Unreachable (by a packet)": no route, no address of the family, an interface that is down are this
    /// machine's.
    #[test]
    fn no_route_is_told_from_a_routers_word_by_its_time() {
        let unreachable = AttemptOutcome::Failed(AttemptErrorKind::Unreachable);
        for (micros, lesson) in [(0, Lesson::Nothing), (199, Lesson::Nothing), (200, Lesson::Failure)] {
            assert_eq!(Lesson::of(unreachable, Finish::Tcp, micros, false), lesson, "{micros}");
        }
    }

    #[test]
    fn the_deadline_of_a_race_is_no_failure_of_an_address() {
        let timed_out = AttemptOutcome::Failed(AttemptErrorKind::TimedOut);
        assert_eq!(Lesson::of(timed_out, Finish::Tcp, 1_000_000, true), Lesson::Silence);
    }
}
