//! What can be seen of a race. Nothing here changes it.

use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use core::time::Duration;

use super::plan::PlanSteps;
use super::{Destination, DestinationIndex, Failure, Family, Guide, Plan, PlanRequest, Race, RacePhase};
use crate::time::{Instant, NEVER};
use crate::timeline::{AttemptRecord, Summary, Timeline};

impl<const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, G: Guide>
    Race<DESTINATIONS, SOCKETS, RECORDS, G>
{
    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        let recorded = self.records.as_slice();
        let summary = Summary {
            start: self.start,
            resolved: self.resolved.map(|at| at.duration_since(self.start)),
            ended: self.ended.map(|at| at.duration_since(self.start)),
            failure: self.failure(),
            max_in_flight: usize::from(self.peak_in_flight).max(self.in_flight.len()),
            attempts: self.records.started(),
            omitted_attempts: self.records.started().saturating_sub(recorded.len() as u32),
            omitted_destinations: self.destinations.omitted().into(),
        };
        Timeline::from_parts(summary, self.destinations.as_slice(), recorded)
    }

    /// Whether the race has ended, or ends with the next poll at `now`.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        !self.is_racing() || self.deadline.is_some_and(|deadline| deadline <= self.now.max(now))
    }

    /// Why the race has ended without a connection.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.phase {
            RacePhase::Lost(failure) => Some(failure),
            RacePhase::Racing | RacePhase::Won { .. } => None,
        }
    }

    /// The addresses that the race was given, and what has become of each: those of its
    /// [`timeline`](Race::timeline).
    #[must_use]
    pub fn destinations(&self) -> &[Destination] {
        self.destinations.as_slice()
    }

    /// Whether `family`'s answer is still to come.
    pub(crate) fn is_open(&self, family: Family) -> bool {
        self.resolution.is_open(family)
    }

    /// Whether there are addresses of `family` to go on with, and no answer is to come.
    pub(crate) fn is_answered(&self, family: Family) -> bool {
        self.resolution.is_answered(family)
    }

    /// Whether no first answer is to come.
    pub(crate) fn is_resolved(&self) -> bool {
        self.resolution.is_complete()
    }

    /// How many attempts are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// `k`: an attempt starts only while fewer than this many are in flight. Shrinks when the stack runs out
    /// of sockets, and by [`limit_to`](Race::limit_to) and [`pause`](Race::pause); grows by
    /// [`grow_to`](Race::grow_to) alone.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight.into()
    }

    /// How many sockets its plan has a use for at `now`, those of attempts in flight included, and when it
    /// has one for more. `None` where that is as many as there are addresses, as without a plan. For a caller
    /// that takes sockets from others when they are needed, and not before.
    #[must_use]
    pub fn sockets_by_plan(&self, now: Instant) -> Option<(usize, Instant)> {
        let mut steps = self.guide.steps()?.clone();
        let (now, possible) = (self.now.max(now), self.resolved?);
        let is_open = !self.resolution.is_complete();
        if !self.pace.is_all_at_once() {
            return None;
        }
        let mut sockets = self.in_flight.len();
        for _ in 0..self.destinations.waiting() {
            let next = steps.earliest(now, possible, is_open);
            if next > now {
                return Some((sockets.max(1), next));
            }
            steps.started(now);
            sockets = sockets.saturating_add(1);
        }
        None
    }

    /// When the race began.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// How long the race has run, or ran.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.ended.unwrap_or(self.now).duration_since(self.start)
    }

    /// Feeds `state` all that decides what the race does from here on, and nothing of what it did: two races
    /// that are equal in this do the same from now on. For tools that explore the states of a race.
    #[doc(hidden)]
    pub fn fingerprint(&self, state: &mut impl Hasher) {
        // Ids are sequential, so they are left out.
        for attempt in &self.in_flight {
            (attempt.place, attempt.started, attempt.gives_up).hash(state);
        }
        matches!(self.phase, RacePhase::Won { .. }).hash(state);
        matches!(self.phase, RacePhase::Lost(_)).hash(state);
        (&self.resolution, &self.destinations, self.settings.preferred_family).hash(state);
        (self.max_in_flight, self.begun, self.pace.fingerprint(), self.now).hash(state);
        self.guide.hash(state);
        if self.guide.steps().is_some() {
            self.resolved.hash(state);
        }
    }

    /// What a plan for it has to know.
    pub(crate) fn prospect(&self) -> PlanRequest {
        PlanRequest {
            is_grouped: self.pace.is_staggered(),
            is_open: !self.resolution.is_complete(),
            patience: self.settings.patience,
            sockets: self.max_in_flight,
            left: self.deadline.unwrap_or(NEVER).micros_since(self.now),
            preferred: self.settings.preferred_family,
            explores: self.guide.steps().is_some_and(PlanSteps::explores),
        }
    }

    /// The addresses that wait for their first attempt, in the order in which a race that starts them one by
    /// one does so by `plan`. For a program that hands them to another client.
    pub fn in_order<'a>(
        &'a self,
        plan: &'a Plan<DESTINATIONS>,
    ) -> impl Iterator<Item = SocketAddr> + use<'a, DESTINATIONS, SOCKETS, RECORDS, G> {
        let preferred = plan.times.first.unwrap_or(self.settings.preferred_family);
        let count = self.settings.first_address_family_count;
        let is_grouped = self.pace.is_staggered();
        let mut left = self.destinations.clone();
        core::iter::from_fn(move || {
            let place = left.next_by(preferred, count, is_grouped, &plan.turns)?;
            let next = left.get(place).filter(|next| next.is_untried())?.address();
            left.start(place, preferred);
            Some(next)
        })
    }

    /// How far apart its attempts start without a plan, in microseconds; `None` where each waits for the end
    /// of the one before.
    pub(crate) fn delay(&self) -> Option<u32> {
        self.pace.delay()
    }

    /// When it ended, in microseconds since it began, for as long as a record goes.
    pub(crate) fn ended(&self) -> Option<u32> {
        let ended = self.ended?;
        Some(u32::try_from(ended.micros_since(self.start)).unwrap_or(u32::MAX))
    }

    /// Its attempts, in the order of their start.
    pub(crate) fn attempts(&self) -> &[AttemptRecord] {
        self.records.as_slice()
    }

    /// How many attempts it has started.
    pub(crate) fn started(&self) -> u32 {
        self.records.started()
    }

    /// The destinations that wait for their first attempt.
    pub(crate) fn fresh(&self) -> impl Iterator<Item = (DestinationIndex, &Destination)> {
        // A table holds at most 255 destinations, see the assertion in `Race::new`.
        let places = self.destinations.as_slice().iter().enumerate();
        places
            .map(|(index, entry)| (index as DestinationIndex, entry))
            .filter(|(_, entry)| entry.is_untried())
    }
}
