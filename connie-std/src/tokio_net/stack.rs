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

use crate::errno::Call;
use crate::hosts::Hosted;
use crate::note::Note;
use crate::options::Options;
use crate::os_error::OsError;
use crate::retransmitted::{Retransmitted, is_retransmitted};
use crate::socket::{Begun, MOST_IN_VAIN, OsStack, Peer, ended, is_writable, peer, reset, retry};

/// A stack whose sockets wake a task.
pub(super) trait TaskStack: RaceStack<TcpSocket: Retransmitted> + Hosted {
    /// Has the sockets wake this task from now on.
    fn wakes(&mut self, waker: &Waker);

    /// Returns what has become of attempts, in words, where it has more to say than their errors.
    fn take_notes(&mut self) -> Vec<Note>;
}

/// Opens sockets as [`OsStack`] does, and has tokio wake a task when the handshake of one has ended.
pub(super) struct TokioStack {
    os: OsStack,
    /// The task that polls.
    waker: Waker,
}

/// One TCP socket. Dropping it aborts it.
#[derive(Default)]
pub(super) struct TokioSocket(TokioSocketState);

#[derive(Default)]
enum TokioSocketState {
    /// No descriptor yet: its family is not known before `connect`.
    #[default]
    New,
    /// `vain` counts how often its handshake had ended in nothing.
    Connecting {
        stream: TcpStream,
        vain: u16,
    },
    Connected(TcpStream),
    /// The handshake failed.
    Failed,
}

impl TokioStack {
    pub(super) fn new(options: &Options) -> Self {
        Self::over(options.into())
    }

    fn over(os: OsStack) -> Self {
        TokioStack { os, waker: Waker::noop().clone() }
    }

    /// The task that polls.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    fn begin(&self, remote: SocketAddr) -> nb::Result<TokioSocketState, OsError> {
        let (stream, connected) = match self.os.begin(remote)? {
            Begun::Connecting(fd) => (StdStream::from(fd), false),
            Begun::Connected(fd) => (StdStream::from(fd), true),
        };
        // Not before `connect`: epoll calls a socket that is not connected ready at once.
        let stream = TcpStream::from_std(stream).map_err(|error| OsError::of(Call::Watch, error))?;
        if !connected {
            return self.conclude(stream, 0);
        }
        let peer = peer(stream.as_fd());
        self.settle(stream, peer, 0)
    }

    /// The handshake has ended if the socket is writable.
    fn conclude(&self, stream: TcpStream, vain: u16) -> nb::Result<TokioSocketState, OsError> {
        match stream.poll_write_ready(&mut self.context()) {
            Poll::Pending => Ok(TokioSocketState::Connecting { stream, vain }),
            Poll::Ready(Ok(())) => {
                let peer = ended(stream.as_fd())?;
                self.settle(stream, peer, vain)
            }
            Poll::Ready(Err(error)) => Err(nb::Error::Other(error.into())),
        }
    }

    /// Goes on with a connection attempt as far as it goes now.
    fn go_on(&self, state: TokioSocketState, remote: SocketAddr) -> nb::Result<TokioSocketState, OsError> {
        match state {
            TokioSocketState::New => self.begin(remote),
            TokioSocketState::Connecting { stream, vain } => self.conclude(stream, vain),
            TokioSocketState::Connected(stream) => Ok(TokioSocketState::Connected(stream)),
            TokioSocketState::Failed => {
                Err(nb::Error::Other(io::Error::from(io::ErrorKind::NotConnected).into()))
            }
        }
    }

    /// What a socket is whose handshake has ended without an error.
    fn settle(&self, stream: TcpStream, peer: Peer, vain: u16) -> nb::Result<TokioSocketState, OsError> {
        match peer {
            Peer::Another => {
                if self.os.nodelay {
                    // A peer that has reset the connection already shows it at the first read, not here.
                    let _ = stream.set_nodelay(true);
                }
                Ok(TokioSocketState::Connected(stream))
            }
            Peer::Itself => {
                reset(stream.as_fd());
                Err(nb::Error::Other(Errno::CONNREFUSED.into()))
            }
            Peer::Nobody => self.look_again(stream, vain),
        }
    }

    /// tokio calls a socket ready that is not connected and has no error. It is so, and its error is on the
    /// way; or the event was for nothing, and another will come.
    fn look_again(&self, stream: TcpStream, vain: u16) -> nb::Result<TokioSocketState, OsError> {
        let is_ready = is_writable(stream.as_fd()).unwrap_or(false);
        if is_ready && vain >= MOST_IN_VAIN {
            return Err(nb::Error::Other(Errno::NOTCONN.into()));
        }
        if !is_ready {
            // That is how tokio is told to wait for the next event.
            let none = stream.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            debug_assert!(none.is_err());
        }
        self.waker.wake_by_ref();
        Ok(TokioSocketState::Connecting { stream, vain: if is_ready { vain + 1 } else { vain } })
    }
}

impl TokioSocket {
    /// The stream, where the socket is connected.
    pub(super) fn into_stream(mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.0, TokioSocketState::Failed) {
            TokioSocketState::Connected(stream) => Some(stream),
            _ => None,
        }
    }

    fn stream(&self) -> Result<&TcpStream, OsError> {
        match &self.0 {
            TokioSocketState::Connected(stream) => Ok(stream),
            _ => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
        }
    }
}

impl Retransmitted for TokioSocket {
    fn was_retransmitted(&self) -> bool {
        self.stream().is_ok_and(|stream| is_retransmitted(stream.as_fd()))
    }
}

impl Drop for TokioSocket {
    fn drop(&mut self) {
        if let TokioSocketState::Connecting { stream, .. } | TokioSocketState::Connected(stream) = &self.0 {
            reset(stream.as_fd());
        }
    }
}

impl Hosted for TokioStack {}

impl TaskStack for TokioStack {
    fn wakes(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    fn take_notes(&mut self) -> Vec<Note> {
        self.os.take_notes()
    }
}

impl TcpClientStack for TokioStack {
    type TcpSocket = TokioSocket;
    type Error = OsError;

    fn socket(&mut self) -> Result<TokioSocket, OsError> {
        Ok(TokioSocket::default())
    }

    fn connect(&mut self, socket: &mut TokioSocket, remote: SocketAddr) -> nb::Result<(), OsError> {
        let state = std::mem::replace(&mut socket.0, TokioSocketState::Failed);
        self.go_on(state, remote).and_then(|state| {
            socket.0 = state;
            if matches!(socket.0, TokioSocketState::Connected(_)) {
                Ok(())
            } else {
                Err(nb::Error::WouldBlock)
            }
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

    /// What an ICMP error looks like while the kernel is still at it: the socket is ready, has no error, and
    /// is not connected. Here its error has been taken away.
    #[tokio::test(flavor = "current_thread")]
    async fn a_socket_that_is_ready_before_its_error_is_there_has_not_won() {
        let port = closed_port(IpAddr::from(Ipv4Addr::LOCALHOST));
        let stack = TokioStack::over(OsStack::default());
        let Begun::Connecting(fd) = stack.os.begin(port.address()).expect("a socket") else {
            panic!("connected")
        };
        let stream = TcpStream::from_std(fd.into()).expect("a runtime");
        stream.writable().await.expect("an event");
        let _ = stream.take_error();
        let ended = stack.conclude(stream, 0);
        assert!(matches!(ended, Ok(TokioSocketState::Connecting { vain: 1, .. })), "it has won");
    }
}
