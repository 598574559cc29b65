//! Where to connect.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use connie_core::resolution::split_port;

/// Where to connect: a name with a port, or addresses.
///
/// ```
/// use connie_wasi::Target;
/// use std::net::SocketAddr;
///
/// let addresses: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()];
/// assert_eq!(Target::from(("example.org", 80)), Target::Host("example.org", 80));
/// assert_eq!(Target::from("example.org:80"), Target::Text("example.org:80"));
/// assert_eq!(Target::from(addresses[0]), Target::Address(addresses[0]));
/// assert_eq!(Target::from(&addresses), Target::Addresses(&addresses));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A host's name or a literal address (`192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `fe80::1%2`), and a
    /// port.
    Host(&'a str, u16),
    /// The same as one text: `example.org:80`, `192.0.2.1:80`, `[2001:db8::1]:80`. What cannot be read as
    /// that is an error of [`connect`](crate::connect()), of the kind
    /// [`InvalidTarget`](crate::ConnectErrorKind::InvalidTarget).
    Text(&'a str),
    /// One address.
    Address(SocketAddr),
    /// Addresses, best first. They are tried as they are: no NAT64 is asked for.
    Addresses(&'a [SocketAddr]),
}

impl Target<'_> {
    /// The host and the port that an error names; port 0 where there is none.
    pub(crate) fn name(&self) -> (String, u16) {
        match *self {
            Target::Host(host, port) => (host.to_owned(), port),
            Target::Text(text) => match split_port(text) {
                Some((host, port)) => (host.to_owned(), port),
                None => (text.to_owned(), 0),
            },
            Target::Address(address) => (address.ip().to_string(), address.port()),
            Target::Addresses([]) => ("an empty list of addresses".to_owned(), 0),
            Target::Addresses([first, ..]) => (first.ip().to_string(), first.port()),
        }
    }
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

macro_rules! from_addresses {
    ($($address:ty),*) => {$(
        impl From<$address> for Target<'_> {
            fn from(address: $address) -> Self {
                Target::Address(address.into())
            }
        }
    )*};
}

from_addresses!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl From<&SocketAddr> for Target<'_> {
    fn from(address: &SocketAddr) -> Self {
        Target::Address(*address)
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
    fn an_error_names_the_target() {
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        for (target, host, port) in [
            (Target::from("example.org:80"), "example.org", 80),
            (Target::from("example.org"), "example.org", 0),
            (Target::from(address), "192.0.2.1", 80),
            (Target::from(&[address, address]), "192.0.2.1", 80),
            (Target::Addresses(&[]), "an empty list of addresses", 0),
        ] {
            assert_eq!(target.name(), (host.to_owned(), port));
        }
    }
}
