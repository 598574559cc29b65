//! Any embedded-nal-async stack's UDP.

use core::cell::Cell;
use core::net::SocketAddr;

use embedded_io_async::Error as _;
use embedded_nal_async::{ConnectedUdp, UdpStack};

use crate::dns::udp::{Udp, UdpError};

/// The UDP of any embedded-nal-async [`UdpStack`], and the name servers to ask over it. Local ports are the
/// stack's to choose.
///
/// `DATAGRAM` is the largest datagram that is taken in. Each socket of a [`Dns`](crate::dns::Dns) has a
/// buffer of that size in the future of each lookup or connect.
#[derive(Debug)]
pub struct Nal<'s, U, const DATAGRAM: usize = 1232> {
    stack: U,
    servers: Cell<&'s [SocketAddr]>,
}

impl<'s, U, const DATAGRAM: usize> Nal<'s, U, DATAGRAM> {
    /// Asks `servers` over `stack`, the first of them first.
    pub const fn new(stack: U, servers: &'s [SocketAddr]) -> Self {
        const { assert!(DATAGRAM >= 512, "a server may send 512 octets (RFC 1035 section 4.2.1)") };
        Nal { stack, servers: Cell::new(servers) }
    }

    /// Other servers, for a network that has changed: what is asked is asked anew at the next lookup, and
    /// what is known is forgotten.
    pub fn set_servers(&self, servers: &'s [SocketAddr]) {
        self.servers.set(servers);
    }
}

impl<U: UdpStack, const DATAGRAM: usize> Udp for Nal<'_, U, DATAGRAM> {
    type Socket<'a>
        = U::Connected
    where
        Self: 'a;

    fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.get().iter().copied()
    }

    fn largest_datagram(&self) -> u16 {
        u16::try_from(DATAGRAM).unwrap_or(u16::MAX)
    }

    async fn open(&self, server: SocketAddr, _: u16) -> Result<U::Connected, UdpError> {
        let opened = self.stack.connect(server).await;
        opened.map(|(_, socket)| socket).map_err(|error| UdpError::of(error.kind()))
    }

    async fn send<'s>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        _: SocketAddr,
        query: &[u8],
    ) -> Result<(), UdpError> {
        socket.send(query).await.map_err(|error| UdpError::of(error.kind()))
    }

    async fn receive<'s, R>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, UdpError> {
        let mut buffer = [0; DATAGRAM];
        let length = socket.receive_into(&mut buffer).await.map_err(|error| UdpError::of(error.kind()))?;
        // One that is longer than was announced to the server is cut, and its length reported nonetheless.
        Ok(read(buffer.get(..length).unwrap_or(&buffer)))
    }
}
