//! The runtime's TCP sockets as a stack that a race can run on: those of `connie-wasi`, with a place in a
//! budget.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Interest, RaceStack};
pub(crate) use connie_wasi::TcpStream;
use connie_wasi::wasip2::io::poll::Pollable;
use connie_wasi::{WasiPoller, WasiSocket, WasiStack};

use crate::budget::{KeepPermit, SocketPermit};
use crate::note::Note;
use crate::os_error::OsError;
use crate::retransmitted::Retransmitted;

/// The runtime's TCP sockets.
///
/// It implements embedded-nal's [`TcpClientStack`], so that any program written for that runs over it, and
/// [`RaceStack`], so that races do.
#[derive(Clone, Debug)]
pub struct OsStack {
    /// The source address of IPv4 connections. Default: the host's choice, unless there is one for IPv6: then
    /// IPv4 is left out.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections. Default: the host's choice, unless there is one for IPv4: then
    /// IPv6 is left out.
    pub source_v6: Option<Ipv6Addr>,
    /// Has no effect: WASI leaves that to the runtime.
    pub nodelay: bool,
}

impl Default for OsStack {
    fn default() -> Self {
        OsStack { source_v4: None, source_v6: None, nodelay: true }
    }
}

/// One TCP socket. Dropping it closes it.
#[derive(Debug, Default)]
pub struct OsSocket(WasiSocket, Option<SocketPermit>);

impl Retransmitted for OsSocket {
    /// WASI does not tell.
    fn was_retransmitted(&self) -> bool {
        false
    }
}

impl OsSocket {
    /// The stream, where the socket is connected. Its place in a [`SocketBudget`](crate::SocketBudget) is
    /// free then.
    #[must_use]
    pub fn into_stream(self) -> Option<TcpStream> {
        self.into_parts().0
    }

    /// The stream and its place in a budget.
    pub(crate) fn into_parts(self) -> (Option<TcpStream>, Option<SocketPermit>) {
        match self.0.is_connected() {
            true => (Some(TcpStream::new(self.0, WasiPoller::new())), self.1),
            false => (None, None),
        }
    }

    pub(crate) fn pollable(&self, interest: Interest) -> Option<&Pollable> {
        self.0.pollable(interest)
    }
}

impl KeepPermit for OsSocket {
    fn hold(&mut self, held: SocketPermit) {
        self.1 = Some(held);
    }
}

impl OsStack {
    /// There is nothing that a program does itself with a socket.
    #[expect(clippy::unused_self, reason = "elsewhere it has some")]
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// Whether there is a source address for the other family alone.
    fn leaves_out(&self, remote: SocketAddr) -> bool {
        let (v4, v6) = (self.source_v4.is_some(), self.source_v6.is_some());
        if remote.is_ipv4() { v6 && !v4 } else { v4 && !v6 }
    }

    fn runtime(&self) -> WasiStack {
        WasiStack::from_sources(self.source_v4, self.source_v6)
    }
}

impl TcpClientStack for OsStack {
    type TcpSocket = OsSocket;
    type Error = OsError;

    /// A socket that the runtime hears of when it is connected, since its family is not known before.
    fn socket(&mut self) -> Result<OsSocket, OsError> {
        Ok(OsSocket::default())
    }

    fn connect(&mut self, socket: &mut OsSocket, remote: SocketAddr) -> nb::Result<(), OsError> {
        if self.leaves_out(remote) {
            return Err(nb::Error::Other(OsError::of_other_family()));
        }
        told(self.runtime().connect(&mut socket.0, remote))
    }

    fn send(&mut self, socket: &mut OsSocket, buffer: &[u8]) -> nb::Result<usize, OsError> {
        told(self.runtime().send(&mut socket.0, buffer))
    }

    fn receive(&mut self, socket: &mut OsSocket, buffer: &mut [u8]) -> nb::Result<usize, OsError> {
        told(self.runtime().receive(&mut socket.0, buffer))
    }

    /// Closes the socket in order: what was sent is still delivered.
    fn close(&mut self, socket: OsSocket) -> Result<(), OsError> {
        Ok(self.runtime().close(socket.0)?)
    }
}

impl RaceStack for OsStack {
    fn attempt_error(&self, error: &OsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: OsSocket) {
        self.runtime().abort(socket.0);
    }
}

fn told<T>(result: nb::Result<T, connie_wasi::SocketError>) -> nb::Result<T, OsError> {
    result.map_err(|error| error.map(OsError::from))
}

/// The stream as one that blocks, as it does.
pub(crate) fn blocking(stream: TcpStream) -> io::Result<TcpStream> {
    Ok(stream)
}
