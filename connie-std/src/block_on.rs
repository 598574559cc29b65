//! Waits in a thread for what wakes tasks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use connie_core::Instant;

use crate::clock::OsClock;

/// Calls `poll` until it breaks with a result, with this thread parked in between until the moment by `clock`
/// that it continued with (for ever where that is `None`). `None` where `canceled` says so, which it is asked
/// every 20 ms.
pub(crate) fn block_on<T>(
    mut poll: impl FnMut(&Waker) -> ControlFlow<T, Option<Instant>>,
    clock: OsClock,
    canceled: Option<&dyn Fn() -> bool>,
) -> Option<T> {
    let waker = thread_waker();
    loop {
        let until = match poll(&waker) {
            ControlFlow::Break(result) => return Some(result),
            ControlFlow::Continue(until) => until,
        };
        if canceled.is_some_and(|canceled| canceled()) {
            return None;
        }
        let left = until.map_or(LONGEST_WAIT, |until| until.duration_since(clock.now()));
        park(if canceled.is_some() { left.min(LOOK) } else { left });
    }
}

/// Wakes this thread out of [`park`].
pub(crate) fn thread_waker() -> Waker {
    Waker::from(Arc::new(Unpark(std::thread::current())))
}

/// Waits for so long, or until this thread is woken.
#[cfg(not(target_os = "wasi"))]
pub(crate) fn park(time: Duration) {
    std::thread::park_timeout(time);
}

/// A component has one thread, in which nothing comes free while it waits: the deadline ends that. std's
/// parking does not wait there.
#[cfg(target_os = "wasi")]
#[expect(clippy::disallowed_methods, reason = "waiting is this adapter's work")]
fn park(time: Duration) {
    std::thread::sleep(time);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How often a wait looks whether the program has canceled.
const LOOK: Duration = Duration::from_millis(20);

/// To wake early is allowed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
