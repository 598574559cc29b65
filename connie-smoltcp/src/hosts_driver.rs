//! From several hosts' texts to the connection that wins: all their addresses in one race.

use core::cell::RefCell;
use core::fmt;
use core::net::SocketAddr;

use connie_core::connect::{AddressOrder, Connect, ConnectInput, Facts, Hosts, Start};
use connie_core::memory::{Memory, NoMemory, Recall, Recalled, Verdict};
use connie_core::resolution::{Query, QueryError};
use connie_core::timeline::Timeline;
use connie_core::{Config, ConnectDriver, Connection, Failure, Instant, Progress, RaceStack, TurnResult};
use heapless::Vec;
use smoltcp::phy::Device;

use crate::address::sooner;
use crate::dns::Dns;
use crate::dns_driver::{NAT64, OpenQueries, PollerUntil, StartError, place};
use crate::platform::Platform;
use crate::poller::PlatformPoller;
use crate::stack::Stack;
use crate::tcp::TcpSocket;

/// Several hosts of which any will do, such as brokers: from their texts to the connection that wins, all
/// their addresses in one race, names looked up side by side by a [`Dns`]. The rules are those of [`Hosts`];
/// a host is a name or an address, each with a port of its own.
///
/// It is a [`DnsDriver`](crate::DnsDriver) to up to `HOSTS` hosts; its other numbers are that one's. The DNS
/// client needs room for all names at once (`NAMES`), and two [`DnsBuffers`](crate::DnsBuffers) for each of
/// them.
///
/// ```no_run
/// # use connie_smoltcp::{Platform, PlatformPoller, Dns, HostsDriver, StartError, Stack, TcpSocket, smoltcp::phy::Device};
/// # use connie_core::{Config, Connection, Failure};
/// # fn main() {}
/// # enum Trouble { Lookup(StartError), Race(Failure) }
/// # impl From<StartError> for Trouble { fn from(error: StartError) -> Self { Trouble::Lookup(error) } }
/// # impl From<Failure> for Trouble { fn from(failure: Failure) -> Self { Trouble::Race(failure) } }
/// # fn connect<D: Device, B: Platform>(
/// #     dns: &Dns<3>, mut stack: Stack<'_, D, B>, mut poller: PlatformPoller<B>,
/// # ) -> Result<Connection<TcpSocket>, Trouble> {
/// let brokers = [("a.example", 1883), ("b.example", 1883), ("192.0.2.7", 1884)];
/// let config = Config::all_at_once();
/// let mut driver = HostsDriver::<_, 3, 16, 4, 32, _>::new(dns, &mut stack, &brokers, &config)?;
/// let connection = driver.run(&mut stack, &mut poller)?;
/// let broker = driver.host_of(connection.destination).map(|number| brokers[number].0);
/// # Ok(connection)
/// # }
/// ```
#[must_use = "dropping it leaves its queries taken: run it, or cancel it"]
pub struct HostsDriver<
    'd,
    S: RaceStack,
    const HOSTS: usize = 4,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    N = Dns,
    M: Recall<DESTINATIONS> = NoMemory,
> {
    driver: ConnectDriver<S, DESTINATIONS, SOCKETS, RECORDS, NAT64, M::Guide>,
    dns: &'d N,
    hosts: Hosts<HOSTS, DESTINATIONS>,
    /// Of each host its port, and what is asked. The prefix of a NAT64 is asked for with the first.
    asked: HostQueries<HOSTS>,
    memory: M,
    /// What the stack's [`Sources`](crate::sources::Sources) said last.
    changes: u8,
}

type HostQueries<const HOSTS: usize> = Vec<(u16, OpenQueries), HOSTS>;

impl<
    S: RaceStack,
    const HOSTS: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    N,
    M: Recall<DESTINATIONS>,
> fmt::Debug for HostsDriver<'_, S, HOSTS, DESTINATIONS, SOCKETS, RECORDS, N, M>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut driver = f.debug_struct("HostsDriver");
        driver.field("hosts", &self.hosts).field("connect", self.driver.connect());
        driver.finish_non_exhaustive()
    }
}

impl<
    'd,
    'a,
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const HOSTS: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
>
    HostsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        HOSTS,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        NoMemory,
    >
{
    /// A connect that begins now, with all queries asked; they are sent by the first turn or poll. Each host
    /// is a text and a port.
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing begun: also where there are more hosts than `HOSTS`.
    pub fn new(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        hosts: &[(&str, u16)],
        config: &Config,
    ) -> Result<Self, StartError> {
        Self::start(dns, stack, hosts, config, NoMemory)
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
    const HOSTS: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
    const PLACES: usize,
>
    HostsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        HOSTS,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        Recalled<'m, PLACES>,
    >
{
    /// As [`new`](HostsDriver::new), with a memory of `PLACES` places, which knows the list as a host of its
    /// own: see [`DnsDriver::with_memory`](crate::DnsDriver::with_memory).
    ///
    /// # Errors
    ///
    /// [`StartError`], with nothing begun.
    pub fn with_memory(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        hosts: &[(&str, u16)],
        config: &Config,
        memory: &'m RefCell<Memory<PLACES>>,
    ) -> Result<Self, StartError> {
        let recalled = Recalled::new(memory, hosts.iter().map(|(host, _)| *host), &stack.network());
        Self::start(dns, stack, hosts, config, recalled)
    }

    /// Tells the memory what came of the connection to `address`.
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
    const HOSTS: usize,
    const DESTINATIONS: usize,
    const SOCKETS: usize,
    const RECORDS: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
    M: Recall<DESTINATIONS>,
>
    HostsDriver<
        'd,
        Stack<'a, D, B, TCP, UDP>,
        HOSTS,
        DESTINATIONS,
        SOCKETS,
        RECORDS,
        Dns<NAMES, SERVERS, NAME, DATA>,
        M,
    >
{
    #[inline(never)]
    fn start(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        hosts: &[(&str, u16)],
        config: &Config,
        memory: M,
    ) -> Result<Self, StartError> {
        let facts = stack.facts();
        let mut asked = Vec::new();
        let begun = Self::begin(dns, stack, (hosts, &mut asked), config, &facts);
        let begun = begun.inspect_err(|_| cancel_queries(dns, stack, &mut asked))?;
        let known = begun.known();
        // In its place: it is large.
        let driver = ConnectDriver::begin(begun.start(&known), config, &facts, stack.now());
        let mut all =
            HostsDriver { driver, dns, hosts: begun, asked, memory, changes: stack.sources.changes() };
        all.pass_news(stack.now());
        Ok(all)
    }

    /// Reads the hosts, and asks what is to be asked of them.
    fn begin(
        dns: &'d Dns<NAMES, SERVERS, NAME, DATA>,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        (list, asked): (&[(&str, u16)], &mut HostQueries<HOSTS>),
        config: &Config,
        facts: &Facts<'_>,
    ) -> Result<Hosts<HOSTS, DESTINATIONS>, StartError> {
        let mut hosts = Hosts::new(facts);
        let mut is_prefix_asked = false;
        for (host, port) in list {
            let start = Start::new(host, *port, facts)?;
            let is_name = Start::asks(&start, Query::Aaaa, config, facts, false)
                || Start::asks(&start, Query::A, config, facts, false);
            let wants = |query| match query {
                // A list of nothing but addresses is tried as it is; one for all names is enough.
                Query::Nat64Prefix => {
                    is_name && !is_prefix_asked && start.asks(query, config, facts, cfg!(feature = "nat64"))
                }
                _ => start.asks(query, config, facts, false),
            };
            let mut one = OpenQueries([None; 3]);
            dns.ask(stack, host, &mut one, wants)?;
            is_prefix_asked |= is_name;
            if hosts.add(start, config).is_none() || asked.push((*port, one)).is_err() {
                return Err(StartError::TooManyHosts);
            }
        }
        Ok(hosts)
    }

    /// Runs it to its end while the answers come in.
    ///
    /// # Errors
    ///
    /// What ended it without a connection, as [`DnsDriver::run`](crate::DnsDriver::run) has it;
    /// [`hosts`](Self::hosts) knows why names have no addresses.
    pub fn run<C: Platform>(
        &mut self,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        poller: &mut PlatformPoller<C>,
    ) -> Result<Connection<TcpSocket>, Failure> {
        let result = loop {
            let next = self.take_answers(stack);
            match self.driver.turn(stack, &mut PollerUntil { poller, next }) {
                TurnResult::Waited => {}
                TurnResult::SendQuery(query) => self.handle_sent(query, stack.now()),
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
                    self.handle_sent(query, now);
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
        cancel_queries(self.dns, stack, &mut self.asked);
    }

    /// The number of the host whose address this is, 0 for the first.
    #[must_use]
    pub fn host_of(&self, address: SocketAddr) -> Option<usize> {
        self.hosts.host_of(address)
    }

    /// What is known of the hosts.
    #[must_use]
    pub fn hosts(&self) -> &Hosts<HOSTS, DESTINATIONS> {
        &self.hosts
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.driver.timeline()
    }

    /// The connect, to look at.
    #[must_use]
    pub fn connect(&self) -> &Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, M::Guide> {
        self.driver.connect()
    }

    /// Serves the DNS client, and takes its answers. When it is to be served again.
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
        for (number, (port, asked)) in self.asked.iter_mut().enumerate() {
            for query in Query::ALL {
                let Some(id) = *asked.slot(query) else { continue };
                let now = stack.now();
                // Another stack knows nothing of it.
                let answer =
                    if is_ours { inner.client.answer(id, now) } else { Some(Err(QueryError::Failed)) };
                let Some(answer) = answer else { continue };
                let (mut addresses, mut ways) =
                    (Vec::<_, DESTINATIONS>::new(), Vec::<_, DESTINATIONS>::new());
                let input = match answer {
                    Ok(answer) => {
                        self.driver.note_omitted(place(answer, *port, stack, &mut addresses, &mut ways));
                        let order = AddressOrder::Any(&ways);
                        ConnectInput::Answered { query, addresses: &addresses, order }
                    }
                    Err(error) => ConnectInput::QueryFailed { query, error },
                };
                self.hosts.handle_input(number, input);
                if query == Query::Nat64Prefix {
                    self.driver.handle_input(input, now);
                }
                inner.client.give_up(id);
                *asked.slot(query) = None;
            }
        }
        drop(inner);
        self.pass_news(stack.now());
        next
    }

    /// `new` has asked it, unless its family is not built in: then nobody answers.
    fn handle_sent(&mut self, query: Query, now: Instant) {
        let failed = ConnectInput::QueryFailed { query, error: QueryError::Failed };
        let is_asked = |asked: &mut (u16, OpenQueries)| asked.1.slot(query).is_some();
        if query == Query::Nat64Prefix {
            if !self.asked.iter_mut().any(is_asked) {
                self.driver.handle_input(failed, now);
            }
            return;
        }
        for (number, asked) in self.asked.iter_mut().enumerate() {
            // An answer that has come already stays.
            if !is_asked(asked) {
                self.hosts.handle_input(number, failed);
            }
        }
        self.pass_news(now);
    }

    /// Tells the connect what is new of the hosts.
    fn pass_news(&mut self, now: Instant) {
        while let Some(news) = self.hosts.news() {
            self.driver.handle_input(news.input(), now);
        }
        self.driver.plan_by(&self.memory, now);
    }
}

/// Gives up what has not been answered.
fn cancel_queries<
    D: Device,
    B: Platform,
    const TCP: usize,
    const UDP: usize,
    const NAMES: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
    const HOSTS: usize,
>(
    dns: &Dns<NAMES, SERVERS, NAME, DATA>,
    stack: &mut Stack<'_, D, B, TCP, UDP>,
    asked: &mut HostQueries<HOSTS>,
) {
    for (_, asked) in asked {
        dns.cancel_queries(stack, asked);
    }
}
