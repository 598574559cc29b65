//! The last races, and what all of them came to for each family of addresses.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use connie_std::connie_core::{AttemptOutcome, Family};
use connie_std::{ConnectError, Report};
use tokio::time::Instant;

use crate::refusal::Refusal;

/// So many races are kept.
const RACES: usize = 64;

/// A race that has ended.
#[derive(Clone)]
pub(crate) struct PastRace {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) ended: Instant,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) report: Option<Report>,
}

impl PastRace {
    pub(crate) fn age(&self) -> Duration {
        self.ended.elapsed()
    }
}

/// What came of the attempts on addresses of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyCounts {
    /// Attempts, each of which sends a SYN.
    pub attempts: u64,
    /// Those that won.
    pub won: u64,
    /// Those that failed. The rest was given up because another one had won.
    pub failed: u64,
    /// How many have failed since one has won.
    pub failed_in_a_row: u64,
}

impl FamilyCounts {
    /// Whether the family seems to be broken between this machine and everyone: the last five attempts and
    /// more have failed.
    #[must_use]
    pub fn seems_broken(&self) -> bool {
        self.failed_in_a_row >= 5
    }

    fn count(&mut self, outcome: Option<AttemptOutcome>) {
        self.attempts += 1;
        match outcome {
            Some(AttemptOutcome::Established) => {
                self.won += 1;
                self.failed_in_a_row = 0;
            }
            Some(AttemptOutcome::Failed(_)) => {
                self.failed += 1;
                self.failed_in_a_row += 1;
            }
            _ => {}
        }
    }
}

/// The last races of a proxy.
#[derive(Default)]
pub(crate) struct RaceLog(Mutex<LogState>);

#[derive(Default)]
struct LogState {
    races: VecDeque<PastRace>,
    families: [FamilyCounts; 2],
}

impl RaceLog {
    /// Takes note of a race that has ended. Its host is kept where there is a `name`.
    pub(crate) fn note(&self, name: Option<(&str, u16)>, result: Result<&Report, (&ConnectError, Refusal)>) {
        let (report, refusal) = match result {
            Ok(report) => (Some(report), None),
            Err((error, refusal)) => (error.report(), Some(refusal)),
        };
        let (host, port) = name.unwrap_or(("", 0));
        // It came from a client, and may end on a terminal.
        let host = host.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let past = PastRace { host, port, ended: Instant::now(), refusal, report: report.cloned() };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for attempt in report.iter().flat_map(|report| report.timeline().attempts()) {
            let [v4, v6] = &mut state.families;
            let counts = if attempt.family == Family::V4 { v4 } else { v6 };
            counts.count(attempt.outcome);
        }
        if state.races.len() == RACES {
            state.races.pop_front();
        }
        state.races.push_back(past);
    }

    /// The last races, the latest first.
    pub(crate) fn races(&self) -> Vec<PastRace> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.races.iter().rev().cloned().collect()
    }

    /// Of IPv4 and of IPv6.
    pub(crate) fn families(&self) -> [FamilyCounts; 2] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).families
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_std::connie_core::AttemptErrorKind;

    #[test]
    fn a_family_is_broken_when_all_fail() {
        let mut counts = FamilyCounts::default();
        for _ in 0..4 {
            counts.count(Some(AttemptOutcome::Failed(AttemptErrorKind::TimedOut)));
            counts.count(Some(AttemptOutcome::Canceled));
        }
        assert!(!counts.seems_broken());
        counts.count(Some(AttemptOutcome::Failed(AttemptErrorKind::Unreachable)));
        assert!(counts.seems_broken());
        counts.count(Some(AttemptOutcome::Established));
        assert!(!counts.seems_broken());
        assert_eq!((counts.attempts, counts.won, counts.failed), (10, 1, 5));
    }

    #[test]
    fn no_more_races_are_kept_than_there_is_room_for() {
        let log = RaceLog::default();
        let error = connie_std::connect("127.0.0.1:1", &connie_std::Options::new()).unwrap_err();
        for port in 0..100 {
            log.note(Some(("a\u{1b}\u{9b}b", port)), Err((&error, Refusal::of(&error))));
        }
        let races = log.races();
        assert_eq!((races.len(), races[0].port, &*races[0].host), (RACES, 99, "a??b"));
        log.note(None, Err((&error, Refusal::Refused)));
        assert_eq!((&*log.races()[0].host, log.races()[0].port), ("", 0));
    }
}
