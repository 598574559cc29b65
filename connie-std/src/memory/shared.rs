//! What the handles of one memory share: what was learnt, and which races wait for which.

use std::sync::MutexGuard;
use std::task::Waker;

use connie_core::memory::{Crowd, CrowdTicket, Visit};

use super::Core;
use super::clock::MemoryClock;
use crate::process::ProcessLock;

/// To how many hosts races can be under way at one time that others wait for.
const HOSTS: usize = 64;

pub(super) struct SharedMemory {
    pub(super) clock: MemoryClock,
    state: ProcessLock<MemoryState>,
}

/// All that is under the lock. It is whole after each call, and nothing in one can panic.
pub(super) struct MemoryState {
    pub(super) core: Core,
    pub(super) crowd: Crowd<HOSTS>,
    /// Who waits, by number: a list, which is a tenth of the code of a tree.
    waiting: Vec<(u32, Visit, Waker)>,
    last: u32,
    /// How many SYNs of those available are promised to races that run.
    promised: usize,
}

impl SharedMemory {
    pub(super) fn new(core: Core, clock: MemoryClock) -> Self {
        let state = MemoryState { core, crowd: Crowd::new(), waiting: Vec::new(), last: 0, promised: 0 };
        SharedMemory { clock, state: ProcessLock::new(state) }
    }

    /// Nobody waits while this is held, and whoever holds it neither wakes nor drops a waker. `None` in the
    /// child of a fork to which the memory is lost, since a thread of its parent held it at that moment:
    /// races have none then.
    pub(super) fn state(&self) -> Option<MutexGuard<'_, MemoryState>> {
        self.state.lock(MemoryState::inherit)
    }

    /// The same for who has been here before, without a question to the system whether it is the same
    /// process.
    pub(super) fn state_again(&self) -> Option<MutexGuard<'_, MemoryState>> {
        self.state.lock_again(MemoryState::inherit)
    }

    /// The race that led with this ticket is over, however it ended. Those that wait plan anew: also where it
    /// has had its time and another leads, since it may have found out.
    pub(super) fn leave(&self, ticket: CrowdTicket, visit: &Visit) {
        let Some(mut state) = self.state_again() else { return };
        state.crowd.leave(ticket);
        let freed = state.waiting.extract_if(.., |(_, other, _)| other == visit);
        let wakers: Vec<Waker> = freed.map(|(.., waker)| waker).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A race waits no longer.
    pub(super) fn forget(&self, number: u32) {
        let gone = self.state_again().and_then(|mut state| {
            let place = state.place(number).ok()?;
            Some(state.waiting.remove(place))
        });
        drop(gone);
    }

    /// A race that such starts were [promised](MemoryState::promise_anew) to is over.
    pub(super) fn no_longer_promised(&self, starts: usize) {
        if let Some(mut state) = self.state_again() {
            state.promised = state.promised.saturating_sub(starts);
        }
    }
}

impl MemoryState {
    /// A number for a race that waits. Never 0.
    pub(super) fn number(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1).max(1);
        self.last
    }

    /// Has `waker` woken when the race to `visit` that leads is over. Returns the one before.
    pub(super) fn wait(&mut self, number: u32, visit: &Visit, waker: &Waker) -> Option<Waker> {
        let place = match self.place(number) {
            Ok(place) => place,
            Err(place) => {
                self.waiting.insert(place, (number, *visit, waker.clone()));
                return None;
            }
        };
        let (.., known) = self.waiting.get_mut(place)?;
        if known.will_wake(waker) {
            return None;
        }
        Some(std::mem::replace(known, waker.clone()))
    }

    /// Where a race is among those that wait, or belongs.
    fn place(&self, number: u32) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&number, |(number, ..)| *number)
    }

    /// Up to `most` starts of those available, for one race of many that run at one time, in the place of
    /// what it was promised `before`: no other is promised the same.
    pub(super) fn promise_anew(&mut self, before: usize, most: usize) -> usize {
        self.promised = self.promised.saturating_sub(before);
        let starts = self.core.paid_syns().saturating_sub(self.promised).min(most);
        self.promised += starts;
        starts
    }

    /// How many wait, and how many starts are promised.
    #[cfg(test)]
    pub(super) fn left(&self) -> (usize, usize) {
        (self.waiting.len(), self.promised)
    }

    /// In the child of a fork: the races of other threads are not there, nor is anybody who waits.
    fn inherit(&mut self) {
        self.crowd = Crowd::new();
        self.promised = 0;
        // What a waker does when it is dropped is another process's business.
        std::mem::forget(std::mem::take(&mut self.waiting));
    }
}
