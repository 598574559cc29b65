//! Random numbers from one seed, and the loop of a random test.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A stream of random numbers that its seed fixes (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0. As even as 64 bits make it.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.below(100) < u64::from(percent)
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Runs `test` with `count` seeds, always the same ones. When one panics its seed is printed, and
/// `CONNIE_SEED` set to it runs that one alone. `CONNIE_RUNS` changes the count.
pub fn seeds(count: u64, test: impl Fn(u64)) {
    if let Some(seed) = number("CONNIE_SEED") {
        eprintln!("CONNIE_SEED={seed}");
        return test(seed);
    }
    for seed in 0..number("CONNIE_RUNS").unwrap_or(count) {
        // The test makes everything it uses from the seed, so nothing half-done is seen after a panic.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("CONNIE_SEED={seed} replays this");
            resume_unwind(panic);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.trim().parse().unwrap_or_else(|_| panic!("{variable} must be a whole number, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_stream() {
        let (mut one, mut same, mut other) = (Rng::new(7), Rng::new(7), Rng::new(8));
        let first = one.bits();
        assert_eq!(first, same.bits());
        assert_ne!(first, other.bits());
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_both() {
        let mut rng = Rng::new(1);
        let drawn: Vec<u64> = (0..200).map(|_| rng.within(3, 6)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&3), Some(&6)));
        assert!((0..200).all(|_| !rng.chance(0)) && (0..200).all(|_| rng.chance(100)));
    }
}
