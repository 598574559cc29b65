//! Lists of nothing.

use heapless::Vec;

/// As [`Vec::new`], and no constant: where all of a value is constant a compiler writes zeros over the room
/// of its lists.
#[inline(always)]
pub(crate) fn empty<T, const N: usize>() -> Vec<T, N> {
    Vec::from_iter(core::iter::empty())
}
