//! Arrays that are made where they lie.

use static_cell::StaticCell;

/// Makes each item in its place. `None` where the array was made before.
///
/// `StaticCell::init_with` would have the whole array made on the stack, and copied.
pub fn array<T, const N: usize>(
    cell: &'static StaticCell<[T; N]>,
    item: impl Fn() -> T,
) -> Option<&'static mut [T; N]> {
    let room = cell.try_uninit()?;
    let first = room.as_mut_ptr().cast::<T>();
    for index in 0..N {
        // SAFETY: an array of N items has one at each index below N, and nobody else has its place.
        unsafe { first.add(index).write(item()) };
    }
    // SAFETY: each of its items was written just now.
    Some(unsafe { room.assume_init_mut() })
}
