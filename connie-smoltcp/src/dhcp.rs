//! An IPv4 address from a DHCP server.

use core::net::{IpAddr, Ipv4Addr};

use heapless::Vec;
use smoltcp::iface::{Interface, SocketHandle};
use smoltcp::phy::Device;
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::platform::Platform;
use crate::stack::{Stack, StorageFull};

/// The most DNS servers that are kept.
pub const MAX_SERVERS: usize = 3;

/// Keeps the interface's IPv4 address and router as a DHCP server (RFC 2131) has them.
///
/// The stack does so by itself whenever it is [polled](Stack::poll), renewals included. [`poll`](Dhcp::poll)
/// says what is new.
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
    /// The interface has lost its IPv4 address: the lease has run out, or the server has withdrawn it. Open
    /// connections over IPv4 end.
    Deconfigured,
}

/// What a stack knows of its DHCP client.
#[derive(Debug, Default)]
pub(crate) struct DhcpState {
    handle: Option<SocketHandle>,
    lease: Option<Lease>,
    /// Whether the program has yet to hear of it.
    is_news: bool,
}

impl DhcpState {
    /// The name servers of the lease.
    #[cfg(feature = "dns")]
    pub(crate) fn servers(&self) -> &[IpAddr] {
        self.lease.as_ref().map_or(&[], |lease| &lease.dns_servers)
    }
}

impl Dhcp {
    /// Begins to ask for an address. Takes one [`SocketStorage`](crate::SocketStorage).
    ///
    /// From then on [`Stack::poll`] puts into effect what the server says, in the middle of a race as well:
    /// see [`Stack`] for what becomes of its attempts. A stack has one DHCP client: one that is started later
    /// takes its place.
    ///
    /// # Errors
    ///
    /// [`StorageFull`].
    pub fn start<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Result<Dhcp, StorageFull> {
        let handle = stack.add(dhcpv4::Socket::new())?;
        stack.dhcp = DhcpState { handle: Some(handle), ..DhcpState::default() };
        Ok(Dhcp { handle })
    }

    /// The newest of what the server has said since the last call. It is in effect. Does not serve the stack:
    /// [`Stack::poll`] does.
    pub fn poll<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Option<DhcpEvent> {
        stack.serve_dhcp();
        let state = &mut stack.dhcp;
        if state.handle != Some(self.handle) || !core::mem::take(&mut state.is_news) {
            return None;
        }
        Some(state.lease.clone().map_or(DhcpEvent::Deconfigured, DhcpEvent::Configured))
    }
}

impl<D: Device, B, const TCP: usize, const UDP: usize> Stack<'_, D, B, TCP, UDP> {
    /// Puts what the DHCP server has said into effect.
    pub(crate) fn serve_dhcp(&mut self) {
        let Some(handle) = self.dhcp.handle else { return };
        let Some(event) = self.find::<dhcpv4::Socket<'_>>(handle).and_then(dhcpv4::Socket::poll) else {
            return;
        };
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
        set_lease(self.interface_mut(), lease.as_ref());
        (self.dhcp.lease, self.dhcp.is_news) = (lease, true);
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
