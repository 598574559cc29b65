//! What wakes a look-up that waits in `poll` for another to bring its answer.

use std::sync::{Arc, Mutex, PoisonError};

use crate::budget::{Share, SocketBudget};
use crate::doorbell::Doorbell;
use crate::resolve::Room;

/// A doorbell with its room in a budget.
pub(super) struct Bell {
    // Closed before its room is given back.
    pub(super) doorbell: Doorbell,
    _rooms: Vec<Arc<Share>>,
    /// Whether it has rung.
    rung: Mutex<bool>,
}

impl Bell {
    /// `None` where there is no descriptor for it, or where most of the budget is used: others have a better use for the rest.
    pub(super) fn new(budget: Option<&SocketBudget>) -> Option<Self> {
        if budget.is_some_and(|budget| budget.free() <= budget.sockets() / 2 + 1) {
            return None;
        }
        let rooms = (0..Doorbell::DESCRIPTORS).map(|_| Room::at_once(budget)).collect::<Option<Vec<_>>>()?;
        let rooms = rooms.iter().filter_map(Room::share).collect();
        Some(Bell { doorbell: Doorbell::new().ok()?, _rooms: rooms, rung: Mutex::new(false) })
    }

    /// Wakes the look-up, until that [has heard it](Self::quiet).
    pub(super) fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *rung, true) {
            self.doorbell.ring();
        }
    }

    pub(super) fn quiet(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *rung) {
            self.doorbell.answer();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn it_rings_until_it_was_heard() {
        let bell = Bell::new(None).expect("a descriptor");
        let rings = || {
            let mut fds = [PollFd::new(&bell.doorbell, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("poll") == 1
        };
        assert!(!rings());
        bell.ring();
        bell.ring();
        assert!(rings());
        bell.quiet();
        assert!(!rings());
        bell.quiet();
        bell.ring();
        assert!(rings());
    }

    #[test]
    fn it_takes_no_room_that_others_may_need() {
        let budget = SocketBudget::new(4);
        let bell = Bell::new(Some(&budget)).expect("half of it is free");
        assert_eq!(budget.free(), 4 - Doorbell::DESCRIPTORS);
        drop(bell);
        assert_eq!(budget.free(), 4);
        for sockets in [1, 2] {
            assert!(Bell::new(Some(&SocketBudget::new(sockets))).is_none(), "{sockets}");
        }
    }
}
