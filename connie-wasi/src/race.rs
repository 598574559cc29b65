//! `connect`: from a host and a port to the connection that won.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::net::SocketAddr;
use core::task::Poll;

use connie_core::resolution::{Host, LOOPBACK, Query, Resolution};
use connie_core::{Config, Connection, Failure, Family, Input, Waiter};

use crate::connect::{ConnectError, ConnectErrorKind, ResolveError};
use crate::lookup::{LookupEvent, NameLookup};
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
