//! The system's numbers of the errors that attempts ended with, for which a race has no room.

use std::net::SocketAddr;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Instant, RaceStack, Waiter, Wake, Watched};

use crate::number::{Number, Numbered};
use crate::options::MAX_DESTINATIONS;
use crate::waiter::OsWaiter;

/// The last of each address.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<Number>);

impl Numbers {
    /// Keeps the number of an attempt that has failed, where there is one.
    pub(crate) fn note<E: Numbered>(
        &mut self,
        address: SocketAddr,
        result: &nb::Result<(), E>,
        meaning: impl FnOnce(&E) -> AttemptError,
    ) {
        let Err(nb::Error::Other(failed)) = result else { return };
        self.0.retain(|known| known.address != address);
        if let (Some(number), true) = (failed.number(), self.0.len() < MAX_DESTINATIONS) {
            self.0.push(Number { address, error: meaning(failed), number });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Number> {
        std::mem::take(&mut self.0)
    }
}

/// A stack that keeps the numbers of its attempts' errors.
pub(crate) struct Noting<'a, S> {
    stack: &'a mut S,
    pub(crate) numbers: Numbers,
}

impl<'a, S> Noting<'a, S> {
    pub(crate) fn new(stack: &'a mut S) -> Self {
        Noting { stack, numbers: Numbers::default() }
    }
}

impl<S: RaceStack> TcpClientStack for Noting<'_, S>
where
    S::Error: Numbered,
{
    type TcpSocket = S::TcpSocket;
    type Error = S::Error;

    fn socket(&mut self) -> Result<S::TcpSocket, S::Error> {
        self.stack.socket()
    }

    fn connect(&mut self, socket: &mut S::TcpSocket, remote: SocketAddr) -> nb::Result<(), S::Error> {
        let result = self.stack.connect(socket, remote);
        self.numbers.note(remote, &result, |error| self.stack.attempt_error(error));
        result
    }

    fn send(&mut self, socket: &mut S::TcpSocket, buffer: &[u8]) -> nb::Result<usize, S::Error> {
        self.stack.send(socket, buffer)
    }

    fn receive(&mut self, socket: &mut S::TcpSocket, buffer: &mut [u8]) -> nb::Result<usize, S::Error> {
        self.stack.receive(socket, buffer)
    }

    fn close(&mut self, socket: S::TcpSocket) -> Result<(), S::Error> {
        self.stack.close(socket)
    }
}

impl<S: RaceStack> RaceStack for Noting<'_, S>
where
    S::Error: Numbered,
{
    fn attempt_error(&self, error: &S::Error) -> AttemptError {
        self.stack.attempt_error(error)
    }

    fn abort(&mut self, socket: S::TcpSocket) {
        self.stack.abort(socket);
    }
}

impl<S: RaceStack> Waiter<Noting<'_, S>> for OsWaiter
where
    S::Error: Numbered,
    OsWaiter: Waiter<S>,
{
    fn now(&mut self) -> Instant {
        Waiter::<S>::now(self)
    }

    fn wait(
        &mut self,
        stack: &mut Noting<'_, S>,
        sockets: &mut [Watched<'_, S::TcpSocket>],
        until: Option<Instant>,
    ) -> Wake {
        Waiter::<S>::wait(self, stack.stack, sockets, until)
    }
}
