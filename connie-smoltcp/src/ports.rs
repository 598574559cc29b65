//! Local ports, and the numbers that they are made from.

/// The first dynamic port (RFC 6335 section 6: "the Dynamic Ports, also known as the Private or Ephemeral
/// Ports, from 49152-65535").
const FIRST: u16 = 49_152;
/// How many there are.
const COUNT: u16 = 16_384;
/// The widest step from one port to the next.
const STEP: u64 = 32;
/// Questions to name servers come from the upper half of all ports.
const UPPER_HALF: u16 = 0x8000;

/// Hands out dynamic ports, each some random steps after the last (RFC 6056 section 3.3.5, "Random-Increments
/// Port Selection"): a stranger cannot guess the next, and a port comes back only after hundreds of others.
#[derive(Debug)]
pub(crate) struct Ports {
    state: u64,
    last: u16,
}

impl Ports {
    pub(crate) fn new(seed: u64) -> Self {
        let mut ports = Ports { state: seed, last: 0 };
        // Cut off on purpose: any number will do.
        ports.last = ports.random() as u16 % COUNT;
        ports
    }

    /// A port for which `is_taken` says no; `None` where all 16,384 are taken.
    pub(crate) fn next(&mut self, mut is_taken: impl FnMut(u16) -> bool) -> Option<u16> {
        // Below 33, which a u16 holds.
        let step = (self.random() % STEP) as u16;
        for offset in 0..COUNT {
            // `last` and the sum's last part are below 2^14, and the step is below 2^5.
            let place = self.last.wrapping_add(1).wrapping_add(step).wrapping_add(offset) % COUNT;
            let port = FIRST.saturating_add(place);
            if !is_taken(port) {
                self.last = place;
                return Some(port);
            }
        }
        None
    }

    /// A port for a question to a name server, of which nothing tells the next: RFC 5452 section 9.2 wants
    /// "an unpredictable source port for outgoing queries from the range of available ports", which is to be
    /// "as large as possible and practicable". Below 32,768 are most of the ports that services have.
    #[cfg(feature = "dns")]
    pub(crate) fn hard_to_guess(&mut self, mut is_taken: impl FnMut(u16) -> bool) -> Option<u16> {
        // Few are taken: not all of so many draws are.
        (0..64).map(|_| self.random() as u16 | UPPER_HALF).find(|port| !is_taken(*port))
    }

    /// SplitMix64: every seed, 0 included, is as good as another.
    pub(crate) fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_comes_back_soon() {
        for seed in 0..50 {
            let mut ports = Ports::new(seed);
            let mut seen = BTreeSet::new();
            for _ in 0..500 {
                let port = ports.next(|_| false).unwrap();
                assert!(port >= 49_152);
                assert!(seen.insert(port), "seed {seed}: {port} again");
            }
        }
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let mut ports = Ports::new(7);
        assert_eq!(ports.next(|port| port != 50_000), Some(50_000));
        assert_eq!(ports.next(|_| true), None);
        assert!(ports.next(|_| false).is_some());
    }

    /// All 32,768 are in use, and each as likely as another: of 16 groups of equal size none has half more
    /// than its share of 32,768 draws.
    #[cfg(feature = "dns")]
    #[test]
    fn a_question_s_port_may_be_any_of_the_upper_half() {
        let (mut ports, mut groups) = (Ports::new(7), [0; 16]);
        for _ in 0..32_768 {
            let port = ports.hard_to_guess(|_| false).unwrap();
            assert!(port >= 32_768);
            groups[usize::from(port >> 11) - 16] += 1;
        }
        assert!(groups.iter().all(|count| (1_024..3_072).contains(count)), "{groups:?}");
        assert_eq!(ports.hard_to_guess(|_| true), None);
        assert!(ports.hard_to_guess(|port| port < 49_152).unwrap() >= 49_152);
    }

    #[test]
    fn seeds_differ() {
        let first: BTreeSet<_> = (0..100).map(|seed| Ports::new(seed).next(|_| false)).collect();
        assert!(first.len() > 90);
    }

    /// The first numbers that the generator's author gives for this seed.
    #[test]
    fn the_numbers_are_splitmix64_s() {
        let mut ports = Ports { state: 1_234_567, last: 0 };
        let numbers = [(); 3].map(|()| ports.random());
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
