//! What only an adapter knows of the host that it runs on.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::race::Family;
use crate::resolution::selection::{DEFAULT_POLICY, Policy, Route};
use crate::resolution::{Host, HostError};

/// What a [`Connect`](super::Connect) is told of the host that it runs on. Start from the default and change what differs:
///
/// ```
/// use connie_core::connect::{Facts, Routes};
///
/// let facts = Facts { routes: Routes { v4: true, v6: false }, ..Facts::default() };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which families the host has a way to the internet by. Default: both. [`matter`](Routes::matter) says for which hosts it
    /// is worth finding out.
    pub routes: Routes,
    /// The addresses that the host is known to have without a look-up, from a hosts file or the caller, best first: they are
    /// all that is tried. Default: none are known.
    pub hosts: Option<&'a [SocketAddr]>,
    /// The number of the host's [named zone](named_zone), where it has one that is known here.
    pub zone: Option<u32>,
    /// RFC 6724's policy table (section 2.1). Default: the standard's own.
    pub policy: &'static [Policy],
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Facts { routes: Routes::default(), hosts: None, zone: None, policy: &DEFAULT_POLICY }
    }
}

/// By which families a host has a way to the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Routes {
    /// Whether it has one by IPv4.
    pub v4: bool,
    /// Whether it has one by IPv6.
    pub v6: bool,
}

impl Routes {
    /// The routes of a host that knows whether there is a way to an address, and from which of its own.
    ///
    /// An address for documentation (RFC 5737, RFC 3849) goes where any other goes that no route names. A VPN can bring IPv6 with a route to
    /// its own addresses alone (RFC 4193): that is a way too. A host that has none by either family is not on the internet, and in which of
    /// its own networks a name is, these addresses do not tell: it counts as one that has both.
    #[must_use]
    pub fn of(mut leads_to: impl FnMut(IpAddr) -> bool) -> Routes {
        let v4 = leads_to(Ipv4Addr::new(192, 0, 2, 1).into());
        let v6 = leads_to(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
        match (v4, v6) {
            (false, false) => Routes::default(),
            (true, false) => Routes { v4, v6: leads_to(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into()) },
            _ => Routes { v4, v6 },
        }
    }

    /// Whether there is a way by `family`.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Whether routes change anything for `host`: it is a name to ask for, or an IPv4 address that may lie behind a NAT64. For an adapter
    /// to which finding out costs something.
    #[must_use]
    pub fn matter(host: &str) -> bool {
        match Host::parse(host) {
            Ok(Host::Name(_)) => true,
            Ok(Host::Address(literal)) => super::translation::may_lie_beyond(literal.ip),
            Ok(Host::Loopback | Host::Nowhere) | Err(_) => false,
        }
    }
}

impl Default for Routes {
    /// By both.
    fn default() -> Self {
        Routes { v4: true, v6: true }
    }
}

/// The zone of `host`, where it is an IPv6 address in a zone that has a name (`fe80::1%eth0`) and not a number. Which
/// [number](Facts::zone) that is, the operating system knows.
#[must_use]
pub fn named_zone(host: &str) -> Option<&str> {
    match Host::parse(host) {
        Ok(Host::Address(literal)) => literal.zone.filter(|_| literal.socket_addr(0).is_none()),
        _ => None,
    }
}

/// In which order addresses were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// In any: the way to each, one for each address, by which RFC 6724 puts them in order. Where there are fewer ways than addresses,
    /// nothing is known of the rest.
    Any(&'a [Route]),
    /// In that of RFC 6724 already, the best first, as `getaddrinfo` tells them. This is the way to the first, by which the
    /// families are compared.
    Best(Route),
}

/// Why there is nothing to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHost {
    /// The text is not a host name or address.
    Host(HostError),
    /// The address is in a zone that has a name, and [`Facts::zone`] does not number it.
    Zone,
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidHost::Host(error) => error.fmt(f),
            InvalidHost::Zone => {
                f.write_str("the zone of an address is given by number here, as in fe80::1%2")
            }
        }
    }
}

impl core::error::Error for InvalidHost {}

impl From<HostError> for InvalidHost {
    fn from(error: HostError) -> Self {
        InvalidHost::Host(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_a_host() {
        let (v4, global, local) = ("192.0.2.1", "2001:db8::1", "fd00::1");
        let of = |ways: &[&str]| Routes::of(|ip| ways.iter().any(|way| ip == way.parse::<IpAddr>().unwrap()));
        assert_eq!(of(&[v4, global]), Routes { v4: true, v6: true });
        assert_eq!(of(&[v4]), Routes { v4: true, v6: false });
        assert_eq!(of(&[global]), Routes { v4: false, v6: true });
        // A network of its own by IPv6, beside the internet by IPv4.
        assert_eq!(of(&[v4, local]), Routes { v4: true, v6: true });
        // No internet: nothing is known.
        assert_eq!(of(&[local]), Routes { v4: true, v6: true });
        assert_eq!(of(&[]), Routes { v4: true, v6: true });
    }
}
