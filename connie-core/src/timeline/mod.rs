//! What a race did: a bounded record of its attempts, the view of it that the outside reads, and its prints.

mod json;
mod last;
mod qlog;
mod waterfall;

use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;

pub use json::Json;
pub(crate) use json::{OrNull, Quoted};
pub use last::LastRace;
pub use qlog::Qlog;
pub use waterfall::{Style, Waterfall};

use crate::empty::empty;
use crate::race::{AttemptError, AttemptOutcome, Destination, DestinationIndex, Failure, Family};
use crate::time::Instant;

/// One attempt, as the record keeps it. Times are microseconds since the race's start and stop at 71 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    pub(crate) started: u32,
    pub(crate) ended: u32,
    pub(crate) place: DestinationIndex,
    hedge: bool,
    pub(crate) outcome: Option<AttemptOutcome>,
}

impl AttemptRecord {
    /// Whether the attempt is in flight.
    pub(crate) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// How long it ran, in microseconds; 0 while it is in flight.
    pub(crate) fn ran(&self) -> u32 {
        self.ended.saturating_sub(self.started)
    }
}

/// One attempt of a race, from [`Timeline::attempts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Attempt {
    /// Where it went.
    pub destination: SocketAddr,
    /// The destination's family.
    pub family: Family,
    /// When it started, counted from the race's start. Stops at 71 minutes, as all times here.
    pub started: Duration,
    /// When it ended, counted from the race's start; `None` while it is in flight.
    pub ended: Option<Duration>,
    /// How it ended; `None` while it is in flight.
    pub outcome: Option<AttemptOutcome>,
    /// The [number](AttemptError::number) of the error that it ended with, where there is one and no later
    /// attempt on its destination has failed: a race keeps numbers with the destinations, and of other
    /// attempts the kind alone.
    pub number: Option<i32>,
    /// Whether it was a second attempt beside one that had outstayed its patience.
    pub hedge: bool,
}

/// The facts of a race that belong to no single attempt.
///
/// The default is that of a race which was created at [`Instant::ZERO`] and has done nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Summary {
    /// When the race was created, on the caller's clock.
    pub start: Instant,
    /// When the first usable address was there, counted from the start.
    pub resolved: Option<Duration>,
    /// When the race ended, counted from the start; `None` while it runs.
    pub ended: Option<Duration>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// The most attempts that were in flight at the same time.
    pub max_in_flight: usize,
    /// How many attempts were started in all.
    pub attempts: u32,
    /// How many of them are no longer in the record, because it was full or their address made room for
    /// another. Those in flight are never lost, and what became of each address in the race is kept: see
    /// [`Timeline::destinations`].
    pub omitted_attempts: u32,
    /// How many addresses found no room in the race, or had failed and made room for others.
    pub omitted_destinations: usize,
}

/// What a race did, as a view that costs nothing: from [`Race::timeline`](crate::Race::timeline).
///
/// It prints as a [waterfall](Timeline::waterfall), as [JSON](Timeline::json) and as [qlog](Timeline::qlog).
#[derive(Clone, Copy, Debug)]
pub struct Timeline<'a> {
    summary: Summary,
    destinations: &'a [Destination],
    records: &'a [AttemptRecord],
}

impl<'a> Timeline<'a> {
    /// The view of parts that were kept longer than their race: see [`parts`](Timeline::parts).
    #[must_use]
    pub fn from_parts(
        summary: Summary,
        destinations: &'a [Destination],
        records: &'a [AttemptRecord],
    ) -> Self {
        Timeline { summary, destinations, records }
    }

    /// What the view is made of, for an adapter that keeps a timeline when the race is gone.
    #[must_use]
    pub fn parts(&self) -> (Summary, &'a [Destination], &'a [AttemptRecord]) {
        (self.summary, self.destinations, self.records)
    }

    /// The facts that belong to no single attempt.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Every destination with what became of it, in the order of arrival. Errors are kept here with their
    /// numbers, whatever the record has room for.
    pub fn destinations(&self) -> impl ExactSizeIterator<Item = &'a Destination> + Clone + use<'a> {
        self.destinations.iter()
    }

    /// The failed destination that stands for all, in an error of one kind: the one whose error
    /// [tells most](AttemptError::precedence), of equals the first. `None` where none has failed.
    #[must_use]
    pub fn most_telling(&self) -> Option<(SocketAddr, AttemptError)> {
        let failed = self.destinations().filter_map(|it| it.error().map(|error| (it.address(), error)));
        failed.min_by_key(|(_, error)| error.precedence())
    }

    /// The attempts in the order of their start.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + Clone + use<'a> {
        let Timeline { destinations, records, .. } = *self;
        records.iter().filter_map(move |record| {
            let destination = destinations.get(usize::from(record.place))?;
            Some(Attempt {
                destination: destination.address(),
                family: destination.family(),
                started: Duration::from_micros(record.started.into()),
                ended: record.outcome.map(|_| Duration::from_micros(record.ended.into())),
                outcome: record.outcome,
                number: number(record, destination, records),
                hedge: record.hedge,
            })
        })
    }

    /// The attempt that won, if one has.
    #[must_use]
    pub fn winner(&self) -> Option<Attempt> {
        self.attempts().find(|attempt| matches!(attempt.outcome, Some(AttemptOutcome::Established)))
    }
}

/// The number that the destination has for the attempt's error; none where it is, or may be, that of another
/// attempt.
fn number(record: &AttemptRecord, destination: &Destination, records: &[AttemptRecord]) -> Option<i32> {
    let error = destination.error()?;
    let failed = |record: &AttemptRecord| matches!(record.outcome, Some(AttemptOutcome::Failed(_)));
    let mut beside =
        records.iter().filter(|other| !core::ptr::eq(*other, record) && other.place == record.place);
    let is_last = !beside.any(|other| failed(other) && other.ended >= record.ended);
    let is_its =
        is_last && matches!(record.outcome, Some(AttemptOutcome::Failed(kind)) if kind == error.kind());
    error.number().filter(|_| is_its)
}

/// The record itself: at most `R` attempts. When it is full the oldest that was evicted goes first, then the
/// oldest that has ended; one in flight never goes.
#[derive(Clone, Debug)]
pub(crate) struct Records<const R: usize> {
    records: Vec<AttemptRecord, R>,
    /// How many attempts were started in all.
    started: u32,
}

impl<const R: usize> Records<R> {
    pub(crate) fn new() -> Self {
        Records { records: empty(), started: 0 }
    }

    pub(crate) fn as_slice(&self) -> &[AttemptRecord] {
        &self.records
    }

    pub(crate) fn started(&self) -> u32 {
        self.started
    }

    /// The index that makes room for one more record; `None` where there is room.
    pub(crate) fn surplus(&self) -> Option<usize> {
        if !self.records.is_full() {
            return None;
        }
        let oldest = |wanted: fn(&AttemptRecord) -> bool| self.records.iter().position(wanted);
        oldest(|record| matches!(record.outcome, Some(AttemptOutcome::Evicted)))
            .or_else(|| oldest(|record| record.outcome.is_some()))
    }

    /// The first record of an attempt on the destination at `place`.
    pub(crate) fn of(&self, place: DestinationIndex) -> Option<usize> {
        self.records.iter().position(|record| record.place == place)
    }

    /// Forgets a record. Indexes above it move down by one.
    pub(crate) fn forget(&mut self, index: usize) {
        let Some([forgotten, later @ ..]) = self.records.get_mut(index..) else { return };
        for record in later.iter_mut().rev() {
            core::mem::swap(forgotten, record);
        }
        self.records.pop();
    }

    /// Records the start of an attempt `at` microseconds after the race's start, and answers its index.
    pub(crate) fn start(&mut self, place: DestinationIndex, hedge: bool, at: u64) -> u16 {
        self.started = self.started.saturating_add(1);
        let started = u32::try_from(at).unwrap_or(u32::MAX);
        let index = self.records.len();
        let record = AttemptRecord { started, ended: started, place, hedge, outcome: None };
        let pushed = self.records.push(record);
        // The race makes room first, and the record holds more than can be in flight.
        debug_assert!(pushed.is_ok());
        // `Race::new` asserts that a record has at most 65,535 entries.
        index as u16
    }

    /// Records the end of an attempt.
    pub(crate) fn end(&mut self, index: u16, at: u64, outcome: AttemptOutcome) {
        let Some(record) = self.records.get_mut(usize::from(index)) else { return };
        debug_assert!(record.outcome.is_none(), "an attempt ends exactly once");
        record.ended = u32::try_from(at).unwrap_or(u32::MAX).max(record.started);
        record.outcome = Some(outcome);
    }
}
