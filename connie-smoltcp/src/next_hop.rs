//! The route to an address: over which neighbour, and from which of our own addresses.

use smoltcp::iface::Interface;
use smoltcp::phy::Medium;
use smoltcp::wire::IpAddress;

/// The next hop towards `remote` and the address to send from; `None` where there is no route.
pub(crate) fn next_hop_to(
    interface: &mut Interface,
    medium: Medium,
    remote: IpAddress,
    now: smoltcp::time::Instant,
) -> Option<(IpAddress, IpAddress)> {
    let scope = Scope::of(remote);
    if scope == Scope::None || is_subnet_broadcast(interface, remote) {
        return None;
    }
    let on_link = interface.ip_addrs().iter().any(|network| network.contains_addr(&remote));
    let source = interface.get_source_address(&remote)?;
    // Without an IPv6 address smoltcp sends from ::1.
    if source.is_unspecified() || !interface.ip_addrs().iter().any(|own| own.address() == source) {
        return None;
    }
    let from = Scope::of(source);
    // smoltcp has no loopback interface: there is somebody to answer where the device is one, and has an
    // address for it.
    if (scope == Scope::Host) != (from == Scope::Host) || (scope == Scope::Host && !on_link) {
        return None;
    }
    if on_link || is_point_to_point(medium) {
        return Some((remote, source));
    }
    // RFC 4291 section 2.5.6: "Routers must not forward any packets with Link-Local source or destination
    // addresses to other links."
    if scope == Scope::Link || from == Scope::Link {
        return None;
    }
    route(interface, remote, now).map(|router| (router, source))
}

/// How far an address of one host reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No host has it. RFC 9293 section 3.9.2.3: "A TCP implementation MUST reject as an error a local OPEN
    /// call for an invalid remote IP address (e.g., a broadcast or multicast address) (MUST-46)." smoltcp
    /// would panic over some of them. RFC 1122 section 3.2.1.3 (b), of 0.0.0.0/8: "It MUST NOT be sent,
    /// except as a source address".
    None,
    /// RFC 1122 section 3.2.1.3 (g), of 127.0.0.0/8: "Addresses of this form MUST NOT appear outside a host".
    /// RFC 4291 section 2.5.3, of ::1: "must not be used as the source address in IPv6 packets that are sent
    /// outside of a single node. An IPv6 packet with a destination address of loopback must never be sent
    /// outside of a single node".
    Host,
    Link,
    Wider,
}

impl Scope {
    pub(crate) fn of(address: IpAddress) -> Self {
        match address {
            #[cfg(feature = "ipv4")]
            IpAddress::Ipv4(ip) => match ip.octets() {
                [0 | 224..=239, ..] | [255, 255, 255, 255] => Scope::None,
                [127, ..] => Scope::Host,
                [169, 254, ..] => Scope::Link,
                _ => Scope::Wider,
            },
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(ip) => match ip.segments() {
                [0xff00..=0xffff, ..] | [0, 0, 0, 0, 0, 0, 0, 0] => Scope::None,
                [0, 0, 0, 0, 0, 0, 0, 1] => Scope::Host,
                [0xfe80..=0xfebf, ..] => Scope::Link,
                _ => Scope::Wider,
            },
            // Nor is one of a family that is not built in.
            _ => Scope::None,
        }
    }
}

/// On a device that carries bare IP packets there is one neighbour, and smoltcp asks for no route.
fn is_point_to_point(medium: Medium) -> bool {
    match medium {
        #[cfg(feature = "ip")]
        Medium::Ip => true,
        _ => false,
    }
}

/// The router towards `remote`, as smoltcp will choose it.
fn route(interface: &mut Interface, remote: IpAddress, now: smoltcp::time::Instant) -> Option<IpAddress> {
    let mut router = None;
    // The only way to look at the routes.
    interface.routes_mut().update(|routes| {
        router = routes
            .iter()
            .filter(|route| route.expires_at.is_none_or(|at| now <= at) && route.cidr.contains_addr(&remote))
            .max_by_key(|route| route.cidr.prefix_len())
            .map(|route| route.via_router);
    });
    router
}

/// Whether a route leads by this router.
pub(crate) fn is_router(interface: &mut Interface, router: IpAddress) -> bool {
    let mut is_one = false;
    // As above.
    interface.routes_mut().update(|routes| is_one = routes.iter().any(|route| route.via_router == router));
    is_one
}

fn is_subnet_broadcast(interface: &Interface, remote: IpAddress) -> bool {
    interface.ip_addrs().iter().any(|network| match network {
        #[cfg(feature = "ipv4")]
        smoltcp::wire::IpCidr::Ipv4(network) => network.broadcast().map(IpAddress::Ipv4) == Some(remote),
        _ => false,
    })
}
