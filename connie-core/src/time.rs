//! The one clock reading that connie knows: microseconds since some start that the caller chose.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment, in microseconds since a start of the caller's choice (boot, the first call, an epoch).
///
/// The core never asks a clock: every function that depends on time takes an `Instant`. Readings should not
/// run backwards; where one does, the race treats its clock as standing still until it has caught up.
///
/// Arithmetic saturates: no duration, however long, can overflow it (the range is 584,000 years).
///
/// ```
/// use connie_core::Instant;
/// use core::time::Duration;
///
/// let start = Instant::from_micros(1_000);
/// assert_eq!(start + Duration::from_millis(250), Instant::from_micros(251_000));
/// assert_eq!(Instant::from_micros(251_000).duration_since(start), Duration::from_millis(250));
/// assert_eq!(start.duration_since(Instant::from_micros(251_000)), Duration::ZERO);
/// assert_eq!(Instant::from_micros(251_000) - start, Duration::from_millis(250));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const ZERO: Instant = Instant(0);

    /// The moment `micros` microseconds after the clock's start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Instant(micros)
    }

    /// The moment `millis` milliseconds after the clock's start; saturates.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Instant(millis.saturating_mul(1_000))
    }

    /// Microseconds since the clock's start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where it is not after it, as with [`std::time::Instant`].
    ///
    /// [`std::time::Instant`]: https://doc.rust-lang.org/std/time/struct.Instant.html#method.duration_since
    #[must_use]
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// How long after `earlier` this is; `None` where `earlier` is later.
    #[must_use]
    pub const fn checked_duration_since(self, earlier: Instant) -> Option<Duration> {
        match self.0.checked_sub(earlier.0) {
            Some(micros) => Some(Duration::from_micros(micros)),
            None => None,
        }
    }

    /// This moment plus `duration`, rounded up to the microsecond; `None` past the end of the range, where
    /// `+` saturates.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Instant> {
        let micros = u64::try_from(duration.as_nanos().div_ceil(1_000)).ok()?;
        self.0.checked_add(micros).map(Instant)
    }

    /// This moment plus `micros` microseconds; saturates.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn plus_micros(self, micros: u64) -> Instant {
        Instant(self.0.saturating_add(micros))
    }

    /// Microseconds since `earlier`; zero where it is not after it.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) const fn micros_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Ends at the last instant that there is, and so cannot overflow.
impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        self.plus_micros(micros(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// [`duration_since`](Instant::duration_since).
impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Display for Instant {
    /// Seconds with six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// `duration` in whole microseconds, rounded up so that a wait is never cut short; saturates.
pub(crate) const fn micros(duration: Duration) -> u64 {
    // `as_micros` would bring in 128-bit arithmetic, which costs a kilobyte on a microcontroller.
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(duration.subsec_nanos().div_ceil(1_000) as u64)
}

/// Later than every moment that comes.
pub(crate) const NEVER: Instant = Instant::from_micros(u64::MAX);

/// `duration` in microseconds, held within `least` and `most`, which must be under 71 minutes.
// Inlined: its bounds are constants.
#[inline(always)]
pub(crate) fn within(duration: Duration, least: Duration, most: Duration) -> u32 {
    micros(duration).clamp(micros(least), micros(most)) as u32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_moment_reads_as_seconds_to_the_microsecond() {
        assert_eq!(Instant::from_micros(61_000_042).to_string(), "61.000042");
    }

    #[test]
    fn durations_round_up_to_the_microsecond() {
        assert_eq!(micros(Duration::from_nanos(1)), 1);
        assert_eq!(micros(Duration::from_nanos(1_000)), 1);
        assert_eq!(micros(Duration::from_nanos(1_001)), 2);
        assert_eq!(micros(Duration::from_secs(2)), 2_000_000);
    }

    #[test]
    fn what_is_checked_ends_where_the_range_does() {
        let (zero, last) = (Instant::ZERO, Instant::from_micros(u64::MAX));
        assert_eq!(last.checked_duration_since(zero), Some(Duration::from_micros(u64::MAX)));
        assert_eq!(zero.checked_duration_since(Instant::from_micros(1)), None);
        assert_eq!(zero.checked_add(Duration::from_micros(u64::MAX)), Some(last));
        assert_eq!(zero.checked_add(Duration::from_micros(u64::MAX) + Duration::from_nanos(1)), None);
        assert_eq!(last.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(zero.checked_add(Duration::from_nanos(1)), Some(Instant::from_micros(1)));
    }

    #[test]
    fn the_longest_duration_saturates() {
        assert_eq!(Instant::from_micros(7) + Duration::MAX, Instant::from_micros(u64::MAX));
    }
}
