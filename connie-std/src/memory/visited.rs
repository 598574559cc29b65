//! What is left of a race that a memory has learnt from, for what its user finds out later.

use std::net::SocketAddr;

use connie_core::memory::{Verdict, Visit};

use super::Memory;

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
}
