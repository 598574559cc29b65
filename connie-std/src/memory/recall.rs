//! What one race has of a memory: its plan when addresses are known, and what it has taught at its end. In
//! between it holds no lock.

use std::net::SocketAddr;

use connie_core::Instant;
use connie_core::memory::{CrowdRole, ExplainedAddress, Finish, Network, Visit};
use connie_core::race::Plan;
#[cfg(feature = "tokio")]
use connie_core::{Config, Family, memory::MemorySettings};

use super::Memory;
use super::shared::{MemoryState, SharedMemory};
use super::visited::Visited;
use super::why::Why;
use crate::clock::OsClock;
use crate::limits::{MAX_DESTINATIONS, OsRace};
use crate::target::TargetRef;

pub(super) type OsPlan = Plan<MAX_DESTINATIONS>;

/// What a race asks its memory.
#[derive(Clone, Debug)]
pub(crate) struct Recall {
    memory: Memory,
    visit: Visit,
    /// The same with its port: what a race to another one finds out is of no use.
    service: Visit,
    /// The race's clock, which is not the memory's.
    clock: OsClock,
    /// Whether it goes where the race before went.
    incumbent: bool,
}

/// What the memory knows a target by, and its port. `of` is whose addresses are, where its user says so.
fn key_and_port(target: TargetRef<'_>, of: Option<&str>) -> (String, u16) {
    match (target, of) {
        (TargetRef::Address(_) | TargetRef::Addresses([_, ..]), Some(host)) => {
            (host.to_owned(), target.name().1)
        }
        // They have it in their key.
        (TargetRef::Addresses(_) | TargetRef::Hosts(_), _) => (key(target), 0),
        (target, _) => (key(target), target.name().1),
    }
}

/// What the memory knows a target by. Lists go in whatever order they come.
fn key(target: TargetRef<'_>) -> String {
    match target {
        TargetRef::Addresses(list) => list.iter().min().map(SocketAddr::to_string).unwrap_or_default(),
        TargetRef::Hosts(hosts) => {
            let mut each: Vec<_> = hosts.iter().map(|host| key(host).to_ascii_lowercase()).collect();
            each.sort_unstable();
            each.dedup();
            each.join(",")
        }
        target => target.name().0,
    }
}

impl Recall {
    /// For a race to `target` that goes to `finish`, on `network`. `None` in a process to which the memory is
    /// lost.
    pub(crate) fn new(
        memory: &Memory,
        target: TargetRef<'_>,
        finish: Finish,
        network: &Network,
        clock: OsClock,
    ) -> Option<Self> {
        let (host, port) = key_and_port(target, memory.host.as_deref());
        // It may be the first in this process.
        let state = memory.shared.state()?;
        let visit = |host: &str| state.core.visit(host, finish, memory.partition, network);
        let (visit, service) = (visit(&host), visit(&format!("{host}:{port}")));
        drop(state);
        Some(Recall { memory: memory.clone(), visit, service, clock, incumbent: false })
    }

    /// The same, for a caller who wants the address of the race before, or not.
    pub(crate) fn for_incumbent(mut self, incumbent: bool) -> Self {
        self.incumbent = incumbent;
        self
    }

    pub(super) fn shared(&self) -> &SharedMemory {
        &self.memory.shared
    }

    /// What it has in common with those that it waits for.
    pub(super) fn service(&self) -> &Visit {
        &self.service
    }

    /// A moment of the race on the memory's clock.
    pub(super) fn moment(&self, at: Instant) -> Instant {
        self.memory.shared.clock.at(self.clock.to_std(at))
    }

    /// What the race is to do with the addresses that it has been told.
    #[cfg(feature = "tokio")]
    fn plan(&self, race: &OsRace, now: Instant) -> OsPlan {
        let now = self.moment(now);
        let state = self.memory.shared.state_again();
        state.map_or_else(Plan::whole, |mut state| state.core.plan(&self.visit, race, 0, now))
    }

    /// The same and why, under the lock. `number` is the race's own among those that have waited for another,
    /// 0 where it has not.
    pub(super) fn plan_under(
        &self,
        state: &mut MemoryState,
        race: &OsRace,
        number: u32,
        now: Instant,
    ) -> OsPlan {
        match self.incumbent {
            true => state.core.plan_for_incumbent(&self.visit, race, now),
            false => state.core.plan(&self.visit, race, number, now),
        }
    }

    /// Keeps why the race does what `plan` says.
    pub(super) fn say(
        &self,
        state: &MemoryState,
        race: &OsRace,
        plan: &OsPlan,
        role: &CrowdRole,
        why: &mut Why,
        now: Instant,
    ) {
        let mut room = vec![ExplainedAddress::EMPTY; race.destinations().len()];
        let explanation = state.core.explain(&self.visit, race, plan, &mut room, now).in_crowd(role);
        why.add(explanation, race.timeline().summary().attempts > 0);
    }

    /// `addresses` in the order in which a race as `config` has it would start them one by one, and whether
    /// the first is known to be good: it has answered within the half-life, and was not late since.
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
        let entry = ordered
            .first()
            .and_then(|first| self.memory.shared.state_again()?.core.entry_of(&self.visit, *first, now));
        let is_known =
            plan.trusts_lead() && entry.is_some_and(|entry| entry.age <= MemorySettings::HALF_LIFE);
        (ordered, is_known)
    }

    /// Learns from the race, if that has ended. `is_retransmitted` is whether what went out on the winner's
    /// socket had to be sent more than once.
    pub(super) fn learn(&self, race: &OsRace, is_retransmitted: bool) -> Visited {
        let (start, now) = (self.moment(race.start()), self.moment(race.start() + race.elapsed()));
        if let Some(mut state) = self.memory.shared.state_again() {
            state.core.learn_by(&self.visit, race, is_retransmitted, start, now);
        }
        Visited::new(self.memory.clone(), self.visit)
    }
}
