//! The same over edge-nal's traits (feature `edge-nal`): [`RaceConnect`] over a stack that implements
//! edge-nal's `TcpConnect` does so itself, and is edge-nal's `Dns`.
//!
//! ```
//! use connie_async::edge_nal::{self, PlainDns};
//! use connie_async::{Options, RaceConnect};
//! use edge_nal_std::Stack;
//! # use connie_async::connie_core::Instant;
//! # struct SystemClock(std::time::Instant);
//! # impl connie_async::Clock for SystemClock {
//! #     fn now(&self) -> Instant {
//! #         Instant::ZERO + self.0.elapsed()
//! #     }
//! #     async fn wait_until(&self, at: Instant) {
//! #         async_io::Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
//! #     }
//! # }
//! # async_io::block_on(async {
//! # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! # let port = server.local_addr().unwrap().port();
//! # let clock = SystemClock(std::time::Instant::now());
//!
//! let net = RaceConnect::new(Stack::new(), PlainDns(Stack::new()), clock, Options::new());
//! let connection = edge_nal::connect(&net, ("localhost", port), &Options::new()).await?;
//! assert_eq!(connection.destination().port(), port);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use core::cell::Cell;
use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::memory::Remember;
use connie_core::{Families, Family};
use edge_nal::{AddrType, Close, Dns, Readable, TcpConnect, TcpShutdown, TcpSplit};
use edge_nal::{UdpConnect, UdpReceive as _, UdpSend as _};
use embedded_io_async::{Error as _, ErrorType, Read, Write};

use crate::attempts::Opener;
use crate::clock::Clock;
use crate::connection::{Connection, guarded_write};
use crate::dns::UdpError;
use crate::error::{ConnectionError, ResolveError};
use crate::lookup::{AddressList, Lookup};
use crate::options::Options;
use crate::race_connect::RaceConnect;
use crate::target::Target;

/// Any edge-nal [`Dns`] as a [`Lookup`]: one address of each family, since its one call answers with one.
/// Each family is asked for by itself: see [`PlainDns`](crate::PlainDns).
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainDns<D>(pub D);

impl<D: Dns> Lookup for PlainDns<D> {
    type Error = D::Error;

    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), D::Error> {
        let kind = match family {
            Family::V4 => AddrType::IPv4,
            Family::V6 => AddrType::IPv6,
        };
        answers.push(self.0.get_host_by_name(host, kind).await?);
        Ok(())
    }

    async fn name_of(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, D::Error> {
        self.0.get_host_by_address(address, name).await
    }
}

/// The UDP of any edge-nal stack, and the name servers to ask over it, for [`Dns`](crate::dns::Dns):
/// [`Nal`](crate::dns::Nal) over edge-nal's traits.
#[derive(Debug)]
pub struct Udp<'s, U, const DATAGRAM: usize = 1232> {
    stack: U,
    servers: Cell<&'s [SocketAddr]>,
}

impl<'s, U, const DATAGRAM: usize> Udp<'s, U, DATAGRAM> {
    /// Asks `servers` over `stack`, the first of them first.
    pub const fn new(stack: U, servers: &'s [SocketAddr]) -> Self {
        const { assert!(DATAGRAM >= 512, "a server may send 512 octets (RFC 1035 section 4.2.1)") };
        Udp { stack, servers: Cell::new(servers) }
    }

    /// Other servers, for a network that has changed: what is asked is asked anew at the next lookup, and
    /// what is known is forgotten.
    pub fn set_servers(&self, servers: &'s [SocketAddr]) {
        self.servers.set(servers);
    }
}

impl<U: UdpConnect, const DATAGRAM: usize> crate::dns::Udp for Udp<'_, U, DATAGRAM> {
    type Socket<'a>
        = U::Socket<'a>
    where
        Self: 'a;

    fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.get().iter().copied()
    }

    fn largest_datagram(&self) -> u16 {
        u16::try_from(DATAGRAM).unwrap_or(u16::MAX)
    }

    async fn open(&self, server: SocketAddr, _: u16) -> Result<Self::Socket<'_>, UdpError> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let opened = self.stack.connect(SocketAddr::new(any, 0), server).await;
        opened.map_err(|error| UdpError::of(error.kind()))
    }

    async fn send<'s>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        server: SocketAddr,
        query: &[u8],
    ) -> Result<(), UdpError> {
        socket.send(server, query).await.map_err(|error| UdpError::of(error.kind()))
    }

    async fn receive<'s, R>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, UdpError> {
        let mut buffer = [0; DATAGRAM];
        let (length, _) = socket.receive(&mut buffer).await.map_err(|error| UdpError::of(error.kind()))?;
        // One that is longer than was announced to the server is cut, and its length reported nonetheless.
        Ok(read(buffer.get(..length).unwrap_or(&buffer)))
    }
}

/// The families that a client asks for.
pub(crate) const fn families(addr_type: AddrType) -> Families {
    match addr_type {
        AddrType::IPv4 => Families::Only(Family::V4),
        AddrType::IPv6 => Families::Only(Family::V6),
        AddrType::Either => Families::Both,
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M> Dns
    for RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ResolveError<L::Error>;

    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, Self::Error> {
        self.resolve(host, families(addr_type), false).await
    }

    async fn get_host_by_address(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, Self::Error> {
        self.names().name_of(address, name).await.map_err(ResolveError::Failed)
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M> TcpConnect
    for RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ConnectionError<T::Error>;
    type Socket<'a>
        = Connection<T::Socket<'a>>
    where
        Self: 'a;

    fn connect(&self, remote: SocketAddr) -> impl Future<Output = Result<Self::Socket<'_>, Self::Error>> {
        self.connect_for_client(remote, |remote| self.tcp().connect(remote))
    }
}

/// Connects `net` to whichever address of `target` answers first: [`RaceConnect::connect`] over edge-nal's
/// traits.
///
/// # Errors
///
/// Why there is no connection. Why a name was not found is as much of it as the [`Lookup`] can
/// [tell](Lookup::query_error).
pub fn connect<'a, 't, T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>(
    net: &'a RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>,
    target: impl Into<Target<'t>>,
    options: &'t Options,
) -> impl Future<Output = Result<Connection<T::Socket<'a>>, ConnectionError<T::Error>>>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    net.connect_target_by(target.into(), options, Opener::tcp(|remote| net.tcp().connect(remote)))
}

impl<N: Readable> Readable for Connection<N> {
    async fn readable(&mut self) -> Result<(), Self::Error> {
        self.inner.readable().await.map_err(ConnectionError::Stack)
    }
}

impl<N: TcpSplit> TcpSplit for Connection<N> {
    type Read<'a>
        = ReadHalf<N::Read<'a>>
    where
        Self: 'a;
    type Write<'a>
        = WriteHalf<'a, N::Write<'a>>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Read<'_>, Self::Write<'_>) {
        let (inner, wants_tls) = self.parts_mut();
        let (read, write) = inner.split();
        (ReadHalf(read), WriteHalf { inner: write, wants_tls })
    }
}

/// The half of a [`Connection`] that is read from. It cannot write, even if the stack's own read half can:
/// that would bypass the rule for [port 443](RaceConnect#port-443).
#[derive(Debug)]
pub struct ReadHalf<R>(R);

impl<R: ErrorType> ErrorType for ReadHalf<R> {
    type Error = ConnectionError<R::Error>;
}

impl<R: Read> Read for ReadHalf<R> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(buffer).await.map_err(ConnectionError::Stack)
    }
}

impl<R: Readable> Readable for ReadHalf<R> {
    async fn readable(&mut self) -> Result<(), Self::Error> {
        self.0.readable().await.map_err(ConnectionError::Stack)
    }
}

/// The half of a [`Connection`] that is written to, under the connection's rule for
/// [port 443](RaceConnect#port-443).
#[derive(Debug)]
pub struct WriteHalf<'a, W> {
    inner: W,
    /// The connection's own flag: its next half, and a write to itself, go on from it.
    wants_tls: &'a mut bool,
}

impl<W: ErrorType> ErrorType for WriteHalf<'_, W> {
    type Error = ConnectionError<W::Error>;
}

impl<W: Write> Write for WriteHalf<'_, W> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        guarded_write(&mut self.inner, self.wants_tls, buffer).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.inner.flush().await.map_err(ConnectionError::Stack)
    }
}

impl<N: TcpShutdown> TcpShutdown for Connection<N> {
    async fn close(&mut self, what: Close) -> Result<(), Self::Error> {
        self.inner.close(what).await.map_err(ConnectionError::Stack)
    }

    async fn abort(&mut self) -> Result<(), Self::Error> {
        self.inner.abort().await.map_err(ConnectionError::Stack)
    }
}
