//! The connection that won, as a stream that blocks.

use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use connie_core::memory::Verdict;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Instant, Interest, PollEntry, PollResult, Poller, Timeline};
use wasip2::sockets::tcp::ShutdownType;

use crate::error::SocketError;
use crate::memory::MemoryVisit;
use crate::report::Report;
use crate::socket::{WasiSocket, WasiStack};
use crate::wait::WasiPoller;

/// A connection that won its race. Derefs to the stream.
#[derive(Debug)]
pub struct Connected {
    stream: TcpStream,
    destination: SocketAddr,
    report: Report,
    visited: Option<MemoryVisit>,
}

impl Connected {
    pub(crate) fn new(
        stream: TcpStream,
        destination: SocketAddr,
        report: Report,
        visited: Option<MemoryVisit>,
    ) -> Self {
        Connected { stream, destination, report, visited }
    }

    /// Tells the [memory](crate::Options::memory) of the race, where it had one, what came of the connection:
    /// a server that completes the handshake and then fails is tried after others for some time, for this
    /// host alone.
    pub fn report_to_memory(&self, verdict: Verdict) {
        if let Some(visited) = &self.visited {
            visited.report(self.destination, verdict);
        }
    }

    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the race did, to keep: it owns its record.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.report.timeline()
    }

    /// The stream alone.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl Deref for Connected {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// A connection as a stream that blocks. Dropping it closes it; what was written is still delivered.
///
/// With the feature `std` it is a [`std::io::Read`] and a [`std::io::Write`].
#[derive(Debug)]
pub struct TcpStream {
    /// Dropped before the stack and what cancels.
    socket: WasiSocket,
    stack: WasiStack,
    poller: WasiPoller,
    timeout: Option<Duration>,
}

impl TcpStream {
    /// `socket`, which is connected, as a stream that waits with `poller`.
    #[must_use]
    pub fn new(socket: WasiSocket, poller: WasiPoller) -> Self {
        TcpStream { socket, stack: WasiStack::default(), poller, timeout: None }
    }

    /// Where it leads.
    ///
    /// # Errors
    ///
    /// What the runtime says.
    pub fn peer_address(&self) -> Result<SocketAddr, SocketError> {
        self.socket.peer_address()
    }

    /// The longest time that one call waits, beyond which it is [`SocketError::TimedOut`]. Default: for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Reads what has come, waiting for it. 0: the peer has closed its side.
    ///
    /// # Errors
    ///
    /// [`SocketError::Stream`] where the connection broke, [`SocketError::TimedOut`].
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, SocketError> {
        self.retry(Interest::Receive, |stack, socket| stack.receive(socket, buffer))
    }

    /// Sends some of `data`, waiting until there is room, and says how much.
    ///
    /// # Errors
    ///
    /// [`SocketError::Stream`] where the connection broke, [`SocketError::Closed`],
    /// [`SocketError::TimedOut`].
    pub fn send(&mut self, data: &[u8]) -> Result<usize, SocketError> {
        if data.is_empty() {
            return Ok(0);
        }
        self.retry(Interest::Send, |stack, socket| stack.send(socket, data))
    }

    /// Waits until all that was sent has left the runtime.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn drain(&mut self) -> Result<(), SocketError> {
        self.socket.flush()?;
        self.retry(Interest::Send, |_, socket| match socket.is_flushed()? {
            true => Ok(()),
            false => Err(nb::Error::WouldBlock),
        })
    }

    /// Closes one side, or both. The peer reads the end once it has read what was written.
    ///
    /// # Errors
    ///
    /// What the runtime says.
    pub fn shutdown(&mut self, sides: ShutdownType) -> Result<(), SocketError> {
        self.socket.shutdown(sides)
    }

    /// The socket, for a program that goes on with the core.
    #[must_use]
    pub fn into_socket(mut self) -> WasiSocket {
        core::mem::take(&mut self.socket)
    }

    fn retry<T>(
        &mut self,
        interest: Interest,
        mut call: impl FnMut(&mut WasiStack, &mut WasiSocket) -> nb::Result<T, SocketError>,
    ) -> Result<T, SocketError> {
        let limit: Option<Instant> = self.timeout.map(|timeout| self.poller.now() + timeout);
        loop {
            match call(&mut self.stack, &mut self.socket) {
                Ok(done) => return Ok(done),
                Err(nb::Error::Other(error)) => return Err(error),
                Err(nb::Error::WouldBlock) => {}
            }
            if limit.is_some_and(|limit| self.poller.now() >= limit) {
                return Err(SocketError::TimedOut);
            }
            let mut watched = [PollEntry::new(&mut self.socket, interest)];
            if self.poller.wait(&mut self.stack, &mut watched, limit) == PollResult::Canceled {
                return Err(SocketError::Canceled);
            }
        }
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // One that is New closes nothing.
        let _ = self.stack.close(core::mem::take(&mut self.socket));
    }
}

#[cfg(feature = "std")]
mod io {
    use std::io::{self, ErrorKind, Read, Write};

    use super::{Connected, TcpStream};
    use crate::error::SocketError;

    impl Read for TcpStream {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(self.receive(buffer)?)
        }
    }

    impl Write for TcpStream {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            Ok(self.send(data)?)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(self.drain()?)
        }
    }

    impl Read for Connected {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(self.receive(buffer)?)
        }
    }

    impl Write for Connected {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            Ok(self.send(data)?)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(self.drain()?)
        }
    }

    impl From<SocketError> for io::Error {
        fn from(error: SocketError) -> Self {
            let kind = match error {
                SocketError::Stream(_) => ErrorKind::ConnectionReset,
                SocketError::Closed => ErrorKind::BrokenPipe,
                SocketError::NotConnected => ErrorKind::NotConnected,
                SocketError::TimedOut => ErrorKind::TimedOut,
                // Not `Interrupted`, which readers take for a reason to try again.
                SocketError::Canceled => ErrorKind::ConnectionAborted,
                SocketError::Code(_) => ErrorKind::Other,
            };
            io::Error::new(kind, error)
        }
    }
}
