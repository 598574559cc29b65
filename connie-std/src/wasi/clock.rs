//! The runtime's clock.

use std::time::Duration;

use connie_core::Instant;
use connie_wasi::{PollSet, WasiClock};

/// The runtime's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    pub(crate) std: std::time::Instant,
    /// The same, started a moment later, so that it is never early.
    pub(crate) wasi: WasiClock,
}

impl OsClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the adapter's clock")]
    pub fn start() -> Self {
        OsClock { std: std::time::Instant::now(), wasi: WasiClock::start() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.wasi.now()
    }

    /// Waits until `moment`.
    pub(crate) fn wait_until(self, moment: Instant) {
        PollSet::default().wait(self.wasi, Some(moment));
    }

    /// A moment of this clock as the standard library counts it, to compare with moments of other clocks.
    #[must_use]
    pub fn to_std(&self, moment: Instant) -> std::time::Instant {
        // No clock counts further than a century.
        let since_start = moment.duration_since(Instant::ZERO).min(Duration::from_secs(3_155_760_000));
        self.std.checked_add(since_start).unwrap_or(self.std)
    }
}
