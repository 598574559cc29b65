//! TLS connections as a stack on which a task can race.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, RaceStack};
use rustix::fd::AsFd as _;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::Connect;
use tokio_rustls::client::TlsStream;

use crate::hosts::{Hosted, Owners};
use crate::note::Note;
use crate::retransmitted::{Retransmitted, is_retransmitted};
use crate::socket::reset;
use crate::tls::{ServerNames, TlsConnector, TlsError, TlsNotes};
use crate::tokio_net::stack::{TaskStack, TokioSocket, TokioStack};

/// TLS connections to one server over [`TokioStack`]. `connect` returns `WouldBlock` until TCP and TLS have
/// completed their handshakes.
pub(super) struct TlsStack {
    tcp: TokioStack,
    connector: TlsConnector,
    names: ServerNames,
    notes: TlsNotes,
}

/// One TLS connection. Dropping it aborts it.
#[derive(Default)]
pub(super) struct TlsSocket(TlsTaskState);

#[derive(Default)]
enum TlsTaskState {
    /// The TCP handshake has not completed.
    Tcp(TokioSocket),
    Handshake(Box<Connect<TcpStream>>),
    Established(Box<TlsStream<TcpStream>>),
    /// A handshake failed.
    #[default]
    Failed,
}

impl TlsStack {
    pub(super) fn new(tcp: TokioStack, connector: TlsConnector, names: ServerNames) -> Self {
        TlsStack { tcp, connector, names, notes: TlsNotes::default() }
    }

    /// Goes on with a connection attempt as far as it goes now.
    fn go_on(&mut self, socket: &mut TlsSocket, remote: SocketAddr) -> nb::Result<(), TlsError> {
        if let TlsTaskState::Tcp(tcp) = &mut socket.0 {
            self.tcp.connect(tcp, remote).map_err(|error| error.map(TlsError::from))?;
            let stream = std::mem::take(tcp).into_stream().ok_or_else(not_connected)?;
            *socket = TlsSocket::begin(&self.connector, self.names.at(remote).clone(), stream);
        }
        ready(socket.poll_handshake(&mut self.tcp.context()))
    }
}

impl TlsSocket {
    /// Begins the handshake over a connection whose TCP is up. Nothing is sent before it is polled.
    pub(super) fn begin(connector: &TlsConnector, name: ServerName<'static>, stream: TcpStream) -> Self {
        let connector = tokio_rustls::TlsConnector::from(connector.client());
        TlsSocket(TlsTaskState::Handshake(Box::new(connector.connect(name, stream))))
    }

    /// Goes on with the handshake. Where it fails the connection is closed in order, so that the alert that
    /// says why is delivered.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        let result = match &mut self.0 {
            TlsTaskState::Handshake(handshake) => Pin::new(handshake.as_mut()).poll(context),
            TlsTaskState::Established(_) => return Poll::Ready(Ok(())),
            TlsTaskState::Tcp(_) | TlsTaskState::Failed => return Poll::Ready(Err(not_connected())),
        };
        result.map(|result| {
            self.0 = TlsTaskState::Failed;
            self.0 = TlsTaskState::Established(Box::new(result.map_err(TlsError::of_handshake)?));
            Ok(())
        })
    }

    /// The stream, where the handshake has completed.
    pub(super) fn into_stream(mut self) -> Option<TlsStream<TcpStream>> {
        match std::mem::take(&mut self.0) {
            TlsTaskState::Established(stream) => Some(*stream),
            _ => None,
        }
    }

    fn stream(&mut self) -> Result<Pin<&mut TlsStream<TcpStream>>, TlsError> {
        match &mut self.0 {
            TlsTaskState::Established(stream) => Ok(Pin::new(stream)),
            _ => Err(not_connected()),
        }
    }
}

impl Retransmitted for TlsSocket {
    fn was_retransmitted(&self) -> bool {
        match &self.0 {
            TlsTaskState::Established(stream) => is_retransmitted(stream.get_ref().0.as_fd()),
            TlsTaskState::Tcp(_) | TlsTaskState::Handshake(_) | TlsTaskState::Failed => false,
        }
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        let tcp = match &self.0 {
            TlsTaskState::Handshake(handshake) => handshake.get_ref(),
            TlsTaskState::Established(stream) => Some(stream.get_ref().0),
            // It resets by itself.
            TlsTaskState::Tcp(_) | TlsTaskState::Failed => None,
        };
        if let Some(tcp) = tcp {
            reset(tcp.as_fd());
        }
    }
}

impl TcpClientStack for TlsStack {
    type TcpSocket = TlsSocket;
    type Error = TlsError;

    fn socket(&mut self) -> Result<TlsSocket, TlsError> {
        Ok(TlsSocket(TlsTaskState::Tcp(self.tcp.socket()?)))
    }

    fn connect(&mut self, socket: &mut TlsSocket, remote: SocketAddr) -> nb::Result<(), TlsError> {
        let result = self.go_on(socket, remote);
        if let Err(nb::Error::Other(error)) = &result {
            self.notes.note(remote, error);
        }
        result
    }

    fn send(&mut self, socket: &mut TlsSocket, buffer: &[u8]) -> nb::Result<usize, TlsError> {
        ready(socket.stream()?.poll_write(&mut self.tcp.context(), buffer))
    }

    fn receive(&mut self, socket: &mut TlsSocket, buffer: &mut [u8]) -> nb::Result<usize, TlsError> {
        let mut buffer = ReadBuf::new(buffer);
        ready(socket.stream()?.poll_read(&mut self.tcp.context(), &mut buffer))?;
        Ok(buffer.filled().len())
    }

    fn close(&mut self, socket: TlsSocket) -> Result<(), TlsError> {
        drop(socket.into_stream());
        Ok(())
    }
}

impl RaceStack for TlsStack {
    fn attempt_error(&self, error: &TlsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: TlsSocket) {
        drop(socket);
    }
}

impl Hosted for TlsStack {
    fn told_owners(&mut self, owners: &Owners) {
        self.names.told_owners(owners);
    }
}

impl TaskStack for TlsStack {
    fn wakes(&mut self, waker: &Waker) {
        self.tcp.wakes(waker);
    }

    fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.notes.take();
        notes.append(&mut self.tcp.take_notes());
        notes
    }
}

fn ready<T, E: Into<TlsError>>(result: Poll<Result<T, E>>) -> nb::Result<T, TlsError> {
    match result {
        Poll::Ready(result) => result.map_err(|error| nb::Error::Other(error.into())),
        Poll::Pending => Err(nb::Error::WouldBlock),
    }
}

fn not_connected() -> TlsError {
    io::Error::from(io::ErrorKind::NotConnected).into()
}
