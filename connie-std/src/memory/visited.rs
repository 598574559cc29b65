//! What is left of a race that a memory has learnt from, for what its user finds out later.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Config;
use connie_core::memory::{ExplainedAddress, Verdict, Visit};

use super::Memory;
use super::why::Why;
use crate::limits::OsRace;

/// A race that a memory has learnt from.
#[derive(Clone, Debug)]
pub(crate) struct Visited {
    memory: Memory,
    visit: Visit,
}

impl Visited {
    pub(super) fn new(memory: Memory, visit: Visit) -> Self {
        Visited { memory, visit }
    }

    /// What the user of its connection found out.
    pub(crate) fn tell(&self, address: SocketAddr, verdict: Verdict) {
        let now = self.memory.shared.clock.now();
        if let Some(mut state) = self.memory.shared.state_again() {
            state.core.report(&self.visit, address, verdict, now);
        }
    }

    /// What a race to these addresses would do if it began now, and why; and the number of its host. The plan
    /// is made on a copy of the memory, since a plan that explores changes it.
    pub(crate) fn foresee(&self, addresses: &[SocketAddr], config: &Config) -> Option<(Why, u32)> {
        let now = self.memory.shared.clock.now();
        let mut core = Box::new(self.memory.shared.state_again()?.core.clone());
        let mut race = Box::new(OsRace::new(config, now));
        race.handle_addresses(addresses, now);
        let plan = core.plan(&self.visit, &race, 0, now);
        let mut room = vec![ExplainedAddress::EMPTY; addresses.len()];
        let mut why = Why::default();
        why.add(core.explain(&self.visit, &race, &plan, &mut room, now), false);
        Some((why, self.visit.host()))
    }

    /// How long servers of the host take to answer a request, at most; `None` where that is not known.
    pub(crate) fn answer_time(&self) -> Option<Duration> {
        let now = self.memory.shared.clock.now();
        let state = self.memory.shared.state_again()?;
        Some(state.core.answer_time(&self.visit, now)?.measure)
    }

    /// One of them took so long from the request to the first byte of its answer.
    pub(crate) fn learn_answer_time(&self, took: Duration) {
        let now = self.memory.shared.clock.now();
        if let Some(mut state) = self.memory.shared.state_again() {
            state.core.learn_answer_time(&self.visit, took, now);
        }
    }
}
