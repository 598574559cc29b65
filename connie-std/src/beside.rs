//! A connection that is watched while another one is being opened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pollable::PollNeed;

/// What an [`OsPoller`](crate::OsPoller) watches in each of its waits, beside what it waits for.
pub(crate) trait Beside: Send {
    /// What to look for in `poll`.
    fn poll_need(&self) -> PollNeed<'_>;

    /// Looks at the connection, and returns whether the wait is to end, and with it whatever it was for: it
    /// is then canceled.
    fn look(&mut self) -> bool;
}

/// The same, shared by the poller and by whoever the connection belongs to.
pub(crate) type SharedBeside = Arc<Mutex<dyn Beside>>;

pub(crate) fn lock<B: Beside + ?Sized>(beside: &Mutex<B>) -> MutexGuard<'_, B> {
    // A panic of another thread cannot have left it half changed: one thread has it.
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}
