//! `connect`: from a host and a port to the connection that won.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::net::SocketAddr;
use core::slice;

use connie_core::connect::{Facts, InvalidHost, Routes};
use connie_core::memory::Verdict;
use connie_core::resolution::{Query, split_port};
use connie_core::{Connection, Failure, Families, Family, Poller, TurnResult};

use crate::connect_error::{ConnectError, ConnectErrorKind, ResolveError};
use crate::host_lookup::HostLookup;
use crate::memory::MemoryVisit;
use crate::options::{Options, Resolver};
use crate::report::{Report, WasiConnectDriver};
use crate::route::routes;
use crate::socket::{WasiSocket, WasiStack};
use crate::stream::{Connected, TcpStream};
use crate::target::Target;
use crate::wait::WasiPoller;

/// Connects to the address of `target` that answers first. Blocks until there is a winner, until every
/// address has failed, or until the deadline; afterwards no socket is open but the winner's.
///
/// `target` is a host's name or a literal address with a port, as a pair or as one text (`example.org:80`),
/// or addresses: see [`Target`]. A name is looked up while the race runs: its first address is tried as soon
/// as the runtime gives it. On a host of IPv6 alone IPv4 addresses are reached through the network's NAT64
/// (RFC 8305 section 7). Without other [`Options`] all of it may take 30 seconds.
///
/// ```no_run
/// use connie_wasi::{Options, connect};
/// use std::io::{Read, Write};
///
/// let mut stream = connect(("example.org", 80), &Options::new())?;
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
pub fn connect<'a>(target: impl Into<Target<'a>>, options: &Options) -> Result<Connected, ConnectError> {
    let (mut stack, mut poller) = (WasiStack::default(), WasiPoller::new());
    let ConnectedSocket { socket, destination, report, visited } =
        connect_socket(target, options, &mut stack, &mut poller)?;
    Ok(Connected::new(TcpStream::new(socket, poller), destination, report, visited))
}

/// As [`connect`], with a stack and a poller of the caller's, such as one that
/// [can be canceled](WasiPoller::cancel_when). The winner stays a socket of `stack`.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_socket<'a>(
    target: impl Into<Target<'a>>,
    options: &Options,
    stack: &mut WasiStack,
    poller: &mut WasiPoller,
) -> Result<ConnectedSocket, ConnectError> {
    let target = target.into();
    race(stack, poller, target, options).map_err(|kind| {
        let (host, port) = target.name();
        ConnectError::new(host, port, kind, &options.resolver)
    })
}

/// What a [`connect_socket`] returns.
#[derive(Debug)]
pub struct ConnectedSocket {
    /// The connection.
    pub socket: WasiSocket,
    /// Where it leads.
    pub destination: SocketAddr,
    /// What the race did.
    pub report: Report,
    /// What it was to its memory.
    pub(crate) visited: Option<MemoryVisit>,
}

impl ConnectedSocket {
    /// Reports to the [memory](Options::memory) of the race, where it had one, what came of the connection: a
    /// server that completes the handshake and then fails is tried after others for some time, for this host
    /// alone.
    pub fn report_to_memory(&self, verdict: Verdict) {
        if let Some(visited) = &self.visited {
            visited.report(self.destination, verdict);
        }
    }
}

fn race(
    stack: &mut WasiStack,
    poller: &mut WasiPoller,
    target: Target<'_>,
    options: &Options,
) -> Result<ConnectedSocket, ConnectErrorKind> {
    let Options { resolver, memory, .. } = options;
    let (mut driver, host, port) = begin(stack, poller, &target, options)?;
    let mut visited = memory.as_ref().map(|memory| MemoryVisit::new(memory, stack, &key(target)));
    let families = options.config().families;
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
            TurnResult::SendQuery(Query::Nat64Prefix) => {
                let name = Query::Nat64Prefix.name(host);
                let only = Families::Only(Family::V6);
                poller.prefix = Some(HostLookup::start(resolver, stack, name, port, only));
            }
            // One lookup asks for both families.
            TurnResult::SendQuery(_) if poller.lookup.is_some() => {}
            TurnResult::SendQuery(_) => {
                poller.lookup = Some(HostLookup::start(resolver, stack, host, port, families));
            }
            TurnResult::Waited => {}
            TurnResult::Connected(connection) => break Ok(connection),
            TurnResult::Failed(failure) => break Err(failure),
        }
    };
    // Lookups that are still under way are abandoned.
    let was_asked = poller.lookup.take().is_some();
    poller.prefix = None;
    if let Some(visited) = &visited {
        visited.learn(&driver);
    }
    match (result, failed) {
        (Ok(Connection { socket, destination }), _) => {
            Ok(ConnectedSocket { socket, destination, report: Report(driver), visited })
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

/// A driver that knows what there is to know of `target` before any lookup, and the host and the port to look
/// up.
fn begin<'t>(
    stack: &mut WasiStack,
    poller: &mut WasiPoller,
    target: &Target<'t>,
    options: &Options,
) -> Result<(Box<WasiConnectDriver>, &'t str, u16), ConnectErrorKind> {
    let (host, port, hosts) = match target {
        Target::Host(host, port) => (*host, *port, None),
        Target::Text(text) => {
            let (host, port) = split_port(text).ok_or(ConnectErrorKind::InvalidTarget)?;
            (host, port, None)
        }
        Target::Address(address) => ("", 0, Some(slice::from_ref(address))),
        Target::Addresses(addresses) => ("", 0, Some(*addresses)),
    };
    // Which they are costs some sockets to find out.
    let routes = match hosts {
        None if Routes::matter(host) => routes(stack.network()),
        _ => Routes::default(),
    };
    let facts = Facts::default().routes(routes).hosts(hosts);
    let config = options.config();
    let driver =
        WasiConnectDriver::new(host, port, &config, &facts, poller.now()).map_err(|error| match error {
            InvalidHost::Host(error) => ConnectErrorKind::InvalidHost(error),
            // Zones, of which WASI knows no names. Whatever else there may be one day is about the text, too.
            _ => ConnectErrorKind::NamedZone,
        })?;
    Ok((Box::new(driver), host, port))
}

/// What the memory knows a target by. Lists go in whatever order they come.
fn key(target: Target<'_>) -> String {
    match target {
        Target::Addresses(list) => list.iter().min().map(ToString::to_string).unwrap_or_default(),
        target => target.name().0,
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
