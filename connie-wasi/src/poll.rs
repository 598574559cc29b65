//! The clock of `wasi:clocks`, and one way to wait: a `poll` of everything at once.

use alloc::vec::Vec;
use core::time::Duration;

use connie_core::Instant;
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{Pollable, poll};

/// The host's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct WasiClock {
    /// In nanoseconds.
    start: u64,
}

impl WasiClock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        WasiClock { start: monotonic_clock::now() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_micros(monotonic_clock::now().saturating_sub(self.start) / 1_000)
    }

    /// A moment of `other` as this clock has it. One before this clock's start is its start.
    #[cfg(feature = "dns")]
    pub(crate) fn convert(self, moment: Instant, other: WasiClock) -> Instant {
        let nanos = moment.as_micros().saturating_mul(1_000).saturating_add(other.start);
        // Not too early.
        Instant::from_micros(nanos.saturating_sub(self.start).div_ceil(1_000))
    }

    /// What is ready when `moment` has come. Runtimes are late by a millisecond or so, never early.
    fn at(&self, moment: Instant) -> Pollable {
        let nanos = moment.as_micros().saturating_mul(1_000);
        monotonic_clock::subscribe_instant(self.start.saturating_add(nanos))
    }
}

/// What one `poll` waits for.
///
/// A program with pollables of its own can wait for them and for a race in one:
/// [`WasiSocket::pollable`](crate::WasiSocket::pollable) has those of sockets, for a
/// [`RaceDriver`](connie_core::RaceDriver) that is driven by [`poll`](connie_core::RaceDriver::poll).
#[derive(Debug, Default)]
pub struct PollSet<'a> {
    pollables: Vec<&'a Pollable>,
}

impl<'a> PollSet<'a> {
    /// Waits for `pollable` too. Answers its number.
    pub fn watch(&mut self, pollable: &'a Pollable) -> usize {
        self.pollables.push(pollable);
        self.pollables.len().saturating_sub(1)
    }

    /// Waits until one of them is ready, or until `until` (for ever where that is `None`), and answers the
    /// numbers of those that are. With nothing to wait for it comes back after an hour, so that it never
    /// traps.
    pub fn wait(self, clock: WasiClock, until: Option<Instant>) -> Vec<usize> {
        let PollSet { mut pollables } = self;
        let watched = pollables.len();
        // "This function traps if [...] the list is empty" (wasi:io/poll).
        let until = until.or_else(|| pollables.is_empty().then(|| clock.now() + LONGEST_WAIT));
        let alarm = until.map(|until| clock.at(until));
        pollables.extend(&alarm);
        let ready = poll(&pollables);
        ready.into_iter().map(|index| index as usize).filter(|index| *index < watched).collect()
    }
}

/// To wake early is allowed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
