//! One trial: one client connects once, and fetches the page where that is measured too.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use connie_core::{AttemptOutcome, Config, Failure, Families, Instant, Timeline};
use connie_sim::Rng;
use connie_std::http1::{AnyConnection, AnySocket, connect_plain_socket};
use connie_std::{ConnectError, ConnectErrorKind, Memory, Options, OsClock, OsSocket, Target};
use connie_web::Scheme;

use crate::args::{Contender, Mode};
use crate::error::reason;

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Trial {
    pub site: usize,
    pub round: u32,
    /// The number of the visit in its round; 0 is the first.
    pub visit: u32,
    pub contender: Contender,
    /// How long it took to succeed or to fail.
    pub elapsed: Duration,
    /// How many sockets were opened in all.
    pub sockets: u32,
    /// Where attempts were given up that had neither failed nor won.
    pub given_up: Vec<SocketAddr>,
    /// How many handshakes servers did for nothing.
    pub wasted: u32,
    /// Where it was connected to in the end, as text; or what went wrong.
    pub result: Result<String, String>,
}

impl Trial {
    /// One that nothing has come of yet.
    pub fn of(contender: Contender) -> Self {
        Trial {
            site: 0,
            round: 0,
            visit: 0,
            contender,
            elapsed: Duration::ZERO,
            sockets: 0,
            given_up: Vec::new(),
            wasted: 0,
            result: Err(String::new()),
        }
    }

    /// What the trial counts for, in microseconds. A failure counts as the whole time that was allowed:
    /// whoever waits has nothing by then, and a failure that came soon must not pass for a success that did.
    pub fn counted(&self, limit: Duration) -> u64 {
        let counted = if self.result.is_ok() { self.elapsed } else { limit };
        u64::try_from(counted.as_micros()).unwrap_or(u64::MAX)
    }
}

/// A site of the real internet.
#[derive(Clone, Debug)]
pub struct Site {
    pub scheme: Scheme,
    pub host: String,
    pub port: u16,
    pub target: String,
    /// Its addresses in the resolver's order; `None` where each trial looks them up.
    pub addresses: Option<Vec<SocketAddr>>,
}

/// How trials are run.
#[derive(Clone, Debug)]
pub struct TrialOptions {
    pub mode: Mode,
    pub limit: Duration,
    pub max_in_flight: usize,
    /// Overrides and families; its race is replaced by that of each contender.
    pub options: Options,
    /// For https pages.
    #[cfg(feature = "tls")]
    pub tls: Option<connie_std::TlsConnector>,
}

/// Where a trial has come to.
struct Arrived {
    socket: OsSocket,
    destination: SocketAddr,
    opened: OpenedConnection,
}

/// A trial that failed, and what it had opened by then.
struct TrialError {
    reason: String,
    opened: OpenedConnection,
}

/// What a trial has opened.
#[derive(Default)]
struct OpenedConnection {
    sockets: u32,
    given_up: Vec<SocketAddr>,
}

impl OpenedConnection {
    fn of(timeline: Timeline<'_>) -> Self {
        let given_up = timeline
            .attempts()
            .filter(|it| matches!(it.outcome, Some(AttemptOutcome::Canceled | AttemptOutcome::Evicted)));
        OpenedConnection {
            sockets: timeline.summary().attempts,
            given_up: given_up.map(|attempt| attempt.destination).collect(),
        }
    }
}

impl TrialError {
    fn new(reason: impl Into<String>) -> Self {
        TrialError { reason: reason.into(), opened: OpenedConnection::default() }
    }
}

/// Runs one trial, of connie with this memory; `site`, `round` and `visit` are left for the caller to fill
/// in.
pub fn run(
    contender: Contender,
    site: &Site,
    rules: &TrialOptions,
    memory: Option<&Memory>,
    rng: &mut Rng,
) -> Trial {
    let clock = OsClock::start();
    let arrived = match contender.race(rules.max_in_flight) {
        Some(config) if contender != Contender::Plain => {
            race(site, rules, config, memory.filter(|_| contender == Contender::Connie))
        }
        _ => one_after_the_other(contender, site, rules, &clock, rng),
    };
    let (opened, result) = match arrived {
        Err(failed) => (failed.opened, Err(failed.reason)),
        Ok(Arrived { socket, destination, opened }) => {
            let result = match rules.mode {
                Mode::Connect => Ok(()),
                Mode::Get => {
                    let left = rules.limit.saturating_sub(clock.now().duration_since(Instant::ZERO));
                    fetch(site, socket, rules, left)
                }
            };
            (opened, result.map(|()| destination.to_string()))
        }
    };
    let elapsed = clock.now().duration_since(Instant::ZERO);
    let OpenedConnection { sockets, given_up } = opened;
    Trial { elapsed, sockets, given_up, result, ..Trial::of(contender) }
}

/// connie's race or Happy Eyeballs, through connie's own `connect`.
fn race(
    site: &Site,
    rules: &TrialOptions,
    config: Config,
    memory: Option<&Memory>,
) -> Result<Arrived, TrialError> {
    let families = rules.options.race.families;
    let race = config.clone().deadline(Some(rules.limit)).families(families);
    let options = rules.options.clone().race(race).memory(memory.cloned());
    let target = match &site.addresses {
        Some(addresses) => Target::from(addresses),
        None => Target::from((&site.host, site.port)),
    };
    match connect_plain_socket(target, &options) {
        Ok((socket, destination, report)) => {
            Ok(Arrived { socket, destination, opened: OpenedConnection::of(report.timeline()) })
        }
        Err(error) => Err(TrialError {
            opened: error.timeline().map(OpenedConnection::of).unwrap_or_default(),
            reason: first_line(&error),
        }),
    }
}

/// What a client does that does not race, over the standard library alone: each address gets the time that is
/// left, since nothing else ends the wait for a dead one.
fn one_after_the_other(
    contender: Contender,
    site: &Site,
    rules: &TrialOptions,
    clock: &OsClock,
    rng: &mut Rng,
) -> Result<Arrived, TrialError> {
    let mut addresses = match &site.addresses {
        Some(addresses) => addresses.clone(),
        None => look_up(&site.host, site.port, &rules.options)
            .map_err(|error| TrialError::new(error.to_string()))?,
    };
    if contender == Contender::Random && !addresses.is_empty() {
        addresses = vec![addresses[rng.below(addresses.len() as u64) as usize]];
    }
    let mut failed = TrialError::new("the name has no address");
    for destination in addresses {
        let left = rules.limit.saturating_sub(clock.now().duration_since(Instant::ZERO));
        if left.is_zero() {
            break;
        }
        failed.opened.sockets += 1;
        match TcpStream::connect_timeout(&destination, left).and_then(OsSocket::try_from) {
            Ok(socket) => return Ok(Arrived { socket, destination, opened: failed.opened }),
            Err(error) => failed.reason = format!("{destination}: {}", reason(&error)),
        }
    }
    Err(failed)
}

/// The addresses of a host, in the resolver's order, as far as the options want them.
pub fn look_up(host: &str, port: u16, options: &Options) -> io::Result<Vec<SocketAddr>> {
    let fits = |entry: &&connie_std::Override| {
        entry.port == port && (entry.host == "*" || entry.host.eq_ignore_ascii_case(host))
    };
    let addresses: Vec<SocketAddr> = match options.overrides.iter().rev().find(fits) {
        Some(entry) => entry.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect(),
        None => std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?.collect(),
    };
    let wanted = |address: &SocketAddr| match options.race.families {
        Families::Both => true,
        Families::Only(family) => connie_core::Family::of(address) == family,
    };
    Ok(addresses.into_iter().filter(wanted).filter(|address| options.filter.allows(address.ip())).collect())
}

/// Fetches the page and drops it, over TLS where the URL says so. What wins a race is the TCP handshake for
/// all contenders alike; TLS comes after it.
#[cfg_attr(
    not(feature = "tls"),
    expect(clippy::useless_conversion, reason = "without TLS there is one kind of socket")
)]
fn fetch(site: &Site, socket: OsSocket, rules: &TrialOptions, left: Duration) -> Result<(), String> {
    let (host, port) = (site.host.as_str(), site.port);
    let race = rules.options.race.clone().deadline(Some(left));
    let options = rules.options.clone().race(race);
    let buffer = vec![0; 64 * 1024];
    let (mut connection, socket) = match site.scheme {
        Scheme::Http => {
            let connection = AnyConnection::http(host, port, options, buffer);
            (connection.map_err(|error| error.to_string())?, socket.into())
        }
        Scheme::Https => over_tls((host, port), socket, rules, options, buffer)?,
    };
    connection.set_deadline(Some(left));
    connection.set_auto_open(false);
    connection.attach(socket);
    exchange(&mut connection, &site.target).map_err(|error| error.to_string())
}

#[cfg(feature = "tls")]
fn over_tls(
    (host, port): (&str, u16),
    socket: OsSocket,
    rules: &TrialOptions,
    options: Options,
    buffer: Vec<u8>,
) -> Result<(AnyConnection, AnySocket), String> {
    let tls = rules.tls.as_ref().ok_or("TLS was not set up")?;
    let secured = tls.secure((host, port), socket, &options);
    let (_, socket) = secured.map_err(|error| first_line(&error))?;
    let connection = AnyConnection::https(host, port, options, tls, buffer);
    Ok((connection.map_err(|error| error.to_string())?, socket.into()))
}

#[cfg(not(feature = "tls"))]
fn over_tls(
    _: (&str, u16),
    _: OsSocket,
    _: &TrialOptions,
    _: Options,
    _: Vec<u8>,
) -> Result<(AnyConnection, AnySocket), String> {
    Err("this build has no TLS".to_owned())
}

fn exchange(connection: &mut AnyConnection, target: &str) -> io::Result<()> {
    let headers = [("Connection", "close"), ("User-Agent", "connie-bench")];
    connection.request("GET", target, &headers, b"")?;
    let mut response = connection.response()?;
    let mut piece = vec![0; 64 * 1024];
    while response.read(&mut piece)? > 0 {}
    Ok(())
}

/// What went wrong, without what to do about it: a bench tries again by itself. Where every address has
/// failed, how the first did.
fn first_line(error: &ConnectError) -> String {
    let all_failed = matches!(error.kind(), ConnectErrorKind::Race(Failure::AllAttemptsFailed, _));
    let address = if all_failed { error.addresses().next() } else { None };
    address.unwrap_or_else(|| error.to_string())
}
