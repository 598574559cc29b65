//! An IPv4 address from a DHCP server.

use core::net::{IpAddr, Ipv4Addr};

use heapless::Vec;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::platform::Platform;
use crate::stack::{Stack, StorageFull};

/// The most DNS servers that are kept.
pub const MAX_SERVERS: usize = 3;

/// Keeps the interface's IPv4 address and router as a DHCP server (RFC 2131) has them.
///
/// [`poll`](Dhcp::poll) it beside the stack, for as long as the lease is to last: renewals come by it.
#[derive(Debug)]
pub struct Dhcp {
    handle: SocketHandle,
}

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

/// News from DHCP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DhcpEvent {
    /// The interface has this address and this router now.
    Configured(Lease),
    /// The interface has lost its IPv4 address: the lease has run out. Open connections over IPv4 end.
    Deconfigured,
}

impl Dhcp {
    /// Begins to ask for an address. Takes one [`SocketStorage`](crate::SocketStorage).
    ///
    /// # Errors
    ///
    /// [`StorageFull`].
    pub fn start<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Result<Dhcp, StorageFull> {
        Ok(Dhcp { handle: stack.add(dhcpv4::Socket::new())? })
    }

    /// Puts what the server has said since the last call into effect. Does not serve the stack:
    /// [`Stack::poll`] does.
    pub fn poll<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Option<DhcpEvent> {
        let event = match stack.find::<dhcpv4::Socket<'_>>(self.handle)?.poll()? {
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
        let interface = stack.interface_mut();
        let network = event.as_ref().map(|lease| Ipv4Cidr::new(lease.address, lease.prefix_len));
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
        if let Some(router) = event.as_ref().and_then(|lease| lease.router) {
            let routes = interface.routes_mut();
            if routes.add_default_ipv4_route(router).is_err() {
                // It is the only one for its family. The last of the others goes: a second router by IPv6,
                // where there is room for two.
                routes.update(|routes| _ = routes.pop());
                let _ = routes.add_default_ipv4_route(router);
            }
        }
        Some(event.map_or(DhcpEvent::Deconfigured, DhcpEvent::Configured))
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
