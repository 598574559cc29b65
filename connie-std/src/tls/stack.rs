//! TLS connections as a stack that a race can run on.

use std::io;
use std::net::{SocketAddr, TcpStream};

use connie_core::memory::Finish;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Instant, Interest, PollEntry, PollResult, Poller, RaceStack};
use rustix::event::PollFlags;
use rustls::pki_types::ServerName;

use super::carrier::Carrier;
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
    /// Whether the next connections lead to a proxy, and TLS with the host begins later.
    plain: bool,
    /// How to speak TLS with that proxy, where it speaks it.
    proxy: Option<ProxyTls>,
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
        stream: Carrier,
        session: Box<Session>,
    },
    /// A handshake failed.
    #[default]
    Failed,
}

/// TLS with a proxy, within which a tunnel leads to the host.
#[derive(Clone, Debug)]
struct ProxyTls {
    connector: TlsConnector,
    names: ServerNames,
    /// Whether TLS is spoken with the host too.
    within: bool,
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
        TlsStack { os, connector, names, plain: false, proxy: None, notes: TlsNotes::default() }
    }

    /// Another stack for connections of this one.
    pub(crate) fn twin_stack(&self) -> Self {
        let twin = TlsStack::new(self.os.clone(), self.connector.clone(), self.names.clone());
        TlsStack { proxy: self.proxy.clone(), ..twin }
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
        wrap_for(socket, &self.connector, self.names.first())
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

    /// Has TLS be spoken with the proxy `host` that tunnels lead through, where that can be a server's name,
    /// and `within` a tunnel too.
    pub(crate) fn set_proxy(&mut self, connector: &TlsConnector, host: &str, within: bool) {
        if let Some(name) = connector.name_for(host) {
            self.proxy = Some(ProxyTls { connector: connector.clone(), names: name.into(), within });
        }
    }

    /// Whether TLS is spoken with the host.
    pub(crate) fn secures_host(&self) -> bool {
        self.proxy.as_ref().is_none_or(|proxy| proxy.within)
    }

    /// What the next connections speak TLS by, and with whom; `None` where they are plain for now.
    fn next_hop(&self) -> Option<(&TlsConnector, &ServerNames)> {
        match (&self.proxy, self.plain) {
            (_, false) => Some((&self.connector, &self.names)),
            (Some(proxy), true) => Some((&proxy.connector, &proxy.names)),
            (None, true) => None,
        }
    }

    /// When an attempt has ended well.
    pub(crate) fn finish(&self) -> Finish {
        self.next_hop().map_or(Finish::Tcp, |(connector, _)| connector.finish())
    }

    /// Begins TLS within a tunnel: on a plain connection, or within TLS with the proxy where that is spoken.
    /// Elsewhere a connection that speaks TLS fails: what is meant for the host would be read by whom it
    /// leads to.
    pub(crate) fn secure(&mut self, socket: &mut TlsSocket) -> Result<(), TlsError> {
        match (std::mem::take(&mut socket.0), &self.proxy) {
            (TlsSocketState::Plain(plain), _) => socket.0 = self.wrap(plain)?.take(),
            (TlsSocketState::Tls { stream: Carrier { tcp, outer: None }, session }, Some(proxy)) => {
                socket.0 = match proxy.within {
                    true => {
                        let within = Session::new(self.connector.client(), self.names.first().clone())?;
                        let stream = Carrier { tcp, outer: Some(session) };
                        TlsSocketState::Tls { stream, session: Box::new(within) }
                    }
                    false => TlsSocketState::Tls { stream: Carrier { tcp, outer: None }, session },
                };
            }
            (other, _) => {
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
        let line = self.next_hop().map(|(connector, _)| connector.finish_line());
        if let TlsSocketState::Tcp(socket) = state {
            self.os.connect(socket, remote).map_err(lift)?;
            let socket = std::mem::take(socket);
            let Some((connector, names)) = self.next_hop() else {
                *state = TlsSocketState::Plain(socket);
                return Ok(());
            };
            *state = wrap_for(socket, connector, names.at(remote))?.take();
        }
        match state {
            TlsSocketState::Tls { .. } if line == Some(FinishLine::Tcp) => Ok(()),
            TlsSocketState::Tls { stream, session } => session.handshake(stream),
            TlsSocketState::Plain(_) => Ok(()),
            TlsSocketState::Tcp(_) | TlsSocketState::Failed => Err(not_connected()),
        }
    }
}

fn wrap_for(
    socket: OsSocket,
    connector: &TlsConnector,
    name: &ServerName<'static>,
) -> Result<TlsSocket, TlsError> {
    let (tcp, held) = socket.into_parts();
    let tcp = tcp.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
    let session = Session::new(connector.client(), name.clone())?;
    let stream = Carrier { tcp, outer: None };
    Ok(TlsSocket(TlsSocketState::Tls { stream, session: Box::new(session) }, held))
}

impl TlsSocket {
    /// The stream and the session, where TCP is up.
    pub(super) fn parts(&mut self) -> nb::Result<(&mut Carrier, &mut Session), TlsError> {
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
            TlsSocketState::Tls { stream, .. } => Some(&stream.tcp),
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
            if session.is_established() && stream.tcp.set_nonblocking(true).is_ok() {
                session.close(stream);
                stream.close();
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
                if let Ok(socket) = OsSocket::try_from(stream.tcp) {
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
            TlsSocketState::Tls { stream, .. } => is_retransmitted(rustix::fd::AsFd::as_fd(&stream.tcp)),
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
        match stream.needs(wants) {
            TransportNeeds { read: false, write: false } => PollNeed::Ready,
            TransportNeeds { read, write } => {
                let mut events = PollFlags::empty();
                events.set(PollFlags::IN, read);
                events.set(PollFlags::OUT, write);
                PollNeed::Events(rustix::fd::AsFd::as_fd(&stream.tcp), events)
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
