//! TLS connections that win a race.
//!
//! [`TlsConnector::connect`] races as [`connect`](crate::connect) does, to another finish line: the TLS
//! handshake, certificate included. The draft of Happy Eyeballs Version 3 asks for that ([`FinishLine`] has
//! its words). An address that accepts TCP and then is silent, refuses, speaks no TLS or shows a bad
//! certificate does not stop the others.
//!
//! ```no_run
//! use connie_std::{Options, TlsConnector, TlsOptions};
//! use std::io::{Read, Write};
//!
//! let tls = TlsConnector::new(&TlsOptions::default())?;
//! let mut stream = tls.connect(("example.org", 443), &Options::default())?;
//! stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
//! let mut page = String::new();
//! stream.read_to_string(&mut page)?;
//! println!("{} won, with {:?}:\n{page}", stream.destination(), stream.tls_version());
//! # Ok::<(), std::io::Error>(())
//! ```

mod carrier;
mod config;
mod error;
mod finish_line;
mod notes;
mod server_names;
mod session;
mod stack;
mod stream;
mod verify;

use std::net::SocketAddr;

use connie_core::resolution::{Host, HostError};
use connie_core::stack::nb;
use connie_core::{Instant, Interest, PollEntry, PollResult, Poller, RaceStack};
use rustls::pki_types::ServerName;

pub use config::{ClientCertificate, TlsConnector, TlsOptions, TlsSetupError};
pub use error::TlsError;
pub use finish_line::FinishLine;
#[cfg(feature = "tokio-tls")]
pub(crate) use notes::TlsNotes;
/// The rustls that [`TlsConnector::from_rustls`] takes a configuration of. It is part of this crate's public
/// face: an incompatible version of rustls comes with a breaking release.
pub use rustls;
pub(crate) use server_names::ServerNames;
pub use stack::{TlsSocket, TlsStack};
pub use stream::TlsStream;

use crate::connect::{failed, race};
use crate::error::ConnectErrorKind;
use crate::observation::RaceObservation;
use crate::target::TargetRef;
use crate::target::split;
use crate::{ConnectError, Options, OsPoller, OsSocket, Report, Target};

impl TlsConnector {
    /// Connects to the address of `target` that answers first. Blocks until there is a winner with which TLS
    /// is established, until every address has failed, until the deadline, or until canceled; afterwards no
    /// socket is open but the winner's.
    ///
    /// The certificate must be valid for the host, of [several](crate::Target#several-hosts) for the one
    /// whose address it is, or for [`TlsOptions::server_name`]; a list of addresses needs the latter.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says what went wrong, names the host, and has a line for each address.
    pub fn connect<'a>(
        &self,
        target: impl Into<Target<'a>>,
        options: &Options,
    ) -> Result<TlsStream, ConnectError> {
        let target = target.into();
        let target = target.view();
        let mut watch = RaceObservation::begin(target, options);
        let connected =
            self.race(target, options, &mut watch).and_then(|(_, socket, destination, report)| {
                watch.keep(&report);
                TlsStream::new(socket, destination, report).map_err(ConnectErrorKind::Socket)
            });
        let connected = connected.map_err(|kind| failed(target, kind));
        watch.tell(connected.as_ref().map(|stream| (stream.destination(), stream.report())));
        connected
    }

    /// As [`connect`](Self::connect), for a program that goes on with the core: the winner stays a
    /// non-blocking socket of the stack that is handed out with it, such as [`connie_http::HttpConnection`]
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_socket<'a>(
        &self,
        target: impl Into<Target<'a>>,
        options: &Options,
    ) -> Result<(TlsStack, TlsSocket, SocketAddr, Report), ConnectError> {
        let target = target.into();
        let target = target.view();
        let mut watch = RaceObservation::begin(target, options);
        let raced = self.race(target, options, &mut watch).map_err(|kind| failed(target, kind));
        watch.tell(raced.as_ref().map(|(_, _, destination, report)| (*destination, report)));
        raced
    }

    /// TLS with `target` over a connection that leads there already: a tunnel through a proxy, say. `socket`
    /// is connected, and nothing of TLS has passed on it. Blocks until the handshake has completed, or the
    /// race's deadline has passed from now.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::Tls`], [`ConnectErrorKind::InvalidHost`], [`ConnectErrorKind::InvalidTarget`]; the
    /// connection is then closed.
    pub fn secure<'a>(
        &self,
        target: impl Into<Target<'a>>,
        socket: OsSocket,
        options: &Options,
    ) -> Result<(TlsStack, TlsSocket), ConnectError> {
        let target = target.into();
        let target = target.view();
        let mut poller = OsPoller::new(options.canceler.clone());
        let until = options.time_limit().map(|deadline| poller.now() + deadline);
        let secure = || {
            let mut stack = self.stack_for(target, options)?;
            let peer = socket.peer().map_err(ConnectErrorKind::Socket)?;
            let failed = |error| ConnectErrorKind::Tls(peer, error);
            let mut socket = stack.wrap(socket).map_err(failed)?;
            finish(&mut stack, &mut socket, &mut poller, until).map_err(failed)?;
            Ok((stack, socket))
        };
        secure().map_err(|kind| failed(target, kind))
    }

    /// The stack for connections to `target`.
    fn stack_for(&self, target: TargetRef<'_>, options: &Options) -> Result<TlsStack, ConnectErrorKind> {
        Ok(TlsStack::new(options.into(), self.clone(), self.names_of(target)?))
    }

    /// The names that a certificate of `target` must be valid for one of: of several hosts each has its own.
    pub(crate) fn names_of(&self, target: TargetRef<'_>) -> Result<ServerNames, ConnectErrorKind> {
        match target {
            TargetRef::Hosts(hosts) => {
                let names = hosts.iter().map(|host| self.name_of(host)).collect::<Result<_, _>>()?;
                // Of an empty list no name is asked for: there is nothing to connect to.
                let none = || ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
                Ok(ServerNames::of(names).unwrap_or_else(|| none().into()))
            }
            target => Ok(self.name_of(target)?.into()),
        }
    }

    fn name_of(&self, target: TargetRef<'_>) -> Result<ServerName<'static>, ConnectErrorKind> {
        match target {
            TargetRef::Addresses(_) if !self.knows_name() => return Err(ConnectErrorKind::NoServerName),
            TargetRef::Text(text) if split(text).is_none() => return Err(ConnectErrorKind::InvalidTarget),
            _ => {}
        }
        let host = target.name().0;
        let invalid = || ConnectErrorKind::InvalidHost(Host::parse(&host).err().unwrap_or(HostError::Octet));
        self.name_for(&host).ok_or_else(invalid)
    }

    fn race(
        &self,
        target: TargetRef<'_>,
        options: &Options,
        watch: &mut RaceObservation,
    ) -> Result<(TlsStack, TlsSocket, SocketAddr, Report), ConnectErrorKind> {
        let mut stack = self.stack_for(target, options)?;
        let mut poller = OsPoller::new(options.canceler.clone());
        let until = options.time_limit().map(|deadline| poller.now() + deadline);
        match race(&mut stack, &mut poller, target, self.finish(), options) {
            Ok((mut socket, destination, report)) => {
                let report = report.with_notes(stack.take_notes());
                match finish(&mut stack, &mut socket, &mut poller, until) {
                    Ok(()) => Ok((stack, socket, destination, report)),
                    Err(error) => {
                        stack.abort(socket);
                        error.report_to_memory(&report);
                        watch.keep(&report);
                        Err(ConnectErrorKind::Tls(destination, error))
                    }
                }
            }
            Err(ConnectErrorKind::Race(failure, report)) => {
                Err(ConnectErrorKind::Race(failure, report.with_notes(stack.take_notes())))
            }
            Err(other) => Err(other),
        }
    }
}

/// Completes the handshake of a connection whose TCP is up. Where the race went to the TLS finish line it has
/// completed already.
pub(crate) fn finish(
    stack: &mut TlsStack,
    socket: &mut TlsSocket,
    poller: &mut OsPoller,
    until: Option<Instant>,
) -> Result<(), TlsError> {
    loop {
        match stack.handshake(socket) {
            Ok(()) => return Ok(()),
            Err(nb::Error::Other(error)) => return Err(error),
            Err(nb::Error::WouldBlock) => {}
        }
        if until.is_some_and(|until| poller.now() >= until) {
            return Err(TlsError::timed_out());
        }
        let mut watched = [PollEntry::new(&mut *socket, Interest::Connect)];
        if Poller::<TlsStack>::wait(poller, stack, &mut watched, until) == PollResult::Canceled {
            return Err(TlsError::canceled());
        }
    }
}
