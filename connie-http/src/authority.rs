//! The host that requests go to.

use crate::error::HttpError;
use crate::syntax::decimal;
use crate::writer::Writer;

/// The host that requests go to, as the `Host` field names it (RFC 9110 section 7.2, RFC 9112 section 3.2).
///
/// ```
/// use connie_http::Authority;
///
/// let mut text = [0; 64];
/// let length = Authority::http("2001:db8::1", 8080).write(&mut text)?;
/// assert_eq!(&text[..length], b"[2001:db8::1]:8080");
/// let length = Authority::https("name.test", 443).write(&mut text)?;
/// assert_eq!(&text[..length], b"name.test");
/// # Ok::<(), connie_http::HttpError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    name: &'a str,
    port: u16,
    default_port: u16,
}

impl<'a> Authority<'a> {
    /// A host and port of an `http` URL. `name` is a registered name, an IPv4 address, or an IPv6 address
    /// with or without its brackets and its zone.
    #[must_use]
    pub const fn http(name: &'a str, port: u16) -> Self {
        Authority { name, port, default_port: 80 }
    }

    /// A host and port of an `https` URL.
    #[must_use]
    pub const fn https(name: &'a str, port: u16) -> Self {
        Authority { name, port, default_port: 443 }
    }

    /// Writes the field's value into `to` and returns its length.
    ///
    /// An IPv6 address is put in brackets and loses its zone, which has a meaning on this machine only (RFC
    /// 4007 section 11). The port is left out where it is the scheme's default.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`] where the name is empty or holds what a URL's host cannot (RFC 3986
    /// section 3.2.2); [`HttpError::BufferTooSmall`].
    pub fn write(&self, to: &mut [u8]) -> Result<usize, HttpError> {
        let mut writer = Writer::after(to, 0);
        self.put_name(&mut writer)?;
        if self.port != self.default_port {
            self.put_port(&mut writer)?;
        }
        Ok(writer.length())
    }

    /// Writes the host and its port, even where that is the scheme's default.
    pub(crate) fn put_with_port(&self, writer: &mut Writer<'_>) -> Result<(), HttpError> {
        self.put_name(writer)?;
        self.put_port(writer)
    }

    fn put_name(&self, writer: &mut Writer<'_>) -> Result<(), HttpError> {
        if is_name(self.name.as_bytes()) {
            return writer.put(self.name.as_bytes());
        }
        let address = bare_address(self.name.as_bytes());
        if !is_ipv6(address) {
            return Err(HttpError::InvalidHost);
        }
        writer.put(b"[")?;
        writer.put(address)?;
        writer.put(b"]")
    }

    fn put_port(&self, writer: &mut Writer<'_>) -> Result<(), HttpError> {
        writer.put(b":")?;
        writer.put_decimal(u64::from(self.port))
    }
}

/// Whether `text` can be a registered name or an IPv4 address.
fn is_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_reg_name_byte(*byte))
}

/// `text` without the brackets around it, and without a zone.
fn bare_address(text: &[u8]) -> &[u8] {
    let inner = match text {
        [b'[', inner @ .., b']'] => inner,
        _ => text,
    };
    inner.split(|byte| *byte == b'%').next().unwrap_or_default()
}

/// Whether `text` is an IPv6 address (RFC 4291 section 2.2). The standard library could tell, at five times
/// the size.
fn is_ipv6(text: &[u8]) -> bool {
    let groups = match text {
        b"" => return false,
        b"::" => return true,
        // The two colons at an end count as the one gap between two pieces.
        [b':', rest @ ..] if rest.starts_with(b":") => rest,
        [rest @ .., b':'] if rest.ends_with(b":") => rest,
        [b':', ..] | [.., b':'] => return false,
        _ => text,
    };
    let (mut count, mut gaps) = (0_usize, 0_usize);
    let mut pieces = groups.split(|byte| *byte == b':').peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        match piece.len() {
            0 => gaps = gaps.saturating_add(1),
            1..=4 if piece.iter().all(u8::is_ascii_hexdigit) => count = count.saturating_add(1),
            _ if last && is_ipv4(piece) => count = count.saturating_add(2),
            _ => return false,
        }
    }
    matches!((gaps, count), (0, 8) | (1, 0..=7))
}

/// Whether `text` is an IPv4 address of four decimal numbers.
fn is_ipv4(text: &[u8]) -> bool {
    let is_octet = |part: &[u8]| match part {
        [] | [b'0', _, ..] => false,
        _ => decimal(part).is_some_and(|octet| octet <= 255),
    };
    text.split(|byte| *byte == b'.').count() == 4 && text.split(|byte| *byte == b'.').all(is_octet)
}

/// RFC 3986 section 3.2.2, `reg-name`: unreserved, percent-encoded and sub-delims.
const fn is_reg_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

/// Whether `value` can be the value of a `Host` field: a host as above, with or without brackets and a port,
/// or nothing (RFC 9112 section 3.2: empty where the target has no authority).
pub(crate) fn is_host_value(value: &str) -> bool {
    value.bytes().all(|byte| is_reg_name_byte(byte) || matches!(byte, b'[' | b']' | b':'))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::net::Ipv6Addr;
    use std::string::{String, ToString};

    #[track_caller]
    fn host(authority: Authority<'_>) -> Result<String, HttpError> {
        let mut text = [0; 64];
        let length = authority.write(&mut text)?;
        Ok(core::str::from_utf8(&text[..length]).unwrap().to_string())
    }

    #[test]
    fn a_host_is_written_as_a_url_spells_it() {
        assert_eq!(host(Authority::http("name.test", 80)).unwrap(), "name.test");
        assert_eq!(host(Authority::http("name.test", 443)).unwrap(), "name.test:443");
        assert_eq!(host(Authority::https("name.test", 443)).unwrap(), "name.test");
        assert_eq!(host(Authority::http("192.0.2.1", 8080)).unwrap(), "192.0.2.1:8080");
        assert_eq!(host(Authority::http("::1", 80)).unwrap(), "[::1]");
        assert_eq!(host(Authority::http("[::1]", 81)).unwrap(), "[::1]:81");
        assert_eq!(host(Authority::http("fe80::1%eth0", 80)).unwrap(), "[fe80::1]");
        assert_eq!(host(Authority::http("my_host.", 80)).unwrap(), "my_host.");
    }

    #[test]
    fn a_host_that_no_url_could_hold_is_refused() {
        let names = [
            "",
            "a b",
            "a/b",
            "a@b",
            "a\r\nX: y",
            "a:80",
            "[::1",
            "::1]",
            "[a]",
            "[]",
            "é",
            "a?b",
            ":::",
            "a#",
        ];
        for name in names {
            assert_eq!(host(Authority::http(name, 80)), Err(HttpError::InvalidHost), "{name:?}");
        }
        assert_eq!(Authority::http("name.test", 80).write(&mut [0; 8]), Err(HttpError::BufferTooSmall));
    }

    /// Random texts of the characters that addresses are made of, most of them wrong.
    #[test]
    fn an_address_is_one_where_the_standard_library_says_so() {
        // Miri takes a thousand times as long for each.
        let texts = if cfg!(miri) { 100 } else { 200_000 };
        let (mut state, mut addresses) = (0x5eed_u64, 0);
        for _ in 0..texts {
            let mut text = String::new();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut rest = state >> 8;
            for _ in 0..state >> 60 {
                text.push_str(["::", ":", "1", ":a", ":F0", "1.2.3.4", "0", "ffff:"][(rest % 8) as usize]);
                rest /= 8;
            }
            let valid = text.parse::<Ipv6Addr>().is_ok();
            addresses += usize::from(valid);
            assert_eq!(is_ipv6(text.as_bytes()), valid, "{text}");
        }
        assert!(addresses > texts / 200, "{addresses}");
        for text in [
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:1.2.3.4",
            "::1.2.3.256",
            "::01.2.3.4",
            "::12345",
            "1:2:3:4:5:6:7::",
        ] {
            assert_eq!(is_ipv6(text.as_bytes()), text.parse::<Ipv6Addr>().is_ok(), "{text}");
        }
    }
}
