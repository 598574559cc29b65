//! `connie-async` over embedded-nal-async, whose stack is the operating system's. It has no DNS of its own:
//! the table answers.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_io::Timer;
use connie_async::{
    AddressList, Clock, Connection, ConnectionError, Lookup, Options, RaceConnect, ResolveError,
};
use connie_core::resolution::nat64::WELL_KNOWN_NAME;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Family, Instant};
use connie_tests::clock::now;
use connie_tests::lab::ms;
use connie_tests::names_table::{Name, PORT, Reply};
use embassy_futures::select::{Either, select};
use embedded_io_async::{Error as _, ErrorKind};
use embedded_nal_async::{AddrType, Dns as _, TcpConnect};
use std_embedded_nal_async::Stack;

use super::Ended;
use super::stage::{Stage as Names, ip};

/// No name takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// In one call, `connect`.
pub fn one_call(stage: &Names<'_>) -> Ended {
    let net = net(stage);
    run(async { ended(net.connect((stage.host.as_str(), PORT), &net.options()).await) })
}

/// In two, by the traits alone: `get_host_by_name`, and `connect` to the address that it answers.
pub fn two_calls(stage: &Names<'_>) -> Ended {
    let net = net(stage);
    run(async {
        match net.get_host_by_name(&stage.host, AddrType::Either).await {
            Ok(address) => ended(TcpConnect::connect(&net, SocketAddr::new(address, PORT)).await),
            Err(error) => Ended::Lost(not_resolved(&error).to_owned()),
        }
    })
}

/// Why it does something else with a name.
pub fn reason(name: &Name) -> Option<&'static str> {
    (name.label == "no-ipv4").then_some("tells the one error that says most")
}

type Net<'s> = RaceConnect<Stack, Table<'s>, SystemClock, 8, 8, 1>;

fn net<'s>(stage: &'s Names<'s>) -> Net<'s> {
    let clock = SystemClock(now());
    RaceConnect::with_capacities(Stack::default(), Table(stage), clock, Options::new().race(stage.config()))
}

fn run(connects: impl Future<Output = Ended>) -> Ended {
    match async_io::block_on(select(connects, Timer::after(LIMIT))) {
        Either::First(ended) => ended,
        Either::Second(_) => Ended::Lost("waits for ever".to_owned()),
    }
}

fn ended<N>(result: Result<Connection<N>, ConnectionError<std::io::Error>>) -> Ended {
    match result {
        Ok(winner) => Ended::Won(winner.destination().ip()),
        Err(error) => Ended::Lost(words(&error)),
    }
}

/// Where every address has failed it tells the one reason that says most.
fn words(error: &ConnectionError<std::io::Error>) -> String {
    match error {
        ConnectionError::NoAddress => "no address".to_owned(),
        ConnectionError::NotResolved(QueryError::NoSuchName) => "no such name".to_owned(),
        ConnectionError::NotResolved(_) => "look-up failed".to_owned(),
        ConnectionError::DeadlineExceeded => "timed out".to_owned(),
        ConnectionError::InvalidHost(_) => "no host".to_owned(),
        error => match error.kind() {
            ErrorKind::ConnectionRefused => "refused".to_owned(),
            ErrorKind::NotConnected | ErrorKind::AddrNotAvailable => "unreachable".to_owned(),
            other => format!("{other:?}"),
        },
    }
}

fn not_resolved<E>(error: &ResolveError<E>) -> &'static str {
    match error {
        ResolveError::NoAddress => "no address",
        ResolveError::NoSuchName => "no such name",
        ResolveError::DeadlineExceeded => "look-up timed out",
        ResolveError::InvalidHost(_) => "no host",
        _ => "look-up failed",
    }
}

/// The name's answers, when they are due.
struct Table<'s>(&'s Names<'s>);

impl Lookup for Table<'_> {
    type Error = QueryError;

    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), QueryError> {
        let name = self.0.name;
        let (query, reply) = match family {
            Family::V6 if host == WELL_KNOWN_NAME => (Query::Nat64Prefix, name.prefix),
            Family::V6 => (Query::Aaaa, name.aaaa),
            Family::V4 => (Query::A, name.a),
        };
        self.0.note(query);
        match reply {
            Reply::Has(after, addresses) => {
                if after > 0 {
                    Timer::after(ms(after)).await;
                }
                addresses.iter().for_each(|address| answers.push(ip(address)));
                Ok(())
            }
            Reply::Empty => Ok(()),
            Reply::NoSuchName => Err(QueryError::NoSuchName),
            Reply::Fails => Err(QueryError::ServerFailure),
            Reply::Never => pending().await,
        }
    }

    fn query_error(&self, error: &QueryError) -> QueryError {
        *error
    }

    /// What a stack says that knows its addresses.
    fn route(&self, address: IpAddr) -> Route {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let lacks = self.0.name.lacks == Some(family) && !address.is_loopback();
        if lacks { Route::Unreachable } else { Route::Unknown }
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, QueryError> {
        Err(QueryError::Failed)
    }
}

/// async-io's timers.
struct SystemClock(std::time::Instant);

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    async fn wait_until(&self, at: Instant) {
        Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
    }
}
