//! An IPv4 address from a DHCP server.

use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::dhcpv4;

use crate::lease::{DhcpState, Lease};
use crate::platform::Platform;
use crate::stack::{Stack, StorageFull};

/// Keeps the interface's IPv4 address and router as a DHCP server (RFC 2131) has them.
///
/// The stack does so by itself whenever it is [polled](Stack::poll), renewals included. [`poll`](Dhcp::poll)
/// says what is new.
#[derive(Debug)]
pub struct Dhcp {
    handle: SocketHandle,
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
