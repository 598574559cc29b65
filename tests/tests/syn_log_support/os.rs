//! The operating system's sockets, by `connie-std`, with name servers that it asks itself.

use std::io;
use std::net::SocketAddr;

use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_std::tokio::connect_with;
use connie_std::{ConnectError, ConnectErrorKind, Options, Report, connect};
use connie_tests::names_table::PORT;

use super::stage::{SERVER, Stage};
use super::{Ended, lost};

/// `connect`, which blocks.
pub fn blocking(stage: &Stage<'_>) -> Ended {
    match connect((stage.host.as_str(), PORT), &options(stage)) {
        Ok(winner) => won(winner.destination(), winner.peer_addr()),
        Err(error) => Ended::Lost(words(&error)),
    }
}

/// tokio's, on a runtime of this thread.
pub fn tokio(stage: &Stage<'_>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = options(stage);
    match runtime.block_on(connect_with((stage.host.as_str(), PORT), &options)) {
        Ok(winner) => won(winner.destination(), winner.peer_addr()),
        Err(error) => Ended::Lost(words(&error)),
    }
}

fn won(destination: SocketAddr, peer: io::Result<SocketAddr>) -> Ended {
    assert_eq!(peer.expect("a peer").ip(), destination.ip());
    Ended::Won(destination.ip())
}

fn options(stage: &Stage<'_>) -> Options {
    let dns = Dns { hosts_file: None, ..Dns::new([SERVER]) };
    Options { resolver: dns.into(), race: stage.config(), ..Options::default() }
}

fn words(error: &ConnectError) -> String {
    match error.kind() {
        ConnectErrorKind::Race(failure, report) => lost(*failure, &report.timeline()),
        ConnectErrorKind::Resolve(report) => not_resolved(report),
        ConnectErrorKind::InvalidHost(_) | ConnectErrorKind::InvalidTarget => "no host".to_owned(),
        ConnectErrorKind::UnknownZone(_) => "no such zone".to_owned(),
        other => format!("{other:?}"),
    }
}

/// By the first query that failed.
fn not_resolved(report: &Report) -> String {
    let first = report.failed_queries().first().map(|query| query.error.kind);
    match first {
        None => "no address",
        Some(QueryError::NoSuchName) => "no such name",
        Some(QueryError::TimedOut) => "look-up timed out",
        Some(_) => "look-up failed",
    }
    .to_owned()
}
