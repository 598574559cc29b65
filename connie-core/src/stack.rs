//! What a race needs of a TCP stack and of the program: sockets, a clock, and a way to wait.
//!
//! `embedded-nal`'s [`TcpClientStack`] is the trait that the embedded world writes network programs against.
//! A race needs four promises that it does not make, so [`RaceStack`] extends it. [`NalCompat`] wraps a stack
//! that knows only `TcpClientStack`, with the limits that follow from what such a stack cannot say.

use core::net::SocketAddr;

pub use embedded_nal::{TcpClientStack, TcpError, TcpErrorKind, nb};

use crate::race::{AttemptError, AttemptErrorKind, Family};
use crate::time::Instant;

/// A TCP stack that a race can run on.
///
/// The methods inherited from [`TcpClientStack`] keep their meaning and take on these duties:
///
/// - **`connect` never blocks.** The first call begins the handshake; while it is under way each call answers
///   `WouldBlock`; `Ok` says that the handshake is complete, and never comes before that: a socket that is
///   writable with an error pending has failed.
/// - **A failure is reported as what it was**, once, by `connect`, and
///   [`attempt_error`](RaceStack::attempt_error) tells a refusal from an unreachable network, a time-out and
///   a lack of sockets. After an error the socket is only good for [`abort`](RaceStack::abort).
/// - **Running out of sockets is an error** of `socket` or of the first `connect`, which `attempt_error` maps
///   to [`AttemptErrorKind::OutOfSockets`]; a stack never waits for a socket and never panics for want of
///   one.
/// - **A socket that was aborted or closed is free** for the next `socket` call, even where the stack still
///   has a segment to send for it.
/// - **A connection that broke while sending may be received from.** It returns what the peer sent before,
///   or the error again.
/// - `receive` answers `Ok(0)` for a non-empty buffer, or an error whose kind is
///   [`TcpErrorKind::PipeClosed`], when the peer has closed its side and everything it sent has been read.
///
/// # Why embedded-nal's trait is the supertrait
///
/// Any stack of that ecosystem extends to a race by two methods, and a program that is written for the trait
/// runs over every stack of connie's: that is the point of it. The price is that a new version of
/// embedded-nal breaks this trait and every adapter, and that `nb` is in the signatures. embedded-nal 0.9 has
/// been quiet since 2024, and what would take its place, five methods of our own and a bridge such as
/// [`NalCompat`], would break each user once for certain.
pub trait RaceStack: TcpClientStack {
    /// What `error` means to a race.
    fn attempt_error(&self, error: &Self::Error) -> AttemptError;

    /// Ends a connection or a connection attempt at once and frees its socket: nothing waits, nothing
    /// lingers. A peer that has completed the handshake is sent a reset.
    ///
    /// This is how the losers of a race end. A reset rather than an orderly close, because no data has
    /// passed, because it leaves neither side in TIME-WAIT with a port taken, and because it is what the
    /// other losers' peers see anyway: a SYN-ACK that arrives after its attempt was given up is answered by a
    /// reset (RFC 9293 section 3.5.2).
    fn abort(&mut self, socket: Self::TcpSocket);

    /// A number that grows whenever this machine has come to another address of `family`, or to another
    /// router; it comes round. `None` where the stack does not count that.
    ///
    /// A driver whose attempts of the family have all failed learns by this that they are worth another try:
    /// [`SourceGone`](AttemptErrorKind::SourceGone) is only for one in flight.
    fn source_changes(&self, family: Family) -> Option<u8> {
        let _ = family;
        None
    }
}

impl<T: RaceStack> RaceStack for &mut T {
    fn attempt_error(&self, error: &Self::Error) -> AttemptError {
        T::attempt_error(self, error)
    }

    fn abort(&mut self, socket: Self::TcpSocket) {
        T::abort(self, socket);
    }

    fn source_changes(&self, family: Family) -> Option<u8> {
        T::source_changes(self, family)
    }
}

/// What a program waits for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The handshake to end, one way or the other.
    Connect,
    /// Something to receive, the peer's close included.
    Receive,
    /// Room to send.
    Send,
}

/// One socket in a [`Poller::wait`].
#[derive(Debug)]
#[non_exhaustive]
pub struct PollEntry<'a, T> {
    /// The socket.
    pub socket: &'a mut T,
    /// What is waited for.
    pub interest: Interest,
    /// Set by `wait` where the socket may have what is waited for. Setting it without cause costs one call
    /// that answers `WouldBlock`; leaving it unset where there is cause loses the event.
    pub ready: bool,
}

impl<'a, T> PollEntry<'a, T> {
    /// `socket`, not known to be ready.
    pub fn new(socket: &'a mut T, interest: Interest) -> Self {
        PollEntry { socket, interest, ready: false }
    }
}

/// Why a [`Poller::wait`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PollResult {
    /// A socket may be ready, the time has come, or neither: look again.
    Look,
    /// The program has canceled the operation.
    Canceled,
}

/// A clock and a wait over sockets, which a program gives to a race and to the HTTP connection on its winner.
///
/// On an operating system `wait` is one `poll` over all sockets; on a microcontroller it serves the network
/// interface and sleeps until an interrupt or the time.
pub trait Poller<S: TcpClientStack + ?Sized> {
    /// The time now. Must not run backwards.
    fn now(&mut self) -> Instant;

    /// Waits until one of `sockets` may be ready, or until `until` (for ever where that is `None`), and marks
    /// the ones that may be ready. May return early, and with nothing ready. All sockets belong to `stack`.
    fn wait(
        &mut self,
        stack: &mut S,
        sockets: &mut [PollEntry<'_, S::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult;
}

impl<S: TcpClientStack + ?Sized, W: Poller<S> + ?Sized> Poller<S> for &mut W {
    fn now(&mut self) -> Instant {
        W::now(self)
    }

    fn wait(
        &mut self,
        stack: &mut S,
        sockets: &mut [PollEntry<'_, S::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        W::wait(self, stack, sockets, until)
    }
}

/// Any [`TcpClientStack`] as a [`RaceStack`], within the limits of what such a stack can say.
///
/// - **A stack whose `connect` blocks makes the race serial**: the next attempt starts only after the last
///   has ended, one dead address costs the stack's whole time-out, and the socket limit and the deadline act
///   only between calls. `std-embedded-nal` 0.4 and `esp-at-nal` 0.5 block.
///   [`RaceDriver::slowest_connect`](crate::RaceDriver::slowest_connect) shows it: over a stack that keeps
///   the rule it is far below a millisecond.
/// - **A refusal cannot be distinguished from other failures**: every failed attempt is
///   [`AttemptErrorKind::Other`], or [`AttemptErrorKind::Reset`] where the error's kind is `PipeClosed`. Give
///   a better reading with [`with_errors`](NalCompat::with_errors). A stack that never reports a refusal
///   (`smoltcp-nal` 0.7 connects again by itself) leaves that attempt to its patience and to the deadline.
/// - **A lack of sockets looks like any other failure** unless `with_errors` distinguishes it, so set
///   [`Config::max_in_flight`](crate::Config::max_in_flight) to what the stack has.
/// - **Losers are closed, not reset**, since the trait has no abort.
/// - **A stack that says `Ok` for a connection it does not have** (`w5500` 0.6) cannot be helped from here:
///   the race believes it.
#[derive(Debug)]
pub struct NalCompat<T: TcpClientStack> {
    inner: T,
    errors: fn(&T::Error) -> AttemptError,
}

impl<T: TcpClientStack> NalCompat<T> {
    /// Wraps `inner`, reading its errors by their kind alone.
    pub fn new(inner: T) -> Self {
        Self::with_errors(inner, |error| {
            AttemptError::new(match error.kind() {
                TcpErrorKind::PipeClosed => AttemptErrorKind::Reset,
                _ => AttemptErrorKind::Other,
            })
        })
    }

    /// Wraps `inner`, whose errors `errors` can tell apart.
    pub fn with_errors(inner: T, errors: fn(&T::Error) -> AttemptError) -> Self {
        NalCompat { inner, errors }
    }

    /// The stack inside.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Unwraps the stack.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: TcpClientStack> TcpClientStack for NalCompat<T> {
    type TcpSocket = T::TcpSocket;
    type Error = T::Error;

    fn socket(&mut self) -> Result<Self::TcpSocket, Self::Error> {
        self.inner.socket()
    }

    fn connect(&mut self, socket: &mut Self::TcpSocket, remote: SocketAddr) -> nb::Result<(), Self::Error> {
        self.inner.connect(socket, remote)
    }

    fn send(&mut self, socket: &mut Self::TcpSocket, buffer: &[u8]) -> nb::Result<usize, Self::Error> {
        self.inner.send(socket, buffer)
    }

    fn receive(&mut self, socket: &mut Self::TcpSocket, buffer: &mut [u8]) -> nb::Result<usize, Self::Error> {
        self.inner.receive(socket, buffer)
    }

    fn close(&mut self, socket: Self::TcpSocket) -> Result<(), Self::Error> {
        self.inner.close(socket)
    }
}

impl<T: TcpClientStack> RaceStack for NalCompat<T> {
    fn attempt_error(&self, error: &Self::Error) -> AttemptError {
        (self.errors)(error)
    }

    fn abort(&mut self, socket: Self::TcpSocket) {
        // The only way out that the trait offers. Its error says nothing that could be acted on: the socket
        // is gone.
        let _ = self.inner.close(socket);
    }
}
