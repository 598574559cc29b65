//! What a connection runs over: TCP alone, or TLS.

use std::net::SocketAddr;

use connie_core::{Failure, Instant, RaceStack, Waiter};
use connie_http::{Host, Opener, Opening};

use crate::budget::Holder;
use crate::connect::{failed, race};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::number::Numbered;
use crate::socket::OsStack;
#[cfg(feature = "tls")]
use crate::tls::{TlsStack, finish};
use crate::{Options, OsWaiter, Report, Target};

/// What an HTTP connection runs over: [`OsStack`] for plain TCP, [`TlsStack`](crate::TlsStack) for TLS. Nothing else can be.
pub trait Transport: RaceStack + Sealed
where
    OsWaiter: Waiter<Self>,
{
}

impl Transport for OsStack {}
#[cfg(feature = "tls")]
impl Transport for TlsStack {}

/// What the transports do differently.
pub trait Sealed: RaceStack<TcpSocket: Holder, Error: Numbered> {
    /// The host as a `Host` field names it.
    fn host(name: &str, port: u16) -> Host<'_>;

    /// Whether `host` can be a server's name.
    fn can_aim(&self, host: &str) -> bool;

    /// Has what follows be meant for `host`, where that can be a server's name.
    fn aim(&mut self, host: &str);

    /// Gets ready for a race with these options: to the host itself, or to a proxy that will open a tunnel.
    fn begin(&mut self, options: &Options, tunnel: bool);

    /// Completes a connection whose race is won.
    fn complete(
        &mut self,
        waiter: &mut OsWaiter,
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind>;

    /// Begins what is spoken within the tunnel.
    fn enter(
        &mut self,
        waiter: &mut OsWaiter,
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind>;

    /// Adds to a report what the stack knows beside it.
    fn annotate(&mut self, report: Report) -> Report;
}

impl Sealed for OsStack {
    fn host(name: &str, port: u16) -> Host<'_> {
        Host::http(name, port)
    }

    fn can_aim(&self, _: &str) -> bool {
        true
    }

    fn aim(&mut self, _: &str) {}

    fn begin(&mut self, options: &Options, _: bool) {
        *self = options.into();
    }

    fn complete(
        &mut self,
        _: &mut OsWaiter,
        _: &mut Self::TcpSocket,
        _: SocketAddr,
        _: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        Ok(())
    }

    fn enter(
        &mut self,
        _: &mut OsWaiter,
        _: &mut Self::TcpSocket,
        _: SocketAddr,
        _: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        Ok(())
    }

    fn annotate(&mut self, report: Report) -> Report {
        report
    }
}

#[cfg(feature = "tls")]
impl Sealed for TlsStack {
    fn host(name: &str, port: u16) -> Host<'_> {
        Host::https(name, port)
    }

    fn can_aim(&self, host: &str) -> bool {
        self.can_have_host(host)
    }

    fn aim(&mut self, host: &str) {
        self.set_host(host);
    }

    fn begin(&mut self, options: &Options, tunnel: bool) {
        self.set_up(options.into(), tunnel);
    }

    fn complete(
        &mut self,
        waiter: &mut OsWaiter,
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        if socket.is_plain() {
            return Ok(());
        }
        finish(self, socket, waiter, until).map_err(|error| ConnectErrorKind::Tls(destination, error))
    }

    fn enter(
        &mut self,
        waiter: &mut OsWaiter,
        socket: &mut Self::TcpSocket,
        destination: SocketAddr,
        until: Option<Instant>,
    ) -> Result<(), ConnectErrorKind> {
        self.secure(socket)
            .and_then(|()| finish(self, socket, waiter, until))
            .map_err(|error| ConnectErrorKind::Tls(destination, error))
    }

    fn annotate(&mut self, report: Report) -> Report {
        report.with_notes(self.take_notes())
    }
}

/// Opens each connection by a race of its own, and remembers the last one.
#[derive(Debug)]
pub(super) struct Racing {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) options: Options,
    pub(super) won: Option<(SocketAddr, Report)>,
    /// When the deadline of the last race is, which holds for the way through a proxy too.
    until: Option<Instant>,
    /// Why the last one failed, until it is told.
    pub(super) error: Option<Box<ConnectError>>,
}

impl Racing {
    pub(super) fn new(host: &str, port: u16, options: Options) -> Self {
        Racing { host: host.to_owned(), port, options, won: None, until: None, error: None }
    }

    /// Keeps what went wrong, and says what it comes down to.
    fn fail(&mut self, kind: ConnectErrorKind) -> Failure {
        let failure = match &kind {
            ConnectErrorKind::Race(failure, _) => *failure,
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.race_failure(),
            ConnectErrorKind::Resolve(_)
            | ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::UnknownZone(_) => Failure::NoDestinations,
            _ => Failure::AllAttemptsFailed,
        };
        self.error = Some(Box::new(failed(Target::Host(&self.host, self.port), kind)));
        failure
    }
}

impl<T: Sealed> Opener<T, OsWaiter> for Racing
where
    OsWaiter: Waiter<T>,
{
    fn open(
        &mut self,
        stack: &mut T,
        waiter: &mut OsWaiter,
        opening: Opening,
    ) -> Result<T::TcpSocket, Failure> {
        self.won = None;
        self.error = None;
        let now = waiter.now();
        let mut options = self.options.clone();
        let own = options.race.deadline.map(|deadline| now + deadline);
        // Whichever is earlier.
        let until = own.into_iter().chain(opening.until).min();
        options.race.deadline = until.map(|until| until.since(now));
        self.until = own;
        stack.begin(&options, opening.tunnel);
        let raced = race(stack, waiter, Target::Host(&self.host, self.port), &options);
        let completed = match raced {
            Ok((mut socket, destination, report)) => {
                match stack.complete(waiter, &mut socket, destination, until) {
                    Ok(()) => Ok((socket, destination, stack.annotate(report))),
                    Err(kind) => {
                        stack.abort(socket);
                        Err(kind)
                    }
                }
            }
            Err(ConnectErrorKind::Race(failure, report)) => {
                Err(ConnectErrorKind::Race(failure, stack.annotate(report)))
            }
            Err(kind) => Err(kind),
        };
        let (socket, destination, report) = completed.map_err(|kind| self.fail(kind))?;
        self.won = Some((destination, report));
        Ok(socket)
    }

    fn enter_tunnel(
        &mut self,
        stack: &mut T,
        waiter: &mut OsWaiter,
        socket: &mut T::TcpSocket,
        opening: Opening,
    ) -> Result<(), Failure> {
        // There is one: what it leads to has opened the tunnel.
        let Some((destination, _)) = self.won else { return Ok(()) };
        stack.enter(waiter, socket, destination, opening.until).map_err(|kind| self.fail(kind))
    }

    fn tunnel_until(&self) -> Option<Instant> {
        self.until
    }
}
