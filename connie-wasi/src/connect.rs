//! Why a connect brought no connection.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use connie_core::resolution::{Host, HostError, QueryError, is_onion};
use connie_core::{Failure, Timeline};

use crate::error::describe;
use crate::lookup::LookupError;
use crate::report::Report;

/// Why [`connect`](crate::connect()) brought no connection. `{}` is one line: where every address has failed it has the reason
/// of each, or of the few that tell most and how many more there are. `{:?}` has all.
///
/// As a `std::io::Error` (feature `std`) it is `ConnectionAborted` where the program canceled, `TimedOut` at
/// the deadline, and where every address has failed what the failure that tells most is: refused before timed
/// out before unreachable before all else.
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
    /// The host is an IPv6 address in a zone that has a name (`fe80::1%eth0`). WASI knows zones by their numbers alone.
    NamedZone,
    /// The name could not be looked up.
    Resolve(ResolveError),
    /// The race failed. [`ConnectError::addresses`] has what became of each address.
    Race(Failure, Report),
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// It is below `invalid` (RFC 6761 section 6.4) or `onion` (RFC 7686), and is not asked for.
    Nowhere,
    /// What the runtime says.
    Lookup(LookupError),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Nowhere => QueryError::NoSuchName.fmt(f),
            ResolveError::Lookup(error) => error.fmt(f),
        }
    }
}

impl ConnectError {
    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> &ConnectErrorKind {
        &self.kind
    }

    /// What it comes down to, where a race was run.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match &self.kind {
            ConnectErrorKind::Race(failure, _) => Some(*failure),
            _ => None,
        }
    }

    /// Whether the program canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.failure() == Some(Failure::Canceled)
    }

    /// What the race did, if there was one.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline<'_>> {
        match &self.kind {
            ConnectErrorKind::Race(_, report) => Some(report.timeline()),
            _ => None,
        }
    }

    /// One line for each address: what became of it.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let destinations = self.timeline().into_iter().flat_map(|timeline| timeline.destinations());
        destinations.map(|destination| {
            let address = destination.address();
            match destination.error() {
                Some(error) => alloc::format!("{address}: {}", describe(error)),
                None if destination.was_started() => alloc::format!("{address}: no answer"),
                None => alloc::format!("{address}: not tried"),
            }
        })
    }

    /// Why every address has failed: those that tell most first, and how many more there are.
    fn write_reasons(&self, f: &mut fmt::Formatter<'_>, timeline: &Timeline<'_>) -> fmt::Result {
        let ConnectError { host, port, .. } = self;
        let all = timeline.destinations();
        let is = |ip| matches!(Host::parse(host), Ok(Host::Address(literal)) if literal.ip == ip);
        match (all.len(), all.clone().next()) {
            // The line names it.
            (1, Some(only)) if is(only.address().ip()) => f.write_str("could not connect to ")?,
            _ => write!(f, "could not connect to {host} port {port}: ")?,
        }
        let failed = all.clone().filter_map(|it| it.error().map(|error| (it.address(), error)));
        let mut failed: Vec<_> = failed.collect();
        failed.sort_by_key(|(_, error)| error.precedence());
        let shown = if failed.len() > MOST_LINES { MOST_LINES - 1 } else { failed.len() };
        for (index, (address, error)) in failed.iter().take(shown).enumerate() {
            let apart = if index == 0 { "" } else { "; " };
            write!(f, "{apart}{address}: {}", describe(*error))?;
        }
        match all.len().saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// How many addresses go into the line of `{}`.
const MOST_LINES: usize = 4;

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, port, kind } = self;
        match kind {
            ConnectErrorKind::InvalidHost(error) => {
                write!(f, "{host:?} is not a host name or address: {error}")
            }
            ConnectErrorKind::NamedZone => {
                write!(f, "{host:?}: WASI knows zones by number: write one as in fe80::1%2")
            }
            ConnectErrorKind::Resolve(ResolveError::Nowhere) if is_onion(host) => {
                write!(f, "could not resolve {host}: onion names are Tor's and not in DNS (RFC 7686)")
            }
            ConnectErrorKind::Resolve(error) => write!(f, "could not resolve {host}: {error}"),
            ConnectErrorKind::Race(Failure::DeadlineExceeded, report)
                if report.timeline().destinations().len() == 0 =>
            {
                write!(f, "could not resolve {host} in the time allowed")
            }
            ConnectErrorKind::Race(Failure::AllAttemptsFailed, report) => {
                self.write_reasons(f, &report.timeline())
            }
            ConnectErrorKind::Race(failure, _) => {
                write!(f, "could not connect to {host} port {port}: {failure}")
            }
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.addresses().collect();
        match (&self.kind, lines.len()) {
            (_, 0) | (ConnectErrorKind::Race(Failure::AllAttemptsFailed, _), 1) => write!(f, "{self}"),
            (ConnectErrorKind::Race(failure, _), _) => {
                let ConnectError { host, port, .. } = self;
                write!(f, "could not connect to {host} port {port}: {failure} ({})", lines.join("; "))
            }
            _ => write!(f, "{self} ({})", lines.join("; ")),
        }
    }
}

impl core::error::Error for ConnectError {}

#[cfg(feature = "std")]
impl From<ConnectError> for std::io::Error {
    fn from(error: ConnectError) -> Self {
        use connie_core::AttemptErrorKind;
        let kind = match error.failure() {
            Some(Failure::DeadlineExceeded) => std::io::ErrorKind::TimedOut,
            Some(Failure::Canceled) => std::io::ErrorKind::ConnectionAborted,
            Some(_) => match error.timeline().and_then(|it| it.most_telling()).map(|(_, error)| error.kind())
            {
                Some(AttemptErrorKind::Refused) => std::io::ErrorKind::ConnectionRefused,
                Some(AttemptErrorKind::TimedOut) => std::io::ErrorKind::TimedOut,
                Some(AttemptErrorKind::Unreachable) => std::io::ErrorKind::NetworkUnreachable,
                Some(AttemptErrorKind::Reset) => std::io::ErrorKind::ConnectionReset,
                _ => std::io::ErrorKind::Other,
            },
            None => std::io::ErrorKind::Other,
        };
        // From which `get_ref` and `downcast_ref` lead back to it.
        std::io::Error::new(kind, error)
    }
}
