//! Addresses as texts: read and printed as by `core::net`, in a third of its code.
//!
//! A program that has both in its flash anyway gains nothing by it; a microcontroller saves some 3 KB.

use core::fmt::{self, Display};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::plain::{Hexadecimal, Number};

/// Reads an IP address, without brackets, port or zone: exactly what [`IpAddr`] reads.
///
/// ```
/// use connie_core::resolution::parse_ip;
///
/// assert_eq!(parse_ip("2001:db8::192.0.2.1"), "2001:db8::192.0.2.1".parse().ok());
/// assert_eq!(parse_ip("192.0.2.01"), None, "could be octal");
/// ```
#[must_use]
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    match text.bytes().any(|byte| byte == b':') {
        true => parse_v6(text.as_bytes()).map(IpAddr::V6),
        false => parse_v4(text.as_bytes()).map(IpAddr::V4),
    }
}

/// Four decimal numbers. "This document does not permit leading zeros" (RFC 6943 section 3.1.1 has why).
#[inline(never)]
pub(crate) fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let digits = parts.next()?;
        if digits.len() > 1 && digits.first() == Some(&b'0') {
            return None;
        }
        *octet = u8::try_from(number(digits, 10, 3)?).ok()?;
    }
    parts.next().is_none().then_some(Ipv4Addr::from(octets))
}

/// Eight groups of 1 to 4 hexadecimal digits (RFC 4291 section 2.2). Once `::` stands for one or more groups
/// of zeros, and the last two may be an IPv4 address.
pub(crate) fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut gap) = (Groups::default(), None);
    let mut rest = text;
    if let Some(after) = text.strip_prefix(b"::") {
        (gap, rest) = (Some(0), after);
    }
    // What follows a gap may be nothing; what follows a single colon is a group.
    let mut may_end = gap.is_some();
    while !(may_end && rest.is_empty()) {
        let length = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
        let (group, after) = rest.split_at_checked(length)?;
        match after.split_first() {
            None if group.contains(&b'.') => {
                let [a, b, c, d] = parse_v4(group)?.octets();
                groups.push(u16::from_be_bytes([a, b]))?;
                groups.push(u16::from_be_bytes([c, d]))?;
            }
            _ => groups.push(number(group, 16, 4)?)?,
        }
        match after {
            [] => (may_end, rest) = (true, after),
            [_, b':', after @ ..] if gap.is_none() => {
                (gap, may_end, rest) = (Some(groups.length), true, after);
            }
            [_, after @ ..] => (may_end, rest) = (false, after),
        }
    }
    groups.with_gap(gap).map(Ipv6Addr::from)
}

/// The groups that were read.
#[derive(Default)]
struct Groups {
    all: [u16; 8],
    /// At most 8.
    length: usize,
}

impl Groups {
    fn push(&mut self, group: u16) -> Option<()> {
        *self.all.get_mut(self.length)? = group;
        self.length = self.length.saturating_add(1);
        Some(())
    }

    /// All eight, with zeros at the gap, which stands for one at least.
    fn with_gap(mut self, gap: Option<usize>) -> Option<[u16; 8]> {
        let missing = 8_usize.saturating_sub(self.length);
        let Some(gap) = gap else { return (missing == 0).then_some(self.all) };
        if missing == 0 {
            return None;
        }
        for index in (gap..self.length).rev() {
            let group = core::mem::take(self.all.get_mut(index)?);
            *self.all.get_mut(index.saturating_add(missing))? = group;
        }
        Some(self.all)
    }
}

/// The number that `digits` are, one to `most` of them. It is less than `radix` to the power of `most`, which
/// fits.
#[inline(never)]
fn number(digits: &[u8], radix: u32, most: usize) -> Option<u16> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    let mut number = 0_u16;
    for digit in digits {
        let digit = char::from(*digit).to_digit(radix)? as u16;
        number = number.wrapping_mul(radix as u16).wrapping_add(digit);
    }
    Some(number)
}

/// An address that prints as it does by itself: `192.0.2.1:80`, `[fe80::1%2]:80` (RFC 5952).
///
/// ```
/// use connie_core::resolution::AddressText;
///
/// let address = "[2001:db8::1]:80".parse().unwrap();
/// assert_eq!(AddressText(address).to_string(), "[2001:db8::1]:80");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AddressText(pub SocketAddr);

/// The same without the port, and without brackets.
pub(crate) struct HostText(pub(crate) SocketAddr);

impl Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v6 = self.0.is_ipv6();
        f.write_str(if is_v6 { "[" } else { "" })?;
        HostText(self.0).fmt(f)?;
        f.write_str(if is_v6 { "]:" } else { ":" })?;
        Number(self.0.port().into()).fmt(f)
    }
}

impl Display for HostText {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = match self.0 {
            SocketAddr::V4(v4) => return write_v4(f, *v4.ip()),
            SocketAddr::V6(v6) => v6,
        };
        match v6.ip().to_ipv4_mapped() {
            Some(v4) => {
                f.write_str("::ffff:")?;
                write_v4(f, v4)?;
            }
            None => write_v6(f, v6.ip().segments())?,
        }
        if v6.scope_id() == 0 {
            return Ok(());
        }
        f.write_str("%")?;
        Number(v6.scope_id().into()).fmt(f)
    }
}

fn write_v4(f: &mut fmt::Formatter<'_>, address: Ipv4Addr) -> fmt::Result {
    let mut dot = "";
    for octet in address.octets() {
        f.write_str(dot)?;
        Number(octet.into()).fmt(f)?;
        dot = ".";
    }
    Ok(())
}

/// RFC 5952 section 4.2: the longest run of zeros is left out, the first of those that are as long, and a
/// single one never.
fn write_v6(f: &mut fmt::Formatter<'_>, groups: [u16; 8]) -> fmt::Result {
    let (mut start, mut longest, mut run) = (0_usize, 1_usize, 0_usize);
    for (index, group) in groups.iter().enumerate() {
        run = if *group == 0 { run.saturating_add(1) } else { 0 };
        if run > longest {
            // It ends here.
            (start, longest) = (index.saturating_add(1).saturating_sub(run), run);
        }
    }
    let end = if longest > 1 { start.saturating_add(longest) } else { start };
    let mut colon = "";
    for (index, group) in groups.iter().enumerate() {
        if (start..end).contains(&index) {
            // The first writes both colons, and none comes after it.
            f.write_str(if index == start { "::" } else { "" })?;
            colon = "";
            continue;
        }
        f.write_str(colon)?;
        Hexadecimal(u64::from(*group)).fmt(f)?;
        colon = ":";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::net::SocketAddrV6;
    use std::string::{String, ToString};

    use super::*;

    #[track_caller]
    fn reads_as_core(text: &str) {
        assert_eq!(parse_ip(text), text.parse().ok(), "{text:?}");
    }

    /// All texts of up to seven characters of those that matter, and of up to five groups of them.
    #[test]
    #[cfg_attr(miri, ignore = "sixty thousand texts take minutes there")]
    fn texts_read_as_core_reads_them() {
        let mut texts = std::vec![String::new()];
        for _ in 0..7 {
            let longer = texts.iter().flat_map(|text| ["0", "f", ":", "."].map(|add| text.clone() + add));
            texts = longer.collect();
            texts.iter().for_each(|text| reads_as_core(text));
        }
        let parts = ["0", "00", "7", "255", "256", "fFf", "12345", "ffff", "g", "", "1.2.3.4", "%1", "+1"];
        let mut texts = std::vec![String::new()];
        for _ in 0..2 {
            let longer = texts.iter().flat_map(|text| {
                parts.iter().flat_map(move |part| [".", ":", "::"].map(|add| text.clone() + add + part))
            });
            texts = longer.collect();
            for text in &texts {
                for before in ["", "1", "01.02", "1.2", "1:2:3:4", "1:2:3:4:5", "1:2:3:4:5:6", "1::2:3:4:5"] {
                    reads_as_core(&(String::from(before) + text));
                    for after in [":", "::", ".", "::1", ":1:2:3:4"] {
                        reads_as_core(&(String::from(before) + text + after));
                    }
                }
            }
        }
        ["[::1]", "::1%1", "1.2.3.4:5", "1.2.3.4.5", " 1.2.3.4", "::\u{fffd}"]
            .into_iter()
            .for_each(reads_as_core);
    }

    /// Every pattern of groups that are zero and groups that are not.
    #[test]
    #[cfg_attr(miri, ignore = "three thousand addresses take a minute there")]
    fn addresses_print_as_core_prints_them() {
        for pattern in 0..=u8::MAX {
            for value in [1, 0x0fab, 0xffff] {
                let groups: [u16; 8] = core::array::from_fn(|n| value * u16::from(pattern >> n & 1));
                for scope in [0, 7] {
                    let address = SocketAddr::V6(SocketAddrV6::new(groups.into(), 443, 0, scope));
                    assert_eq!(AddressText(address).to_string(), address.to_string());
                    let host = HostText(address).to_string();
                    assert_eq!(std::format!("[{host}]:443"), address.to_string());
                }
            }
        }
        for text in ["0.0.0.0:0", "192.0.2.255:65535", "[::ffff:192.0.2.1]:80", "[::192.0.2.1]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(AddressText(address).to_string(), address.to_string());
        }
    }
}
