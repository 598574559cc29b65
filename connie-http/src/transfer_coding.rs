//! The names of transfer codings.

use core::fmt;

use crate::syntax::{copy, is_token};

/// The longest name of a [`TransferCoding`] that is told whole.
const LONGEST: usize = 15;

/// The name of a transfer coding (RFC 9112 section 7), as it was sent; of a long one the first 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransferCoding {
    name: [u8; LONGEST],
    length: u8,
}

impl TransferCoding {
    /// The coding with this name; `None` where that is not a token.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if !is_token(name) {
            return None;
        }
        let mut coding = TransferCoding { name: [0; LONGEST], length: 0 };
        // No more than 15.
        coding.length = copy(name.as_bytes(), &mut coding.name) as u8;
        Some(coding)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.name.get(..self.length.into()).unwrap_or_default();
        // A token is ASCII.
        core::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for TransferCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for TransferCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_name_is_told_as_far_as_there_is_room() {
        for (name, told) in [
            ("gzip", "gzip"),
            ("123456789012345", "123456789012345"),
            ("1234567890123456", "123456789012345"),
        ] {
            let coding = TransferCoding::new(name).unwrap();
            assert_eq!((coding.name(), coding.to_string()), (told, told.to_string()));
            assert_eq!(std::format!("{coding:?}"), std::format!("{told:?}"));
        }
        for name in ["", "a b", "\u{e9}", "a,"] {
            assert_eq!(TransferCoding::new(name), None, "{name:?}");
        }
    }
}
