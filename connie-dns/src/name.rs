//! Domain names, as queries and records have them.

use core::fmt::{self, Write};

/// The longest name in octets (RFC 1035 section 2.3.4), the lengths of its labels and the root counted.
pub const LONGEST_NAME: usize = 255;
/// The longest label in octets (RFC 1035 section 2.3.4).
const LONGEST_LABEL: u8 = 63;

/// A domain name, absolute and in lower case, of at most `N` octets as a message has it: one more for each
/// label than its text, and one for the root. No name is longer than [`LONGEST_NAME`].
///
/// ```
/// use connie_dns::Name;
///
/// let name: Name = Name::parse("WWW.example.org.")?;
/// assert_eq!(name.to_string(), "www.example.org");
/// assert!(Name::<16>::parse("www.example.org").is_err(), "17 octets");
/// # Ok::<(), connie_dns::NameError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Name<const N: usize = LONGEST_NAME> {
    /// At most `N`, and at most 255. Nothing but an absent name is empty.
    length: u8,
    octets: [u8; N],
}

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NameError {
    /// A part between its dots is empty, or longer than 63 octets.
    Label,
    /// It is longer than a name may be (RFC 1035 section 2.3.4), or than there is room for.
    TooLong,
    /// It contains something other than printable ASCII: pass an international name as A-labels (RFC 5890).
    Octet,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::Label => "each part of a domain name must have 1 to 63 octets",
            NameError::TooLong => {
                "the domain name is too long: at most 253 octets, or as many as there is room for"
            }
            NameError::Octet => "a domain name must be printable ASCII without spaces",
        })
    }
}

impl core::error::Error for NameError {}

impl<const N: usize> Name<N> {
    const FITS: () = assert!(N >= 1 && N <= LONGEST_NAME, "a name has 1 to 255 octets");

    /// Not a name, not even the root.
    pub(crate) const fn absent() -> Self {
        const { Self::FITS };
        Name { length: 0, octets: [0; N] }
    }

    pub(crate) const fn is_absent(&self) -> bool {
        self.length == 0
    }

    /// Parses the name of a host as a user writes it, with or without the final dot.
    ///
    /// # Errors
    ///
    /// [`NameError`], if it is not a domain name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::join(&[text.as_bytes().strip_suffix(b".").unwrap_or(text.as_bytes())])
    }

    /// The name of the HTTPS records that describe the service on `port` (RFC 9460 section 9.1: without a
    /// prefix for port 443).
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`].
    pub fn https_query_name(&self, port: u16) -> Result<Self, NameError> {
        if port == 443 {
            return Ok(*self);
        }
        let mut digits = [b'_'; 6];
        // From behind: five digits at most, and before them at least one underscore.
        let (mut rest, mut unused) = (port, 6_usize);
        for digit in digits.iter_mut().rev().take(5) {
            // A remainder by ten is a digit.
            *digit = b'0'.saturating_add((rest % 10) as u8);
            rest /= 10;
            unused = unused.saturating_sub(1);
            if rest == 0 {
                break;
            }
        }
        let mut name = Self::absent();
        name.push_label(digits.get(unused.saturating_sub(1)..).unwrap_or_default())?;
        name.push_label(b"_https")?;
        for octet in self.wire() {
            name.push(*octet)?;
        }
        Ok(name)
    }

    /// The name that these parts make, a dot between them. None ends in a dot.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn join(parts: &[&[u8]]) -> Result<Self, NameError> {
        let mut name = Self::absent();
        for part in parts {
            name.push(b'.')?;
            for octet in *part {
                if !octet.is_ascii_graphic() {
                    return Err(NameError::Octet);
                }
                name.push(octet.to_ascii_lowercase())?;
            }
        }
        // Each label's length in place of the dot before it, from behind.
        let mut length = 0_u8;
        for octet in name.octets.iter_mut().take(usize::from(name.length)).rev() {
            if *octet != b'.' {
                // A name has 255 octets at most.
                length = length.saturating_add(1);
                continue;
            }
            if length == 0 || length > LONGEST_LABEL {
                return Err(NameError::Label);
            }
            *octet = core::mem::take(&mut length);
        }
        name.end()?;
        Ok(name)
    }

    /// Adds a label, in lower case.
    pub(crate) fn push_label(&mut self, label: &[u8]) -> Result<(), NameError> {
        let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
        if length == 0 || length > LONGEST_LABEL {
            return Err(NameError::Label);
        }
        self.push(length)?;
        label.iter().try_for_each(|octet| self.push(octet.to_ascii_lowercase()))
    }

    /// Adds the root, behind which nothing comes.
    pub(crate) fn end(&mut self) -> Result<(), NameError> {
        self.push(0)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn push(&mut self, octet: u8) -> Result<(), NameError> {
        let (Some(place), Some(length)) =
            (self.octets.get_mut(usize::from(self.length)), self.length.checked_add(1))
        else {
            return Err(NameError::TooLong);
        };
        (*place, self.length) = (octet, length);
        Ok(())
    }

    /// The octets as a message has them, in lower case, the root last.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether its last label is `onion` (RFC 7686), as [`is_onion`](connie_core::resolution::is_onion) has
    /// it of a text.
    pub(crate) fn is_onion(&self) -> bool {
        // No other name at the top has these octets (RFC 1123 section 2.1: letters, digits and hyphens).
        self.wire().ends_with(b"\x05onion\0")
    }
}

/// The labels of a name that is written out.
pub(crate) fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    core::iter::from_fn(move || {
        let (length, after) = rest.split_first().filter(|(length, _)| **length > 0)?;
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(label)
    })
}

/// Writes a name as people do, without the final dot. What is no printable ASCII, and a dot or backslash
/// within a label, is escaped as in RFC 1035 section 5.1.
pub(crate) fn write_name(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, label) in labels(wire).enumerate() {
        if index > 0 {
            f.write_char('.')?;
        }
        for octet in label {
            match octet {
                b'.' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                octet if octet.is_ascii_graphic() => f.write_char(char::from(*octet))?,
                octet => write!(f, "\\{octet:03}")?,
            }
        }
    }
    if wire.len() <= 1 { f.write_char('.') } else { Ok(()) }
}

impl<const N: usize> PartialEq for Name<N> {
    fn eq(&self, other: &Self) -> bool {
        self.wire() == other.wire()
    }
}

impl<const N: usize> Eq for Name<N> {}

impl<const N: usize> fmt::Display for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self.wire(), f)
    }
}

impl<const N: usize> fmt::Debug for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self.wire(), f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;
    use std::string::ToString;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn a_name_is_read_and_written() {
        assert_eq!(name("A.b").wire(), b"\x01a\x01b\0");
        for (text, written) in [("a", "a"), ("A.B.", "a.b"), ("x_y.z-1", "x_y.z-1")] {
            assert_eq!(name(text).to_string(), written);
        }
        assert_eq!(name("a.b"), name("A.B."));
        assert_ne!(name("a.b"), name("a"));
    }

    #[test]
    fn what_is_no_name() {
        let long =
            |count: usize| ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(count)].join(".");
        for (text, error) in [
            ("", NameError::Label),
            (".", NameError::Label),
            ("a..b", NameError::Label),
            (".a", NameError::Label),
            ("a b", NameError::Octet),
            ("bücher.test", NameError::Octet),
            (&"x".repeat(64), NameError::Label),
            (&long(62), NameError::TooLong),
            (&format!("{}.a", long(61)), NameError::TooLong),
        ] {
            assert_eq!(<Name>::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(name(&long(61)).wire().len(), LONGEST_NAME);
        assert_eq!(Name::<4>::parse("ab").map(|name| name.wire().len()), Ok(4));
        assert_eq!(Name::<4>::parse("abc"), Err(NameError::TooLong));
    }

    #[test]
    fn octets_that_no_text_has_are_escaped() {
        let mut odd = <Name>::absent();
        odd.push_label(b"a.\\\x07\xff").expect("a label");
        odd.end().expect("room");
        assert_eq!(odd.to_string(), "a\\.\\\\\\007\\255");
    }

    /// RFC 9460 section 9.1.
    #[test]
    fn the_name_of_a_service_has_its_port_but_for_443() {
        assert_eq!(name("a.test").https_query_name(443), Ok(name("a.test")));
        assert_eq!(name("a.test").https_query_name(8443), Ok(name("_8443._https.a.test")));
        assert_eq!(name("a.test").https_query_name(65_535), Ok(name("_65535._https.a.test")));
        assert_eq!(Name::<16>::parse("a.test").unwrap().https_query_name(80), Err(NameError::TooLong));
    }

    /// RFC 7686 section 1: `onion` is a top-level domain, so that it is a label of its own.
    #[test]
    fn names_of_tor_are_those_whose_last_label_is_onion() {
        for text in ["onion", "x.onion", "x.ONION.", "a.b.Onion"] {
            assert!(name(text).is_onion(), "{text}");
        }
        for text in ["xonion", "onion.test", "x.onions", "x"] {
            assert!(!name(text).is_onion(), "{text}");
        }
    }
}
