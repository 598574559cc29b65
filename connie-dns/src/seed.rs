//! Numbers that are hard to guess, out of a seed that is.

/// SplitMix64 (Steele, Lea, Flood 2014). Who sees ids on the wire learns 16 bits of each 64, and would have
/// to try every seed.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    state: u64,
    /// What the case of letters is made from. It is not seen in whole either.
    secret: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        Seed { state: seed, secret: mix(seed ^ GOLDEN) }
    }

    /// The next id of a query.
    pub(crate) const fn id(&mut self) -> u16 {
        self.state = self.state.wrapping_add(GOLDEN);
        let [high, low, ..] = mix(self.state).to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Which letters are capitals in the queries of this port with this id.
    pub(crate) const fn case(&self, port: u16, id: u16) -> u32 {
        (mix(self.secret ^ ((port as u64) << 16 | id as u64)) >> 32) as u32
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_from_seed_to_seed_and_from_one_to_the_next() {
        let ids = |seed| {
            let mut seed = Seed::new(seed);
            [seed.id(), seed.id(), seed.id()]
        };
        assert_ne!(ids(1), ids(2));
        assert_eq!(ids(1), ids(1));
        let [a, b, c] = ids(1);
        assert!(a != b && b != c && a != c);
        let seed = Seed::new(1);
        assert!(seed.case(1, 1) != seed.case(1, 2) && seed.case(1, 1) != seed.case(2, 1));
        assert_ne!(seed.case(1, 1), Seed::new(2).case(1, 1));
    }

    /// The first numbers of the generator that Java's SplittableRandom is, for the seed 0.
    #[test]
    fn the_generator_is_that_of_its_authors() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(GOLDEN.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }
}
