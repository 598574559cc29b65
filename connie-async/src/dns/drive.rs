//! Drives the client: its sockets are served by futures, all polled in place by the one future that drives,
//! [`serve`](crate::Lookup::serve).
//!
//! # The rules
//!
//! 1. **One drives for all.** When it was dropped, the next one that is polled does. What must outlast a
//!    driver is in [`DnsState`](crate::dns::state::DnsState): the sockets too, so that an answer that comes
//!    between two drivers reaches the second.
//! 2. **One query is sent at a time**, since there is one buffer. A stack that takes longer than
//!    [`SEND_LIMIT`] loses it, and the client sends it again.
//! 3. **Each place has a listener.** It puts the socket back when something is to be sent from it, and drops
//!    it when the place is somebody else's.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;

use connie_core::Instant;
use connie_dns::{DnsInput, LARGEST_QUERY};
use embassy_futures::join::join_array;
use embassy_futures::yield_now;

use crate::clock::Clock;
use crate::dns::Dns;
use crate::dns::state::{Deferred, DriverStep, Generation};
use crate::dns::udp::{Udp, UdpError};
use crate::queries::poll_once;

/// Rule 2.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// A query that is being sent.
#[derive(Clone, Copy)]
struct SendOrder {
    /// From the socket in this place.
    index: usize,
    length: usize,
    at: Instant,
}

/// A socket out of its place, which it goes back to.
struct HeldSocket<
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
    /// Whose it is. Not by the conversation, which would take four times the RAM in each listener.
    generation: Generation,
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
> Drop for HeldSocket<'_, 'a, U, C, N, S, W, V, M, D>
{
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            let (index, generation) = (self.index, self.generation);
            // What does not go back is closed after the borrow.
            drop(self.dns.with(|shared| shared.put_back(index, generation, socket)));
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
        let order = Cell::new(None);
        let mut listeners =
            pin!(join_array(core::array::from_fn::<_, S, _>(|index| self.listen(index, &order))));
        let mut sending = pin!(None);
        let mut timer = pin!(None);
        let mut alarm = None;
        poll_fn(|cx| {
            let mut rang = false;
            loop {
                // First of all the one whose socket is wanted puts it back.
                run(listeners.as_mut(), cx);
                if let Some(()) = poll_once(sending.as_mut(), cx) {
                    order.set(None);
                    continue;
                }
                let until = match self.step(&order) {
                    DriveStep::Send(of, query) => {
                        sending.set(Some(self.send(of, query)));
                        continue;
                    }
                    DriveStep::Lost => {
                        sending.set(None);
                        continue;
                    }
                    DriveStep::Again => continue,
                    DriveStep::Until(until) => until,
                };
                if until != alarm || (until.is_some() && timer.is_none()) {
                    alarm = until;
                    timer.set(until.map(|until| self.clock.wait_until(until)));
                }
                if poll_once(timer.as_mut(), cx).is_none() {
                    return Poll::Pending;
                }
                if mem::replace(&mut rang, true) {
                    // A clock that is early must not keep the executor from its other tasks.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Does what the client says, until there is something to send.
    fn step(&self, order: &Cell<Option<SendOrder>>) -> DriveStep {
        let now = self.clock.now();
        if let Some(SendOrder { index, at, .. }) = order.get() {
            if now < at + SEND_LIMIT {
                return DriveStep::Until(Some(at + SEND_LIMIT));
            }
            drop(self.with(|shared| shared.give_up(index)));
            order.set(None);
            return DriveStep::Lost;
        }
        let mut query = [0; LARGEST_QUERY];
        let mut deferred = Deferred::none();
        let step = self.with(|shared| {
            let step = shared.step(&mut query, now, &mut deferred);
            (step, shared.release(&mut deferred))
        });
        deferred.do_all();
        match step {
            Some((DriverStep::Send { index, length }, _)) => {
                let new = SendOrder { index, length, at: now };
                order.set(Some(new));
                DriveStep::Send(new, query)
            }
            Some((DriverStep::Wait(until), false)) => DriveStep::Until(until),
            // There are sockets to be dropped.
            Some((DriverStep::Wait(_), true)) => DriveStep::Again,
            // It is borrowed by nobody.
            None => DriveStep::Until(None),
        }
    }

    /// Sends a query, from a socket that it opens where there is none yet.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` has room for the query twice: as its argument, and as what its body uses"
    )]
    fn send(&self, order: SendOrder, query: [u8; LARGEST_QUERY]) -> impl Future<Output = ()> {
        async move {
            // Where the place is nobody's by now, the question has ended.
            let Some(mut held) = self.hold(order.index) else { return };
            let sent = held.send(query.get(..order.length).unwrap_or_default()).await;
            let generation = held.generation;
            drop(held);
            if let Err(error) = sent {
                self.handle_failure(order.index, generation, error);
            }
        }
    }

    /// Listens to the socket in a place, for ever, whose ever it is; not while something is sent from it.
    #[expect(clippy::manual_async_fn, reason = "as above")]
    fn listen(&self, index: usize, order: &Cell<Option<SendOrder>>) -> impl Future<Output = Infallible> {
        async move {
            let is_wanted = || order.get().is_some_and(|order| order.index == index);
            loop {
                let mut held = poll_fn(|_| match self.with(|shared| shared.has_socket(index)) {
                    Some(true) if !is_wanted() => self.hold(index).map_or(Poll::Pending, Poll::Ready),
                    _ => Poll::Pending,
                })
                .await;
                let generation = held.generation;
                let heard = {
                    let mut receiving = pin!(held.receive());
                    poll_fn(|cx| {
                        let is_its = self.with(|shared| shared.generation(index)) == Some(Some(generation));
                        if is_wanted() || !is_its {
                            return Poll::Ready(None);
                        }
                        receiving.as_mut().poll(cx).map(Some)
                    })
                    .await
                };
                drop(held);
                if let Some(Err(error)) = heard {
                    self.handle_failure(index, generation, error);
                }
                // While a query is being sent nobody asks the client whose question has ended.
                if heard.is_some() && order.get().is_some() {
                    self.wake_all();
                }
                if let Some(Ok(())) = heard {
                    // Who floods the port must not keep the others from their turn.
                    yield_now().await;
                }
            }
        }
    }

    /// What is in a place that is somebody's.
    fn hold(&self, index: usize) -> Option<HeldSocket<'_, 'a, U, C, N, S, W, V, M, D>> {
        let taken =
            self.with(|shared| shared.generation(index).map(|generation| (generation, shared.take(index))));
        let (generation, socket) = taken??;
        Some(HeldSocket { dns: self, index, generation, socket })
    }

    /// Tells the client of a datagram.
    fn handle_datagram(&self, index: usize, generation: Generation, message: &[u8]) {
        let now = self.clock.now();
        self.with(|shared| {
            if let Some((port, from)) = shared.of(index, generation) {
                shared.client.handle_input(DnsInput::Datagram { port, from, message }, now);
            }
        });
    }

    fn wake_all(&self) {
        let mut deferred = Deferred::none();
        self.with(|shared| shared.wake_all(&mut deferred));
        deferred.do_all();
    }

    /// The socket in a place is of no use any more.
    fn handle_failure(&self, index: usize, generation: Generation, error: UdpError) {
        let now = self.clock.now();
        let socket = self.with(|shared| {
            let (port, server) = shared.of(index, generation)?;
            if error == UdpError::Unreachable {
                shared.client.handle_input(DnsInput::DatagramFailed { port, server }, now);
            }
            shared.give_up(index)
        });
        drop(socket);
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
> HeldSocket<'_, 'a, U, C, N, S, W, V, M, D>
{
    async fn send(&mut self, query: &[u8]) -> Result<(), UdpError> {
        let of = self.dns.with(|shared| shared.of(self.index, self.generation)).flatten();
        let Some((_, server)) = of else { return Ok(()) };
        let udp = self.dns.udp;
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let port = self.dns.with(|shared| shared.local_port(self.index)).unwrap_or_default();
                none.insert(udp.open(server, port).await?)
            }
        };
        udp.send(socket, server, query).await
    }

    /// Tells the client of the next datagram.
    async fn receive(&mut self) -> Result<(), UdpError> {
        let (dns, index, generation) = (self.dns, self.index, self.generation);
        let Some(socket) = &mut self.socket else { return Err(UdpError::NoSocket) };
        dns.udp.receive(socket, |message: &[u8]| dns.handle_datagram(index, generation, message)).await
    }
}

#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and there is no heap to put it on")]
enum DriveStep {
    /// A query is to be sent.
    Send(SendOrder, [u8; LARGEST_QUERY]),
    /// The one that was being sent is lost.
    Lost,
    /// There is more to do.
    Again,
    /// Nothing to do before this moment, or before something comes.
    Until(Option<Instant>),
}

/// Polls the listeners, which never end.
fn run<const SOCKETS: usize>(
    listeners: Pin<&mut impl Future<Output = [Infallible; SOCKETS]>>,
    cx: &mut Context<'_>,
) {
    let _: Poll<[Infallible; SOCKETS]> = listeners.poll(cx);
}
