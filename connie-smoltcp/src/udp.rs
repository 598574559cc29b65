//! Datagrams: embedded-nal's `UdpClientStack` and `UdpFullStack`.

use core::net::SocketAddr;

use connie_core::embedded_nal::{UdpClientStack, UdpFullStack};
use connie_core::stack::nb;
use smoltcp::iface::SocketStorage;
use smoltcp::phy::Device;
use smoltcp::socket::udp;
use smoltcp::wire::IpEndpoint;

use crate::address;
use crate::error::StackError;
use crate::platform::Platform;
use crate::slot::{TcpBuffers, UdpBuffers, UdpSlot};
use crate::stack::Stack;

/// One UDP socket of a [`Stack`]. Give it back by `close`.
#[derive(Debug)]
pub struct UdpSocket {
    index: usize,
}

impl<'a, D: Device, B: Platform, const TCP: usize> Stack<'a, D, B, TCP, 0> {
    /// As [`new`](Stack::new), with a UDP socket for each of `datagrams`.
    ///
    /// ```
    /// # use connie_core::Instant;
    /// use connie_smoltcp::{Platform, SocketStorage, Stack, TcpBuffers, UdpBuffers};
    /// # #[derive(Clone, Copy)] struct Still;
    /// # impl Platform for Still { fn now(&self) -> Instant { Instant::ZERO } fn idle_until(&self, _: Option<Instant>) {} }
    /// # let board = Still;
    /// # let mut device = connie_smoltcp::smoltcp::phy::Loopback::new(connie_smoltcp::smoltcp::phy::Medium::Ethernet);
    /// # let interface = connie_smoltcp::interface(&mut device, [2, 0, 0, 0, 0, 1], 7, Instant::ZERO);
    ///
    /// let mut storage = [SocketStorage::EMPTY; 5];
    /// let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    /// let mut datagrams = [UdpBuffers::<2, 512>::new()];
    /// let stack = Stack::with_udp(interface, device, &mut storage, &mut buffers, &mut datagrams, board, 7);
    /// # let _ = stack;
    /// ```
    pub fn with_udp<
        const UDP: usize,
        const SLOTS: usize,
        const RX: usize,
        const TX: usize,
        const PACKETS: usize,
        const BYTES: usize,
    >(
        interface: smoltcp::iface::Interface,
        device: D,
        storage: &'a mut [SocketStorage<'a>; SLOTS],
        buffers: &'a mut [TcpBuffers<RX, TX>; TCP],
        datagrams: &'a mut [UdpBuffers<PACKETS, BYTES>; UDP],
        board: B,
        seed: u64,
    ) -> Stack<'a, D, B, TCP, UDP> {
        const { assert!(TCP > 0 && SLOTS >= TCP + UDP, "one SocketStorage for each socket, at least") };
        let mut filled = crate::stack::fill(storage, buffers);
        // There is room, as asserted above.
        let udp = datagrams.each_mut().map(|buffers| UdpSlot {
            handle: filled.sockets.add(buffers.socket()),
            is_free: true,
            remote: None,
        });
        filled.room = filled.room.saturating_sub(UDP);
        Stack::assemble(interface, device, filled, udp, board, seed)
    }
}

impl<'a, D: Device, B: Platform, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    fn udp_slot(&mut self, socket: &UdpSocket) -> Result<&mut UdpSlot, StackError> {
        self.udp.get_mut(socket.index).ok_or(StackError::NotConnected)
    }

    fn udp(&mut self, socket: &UdpSocket) -> Result<&mut udp::Socket<'a>, StackError> {
        let handle = self.udp_slot(socket)?.handle;
        self.find(handle).ok_or(StackError::NotConnected)
    }

    fn bind_to(&mut self, socket: &UdpSocket, port: u16) -> Result<(), StackError> {
        self.udp(socket)?.bind(port).map_err(|_| StackError::PortInUse)
    }

    fn is_open(&mut self, socket: &UdpSocket) -> bool {
        self.udp(socket).is_ok_and(|socket| socket.is_open())
    }

    /// How many octets fit into one frame to `remote`, behind its headers.
    fn longest_datagram(&self, remote: IpEndpoint) -> usize {
        let capabilities = self.device.capabilities();
        let link = match capabilities.medium {
            #[cfg(feature = "ethernet")]
            smoltcp::phy::Medium::Ethernet => 14,
            _ => 0,
        };
        let ip = if core::net::IpAddr::from(remote.addr).is_ipv4() { 20 } else { 40 };
        capabilities.max_transmission_unit.saturating_sub(link).saturating_sub(ip).saturating_sub(8)
    }

    fn send_datagram(
        &mut self,
        socket: &UdpSocket,
        remote: IpEndpoint,
        data: &[u8],
    ) -> nb::Result<(), StackError> {
        let everybody = remote.addr.is_multicast() || remote.addr.is_broadcast();
        if !everybody && self.next_hop_to(remote.addr).is_none() {
            return Err(nb::Error::Other(StackError::Unreachable));
        }
        // What is too long for one frame, smoltcp would drop without a word.
        let fits = self.longest_datagram(remote);
        if data.len() > self.udp(socket)?.payload_send_capacity().min(fits) {
            return Err(nb::Error::Other(StackError::TooLong));
        }
        for last in [false, true] {
            match self.udp(socket)?.send_slice(data, remote) {
                Ok(()) => {
                    self.has_work = true;
                    return Ok(());
                }
                Err(udp::SendError::Unaddressable) => return Err(nb::Error::Other(StackError::Unreachable)),
                Err(udp::SendError::BufferFull) if last => {}
                Err(udp::SendError::BufferFull) => _ = self.poll(),
            }
        }
        Err(nb::Error::WouldBlock)
    }
}

impl<D: Device, B: Platform, const TCP: usize, const UDP: usize> UdpClientStack
    for Stack<'_, D, B, TCP, UDP>
{
    type UdpSocket = UdpSocket;
    type Error = StackError;

    fn socket(&mut self) -> Result<UdpSocket, StackError> {
        let index = self.udp.iter().position(|slot| slot.is_free).ok_or(StackError::OutOfSockets)?;
        let socket = UdpSocket { index };
        let slot = self.udp_slot(&socket)?;
        (slot.is_free, slot.remote) = (false, None);
        Ok(socket)
    }

    /// Chooses a local port, unless the socket was bound, and the remote address. From then on nothing is
    /// received from others.
    ///
    /// # Errors
    ///
    /// [`StackError::Unreachable`] where the address is of a family that is not built in.
    fn connect(&mut self, socket: &mut UdpSocket, remote: SocketAddr) -> Result<(), StackError> {
        let remote = address::endpoint(remote).ok_or(StackError::Unreachable)?;
        if !self.is_open(socket) {
            let port = self.free_port().ok_or(StackError::OutOfSockets)?;
            self.bind_to(socket, port)?;
        }
        self.udp_slot(socket)?.remote = Some(remote);
        Ok(())
    }

    /// # Errors
    ///
    /// [`StackError::NotConnected`] before `connect`, [`StackError::Unreachable`], [`StackError::TooLong`].
    fn send(&mut self, socket: &mut UdpSocket, buffer: &[u8]) -> nb::Result<(), StackError> {
        let remote = self.udp_slot(socket)?.remote.ok_or(StackError::NotConnected)?;
        self.send_datagram(socket, remote, buffer)
    }

    /// # Errors
    ///
    /// [`StackError::NotConnected`] where the socket has no local port yet; [`StackError::Truncated`], with
    /// the datagram lost.
    fn receive(
        &mut self,
        socket: &mut UdpSocket,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), StackError> {
        if !self.is_open(socket) {
            return Err(nb::Error::Other(StackError::NotConnected));
        }
        let only = self.udp_slot(socket)?.remote;
        for last in [false, true] {
            let udp = self.udp(socket)?;
            // Ends when the buffer is empty.
            while udp.can_recv() {
                let result = udp.recv_slice(buffer);
                match result {
                    Ok((length, from)) if only.is_none_or(|only| only == from.endpoint) => {
                        return Ok((length, address::socket_addr(from.endpoint)));
                    }
                    Ok(_) => {}
                    Err(udp::RecvError::Truncated) => return Err(nb::Error::Other(StackError::Truncated)),
                    Err(udp::RecvError::Exhausted) => break,
                }
            }
            if !last {
                self.poll();
            }
        }
        Err(nb::Error::WouldBlock)
    }

    /// Gives the socket back. What has not left when the call returns is lost.
    fn close(&mut self, socket: UdpSocket) -> Result<(), StackError> {
        self.flush();
        self.udp(&socket)?.close();
        self.udp_slot(&socket)?.is_free = true;
        Ok(())
    }
}

impl<D: Device, B: Platform, const TCP: usize, const UDP: usize> UdpFullStack for Stack<'_, D, B, TCP, UDP> {
    /// # Errors
    ///
    /// [`StackError::PortInUse`] where the port is taken, or 0, or the socket has one already.
    fn bind(&mut self, socket: &mut UdpSocket, local_port: u16) -> Result<(), StackError> {
        if self.is_taken(local_port) {
            return Err(StackError::PortInUse);
        }
        self.bind_to(socket, local_port)
    }

    /// # Errors
    ///
    /// [`StackError::NotConnected`] where the socket has no local port yet; [`StackError::Unreachable`],
    /// [`StackError::TooLong`].
    fn send_to(
        &mut self,
        socket: &mut UdpSocket,
        remote: SocketAddr,
        buffer: &[u8],
    ) -> nb::Result<(), StackError> {
        if !self.is_open(socket) {
            return Err(nb::Error::Other(StackError::NotConnected));
        }
        let remote = address::endpoint(remote).ok_or(StackError::Unreachable)?;
        self.send_datagram(socket, remote, buffer)
    }
}
