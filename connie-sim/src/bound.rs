//! The law that a race is never stuck, with its constant.

use std::time::Duration;

/// The bounds of a race under `AllAtOnce` with `k` sockets over at most `n` destinations, all known at its start.
///
/// One round of `n` destinations over `k` sockets takes at most `⌈n/k⌉` times the patience of that round, since no attempt keeps
/// its socket beyond its patience while a destination waits, and a destination queues behind at most the `n - 1` others. The
/// patience doubles from round to round.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    batches: u64,
    patience: Duration,
}

impl Bound {
    /// The bounds for `n` destinations, `k` sockets and the patience of the first round.
    ///
    /// # Panics
    ///
    /// When `k` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(n: usize, k: usize, patience: Duration) -> Self {
        assert!(k > 0, "a race has a socket");
        Bound { batches: n.div_ceil(k) as u64, patience }
    }

    /// When the last destination is first started: `(⌈n/k⌉ - 1) · patience`.
    #[must_use]
    pub fn first_start(&self) -> Duration {
        self.patience * u32::try_from(self.batches.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// When a destination that answers each SYN in `r` has won, unless another has: the rounds whose patience is less than `r`,
    /// the wait for its turn in the next one, and `r`.
    #[must_use]
    pub fn win(&self, r: Duration) -> Duration {
        if self.batches <= 1 {
            // Nothing ever waits for a socket.
            return r;
        }
        let (mut patience, mut at) = (self.patience, Duration::ZERO);
        let batches = u32::try_from(self.batches).unwrap_or(u32::MAX);
        while patience < r {
            at += patience * batches;
            patience *= 2;
        }
        at + patience * batches.saturating_sub(1) + r
    }

    /// A bound that is easier to state and never less than [`win`](Bound::win): `4 · ⌈n/k⌉ · max(r, patience) + r`.
    #[must_use]
    pub fn stated(&self, r: Duration) -> Duration {
        r.max(self.patience) * 4 * u32::try_from(self.batches).unwrap_or(u32::MAX) + r
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
    }

    #[test]
    fn the_bound_grows_with_the_batches_and_with_the_rounds() {
        assert_eq!(Bound::new(12, 4, ms(250)).first_start(), ms(500));
        assert_eq!(Bound::new(12, 4, ms(250)).win(ms(30)), ms(530));
        assert_eq!(Bound::new(9, 2, ms(300)).win(ms(900)), ms(1_500 + 3_000 + 4_800 + 900));
    }

    #[test]
    fn the_stated_bound_is_never_the_lesser() {
        for (n, k) in [(1, 1), (5, 4), (12, 4), (64, 1), (64, 8)] {
            for r in [1, 249, 250, 251, 499, 500, 501, 900, 3_999, 4_001] {
                let bound = Bound::new(n, k, ms(250));
                assert!(bound.win(ms(r)) <= bound.stated(ms(r)), "n {n} k {k} r {r}");
            }
        }
    }
}
