//! How the runtime's sockets are waited for.

use connie_core::{Instant, Waiter, Wake, Watched};
use connie_wasi::PollSet;

use crate::socket::{OsSocket, OsStack};
use crate::waiter::OsWaiter;

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
