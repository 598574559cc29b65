//! What a race lends to its own lookups, so that none of them waits in line behind it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::Permits;

/// Between a race and its lookups: who of these waits in line, and what the race has put there for them. What
/// is left of that when both have ended goes back to the budget.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparePermits(Arc<Mutex<SpareState>>);

#[derive(Debug, Default)]
struct SpareState {
    /// The tickets of those in line, and what wakes them.
    line: Vec<(u64, Waker)>,
    /// Of one socket each, and never more than wait in line.
    lent: Vec<Permits>,
}

impl SparePermits {
    /// How many lookups wait in line for which nothing was put there.
    pub(crate) fn in_line(&self) -> usize {
        let inside = self.inside();
        inside.line.len().saturating_sub(inside.lent.len())
    }

    /// Whether something was put there that no lookup has taken yet.
    #[cfg(test)]
    pub(crate) fn has_lent(&self) -> bool {
        !self.inside().lent.is_empty()
    }

    /// Puts a socket of `share` there for a lookup in line, and wakes those that are.
    pub(crate) fn lend(&self, share: &mut Permits) {
        let lent = share.split();
        let mut inside = self.inside();
        if inside.lent.len() >= inside.line.len() {
            // It has left meanwhile. What it does not need goes back when the lock is free.
            drop(inside);
            return drop(lent);
        }
        inside.lent.push(lent);
        let wakers: Vec<_> = inside.line.iter().map(|(_, waker)| waker.clone()).collect();
        drop(inside);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// For a lookup in line.
    pub(super) fn take(&self) -> Option<Permits> {
        self.inside().lent.pop()
    }

    /// A lookup waits in line, and is woken by `waker`.
    pub(super) fn waits(&self, ticket: u64, waker: &Waker) {
        let mut inside = self.inside();
        let known = inside.line.iter_mut().find(|(other, _)| *other == ticket);
        let before = match known {
            Some((_, known)) => Some(std::mem::replace(known, waker.clone())),
            None => {
                inside.line.push((ticket, waker.clone()));
                None
            }
        };
        drop(inside);
        drop(before);
    }

    /// A lookup does not wait in line any longer. What was put there for it goes back.
    pub(super) fn leaves(&self, ticket: u64) {
        let mut inside = self.inside();
        let known = inside.line.iter().position(|(other, _)| *other == ticket);
        let gone = known.map(|index| inside.line.swap_remove(index));
        let left = if inside.lent.len() > inside.line.len() { inside.lent.pop() } else { None };
        drop(inside);
        drop((gone, left));
    }

    /// Nothing that is done under it can panic, wakes anybody, or locks anything else.
    fn inside(&self) -> MutexGuard<'_, SpareState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
