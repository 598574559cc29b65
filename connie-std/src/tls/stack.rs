//! TLS connections as a stack that a race can run on.

use std::io;
use std::net::{SocketAddr, TcpStream};

use connie_core::memory::Finish;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Instant, Interest, PollEntry, PollResult, Poller, RaceStack};
use rustix::event::PollFlags;
use rustls::pki_types::ServerName;

use super::config::TlsConnector;
use super::error::TlsError;
use super::finish_line::FinishLine;
use super::notes::TlsNotes;
use super::server_names::ServerNames;
use super::session::{Session, TransportNeeds};
use crate::budget::{KeepPermit, SocketPermit};
use crate::hosts::{Hosted, Owners};
use crate::note::Note;
use crate::options::Options;
use crate::os_error::OsError;
use crate::pollable::{PollNeed, Pollable};
use crate::poller::OsPoller;
use crate::retransmitted::{Retransmitted, is_retransmitted};
use crate::socket::{OsSocket, OsStack};

/// TLS connections to one server over the operating system's sockets.
///
/// `connect` returns `WouldBlock` until TCP **and** TLS have completed their handshakes, so a
/// [`RaceDriver`](connie_core::RaceDriver) over it races to the TLS finish line: an address that accepts TCP
/// and then stays silent, refuses, has a bad certificate or speaks no TLS fails like one that refuses TCP,
/// and does not stop the others. With [`FinishLine::Tcp`] it returns `Ok` as soon as TCP is up, and the first
/// `send` or `receive`, or [`handshake`](Self::handshake), does the rest.
///
/// `send` takes bytes and may keep up to 64 KiB of them, encrypted, when the kernel's buffer is full. The
/// next call on the socket sends them; [`flush`](Self::flush) tells when they are gone. `close` says
/// `close_notify` and does not wait. `receive` returns `Ok(0)` only after the server's `close_notify`: a
/// connection that ends without one is [`TlsFailure::Truncated`](connie_core::TlsFailure::Truncated).
#[derive(Debug)]
pub struct TlsStack {
    os: OsStack,
    connector: TlsConnector,
    names: ServerNames,
    /// Whether the next connections lead to a proxy, and TLS begins later.
    plain: bool,
    notes: TlsNotes,
}

/// One TLS connection. Dropping it closes it, with a `close_notify` where the handshake has completed.
#[derive(Debug, Default)]
pub struct TlsSocket(TlsSocketState, Option<SocketPermit>);

#[derive(Debug, Default)]
enum TlsSocketState {
    /// The TCP handshake has not completed.
    Tcp(OsSocket),
    /// TCP is up, and leads to a proxy that has yet to open the tunnel.
    Plain(OsSocket),
    Tls {
        stream: TcpStream,
        session: Box<Session>,
    },
    /// A handshake failed.
    #[default]
    Failed,
}

impl TlsConnector {
    /// A stack whose sockets are TLS connections to `host`, for a program that drives the core itself. `None`
    /// where `host` can be no server's name.
    #[must_use]
    pub fn stack(&self, host: &str, options: &Options) -> Option<TlsStack> {
        Some(TlsStack::new(options.into(), self.clone(), self.name_for(host)?.into()))
    }
}

impl TlsStack {
    pub(super) fn new(os: OsStack, connector: TlsConnector, names: ServerNames) -> Self {
        TlsStack { os, connector, names, plain: false, notes: TlsNotes::default() }
    }

    /// Another stack for connections of this one.
    pub(crate) fn twin_stack(&self) -> Self {
        TlsStack::new(self.os.clone(), self.connector.clone(), self.names.clone())
    }

    /// The name that the server's certificate must be valid for, and that the server is told (RFC 6066
    /// section 3); of several hosts that of the first.
    #[must_use]
    pub fn server_name(&self) -> String {
        self.names.first().to_str().into_owned()
    }

    /// A TLS connection over `socket`, whose TCP connection is up: a tunnel through a proxy, say. Nothing is
    /// sent yet: [`handshake`](Self::handshake) begins.
    ///
    /// # Errors
    ///
    /// [`TlsError`] where `socket` is not connected.
    pub fn wrap(&self, socket: OsSocket) -> Result<TlsSocket, TlsError> {
        self.wrap_for(socket, self.names.first())
    }

    fn wrap_for(&self, socket: OsSocket, name: &ServerName<'static>) -> Result<TlsSocket, TlsError> {
        let (stream, held) = socket.into_parts();
        let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let session = Session::new(self.connector.client(), name.clone())?;
        Ok(TlsSocket(TlsSocketState::Tls { stream, session: Box::new(session) }, held))
    }

    /// Goes on with the TLS handshake; `Ok` when it has completed.
    ///
    /// # Errors
    ///
    /// `WouldBlock` until then, and [`TlsError`] where it failed.
    pub fn handshake(&mut self, socket: &mut TlsSocket) -> nb::Result<(), TlsError> {
        let (stream, session) = socket.parts()?;
        session.handshake(stream)
    }

    /// Sends what `send` has kept.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while there is something left; wait for [`Interest::Send`].
    pub fn flush(&mut self, socket: &mut TlsSocket) -> nb::Result<(), TlsError> {
        let (stream, session) = socket.parts()?;
        session.flush(stream)
    }

    /// Whether `host` can be a server's name.
    pub(crate) fn can_have_host(&self, host: &str) -> bool {
        self.connector.name_for(host).is_some()
    }

    /// Has the next connections be meant for `host`, where that can be a server's name.
    pub(crate) fn set_host(&mut self, host: &str) {
        if let Some(name) = self.connector.name_for(host) {
            self.names = name.into();
        }
    }

    /// Has the next connections run over `os`, and tells whether they end with TCP and stay plain until
    /// [`secure`](Self::secure).
    pub(crate) fn set_up(&mut self, os: OsStack, plain: bool) {
        self.os = os;
        self.plain = plain;
    }

    /// When an attempt has ended well.
    pub(crate) fn finish(&self) -> Finish {
        if self.plain { Finish::Tcp } else { self.connector.finish() }
    }

    /// Begins TLS on a plain connection. One that is not plain fails: TLS within TLS is not spoken, and
    /// without it what is meant for the host would be read by whom the connection leads to.
    pub(crate) fn secure(&mut self, socket: &mut TlsSocket) -> Result<(), TlsError> {
        match std::mem::take(&mut socket.0) {
            TlsSocketState::Plain(plain) => socket.0 = self.wrap(plain)?.take(),
            other => {
                socket.0 = other;
                return Err(io::Error::from(io::ErrorKind::NotConnected).into());
            }
        }
        Ok(())
    }

    /// What has become of attempts whose TLS failed.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        let mut notes = self.notes.take();
        notes.append(&mut self.os.take_notes());
        notes
    }

    /// Goes on with a connection attempt as far as it goes now.
    fn go_on(&mut self, state: &mut TlsSocketState, remote: SocketAddr) -> nb::Result<(), TlsError> {
        if let TlsSocketState::Tcp(socket) = state {
            self.os.connect(socket, remote).map_err(lift)?;
            if self.plain {
                *state = TlsSocketState::Plain(std::mem::take(socket));
                return Ok(());
            }
            *state = self.wrap_for(std::mem::take(socket), self.names.at(remote))?.take();
            if self.connector.finish_line() == FinishLine::Tcp {
                return Ok(());
            }
        }
        match state {
            TlsSocketState::Tls { .. } if self.connector.finish_line() == FinishLine::Tcp => Ok(()),
            TlsSocketState::Tls { stream, session } => session.handshake(stream),
            TlsSocketState::Plain(_) => Ok(()),
            TlsSocketState::Tcp(_) | TlsSocketState::Failed => Err(not_connected()),
        }
    }
}

impl TlsSocket {
    /// The stream and the session, where TCP is up.
    pub(super) fn parts(&mut self) -> nb::Result<(&mut TcpStream, &mut Session), TlsError> {
        match &mut self.0 {
            TlsSocketState::Tls { stream, session } => Ok((stream, session)),
            TlsSocketState::Tcp(_) | TlsSocketState::Plain(_) | TlsSocketState::Failed => {
                Err(not_connected())
            }
        }
    }

    /// The TCP connection, where it is up.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            TlsSocketState::Tls { stream, .. } => Some(stream),
            TlsSocketState::Tcp(_) | TlsSocketState::Plain(_) | TlsSocketState::Failed => None,
        }
    }

    /// The application's protocol that was agreed on (RFC 7301), such as `http/1.1`.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.0 {
            TlsSocketState::Tls { session, .. } => session.alpn(),
            TlsSocketState::Tcp(_) | TlsSocketState::Plain(_) | TlsSocketState::Failed => None,
        }
    }

    /// The version of TLS that was agreed on: `TLSv1_2` or `TLSv1_3`. `None` during the handshake.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        match &self.0 {
            TlsSocketState::Tls { session, .. } => session.version().and_then(|version| version.as_str()),
            TlsSocketState::Tcp(_) | TlsSocketState::Plain(_) | TlsSocketState::Failed => None,
        }
    }

    /// Whether it is plain for now.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.0, TlsSocketState::Plain(_))
    }

    fn take(mut self) -> TlsSocketState {
        std::mem::take(&mut self.0)
    }
}

impl Drop for TlsSocket {
    fn drop(&mut self) {
        if let TlsSocketState::Tls { stream, session } = &mut self.0 {
            // A stream that was made to block must not wait here for a peer that does not read.
            if session.is_established() && stream.set_nonblocking(true).is_ok() {
                session.close(stream);
            }
        }
    }
}

impl TcpClientStack for TlsStack {
    type TcpSocket = TlsSocket;
    type Error = TlsError;

    fn socket(&mut self) -> Result<TlsSocket, TlsError> {
        Ok(TlsSocket(TlsSocketState::Tcp(self.os.socket()?), None))
    }

    fn connect(&mut self, socket: &mut TlsSocket, remote: SocketAddr) -> nb::Result<(), TlsError> {
        let mut state = std::mem::take(&mut socket.0);
        let result = self.go_on(&mut state, remote);
        match &result {
            // The state is dropped, and its descriptor closed in order, so that the alert that says why is
            // delivered.
            Err(nb::Error::Other(error)) => self.notes.note(remote, error),
            Ok(()) | Err(nb::Error::WouldBlock) => socket.0 = state,
        }
        result
    }

    fn send(&mut self, socket: &mut TlsSocket, buffer: &[u8]) -> nb::Result<usize, TlsError> {
        if let TlsSocketState::Plain(plain) = &mut socket.0 {
            return self.os.send(plain, buffer).map_err(lift);
        }
        let (stream, session) = socket.parts()?;
        session.send(stream, buffer)
    }

    fn receive(&mut self, socket: &mut TlsSocket, buffer: &mut [u8]) -> nb::Result<usize, TlsError> {
        if let TlsSocketState::Plain(plain) = &mut socket.0 {
            return self.os.receive(plain, buffer).map_err(lift);
        }
        let (stream, session) = socket.parts()?;
        session.receive(stream, buffer)
    }

    fn close(&mut self, socket: TlsSocket) -> Result<(), TlsError> {
        drop(socket);
        Ok(())
    }
}

impl Hosted for TlsStack {
    fn told_owners(&mut self, owners: &Owners) {
        self.names.told_owners(owners);
    }
}

impl RaceStack for TlsStack {
    fn attempt_error(&self, error: &TlsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: TlsSocket) {
        match socket.take() {
            TlsSocketState::Tcp(socket) | TlsSocketState::Plain(socket) => self.os.abort(socket),
            // It is non-blocking already; where it cannot be made so again it is closed in order.
            TlsSocketState::Tls { stream, .. } => {
                if let Ok(socket) = OsSocket::try_from(stream) {
                    self.os.abort(socket);
                }
            }
            TlsSocketState::Failed => {}
        }
    }
}

impl KeepPermit for TlsSocket {
    fn hold(&mut self, held: SocketPermit) {
        self.1 = Some(held);
    }
}

impl Retransmitted for TlsSocket {
    fn was_retransmitted(&self) -> bool {
        match &self.0 {
            TlsSocketState::Tcp(socket) | TlsSocketState::Plain(socket) => socket.was_retransmitted(),
            TlsSocketState::Tls { stream, .. } => is_retransmitted(rustix::fd::AsFd::as_fd(stream)),
            TlsSocketState::Failed => false,
        }
    }
}

impl Pollable for TlsSocket {
    fn poll_need(&self, interest: Interest) -> PollNeed<'_> {
        let (stream, session) = match &self.0 {
            TlsSocketState::Tcp(socket) | TlsSocketState::Plain(socket) => return socket.poll_need(interest),
            TlsSocketState::Tls { stream, session } => (stream, session),
            TlsSocketState::Failed => return PollNeed::Never,
        };
        let wants = match interest {
            Interest::Connect => session.needs_for_handshake(),
            Interest::Receive => session.needs_for_receive(),
            Interest::Send => session.needs_for_send(),
        };
        match wants {
            TransportNeeds { read: false, write: false } => PollNeed::Ready,
            TransportNeeds { read, write } => {
                let mut events = PollFlags::empty();
                events.set(PollFlags::IN, read);
                events.set(PollFlags::OUT, write);
                PollNeed::Events(rustix::fd::AsFd::as_fd(stream), events)
            }
        }
    }

    fn found(&mut self, interest: Interest) {
        if let TlsSocketState::Tcp(socket) = &mut self.0 {
            socket.found(interest);
        }
    }
}

impl Poller<TlsStack> for OsPoller {
    fn now(&mut self) -> Instant {
        OsPoller::now(self)
    }

    fn wait(
        &mut self,
        _: &mut TlsStack,
        sockets: &mut [PollEntry<'_, TlsSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.wait_for(sockets, until)
    }
}

fn lift(error: nb::Error<OsError>) -> nb::Error<TlsError> {
    error.map(TlsError::from)
}

fn not_connected() -> nb::Error<TlsError> {
    nb::Error::Other(io::Error::from(io::ErrorKind::NotConnected).into())
}
