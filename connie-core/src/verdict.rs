//! Why a connect failed: the kind of failure, and the words for it. Made here once, for every adapter.
//!
//! An adapter adds the words that its system has for the number of an error, and what it knows of queries and
//! of TLS.

use core::fmt::{self, Display};
use core::iter;
use core::net::SocketAddr;

use crate::connect::InvalidHost;
use crate::race::{AttemptError, AttemptErrorKind, Destination, Failure, TlsFailure};
use crate::resolution::{Host, Query, QueryError};
use crate::timeline::Timeline;

/// The kinds of failure of a connect that programs tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not a host name or address, or its zone does not exist on this machine.
    InvalidHost,
    /// There is no such name.
    NoSuchName,
    /// The name, or the list, has no address of a family that was asked for.
    NoAddress,
    /// No name server answered in time.
    LookupTimedOut,
    /// No name server could be reached.
    LookupUnreachable,
    /// The name could not be looked up for another reason.
    LookupFailed,
    /// A machine refused the connection.
    Refused,
    /// TCP connected, and TLS failed.
    Tls(TlsFailure),
    /// The deadline passed, or nothing answered.
    TimedOut,
    /// The address cannot be reached.
    Unreachable,
    /// The connection was reset.
    Reset,
    /// There is no socket left.
    OutOfSockets,
    /// This machine has no network.
    NetworkDown,
    /// This machine does not have the source address that was asked for.
    NoSourceAddress,
    /// The program canceled.
    Canceled,
    /// The program's own filter denied every address before it was tried.
    Denied,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The kind of failure of a race. Where every address has failed, that is the kind of the failure that
    /// [tells most](Timeline::most_telling).
    #[must_use]
    pub fn of_race(failure: Failure, timeline: &Timeline<'_>) -> Self {
        match failure {
            Failure::NoDestinations => ErrorKind::NoAddress,
            Failure::DeadlineExceeded => ErrorKind::TimedOut,
            Failure::Canceled => ErrorKind::Canceled,
            Failure::StackGone => ErrorKind::NetworkDown,
            Failure::AllAttemptsFailed => {
                timeline.most_telling().map_or(ErrorKind::Other, |(_, error)| ErrorKind::from(error.kind()))
            }
        }
    }

    /// The kind of failure of a lookup, from the queries that failed. The one that [tells
    /// most](QueryError::precedence) counts, in whatever order they failed: there is no such name only where
    /// all of them say so. The query for the network's prefix says nothing about the name. Without a failed
    /// query the name has [no address](Self::NoAddress).
    #[must_use]
    pub fn of_queries(failures: impl IntoIterator<Item = (Query, QueryError)>) -> Self {
        let of_name = failures.into_iter().filter(|(query, _)| *query != Query::Nat64Prefix);
        match of_name.map(|(_, error)| error).min_by_key(|error| error.precedence()) {
            None => ErrorKind::NoAddress,
            Some(QueryError::NoSuchName) => ErrorKind::NoSuchName,
            Some(QueryError::TimedOut) => ErrorKind::LookupTimedOut,
            Some(QueryError::Unreachable) => ErrorKind::LookupUnreachable,
            Some(QueryError::OutOfSockets) => ErrorKind::OutOfSockets,
            Some(_) => ErrorKind::LookupFailed,
        }
    }
}

impl From<InvalidHost> for ErrorKind {
    fn from(_: InvalidHost) -> Self {
        ErrorKind::InvalidHost
    }
}

impl From<AttemptErrorKind> for ErrorKind {
    fn from(kind: AttemptErrorKind) -> Self {
        match kind {
            AttemptErrorKind::Refused => ErrorKind::Refused,
            AttemptErrorKind::Unreachable => ErrorKind::Unreachable,
            AttemptErrorKind::TimedOut => ErrorKind::TimedOut,
            AttemptErrorKind::Reset => ErrorKind::Reset,
            AttemptErrorKind::OutOfSockets => ErrorKind::OutOfSockets,
            AttemptErrorKind::StackGone | AttemptErrorKind::SourceGone => ErrorKind::NetworkDown,
            AttemptErrorKind::Tls(failure) => ErrorKind::Tls(failure),
            AttemptErrorKind::NoSourceAddress => ErrorKind::NoSourceAddress,
            AttemptErrorKind::Setup(_) | AttemptErrorKind::Other => ErrorKind::Other,
        }
    }
}

/// A race for a host that failed, in words.
///
/// `{}` is one line: where every address has failed it has the reason of each, or of the few that tell most
/// and how many more there are.
///
/// `queries` are the queries that failed, and why; `words` has those of an address's error: its own `{}`, or
/// what a system says.
///
/// ```
/// use connie_core::{Config, Failure, Input, Instant, Output, Race, verdict::FailureMessage};
/// use connie_core::{AttemptErrorKind, resolution::QueryError};
///
/// let now = Instant::ZERO;
/// let mut race = Race::<16, 4>::new(&Config::default(), now);
/// race.handle_addresses(&["192.0.2.1:80".parse().unwrap()], now);
/// let Output::StartAttempt { id, .. } = race.poll_output(now) else { panic!() };
/// race.handle_input(Input::AttemptFailed { id, error: AttemptErrorKind::Refused.into() }, now);
/// let Output::Failed(failure) = race.poll_output(now) else { panic!() };
/// let verdict = FailureMessage {
///     host: "name.test",
///     port: 80,
///     failure,
///     timeline: race.timeline(),
///     queries: core::iter::empty::<(_, QueryError)>(),
///     words: |_, error| error,
/// };
/// assert_eq!(verdict.to_string(), "could not connect to name.test port 80: 192.0.2.1:80: connection refused");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FailureMessage<'a, Q, W> {
    /// The host that was asked for.
    pub host: &'a str,
    /// The port that was asked for.
    pub port: u16,
    /// Why the race failed.
    pub failure: Failure,
    /// What the race did.
    pub timeline: Timeline<'a>,
    /// The queries that failed, and why.
    pub queries: Q,
    /// The words for the error of an address.
    pub words: W,
}

/// How many lines of addresses go into the one of `{}`.
const MOST_LINES: usize = 4;

impl<'a, Q, E, W, D> FailureMessage<'a, Q, W>
where
    Q: Iterator<Item = (Query, E)> + Clone,
    E: Display + PartialEq,
    W: Fn(SocketAddr, AttemptError) -> D,
    D: Display,
{
    /// One line for each address: what became of it. Further ones name the queries that failed, and count the
    /// addresses for which the race had no room.
    pub fn lines(&self) -> impl Iterator<Item = FailureLine<'a, D, E>> {
        let omitted = self.timeline.summary().omitted_destinations;
        let addresses = self
            .timeline
            .destinations()
            .map(|it| FailureLine(LineContent::Address(it.address(), self.fate(it))));
        // Where there is no address, they are the error itself.
        let tells = omitted > 0 || self.timeline.destinations().len() > 0;
        let queries = tells.then(|| self.queries.clone()).into_iter().flatten();
        let host = self.host;
        let queries = queries.map(move |(query, error)| FailureLine(LineContent::Query(host, query, error)));
        addresses.chain(queries).chain((omitted > 0).then_some(FailureLine(LineContent::Omitted(omitted))))
    }

    /// The line of `{}` without the single addresses of several, for a program that prints
    /// [`lines`](Self::lines) below it.
    pub fn summary(&self) -> impl Display {
        MessageSummary(self)
    }

    /// Whether `{}` has the line of the only address, and that is all there is to say.
    pub fn says_all(&self) -> bool {
        self.failure == Failure::AllAttemptsFailed && !self.says_each()
    }

    fn says_each(&self) -> bool {
        self.failure == Failure::AllAttemptsFailed && self.lines().nth(1).is_some()
    }

    fn fate(&self, destination: &Destination) -> AddressFate<D> {
        if let Some(error) = destination.error() {
            return AddressFate::Failed((self.words)(destination.address(), error));
        }
        if destination.was_started() {
            return AddressFate::Said("no answer");
        }
        // It waited for a socket until the end, perhaps because the stack had none left when its turn came.
        let mut attempts = self.timeline.attempts();
        AddressFate::Said(match attempts.any(|attempt| attempt.destination == destination.address()) {
            true => "no socket left",
            false => "not tried",
        })
    }

    /// Why every address has failed: the only one's line, or those that tell most and how many more there
    /// are.
    fn write_reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_host = |it: &Destination| matches!(Host::parse(self.host), Ok(Host::Address(literal)) if literal.ip == it.address().ip());
        if self.says_all() && self.timeline.destinations().all(is_host) {
            // The line names it.
            f.write_str("could not connect to ")?;
        } else {
            write!(f, "could not connect to {}: ", place(self.host, self.port))?;
        }
        let count = self.lines().count();
        let shown = if count > MOST_LINES { MOST_LINES.saturating_sub(1) } else { count };
        // There is no room to sort them: the next is searched each time.
        let mut last = None;
        for index in 0..shown {
            let precedence = |it: &Destination| it.error().map_or(u8::MAX, AttemptError::precedence);
            let precedences = self.timeline.destinations().map(precedence).chain(iter::repeat(u8::MAX));
            let keyed = precedences.zip(0_usize..).zip(self.lines());
            let Some((key, line)) = keyed.filter(|(key, _)| Some(*key) > last).min_by_key(|(key, _)| *key)
            else {
                break;
            };
            last = Some(key);
            write!(f, "{}{line}", if index == 0 { "" } else { "; " })?;
        }
        match count.saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl<Q, E, W, D> Display for FailureMessage<'_, Q, W>
where
    Q: Iterator<Item = (Query, E)> + Clone,
    E: Display + PartialEq,
    W: Fn(SocketAddr, AttemptError) -> D,
    D: Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailureMessage { host, port, failure, .. } = self;
        match failure {
            Failure::DeadlineExceeded if self.timeline.destinations().len() == 0 => {
                write!(f, "could not resolve {host} in the time allowed")?;
                match self.queries.clone().next() {
                    Some(_) => write!(f, ": {}", failures(self.queries.clone())),
                    None => Ok(()),
                }
            }
            Failure::AllAttemptsFailed => self.write_reasons(f),
            _ => write!(f, "could not connect to {}: {failure}", place(host, *port)),
        }
    }
}

/// `example.org port 80`. Where there is no port, as for several hosts, the host alone.
pub fn place(host: &str, port: u16) -> impl Display {
    HostAndPort(host, port)
}

struct HostAndPort<'a>(&'a str, u16);

impl Display for HostAndPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            HostAndPort(host, 0) => f.write_str(host),
            HostAndPort(host, port) => write!(f, "{host} port {port}"),
        }
    }
}

/// A verdict without the single addresses.
struct MessageSummary<'v, V>(&'v V);

impl<Q, E, W, D> Display for MessageSummary<'_, FailureMessage<'_, Q, W>>
where
    Q: Iterator<Item = (Query, E)> + Clone,
    E: Display + PartialEq,
    W: Fn(SocketAddr, AttemptError) -> D,
    D: Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailureMessage { host, port, failure, .. } = self.0;
        match self.0.says_each() {
            true => write!(f, "could not connect to {}: {failure}", place(host, *port)),
            false => self.0.fmt(f),
        }
    }
}

/// The address whose failure [tells most](Timeline::most_telling), and why it failed: the cause of a
/// connect's error where every address has failed, for its [`source`](core::error::Error::source).
///
/// The line of a [`FailureMessage`] names the address and what happened, and [`error`](Self::error) has that
/// as a value. So `{}` says what the line does not: the stack's own number, and where there are several
/// addresses, whose it is.
///
/// ```
/// use connie_core::{AttemptError, AttemptErrorKind, Config, Failure, Input, Instant, Output, Race, verdict::AttemptFailure};
///
/// let now = Instant::ZERO;
/// let mut race = Race::<16, 4>::new(&Config::default(), now);
/// race.handle_addresses(&["192.0.2.1:80".parse().unwrap()], now);
/// let Output::StartAttempt { id, destination } = race.poll_output(now) else { panic!() };
/// let error = AttemptError::new(AttemptErrorKind::Refused).with_number(111);
/// race.handle_input(Input::AttemptFailed { id, error }, now);
/// let cause = AttemptFailure::of_race(Failure::AllAttemptsFailed, &race.timeline()).unwrap();
/// assert_eq!((cause.address(), cause.error()), (destination, error));
/// assert_eq!(cause.to_string(), "error number 111");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptFailure {
    address: SocketAddr,
    error: AttemptError,
    /// Whether it is the only address, so that the number needs no address beside it.
    is_only: bool,
}

impl AttemptFailure {
    /// The cause of a race's failure, where all its addresses have failed; `None` otherwise.
    #[must_use]
    pub fn of_race(failure: Failure, timeline: &Timeline<'_>) -> Option<Self> {
        let (address, error) = timeline.most_telling()?;
        let is_only = timeline.destinations().len() == 1;
        (failure == Failure::AllAttemptsFailed).then_some(AttemptFailure { address, error, is_only })
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why it failed.
    #[must_use]
    pub const fn error(&self) -> AttemptError {
        self.error
    }
}

impl Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.error.number(), self.error.kind()) {
            (Some(number), _) => write!(f, "error number {number}")?,
            (None, AttemptErrorKind::TimedOut) => f.write_str("an attempt's own time has passed")?,
            (None, AttemptErrorKind::Tls(_)) => f.write_str("TCP had connected")?,
            (None, _) => f.write_str("the stack gave no number for it")?,
        }
        if self.is_only { Ok(()) } else { write!(f, " at {}", self.address) }
    }
}

impl core::error::Error for AttemptFailure {}

/// The line for a `host` that is not a host name or address.
pub fn invalid_host(host: &str, error: InvalidHost) -> impl Display {
    InvalidHostLine { host, error, zone: None }
}

/// The line for an address whose zone does not exist on this machine, where zones have names.
pub fn unknown_zone<'a>(host: &'a str, zone: &'a str) -> impl Display + 'a {
    InvalidHostLine { host, error: InvalidHost::Zone, zone: Some(zone) }
}

struct InvalidHostLine<'a> {
    host: &'a str,
    error: InvalidHost,
    zone: Option<&'a str>,
}

impl Display for InvalidHostLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InvalidHostLine { host, error, zone } = self;
        match (error, zone) {
            (InvalidHost::Host(error), _) => write!(f, "{host:?} is not a host name or address: {error}"),
            (InvalidHost::Zone, None) => write!(f, "{host:?}: {error}"),
            (InvalidHost::Zone, Some(zone)) => write!(f, "{host:?}: there is no network interface {zone:?}"),
        }
    }
}

/// Queries that failed, in one line: `AAAA and A queries failed: no answer in time`.
pub fn failures<E: Display + PartialEq>(queries: impl Iterator<Item = (Query, E)> + Clone) -> impl Display {
    QueryFailures(queries)
}

struct QueryFailures<Q>(Q);

impl<E: Display + PartialEq, Q: Iterator<Item = (Query, E)> + Clone> Display for QueryFailures<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.clone();
        match (all.next(), all.next(), all.next()) {
            (Some((aaaa, first)), Some((a, second)), None) if first == second => {
                write!(f, "{} and {} queries failed: {first}", aaaa.record_type(), a.record_type())
            }
            _ => self.0.clone().enumerate().try_for_each(|(index, (query, error))| {
                let apart = if index == 0 { "" } else { "; " };
                write!(f, "{apart}{} query failed: {error}", query.record_type())
            }),
        }
    }
}

/// What became of an address, or what else there is to say below an error: from [`FailureMessage::lines`].
#[derive(Debug)]
pub struct FailureLine<'a, D, E>(LineContent<'a, D, E>);

#[derive(Debug)]
enum LineContent<'a, D, E> {
    Address(SocketAddr, AddressFate<D>),
    Query(&'a str, Query, E),
    Omitted(usize),
}

#[derive(Debug)]
enum AddressFate<D> {
    Failed(D),
    Said(&'static str),
}

impl<D: Display, E: Display> Display for FailureLine<'_, D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            LineContent::Address(address, AddressFate::Failed(words)) => write!(f, "{address}: {words}"),
            LineContent::Address(address, AddressFate::Said(words)) => write!(f, "{address}: {words}"),
            LineContent::Query(host, query, error) => {
                write!(f, "{} query for {} failed: {error}", query.record_type(), query.name(host))
            }
            LineContent::Omitted(count) => write!(f, "{count} more addresses: no room for them in this race"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_queries_that_failed_the_one_that_tells_most_counts() {
        use QueryError::{NoSuchName, Refused, ServerFailure, TimedOut, Unreachable};
        let order = [
            (ServerFailure, ErrorKind::LookupFailed),
            (Refused, ErrorKind::LookupFailed),
            (TimedOut, ErrorKind::LookupTimedOut),
            (Unreachable, ErrorKind::LookupUnreachable),
            (NoSuchName, ErrorKind::NoSuchName),
        ];
        for (index, &(first, kind)) in order.iter().enumerate() {
            for &(second, _) in order.iter().skip(index) {
                for (aaaa, a) in [(first, second), (second, first)] {
                    // The query for the network's prefix says nothing about the name.
                    let all = [(Query::Nat64Prefix, ServerFailure), (Query::Aaaa, aaaa), (Query::A, a)];
                    assert_eq!(ErrorKind::of_queries(all), kind, "{aaaa:?} and {a:?}");
                }
            }
        }
        assert_eq!(ErrorKind::of_queries([]), ErrorKind::NoAddress);
    }
}
