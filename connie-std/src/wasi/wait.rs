//! The runtime's clock, and how its sockets are waited for.

use connie_core::{Instant, Waiter, Wake, Watched};
use connie_wasi::{PollSet, WasiClock};

use crate::socket::{OsSocket, OsStack};
use crate::waiter::OsWaiter;

/// The runtime's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    pub(crate) std: std::time::Instant,
    /// The same, started a moment later, so that it is never early.
    wasi: WasiClock,
}

impl OsClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the adapter's clock")]
    pub fn start() -> Self {
        OsClock { std: std::time::Instant::now(), wasi: WasiClock::start() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.wasi.now()
    }

    /// Waits until `moment`.
    pub(crate) fn wait_until(self, moment: Instant) {
        PollSet::default().wait(self.wasi, Some(moment));
    }
}

impl Waiter<OsStack> for OsWaiter {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(
        &mut self,
        _: &mut OsStack,
        sockets: &mut [Watched<'_, OsSocket>],
        until: Option<Instant>,
    ) -> Wake {
        if self.is_canceled() {
            return Wake::Canceled;
        }
        let (watch, until) = self.watch_lookups(until);
        let mut set = PollSet::default();
        for pollable in watch.entries {
            set.watch(pollable);
        }
        // The number of each socket's pollable, where it has one.
        let numbers: Vec<Option<usize>> = sockets
            .iter()
            .map(|watched| watched.socket.pollable(watched.interest).map(|pollable| set.watch(pollable)))
            .collect();
        let ready = set.wait(self.clock.wasi, until);
        for (watched, number) in sockets.iter_mut().zip(numbers) {
            watched.ready |= number.is_some_and(|number| ready.contains(&number));
        }
        if self.is_canceled() { Wake::Canceled } else { Wake::Look }
    }
}
