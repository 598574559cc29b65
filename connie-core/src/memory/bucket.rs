//! What pays for SYNs beyond a connection's first.

/// Counts in tenths of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    tenths: i16,
}

/// The most that it holds, and the deepest debt, in SYNs.
const MOST: i16 = 16;

impl Bucket {
    /// Full at the start.
    pub(super) const fn new() -> Self {
        Bucket { tenths: MOST * 10 }
    }

    /// Of what it held once.
    pub(super) fn with(tenths: i16) -> Self {
        Bucket { tenths: tenths.clamp(-MOST * 10, MOST * 10) }
    }

    pub(super) fn tenths(self) -> i16 {
        self.tenths
    }

    /// How many SYNs it pays for.
    pub(super) fn paid_syns(self) -> u8 {
        // At most `MOST`.
        (self.tenths / 10).max(0) as u8
    }

    /// A connection was made.
    pub(super) fn earn(&mut self) {
        self.tenths = self.tenths.saturating_add(1).min(MOST * 10);
    }

    /// So many SYNs went out beyond a first. Races that run at one time see one purse: what they spend beyond
    /// it is owed.
    pub(super) fn pay(&mut self, starts: u32) {
        let starts = starts.min(2 * MOST as u32) as i16;
        self.tenths = self.tenths.saturating_sub(starts.saturating_mul(10)).max(-MOST * 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_connections_pay_for_one_syn() {
        let mut bucket = Bucket::with(0);
        for _ in 0..9 {
            bucket.earn();
            assert_eq!(bucket.paid_syns(), 0);
        }
        bucket.earn();
        assert_eq!(bucket.paid_syns(), 1);
        bucket.pay(1);
        assert_eq!(bucket.paid_syns(), 0);
    }

    #[test]
    fn it_is_full_at_the_start_and_never_more_than_that() {
        let mut bucket = Bucket::new();
        assert_eq!(bucket.paid_syns(), 16);
        bucket.earn();
        assert_eq!(bucket, Bucket::new());
        assert_eq!(Bucket::with(i16::MAX), Bucket::new());
    }

    #[test]
    fn a_debt_has_a_floor_and_is_paid_back_first() {
        let mut bucket = Bucket::new();
        bucket.pay(16);
        assert_eq!((bucket.paid_syns(), bucket.tenths()), (0, 0));
        bucket.pay(u32::MAX);
        assert_eq!((bucket.paid_syns(), bucket.tenths()), (0, -160));
        for _ in 0..169 {
            bucket.earn();
        }
        assert_eq!(bucket.paid_syns(), 0);
        bucket.earn();
        assert_eq!(bucket.paid_syns(), 1);
    }
}
