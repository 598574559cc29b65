//! Which ports of a range an attempt tries, and in which order.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

/// The most ports that one attempt tries. Each costs some calls, during which a task's runtime does nothing
/// else.
pub(crate) const MOST_TRIED: usize = 256;

/// The port of a long range that was tried last, by whatever attempt of the process.
static LAST: AtomicU16 = AtomicU16::new(0);

/// The ports that an attempt tries: all of a range of up to [`MOST_TRIED`], from the least up. Of a longer
/// one so many, from where the last search has ended: else a program with that many connections to one
/// address would never come past them.
pub(crate) struct LocalPorts<'a> {
    range: RangeInclusive<u16>,
    next: u16,
    left: usize,
    /// Where a search of a long range leaves word.
    last: Option<&'a AtomicU16>,
}

impl LocalPorts<'static> {
    pub(crate) fn of(range: RangeInclusive<u16>) -> Self {
        LocalPorts::after(range, &LAST)
    }
}

impl<'a> LocalPorts<'a> {
    fn after(range: RangeInclusive<u16>, last: &'a AtomicU16) -> Self {
        let count = range.len();
        let last = (count > MOST_TRIED).then_some(last);
        let went_on = last.map(|last| last.load(Ordering::Relaxed)).filter(|port| range.contains(port));
        let next = went_on.unwrap_or(*range.start());
        LocalPorts { range, next, left: count.min(MOST_TRIED), last }
    }
}

impl Iterator for LocalPorts<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        let port = self.next;
        self.next = if port == *self.range.end() { *self.range.start() } else { port + 1 };
        if let Some(last) = self.last {
            last.store(port, Ordering::Relaxed);
        }
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_range_is_tried_whole_from_its_least() {
        let last = AtomicU16::new(4_005);
        for _ in 0..2 {
            assert!(LocalPorts::after(4_000..=4_009, &last).eq(4_000..=4_009));
        }
        assert!(LocalPorts::after(1..=256, &last).eq(1..=256));
        assert!(LocalPorts::after(u16::MAX..=u16::MAX, &last).eq([u16::MAX]));
        #[expect(clippy::reversed_empty_ranges)]
        let empty = 2..=1;
        assert_eq!(LocalPorts::after(empty, &last).count(), 0);
        assert_eq!(last.into_inner(), 4_005);
    }

    #[test]
    fn a_long_range_is_gone_on_with_where_the_last_search_has_ended() {
        let last = AtomicU16::new(0);
        let search = || LocalPorts::after(65_000..=65_535, &last);
        assert!(search().eq(65_000..=65_255));
        // The last that was tried may have been free.
        assert!(search().take(2).eq([65_255, 65_256]));
        assert!(search().eq(65_256..=65_511));
        assert!(search().eq((65_511..=65_535).chain(65_000..=65_230)));
        // Of another range.
        assert!(LocalPorts::after(1..=60_000, &last).take(2).eq([1, 2]));
    }
}
