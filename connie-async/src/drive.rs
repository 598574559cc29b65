//! Drives one race: its attempts are futures, all polled in place by the one task that asked for the connection.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Failure, Family, Input, Instant, Output, Race};
use embassy_futures::join::join_array;
use heapless::Vec;

use crate::clock::Clock;
use crate::error::{Error, MostTelling, attempt_error};
use crate::lookup::{Answers, Lookup};

/// A connection, and where it leads.
pub(crate) type Won<T> = (T, SocketAddr);

/// The look-ups that go on while the race runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'h> {
    pub(crate) host: &'h str,
    pub(crate) v6: bool,
    pub(crate) v4: bool,
    pub(crate) port: u16,
}

/// One attempt at a time, each in its future.
struct Slot<T, E> {
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
    const fn new() -> Self {
        Slot { order: Cell::new(None), done: Cell::new(false), result: Cell::new(None) }
    }

    fn is(&self, id: AttemptId) -> bool {
        self.order.get().is_some_and(|order| order.id == id)
    }

    /// Ends what the slot does. A connection that is there already is dropped.
    fn release(&self) {
        self.order.set(None);
        self.done.set(false);
        drop(self.result.take());
    }
}

/// Carries out the orders of a slot, for ever. The future of an attempt lives in this one, and is gone before the next begins.
async fn work<T, E, O, F>(slot: &Slot<T, E>, open: &O) -> Infallible
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

/// The addresses of `family` that `host` has.
pub(crate) async fn ask<L: Lookup, const ADDRESSES: usize>(
    names: &L,
    host: &str,
    family: Family,
) -> Result<Vec<IpAddr, ADDRESSES>, L::Error> {
    let mut found = Vec::new();
    names.lookup(host, family, &mut Answers::new(family, &mut found)).await?;
    Ok(found)
}

/// Polls the future in `place`, where there is one, and drops it when it has ended.
pub(crate) fn poll_once<F: Future>(
    mut place: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Option<F::Output> {
    match place.as_mut().as_pin_mut()?.poll(cx) {
        Poll::Ready(output) => {
            place.set(None);
            Some(output)
        }
        Poll::Pending => None,
    }
}

/// Runs `race` to its end. Dropping the future drops the futures of all attempts, and so their sockets.
///
/// Everything happens within one task: each wake-up polls the look-ups, the attempts and the clock, and tells the race what is new,
/// until there is nothing new.
pub(crate) async fn drive<C, L, O, F, T, E, const ADDRESSES: usize, const SOCKETS: usize>(
    race: &mut Race<ADDRESSES, SOCKETS, SOCKETS>,
    clock: &C,
    names: &L,
    asked: Asked<'_>,
    open: O,
) -> Result<Won<T>, Error<E>>
where
    C: Clock,
    L: Lookup,
    O: Fn(SocketAddr) -> F,
    F: Future<Output = Result<T, E>>,
    E: embedded_io_async::Error,
{
    let slots = [const { Slot::new() }; SOCKETS];
    let mut workers = pin!(join_array(slots.each_ref().map(|slot| work(slot, &open))));
    let lookup = |family, wanted: bool| wanted.then(|| ask::<L, ADDRESSES>(names, asked.host, family));
    let mut v6 = pin!(lookup(Family::V6, asked.v6));
    let mut v4 = pin!(lookup(Family::V4, asked.v4));
    let mut timer = pin!(None);
    let mut alarm = None;
    let mut turn = Turn { race, slots: &slots, told: MostTelling::none(), won: None };
    poll_fn(|cx| {
        // The workers are all there is to do in a poll that an attempt has woken, and they never end.
        let mut run = |cx: &mut Context<'_>| {
            let _: Poll<[Infallible; SOCKETS]> = workers.as_mut().poll(cx);
        };
        let mut rang = false;
        loop {
            run(cx);
            let now = clock.now();
            if let Some(answer) = poll_once(v6.as_mut(), cx) {
                turn.answered(Family::V6, answer.ok(), asked.port, now);
            }
            if let Some(answer) = poll_once(v4.as_mut(), cx) {
                turn.answered(Family::V4, answer.ok(), asked.port, now);
            }
            turn.look(now);
            let until = match turn.drain(now) {
                Drained::Over(result) => return Poll::Ready(result),
                Drained::Until(until) => until,
            };
            // What was just begun has been polled by nobody.
            run(cx);
            if turn.has_news() {
                continue;
            }
            if until != alarm || (until.is_some() && timer.is_none()) {
                alarm = until;
                timer.set(until.map(|until| clock.wait_until(until)));
            }
            if poll_once(timer.as_mut(), cx).is_none() {
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

/// The race, its slots, and what has come of them.
struct Turn<'r, T, E, const ADDRESSES: usize, const SOCKETS: usize> {
    race: &'r mut Race<ADDRESSES, SOCKETS, SOCKETS>,
    slots: &'r [Slot<T, E>; SOCKETS],
    told: MostTelling<E>,
    /// The connection that the race has been told of.
    won: Option<T>,
}

enum Drained<T, E> {
    Over(Result<Won<T>, Error<E>>),
    /// Nothing to do before this moment, or before there is news.
    Until(Option<Instant>),
}

impl<T, E: embedded_io_async::Error, const ADDRESSES: usize, const SOCKETS: usize>
    Turn<'_, T, E, ADDRESSES, SOCKETS>
{
    /// Tells the race what a look-up has brought. `None`: it failed.
    fn answered(&mut self, family: Family, answer: Option<Vec<IpAddr, ADDRESSES>>, port: u16, now: Instant) {
        let Some(found) = answer else {
            return self.race.handle_input(Input::ResolutionFailed { family }, now);
        };
        let addresses = with_port(&found, |ip| SocketAddr::new(ip, port));
        self.race.handle_input(Input::Resolved { family, addresses: &addresses }, now);
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
                    return self.race.handle_input(Input::AttemptSucceeded { id }, now);
                }
                Some(Err((error, meaning))) => {
                    self.told.note(error, meaning);
                    self.race.handle_input(Input::AttemptFailed { id, error: meaning }, now);
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
            match self.race.poll_output(now) {
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
        match self.slots.iter().find(|slot| slot.order.get().is_none()) {
            Some(slot) => slot.order.set(Some(Order { id, destination })),
            // The race has no more attempts in flight than there are slots, so there is one; and if there were none, it would be this.
            None => {
                let error = AttemptErrorKind::OutOfSockets;
                self.race.handle_input(Input::AttemptFailed { id, error: error.into() }, now);
            }
        }
    }

    fn error(&mut self, failure: Failure) -> Error<E> {
        match failure {
            Failure::NoDestinations => Error::NoAddress,
            Failure::DeadlineExceeded => Error::DeadlineExceeded,
            // Every address has failed: nobody cancels but by dropping the future, and no error of a stack says that it is gone.
            _ => Error::AllAttemptsFailed(self.told.take()),
        }
    }
}

/// `addresses`, each made a destination.
pub(crate) fn with_port<const ADDRESSES: usize>(
    addresses: &Vec<IpAddr, ADDRESSES>,
    destination: impl Fn(IpAddr) -> SocketAddr,
) -> Vec<SocketAddr, ADDRESSES> {
    let mut list = Vec::new();
    for address in addresses {
        // As many as `addresses` holds, which has the same capacity.
        let _ = list.push(destination(*address));
    }
    list
}
