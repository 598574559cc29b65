//! Room for the descriptors of a lookup in a [`SocketBudget`].
//!
//! A lookup stands in the same line as the races do, and never for ever: whatever it keeps meanwhile, a
//! timeout ends. So a race may wait for the lookups of others.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};

use connie_core::Instant;

#[cfg(feature = "dns")]
use super::WatchSet;
use crate::budget::{Acquire, Permits, QueueTicket, SocketBudget};

/// Room for one descriptor: waited for, and then kept as long as this or one of its [shares](Self::share)
/// lives.
#[derive(Debug, Default)]
pub(crate) struct DescriptorPermit(RefCell<RoomState>);

/// Connections hold all the places of a budget, and it is not waited for them, or not any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetHeldError {
    /// How many places that are.
    sockets: usize,
}

impl fmt::Display for BudgetHeldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections hold all {} sockets of the socket budget", self.sockets)
    }
}

#[derive(Debug, Default)]
struct RoomState {
    /// Where it waits in line.
    place: Option<QueueTicket>,
    /// Until when it waits for connections to end, since it has found that they hold all.
    waits_until: Option<Instant>,
    share: Option<Arc<Permits>>,
}

impl DescriptorPermit {
    /// Whether there is room. Where not, it waits in line, and what [watches](Self::watch) is woken when its
    /// turn has come.
    pub(crate) fn poll(
        &mut self,
        budget: Option<&SocketBudget>,
        now: Instant,
    ) -> Poll<Result<(), BudgetHeldError>> {
        self.poll_by(budget, Waker::noop(), now)
    }

    /// The same, with what is woken when its turn has come.
    pub(crate) fn poll_by(
        &mut self,
        budget: Option<&SocketBudget>,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<(), BudgetHeldError>> {
        let Some(budget) = budget else { return Poll::Ready(Ok(())) };
        let state = self.0.get_mut();
        match state.poll(budget, waker) {
            QueuePosition::No => Poll::Ready(Ok(())),
            QueuePosition::Yes => {
                state.waits_until = None;
                Poll::Pending
            }
            QueuePosition::AllHeld if now < *state.waits_until.get_or_insert(now + budget.patience()) => {
                Poll::Pending
            }
            QueuePosition::AllHeld => {
                state.place = None;
                Poll::Ready(Err(BudgetHeldError { sockets: budget.sockets() }))
            }
        }
    }

    /// What there is at once. `None` where there is nothing.
    pub(crate) fn at_once(budget: Option<&SocketBudget>) -> Option<Self> {
        let mut room = DescriptorPermit::default();
        let has_it = matches!(room.poll(budget, Instant::ZERO), Poll::Ready(Ok(())));
        has_it.then_some(room)
    }

    /// When to [`poll`](Self::poll) though nobody has woken.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let state = self.0.borrow();
        state.waits_until.filter(|_| state.place.is_some())
    }

    /// Has what drives the lookup woken when the turn has come.
    #[cfg(feature = "dns")]
    pub(crate) fn watch(&self, budget: Option<&SocketBudget>, watch: &WatchSet<'_>) {
        let Some(budget) = budget else { return };
        let mut state = self.0.borrow_mut();
        if state.place.is_some() {
            let waker = watch.queue_waker();
            let is_news = match state.poll(budget, &waker) {
                QueuePosition::No => true,
                QueuePosition::Yes => false,
                QueuePosition::AllHeld => state.waits_until.is_none(),
            };
            drop(state);
            if is_news {
                waker.wake();
            }
        }
    }

    /// What keeps the room, to be kept with the descriptor.
    pub(crate) fn share(&self) -> Option<Arc<Permits>> {
        self.0.borrow().share.clone()
    }
}

/// Whether it waits in line.
enum QueuePosition {
    No,
    Yes,
    /// And nothing comes back by itself.
    AllHeld,
}

impl RoomState {
    fn poll(&mut self, budget: &SocketBudget, waker: &Waker) -> QueuePosition {
        if self.share.is_none() {
            match budget.poll_acquire(&mut self.place, 1, waker) {
                Acquire::Acquired(share) => self.share = Some(Arc::new(share)),
                Acquire::Queued => return QueuePosition::Yes,
                Acquire::AllHeld => return QueuePosition::AllHeld,
            }
        }
        QueuePosition::No
    }
}
