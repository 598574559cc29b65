//! When a connect is woken by the clock.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use connie_core::Instant;

use crate::queries::poll_once;

/// The one time that a connect waits for. It lies in a place of its owner's.
pub(crate) struct Alarm<'p, F> {
    timer: Pin<&'p mut Option<F>>,
    /// What the timer was set to.
    at: Option<Instant>,
    /// Whether it has rung in this poll of the task.
    rang: bool,
}

impl<'p, F: Future<Output = ()>> Alarm<'p, F> {
    /// It is set to no time.
    pub(crate) fn new(timer: Pin<&'p mut Option<F>>) -> Self {
        Alarm { timer, at: None, rang: false }
    }

    /// Ready when it is `until`: look at the clock again. If not, the task is woken then. `wait` waits for a
    /// moment.
    pub(crate) fn poll(
        &mut self,
        until: Option<Instant>,
        wait: impl FnOnce(Instant) -> F,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if until != self.at || (until.is_some() && self.timer.is_none()) {
            self.at = until;
            self.timer.set(until.map(wait));
        }
        let rings = poll_once(self.timer.as_mut(), cx).is_some();
        let again = core::mem::replace(&mut self.rang, rings);
        if rings && again {
            // A clock that is early must not keep the executor from its other tasks.
            self.rang = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if rings { Poll::Ready(()) } else { Poll::Pending }
    }
}
