//! The replies of the threads of the system's resolver.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use connie_core::Family;

use super::descriptor_permit::BudgetHeldError;
use super::{DescriptorPermit, ResolverError};
use crate::budget::{Permits, SocketBudget};
use crate::notifier::Notifier;

/// The queue of the replies to one lookup.
#[derive(Default)]
pub(super) struct ReplyQueue {
    /// Has one notification for each reply. Made when a `poll` is to wait for it; `None` where there was no
    /// descriptor for it.
    notifier: OnceLock<Option<ReplyNotifier>>,
    queued: Mutex<QueuedReplies>,
}

/// A notifier with its permits of a budget.
pub(super) struct ReplyNotifier {
    notifier: Notifier,
    permits: Vec<Arc<Permits>>,
}

#[derive(Default)]
struct QueuedReplies {
    replies: VecDeque<CallReply>,
    /// The task that waits.
    waker: Option<Waker>,
}

pub(super) struct CallReply {
    pub(super) family: Family,
    pub(super) result: Result<Vec<SocketAddr>, CallError>,
}

/// Why there are no addresses.
#[derive(Clone, Debug)]
pub(super) enum CallError {
    Resolver(ResolverError),
    /// It was not asked for them: there was no place for that.
    BudgetHeld(BudgetHeldError),
}

impl From<ResolverError> for CallError {
    fn from(error: ResolverError) -> Self {
        CallError::Resolver(error)
    }
}

impl ReplyNotifier {
    /// `None` where there is no descriptor for it, or no room for one.
    pub(super) fn new(budget: Option<&SocketBudget>) -> Option<Self> {
        let permits = (0..Notifier::DESCRIPTORS).map(|_| DescriptorPermit::at_once(budget));
        let permits =
            permits.collect::<Option<Vec<_>>>()?.iter().filter_map(DescriptorPermit::share).collect();
        Some(ReplyNotifier { notifier: Notifier::new().ok()?, permits })
    }

    pub(super) fn permits(&self) -> &[Arc<Permits>] {
        &self.permits
    }
}

impl ReplyQueue {
    /// Returns whom to wake when the caller holds no lock.
    #[must_use]
    pub(super) fn put(&self, family: Family, result: Result<Vec<SocketAddr>, CallError>) -> Option<Waker> {
        let mut queued = lock(&self.queued);
        queued.replies.push_back(CallReply { family, result });
        if let Some(Some(notifier)) = self.notifier.get() {
            notifier.notifier.notify();
        }
        queued.waker.take()
    }

    pub(super) fn take(&self) -> Option<CallReply> {
        let mut queued = lock(&self.queued);
        let reply = queued.replies.pop_front()?;
        if let Some(Some(notifier)) = self.notifier.get() {
            notifier.notifier.clear();
        }
        Some(reply)
    }

    /// The notifier of the replies: `Some(None)` if there is none.
    pub(super) fn notifier(&self) -> Option<Option<&Notifier>> {
        self.notifier.get().map(|notifier| notifier.as_ref().map(|notifier| &notifier.notifier))
    }

    /// Has `notifier` notified of each reply.
    pub(super) fn set_notifier(&self, notifier: Option<ReplyNotifier>) {
        let queued = lock(&self.queued);
        if let Some(notifier) = &notifier {
            queued.replies.iter().for_each(|_| notifier.notifier.notify());
        }
        let unused = self.notifier.set(notifier);
        // To give room back wakes others.
        drop(queued);
        drop(unused);
    }

    /// Has the next reply wake `waker`, immediately if there is one already.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut queued = lock(&self.queued);
        if queued.replies.is_empty() {
            let before = queued.waker.replace(waker.clone());
            drop(queued);
            drop(before);
        } else {
            drop(queued);
            waker.wake_by_ref();
        }
    }
}

/// Nothing that is done under these locks panics halfway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
