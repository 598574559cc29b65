//! What a DHCP server has given, and how it is put into effect.

use core::net::{IpAddr, Ipv4Addr};

use heapless::Vec;
use smoltcp::iface::{Interface, SocketHandle};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

/// The most DNS servers that are kept.
pub const MAX_SERVERS: usize = 3;

/// What a DHCP server has given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix.
    pub prefix_len: u8,
    /// The router out of that network.
    pub router: Option<Ipv4Addr>,
    /// The DNS servers, best first: for [`Dns`](crate::Dns).
    pub dns_servers: Vec<IpAddr, MAX_SERVERS>,
}

/// What a stack knows of its DHCP client.
#[derive(Debug, Default)]
pub(crate) struct DhcpState {
    pub(crate) handle: Option<SocketHandle>,
    pub(crate) lease: Option<Lease>,
    /// Whether the program has yet to hear of it.
    pub(crate) is_news: bool,
}

impl DhcpState {
    /// The name servers of the lease.
    #[cfg(feature = "dns")]
    pub(crate) fn servers(&self) -> &[IpAddr] {
        self.lease.as_ref().map_or(&[], |lease| &lease.dns_servers)
    }

    /// Puts what the server has said into effect. Whether it has said anything.
    pub(crate) fn serve(&mut self, socket: &mut dhcpv4::Socket<'_>, interface: &mut Interface) -> bool {
        let Some(event) = socket.poll() else { return false };
        let lease = match event {
            dhcpv4::Event::Deconfigured => None,
            dhcpv4::Event::Configured(config) => {
                let mut dns_servers = Vec::new();
                for server in config.dns_servers {
                    // Those beyond the third are left out.
                    let _ = dns_servers.push(IpAddr::V4(server));
                }
                let (address, prefix_len) = (config.address.address(), config.address.prefix_len());
                Some(Lease { address, prefix_len, router: config.router, dns_servers })
            }
        };
        set_lease(interface, lease.as_ref());
        (self.lease, self.is_news) = (lease, true);
        true
    }
}

/// Gives the interface the address and the router of a lease; takes them away where there is none.
fn set_lease(interface: &mut Interface, lease: Option<&Lease>) {
    let network = lease.map(|lease| Ipv4Cidr::new(lease.address, lease.prefix_len));
    interface.update_ip_addrs(|addresses| {
        addresses.retain(|address| !matches!(address, IpCidr::Ipv4(_)));
        if let Some(network) = network.filter(|network| network.address().is_unicast_v4()) {
            // In front, so that there is room for it: routers may have advertised more prefixes than fit.
            if addresses.is_full() {
                addresses.pop();
            }
            let _ = addresses.insert(0, IpCidr::Ipv4(network));
        }
    });
    interface.routes_mut().remove_default_ipv4_route();
    if let Some(router) = lease.and_then(|lease| lease.router) {
        let routes = interface.routes_mut();
        if routes.add_default_ipv4_route(router).is_err() {
            // It is the only one for its family. The last of the others goes: a second router by IPv6, where
            // there is room for two.
            routes.update(|routes| _ = routes.pop());
            let _ = routes.add_default_ipv4_route(router);
        }
    }
}

trait Unicast {
    fn is_unicast_v4(&self) -> bool;
}

impl Unicast for Ipv4Addr {
    /// smoltcp panics over an interface address that is none.
    fn is_unicast_v4(&self) -> bool {
        !self.is_unspecified() && !self.is_multicast() && !self.is_broadcast()
    }
}
