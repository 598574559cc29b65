//! The operating system's TCP sockets as a stack on which a task can race.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::task::{Context, Poll, Waker};

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, RaceStack};
use rustix::fd::AsFd as _;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::os_error::OsError;
use crate::socket::{Begun, OsStack, reset, retry};

/// Opens sockets as [`OsStack`] does, and has tokio wake a task when the handshake of one has ended.
pub(super) struct TokioStack {
    os: OsStack,
    /// The task that polls.
    waker: Waker,
}

/// One TCP socket. Dropping it aborts it.
#[derive(Default)]
pub(super) struct TokioSocket(State);

#[derive(Default)]
enum State {
    /// No descriptor yet: its family is not known before `connect`.
    #[default]
    New,
    Connecting(TcpStream),
    Connected(TcpStream),
    /// The handshake failed.
    Failed,
}

impl TokioStack {
    pub(super) fn new(os: OsStack) -> Self {
        TokioStack { os, waker: Waker::noop().clone() }
    }

    /// Has the sockets wake this task from now on.
    pub(super) fn wakes(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    fn begin(&self, remote: SocketAddr) -> nb::Result<State, OsError> {
        let (stream, connected) = match self.os.begin(remote)? {
            Begun::Connecting(fd) => (StdStream::from(fd), false),
            Begun::Connected(fd) => (StdStream::from(fd), true),
        };
        // Not before `connect`: epoll calls a socket that is not connected ready at once.
        let stream = TcpStream::from_std(stream).map_err(OsError::from)?;
        if !connected {
            return self.conclude(stream);
        }
        let peer = stream.peer_addr().ok();
        Ok(self.settle(stream, peer)?)
    }

    /// The handshake has ended if the socket is writable, and then SO_ERROR alone tells how. Reading that clears it, so it is read once.
    fn conclude(&self, stream: TcpStream) -> nb::Result<State, OsError> {
        match stream.poll_write_ready(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => return Ok(State::Connecting(stream)),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Err(nb::Error::Other(error.into())),
        }
        // mio's word for it: an event can be there for nothing. `WouldBlock` has tokio wait for the next one.
        let ended = stream.try_io(Interest::WRITABLE, || match stream.take_error()? {
            Some(error) => Err(error),
            None => match stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                result => result.map(Some),
            },
        });
        match ended {
            Ok(peer) => Ok(self.settle(stream, peer)?),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.waker.wake_by_ref();
                Ok(State::Connecting(stream))
            }
            Err(error) => Err(nb::Error::Other(error.into())),
        }
    }

    /// Goes on with a connection attempt as far as it goes now.
    fn go_on(&self, state: State, remote: SocketAddr) -> nb::Result<State, OsError> {
        match state {
            State::New => self.begin(remote),
            State::Connecting(stream) => self.conclude(stream),
            State::Connected(stream) => Ok(State::Connected(stream)),
            State::Failed => Err(nb::Error::Other(io::Error::from(io::ErrorKind::NotConnected).into())),
        }
    }

    /// What a socket is whose handshake has ended without an error.
    fn settle(&self, stream: TcpStream, peer: Option<SocketAddr>) -> Result<State, OsError> {
        if peer.is_some() && peer == stream.local_addr().ok() {
            // It has met itself, as `OsStack` has it: nobody listens there.
            reset(stream.as_fd());
            return Err(Errno::CONNREFUSED.into());
        }
        if self.os.nodelay {
            // A peer that has reset the connection already shows it at the first read, not here.
            let _ = stream.set_nodelay(true);
        }
        Ok(State::Connected(stream))
    }
}

impl TokioSocket {
    /// The stream, where the socket is connected.
    pub(super) fn into_stream(mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.0, State::Failed) {
            State::Connected(stream) => Some(stream),
            _ => None,
        }
    }

    fn stream(&self) -> Result<&TcpStream, OsError> {
        match &self.0 {
            State::Connected(stream) => Ok(stream),
            _ => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
        }
    }
}

impl Drop for TokioSocket {
    fn drop(&mut self) {
        if let State::Connecting(stream) | State::Connected(stream) = &self.0 {
            reset(stream.as_fd());
        }
    }
}

impl TcpClientStack for TokioStack {
    type TcpSocket = TokioSocket;
    type Error = OsError;

    fn socket(&mut self) -> Result<TokioSocket, OsError> {
        Ok(TokioSocket::default())
    }

    fn connect(&mut self, socket: &mut TokioSocket, remote: SocketAddr) -> nb::Result<(), OsError> {
        let state = std::mem::replace(&mut socket.0, State::Failed);
        self.go_on(state, remote).and_then(|state| {
            socket.0 = state;
            if matches!(socket.0, State::Connected(_)) { Ok(()) } else { Err(nb::Error::WouldBlock) }
        })
    }

    fn send(&mut self, socket: &mut TokioSocket, buffer: &[u8]) -> nb::Result<usize, OsError> {
        let stream = socket.stream()?;
        retry(|| stream.try_write(buffer))
    }

    fn receive(&mut self, socket: &mut TokioSocket, buffer: &mut [u8]) -> nb::Result<usize, OsError> {
        let stream = socket.stream()?;
        retry(|| stream.try_read(buffer))
    }

    fn close(&mut self, socket: TokioSocket) -> Result<(), OsError> {
        drop(socket.into_stream());
        Ok(())
    }
}

impl RaceStack for TokioStack {
    fn attempt_error(&self, error: &OsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: TokioSocket) {
        drop(socket);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use connie_servers::closed_port;

    use super::*;

    /// What an ICMP error looks like while the kernel is still at it: the socket is ready, has no error, and is not connected. Here its
    /// error has been taken away.
    #[tokio::test(flavor = "current_thread")]
    async fn a_socket_that_is_ready_before_its_error_is_there_has_not_won() {
        let port = closed_port(IpAddr::from(Ipv4Addr::LOCALHOST));
        let stack = TokioStack::new(OsStack::default());
        let Begun::Connecting(fd) = stack.os.begin(port.address()).expect("a socket") else {
            panic!("connected")
        };
        let stream = TcpStream::from_std(fd.into()).expect("a runtime");
        stream.writable().await.expect("an event");
        let _ = stream.take_error();
        let ended = stack.conclude(stream);
        assert!(matches!(ended, Ok(State::Connecting(_))), "it has won");
    }
}
