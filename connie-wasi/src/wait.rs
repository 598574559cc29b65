//! The race's poller: its sockets, its lookups, and what cancels it.

use alloc::vec::Vec;

use connie_core::{Instant, PollEntry, PollResult, Poller};
use wasip2::io::poll::Pollable;

use crate::host_lookup::HostLookup;
use crate::poll::{PollSet, WasiClock};
use crate::socket::{WasiSocket, WasiStack};

/// Waits for the sockets of a [`WasiStack`]: one `poll` over all of them, the lookups that run beside a race,
/// and the clock.
#[derive(Debug)]
pub struct WasiPoller {
    clock: WasiClock,
    cancel: Option<Pollable>,
    pub(crate) lookup: Option<HostLookup>,
    /// For the prefix of the network's NAT64.
    pub(crate) prefix: Option<HostLookup>,
}

impl Default for WasiPoller {
    fn default() -> Self {
        Self::new()
    }
}

impl WasiPoller {
    /// A poller whose clock starts now.
    #[must_use]
    pub fn new() -> Self {
        WasiPoller { clock: WasiClock::start(), cancel: None, lookup: None, prefix: None }
    }

    /// Has every wait end with [`PollResult::Canceled`] once `pollable` is ready: stdin, another connection,
    /// a moment of the clock. A component has no threads and no signals that could cancel it otherwise.
    ///
    /// What `pollable` was subscribed to must live at least as long as this poller.
    #[must_use]
    pub fn cancel_when(mut self, pollable: Pollable) -> Self {
        self.cancel = Some(pollable);
        self
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> WasiClock {
        self.clock
    }

    /// Whether what cancels is ready.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Pollable::ready)
    }
}

impl Poller<WasiStack> for WasiPoller {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(
        &mut self,
        _: &mut WasiStack,
        sockets: &mut [PollEntry<'_, WasiSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        // Borrowed for as long as they are waited for.
        let lookups = || [&self.lookup, &self.prefix].into_iter().flatten();
        let lookup: Vec<_> = lookups().map(HostLookup::pollables).collect();
        let until = lookups().filter_map(|lookup| lookup.wake_at(self.clock)).chain(until).min();
        let mut set = PollSet::default();
        let cancel = self.cancel.as_ref().map(|cancel| set.watch(cancel));
        for lookup in &lookup {
            lookup.watch(&mut set);
        }
        // The number of each socket's pollable, where it has one.
        let numbers: Vec<Option<usize>> = sockets
            .iter()
            .map(|watched| watched.socket.pollable(watched.interest).map(|pollable| set.watch(pollable)))
            .collect();
        let ready = set.wait(self.clock, until);
        for (watched, number) in sockets.iter_mut().zip(numbers) {
            watched.ready |= number.is_some_and(|number| ready.contains(&number));
        }
        if cancel.is_some_and(|cancel| ready.contains(&cancel)) {
            PollResult::Canceled
        } else {
            PollResult::Look
        }
    }
}
