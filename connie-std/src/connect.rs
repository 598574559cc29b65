//! `connect`: from a host and a port to the connection that won.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};

use connie_core::{Config, Connector, Family, Instant, RaceStack, Timeline, Waiter};

use crate::budget::{Holder, Share, SocketBudget};
use crate::error::{ConnectError, ConnectErrorKind};
use crate::report::Report;
use crate::resolve::{Resolved, resolve};
use crate::socket::{OsSocket, OsStack};
use crate::target::{Target, split};
use crate::wait::{Canceler, OsWaiter};

/// How many addresses of one host a [`connect`] considers.
pub const MAX_DESTINATIONS: usize = 128;
/// The most sockets that a [`connect`] can be allowed to have open.
pub const MAX_SOCKETS: usize = 64;
/// How many attempts the timeline of a [`connect`] remembers.
const RECORDS: usize = 512;

/// How to connect.
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
    /// The deadline covers resolution too. The family of the first address that the resolver gives is the one that is preferred
    /// (RFC 8305 section 4), whatever `preferred_family` says: the system has sorted its answer by RFC 6724.
    pub race: Config,
    /// The source address of IPv4 connections. Default: the system's choice.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections. Default: the system's choice.
    pub source_v6: Option<Ipv6Addr>,
    /// Whether to set `TCP_NODELAY` on the winner. Default: yes.
    pub nodelay: bool,
    /// Addresses for names, which beat the resolver. The last entry for a name counts, and beats one for `*`.
    pub overrides: Vec<Override>,
    /// What ends the call from another thread.
    pub canceler: Option<Canceler>,
    /// Where the race takes its sockets from. Default: [`SocketBudget::of_process`], which all races share. Without one nothing keeps
    /// many races from using up the process's descriptors.
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

/// A connection that won its race. Derefs to the stream, which blocks as any `TcpStream` does.
#[derive(Debug)]
pub struct Connected {
    stream: TcpStream,
    destination: SocketAddr,
    report: Report,
    /// Its place in a budget.
    _share: Option<Share>,
}

impl Connected {
    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.report.timeline()
    }

    /// The stream alone.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The stream and what the race did.
    #[must_use]
    pub fn into_parts(self) -> (TcpStream, Report) {
        (self.stream, self.report)
    }
}

impl Deref for Connected {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl io::Read for Connected {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl io::Write for Connected {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Connects to the address of `target` that answers first. Blocks until there is a winner, until every address has failed, until
/// the deadline, or until canceled; afterwards no socket is open but the winner's.
///
/// Set a deadline: without one, a host of which every address stays silent takes as long as the system's own time-out, some two
/// minutes. A look-up cannot be interrupted: where the call gives up before the system's resolver does, a thread waits on for
/// that and then ends.
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
    match stream.and_then(|stream| stream.set_nonblocking(false).map(|()| stream)) {
        Ok(stream) => Ok(Connected { stream, destination, report, _share: share }),
        Err(error) => Err(failed(target, ConnectErrorKind::Socket(error))),
    }
}

/// As [`connect`], for a program that goes on with the core: the winner stays a non-blocking socket of [`OsStack`], such as
/// [`connie_core::http::HttpConnection`] takes.
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
    ConnectError { host, port, kind }
}

/// Runs a race over `stack`. Its deadline counts from now.
pub(crate) fn race<S: RaceStack>(
    stack: &mut S,
    waiter: &mut OsWaiter,
    target: Target<'_>,
    options: &Options,
) -> Result<(S::TcpSocket, SocketAddr, Report), ConnectErrorKind>
where
    S::TcpSocket: Holder,
    OsWaiter: Waiter<S>,
{
    let start = Waiter::<S>::now(waiter);
    let until = options.race.deadline.map(|deadline| start + deadline);
    let addresses = addresses(target, options, until, waiter)?;

    let mut config = options.race.clone();
    if let Some(first) = addresses.as_deref().and_then(<[_]>::first) {
        config.preferred_family = Family::of(first);
    }
    let (addresses, share) = match (addresses, &options.budget) {
        (Some(addresses), Some(budget)) => {
            match take_share(budget, &config, addresses.len(), until, waiter) {
                Some(share) => {
                    config.max_in_flight = share.sockets();
                    (Some(addresses), Some(share))
                }
                None => (None, None),
            }
        }
        (addresses, _) => (addresses, None),
    };
    let mut connector = Connector::<_, MAX_DESTINATIONS, MAX_SOCKETS, RECORDS>::new(&config, start);
    let now = Waiter::<S>::now(waiter);
    if waiter.is_canceled() {
        // Before the first attempt: no socket is opened.
        let _ = connector.cancel(stack, now);
    } else if let Some(addresses) = addresses {
        connector.handle_addresses(&addresses, now);
    }
    match connector.run(stack, waiter) {
        Ok(mut connection) => {
            if let Some(mut share) = share {
                share.keep_one();
                connection.socket.hold(share);
            }
            Ok((connection.socket, connection.destination, connector.timeline().into()))
        }
        Err(failure) => Err(ConnectErrorKind::Race(failure, connector.timeline().into())),
    }
}

/// As many sockets as a race to so many addresses can use, or fewer; `None` where the caller gave up before there was one.
fn take_share(
    budget: &SocketBudget,
    config: &Config,
    addresses: usize,
    until: Option<Instant>,
    waiter: &OsWaiter,
) -> Option<Share> {
    let for_each = if config.hedge { 2 } else { 1 };
    let most = config.max_in_flight.min(MAX_SOCKETS).min(addresses.saturating_mul(for_each));
    let canceled = || waiter.is_canceled();
    budget.take(most, waiter.clock(), until, waiter.can_be_canceled().then_some(&canceled))
}

/// The addresses to race; `None` where the caller gave up before they were there.
fn addresses(
    target: Target<'_>,
    options: &Options,
    until: Option<Instant>,
    waiter: &mut OsWaiter,
) -> Result<Option<Vec<SocketAddr>>, ConnectErrorKind> {
    let (host, port) = match target {
        Target::Address(address) => return Ok(Some(vec![address])),
        Target::Addresses(addresses) => return Ok(Some(addresses.to_vec())),
        Target::Host(host, port) => (host, port),
        Target::Text(text) => split(text).ok_or(ConnectErrorKind::InvalidTarget)?,
    };
    // The last entry counts, and one for this name before one for all, as for curl.
    let last = |fits: &dyn Fn(&str) -> bool| {
        options.overrides.iter().rfind(|entry| entry.port == port && fits(&entry.host))
    };
    if let Some(entry) = last(&|name| name.eq_ignore_ascii_case(host)).or_else(|| last(&|name| name == "*")) {
        return Ok(Some(entry.addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect()));
    }
    match resolve(host, port, until, waiter, options.canceler.is_some())? {
        Resolved::Addresses(addresses) => Ok(Some(addresses)),
        Resolved::GivenUp => Ok(None),
    }
}
