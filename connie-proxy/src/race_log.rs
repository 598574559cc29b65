//! The last races, those still running, and totals over all races: for each family of addresses, and in
//! comparison with other clients.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connie_std::Report;
use connie_std::connie_core::{AttemptOutcome, Family};
use tokio::time::Instant;

use crate::comparison::{Comparison, Expense};
use crate::refusal::Refusal;

/// A race that has ended.
#[derive(Clone)]
pub(crate) struct PastRace {
    /// Counts up from 0.
    pub(crate) number: u64,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) ended: Instant,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) report: Option<Report>,
    pub(crate) comparison: Option<Comparison>,
}

/// A race that is still running.
#[derive(Clone)]
pub(crate) struct RunningRace {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) began: Instant,
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

/// How much the races saved against another client, over those that could be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) races: u64,
    pub(crate) attempts: i64,
    pub(crate) micros: i64,
}

impl Saved {
    fn count(&mut self, own: Expense, other: Option<Expense>) {
        let Some(other) = other else { return };
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.races += 1;
        self.attempts += i64::from(other.attempts) - i64::from(own.attempts);
        self.micros = self.micros.saturating_add(micros(other.time).saturating_sub(micros(own.time)));
    }
}

/// The races of a proxy. It keeps the last `most` of them; with 0 it keeps nothing.
pub(crate) struct RaceLog {
    /// Tells it from another log whose races have the same numbers, such as that of the proxy before a
    /// restart.
    id: u64,
    most: usize,
    state: Mutex<LogState>,
}

#[derive(Default)]
struct LogState {
    races: VecDeque<PastRace>,
    running: BTreeMap<u64, RunningRace>,
    families: [FamilyCounts; 2],
    saved: [Saved; 2],
    begun: u64,
    ended: u64,
}

/// What a log shows.
pub(crate) struct LogView {
    /// The latest first.
    pub(crate) races: Vec<PastRace>,
    /// The oldest first.
    pub(crate) running: Vec<RunningRace>,
    /// Against Happy Eyeballs, and against one address after the other.
    pub(crate) saved: [Saved; 2],
}

/// Keeps a race among the running ones until it is dropped.
pub(crate) struct RaceEntry<'a> {
    log: &'a RaceLog,
    number: u64,
}

impl Drop for RaceEntry<'_> {
    fn drop(&mut self) {
        if self.log.most > 0 {
            self.log.state().running.remove(&self.number);
        }
    }
}

impl RaceLog {
    /// A log that keeps the last `most` races.
    pub(crate) fn new(most: usize) -> Self {
        RaceLog { id: RandomState::new().hash_one(()), most, state: Mutex::default() }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a race that begins. Its host is kept where there is a `name`.
    pub(crate) fn begin(&self, name: Option<(&str, u16)>) -> RaceEntry<'_> {
        if self.most == 0 {
            return RaceEntry { log: self, number: 0 };
        }
        let (host, port) = kept(name);
        let mut state = self.state();
        let number = state.begun;
        state.begun += 1;
        state.running.insert(number, RunningRace { host, port, began: Instant::now() });
        RaceEntry { log: self, number }
    }

    /// Takes note of a race that has ended and, if its client got no connection, of why. Names are kept where
    /// there is a `name`.
    pub(crate) fn note(&self, name: Option<(&str, u16)>, report: Option<&Report>, refusal: Option<Refusal>) {
        if self.most == 0 {
            return;
        }
        let (host, port) = kept(name);
        let mut state = self.state();
        // Only connections that the client could use are compared.
        let comparison = report.filter(|_| refusal.is_none()).and_then(|report| {
            let earlier = state.races.iter().rev().filter_map(|race| race.report.as_ref());
            Comparison::of(report, earlier)
        });
        let ended = Instant::now();
        let number = state.ended;
        state.ended += 1;
        state.count(report, comparison);
        if state.races.len() >= self.most {
            state.races.pop_front();
        }
        let report = report.cloned().map(|it| if name.is_some() { it } else { it.without_names() });
        state.races.push_back(PastRace { number, host, port, ended, refusal, report, comparison });
    }

    /// The last races that have ended, and those still running.
    pub(crate) fn view(&self) -> LogView {
        let state = self.state();
        LogView {
            races: state.races.iter().rev().cloned().collect(),
            running: state.running.values().take(self.most).cloned().collect(),
            saved: state.saved,
        }
    }

    /// How many have begun, have ended and are running. While these stay the same, so do the races.
    pub(crate) fn revision(&self) -> (u64, u64, usize) {
        let state = self.state();
        (state.begun, state.ended, state.running.len())
    }

    /// The counts of IPv4 and of IPv6.
    pub(crate) fn families(&self) -> [FamilyCounts; 2] {
        self.state().families
    }
}

impl LogState {
    fn count(&mut self, report: Option<&Report>, comparison: Option<Comparison>) {
        for attempt in report.iter().flat_map(|report| report.timeline().attempts()) {
            let [v4, v6] = &mut self.families;
            let counts = if attempt.family == Family::V4 { v4 } else { v6 };
            counts.count(attempt.outcome);
        }
        if let Some(Comparison { own, happy_eyeballs, one_by_one }) = comparison {
            let [eyeballs, one] = &mut self.saved;
            eyeballs.count(own, happy_eyeballs);
            one.count(own, one_by_one);
        }
    }
}

/// A host and a port as they are kept. The host came from a client, and is shown in terminals and pages:
/// control characters, and those that change the order of others, are escaped.
fn kept(name: Option<(&str, u16)>) -> (String, u16) {
    let Some((host, port)) = name else { return (String::new(), 0) };
    let mut kept = String::with_capacity(host.len());
    for c in host.chars() {
        match c.is_control() || turns_text(c) {
            true => kept.extend(c.escape_unicode()),
            false => kept.push(c),
        }
    }
    (kept, port)
}

/// Whether a character is invisible and changes how others are shown: Unicode's format characters for
/// direction (UAX #9), joining and separation.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_std::connie_core::AttemptErrorKind;
    use connie_std::dns::Dns;
    use connie_std::{ConnectError, Memory, Options};

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

    fn refused() -> ConnectError {
        connie_std::connect("127.0.0.1:1", &Options::new()).unwrap_err()
    }

    #[test]
    fn without_a_name_nothing_that_is_kept_says_one() {
        let log = RaceLog::new(2);
        // With no server to ask, every lookup fails.
        let options = Options::new().resolver(Dns::new([]));
        let error = connie_std::connect("secret.test:80", &options).unwrap_err();
        let refusal = Some(Refusal::of(&error));
        log.note(None, error.report(), refusal);
        log.note(Some(("secret.test", 80)), error.report(), refusal);
        let kept = |race: &PastRace| format!("{:?} {}", race.report, race.host);
        let kept: Vec<_> = log.view().races.iter().map(kept).collect();
        assert!(kept[0].contains("secret") && !kept[1].contains("secret"), "{kept:?}");
        assert!(log.view().races.iter().all(|race| race.report.is_some()));
    }

    #[test]
    fn what_is_of_no_use_to_its_client_saves_nothing() {
        let log = RaceLog::new(2);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let options = Options::new().memory(Memory::new());
        let won = connie_std::connect(listener.local_addr().unwrap(), &options).unwrap();
        log.note(None, Some(won.report()), Some(Refusal::Loop));
        let view = log.view();
        assert_eq!((view.races[0].refusal, view.saved), (Some(Refusal::Loop), [Saved::default(); 2]));
        log.note(None, Some(won.report()), None);
        assert_eq!(log.view().saved.map(|saved| saved.races), [1, 1]);
    }

    #[test]
    fn no_more_races_are_kept_than_it_is_to_keep() {
        let log = RaceLog::new(64);
        let error = refused();
        for port in 0..100 {
            log.note(Some(("a", port)), error.report(), Some(Refusal::of(&error)));
        }
        let races = log.view().races;
        assert_eq!((races.len(), races[0].port, races[0].number, &*races[0].host), (64, 99, 99, "a"));
        log.note(None, error.report(), Some(Refusal::Refused));
        let races = log.view().races;
        assert_eq!((&*races[0].host, races[0].port), ("", 0));
    }

    #[test]
    fn where_none_is_to_be_kept_nothing_is() {
        let log = RaceLog::new(0);
        let error = refused();
        let entry = log.begin(Some(("a", 1)));
        log.note(Some(("a", 1)), error.report(), Some(Refusal::of(&error)));
        let LogView { races, running, saved } = log.view();
        assert_eq!((races.len(), running.len(), saved), (0, 0, [Saved::default(); 2]));
        assert_eq!((log.families(), log.revision()), ([FamilyCounts::default(); 2], (0, 0, 0)));
        drop(entry);
    }

    #[test]
    fn a_race_is_seen_while_it_runs() {
        let log = RaceLog::new(2);
        let entries: Vec<_> = (1..=3).map(|port| log.begin(Some(("a", port)))).collect();
        let ports = |log: &RaceLog| log.view().running.iter().map(|race| race.port).collect::<Vec<_>>();
        assert_eq!((ports(&log), log.revision()), (vec![1, 2], (3, 0, 3)));
        drop(entries);
        assert_eq!((ports(&log), log.revision()), (vec![], (3, 0, 0)));
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let shown = |host| kept(Some((host, 1))).0;
        assert_eq!(shown("a\u{1b}[2J\u{9b}b\u{7f}"), "a\\u{1b}[2J\\u{9b}b\\u{7f}");
        assert_eq!(shown("moc.\u{202e}elpmaxe\u{2069}\u{200b}"), "moc.\\u{202e}elpmaxe\\u{2069}\\u{200b}");
        assert_eq!(shown("bücher.example<b>\"'"), "bücher.example<b>\"'");
    }
}
