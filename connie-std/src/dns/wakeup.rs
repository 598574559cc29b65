//! Wakes a lookup that waits in `poll` for an answer that another lookup brings.

use std::sync::{Arc, Mutex, PoisonError};

use crate::budget::{Permits, SocketBudget};
use crate::notifier::Notifier;
use crate::resolve::DescriptorPermit;

/// A descriptor to wake by, with its place in a budget.
pub(super) struct Wakeup {
    // Closed before its room is given back.
    pub(super) notifier: Notifier,
    _rooms: Vec<Arc<Permits>>,
    /// Whether the lookup was woken, and has not seen it yet.
    is_set: Mutex<bool>,
}

impl Wakeup {
    /// `None` where there is no descriptor for it, or where most of the budget is used: others have a better
    /// use for the rest.
    pub(super) fn new(budget: Option<&SocketBudget>) -> Option<Self> {
        if budget.is_some_and(|budget| budget.free() <= budget.sockets() / 2 + 1) {
            return None;
        }
        let rooms = (0..Notifier::DESCRIPTORS)
            .map(|_| DescriptorPermit::at_once(budget))
            .collect::<Option<Vec<_>>>()?;
        let rooms = rooms.iter().filter_map(DescriptorPermit::share).collect();
        Some(Wakeup { notifier: Notifier::new().ok()?, _rooms: rooms, is_set: Mutex::new(false) })
    }

    /// Wakes the lookup, until that [has seen it](Self::clear).
    pub(super) fn wake(&self) {
        let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *is_set, true) {
            self.notifier.notify();
        }
    }

    pub(super) fn clear(&self) {
        let mut is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *is_set) {
            self.notifier.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn it_stays_set_until_it_is_cleared() {
        let wakeup = Wakeup::new(None).expect("a descriptor");
        let is_ready = || {
            let mut fds = [PollFd::new(&wakeup.notifier, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll") == 1
        };
        assert!(!is_ready());
        wakeup.wake();
        wakeup.wake();
        assert!(is_ready());
        wakeup.clear();
        assert!(!is_ready());
        wakeup.clear();
        wakeup.wake();
        assert!(is_ready());
    }

    #[test]
    fn it_takes_no_room_that_others_may_need() {
        let budget = SocketBudget::new(4);
        let wakeup = Wakeup::new(Some(&budget)).expect("half of it is free");
        assert_eq!(budget.free(), 4 - Notifier::DESCRIPTORS);
        drop(wakeup);
        assert_eq!(budget.free(), 4);
        for sockets in [1, 2] {
            assert!(Wakeup::new(Some(&SocketBudget::new(sockets))).is_none(), "{sockets}");
        }
    }
}
