//! The record buffers: a pool of pairs, and who has one.
//!
//! A TLS library borrows its buffers for as long as its session lives, and a session that has won a race
//! leaves the race. So the two travel together, in a [`TlsStream`], which no safe code can write: this module
//! has the only `unsafe` of the crate.

use core::cell::{Cell, RefCell, UnsafeCell};
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{Read, Write};
use heapless::Deque;

use super::session::{RecordPair, SessionError, Tls};

/// How many attempts can wait for a pair, those of all races that share the pool.
const WAITERS: usize = 32;

/// Record buffers for `PAIRS` sessions: one pair for each handshake that may be under way at the same time,
/// and one for each connection that is kept.
///
/// `READ` octets hold one record of the server. From it follows what a session asks the server for (RFC 6066
/// section 4): 16,640 take any record, and [4,352](Self::READ) those of a server that honours
/// `max_fragment_length`. `WRITE` octets hold one record of this side, of which the `ClientHello` needs some
/// 300 and the name.
pub struct RecordBuffers<const PAIRS: usize = 2, const READ: usize = 4352, const WRITE: usize = 1024> {
    pairs: [Pair<READ, WRITE>; PAIRS],
    waiting: RefCell<Deque<Waiter, WAITERS>>,
    next_ticket: Cell<u32>,
}

impl RecordBuffers {
    /// Room for a record of 4,096 octets (RFC 6066 section 4) and what encryption may add to it (RFC 8446
    /// section 5.2).
    pub const READ: usize = 4096 + 256;
}

struct Pair<const READ: usize, const WRITE: usize> {
    state: PairState,
    read: UnsafeCell<[u8; READ]>,
    write: UnsafeCell<[u8; WRITE]>,
}

/// Who has a pair, and the task of a handshake that does.
pub struct PairState {
    held: Cell<Held>,
    waker: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Free,
    /// By an attempt of a race.
    Handshake,
    /// By a connection that a program has.
    Kept,
}

pub struct Waiter {
    ticket: u32,
    waker: Waker,
}

impl<const PAIRS: usize, const READ: usize, const WRITE: usize> RecordBuffers<PAIRS, READ, WRITE> {
    /// All are free.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(PAIRS >= 1, "without a pair there is no session");
            assert!(READ >= 512 + 256, "512 octets are the least that a server can be asked for");
            assert!(WRITE >= 640, "a ClientHello with a long name does not fit into less");
        }
        RecordBuffers {
            pairs: [const {
                Pair {
                    state: PairState { held: Cell::new(Held::Free), waker: Cell::new(None) },
                    read: UnsafeCell::new([0; READ]),
                    write: UnsafeCell::new([0; WRITE]),
                }
            }; PAIRS],
            waiting: RefCell::new(Deque::new()),
            next_ticket: Cell::new(0),
        }
    }
}

impl<const PAIRS: usize, const READ: usize, const WRITE: usize> Default
    for RecordBuffers<PAIRS, READ, WRITE>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const PAIRS: usize, const READ: usize, const WRITE: usize> fmt::Debug
    for RecordBuffers<PAIRS, READ, WRITE>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RecordBuffers");
        debug.field("pairs", &PAIRS).field("free", &self.count(Held::Free)).finish_non_exhaustive()
    }
}

/// A [`RecordBuffers`] of whatever size. Nothing else is one.
pub trait RecordPool: Pool {}

impl<const PAIRS: usize, const READ: usize, const WRITE: usize> RecordPool
    for RecordBuffers<PAIRS, READ, WRITE>
{
}

pub(crate) use sealed::Pool;

mod sealed {
    use super::{Deque, PairState, RefCell, UnsafeCell, WAITERS, Waiter};

    /// What is asked of a pool whose sizes are not known.
    pub trait Pool {
        fn state(&self, index: usize) -> Option<&PairState>;
        fn cells(&self, index: usize) -> Option<[&UnsafeCell<[u8]>; 2]>;
        fn waiting(&self) -> &RefCell<Deque<Waiter, WAITERS>>;
        fn ticket(&self) -> u32;
    }
}

impl<const PAIRS: usize, const READ: usize, const WRITE: usize> Pool for RecordBuffers<PAIRS, READ, WRITE> {
    fn state(&self, index: usize) -> Option<&PairState> {
        self.pairs.get(index).map(|pair| &pair.state)
    }

    fn cells(&self, index: usize) -> Option<[&UnsafeCell<[u8]>; 2]> {
        let pair = self.pairs.get(index)?;
        Some([&pair.read, &pair.write])
    }

    fn waiting(&self) -> &RefCell<Deque<Waiter, WAITERS>> {
        &self.waiting
    }

    fn ticket(&self) -> u32 {
        let ticket = self.next_ticket.get();
        self.next_ticket.set(ticket.wrapping_add(1));
        ticket
    }
}

impl<'p> dyn RecordPool + 'p {
    fn states(&self) -> impl Iterator<Item = &PairState> {
        (0..).map_while(|index| self.state(index))
    }
}

/// The same for a pool of any kind.
trait Count {
    fn count(&self, held: Held) -> usize;
}

impl<P: Pool + ?Sized> Count for P {
    fn count(&self, held: Held) -> usize {
        (0..).map_while(|index| self.state(index)).filter(|state| state.held.get() == held).count()
    }
}

/// No pair comes back by itself: all are held by connections that the program keeps, or too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfPairs;

/// Whether connections that the program keeps hold all pairs of `pool`.
pub(crate) fn is_kept(pool: &(dyn RecordPool + '_)) -> bool {
    pool.states().all(|state| state.held.get() == Held::Kept)
}

/// A pair of `pool`, as soon as one is free and nobody waits for longer.
pub(crate) async fn lease<'b>(pool: &'b (dyn RecordPool + 'b)) -> Result<Lease<'b>, OutOfPairs> {
    let mut place = Place { pool, ticket: None };
    poll_fn(|cx| place.poll(cx)).await
}

/// A place among those who wait. Gone with the future that waits.
struct Place<'b> {
    pool: &'b (dyn RecordPool + 'b),
    ticket: Option<u32>,
}

impl<'b> Place<'b> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Lease<'b>, OutOfPairs>> {
        if is_kept(self.pool) {
            return Poll::Ready(Err(OutOfPairs));
        }
        // Never borrowed while foreign code runs, but for a waker's clone.
        let Ok(mut waiting) = self.pool.waiting().try_borrow_mut() else {
            return Poll::Ready(Err(OutOfPairs));
        };
        let place = waiting.iter().position(|waiter| Some(waiter.ticket) == self.ticket);
        let before = place.unwrap_or(waiting.len());
        if before < self.pool.count(Held::Free) {
            drop(waiting);
            return match Lease::take(self.pool) {
                Some(lease) => Poll::Ready(Ok(lease)),
                None => Poll::Pending,
            };
        }
        match place.and_then(|at| waiting.iter_mut().nth(at)) {
            Some(waiter) => waiter.waker.clone_from(cx.waker()),
            None => {
                let ticket = self.pool.ticket();
                if waiting.push_back(Waiter { ticket, waker: cx.waker().clone() }).is_err() {
                    return Poll::Ready(Err(OutOfPairs));
                }
                self.ticket = Some(ticket);
                drop(waiting);
                // Their turns can end now.
                self.pool.states().for_each(wake);
            }
        }
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        if let Ok(mut waiting) = self.pool.waiting().try_borrow_mut() {
            for _ in 0..waiting.len() {
                match waiting.pop_front() {
                    Some(waiter) if waiter.ticket != ticket => {
                        // It has just made room.
                        let _ = waiting.push_back(waiter);
                    }
                    _ => {}
                }
            }
        }
        wake_waiters(self.pool);
    }
}

fn wake(state: &PairState) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}

/// Those who wait look again.
fn wake_waiters(pool: &(dyn RecordPool + '_)) {
    if let Ok(waiting) = pool.waiting().try_borrow() {
        waiting.iter().for_each(|waiter| waiter.waker.wake_by_ref());
    }
}

/// A pair that somebody has.
pub(crate) struct Lease<'b> {
    pool: &'b (dyn RecordPool + 'b),
    index: usize,
}

impl<'b> Lease<'b> {
    fn take(pool: &'b (dyn RecordPool + 'b)) -> Option<Self> {
        let index = pool.states().position(|state| state.held.get() == Held::Free)?;
        pool.state(index)?.held.set(Held::Handshake);
        Some(Lease { pool, index })
    }

    /// Who is woken when others wait for a pair.
    pub(crate) fn turn(&self) -> Turn<'b> {
        Turn { pool: self.pool, index: self.index }
    }

    /// It is a connection's now, whose turn does not end.
    fn keep(&self) {
        if let Some(state) = self.pool.state(self.index) {
            state.held.set(Held::Kept);
            state.waker.take();
        }
        // It may have been the last for which they could wait.
        wake_waiters(self.pool);
    }

    /// The pair itself.
    ///
    /// # Safety
    ///
    /// Called once for a lease, and what it returns is gone when the lease is dropped.
    #[expect(unsafe_code, reason = "see the head of this module")]
    unsafe fn records(&self) -> RecordPair<'b> {
        match self.pool.cells(self.index) {
            // SAFETY: A pair has at most one lease, since one is made only of a pair that is `Free`, which
            // makes it another, and only the end of the lease makes it free again. Nothing but this touches
            // the cells, and by this function's contract it is called once for a lease and nothing of it is
            // left afterwards. So these references are the only ones. The pool is not `Sync`: it has cells.
            Some([read, write]) => unsafe { RecordPair { read: &mut *read.get(), write: &mut *write.get() } },
            // A lease has the number of a pair that is there.
            None => RecordPair { read: &mut [], write: &mut [] },
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.pool.state(self.index) {
            state.held.set(Held::Free);
            state.waker.take();
        }
        wake_waiters(self.pool);
    }
}

/// The turn of a handshake that has a pair.
pub(crate) struct Turn<'b> {
    pool: &'b (dyn RecordPool + 'b),
    index: usize,
}

impl Turn<'_> {
    /// Whether somebody waits for whom no pair is free. If not, the task is woken when it may be so.
    pub(crate) fn is_wanted(&self, cx: &mut Context<'_>) -> bool {
        if let Some(state) = self.pool.state(self.index) {
            state.waker.set(Some(cx.waker().clone()));
        }
        let waiting = self.pool.waiting().try_borrow().map_or(0, |waiting| waiting.len());
        waiting > self.pool.count(Held::Free)
    }
}

/// A TLS session over the connection `S`, and the buffers that it works in.
///
/// Dropping it drops the connection; no `close_notify` is sent.
pub struct TlsStream<'b, L: Tls + 'b, S: Read + Write + 'b> {
    // Before the lease, so that it is dropped before it. It never leaves by itself.
    session: RefCell<L::Session<'b, S>>,
    #[expect(dead_code, reason = "its end gives the pair back")]
    lease: Lease<'b>,
}

impl<'b, L: Tls, S: Read + Write> TlsStream<'b, L, S> {
    /// Makes a session over `socket`.
    #[expect(unsafe_code, reason = "see the head of this module")]
    pub(crate) async fn open(
        tls: &L,
        server: &str,
        socket: S,
        lease: Lease<'b>,
    ) -> Result<Self, SessionError> {
        // SAFETY: The one call for this lease, which this function owns. What is made of it is the future of
        // the handshake, which is dropped before the lease where this one is, and the session, which is
        // dropped before the lease too: at the end of a `TlsStream`, whose field comes first, and out of
        // which nobody can take it. Nothing of it can be put elsewhere: `handshake` is generic over `'b`, so
        // that no place outlives it whose type its implementation can name, and its error has no lifetime.
        let records = unsafe { lease.records() };
        let session = tls.handshake(server, socket, records).await?;
        lease.keep();
        Ok(TlsStream { session: RefCell::new(session), lease })
    }

    /// The session, for this crate alone: a caller could put another in its place.
    pub(super) fn session(&mut self) -> &mut L::Session<'b, S> {
        self.session.get_mut()
    }

    /// The same for its halves.
    #[cfg(feature = "edge-nal")]
    pub(super) const fn shared_session(&self) -> &RefCell<L::Session<'b, S>> {
        &self.session
    }
}

impl<L: Tls, S: Read + Write> fmt::Debug for TlsStream<'_, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::vec::Vec;

    use core::future::Future;

    use super::*;
    use crate::doc_stack::{Echo, NoTls};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    type Waiting<'b> = Pin<Box<dyn Future<Output = Result<Lease<'b>, OutOfPairs>> + 'b>>;

    fn poll<'b>(future: &mut Waiting<'b>, woken: &Arc<Woken>) -> Poll<Result<Lease<'b>, OutOfPairs>> {
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken))))
    }

    #[test]
    fn the_longest_wait_is_over_first_and_whoever_has_a_pair_hears_of_it() {
        let buffers = RecordBuffers::<1, 768, 640>::new();
        let woken = Arc::new(Woken::default());
        let mut futures: Vec<Waiting<'_>> =
            (0..3).map(|_| Box::pin(lease(&buffers)) as Waiting<'_>).collect();
        let Poll::Ready(Ok(first)) = poll(&mut futures[0], &woken) else { panic!("one is free") };
        let holder = Arc::new(Woken::default());
        let turn = first.turn();
        let waker = Waker::from(Arc::clone(&holder));
        assert!(!turn.is_wanted(&mut Context::from_waker(&waker)));
        assert!(poll(&mut futures[1], &woken).is_pending() && poll(&mut futures[2], &woken).is_pending());
        assert_eq!(holder.0.load(Ordering::SeqCst), 1, "somebody waits");
        assert!(turn.is_wanted(&mut Context::from_waker(&waker)));
        drop(first);
        assert_eq!(woken.0.load(Ordering::SeqCst), 2, "both look again");
        assert!(turn.is_wanted(&mut Context::from_waker(&waker)), "one is free, and two wait");
        assert!(poll(&mut futures[2], &woken).is_pending(), "the other was there before");
        let Poll::Ready(Ok(second)) = poll(&mut futures[1], &woken) else { panic!("its turn") };
        assert!(turn.is_wanted(&mut Context::from_waker(&waker)), "none is free, and one waits");
        drop(futures);
        assert!(!turn.is_wanted(&mut Context::from_waker(&waker)), "nobody waits any longer");
        drop(second);
        assert_eq!(buffers.count(Held::Free), 1);
    }

    #[test]
    fn nobody_waits_for_what_is_kept_and_what_is_kept_comes_back() {
        let buffers = RecordBuffers::<2, 768, 640>::new();
        let woken = Arc::new(Woken::default());
        let take = || {
            let Poll::Ready(Ok(lease)) = poll(&mut (Box::pin(lease(&buffers)) as Waiting<'_>), &woken) else {
                panic!("one is free")
            };
            lease
        };
        let (first, second) = (take(), take());
        let mut third = Box::pin(lease(&buffers)) as Waiting<'_>;
        assert!(poll(&mut third, &woken).is_pending());
        let open = |lease| embassy_futures::block_on(TlsStream::open(&NoTls, "name.test", Echo, lease));
        let first = open(first).expect("no error");
        assert!(poll(&mut third, &woken).is_pending());
        let second = open(second).expect("no error");
        assert_eq!(buffers.count(Held::Kept), 2);
        assert!(matches!(poll(&mut third, &woken), Poll::Ready(Err(OutOfPairs))));
        drop((first, second));
        assert_eq!(buffers.count(Held::Free), 2);
    }

    /// Writes into its pair when it is made, used and dropped: Miri sees whether anybody else may.
    struct Writes;
    struct Session<'b>(RecordPair<'b>);

    impl Tls for Writes {
        type Session<'b, S: Read + Write + 'b> = Session<'b>;

        async fn handshake<'b, S: Read + Write + 'b>(
            &self,
            _: &str,
            _: S,
            records: RecordPair<'b>,
        ) -> Result<Session<'b>, SessionError> {
            records.read.fill(1);
            Ok(Session(records))
        }
    }
    impl embedded_io_async::ErrorType for Session<'_> {
        type Error = SessionError;
    }
    impl Read for Session<'_> {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SessionError> {
            buffer[0] = self.0.read[0];
            Ok(1)
        }
    }
    impl Write for Session<'_> {
        async fn write(&mut self, buffer: &[u8]) -> Result<usize, SessionError> {
            self.0.read[0] = buffer[0];
            Ok(1)
        }
        async fn flush(&mut self) -> Result<(), SessionError> {
            Ok(())
        }
    }
    impl<S> super::super::TlsSession<S> for Session<'_> {
        async fn readable(&mut self) -> Result<(), SessionError> {
            Ok(())
        }
        async fn close(&mut self) -> Result<Option<S>, SessionError> {
            Ok(None)
        }
        async fn abort(&mut self) -> Option<S> {
            None
        }
    }
    impl Drop for Session<'_> {
        fn drop(&mut self) {
            self.0.write.fill(2);
        }
    }

    #[test]
    fn a_pair_is_used_until_the_end_of_its_session_and_no_longer() {
        let buffers = RecordBuffers::<2, 768, 640>::new();
        let open = || {
            embassy_futures::block_on(async {
                let lease = lease(&buffers).await.expect("a pair");
                TlsStream::open(&Writes, "name.test", Echo, lease).await.expect("no error")
            })
        };
        let (mut first, mut second) = (open(), open());
        embassy_futures::block_on(async {
            let mut octet = [0];
            first.write(&[7]).await.expect("no error");
            second.read(&mut octet).await.expect("no error");
            assert_eq!(octet, [1], "a pair of its own");
            first.read(&mut octet).await.expect("no error");
            assert_eq!(octet, [7]);
        });
        drop(first);
        let third = open();
        drop((second, third));
        assert_eq!(buffers.count(Held::Free), 2);
    }
}
