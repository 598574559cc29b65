//! When resolution lets the race start.
//!
//! A pure record: the race tells it what has come, and asks it whether the first attempt may start.

use super::{Families, Family};
use crate::time::Instant;

/// What has become of the query for one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// No answer yet.
    Pending,
    /// No answer yet, but addresses to go on with, first at this moment.
    Hinted(Instant),
    /// Answered with at least one address, first at this moment.
    Positive(Instant),
    /// Answered without an address, failed, or never asked.
    Negative,
}

/// When the first attempt may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
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
    /// RFC 8305 section 3: the preferred family's answer, for at most this many microseconds after the other's.
    ResolutionDelay(u32),
    /// All answers.
    AllAnswers,
}

/// The state of resolution.
#[derive(Clone, Debug, Hash)]
pub(super) struct Resolution {
    families: Families,
    v4: Answer,
    v6: Answer,
}

impl Resolution {
    pub(super) fn new(families: Families) -> Self {
        let asked = |family| if families.allow(family) { Answer::Pending } else { Answer::Negative };
        Resolution { families, v4: asked(Family::V4), v6: asked(Family::V6) }
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
        let answer = self.answer_mut(family);
        *answer = match (positive, *answer) {
            (true, Answer::Positive(since) | Answer::Hinted(since)) => Answer::Positive(since),
            (true, _) => Answer::Positive(now),
            (false, _) => Answer::Negative,
        };
    }

    /// Records hints for `family`, which has not answered.
    pub(super) fn record_hint(&mut self, family: Family, positive: bool, now: Instant) {
        let answer = self.answer_mut(family);
        *answer = match (positive, *answer) {
            (true, Answer::Hinted(since)) => Answer::Hinted(since),
            (true, _) => Answer::Hinted(now),
            (false, _) => Answer::Pending,
        };
    }

    /// Whether `family`'s answer is outstanding.
    pub(super) fn is_open(&self, family: Family) -> bool {
        matches!(self.answer(family), Answer::Pending | Answer::Hinted(_))
    }

    /// Whether `family` has nothing but hints.
    pub(super) fn is_hinted(&self, family: Family) -> bool {
        matches!(self.answer(family), Answer::Hinted(_))
    }

    fn answer(&self, family: Family) -> Answer {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    fn answer_mut(&mut self, family: Family) -> &mut Answer {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// Whether no first answer is outstanding.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_open(Family::V4) && !self.is_open(Family::V6)
    }

    /// Whether a race whose first choice is `preferred` may start.
    pub(super) fn gate(&self, rule: StartRule, preferred: Family, now: Instant) -> Gate {
        if self.is_complete() {
            return Gate::Open;
        }
        match (rule, self.answer(preferred), self.answer(preferred.other())) {
            (StartRule::FirstAnswer, Answer::Positive(_) | Answer::Hinted(_), _) => Gate::Open,
            (StartRule::FirstAnswer, _, Answer::Positive(_) | Answer::Hinted(_)) => Gate::Open,
            // On a positive AAAA response "the first IPv6 connection attempt is immediately started" (RFC 8305 section 3).
            // "Clients MAY use A and AAAA records [...] or ipv4hint and ipv6hint" (RFC 9460 section 7.3): a hint is as good.
            (StartRule::ResolutionDelay(_), Answer::Positive(_) | Answer::Hinted(_), _) => Gate::Open,
            (StartRule::ResolutionDelay(_), Answer::Negative, Answer::Hinted(_)) => Gate::Open,
            // On a positive A response "the client SHOULD wait a short time for the AAAA response to ensure that
            // preference is given to IPv6" (same place).
            (
                StartRule::ResolutionDelay(delay),
                Answer::Pending,
                Answer::Positive(since) | Answer::Hinted(since),
            ) => {
                let opens = since.plus_micros(u64::from(delay));
                if opens <= now { Gate::Open } else { Gate::OpensAt(opens) }
            }
            _ => Gate::Closed,
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
        let mut resolution = Resolution::new(Families::Both);
        resolution.record(Family::V6, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), Gate::Open);
        assert!(!resolution.is_complete());
    }

    #[test]
    fn the_other_family_waits_for_the_resolution_delay() {
        let mut resolution = Resolution::new(Families::Both);
        resolution.record(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(59)), Gate::OpensAt(at(60)));
        assert_eq!(resolution.gate(RULE, Family::V6, at(60)), Gate::Open);
        assert_eq!(resolution.gate(StartRule::FirstAnswer, Family::V6, at(10)), Gate::Open);
        assert_eq!(resolution.gate(StartRule::AllAnswers, Family::V6, at(60)), Gate::Closed);
    }

    #[test]
    fn a_negative_answer_ends_the_wait() {
        let mut resolution = Resolution::new(Families::Both);
        resolution.record(Family::V6, false, at(5));
        assert_eq!(resolution.gate(RULE, Family::V6, at(5)), Gate::Closed);
        resolution.record(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), Gate::Open);
    }

    #[test]
    fn a_second_answer_does_not_restart_the_wait() {
        let mut resolution = Resolution::new(Families::Both);
        resolution.record(Family::V4, true, at(10));
        resolution.record(Family::V4, true, at(40));
        assert_eq!(resolution.gate(RULE, Family::V6, at(40)), Gate::OpensAt(at(60)));
    }

    #[test]
    fn a_hint_opens_as_an_answer_does_and_ends_no_wait() {
        let mut resolution = Resolution::new(Families::Both);
        resolution.record_hint(Family::V4, true, at(10));
        assert_eq!(resolution.gate(RULE, Family::V6, at(10)), Gate::OpensAt(at(60)));
        resolution.record(Family::V6, false, at(20));
        assert_eq!(resolution.gate(RULE, Family::V6, at(20)), Gate::Open);
        assert_eq!(resolution.gate(StartRule::AllAnswers, Family::V6, at(20)), Gate::Closed);
        assert!(!resolution.is_complete());
        resolution.record(Family::V4, false, at(30));
        assert!(resolution.is_complete());
    }

    #[test]
    fn a_family_that_is_not_allowed_is_not_waited_for() {
        let mut resolution = Resolution::new(Families::Only(Family::V4));
        assert!(!resolution.is_complete());
        resolution.record(Family::V4, true, at(10));
        assert!(resolution.is_complete());
    }
}
