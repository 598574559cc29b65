//! The clock of a memory. It goes on while the machine sleeps: what was learnt grows old meanwhile.

use std::time::Duration;

use connie_core::Instant;

use crate::clock::OsClock;

/// Counts from its creation.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryClock {
    start: Duration,
    since_boot: fn() -> Duration,
}

impl MemoryClock {
    pub(super) fn start() -> Self {
        Self::by(since_boot)
    }

    fn by(since_boot: fn() -> Duration) -> Self {
        MemoryClock { start: since_boot(), since_boot }
    }

    pub(super) fn now(self) -> Instant {
        self.moment((self.since_boot)())
    }

    /// What it says at a moment of a clock that may stand still while the machine sleeps: so much before now,
    /// or after.
    pub(super) fn at(self, moment: std::time::Instant) -> Instant {
        let (here, there) = ((self.since_boot)(), OsClock::start().std);
        match there.checked_duration_since(moment) {
            Some(age) => self.moment(here.saturating_sub(age)),
            None => self.moment(here.saturating_add(moment.saturating_duration_since(there))),
        }
    }

    fn moment(self, since_boot: Duration) -> Instant {
        let since_start = since_boot.saturating_sub(self.start);
        Instant::ZERO + Duration::from_micros(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }
}

/// `CLOCK_BOOTTIME` "also includes any time that the system is suspended" (clock_gettime(2)); the clock of
/// the standard library does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    counted(rustix::time::ClockId::Boottime)
}

/// There `CLOCK_MONOTONIC` goes on "while the system is asleep" (clock_gettime(3)), and the clock of the
/// standard library does not.
#[cfg(target_vendor = "apple")]
fn since_boot() -> Duration {
    counted(rustix::time::ClockId::Monotonic)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn counted(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    // Neither is ever negative.
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// On Windows the clock of the standard library goes on.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let now = OsClock::start().std;
    now.saturating_duration_since(*FIRST.get_or_init(|| now))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    thread_local! {
        static SINCE_BOOT: Cell<Duration> = const { Cell::new(HOUR) };
    }

    fn sleep(time: Duration) {
        SINCE_BOOT.set(SINCE_BOOT.get() + time);
    }

    #[test]
    fn sleeping_counts() {
        let clock = MemoryClock::by(|| SINCE_BOOT.get());
        assert_eq!(clock.now(), Instant::ZERO);
        sleep(HOUR);
        assert_eq!(clock.now(), Instant::ZERO + HOUR);
        // A race that began just now, and one that ends within its deadline.
        let started = OsClock::start().std;
        assert!(clock.at(started).duration_since(Instant::ZERO) > HOUR * 99 / 100);
        assert!(clock.at(started + HOUR).duration_since(Instant::ZERO) > HOUR * 199 / 100);
    }

    #[test]
    fn what_was_before_it_began_was_then() {
        let clock = MemoryClock::start();
        let before = clock.at(OsClock::start().std - Duration::from_millis(5));
        assert_eq!(before, Instant::ZERO);
        assert!(clock.now() <= clock.now());
    }
}
