//! How long an address takes to answer, by RFC 6298, in four octets.

/// A time in microseconds as a number of 12 bits and a power of two of 4: up to 134 s, to one part in 2,048.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ShortTime(pub(super) u16);

impl ShortTime {
    /// The nearest that is not less.
    pub(super) const fn new(micros: u32) -> Self {
        let mut power = 0;
        while power < 15 && micros.div_ceil(1 << power) > 0xfff {
            power += 1;
        }
        let digits = micros.div_ceil(1 << power);
        ShortTime(power << 12 | if digits > 0xfff { 0xfff } else { digits as u16 })
    }

    pub(super) const fn micros(self) -> u32 {
        ((self.0 & 0xfff) as u32) << (self.0 >> 12)
    }
}

/// A smoothed round trip and its variation; without a sample 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Estimate {
    pub(super) mean: ShortTime,
    pub(super) variation: ShortTime,
}

/// A sample above this is none: the machine slept, or the clock jumped.
pub(super) const LONGEST: u32 = 60_000_000;
/// The least that a delay has beyond the mean: the least delay of RFC 8305.
const LEAST: u32 = 10_000;

impl Estimate {
    /// As the number that a place has room for.
    pub(super) fn bits(self) -> u32 {
        u32::from(self.mean.0) | u32::from(self.variation.0) << 16
    }

    pub(super) fn of_bits(bits: u32) -> Self {
        Estimate { mean: ShortTime(bits as u16), variation: ShortTime((bits >> 16) as u16) }
    }

    /// RFC 6298 section 2.2: "SRTT <- R, RTTVAR <- R/2".
    pub(super) fn first(sample: u32) -> Self {
        Estimate { mean: ShortTime::new(sample.max(1)), variation: ShortTime::new(sample / 2) }
    }

    pub(super) fn is_known(self) -> bool {
        self.mean != ShortTime(0)
    }

    /// RFC 6298 section 2.3, with one change: the variation shrinks by an eighth and grows by a quarter of
    /// the difference. The measure is four variations, so that it is never less than the sample that came
    /// last.
    pub(super) fn update(&mut self, sample: u32) {
        if !self.is_known() {
            *self = Self::first(sample);
            return;
        }
        let (mean, variation) = (self.mean.micros(), self.variation.micros());
        let error = mean.abs_diff(sample);
        // Both are under 135 s, so that nothing here comes near the end of 32 bits.
        let variation = if error > variation {
            variation.saturating_sub(variation / 4).saturating_add(error / 4)
        } else {
            variation.saturating_sub(variation / 8).saturating_add(error / 8)
        };
        let mean = mean.saturating_sub(mean / 8).saturating_add(sample / 8);
        *self = Estimate { mean: ShortTime::new(mean.max(1)), variation: ShortTime::new(variation) };
    }

    /// By when it has answered if all is as it was: the mean and four variations, at least 10 ms and an
    /// eighth more than the mean. An estimate of an earlier time is less sure by one variation for each
    /// half-life.
    pub(super) fn measure(self, half_lives: u32) -> u32 {
        let (mean, variation) = (self.mean.micros(), self.variation.micros());
        let wide = variation.saturating_mul(half_lives.min(60).saturating_add(4));
        mean.saturating_add(wide.max(LEAST).max(mean / 8))
    }
}

/// Whether `better` is so much less than `other` that it counts: by 10 ms and by a third. All that are not
/// are equal.
pub(super) fn is_better(better: u32, other: u32) -> bool {
    other.saturating_sub(better) >= LEAST.max(other.div_ceil(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_to_one_part_in_two_thousand_and_never_shortened() {
        for micros in [0, 1, 4_095, 4_096, 4_097, 31_003, 250_000, 59_999_999, LONGEST, 134_184_960] {
            let kept = ShortTime::new(micros).micros();
            assert!(kept >= micros && kept - micros <= micros / 2_048, "{micros} is kept as {kept}");
        }
        assert_eq!(ShortTime::new(u32::MAX).micros(), 0xfff << 15);
    }

    #[test]
    fn rfc_6298_begins_with_half_of_the_sample() {
        let estimate = Estimate::first(40_000);
        assert_eq!((estimate.mean.micros(), estimate.variation.micros()), (40_000, 20_000));
        assert_eq!(estimate.measure(0), 120_000);
        assert!(!Estimate::default().is_known() && Estimate::first(0).is_known());
    }

    /// The delay must not be too short: whatever came before, what took so long now has time for it at once.
    #[test]
    fn the_measure_is_never_less_than_the_sample_that_came_last() {
        for samples in
            [[30_000, 30_000, 30_000, 200_000], [1, 1, 1, 40_000], [90_000, 20_000, 20_000, 70_000]]
        {
            let mut estimate = Estimate::default();
            for _ in 0..20 {
                for sample in samples {
                    estimate.update(sample);
                    assert!(estimate.measure(0) >= sample - sample / 1_000, "{samples:?} {estimate:?}");
                }
            }
        }
    }

    /// The order must not drop the best for one bad sample.
    #[test]
    fn one_slow_sample_moves_the_mean_by_an_eighth() {
        let mut estimate = Estimate::first(30_000);
        estimate.update(110_000);
        assert!(estimate.mean.micros().abs_diff(40_000) < 50);
    }

    #[test]
    fn a_steady_address_has_a_short_measure() {
        let mut estimate = Estimate::first(30_000);
        for _ in 0..40 {
            estimate.update(30_000);
        }
        assert!((40_000..40_100).contains(&estimate.measure(0)), "{}", estimate.measure(0));
        let mut slow = Estimate::first(300_000);
        for _ in 0..60 {
            slow.update(300_000);
        }
        assert!((337_000..339_000).contains(&slow.measure(0)), "{}", slow.measure(0));
    }

    #[test]
    fn an_old_estimate_is_less_sure() {
        let estimate = Estimate::first(40_000);
        assert_eq!(estimate.measure(1), 140_000);
        assert!(estimate.measure(u32::MAX) < 1_400_000);
    }

    #[test]
    fn better_is_by_ten_milliseconds_and_a_third() {
        for (better, other, is) in [
            (20_000, 29_999, false),
            (20_000, 30_000, true),
            (60_000, 89_999, false),
            (60_000, 90_000, true),
            (1_000, 10_999, false),
            (1_000, 11_000, true),
            (30_000, 20_000, false),
        ] {
            assert_eq!(is_better(better, other), is, "{better} {other}");
        }
    }
}
