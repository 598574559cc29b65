//! When resolution lets the race start.
//!
//! It only keeps a record: the race reports what has come, and asks whether the first attempt may start.

use super::{Families, Family};
use crate::time::Instant;

/// What has become of the query for one family.
#[derive(Clone, Copy, Debug, Hash)]
struct AnswerState {
    /// Whether it is outstanding.
    open: bool,
    /// Whether there are addresses to go on with, be they hints.
    usable: bool,
    /// Where there are, when the first of them came.
    since: Instant,
}

impl AnswerState {
    /// Takes note that there are addresses, or that there are none any more.
    fn update(&mut self, positive: bool, now: Instant) {
        if !self.usable {
            self.since = now;
        }
        self.usable = positive;
    }
}

/// When the first attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartGate {
    /// Now.
    Open,
    /// At this moment, or when the other family answers.
    OpensAt(Instant),
    /// When an answer comes.
    Closed,
}

/// How much of resolution the start of a race waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartRule {
    /// The first usable answer.
    FirstAnswer,
    /// RFC 8305 section 3: the preferred family's answer, for at most this many microseconds after the
    /// other's.
    ResolutionDelay(u32),
    /// All answers.
    AllAnswers,
}

/// The state of resolution.
#[derive(Clone, Debug, Hash)]
pub(super) struct FamilyAnswers {
    families: Families,
    v4: AnswerState,
    v6: AnswerState,
}

impl FamilyAnswers {
    pub(super) fn new(families: Families) -> Self {
        let asked =
            |family| AnswerState { open: families.allow(family), usable: false, since: Instant::ZERO };
        FamilyAnswers { families, v4: asked(Family::V4), v6: asked(Family::V6) }
    }

    /// Those of `families` whose answer is of use; `None` where none is.
    pub(super) fn wanted(&self, families: Families) -> Option<Families> {
        match (self.families, families) {
            (Families::Both, any) | (any, Families::Both) => Some(any),
            (allowed, asked) if allowed == asked => Some(asked),
            _ => None,
        }
    }

    /// Records the newest answer for `family`.
    pub(super) fn record(&mut self, family: Family, positive: bool, now: Instant) {
        self.record_hint(family, positive, now);
        self.close(family);
    }

    /// Records hints for `family`, which has not answered.
    pub(super) fn record_hint(&mut self, family: Family, positive: bool, now: Instant) {
        self.answer_mut(family).update(positive, now);
    }

    /// Records that `family` has no answer to come. What it has brought stays.
    pub(super) fn close(&mut self, family: Family) {
        self.answer_mut(family).open = false;
    }

    /// Whether `family`'s answer is outstanding.
    pub(super) fn is_open(&self, family: Family) -> bool {
        self.answer(family).open
    }

    /// Whether `family` has addresses, and no answer to come.
    pub(super) fn is_answered(&self, family: Family) -> bool {
        let answer = self.answer(family);
        answer.usable && !answer.open
    }

    fn answer(&self, family: Family) -> &AnswerState {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn answer_mut(&mut self, family: Family) -> &mut AnswerState {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Whether no first answer is outstanding.
    pub(super) fn is_complete(&self) -> bool {
        !self.v4.open && !self.v6.open
    }

    /// Whether a race whose first choice is `preferred` may start.
    pub(super) fn gate(&self, rule: StartRule, preferred: Family, now: Instant) -> StartGate {
        if self.is_complete() {
            return StartGate::Open;
        }
        let (first, other) = (self.answer(preferred), self.answer(preferred.other()));
        match rule {
            StartRule::FirstAnswer if first.usable || other.usable => StartGate::Open,
            // On a positive AAAA response "the first IPv6 connection attempt is immediately started" (RFC
            // 8305 section 3). "Clients MAY use A and AAAA records [...] or ipv4hint and ipv6hint" (RFC 9460
            // section 7.3): a hint is as good.
            StartRule::ResolutionDelay(_) if first.usable => StartGate::Open,
            // On a positive A response "the client SHOULD wait a short time for the AAAA response to ensure
            // that preference is given to IPv6" (same place).
            StartRule::ResolutionDelay(delay) if other.usable => {
                let opens = other.since.plus_micros(u64::from(delay));
                if !first.open || opens <= now { StartGate::Open } else { StartGate::OpensAt(opens) }
            }
            _ => StartGate::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: StartRule = StartRule::ResolutionDelay(50_000);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn the_preferred_family_starts_at_once() {
        let mut resolution = FamilyAnswers::new(Families::Both);
        resolution.record(Family::V6, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), StartGate::Open);
        assert!(!resolution.is_complete());
    }

    #[test]
    fn the_other_family_waits_for_the_resolution_delay() {
        let mut resolution = FamilyAnswers::new(Families::Both);
        resolution.record(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(59)), StartGate::OpensAt(at(60)));
        assert_eq!(resolution.gate(RULE, Family::V6, at(60)), StartGate::Open);
        assert_eq!(resolution.gate(StartRule::FirstAnswer, Family::V6, at(10)), StartGate::Open);
        assert_eq!(resolution.gate(StartRule::AllAnswers, Family::V6, at(60)), StartGate::Closed);
    }

    #[test]
    fn a_negative_answer_ends_the_wait() {
        let mut resolution = FamilyAnswers::new(Families::Both);
        resolution.record(Family::V6, false, at(5));
        assert_eq!(resolution.gate(RULE, Family::V6, at(5)), StartGate::Closed);
        resolution.record(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), StartGate::Open);
    }

    #[test]
    fn a_second_answer_does_not_restart_the_wait() {
        let mut resolution = FamilyAnswers::new(Families::Both);
        resolution.record(Family::V4, true, at(10));
        resolution.record(Family::V4, true, at(40));
        assert_eq!(resolution.gate(RULE, Family::V6, at(40)), StartGate::OpensAt(at(60)));
    }

    #[test]
    fn a_hint_opens_as_an_answer_does_and_ends_no_wait() {
        let mut resolution = FamilyAnswers::new(Families::Both);
        resolution.record_hint(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), StartGate::OpensAt(at(60)));
        resolution.record(Family::V6, false, at(20));
        assert_eq!(resolution.gate(RULE, Family::V6, at(20)), StartGate::Open);
        assert_eq!(resolution.gate(StartRule::AllAnswers, Family::V6, at(20)), StartGate::Closed);
        assert!(!resolution.is_complete());
        resolution.record(Family::V4, false, at(30));
        assert!(resolution.is_complete());
    }

    #[test]
    fn a_family_that_is_not_allowed_is_not_waited_for() {
        let mut resolution = FamilyAnswers::new(Families::Only(Family::V4));
        assert!(!resolution.is_complete());
        resolution.record(Family::V4, true, at(10));
        assert!(resolution.is_complete());
    }

    #[test]
    fn an_answer_is_of_use_as_far_as_its_family_is_allowed() {
        let (both, v4, v6) = (Families::Both, Families::Only(Family::V4), Families::Only(Family::V6));
        let of_use = |allowed, answered| FamilyAnswers::new(allowed).wanted(answered);
        for families in [both, v4, v6] {
            assert_eq!(of_use(both, families), Some(families));
            assert_eq!(of_use(families, both), Some(families));
            assert_eq!(of_use(families, families), Some(families));
        }
        assert_eq!((of_use(v4, v6), of_use(v6, v4)), (None, None));
    }
}
