//! Reports for serde (feature `serde`). The fields are documented at [`Report`], and keep their names.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::race::Destination;
use connie_core::timeline::Attempt;
use connie_core::{AttemptError, Failure};
use serde::{Serialize, Serializer};

use crate::observer::Observed;
use crate::report::{FailedQuery, Report};

#[derive(Serialize)]
struct Race<'a> {
    outcome: Option<&'static str>,
    failure: Option<&'static str>,
    winner: Option<SocketAddr>,
    elapsed_us: Option<u64>,
    resolved_us: Option<u64>,
    max_in_flight: usize,
    attempts_started: u32,
    omitted_attempts: u32,
    omitted_destinations: usize,
    attempts: Vec<OneAttempt>,
    destinations: Vec<OneDestination<'a>>,
    failed_queries: Vec<OneQuery<'a>>,
}

#[derive(Serialize)]
struct OneAttempt {
    destination: SocketAddr,
    family: &'static str,
    started_us: u64,
    ended_us: Option<u64>,
    outcome: Option<&'static str>,
    error_number: Option<i32>,
    hedge: bool,
}

#[derive(Serialize)]
struct OneDestination<'a> {
    address: SocketAddr,
    family: &'static str,
    error: Option<&'static str>,
    error_number: Option<i32>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct OneQuery<'a> {
    host: &'a str,
    record_type: &'static str,
    error: String,
}

#[derive(Serialize)]
struct Told<'a> {
    host: &'a str,
    port: u16,
    outcome: &'static str,
    winner: Option<SocketAddr>,
    elapsed_us: u64,
    error: Option<String>,
    report: Option<&'a Report>,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timeline = self.timeline();
        let summary = timeline.summary();
        let outcome = if summary.failure.is_some() { "failed" } else { "connected" };
        Race {
            outcome: summary.ended.map(|_| outcome),
            failure: summary.failure.map(failure),
            winner: timeline.winner().map(|attempt| attempt.destination),
            elapsed_us: summary.ended.map(micros),
            resolved_us: summary.resolved.map(micros),
            max_in_flight: summary.max_in_flight,
            attempts_started: summary.attempts,
            omitted_attempts: summary.omitted_attempts,
            omitted_destinations: summary.omitted_destinations,
            attempts: timeline.attempts().map(OneAttempt::from).collect(),
            destinations: timeline.destinations().map(|it| OneDestination::new(self, it)).collect(),
            failed_queries: self.failed_queries().iter().map(OneQuery::from).collect(),
        }
        .serialize(serializer)
    }
}

impl Serialize for Observed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Told {
            host: self.host(),
            port: self.port(),
            outcome: self.outcome().name(),
            winner: self.winner(),
            elapsed_us: micros(self.elapsed()),
            error: self.error().map(ToString::to_string),
            report: self.report(),
        }
        .serialize(serializer)
    }
}

impl From<Attempt> for OneAttempt {
    fn from(attempt: Attempt) -> Self {
        OneAttempt {
            destination: attempt.destination,
            family: attempt.family.name(),
            started_us: micros(attempt.started),
            ended_us: attempt.ended.map(micros),
            outcome: attempt.outcome.map(|outcome| outcome.name()),
            error_number: attempt.number,
            hedge: attempt.hedge,
        }
    }
}

impl<'a> OneDestination<'a> {
    fn new(report: &'a Report, destination: &Destination) -> Self {
        let address = destination.address();
        let error = destination.error();
        OneDestination {
            address,
            family: destination.family().name(),
            error: error.map(AttemptError::name),
            error_number: error.and_then(AttemptError::number),
            note: report.note(address),
        }
    }
}

impl<'a> From<&'a FailedQuery> for OneQuery<'a> {
    fn from(failed: &'a FailedQuery) -> Self {
        let record_type = failed.query.record_type();
        OneQuery { host: failed.query.name(&failed.host), record_type, error: failed.error.to_string() }
    }
}

fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::NoDestinations => "no_destinations",
        Failure::AllAttemptsFailed => "all_attempts_failed",
        Failure::DeadlineExceeded => "deadline_exceeded",
        Failure::Canceled => "canceled",
        Failure::StackGone => "stack_gone",
        _ => "other",
    }
}

/// `duration` in microseconds.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
