//! Where to connect.

use core::net::SocketAddr;
use core::slice;

use connie_core::resolution::split_port;

/// Where to connect: a name with a port, or addresses. An address is taken by reference, so that what waits
/// for a connection has no more than a pointer to it.
///
/// ```
/// use connie_async::Target;
/// use core::net::SocketAddr;
///
/// let addresses: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap()];
/// assert_eq!(Target::from(("example.org", 80)), Target::Host("example.org", 80));
/// assert_eq!(Target::from("example.org:80"), Target::Text("example.org:80"));
/// assert_eq!(Target::from(&addresses), Target::Addresses(&addresses));
/// assert_eq!(Target::from(&addresses[0]), Target::Addresses(&addresses[..1]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// A host's name or a literal address (`192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `fe80::1%2`), and a
    /// port.
    Host(&'a str, u16),
    /// The same as one text: `example.org:80`, `192.0.2.1:80`, `[2001:db8::1]:80`. What cannot be read as
    /// that is [`ConnectionError::InvalidTarget`](crate::ConnectionError::InvalidTarget).
    Text(&'a str),
    /// Addresses, best first. They are tried as they are: no NAT64 is asked for.
    Addresses(&'a [SocketAddr]),
}

impl<'a> Target<'a> {
    /// The host and the port: none where it is addresses. `None` where its text is not a host and a port.
    pub(crate) fn host(&self) -> Option<Option<(&'a str, u16)>> {
        match *self {
            Target::Host(host, port) => Some(Some((host, port))),
            Target::Text(text) => split_port(text).map(Some),
            Target::Addresses(_) => Some(None),
        }
    }

    /// The addresses, where it is addresses.
    pub(crate) const fn addresses(&self) -> Option<&'a [SocketAddr]> {
        match *self {
            Target::Addresses(addresses) => Some(addresses),
            _ => None,
        }
    }
}

/// `example.org:80`.
impl<'a> From<&'a str> for Target<'a> {
    fn from(text: &'a str) -> Self {
        Target::Text(text)
    }
}

impl<'a> From<(&'a str, u16)> for Target<'a> {
    fn from((host, port): (&'a str, u16)) -> Self {
        Target::Host(host, port)
    }
}

impl<'a> From<&'a SocketAddr> for Target<'a> {
    fn from(address: &'a SocketAddr) -> Self {
        Target::Addresses(slice::from_ref(address))
    }
}

impl<'a> From<&'a [SocketAddr]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr]) -> Self {
        Target::Addresses(addresses)
    }
}

impl<'a, const N: usize> From<&'a [SocketAddr; N]> for Target<'a> {
    fn from(addresses: &'a [SocketAddr; N]) -> Self {
        Target::Addresses(addresses)
    }
}
