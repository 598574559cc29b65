//! What a lookup reports of each family, and when; with a search list, of the name that counts.
//!
//! No socket and no clock: [`FamilyAnswers`] is given what is known, and has the events for the caller. All
//! that happens to the DNS client's knowledge of a family happens here.
//!
//! ```text
//! A family      unasked      asked ──its query ends──▶ open ──▶ answered ◀─┐ service records
//!                              └──────────────────────────────▶ failed ────┘ bring more
//! ```
//!
//! 1. **Each family ends once**, with an answer or a failure. Where service records (RFC 9460) bring more or
//!    other destinations later, it is answered again.
//! 2. **Until then there are hints**: destinations of service records that are known before the answer are
//!    reported as such.
//! 3. **An answer is kept open for service records** that are still to come, for [`SERVICE_WAIT`] at most: it
//!    is reported as hints, so that the race goes on with what is known, and does not fail before it has seen
//!    where else the service is. So is an empty answer, or a failure, of the last family where no other has
//!    an address. What was reported is not taken back, and a name that does not exist has no records of any
//!    kind (RFC 8020 section 2).
//! 4. **A name counts** when one of its families has an address, be it a hint; when a name server was silent
//!    or could not be reached, since it will not answer for the next name either; and when it is the only
//!    one.
//! 5. **Nothing is reported of a name before it counts.** What it lacks is held back until then.
//! 6. **The search goes on** when all families of a name have ended and it does not count. Where no name
//!    does, what is reported is what was held back of the first that exists, and otherwise of the last.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Families, Family, Instant};

use crate::resolve::{FamilyAddresses, ResolveEvent, ResolverError};

/// How long the answer of a family stays open for what a service record may add.
pub(super) const SERVICE_WAIT: Duration = Duration::from_secs(1);

/// What is known of both families, and the events that it makes.
pub(super) struct FamilyAnswers {
    /// IPv6 before IPv4, of the name that is tried.
    states: [FamilyState; 2],
    families: Families,
    /// Until when answers stay open.
    open_until: Option<Instant>,
    /// Whether the name that is tried counts.
    counts: bool,
    /// What there is to report of it.
    events: VecDeque<ResolveEvent>,
    /// The events of the first name that exists, and has no address.
    first_existing: Option<VecDeque<ResolveEvent>>,
}

#[derive(Debug, PartialEq, Eq)]
enum FamilyState {
    Unasked,
    /// There is no answer yet. These were reported as hints.
    Asked(Vec<SocketAddr>),
    /// The answer is there, or the failure, and is kept open. These were reported as hints.
    Open(Vec<SocketAddr>),
    /// With these, or with none.
    Answered(Vec<SocketAddr>),
    Failed,
}

/// What is known of a family.
pub(super) struct FamilyFinding<'a> {
    /// Of service records and of the answer.
    pub(super) destinations: Vec<SocketAddr>,
    /// How its query has ended: with the time that the answer holds, or by a failure. `None` while it goes
    /// on.
    pub(super) end: Option<Result<Option<Duration>, &'a ResolverError>>,
}

impl FamilyAnswers {
    /// Nothing is known of `families` yet. Of an only name everything is reported as it comes.
    pub(super) fn new(families: Families, is_only_name: bool) -> Self {
        FamilyAnswers {
            states: asked(families),
            families,
            open_until: None,
            counts: is_only_name,
            events: VecDeque::new(),
            first_existing: None,
        }
    }

    /// The next event for the caller.
    pub(super) fn next_event(&mut self) -> Option<ResolveEvent> {
        if self.counts { self.events.pop_front() } else { None }
    }

    /// Records a service record, which changes nothing.
    pub(super) fn record(&mut self, event: ResolveEvent) {
        self.events.push_back(event);
    }

    /// Records what is known of `family`. `records` is whether service records are still to come.
    pub(super) fn update(&mut self, family: Family, finding: FamilyFinding<'_>, records: bool, now: Instant) {
        let FamilyFinding { destinations, end } = finding;
        let Some(end) = end else { return self.hint(family, destinations, FamilyState::Asked) };
        let exists = !matches!(end, Err(error) if error.kind == QueryError::NoSuchName);
        if exists && records && self.stays_open(family, destinations.is_empty(), now) {
            return self.hint(family, destinations, FamilyState::Open);
        }
        let state = match end {
            Err(_) if destinations.is_empty() => FamilyState::Failed,
            _ => FamilyState::Answered(destinations.clone()),
        };
        if *self.state(family) == state {
            return;
        }
        let event = match end {
            Err(error) if state == FamilyState::Failed => {
                ResolveEvent::Failed { family, error: error.clone() }
            }
            end => ResolveEvent::Answered(answer(family, destinations, end.ok().flatten())),
        };
        *self.state(family) = state;
        self.emit(event);
    }

    /// Rules 2 and 3: reports destinations to go on with, where there are new ones.
    fn hint(
        &mut self,
        family: Family,
        destinations: Vec<SocketAddr>,
        next: fn(Vec<SocketAddr>) -> FamilyState,
    ) {
        let state = self.state(family);
        let (FamilyState::Asked(hints) | FamilyState::Open(hints)) = state else { return };
        if destinations.is_empty() || *hints == destinations {
            let hints = std::mem::take(hints);
            *state = next(hints);
            return;
        }
        *state = next(destinations.clone());
        self.emit(ResolveEvent::Hinted(answer(family, destinations, None)));
    }

    /// Rule 3.
    fn stays_open(&mut self, family: Family, is_empty: bool, now: Instant) -> bool {
        if !matches!(self.state(family), FamilyState::Asked(_) | FamilyState::Open(_)) {
            return false;
        }
        let has_none = match self.state(family.other()) {
            FamilyState::Unasked | FamilyState::Failed => true,
            FamilyState::Answered(destinations) => destinations.is_empty(),
            FamilyState::Asked(_) | FamilyState::Open(_) => false,
        };
        (!is_empty || has_none) && now < *self.open_until.get_or_insert(now + SERVICE_WAIT)
    }

    /// Rules 4 and 5.
    fn emit(&mut self, event: ResolveEvent) {
        self.counts |= match &event {
            ResolveEvent::Answered(answer) | ResolveEvent::Hinted(answer) => !answer.addresses.is_empty(),
            ResolveEvent::Failed { error, .. } => {
                matches!(error.kind, QueryError::TimedOut | QueryError::Unreachable)
            }
            ResolveEvent::Service(_) => false,
        };
        self.events.push_back(event);
    }

    /// Rule 6: whether the name that is tried has ended and does not count. Then it goes on to the
    /// [next](Self::try_next), or there is [none](Self::finish).
    pub(super) fn is_without_address(&self) -> bool {
        let is_out = |state: &FamilyState| matches!(state, FamilyState::Asked(_) | FamilyState::Open(_));
        !self.counts && !self.states.iter().any(is_out)
    }

    /// Another name is tried.
    pub(super) fn try_next(&mut self) {
        let events = std::mem::take(&mut self.events);
        let exists = events.iter().any(|event| matches!(event, ResolveEvent::Answered(_)));
        self.first_existing = self.first_existing.take().or(exists.then_some(events));
        self.states = asked(self.families);
        self.open_until = None;
    }

    /// There is no other name to try.
    pub(super) fn finish(&mut self) {
        if let Some(events) = self.first_existing.take() {
            self.events = events;
        }
        self.counts = true;
    }

    /// When an answer is no longer kept open, where one is.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let is_open = |state: &FamilyState| matches!(state, FamilyState::Open(_));
        self.open_until.filter(|_| self.states.iter().any(is_open))
    }

    fn state(&mut self, family: Family) -> &mut FamilyState {
        let [v6, v4] = &mut self.states;
        match family {
            Family::V6 => v6,
            Family::V4 => v4,
        }
    }
}

fn asked(families: Families) -> [FamilyState; 2] {
    [Family::V6, Family::V4].map(|family| match families.allow(family) {
        true => FamilyState::Asked(Vec::new()),
        false => FamilyState::Unasked,
    })
}

fn answer(family: Family, addresses: Vec<SocketAddr>, ttl: Option<Duration>) -> FamilyAddresses {
    FamilyAddresses { family, addresses, ttl, ordered: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: &str = "";

    fn list(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    /// An [`FamilyAnswers`] with whether service records are to come, and the time.
    struct WatchedAnswers {
        answers: FamilyAnswers,
        records: bool,
        millis: u64,
    }

    impl WatchedAnswers {
        fn new(families: Families, is_only_name: bool) -> Self {
            WatchedAnswers { answers: FamilyAnswers::new(families, is_only_name), records: false, millis: 0 }
        }

        fn update(&mut self, family: Family, known: &str, end: Option<Result<Option<Duration>, QueryError>>) {
            let error = end.and_then(Result::err).map(ResolverError::from);
            let end = end.map(|end| end.map_err(|_| error.as_ref().unwrap()));
            let finding = FamilyFinding { destinations: list(known), end };
            self.answers.update(family, finding, self.records, Instant::from_millis(self.millis));
        }

        fn waits(&mut self, family: Family, hints: &str) {
            self.update(family, hints, None);
        }

        fn answers(&mut self, family: Family, addresses: &str) {
            self.update(family, addresses, Some(Ok(None)));
        }

        fn fails(&mut self, family: Family, error: QueryError) {
            self.update(family, NOBODY, Some(Err(error)));
        }

        /// `6 ? 2001:db8::1` for hints, `6 = 2001:db8::1` for an answer, `6 !` for a failure.
        #[track_caller]
        fn reports(&mut self, expected: &[&str]) {
            let mut reported = Vec::new();
            while let Some(event) = self.answers.next_event() {
                let (family, sign, addresses) = match event {
                    ResolveEvent::Answered(answer) => (answer.family, "=", answer.addresses),
                    ResolveEvent::Hinted(answer) => (answer.family, "?", answer.addresses),
                    ResolveEvent::Failed { family, .. } => (family, "!", Vec::new()),
                    ResolveEvent::Service(record) => panic!("{record}"),
                };
                let digit = if family == Family::V4 { "4" } else { "6" };
                let ips = addresses.iter().map(|address| format!(" {}", address.ip())).collect::<String>();
                reported.push(format!("{digit} {sign}{ips}"));
            }
            assert_eq!(reported, expected);
        }
    }

    use Family::{V4, V6};

    #[test]
    fn a_family_is_answered_when_its_answer_comes_and_once() {
        let mut name = WatchedAnswers::new(Families::Both, true);
        name.waits(V6, NOBODY);
        name.answers(V4, "192.0.2.1");
        name.reports(&["4 = 192.0.2.1"]);
        name.fails(V6, QueryError::ServerFailure);
        name.answers(V4, "192.0.2.1");
        name.reports(&["6 !"]);
        name.fails(V6, QueryError::ServerFailure);
        name.reports(&[]);
        assert!(!name.answers.is_without_address());
    }

    #[test]
    fn destinations_of_service_records_are_hints_until_the_answer() {
        let mut name = WatchedAnswers::new(Families::Both, true);
        name.waits(V6, "2001:db8::9");
        name.waits(V6, "2001:db8::9");
        name.reports(&["6 ? 2001:db8::9"]);
        name.waits(V6, NOBODY);
        name.waits(V6, "2001:db8::9");
        name.reports(&[]);
        name.answers(V6, "2001:db8::9");
        name.reports(&["6 = 2001:db8::9"]);
        name.waits(V6, "2001:db8::8");
        name.reports(&[]);
        name.answers(V6, "2001:db8::9 2001:db8::1");
        name.reports(&["6 = 2001:db8::9 2001:db8::1"]);
    }

    #[test]
    fn an_answer_stays_open_for_service_records_for_a_second() {
        let mut name = WatchedAnswers::new(Families::Both, true);
        name.records = true;
        name.waits(V6, NOBODY);
        name.answers(V4, "192.0.2.1");
        name.reports(&["4 ? 192.0.2.1"]);
        assert_eq!(name.answers.wake_at(), Some(Instant::from_millis(1_000)));
        name.millis = 999;
        name.answers(V6, "2001:db8::1");
        name.answers(V4, "192.0.2.1");
        name.reports(&["6 ? 2001:db8::1"]);
        name.millis = 1_000;
        name.answers(V6, "2001:db8::1");
        name.answers(V4, "192.0.2.1");
        name.reports(&["6 = 2001:db8::1", "4 = 192.0.2.1"]);
        assert_eq!(name.answers.wake_at(), None);
    }

    #[test]
    fn the_last_empty_answer_stays_open_and_no_other() {
        let mut name = WatchedAnswers::new(Families::Both, true);
        name.records = true;
        name.answers(V6, NOBODY);
        name.reports(&["6 ="]);
        name.fails(V4, QueryError::ServerFailure);
        name.reports(&[]);
        assert!(name.answers.wake_at().is_some());
        name.records = false;
        name.fails(V4, QueryError::ServerFailure);
        name.reports(&["4 !"]);
        // A name that does not exist has no service records either.
        let mut name = WatchedAnswers::new(Families::Only(V4), true);
        name.records = true;
        name.fails(V4, QueryError::NoSuchName);
        name.reports(&["4 !"]);
        let mut name = WatchedAnswers::new(Families::Only(V4), true);
        name.records = true;
        name.fails(V4, QueryError::ServerFailure);
        name.reports(&[]);
    }

    #[test]
    fn what_a_name_lacks_is_held_back_until_it_counts() {
        for hints in [false, true] {
            let mut name = WatchedAnswers::new(Families::Both, false);
            name.answers(V6, NOBODY);
            name.reports(&[]);
            assert!(!name.answers.is_without_address());
            match hints {
                true => name.waits(V4, "192.0.2.1"),
                false => name.answers(V4, "192.0.2.1"),
            }
            name.reports(&["6 =", if hints { "4 ? 192.0.2.1" } else { "4 = 192.0.2.1" }]);
            assert!(!name.answers.is_without_address());
        }
    }

    #[test]
    fn a_search_does_not_go_on_where_a_server_is_silent() {
        for error in [QueryError::TimedOut, QueryError::Unreachable] {
            let mut name = WatchedAnswers::new(Families::Both, false);
            name.fails(V6, error);
            name.reports(&["6 !"]);
            name.answers(V4, NOBODY);
            name.reports(&["4 ="]);
            assert!(!name.answers.is_without_address());
        }
    }

    #[test]
    fn a_search_goes_on_from_a_name_without_addresses() {
        let mut names = WatchedAnswers::new(Families::Both, false);
        names.fails(V6, QueryError::NoSuchName);
        assert!(!names.answers.is_without_address());
        names.fails(V4, QueryError::NoSuchName);
        names.reports(&[]);
        assert!(names.answers.is_without_address());
        names.answers.try_next();
        assert!(!names.answers.is_without_address());
        names.waits(V6, NOBODY);
        names.answers(V4, "192.0.2.1");
        names.answers(V6, NOBODY);
        names.reports(&["4 = 192.0.2.1", "6 ="]);
    }

    #[test]
    fn of_names_without_addresses_the_first_that_exists_is_reported() {
        let mut names = WatchedAnswers::new(Families::Both, false);
        let lacks = |names: &mut WatchedAnswers, v6: Option<QueryError>, v4: Option<QueryError>| {
            for (family, error) in [(V6, v6), (V4, v4)] {
                match error {
                    Some(error) => names.fails(family, error),
                    None => names.answers(family, NOBODY),
                }
            }
            assert!(names.answers.is_without_address());
        };
        lacks(&mut names, Some(QueryError::NoSuchName), Some(QueryError::NoSuchName));
        names.answers.try_next();
        lacks(&mut names, Some(QueryError::ServerFailure), None);
        names.answers.try_next();
        lacks(&mut names, None, None);
        names.answers.try_next();
        lacks(&mut names, Some(QueryError::NoSuchName), Some(QueryError::NoSuchName));
        names.answers.finish();
        names.reports(&["6 !", "4 ="]);
        // None exists: the last.
        let mut names = WatchedAnswers::new(Families::Both, false);
        lacks(&mut names, Some(QueryError::NoSuchName), Some(QueryError::NoSuchName));
        names.answers.try_next();
        lacks(&mut names, Some(QueryError::Refused), Some(QueryError::NoSuchName));
        names.answers.finish();
        names.reports(&["6 !", "4 !"]);
        assert!(!names.answers.is_without_address());
    }
}
