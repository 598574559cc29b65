//! When an interface with SLAAC wants to be served, which smoltcp 0.14 does not say, and how.
//!
//! `Interface::poll_at` takes the lesser of two options, the moment of the sockets and that of SLAAC, and
//! `None` is less than any moment: while SLAAC waits for nothing it forgets the sockets, and without a timer
//! of a socket it forgets SLAAC. And `Interface::ndisc_rs_egress` does not tell SLAAC that it has asked for
//! routers in vain for the last time, which therefore wants to be served at once, for ever. docs/smoltcp.md
//! says what to change.
//!
//! So both are asked for apart. The sockets tell an interface without SLAAC. What SLAAC waits for is known by
//! its own constants and by when it has asked.

use core::time::Duration;

use connie_core::Instant;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, Medium};
use smoltcp::wire::HardwareAddress;

use crate::next_hop::Scope;

/// How long smoltcp waits for an answer before it asks again. RFC 4861 section 10: RTR_SOLICITATION_INTERVAL,
/// "4 seconds".
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);

/// How late an address or a router may leave after its lifetime: smoltcp does not say when that ends. What
/// RFC 4861 section 6.2.1 has routers send by default lives half an hour, and leaves at once when a router
/// says so.
const LIFETIME_PAUSE: Duration = Duration::from_secs(10);

/// Lets the interface do what time alone makes due.
///
/// smoltcp 0.14 adds no router that has advertised itself while a route of IPv4 stands in its table
/// (`Interface::sync_slaac_state` takes every such route for the same one): IPv6 would not come where DHCP
/// was faster. So those are put aside for the moment.
///
/// Answers whether addresses or routers that were advertised have come into effect, or have gone.
pub(crate) fn maintain(interface: &mut Interface, time: smoltcp::time::Instant) -> bool {
    let updated = interface.slaac_updated_at();
    #[cfg(feature = "ipv4")]
    {
        use smoltcp::iface::Route;
        use smoltcp::wire::IpCidr;
        let is_v4 = |route: &Route| matches!(route.cidr, IpCidr::Ipv4(_));
        let mut before = None;
        interface.routes_mut().update(|routes| {
            if routes.iter().any(is_v4) {
                before = Some(routes.clone());
                routes.retain(|route| !is_v4(route));
            }
        });
        interface.poll_maintenance(time);
        interface.routes_mut().update(|routes| {
            for route in before.iter().flatten().filter(|route| is_v4(route)) {
                // Where they do not all fit the last router of IPv6 goes: there may be two.
                if routes.is_full() {
                    routes.pop();
                }
                let _ = routes.push(*route);
            }
        });
    }
    #[cfg(not(feature = "ipv4"))]
    interface.poll_maintenance(time);
    interface.slaac_updated_at() != updated
}

/// Whether the interface may have been made with SLAAC. It does not tell, but it cannot be without Ethernet
/// and a link-local address.
pub(crate) fn is_possible(interface: &Interface, medium: Medium) -> bool {
    medium == Medium::Ethernet
        && interface.ip_addrs().iter().any(|own| Scope::of(own.address()) == Scope::Link)
}

/// When SLAAC wants to be served, where routers were last asked for at `asked`. Those who were just served
/// have asked again, if they do: what is past is over.
pub(crate) fn poll_at(asked: Option<Instant>, now: Instant) -> Instant {
    let again = asked.map(|asked| asked + SOLICITATION_INTERVAL).filter(|again| *again > now);
    again.unwrap_or(now + LIFETIME_PAUSE)
}

/// When the sockets want to be served.
///
/// They can only be asked by an interface, so one is made for that: 1 KB of stack. It knows no neighbours.
/// Those that have come to be known were taken note of in the last poll, unless the device had no room for a
/// frame.
// Not part of its caller, which would keep room for the interface.
#[inline(never)]
pub(crate) fn sockets_poll_at<D: Device>(
    hardware: HardwareAddress,
    device: &mut D,
    sockets: &SocketSet<'_>,
    now: smoltcp::time::Instant,
) -> Option<smoltcp::time::Instant> {
    // The device and the hardware address are those that the stack's own interface was made with, which
    // panics where they do not fit.
    Interface::new(Config::new(hardware), device, now).poll_at(now, sockets)
}
