//! `connect`: from a host and a port to the connection that won.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::net::SocketAddr;

use connie_core::connect::{Facts, Input, InvalidHost, Order, Routes};
use connie_core::resolution::Query;
use connie_core::resolution::selection::Route;
use connie_core::{Config, Connection, Failure, Families, Family, Instant, Turn, Waiter};

use crate::connect::{ConnectError, ConnectErrorKind, ResolveError};
use crate::lookup::{LookupError, LookupEvent, NameLookup};
use crate::report::{Racer, Report};
use crate::route::routes;
use crate::socket::{WasiSocket, WasiStack};
use crate::stream::{Connected, TcpStream};
use crate::wait::WasiWaiter;

/// Connects to the address of `host` that answers first. Blocks until there is a winner, until every address has failed, or until the
/// deadline of `config`; afterwards no socket is open but the winner's.
///
/// `host` is a name or a literal address. A name is looked up while the race runs: its first address is tried
/// as soon as the runtime tells it. On a host of IPv6 alone IPv4 addresses are reached through the network's
/// NAT64 (RFC 8305 section 7). `config` is the race: [`Config::all_at_once`] with a deadline, as a rule.
/// Without a deadline a host of which every address stays silent takes as long as the runtime's own time-out,
/// some two minutes.
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
    race(stack, waiter, host, port, config).map_err(|kind| ConnectError::new(host.to_string(), port, kind))
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
    // Which they are costs some sockets to find out.
    let routes = if Routes::matter(host) { routes(stack.network()) } else { Routes::default() };
    let facts = Facts { routes, ..Facts::default() };
    let racer = Racer::new(host, port, config, &facts, waiter.now()).map_err(|error| match error {
        InvalidHost::Host(error) => ConnectErrorKind::InvalidHost(error),
        // Zones, of which WASI knows no names. Whatever else there may be one day is about the text, too.
        _ => ConnectErrorKind::NamedZone,
    })?;
    let mut connector = Box::new(racer);
    let mut failed = None;
    let result = loop {
        let now = waiter.now();
        if let Some(lookup) = &mut waiter.lookup {
            failed = hear(lookup, &mut connector, now).or(failed);
        }
        if let Some(lookup) = &mut waiter.prefix {
            hear_prefix(lookup, &mut connector, now);
        }
        match connector.turn(stack, waiter) {
            Turn::SendQuery(Query::Nat64Prefix) => {
                let name = Query::Nat64Prefix.name(host);
                let only = Families::Only(Family::V6);
                waiter.prefix = Some(NameLookup::start(stack.network(), name, port, only));
            }
            // One question asks for both families.
            Turn::SendQuery(_) if waiter.lookup.is_some() => {}
            Turn::SendQuery(_) => {
                waiter.lookup = Some(NameLookup::start(stack.network(), host, port, config.families));
            }
            Turn::Waited => {}
            Turn::Connected(connection) => break Ok(connection),
            Turn::Failed(failure) => break Err(failure),
        }
    };
    // Look-ups that are still under way are abandoned.
    (waiter.lookup, waiter.prefix) = (None, None);
    match (result, failed) {
        (Ok(Connection { socket, destination }), _) => {
            Ok(Won { socket, destination, report: Report(connector) })
        }
        (Err(Failure::NoDestinations), Some(error)) => {
            Err(ConnectErrorKind::Resolve(ResolveError::Lookup(error)))
        }
        // Nobody was asked.
        (Err(Failure::NoDestinations), None) if connector.connect().failures(host).next().is_some() => {
            Err(ConnectErrorKind::Resolve(ResolveError::Nowhere))
        }
        (Err(failure), _) => Err(ConnectErrorKind::Race(failure, Report(connector))),
    }
}

/// Tells the race what has come of its name. Answers why there is no answer.
fn hear(lookup: &mut NameLookup, connector: &mut Racer, now: Instant) -> Option<LookupError> {
    let mut failed = None;
    while let Some(event) = lookup.poll() {
        // The runtime's list is in the host's own order, which knows more of the host than a component does. So nothing is sorted here; and
        // that the family of its first address is the better one, the first of the other has to say for itself: by no way leads to it.
        let first = lookup.best_family();
        let order = |family| match first {
            Some(first) if first != family => Order::Best(Route::Unreachable),
            _ => Order::Best(Route::Unknown),
        };
        let input = match &event {
            LookupEvent::Hinted(family, addresses) => {
                Input::Hinted { family: *family, addresses, order: order(*family) }
            }
            LookupEvent::Answered(family, addresses) => {
                Input::Answered { query: Query::of(*family), addresses, order: order(*family) }
            }
            LookupEvent::Failed(family, error) => {
                failed = Some(*error);
                Input::QueryFailed { query: Query::of(*family), error: error.query_error() }
            }
        };
        connector.handle_input(input, now);
    }
    failed
}

/// The same of the prefix of the network's NAT64. Without one there is nothing to tell but that.
fn hear_prefix(lookup: &mut NameLookup, connector: &mut Racer, now: Instant) {
    let query = Query::Nat64Prefix;
    while let Some(event) = lookup.poll() {
        let input = match &event {
            LookupEvent::Hinted(..) => continue,
            LookupEvent::Answered(_, addresses) => {
                Input::Answered { query, addresses, order: Order::Best(Route::Unknown) }
            }
            LookupEvent::Failed(_, error) => Input::QueryFailed { query, error: error.query_error() },
        };
        connector.handle_input(input, now);
    }
}
