//! What one race has of a memory: its plan when addresses are known, and what it has taught at its end. In between it holds no lock.

use std::net::SocketAddr;

use connie_core::Instant;
use connie_core::memory::{Explained, Finish, Network, Visit};
use connie_core::race::{Plan, PlannedRace};
#[cfg(feature = "tokio")]
use connie_core::{Config, Family, memory::Settings};

use super::Memory;
use super::visited::Visited;
use super::why::Why;
use crate::clock::OsClock;
use crate::options::{MAX_DESTINATIONS, MAX_SOCKETS};
use crate::resolve::RECORDS;
use crate::target::Target;

type OsRace = PlannedRace<MAX_DESTINATIONS, MAX_SOCKETS, RECORDS>;

/// What a race asks its memory.
#[derive(Clone, Debug)]
pub(crate) struct Recall {
    memory: Memory,
    visit: Visit,
    /// The race's clock, which is not the memory's.
    clock: OsClock,
    /// Whether it goes where the race before went.
    incumbent: bool,
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
        Recall { memory: memory.clone(), visit, clock, incumbent: false }
    }

    /// The same, for a caller who wants the address of the race before, or not.
    pub(crate) fn for_incumbent(mut self, incumbent: bool) -> Self {
        self.incumbent = incumbent;
        self
    }

    /// A moment of the race on the memory's clock.
    fn moment(&self, at: Instant) -> Instant {
        self.memory.shared.clock.at(self.clock.to_std(at))
    }

    /// What the race is to do with the addresses that it has been told.
    #[cfg(feature = "tokio")]
    pub(crate) fn plan(&self, race: &OsRace, now: Instant) -> Plan<MAX_DESTINATIONS> {
        let now = self.moment(now);
        self.memory.core().plan(&self.visit, race, 0, now)
    }

    /// What the race is to do with the addresses that it has been told, and why.
    pub(crate) fn plan_and_say(&self, race: &OsRace, why: &mut Why, now: Instant) -> Plan<MAX_DESTINATIONS> {
        let now = self.moment(now);
        let mut room = vec![Explained::EMPTY; race.destinations().len()];
        let mut core = self.memory.core();
        let plan = match self.incumbent {
            true => core.plan_for_incumbent(&self.visit, race, now),
            false => core.plan(&self.visit, race, 0, now),
        };
        let explanation = core.explain(&self.visit, race, &plan, &mut room, now);
        drop(core);
        why.add(explanation, race.timeline().summary().attempts > 0);
        plan
    }

    /// `addresses` in the order in which a race as `config` has it would start them one by one, and whether the first is known to be good: it has
    /// answered within the half-life, and was not late since.
    #[cfg(feature = "tokio")]
    pub(crate) fn order(
        &self,
        addresses: &[SocketAddr],
        config: &Config,
        now: Instant,
    ) -> (Vec<SocketAddr>, bool) {
        let mut race = Box::new(OsRace::new(config, now));
        race.handle_addresses(addresses, now);
        if let Some(first) = addresses.first() {
            race.prefer(Family::of(first));
        }
        let plan = self.plan(&race, now).without_exploring();
        let ordered: Vec<_> = race.in_order(&plan).collect();
        let now = self.moment(now);
        let entry = ordered.first().and_then(|first| self.memory.core().entry_of(&self.visit, *first, now));
        let is_known = plan.trusts_lead() && entry.is_some_and(|entry| entry.age <= Settings::HALF_LIFE);
        (ordered, is_known)
    }

    /// Learns from the race, if that has ended.
    pub(crate) fn learn(self, race: &OsRace) -> Visited {
        let (start, now) = (self.moment(race.start()), self.moment(race.start() + race.elapsed()));
        self.memory.core().learn_by(&self.visit, race, false, start, now);
        Visited::new(self.memory, self.visit)
    }
}
