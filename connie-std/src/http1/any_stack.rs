//! Plain TCP or TLS, as a value says and not a type: for a program that is given URLs.

use std::net::SocketAddr;

use connie_core::memory::Finish;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Instant, Interest, PollEntry, PollResult, Poller, RaceStack};
use connie_http::Authority;

use super::transport::{RaceResult, Sealed, TlsFacts, Transport};
use crate::budget::{KeepPermit, SocketPermit};
use crate::connect::{failed, race};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::hosts::Hosted;
use crate::observation::RaceObservation;
use crate::pollable::{PollNeed, Pollable};
use crate::retransmitted::Retransmitted;
use crate::socket::{OsSocket, OsStack};
use crate::target::TargetRef;
use crate::tls::{TlsConnector, TlsError, TlsSocket, TlsStack};
use crate::{Options, OsPoller, Report, Target};

/// As [`connect_socket`](crate::connect_socket), for a program that has an
/// [`AnyConnection`](super::AnyConnection) too: it races by the same code, which is then in the program once.
///
/// # Errors
///
/// As [`connect`](crate::connect()).
pub fn connect_plain_socket<'a>(
    target: impl Into<Target<'a>>,
    options: &Options,
) -> Result<(OsSocket, SocketAddr, Report), ConnectError> {
    let target = target.into();
    let target = target.view();
    let watch = RaceObservation::begin(target, options);
    let opened = open_plain(target, options);
    watch.tell(opened.as_ref().map(|(_, destination, report)| (*destination, report)));
    opened
}

fn open_plain(
    target: TargetRef<'_>,
    options: &Options,
) -> Result<(OsSocket, SocketAddr, Report), ConnectError> {
    let mut poller = OsPoller::new(options.canceler.clone());
    let mut stack = AnyStack::from(options);
    match stack.race(&mut poller, target, Finish::Tcp, options) {
        Ok((AnySocket::Plain(socket), destination, report)) => {
            Ok((socket, destination, stack.annotate(report)))
        }
        // A plain stack has no others.
        Ok((AnySocket::Tls(_), ..)) => {
            Err(failed(target, ConnectErrorKind::Socket(std::io::ErrorKind::NotConnected.into())))
        }
        Err(ConnectErrorKind::Race(failure, report)) => {
            Err(failed(target, ConnectErrorKind::Race(failure, stack.annotate(report))))
        }
        Err(kind) => Err(failed(target, kind)),
    }
}

/// A stack of either kind, for all connections to one server. Without the feature `tls` it is [`OsStack`].
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for all connections to a server")]
pub enum AnyStack {
    /// TCP alone.
    Plain(OsStack),
    /// TLS over TCP.
    Tls(TlsStack),
}

impl AnyStack {
    /// Has TLS be spoken with the proxy `host` that tunnels lead through. `to_proxy` is a stack for
    /// connections to that.
    pub(super) fn set_proxy(&mut self, tls: &TlsConnector, host: &str, mut to_proxy: TlsStack) {
        if let AnyStack::Tls(stack) = self {
            stack.set_proxy(tls, host, true);
        } else {
            to_proxy.set_proxy(tls, host, false);
            *self = AnyStack::Tls(to_proxy);
        }
    }
}

/// A socket of an [`AnyStack`]. Dropping it closes it. Without the feature `tls` it is [`OsSocket`].
#[derive(Debug)]
pub enum AnySocket {
    /// A TCP connection.
    Plain(OsSocket),
    /// A TLS connection.
    Tls(TlsSocket),
}

impl From<&Options> for AnyStack {
    /// A plain stack with the source addresses and socket options of `options`.
    fn from(options: &Options) -> Self {
        AnyStack::Plain(options.into())
    }
}

impl From<OsSocket> for AnySocket {
    fn from(socket: OsSocket) -> Self {
        AnySocket::Plain(socket)
    }
}

impl From<TlsSocket> for AnySocket {
    fn from(socket: TlsSocket) -> Self {
        AnySocket::Tls(socket)
    }
}

impl TcpClientStack for AnyStack {
    type TcpSocket = AnySocket;
    type Error = TlsError;

    fn socket(&mut self) -> Result<AnySocket, TlsError> {
        Ok(match self {
            AnyStack::Plain(stack) => AnySocket::Plain(stack.socket()?),
            AnyStack::Tls(stack) => AnySocket::Tls(stack.socket()?),
        })
    }

    fn connect(&mut self, socket: &mut AnySocket, remote: SocketAddr) -> nb::Result<(), TlsError> {
        match (self, socket) {
            (AnyStack::Plain(stack), AnySocket::Plain(socket)) => {
                stack.connect(socket, remote).map_err(|error| error.map(TlsError::from))
            }
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => stack.connect(socket, remote),
            _ => Err(wrong_stack()),
        }
    }

    fn send(&mut self, socket: &mut AnySocket, buffer: &[u8]) -> nb::Result<usize, TlsError> {
        match (self, socket) {
            (AnyStack::Plain(stack), AnySocket::Plain(socket)) => {
                stack.send(socket, buffer).map_err(|error| error.map(TlsError::from))
            }
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => stack.send(socket, buffer),
            _ => Err(wrong_stack()),
        }
    }

    fn receive(&mut self, socket: &mut AnySocket, buffer: &mut [u8]) -> nb::Result<usize, TlsError> {
        match (self, socket) {
            (AnyStack::Plain(stack), AnySocket::Plain(socket)) => {
                stack.receive(socket, buffer).map_err(|error| error.map(TlsError::from))
            }
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => stack.receive(socket, buffer),
            _ => Err(wrong_stack()),
        }
    }

    fn close(&mut self, socket: AnySocket) -> Result<(), TlsError> {
        drop(socket);
        Ok(())
    }
}

/// A connection of HTTP is to one host.
impl Hosted for AnyStack {}

impl RaceStack for AnyStack {
    fn attempt_error(&self, error: &TlsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: AnySocket) {
        match (self, socket) {
            (AnyStack::Plain(stack), AnySocket::Plain(socket)) => stack.abort(socket),
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => stack.abort(socket),
            (_, socket) => drop(socket),
        }
    }
}

impl Transport for AnyStack {}

impl Sealed for AnyStack {
    fn authority<'a>(&self, name: &'a str, port: u16) -> Authority<'a> {
        match self {
            AnyStack::Plain(stack) => stack.authority(name, port),
            AnyStack::Tls(stack) => stack.authority(name, port),
        }
    }

    fn can_be_server(&self, host: &str) -> bool {
        match self {
            AnyStack::Plain(stack) => stack.can_be_server(host),
            AnyStack::Tls(stack) => stack.can_be_server(host),
        }
    }

    fn set_server(&mut self, host: &str) {
        match self {
            AnyStack::Plain(stack) => stack.set_server(host),
            AnyStack::Tls(stack) => stack.set_server(host),
        }
    }

    fn finish(&self) -> Finish {
        match self {
            AnyStack::Plain(stack) => Sealed::finish(stack),
            AnyStack::Tls(stack) => Sealed::finish(stack),
        }
    }

    fn prepare(&mut self, options: &Options, tunnel: bool) {
        match self {
            AnyStack::Plain(stack) => stack.prepare(options, tunnel),
            AnyStack::Tls(stack) => stack.prepare(options, tunnel),
        }
    }

    fn race(
        &mut self,
        poller: &mut OsPoller,
        target: TargetRef<'_>,
        finish: Finish,
        options: &Options,
    ) -> RaceResult<Self::TcpSocket> {
        race(self, poller, target, finish, options)
    }

    fn complete(
        &mut self,
        poller: &mut OsPoller,
        socket: &mut AnySocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        match (self, socket) {
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => {
                stack.complete(poller, socket, destination, until)
            }
            _ => Ok(()),
        }
    }

    fn enter_tunnel(
        &mut self,
        poller: &mut OsPoller,
        socket: &mut AnySocket,
        destination: Option<SocketAddr>,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        match (self, socket) {
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => {
                stack.enter_tunnel(poller, socket, destination, until)
            }
            _ => Ok(()),
        }
    }

    fn facts(&self, socket: &AnySocket) -> Option<TlsFacts> {
        match (self, socket) {
            (AnyStack::Tls(stack), AnySocket::Tls(socket)) => stack.facts(socket),
            _ => None,
        }
    }

    fn annotate(&mut self, report: Report) -> Report {
        match self {
            AnyStack::Plain(stack) => stack.annotate(report),
            AnyStack::Tls(stack) => stack.annotate(report),
        }
    }

    fn twin(&self) -> Self {
        match self {
            AnyStack::Plain(stack) => AnyStack::Plain(stack.twin()),
            AnyStack::Tls(stack) => AnyStack::Tls(stack.twin()),
        }
    }
}

impl KeepPermit for AnySocket {
    fn hold(&mut self, held: SocketPermit) {
        match self {
            AnySocket::Plain(socket) => socket.hold(held),
            AnySocket::Tls(socket) => socket.hold(held),
        }
    }
}

impl Retransmitted for AnySocket {
    fn was_retransmitted(&self) -> bool {
        match self {
            AnySocket::Plain(socket) => socket.was_retransmitted(),
            AnySocket::Tls(socket) => socket.was_retransmitted(),
        }
    }
}

impl Pollable for AnySocket {
    fn poll_need(&self, interest: Interest) -> PollNeed<'_> {
        match self {
            AnySocket::Plain(socket) => socket.poll_need(interest),
            AnySocket::Tls(socket) => socket.poll_need(interest),
        }
    }

    fn found(&mut self, interest: Interest) {
        match self {
            AnySocket::Plain(socket) => socket.found(interest),
            AnySocket::Tls(socket) => socket.found(interest),
        }
    }
}

impl Poller<AnyStack> for OsPoller {
    fn now(&mut self) -> Instant {
        OsPoller::now(self)
    }

    fn wait(
        &mut self,
        _: &mut AnyStack,
        sockets: &mut [PollEntry<'_, AnySocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.wait_for(sockets, until)
    }
}

/// What a socket answers that another stack has made.
fn wrong_stack() -> nb::Error<TlsError> {
    nb::Error::Other(std::io::Error::from(std::io::ErrorKind::NotConnected).into())
}
