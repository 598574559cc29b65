//! How a connection is opened, and opened again: what `auto_open` and `connect()` are in Python's
//! `http.client`.

use core::net::SocketAddr;

use connie_core::Instant;
use connie_core::RaceDriver;
use connie_core::{Config, Failure};
use connie_core::{Poller, RaceStack};

/// Opens the connections of an [`HttpConnection`](crate::HttpConnection): the first one, and another each
/// time that the last has ended.
///
/// [`RaceAddresses`] races a list of addresses and is all that most programs need. `()` opens nothing: with
/// it a connection lives as long as the socket that it was given. Write an opener of your own to resolve the
/// host's name each time, to keep the race's timeline, or to speak TLS:
///
/// ```
/// # use connie_core::doc_stack::{Clock, Stack};
/// use connie_http::{Authority, ByRef, HttpConnection, OpenConnection, OpenContext};
/// use connie_core::{Config, RaceDriver, Failure, RaceStack, Poller};
/// # fn look_up(_: &str) -> Option<[std::net::SocketAddr; 1]> { "192.0.2.1:80".parse().ok().map(|address| [address]) }
///
/// /// Looks the name up anew for each connection, and remembers how many attempts the race took.
/// struct Resolving {
///     attempts: usize,
/// }
///
/// impl<S: RaceStack, W: Poller<S>> OpenConnection<S, W> for Resolving {
///     fn open(&mut self, stack: &mut S, poller: &mut W, context: OpenContext) -> Result<S::TcpSocket, Failure> {
///         let addresses = look_up("name.test").ok_or(Failure::NoDestinations)?;
///         let now = poller.now();
///         let config = Config::all_at_once().deadline(context.until.map(|until| until.duration_since(now)));
///         let mut race = RaceDriver::<S>::new(&config, now);
///         race.handle_addresses(&addresses, now);
///         let won = race.run(stack, poller);
///         self.attempts += race.timeline().attempts().count();
///         Ok(won?.socket)
///     }
/// }
///
/// let mut connection = HttpConnection::with_opener(
///     Stack::default(),
///     Clock::default(),
///     Resolving { attempts: 0 },
///     Authority::http("name.test", 80),
///     [0; 512],
/// )?;
/// connection.request("GET", "/", &[], b"")?;
/// connection.response()?.discard()?;
/// assert_eq!(connection.opener().attempts, 1);
/// # Ok::<(), connie_http::HttpError>(())
/// ```
pub trait OpenConnection<S: RaceStack, W> {
    /// Opens a connection, waiting as `poller` does, and hands its socket over, connected. A socket that does
    /// not end as the connection's must have been released.
    ///
    /// # Errors
    ///
    /// Why there is no connection; it is told as [`HttpError::Connect`](crate::HttpError::Connect).
    fn open(&mut self, stack: &mut S, poller: &mut W, context: OpenContext) -> Result<S::TcpSocket, Failure>;

    /// Called when the proxy has opened the [tunnel](crate::HttpConnection::set_tunnel): from here on
    /// `socket` leads to the host itself. An opener whose connections speak TLS makes the handshake here, and
    /// leaves it out of [`open`](OpenConnection::open) where [`OpenContext::tunnel`] is set. Does nothing
    /// unless written.
    ///
    /// # Errors
    ///
    /// Why the connection cannot be used; it is then reset.
    fn enter_tunnel(
        &mut self,
        stack: &mut S,
        poller: &mut W,
        socket: &mut S::TcpSocket,
        context: OpenContext,
    ) -> Result<(), Failure> {
        let _ = (stack, poller, socket, context);
        Ok(())
    }

    /// Called with the heads of the proxy's answer to CONNECT as they came, whatever it says, where heads are
    /// kept (feature `raw-heads`). Does nothing unless written.
    fn on_tunnel_heads(&mut self, raw: &[u8]) {
        let _ = raw;
    }

    /// Until when a connection that was just opened may take to get through the proxy, beside the limits of
    /// the connection itself: for an opener that has a deadline of its own. Asked after each
    /// [`open`](OpenConnection::open), and not where the socket comes from elsewhere or had been open for a
    /// while. `None` unless written.
    fn tunnel_until(&self) -> Option<Instant> {
        None
    }

    /// Whether this opens anything. Where it does not, a connection that has ended stays so.
    fn opens(&self) -> bool {
        true
    }
}

/// What is asked of an [`OpenConnection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenContext {
    /// When to give up: the earlier of the connection's [deadline](crate::HttpConnection::set_deadline) and
    /// its [timeout](crate::HttpConnection::set_timeout) from now; `None` for never.
    pub until: Option<Instant>,
    /// Whether the socket leads to a proxy through which a tunnel will be opened.
    pub tunnel: bool,
}

/// Opens nothing: the connection lives as long as the socket that it was given.
impl<S: RaceStack, W> OpenConnection<S, W> for () {
    fn open(&mut self, _: &mut S, _: &mut W, _: OpenContext) -> Result<S::TcpSocket, Failure> {
        Err(Failure::NoDestinations)
    }

    fn opens(&self) -> bool {
        false
    }
}

impl<S: RaceStack, W, O: OpenConnection<S, W> + ?Sized> OpenConnection<S, W> for &mut O {
    fn open(&mut self, stack: &mut S, poller: &mut W, context: OpenContext) -> Result<S::TcpSocket, Failure> {
        O::open(self, stack, poller, context)
    }

    fn enter_tunnel(
        &mut self,
        stack: &mut S,
        poller: &mut W,
        socket: &mut S::TcpSocket,
        context: OpenContext,
    ) -> Result<(), Failure> {
        O::enter_tunnel(self, stack, poller, socket, context)
    }

    fn on_tunnel_heads(&mut self, raw: &[u8]) {
        O::on_tunnel_heads(self, raw);
    }

    fn tunnel_until(&self) -> Option<Instant> {
        O::tunnel_until(self)
    }

    fn opens(&self) -> bool {
        O::opens(self)
    }
}

/// The addresses of a host, raced for each connection.
///
/// `A` is a list of addresses: an array, a slice, a `heapless::Vec`, a `Vec`. The numbers are those of the
/// [`RaceDriver`] that runs the race: how many addresses count, how many sockets may be in flight, and how
/// many attempts are recorded (nothing reads them, so that as many as there are sockets will do). It lives on
/// the stack while a connection is being opened and costs nothing in between.
///
/// ```
/// # use connie_core::doc_stack::{Clock, Stack};
/// use connie_core::Config;
/// use connie_http::{Authority, HttpConnection, RaceAddresses};
///
/// let addresses = ["192.0.2.1:80".parse()?, "[2001:db8::1]:80".parse()?];
/// let destinations = RaceAddresses::<_, 8, 4>::new(addresses, Config::all_at_once());
/// let (stack, clock) = (Stack::default(), Clock::default());
/// let mut connection =
///     HttpConnection::with_opener(stack, clock, destinations, Authority::http("name.test", 80), [0; 512])?;
/// connection.request("GET", "/", &[], b"")?;
/// connection.response()?.discard()?;
/// assert_eq!(connection.opener().destination(), Some(addresses[1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RaceAddresses<
    A,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 8,
> {
    addresses: A,
    config: Config,
    won: Option<SocketAddr>,
    /// When the deadline of the last race is, which holds for the route through a proxy too.
    until: Option<Instant>,
}

impl<A: AsRef<[SocketAddr]>, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize>
    RaceAddresses<A, DESTINATIONS, SOCKETS, RECORDS>
{
    /// `addresses`, best first, to be raced as `config` says. Its deadline covers the route through a proxy
    /// where there is a [tunnel](crate::HttpConnection::set_tunnel).
    #[must_use]
    pub fn new(addresses: A, config: Config) -> Self {
        RaceAddresses { addresses, config, won: None, until: None }
    }

    /// Where the last connection leads; `None` before the first.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.won
    }

    /// The addresses, to be exchanged for others where the host has moved.
    pub fn addresses_mut(&mut self) -> &mut A {
        &mut self.addresses
    }
}

impl<S, W, A, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize> OpenConnection<S, W>
    for RaceAddresses<A, DESTINATIONS, SOCKETS, RECORDS>
where
    S: RaceStack,
    W: Poller<S>,
    A: AsRef<[SocketAddr]>,
{
    fn open(&mut self, stack: &mut S, poller: &mut W, context: OpenContext) -> Result<S::TcpSocket, Failure> {
        let now = poller.now();
        let mut config = self.config.clone();
        self.until = config.deadline.map(|deadline| now + deadline);
        if let Some(until) = context.until {
            let left = until.duration_since(now);
            config.deadline = Some(config.deadline.map_or(left, |deadline| deadline.min(left)));
        }
        let mut race = RaceDriver::<S, DESTINATIONS, SOCKETS, RECORDS>::new(&config, now);
        race.handle_addresses(self.addresses.as_ref(), now);
        let won = race.run(stack, poller)?;
        self.won = Some(won.destination);
        Ok(won.socket)
    }

    fn tunnel_until(&self) -> Option<Instant> {
        self.until
    }
}
