//! Where to connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use connie_core::resolution::Host;

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

/// Several hosts of which any will do, such as brokers or replicas: a [`Target`] made of a slice, an array or a `Vec`.
///
/// ```no_run
/// use connie_std::{Options, connect};
///
/// let broker = connect(&["a.example:1883", "b.example:1883", "192.0.2.7:1884"], &Options::default())?;
/// println!("{:?} won", broker.report().won_by());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Each is what a [`Target`] can be: a text with its port, a name and a port, an address, addresses. All their addresses are in **one race**: those of each family in
/// turn, the first host's first. Names are looked up side by side. One that is not found, or whose lookup hangs, holds up none of the others: it is waited for only
/// where they have failed. [`Report::won_by`](crate::Report::won_by) says whose address has won, and with TLS that host's name is what the
/// certificate must be valid for.
///
/// There can be [`MAX_HOSTS`](crate::MAX_HOSTS), with [`MAX_DESTINATIONS`](crate::MAX_DESTINATIONS) addresses in all. An address that two of them have belongs
/// to the host that had it first. If a text in the list is not a host name or address, that is an error, and nothing is tried.
///
/// An IPv4 address beside names is reached through a NAT64 as those of names are; a list of nothing but addresses is tried as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts<'a>(List<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List<'a> {
    Texts(&'a [&'a str]),
    Strings(&'a [String]),
    Pairs(&'a [(&'a str, u16)]),
    Targets(&'a [Target<'a>]),
}

impl<'a> Hosts<'a> {
    /// What is in the list; none of them is a list of hosts again.
    pub fn iter(&self) -> impl Iterator<Item = Target<'a>> + use<'a> {
        let mut each = Vec::new();
        self.flatten(&mut each);
        each.into_iter()
    }

    /// As deep as lists of lists were written, and no deeper.
    fn flatten(&self, each: &mut Vec<Target<'a>>) {
        match self.0 {
            List::Texts(list) => each.extend(list.iter().map(|text| Target::Text(text))),
            List::Strings(list) => each.extend(list.iter().map(|text| Target::Text(text))),
            List::Pairs(list) => each.extend(list.iter().map(|(host, port)| Target::Host(host, *port))),
            List::Targets(list) => list.iter().for_each(|target| match target {
                Target::Hosts(inner) => inner.flatten(each),
                target => each.push(*target),
            }),
        }
    }

    /// All in one line, or the first few and how many more there are.
    pub(crate) fn line(&self) -> String {
        const MOST: usize = 4;
        let all: Vec<_> = self.iter().map(|target| target.place()).collect();
        let shown = if all.len() > MOST { MOST - 1 } else { all.len() };
        let more = match all.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        all[..shown].join(", ") + &more
    }

    /// The first text that is not a host name or address: the error names it.
    pub(crate) fn invalid(&self) -> Option<Target<'a>> {
        self.iter().find(|target| match target {
            Target::Text(text) => split(text).is_none_or(|(host, _)| Host::parse(host).is_err()),
            Target::Host(host, _) => Host::parse(host).is_err(),
            _ => false,
        })
    }
}

macro_rules! from_lists {
    ($($item:ty => $list:ident),*) => {$(
        impl<'a> From<&'a [$item]> for Target<'a> {
            fn from(hosts: &'a [$item]) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }

        impl<'a> From<&'a Vec<$item>> for Target<'a> {
            fn from(hosts: &'a Vec<$item>) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }

        impl<'a, const N: usize> From<&'a [$item; N]> for Target<'a> {
            fn from(hosts: &'a [$item; N]) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }
    )*};
}

from_lists!(&'a str => Texts, String => Strings, (&'a str, u16) => Pairs, Target<'a> => Targets);

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

    #[test]
    fn lists_of_lists_are_one_list() {
        let addresses: [SocketAddr; 1] = ["192.0.2.1:1".parse().unwrap()];
        let texts = ["a.test:1", "b.test:2"];
        let strings = vec!["c.test:3".to_owned()];
        let inner = [Target::from(&addresses), Target::from(("d.test", 4)), Target::from(&strings)];
        let all = [Target::from(&texts), Target::from(&inner)];
        let Target::Hosts(hosts) = Target::from(&all) else { panic!("a list") };
        assert_eq!(hosts.line(), "a.test:1, b.test:2, 192.0.2.1:1 and 2 more");
        assert_eq!(hosts.iter().count(), 5);
    }

    #[test]
    fn the_one_that_is_no_host_is_named() {
        for (list, wanted) in [
            (["a.test:1", "b.test:2"], None),
            (["a.test:1", "b.test"], Some("b.test")),
            (["a.test:1", "b test:2"], Some("b test:2")),
        ] {
            let Target::Hosts(hosts) = Target::from(&list) else { panic!("a list") };
            assert_eq!(hosts.invalid(), wanted.map(Target::Text));
        }
    }
}
