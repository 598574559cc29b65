//! The sockets that questions go to name servers by: UDP sockets of smoltcp, each open on a port of its own
//! for one question.
//!
//! A socket sends one datagram at a time. smoltcp keeps a datagram whose neighbour does not answer in front
//! of all others, and the socket silent for a second. A dead name server would hold up the next one so.
//! Whoever sends on such a socket therefore has it renewed, and the old datagram is lost: a question is
//! repeated in any case.

use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::{Socket, udp};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::platform::Platform;
use crate::stack::{Stack, find};

impl<'a, D: Device, B: Platform, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    /// Opens a socket on a port that is hard to guess, and says on which.
    pub(crate) fn open_query_socket(&mut self, handle: SocketHandle) -> Option<u16> {
        let port = self.port_hard_to_guess()?;
        self.find::<udp::Socket<'_>>(handle)?.bind(port).ok()?;
        Some(port)
    }

    /// Sends a question on a socket that is open on `port`. On Ethernet, where nothing leaves for want of the
    /// neighbour's hardware address, that is asked for at once.
    pub(crate) fn send_query(
        &mut self,
        handle: &mut SocketHandle,
        port: u16,
        server: IpEndpoint,
        next_hop: IpAddress,
        query: &[u8],
    ) {
        if self.is_stuck(*handle) {
            self.renew_query_socket(handle);
            // It was closed just now, and the port is nobody else's.
            let _ = self.find::<udp::Socket<'_>>(*handle).map(|socket| socket.bind(port));
        }
        let Some(socket) = self.find::<udp::Socket<'_>>(*handle) else { return };
        // There is room for it: nothing else is under way, and the buffer is as long as the longest question.
        let _ = socket.send_slice(query, server);
        self.has_work = true;
        self.flush();
        #[cfg(feature = "ethernet")]
        if self.is_stuck(*handle) {
            self.ask_for(next_hop);
        }
    }

    /// Closes a socket, with all that it was to send.
    pub(crate) fn close_query_socket(&mut self, handle: &mut SocketHandle) {
        let is_stuck = self.is_stuck(*handle);
        let Some(socket) = self.find::<udp::Socket<'_>>(*handle) else { return };
        socket.close();
        if is_stuck {
            self.renew_query_socket(handle);
        }
    }

    fn is_stuck(&mut self, handle: SocketHandle) -> bool {
        self.find::<udp::Socket<'_>>(handle).is_some_and(|socket| socket.send_queue() > 0)
    }

    /// Takes a socket out and puts it back, closed, so that smoltcp forgets which neighbour it waited for.
    fn renew_query_socket(&mut self, handle: &mut SocketHandle) {
        if find::<udp::Socket<'_>>(&mut self.sockets, *handle).is_none() {
            return;
        }
        // There is a socket behind the handle, as was just seen, so that this does not panic...
        if let Socket::Udp(mut socket) = self.sockets.remove(*handle) {
            socket.close();
            // ...and nor does this, with the place that was just made.
            *handle = self.sockets.add(socket);
        }
    }
}
