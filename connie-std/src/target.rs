//! Where to connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use connie_core::resolution::Host;

/// Where to connect: a name with a port, addresses, or several hosts. It is made from whatever a caller has:
///
/// | from | what it is |
/// |---|---|
/// | `&str`, `String`, `&String` | `HOST:PORT` as one text |
/// | `(&str, u16)`, `(String, u16)`, `(&String, u16)` | a host and a port |
/// | `SocketAddr`, `&SocketAddr`, `SocketAddrV4`, `SocketAddrV6`, `(IpAddr, u16)` and its like | one address |
/// | a slice, an array or a `Vec` of [`SocketAddr`], owned or by reference, or [`Target::addresses`] | addresses, best first |
/// | a slice, an array or a `Vec` of anything else above, owned or by reference, or [`Target::hosts`] | several hosts, of which any will do |
/// | `&Target` | the same, borrowed |
///
/// A host is a name or a literal address: `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `fe80::1%2`. In a text
/// with a port an IPv6 address stands in brackets. A text that cannot be read as `HOST:PORT` is an error of
/// [`connect`](crate::connect()), of the kind [`InvalidTarget`](crate::ConnectErrorKind::InvalidTarget). What
/// is borrowed is not copied.
///
/// ```
/// use connie_std::Target;
/// use std::net::{Ipv6Addr, SocketAddr};
///
/// let addresses: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()];
/// assert_eq!(Target::from("example.org:80"), Target::from("example.org:80".to_owned()));
/// assert_eq!(Target::from((Ipv6Addr::LOCALHOST, 80)), Target::from(SocketAddr::from((Ipv6Addr::LOCALHOST, 80))));
/// assert_eq!(Target::from(&addresses), Target::from(addresses.to_vec()));
/// assert_eq!(Target::from(&addresses), Target::addresses(addresses.iter().copied()));
/// ```
///
/// # Several hosts
///
/// Several hosts of which any will do, such as brokers or replicas:
///
/// ```no_run
/// use connie_std::{Options, connect};
///
/// let broker = connect(["a.example:1883", "b.example:1883", "192.0.2.7:1884"], &Options::default())?;
/// println!("{:?} won", broker.report().won_by());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// All their addresses are in **one race**: those of each family in turn, the first host's first. Names are
/// looked up side by side. A name that is not found, or whose lookup hangs, does not hold up the others: it
/// is waited for only where they have failed. [`Report::won_by`](crate::Report::won_by) says whose address
/// has won. With TLS the certificate must be valid for that host's name.
///
/// There can be [`MAX_HOSTS`](crate::MAX_HOSTS), with [`MAX_DESTINATIONS`](crate::MAX_DESTINATIONS) addresses
/// in all. An address that two hosts have belongs to the one that had it first. If a text in the list is not
/// a host name or address, that is an error, and nothing is tried.
///
/// An IPv4 address beside names is reached through a NAT64 as those of names are. A list of nothing but
/// addresses is tried as it is.
#[derive(Clone)]
pub struct Target<'a>(TargetForm<'a>);

#[derive(Clone)]
enum TargetForm<'a> {
    Borrowed(TargetRef<'a>),
    Host(String, u16),
    Text(String),
    Addresses(Vec<SocketAddr>),
    Hosts(Vec<Target<'a>>),
}

impl<'a> Target<'a> {
    /// These addresses, best first.
    ///
    /// ```
    /// use connie_std::Target;
    ///
    /// let target = Target::addresses((1..=3).map(|last| ([192, 0, 2, last], 80)));
    /// ```
    pub fn addresses<A: Into<SocketAddr>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Target(TargetForm::Addresses(addresses.into_iter().map(Into::into).collect()))
    }

    /// [Several hosts](Self#several-hosts), of which any will do.
    ///
    /// ```
    /// use connie_std::Target;
    ///
    /// let target = Target::hosts((1..=3).map(|number| (format!("broker-{number}.example"), 1883)));
    /// ```
    pub fn hosts<H: Into<Target<'a>>>(hosts: impl IntoIterator<Item = H>) -> Self {
        Target(TargetForm::Hosts(hosts.into_iter().map(Into::into).collect()))
    }

    /// What it is, borrowed.
    pub(crate) fn view(&self) -> TargetRef<'_> {
        match &self.0 {
            TargetForm::Borrowed(target) => *target,
            TargetForm::Host(host, port) => TargetRef::Host(host, *port),
            TargetForm::Text(text) => TargetRef::Text(text),
            TargetForm::Addresses(addresses) => TargetRef::Addresses(addresses),
            TargetForm::Hosts(hosts) => TargetRef::Hosts(Hosts::Targets(hosts)),
        }
    }
}

/// As what it says: whether it is borrowed does not matter.
impl PartialEq for Target<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for Target<'_> {}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A [`Target`] as this crate passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetRef<'a> {
    /// A host's name or a literal address, and a port.
    Host(&'a str, u16),
    /// The same as one text: `example.org:80`.
    Text(&'a str),
    /// One address.
    Address(SocketAddr),
    /// Addresses, best first.
    Addresses(&'a [SocketAddr]),
    /// Several hosts of which any will do.
    Hosts(Hosts<'a>),
}

/// What an error has for the host of [`TargetRef::Addresses`] where there is no address.
pub(crate) const EMPTY_LIST: &str = "an empty list of addresses";

impl TargetRef<'_> {
    /// The host and the port that an error names; port 0 where there is none.
    pub(crate) fn name(&self) -> (String, u16) {
        match *self {
            TargetRef::Host(host, port) => (host.to_owned(), port),
            TargetRef::Text(text) => match split(text) {
                Some((host, port)) => (host.to_owned(), port),
                None => (text.to_owned(), 0),
            },
            TargetRef::Address(address) => (address.ip().to_string(), address.port()),
            TargetRef::Addresses([]) => (EMPTY_LIST.to_owned(), 0),
            TargetRef::Addresses([first, ..]) => (first.ip().to_string(), first.port()),
            TargetRef::Hosts(hosts) => match &*hosts.iter().take(2).collect::<Vec<_>>() {
                [] => (EMPTY_LIST.to_owned(), 0),
                [only] => only.name(),
                _ => (hosts.line(), 0),
            },
        }
    }

    /// The same as one text, as in a list.
    pub(crate) fn place(&self) -> String {
        match self {
            TargetRef::Text(text) => (*text).to_owned(),
            TargetRef::Address(address) => address.to_string(),
            TargetRef::Addresses([only]) => only.to_string(),
            TargetRef::Addresses([first, others @ ..]) => format!("{first} and {} more", others.len()),
            target => {
                let (host, port) = target.name();
                format!("{host}:{port}")
            }
        }
    }
}

/// Host and port of `HOST:PORT`. An IPv6 address stands in brackets: without them it is left open where it
/// ends.
pub(crate) fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    // Not `parse` alone, which takes a plus sign too.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let whole = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    if digits && whole { Some((host, port.parse().ok()?)) } else { None }
}

impl<'a> From<TargetRef<'a>> for Target<'a> {
    fn from(target: TargetRef<'a>) -> Self {
        Target(TargetForm::Borrowed(target))
    }
}

impl<'a> From<&'a Target<'_>> for Target<'a> {
    fn from(target: &'a Target<'_>) -> Self {
        target.view().into()
    }
}

/// `example.org:80`.
impl<'a> From<&'a str> for Target<'a> {
    fn from(text: &'a str) -> Self {
        TargetRef::Text(text).into()
    }
}

/// `example.org:80`.
impl<'a> From<&'a String> for Target<'a> {
    fn from(text: &'a String) -> Self {
        TargetRef::Text(text).into()
    }
}

/// `example.org:80`.
impl From<String> for Target<'_> {
    fn from(text: String) -> Self {
        Target(TargetForm::Text(text))
    }
}

impl<'a> From<(&'a str, u16)> for Target<'a> {
    fn from((host, port): (&'a str, u16)) -> Self {
        TargetRef::Host(host, port).into()
    }
}

impl<'a> From<(&'a String, u16)> for Target<'a> {
    fn from((host, port): (&'a String, u16)) -> Self {
        TargetRef::Host(host, port).into()
    }
}

impl From<(String, u16)> for Target<'_> {
    fn from((host, port): (String, u16)) -> Self {
        Target(TargetForm::Host(host, port))
    }
}

impl From<&SocketAddr> for Target<'_> {
    fn from(address: &SocketAddr) -> Self {
        TargetRef::Address(*address).into()
    }
}

macro_rules! from_addresses {
    ($($address:ty),*) => {$(
        impl From<$address> for Target<'_> {
            fn from(address: $address) -> Self {
                TargetRef::Address(address.into()).into()
            }
        }
    )*};
}

from_addresses!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl<'a> From<&'a [SocketAddr]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr]) -> Self {
        TargetRef::Addresses(addresses).into()
    }
}

impl<'a> From<&'a Vec<SocketAddr>> for Target<'a> {
    fn from(addresses: &'a Vec<SocketAddr>) -> Self {
        TargetRef::Addresses(addresses).into()
    }
}

impl<'a, const N: usize> From<&'a [SocketAddr; N]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr; N]) -> Self {
        TargetRef::Addresses(addresses).into()
    }
}

impl From<Vec<SocketAddr>> for Target<'_> {
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Target(TargetForm::Addresses(addresses))
    }
}

impl<const N: usize> From<[SocketAddr; N]> for Target<'_> {
    fn from(addresses: [SocketAddr; N]) -> Self {
        Target::addresses(addresses)
    }
}

/// What [`ToSocketAddrs`](std::net::ToSocketAddrs) makes of a name.
impl From<std::vec::IntoIter<SocketAddr>> for Target<'_> {
    fn from(addresses: std::vec::IntoIter<SocketAddr>) -> Self {
        Target::addresses(addresses)
    }
}

/// A list of hosts, as it was written.
#[derive(Clone, Copy)]
pub enum Hosts<'a> {
    Texts(&'a [&'a str]),
    Strings(&'a [String]),
    Pairs(&'a [(&'a str, u16)]),
    StringPairs(&'a [(String, u16)]),
    Targets(&'a [Target<'a>]),
}

impl PartialEq for Hosts<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Hosts<'_> {}

impl fmt::Debug for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> Hosts<'a> {
    /// What is in the list; none of them is a list of hosts again.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TargetRef<'a>> + use<'a> {
        let mut each = Vec::new();
        self.flatten(&mut each);
        each.into_iter()
    }

    /// As deep as lists of lists were written, and no deeper.
    fn flatten(&self, each: &mut Vec<TargetRef<'a>>) {
        match self {
            Hosts::Texts(list) => each.extend(list.iter().map(|text| TargetRef::Text(text))),
            Hosts::Strings(list) => each.extend(list.iter().map(|text| TargetRef::Text(text))),
            Hosts::Pairs(list) => each.extend(list.iter().map(|(host, port)| TargetRef::Host(host, *port))),
            Hosts::StringPairs(list) => {
                each.extend(list.iter().map(|(host, port)| TargetRef::Host(host, *port)));
            }
            Hosts::Targets(list) => list.iter().for_each(|target| match target.view() {
                TargetRef::Hosts(inner) => inner.flatten(each),
                target => each.push(target),
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
    pub(crate) fn invalid(&self) -> Option<TargetRef<'a>> {
        self.iter().find(|target| match target {
            TargetRef::Text(text) => split(text).is_none_or(|(host, _)| Host::parse(host).is_err()),
            TargetRef::Host(host, _) => Host::parse(host).is_err(),
            _ => false,
        })
    }
}

macro_rules! from_lists {
    ($($item:ty => $list:ident),*) => {$(
        impl<'a> From<&'a [$item]> for Target<'a> {
            fn from(hosts: &'a [$item]) -> Self {
                TargetRef::Hosts(Hosts::$list(hosts)).into()
            }
        }

        impl<'a> From<&'a Vec<$item>> for Target<'a> {
            fn from(hosts: &'a Vec<$item>) -> Self {
                TargetRef::Hosts(Hosts::$list(hosts)).into()
            }
        }

        impl<'a, const N: usize> From<&'a [$item; N]> for Target<'a> {
            fn from(hosts: &'a [$item; N]) -> Self {
                TargetRef::Hosts(Hosts::$list(hosts)).into()
            }
        }

        impl<'a> From<Vec<$item>> for Target<'a> {
            fn from(hosts: Vec<$item>) -> Self {
                Target::hosts(hosts)
            }
        }

        impl<'a, const N: usize> From<[$item; N]> for Target<'a> {
            fn from(hosts: [$item; N]) -> Self {
                Target::hosts(hosts)
            }
        }
    )*};
}

from_lists!(
    &'a str => Texts, String => Strings, (&'a str, u16) => Pairs, (String, u16) => StringPairs,
    Target<'a> => Targets
);

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
        assert_eq!(Target::from("example.org:80").view().name(), ("example.org".to_owned(), 80));
        assert_eq!(Target::from("example.org").view().name(), ("example.org".to_owned(), 0));
        assert_eq!(Target::from((Ipv4Addr::LOCALHOST, 80)).view().name(), ("127.0.0.1".to_owned(), 80));
    }

    #[test]
    fn what_is_borrowed_is_not_copied() {
        let (text, list, pairs) =
            ("a.test:1".to_owned(), vec![SocketAddr::from(([192, 0, 2, 1], 1))], [("a.test", 1)]);
        let inner = [Target::from(text.clone())];
        for target in [
            Target::from(&text),
            Target::from(&*text),
            Target::from(("a.test", 1)),
            Target::from(list[0]),
            Target::from(&list),
            Target::from(std::slice::from_ref(&text)),
            Target::from(&pairs),
            Target::from(&inner),
            Target::from(&Target::from(text.clone())),
        ] {
            assert!(matches!(target.0, TargetForm::Borrowed(_)), "{target:?}");
        }
    }

    #[test]
    fn the_owned_is_the_same_as_the_borrowed() {
        let (text, list) = ("a.test:1".to_owned(), vec![SocketAddr::from(([192, 0, 2, 1], 1))]);
        assert_eq!(Target::from(&text), Target::from(text.clone()));
        assert_eq!(Target::from(("a.test", 1)), Target::from(("a.test".to_owned(), 1)));
        assert_eq!(Target::from(&list), Target::from(list.clone()));
        assert_eq!(Target::from(&[&*text, &*text]), Target::from([text.clone(), text.clone()]));
        // The memory knows a list by its addresses, and an address by itself.
        assert_ne!(Target::from(&list), Target::from(list[0]));
    }

    #[test]
    fn lists_of_lists_are_one_list() {
        let addresses: [SocketAddr; 1] = ["192.0.2.1:1".parse().unwrap()];
        let texts = ["a.test:1", "b.test:2"];
        let strings = vec!["c.test:3".to_owned()];
        let inner = [Target::from(&addresses), Target::from(("d.test", 4)), Target::from(&strings)];
        let all = [Target::from(&texts), Target::from(&inner)];
        let target = Target::from(&all);
        let TargetRef::Hosts(hosts) = target.view() else { panic!("a list") };
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
            let target = Target::from(&list);
            let TargetRef::Hosts(hosts) = target.view() else { panic!("a list") };
            assert_eq!(hosts.invalid(), wanted.map(TargetRef::Text));
        }
    }
}
