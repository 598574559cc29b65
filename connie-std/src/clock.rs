//! The operating system's clock.

use std::time::Duration;

use connie_core::Instant;

/// The operating system's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    pub(crate) std: std::time::Instant,
}

impl OsClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the adapter's clock")]
    pub fn start() -> Self {
        OsClock { std: std::time::Instant::now() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO
            + Duration::from_micros(u64::try_from(self.std.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The time since the clock was started, as it is at `moment`. For a program whose time is not the
    /// operating system's.
    #[cfg(feature = "tokio")]
    pub(crate) fn at(self, moment: std::time::Instant) -> Instant {
        let since_start = moment.saturating_duration_since(self.std);
        Instant::ZERO + Duration::from_micros(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }

    /// A clock that started at `moment`.
    #[cfg(feature = "tokio")]
    pub(crate) fn since(moment: std::time::Instant) -> Self {
        OsClock { std: moment }
    }

    /// Waits until `moment`.
    pub(crate) fn wait_until(self, moment: Instant) {
        pause(moment.duration_since(self.now()));
    }

    /// A moment of this clock as the standard library counts it, to compare with moments of other clocks.
    #[must_use]
    pub fn to_std(&self, moment: Instant) -> std::time::Instant {
        // No clock counts further than a century.
        let since_start = moment.duration_since(Instant::ZERO).min(Duration::from_secs(3_155_760_000));
        self.std.checked_add(since_start).unwrap_or(self.std)
    }
}

/// Does nothing for `time`.
#[expect(clippy::disallowed_methods, reason = "waiting is this adapter's work")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
