//! Drives the client: its sockets are served by futures, all polled in place by the one look-up that drives.
//!
//! # The rules
//!
//! 1. **One look-up drives for all.** When it has ended or was dropped, the next one that is polled does. What must outlast a driver is in
//!    [`Shared`](crate::dns::shared::Shared): the sockets too, so that an answer that comes between two drivers is heard by the second.
//! 2. **One query is sent at a time**, since there is one buffer. A stack that takes longer than [`SEND_LIMIT`] loses it, and the client sends it
//!    again.
//! 3. **Each place has a worker** that opens the socket, sends, and listens. When the place is somebody else's, it drops what it has.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use connie_core::Instant;
use connie_dns::{Input, LARGEST_QUERY};
use embassy_futures::join::join_array;
use embassy_futures::yield_now;

use crate::asking::poll_once;
use crate::clock::Clock;
use crate::dns::Dns;
use crate::dns::shared::{Chores, Conversation, Step};
use crate::dns::udp::{Udp, UdpError};

/// Rule 2.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// The buffer for a query, and for whom it is.
struct Outbox<'b> {
    /// Not there while it is sent from, or written to.
    buffer: Cell<Option<&'b mut [u8; LARGEST_QUERY]>>,
    /// From when it is to be sent until it is.
    order: Cell<Option<Order>>,
}

/// A query that is to be sent.
#[derive(Clone, Copy)]
struct Order {
    /// By which worker.
    index: usize,
    length: usize,
    at: Instant,
}

impl<'b> Outbox<'b> {
    fn is_for(&self, index: usize) -> bool {
        self.order.get().is_some_and(|order| order.index == index)
    }

    /// The query, where it is for this worker.
    fn take(&self, index: usize) -> Option<Sending<'_, 'b>> {
        let order = self.order.get().filter(|order| order.index == index)?;
        let buffer = self.buffer.take()?;
        Some(Sending { outbox: self, buffer: Some(buffer), length: order.length })
    }
}

/// A query that is being sent.
struct Sending<'o, 'b> {
    outbox: &'o Outbox<'b>,
    buffer: Option<&'b mut [u8; LARGEST_QUERY]>,
    length: usize,
}

impl Sending<'_, '_> {
    fn query(&self) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.get(..self.length)).unwrap_or_default()
    }
}

impl Drop for Sending<'_, '_> {
    fn drop(&mut self) {
        self.outbox.order.set(None);
        self.outbox.buffer.set(self.buffer.take());
    }
}

/// A socket out of its place, which it goes back to.
struct Held<
    'd,
    'a,
    U: Udp + 'a,
    C: Clock,
    const N: usize,
    const S: usize,
    const W: usize,
    const V: usize,
    const M: usize,
    const D: usize,
> {
    dns: &'d Dns<'a, U, C, N, S, W, V, M, D>,
    index: usize,
    of: Conversation,
    socket: Option<U::Socket<'a>>,
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const N: usize,
    const S: usize,
    const W: usize,
    const V: usize,
    const M: usize,
    const D: usize,
> Drop for Held<'_, 'a, U, C, N, S, W, V, M, D>
{
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            let (index, of) = (self.index, self.of);
            // What does not go back is closed after the borrow.
            drop(self.dns.with(|shared| shared.put_back(index, of, socket)));
        }
    }
}

impl<
    'a,
    U: Udp + 'a,
    C: Clock,
    const N: usize,
    const S: usize,
    const W: usize,
    const V: usize,
    const M: usize,
    const D: usize,
> Dns<'a, U, C, N, S, W, V, M, D>
{
    /// Drives all questions, for as long as it is polled.
    pub(crate) async fn drive(&self) -> Infallible {
        let mut buffer = [0; LARGEST_QUERY];
        let outbox = Outbox { buffer: Cell::new(Some(&mut buffer)), order: Cell::new(None) };
        let mut workers =
            pin!(join_array(core::array::from_fn::<_, S, _>(|index| self.work(index, &outbox))));
        let mut timer = pin!(None);
        let mut alarm = None;
        poll_fn(|cx| {
            let mut rang = false;
            loop {
                run(workers.as_mut(), cx);
                let until = match self.turn(&outbox) {
                    Turn::Again => continue,
                    Turn::Until(until) => until,
                };
                if until != alarm || (until.is_some() && timer.is_none()) {
                    alarm = until;
                    timer.set(until.map(|until| self.clock.wait_until(until)));
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

    /// Does what the client says, until a worker has something to do.
    fn turn(&self, outbox: &Outbox<'_>) -> Turn {
        let now = self.clock.now();
        if let Some(order) = outbox.order.get() {
            return self.wait_for_sending(order, outbox, now);
        }
        // There is none that is to be sent, and so it is here.
        let Some(buffer) = outbox.buffer.take() else { return Turn::Until(None) };
        let mut chores = Chores::none();
        let step = self.with(|shared| {
            let step = shared.step(buffer, now, &mut chores);
            let any = shared.release(&mut chores);
            (step, any)
        });
        outbox.buffer.set(Some(buffer));
        chores.do_all();
        match step {
            Some((Step::Send { index, length }, _)) => {
                outbox.order.set(Some(Order { index, length, at: now }));
                Turn::Again
            }
            Some((Step::Wait(until), false)) => Turn::Until(until),
            Some((Step::Wait(_), true)) => Turn::Again,
            // It is borrowed by nobody.
            None => Turn::Until(None),
        }
    }

    /// A query is being sent: rule 2.
    fn wait_for_sending(&self, order: Order, outbox: &Outbox<'_>, now: Instant) -> Turn {
        let limit = order.at + SEND_LIMIT;
        if now < limit {
            return Turn::Until(Some(limit));
        }
        // The worker drops what it is at, and gives the buffer back.
        self.with(|shared| shared.give_up(order.index));
        outbox.order.set(None);
        Turn::Again
    }

    /// Serves the socket in a place, for ever, whose ever it is.
    async fn work(&self, index: usize, outbox: &Outbox<'_>) -> Infallible {
        loop {
            let mut held = poll_fn(|_| self.hold(index).map_or(Poll::Pending, Poll::Ready)).await;
            let of = held.of;
            let failed = {
                let mut serving = pin!(self.serve(&mut held, outbox));
                poll_fn(|cx| {
                    if self.with(|shared| shared.of(index) == Some(of)) != Some(true) {
                        return Poll::Ready(None);
                    }
                    serving.as_mut().poll(cx).map(Some)
                })
                .await
            };
            if let Some(error) = failed {
                let now = self.clock.now();
                self.with(|shared| {
                    shared.give_up(index);
                    if error == UdpError::Unreachable {
                        let (port, server) = of;
                        shared.client.handle_input(Input::DatagramFailed { port, server }, now);
                    }
                });
            }
        }
    }

    /// The socket in a place that is somebody's.
    fn hold(&self, index: usize) -> Option<Held<'_, 'a, U, C, N, S, W, V, M, D>> {
        let (of, socket) = self.with(|shared| shared.of(index).map(|of| (of, shared.take(index))))??;
        Some(Held { dns: self, index, of, socket })
    }

    /// Sends what there is to send, and listens. Ends when the socket has failed.
    async fn serve(&self, held: &mut Held<'_, 'a, U, C, N, S, W, V, M, D>, outbox: &Outbox<'_>) -> UdpError {
        let (index, (port, server)) = (held.index, held.of);
        loop {
            if let Some(sending) = outbox.take(index) {
                if let Err(error) = self.send(held, sending.query()).await {
                    return error;
                }
            }
            let mut has_order =
                poll_fn(|_| if outbox.is_for(index) { Poll::Ready(()) } else { Poll::Pending });
            let Some(socket) = &mut held.socket else {
                has_order.await;
                continue;
            };
            let read = |message: &[u8]| self.heard((port, server), message);
            let mut receiving = pin!(self.udp.receive(socket, server, read));
            let received = poll_fn(|cx| match Pin::new(&mut has_order).poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => receiving.as_mut().poll(cx).map(Some),
            });
            match received.await {
                Some(Err(error)) => return error,
                // Who floods the port must not keep the others from their turn.
                Some(Ok(())) => yield_now().await,
                None => {}
            }
        }
    }

    async fn send(
        &self,
        held: &mut Held<'_, 'a, U, C, N, S, W, V, M, D>,
        query: &[u8],
    ) -> Result<(), UdpError> {
        let (_, server) = held.of;
        let mut socket = match held.socket.take() {
            Some(socket) => socket,
            None => {
                let port = self.with(|shared| shared.local_port(held.index)).unwrap_or_default();
                self.udp.open(server, port).await?
            }
        };
        let sent = self.udp.send(&mut socket, server, query).await;
        held.socket = Some(socket);
        sent
    }

    fn heard(&self, (port, from): Conversation, message: &[u8]) {
        let now = self.clock.now();
        self.with(|shared| shared.client.handle_input(Input::Datagram { port, from, message }, now));
    }
}

enum Turn {
    /// A worker has something to do.
    Again,
    /// Nothing to do before this moment, or before something comes.
    Until(Option<Instant>),
}

/// Polls the workers, which never end.
fn run<const SOCKETS: usize>(
    workers: Pin<&mut impl Future<Output = [Infallible; SOCKETS]>>,
    cx: &mut Context<'_>,
) {
    let _: Poll<[Infallible; SOCKETS]> = workers.poll(cx);
}
