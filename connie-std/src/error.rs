//! What can go wrong with a whole `connect`.

use std::fmt;
use std::io;

use connie_core::race::Destination;
use connie_core::resolution::{HostError, QueryError};
use connie_core::{AttemptError, Failure, Timeline, TlsFailure};

use crate::os_error::{describe, kind_of};
use crate::report::{FailedQuery, Report};

/// Why [`connect`](crate::connect) brought no connection.
///
/// `{}` is one line without the single addresses; `{:?}`, which is what a `main` that returns an error prints, has them too.
pub struct ConnectError {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: ConnectErrorKind,
}

/// What kind of thing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host is neither a name nor an address.
    InvalidHost(HostError),
    /// The host is an address in a zone that the system does not have: `fe80::1%eth9`.
    UnknownZone(String),
    /// A text that was to be a host and a port is not.
    InvalidTarget,
    /// The name could not be resolved: [`Report::failed_queries`] says what failed.
    Resolve(Report),
    /// The race failed. [`ConnectError::timeline`] has what became of each address.
    Race(Failure, Report),
    /// The winner could not be made ready for use.
    Socket(io::Error),
    /// A future of [`connie_std::tokio`](crate::tokio) was polled outside of a tokio runtime.
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
    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.kind
    }

    /// Whether the program canceled. As an [`io::Error`] that is [`ConnectionAborted`](io::ErrorKind::ConnectionAborted), which a customary
    /// loop does not take for a reason to try again, as it would [`Interrupted`](io::ErrorKind::Interrupted).
    ///
    /// ```
    /// use connie_std::{Canceler, ConnectError, Options, connect};
    /// use std::io;
    ///
    /// let canceler = Canceler::new()?;
    /// canceler.cancel();
    /// let options = Options { canceler: Some(canceler), ..Options::default() };
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
        match &self.kind {
            ConnectErrorKind::Race(_, report) | ConnectErrorKind::Resolve(report) => Some(report.timeline()),
            _ => None,
        }
    }

    /// The queries for the host's addresses that failed.
    #[must_use]
    pub fn failed_queries(&self) -> &[FailedQuery] {
        match &self.kind {
            ConnectErrorKind::Race(_, report) | ConnectErrorKind::Resolve(report) => report.failed_queries(),
            _ => &[],
        }
    }

    /// One line for each address: what became of it. Further ones name the queries that failed, and count the addresses for which the
    /// race had no room.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let omitted = self.timeline().map_or(0, |timeline| timeline.summary().omitted_destinations);
        let rest = (omitted > 0).then(|| format!("{omitted} more addresses: no room for them in this race"));
        let lines = self.timeline().into_iter().flat_map(move |timeline| {
            timeline.destinations().map(move |destination| {
                let address = destination.address();
                let note = match destination.error() {
                    Some(AttemptError::Tls(_)) => self.note(address).map(str::to_owned),
                    _ => None,
                };
                format!("{address}: {}", note.unwrap_or_else(|| fate(&timeline, destination)))
            })
        });
        // Where there is no address, they are the error itself.
        let queries = if omitted == 0 && self.timeline().is_none_or(|it| it.destinations().len() == 0) {
            &[]
        } else {
            self.failed_queries()
        };
        lines.chain(queries.iter().map(FailedQuery::to_string)).chain(rest)
    }
}

impl ConnectError {
    /// Why TLS failed, where that is what went wrong: with the address that won the race to the TCP finish line, or, in a race to the
    /// TLS finish line that failed, with one of the addresses, a bad certificate before all else.
    #[must_use]
    pub fn tls_failure(&self) -> Option<TlsFailure> {
        match &self.kind {
            ConnectErrorKind::Race(Failure::AllAttemptsFailed, report) => {
                let timeline = report.timeline();
                let failures = timeline.destinations().filter_map(|destination| match destination.error() {
                    Some(AttemptError::Tls(failure)) => Some(failure),
                    _ => None,
                });
                failures.max_by_key(|failure| failure.is_certificate())
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.failure(),
            _ => None,
        }
    }

    fn note(&self, address: std::net::SocketAddr) -> Option<&str> {
        match &self.kind {
            ConnectErrorKind::Race(_, report) => report.note(address),
            _ => None,
        }
    }
}

/// What became of an address, in a few words.
fn fate(timeline: &Timeline<'_>, destination: &Destination) -> String {
    if let Some(error) = destination.error() {
        return describe(error);
    }
    if destination.was_started() {
        return "no answer".to_owned();
    }
    // It waited for a socket until the end, perhaps because the stack had none left when its turn came.
    let mut attempts = timeline.attempts();
    match attempts.any(|attempt| attempt.destination == destination.address()) {
        true => AttemptError::OutOfSockets.to_string(),
        false => "not tried".to_owned(),
    }
}

impl fmt::Display for ConnectError {
    /// One line that names the host and the reason, without the single addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, port, kind } = self;
        match kind {
            ConnectErrorKind::InvalidHost(error) => write!(f, "{host:?} is no host: {error}"),
            ConnectErrorKind::UnknownZone(zone) => {
                write!(f, "{host:?}: there is no network interface {zone:?}")
            }
            ConnectErrorKind::InvalidTarget => {
                write!(f, "{host:?} is not HOST:PORT: add the port, and write an IPv6 address in brackets")
            }
            ConnectErrorKind::Resolve(report) => {
                write!(f, "could not resolve {host}: {}", Failures(report.failed_queries()))
            }
            ConnectErrorKind::Race(Failure::DeadlineExceeded, report)
                if report.timeline().destinations().len() == 0 =>
            {
                write!(f, "could not resolve {host} in the time allowed")?;
                match report.failed_queries() {
                    [] => Ok(()),
                    queries => write!(f, ": {}", Failures(queries)),
                }
            }
            ConnectErrorKind::Race(failure, _) => {
                write!(f, "could not connect to {host} port {port}: {failure}")
            }
            ConnectErrorKind::Socket(error) => {
                write!(f, "connected to {host} port {port}, but the socket failed: {error}")
            }
            #[cfg(feature = "tokio")]
            ConnectErrorKind::NoRuntime => {
                write!(
                    f,
                    "could not connect to {host} port {port}: no tokio runtime here: await this in a task of one"
                )
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::NoServerName => {
                f.write_str("TLS to a list of addresses needs a name: set TlsOptions::server_name")
            }
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(address, error) => {
                write!(f, "connected to {host} port {port} at {address}, but not with TLS: {error}")
            }
        }
    }
}

/// Queries that failed, in one line.
struct Failures<'a>(&'a [FailedQuery]);

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [aaaa, a] if aaaa.error == a.error => {
                let (aaaa, a, error) = (aaaa.query.record_type(), a.query.record_type(), &a.error);
                write!(f, "{aaaa} and {a} queries failed: {error}")
            }
            queries => queries.iter().enumerate().try_for_each(|(index, failed)| {
                f.write_str(if index == 0 { "" } else { "; " })?;
                write!(f, "{} query failed: {}", failed.query.record_type(), failed.error)
            }),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        for (index, address) in self.addresses().enumerate() {
            f.write_str(if index == 0 { " (" } else { "; " })?;
            f.write_str(&address)?;
        }
        if self.addresses().next().is_some() { f.write_str(")") } else { Ok(()) }
    }
}

impl std::error::Error for ConnectError {
    /// What lies behind the cause. The cause itself is in the line that `{}` prints, so that a chain of sources says nothing twice;
    /// [`kind`](ConnectError::kind) has it as a value.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ConnectErrorKind::Socket(error) => error.source(),
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.source(),
            _ => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error.kind {
            ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::UnknownZone(_)
            | ConnectErrorKind::InvalidTarget => io::ErrorKind::InvalidInput,
            ConnectErrorKind::Resolve(report) => resolution_kind(report),
            ConnectErrorKind::Socket(error) => error.kind(),
            #[cfg(feature = "tokio")]
            ConnectErrorKind::NoRuntime => io::ErrorKind::Other,
            #[cfg(feature = "tls")]
            ConnectErrorKind::NoServerName => io::ErrorKind::InvalidInput,
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.io_kind(),
            ConnectErrorKind::Race(Failure::NoDestinations, _) => io::ErrorKind::NotFound,
            ConnectErrorKind::Race(Failure::DeadlineExceeded, _) => io::ErrorKind::TimedOut,
            // Not `Interrupted`, which readers and writers take for a reason to try again.
            ConnectErrorKind::Race(Failure::Canceled, _) => io::ErrorKind::ConnectionAborted,
            ConnectErrorKind::Race(Failure::StackGone, _) => io::ErrorKind::NetworkDown,
            ConnectErrorKind::Race(_, report) => common_kind(&report.timeline()),
        };
        io::Error::new(kind, error)
    }
}

fn resolution_kind(report: &Report) -> io::ErrorKind {
    let mut kinds = report.failed_queries().iter().map(|failed| failed.error.kind);
    match kinds.next() {
        Some(QueryError::NoSuchName) | None => io::ErrorKind::NotFound,
        Some(QueryError::TimedOut) => io::ErrorKind::TimedOut,
        Some(QueryError::Unreachable) => io::ErrorKind::NetworkUnreachable,
        Some(_) => io::ErrorKind::Other,
    }
}

/// The kind that all addresses failed with, where they agree.
fn common_kind(timeline: &Timeline<'_>) -> io::ErrorKind {
    let mut errors = timeline.destinations().filter_map(|destination| destination.error());
    let first = errors.next();
    if !errors.all(|error| Some(error) == first) {
        return io::ErrorKind::Other;
    }
    match first {
        Some(AttemptError::Refused) => io::ErrorKind::ConnectionRefused,
        Some(AttemptError::Unreachable) => io::ErrorKind::NetworkUnreachable,
        Some(AttemptError::TimedOut) => io::ErrorKind::TimedOut,
        Some(AttemptError::Reset) => io::ErrorKind::ConnectionReset,
        Some(AttemptError::Tls(TlsFailure::ClosedEarly)) => io::ErrorKind::UnexpectedEof,
        Some(AttemptError::Tls(_)) => io::ErrorKind::InvalidData,
        Some(AttemptError::Other(code @ 1..)) => kind_of(code),
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use connie_core::{Config, Connector, Input, Instant, Output, Race};

    use super::*;
    use crate::socket::OsStack;

    /// A race for a name, told these addresses, that ended at its deadline.
    fn timed_out(addresses: &[std::net::SocketAddr]) -> ConnectError {
        let config = Config { deadline: Some(std::time::Duration::ZERO), ..Config::default() };
        let mut connector = Connector::<OsStack, 1, 1, 1>::new(&config, Instant::ZERO);
        if !addresses.is_empty() {
            connector.handle_addresses(addresses, Instant::ZERO);
        }
        let _ = connector.poll(&mut OsStack::default(), Instant::ZERO);
        let kind = ConnectErrorKind::Race(Failure::DeadlineExceeded, connector.timeline().into());
        ConnectError { host: "name.test".to_owned(), port: 80, kind }
    }

    #[test]
    fn a_look_up_that_took_too_long_is_not_a_connection_that_did() {
        assert_eq!(timed_out(&[]).to_string(), "could not resolve name.test in the time allowed");
        let known = timed_out(&[([192, 0, 2, 1], 80).into()]);
        assert_eq!(known.to_string(), "could not connect to name.test port 80: timed out");
    }

    /// The second of three addresses finds no socket while the first keeps the only one until the program cancels.
    fn canceled_with_one_socket() -> ConnectError {
        let mut race = Race::<4, 2, 4>::new(&Config::all_at_once(), Instant::ZERO);
        let addresses: Vec<_> = (1..=3).map(|n| ([192, 0, 2, n], 80).into()).collect();
        race.handle_addresses(&addresses, Instant::ZERO);
        let _ = race.poll_output(Instant::ZERO);
        let Output::StartAttempt { id, .. } = race.poll_output(Instant::ZERO) else { panic!("two start") };
        let error = AttemptError::OutOfSockets;
        race.handle_input(Input::AttemptFailed { id, error }, Instant::ZERO);
        race.handle_input(Input::Cancel, Instant::ZERO);
        while !race.poll_output(Instant::ZERO).ends_drain() {}
        let kind = ConnectErrorKind::Race(Failure::Canceled, race.timeline().into());
        ConnectError { host: "name.test".to_owned(), port: 80, kind }
    }

    /// Reports of errors print each source below the one before, or behind it.
    #[test]
    fn a_chain_of_sources_says_nothing_twice() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let socket = ConnectErrorKind::Socket(refused());
        let errors: Vec<Box<dyn std::error::Error>> = vec![
            timed_out(&[]).into(),
            timed_out(&[([192, 0, 2, 1], 80).into()]).into(),
            ConnectError { host: "h".to_owned(), port: 80, kind: socket }.into(),
            io::Error::from(timed_out(&[])).into(),
            crate::OsError::from(refused()).into(),
            crate::resolve::LookupError::from(QueryError::NoSuchName).into(),
        ];
        for error in &errors {
            let sources = std::iter::successors(error.source(), |error| error.source());
            let lines: Vec<_> =
                std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect();
            let repeats = lines.windows(2).any(|pair| pair[0].contains(&pair[1]));
            assert!(!repeats, "{lines:?}");
        }
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
