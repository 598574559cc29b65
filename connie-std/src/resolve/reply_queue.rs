//! Where the threads of the system's resolver leave their answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use connie_core::Family;

use super::descriptor_permit::BudgetHeldError;
use super::{DescriptorPermit, ResolverError};
use crate::budget::{Permits, SocketBudget};
use crate::notifier::Notifier;

/// Where the threads leave the answers of one lookup.
#[derive(Default)]
pub(super) struct ReplyQueue {
    /// Holds one ring for each letter. Made when a `poll` is to wait for it; `None` where there was no
    /// descriptor for it.
    bell: OnceLock<Option<ReplyNotifier>>,
    inside: Mutex<QueuedReplies>,
}

/// A doorbell with its room in a budget.
pub(super) struct ReplyNotifier {
    notifier: Notifier,
    rooms: Vec<Arc<Permits>>,
}

#[derive(Default)]
struct QueuedReplies {
    letters: VecDeque<CallReply>,
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
        let rooms = (0..Notifier::DESCRIPTORS).map(|_| DescriptorPermit::at_once(budget));
        let rooms = rooms.collect::<Option<Vec<_>>>()?.iter().filter_map(DescriptorPermit::share).collect();
        Some(ReplyNotifier { notifier: Notifier::new().ok()?, rooms })
    }

    pub(super) fn rooms(&self) -> &[Arc<Permits>] {
        &self.rooms
    }
}

impl ReplyQueue {
    /// Returns whom to wake when the caller holds no lock.
    #[must_use]
    pub(super) fn put(&self, family: Family, result: Result<Vec<SocketAddr>, CallError>) -> Option<Waker> {
        let mut inside = lock(&self.inside);
        inside.letters.push_back(CallReply { family, result });
        if let Some(Some(bell)) = self.bell.get() {
            bell.notifier.ring();
        }
        inside.waker.take()
    }

    pub(super) fn take(&self) -> Option<CallReply> {
        let mut inside = lock(&self.inside);
        let letter = inside.letters.pop_front()?;
        if let Some(Some(bell)) = self.bell.get() {
            bell.notifier.answer();
        }
        Some(letter)
    }

    /// What rings for a letter: `Some(None)` where nothing does.
    pub(super) fn bell(&self) -> Option<Option<&Notifier>> {
        self.bell.get().map(|bell| bell.as_ref().map(|bell| &bell.notifier))
    }

    /// Has `bell` ring for each letter.
    pub(super) fn hang(&self, bell: Option<ReplyNotifier>) {
        let inside = lock(&self.inside);
        if let Some(bell) = &bell {
            inside.letters.iter().for_each(|_| bell.notifier.ring());
        }
        let unused = self.bell.set(bell);
        // To give room back wakes others.
        drop(inside);
        drop(unused);
    }

    /// Has the next letter wake `waker`, which one that is there already does.
    pub(super) fn wakes(&self, waker: &Waker) {
        let mut inside = lock(&self.inside);
        if inside.letters.is_empty() {
            let before = inside.waker.replace(waker.clone());
            drop(inside);
            drop(before);
        } else {
            drop(inside);
            waker.wake_by_ref();
        }
    }
}

/// Nothing that is done under these locks panics halfway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
