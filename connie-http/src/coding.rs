//! Transfer codings: which of them a body may have.

use core::fmt;

use crate::error::HttpError;
use crate::fields::Headers;
use crate::syntax::{copy, elements, is_token};

/// The longest name of a [`TransferCoding`] that is told whole.
const LONGEST: usize = 15;

/// The name of a transfer coding (RFC 9112 section 7), as it was sent; of a long one the first 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Whether the body of a message with these fields is chunked; `None` where they have no Transfer-Encoding.
///
/// No coding but chunked is undone here, and a request without `TE` asks for no other (RFC 9110 section 10.1.4). Any other is refused:
/// its body would come out coded. `identity`, which RFC 2616 had and RFC 9112 has no more, does nothing to a body.
pub(crate) fn is_chunked(fields: Headers<'_>) -> Result<Option<bool>, HttpError> {
    let mut chunked = None;
    for value in fields.all("transfer-encoding") {
        let mut last = chunked == Some(true);
        for coding in elements(value) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
            let is_chunked = name.trim_ascii().eq_ignore_ascii_case(b"chunked");
            let is_identity = coding.eq_ignore_ascii_case(b"identity");
            // RFC 9112 section 6.1: a sender must not apply chunked twice. Section 7.1: the presence of parameters of chunked "SHOULD be
            // treated as an error". A quoted string could hide a comma; no coding in use has one.
            let faulty = is_chunked && (last || name.len() < coding.len()) || coding.contains(&b'"');
            if faulty || (is_identity && last) {
                return Err(HttpError::InvalidTransferEncoding);
            }
            if !is_chunked && !is_identity {
                return Err(unsupported(name.trim_ascii()));
            }
            last = is_chunked;
        }
        chunked = Some(last);
    }
    Ok(chunked)
}

fn unsupported(name: &[u8]) -> HttpError {
    let coding = core::str::from_utf8(name).ok().and_then(TransferCoding::new);
    coding.map_or(HttpError::InvalidTransferEncoding, HttpError::UnsupportedTransferCoding)
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
