//! `connect`: from a host and a port to the connection that won.

use std::io;
use std::net::SocketAddr;

use connie_core::memory::Finish;
use connie_core::{Poller, RaceStack, TurnResult};

use crate::budget::KeepPermit;
use crate::connect_operation::{ConnectOperation, ConnectOutcome, SocketSupply};
use crate::connected::Connected;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::hosts::Hosted;
use crate::observation::RaceObservation;
use crate::options::Options;
use crate::poller::OsPoller;
use crate::report::Report;
use crate::retransmitted::Retransmitted;
use crate::socket::{OsSocket, OsStack, blocking};
use crate::target::{Target, TargetRef};

/// Connects to the address of `target` that answers first. Blocks until there is a winner, until every
/// address has failed, until the deadline, or until canceled; afterwards no socket is open but the winner's.
///
/// A name is [resolved](crate::resolve) while the race runs: its first address is tried as soon as it is
/// known, and the others join. An address that is known never waits for those that the resolver has still to
/// return.
///
/// With [several hosts](crate::Target#several-hosts), any of them may win:
/// `connect(&["a.example:1883", "b.example:1883"], &options)` is one race to all of them.
///
/// It ends after 30 seconds unless [`Options::deadline`] is set to something else. Without a deadline, a host
/// whose addresses are all silent takes as long as the system's own time-out, some two minutes, and a name
/// without an answer as long as its resolver.
///
/// ```no_run
/// use connie_std::{Options, connect};
/// use std::io::{Read, Write};
///
/// let mut stream = connect(("example.org", 80), &Options::default())?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page)?;
/// println!("{} won:\n{}", stream.destination(), stream.timeline().waterfall(80, Default::default()));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`ConnectError`] has what went wrong, names the host, and has a line for each address. It turns into an
/// [`io::Error`] with `?`.
pub fn connect<'a>(target: impl Into<Target<'a>>, options: &Options) -> Result<Connected, ConnectError> {
    let target = target.into();
    let target = target.view();
    let mut watch = RaceObservation::begin(target, options);
    let connected = open(target, options).and_then(|(socket, destination, report)| {
        let (stream, held) = socket.into_parts();
        let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        match stream.and_then(blocking) {
            Ok(stream) => Ok(Connected { stream, destination, report, _held: held }),
            Err(error) => {
                watch.keep(&report);
                Err(failed(target, ConnectErrorKind::Socket(error)))
            }
        }
    });
    watch.tell(connected.as_ref().map(|connected| (connected.destination, &connected.report)));
    connected
}

/// As [`connect`], for a program that goes on with the core: the winner stays a non-blocking socket of
/// [`OsStack`], such as [`connie_http::HttpConnection`] takes.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_socket<'a>(
    target: impl Into<Target<'a>>,
    options: &Options,
) -> Result<(OsSocket, SocketAddr, Report), ConnectError> {
    let target = target.into();
    let target = target.view();
    let watch = RaceObservation::begin(target, options);
    let opened = open(target, options);
    watch.tell(opened.as_ref().map(|(_, destination, report)| (*destination, report)));
    opened
}

fn open(target: TargetRef<'_>, options: &Options) -> Result<(OsSocket, SocketAddr, Report), ConnectError> {
    let mut poller = OsPoller::new(options.canceler.clone());
    let mut stack = OsStack::from(options);
    match race(&mut stack, &mut poller, target, Finish::Tcp, options) {
        Ok((socket, destination, report)) => Ok((socket, destination, report.with_notes(stack.take_notes()))),
        Err(ConnectErrorKind::Race(failure, report)) => {
            let report = report.with_notes(stack.take_notes());
            Err(failed(target, ConnectErrorKind::Race(failure, report)))
        }
        Err(kind) => Err(failed(target, kind)),
    }
}

pub(crate) fn failed(target: TargetRef<'_>, kind: ConnectErrorKind) -> ConnectError {
    let named = match (target, &kind) {
        (TargetRef::Hosts(hosts), ConnectErrorKind::InvalidHost(_) | ConnectErrorKind::InvalidTarget) => {
            hosts.invalid()
        }
        _ => None,
    };
    let (host, port) = named.unwrap_or(target).name();
    ConnectError::new(host, port, kind)
}

/// Runs a race over `stack`, to `finish`. Its deadline counts from now, and covers resolution.
pub(crate) fn race<S: RaceStack + Hosted>(
    stack: &mut S,
    poller: &mut OsPoller,
    target: TargetRef<'_>,
    finish: Finish,
    options: &Options,
) -> Result<(S::TcpSocket, SocketAddr, Report), ConnectErrorKind>
where
    S::TcpSocket: KeepPermit + Retransmitted,
    OsPoller: Poller<S>,
{
    let start = Poller::<S>::now(poller);
    let mut operation = ConnectOperation::begin(target, finish, options, poller.clock, start)?;
    stack.told_owners(operation.owners());
    if poller.is_canceled() {
        // Before the first attempt: no socket is opened.
        let _ = operation.driver.cancel(stack, start);
    }
    let result = loop {
        let sockets = operation.wait_for_sockets(poller);
        // Refused or canceled, or too late: the race ends before it has opened a socket.
        let ends = || poller.is_canceled() || poller.has_come_beside();
        if sockets == SocketSupply::AllHeld || sockets != SocketSupply::Ready && ends() {
            let now = Poller::<S>::now(poller);
            let _ = operation.driver.cancel(stack, now);
        }
        poller.looks_at = operation.looks_at();
        match operation.driver.turn(stack, poller) {
            TurnResult::SendQuery(query) => {
                // Time has passed where it stood in line for sockets.
                let now = Poller::<S>::now(poller);
                operation.send(query, &mut poller.lookups, poller.clock, now);
            }
            TurnResult::Waited => {}
            TurnResult::Connected(connection) => break Ok(connection),
            TurnResult::Failed(failure) => break Err(failure),
        }
    };
    // Lookups that are still under way are abandoned.
    poller.lookups.clear();
    poller.looks_at = None;
    let ConnectOutcome { mut socket, destination, report, held } = operation.conclude(result)?;
    if let Some(held) = held {
        socket.hold(held);
    }
    Ok((socket, destination, report))
}
