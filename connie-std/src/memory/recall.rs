//! What one race has of a memory: its plan when addresses are known, and what it has taught at its end. In between it holds no lock.

use std::net::SocketAddr;

use connie_core::Instant;
use connie_core::memory::{Finish, Network, Visit};
use connie_core::race::{Plan, PlannedRace};

use super::Memory;
use super::visited::Visited;
use crate::clock::OsClock;
use crate::options::{MAX_DESTINATIONS, MAX_SOCKETS};
use crate::resolve::RECORDS;
use crate::target::Target;

type OsRace = PlannedRace<MAX_DESTINATIONS, MAX_SOCKETS, RECORDS>;

/// What a race asks its memory.
#[derive(Debug)]
pub(crate) struct Recall {
    memory: Memory,
    visit: Visit,
    /// The race's clock, which is not the memory's.
    clock: OsClock,
}

impl Recall {
    /// For a race to `target` that goes to `finish`, on `network`.
    pub(crate) fn new(
        memory: &Memory,
        target: Target<'_>,
        finish: Finish,
        network: &Network,
        clock: OsClock,
    ) -> Self {
        let host = match target {
            // In whatever order they come.
            Target::Addresses(list) => list.iter().min().map(SocketAddr::to_string).unwrap_or_default(),
            target => target.name().0,
        };
        let visit = memory.core().visit(&host, finish, memory.partition, network);
        Recall { memory: memory.clone(), visit, clock }
    }

    /// A moment of the race on the memory's clock.
    fn moment(&self, at: Instant) -> Instant {
        self.memory.shared.clock.at(self.clock.to_std(at))
    }

    /// What the race is to do with the addresses that it has been told.
    pub(crate) fn plan(&self, race: &OsRace, now: Instant) -> Plan<MAX_DESTINATIONS> {
        let now = self.moment(now);
        self.memory.core().plan(&self.visit, race, 0, now)
    }

    /// Learns from the race, if that has ended.
    pub(crate) fn learn(self, race: &OsRace) -> Visited {
        let (start, now) = (self.moment(race.start()), self.moment(race.start() + race.elapsed()));
        self.memory.core().learn_by(&self.visit, race, false, start, now);
        Visited::new(self.memory, self.visit)
    }
}
