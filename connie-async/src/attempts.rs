//! The attempts of one connect: each is a future in a slot, and all are polled in place by the task that
//! asked for the connection.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use connie_core::connect::{Connect, ConnectInput};
use connie_core::memory::{Finish, Network, Recall};
use connie_core::race::Guide;
use connie_core::resolution::QueryError;
use connie_core::resolution::selection::Route;
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Failure, Family, Instant};

use crate::error::{ConnectionError, MostTellingError, attempt_error};
use crate::lookup::Lookup;
use crate::sources::{SourceFate, Sources};

/// What has become of the attempts of a connect.
pub(crate) struct Attempts<'r, T, E, const SOCKETS: usize> {
    slots: &'r [AttemptSlot<T, E>; SOCKETS],
    most_telling: MostTellingError<E>,
    /// The connection that the race knows of.
    won: Option<T>,
    sources: Sources,
}

impl<'r, T, E: embedded_io_async::Error, const SOCKETS: usize> Attempts<'r, T, E, SOCKETS> {
    /// No attempt has begun yet. This machine is on `network`.
    pub(crate) fn new(slots: &'r [AttemptSlot<T, E>; SOCKETS], network: Network) -> Self {
        Attempts { slots, most_telling: MostTellingError::none(), won: None, sources: Sources::new(network) }
    }

    /// Whether there is a result that the race does not know yet.
    pub(crate) fn has_news(&self) -> bool {
        self.slots.iter().any(|slot| slot.done.get())
    }

    /// Begins an attempt, or tells the race why it cannot.
    pub(crate) fn start<L: Lookup, const A: usize, const N: usize, G: Guide>(
        &self,
        connect: &mut Connect<A, SOCKETS, SOCKETS, N, G>,
        names: &L,
        (id, destination): (AttemptId, SocketAddr),
        now: Instant,
    ) {
        let slot = self.slots.iter().find(|slot| slot.order.get().is_none());
        // A stack without an address of the family may try all the same, and would hold one of its few
        // sockets for nothing.
        let is_held = names.route(destination.ip()) == Route::Unreachable;
        let error = match slot {
            _ if is_held && !self.sources.is_awaited(Family::of(&destination)) => {
                AttemptErrorKind::Unreachable
            }
            Some(slot) => return slot.order.set(Some(AttemptOrder { id, destination, is_held })),
            // The race has no more attempts in flight than there are slots, so there is one; and if there
            // were none, it would be this.
            None => AttemptErrorKind::OutOfSockets,
        };
        connect.handle_input(ConnectInput::AttemptFailed { id, error: error.into() }, now);
    }

    /// Ends an attempt. Its future goes when the workers are polled, before a new one begins in its place: no
    /// slot has two.
    pub(crate) fn cancel(&self, id: AttemptId) {
        let is = |slot: &&AttemptSlot<T, E>| slot.order.get().is_some_and(|order| order.id == id);
        if let Some(slot) = self.slots.iter().find(is) {
            slot.release();
        }
    }

    /// Checks which addresses this machine sends from now, and acts on a change: the attempts of a family
    /// that has lost its address wait for another, and those of a family that has another begin anew, since
    /// no answer can reach the old one. The memory learns for the new network from then on, even if no
    /// attempt was affected: by a family's first address, or by one that came when nobody waited for it any
    /// more.
    ///
    /// Call it before the results are reported, since a stack ends the sockets of an address that goes.
    pub(crate) fn follow_sources<L: Lookup, const A: usize, const N: usize, G: Guide>(
        &mut self,
        connect: &mut Connect<A, SOCKETS, SOCKETS, N, G>,
        memory: &mut impl Recall<A, Guide = G>,
        names: &L,
        now: Instant,
    ) {
        let (has_moved, fates) = self.sources.look(names, now);
        if has_moved {
            memory.move_to(self.sources.network());
        }
        for (family, fate) in fates {
            match fate {
                SourceFate::Stays => {}
                SourceFate::Awaited => self.slots_of(family).for_each(|(slot, order)| {
                    slot.release();
                    slot.order.set(Some(AttemptOrder { is_held: true, ..order }));
                }),
                SourceFate::Replaced => {
                    self.slots_of(family).for_each(|(slot, _)| slot.release());
                    connect.handle_input(ConnectInput::SourceChanged { family }, now);
                }
                SourceFate::Lost => {
                    for (slot, AttemptOrder { id, .. }) in self.slots_of(family) {
                        slot.release();
                        let error = AttemptErrorKind::Unreachable.into();
                        connect.handle_input(ConnectInput::AttemptFailed { id, error }, now);
                    }
                }
            }
        }
        if has_moved {
            connect.plan_by(memory, now);
        }
    }

    fn slots_of(&self, family: Family) -> impl Iterator<Item = (&'r AttemptSlot<T, E>, AttemptOrder)> {
        let orders = self.slots.iter().filter_map(|slot| Some((slot, slot.order.get()?)));
        orders.filter(move |(_, order)| Family::of(&order.destination) == family)
    }

    /// When to look at the clock and the sources again. The race itself waits until `until`.
    pub(crate) fn look_by(&self, until: Option<Instant>, now: Instant) -> Option<Instant> {
        until.into_iter().chain(self.sources.next(now)).min()
    }

    /// Tells the race of the attempts that have ended, those that began first before the others. A success
    /// decides it, so that the rest need not be reported.
    pub(crate) fn report_results<const A: usize, const N: usize, G: Guide>(
        &mut self,
        connect: &mut Connect<A, SOCKETS, SOCKETS, N, G>,
        now: Instant,
    ) {
        while let Some((slot, id)) = self.first_done() {
            let result = slot.result.take();
            slot.release();
            match result {
                Some(Ok(connection)) => {
                    self.won = Some(connection);
                    return connect.handle_input(ConnectInput::AttemptSucceeded { id }, now);
                }
                Some(Err((error, meaning))) => {
                    self.most_telling.note(error, meaning);
                    connect.handle_input(ConnectInput::AttemptFailed { id, error: meaning }, now);
                }
                // A worker that says it is done has put its result there.
                None => {}
            }
        }
    }

    fn first_done(&self) -> Option<(&'r AttemptSlot<T, E>, AttemptId)> {
        let done = self.slots.iter().filter(|slot| slot.done.get());
        done.filter_map(|slot| Some((slot, slot.order.get()?.id))).min_by_key(|(_, id)| *id)
    }

    /// The connection that won. The race is told of a success only when its connection is there.
    pub(crate) fn won(&mut self) -> Result<T, ConnectionError<E>> {
        self.won.take().ok_or(ConnectionError::NoAddress)
    }

    /// Why there is no connection. `unresolved` is why there are no addresses, where there are none.
    pub(crate) fn error<const A: usize, const N: usize, G: Guide>(
        &mut self,
        failure: Failure,
        connect: &Connect<A, SOCKETS, SOCKETS, N, G>,
        unresolved: impl FnOnce() -> Option<QueryError>,
    ) -> ConnectionError<E> {
        match failure {
            Failure::NoDestinations => {
                unresolved().map_or(ConnectionError::NoAddress, ConnectionError::NotResolved)
            }
            Failure::DeadlineExceeded => ConnectionError::DeadlineExceeded,
            // Every address has failed: nobody cancels but by dropping the future, and no error of a stack
            // says that it is gone.
            _ => match self.most_telling.take() {
                None if is_unreachable(connect) => ConnectionError::Unreachable,
                error => ConnectionError::AllAttemptsFailed(error),
            },
        }
    }
}

/// Whether none of the addresses could be reached.
fn is_unreachable<const A: usize, const K: usize, const R: usize, const N: usize, G: Guide>(
    connect: &Connect<A, K, R, N, G>,
) -> bool {
    let is_unreachable = |error: AttemptError| error == AttemptErrorKind::Unreachable;
    connect.race().destinations().iter().all(|it| it.error().is_some_and(is_unreachable))
}

/// One attempt at a time, each in its future.
pub(crate) struct AttemptSlot<T, E> {
    /// What is to be tried: set by the race. `None` ends it, whereupon the worker drops its future at its
    /// next poll.
    order: Cell<Option<AttemptOrder>>,
    /// Whether the order has its result: set by the worker.
    done: Cell<bool>,
    result: Cell<Option<Result<T, (E, AttemptError)>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct AttemptOrder {
    id: AttemptId,
    destination: SocketAddr,
    /// It waits for an address to send from.
    is_held: bool,
}

impl<T, E> AttemptSlot<T, E> {
    pub(crate) const fn new() -> Self {
        AttemptSlot { order: Cell::new(None), done: Cell::new(false), result: Cell::new(None) }
    }

    /// Ends what the slot does. A connection that is there already is dropped.
    fn release(&self) {
        self.order.set(None);
        self.done.set(false);
        drop(self.result.take());
    }
}

/// How the attempts of a race are made.
pub(crate) struct Opener<O, E> {
    pub(crate) open: O,
    /// What an error means to the race, and whether it came before anything could have come from the network.
    pub(crate) meaning: fn(&E, bool) -> AttemptError,
    /// Where they end.
    pub(crate) finish: Finish,
}

impl<O, E: embedded_io_async::Error> Opener<O, E> {
    /// By a stack's connect.
    pub(crate) const fn tcp(open: O) -> Self {
        let meaning = |error: &E, at_once| attempt_error(error.kind(), at_once);
        Opener { open, meaning, finish: Finish::Tcp }
    }
}

/// Carries out the orders of a slot, for ever. The future of an attempt lives in this one, and is gone before
/// the next begins.
pub(crate) async fn work<T, E, O, F>(slot: &AttemptSlot<T, E>, opener: &Opener<O, E>) -> Infallible
where
    O: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, E>>,
{
    let mut last = None;
    loop {
        let order = poll_fn(|_| match slot.order.get() {
            Some(order) if last != Some(order.id) && !order.is_held => Poll::Ready(order),
            _ => Poll::Pending,
        })
        .await;
        last = Some(order.id);
        let mut at_once = true;
        let mut attempt = pin!((opener.open)(order.destination));
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
                let meaning = (opener.meaning)(&error, at_once);
                (error, meaning)
            })));
            slot.done.set(true);
        }
    }
}

/// Polls the workers: all there is to do in a poll that an attempt has woken. They never end.
pub(crate) fn run<const SOCKETS: usize>(
    workers: Pin<&mut impl Future<Output = [Infallible; SOCKETS]>>,
    cx: &mut Context<'_>,
) {
    let _: Poll<[Infallible; SOCKETS]> = workers.poll(cx);
}
