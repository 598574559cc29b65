//! `connect`: from a host and a port to the connection that won.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::task::Poll;

use connie_core::resolution::{Host, HostError, LOOPBACK, Query, QueryError, Resolution, is_onion};
use connie_core::{Config, Connection, Failure, Family, Input, Timeline, Waiter};

use crate::error::describe;
use crate::lookup::{LookupError, LookupEvent, NameLookup};
use crate::report::{Racer, Report};
use crate::socket::{WasiSocket, WasiStack};
use crate::stream::{Connected, TcpStream};
use crate::wait::WasiWaiter;

/// Connects to the address of `host` that answers first. Blocks until there is a winner, until every address has failed, or until the
/// deadline of `config`; afterwards no socket is open but the winner's.
///
/// `host` is a name or a literal address. A name is looked up while the race runs: its first address is tried as soon as the runtime tells
/// it. `config` is the race: [`Config::all_at_once`] with a deadline, as a rule. Without a deadline a host of which every address stays
/// silent takes as long as the runtime's own time-out, some two minutes.
///
/// ```no_run
/// use connie_wasi::{connect, core::Config};
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// let config = Config { deadline: Some(Duration::from_secs(10)), max_in_flight: 16, ..Config::all_at_once() };
/// let mut stream = connect("example.org", 80, &config)?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page)?;
/// println!("{} won:\n{}", stream.destination(), stream.timeline().waterfall(80, Default::default()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ConnectError`] says what went wrong, names the host, and has a line for each address.
pub fn connect(host: &str, port: u16, config: &Config) -> Result<Connected, ConnectError> {
    let (mut stack, mut waiter) = (WasiStack::default(), WasiWaiter::new());
    let Won { socket, destination, report } = connect_with(&mut stack, &mut waiter, host, port, config)?;
    Ok(Connected::new(TcpStream::new(socket, waiter), destination, report))
}

/// As [`connect`], with a stack and a waiter of the caller's: one that [can be canceled](WasiWaiter::cancel_when), say. The winner stays a
/// socket of `stack`.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_with(
    stack: &mut WasiStack,
    waiter: &mut WasiWaiter,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<Won, ConnectError> {
    race(stack, waiter, host, port, config).map_err(|kind| ConnectError {
        host: host.to_string(),
        port,
        kind,
    })
}

/// What a [`connect_with`] has won.
#[derive(Debug)]
pub struct Won {
    /// The connection.
    pub socket: WasiSocket,
    /// Where it leads.
    pub destination: SocketAddr,
    /// What the race did.
    pub report: Report,
}

fn race(
    stack: &mut WasiStack,
    waiter: &mut WasiWaiter,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<Won, ConnectErrorKind> {
    let host = Host::parse(host).map_err(ConnectErrorKind::InvalidHost)?;
    let start = waiter.now();
    let mut connector = Box::new(Racer::new(config, start));
    let mut names = Names::new(config);
    match host {
        Host::Name(name) => {
            waiter.lookup = Some(NameLookup::start(stack.network(), name, port, config.families))
        }
        Host::Nowhere => names.failure = Some(ResolveError::Nowhere),
        Host::Loopback => {
            connector.handle_addresses(&LOOPBACK.map(|ip| SocketAddr::new(ip, port)), start);
        }
        Host::Address(literal) => {
            let address = literal.socket_addr(port).ok_or(ConnectErrorKind::NamedZone)?;
            connector.handle_addresses(&[address], start);
        }
    }
    if host == Host::Nowhere {
        connector.resolution_failed(Family::V6, start);
        connector.resolution_failed(Family::V4, start);
    }
    let result = loop {
        let now = waiter.now();
        if let Some(lookup) = &mut waiter.lookup {
            names.hear(lookup, &mut connector, now);
        }
        if let Poll::Ready(result) = connector.turn(stack, waiter) {
            break result;
        }
    };
    // A look-up that is still under way is abandoned.
    waiter.lookup = None;
    let report = Report(connector);
    match (result, names.failure) {
        (Ok(Connection { socket, destination }), _) => Ok(Won { socket, destination, report }),
        (Err(Failure::NoDestinations), Some(error)) => Err(ConnectErrorKind::Resolve(error)),
        (Err(failure), _) => Err(ConnectErrorKind::Race(failure, report)),
    }
}

/// What is known of a name.
struct Names {
    resolution: Resolution,
    /// Whether the program has said that IPv4 is preferred.
    prefers_v4: bool,
    failure: Option<ResolveError>,
}

impl Names {
    fn new(config: &Config) -> Self {
        let mut resolution = Resolution::new(config.families);
        // One question asks for both families.
        while resolution.next_query().is_some() {}
        Names { resolution, prefers_v4: config.preferred_family == Family::V4, failure: None }
    }

    /// Tells the race what has come.
    fn hear(&mut self, lookup: &mut NameLookup, connector: &mut Racer, now: connie_core::Instant) {
        while let Some(event) = lookup.poll() {
            if let (false, Some(family)) = (self.prefers_v4, lookup.best_family()) {
                connector.prefer(family);
            }
            match event {
                LookupEvent::Hinted(family, addresses) => {
                    connector.handle_input(Input::Hinted { family, addresses: &addresses }, now);
                }
                LookupEvent::Answered(family, addresses) => {
                    for input in self.resolution.answered(Query::of(family), &addresses) {
                        connector.handle_input(input, now);
                    }
                }
                LookupEvent::Failed(family, error) => {
                    self.failure = Some(ResolveError::Lookup(error));
                    for input in self.resolution.failed(Query::of(family), error.query_error()) {
                        connector.handle_input(input, now);
                    }
                }
            }
        }
    }
}

/// Why [`connect`] brought no connection. `{}` is one line: where every address has failed it has the reason
/// of each, or of the few that tell most and how many more there are. `{:?}` has all.
///
/// As a `std::io::Error` (feature `std`) it is `ConnectionAborted` where the program canceled, `TimedOut` at
/// the deadline, and where every address has failed what the failure that tells most is: refused before timed
/// out before unreachable before all else.
pub struct ConnectError {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: ConnectErrorKind,
}

/// What kind of thing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host is neither a name nor an address.
    InvalidHost(HostError),
    /// The host is an IPv6 address in a zone that has a name (`fe80::1%eth0`). WASI knows zones by their numbers alone.
    NamedZone,
    /// The name could not be looked up.
    Resolve(ResolveError),
    /// The race failed. [`ConnectError::addresses`] has what became of each address.
    Race(Failure, Report),
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// It is below `invalid` (RFC 6761 section 6.4) or `onion` (RFC 7686), and is not asked for.
    Nowhere,
    /// What the runtime says.
    Lookup(LookupError),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Nowhere => QueryError::NoSuchName.fmt(f),
            ResolveError::Lookup(error) => error.fmt(f),
        }
    }
}

impl ConnectError {
    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.kind
    }

    /// What it comes down to, where a race was run.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match &self.kind {
            ConnectErrorKind::Race(failure, _) => Some(*failure),
            _ => None,
        }
    }

    /// Whether the program canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.failure() == Some(Failure::Canceled)
    }

    /// What the race did, if there was one.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline<'_>> {
        match &self.kind {
            ConnectErrorKind::Race(_, report) => Some(report.timeline()),
            _ => None,
        }
    }

    /// One line for each address: what became of it.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let destinations = self.timeline().into_iter().flat_map(|timeline| timeline.destinations());
        destinations.map(|destination| {
            let address = destination.address();
            match destination.error() {
                Some(error) => alloc::format!("{address}: {}", describe(error)),
                None if destination.was_started() => alloc::format!("{address}: no answer"),
                None => alloc::format!("{address}: not tried"),
            }
        })
    }

    /// Why every address has failed: those that tell most first, and how many more there are.
    fn write_reasons(&self, f: &mut fmt::Formatter<'_>, timeline: &Timeline<'_>) -> fmt::Result {
        let ConnectError { host, port, .. } = self;
        let all = timeline.destinations();
        let is = |ip| matches!(Host::parse(host), Ok(Host::Address(literal)) if literal.ip == ip);
        match (all.len(), all.clone().next()) {
            // The line names it.
            (1, Some(only)) if is(only.address().ip()) => f.write_str("could not connect to ")?,
            _ => write!(f, "could not connect to {host} port {port}: ")?,
        }
        let failed = all.clone().filter_map(|it| it.error().map(|error| (it.address(), error)));
        let mut failed: Vec<_> = failed.collect();
        failed.sort_by_key(|(_, error)| error.precedence());
        let shown = if failed.len() > MOST_LINES { MOST_LINES - 1 } else { failed.len() };
        for (index, (address, error)) in failed.iter().take(shown).enumerate() {
            let apart = if index == 0 { "" } else { "; " };
            write!(f, "{apart}{address}: {}", describe(*error))?;
        }
        match all.len().saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// How many addresses go into the line of `{}`.
const MOST_LINES: usize = 4;

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, port, kind } = self;
        match kind {
            ConnectErrorKind::InvalidHost(error) => {
                write!(f, "{host:?} is not a host name or address: {error}")
            }
            ConnectErrorKind::NamedZone => {
                write!(f, "{host:?}: WASI knows zones by number: write one as in fe80::1%2")
            }
            ConnectErrorKind::Resolve(ResolveError::Nowhere) if is_onion(host) => {
                write!(f, "could not resolve {host}: onion names are Tor's and not in DNS (RFC 7686)")
            }
            ConnectErrorKind::Resolve(error) => write!(f, "could not resolve {host}: {error}"),
            ConnectErrorKind::Race(Failure::DeadlineExceeded, report)
                if report.timeline().destinations().len() == 0 =>
            {
                write!(f, "could not resolve {host} in the time allowed")
            }
            ConnectErrorKind::Race(Failure::AllAttemptsFailed, report) => {
                self.write_reasons(f, &report.timeline())
            }
            ConnectErrorKind::Race(failure, _) => {
                write!(f, "could not connect to {host} port {port}: {failure}")
            }
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.addresses().collect();
        match (&self.kind, lines.len()) {
            (_, 0) | (ConnectErrorKind::Race(Failure::AllAttemptsFailed, _), 1) => write!(f, "{self}"),
            (ConnectErrorKind::Race(failure, _), _) => {
                let ConnectError { host, port, .. } = self;
                write!(f, "could not connect to {host} port {port}: {failure} ({})", lines.join("; "))
            }
            _ => write!(f, "{self} ({})", lines.join("; ")),
        }
    }
}

impl core::error::Error for ConnectError {}

#[cfg(feature = "std")]
impl From<ConnectError> for std::io::Error {
    fn from(error: ConnectError) -> Self {
        use connie_core::AttemptError;
        let kind = match error.failure() {
            Some(Failure::DeadlineExceeded) => std::io::ErrorKind::TimedOut,
            Some(Failure::Canceled) => std::io::ErrorKind::ConnectionAborted,
            Some(_) => match error.timeline().and_then(|timeline| timeline.most_telling()) {
                Some((_, AttemptError::Refused)) => std::io::ErrorKind::ConnectionRefused,
                Some((_, AttemptError::TimedOut)) => std::io::ErrorKind::TimedOut,
                Some((_, AttemptError::Unreachable)) => std::io::ErrorKind::NetworkUnreachable,
                Some((_, AttemptError::Reset)) => std::io::ErrorKind::ConnectionReset,
                _ => std::io::ErrorKind::Other,
            },
            None => std::io::ErrorKind::Other,
        };
        // From which `get_ref` and `downcast_ref` lead back to it.
        std::io::Error::new(kind, error)
    }
}
