//! How the runtime's sockets are waited for.

use connie_core::{Instant, PollEntry, PollResult, Poller};
use connie_wasi::PollSet;

use crate::poller::OsPoller;
use crate::socket::{OsSocket, OsStack};

impl Poller<OsStack> for OsPoller {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(
        &mut self,
        _: &mut OsStack,
        sockets: &mut [PollEntry<'_, OsSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        if self.is_canceled() {
            return PollResult::Canceled;
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
        if self.is_canceled() { PollResult::Canceled } else { PollResult::Look }
    }
}
