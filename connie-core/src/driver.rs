//! Drives one race over a TCP stack: owns the sockets, and turns the outputs of a machine into calls.

use core::convert::Infallible;
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;

use embedded_nal::nb;
use heapless::Vec;

use crate::connect::{self, Connect, Facts, InvalidHost, Start};
use crate::empty::empty;
use crate::memory::Recall;
use crate::race::{
    AttemptError, AttemptErrorKind, AttemptId, Config, Failure, Family, Guide, Input, Output, Plan, Planned,
    Race, Unplanned,
};
use crate::resolution::Query;
use crate::stack::{Interest, PollEntry, PollResult, Poller, RaceStack};
use crate::time::Instant;
use crate::timeline::Timeline;

/// A race over a stack of type `S`, with the sockets of its attempts in flight: never more than `SOCKETS`.
///
/// [`run`](RaceDriver::run) does everything, waiting included; [`turn`](RaceDriver::turn) does one turn of
/// it, so that answers can join in between. A program with a loop of its own calls [`poll`](RaceDriver::poll)
/// instead, whenever the stack may have news and at the time that the last poll named.
///
/// Losers are [aborted](RaceStack::abort), the winner is handed over untouched, and once a poll has answered
/// [`Progress::Connected`] or [`Progress::Failed`] no socket is left. To give up before that, call
/// [`cancel`](RaceDriver::cancel): dropping the driver drops its sockets, which closes them only where the
/// stack's sockets close themselves on drop.
///
/// ```
/// # use connie_core::{doc_stack::{Clock, Stack}};
/// use connie_core::{Config, RaceDriver, Poller};
/// # let (mut stack, mut clock) = (Stack::default(), Clock::default());
///
/// let addresses = ["192.0.2.1:80".parse().unwrap(), "192.0.2.2:80".parse().unwrap()];
/// let mut driver = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), clock.now());
/// driver.handle_addresses(&addresses, clock.now());
/// let connection = driver.run(&mut stack, &mut clock)?;
/// assert_eq!(connection.destination, addresses[0]);
/// # Ok::<(), connie_core::Failure>(())
/// ```
pub type RaceDriver<
    S,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    G = Unplanned,
> = Driver<S, Race<DESTINATIONS, SOCKETS, RECORDS, G>, SOCKETS>;

/// A [`Connect`] over a stack of type `S`: from a host's text to the connection that wins. The numbers are
/// those of the [`Connect`].
///
/// As a [`RaceDriver`], it owns the sockets, and [`turn`](ConnectDriver::turn) or [`poll`](Driver::poll)
/// drives it. Queries are its user's to send: both ask for them, and
/// [`handle_input`](ConnectDriver::handle_input) takes what came of them.
///
/// ```
/// # use connie_core::{doc_stack::{Clock, Stack}};
/// use connie_core::connect::{Facts, ConnectInput, AddressOrder};
/// use connie_core::resolution::{Query, QueryError};
/// use connie_core::{Config, ConnectDriver, TurnResult, Poller};
/// # let (mut stack, mut poller) = (Stack::default(), Clock::default());
///
/// let config = Config::all_at_once();
/// let mut driver = ConnectDriver::<_, 16, 4>::new("name.test", 80, &config, &Facts::default(), poller.now())?;
/// let connection = loop {
///     match driver.turn(&mut stack, &mut poller) {
///         // A resolver that has the answer already. One that has not is waited for by `poller`.
///         TurnResult::SendQuery(Query::A) => {
///             let (addresses, order) = (["192.0.2.1:80".parse()?], AddressOrder::Any(&[]));
///             let answer = ConnectInput::Answered { query: Query::A, addresses: &addresses, order };
///             driver.handle_input(answer, poller.now());
///         }
///         TurnResult::SendQuery(query) => {
///             driver.handle_input(ConnectInput::QueryFailed { query, error: QueryError::NoSuchName }, poller.now());
///         }
///         TurnResult::Waited => {}
///         TurnResult::Connected(connection) => break connection,
///         TurnResult::Failed(failure) => return Err(failure.into()),
///     }
/// };
/// assert_eq!(connection.destination, "192.0.2.1:80".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type ConnectDriver<
    S,
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    const NAT64: usize = 0,
    G = Unplanned,
> = Driver<S, Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G>, SOCKETS>;

/// Drives a machine, a [`Race`] or a [`Connect`], over a stack: a [`RaceDriver`] or a [`ConnectDriver`].
#[derive(Debug)]
pub struct Driver<S: RaceStack, M, const SOCKETS: usize> {
    machine: M,
    /// In the order of starting.
    open: Vec<OpenAttempt<S::TcpSocket>, SOCKETS>,
    /// In microseconds.
    slowest_connect: u64,
    /// [How often](RaceStack::source_changes) the source of IPv6, and that of IPv4, had changed when the
    /// stack was last asked.
    source_changes: [u8; 2],
}

/// What a [`Driver`] drives: a [`Race`] or a [`Connect`].
pub trait Machine: sealed::Decides {}

mod sealed {
    use super::{AttemptError, AttemptId, Family, Instant, Output, Timeline};

    pub trait Decides {
        /// What it asks its user for, beside attempts.
        type Request;
        /// The next output, or what is asked of the user before it.
        fn next(&mut self, now: Instant) -> Result<Output, Self::Request>;
        /// How an attempt has ended.
        fn ended(&mut self, id: AttemptId, how: Result<(), &AttemptError>, now: Instant);
        fn source_changed(&mut self, family: Family, now: Instant);
        fn is_over(&self) -> bool;
        fn cancel(&mut self, now: Instant);
        fn timeline(&self) -> Timeline<'_>;
    }
}

impl<const D: usize, const K: usize, const R: usize, G: Guide> Machine for Race<D, K, R, G> {}

impl<const D: usize, const K: usize, const R: usize, G: Guide> sealed::Decides for Race<D, K, R, G> {
    type Request = Infallible;

    fn next(&mut self, now: Instant) -> Result<Output, Infallible> {
        Ok(self.poll_output(now))
    }

    fn ended(&mut self, id: AttemptId, how: Result<(), &AttemptError>, now: Instant) {
        self.attempt_ended(id, how, now);
    }

    fn source_changed(&mut self, family: Family, now: Instant) {
        self.handle_input(Input::SourceChanged { family }, now);
    }

    fn is_over(&self) -> bool {
        self.ended().is_some()
    }

    fn cancel(&mut self, now: Instant) {
        self.handle_input(Input::Cancel, now);
    }

    fn timeline(&self) -> Timeline<'_> {
        Race::timeline(self)
    }
}

impl<const D: usize, const K: usize, const R: usize, const N: usize, G: Guide> Machine
    for Connect<D, K, R, N, G>
{
}

impl<const D: usize, const K: usize, const R: usize, const N: usize, G: Guide> sealed::Decides
    for Connect<D, K, R, N, G>
{
    type Request = Query;

    fn next(&mut self, now: Instant) -> Result<Output, Query> {
        Connect::next(self, now)
    }

    fn ended(&mut self, id: AttemptId, how: Result<(), &AttemptError>, now: Instant) {
        let input = match how {
            Ok(()) => connect::ConnectInput::AttemptSucceeded { id },
            Err(&error) => connect::ConnectInput::AttemptFailed { id, error },
        };
        self.handle_input(input, now);
    }

    fn source_changed(&mut self, family: Family, now: Instant) {
        self.handle_input(connect::ConnectInput::SourceChanged { family }, now);
    }

    fn is_over(&self) -> bool {
        self.race().ended().is_some()
    }

    fn cancel(&mut self, now: Instant) {
        self.handle_input(connect::ConnectInput::Cancel, now);
    }

    fn timeline(&self) -> Timeline<'_> {
        Connect::timeline(self)
    }
}

/// The socket of an attempt in flight.
#[derive(Debug)]
struct OpenAttempt<T> {
    id: AttemptId,
    remote: SocketAddr,
    socket: T,
    /// Whether the handshake may have ended since it was last asked for.
    ready: bool,
}

/// The connection that won.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "whoever holds it must close it"]
pub struct Connection<T> {
    /// The winner's socket, connected. Whoever holds it must close it.
    pub socket: T,
    /// Where it leads.
    pub destination: SocketAddr,
}

/// What a driver needs next. `A` is what the [`Machine`] asks for: of a [`Race`] nothing.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress<T, A = Infallible> {
    /// Send this query, and poll again.
    SendQuery(A),
    /// Poll again at this moment, or when the stack has news.
    WaitUntil(Instant),
    /// Poll again when the stack or the resolver has news.
    WaitForInput,
    /// The race is won; this is the connection. It comes once.
    Connected(Connection<T>),
    /// The race is over without a connection.
    Failed(Failure),
    /// The connection was handed over by an earlier poll.
    Finished,
}

/// What a [`ConnectDriver::turn`] has come to.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum TurnResult<T> {
    /// Send this query, and take the next turn.
    SendQuery(Query),
    /// The wait has ended, for whatever reason: report what is new, and take the next turn.
    Waited,
    /// The race is won; this is the connection.
    Connected(Connection<T>),
    /// It is over without a connection: [`Failure::Canceled`] too where the connection was handed over
    /// before.
    Failed(Failure),
}

impl<S: RaceStack, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize>
    RaceDriver<S, DESTINATIONS, SOCKETS, RECORDS, Planned<DESTINATIONS>>
{
    /// Takes the plan that the race is to follow from now on: see [`Race::follow`].
    pub fn follow(&mut self, plan: &Plan<DESTINATIONS>) {
        self.machine.follow(plan);
    }
}

impl<S, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, const NAT64: usize>
    ConnectDriver<S, DESTINATIONS, SOCKETS, RECORDS, NAT64, Planned<DESTINATIONS>>
where
    S: RaceStack,
{
    /// Takes the plan that the race is to follow from now on: see [`Connect::follow`].
    pub fn follow(&mut self, plan: &Plan<DESTINATIONS>) {
        self.machine.follow(plan);
    }
}

impl<S: RaceStack, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, G: Guide>
    RaceDriver<S, DESTINATIONS, SOCKETS, RECORDS, G>
{
    /// A race that begins now and has no addresses yet.
    #[must_use]
    pub fn new(config: &Config, now: Instant) -> Self {
        Driver { machine: Race::new(config, now), open: empty(), slowest_connect: 0, source_changes: [0; 2] }
    }

    /// Takes in the answer for one family: see [`Input::Resolved`].
    pub fn resolved(&mut self, family: Family, addresses: &[SocketAddr], now: Instant) {
        self.machine.handle_input(Input::Resolved { family, addresses }, now);
    }

    /// Reports an input to the race, other than the results of attempts: the driver reports those itself. See
    /// [`Race::handle_input`].
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        self.machine.handle_input(input, now);
    }

    /// The family whose addresses come first from now on: see [`Race::prefer`].
    pub fn prefer(&mut self, family: Family) {
        self.machine.prefer(family);
    }

    /// Has no more than `sockets` open from now on: see [`Race::limit_to`].
    pub fn limit_to(&mut self, sockets: usize) {
        self.machine.limit_to(sockets);
    }

    /// Starts nothing until it may have sockets again: see [`Race::pause`].
    pub fn pause(&mut self) {
        self.machine.pause();
    }

    /// May have as many as `sockets` open from now on: see [`Race::grow_to`].
    pub fn grow_to(&mut self, sockets: usize) {
        self.machine.grow_to(sockets);
    }

    /// Takes note that there will be no answer for one family: see [`Input::ResolutionFailed`].
    pub fn resolution_failed(&mut self, family: Family, now: Instant) {
        self.machine.handle_input(Input::ResolutionFailed { family }, now);
    }

    /// Takes in a list that holds all addresses of both families: see [`Race::handle_addresses`].
    pub fn handle_addresses(&mut self, addresses: &[SocketAddr], now: Instant) {
        self.machine.handle_addresses(addresses, now);
    }

    /// Runs the race to its end, waiting as `poller` does.
    ///
    /// Tell it all answers first: a race that still waits for one family's answer, and has no deadline, waits
    /// for ever. A program whose answers come while the race runs calls [`turn`](RaceDriver::turn) or
    /// [`poll`](RaceDriver::poll) instead.
    ///
    /// # Errors
    ///
    /// What ended the race without a connection; what became of each address is in the
    /// [timeline](RaceDriver::timeline). When `poller` answers [`PollResult::Canceled`] that is
    /// [`Failure::Canceled`]. A race whose connection was already handed over is [`Failure::Canceled`] too.
    pub fn run<W: Poller<S>>(
        &mut self,
        stack: &mut S,
        poller: &mut W,
    ) -> Result<Connection<S::TcpSocket>, Failure> {
        loop {
            if let Poll::Ready(result) = self.turn(stack, poller) {
                return result;
            }
        }
    }

    /// One turn of [`run`](RaceDriver::run): does what is to be done now and, where the race goes on, waits
    /// once. `Pending` when the wait has ended, for whatever reason: tell the driver what else is new, and
    /// call it again.
    ///
    /// So answers join a race that is under way, where `poller` also waits for the resolver:
    ///
    /// ```
    /// # use connie_core::{doc_stack::{Clock, Stack}};
    /// use connie_core::{Config, RaceDriver, Failure, Family};
    /// use core::task::Poll;
    /// # let (mut stack, mut poller) = (Stack::default(), Clock::default());
    /// # let mut answers = [(Family::V6, Vec::new()), (Family::V4, vec!["192.0.2.1:80".parse().unwrap()])].into_iter();
    ///
    /// let mut driver = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), poller.now());
    /// let result = loop {
    ///     while let Some((family, addresses)) = answers.next() {
    ///         driver.resolved(family, &addresses, poller.now());
    ///     }
    ///     if let Poll::Ready(result) = driver.turn(&mut stack, &mut poller) {
    ///         break result;
    ///     }
    /// };
    /// # use connie_core::Poller;
    /// assert!(result.is_ok());
    /// ```
    pub fn turn<W: Poller<S>>(
        &mut self,
        stack: &mut S,
        poller: &mut W,
    ) -> Poll<Result<Connection<S::TcpSocket>, Failure>> {
        match self.step(stack, poller) {
            Progress::WaitUntil(_) | Progress::WaitForInput => Poll::Pending,
            Progress::Connected(connection) => Poll::Ready(Ok(connection)),
            Progress::Failed(failure) => Poll::Ready(Err(failure)),
            Progress::Finished => Poll::Ready(Err(Failure::Canceled)),
        }
    }

    /// Has the race follow what `memory` knows to be best: call it when it has new addresses.
    pub fn plan_by<M: Recall<DESTINATIONS, Guide = G>>(&mut self, memory: &M, now: Instant) {
        memory.plan(&mut self.machine, now);
    }

    /// Teaches `memory` what the race has shown: call it when it has ended.
    pub fn teach<M: Recall<DESTINATIONS, Guide = G>>(&self, memory: &M, now: Instant) {
        memory.learn(&self.machine, now);
    }

    /// The race, to look at.
    #[must_use]
    pub fn race(&self) -> &Race<DESTINATIONS, SOCKETS, RECORDS, G> {
        &self.machine
    }
}

/// What drives a connect of which nothing was asked yet.
impl<S, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, const NAT64: usize, G: Guide>
    From<Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G>>
    for ConnectDriver<S, DESTINATIONS, SOCKETS, RECORDS, NAT64, G>
where
    S: RaceStack,
{
    // Inlined, so that a connect can be made where it stays.
    #[inline(always)]
    fn from(machine: Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G>) -> Self {
        Driver { machine, open: empty(), slowest_connect: 0, source_changes: [0; 2] }
    }
}

impl<S, const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, const NAT64: usize, G: Guide>
    ConnectDriver<S, DESTINATIONS, SOCKETS, RECORDS, NAT64, G>
where
    S: RaceStack,
{
    /// A connect that begins now: see [`Connect::new`].
    ///
    /// # Errors
    ///
    /// [`InvalidHost`].
    pub fn new(
        host: &str,
        port: u16,
        config: &Config,
        facts: &Facts<'_>,
        now: Instant,
    ) -> Result<Self, InvalidHost> {
        let start = Start::new(host, port, facts)?;
        Ok(Self::begin(start, config, facts, now))
    }

    /// The same from a text that has been read: see [`Connect::begin`].
    #[must_use]
    // Apart from an adapter's own beginning, whose frame would make each access to it longer.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn begin(start: Start<'_>, config: &Config, facts: &Facts<'_>, now: Instant) -> Self {
        Connect::begin(start, config, facts, now).into()
    }

    /// The connect, for an adapter that begins and feeds those over several kinds of stacks in one place.
    /// The driver alone polls it.
    #[doc(hidden)]
    pub fn connect_mut(&mut self) -> &mut Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G> {
        &mut self.machine
    }

    /// Takes an input; the driver itself reports attempts. See
    /// [`Connect::handle_input`].
    // Inlined as that of a race: each caller passes an input that it has made, so that nothing is left of the
    // match.
    #[inline(always)]
    pub fn handle_input(&mut self, input: connect::ConnectInput<'_>, now: Instant) {
        self.machine.handle_input(input, now);
    }

    /// Counts addresses that the caller had no room for: see [`Race::note_omitted`].
    pub fn note_omitted(&mut self, addresses: u16) {
        self.machine.note_omitted(addresses);
    }

    /// Has no more than `sockets` open from now on: see [`Race::limit_to`].
    pub fn limit_to(&mut self, sockets: usize) {
        self.machine.limit_to(sockets);
    }

    /// Starts nothing until it may have sockets again: see [`Race::pause`].
    pub fn pause(&mut self) {
        self.machine.pause();
    }

    /// May have as many as `sockets` open from now on: see [`Race::grow_to`].
    pub fn grow_to(&mut self, sockets: usize) {
        self.machine.grow_to(sockets);
    }

    /// Does what is to be done now and, where it goes on and asks for nothing, waits once.
    pub fn turn<W: Poller<S>>(&mut self, stack: &mut S, poller: &mut W) -> TurnResult<S::TcpSocket> {
        match self.step(stack, poller) {
            Progress::SendQuery(query) => TurnResult::SendQuery(query),
            Progress::WaitUntil(_) | Progress::WaitForInput => TurnResult::Waited,
            Progress::Connected(connection) => TurnResult::Connected(connection),
            Progress::Failed(failure) => TurnResult::Failed(failure),
            Progress::Finished => TurnResult::Failed(Failure::Canceled),
        }
    }

    /// Has the race follow what `memory` knows to be best: see [`Connect::plan_by`].
    pub fn plan_by<M: Recall<DESTINATIONS, Guide = G>>(&mut self, memory: &M, now: Instant) {
        self.machine.plan_by(memory, now);
    }

    /// Teaches `memory` what the race has shown: call it when it has ended.
    pub fn teach<M: Recall<DESTINATIONS, Guide = G>>(&self, memory: &M, now: Instant) {
        self.machine.teach(memory, now);
    }

    /// The connect, to look at.
    #[must_use]
    pub fn connect(&self) -> &Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G> {
        &self.machine
    }
}

impl<S: RaceStack, M: Machine, const SOCKETS: usize> Driver<S, M, SOCKETS> {
    /// Does what is to be done now, and waits once where nothing is asked and the race goes on.
    fn step<W: Poller<S>>(&mut self, stack: &mut S, poller: &mut W) -> Progress<S::TcpSocket, M::Request> {
        let progress = self.drain(stack, &mut || poller.now());
        let until = match progress {
            Progress::WaitUntil(until) => Some(until),
            Progress::WaitForInput => None,
            other => return other,
        };
        if self.wait(stack, poller, until) == PollResult::Canceled {
            self.machine.cancel(poller.now());
        }
        self.look(stack, poller.now());
        progress
    }

    /// Asks the stack about every attempt in flight, and does what is to be done now. Never waits.
    pub fn poll(&mut self, stack: &mut S, now: Instant) -> Progress<S::TcpSocket, M::Request> {
        for open in &mut self.open {
            open.ready = true;
        }
        self.look(stack, now);
        self.drain(stack, &mut || now)
    }

    /// Gives the race up and releases all its sockets. A connection that was already handed over stays.
    pub fn cancel(&mut self, stack: &mut S, now: Instant) -> Progress<S::TcpSocket, M::Request> {
        self.machine.cancel(now);
        self.drain(stack, &mut || now)
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        sealed::Decides::timeline(&self.machine)
    }

    /// The longest time that opening a socket and its first `connect` took in a [`run`](RaceDriver::run). A
    /// stack that keeps the rule never to block shows microseconds; one that blocks shows round trips or
    /// time-outs, and makes the race serial.
    #[must_use]
    pub fn slowest_connect(&self) -> Duration {
        Duration::from_micros(self.slowest_connect)
    }

    /// Waits on all attempts in flight, and marks those that may have ended.
    fn wait<W: Poller<S>>(&mut self, stack: &mut S, poller: &mut W, until: Option<Instant>) -> PollResult {
        let mut watched = Vec::<_, SOCKETS>::new();
        for open in &mut self.open {
            // As many as `open` holds, which has the same capacity.
            let _ = watched.push(PollEntry::new(&mut open.socket, Interest::Connect));
        }
        let wake = poller.wait(stack, &mut watched, until);
        let mut ready = Vec::<bool, SOCKETS>::new();
        for socket in &watched {
            let _ = ready.push(socket.ready);
        }
        drop(watched);
        for (open, ready) in self.open.iter_mut().zip(&ready) {
            open.ready |= ready;
        }
        wake
    }

    /// Asks for the result of each attempt that may have ended, the one that started first before the others.
    /// A success decides the race, so that the rest need not be asked.
    fn look(&mut self, stack: &mut S, now: Instant) {
        let mut next = 0;
        while let Some(open) = self.open.get_mut(next) {
            next = next.saturating_add(1);
            if !core::mem::take(&mut open.ready) {
                continue;
            }
            let id = open.id;
            match stack.connect(&mut open.socket, open.remote) {
                Ok(()) => {
                    self.machine.ended(id, Ok(()), now);
                    return;
                }
                Err(nb::Error::WouldBlock) => {}
                Err(nb::Error::Other(error)) => {
                    let error = stack.attempt_error(&error);
                    if error == AttemptErrorKind::SourceGone {
                        let family = Family::of(&open.remote);
                        // Those that come later are looked at anew: not all of them are left.
                        self.source_changed(stack, family, now);
                        next = 0;
                        continue;
                    }
                    self.release(stack, id);
                    self.machine.ended(id, Err(&error), now);
                    next = next.saturating_sub(1);
                }
            }
        }
    }

    /// Does what the race says until there is nothing more to do now.
    // Not inlined: its callers would keep room for outputs on the stack while they wait.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn drain(
        &mut self,
        stack: &mut S,
        clock: &mut dyn FnMut() -> Instant,
    ) -> Progress<S::TcpSocket, M::Request> {
        let mut now = clock();
        loop {
            self.take_source_changes(stack, now);
            let output = match self.machine.next(now) {
                Ok(output) => output,
                Err(query) => return Progress::SendQuery(query),
            };
            match output {
                Output::StartAttempt { id, destination } => {
                    self.start(stack, id, destination, &mut now, clock);
                }
                Output::CancelAttempt { id } => self.release(stack, id),
                Output::WaitUntil(until) => return Progress::WaitUntil(until),
                Output::WaitForInput => return Progress::WaitForInput,
                Output::Failed(failure) => return Progress::Failed(failure),
                Output::Established { id, destination } => {
                    return match self.take(id) {
                        Some(open) => Progress::Connected(Connection { socket: open.socket, destination }),
                        None => Progress::Finished,
                    };
                }
            }
        }
    }

    fn start(
        &mut self,
        stack: &mut S,
        id: AttemptId,
        remote: SocketAddr,
        now: &mut Instant,
        clock: &mut dyn FnMut() -> Instant,
    ) {
        let before = *now;
        let result = self.open(stack, id, remote);
        *now = clock();
        self.slowest_connect = self.slowest_connect.max(now.micros_since(before));
        match result {
            Ok(()) => self.machine.ended(id, Ok(()), *now),
            Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(error)) => {
                self.machine.ended(id, Err(&error), *now);
            }
        }
    }

    /// Opens a socket and begins to connect. The socket is kept unless the attempt has failed.
    fn open(&mut self, stack: &mut S, id: AttemptId, remote: SocketAddr) -> nb::Result<(), AttemptError> {
        let mut socket = stack.socket().map_err(|error| stack.attempt_error(&error))?;
        let result = stack.connect(&mut socket, remote);
        if let Err(nb::Error::Other(error)) = result {
            let error = stack.attempt_error(&error);
            stack.abort(socket);
            return Err(nb::Error::Other(error));
        }
        match self.open.push(OpenAttempt { id, remote, socket, ready: false }) {
            Ok(()) => result.map_err(|_| nb::Error::WouldBlock),
            // The race never has more in flight than `SOCKETS`. Were it to, this attempt would have no
            // socket.
            Err(open) => {
                stack.abort(open.socket);
                Err(nb::Error::Other(AttemptErrorKind::OutOfSockets.into()))
            }
        }
    }

    /// This machine has another address of `family`, or another router: its attempts are aborted, and the
    /// family begins anew from there ([`Input::SourceChanged`]). Poll it afterwards.
    ///
    /// A stack that answers [`SourceGone`](AttemptErrorKind::SourceGone) for an attempt in flight has the
    /// driver do this by itself, and so has one that [counts](RaceStack::source_changes) the changes.
    pub fn source_changed(&mut self, stack: &mut S, family: Family, now: Instant) {
        // This is the one that the stack has counted, if it has.
        self.note_changes(stack, family);
        // The winner of a race that has ended is its user's.
        if self.machine.is_over() {
            return;
        }
        while let Some(id) = self.open.iter().find(|it| Family::of(&it.remote) == family).map(|it| it.id) {
            self.release(stack, id);
        }
        self.machine.source_changed(family, now);
    }

    /// Does the same for each family whose source has changed by the stack's own
    /// [count](RaceStack::source_changes). A [poll](Driver::poll) begins with this: call it where something
    /// else is done before that by what has changed, such as a plan.
    pub fn take_source_changes(&mut self, stack: &mut S, now: Instant) {
        for family in [Family::V6, Family::V4] {
            if self.note_changes(stack, family) {
                self.source_changed(stack, family, now);
            }
        }
    }

    /// Whether there was a change that the driver has not seen.
    fn note_changes(&mut self, stack: &S, family: Family) -> bool {
        let Some(changes) = stack.source_changes(family) else { return false };
        let [v6, v4] = &mut self.source_changes;
        core::mem::replace(if family == Family::V6 { v6 } else { v4 }, changes) != changes
    }

    fn release(&mut self, stack: &mut S, id: AttemptId) {
        if let Some(open) = self.take(id) {
            stack.abort(open.socket);
        }
    }

    /// Takes the socket of an attempt out, and keeps the others in order.
    fn take(&mut self, id: AttemptId) -> Option<OpenAttempt<S::TcpSocket>> {
        let index = self.open.iter().position(|open| open.id == id)?;
        let [taken, later @ ..] = self.open.get_mut(index..)? else { return None };
        for open in later.iter_mut().rev() {
            core::mem::swap(taken, open);
        }
        self.open.pop()
    }
}
