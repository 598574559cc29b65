//! Numbers and texts that print without what [`Formatter`] can do beside: no width, no padding.
//!
//! `core` prints each type of integer by a function of its own, and all of them by one that pads. That is
//! 3 KB, which a microcontroller need not have for a line of words.

use core::fmt::{self, Display, Formatter, Write};

/// A number that prints in decimal.
///
/// ```
/// assert_eq!(connie_core::plain::Number(18_446_744_073_709_551_615).to_string(), "18446744073709551615");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u64);

/// The same in hexadecimal, in lower case.
pub(crate) struct Hexadecimal(pub(crate) u64);

/// A text that prints as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub &'a str);

impl Number {
    /// A number of this system's size.
    #[must_use]
    pub const fn of_size(size: usize) -> Self {
        Number(size as u64)
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        digits(f, self.0, 10)
    }
}

impl Display for Hexadecimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        digits(f, self.0, 16)
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Writes a number's digits, from the first one.
#[inline(never)]
fn digits(f: &mut Formatter<'_>, number: u64, radix: u64) -> fmt::Result {
    let mut place = 1_u64;
    while number / place >= radix {
        // No more than the number.
        place = place.saturating_mul(radix);
    }
    loop {
        // Less than the radix.
        let digit = (number / place % radix) as u32;
        f.write_char(char::from_digit(digit, radix as u32).unwrap_or('0'))?;
        if place == 1 {
            return Ok(());
        }
        place /= radix;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn numbers_print_as_core_prints_them() {
        let edges = (0..64).flat_map(|bits| [1_u64 << bits, (1_u64 << bits) - 1]);
        let tens = (0..20).flat_map(|power| [10_u64.pow(power), 10_u64.pow(power) - 1]);
        for number in edges.chain(tens).chain([u64::MAX]) {
            assert_eq!(Number(number).to_string(), number.to_string());
            assert_eq!(Hexadecimal(number).to_string(), format!("{number:x}"));
        }
    }
}
