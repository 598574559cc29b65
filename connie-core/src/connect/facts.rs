//! What only an adapter knows of the host that it runs on.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::race::Family;
use crate::resolution::selection::{DEFAULT_POLICY, PolicyEntry, Route};
use crate::resolution::{Host, HostError};

/// What a [`Connect`](super::Connect) has to know about the host that it runs on. Start from the default and
/// change what differs:
///
/// ```
/// use connie_core::connect::{Facts, Routes};
///
/// let facts = Facts::default().routes(Routes { v4: true, v6: false });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The families by which this machine can reach the internet. Default: both. [`matter`](Routes::matter)
    /// says for which hosts it is worth finding out.
    pub routes: Routes,
    /// The addresses that the host is known to have without a lookup, from a hosts file or the caller, best
    /// first: they are all that is tried. Default: none are known.
    pub hosts: Option<&'a [SocketAddr]>,
    /// The number of the host's [named zone](named_zone), where it has one that is known here.
    pub zone: Option<u32>,
    /// RFC 6724's policy table (section 2.1). Default: the standard's own.
    pub policy: &'static [PolicyEntry],
}

/// The same with one field changed.
impl<'a> Facts<'a> {
    /// With another [`routes`](field@Facts::routes).
    #[must_use]
    pub const fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// With another [`hosts`](field@Facts::hosts).
    #[must_use]
    pub const fn hosts(mut self, hosts: Option<&'a [SocketAddr]>) -> Self {
        self.hosts = hosts;
        self
    }

    /// With another [`zone`](field@Facts::zone).
    #[must_use]
    pub const fn zone(mut self, zone: Option<u32>) -> Self {
        self.zone = zone;
        self
    }

    /// With another [`policy`](field@Facts::policy).
    #[must_use]
    pub const fn policy(mut self, policy: &'static [PolicyEntry]) -> Self {
        self.policy = policy;
        self
    }
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Facts { routes: Routes::default(), hosts: None, zone: None, policy: &DEFAULT_POLICY }
    }
}

/// The families by which a machine can reach the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Routes {
    /// Whether it has an IPv4 route.
    pub v4: bool,
    /// Whether it has an IPv6 route.
    pub v6: bool,
}

impl Routes {
    /// The routes of a host. `leads_to` answers whether the host has a route to an address.
    ///
    /// It is asked for addresses for documentation (RFC 5737, RFC 3849), to which only a default route leads.
    /// A VPN can bring IPv6 with a route to its own addresses alone (RFC 4193): that counts too. A host
    /// without a route by either family is not on the internet. In which of its own networks a name is, these
    /// addresses do not show: it counts as a host that has both.
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

    /// Whether there is a route for `family`.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Whether routes change anything for `host`: it is a name to ask for, or an IPv4 address that may lie
    /// behind a NAT64. For an adapter to which finding out costs something.
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
    /// Routes for both families.
    fn default() -> Self {
        Routes { v4: true, v6: true }
    }
}

/// The zone of `host`, where that is an IPv6 address whose zone is given by name (`fe80::1%eth0`) and not by
/// number. The operating system knows its [number](Facts::zone).
#[must_use]
pub fn named_zone(host: &str) -> Option<&str> {
    match Host::parse(host) {
        Ok(Host::Address(literal)) => literal.zone.filter(|_| literal.socket_addr(0).is_none()),
        _ => None,
    }
}

/// The order of the addresses in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressOrder<'a> {
    /// They are in no particular order. RFC 6724 puts them in order by these routes, one for each address.
    /// Where there are fewer routes than addresses, the rest count as [unknown](Route::Unknown).
    Any(&'a [Route]),
    /// They are in the order of RFC 6724 already, the best first, as `getaddrinfo` returns them. This is the
    /// route to the first one, by which the families are compared.
    Best(Route),
}

/// Why there is nothing to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
