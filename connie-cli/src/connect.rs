//! Runs the race that the options ask for, and writes the files that report it.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connie_core::timeline::Summary;
use connie_core::{Config, Failure, Instant, Timeline};
use connie_std::http1::{AnyConnection, connect_plain_socket};
use connie_std::memory::{Explanation, WholeRaceReason};
use connie_std::{ConnectError, OsClock, OsSocket, Report};

use crate::args::ConnectArgs;
use crate::error::{Error, is_address};
use crate::output::write_file;
use crate::svg::Svg;

/// A race that is over.
pub struct FinishedRace {
    host: String,
    port: u16,
    /// How it was run.
    config: Config,
    /// Whether a resolver was asked.
    by_name: bool,
    /// Whether a file was named to remember by.
    by_file: bool,
    elapsed: Duration,
    report: Option<Report>,
}

/// Races for `host` over TCP. Answers the winner, or why there is none, beside the race.
pub fn connect(
    host: &str,
    port: u16,
    racing: &ConnectArgs,
    max_time: Option<Duration>,
) -> (FinishedRace, Result<OsSocket, Error>) {
    let clock = OsClock::start();
    let options = racing.options(max_time);
    let (report, result) = match connect_plain_socket((host, port), &options) {
        Ok((won, _, report)) => (Some(report), Ok(won)),
        Err(error) => (report_of(&error), Err(Error::connect(&error).by(racing.interface_name()))),
    };
    let elapsed = clock.now().duration_since(Instant::ZERO);
    let config = options.race.deadline(options.deadline);
    (FinishedRace::new((host, port), racing, config, report, elapsed), result)
}

fn report_of(error: &ConnectError) -> Option<Report> {
    error.report().cloned()
}

impl FinishedRace {
    /// The race of the last opening of a connection.
    pub fn of(client: &mut AnyConnection, racing: &ConnectArgs) -> Option<Self> {
        let now = client.now();
        let opening = client.opening()?;
        let elapsed = now.duration_since(opening.began);
        Some(FinishedRace::new(client.hop(), racing, opening.config.clone(), opening.report.clone(), elapsed))
    }

    fn new(
        (host, port): (&str, u16),
        racing: &ConnectArgs,
        config: Config,
        report: Option<Report>,
        elapsed: Duration,
    ) -> Self {
        let by_name = !is_address(host) && !racing.overrides(host, port);
        let by_file = racing.memory.is_some();
        FinishedRace { host: host.to_owned(), port, config, by_name, by_file, elapsed, report }
    }

    /// What it did; a name that could not be resolved makes a race that never had an address.
    pub fn timeline(&self) -> Timeline<'_> {
        let mut unresolved = Summary::default();
        unresolved.ended = Some(self.elapsed);
        unresolved.failure = Some(Failure::NoDestinations);
        let none = Timeline::from_parts(unresolved, &[], &[]);
        self.report.as_ref().map_or(none, Report::timeline)
    }

    /// What is to be said below the picture of the race, a line each.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.planned().into_iter().chain(self.denied()).chain(self.services())
    }

    /// Why the race did what it did.
    fn explanation(&self) -> Option<Explanation<'_>> {
        self.report.as_ref().and_then(Report::explanation)
    }

    /// The same as a line. That a host is new is news where a file could have known it.
    fn planned(&self) -> Option<String> {
        let told = |it: &Explanation<'_>| self.by_file || it.whole() != Some(WholeRaceReason::NeverMet);
        self.explanation().filter(told).map(|explanation| format!("memory: {explanation}"))
    }

    /// A line that says which addresses were not tried, where an option refuses some.
    fn denied(&self) -> Option<String> {
        let denied = self.report.as_ref()?.denied();
        let addresses: Vec<_> = denied.iter().map(|address| address.ip().to_string()).collect();
        (!denied.is_empty())
            .then(|| format!("not tried, since --deny-private refuses it: {}", addresses.join(", ")))
    }

    /// A line for each service record that was met.
    #[cfg(feature = "dns")]
    fn services(&self) -> impl Iterator<Item = String> {
        self.report.iter().flat_map(|report| report.services()).map(ToString::to_string)
    }

    /// Only name servers that are asked directly tell such records.
    #[cfg(not(feature = "dns"))]
    fn services(&self) -> impl Iterator<Item = String> {
        std::iter::empty()
    }

    /// The race as the object that `race --json` prints.
    pub fn json(&self) -> impl Display {
        let denied = self.report.as_ref().map_or(&[][..], Report::denied);
        let plan = self.explanation().map(|explanation| explanation.json());
        let timeline = self.timeline();
        let json = timeline.json(&self.host, self.port).denied(denied);
        match &plan {
            Some(plan) => json.plan(plan).to_string(),
            None => json.to_string(),
        }
    }

    /// Writes the files of `--qlog` and `--svg`.
    pub fn write_files(&self, racing: &ConnectArgs) -> Result<(), Error> {
        let timeline = self.timeline();
        if let Some(path) = &racing.qlog {
            let session = self.session();
            let mut config = self.config.clone();
            if let Some(first) = timeline.attempts().next() {
                // The resolver's first address decides which family is preferred, and the preferred one goes
                // first.
                config.preferred_family = first.family;
            }
            let plan = self.explanation().map(|explanation| explanation.json());
            let qlog = timeline.qlog(&session, &self.host, self.port).config(&config);
            let qlog = match &plan {
                Some(plan) => qlog.plan(plan),
                None => qlog,
            };
            write_file(path, if self.by_name { qlog.resolved_by_name() } else { qlog })?;
        }
        if let Some(path) = &racing.svg {
            write_file(path, Svg::new(timeline, &self.host, self.port).noting(self.planned()))?;
        }
        Ok(())
    }

    /// A name that no other race has.
    #[allow(clippy::disallowed_methods, reason = "the program names its sessions by the time of day")]
    fn session(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}", now.as_micros(), process_id())
    }
}

#[cfg(not(target_os = "wasi"))]
fn process_id() -> u32 {
    std::process::id()
}

/// std panics when it is asked. A component has no number, and starts no second race within a microsecond.
#[cfg(target_os = "wasi")]
fn process_id() -> u32 {
    0
}
