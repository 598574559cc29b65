//! Random numbers that are not even.

use crate::rng::Rng;

/// From 0 to 1, neither of them.
pub(super) fn share(rng: &mut Rng) -> f64 {
    ((rng.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// From `low` to `high`.
pub(super) fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * share(rng)
}

/// Whether what happens to `portion` of all happens here.
pub(super) fn happens(rng: &mut Rng, portion: f64) -> bool {
    share(rng) < portion
}

/// What comes with no memory, on average each `mean`.
pub(super) fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * share(rng).ln()
}

/// The normal distribution (Box and Muller).
pub(super) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * share(rng).ln()).sqrt();
    radius * (std::f64::consts::TAU * share(rng)).cos()
}

/// The Gamma distribution of shape 1/2: mostly little, now and then a lot.
pub(super) fn spiky(rng: &mut Rng, mean: f64) -> f64 {
    mean * normal(rng).powi(2)
}

/// The Gamma distribution of shape 2.
pub(super) fn humped(rng: &mut Rng, mean: f64) -> f64 {
    exponential(rng, mean / 2.0) + exponential(rng, mean / 2.0)
}

/// Of a logarithmic normal distribution with this median, of which 80 of 100 are below `most`.
pub(super) fn log_normal(rng: &mut Rng, median: f64, most: f64) -> f64 {
    // 80 of 100 of the normal distribution are below this.
    const Z: f64 = 0.841_621;
    median * ((most / median).ln() / Z * normal(rng)).exp()
}

/// Puts `items` in any order.
pub(super) fn shuffle<T>(rng: &mut Rng, items: &mut [T]) {
    for end in (1..items.len()).rev() {
        items.swap(end, rng.below(end as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 20_000;

    fn drawn(draw: impl Fn(&mut Rng) -> f64) -> Vec<f64> {
        let mut rng = Rng::new(1);
        let mut drawn: Vec<f64> = (0..COUNT).map(|_| draw(&mut rng)).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    fn mean(drawn: &[f64]) -> f64 {
        drawn.iter().sum::<f64>() / drawn.len() as f64
    }

    #[test]
    fn means_are_those_asked_for() {
        let draws: [fn(&mut Rng) -> f64; 3] =
            [|rng| exponential(rng, 30.0), |rng| spiky(rng, 30.0), |rng| humped(rng, 30.0)];
        for draw in draws {
            let mean = mean(&drawn(draw));
            assert!((29.0..31.0).contains(&mean), "{mean}");
        }
        let evenly = mean(&drawn(|rng| between(rng, 100.0, 300.0)));
        assert!((198.0..202.0).contains(&evenly), "{evenly}");
    }

    #[test]
    fn round_trips_to_a_near_edge_are_as_measured() {
        let drawn = drawn(|rng| log_normal(rng, 39.0, 78.0));
        let (half, most) = (drawn[COUNT / 2], drawn[COUNT * 8 / 10]);
        assert!((38.0..40.0).contains(&half) && (76.0..80.0).contains(&most), "{half} {most}");
    }

    #[test]
    fn any_order_is_as_likely() {
        let mut rng = Rng::new(1);
        let mut first = [0; 3];
        for _ in 0..3_000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|count| (900..1_100).contains(count)), "{first:?}");
    }
}
