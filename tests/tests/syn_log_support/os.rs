//! The operating system's sockets, by `connie-std`, with name servers that it asks itself.

use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_std::{ConnectError, ConnectErrorKind, Options, Report, connect};
use connie_tests::names_table::PORT;

use super::stage::{SERVER, Stage};
use super::{Ended, lost};

/// `connect`, which blocks.
pub fn blocking(stage: &Stage<'_>) -> Ended {
    match connect((stage.host.as_str(), PORT), &options(stage)) {
        Ok(winner) => {
            assert_eq!(winner.peer_addr().expect("a peer").ip(), winner.destination().ip());
            Ended::Won(winner.destination().ip())
        }
        Err(error) => Ended::Lost(words(&error)),
    }
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
