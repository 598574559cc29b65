//! TLS under the race (feature `tls`): each attempt is TCP and then the handshake, and the first address
//! whose TLS is complete wins. One that takes TCP and then says nothing, or has the wrong certificate, loses.
//!
//! [`TlsRaceConnect`] stands between a [`RaceConnect`] and a client, as that stands between a stack and a
//! client, and gives connections **that are TLS**: whatever the client writes goes out encrypted, to any
//! port. So an unmodified client that knows only TCP speaks `https`:
//!
//! - **reqwless**: with its feature `embedded-tls` (on by default), a client of `HttpClient::new` takes
//!   `https://`, and does no TLS itself. Over a plain stack its requests go out in the clear; over a
//!   [`RaceConnect`] they do too, except to port 443, where they are refused. Over this they go out by TLS.
//!   (Without the feature reqwless refuses `https://`. `new_with_tls` would do TLS within TLS, which fails.)
//! - **edge-http** and other clients over edge-nal: the same by edge-nal's traits (feature `edge-nal`).
//! - **connie-http**, and a program of one's own: [`TlsRaceConnect::connect`].
//!
//! ```
//! # use connie_async::doc_stack::{NoTls, Stack, SystemClock};
//! use connie_async::tls::{RecordBuffers, TlsRaceConnect};
//! use connie_async::{Options, PlainDns, RaceConnect};
//! # use embedded_io_async::Write;
//! # async_io::block_on(async {
//! // For two handshakes at a time: 2 x (4,352 + 1,024) octets.
//! let buffers: RecordBuffers<2> = RecordBuffers::new();
//! # let (tcp, names, clock, tls) = (Stack, PlainDns(Stack), SystemClock::default(), NoTls);
//! // `tls` is an `EmbeddedTls`, say: see `embedded`.
//! let net = RaceConnect::new(tcp, names, clock, Options::new());
//! let secure = TlsRaceConnect::new(&net, tls, &buffers);
//!
//! let mut connection = secure.connect(("many.test", 443), &Options::new()).await.unwrap();
//! connection.write_all(b"GET / HTTP/1.1\r\nHost: many.test\r\n\r\n").await.unwrap();
//! # });
//! ```
//!
//! # Which name the certificate must have
//!
//! The one that was looked up, as [`RaceConnect`] remembers it for the address that stands for it; a literal
//! address that was looked up, or that a program connects to without a lookup, must be in the certificate
//! itself. Two names may have one address: a lookup by [`TlsRaceConnect`] then answers the second with an
//! address that stands for it alone and is no machine's (`100::1` and so on, RFC 6666). A client that asks
//! for IPv4 alone, or asks [`RaceConnect`] itself, gets the shared one, and is not connected to it:
//! [`TlsError::SeveralNames`]. [`TlsRaceConnect::connect`] with the name always serves.
//!
//! # Record buffers
//!
//! A handshake needs a pair of buffers, which an attempt takes when TCP is connected, and which the
//! connection that wins keeps until it is dropped. [`RecordBuffers`] may have fewer pairs than there are
//! sockets. Then those wait who have none, the longest wait first. A handshake that has had its pair for one
//! patience, while somebody waits, gives it up: the attempt begins anew with TCP, takes its place at the end,
//! and has twice the time at its next turn. With a pair for each attempt nobody waits. Where all pairs are
//! held by connections that the program keeps none comes back by itself: that is
//! [`TlsError::OutOfBuffers`] at once.
//!
//! A patience shorter than the computer takes for a handshake makes races slow: see
//! [`Config::patience`](crate::Config::patience).

mod buffers;
#[cfg(feature = "edge-nal")]
mod edge;
#[cfg(feature = "embedded-tls")]
pub mod embedded;
#[cfg(feature = "embedded-tls")]
mod records;
mod session;
mod stream;
#[cfg(feature = "embedded-tls")]
mod suite;
#[cfg(feature = "embedded-tls")]
mod verify;

use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use connie_core::Config;
use connie_core::memory::{Finish, Remember};
use embedded_io_async::{Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

use crate::alarm::Alarm;
use crate::attempts::Opener;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::error::{ConnectionError, ResolveError};
use crate::known_names::HostText;
use crate::lookup::Lookup;
use crate::nal::families;
use crate::options::Options;
use crate::race_connect::RaceConnect;
use crate::target::Target;

pub use buffers::{RecordBuffers, RecordPool, TlsStream};
use buffers::{is_kept, lease};
pub use session::{RecordPair, SessionError, Tls, TlsError, TlsSession};

/// A [`RaceConnect`] whose connections are TLS: see the [head of this module](self).
///
/// It borrows the other, which goes on giving plain connections to whoever asks it, and shares its names and
/// its memory.
pub struct TlsRaceConnect<'n, N, S> {
    net: &'n N,
    tls: S,
    pool: &'n dyn RecordPool,
    handshake_timeout: Duration,
}

impl<'n, N, S: Tls> TlsRaceConnect<'n, N, S> {
    /// How long a handshake may take by default, from its pair of buffers on.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Races over `net` to the end of the handshake that `tls` makes, with record buffers out of `pool`.
    pub const fn new(net: &'n N, tls: S, pool: &'n dyn RecordPool) -> Self {
        TlsRaceConnect { net, tls, pool, handshake_timeout: Self::HANDSHAKE_TIMEOUT }
    }

    /// How long a handshake may take, from its pair of buffers on, whether anybody waits for that or not:
    /// then it has failed with [`TlsError::TimedOut`]. Default:
    /// [`HANDSHAKE_TIMEOUT`](Self::HANDSHAKE_TIMEOUT), 10 s.
    #[must_use]
    pub const fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// What it races over.
    pub const fn net(&self) -> &'n N {
        self.net
    }
}

impl<N, S> fmt::Debug for TlsRaceConnect<'_, N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsRaceConnect")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S>
    TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
    S: Tls,
{
    /// Connects to `remote`, or to whatever name it stands for. `tcp` is the stack's connect.
    async fn connect_by<'a, O, F, N, E>(
        &'a self,
        remote: SocketAddr,
        tcp: O,
    ) -> Result<Connection<TlsStream<'a, S, N>>, ConnectionError<TlsError<E>>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        N: Read + Write + 'a,
        E: embedded_io_async::Error,
    {
        let behind = self.net.behind(remote);
        let server = match &behind {
            Some(behind) if behind.is_shared => {
                return Err(ConnectionError::AllAttemptsFailed(Some(TlsError::SeveralNames)));
            }
            Some(behind) => server_name(&behind.host),
            None => literal(remote.ip()),
        };
        let patience = self.net.patience();
        let open = |remote| self.attempt(remote, &server, patience, &tcp);
        let opener = Opener { open, meaning: TlsError::meaning, finish: Finish::Tls };
        let mut connect = self.net.begin(remote, behind.as_ref()).map_err(ConnectionError::InvalidHost)?;
        let wanted = RaceConnect::<T, L, C, SOCKETS, ADDRESSES, NAMES, M>::wanted(remote, behind.as_ref());
        self.net.run(&mut connect, wanted, opener).await
    }

    /// The same for a target.
    async fn connect_target_by<'a, O, F, N, E>(
        &'a self,
        target: Target<'_>,
        options: &Options,
        tcp: O,
    ) -> Result<Connection<TlsStream<'a, S, N>>, ConnectionError<TlsError<E>>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        N: Read + Write + 'a,
        E: embedded_io_async::Error,
    {
        let host = target.host().ok_or(ConnectionError::InvalidTarget)?;
        let named = &host.map(|(host, _)| server_name(host));
        let (patience, tcp) = (options.race.patience, &tcp);
        let open = |remote: SocketAddr| async move {
            match named {
                Some(server) => self.attempt(remote, server, patience, tcp).await,
                None => self.attempt(remote, &literal(remote.ip()), patience, tcp).await,
            }
        };
        let opener = Opener { open, meaning: TlsError::meaning, finish: Finish::Tls };
        self.net.connect_target_by(target, options, opener).await
    }

    /// One attempt: TCP, then a pair of buffers, then the handshake; and from the beginning when the turn is
    /// over and others wait.
    async fn attempt<'a, O, F, N, E>(
        &'a self,
        remote: SocketAddr,
        server: &str,
        patience: Duration,
        tcp: &O,
    ) -> Result<TlsStream<'a, S, N>, TlsError<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        N: Read + Write + 'a,
        E: embedded_io_async::Error,
    {
        let mut patience = patience.clamp(Config::MIN_DELAY, Config::MAX_PATIENCE);
        loop {
            if is_kept(self.pool) {
                return Err(TlsError::OutOfBuffers);
            }
            let socket = tcp(remote).await.map_err(TlsError::Stack)?;
            let lease = lease(self.pool).await?;
            if let Some(result) = self.take_turn(server, socket, lease, patience).await {
                return result;
            }
            patience = patience.saturating_mul(2).min(Config::MAX_PATIENCE);
        }
    }

    /// One handshake. `None` when it has had its pair for one patience and somebody else waits.
    async fn take_turn<'a, N, E>(
        &'a self,
        server: &str,
        socket: N,
        lease: buffers::Lease<'a>,
        patience: Duration,
    ) -> Option<Result<TlsStream<'a, S, N>, TlsError<E>>>
    where
        N: Read + Write + 'a,
    {
        let clock = self.net.clock();
        let begun = clock.now();
        let (over, limit) = (begun + patience, begun + self.handshake_timeout);
        let turn = lease.turn();
        let mut handshake = pin!(TlsStream::open(&self.tls, server, socket, lease));
        let timer = pin!(None);
        let mut alarm = Alarm::new(timer);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = handshake.as_mut().poll(cx) {
                    return Poll::Ready(Some(result.map_err(TlsError::Session)));
                }
                let now = clock.now();
                if now >= limit {
                    return Poll::Ready(Some(Err(TlsError::TimedOut)));
                }
                let is_wanted = turn.is_wanted(cx);
                if is_wanted && now >= over {
                    return Poll::Ready(None);
                }
                let until = if now < over { over.min(limit) } else { limit };
                if alarm.poll(Some(until), |at| clock.wait_until(at), cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// What comes of a connect to the end of TLS over connections `N`.
pub type TlsConnectResult<'a, S, N, E> =
    Result<Connection<TlsStream<'a, S, N>>, ConnectionError<TlsError<E>>>;

/// The name that a host's certificate has: without the last dot, the zone of an address and its brackets.
fn server_name(host: &str) -> HostText {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = host.split_once('%').map_or(host, |(address, _)| address);
    // It has room for any host; and nothing has no certificate.
    HostText::try_from(host).unwrap_or_default()
}

/// An address that stands for no name.
fn literal(address: IpAddr) -> HostText {
    let mut text = HostText::new();
    // It has room for any address.
    let _ = fmt::write(&mut text, format_args!("{}", address.to_canonical()));
    text
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S> Dns
    for TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ResolveError<L::Error>;

    /// An address that stands for this name alone: one of `100::/64` (RFC 6666), which is nobody's, where all
    /// that were found stand for others, and the client does not ask for IPv4 alone.
    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, Self::Error> {
        let may_invent = addr_type != AddrType::IPv4;
        self.net.resolve(host, families(addr_type), may_invent).await
    }

    async fn get_host_by_address(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, Self::Error> {
        self.net.get_host_by_address(address, name).await
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S> TcpConnect
    for TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
    S: Tls,
{
    type Error = ConnectionError<TlsError<T::Error>>;
    type Connection<'a>
        = Connection<TlsStream<'a, S, T::Connection<'a>>>
    where
        Self: 'a;

    fn connect<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<Self::Connection<'a>, Self::Error>> {
        self.connect_by(remote, |remote| self.net.tcp().connect(remote))
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S>
    TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
    S: Tls,
{
    /// Connects to whichever address of `target` has TLS first: [`RaceConnect::connect`] to the end of the
    /// handshake. The certificate must be for the target's host, or, where the target is addresses, for the
    /// address that it comes from.
    ///
    /// # Errors
    ///
    /// Why there is no connection: of all addresses what tells most, a bad certificate before another failure
    /// of TLS before silence.
    pub fn connect<'a, 't>(
        &'a self,
        target: impl Into<Target<'t>>,
        options: &'t Options,
    ) -> impl Future<Output = TlsConnectResult<'a, S, T::Connection<'a>, T::Error>> {
        self.connect_target_by(target.into(), options, |remote| self.net.tcp().connect(remote))
    }
}
