//! What the driver of one race has of a memory, where one thread does everything: nothing, or a reference.

use core::cell::{Cell, Ref, RefCell};
use core::net::SocketAddr;

use super::{Finish, Memory, Network, Verdict, Visit, key};
use crate::race::{Guide, Input, Output, Planned, Race, Unplanned};
use crate::time::Instant;

/// What the driver of a race asks before it goes on, and tells when it has ended: [`NoMemory`], or what is
/// [`Recalled`] of a [`Memory`].
///
/// The race itself holds nothing of this. It is borrowed for the length of a call, never while anybody waits.
pub trait Recall<const D: usize>: sealed::Recall<D> {
    /// This machine is on another network than when the visit began, by the addresses that it sends from now:
    /// what the race shows from here on is learnt of that one. Ask for a plan afterwards.
    fn move_to(&mut self, network: &Network) {
        self.moved(network);
    }
}

pub(super) mod sealed {
    use super::{Guide, Instant, Network, Race};

    pub trait Recall<const D: usize> {
        /// The room that the race has for a plan.
        type Guide: Guide;
        fn plan<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, Self::Guide>, now: Instant);
        fn learn<const K: usize, const R: usize>(&self, race: &Race<D, K, R, Self::Guide>, now: Instant);
        fn stop<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, Self::Guide>, now: Instant);
        fn moved(&mut self, network: &Network);
    }
}

/// What a program that connects again and again has: [`NoMemory`], or a [`Memory`] in a [`RefCell`], its own
/// or by reference.
pub trait Remember<const D: usize> {
    /// The room that its races have for a plan.
    type Guide: Guide;
    /// What one visit has of it.
    type Recall<'a>: Recall<D, Guide = Self::Guide>
    where
        Self: 'a;

    /// For a race on `network` to these hosts, one, or several of which any will do, that ends with TCP.
    fn recall<'h>(&self, hosts: impl IntoIterator<Item = &'h str>, network: &Network) -> Self::Recall<'_> {
        self.recall_to(Finish::Tcp, hosts, network)
    }

    /// The same for one that ends with `finish`.
    fn recall_to<'h>(
        &self,
        finish: Finish,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> Self::Recall<'_>;
}

impl<const D: usize> Remember<D> for NoMemory {
    type Guide = Unplanned;
    type Recall<'a> = NoMemory;

    fn recall_to<'h>(&self, _: Finish, _: impl IntoIterator<Item = &'h str>, _: &Network) -> NoMemory {
        NoMemory
    }
}

impl<const D: usize, const N: usize> Remember<D> for RefCell<Memory<N>> {
    type Guide = Planned<D>;
    type Recall<'a> = Recalled<'a, N>;

    fn recall_to<'h>(
        &self,
        finish: Finish,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> Recalled<'_, N> {
        Recalled::to(self, finish, hosts, network)
    }
}

impl<const D: usize, M: Remember<D>> Remember<D> for &M {
    type Guide = M::Guide;
    type Recall<'a>
        = M::Recall<'a>
    where
        Self: 'a;

    fn recall_to<'h>(
        &self,
        finish: Finish,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> M::Recall<'_> {
        M::recall_to(self, finish, hosts, network)
    }
}

/// There is no memory: each race is the whole race, and takes no octet more than without this.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMemory;

impl<const D: usize> Recall<D> for NoMemory {}
impl<const D: usize> sealed::Recall<D> for NoMemory {
    type Guide = Unplanned;

    #[inline(always)]
    fn plan<const K: usize, const R: usize>(&self, _: &mut Race<D, K, R, Unplanned>, _: Instant) {}

    #[inline(always)]
    fn learn<const K: usize, const R: usize>(&self, _: &Race<D, K, R, Unplanned>, _: Instant) {}

    #[inline(always)]
    fn stop<const K: usize, const R: usize>(&self, _: &mut Race<D, K, R, Unplanned>, _: Instant) {}

    #[inline(always)]
    fn moved(&mut self, _: &Network) {}
}

/// What one visit to a host has of a memory with `N` places.
#[derive(Clone, Debug)]
pub struct Recalled<'m, const N: usize> {
    memory: &'m RefCell<Memory<N>>,
    visit: Visit,
    /// It is taught once.
    is_taught: Cell<bool>,
}

impl<'m, const N: usize> Recalled<'m, N> {
    /// For a race to these hosts that ends with TCP, on `network`. Several of which any will do are a host of
    /// their own, in whatever order they come. Where the memory is borrowed at this moment, it is for no host
    /// that was ever met.
    #[must_use]
    pub fn new<'h>(
        memory: &'m RefCell<Memory<N>>,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> Self {
        Self::to(memory, Finish::Tcp, hosts, network)
    }

    /// The same for a race that ends with `finish`.
    #[must_use]
    pub fn to<'h>(
        memory: &'m RefCell<Memory<N>>,
        finish: Finish,
        hosts: impl IntoIterator<Item = &'h str>,
        network: &Network,
    ) -> Self {
        let visit = |memory: Ref<'_, Memory<N>>| {
            let each = hosts.into_iter().map(|host| memory.visit(host, finish, 0, network));
            each.reduce(Visit::joined)
        };
        let visit = memory.try_borrow().ok().and_then(visit).unwrap_or(Visit::NOBODY);
        Recalled { memory, visit, is_taught: Cell::new(false) }
    }

    /// Tells the memory what the user of a connection to `address` has found out.
    pub fn report(&self, address: SocketAddr, verdict: Verdict, now: Instant) {
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            memory.report(&self.visit, address, verdict, now);
        }
    }
}

impl<const D: usize, const N: usize> Recall<D> for Recalled<'_, N> {}
impl<const D: usize, const N: usize> sealed::Recall<D> for Recalled<'_, N> {
    type Guide = Planned<D>;

    fn plan<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, Planned<D>>, now: Instant) {
        if race.destinations().is_empty() {
            return;
        }
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            let plan = memory.plan(&self.visit, race, 0, now);
            race.follow(&plan);
        }
    }

    fn learn<const K: usize, const R: usize>(&self, race: &Race<D, K, R, Planned<D>>, now: Instant) {
        if self.is_taught.replace(true) {
            return;
        }
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            memory.learn(&self.visit, race, false, now);
        }
    }

    fn stop<const K: usize, const R: usize>(&self, race: &mut Race<D, K, R, Planned<D>>, now: Instant) {
        if self.is_taught.get() {
            return;
        }
        race.handle_input(Input::Cancel, now);
        // One for each attempt, and the end.
        while let Output::CancelAttempt { .. } = race.poll_output(now) {}
        self.learn(race, now);
    }

    fn moved(&mut self, network: &Network) {
        if let Ok(memory) = self.memory.try_borrow() {
            // As `to` has it, of both families: one for nobody stays one.
            let finish = key::finish(self.visit.v4);
            self.visit = Visit { host: self.visit.host, ..memory.visit("", finish, 0, network) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_that_moves_keeps_its_host_and_its_finish() {
        let memory = RefCell::new(Memory::<4>::new(7, Instant::ZERO));
        let networks = ["192.0.2.1", "192.0.2.2"].map(|v4| Network::new(v4.parse().ok(), None));
        for finish in [Finish::Tcp, Finish::Tls] {
            let [mut moved, there] =
                networks.map(|network| Recalled::to(&memory, finish, ["host.test"], &network));
            assert_ne!(moved.visit, there.visit);
            Recall::<4>::move_to(&mut moved, &networks[1]);
            assert_eq!(moved.visit, there.visit, "{finish:?}");
        }
    }
}
