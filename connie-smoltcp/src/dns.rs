//! Names, over smoltcp's DNS socket: both families side by side, each told to the race when it answers.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::Poll;

use connie_core::resolution::selection::{self, Candidate, DEFAULT_POLICY, Route};
use connie_core::resolution::{Host, HostError, LOOPBACK, Query, QueryError, Resolution};
use connie_core::{Connection, Connector, Failure, Families, Family};
use heapless::Vec;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::dns;
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::address;
use crate::board::Board;
use crate::stack::{Stack, StorageFull};
use crate::tcp::TcpSocket;
use crate::waiter::BoardWaiter;

/// The most addresses of one family in an answer. Further ones are left out.
pub const MAX_ADDRESSES: usize = 8;

/// The memory of one query. A lookup needs two: one for each family; with the feature `nat64` three.
pub type QueryStorage = Option<dns::DnsQuery>;

/// smoltcp's DNS client.
///
/// It asks over UDP, each server for 10 to 15 s with repeated questions before the next. What it does not do: it takes no
/// notice of a truncated answer, does not ask again over TCP, keeps nothing, and tells neither a name that does not exist
/// from one without addresses nor that from a server's failure. All three are a [failed
/// resolution](Connector::resolution_failed) to a race.
#[derive(Debug)]
pub struct Dns {
    client: Client,
}

/// smoltcp's DNS socket, and the stack that it belongs to.
#[derive(Clone, Copy, Debug)]
struct Client {
    handle: SocketHandle,
    stack: usize,
}

impl Client {
    /// The socket; `None` in another stack than its own, where smoltcp would panic over its queries.
    fn of<'s, 'a, D: Device, B, const TCP: usize, const UDP: usize>(
        self,
        stack: &'s mut Stack<'a, D, B, TCP, UDP>,
    ) -> Option<&'s mut dns::Socket<'a>> {
        if stack.identity == self.stack { stack.find(self.handle) } else { None }
    }
}

/// Why a lookup cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is not a host name or address.
    Host(HostError),
    /// The address is in a zone that is not given by number: an interface here has no name.
    Zone,
    /// Other lookups have all the memory that was lent: two [`QueryStorage`] for each lookup, three with the feature `nat64`.
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
        let handle = stack.add(dns::Socket::new(&known(servers), queries))?;
        Ok(Dns { client: Client { handle, stack: stack.identity } })
    }

    /// Asks other servers from now on.
    pub fn set_servers<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        servers: &[IpAddr],
    ) {
        if let Some(socket) = self.client.of(stack) {
            socket.update_servers(&known(servers));
        }
    }

    /// Begins to look up the addresses of `host` in `families`, for connections to `port`.
    ///
    /// A literal address, bare or in brackets, is not looked up, nor are `localhost` and names below `invalid`
    /// ([`Host`](connie_core::resolution::Host)). With the feature `nat64`, a stack without an IPv4 route also asks for the prefix of the
    /// network's NAT64, by a third query, and reaches IPv4 addresses through it (RFC 8305 section 7).
    ///
    /// # Errors
    ///
    /// [`LookupError`], with nothing begun.
    pub fn look_up<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        families: Families,
    ) -> Result<Lookup, LookupError> {
        let mut lookup = Lookup {
            client: self.client,
            port,
            resolution: Resolution::new(families),
            pending: [None; 3],
            known: Known::Nothing,
            best: [None; 2],
        };
        match Host::parse(host).map_err(LookupError::Host)? {
            Host::Nowhere => lookup.known = Known::All(Vec::new()),
            Host::Loopback => {
                lookup.known = Known::All(LOOPBACK.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
            }
            Host::Address(literal) => {
                let address = literal.socket_addr(port).ok_or(LookupError::Zone)?;
                if has_nat64(stack, families)
                    && address.is_ipv4()
                    && way_to(stack, &address) == Route::Unreachable
                {
                    lookup.resolution = through_nat64();
                    lookup.known = Known::Literal;
                    // Its own queries have their answers; that leaves the one for the prefix.
                    let _ = lookup.resolution.answered(Query::Aaaa, &[]);
                    let _ = lookup.resolution.answered(Query::A, &[address]);
                } else {
                    lookup.known = Known::All(core::iter::once(address).collect());
                }
            }
            Host::Name(_) if has_nat64(stack, families) => lookup.resolution = through_nat64(),
            Host::Name(_) => {}
        }
        if !matches!(lookup.known, Known::All(_)) {
            lookup.ask(stack, host)?;
        }
        Ok(lookup)
    }
}

/// Whether IPv4 is to be reached through a NAT64: there is IPv6, and no IPv4 route.
fn has_nat64<D: Device, B: Board, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    families: Families,
) -> bool {
    cfg!(feature = "nat64")
        && families == Families::Both
        && !has_route(stack, Family::V4)
        && has_route(stack, Family::V6)
}

/// A resolution that asks for the network's prefix too.
#[cfg(feature = "nat64")]
fn through_nat64() -> Resolution<ROOM> {
    Resolution::with_nat64()
}

/// Never called: [`has_nat64`] is false. Without room for addresses such a resolution does not compile.
#[cfg(not(feature = "nat64"))]
fn through_nat64() -> Resolution<ROOM> {
    Resolution::new(Families::Both)
}

/// Whether there is a way to the internet by `family`: addresses for documentation (RFC 5737, RFC 3849) go where any other goes that no
/// route names.
fn has_route<D: Device, B: Board, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    family: Family,
) -> bool {
    let anywhere = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    way_to(stack, &SocketAddr::new(anywhere, 0)) != Route::Unreachable
}

/// What RFC 6724 wants to know of the way to `address`.
fn way_to<D: Device, B: Board, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    address: &SocketAddr,
) -> Route {
    match address::ip(address.ip()).and_then(|ip| stack.way_to(ip)) {
        Some((_, source)) => Route::from_source(source.into()),
        None => Route::Unreachable,
    }
}

/// The addresses as smoltcp has them, without those of a family that is not built in, or that nobody has.
fn known(servers: &[IpAddr]) -> Vec<IpAddress, 3> {
    let servers = servers.iter().filter_map(|server| address::ip(*server));
    servers.filter(|server| server.is_unicast()).take(3).collect()
}

/// A lookup under way. [`run`](Lookup::run) it with a race, or [`poll`](Lookup::poll) it beside one; [`cancel`](Lookup::cancel) it when it
/// is not wanted to its end: dropping it leaves its queries taken.
#[must_use = "dropping it leaves its queries taken: run it, or cancel it"]
pub struct Lookup {
    client: Client,
    port: u16,
    resolution: Resolution<ROOM>,
    /// In the order of [`Query::ALL`].
    pending: [Option<dns::QueryHandle>; 3],
    known: Known,
    /// The best address of each family, IPv6 before IPv4.
    best: [Option<Candidate>; 2],
}

/// What the race is to be told before anything has come.
enum Known {
    Nothing,
    /// There is nothing to ask.
    All(Vec<SocketAddr, 2>),
    /// An IPv4 address that waits for the prefix of the network's NAT64.
    Literal,
    Told,
}

/// How many addresses of each family are kept for NAT64.
const ROOM: usize = if cfg!(feature = "nat64") { MAX_ADDRESSES } else { 0 };

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}

impl Lookup {
    /// Sends the queries: AAAA first, then A (RFC 8305 section 3).
    fn ask<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        host: &str,
    ) -> Result<(), LookupError> {
        while let Some(query) = self.resolution.next_query() {
            match begin(stack, self.client, query.name(host), query) {
                Ok(begun) => *self.place(query) = begun,
                Err(error) => {
                    self.cancel(stack);
                    return Err(error);
                }
            }
        }
        stack.has_work = true;
        Ok(())
    }

    /// Tells the race what has come. Does not serve the stack: [`Stack::poll`] does.
    pub fn poll<
        'a,
        D: Device,
        B: Board,
        const TCP: usize,
        const UDP: usize,
        const DESTINATIONS: usize,
        const SOCKETS: usize,
        const RECORDS: usize,
    >(
        &mut self,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        connector: &mut Connector<Stack<'a, D, B, TCP, UDP>, DESTINATIONS, SOCKETS, RECORDS>,
    ) {
        let now = stack.now();
        match core::mem::replace(&mut self.known, Known::Told) {
            Known::All(addresses) => connector.handle_addresses(&addresses, now),
            Known::Literal => connector.resolution_failed(Family::V6, now),
            // A host without IPv6 has no preference for it that would be worth a wait.
            Known::Nothing if !has_route(stack, Family::V6) => connector.prefer(Family::V4),
            Known::Nothing | Known::Told => {}
        }
        for query in Query::ALL {
            let Some(addresses) = self.take(stack, query) else { continue };
            let Ok(mut addresses) = addresses else {
                // An answer without addresses, too: smoltcp tells no more.
                for input in self.resolution.failed(query, QueryError::Failed) {
                    connector.handle_input(input, now);
                }
                continue;
            };
            if query != Query::Nat64Prefix {
                self.rank(stack, query, &mut addresses, connector);
            }
            for input in self.resolution.answered(query, &addresses) {
                connector.handle_input(input, now);
            }
        }
    }

    /// The result of `query`, once.
    fn take<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        query: Query,
    ) -> Option<Result<Vec<SocketAddr, MAX_ADDRESSES>, ()>> {
        let (client, port) = (self.client, self.port);
        let place = self.place(query);
        let Some(pending) = *place else {
            // Of a family that is not built in: nobody answers.
            return self.resolution.is_pending(query).then_some(Err(()));
        };
        // The query is there: it was begun in this stack, and it is freed by telling its result, which is done once.
        let result = client.of(stack).map(|socket| socket.get_query_result(pending));
        if let Some(Err(dns::GetQueryResultError::Pending)) = result {
            return None;
        }
        *place = None;
        Some(match result {
            // As many as smoltcp keeps, which is 8.
            Some(Ok(found)) => {
                Ok(found.into_iter().map(|ip| SocketAddr::new(ip.into(), port)).take(MAX_ADDRESSES).collect())
            }
            _ => Err(()),
        })
    }

    /// Puts an answer in the order of RFC 6724, and sees to it that the family of the best address of all comes first.
    fn rank<
        'a,
        D: Device,
        B: Board,
        const TCP: usize,
        const UDP: usize,
        const DESTINATIONS: usize,
        const SOCKETS: usize,
        const RECORDS: usize,
    >(
        &mut self,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        query: Query,
        addresses: &mut Vec<SocketAddr, MAX_ADDRESSES>,
        connector: &mut Connector<Stack<'a, D, B, TCP, UDP>, DESTINATIONS, SOCKETS, RECORDS>,
    ) {
        let candidates =
            addresses.iter().map(|address| Candidate::new(&DEFAULT_POLICY, *address, way_to(stack, address)));
        let mut candidates: Vec<_, MAX_ADDRESSES> = candidates.take(MAX_ADDRESSES).collect();
        selection::sort(&mut candidates);
        addresses.clear();
        addresses.extend(candidates.iter().map(Candidate::address).take(MAX_ADDRESSES));
        let [v6, v4] = &mut self.best;
        match query {
            Query::A => *v4 = candidates.first().copied(),
            _ => *v6 = candidates.first().copied(),
        }
        if let (Some(v6), Some(v4)) = (v6, v4) {
            connector.prefer(if v4.compare(v6).is_lt() { Family::V4 } else { Family::V6 });
        }
    }

    /// Whether all that there is to tell was told.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.known, Known::Told) && self.pending.iter().all(Option::is_none)
    }

    /// Gives up what has not been answered.
    pub fn cancel<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) {
        self.known = Known::Told;
        for pending in &mut self.pending {
            if let (Some(pending), Some(socket)) = (pending.take(), self.client.of(stack)) {
                // The query is there: see above.
                socket.cancel_query(pending);
            }
        }
    }

    /// Runs a race to its end while the answers come in: the first usable one starts it, and the other's addresses join.
    ///
    /// # Errors
    ///
    /// As [`Connector::run`]. [`Failure`] tells a name without addresses from addresses that do not answer.
    pub fn run<
        'a,
        D: Device,
        B: Board,
        C: Board,
        const TCP: usize,
        const UDP: usize,
        const DESTINATIONS: usize,
        const SOCKETS: usize,
        const RECORDS: usize,
    >(
        &mut self,
        connector: &mut Connector<Stack<'a, D, B, TCP, UDP>, DESTINATIONS, SOCKETS, RECORDS>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        waiter: &mut BoardWaiter<C>,
    ) -> Result<Connection<TcpSocket>, Failure> {
        let result = loop {
            self.poll(stack, connector);
            if let Poll::Ready(result) = connector.turn(stack, waiter) {
                break result;
            }
        };
        self.cancel(stack);
        result
    }

    fn place(&mut self, query: Query) -> &mut Option<dns::QueryHandle> {
        let [aaaa, a, prefix] = &mut self.pending;
        match query {
            Query::Aaaa => aaaa,
            Query::A => a,
            Query::Nat64Prefix => prefix,
        }
    }
}

/// Sends one query; `None` where its family is not built in.
fn begin<D: Device, B: Board, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    client: Client,
    host: &str,
    query: Query,
) -> Result<Option<dns::QueryHandle>, LookupError> {
    let kind = match query {
        #[cfg(feature = "ipv4")]
        Query::A => DnsQueryType::A,
        #[cfg(feature = "ipv6")]
        Query::Aaaa | Query::Nat64Prefix => DnsQueryType::Aaaa,
        #[cfg(not(all(feature = "ipv4", feature = "ipv6")))]
        _ => return Ok(None),
    };
    client.of(stack).ok_or(LookupError::WrongStack)?;
    let socket = crate::stack::find::<dns::Socket<'_>>(&mut stack.sockets, client.handle);
    let socket = socket.ok_or(LookupError::WrongStack)?;
    match socket.start_query(stack.interface.context(), host, kind) {
        Ok(query) => Ok(Some(query)),
        // Not after what `Host` has looked at.
        Err(dns::StartQueryError::InvalidName) => Err(LookupError::Host(HostError::Label)),
        Err(dns::StartQueryError::NameTooLong) => Err(LookupError::Host(HostError::TooLong)),
        Err(dns::StartQueryError::NoFreeSlot) => Err(LookupError::OutOfQueries),
    }
}
