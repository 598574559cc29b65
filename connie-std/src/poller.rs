//! The poller: what is the same on every system. How to wait differs ([`crate::wait`]).

use std::fmt;
use std::time::Duration;

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, PollEntry, PollResult, Poller};

#[cfg(not(target_os = "wasi"))]
use crate::beside::SharedBeside;
use crate::cancel::Canceler;
use crate::clock::OsClock;
use crate::resolve::{LookupTask, WatchSet};

/// Waits for the system's sockets: one `poll` over all of them, with no descriptor of its own.
pub struct OsPoller {
    pub(crate) clock: OsClock,
    pub(crate) canceler: Option<Canceler>,
    /// Lookups that run beside a race.
    pub(crate) lookups: Vec<LookupTask>,
    /// When a race looks after its sockets.
    pub(crate) looks_at: Option<Instant>,
    /// A connection that is watched as well.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) beside: Option<SharedBeside>,
}

impl fmt::Debug for OsPoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OsPoller { clock, canceler, lookups, .. } = self;
        let lookups = &lookups.len();
        let mut parts = f.debug_struct("OsPoller");
        parts.field("clock", clock).field("canceler", canceler).field("lookups", lookups).finish()
    }
}

impl OsPoller {
    /// A poller whose clock starts now. `canceler`, where there is one, can end every wait from another
    /// thread; on WASI, which has none, it ends the next wait.
    #[must_use]
    pub fn new(canceler: Option<Canceler>) -> Self {
        OsPoller {
            clock: OsClock::start(),
            canceler,
            lookups: Vec::new(),
            looks_at: None,
            #[cfg(not(target_os = "wasi"))]
            beside: None,
        }
    }

    /// The time since its creation. For all stacks the same, so that a program need not say which one it
    /// means.
    #[must_use]
    pub fn now(&mut self) -> Instant {
        self.clock.now()
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> OsClock {
        self.clock
    }

    /// Sets the canceler that can end every wait from now on.
    pub(crate) fn set_canceler(&mut self, canceler: Option<Canceler>) {
        self.canceler = canceler;
    }

    /// Whether the program has canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.canceler.as_ref().is_some_and(Canceler::is_canceled)
    }

    /// Whether what is [watched as well](Self::beside) ends the wait.
    pub(crate) fn has_come_beside(&self) -> bool {
        #[cfg(not(target_os = "wasi"))]
        let has_come = self.beside.as_deref().is_some_and(|beside| crate::beside::lock(beside).look());
        #[cfg(target_os = "wasi")]
        let has_come = false;
        has_come
    }

    /// What ends a wait for something other than sockets: asked now and again, it says whether the program
    /// has canceled or something [has come](Self::has_come_beside). `None` where neither can be.
    pub(crate) fn ends_wait(&self) -> Option<impl Fn() -> bool + use<>> {
        let canceler = self.canceler.clone();
        let is_canceled = move || canceler.as_ref().is_some_and(Canceler::is_canceled);
        #[cfg(not(target_os = "wasi"))]
        let (beside, may_end) = (self.beside.clone(), self.canceler.is_some() || self.beside.is_some());
        #[cfg(not(target_os = "wasi"))]
        let ends = move || {
            is_canceled() || beside.as_deref().is_some_and(|beside| crate::beside::lock(beside).look())
        };
        #[cfg(target_os = "wasi")]
        let (ends, may_end) = (is_canceled, self.canceler.is_some());
        may_end.then_some(ends)
    }

    /// Whether a lookup waits for something.
    pub(crate) fn has_lookups(&self) -> bool {
        let (watch, wake_at) = self.watch_lookups(None);
        !watch.entries.is_empty() || wake_at.is_some()
    }

    /// What the lookups watch, and when to wake for them or at `until`.
    pub(crate) fn watch_lookups(&self, until: Option<Instant>) -> (WatchSet<'_>, Option<Instant>) {
        // Before it is asked when to wake: where it can lend nothing, it learns so here.
        let mut watch = WatchSet::default();
        for running in &self.lookups {
            running.lookup.watch(&mut watch);
        }
        let wakes = self.lookups.iter().filter_map(|running| running.lookup.wake_at());
        let until = wakes.chain(until).chain(self.looks_at).min();
        (watch, until)
    }
}

/// Waits for a stack that cannot say which of its sockets is ready: sleeps for a short time and looks at all
/// of them.
///
/// For foreign embedded-nal stacks ([`connie_core::NalCompat`]).
#[derive(Debug)]
pub struct SleepPoller {
    clock: OsClock,
    step: Duration,
}

impl SleepPoller {
    /// A poller that looks at every socket each `step`. 1 ms is a good choice: a shorter one costs more
    /// processor time, a longer one more delay.
    #[must_use]
    pub fn new(step: Duration) -> Self {
        SleepPoller { clock: OsClock::start(), step }
    }
}

impl<S: TcpClientStack> Poller<S> for SleepPoller {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(
        &mut self,
        _: &mut S,
        sockets: &mut [PollEntry<'_, S::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        let step = self.clock.now() + self.step;
        self.clock.wait_until(until.map_or(step, |until| until.min(step)));
        for watched in sockets {
            watched.ready = true;
        }
        PollResult::Look
    }
}
