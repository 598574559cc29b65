//! Several hosts, one race: all their look-ups and attempts are futures of the one task that asked for the connection.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use connie_core::connect::{Connect, Facts, Hosts, Input, Order, Output, Routes, Start};
use connie_core::memory::{Recall, Remember};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Failure, Family, Instant};
use embassy_futures::join::{join, join_array};
use embedded_nal_async::TcpConnect;
use heapless::Vec;

use crate::asking::{look_up, nothing, poll_once};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::drive::{Slot, rings, run, work};
use crate::error::{Error, MostTelling};
use crate::lookup::{Lookup, is_of};
use crate::racing::{Racing, network};

/// No NAT64's prefix is asked for.
type Machine<const ADDRESSES: usize, const SOCKETS: usize, G> = Connect<ADDRESSES, SOCKETS, SOCKETS, 0, G>;

type Heard<const ADDRESSES: usize> = Result<Vec<IpAddr, ADDRESSES>, QueryError>;

/// What is heard of a host: of AAAA and of A.
struct Ear<const ADDRESSES: usize>([Cell<Option<Heard<ADDRESSES>>>; 2]);

const QUERIES: [Query; 2] = [Query::Aaaa, Query::A];

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>
    Racing<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    /// Connects to whichever of several hosts answers first, such as brokers: each is a name or an address, with a port of its own, and all their
    /// addresses are in one race. Answers the number of the host too, 0 for the first.
    ///
    /// Names are looked up side by side. One that is not found, or whose look-up hangs, holds up none of the others: see
    /// [`Hosts`]. A NAT64 is not asked for here. A [memory](Racing::with_memory) knows the list as one host.
    ///
    /// # Errors
    ///
    /// As [`connect_host`](Self::connect_host): of a name the failure that tells most, and the first text that is no host.
    pub async fn connect_any<const HOSTS: usize>(
        &self,
        hosts: [(&str, u16); HOSTS],
    ) -> Result<(Connection<T::Connection<'_>>, usize), Error<T::Error>> {
        let (names, clock) = (self.names(), self.clock());
        let routes = Routes::of(|ip| names.route(ip) != Route::Unreachable);
        let facts = Facts { routes, ..Facts::default() };
        let mut known = Hosts::<HOSTS, ADDRESSES>::new(&facts);
        for (host, port) in hosts {
            // There is room for all of them.
            known.add(Start::new(host, port, &facts).map_err(Error::InvalidHost)?, self.config());
        }
        let told = known.known();
        let connect = Machine::begin(known.start(&told), self.config(), &facts, clock.now());
        let asks = core::array::from_fn::<_, HOSTS, _>(|number| {
            QUERIES.map(|query| known.asking(query).any(|asked| asked == number))
        });

        let slots = [const { Slot::new() }; SOCKETS];
        let open = |remote| self.tcp().connect(remote);
        let mut workers = pin!(join_array(slots.each_ref().map(|slot| work(slot, &open))));
        let ears = [const { Ear([const { Cell::new(None) }; 2]) }; HOSTS];
        let listening =
            core::array::from_fn::<_, HOSTS, _>(|number| (number, asks.get(number), ears.get(number)));
        let mut listening = pin!(Some(join_array(listening.map(|(number, asks, ear)| {
            listen(names, hosts.get(number).map_or("", |(host, _)| *host), asks, ear)
        }))));
        // After the look-ups, so that it is dropped before them.
        let serve = |()| L::serve(names);
        let mut serving = pin!(nothing(&serve));
        serving.set(Some(serve(())));
        let (mut timer, mut alarm) = (pin!(None), None);
        // In whatever order the list comes.
        let first = hosts.iter().map(|(host, _)| *host).min().unwrap_or_default();
        let memory = self.memory().recall(first, &network(names));
        let mut turn = Turn {
            connect,
            memory,
            clock,
            names,
            hosts,
            known,
            slots: &slots,
            told: MostTelling::none(),
            won: None,
            until: None,
        };
        turn.connect.plan_by(&turn.memory, clock.now());
        poll_fn(|cx| {
            let mut rang = false;
            loop {
                run(workers.as_mut(), cx);
                let now = clock.now();
                if hear(listening.as_mut(), serving.as_mut(), cx) {
                    serving.set(None);
                }
                turn.take_in(&ears, now);
                turn.look(now);
                let until = match turn.drain(now) {
                    Poll::Ready(result) => {
                        turn.connect.teach(&turn.memory, now);
                        return Poll::Ready(result);
                    }
                    Poll::Pending => turn.until.take(),
                };
                // What was just begun has been polled by nobody.
                run(workers.as_mut(), cx);
                if slots.iter().any(|slot| slot.is_done()) {
                    continue;
                }
                if !rings(until, &mut alarm, timer.as_mut(), |at| clock.wait_until(at), cx) {
                    return Poll::Pending;
                }
                if mem::replace(&mut rang, true) {
                    // A clock that rings too soon must not keep the executor from its other tasks.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// Looks up what is to be asked of a host.
async fn listen<L: Lookup, const ADDRESSES: usize>(
    names: &L,
    host: &str,
    asks: Option<&[bool; 2]>,
    ear: Option<&Ear<ADDRESSES>>,
) {
    let (Some([aaaa, a]), Some(Ear([v6, v4]))) = (asks, ear) else { return };
    let ask = async |query, is_asked: bool, heard: &Cell<Option<Heard<ADDRESSES>>>| {
        if is_asked {
            let answer = look_up::<L, ADDRESSES>(names, host, query).await;
            heard.set(Some(answer.map_err(|error| names.query_error(&error))));
        }
    };
    join(ask(Query::Aaaa, *aaaa, v6), ask(Query::A, *a, v4)).await;
}

/// Polls the look-ups, and what serves them after them, and them once more. Whether the last has just ended.
fn hear(
    mut listening: Pin<&mut Option<impl Future>>,
    serving: Pin<&mut Option<impl Future>>,
    cx: &mut Context<'_>,
) -> bool {
    if listening.is_none() {
        return false;
    }
    if poll_once(listening.as_mut(), cx).is_some() {
        return true;
    }
    // It never ends.
    let _ = poll_once(serving, cx);
    poll_once(listening, cx).is_some()
}

/// The machine, the hosts, the slots of the attempts, and what has come of them.
struct Turn<'r, 'h, T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize>
where
    C: Clock,
    M: Recall<ADDRESSES>,
{
    connect: Machine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &'r C,
    names: &'r L,
    hosts: [(&'h str, u16); HOSTS],
    known: Hosts<HOSTS, ADDRESSES>,
    slots: &'r [Slot<T, E>; SOCKETS],
    told: MostTelling<E>,
    /// The connection that the race has been told of.
    won: Option<T>,
    /// There is nothing to do before this moment, or before there is news.
    until: Option<Instant>,
}

/// A connection, and the number of its host.
type Won<T> = (Connection<T>, usize);

/// A connect that its caller gives up teaches what it has shown.
impl<T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize> Drop
    for Turn<'_, '_, T, E, C, L, M, HOSTS, ADDRESSES, SOCKETS>
where
    C: Clock,
    M: Recall<ADDRESSES>,
{
    fn drop(&mut self) {
        self.connect.abandon(&self.memory, self.clock.now());
    }
}

impl<T, E, C, L, M, const HOSTS: usize, const ADDRESSES: usize, const SOCKETS: usize>
    Turn<'_, '_, T, E, C, L, M, HOSTS, ADDRESSES, SOCKETS>
where
    E: embedded_io_async::Error,
    C: Clock,
    L: Lookup,
    M: Recall<ADDRESSES>,
{
    /// Tells the race what was heard.
    fn take_in(&mut self, ears: &[Ear<ADDRESSES>; HOSTS], now: Instant) {
        for ((number, (_, port)), Ear(heard)) in self.hosts.iter().enumerate().zip(ears) {
            for (query, heard) in QUERIES.into_iter().zip(heard) {
                match heard.take() {
                    None => {}
                    Some(Err(error)) => self.known.failed(number, query, error),
                    Some(Ok(found)) => {
                        let addresses: Vec<_, ADDRESSES> =
                            found.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
                        let family = if query == Query::Aaaa { Family::V6 } else { Family::V4 };
                        let best = found.iter().find(|ip| is_of(family, ip));
                        let way = best.map_or(Route::Unknown, |ip| self.names.route(*ip));
                        self.known.answered(number, query, &addresses, Order::Best(way));
                    }
                }
            }
        }
        while let Some(news) = self.known.news() {
            self.connect.handle_input(news.input(), now);
            self.connect.plan_by(&self.memory, now);
        }
    }

    /// Tells the race of the attempts that have ended, those that began first before the others.
    fn look(&mut self, now: Instant) {
        let first = |slots: &[Slot<T, E>]| {
            let done = slots.iter().enumerate().filter_map(|(index, slot)| Some((slot.done_id()?, index)));
            done.min_by_key(|(id, _)| *id)
        };
        while let Some((id, slot)) =
            first(self.slots).and_then(|(id, index)| Some((id, self.slots.get(index)?)))
        {
            let result = slot.take_result();
            slot.release();
            match result {
                Some(Ok(connection)) => {
                    self.won = Some(connection);
                    return self.connect.handle_input(Input::AttemptSucceeded { id }, now);
                }
                Some(Err((error, meaning))) => {
                    self.told.note(error, meaning);
                    self.connect.handle_input(Input::AttemptFailed { id, error: meaning }, now);
                }
                // A worker that says it is done has put its result there.
                None => {}
            }
        }
    }

    /// Does what the race says until there is nothing more to do now.
    fn drain(&mut self, now: Instant) -> Poll<Result<Won<T>, Error<E>>> {
        self.until = loop {
            match self.connect.poll_output(now) {
                // All names are looked up from the start.
                Output::SendQuery { .. } => {}
                Output::StartAttempt { id, destination } => self.start(id, destination, now),
                Output::CancelAttempt { id } => {
                    if let Some(slot) = self.slots.iter().find(|slot| slot.is(id)) {
                        slot.release();
                    }
                }
                Output::WaitUntil(until) => break Some(until),
                Output::WaitForInput => break None,
                Output::Established { destination, .. } => {
                    // The race is told of a success only with its connection in hand.
                    let won = self.won.take().ok_or(Error::NoAddress);
                    let number = self.known.host_of(destination).unwrap_or_default();
                    return Poll::Ready(won.map(|won| (Connection::new(won, destination), number)));
                }
                Output::Failed(failure) => return Poll::Ready(Err(self.error(failure))),
            }
        };
        Poll::Pending
    }

    fn start(&mut self, id: AttemptId, destination: SocketAddr, now: Instant) {
        let error = match self.slots.iter().find(|slot| slot.is_free()) {
            // A stack that has no address of a family may try nonetheless, and wait for nothing in one of its few sockets.
            _ if self.names.route(destination.ip()) == Route::Unreachable => AttemptErrorKind::Unreachable,
            Some(slot) => return slot.start(id, destination),
            // There are as many slots as the race has attempts in flight.
            None => AttemptErrorKind::OutOfSockets,
        };
        self.connect.handle_input(Input::AttemptFailed { id, error: error.into() }, now);
    }

    fn error(&mut self, failure: Failure) -> Error<E> {
        match failure {
            Failure::NoDestinations => {
                let failures = self.hosts.iter().enumerate();
                let failures =
                    failures.flat_map(|(number, (host, _))| self.known.failures(number, host, false));
                let most = failures.map(|failure| failure.error).min_by_key(|error| error.precedence());
                most.map_or(Error::NoAddress, Error::NotResolved)
            }
            Failure::DeadlineExceeded => Error::DeadlineExceeded,
            _ => match self.told.take() {
                None if self.is_unreachable() => Error::Unreachable,
                told => Error::AllAttemptsFailed(told),
            },
        }
    }

    /// Whether none of the addresses could be reached.
    fn is_unreachable(&self) -> bool {
        let is_unreachable = |error: AttemptError| error == AttemptErrorKind::Unreachable;
        self.connect.race().destinations().iter().all(|it| it.error().is_some_and(is_unreachable))
    }
}
