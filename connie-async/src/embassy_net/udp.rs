//! The UDP of an embassy-net stack.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::Poll;

use connie_core::Family;
use connie_core::resolution::selection::Route;
use connie_dns::LARGEST_QUERY;
use embassy_net::udp::{PacketMetadata, SendError, UdpMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use heapless::Vec;

use crate::dns::UdpError;
use crate::embassy_net::Neighbours;

/// The port of DNS (RFC 1035 section 4.2.1).
const PORT: u16 = 53;

/// The buffers of the sockets for DNS: for each one query, and `DATAGRAM` octets of answers.
#[derive(Debug)]
pub struct Buffers<const SOCKETS: usize = 4, const DATAGRAM: usize = 512>([Buffer<DATAGRAM>; SOCKETS]);

#[derive(Clone, Copy, Debug)]
struct Buffer<const DATAGRAM: usize> {
    heard: [PacketMetadata; 2],
    answers: [u8; DATAGRAM],
    said: [PacketMetadata; 1],
    query: [u8; LARGEST_QUERY],
}

impl<const SOCKETS: usize, const DATAGRAM: usize> Buffers<SOCKETS, DATAGRAM> {
    /// Empty ones.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(DATAGRAM >= 512, "a server may send 512 octets (RFC 1035 section 4.2.1)") };
        let none = PacketMetadata::EMPTY;
        Buffers(
            [Buffer { heard: [none; 2], answers: [0; DATAGRAM], said: [none], query: [0; LARGEST_QUERY] };
                SOCKETS],
        )
    }
}

impl<const SOCKETS: usize, const DATAGRAM: usize> Default for Buffers<SOCKETS, DATAGRAM> {
    fn default() -> Self {
        Self::new()
    }
}

/// The UDP of an embassy-net [`Stack`], and its name servers: all of the configuration as it is at each
/// lookup, those of IPv4 first.
///
/// It has as many of the stack's sockets as there are [`Buffers`], for as long as it lives.
pub struct Udp<'a, const SOCKETS: usize = 4> {
    stack: Stack<'a>,
    neighbours: Option<&'a Neighbours>,
    largest_datagram: u16,
    /// Those that are not in use, in the order in which they were given back.
    free: RefCell<Vec<Idle<'a>, SOCKETS>>,
}

/// A socket, and whom it was used with before.
struct Idle<'a> {
    socket: UdpSocket<'a>,
    server: Option<IpEndpoint>,
}

impl<'a, const SOCKETS: usize> Udp<'a, SOCKETS> {
    /// Takes `SOCKETS` sockets of the stack.
    ///
    /// # Panics
    ///
    /// In embassy-net, if its `StackResources` have no room for them.
    pub fn new<const DATAGRAM: usize>(stack: Stack<'a>, buffers: &'a mut Buffers<SOCKETS, DATAGRAM>) -> Self {
        let sockets = buffers.0.iter_mut().map(|Buffer { heard, answers, said, query }| Idle {
            socket: UdpSocket::new(stack, heard, answers, said, query),
            server: None,
        });
        Udp {
            stack,
            neighbours: None,
            largest_datagram: u16::try_from(DATAGRAM).unwrap_or(u16::MAX),
            free: RefCell::new(sockets.collect()),
        }
    }

    /// Has `neighbours` ask for the hardware addresses of name servers and routers, so that a dead one holds
    /// up nobody.
    #[must_use]
    pub const fn with_neighbours(mut self, neighbours: &'a Neighbours) -> Self {
        self.neighbours = Some(neighbours);
        self
    }

    /// Asks who on the link a datagram to `server` goes to, and who leads to the internet, where the
    /// connection will go.
    fn ask_neighbours(&self, server: IpAddr) {
        let Some(neighbours) = self.neighbours else { return };
        if let Some(config) = self.stack.config_v4() {
            let own = config.address.address();
            let on_link = match server {
                IpAddr::V4(ip) if config.address.contains_addr(&ip) => Some(ip),
                _ => None,
            };
            on_link.into_iter().chain(config.gateway).for_each(|target| neighbours.ask_v4(own, target));
        }
        #[cfg(feature = "embassy-net-ipv6")]
        if let Some(config) = self.stack.config_v6() {
            let own = config.address.address();
            let on_link = match server {
                IpAddr::V6(ip) if config.address.contains_addr(&ip) || ip.is_unicast_link_local() => Some(ip),
                _ => None,
            };
            on_link.into_iter().chain(config.gateway).for_each(|target| neighbours.ask_v6(own, target));
        }
    }

    /// A socket that was used with this server before, or else the one that has been idle for the longest:
    /// smoltcp lets a socket whose last neighbour was not found wait for a second, whoever is next.
    fn take(&self, server: IpEndpoint) -> Option<UdpSocket<'a>> {
        let mut free = self.free.try_borrow_mut().ok()?;
        let used = free.iter().position(|idle| idle.server == Some(server));
        let unused = free.iter().position(|idle| idle.server.is_none());
        let index = used.or(unused).unwrap_or(0);
        if index < free.len() { Some(free.remove(index).socket) } else { None }
    }

    fn give_back(&self, idle: Idle<'a>) {
        if let Ok(mut free) = self.free.try_borrow_mut() {
            // It has come from here.
            let _ = free.push(idle);
        }
    }
}

impl<const SOCKETS: usize> core::fmt::Debug for Udp<'_, SOCKETS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Udp").field("largest_datagram", &self.largest_datagram).finish_non_exhaustive()
    }
}

/// One of the sockets, in use. It goes back when it is dropped.
pub struct Socket<'s, 'a, const SOCKETS: usize> {
    udp: &'s Udp<'a, SOCKETS>,
    /// Not as a `SocketAddr`, which has half as many octets again.
    server: IpEndpoint,
    socket: Option<UdpSocket<'a>>,
}

impl<const SOCKETS: usize> core::fmt::Debug for Socket<'_, '_, SOCKETS> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Socket").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<const SOCKETS: usize> Drop for Socket<'_, '_, SOCKETS> {
    fn drop(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            // What it holds is forgotten.
            socket.close();
            self.udp.give_back(Idle { socket, server: Some(self.server) });
        }
    }
}

impl<'a, const SOCKETS: usize> crate::dns::Udp for Udp<'a, SOCKETS> {
    type Socket<'s>
        = Socket<'s, 'a, SOCKETS>
    where
        Self: 's;

    fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        let v4 = self.stack.config_v4().into_iter().flat_map(|config| config.dns_servers);
        let v4 = v4.map(|ip| SocketAddr::new(ip.into(), PORT));
        #[cfg(feature = "embassy-net-ipv6")]
        let v6 = self.stack.config_v6().into_iter().flat_map(|config| config.dns_servers);
        #[cfg(not(feature = "embassy-net-ipv6"))]
        let v6 = core::iter::empty::<core::net::Ipv6Addr>();
        v4.chain(v6.map(|ip| SocketAddr::new(ip.into(), PORT)))
    }

    fn largest_datagram(&self) -> u16 {
        self.largest_datagram
    }

    // None of these three waits with anything in hand but its arguments: a lookup has little RAM.

    async fn open(&self, server: SocketAddr, port: u16) -> Result<Self::Socket<'_>, UdpError> {
        let server = endpoint(server);
        let socket = self.take(server).ok_or(UdpError::NoSocket)?;
        let mut socket = Socket { udp: self, server, socket: Some(socket) };
        let bound = socket.socket.as_mut().map(|socket| socket.bind(port));
        if bound.is_some_and(|bound| bound.is_ok()) { Ok(socket) } else { Err(UdpError::NoSocket) }
    }

    fn send<'s>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        server: SocketAddr,
        query: &[u8],
    ) -> impl Future<Output = Result<(), UdpError>> {
        poll_fn(move |cx| {
            let Some(socket) = &socket.socket else { return Poll::Ready(Err(UdpError::NoSocket)) };
            if source(&self.stack, family(server.ip())).is_none() {
                return Poll::Ready(Err(UdpError::Unreachable));
            }
            self.ask_neighbours(server.ip());
            match socket.poll_send_to(query, UdpMetadata::from(endpoint(server)), cx) {
                Poll::Ready(Err(SendError::NoRoute)) => Poll::Ready(Err(UdpError::Unreachable)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(UdpError::NoSocket)),
                // The last query has not left, since the neighbour is not found: it stands for this one.
                Poll::Pending | Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            }
        })
    }

    fn receive<'s, R>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> impl Future<Output = Result<R, UdpError>> {
        let mut read = Some(read);
        poll_fn(move |cx| {
            let server = socket.server;
            let Some(socket) = &mut socket.socket else { return Poll::Ready(Err(UdpError::NoSocket)) };
            loop {
                // embassy-net's future has nothing that must outlast a poll: the waker is the socket's.
                let heard = pin!(socket.recv_from_with(|message, from| {
                    let read = if from.endpoint == server { read.take() } else { None };
                    read.map(|read| read(message))
                }));
                match heard.poll(cx) {
                    Poll::Ready(Some(heard)) => return Poll::Ready(Ok(heard)),
                    Poll::Ready(None) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
    }

    /// From the stack's address of the family.
    fn route(&self, address: IpAddr) -> Route {
        source(&self.stack, family(address)).map_or(Route::Unreachable, Route::from_source)
    }
}

const fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// `address` as smoltcp has it. Without IPv6 it has no such address, and nobody is at this one.
fn endpoint(address: SocketAddr) -> IpEndpoint {
    match address.ip() {
        IpAddr::V4(ip) => IpEndpoint::new(ip.into(), address.port()),
        #[cfg(feature = "embassy-net-ipv6")]
        IpAddr::V6(ip) => IpEndpoint::new(ip.into(), address.port()),
        #[cfg(not(feature = "embassy-net-ipv6"))]
        IpAddr::V6(_) => IpEndpoint::new(core::net::Ipv4Addr::UNSPECIFIED.into(), address.port()),
    }
}

/// The stack's own address of `family`. None of IPv6 without the feature `embassy-net-ipv6`: embassy-net
/// panics when it is to connect to an address of a family that it was built without.
pub(crate) fn source(stack: &Stack<'_>, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => stack.config_v4().map(|config| config.address.address().into()),
        #[cfg(feature = "embassy-net-ipv6")]
        Family::V6 => stack.config_v6().map(|config| config.address.address().into()),
        #[cfg(not(feature = "embassy-net-ipv6"))]
        Family::V6 => None,
    }
}
