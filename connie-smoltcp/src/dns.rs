//! Names, over smoltcp's DNS socket: the queries of a [`HostConnector`], and their answers.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use connie_core::connect::{Connect, Facts, Input, InvalidHost, Order, Start};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{HostError, Query, QueryError};
use connie_core::timeline::Timeline;
use connie_core::{Config, Connection, Failure, HostConnector, Progress, RaceStack, Turn};
use heapless::Vec;
use smoltcp::iface::{Interface, SocketHandle};
use smoltcp::phy::Device;
use smoltcp::socket::dns;
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::address;
use crate::board::Board;
use crate::stack::{Scope, Stack, StorageFull, find};
use crate::tcp::TcpSocket;
use crate::waiter::BoardWaiter;

/// The most addresses of one family in an answer. Further ones are left out.
pub const MAX_ADDRESSES: usize = 8;

/// For how many addresses of each family there is room where IPv4 is reached through NAT64.
const NAT64: usize = if cfg!(feature = "nat64") { MAX_ADDRESSES } else { 0 };

/// The memory of one query. A connector needs two: one for each family; with the feature `nat64` three.
pub type QueryStorage = Option<dns::DnsQuery>;

/// smoltcp's DNS client.
///
/// It asks over UDP, each server for 10 to 15 s with repeated questions before the next. What it does not do: it takes no
/// notice of a truncated answer, does not ask again over TCP, keeps nothing, and tells neither a name that does not exist
/// from one without addresses nor that from a server's failure. All three are a [failed query](QueryError::Failed) here.
#[derive(Clone, Copy, Debug)]
pub struct Dns {
    handle: SocketHandle,
    /// The stack that it belongs to.
    stack: usize,
}

/// Why a [`DnsConnector`] cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is not a host name or address.
    Host(HostError),
    /// The address is in a zone that is not given by number: an interface here has no name.
    Zone,
    /// Others have all the memory that was lent: two [`QueryStorage`] for each connector, three with the feature `nat64`.
    OutOfQueries,
    /// The DNS client belongs to another stack.
    WrongStack,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Host(error) => error.fmt(f),
            LookupError::Zone => f.write_str("give the zone of an address by number"),
            LookupError::OutOfQueries => f.write_str("no room for another query: lend the DNS client more"),
            LookupError::WrongStack => f.write_str("the DNS client belongs to another stack"),
        }
    }
}

impl core::error::Error for LookupError {}

impl From<InvalidHost> for LookupError {
    fn from(error: InvalidHost) -> Self {
        match error {
            InvalidHost::Host(error) => LookupError::Host(error),
            _ => LookupError::Zone,
        }
    }
}

impl Dns {
    /// A DNS client that asks `servers` (the first 3 of them). Takes one [`SocketStorage`](crate::SocketStorage).
    ///
    /// # Errors
    ///
    /// [`StorageFull`].
    pub fn start<'a, D: Device, B: Board, const TCP: usize, const UDP: usize>(
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        servers: &[IpAddr],
        queries: &'a mut [QueryStorage],
    ) -> Result<Dns, StorageFull> {
        let servers = known(&stack.interface, servers);
        let handle = stack.add(dns::Socket::new(&servers, queries))?;
        Ok(Dns { handle, stack: stack.identity })
    }

    /// Asks other servers from now on.
    pub fn set_servers<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        servers: &[IpAddr],
    ) {
        let servers = known(&stack.interface, servers);
        if let Some(socket) = stack.dns(*self) {
            socket.update_servers(&servers);
        }
    }
}

/// The addresses as smoltcp has them, without those of a family that is not built in, or to which nothing may be sent.
fn known(interface: &Interface, servers: &[IpAddr]) -> Vec<IpAddress, 3> {
    let servers = servers.iter().filter_map(|server| address::ip(*server));
    let may_ask = |server: &IpAddress| match Scope::of(*server) {
        Scope::None => false,
        Scope::Host => interface.has_ip_addr(*server),
        Scope::Link | Scope::Wider => true,
    };
    servers.filter(may_ask).take(3).collect()
}

/// From a host's text to the connection that wins: a [`HostConnector`] whose queries smoltcp's DNS client sends. The numbers are
/// those of the [`HostConnector`].
///
/// [`run`](DnsConnector::run) it, or [`poll`](DnsConnector::poll) it beside other things. [`cancel`](DnsConnector::cancel) it when it
/// is not wanted to its end: dropping it leaves its queries and sockets taken.
///
/// ```no_run
/// # use connie_smoltcp::{Board, BoardWaiter, Dns, DnsConnector, LookupError, Stack, TcpSocket, smoltcp::phy::Device};
/// # use connie_core::{Config, Connection, Failure};
/// # fn main() {}
/// # enum Trouble { Lookup(LookupError), Race(Failure) }
/// # impl From<LookupError> for Trouble { fn from(error: LookupError) -> Self { Trouble::Lookup(error) } }
/// # impl From<Failure> for Trouble { fn from(failure: Failure) -> Self { Trouble::Race(failure) } }
/// # fn connect<D: Device, B: Board>(
/// #     dns: &Dns, mut stack: Stack<'_, D, B>, mut waiter: BoardWaiter<B>,
/// # ) -> Result<Connection<TcpSocket>, Trouble> {
/// let config = Config::all_at_once();
/// let mut connector = DnsConnector::<_, 16, 4>::new(dns, &mut stack, "example.org", 80, &config)?;
/// let connection = connector.run(&mut stack, &mut waiter)?;
/// # Ok(connection)
/// # }
/// ```
#[must_use = "dropping it leaves its queries taken: run it, or cancel it"]
pub struct DnsConnector<
    S: RaceStack,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
> {
    connector: HostConnector<S, DESTINATIONS, SOCKETS, RECORDS, NAT64>,
    dns: Dns,
    port: u16,
    asked: Asked,
}

/// What is asked, in the order of [`Query::ALL`].
struct Asked([Option<dns::QueryHandle>; 3]);

impl Asked {
    fn place(&mut self, query: Query) -> &mut Option<dns::QueryHandle> {
        let [aaaa, a, prefix] = &mut self.0;
        match query {
            Query::Aaaa => aaaa,
            Query::A => a,
            Query::Nat64Prefix => prefix,
        }
    }

    /// Gives up what has not been answered.
    fn forget<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        dns: Dns,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) {
        for asked in &mut self.0 {
            if let (Some(asked), Some(socket)) = (asked.take(), stack.dns(dns)) {
                // The query is there: it was begun in this stack, and its handle is taken with its result.
                socket.cancel_query(asked);
            }
        }
    }
}

impl<S: RaceStack, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize> fmt::Debug
    for DnsConnector<S, DESTINATIONS, SOCKETS, RECORDS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsConnector").field("connect", self.connector.connect()).finish_non_exhaustive()
    }
}

impl<
    'a,
    D: Device,
    B: Board,
    const TCP: usize,
    const UDP: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
> DnsConnector<Stack<'a, D, B, TCP, UDP>, DESTINATIONS, SOCKETS, RECORDS>
{
    /// A connect that begins now, with its queries sent.
    ///
    /// What is asked, and what answers mean, is written at [`connie_core::connect`]. With the feature `nat64`, a stack that has a route
    /// by IPv6 and none by IPv4 asks for the prefix of the network's NAT64 by a third query, and reaches IPv4 addresses through it.
    ///
    /// # Errors
    ///
    /// [`LookupError`], with nothing begun.
    pub fn new(
        dns: &Dns,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        config: &Config,
    ) -> Result<Self, LookupError> {
        let facts = stack.facts();
        Self::with_facts(dns, stack, host, port, config, &facts)
    }

    /// As [`new`](DnsConnector::new), told more than the stack's own [facts](Stack::facts): the [addresses](Facts::hosts) that the
    /// program knows without a look-up, say.
    ///
    /// # Errors
    ///
    /// [`LookupError`], with nothing begun.
    // Not part of its caller, which would keep room for what it needs on the way.
    #[inline(never)]
    pub fn with_facts(
        dns: &Dns,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        config: &Config,
        facts: &Facts<'_>,
    ) -> Result<Self, LookupError> {
        let start = Start::new(host, port, facts)?;
        let mut asked = Asked([None; 3]);
        for query in Query::ALL {
            if start.asks(query, config, facts, cfg!(feature = "nat64")) {
                match stack.ask(*dns, query.name(host), query) {
                    Ok(handle) => *asked.place(query) = handle,
                    Err(error) => {
                        asked.forget(*dns, stack);
                        return Err(error);
                    }
                }
            }
        }
        // Last, and in its place: it is large.
        let connector = HostConnector::begin(start, config, facts, stack.now());
        Ok(DnsConnector { connector, dns: *dns, port, asked })
    }

    /// Runs it to its end while the answers come in: the first usable one starts the race, and the other's addresses join.
    ///
    /// # Errors
    ///
    /// What ended it without a connection: [`Failure`] tells a name without addresses from addresses that do not answer. A connector
    /// whose connection was already handed over is [`Failure::Canceled`].
    pub fn run<C: Board>(
        &mut self,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        waiter: &mut BoardWaiter<C>,
    ) -> Result<Connection<TcpSocket>, Failure> {
        let result = loop {
            self.take_answers(stack);
            match self.connector.turn(stack, waiter) {
                Turn::Waited => {}
                Turn::SendQuery(query) => self.is_sent(query, stack),
                Turn::Connected(connection) => break Ok(connection),
                Turn::Failed(failure) => break Err(failure),
            }
        };
        self.asked.forget(self.dns, stack);
        result
    }

    /// Takes in what has come, and does what is to be done now. Never waits, and does not serve the stack: [`Stack::poll`] does.
    pub fn poll(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) -> Progress<TcpSocket> {
        self.take_answers(stack);
        let now = stack.now();
        let progress = loop {
            match self.connector.poll(stack, now) {
                Progress::WaitUntil(until) => return Progress::WaitUntil(until),
                Progress::WaitForInput => return Progress::WaitForInput,
                Progress::SendQuery(query) => self.is_sent(query, stack),
                Progress::Connected(connection) => break Progress::Connected(connection),
                Progress::Failed(failure) => break Progress::Failed(failure),
                Progress::Finished => break Progress::Finished,
            }
        };
        self.asked.forget(self.dns, stack);
        progress
    }

    /// Gives it up and releases its queries and sockets. A connection that was already handed over stays.
    pub fn cancel(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        let now = stack.now();
        let _ = self.connector.cancel(stack, now);
        self.asked.forget(self.dns, stack);
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.connector.timeline()
    }

    /// The connect, to look at: which queries are open, and which have failed.
    #[must_use]
    pub fn connect(&self) -> &Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64> {
        self.connector.connect()
    }

    // As above.
    #[inline(never)]
    fn take_answers(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        for query in Query::ALL {
            let Some(asked) = *self.asked.place(query) else { continue };
            // The query is there: it was begun in this stack, and it is freed by telling its result, which is done once.
            let result = stack.dns(self.dns).map(|socket| socket.get_query_result(asked));
            if let Some(Err(dns::GetQueryResultError::Pending)) = result {
                continue;
            }
            *self.asked.place(query) = None;
            match result {
                Some(Ok(found)) => self.answered(query, &found, stack),
                // An answer without addresses, too: smoltcp tells no more.
                _ => self.failed(query, stack),
            }
        }
    }

    fn answered(&mut self, query: Query, found: &[IpAddress], stack: &mut Stack<'a, D, B, TCP, UDP>) {
        // As many as smoltcp keeps, which is 8.
        let found = found.iter().take(MAX_ADDRESSES).map(|ip| SocketAddr::new((*ip).into(), self.port));
        let addresses: Vec<SocketAddr, MAX_ADDRESSES> = found.collect();
        let ways = addresses.iter().map(|address| stack.route_to(address.ip()));
        let ways: Vec<Route, MAX_ADDRESSES> = ways.collect();
        let answer = Input::Answered { query, addresses: &addresses, order: Order::Any(&ways) };
        self.connector.handle_input(answer, stack.now());
    }

    /// `new` has sent it, unless its family is not built in: then nobody answers.
    fn is_sent(&mut self, query: Query, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        if self.asked.place(query).is_none() {
            self.failed(query, stack);
        }
    }

    fn failed(&mut self, query: Query, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        self.connector.handle_input(Input::QueryFailed { query, error: QueryError::Failed }, stack.now());
    }
}

impl<'a, D: Device, B: Board, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    /// The client's socket; `None` in another stack than its own, where smoltcp would panic over its queries.
    fn dns(&mut self, dns: Dns) -> Option<&mut dns::Socket<'a>> {
        if self.identity == dns.stack { self.find(dns.handle) } else { None }
    }

    /// Sends one query; `None` where its family is not built in.
    fn ask(&mut self, dns: Dns, host: &str, query: Query) -> Result<Option<dns::QueryHandle>, LookupError> {
        let kind = match query {
            #[cfg(feature = "ipv4")]
            Query::A => DnsQueryType::A,
            #[cfg(feature = "ipv6")]
            Query::Aaaa | Query::Nat64Prefix => DnsQueryType::Aaaa,
            #[cfg(not(all(feature = "ipv4", feature = "ipv6")))]
            _ => return Ok(None),
        };
        let is_ours = self.identity == dns.stack;
        let socket = find::<dns::Socket<'_>>(&mut self.sockets, dns.handle).filter(|_| is_ours);
        self.has_work = true;
        match socket.ok_or(LookupError::WrongStack)?.start_query(self.interface.context(), host, kind) {
            Ok(query) => Ok(Some(query)),
            // Not after what `Host` has looked at.
            Err(dns::StartQueryError::InvalidName) => Err(LookupError::Host(HostError::Label)),
            Err(dns::StartQueryError::NameTooLong) => Err(LookupError::Host(HostError::TooLong)),
            Err(dns::StartQueryError::NoFreeSlot) => Err(LookupError::OutOfQueries),
        }
    }
}
