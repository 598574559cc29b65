//! Each race as events of `tracing` (feature `tracing`).

use connie_core::timeline::Attempt;
use tracing::{Level, debug, enabled, info};

use crate::observer::Observed;

/// Whether somebody wants to know.
pub(crate) fn is_enabled() -> bool {
    enabled!(target: "connie", Level::INFO)
}

/// One event for the race, and before it one for each attempt that its report has.
pub(crate) fn record(observed: &Observed<'_>) {
    let timeline = observed.report().map(|report| report.timeline());
    if enabled!(target: "connie", Level::DEBUG) {
        let attempts = timeline.iter().flat_map(|timeline| timeline.attempts());
        attempts.for_each(|attempt| record_attempt(observed, &attempt));
    }
    info!(
        target: "connie",
        host = observed.host(),
        port = observed.port(),
        outcome = observed.outcome().name(),
        winner = observed.winner().map(tracing::field::display),
        attempts = timeline.map_or(0, |timeline| timeline.summary().attempts),
        elapsed_us = micros(observed.elapsed()),
        error = observed.error().map(tracing::field::display),
        "race",
    );
}

fn record_attempt(observed: &Observed<'_>, attempt: &Attempt) {
    debug!(
        target: "connie",
        host = observed.host(),
        port = observed.port(),
        destination = %attempt.destination,
        started_us = micros(attempt.started),
        ended_us = attempt.ended.map(micros),
        outcome = attempt.outcome.map(|outcome| outcome.name()),
        error_number = attempt.number,
        hedge = attempt.hedge,
        "attempt",
    );
}

/// `duration` in microseconds, as `tracing` takes numbers.
fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
