//! Arrays that are made where they lie.

use core::mem::MaybeUninit;

/// Makes each item of an array in its place. `StaticCell::init_with` would have the whole array made on the
/// stack, and copied.
pub fn array<T, const N: usize>(
    room: &'static mut MaybeUninit<[T; N]>,
    item: impl Fn() -> T,
) -> &'static mut [T; N] {
    let first = room.as_mut_ptr().cast::<T>();
    for index in 0..N {
        // SAFETY: an array of N items has one at each index below N, and its place is ours alone.
        unsafe { first.add(index).write(item()) };
    }
    // SAFETY: each of its items was written just now.
    unsafe { room.assume_init_mut() }
}
