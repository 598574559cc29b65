//! The smallest stack there is, so that the examples in these docs run: every connection succeeds after 30 ms
//! of a clock that jumps. Not part of the public interface; `connie-sim` is the simulation to test with.

use core::convert::Infallible;
use core::net::SocketAddr;

use embedded_nal::{TcpClientStack, TcpError, TcpErrorKind, nb};

use crate::race::{AttemptError, AttemptErrorKind};
use crate::stack::{PollEntry, PollResult, Poller, RaceStack};
use crate::time::Instant;

/// A stack whose connections all succeed at the second look, and whose peer says the same HTTP response to
/// everything.
#[derive(Debug, Default)]
pub struct Stack;

/// A connection over [`Stack`].
#[derive(Debug, Default)]
pub struct Socket {
    begun: bool,
    read: usize,
}

/// What every peer answers.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

/// Never made: the stack does not fail.
#[derive(Debug)]
pub struct Error(Infallible);

impl TcpError for Error {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

impl TcpClientStack for Stack {
    type TcpSocket = Socket;
    type Error = Error;

    fn socket(&mut self) -> Result<Socket, Error> {
        Ok(Socket::default())
    }

    fn connect(&mut self, socket: &mut Socket, _: SocketAddr) -> nb::Result<(), Error> {
        if core::mem::replace(&mut socket.begun, true) { Ok(()) } else { Err(nb::Error::WouldBlock) }
    }

    fn send(&mut self, _: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Error> {
        Ok(buffer.len())
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        let mut count = 0;
        for (to, from) in buffer.iter_mut().zip(RESPONSE.iter().skip(socket.read)) {
            *to = *from;
            count += 1;
        }
        socket.read += count;
        Ok(count)
    }

    fn close(&mut self, _: Socket) -> Result<(), Error> {
        Ok(())
    }
}

impl RaceStack for Stack {
    fn attempt_error(&self, _: &Error) -> AttemptError {
        AttemptErrorKind::Other.into()
    }

    fn abort(&mut self, _: Socket) {}
}

/// A clock that jumps 30 ms with each wait.
#[derive(Debug, Default)]
pub struct Clock(Instant);

impl Poller<Stack> for Clock {
    fn now(&mut self) -> Instant {
        self.0
    }

    fn wait(
        &mut self,
        _: &mut Stack,
        sockets: &mut [PollEntry<'_, Socket>],
        _: Option<Instant>,
    ) -> PollResult {
        self.0 += core::time::Duration::from_millis(30);
        for socket in sockets {
            socket.ready = true;
        }
        PollResult::Look
    }
}
