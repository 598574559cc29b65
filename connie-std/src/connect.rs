//! `connect`: from a host and a port to the connection that won.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use connie_core::{Config, RaceStack, Waiter};

use crate::budget::{Holder, SocketBudget};
use crate::cancel::Canceler;
use crate::connected::Connected;
use crate::contest::{Contest, Outcome};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::numbers::{Noting, Numbered};
use crate::report::Report;
use crate::resolve::Resolver;
use crate::socket::{OsSocket, OsStack, blocking};
use crate::target::Target;
use crate::waiter::OsWaiter;

/// How many addresses of one host a [`connect`] considers.
pub const MAX_DESTINATIONS: usize = 128;
/// The most sockets that a [`connect`] can be allowed to have open.
pub const MAX_SOCKETS: usize = 64;
/// How to connect. Start from the default and change what differs; a later version may add fields, so do not name them all.
///
/// ```
/// use connie_std::{Options, core::Config};
/// use std::time::Duration;
///
/// let options = Options {
///     race: Config { deadline: Some(Duration::from_secs(10)), ..Options::default().race },
///     ..Options::default()
/// };
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The race. Default: every address at once, over at most [`Options::DEFAULT_SOCKETS`] sockets.
    ///
    /// The deadline covers resolution too. Which family's addresses come first is decided by RFC 6724 from what the host would send
    /// from, which for nearly all is IPv6 where the host has it; `preferred_family: Family::V4` makes it IPv4 in any case. For lists
    /// of addresses it is the family of the first.
    pub race: Config,
    /// Where addresses of names come from. Default: the operating system.
    pub resolver: Resolver,
    /// The source address of IPv4 connections. Default: the system's choice.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections. Default: the system's choice.
    pub source_v6: Option<Ipv6Addr>,
    /// Whether to set `TCP_NODELAY` on the winner. Default: yes.
    pub nodelay: bool,
    /// Addresses for names, which beat the resolver. The last entry for a name counts, and beats one for `*`.
    pub overrides: Vec<Override>,
    /// What ends the call from another thread or task.
    pub canceler: Option<Canceler>,
    /// Where the race takes its sockets from. Default: [`SocketBudget::of_process`], which all races share. Without one nothing keeps
    /// many races from using up the process's descriptors.
    ///
    /// A connection keeps its place in the budget as long as it lives, and while all places are taken a race waits for one, until its
    /// deadline, or for ever where it has none: a program that holds very many connections at once sets a deadline, and gives a larger budget or
    /// none.
    pub budget: Option<SocketBudget>,
}

impl Options {
    /// The most sockets that a race opens unless told otherwise: enough for nearly every host at once, few enough for
    /// hundreds of races in a process with 1,024 descriptors of which some are idle.
    pub const DEFAULT_SOCKETS: usize = 16;
}

impl Default for Options {
    fn default() -> Self {
        Options {
            race: Config { max_in_flight: Self::DEFAULT_SOCKETS, ..Config::all_at_once() },
            resolver: Resolver::System,
            source_v4: None,
            source_v6: None,
            nodelay: true,
            overrides: Vec::new(),
            canceler: None,
            budget: Some(SocketBudget::of_process()),
        }
    }
}

impl From<&Options> for OsStack {
    /// A stack with the source addresses and socket options of `options`.
    fn from(options: &Options) -> Self {
        OsStack { source_v4: options.source_v4, source_v6: options.source_v6, nodelay: options.nodelay }
    }
}

/// The addresses to use for a name, in place of the resolver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The name, compared without regard to case; `*` for every name.
    pub host: String,
    /// The port that it holds for.
    pub port: u16,
    /// The addresses, best first.
    pub addresses: Vec<IpAddr>,
}

/// Connects to the address of `target` that answers first. Blocks until there is a winner, until every address has failed, until
/// the deadline, or until canceled; afterwards no socket is open but the winner's.
///
/// A name is [resolved](crate::resolve) while the race runs: its first address is tried as soon as it is known, and the others join.
/// Nothing waits for a resolver but the addresses that it has not told yet.
///
/// Set a deadline: without one, a host of which every address stays silent takes as long as the system's own time-out, some two
/// minutes, and a name whose last answer never comes as long as its resolver.
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
/// [`ConnectError`] says what went wrong, names the host, and has a line for each address. It turns into an [`io::Error`] with `?`.
pub fn connect<'a>(target: impl Into<Target<'a>>, options: &Options) -> Result<Connected, ConnectError> {
    let target = target.into();
    let (socket, destination, report) = connect_socket(target, options)?;
    let (stream, share) = socket.into_parts();
    let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
    match stream.and_then(blocking) {
        Ok(stream) => Ok(Connected { stream, destination, report, _share: share }),
        Err(error) => Err(failed(target, ConnectErrorKind::Socket(error))),
    }
}

/// As [`connect`], for a program that goes on with the core: the winner stays a non-blocking socket of [`OsStack`], such as
/// [`connie_http::HttpConnection`] takes.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_socket<'a>(
    target: impl Into<Target<'a>>,
    options: &Options,
) -> Result<(OsSocket, SocketAddr, Report), ConnectError> {
    let target = target.into();
    let mut waiter = OsWaiter::new(options.canceler.clone());
    race(&mut OsStack::from(options), &mut waiter, target, options).map_err(|kind| failed(target, kind))
}

pub(crate) fn failed(target: Target<'_>, kind: ConnectErrorKind) -> ConnectError {
    let (host, port) = target.name();
    ConnectError::new(host, port, kind)
}

/// Runs a race over `stack`. Its deadline counts from now, and covers resolution.
pub(crate) fn race<S: RaceStack>(
    stack: &mut S,
    waiter: &mut OsWaiter,
    target: Target<'_>,
    options: &Options,
) -> Result<(S::TcpSocket, SocketAddr, Report), ConnectErrorKind>
where
    S::TcpSocket: Holder,
    S::Error: Numbered,
    OsWaiter: Waiter<S>,
{
    let mut stack = Noting::new(stack);
    let start = Waiter::<S>::now(waiter);
    let mut contest = Contest::begin(target, options, waiter, start)?;
    if waiter.is_canceled() {
        // Before the first attempt: no socket is opened.
        let _ = contest.connector.cancel(&mut stack, start);
    }
    let result = loop {
        let now = Waiter::<S>::now(waiter);
        contest.advance(waiter, now);
        // Canceled, or too late: the race ends before it has opened a socket.
        if !contest.wait_for_sockets(waiter) && waiter.is_canceled() {
            let _ = contest.connector.cancel(&mut stack, start);
        }
        if let Poll::Ready(result) = contest.connector.turn(&mut stack, waiter) {
            break result;
        }
    };
    // Look-ups that are still under way are abandoned.
    waiter.lookups.clear();
    let Outcome { mut socket, destination, report, share } =
        contest.conclude(result, stack.numbers.take())?;
    if let Some(share) = share {
        socket.hold(share);
    }
    Ok((socket, destination, report))
}
