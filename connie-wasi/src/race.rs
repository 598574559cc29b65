//! `connect`: from a host and a port to the connection that won.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::net::SocketAddr;

use connie_core::connect::{Facts, InvalidHost, Routes};
use connie_core::memory::Verdict;
use connie_core::resolution::Query;
use connie_core::{Connection, Failure, Families, Family, Poller, Turn};

use crate::connect::{ConnectError, ConnectErrorKind, ResolveError};
use crate::host_lookup::HostLookup;
use crate::memory::MemoryVisit;
use crate::options::{Options, Resolver};
use crate::report::{Report, WasiConnectDriver};
use crate::route::routes;
use crate::socket::{WasiSocket, WasiStack};
use crate::stream::{Connected, TcpStream};
use crate::wait::WasiPoller;

/// Connects to the address of `host` that answers first. Blocks until there is a winner, until every address has failed, or until the
/// deadline of `config`; afterwards no socket is open but the winner's.
///
/// `host` is a name or a literal address. A name is looked up while the race runs: its first address is tried
/// as soon as the runtime tells it. On a host of IPv6 alone IPv4 addresses are reached through the network's
/// NAT64 (RFC 8305 section 7). `options` are a [`Config`](connie_core::Config), the race, and who is asked for names ([`Options`]).
/// Without a deadline a host of which every address stays silent takes as long as the runtime's own time-out,
/// some two minutes.
///
/// ```no_run
/// use connie_wasi::{connect, core::Config};
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// let config = Config { deadline: Some(Duration::from_secs(10)), max_in_flight: 16, ..Config::all_at_once() };
/// let mut stream = connect("example.org", 80, config)?;
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
pub fn connect(host: &str, port: u16, options: impl Into<Options>) -> Result<Connected, ConnectError> {
    let (mut stack, mut poller) = (WasiStack::default(), WasiPoller::new());
    let Won { socket, destination, report, visited } =
        connect_with(&mut stack, &mut poller, host, port, options)?;
    Ok(Connected::new(TcpStream::new(socket, poller), destination, report, visited))
}

/// As [`connect`], with a stack and a poller of the caller's: one that [can be canceled](WasiPoller::cancel_when), say. The winner stays a
/// socket of `stack`.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_with(
    stack: &mut WasiStack,
    poller: &mut WasiPoller,
    host: &str,
    port: u16,
    options: impl Into<Options>,
) -> Result<Won, ConnectError> {
    let options = options.into();
    race(stack, poller, host, port, &options)
        .map_err(|kind| ConnectError::new(host.to_string(), port, kind, &options.resolver))
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
    /// What it was to its memory.
    pub(crate) visited: Option<MemoryVisit>,
}

impl Won {
    /// Tells the [memory](Options::memory) of the race, where it had one, what came of the connection: a server that completes the handshake and
    /// then fails is tried after others for some time, for this host alone.
    pub fn tell_memory(&self, verdict: Verdict) {
        if let Some(visited) = &self.visited {
            visited.report(self.destination, verdict);
        }
    }
}

fn race(
    stack: &mut WasiStack,
    poller: &mut WasiPoller,
    host: &str,
    port: u16,
    options: &Options,
) -> Result<Won, ConnectErrorKind> {
    let Options { race: config, resolver, memory } = options;
    // Which they are costs some sockets to find out.
    let routes = if Routes::matter(host) { routes(stack.network()) } else { Routes::default() };
    let facts = Facts { routes, ..Facts::default() };
    let racer =
        WasiConnectDriver::new(host, port, config, &facts, poller.now()).map_err(|error| match error {
            InvalidHost::Host(error) => ConnectErrorKind::InvalidHost(error),
            // Zones, of which WASI knows no names. Whatever else there may be one day is about the text, too.
            _ => ConnectErrorKind::NamedZone,
        })?;
    let mut driver = Box::new(racer);
    let mut visited = memory.as_ref().map(|memory| MemoryVisit::new(memory, stack, host));
    let mut failed = None;
    let result = loop {
        let now = poller.now();
        if let Some(lookup) = &mut poller.lookup {
            failed = lookup.handle_events(stack, &mut driver, now).or(failed);
        }
        if let Some(lookup) = &mut poller.prefix {
            lookup.handle_prefix(&mut driver, now);
        }
        if let Some(visited) = &mut visited {
            visited.plan(&mut driver);
        }
        match driver.turn(stack, poller) {
            Turn::SendQuery(Query::Nat64Prefix) => {
                let name = Query::Nat64Prefix.name(host);
                let only = Families::Only(Family::V6);
                poller.prefix = Some(HostLookup::start(resolver, stack, name, port, only));
            }
            // One look-up asks for both families.
            Turn::SendQuery(_) if poller.lookup.is_some() => {}
            Turn::SendQuery(_) => {
                poller.lookup = Some(HostLookup::start(resolver, stack, host, port, config.families));
            }
            Turn::Waited => {}
            Turn::Connected(connection) => break Ok(connection),
            Turn::Failed(failure) => break Err(failure),
        }
    };
    // Look-ups that are still under way are abandoned.
    let was_asked = poller.lookup.take().is_some();
    poller.prefix = None;
    if let Some(visited) = &visited {
        visited.learn(&driver);
    }
    match (result, failed) {
        (Ok(Connection { socket, destination }), _) => {
            Ok(Won { socket, destination, report: Report(driver), visited })
        }
        (Err(Failure::NoDestinations), Some(error)) => {
            Err(ConnectErrorKind::Resolve(ResolveError::Lookup(error)))
        }
        (Err(Failure::NoDestinations), None) if driver.connect().failures(host).next().is_some() => {
            Err(ConnectErrorKind::Resolve(unresolved(was_asked, resolver, &driver, host)))
        }
        (Err(failure), _) => Err(ConnectErrorKind::Race(failure, Report(driver))),
    }
}

/// Why a name has no addresses, where the runtime has not said it.
#[cfg_attr(not(feature = "dns"), expect(unused_variables))]
fn unresolved(was_asked: bool, resolver: &Resolver, driver: &WasiConnectDriver, host: &str) -> ResolveError {
    match resolver {
        #[cfg(feature = "dns")]
        Resolver::Dns(dns) if was_asked => ResolveError::Dns(dns.error(driver.connect().failures(host))),
        _ => ResolveError::Nowhere,
    }
}
