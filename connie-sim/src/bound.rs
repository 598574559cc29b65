//! The law that a race is never stuck, with its constants. `docs/never-stuck.md` proves it.

use std::time::Duration;

use connie_core::Config;

/// The bounds of a race with `k` sockets over at most `n` destinations, all known at its start. Where the
/// number of sockets changes, `k` is the least that the race ever had.
///
/// While a destination waits, each start comes at most one patience after the `k`-th start before it. At most
/// `n - k` destinations wait at a time, each is started once in a round, and the patience doubles from round
/// to round. A destination that needs `r` wins in the round whose patience is the first that is not less than
/// `r`, at the latest.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    n: u32,
    k: u32,
    patience: Duration,
}

impl Bound {
    /// The bounds for `n` destinations, `k` sockets and the patience of the first round.
    ///
    /// # Panics
    ///
    /// When `k` is 0, or either is beyond 32 bits.
    #[must_use]
    #[track_caller]
    pub fn new(n: usize, k: usize, patience: Duration) -> Self {
        assert!(k > 0, "a race has a socket");
        let [n, k] =
            [n, k].map(|count| u32::try_from(count).expect("a race has fewer destinations than that"));
        Bound { n, k, patience }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// When the last destination is first started: `(⌈n/k⌉ - 1) · patience`.
    #[must_use]
    pub fn first_start(&self) -> Duration {
        self.wait(Duration::ZERO)
    }

    /// When a destination that needs `r`, however often it is tried, begins the attempt that wins, unless
    /// another has won: the sum over `j = 0, 1, 2, ...` of the patience of round `h - ⌊jk / (n - k)⌋`, where
    /// `h` is the first round whose patience is not less than `r`. No lesser bound holds: some network needs
    /// all of it.
    #[must_use]
    pub fn wait(&self, r: Duration) -> Duration {
        self.steps(r).map(|round| self.patience_of(round)).sum()
    }

    /// When a destination that needs `r`, however often it is tried, has won, unless another has.
    #[must_use]
    pub fn win(&self, r: Duration) -> Duration {
        self.wait(r) + r
    }

    /// The same where every wait of the program ends up to `late` too late.
    #[must_use]
    pub fn win_late(&self, r: Duration, late: Duration) -> Duration {
        self.win(r) + late * (1 + self.steps(r).count() as u32)
    }

    /// When the last destination is first started, where the last address arrives at `arrival` and `fresh` of
    /// all have not been started by then: each socket changes hands after one patience while one of them
    /// waits.
    #[must_use]
    pub fn first_start_after(&self, arrival: Duration, fresh: usize) -> Duration {
        arrival + self.patience * u32::try_from(fresh).unwrap_or(u32::MAX).div_ceil(self.k)
    }

    /// When a destination that needs `r` has won, unless another has, where the last address arrives at
    /// `arrival`, `fresh` of all have not been started by then, and `n` counts all that ever arrive. The
    /// patience of those in flight may have grown to twice the age of the race by then, and doubles in each
    /// further round that `r` needs.
    #[must_use]
    pub fn win_after(&self, arrival: Duration, fresh: usize, r: Duration) -> Duration {
        let longest = self.patience.max(arrival) * 2;
        let rounds = (1_u32 << self.round_of(r)) - 1;
        self.first_start_after(arrival, fresh) + longest * self.n.div_ceil(self.k) * rounds + r
    }

    /// What [`win`](Bound::win) becomes under `Staggered` pacing whose delay never exceeds `delay`: each
    /// round takes at most `n/k` times the longer of its patience and `k` delays.
    #[must_use]
    pub fn win_staggered(&self, r: Duration, delay: Duration) -> Duration {
        let begin = delay * self.n.min(self.k).saturating_sub(1);
        if self.n <= self.k {
            return begin + r;
        }
        let round = |round| self.patience_of(round).max(delay * self.k) * self.n / self.k;
        begin + (0..=self.round_of(r)).map(round).sum::<Duration>() + r
    }

    /// A bound that is easier to state and never less than [`win`](Bound::win):
    /// `(4 · ⌈n/k⌉ - 3) · max(r, patience)`.
    #[must_use]
    pub fn stated(&self, r: Duration) -> Duration {
        let batches = self.n.div_ceil(self.k).max(1);
        r.max(self.patience) * (4 * batches - 3)
    }

    /// The rounds of the starts that lead, `k` at a time, from the last of the round that `r` needs back to
    /// the beginning.
    fn steps(&self, r: Duration) -> impl Iterator<Item = u32> {
        let (k, last) = (self.k, self.round_of(r));
        // With a socket for each destination nothing ever waits.
        let waiting = self.n.checked_sub(self.k).filter(|waiting| *waiting > 0);
        waiting
            .into_iter()
            .flat_map(move |waiting| (0..).map_while(move |j| last.checked_sub(j * k / waiting)))
    }

    /// The first round whose patience is not less than `r`.
    fn round_of(&self, r: Duration) -> u32 {
        let enough = |round: &u32| {
            let patience = self.patience_of(*round);
            patience >= r || patience >= Config::MAX_PATIENCE
        };
        (0..).find(enough).unwrap_or(0)
    }

    fn patience_of(&self, round: u32) -> Duration {
        self.patience.saturating_mul(1 << round.min(31)).min(Config::MAX_PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn with_a_socket_for_each_destination_nothing_is_evicted() {
        assert_eq!(Bound::new(4, 4, ms(250)).win(ms(900)), ms(900));
        assert_eq!(Bound::new(4, 4, ms(250)).first_start(), ms(0));
        assert_eq!(Bound::new(0, 4, ms(250)).stated(ms(900)), ms(900));
    }

    #[test]
    fn the_bound_grows_with_the_batches_and_with_the_rounds() {
        assert_eq!(Bound::new(12, 4, ms(250)).first_start(), ms(500));
        assert_eq!(Bound::new(12, 4, ms(250)).win(ms(30)), ms(530));
        // Two batches that wait; rounds of 250, 500 and 1000 ms.
        assert_eq!(Bound::new(12, 4, ms(250)).win(ms(900)), ms(2 * (250 + 500 + 1_000) + 900));
        // 7 wait for 2 sockets: 4 handovers of 1200 ms, 3 of 600, 4 of 300.
        assert_eq!(Bound::new(9, 2, ms(300)).win(ms(900)), ms(4 * 1_200 + 3 * 600 + 4 * 300 + 900));
        // 1 waits for 4 sockets, which have run for a while when its turn comes.
        assert_eq!(Bound::new(5, 4, ms(250)).wait(ms(4_000)), ms(4_000 + 250));
    }

    #[test]
    fn a_patience_stops_at_its_most() {
        let bound = Bound::new(2, 1, ms(400_000));
        assert_eq!(bound.wait(ms(600_000)), ms(600_000 + 400_000));
        assert_eq!(bound.wait(ms(900_000)), bound.wait(ms(600_000)));
    }

    #[test]
    fn the_stated_bound_is_never_the_lesser() {
        for (n, k) in [(1, 1), (5, 4), (12, 4), (64, 1), (64, 8), (63, 8), (9, 8)] {
            for r in [1, 249, 250, 251, 499, 500, 501, 900, 3_999, 4_001] {
                let bound = Bound::new(n, k, ms(250));
                assert!(bound.win(ms(r)) <= bound.stated(ms(r)), "n {n} k {k} r {r}");
            }
        }
    }

    #[test]
    fn pacing_only_adds_to_the_bound() {
        for (n, k) in [(3, 4), (5, 4), (12, 4), (64, 1)] {
            let bound = Bound::new(n, k, ms(250));
            assert!(bound.win_staggered(ms(30), ms(250)) >= bound.win(ms(30)));
        }
        // Four starts 250 ms apart, and each round is as long as twelve delays.
        assert_eq!(Bound::new(12, 4, ms(250)).win_staggered(ms(30), ms(250)), ms(750 + 3_000 + 30));
    }
}
