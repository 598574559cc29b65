//! The object in the middle: what it remembers, and how a lookup and a connect make one race.

use core::cell::RefCell;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use connie_core::connect::{Connect, ConnectInput, ConnectOutput, Facts, InvalidHost, Routes};
use connie_core::memory::{NoMemory, Recorded, Remember};
use connie_core::race::Guide;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Host, Literal, Query, QueryError};
use connie_core::timeline::LastRace;
use connie_core::{AttemptErrorKind, Config, Families, Instant, Pacing};
use heapless::Vec;

use crate::attempts::Opener;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::drive::{ConnectTarget, drive};
use crate::error::{ConnectionError, ResolveError};
use crate::known_names::{KnownNames, NameAddresses, StandsFor};
use crate::lookup::Lookup;
use crate::options::Options;
use crate::queries::{
    ConnectMachine, PendingQueries, empty_slot, handle_answer, look_up_query, poll_once, query_failure,
    with_port,
};
use crate::sources::network;
use crate::target::Target;

/// A network stack `T`, names `L` and a clock `C`, over which every connect is a race.
///
/// It implements embedded-nal-async's `TcpConnect` where `T` does, and `Dns`; with the feature `edge-nal` the
/// same for edge-nal's. See the [front page](crate) for what stands for what.
///
/// Up to `SOCKETS` attempts (at most 255) are in flight for one connect: no more than the stack has to spare.
/// A name has up to `ADDRESSES` addresses (at most 255), those of both families in turn where it has more,
/// and the last `NAMES` names are remembered, each in some 270 octets and 17 for each address. Capacities
/// that cannot work do not compile.
///
/// # Port 443
///
/// A client that is given an `https` URL may connect to port 443 and write its request in the clear, as
/// reqwless 0.14 does with its default features. So a client that connects to port 443 through the traits can
/// send only TLS: unless the first octet that it writes is that of a TLS handshake, the write fails with
/// [`ConnectionError::InTheClear`], and nothing is sent. A client that does TLS itself works as before.
/// [`allow_plain_443`](Self::allow_plain_443) is for programs that speak something else on that port.
///
/// To a stack, a URL with another port, such as `https://name.test:8443/`, looks like one of `http`. Whoever
/// gives such URLs to a client needs a stack whose connections are TLS: a `TlsRaceConnect` (feature `tls`).
pub struct RaceConnect<
    T,
    L,
    C,
    const SOCKETS: usize = 4,
    const ADDRESSES: usize = 8,
    const NAMES: usize = 4,
    M = NoMemory,
> {
    tcp: T,
    names: L,
    clock: C,
    config: Config,
    resolution_delay: Duration,
    /// Whether a client may send something other than TLS to port 443.
    plain_443: bool,
    /// Never borrowed over an `await`, nor while foreign code runs.
    known: RefCell<KnownNames<ADDRESSES, NAMES>>,
    memory: M,
}

/// How long a lookup that has an address waits for the other family. Both are asked at the same time, so that
/// the answers are mostly a millisecond or two apart; a family that is not waited for is asked for a second
/// time.
const RESOLUTION_DELAY: Duration = Duration::from_millis(15);

impl<T, L, C> RaceConnect<T, L, C> {
    /// Races over `tcp` with the default capacities. `options` are for programs that come through the traits,
    /// where a lookup and a connect may each take as long as the deadline says.
    pub const fn new(tcp: T, names: L, clock: C, options: Options) -> Self {
        Self::with_capacities(tcp, names, clock, options)
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize>
    RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES>
{
    /// The same with capacities of one's own: `RaceConnect::<_, _, _, 2, 4, 1>::with_capacities(..)`.
    pub const fn with_capacities(tcp: T, names: L, clock: C, options: Options) -> Self {
        let config = options.into_config();
        let known = RefCell::new(KnownNames::new());
        RaceConnect {
            tcp,
            names,
            clock,
            config,
            resolution_delay: RESOLUTION_DELAY,
            plain_443: false,
            known,
            memory: NoMemory,
        }
    }

    /// The same with a memory: a [`Memory`](connie_core::memory::Memory) in a [`RefCell`], or a reference to
    /// one. From the second visit to a host on one SYN is enough, mostly. Where the [`Lookup`] says from
    /// which addresses the stack [sends](Lookup::route) what was learnt on one network is not used on
    /// another; where it does not, [forget](connie_core::memory::Memory::forget) all when the network
    /// changes. Call [`with_record`](Self::with_record) after it, not before.
    ///
    /// ```
    /// # use connie_async::doc_stack::{Stack, SystemClock};
    /// use connie_async::connie_core::{Instant, memory::Memory};
    /// use connie_async::{Options, PlainDns, RaceConnect};
    /// use core::cell::RefCell;
    ///
    /// # let (tcp, names, clock) = (Stack, PlainDns(Stack), SystemClock::default());
    /// // A number that differs from device to device, and the time on the clock.
    /// let memory = RefCell::new(Memory::<32>::new(0x5eed, Instant::ZERO));
    /// let net = RaceConnect::new(tcp, names, clock, Options::new()).with_memory(&memory);
    /// ```
    #[must_use]
    pub fn with_memory<N: Remember<ADDRESSES>>(
        self,
        memory: N,
    ) -> RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, N> {
        let RaceConnect { tcp, names, clock, config, resolution_delay, plain_443, known, memory: _ } = self;
        RaceConnect { tcp, names, clock, config, resolution_delay, plain_443, known, memory }
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>
    RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
{
    /// The same, and the timeline of its last race is kept in `last`: what was tried, when, and how each
    /// attempt ended. Without one, nothing of a race is kept. `last` has room for `ADDRESSES` addresses and
    /// `SOCKETS` attempts, of 40 octets each. Where both are wanted, [`with_memory`](Self::with_memory) comes
    /// first.
    ///
    /// ```
    /// # use connie_async::doc_stack::{Stack, SystemClock};
    /// use connie_async::connie_core::timeline::LastRace;
    /// use connie_async::{Options, PlainDns, RaceConnect};
    /// use core::cell::RefCell;
    ///
    /// # let (tcp, names, clock) = (Stack, PlainDns(Stack), SystemClock::default());
    /// let last = RefCell::new(LastRace::new());
    /// let net = RaceConnect::new(tcp, names, clock, Options::new()).with_record(&last);
    /// // After a connect through `net`, whoever has called it:
    /// print!("{}", last.borrow().timeline().waterfall(80, Default::default()));
    /// ```
    #[must_use]
    pub fn with_record<'l>(
        self,
        last: &'l RefCell<LastRace<ADDRESSES, SOCKETS>>,
    ) -> RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, Recorded<'l, M, ADDRESSES, SOCKETS>> {
        let RaceConnect { tcp, names, clock, config, resolution_delay, plain_443, known, memory } = self;
        let memory = Recorded::new(memory, last);
        RaceConnect { tcp, names, clock, config, resolution_delay, plain_443, known, memory }
    }

    /// Its memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// How long a lookup that has brought an address waits for the other family: 15 ms by default. RFC 8305
    /// section 8 recommends 50 ms for its Resolution Delay, which serves the preference for IPv6. Here it
    /// spares the name server a query: a family that was not waited for is asked for again by the connect.
    #[must_use]
    pub const fn with_resolution_delay(mut self, delay: Duration) -> Self {
        self.resolution_delay = delay;
        self
    }

    /// Lets clients send something other than TLS to [port 443](Self#port-443). Never use it with a client
    /// that takes `https` URLs and does no TLS itself.
    #[must_use]
    pub const fn allow_plain_443(mut self) -> Self {
        self.plain_443 = true;
        self
    }

    /// The options that it was made with, for [`connect`](Self::connect) as well.
    pub fn options(&self) -> Options {
        Options::new().deadline(None).race(self.config.clone())
    }

    /// The stack.
    pub const fn tcp(&self) -> &T {
        &self.tcp
    }

    /// The names.
    pub const fn names(&self) -> &L {
        &self.names
    }

    /// How long an attempt of a program that comes through the traits keeps what others wait for.
    #[cfg(feature = "tls")]
    pub(crate) const fn patience(&self) -> Duration {
        self.config.patience
    }

    pub(crate) const fn clock(&self) -> &C {
        &self.clock
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M> fmt::Debug
    for RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RaceConnect");
        debug.field("config", &self.config).field("resolution_delay", &self.resolution_delay);
        debug.field("known", &self.known).finish_non_exhaustive()
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>
    RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    /// Looks `host` up, remembers what was found, and answers the address that stands for it. `may_invent`
    /// is whether that may be one of nobody, lest it stand for two names.
    pub(crate) async fn resolve(
        &self,
        host: &str,
        asked: Families,
        may_invent: bool,
    ) -> Result<IpAddr, ResolveError<L::Error>> {
        let families = both(self.config.families, asked).ok_or(ResolveError::NoAddress)?;
        let now = self.clock.now();
        let connect = self.machine((host, 0), None, self.lookup_config(families), now);
        let mut connect = connect.map_err(ResolveError::InvalidHost)?;
        let mut addresses = Vec::new();
        let asked = self.ask(&mut connect, &mut addresses, host, now).await;
        let late = Query::ALL.map(|query| is_late(&connect, query));
        // No query is left.
        let _ = next_query(&mut connect, &mut addresses, self.clock.now());
        let found = NameAddresses { addresses, late, families };
        if found.addresses.is_empty() {
            return Err(match (asked, query_failure(&connect, host)) {
                (Err(LookupTimedOut), _) => ResolveError::DeadlineExceeded,
                (Ok(_), Some(QueryError::NoSuchName)) => ResolveError::NoSuchName,
                (Ok(Some(error)), Some(_)) => ResolveError::Failed(error),
                (Ok(_), _) => ResolveError::NoAddress,
            });
        }
        let remembered = self.known.try_borrow_mut().ok();
        remembered
            .and_then(|mut known| known.remember(host, found, may_invent))
            .ok_or(ResolveError::NoAddress)
    }

    /// Sends the queries of `connect` and waits until all have answers, or `resolution_delay` has passed
    /// since the first address, or until the deadline. Returns the failure that tells most of the name.
    async fn ask(
        &self,
        connect: &mut ConnectMachine<ADDRESSES, SOCKETS, M::Guide>,
        addresses: &mut Vec<IpAddr, ADDRESSES>,
        host: &str,
        now: Instant,
    ) -> Result<Option<L::Error>, LookupTimedOut> {
        let ask = |query| look_up_query::<L, ADDRESSES>(&self.names, host, query);
        let serve = |()| L::serve(&self.names);
        // By itself: within `PendingQueries { .. }` the pinned values live on from Rust 1.89 on.
        let queries = [
            pin!(empty_slot(&ask)),
            pin!(empty_slot(&ask)),
            #[cfg(feature = "nat64")]
            pin!(empty_slot(&ask)),
        ];
        // After the lookups, so that it is dropped before them.
        let serving = pin!(empty_slot(&serve));
        let mut pending = PendingQueries { places: queries, serving };
        while let Some(query) = next_query(connect, addresses, now) {
            pending.begin(query, ask(query), || serve(()));
        }
        let mut failed = None;
        let mut deadline = self.config.deadline.map(|limit| now + limit);
        let mut timer = pin!(deadline.map(|at| self.clock.wait_until(at)));
        let mut hurried = false;
        poll_fn(|cx| {
            let now = self.clock.now();
            while let Some((query, answer)) = pending.poll(cx) {
                let meaning = answer.as_deref().map_err(|error| self.names.query_error(error));
                let precedence = meaning.err().map_or(u8::MAX, QueryError::precedence);
                handle_answer(connect, &self.names, query, meaning, NOWHERE, now);
                let tells_more = failed.as_ref().is_none_or(|(most, _)| precedence < *most);
                if let Some(error) = answer.err().filter(|_| tells_more && query != Query::Nat64Prefix) {
                    failed = Some((precedence, error));
                }
            }
            // Of a family without a route too, lest the connect ask again for what is a millisecond late.
            if !Query::ALL.into_iter().any(|query| connect.is_pending(query)) {
                return Poll::Ready(Ok(failed.take().map(|(_, error)| error)));
            }
            if !hurried && !connect.race().destinations().is_empty() {
                hurried = true;
                let delayed = self.clock.now() + self.resolution_delay;
                let at = deadline.map_or(delayed, |deadline| deadline.min(delayed));
                deadline = Some(at);
                timer.set(Some(self.clock.wait_until(at)));
            }
            if poll_once(timer.as_mut(), cx).is_none() {
                return Poll::Pending;
            }
            if deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
                return Poll::Ready(Err(LookupTimedOut));
            }
            // The clock was early. The executor has its other tasks to look after first.
            timer.set(deadline.map(|at| self.clock.wait_until(at)));
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Connects a client of the traits to `remote`, or to whatever name it stands for. `open` is the stack's
    /// connect.
    pub(crate) async fn connect_for_client<O, F, N, E>(
        &self,
        remote: SocketAddr,
        open: O,
    ) -> Result<Connection<N>, ConnectionError<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        let behind = self.behind(remote);
        let mut connect = self.begin(remote, behind.as_ref()).map_err(ConnectionError::InvalidHost)?;
        let connected =
            self.run(&mut connect, Self::wanted(remote, behind.as_ref()), Opener::tcp(open)).await;
        connected.map(|connection| if self.plain_443 { connection } else { connection.of_client() })
    }

    /// What `remote` stands for.
    pub(crate) fn behind(&self, remote: SocketAddr) -> Option<StandsFor<ADDRESSES>> {
        self.known.try_borrow().ok().and_then(|known| known.behind(remote.ip()))
    }

    /// What is wanted of a connect to `remote`, or to what is `behind` it.
    pub(crate) fn wanted(
        remote: SocketAddr,
        behind: Option<&StandsFor<ADDRESSES>>,
    ) -> ConnectTarget<'_, ADDRESSES> {
        let host = behind.map_or("", |behind| behind.host.as_str());
        ConnectTarget { host, known: behind.map(|behind| &behind.found), remote }
    }

    /// What is connected to `remote`, or to what is `behind` it.
    pub(crate) fn begin(
        &self,
        remote: SocketAddr,
        behind: Option<&StandsFor<ADDRESSES>>,
    ) -> Result<ConnectMachine<ADDRESSES, SOCKETS, M::Guide>, InvalidHost> {
        let now = self.clock.now();
        let both = self.config.families;
        let (host, hosts, families) = match behind {
            Some(StandsFor { host, found, is_shared: false }) if !is_whole(host, found) => {
                (host.as_str(), None, found.families)
            }
            Some(StandsFor { found, .. }) => {
                ("", Some(with_port::<ADDRESSES>(&found.addresses, remote)), both)
            }
            // What is not remembered stands for itself.
            None => ("", Some(with_port(&[remote.ip()], remote)), both),
        };
        let config = self.config.clone().families(families);
        self.machine((host, remote.port()), hosts.as_deref(), config, now)
    }

    /// What a lookup alone goes by: it has a deadline for itself.
    fn lookup_config(&self, families: Families) -> Config {
        self.config.clone().families(families).pacing(Pacing::AllAtOnce).deadline(None)
    }

    /// What is to be tried for a host and a port, or for `hosts`.
    fn machine(
        &self,
        (host, port): (&str, u16),
        hosts: Option<&[SocketAddr]>,
        config: Config,
        now: Instant,
    ) -> Result<ConnectMachine<ADDRESSES, SOCKETS, M::Guide>, InvalidHost> {
        let routes = Routes::of(|ip| self.names.route(ip) != Route::Unreachable);
        let facts = Facts::default().routes(routes).hosts(hosts);
        Connect::new(host, port, &config, &facts, now)
    }

    /// Connects to whichever address of `target` answers first, beginning with the first answer of a lookup.
    pub(crate) async fn connect_target_by<O, F, N, E>(
        &self,
        target: Target<'_>,
        options: &Options,
        opener: Opener<O, E>,
    ) -> Result<Connection<N>, ConnectionError<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        let (host, port) = target.host().ok_or(ConnectionError::InvalidTarget)?.unwrap_or(("", 0));
        let hosts = target.addresses();
        let config = options.clone().into_config();
        let connect = self.machine((host, port), hosts, config, self.clock.now());
        let mut connect = connect.map_err(ConnectionError::InvalidHost)?;
        // No address stands for it.
        let remote = SocketAddr::new(NOWHERE.ip(), port);
        self.run(&mut connect, ConnectTarget { host, known: None, remote }, opener).await
    }

    /// Not `async`: a future in a future is on the stack twice when it is made, and this is a large one.
    pub(crate) fn run<'r, O, F, N, E>(
        &'r self,
        connect: &'r mut ConnectMachine<ADDRESSES, SOCKETS, M::Guide>,
        wanted: ConnectTarget<'r, ADDRESSES>,
        opener: Opener<O, E>,
    ) -> impl Future<Output = Result<Connection<N>, ConnectionError<E>>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        let memory = self.memory.recall_to(opener.finish, [wanted.host], &network(&self.names));
        drive(connect, memory, &self.clock, &self.names, wanted, opener)
    }
}

/// Stands for no name: nobody can be at it.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The time for a lookup is over.
struct LookupTimedOut;

/// The families that both allow.
fn both(a: Families, b: Families) -> Option<Families> {
    match (a, b) {
        (Families::Both, other) | (other, Families::Both) => Some(other),
        (a, b) => (a == b).then_some(a),
    }
}

/// Whether `found` is all that there is to try for `host`: it is an IPv4 address, and what a NAT64 makes of
/// that is there. No query would bring it again, since none is sent for IPv6 addresses.
fn is_whole<const ADDRESSES: usize>(host: &str, found: &NameAddresses<ADDRESSES>) -> bool {
    let is_v4 = |literal: Literal<'_>| literal.ip.to_canonical().is_ipv4();
    cfg!(feature = "nat64")
        && !found.is_late(Query::Nat64Prefix)
        && matches!(Host::parse(host), Ok(Host::Address(literal)) if is_v4(literal))
}

/// Whether what answers `query` is not among the addresses of `connect`: IPv4 addresses are kept back until
/// it is known whether a NAT64 reaches them.
fn is_late<const ADDRESSES: usize, const SOCKETS: usize, G: Guide>(
    connect: &ConnectMachine<ADDRESSES, SOCKETS, G>,
    query: Query,
) -> bool {
    connect.is_pending(query) || (query == Query::A && connect.is_pending(Query::Nat64Prefix))
}

/// The query that `connect` wants sent next. What it would try before that joins `addresses`: each fails at
/// once, so that the turn of the next one comes, and all are reported in the order in which a race begins
/// with them.
fn next_query<const ADDRESSES: usize, const SOCKETS: usize, G: Guide>(
    connect: &mut ConnectMachine<ADDRESSES, SOCKETS, G>,
    addresses: &mut Vec<IpAddr, ADDRESSES>,
    now: Instant,
) -> Option<Query> {
    loop {
        match connect.poll_output(now) {
            ConnectOutput::SendQuery { query } => return Some(query),
            ConnectOutput::StartAttempt { id, destination } => {
                // It holds as many as the machine does.
                let _ = addresses.push(destination.ip());
                let error = AttemptErrorKind::Refused.into();
                connect.handle_input(ConnectInput::AttemptFailed { id, error }, now);
            }
            _ => return None,
        }
    }
}
