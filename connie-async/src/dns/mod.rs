//! A DNS client over a stack's UDP: [`Dns`], a [`Lookup`] for [`RaceConnect`](crate::RaceConnect).
//!
//! All name servers of the network are asked, the next 250 ms after one that is silent and at once after one
//! that fails; NXDOMAIN, a refusal, a server's failure and silence are distinguished; answers are kept for
//! their time to live. What it does in whole is on the front page of [`connie_dns`], which decides; this is
//! what moves its datagrams.
//!
//! ```
//! use connie_async::dns::{Dns, Nal};
//! use connie_async::{Options, RaceConnect};
//! # use connie_async::Clock;
//! # use connie_async::connie_core::Instant;
//! # struct SystemClock(std::time::Instant);
//! # impl Clock for SystemClock {
//! #     fn now(&self) -> Instant {
//! #         Instant::ZERO + self.0.elapsed()
//! #     }
//! #     async fn wait_until(&self, at: Instant) {
//! #         async_io::Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
//! #     }
//! # }
//! # let clock = SystemClock(std::time::Instant::now());
//! # let seed = 0x6a09_e667_f3bc_c908;
//! use connie_async::ConnectionError;
//! use connie_async::connie_core::resolution::QueryError;
//! use std_embedded_nal_async::Stack;
//! # async_io::block_on(async {
//! # let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
//! # let servers = [server.local_addr().unwrap()];
//! # std::thread::spawn(move || {
//! #     let mut message = [0; 512];
//! #     while let Ok((length, from)) = server.recv_from(&mut message) {
//! #         // The query, as an answer that there is no such name.
//! #         (message[2], message[3]) = (0x81, 0x83);
//! #         server.send_to(&message[..length], from).unwrap();
//! #     }
//! # });
//!
//! // `servers` are those of the network, and `seed` is from a source of randomness.
//! let udp = Nal::<_>::new(Stack::default(), &servers);
//! let options = Options::new();
//! let net = RaceConnect::new(Stack::default(), Dns::new(&udp, &clock, seed), &clock, options.clone());
//! let error = net.connect(("nobody.test", 80), &options).await.err();
//! assert!(matches!(error, Some(ConnectionError::NotResolved(QueryError::NoSuchName))));
//! # });
//! ```
//!
//! # Who sends and who waits
//!
//! There is no task in the background. Who asked first, a lookup or a connect, sends and listens for all of
//! them, by `&self`; the others are woken when a question has ended. When its lookups have ended, or its
//! future was dropped, another one goes on with the same sockets. A question is asked once, however many wait
//! for it. A future that is polled no more and not dropped holds up those that wait for it, as in any program
//! of futures.
//!
//! # Capacities
//!
//! All are numbers of the type: [`Dns`].

mod drive;
mod nal;
mod state;
mod udp;

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;
use connie_core::resolution::selection::Route;
use connie_dns::{DnsClient, Name, QuestionId, RecordSet, RecordType};
use heapless::Vec;

pub use connie_dns::{self, DnsConfig};

use crate::clock::Clock;
use crate::lookup::{AddressList, Lookup};
use crate::queries::poll_once;

pub use nal::Nal;
pub use udp::{Udp, UdpError};

use state::{Deferred, DnsState, Ticket};

/// A DNS client over a stack's UDP, for all tasks of one executor: a [`Lookup`].
///
/// | number | what there is room for | default | more than that |
/// |---|---|---|---|
/// | `NAMES` | names that are asked for or known at a time | 4 | a lookup waits until another has ended |
/// | `SOCKETS` | sockets: one for each question and server, where two questions and two servers take four | 4 | a server's is taken for the next one, or the query waits for its turn |
/// | `WAITERS` | lookups that are woken, but for those in the task that drives | 8 | one looks every 50 ms by itself |
/// | `SERVERS` | name servers | 3 | are left out |
/// | `NAME` | octets of a name | 255 | the lookup [fails](QueryError::Failed) |
/// | `DATA` | octets of the addresses of a family: 16 for each of IPv6 | 128 | addresses are left out |
///
/// No borrow of what is shared lasts over an `await`, or while foreign code runs.
pub struct Dns<
    'a,
    U: Udp + 'a,
    C,
    const NAMES: usize = 4,
    const SOCKETS: usize = 4,
    const WAITERS: usize = 8,
    const SERVERS: usize = 3,
    const NAME: usize = 255,
    const DATA: usize = 128,
> {
    udp: &'a U,
    clock: C,
    shared: RefCell<DnsState<U::Socket<'a>, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>>,
}

/// How often a lookup looks that nobody can wake.
const EVERY: Duration = Duration::from_millis(50);

impl<'a, U: Udp + 'a, C: Clock> Dns<'a, U, C> {
    /// Asks over `udp`, with the default capacities and settings. Ids and ports are made from `seed`, which
    /// must be hard to guess: from a source of randomness, another at each start.
    #[must_use]
    pub fn new(udp: &'a U, clock: C, seed: u64) -> Self {
        Self::with_capacities(udp, clock, DnsConfig::default(), seed)
    }
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> Dns<'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    /// The same with capacities of one's own. Of `settings` those count that are no matter of the transport,
    /// which is UDP alone, nor of the [size of a datagram](Udp::largest_datagram).
    #[must_use]
    pub fn with_capacities(udp: &'a U, clock: C, settings: DnsConfig, seed: u64) -> Self {
        let settings = DnsConfig {
            transport: connie_dns::DnsTransport::Udp,
            largest_datagram: udp.largest_datagram(),
            ..settings
        };
        // Two sequences, neither of which tells of the other.
        let shared = DnsState::new(DnsClient::new(settings, seed), !seed);
        Dns { udp, clock, shared: RefCell::new(shared) }
    }

    /// Forgets what is known: for a program that has learnt that the network is another one now. Other name
    /// servers do so by themselves.
    pub fn forget(&self) {
        let now = self.clock.now();
        self.with(|shared| shared.client.forget(now));
    }

    /// Nobody has it borrowed meanwhile: `of` is ours, and calls nothing that comes back here.
    fn with<R>(
        &self,
        of: impl FnOnce(&mut DnsState<U::Socket<'a>, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>) -> R,
    ) -> Option<R> {
        self.shared.try_borrow_mut().ok().map(|mut shared| of(&mut shared))
    }

    /// Not part of a lookup's future, where the list would stay for as long as that.
    fn look_at_servers(&self) {
        let mut servers = Vec::<SocketAddr, SERVERS>::new();
        for server in self.udp.servers() {
            // One that is named twice takes no place of another's; those beyond are left out.
            if !servers.contains(&server) {
                let _ = servers.push(server);
            }
        }
        let now = self.clock.now();
        let mut deferred = Deferred::none();
        self.with(|shared| {
            if !shared.client.servers().eq(servers.iter().copied()) {
                shared.client.set_servers(&servers, now);
                // All that is asked is to be sent anew.
                shared.wake_driver(&mut deferred);
            }
        });
        deferred.do_all();
    }

    /// Asks for the records of `kind` that `host` has, and hands the answer to `read`.
    async fn ask<R>(
        &self,
        host: &str,
        kind: RecordType,
        read: impl FnOnce(Result<RecordSet<'_>, QueryError>) -> R,
    ) -> R {
        self.look_at_servers();
        let ticket = self.with(DnsState::take_ticket);
        let mut read = Some(read);
        let mut pending = PendingLookup { dns: self, ticket: ticket.unwrap_or_default(), id: None };
        let mut timer = pin!(None);
        poll_fn(|cx| {
            if let Some(found) = pending.look(host, kind, &mut read) {
                return Poll::Ready(found);
            }
            if !pending.waits(cx) {
                if timer.is_none() {
                    timer.set(Some(self.clock.wait_until(self.clock.now() + EVERY)));
                }
                if poll_once(timer.as_mut(), cx).is_some() {
                    cx.waker().wake_by_ref();
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// One lookup, which gives back what it holds when it is dropped.
struct PendingLookup<
    'd,
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> {
    dns: &'d Dns<'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>,
    ticket: Ticket,
    /// What it waits for, once there is room for it.
    id: Option<QuestionId>,
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> PendingLookup<'_, 'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    /// What is known, if it is; asks, if nobody has.
    fn look<R>(
        &mut self,
        host: &str,
        kind: RecordType,
        read: &mut Option<impl FnOnce(Result<RecordSet<'_>, QueryError>) -> R>,
    ) -> Option<R> {
        let now = self.dns.clock.now();
        let mut deferred = Deferred::none();
        let found = self.dns.with(|shared| {
            if self.id.is_none() {
                let Ok(name) = Name::parse(host) else {
                    return read.take().map(|read| read(Err(QueryError::Failed)));
                };
                self.id = shared.client.ask(&name, kind, now);
                // Not without room: who drives may be this very one, and would be woken over and over.
                if self.id.is_some() {
                    shared.wake_driver(&mut deferred);
                }
            }
            let answer = shared.client.answer(self.id?, now)?;
            read.take().map(|read| read(answer))
        });
        deferred.do_all();
        found.flatten()
    }

    fn waits(&self, cx: &Context<'_>) -> bool {
        self.dns.with(|shared| shared.waits(self.ticket, cx.waker())) == Some(true)
    }
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> Drop for PendingLookup<'_, 'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    fn drop(&mut self) {
        let mut deferred = Deferred::none();
        self.dns.with(|shared| {
            if let Some(id) = self.id {
                shared.client.give_up(id);
            }
            shared.leave(self.ticket);
            shared.release(&mut deferred);
            // There may be room now, or a socket to close.
            shared.wake_all(&mut deferred);
        });
        deferred.do_all();
    }
}

/// What drives for the lookups beside it, once nobody else does.
struct StandbyDriver<
    'd,
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> {
    dns: &'d Dns<'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>,
    ticket: Ticket,
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> Drop for StandbyDriver<'_, 'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    fn drop(&mut self) {
        let mut deferred = Deferred::none();
        self.dns.with(|shared| shared.leave_driving(self.ticket, &mut deferred));
        deferred.do_all();
    }
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> Lookup for Dns<'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    type Error = QueryError;

    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), QueryError> {
        let mut looking = pin!(self.lookup_served(host, family, answers));
        // Dropped first, so that the lookup closes sockets that have been put back.
        let mut serving = pin!(self.serve());
        poll_fn(|cx| {
            if let Poll::Ready(found) = looking.as_mut().poll(cx) {
                return Poll::Ready(found);
            }
            let _: Poll<Infallible> = serving.as_mut().poll(cx);
            looking.as_mut().poll(cx)
        })
        .await
    }

    /// Drives the client, if nobody else does.
    async fn serve(&self) -> Infallible {
        let standby =
            StandbyDriver { dns: self, ticket: self.with(DnsState::take_ticket).unwrap_or_default() };
        // Does nothing before it is polled. Dropped before `standby`, which is the driver until the sockets
        // are back.
        let mut driving = pin!(self.drive());
        poll_fn(|cx| {
            if self.with(|shared| shared.drives(standby.ticket, cx.waker())) == Some(true) {
                let _: Poll<Infallible> = driving.as_mut().poll(cx);
            }
            // The lookups beside it are woken when nobody drives any more.
            Poll::Pending
        })
        .await
    }

    async fn lookup_served(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), QueryError> {
        // Where the stack has no address of a family, an address of that can be of no use, but for NAT64.
        let through_nat64 = cfg!(feature = "nat64") && family == Family::V4;
        let (kind, internet) = match family {
            Family::V4 => (RecordType::A, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
            Family::V6 => (RecordType::Aaaa, IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
        };
        if self.udp.route(internet) == Route::Unreachable && !through_nat64 {
            return Ok(());
        }
        self.ask(host, kind, |answer| {
            answer?.addresses().for_each(|address| answers.push(address));
            Ok(())
        })
        .await
    }

    /// It is one already.
    fn query_error(&self, error: &QueryError) -> QueryError {
        *error
    }

    /// As the stack says.
    fn route(&self, address: IpAddr) -> Route {
        self.udp.route(address)
    }

    /// Fails: addresses are not looked up.
    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, QueryError> {
        Err(QueryError::Failed)
    }
}

impl<
    'a,
    U: Udp + 'a,
    C,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> fmt::Debug for Dns<'a, U, C, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut dns = f.debug_struct("Dns");
        if let Ok(shared) = self.shared.try_borrow() {
            dns.field("client", &shared.client);
        }
        dns.finish_non_exhaustive()
    }
}
