//! Where to connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::hosts::Hosts;

/// Where to connect: a name with a port, addresses, or [several hosts](Hosts). Made from whatever a caller has, as [`std::net::ToSocketAddrs`] is.
///
/// ```
/// use connie_std::Target;
/// use std::net::{IpAddr, Ipv6Addr, SocketAddr};
///
/// let addresses: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()];
/// assert_eq!(Target::from(("example.org", 80)), Target::Host("example.org", 80));
/// assert_eq!(Target::from("example.org:80"), Target::Text("example.org:80"));
/// assert_eq!(Target::from((IpAddr::from(Ipv6Addr::LOCALHOST), 80)), Target::from(SocketAddr::from((Ipv6Addr::LOCALHOST, 80))));
/// assert_eq!(Target::from(&addresses), Target::Addresses(&addresses));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A host's name or a literal address (`192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `fe80::1%2`), and a port.
    Host(&'a str, u16),
    /// The same as one text: `example.org:80`, `192.0.2.1:80`, `[2001:db8::1]:80`. What cannot be read as that is an error of
    /// [`connect`](crate::connect), of the kind [`InvalidTarget`](crate::ConnectErrorKind::InvalidTarget).
    Text(&'a str),
    /// One address.
    Address(SocketAddr),
    /// Addresses, best first.
    Addresses(&'a [SocketAddr]),
    /// Several hosts of which any will do: `&["a.example:1883", "b.example:1883"]`.
    Hosts(Hosts<'a>),
}

/// What an error has for the host of [`Target::Addresses`] where there is no address.
pub(crate) const EMPTY_LIST: &str = "an empty list of addresses";

impl Target<'_> {
    /// The host and the port that an error names; port 0 where there is none.
    pub(crate) fn name(&self) -> (String, u16) {
        match *self {
            Target::Host(host, port) => (host.to_owned(), port),
            Target::Text(text) => match split(text) {
                Some((host, port)) => (host.to_owned(), port),
                None => (text.to_owned(), 0),
            },
            Target::Address(address) => (address.ip().to_string(), address.port()),
            Target::Addresses([]) => (EMPTY_LIST.to_owned(), 0),
            Target::Addresses([first, ..]) => (first.ip().to_string(), first.port()),
            Target::Hosts(hosts) => match &*hosts.iter().take(2).collect::<Vec<_>>() {
                [] => (EMPTY_LIST.to_owned(), 0),
                [only] => only.name(),
                _ => (hosts.line(), 0),
            },
        }
    }

    /// The same as one text, as in a list.
    pub(crate) fn place(&self) -> String {
        match self {
            Target::Text(text) => (*text).to_owned(),
            Target::Address(address) => address.to_string(),
            Target::Addresses([only]) => only.to_string(),
            Target::Addresses([first, others @ ..]) => format!("{first} and {} more", others.len()),
            target => {
                let (host, port) = target.name();
                format!("{host}:{port}")
            }
        }
    }
}

/// Host and port of `HOST:PORT`. An IPv6 address stands in brackets: without them it is left open where it ends.
pub(crate) fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    // Not `parse` alone, which takes a plus sign too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    if digits && whole { Some((host, port.parse().ok()?)) } else { None }
}

/// `example.org:80`.
impl<'a> From<&'a str> for Target<'a> {
    fn from(text: &'a str) -> Self {
        Target::Text(text)
    }
}

/// `example.org:80`.
impl<'a> From<&'a String> for Target<'a> {
    fn from(text: &'a String) -> Self {
        Target::Text(text)
    }
}

impl<'a> From<(&'a str, u16)> for Target<'a> {
    fn from((host, port): (&'a str, u16)) -> Self {
        Target::Host(host, port)
    }
}

impl<'a> From<(&'a String, u16)> for Target<'a> {
    fn from((host, port): (&'a String, u16)) -> Self {
        Target::Host(host, port)
    }
}

impl From<(IpAddr, u16)> for Target<'_> {
    fn from(address: (IpAddr, u16)) -> Self {
        Target::Address(address.into())
    }
}

impl From<(Ipv4Addr, u16)> for Target<'_> {
    fn from(address: (Ipv4Addr, u16)) -> Self {
        Target::Address(address.into())
    }
}

impl From<(Ipv6Addr, u16)> for Target<'_> {
    fn from(address: (Ipv6Addr, u16)) -> Self {
        Target::Address(address.into())
    }
}

impl From<SocketAddr> for Target<'_> {
    fn from(address: SocketAddr) -> Self {
        Target::Address(address)
    }
}

impl From<&SocketAddr> for Target<'_> {
    fn from(address: &SocketAddr) -> Self {
        Target::Address(*address)
    }
}

impl From<SocketAddrV4> for Target<'_> {
    fn from(address: SocketAddrV4) -> Self {
        Target::Address(address.into())
    }
}

impl From<SocketAddrV6> for Target<'_> {
    fn from(address: SocketAddrV6) -> Self {
        Target::Address(address.into())
    }
}

impl<'a> From<&'a [SocketAddr]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr]) -> Self {
        Target::Addresses(addresses)
    }
}

impl<'a> From<&'a Vec<SocketAddr>> for Target<'a> {
    fn from(addresses: &'a Vec<SocketAddr>) -> Self {
        Target::Addresses(addresses)
    }
}

impl<'a, const N: usize> From<&'a [SocketAddr; N]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr; N]) -> Self {
        Target::Addresses(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_host_and_a_port() {
        assert_eq!(split("example.org:80"), Some(("example.org", 80)));
        assert_eq!(split("192.0.2.1:65535"), Some(("192.0.2.1", 65_535)));
        assert_eq!(split("[2001:db8::1]:80"), Some(("[2001:db8::1]", 80)));
        assert_eq!(split("[fe80::1%2]:80"), Some(("[fe80::1%2]", 80)));
        for text in ["", "example.org", "example.org:", "a:65536", "a:+1", "a:-1", "a: 1", "a:http", "a:1:2"]
        {
            assert_eq!(split(text), None, "{text:?}");
        }
        // Port 1, or the address's end?
        assert_eq!(split("2001:db8::1"), None);
    }

    #[test]
    fn an_error_names_what_was_asked_for() {
        assert_eq!(Target::from("example.org:80").name(), ("example.org".to_owned(), 80));
        assert_eq!(Target::from("example.org").name(), ("example.org".to_owned(), 0));
        assert_eq!(Target::from((Ipv4Addr::LOCALHOST, 80)).name(), ("127.0.0.1".to_owned(), 80));
    }
}
