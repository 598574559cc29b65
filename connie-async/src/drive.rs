//! Drives one connect: its lookups and attempts are futures, all polled in place by the one task that asked
//! for the connection.

use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};

use connie_core::Instant;
use connie_core::connect::ConnectOutput;
use connie_core::memory::Recall;
use connie_core::resolution::{Query, QueryError};
use embassy_futures::join::join_array;
use heapless::Vec;

use crate::alarm::Alarm;
use crate::attempts::{AttemptSlot, Attempts, Opener, run, work};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::known_names::NameAddresses;
use crate::lookup::Lookup;
use crate::queries::{
    ConnectMachine, PendingQueries, empty_slot, handle_answer, look_up_query, query_failure,
};
use crate::sources::network;

/// What is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectTarget<'h, const ADDRESSES: usize> {
    pub(crate) host: &'h str,
    /// What a lookup has found before.
    pub(crate) known: Option<&'h NameAddresses<ADDRESSES>>,
    /// The address that stands for the host, and which may have a zone. Its port is that of all.
    pub(crate) remote: SocketAddr,
}

/// Runs `connect` to its end. Dropping the future drops the futures of all lookups and attempts, and so their
/// sockets.
///
/// Everything happens within one task: each wake-up polls the lookups, the attempts and the clock, and tells
/// the machine what is new, until there is nothing new.
pub(crate) async fn drive<C, L, O, F, T, E, M, const ADDRESSES: usize, const SOCKETS: usize>(
    connect: &mut ConnectMachine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &C,
    names: &L,
    wanted: ConnectTarget<'_, ADDRESSES>,
    opener: Opener<O, E>,
) -> Result<Connection<T>, ConnectionError<E>>
where
    C: Clock,
    L: Lookup,
    O: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, E>>,
    E: embedded_io_async::Error,
    M: Recall<ADDRESSES>,
{
    let slots = [const { AttemptSlot::new() }; SOCKETS];
    let mut workers = pin!(join_array(slots.each_ref().map(|slot| work(slot, &opener))));
    let ask = |query| look_up_query::<L, ADDRESSES>(names, wanted.host, query);
    let serve = |()| L::serve(names);
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
    let timer = pin!(None);
    let mut alarm = Alarm::new(timer);
    connect.plan_by(&memory, clock.now());
    // The network is asked for here and not passed in beside the memory: that put a third copy of this future
    // on the stack of firmware while it was made.
    let attempts = Attempts::new(&slots, network(names));
    let mut state = HostConnect { connect, memory, clock, names, wanted, attempts };
    poll_fn(|cx| {
        loop {
            run(workers.as_mut(), cx);
            let now = clock.now();
            state.attempts.follow_sources(state.connect, &mut state.memory, names, now);
            state.take_answers(&mut pending, cx, now);
            state.attempts.report_results(state.connect, now);
            let mut asked = false;
            let until = loop {
                match state.drain(now) {
                    ConnectStep::Over(result) => return Poll::Ready(result),
                    ConnectStep::Until(until) => break until,
                    ConnectStep::SendQuery(query) => {
                        pending.begin(query, ask(query), || serve(()));
                        asked = true;
                    }
                }
            };
            // What was just begun has been polled by nobody.
            run(workers.as_mut(), cx);
            if asked || state.attempts.has_news() {
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

/// The machine, its attempts, and who learns what they have shown.
struct HostConnect<'r, T, E, C: Clock, L, M: Recall<ADDRESSES>, const ADDRESSES: usize, const SOCKETS: usize>
{
    connect: &'r mut ConnectMachine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &'r C,
    names: &'r L,
    wanted: ConnectTarget<'r, ADDRESSES>,
    attempts: Attempts<'r, T, E, SOCKETS>,
}

enum ConnectStep<T, E> {
    Over(Result<Connection<T>, ConnectionError<E>>),
    /// This is to be looked up.
    SendQuery(Query),
    /// Nothing to do before this moment, or before there is news.
    Until(Option<Instant>),
}

/// A connect that its caller gives up, by a time-out of its own say, teaches what it has shown.
impl<T, E, C: Clock, L, M: Recall<ADDRESSES>, const ADDRESSES: usize, const SOCKETS: usize> Drop
    for HostConnect<'_, T, E, C, L, M, ADDRESSES, SOCKETS>
{
    fn drop(&mut self) {
        self.connect.abandon(&self.memory, self.clock.now());
    }
}

impl<T, E, C, L, M, const ADDRESSES: usize, const SOCKETS: usize>
    HostConnect<'_, T, E, C, L, M, ADDRESSES, SOCKETS>
where
    E: embedded_io_async::Error,
    C: Clock,
    L: Lookup,
    M: Recall<ADDRESSES>,
{
    /// Passes the answers of the lookups on to the machine.
    fn take_answers<F, S>(
        &mut self,
        pending: &mut PendingQueries<'_, F, S>,
        cx: &mut Context<'_>,
        now: Instant,
    ) where
        F: Future<Output = Result<Vec<IpAddr, ADDRESSES>, L::Error>>,
        S: Future<Output = Infallible>,
    {
        while let Some((query, answer)) = pending.poll(cx) {
            let answer = answer.as_deref().map_err(|error| self.names.query_error(error));
            self.answered(query, answer, now);
        }
    }

    fn answered(&mut self, query: Query, answer: Result<&[IpAddr], QueryError>, now: Instant) {
        handle_answer(self.connect, self.names, query, answer, self.wanted.remote, now);
        self.connect.plan_by(&self.memory, now);
    }

    /// Does what the race says until there is nothing more to do now.
    fn drain(&mut self, now: Instant) -> ConnectStep<T, E> {
        loop {
            match self.connect.poll_output(now) {
                ConnectOutput::SendQuery { query } => match self.wanted {
                    ConnectTarget { known: Some(found), .. } if !found.is_late(query) => {
                        // What a prefix leads to is among the addresses.
                        let found = if query == Query::Nat64Prefix { &[] } else { &*found.addresses };
                        self.answered(query, Ok(found), now);
                    }
                    _ => return ConnectStep::SendQuery(query),
                },
                ConnectOutput::StartAttempt { id, destination } => {
                    self.attempts.start(self.connect, self.names, (id, destination), now);
                }
                ConnectOutput::CancelAttempt { id } => self.attempts.cancel(id),
                ConnectOutput::WaitUntil(until) => return ConnectStep::Until(Some(until)),
                ConnectOutput::WaitForInput => return ConnectStep::Until(None),
                ConnectOutput::Established { destination, .. } => {
                    self.connect.teach(&self.memory, now);
                    return ConnectStep::Over(
                        self.attempts.won().map(|connection| Connection::new(connection, destination)),
                    );
                }
                ConnectOutput::Failed(failure) => {
                    self.connect.teach(&self.memory, now);
                    let unresolved = || query_failure(self.connect, self.wanted.host);
                    return ConnectStep::Over(Err(self.attempts.error(failure, self.connect, unresolved)));
                }
            }
        }
    }
}
