//! What a connection runs over: TCP alone, or TLS.

use std::net::SocketAddr;

use connie_core::memory::Finish;
use connie_core::{Instant, Poller, RaceStack};
use connie_http::Authority;

use crate::budget::KeepPermit;
use crate::connect::race;
use crate::error::ConnectErrorKind;
use crate::hosts::Hosted;
use crate::retransmitted::Retransmitted;
use crate::socket::OsStack;
use crate::target::TargetRef;
#[cfg(feature = "tls")]
use crate::tls::{TlsStack, finish};
use crate::{Options, OsPoller, Report};

/// What an HTTP connection runs over: [`OsStack`] for plain TCP, [`TlsStack`](crate::TlsStack) for TLS,
/// [`AnyStack`](super::AnyStack) for either. Nothing else can be.
pub trait Transport: RaceStack + Sealed
where
    OsPoller: Poller<Self>,
{
}

impl Transport for OsStack {}
#[cfg(feature = "tls")]
impl Transport for TlsStack {}

/// What is known of a connection that speaks TLS.
pub struct TlsFacts {
    /// The version that was agreed on: `TLSv1_2` or `TLSv1_3`.
    pub(super) version: &'static str,
    /// The name that the certificate is valid for.
    pub(super) name: String,
}

/// What came of a race.
pub type RaceResult<T> = Result<(T, SocketAddr, Report), ConnectErrorKind>;

/// What the transports do differently.
pub trait Sealed:
    RaceStack<TcpSocket: KeepPermit + Retransmitted + Watched> + Hosted + Send + 'static
{
    /// The host as a `Host` field names it.
    fn authority<'a>(&self, name: &'a str, port: u16) -> Authority<'a>;

    /// Whether `host` can be a server's name.
    fn can_be_server(&self, host: &str) -> bool;

    /// Has what follows be meant for `host`, where that can be a server's name.
    fn set_server(&mut self, host: &str);

    /// Gets ready for a race with these options: to the host itself, or to a proxy that will open a tunnel.
    fn prepare(&mut self, options: &Options, tunnel: bool);

    /// When an attempt of the next race has ended well.
    fn finish(&self) -> Finish;

    /// Races. Here, and not where a connection is opened, whose code is made anew in each program: what a
    /// race takes is in this library once.
    fn race(
        &mut self,
        poller: &mut OsPoller,
        target: TargetRef<'_>,
        finish: Finish,
        options: &Options,
    ) -> RaceResult<Self::TcpSocket>;

    /// Completes a connection whose race is won.
    fn complete(
        &mut self,
        poller: &mut OsPoller,
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind>;

    /// Begins what is spoken within the tunnel. `destination` is where the socket leads, where that is known.
    fn enter_tunnel(
        &mut self,
        poller: &mut OsPoller,
        socket: &mut Self::TcpSocket,
        destination: Option<SocketAddr>,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind>;

    /// What is known of TLS on a connection that is complete.
    fn facts(&self, socket: &Self::TcpSocket) -> Option<TlsFacts>;

    /// Adds to a report what the stack knows beside it.
    fn annotate(&mut self, report: Report) -> Report;

    /// A stack for a socket that is connected, while this one races for another.
    fn twin(&self) -> Self;
}

/// A socket that can be watched while another one is being opened.
#[cfg(not(target_os = "wasi"))]
pub trait Watched: crate::pollable::Pollable + Send + 'static {}
#[cfg(not(target_os = "wasi"))]
impl<S: crate::pollable::Pollable + Send + 'static> Watched for S {}

/// Nothing is watched beside a race here.
#[cfg(target_os = "wasi")]
pub trait Watched {}
#[cfg(target_os = "wasi")]
impl<S> Watched for S {}

impl Sealed for OsStack {
    fn authority<'a>(&self, name: &'a str, port: u16) -> Authority<'a> {
        Authority::http(name, port)
    }

    fn can_be_server(&self, _: &str) -> bool {
        true
    }

    fn set_server(&mut self, _: &str) {}

    fn prepare(&mut self, options: &Options, _: bool) {
        *self = options.into();
    }

    fn finish(&self) -> Finish {
        Finish::Tcp
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
        _: &mut OsPoller,
        _: &mut Self::TcpSocket,
        _: SocketAddr,
        _: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        Ok(())
    }

    fn enter_tunnel(
        &mut self,
        _: &mut OsPoller,
        _: &mut Self::TcpSocket,
        _: Option<SocketAddr>,
        _: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        Ok(())
    }

    fn facts(&self, _: &Self::TcpSocket) -> Option<TlsFacts> {
        None
    }

    fn annotate(&mut self, report: Report) -> Report {
        report.with_notes(self.take_notes())
    }

    fn twin(&self) -> Self {
        self.clone()
    }
}

#[cfg(feature = "tls")]
impl Sealed for TlsStack {
    fn authority<'a>(&self, name: &'a str, port: u16) -> Authority<'a> {
        Authority::https(name, port)
    }

    fn can_be_server(&self, host: &str) -> bool {
        self.can_have_host(host)
    }

    fn set_server(&mut self, host: &str) {
        self.set_host(host);
    }

    fn prepare(&mut self, options: &Options, tunnel: bool) {
        self.set_up(options.into(), tunnel);
    }

    fn finish(&self) -> Finish {
        TlsStack::finish(self)
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
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        if socket.is_plain() {
            return Ok(());
        }
        finish(self, socket, poller, until).map_err(|error| ConnectErrorKind::Tls(destination, error))
    }

    fn enter_tunnel(
        &mut self,
        poller: &mut OsPoller,
        socket: &mut Self::TcpSocket,
        destination: Option<SocketAddr>,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        self.secure(socket).and_then(|()| finish(self, socket, poller, until)).map_err(|error| {
            match destination {
                Some(destination) => ConnectErrorKind::Tls(destination, error),
                None => ConnectErrorKind::Socket(error.into()),
            }
        })
    }

    fn facts(&self, socket: &Self::TcpSocket) -> Option<TlsFacts> {
        let version = socket.tls_version().filter(|_| self.secures_host());
        version.map(|version| TlsFacts { version, name: self.server_name() })
    }

    fn annotate(&mut self, report: Report) -> Report {
        report.with_notes(self.take_notes())
    }

    fn twin(&self) -> Self {
        self.twin_stack()
    }
}
