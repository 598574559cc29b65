//! What the lookups of a race wait for, in tokio's reactor.

#[cfg(unix)]
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd};
use std::task::Context;
#[cfg(unix)]
use std::{sync::Arc, task::Poll};

use connie_core::Instant;
#[cfg(unix)]
use tokio::io::{Interest, unix::AsyncFd};

use crate::SocketBudget;
#[cfg(unix)]
use crate::resolve::{Datagrams, DescriptorPermit, Readiness, WatchedDescriptor};
use crate::resolve::{LookupTask, WatchSet};

/// How often to look at what cannot be waited for.
const LOOK: std::time::Duration = std::time::Duration::from_millis(5);

/// Wake-ups that were arranged for after the lookups were last polled.
#[derive(Default)]
pub(super) struct Registrations {
    #[cfg(unix)]
    descriptors: Vec<(AsyncFd<RegisteredDescriptor>, Readiness)>,
    /// Whether a lookup may wake the task by itself, which does not show here.
    took_waker: bool,
    /// When the lookups want to be polled.
    wake_at: Option<Instant>,
}

/// A descriptor that a lookup has lent, kept until tokio has forgotten it.
#[cfg(unix)]
enum RegisteredDescriptor {
    Shared(Arc<Datagrams>),
    /// A copy, with its room. A lookup can close its own before this is gone, and its number can be another's
    /// then; and two races can be lent the same one, which epoll takes only once.
    Copy {
        copy: OwnedFd,
        _room: DescriptorPermit,
    },
}

#[cfg(unix)]
impl RegisteredDescriptor {
    /// `None` where there is no room for a copy.
    fn new(lent: &WatchedDescriptor<'_>, budget: Option<&SocketBudget>) -> Option<Self> {
        if let Some(shared) = lent.shared {
            return Some(RegisteredDescriptor::Shared(Arc::clone(shared)));
        }
        let room = DescriptorPermit::at_once(budget)?;
        lent.fd.try_clone_to_owned().ok().map(|copy| RegisteredDescriptor::Copy { copy, _room: room })
    }
}

#[cfg(unix)]
impl AsRawFd for RegisteredDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            RegisteredDescriptor::Shared(shared) => shared.as_fd().as_raw_fd(),
            RegisteredDescriptor::Copy { copy, .. } => copy.as_raw_fd(),
        }
    }
}

impl Registrations {
    /// Records that there is a lookup that was not polled yet.
    pub(super) fn look_at_once(&mut self) {
        self.wake_at = Some(Instant::ZERO);
    }

    /// Whether the lookups have to be polled. Where not, the task is woken when they have to, but for the
    /// [time](Self::wake_at).
    pub(super) fn poll_news(&self, context: &mut Context<'_>, now: Instant) -> bool {
        let due = self.took_waker || self.wake_at.is_some_and(|wake_at| wake_at <= now);
        // Each has to be asked, so that each wakes the task.
        self.is_any_ready(context) || due
    }

    /// When the lookups want to be polled though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    #[cfg(unix)]
    fn is_any_ready(&self, context: &mut Context<'_>) -> bool {
        self.descriptors.iter().fold(false, |any, (descriptor, readiness)| {
            // For one to read too: epoll tells of an error with nothing to read (an ICMP error of a datagram
            // socket) by EPOLLERR alone, and that is not a reason for tokio to wake a reader. It takes it for
            // a closed way to write; ready for more than that it never is, since it was not registered to be
            // written to.
            let write = descriptor.poll_write_ready(context);
            let read = match readiness {
                Readiness::Read => descriptor.poll_read_ready(context),
                Readiness::Write => Poll::Pending,
            };
            // An error is tokio's, which is being shut down.
            any | write.is_ready() | read.is_ready()
        })
    }

    #[cfg(not(unix))]
    fn is_any_ready(&self, _: &mut Context<'_>) -> bool {
        false
    }

    /// Arranges for wakeups anew, after the lookups were polled.
    pub(super) fn renew(&mut self, lookups: &[LookupTask], context: &mut Context<'_>, now: Instant) {
        let mut watch = WatchSet::for_task(context.waker());
        for running in lookups {
            running.lookup.watch(&mut watch);
        }
        self.took_waker = watch.took_waker();
        let watched = self.watch(&watch, lookups.iter().find_map(|running| running.budget.as_ref()));
        let look = if watched { None } else { Some(now + LOOK) };
        self.wake_at = lookups.iter().filter_map(|running| running.lookup.wake_at()).chain(look).min();
        if self.is_any_ready(context) {
            context.waker().wake_by_ref();
        }
    }

    /// Returns whether tokio waits for all of it.
    #[cfg(unix)]
    fn watch(&mut self, watch: &WatchSet<'_>, budget: Option<&SocketBudget>) -> bool {
        self.descriptors.clear();
        for lent in &watch.entries {
            let interest = match lent.readiness {
                Readiness::Read => Interest::READABLE,
                Readiness::Write => Interest::WRITABLE,
            };
            // Out of descriptors, or a file that epoll does not take.
            let Some(kept) = RegisteredDescriptor::new(lent, budget) else { continue };
            if let Ok(registered) = register(kept, interest) {
                self.descriptors.push((registered, lent.readiness));
            }
        }
        self.descriptors.len() == watch.entries.len()
    }

    /// tokio takes no descriptors that it has not made elsewhere than on Unix.
    #[cfg(not(unix))]
    fn watch(&mut self, watch: &WatchSet<'_>, _: Option<&SocketBudget>) -> bool {
        watch.entries.is_empty()
    }
}

#[cfg(unix)]
#[allow(
    deprecated,
    reason = "what takes its place is unsafe, and asks for no more than an owned descriptor brings"
)]
fn register(
    descriptor: RegisteredDescriptor,
    interest: Interest,
) -> std::io::Result<AsyncFd<RegisteredDescriptor>> {
    AsyncFd::with_interest(descriptor, interest)
}
