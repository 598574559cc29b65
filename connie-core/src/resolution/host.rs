//! What a host's text stands for: an address, a name that needs no resolver, or a name to ask for.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::address_text::{parse_v4, parse_v6};

/// A host as a program names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An address written out. There is nothing to ask, and nothing else to try.
    Address(Literal<'a>),
    /// `localhost` or a name below it: "Name resolution APIs and libraries SHOULD recognize localhost names
    /// as special and SHOULD always return the IP loopback address" (RFC 6761 section 6.3). See [`LOOPBACK`].
    Loopback,
    /// A name that is never asked for: one below `invalid`, for which they "SHOULD always return immediate
    /// negative responses" (RFC 6761 section 6.4), or one of Tor below `onion`, which "SHOULD NOT" be looked
    /// up in DNS (RFC 7686 section 2), since that would tell the name servers which hidden service somebody
    /// uses. [`is_onion`] recognises the second.
    Nowhere,
    /// A name to ask for, as it was given: a final dot, which makes it absolute, is part of it.
    ///
    /// Names below `test` and `example` are asked for as any (RFC 6761 sections 6.2 and 6.5), and so are
    /// those below `local`, which only a resolver that speaks mDNS knows (RFC 6762 section 3): the system's,
    /// as a rule.
    Name(&'a str),
}

/// The addresses of [`Host::Loopback`], best first.
pub const LOOPBACK: [IpAddr; 2] = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];

/// Host and port of `HOST:PORT`; `None` where the text is not that. An IPv6 address must stand in brackets:
/// without them it is unclear where it ends. The host itself is not looked at: [`Host::parse`] does.
///
/// ```
/// use connie_core::resolution::split_port;
///
/// assert_eq!(split_port("example.org:80"), Some(("example.org", 80)));
/// assert_eq!(split_port("[2001:db8::1]:80"), Some(("[2001:db8::1]", 80)));
/// assert_eq!(split_port("2001:db8::1"), None);
/// ```
#[must_use]
pub fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    // Not `parse` alone, which takes a plus sign too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    if digits && whole { Some((host, port.parse().ok()?)) } else { None }
}

/// Whether `name` is one of Tor's, below `onion`, in any case and with a final dot or without (RFC 7686).
#[must_use]
pub fn is_onion(name: &str) -> bool {
    top_level(name).eq_ignore_ascii_case("onion")
}

/// The last label of a name. A final dot is not a label.
fn top_level(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let dot = name.bytes().rposition(|byte| byte == b'.');
    dot.and_then(|dot| name.get(dot.saturating_add(1)..)).unwrap_or(name)
}

/// An address written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Literal<'a> {
    /// The address.
    pub ip: IpAddr,
    /// The zone of an IPv6 address (RFC 4007 section 11): the `eth0` of `fe80::1%eth0`. Never empty.
    pub zone: Option<&'a str>,
}

impl Literal<'_> {
    /// The address with `port`; `None` where its zone is a name, whose number the system knows.
    #[must_use]
    pub fn socket_addr(&self, port: u16) -> Option<SocketAddr> {
        match (self.ip, self.zone) {
            (ip, None) => Some(SocketAddr::new(ip, port)),
            (IpAddr::V6(ip), Some(zone)) => Some(SocketAddrV6::new(ip, port, 0, zone.parse().ok()?).into()),
            (IpAddr::V4(_), Some(_)) => None,
        }
    }
}

/// Why a text is not a host name or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HostError {
    /// There is nothing in it.
    Empty,
    /// It is longer than the 253 octets of a name (RFC 1035 section 2.3.4), a final dot not counted.
    TooLong,
    /// A part between its dots is empty, or longer than 63 octets.
    Label,
    /// It holds a space or a control character, or, where a certificate is to be checked against it, anything
    /// that no name in one can hold.
    Octet,
    /// It ends as an IPv4 address does and is none in dotted decimal: `127.1`, `0x7f000001`, `192.0.2.256`.
    /// Some systems make addresses of such texts, and not the same ones.
    Ipv4,
    /// It has a colon or a bracket and is not an IPv6 address.
    Ipv6,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostError::Empty => "a host's name cannot be empty",
            HostError::TooLong => "a host's name has 253 octets at most",
            HostError::Label => "each part of a host's name has 1 to 63 octets",
            HostError::Octet => "a host's name is made of letters, digits, hyphens and dots",
            HostError::Ipv4 => "write IPv4 addresses as four decimal numbers: 192.0.2.1",
            HostError::Ipv6 => "give a host without scheme and port; IPv6 as in 2001:db8::1, fe80::1%2",
        })
    }
}

impl core::error::Error for HostError {}

impl<'a> Host<'a> {
    /// Reads `text`: a name, an IPv4 address, or an IPv6 address, bare or in brackets, with a zone or
    /// without.
    ///
    /// # Errors
    ///
    /// [`HostError`] says what a host may look like.
    ///
    /// ```
    /// use connie_core::resolution::{Host, HostError};
    ///
    /// assert_eq!(Host::parse("example.org"), Ok(Host::Name("example.org")));
    /// assert!(matches!(Host::parse("[2001:db8::1]"), Ok(Host::Address(_))));
    /// assert_eq!(Host::parse("127.1"), Err(HostError::Ipv4));
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, HostError> {
        // By bytes, here and below: searching a text by characters takes a kilobyte of `core`.
        if text.bytes().any(|byte| matches!(byte, b':' | b'[' | b']')) {
            return literal_v6(text).map(Host::Address).ok_or(HostError::Ipv6);
        }
        if let Some(ip) = parse_v4(text.as_bytes()) {
            return Ok(Host::Address(Literal { ip: ip.into(), zone: None }));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check(name)?;
        Ok(match top_level(name) {
            top if top.eq_ignore_ascii_case("localhost") => Host::Loopback,
            top if top.eq_ignore_ascii_case("invalid") || is_onion(top) => Host::Nowhere,
            _ => Host::Name(text),
        })
    }
}

fn literal_v6(text: &str) -> Option<Literal<'_>> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => text,
    };
    let (ip, zone) = match bare.bytes().position(|byte| byte == b'%') {
        Some(percent) => (bare.get(..percent)?, Some(bare.get(percent.saturating_add(1)..)?)),
        None => (bare, None),
    };
    let known = |zone: &str| !zone.is_empty() && !zone.bytes().any(is_bad);
    let ip = parse_v6(ip.as_bytes())?;
    zone.is_none_or(known).then_some(Literal { ip: ip.into(), zone })
}

/// Whether `name`, which has no final dot, can be a name.
fn check(name: &str) -> Result<(), HostError> {
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.bytes().any(is_bad) {
        return Err(HostError::Octet);
    }
    if name.len() > 253 {
        return Err(HostError::TooLong);
    }
    let mut last: &[u8] = &[];
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > 63 {
            return Err(HostError::Label);
        }
        last = label;
    }
    // No top-level domain is a number, so that names and addresses stay apart (RFC 1123 section 2.1).
    if is_number(last) { Err(HostError::Ipv4) } else { Ok(()) }
}

fn is_bad(byte: u8) -> bool {
    byte.is_ascii_control() || byte == b' '
}

/// Whether `inet_aton` would read `label` as a number, be it decimal, octal or hexadecimal.
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_text_is_a_host_and_a_port() {
        assert_eq!(split_port("192.0.2.1:65535"), Some(("192.0.2.1", 65_535)));
        assert_eq!(split_port("[fe80::1%2]:0"), Some(("[fe80::1%2]", 0)));
        for text in ["", "a", "a:", "a:65536", "a:+1", "a:-1", "a: 1", "a:http", "a:1:2", "[::1", "::1]:1"] {
            assert_eq!(split_port(text), None, "{text:?}");
        }
    }

    #[track_caller]
    fn is_address(text: &str, ip: &str, zone: Option<&str>) {
        let ip = ip.parse().unwrap();
        assert_eq!(Host::parse(text), Ok(Host::Address(Literal { ip, zone })), "{text}");
    }

    #[test]
    fn addresses() {
        is_address("192.0.2.1", "192.0.2.1", None);
        is_address("2001:db8::1", "2001:db8::1", None);
        is_address("[2001:db8::1]", "2001:db8::1", None);
        is_address("::ffff:192.0.2.1", "::ffff:192.0.2.1", None);
        is_address("fe80::1%eth0", "fe80::1", Some("eth0"));
        is_address("[fe80::1%3]", "fe80::1", Some("3"));
    }

    /// `%25` is an escape in URLs (RFC 6874), and nowhere else: interfaces have numbers that begin with 25.
    #[test]
    fn a_zone_is_taken_as_it_stands() {
        is_address("[fe80::251%251]", "fe80::251", Some("251"));
        is_address("fe80::1%25", "fe80::1", Some("25"));
        is_address("fe80::1%25eth0", "fe80::1", Some("25eth0"));
    }

    #[test]
    fn a_zone_is_a_number_or_the_systems_affair() {
        let literal = |text| match Host::parse(text) {
            Ok(Host::Address(literal)) => literal.socket_addr(80),
            other => panic!("{other:?}"),
        };
        assert_eq!(literal("fe80::1%3"), Some("[fe80::1%3]:80".parse().unwrap()));
        assert_eq!(literal("fe80::1"), Some("[fe80::1]:80".parse().unwrap()));
        assert_eq!(literal("fe80::1%eth0"), None);
        assert_eq!(literal("192.0.2.1"), Some("192.0.2.1:80".parse().unwrap()));
    }

    #[test]
    fn names_that_need_no_resolver() {
        for name in ["localhost", "LocalHost", "localhost.", "a.b.localhost", "a.localhost."] {
            assert_eq!(Host::parse(name), Ok(Host::Loopback), "{name}");
        }
        for name in ["invalid", "a.invalid", "a.INVALID."] {
            assert_eq!((Host::parse(name), is_onion(name)), (Ok(Host::Nowhere), false), "{name}");
        }
    }

    /// RFC 7686 section 2: a name server is not to learn them.
    #[test]
    fn names_of_tor_are_never_asked_for() {
        for name in ["onion", "foo.onion", "foo.onion.", "a.b.ONION", "Foo.Onion."] {
            assert_eq!((Host::parse(name), is_onion(name)), (Ok(Host::Nowhere), true), "{name}");
        }
        for name in ["onion.example", "fooonion", "foo.onions", "onion.foo."] {
            assert_eq!((Host::parse(name), is_onion(name)), (Ok(Host::Name(name)), false), "{name}");
        }
    }

    /// RFC 6761 sections 6.2 and 6.5, RFC 6762 section 3.
    #[test]
    fn other_names_of_special_use_are_asked_for() {
        for name in ["a.test", "example", "a.example.", "example.com", "printer.local", "a.home.arpa"] {
            assert_eq!(Host::parse(name), Ok(Host::Name(name)), "{name}");
        }
    }

    #[test]
    fn names() {
        let longest =
            [&"a".repeat(63), ".", &"b".repeat(63), ".", &"c".repeat(63), ".", &"d".repeat(61)].concat();
        assert_eq!(longest.len(), 253);
        for name in [
            "example.org",
            "example.org.",
            "nas",
            "localhost.example",
            "notlocalhost",
            "1.2.3.example",
            "0xcafe.example",
            "x0",
            "bücher.example",
            "_srv.example",
            &longest,
            &[&longest, "."].concat(),
        ] {
            assert_eq!(Host::parse(name), Ok(Host::Name(name)), "{name}");
        }
    }

    #[test]
    fn an_error_says_what_to_write_instead() {
        assert_eq!(
            Host::parse("192.0.2.256").unwrap_err().to_string(),
            "write IPv4 addresses as four decimal numbers: 192.0.2.1"
        );
    }

    #[test]
    fn what_is_no_host() {
        let long = "a.".repeat(127);
        let label = "a".repeat(64);
        for (text, error) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            ("..", HostError::Label),
            (".a", HostError::Label),
            ("a..b", HostError::Label),
            (label.as_str(), HostError::Label),
            (&["a", &long].concat(), HostError::TooLong),
            ("a b", HostError::Octet),
            ("a\0b", HostError::Octet),
            ("a\r\nb", HostError::Octet),
            ("127.1", HostError::Ipv4),
            ("1", HostError::Ipv4),
            ("2130706433", HostError::Ipv4),
            ("0x7f000001", HostError::Ipv4),
            ("0X7F.1", HostError::Ipv4),
            ("a.0x", HostError::Ipv4),
            ("010.0.0.1", HostError::Ipv4),
            ("192.0.2.256", HostError::Ipv4),
            ("192.0.2.1.", HostError::Ipv4),
            ("1.2.3.4.5", HostError::Ipv4),
            ("::1::", HostError::Ipv6),
            ("[::1", HostError::Ipv6),
            ("::1]", HostError::Ipv6),
            ("[192.0.2.1]", HostError::Ipv6),
            ("[example.org]", HostError::Ipv6),
            ("example.org:80", HostError::Ipv6),
            ("fe80::1%", HostError::Ipv6),
            ("[fe80::1]%1", HostError::Ipv6),
            ("fe80::1%a b", HostError::Ipv6),
        ] {
            assert_eq!(Host::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn whoever_gives_a_url_or_a_port_is_told_to_leave_them_out() {
        for text in ["https://example.org", "http://example.org:80/", "example.org:80", "192.0.2.1:80"] {
            let told = Host::parse(text).expect_err(text).to_string();
            assert!(told.contains("without scheme and port"), "{text}: {told}");
        }
    }
}
