//! Keeps the timeline of the last race beside a memory, or without one.

use core::cell::{Cell, RefCell};

use super::recall::sealed;
use super::{Finish, Network, Recall, Remember};
use crate::race::{Input, Output, Race};
use crate::time::Instant;
use crate::timeline::{LastRace, Timeline};

/// The memory `M`, which may be [`NoMemory`](super::NoMemory), and a place where the timeline of the last
/// race is kept. For an adapter whose races are gone when it returns. The memory does what it would do by
/// itself.
///
/// Of several races at the same time, the one that ends last is kept.
#[derive(Debug)]
pub struct Recorded<'l, M, const DESTINATIONS: usize, const RECORDS: usize> {
    memory: M,
    last: &'l RefCell<LastRace<DESTINATIONS, RECORDS>>,
    is_kept: Cell<bool>,
}

impl<'l, M, const DESTINATIONS: usize, const RECORDS: usize> Recorded<'l, M, DESTINATIONS, RECORDS> {
    /// `memory`, with `last` as the place for the last race.
    #[must_use]
    pub const fn new(memory: M, last: &'l RefCell<LastRace<DESTINATIONS, RECORDS>>) -> Self {
        Recorded { memory, last, is_kept: Cell::new(false) }
    }

    /// The memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    fn keep(&self, timeline: &Timeline<'_>) {
        // While the owner reads the one before, that one stays.
        if let (false, Ok(mut last)) = (self.is_kept.replace(true), self.last.try_borrow_mut()) {
            last.keep(timeline);
        }
    }
}

impl<M, const D: usize, const DESTINATIONS: usize, const RECORDS: usize> Remember<D>
    for Recorded<'_, M, DESTINATIONS, RECORDS>
where
    M: Remember<D>,
{
    type Guide = M::Guide;
    type Recall<'a>
        = Recorded<'a, M::Recall<'a>, DESTINATIONS, RECORDS>
    where
        Self: 'a;

    fn recall_to<'h>(
        &self,
        finish: Finish,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> Self::Recall<'_> {
        Recorded::new(self.memory.recall_to(finish, hosts, network), self.last)
    }
}

impl<M, const D: usize, const DESTINATIONS: usize, const RECORDS: usize> Recall<D>
    for Recorded<'_, M, DESTINATIONS, RECORDS>
where
    M: Recall<D>,
{
}

impl<M, const D: usize, const DESTINATIONS: usize, const RECORDS: usize> sealed::Recall<D>
    for Recorded<'_, M, DESTINATIONS, RECORDS>
where
    M: Recall<D>,
{
    type Guide = M::Guide;

    fn plan<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, M::Guide>, now: Instant) {
        self.memory.plan(race, now);
    }

    fn learn<const K: usize, const R: usize>(&self, race: &Race<D, K, R, M::Guide>, now: Instant) {
        self.memory.learn(race, now);
        self.keep(&race.timeline());
    }

    fn stop<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, M::Guide>, now: Instant) {
        self.memory.stop(race, now);
        if !self.is_kept.get() {
            // Without a memory, nothing has ended the race yet.
            race.handle_input(Input::Cancel, now);
            while let Output::CancelAttempt { .. } = race.poll_output(now) {}
        }
        self.keep(&race.timeline());
    }

    fn moved(&mut self, network: &Network) {
        self.memory.moved(network);
    }
}
