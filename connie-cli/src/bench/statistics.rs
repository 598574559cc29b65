//! What a sample of times says.

use connie_sim::Rng;

/// How often a bootstrap draws.
const RESAMPLES: usize = 2_000;

/// The figures of one sample, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub mean: f64,
    /// The sample's standard deviation, by n − 1; 0 for a single time.
    pub deviation: f64,
    pub median: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}

impl Figures {
    /// `None` for no times at all.
    pub fn of(times: &[u64]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let mean = mean(times);
        let squares: f64 = times.iter().map(|time| (*time as f64 - mean).powi(2)).sum();
        Some(Figures {
            mean,
            deviation: (squares / (times.len() as f64 - 1.0).max(1.0)).sqrt(),
            median: percentile(&sorted, 50),
            p90: percentile(&sorted, 90),
            p99: percentile(&sorted, 99),
            max,
        })
    }
}

/// The least of `sorted` that `percent` of all are not above (the nearest rank).
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn mean(times: &[u64]) -> f64 {
    times.iter().map(|time| *time as f64).sum::<f64>() / (times.len() as f64).max(1.0)
}

/// A ratio of two means with the interval that holds it in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    /// The mean of the first times over that of the second. Each pair was measured in the same round, so that
    /// a bootstrap draws whole rounds: what a round does to both of its times cancels out. `None` without
    /// pairs, or where the second times are all 0.
    pub fn of(pairs: &[(u64, u64)], rng: &mut Rng) -> Option<Self> {
        let ratio = |pairs: &mut dyn Iterator<Item = (u64, u64)>| {
            let (one, other) =
                pairs.fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0 as f64, sums.1 + pair.1 as f64));
            (other > 0.0).then_some(one / other)
        };
        let estimate = ratio(&mut pairs.iter().copied())?;
        let draws = (0..RESAMPLES).filter_map(|_| {
            ratio(&mut (0..pairs.len()).map(|_| pairs[rng.below(pairs.len() as u64) as usize]))
        });
        let mut drawn: Vec<f64> = draws.collect();
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn.get(((drawn.len() as f64 - 1.0) * share) as usize).copied();
        Some(Ratio { estimate, low: at(0.025)?, high: at(0.975)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_a_textbook() {
        let figures = Figures::of(&[2, 4, 4, 4, 5, 5, 7, 9]).unwrap();
        assert_eq!(figures.mean, 5.0);
        assert!((figures.deviation - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!((figures.median, figures.p90, figures.p99, figures.max), (4, 9, 9, 9));
        assert_eq!(Figures::of(&[]), None);
        assert_eq!(Figures::of(&[3]).unwrap().deviation, 0.0);
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        let ranks = [1, 50, 90, 99, 100].map(|percent| percentile(&hundred, percent));
        assert_eq!(ranks, [1, 50, 90, 99, 100]);
        assert_eq!(percentile(&[10, 20, 30], 50), 20);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn the_interval_holds_the_ratio_and_narrows_with_the_sample() {
        let sample = |count: u64| -> Vec<(u64, u64)> {
            let mut rng = Rng::new(5);
            (0..count).map(|_| (rng.within(400, 600), rng.within(800, 1_200))).collect()
        };
        let of = |count| Ratio::of(&sample(count), &mut Rng::new(1)).unwrap();
        let (few, many) = (of(10), of(1_000));
        for ratio in [few, many] {
            assert!(ratio.low < ratio.estimate && ratio.estimate < ratio.high, "{ratio:?}");
        }
        assert!(many.low < 0.5 && 0.5 < many.high, "{many:?}");
        assert!(many.high - many.low < (few.high - few.low) / 4.0, "{few:?} {many:?}");
    }

    #[test]
    fn the_interval_holds_the_truth_in_95_of_100_samples() {
        // Times that differ by 10 and 20 % around 500 and 1,000: the true ratio is a half.
        let held = (0..200).filter(|seed| {
            let mut rng = Rng::new(*seed);
            let pairs: Vec<(u64, u64)> =
                (0..40).map(|_| (rng.within(450, 550), rng.within(800, 1_200))).collect();
            let ratio = Ratio::of(&pairs, &mut rng).unwrap();
            ratio.low <= 0.5 && 0.5 <= ratio.high
        });
        let held = held.count();
        assert!((180..=199).contains(&held), "{held} of 200");
    }

    #[test]
    fn what_a_round_does_to_both_cancels_out() {
        let pairs: Vec<(u64, u64)> = (1..=50).map(|round| (round * 100, round * 200)).collect();
        let ratio = Ratio::of(&pairs, &mut Rng::new(1)).unwrap();
        assert_eq!((ratio.low, ratio.estimate, ratio.high), (0.5, 0.5, 0.5));
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(Ratio::of(&[], &mut Rng::new(1)), None);
        assert_eq!(Ratio::of(&[(5, 0)], &mut Rng::new(1)), None);
    }
}
