//! Several hosts, one race: all their lookups and attempts are futures of the one task that asked for the
//! connection.

use core::array;
use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use connie_core::connect::{AddressOrder, Connect, ConnectOutput, Facts, Hosts, Routes, Start};
use connie_core::memory::{Recall, Remember};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Family, Instant};
use embassy_futures::join::{join, join_array};
use embedded_nal_async::TcpConnect;
use heapless::Vec;

use crate::alarm::Alarm;
use crate::attempts::{AttemptSlot, Attempts, Opener, run, work};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::lookup::{Lookup, is_of};
use crate::options::Options;
use crate::queries::{empty_slot, look_up_query, poll_once};
use crate::race_connect::RaceConnect;
use crate::sources::network;

/// No NAT64's prefix is asked for.
type HostsMachine<const ADDRESSES: usize, const SOCKETS: usize, G> =
    Connect<ADDRESSES, SOCKETS, SOCKETS, 0, G>;

type LookupResult<const ADDRESSES: usize> = Result<Vec<IpAddr, ADDRESSES>, QueryError>;

/// The answers for one host that the connect does not know yet, to the queries for AAAA and A.
struct HostAnswers<const ADDRESSES: usize>([Cell<Option<LookupResult<ADDRESSES>>>; 2]);

const QUERIES: [Query; 2] = [Query::Aaaa, Query::A];

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>
    RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    /// Connects to whichever of several hosts answers first, such as brokers: each is a name or an address,
    /// with a port of its own, and all their addresses are in one race. Returns the number of the host too, 0
    /// for the first.
    ///
    /// Names are looked up side by side. One that is not found, or whose lookup hangs, holds up none of the
    /// others: see [`Hosts`]. A NAT64 is not asked for here. A [memory](RaceConnect::with_memory) knows the
    /// list as a host of its own.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect). Where no name has an address, it is the failure that tells most
    /// of all names. A text that is not a host name or address is an error at once.
    pub async fn connect_any<const HOSTS: usize>(
        &self,
        hosts: [(&str, u16); HOSTS],
        options: &Options,
    ) -> Result<(Connection<T::Connection<'_>>, usize), ConnectionError<T::Error>> {
        let (names, clock) = (self.names(), self.clock());
        let (known, connect, asks) = self.begin_any(&hosts, options)?;
        let slots = [const { AttemptSlot::new() }; SOCKETS];
        let opener = Opener::tcp(|remote| self.tcp().connect(remote));
        let mut workers = pin!(join_array(slots.each_ref().map(|slot| work(slot, &opener))));
        let answers = [const { HostAnswers([const { Cell::new(None) }; 2]) }; HOSTS];
        let each = array::from_fn::<_, HOSTS, _>(|number| (number, asks.get(number), answers.get(number)));
        let mut lookups = pin!(Some(join_array(each.map(|(number, asks, answers)| {
            look_up_host(names, hosts.get(number).map_or("", |(host, _)| *host), asks, answers)
        }))));
        // After the lookups, so that it is dropped before them.
        let serve = |()| L::serve(names);
        let mut serving = pin!(empty_slot(&serve));
        serving.set(Some(serve(())));
        let timer = pin!(None);
        let mut alarm = Alarm::new(timer);
        let network = network(names);
        let memory = self.memory().recall(hosts.iter().map(|(host, _)| *host), &network);
        let attempts = Attempts::new(&slots, network);
        let mut state = HostsConnect { connect, memory, clock, names, hosts, known, attempts };
        state.connect.plan_by(&state.memory, clock.now());
        poll_fn(|cx| {
            loop {
                run(workers.as_mut(), cx);
                let now = clock.now();
                state.attempts.follow_sources(&mut state.connect, &mut state.memory, names, now);
                if poll_lookups(lookups.as_mut(), serving.as_mut(), cx) {
                    serving.set(None);
                }
                state.handle_answers(&answers, now);
                state.attempts.report_results(&mut state.connect, now);
                let until = match state.drain(now) {
                    HostsStep::Over(result) => return Poll::Ready(result),
                    HostsStep::Until(until) => until,
                };
                // What was just begun has been polled by nobody.
                run(workers.as_mut(), cx);
                if state.attempts.has_news() {
                    continue;
                }
                let until = state.attempts.look_by(until, now);
                if alarm.poll(until, |at| clock.wait_until(at), cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Reads the hosts: what is known of each, the connect to them, and of each which families are asked for.
    fn begin_any<const HOSTS: usize>(
        &self,
        hosts: &[(&str, u16); HOSTS],
        options: &Options,
    ) -> Result<HostsStart<M::Guide, HOSTS, ADDRESSES, SOCKETS>, ConnectionError<T::Error>> {
        let routes = Routes::of(|ip| self.names().route(ip) != Route::Unreachable);
        let facts = Facts::default().routes(routes);
        let config = options.clone().into_config();
        let mut known = Hosts::<HOSTS, ADDRESSES>::new(&facts);
        for (host, port) in hosts {
            // There is room for all of them.
            known.add(Start::new(host, *port, &facts).map_err(ConnectionError::InvalidHost)?, &config);
        }
        let told = known.known();
        let connect = HostsMachine::begin(known.start(&told), &config, &facts, self.clock().now());
        let asks =
            array::from_fn(|number| QUERIES.map(|query| known.asking(query).any(|asked| asked == number)));
        Ok((known, connect, asks))
    }
}

/// What [`RaceConnect::connect_any`] begins with.
type HostsStart<G, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize> =
    (Hosts<HOSTS, ADDRESSES>, HostsMachine<ADDRESSES, SOCKETS, G>, [[bool; 2]; HOSTS]);

/// Looks up what is to be asked of a host.
async fn look_up_host<L: Lookup, const ADDRESSES: usize>(
    names: &L,
    host: &str,
    asks: Option<&[bool; 2]>,
    answers: Option<&HostAnswers<ADDRESSES>>,
) {
    let (Some([aaaa, a]), Some(HostAnswers([v6, v4]))) = (asks, answers) else { return };
    let ask = async |query, is_asked: bool, place: &Cell<Option<LookupResult<ADDRESSES>>>| {
        if is_asked {
            let answer = look_up_query::<L, ADDRESSES>(names, host, query).await;
            place.set(Some(answer.map_err(|error| names.query_error(&error))));
        }
    };
    join(ask(Query::Aaaa, *aaaa, v6), ask(Query::A, *a, v4)).await;
}

/// Polls the lookups, and what serves them after them, and them once more. Whether the last has just ended.
fn poll_lookups(
    mut lookups: Pin<&mut Option<impl Future>>,
    serving: Pin<&mut Option<impl Future>>,
    cx: &mut Context<'_>,
) -> bool {
    if lookups.is_none() {
        return false;
    }
    if poll_once(lookups.as_mut(), cx).is_some() {
        return true;
    }
    // It never ends.
    let _ = poll_once(serving, cx);
    poll_once(lookups, cx).is_some()
}

/// The machine, the hosts, the slots of the attempts, and what has come of them.
struct HostsConnect<'r, 'h, T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize>
where
    C: Clock,
    M: Recall<ADDRESSES>,
{
    connect: HostsMachine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &'r C,
    names: &'r L,
    hosts: [(&'h str, u16); HOSTS],
    known: Hosts<HOSTS, ADDRESSES>,
    attempts: Attempts<'r, T, E, SOCKETS>,
}

enum HostsStep<T, E> {
    Over(Result<WonHost<T>, ConnectionError<E>>),
    /// Nothing to do before this moment, or before there is news.
    Until(Option<Instant>),
}

/// A connection, and the number of its host.
type WonHost<T> = (Connection<T>, usize);

/// A connect that its caller gives up teaches what it has shown.
impl<T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize> Drop
    for HostsConnect<'_, '_, T, E, C, L, M, HOSTS, ADDRESSES, SOCKETS>
where
    C: Clock,
    M: Recall<ADDRESSES>,
{
    fn drop(&mut self) {
        self.connect.abandon(&self.memory, self.clock.now());
    }
}

impl<T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize>
    HostsConnect<'_, '_, T, E, C, L, M, HOSTS, ADDRESSES, SOCKETS>
where
    E: embedded_io_async::Error,
    C: Clock,
    L: Lookup,
    M: Recall<ADDRESSES>,
{
    /// Tells the connect what has been answered.
    fn handle_answers(&mut self, answers: &[HostAnswers<ADDRESSES>; HOSTS], now: Instant) {
        for ((number, (_, port)), HostAnswers(each)) in self.hosts.iter().enumerate().zip(answers) {
            for (query, answer) in QUERIES.into_iter().zip(each) {
                match answer.take() {
                    None => {}
                    Some(Err(error)) => self.known.failed(number, query, error),
                    Some(Ok(found)) => {
                        let addresses: Vec<_, ADDRESSES> =
                            found.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
                        let family = if query == Query::Aaaa { Family::V6 } else { Family::V4 };
                        let best = found.iter().find(|ip| is_of(family, ip));
                        let way = best.map_or(Route::Unknown, |ip| self.names.route(*ip));
                        self.known.answered(number, query, &addresses, AddressOrder::Best(way));
                    }
                }
            }
        }
        while let Some(news) = self.known.news() {
            self.connect.handle_input(news.input(), now);
            self.connect.plan_by(&self.memory, now);
        }
    }

    /// Does what the race says until there is nothing more to do now.
    fn drain(&mut self, now: Instant) -> HostsStep<T, E> {
        loop {
            match self.connect.poll_output(now) {
                // All names are looked up from the start.
                ConnectOutput::SendQuery { .. } => {}
                ConnectOutput::StartAttempt { id, destination } => {
                    self.attempts.start(&mut self.connect, self.names, (id, destination), now);
                }
                ConnectOutput::CancelAttempt { id } => self.attempts.cancel(id),
                ConnectOutput::WaitUntil(until) => return HostsStep::Until(Some(until)),
                ConnectOutput::WaitForInput => return HostsStep::Until(None),
                ConnectOutput::Established { destination, .. } => {
                    self.connect.teach(&self.memory, now);
                    let number = self.known.host_of(destination).unwrap_or_default();
                    let won = self.attempts.won();
                    return HostsStep::Over(won.map(|won| (Connection::new(won, destination), number)));
                }
                ConnectOutput::Failed(failure) => {
                    self.connect.teach(&self.memory, now);
                    let unresolved = || unresolved(&self.known, &self.hosts);
                    return HostsStep::Over(Err(self.attempts.error(failure, &self.connect, unresolved)));
                }
            }
        }
    }
}

/// Of the queries that failed the failure that tells most.
fn unresolved<const HOSTS: usize, const ADDRESSES: usize>(
    known: &Hosts<HOSTS, ADDRESSES>,
    hosts: &[(&str, u16); HOSTS],
) -> Option<QueryError> {
    let failures = hosts.iter().enumerate();
    let failures = failures.flat_map(|(number, (host, _))| known.failures(number, host, false));
    failures.map(|failure| failure.error).min_by_key(|error| error.precedence())
}
