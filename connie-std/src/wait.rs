//! How the operating system's sockets are waited for.

use std::time::Duration;

use connie_core::{Instant, PollEntry, PollResult, Poller};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::beside;
use crate::block_on::park;
use crate::cancel::Canceler;
use crate::clock::pause;
use crate::errno::has_woken;
use crate::pollable::{PollNeed, Pollable};
use crate::poller::OsPoller;
use crate::resolve::{Readiness, WatchedDescriptor};
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
        self.wait_for(sockets, until)
    }
}

impl OsPoller {
    /// How long one `poll` may take.
    fn longest_wait(&self, until: Option<Instant>) -> Duration {
        let left = until.map_or(LONGEST_WAIT, |until| until.duration_since(self.clock.now()));
        let is_inherited = self.canceler.as_ref().is_some_and(Canceler::is_inherited);
        left.min(if is_inherited { LOOK } else { LONGEST_WAIT })
    }

    /// One `poll` over all of `sockets` and what the lookups watch, which does not wait where one of the
    /// sockets is ready without it.
    pub(crate) fn wait_for<T: Pollable>(
        &mut self,
        sockets: &mut [PollEntry<'_, T>],
        until: Option<Instant>,
    ) -> PollResult {
        if self.is_canceled() {
            return PollResult::Canceled;
        }
        let beside = self.beside.clone();
        let mut beside = beside.as_deref().map(beside::lock);
        let (watch, until) = self.watch_lookups(until);
        let mut longest = self.longest_wait(until);
        let mut fds = Vec::with_capacity(sockets.len() + 1);
        let mut owners = Vec::with_capacity(sockets.len());
        let mut ready = Vec::new();
        for (index, watched) in sockets.iter().enumerate() {
            match watched.socket.poll_need(watched.interest) {
                PollNeed::Ready => ready.push(index),
                PollNeed::Events(fd, events) => {
                    fds.push(PollFd::from_borrowed_fd(fd, events));
                    owners.push(index);
                }
                PollNeed::Never => {}
            }
        }
        let known = ready.len();
        let looked_for = beside.as_ref().map(|beside| beside.poll_need());
        let has_come = matches!(looked_for, Some(PollNeed::Ready));
        if known > 0 || has_come {
            longest = Duration::ZERO;
        }
        let in_line = watch.is_in_line();
        fds.extend(watch.entries.into_iter().map(poll_fd));
        for descriptor in self.canceler.iter().flat_map(Canceler::descriptors) {
            fds.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        let beside_at = fds.len();
        if let Some(PollNeed::Events(fd, events)) = looked_for {
            fds.push(PollFd::from_borrowed_fd(fd, events));
        }
        if in_line {
            if fds.is_empty() && known == 0 && !has_come {
                park(longest);
                return PollResult::Look;
            }
            // No waker ends a `poll`.
            longest = longest.min(LOOK_IN_LINE);
        }
        // EINTR is an early wakeup. What else can fail here (no memory for the kernel's table, a sandbox)
        // makes this look at every socket, after a pause that keeps it from spinning; a socket then tells
        // without `poll` what became of it.
        let polled = poll_for(&mut fds, longest);
        let blind = polled.is_err_and(|error| !has_woken(error));
        let events = owners.iter().zip(&fds).filter(|(_, fd)| blind || !fd.revents().is_empty());
        ready.extend(events.map(|(&index, _)| index));
        let is_found = fds.get(beside_at).is_some_and(|fd| !fd.revents().is_empty());
        let may_have_come = has_come || blind || is_found;
        if blind {
            pause(longest.min(BLIND_PAUSE));
        }
        for (position, index) in ready.into_iter().enumerate() {
            let watched = &mut sockets[index];
            watched.ready = true;
            if position >= known && !blind {
                watched.socket.found(watched.interest);
            }
        }
        let ends = may_have_come && beside.as_mut().is_some_and(|beside| beside.look());
        if ends || self.is_canceled() { PollResult::Canceled } else { PollResult::Look }
    }
}

fn poll_fd(WatchedDescriptor { fd, readiness, .. }: WatchedDescriptor<'_>) -> PollFd<'_> {
    let events = match readiness {
        Readiness::Read => PollFlags::IN,
        Readiness::Write => PollFlags::OUT,
    };
    PollFd::from_borrowed_fd(fd, events)
}

/// The longest time in one `poll`, which takes no more than 24 days on some systems. To wake early is
/// allowed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How often a lookup that waits in line looks whether its turn has come, while something else is waited for.
const LOOK_IN_LINE: Duration = Duration::from_millis(5);

/// How often it is looked whether a canceler without a notifier was canceled.
const LOOK: Duration = Duration::from_millis(20);

const BLIND_PAUSE: Duration = Duration::from_millis(1);

fn poll_for(fds: &mut [PollFd<'_>], longest: Duration) -> Result<usize, Errno> {
    if cfg!(windows) && fds.is_empty() {
        // "The array must contain at least one structure with a valid socket" (Microsoft on WSAPoll).
        pause(longest);
        return Ok(0);
    }
    poll(fds, Some(&timespec(longest)))
}

/// `duration` as `poll` takes it.
fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        // Below 10^9, which every form of the field holds.
        tv_nsec: duration.subsec_nanos() as rustix::event::Nsecs,
    }
}

#[cfg(test)]
mod tests {
    use connie_core::Interest;

    use super::*;
    use crate::resolve::{LookupTask, PendingLookup, ResolveEvent, WatchSet};

    /// Has decrypted what it has received.
    struct Filled;

    impl Pollable for Filled {
        fn poll_need(&self, _: Interest) -> PollNeed<'_> {
            PollNeed::Ready
        }

        fn found(&mut self, _: Interest) {
            panic!("`poll` found nothing");
        }
    }

    /// Stands in line.
    struct InLine;

    impl PendingLookup for InLine {
        fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
            drop(watch.queue_waker());
        }

        fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
            None
        }

        fn wake_at(&self) -> Option<Instant> {
            None
        }
    }

    #[test]
    fn a_socket_that_needs_no_descriptor_is_ready_beside_a_look_up_in_line() {
        let mut poller = OsPoller::new(None);
        poller.lookups.push(LookupTask::of(Box::new(InLine)));
        let mut socket = Filled;
        let mut watched = [PollEntry::new(&mut socket, Interest::Receive)];
        assert_eq!(poller.wait_for(&mut watched, None), PollResult::Look);
        assert!(watched[0].ready, "or it would be looked at for ever");
    }
}
