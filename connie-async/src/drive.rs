//! Drives one connect: its look-ups and attempts are futures, all polled in place by the one task that asked for the connection.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use connie_core::connect::{Input, Output};
use connie_core::memory::Recall;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Failure, Instant};
use embassy_futures::join::join_array;

use crate::asking::{Asking, Machine, look_up, nothing, poll_once, tell, why};
use crate::clock::Clock;
use crate::error::{Error, MostTelling, attempt_error};
use crate::known_names::Found;
use crate::lookup::Lookup;

/// A connection, and where it leads.
pub(crate) type Won<T> = (T, SocketAddr);

/// What is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'h, const ADDRESSES: usize> {
    pub(crate) host: &'h str,
    /// What a look-up has found before.
    pub(crate) known: Option<&'h Found<ADDRESSES>>,
    /// The address that stands for the host, and which may have a zone. Its port is that of all.
    pub(crate) remote: SocketAddr,
}

/// One attempt at a time, each in its future.
pub(crate) struct Slot<T, E> {
    /// What is to be tried: set by the race. `None` ends it, whereupon the worker drops its future at its next poll.
    order: Cell<Option<Order>>,
    /// Whether the order has its result: set by the worker.
    done: Cell<bool>,
    result: Cell<Option<Result<T, (E, AttemptError)>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Order {
    id: AttemptId,
    destination: SocketAddr,
}

impl<T, E> Slot<T, E> {
    pub(crate) const fn new() -> Self {
        Slot { order: Cell::new(None), done: Cell::new(false), result: Cell::new(None) }
    }

    pub(crate) fn is(&self, id: AttemptId) -> bool {
        self.order.get().is_some_and(|order| order.id == id)
    }

    /// Ends what the slot does. A connection that is there already is dropped.
    pub(crate) fn release(&self) {
        self.order.set(None);
        self.done.set(false);
        drop(self.result.take());
    }

    pub(crate) fn is_free(&self) -> bool {
        self.order.get().is_none()
    }

    pub(crate) fn start(&self, id: AttemptId, destination: SocketAddr) {
        self.order.set(Some(Order { id, destination }));
    }

    /// Whether its order has a result.
    pub(crate) fn is_done(&self) -> bool {
        self.done.get()
    }

    /// The order that has.
    pub(crate) fn done_id(&self) -> Option<AttemptId> {
        self.order.get().filter(|_| self.is_done()).map(|order| order.id)
    }

    pub(crate) fn take_result(&self) -> Option<Result<T, (E, AttemptError)>> {
        self.result.take()
    }
}

/// Carries out the orders of a slot, for ever. The future of an attempt lives in this one, and is gone before the next begins.
pub(crate) async fn work<T, E, O, F>(slot: &Slot<T, E>, open: &O) -> Infallible
where
    E: embedded_io_async::Error,
    O: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, E>>,
{
    let mut last = None;
    loop {
        let order = poll_fn(|_| match slot.order.get() {
            Some(order) if last != Some(order.id) => Poll::Ready(order),
            _ => Poll::Pending,
        })
        .await;
        last = Some(order.id);
        let mut at_once = true;
        let mut attempt = pin!(open(order.destination));
        let result = poll_fn(|cx| {
            if slot.order.get() != Some(order) {
                return Poll::Ready(None);
            }
            let at_once = mem::replace(&mut at_once, false);
            attempt.as_mut().poll(cx).map(|result| Some((result, at_once)))
        })
        .await;
        if let Some((result, at_once)) = result {
            slot.result.set(Some(result.map_err(|error| {
                let meaning = attempt_error(error.kind(), at_once);
                (error, meaning)
            })));
            slot.done.set(true);
        }
    }
}

/// Runs `connect` to its end. Dropping the future drops the futures of all look-ups and attempts, and so their sockets.
///
/// Everything happens within one task: each wake-up polls the look-ups, the attempts and the clock, and tells the machine what is new,
/// until there is nothing new.
pub(crate) async fn drive<C, L, O, F, T, E, M, const ADDRESSES: usize, const SOCKETS: usize>(
    connect: &mut Machine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &C,
    names: &L,
    wanted: Wanted<'_, ADDRESSES>,
    open: O,
) -> Result<Won<T>, Error<E>>
where
    C: Clock,
    L: Lookup,
    O: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, E>>,
    E: embedded_io_async::Error,
    M: Recall<ADDRESSES>,
{
    let slots = [const { Slot::new() }; SOCKETS];
    let mut workers = pin!(join_array(slots.each_ref().map(|slot| work(slot, &open))));
    let ask = |query| look_up::<L, ADDRESSES>(names, wanted.host, query);
    let serve = |()| L::serve(names);
    // By itself: within `Asking { .. }` the pinned values live on from Rust 1.89 on.
    let queries = [
        pin!(nothing(&ask)),
        pin!(nothing(&ask)),
        #[cfg(feature = "nat64")]
        pin!(nothing(&ask)),
    ];
    // After the look-ups, so that it is dropped before them.
    let serving = pin!(nothing(&serve));
    let mut asking = Asking { places: queries, serving };
    let mut timer = pin!(None);
    let mut alarm = None;
    connect.plan_by(&memory, clock.now());
    let told = MostTelling::none();
    let mut turn = Turn { connect, memory, clock, names, wanted, slots: &slots, told, won: None };
    poll_fn(|cx| {
        let mut rang = false;
        loop {
            run(workers.as_mut(), cx);
            let now = clock.now();
            while let Some((query, answer)) = asking.poll(cx) {
                let answer = answer.as_deref().map_err(|error| names.query_error(error));
                turn.answered(query, answer, now);
            }
            turn.look(now);
            let mut asked = false;
            let until = loop {
                match turn.drain(now) {
                    Drained::Over(result) => {
                        turn.connect.teach(&turn.memory, now);
                        return Poll::Ready(result);
                    }
                    Drained::Until(until) => break until,
                    Drained::Asks(query) => {
                        asking.begin(query, ask(query), || serve(()));
                        asked = true;
                    }
                }
            };
            // What was just begun has been polled by nobody.
            run(workers.as_mut(), cx);
            if asked || turn.has_news() {
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

/// Whether it is `until`. If not, the task is woken then: by `timer`, which was set to `alarm` so far.
pub(crate) fn rings<F: Future<Output = ()>>(
    until: Option<Instant>,
    alarm: &mut Option<Instant>,
    mut timer: Pin<&mut Option<F>>,
    wait: impl FnOnce(Instant) -> F,
    cx: &mut Context<'_>,
) -> bool {
    if until != *alarm || (until.is_some() && timer.is_none()) {
        *alarm = until;
        timer.set(until.map(wait));
    }
    poll_once(timer, cx).is_some()
}

/// Polls the workers: all there is to do in a poll that an attempt has woken. They never end.
pub(crate) fn run<const SOCKETS: usize>(
    workers: Pin<&mut impl Future<Output = [Infallible; SOCKETS]>>,
    cx: &mut Context<'_>,
) {
    let _: Poll<[Infallible; SOCKETS]> = workers.poll(cx);
}

/// The machine, the slots of its attempts, and what has come of them.
struct Turn<'r, T, E, C: Clock, L, M: Recall<ADDRESSES>, const ADDRESSES: usize, const SOCKETS: usize> {
    connect: &'r mut Machine<ADDRESSES, SOCKETS, M::Guide>,
    memory: M,
    clock: &'r C,
    names: &'r L,
    wanted: Wanted<'r, ADDRESSES>,
    slots: &'r [Slot<T, E>; SOCKETS],
    told: MostTelling<E>,
    /// The connection that the race has been told of.
    won: Option<T>,
}

enum Drained<T, E> {
    Over(Result<Won<T>, Error<E>>),
    /// This is to be looked up.
    Asks(Query),
    /// Nothing to do before this moment, or before there is news.
    Until(Option<Instant>),
}

/// A connect that its caller gives up, by a time-out of its own say, teaches what it has shown.
impl<T, E, C: Clock, L, M: Recall<ADDRESSES>, const ADDRESSES: usize, const SOCKETS: usize> Drop
    for Turn<'_, T, E, C, L, M, ADDRESSES, SOCKETS>
{
    fn drop(&mut self) {
        self.connect.abandon(&self.memory, self.clock.now());
    }
}

impl<T, E, C, L, M, const ADDRESSES: usize, const SOCKETS: usize> Turn<'_, T, E, C, L, M, ADDRESSES, SOCKETS>
where
    E: embedded_io_async::Error,
    C: Clock,
    L: Lookup,
    M: Recall<ADDRESSES>,
{
    fn answered(&mut self, query: Query, answer: Result<&[IpAddr], QueryError>, now: Instant) {
        tell(self.connect, self.names, query, answer, self.wanted.remote, now);
        self.connect.plan_by(&self.memory, now);
    }

    fn has_news(&self) -> bool {
        self.slots.iter().any(|slot| slot.done.get())
    }

    /// Tells the race of the attempts that have ended, those that began first before the others. A success decides it, so that the
    /// rest need not be told.
    fn look(&mut self, now: Instant) {
        while let Some((slot, id)) = self.first_done() {
            let result = slot.result.take();
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

    fn first_done(&self) -> Option<(&'_ Slot<T, E>, AttemptId)> {
        let done = self.slots.iter().filter(|slot| slot.done.get());
        done.filter_map(|slot| Some((slot, slot.order.get()?.id))).min_by_key(|(_, id)| *id)
    }

    /// Does what the race says until there is nothing more to do now.
    fn drain(&mut self, now: Instant) -> Drained<T, E> {
        loop {
            match self.connect.poll_output(now) {
                Output::SendQuery { query } => match self.wanted {
                    Wanted { known: Some(found), .. } if !found.is_late(query) => {
                        // What a prefix leads to is among the addresses.
                        let found = if query == Query::Nat64Prefix { &[] } else { &*found.addresses };
                        self.answered(query, Ok(found), now);
                    }
                    _ => return Drained::Asks(query),
                },
                Output::StartAttempt { id, destination } => self.start(id, destination, now),
                Output::CancelAttempt { id } => {
                    // Its future goes when the workers are polled, before a new one begins in its place: no slot has two.
                    if let Some(slot) = self.slots.iter().find(|slot| slot.is(id)) {
                        slot.release();
                    }
                }
                Output::WaitUntil(until) => return Drained::Until(Some(until)),
                Output::WaitForInput => return Drained::Until(None),
                Output::Established { destination, .. } => {
                    // The race is told of a success only with its connection in hand.
                    let connection = self.won.take().ok_or(Error::NoAddress);
                    return Drained::Over(connection.map(|connection| (connection, destination)));
                }
                Output::Failed(failure) => return Drained::Over(Err(self.error(failure))),
            }
        }
    }

    fn start(&mut self, id: AttemptId, destination: SocketAddr, now: Instant) {
        let slot = self.slots.iter().find(|slot| slot.order.get().is_none());
        let error = match slot {
            // A stack that has no address of a family may try nonetheless, and wait for nothing in one of its few sockets.
            _ if self.names.route(destination.ip()) == Route::Unreachable => AttemptErrorKind::Unreachable,
            Some(slot) => return slot.order.set(Some(Order { id, destination })),
            // The race has no more attempts in flight than there are slots, so there is one; and if there were none, it would be this.
            None => AttemptErrorKind::OutOfSockets,
        };
        self.connect.handle_input(Input::AttemptFailed { id, error: error.into() }, now);
    }

    fn error(&mut self, failure: Failure) -> Error<E> {
        match failure {
            Failure::NoDestinations => {
                why(self.connect, self.wanted.host).map_or(Error::NoAddress, Error::NotResolved)
            }
            Failure::DeadlineExceeded => Error::DeadlineExceeded,
            // Every address has failed: nobody cancels but by dropping the future, and no error of a stack says that it is gone.
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
