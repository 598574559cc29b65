//! The time, and waiting for it.

use connie_core::Instant;

/// A clock that can wake a task.
///
/// With the feature `embassy-time` there is `EmbassyClock`; a program on another executor brings its own in
/// ten lines.
pub trait Clock {
    /// The time now. Must not run backwards.
    fn now(&self) -> Instant;

    /// Ends at `at`, or later. Where it ends sooner, the race looks at the time and waits again, which costs
    /// a turn of the executor. Dropping the future must end the wait.
    async fn wait_until(&self, at: Instant);
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Instant {
        C::now(self)
    }

    async fn wait_until(&self, at: Instant) {
        C::wait_until(self, at).await;
    }
}

/// The time of embassy-time's driver (feature `embassy-time`).
#[cfg(feature = "embassy-time")]
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyClock;

#[cfg(feature = "embassy-time")]
impl Clock for EmbassyClock {
    fn now(&self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }

    async fn wait_until(&self, at: Instant) {
        embassy_time::Timer::at(ticks(at)).await;
    }
}

/// The first tick at which the clock shows `at`, so that a wait never ends before its time. A moment beyond
/// the clock's range is its end.
#[cfg(feature = "embassy-time")]
fn ticks(at: Instant) -> embassy_time::Instant {
    const SECOND: u64 = 1_000_000;
    let (seconds, micros) = (at.as_micros() / SECOND, at.as_micros() % SECOND);
    let rest = micros.saturating_mul(embassy_time::TICK_HZ).div_ceil(SECOND);
    embassy_time::Instant::from_ticks(seconds.saturating_mul(embassy_time::TICK_HZ).saturating_add(rest))
}

#[cfg(all(test, feature = "embassy-time"))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_on_a_tick_that_shows_its_time_and_not_one_sooner() {
        for micros in [0, 1, 30, 31, 999_999, 1_000_000, 1_000_001, 86_400_000_000 + 77] {
            let tick = ticks(Instant::from_micros(micros));
            assert!(tick.as_micros() >= micros, "{micros}");
            let before = embassy_time::Instant::from_ticks(tick.as_ticks().saturating_sub(1));
            assert!(micros == 0 || before.as_micros() < micros, "{micros}");
        }
        assert_eq!(
            ticks(Instant::from_micros(u64::MAX)).as_micros() / 2,
            embassy_time::Instant::MAX.as_micros() / 2
        );
    }
}
