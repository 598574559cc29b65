//! How much of the stack was ever used.

use core::ptr;

/// What cortex-m-rt's feature `paint-stack` fills the free memory with before the program starts.
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    /// The first word behind the static data: the lowest that the stack may reach.
    static _stack_end: u32;
    /// The first word behind the memory: where the stack begins.
    static _stack_start: u32;
}

/// The most bytes of stack that were in use at any time, by the paint that is left.
///
/// A function may reserve room and never write to it; such a gap at the very end is not seen.
#[must_use]
pub fn high_water() -> usize {
    let (low, high) = (&raw const _stack_end, &raw const _stack_start);
    let mut word = low;
    // SAFETY: everything between the two is memory that belongs to the stack alone. It is read as words,
    // volatile since the compiler knows of no object there.
    while word < high && unsafe { ptr::read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    high as usize - word as usize
}

/// How many bytes the stack has room for.
#[must_use]
pub fn room() -> usize {
    (&raw const _stack_start) as usize - (&raw const _stack_end) as usize
}
