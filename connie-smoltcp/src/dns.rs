//! Names, over smoltcp's DNS socket: both families side by side, each told to the race when it answers.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use connie_core::resolution::{Host, HostError, LOOPBACK};
use connie_core::{Connection, Connector, Failure, Families, Family, Instant};
use heapless::Vec;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::Device;
use smoltcp::socket::dns;
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::address;
use crate::board::{Board, BoardWaiter};
use crate::stack::{Stack, StorageFull};
use crate::tcp::TcpSocket;

/// The most addresses of one family in an answer. Further ones are left out.
pub const MAX_ADDRESSES: usize = 8;

/// The memory of one query. A lookup needs two: one for each family.
pub type QueryStorage = Option<dns::DnsQuery>;

/// smoltcp's DNS client.
///
/// It asks over UDP, each server for 10 to 15 s with repeated questions before the next. What it does not do: it takes no
/// notice of a truncated answer, does not ask again over TCP, keeps nothing, and tells neither a name that does not exist
/// from one without addresses nor that from a server's failure. All three are a [failed
/// resolution](Connector::resolution_failed) to a race.
#[derive(Debug)]
pub struct Dns {
    handle: SocketHandle,
}

/// Why a lookup cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is no host.
    Host(HostError),
    /// Other lookups have all the memory that was lent: two [`QueryStorage`] for each lookup.
    OutOfQueries,
    /// The DNS client belongs to another stack.
    WrongStack,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::Host(error) => error.fmt(f),
            LookupError::OutOfQueries => f.write_str("no room for another query: lend the DNS client more"),
            LookupError::WrongStack => f.write_str("the DNS client belongs to another stack"),
        }
    }
}

impl core::error::Error for LookupError {}

/// The answer for one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The family that was asked for.
    pub family: Family,
    /// Its addresses, in the server's order. Empty: there are none, or nobody knows.
    pub addresses: Vec<SocketAddr, MAX_ADDRESSES>,
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
        Ok(Dns { handle: stack.add(dns::Socket::new(&known(servers), queries))? })
    }

    /// Asks other servers from now on.
    pub fn set_servers<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        servers: &[IpAddr],
    ) {
        if let Some(socket) = stack.find::<dns::Socket<'_>>(self.handle) {
            socket.update_servers(&known(servers));
        }
    }

    /// Begins to look up the addresses of `host` in `families`, for connections to `port`. What is no name to ask for
    /// ([`Host`]) is answered without a query: an address literal, `localhost`, names below `invalid`.
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
        let mut lookup = Lookup { handle: self.handle, port, v6: Query::Failed, v4: Query::Failed };
        let known: &[IpAddr] = match Host::parse(host).map_err(LookupError::Host)? {
            Host::Name(_) => return self.ask_for(stack, host, families, lookup),
            Host::Address(literal) => &[literal.ip],
            Host::Loopback => &LOOPBACK,
            Host::Nowhere => &[],
        };
        for ip in known {
            let family = Family::of(&SocketAddr::new(*ip, port));
            if families.allow(family) {
                *lookup.query(family) = Query::Known(*ip);
            }
        }
        Ok(lookup)
    }

    fn ask_for<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        host: &str,
        families: Families,
        mut lookup: Lookup,
    ) -> Result<Lookup, LookupError> {
        // RFC 8305 section 3: "the AAAA query SHOULD be sent first, followed by the A query".
        for family in [Family::V6, Family::V4] {
            if !families.allow(family) {
                continue;
            }
            match ask(stack, self.handle, host, family) {
                Ok(query) => *lookup.query(family) = query,
                Err(error) => {
                    lookup.cancel(stack);
                    return Err(error);
                }
            }
        }
        stack.has_work = true;
        Ok(lookup)
    }
}

/// The addresses as smoltcp has them, without those of a family that is not built in, or that nobody has.
fn known(servers: &[IpAddr]) -> Vec<IpAddress, 3> {
    let servers = servers.iter().filter_map(|server| address::ip(*server));
    servers.filter(|server| server.is_unicast()).take(3).collect()
}

fn ask<D: Device, B: Board, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    handle: SocketHandle,
    host: &str,
    family: Family,
) -> Result<Query, LookupError> {
    let kind = match family {
        #[cfg(feature = "ipv4")]
        Family::V4 => DnsQueryType::A,
        #[cfg(feature = "ipv6")]
        Family::V6 => DnsQueryType::Aaaa,
        _ => return Ok(Query::Failed),
    };
    let socket = crate::stack::find::<dns::Socket<'_>>(&mut stack.sockets, handle);
    let socket = socket.ok_or(LookupError::WrongStack)?;
    match socket.start_query(stack.interface.context(), host, kind) {
        Ok(query) => Ok(Query::Pending(query)),
        // `Host` is as strict, so that neither comes.
        Err(dns::StartQueryError::InvalidName) => Err(LookupError::Host(HostError::Label)),
        Err(dns::StartQueryError::NameTooLong) => Err(LookupError::Host(HostError::TooLong)),
        Err(dns::StartQueryError::NoFreeSlot) => Err(LookupError::OutOfQueries),
    }
}

/// A lookup under way. [`run`](Lookup::run) it with a race, or [`poll`](Lookup::poll) it beside one;
/// [`cancel`](Lookup::cancel) it when it is not wanted to its end: dropping it leaves its queries taken.
pub struct Lookup {
    handle: SocketHandle,
    port: u16,
    v6: Query,
    v4: Query,
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}

enum Query {
    Pending(dns::QueryHandle),
    /// There is no need to ask.
    Known(IpAddr),
    /// Not asked for, and not told yet.
    Failed,
    Told,
}

impl Lookup {
    /// The next answer that has come, if any. Each family is answered once. Does not serve the stack: [`Stack::poll`] does.
    pub fn poll<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Option<Answer> {
        let (handle, port) = (self.handle, self.port);
        for family in [Family::V6, Family::V4] {
            let query = self.query(family);
            let mut addresses = Vec::new();
            match query {
                Query::Told => continue,
                Query::Failed => {}
                Query::Known(ip) => _ = addresses.push(SocketAddr::new(*ip, port)),
                Query::Pending(pending) => {
                    // The query is there: it was begun, and it is freed by telling its result, which is done once.
                    let result =
                        stack.find::<dns::Socket<'_>>(handle).map(|socket| socket.get_query_result(*pending));
                    match result {
                        Some(Err(dns::GetQueryResultError::Pending)) => continue,
                        Some(Ok(found)) => {
                            for ip in found {
                                // As many as smoltcp keeps, which is 8.
                                let _ = addresses.push(SocketAddr::new(ip.into(), port));
                            }
                        }
                        Some(Err(dns::GetQueryResultError::Failed)) | None => {}
                    }
                }
            }
            *query = Query::Told;
            return Some(Answer { family, addresses });
        }
        None
    }

    /// Whether all answers were told.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!((&self.v6, &self.v4), (Query::Told, Query::Told))
    }

    /// Gives up what has not been answered.
    pub fn cancel<D: Device, B: Board, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) {
        for family in [Family::V6, Family::V4] {
            if let Query::Pending(pending) = core::mem::replace(self.query(family), Query::Told)
                && let Some(socket) = stack.find::<dns::Socket<'_>>(self.handle)
            {
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
            while let Some(answer) = self.poll(stack) {
                tell(connector, &answer, stack.now());
            }
            if let Poll::Ready(result) = connector.turn(stack, waiter) {
                break result;
            }
        };
        self.cancel(stack);
        result
    }

    fn query(&mut self, family: Family) -> &mut Query {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

fn tell<
    'a,
    D: Device,
    B: Board,
    const TCP: usize,
    const UDP: usize,
    const N: usize,
    const K: usize,
    const R: usize,
>(
    connector: &mut Connector<Stack<'a, D, B, TCP, UDP>, N, K, R>,
    answer: &Answer,
    now: Instant,
) {
    if answer.addresses.is_empty() {
        connector.resolution_failed(answer.family, now);
    } else {
        connector.resolved(answer.family, &answer.addresses, now);
    }
}
