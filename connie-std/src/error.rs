//! What can go wrong with a whole `connect`.

mod verdict;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use connie_core::resolution::{HostError, Query};
use connie_core::verdict::{ErrorKind, FailureMessage, failures, invalid_host, place, unknown_zone};
use connie_core::{AttemptError, AttemptErrorKind, Failure, Timeline, TlsFailure};

use crate::hosts::MAX_HOSTS;
use crate::os_error::describe;
use crate::report::{FailedQuery, Lack, Report};
use crate::resolve::ResolverError;
use crate::setup_step::SetupStep;
use crate::target::EMPTY_LIST;

/// Why [`connect`](crate::connect) brought no connection.
///
/// `{}` is one line. Where every address has failed it has the reason of each, or of the most informative few
/// and how many more there are:
/// `could not connect to name.test port 80: 192.0.2.1:80: connection refused; [2001:db8::1]:80: unreachable`.
/// `{:?}`, which a `main` that returns an error prints, has all of them. Where every address has failed,
/// [`source`](std::error::Error::source) is the [`AttemptFailure`](connie_core::verdict::AttemptFailure) that
/// is the most informative. Its text is what the line does not have (`error number 111`), so that a chain of
/// sources reads as one sentence.
///
/// ```
/// use connie_std::connie_core::{AttemptErrorKind, verdict::AttemptFailure};
/// use connie_std::{Options, connect};
/// use std::error::Error;
/// use std::io;
///
/// let error = connect("127.0.0.1:1", &Options::default()).unwrap_err();
/// assert_eq!(error.to_string(), "could not connect to 127.0.0.1:1: connection refused");
/// assert_eq!(error.io_kind(), io::ErrorKind::ConnectionRefused);
/// let cause = error.source().and_then(|source| source.downcast_ref::<AttemptFailure>()).unwrap();
/// assert_eq!((cause.address().port(), cause.error().kind()), (1, AttemptErrorKind::Refused));
/// assert_eq!(cause.error().number(), error.raw_os_error());
/// ```
pub struct ConnectError {
    host: String,
    port: u16,
    pub(crate) kind: ConnectErrorKind,
    /// Of a failed race.
    cause: Option<io::Error>,
}

/// What kind of thing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host is neither a name nor an address.
    InvalidHost(HostError),
    /// The host is an address in a zone that the system does not have: `fe80::1%eth9`.
    UnknownZone(String),
    /// A text is not a host and a port.
    InvalidTarget,
    /// A list of more [hosts](crate::Target#several-hosts) than [`MAX_HOSTS`](crate::MAX_HOSTS): of so many.
    /// No socket was opened.
    TooManyHosts(usize),
    /// An option that cannot be applied, with a text that names it: an empty range of local ports. No socket
    /// was opened.
    InvalidOption(String),
    /// The name could not be resolved: [`Report::failed_queries`] says what failed.
    Resolve(Report),
    /// [`Options::filter`](crate::Options::filter) denies every address that is known: [`Report::denied`] has
    /// them. No socket was opened.
    Denied(Report),
    /// The race failed. [`ConnectError::timeline`] has what became of each address. Where its deadline passed
    /// while it waited for its first socket, the line of `{}` says so, and which part of its
    /// [`SocketBudget`](crate::SocketBudget) it waited for.
    Race(Failure, Report),
    /// The race opened no socket, because connections held all sockets of its
    /// [`SocketBudget`](crate::SocketBudget): none would have become free, or none did within the time that
    /// the budget [waits](crate::SocketBudget::waits).
    BudgetHeld {
        /// How many sockets the budget has. Connections held all of them.
        sockets: usize,
        /// What the race did before: its lookups, and the addresses that they found.
        report: Report,
    },
    /// The winner could not be made ready for use.
    Socket(io::Error),
    /// A future of [`connie_std::tokio_net`](crate::tokio_net) was polled outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    NoRuntime,
    /// TLS to a list of addresses, and no name to check the certificate against:
    /// [`TlsOptions::server_name`](crate::TlsOptions::server_name).
    #[cfg(feature = "tls")]
    NoServerName,
    /// A race to the TCP finish line was won by this address, and TLS with it failed.
    #[cfg(feature = "tls")]
    Tls(std::net::SocketAddr, crate::TlsError),
}

impl ConnectError {
    pub(crate) fn new(host: String, port: u16, kind: ConnectErrorKind) -> Self {
        let cause = verdict::cause(&kind);
        ConnectError { host, port, kind, cause }
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.kind
    }

    /// Whether the program canceled. As an [`io::Error`] that is
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), which a usual loop does not retry, as it
    /// would [`Interrupted`](io::ErrorKind::Interrupted).
    ///
    /// ```
    /// use connie_std::{Canceler, ConnectError, Options, connect};
    /// use std::io;
    ///
    /// let canceler = Canceler::new()?;
    /// canceler.cancel();
    /// let options = Options::new().canceler(canceler);
    /// let error = io::Error::from(connect("127.0.0.1:80", &options).unwrap_err());
    /// assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    /// // Others abort too. This was the program:
    /// let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ConnectError>());
    /// assert!(inner.is_some_and(ConnectError::is_canceled));
    /// # Ok::<(), io::Error>(())
    /// ```
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        match &self.kind {
            ConnectErrorKind::Race(failure, _) => *failure == Failure::Canceled,
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.is_canceled(),
            _ => false,
        }
    }

    /// The host that was asked for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that was asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the race did, if there was one.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline<'_>> {
        self.report().map(Report::timeline)
    }

    /// The report of the race: its timeline, and what became of resolution.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &self.kind {
            ConnectErrorKind::Race(_, report)
            | ConnectErrorKind::Resolve(report)
            | ConnectErrorKind::Denied(report)
            | ConnectErrorKind::BudgetHeld { report, .. } => Some(report),
            _ => None,
        }
    }

    /// The queries for the host's addresses that failed.
    #[must_use]
    pub fn failed_queries(&self) -> &[FailedQuery] {
        self.report().map_or(&[], Report::failed_queries)
    }

    /// The line of `{}` without the single addresses of several, for a program that prints
    /// [`details`](Self::details) below it.
    #[must_use]
    pub fn summary(&self) -> String {
        match (&self.kind, self.verdict()) {
            (ConnectErrorKind::Race(_, report), Some(verdict))
                if self.host != EMPTY_LIST && report.lack().is_none() =>
            {
                verdict.summary().to_string()
            }
            _ => self.to_string(),
        }
    }

    /// What [`summary`](Self::summary) leaves out: the lines of [`addresses`](Self::addresses), and none
    /// where the summary has the only one.
    pub fn details(&self) -> impl Iterator<Item = String> {
        let is_said = self.verdict().is_some_and(|verdict| verdict.says_all());
        let is_said = is_said && self.queries_apart().is_empty();
        let fates = if is_said { Vec::new() } else { self.fates() };
        fates.into_iter().chain(self.not_tried())
    }

    /// One line for each address: what became of it. Further ones name the queries that failed, and count the
    /// addresses for which the race had no room; and each address that
    /// [`Options::filter`](crate::Options::filter) has denied has one.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.fates().into_iter().chain(self.not_tried())
    }

    fn fates(&self) -> Vec<String> {
        let lines = self.verdict().into_iter();
        let lines =
            lines.flat_map(|verdict| verdict.lines().map(|line| line.to_string()).collect::<Vec<_>>());
        lines.chain(self.queries_apart().iter().map(FailedQuery::to_string)).collect()
    }

    /// The failed queries of a race to several hosts: each line names its host.
    fn queries_apart(&self) -> &[FailedQuery] {
        match &self.kind {
            ConnectErrorKind::Race(_, report) if !report.hosts().is_empty() => report.failed_queries(),
            _ => &[],
        }
    }

    /// A line for each address that the filter has taken out of a race. Where it has taken all of them, the
    /// line of `{}` says so.
    fn not_tried(&self) -> impl Iterator<Item = String> {
        let ConnectErrorKind::Race(_, report) = &self.kind else { return Vec::new().into_iter() };
        let lines =
            report.denied().iter().map(|address| format!("{address}: not tried, since the filter denies it"));
        lines.collect::<Vec<_>>().into_iter()
    }

    /// What kind of thing kept it from a connection, where the host was none, a name was looked up or a race
    /// was run: the same on every platform, where [`io_kind`](Self::io_kind) is what std has for it.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        match &self.kind {
            ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::UnknownZone(_)
            | ConnectErrorKind::InvalidTarget
            | ConnectErrorKind::TooManyHosts(_) => Some(ErrorKind::InvalidHost),
            ConnectErrorKind::Resolve(report) => {
                Some(ErrorKind::of_queries(queries(report).map(|(query, error)| (query, error.kind))))
            }
            ConnectErrorKind::Race(failure, report) => Some(ErrorKind::of_race(*failure, &report.timeline())),
            ConnectErrorKind::BudgetHeld { .. } => Some(ErrorKind::OutOfSockets),
            ConnectErrorKind::Denied(_) => Some(ErrorKind::Denied),
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.failure().map(ErrorKind::Tls),
            _ => None,
        }
    }

    /// What the core makes of it, where a race was run.
    fn verdict(
        &self,
    ) -> Option<FailureMessage<'_, FailedQueries<'_>, impl Fn(SocketAddr, AttemptError) -> String>> {
        let (ConnectErrorKind::Race(_, report) | ConnectErrorKind::Resolve(report)) = &self.kind else {
            return None;
        };
        let failure = match self.kind {
            ConnectErrorKind::Race(failure, _) => failure,
            _ => Failure::NoDestinations,
        };
        let of_one = move |address, error: AttemptError| match error.kind() {
            AttemptErrorKind::Setup(step) => match report.note(address) {
                Some(note) => noted(&describe(error), step, note),
                None => describe(error),
            },
            AttemptErrorKind::NoSourceAddress => match report.note(address) {
                Some(note) => format!("{}: {note}", describe(error)),
                None => describe(error),
            },
            AttemptErrorKind::Tls(_) => report.note(address).map_or_else(|| error.to_string(), str::to_owned),
            _ => describe(error),
        };
        let words = move |address, error| match report.host_of(address) {
            Some((host, _)) if host.parse() != Ok(address.ip()) => {
                format!("{} ({host})", of_one(address, error))
            }
            _ => of_one(address, error),
        };
        let (host, port) = (self.host.as_str(), self.port);
        let queries = if report.hosts().is_empty() { report.failed_queries() } else { &[] };
        Some(FailureMessage {
            host,
            port,
            failure,
            timeline: report.timeline(),
            queries: in_turn(queries),
            words,
        })
    }
}

/// The words for a step of a socket's set-up that failed, with the option's value or the program's reason.
fn noted(words: &str, step: u8, note: &str) -> String {
    match SetupStep::from_number(step) {
        Some(SetupStep::Interface) => words.replacen("the interface", &format!("the interface {note:?}"), 1),
        Some(SetupStep::LocalPorts) => {
            words.replacen("local ports tried", &format!("local ports tried of {note}"), 1)
        }
        _ => format!("{words}: {note}"),
    }
}

type FailedQueries<'a> =
    std::iter::Map<std::slice::Iter<'a, FailedQuery>, fn(&'a FailedQuery) -> (Query, &'a ResolverError)>;

fn queries(report: &Report) -> FailedQueries<'_> {
    in_turn(report.failed_queries())
}

fn in_turn(queries: &[FailedQuery]) -> FailedQueries<'_> {
    queries.iter().map(|failed| (failed.query, &failed.error))
}

/// What failed of each name of several hosts.
struct EachHost<'a>(&'a Report);

impl fmt::Display for EachHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for part in self.0.failed_queries().chunk_by(|one, other| one.host == other.host) {
            let host = part.first().map_or("", |failed| &failed.host);
            write!(f, "{}{host}: {}", if is_first { "" } else { "; " }, failures(in_turn(part)))?;
            is_first = false;
        }
        Ok(())
    }
}

/// The addresses that the filter has denied, or some of them and how many more there are.
struct Denied<'a>(&'a Report);

impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 4;
        let denied = self.0.denied();
        for (index, address) in denied.iter().take(MOST).enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, address.ip())?;
        }
        match denied.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The failed query that [the kind](ErrorKind::of_queries) goes by, of equals the first.
fn telling(report: &Report) -> Option<&FailedQuery> {
    let kind =
        |queries: &[FailedQuery]| ErrorKind::of_queries(queries.iter().map(|it| (it.query, it.error.kind)));
    let failed = report.failed_queries();
    failed.iter().find(|it| kind(std::slice::from_ref(it)) == kind(failed))
}

impl ConnectError {
    /// What [`source`](std::error::Error::source) has of a failed race, in an [`io::Error`] of the kind
    /// [`io_kind`](Self::io_kind): for the chain of an error in which programs look for one. `None` of
    /// anything else.
    #[must_use]
    pub fn cause(&self) -> Option<&io::Error> {
        self.cause.as_ref()
    }

    /// Whether the race's time passed while it waited for the first socket of its
    /// [`SocketBudget`](crate::SocketBudget).
    #[must_use]
    pub fn waited_for_budget(&self) -> bool {
        matches!(&self.kind, ConnectErrorKind::Race(_, report) if report.lack().is_some())
    }

    /// Why TLS failed, where that is what went wrong: with the address that won the race to the TCP finish
    /// line, or, in a race to the TLS finish line that failed, with one of the addresses, a bad certificate
    /// before all else.
    #[must_use]
    pub fn tls_failure(&self) -> Option<TlsFailure> {
        match &self.kind {
            ConnectErrorKind::Race(Failure::AllAttemptsFailed, report) => {
                let timeline = report.timeline();
                let failures =
                    timeline.destinations().filter_map(|destination| match destination.error()?.kind() {
                        AttemptErrorKind::Tls(failure) => Some(failure),
                        _ => None,
                    });
                failures.max_by_key(|failure| failure.is_certificate())
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.failure(),
            _ => None,
        }
    }
}

impl ConnectError {
    /// What the race came to.
    fn write_race(&self, report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = place(&self.host, self.port);
        match report.lack() {
            Some(Lack::InLine { sockets }) => write!(
                f,
                "could not connect to {place}: timed out waiting for a socket of its budget, which has {sockets}: \
                 set Options::budget to a larger one, or allow more time"
            ),
            Some(Lack::AllHeld { sockets } | Lack::Refused { sockets }) => write!(
                f,
                "could not connect to {place}: timed out waiting for a socket: connections hold every one of its \
                 budget, which has {sockets}: close some, or set Options::budget to a larger one"
            ),
            None => {
                if let Some(verdict) = self.verdict() {
                    fmt::Display::fmt(&verdict, f)?;
                }
                for failed in self.queries_apart() {
                    write!(f, "; {failed}")?;
                }
                if !report.denied().is_empty() {
                    write!(f, "; not tried, since the filter denies it: {}", Denied(report))?;
                }
                self.write_advice(f)
            }
        }
    }

    fn write_denied(&self, report: &Report, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, port, .. } = self;
        write!(f, "could not connect to {}: Options::filter denies ", place(host, *port))?;
        match report.denied() {
            [only] if host.parse() == Ok(only.ip()) => f.write_str("this address")?,
            _ => write!(f, "every address: {}", Denied(report))?,
        }
        match report.failed_queries() {
            [] => Ok(()),
            _ => write!(f, "; {}", failures(queries(report))),
        }
    }
}

impl fmt::Display for ConnectError {
    /// One line that names the host and the reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, port, kind, .. } = self;
        let place = place(host, *port);
        match kind {
            ConnectErrorKind::InvalidHost(error) => invalid_host(host, (*error).into()).fmt(f),
            ConnectErrorKind::UnknownZone(zone) => unknown_zone(host, zone).fmt(f),
            ConnectErrorKind::InvalidTarget => {
                write!(f, "{host:?} is not HOST:PORT: add the port, and write an IPv6 address in brackets")
            }
            ConnectErrorKind::InvalidOption(why) => {
                write!(f, "could not connect to {place}: {why}")
            }
            ConnectErrorKind::Resolve(report) if report.hosts().is_empty() => {
                write!(f, "could not resolve {host}: {}", failures(queries(report)))
            }
            ConnectErrorKind::Resolve(report) => {
                write!(f, "could not resolve any of {host}: {}", EachHost(report))
            }
            ConnectErrorKind::TooManyHosts(count) => {
                write!(f, "could not connect to {count} hosts at once: give {MAX_HOSTS} at most")
            }
            ConnectErrorKind::Race(Failure::NoDestinations, _) if host == EMPTY_LIST => {
                f.write_str("the list of addresses is empty: give at least one")
            }
            ConnectErrorKind::Race(_, report) => self.write_race(report, f),
            ConnectErrorKind::Denied(report) => self.write_denied(report, f),
            ConnectErrorKind::BudgetHeld { sockets, .. } => {
                write!(
                    f,
                    "could not connect to {place}: connections hold every socket of its budget, which has {sockets}: \
                     close some, set Options::budget to a larger one, or have it wait with SocketBudget::waits"
                )
            }
            ConnectErrorKind::Socket(error) => {
                write!(f, "connected to {place}, but the socket failed: {error}")
            }
            #[cfg(feature = "tokio")]
            ConnectErrorKind::NoRuntime => {
                write!(f, "could not connect to {place}: no tokio runtime here: await this in a task of one")
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::NoServerName => {
                f.write_str("TLS to a list of addresses needs a name: set TlsOptions::server_name")
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(address, error) => {
                write!(f, "connected to {place} at {address}, but not with TLS: {error}")
            }
        }
    }
}

impl ConnectError {
    /// What to do where the race met the process's limit of descriptors.
    fn write_advice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.met_the_limit() {
            f.write_str(": close some, raise `ulimit -n`, or set Options::budget to a smaller one")?;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn met_the_limit(&self) -> bool {
        let number = rustix::io::Errno::MFILE.raw_os_error();
        self.error_kind() == Some(ErrorKind::OutOfSockets) && self.raw_os_error() == Some(number)
    }

    /// No such limit can be raised here.
    #[cfg(not(unix))]
    fn met_the_limit(&self) -> bool {
        false
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        let details: Vec<_> = self.details().collect();
        if !details.is_empty() {
            write!(f, " ({})", details.join("; "))?;
        }
        self.write_advice(f)
    }
}

impl std::error::Error for ConnectError {
    /// What the line of `{}` does not have: where every address has failed the
    /// [`AttemptFailure`](connie_core::verdict::AttemptFailure) that is the most informative, and where the
    /// line has a resolver's own text, what that [means](connie_core::resolution::QueryError). Any other
    /// cause is in the line itself, and this is the source of that cause, so that a chain of sources repeats
    /// nothing.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ConnectErrorKind::Socket(error) => error.source(),
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.source(),
            ConnectErrorKind::Resolve(report) => telling(report)?.error.source(),
            _ => self.cause.as_ref()?.get_ref().map(|cause| cause as _),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use connie_core::{Config, Input, Instant, Output, Race, RaceDriver};

    use connie_core::resolution::QueryError;

    use super::*;
    use crate::socket::OsStack;

    /// A race for a name, told these addresses, that ended at its deadline.
    fn timed_out(addresses: &[std::net::SocketAddr]) -> ConnectError {
        let config = Config::default().deadline(Some(std::time::Duration::ZERO));
        let mut driver = RaceDriver::<OsStack, 1, 1, 1>::new(&config, Instant::ZERO);
        if !addresses.is_empty() {
            driver.handle_addresses(addresses, Instant::ZERO);
        }
        let _ = driver.poll(&mut OsStack::default(), Instant::ZERO);
        let kind = ConnectErrorKind::Race(Failure::DeadlineExceeded, driver.timeline().into());
        ConnectError::new("name.test".to_owned(), 80, kind)
    }

    #[test]
    fn a_look_up_that_took_too_long_is_not_a_connection_that_did() {
        assert_eq!(timed_out(&[]).to_string(), "could not resolve name.test in the time allowed");
        let known = timed_out(&[([192, 0, 2, 1], 80).into()]);
        assert_eq!(known.to_string(), "could not connect to name.test port 80: timed out");
    }

    /// The second of three addresses finds no socket while the first keeps the only one until the program
    /// cancels.
    fn canceled_with_one_socket() -> ConnectError {
        let mut race = Race::<4, 2, 4>::new(&Config::all_at_once(), Instant::ZERO);
        let addresses: Vec<_> = (1..=3).map(|n| ([192, 0, 2, n], 80).into()).collect();
        race.handle_addresses(&addresses, Instant::ZERO);
        let _ = race.poll_output(Instant::ZERO);
        let Output::StartAttempt { id, .. } = race.poll_output(Instant::ZERO) else { panic!("two start") };
        let error = AttemptErrorKind::OutOfSockets.into();
        race.handle_input(Input::AttemptFailed { id, error }, Instant::ZERO);
        race.handle_input(Input::Cancel, Instant::ZERO);
        while !race.poll_output(Instant::ZERO).ends_drain() {}
        let kind = ConnectErrorKind::Race(Failure::Canceled, race.timeline().into());
        ConnectError::new("name.test".to_owned(), 80, kind)
    }

    /// A race for `host`, over these addresses, each of which failed like this, with the system's number for
    /// it.
    pub(crate) fn failed(host: &str, errors: &[(AttemptErrorKind, Option<i32>)]) -> ConnectError {
        let mut race = Race::<16, 16, 16>::new(&Config::all_at_once(), Instant::ZERO);
        let addresses: Vec<_> = (1..).zip(errors).map(|(n, _)| ([192, 0, 2, n], 80).into()).collect();
        race.handle_addresses(&addresses, Instant::ZERO);
        for &(kind, number) in errors {
            let Output::StartAttempt { id, .. } = race.poll_output(Instant::ZERO) else {
                panic!("all start")
            };
            let error = AttemptError::new(kind).with_number(number.unwrap_or(0));
            race.handle_input(Input::AttemptFailed { id, error }, Instant::ZERO);
        }
        assert_eq!(race.poll_output(Instant::ZERO), Output::Failed(Failure::AllAttemptsFailed));
        let report = Report::from(race.timeline());
        ConnectError::new(host.to_owned(), 80, ConnectErrorKind::Race(Failure::AllAttemptsFailed, report))
    }

    /// The error and what lies behind it, as anyhow's `{:#}` joins them.
    fn chain(error: &dyn std::error::Error) -> Vec<String> {
        let sources = std::iter::successors(error.source(), |error| error.source());
        std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect()
    }

    #[test]
    fn one_address_has_its_reason_in_the_line_and_its_number_behind() {
        let refused = (AttemptErrorKind::Refused, Some(111));
        let lines =
            ["could not connect to name.test port 80: 192.0.2.1:80: connection refused", "error number 111"];
        assert_eq!(chain(&failed("name.test", &[refused])), lines);
        // It is the host: nothing is said twice.
        let lines = ["could not connect to 192.0.2.1:80: connection refused", "error number 111"];
        let literal = failed("192.0.2.1", &[refused]);
        assert_eq!(chain(&literal), lines);
        assert_eq!((literal.summary(), format!("{literal:?}")), (lines[0].to_owned(), lines[0].to_owned()));
        assert_eq!(chain(&io::Error::from(literal)), lines);
    }

    #[test]
    fn of_several_addresses_each_has_its_reason_up_to_a_few() {
        let (silent, refused) = ((AttemptErrorKind::TimedOut, None), (AttemptErrorKind::Refused, Some(111)));
        let unreachable = (AttemptErrorKind::Unreachable, Some(113));
        let error = failed("name.test", &[silent, unreachable, refused]);
        let host = "could not connect to name.test port 80";
        let each = "192.0.2.3:80: connection refused; 192.0.2.1:80: timed out; 192.0.2.2:80: unreachable";
        assert_eq!(chain(&error), [format!("{host}: {each}"), "error number 111 at 192.0.2.3:80".to_owned()]);
        assert_eq!(error.summary(), format!("{host}: every address failed"));
        let in_order = "192.0.2.1:80: timed out; 192.0.2.2:80: unreachable; 192.0.2.3:80: connection refused";
        assert_eq!(format!("{error:?}"), format!("{host}: every address failed ({in_order})"));
        let text = |count| failed("name.test", &vec![silent; count]).to_string();
        assert!(text(4).ends_with("192.0.2.3:80: timed out; 192.0.2.4:80: timed out"), "{}", text(4));
        assert!(text(5).ends_with("192.0.2.3:80: timed out; and 2 more"), "{}", text(5));
    }

    /// Reports of errors print each source below the one before, or behind it.
    #[test]
    fn a_chain_of_sources_says_nothing_twice() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let socket = ConnectErrorKind::Socket(refused());
        let errors: Vec<Box<dyn std::error::Error>> = vec![
            timed_out(&[]).into(),
            timed_out(&[([192, 0, 2, 1], 80).into()]).into(),
            ConnectError::new("h".to_owned(), 80, socket).into(),
            io::Error::from(timed_out(&[])).into(),
            canceled_with_one_socket().into(),
            failed("name.test", &[(AttemptErrorKind::Refused, Some(111))]).into(),
            failed(
                "name.test",
                &[(AttemptErrorKind::TimedOut, None), (AttemptErrorKind::Tls(TlsFailure::NotTls), None)],
            )
            .into(),
            failed("name.test", &[(AttemptErrorKind::Other, Some(22)); 3]).into(),
            failed("name.test", &[(AttemptErrorKind::Other, None)]).into(),
            crate::OsError::from(refused()).into(),
            crate::resolve::ResolverError::from(QueryError::NoSuchName).into(),
        ];
        for error in &errors {
            let lines: Vec<_> = chain(&**error).iter().map(|line| line.to_lowercase()).collect();
            let repeats = (1..lines.len()).any(|at| lines[..at].iter().any(|line| line.contains(&lines[at])));
            assert!(!repeats, "{lines:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_process_at_its_limit_is_told_what_to_do() {
        let none = (AttemptErrorKind::OutOfSockets, Some(rustix::io::Errno::MFILE.raw_os_error()));
        let error = failed("192.0.2.1", &[none]);
        let line = "could not connect to 192.0.2.1:80: no socket left: this process has no descriptor left";
        let advice = ": close some, raise `ulimit -n`, or set Options::budget to a smaller one";
        assert_eq!((error.to_string(), error.summary()), (format!("{line}{advice}"), line.to_owned()));
        assert_eq!(format!("{error:?}"), format!("{line}{advice}"));
        let two = failed("name.test", &[none, none]);
        assert!(two.to_string().ends_with(advice) && format!("{two:?}").ends_with(advice), "{two}");
        // Another limit than the process's.
        let system = (AttemptErrorKind::OutOfSockets, Some(rustix::io::Errno::NFILE.raw_os_error()));
        assert_eq!(
            failed("192.0.2.1", &[system]).to_string(),
            "could not connect to 192.0.2.1:80: no socket left"
        );
    }

    #[test]
    fn only_an_address_that_was_asked_has_given_no_answer() {
        let lines: Vec<_> = canceled_with_one_socket().addresses().collect();
        let fates = ["192.0.2.1:80: no answer", "192.0.2.2:80: no socket left", "192.0.2.3:80: not tried"];
        assert_eq!(lines, fates);
    }

    #[test]
    fn addresses_for_which_there_was_no_room_are_counted() {
        let addresses: Vec<_> = (1..=3).map(|n| ([192, 0, 2, n], 80).into()).collect();
        let lines: Vec<_> = timed_out(&addresses).addresses().collect();
        assert_eq!(lines, ["192.0.2.1:80: not tried", "2 more addresses: no room for them in this race"]);
    }
}
