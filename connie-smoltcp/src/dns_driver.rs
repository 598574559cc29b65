//! From a host's text to the connection that wins: the queries of a [`ConnectDriver`], answered by a [`Dns`].

use core::cell::RefCell;
use core::fmt;
use core::net::SocketAddr;

use connie_core::connect::{AddressOrder, Connect, ConnectInput, Facts, InvalidHost, Start};
use connie_core::memory::{Memory, NoMemory, Recall, Recalled, Verdict};
use connie_core::race::Guide;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{HostError, Query, QueryError};
use connie_core::stack::TcpClientStack;
use connie_core::timeline::Timeline;
use connie_core::{
    Config, ConnectDriver, Connection, Failure, Instant, PollEntry, PollResult, Poller, Progress, RaceStack,
    TurnResult,
};
use connie_dns::{Name, NameError, QuestionId, RecordSet, RecordType};
use heapless::Vec;
use smoltcp::phy::Device;

use crate::address::sooner;
use crate::dns::{Dns, DnsState};
use crate::platform::Platform;
use crate::poller::PlatformPoller;
use crate::stack::Stack;
use crate::tcp::TcpSocket;

/// For how many addresses of each family there is room where IPv4 is reached through NAT64.
pub(crate) const NAT64: usize = if cfg!(feature = "nat64") { 8 } else { 0 };

/// Why a [`DnsDriver`] cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StartError {
    /// The text is not a host name or address.
    Host(HostError),
    /// The address is in a zone that is not given by number: an interface here has no name.
    Zone,
    /// The name is longer than the [DNS client](Dns) has room for.
    NameTooLong,
    /// The [DNS client](Dns) has no room for another name, or no socket for each question.
    OutOfQueries,
    /// The DNS client belongs to another stack.
    WrongStack,
    /// There are more hosts than a [`HostsDriver`](crate::HostsDriver) has room for.
    TooManyHosts,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Host(error) => error.fmt(f),
            StartError::Zone => f.write_str("give the zone of an address by number"),
            StartError::NameTooLong => {
                f.write_str("the DNS client has no room for so long a name: give it more (NAME)")
            }
            StartError::OutOfQueries => {
                f.write_str("the DNS client has no room for another lookup: give it more (NAMES, DnsBuffers)")
            }
            StartError::WrongStack => f.write_str("the DNS client belongs to another stack"),
            StartError::TooManyHosts => f.write_str("no room for so many hosts: give it more (HOSTS)"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<InvalidHost> for StartError {
    fn from(error: InvalidHost) -> Self {
        match error {
            InvalidHost::Host(error) => StartError::Host(error),
            _ => StartError::Zone,
        }
    }
}

/// From a host's text to the connection that wins: a [`ConnectDriver`] whose queries a [`Dns`] answers. The
/// numbers are those of the [`ConnectDriver`]; `N` is the type of the DNS client, where its capacities are
/// not the default.
///
/// [`run`](DnsDriver::run) it, or [`poll`](DnsDriver::poll) it beside other things.
/// [`cancel`](DnsDriver::cancel) it when it is not wanted to its end: dropping it leaves its sockets taken,
/// and its queries until they have ended and for 10 s more.
///
/// ```no_run
/// # use connie_smoltcp::{Platform, PlatformPoller, Dns, DnsDriver, StartError, Stack, TcpSocket, smoltcp::phy::Device};
/// # use connie_core::{Config, Connection, Failure};
/// # fn main() {}
/// # enum Trouble { Lookup(StartError), Race(Failure) }
/// # impl From<StartError> for Trouble { fn from(error: StartError) -> Self { Trouble::Lookup(error) } }
/// # impl From<Failure> for Trouble { fn from(failure: Failure) -> Self { Trouble::Race(failure) } }
/// # fn connect<D: Device, B: Platform>(
/// #     dns: &Dns, mut stack: Stack<'_, D, B>, mut poller: PlatformPoller<B>,
/// # ) -> Result<Connection<TcpSocket>, Trouble> {
/// let config = Config::all_at_once();
/// let mut driver = DnsDriver::<_, 16, 4>::new(dns, &mut stack, "example.org", 80, &config)?;
/// let connection = driver.run(&mut stack, &mut poller)?;
/// # Ok(connection)
/// # }
/// ```
#[must_use = "dropping it leaves its queries taken: run it, or cancel it"]
pub struct DnsDriver<
    'd,
    S: RaceStack,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    N = Dns,
    M: Recall<DESTINATIONS> = NoMemory,
> {
    driver: ConnectDriver<S, DESTINATIONS, SOCKETS, RECORDS, NAT64, M::Guide>,
    dns: &'d N,
    port: u16,
    asked: OpenQueries,
    memory: M,
    /// What the stack's [`Sources`](crate::sources::Sources) said last.
    changes: u8,
}

/// What is asked, in the order of [`Query::ALL`].
pub(crate) struct OpenQueries(pub(crate) [Option<QuestionId>; 3]);

impl OpenQueries {
    pub(crate) fn slot(&mut self, query: Query) -> &mut Option<QuestionId> {
        let [aaaa, a, prefix] = &mut self.0;
        match query {
            Query::Aaaa => aaaa,
            Query::A => a,
            Query::Nat64Prefix => prefix,
        }
    }
}

impl<S, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, N, M> fmt::Debug
    for DnsDriver<'_, S, DESTINATIONS, SOCKETS, RECORDS, N, M>
where
    S: RaceStack,
    M: Recall<DESTINATIONS>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsDriver").field("connect", self.driver.connect()).finish_non_exhaustive()
    }
}

impl<
    'd,
    'a,
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
>
    DnsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        NoMemory,
    >
{
    /// A connect that begins now, with its queries asked; they are sent by the first turn or poll.
    ///
    /// What is asked, and what answers mean, is written at [`connie_core::connect`]. With the feature
    /// `nat64`, a stack that has a route by IPv6 and none by IPv4 asks for the prefix of the network's NAT64
    /// by a third query, and reaches IPv4 addresses through it.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing begun.
    pub fn new(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        config: &Config,
    ) -> Result<Self, StartError> {
        let facts = stack.facts();
        Self::with_facts(dns, stack, host, port, config, &facts)
    }

    /// As [`new`](DnsDriver::new), with more than the stack's own [facts](Stack::facts): the
    /// [addresses](Facts::hosts) that the program knows without a lookup, say.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing begun.
    pub fn with_facts(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        config: &Config,
        facts: &Facts<'_>,
    ) -> Result<Self, StartError> {
        Self::begin(dns, stack, (host, port), config, facts, NoMemory)
    }
}

impl<
    'd,
    'a,
    'm,
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
    const PLACES: usize,
>
    DnsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        Recalled<'m, PLACES>,
    >
{
    /// As [`new`](DnsDriver::new), with a memory of `PLACES` places: from the second visit to a host on one
    /// SYN is enough, mostly. It is asked when addresses are known, and taught at the end; in between it is
    /// free for others. Have it [forget](Memory::forget) when the program learns that the network is another
    /// one.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing begun.
    pub fn with_memory(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        host: &str,
        port: u16,
        config: &Config,
        memory: &'m RefCell<Memory<PLACES>>,
    ) -> Result<Self, StartError> {
        let facts = stack.facts();
        let recalled = Recalled::new(memory, [host], &stack.network());
        Self::begin(dns, stack, (host, port), config, &facts, recalled)
    }

    /// Tells the memory what came of the connection to `address`: a server that completes the handshake and
    /// then fails is tried after others for some time, for this host alone.
    pub fn report(&self, address: SocketAddr, verdict: Verdict, now: Instant) {
        self.memory.report(address, verdict, now);
    }
}

impl<
    'd,
    'a,
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
    M: Recall<DESTINATIONS>,
>
    DnsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        M,
    >
{
    // Not part of its caller, which would keep room for what it needs on the way.
    #[inline(never)]
    fn begin(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        (host, port): (&str, u16),
        config: &Config,
        facts: &Facts<'_>,
        memory: M,
    ) -> Result<Self, StartError> {
        let start = Start::new(host, port, facts)?;
        let mut asked = OpenQueries([None; 3]);
        let wants = |query| start.asks(query, config, facts, cfg!(feature = "nat64"));
        dns.ask(stack, host, &mut asked, wants)?;
        // Last, and in its place: it is large.
        let mut driver = ConnectDriver::begin(start, config, facts, stack.now());
        driver.plan_by(&memory, stack.now());
        Ok(DnsDriver { driver, dns, port, asked, memory, changes: stack.sources.changes() })
    }

    /// Runs it to its end while the answers come in: the first usable one starts the race, and the other's
    /// addresses join.
    ///
    /// # Errors
    ///
    /// What ended it without a connection: [`Failure`] tells a name without addresses from addresses that do
    /// not answer, and [`connect`](Self::connect) why there are none. A driver whose connection was already
    /// handed over is [`Failure::Canceled`].
    pub fn run<C: Platform>(
        &mut self,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        poller: &mut PlatformPoller<C>,
    ) -> Result<Connection<TcpSocket>, Failure> {
        let result = loop {
            let next = self.take_answers(stack);
            match self.driver.turn(stack, &mut PollerUntil { poller, next }) {
                TurnResult::Waited => {}
                TurnResult::SendQuery(query) => self.handle_sent(query, stack),
                TurnResult::Connected(connection) => break Ok(connection),
                TurnResult::Failed(failure) => break Err(failure),
            }
        };
        self.end(stack);
        result
    }

    /// Takes in what has come, and does what is to be done now. Never waits, and does not serve the stack:
    /// [`Stack::poll`] does.
    pub fn poll(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) -> Progress<TcpSocket> {
        let next = self.take_answers(stack);
        let now = stack.now();
        let progress = loop {
            let until = match self.driver.poll(stack, now) {
                Progress::WaitUntil(until) => sooner(Some(until), next),
                Progress::WaitForInput => next,
                Progress::SendQuery(query) => {
                    self.handle_sent(query, stack);
                    continue;
                }
                Progress::Connected(connection) => break Progress::Connected(connection),
                Progress::Failed(failure) => break Progress::Failed(failure),
                Progress::Finished => break Progress::Finished,
            };
            return until.map_or(Progress::WaitForInput, Progress::WaitUntil);
        };
        self.end(stack);
        progress
    }

    /// Gives it up and releases its queries and sockets. A connection that was already handed over stays.
    pub fn cancel(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        let now = stack.now();
        let _ = self.driver.cancel(stack, now);
        self.end(stack);
    }

    fn end(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        self.driver.teach(&self.memory, stack.now());
        self.dns.cancel_queries(stack, &mut self.asked);
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.driver.timeline()
    }

    /// The connect, to look at: which queries are open, and which have failed, and why.
    #[must_use]
    pub fn connect(&self) -> &Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, M::Guide> {
        self.driver.connect()
    }

    /// Serves the DNS client, and takes its answers. When it is to be served again.
    // As above.
    #[inline(never)]
    fn take_answers(&mut self, stack: &mut Stack<'a, D, B, TCP, UDP>) -> Option<Instant> {
        let changes = stack.sources.changes();
        if core::mem::replace(&mut self.changes, changes) != changes {
            // First, since the plan is one for what begins anew.
            let now = stack.now();
            self.driver.take_source_changes(stack, now);
            self.memory.move_to(&stack.network());
            self.driver.plan_by(&self.memory, now);
        }
        // Nobody else has it.
        let mut inner = self.dns.inner.try_borrow_mut().ok()?;
        let is_ours = inner.belongs_to(stack);
        let next = if is_ours { inner.serve(stack) } else { None };
        for query in Query::ALL {
            let Some(id) = *self.asked.slot(query) else { continue };
            let now = stack.now();
            // Another stack knows nothing of it.
            let answer = if is_ours { inner.client.answer(id, now) } else { Some(Err(QueryError::Failed)) };
            match answer {
                None => continue,
                Some(Ok(answer)) => handle_answer(&mut self.driver, query, answer, self.port, stack),
                Some(Err(error)) => {
                    self.driver.handle_input(ConnectInput::QueryFailed { query, error }, now);
                }
            }
            self.driver.plan_by(&self.memory, now);
            inner.client.give_up(id);
            *self.asked.slot(query) = None;
        }
        next
    }

    /// `new` has asked it, unless its family is not built in: then nobody answers.
    fn handle_sent(&mut self, query: Query, stack: &mut Stack<'a, D, B, TCP, UDP>) {
        if self.asked.slot(query).is_none() {
            let failed = ConnectInput::QueryFailed { query, error: QueryError::Failed };
            self.driver.handle_input(failed, stack.now());
        }
    }
}

/// Tells the connect what a query has brought.
#[inline(never)]
fn handle_answer<
    'a,
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    G: Guide,
>(
    driver: &mut ConnectDriver<Stack<'a, D, B, TCP, UDP>, DESTINATIONS, SOCKETS, RECORDS, NAT64, G>,
    query: Query,
    answer: RecordSet<'_>,
    port: u16,
    stack: &mut Stack<'a, D, B, TCP, UDP>,
) {
    let (mut addresses, mut ways) =
        (Vec::<SocketAddr, DESTINATIONS>::new(), Vec::<Route, DESTINATIONS>::new());
    driver.note_omitted(place(answer, port, stack, &mut addresses, &mut ways));
    let answer = ConnectInput::Answered { query, addresses: &addresses, order: AddressOrder::Any(&ways) };
    driver.handle_input(answer, stack.now());
}

/// Takes as many addresses as a race has room for, each with the way to it. How many are left out.
pub(crate) fn place<D: Device, B: Platform, const TCP: usize, const UDP: usize, const DESTINATIONS: usize>(
    answer: RecordSet<'_>,
    port: u16,
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    addresses: &mut Vec<SocketAddr, DESTINATIONS>,
    ways: &mut Vec<Route, DESTINATIONS>,
) -> u16 {
    let mut omitted: u16 = 0;
    for ip in answer.addresses() {
        if addresses.push(SocketAddr::new(ip, port)).is_err() {
            omitted = omitted.saturating_add(1);
            continue;
        }
        // There is as much room for these.
        let _ = ways.push(stack.route_to(ip));
    }
    omitted
}

impl<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize>
    Dns<NAMES, SERVERS, NAME, DATA>
{
    /// Asks what is wanted, all or nothing.
    pub(crate) fn ask<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        host: &str,
        asked: &mut OpenQueries,
        wants: impl Fn(Query) -> bool,
    ) -> Result<(), StartError> {
        let result = self.try_ask(stack, host, asked, wants);
        if result.is_err() {
            self.cancel_queries(stack, asked);
        }
        result
    }

    // Not inlined: its callers would keep room for names on the stack.
    #[inline(never)]
    fn try_ask<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        host: &str,
        asked: &mut OpenQueries,
        wants: impl Fn(Query) -> bool,
    ) -> Result<(), StartError> {
        let inner = self.inner.try_borrow_mut();
        // Nobody else has it.
        let mut inner = inner.map_err(|_| StartError::OutOfQueries)?;
        for query in Query::ALL.into_iter().filter(|query| wants(*query)) {
            if !inner.belongs_to(stack) {
                return Err(StartError::WrongStack);
            }
            let kind = match query {
                #[cfg(feature = "ipv4")]
                Query::A => RecordType::A,
                #[cfg(feature = "ipv6")]
                Query::Aaaa | Query::Nat64Prefix => RecordType::Aaaa,
                #[cfg(not(all(feature = "ipv4", feature = "ipv6")))]
                _ => continue,
            };
            let name = Name::parse(query.name(host)).map_err(|error| match error {
                NameError::TooLong => StartError::NameTooLong,
                // Not after what `Host` has looked at.
                _ => StartError::Host(HostError::Label),
            })?;
            let id = inner.client.ask(&name, kind, stack.now()).ok_or(StartError::OutOfQueries)?;
            *asked.slot(query) = Some(id);
        }
        if inner.has_room() { Ok(()) } else { Err(StartError::OutOfQueries) }
    }

    /// Gives up what has not been answered.
    pub(crate) fn cancel_queries<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        asked: &mut OpenQueries,
    ) {
        // Nobody else has it.
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return };
        let DnsState { client, .. } = &mut *inner;
        asked.0.iter_mut().filter_map(Option::take).for_each(|id| client.give_up(id));
        if inner.belongs_to(stack) {
            inner.close_unused(stack);
        }
    }
}

/// A poller that waits no longer than until the DNS client is to be served.
pub(crate) struct PollerUntil<'w, C> {
    pub(crate) poller: &'w mut PlatformPoller<C>,
    pub(crate) next: Option<Instant>,
}

impl<'a, D: Device, C: Platform, B: Platform, const TCP: usize, const UDP: usize>
    Poller<Stack<'a, D, C, TCP, UDP>> for PollerUntil<'_, B>
{
    fn now(&mut self) -> Instant {
        self.poller.0.now()
    }

    fn wait(
        &mut self,
        stack: &mut Stack<'a, D, C, TCP, UDP>,
        sockets: &mut [PollEntry<'_, <Stack<'a, D, C, TCP, UDP> as TcpClientStack>::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.poller.wait(stack, sockets, sooner(until, self.next))
    }
}
