//! Why a connect brought no connection.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::{fmt, iter, slice};

use connie_core::connect::InvalidHost;
use connie_core::resolution::{HostError, Query, QueryError, is_onion};
use connie_core::verdict::{AttemptFailure, ErrorKind, FailureMessage, invalid_host};
use connie_core::{AttemptError, Failure, Timeline};

#[cfg(feature = "dns")]
use crate::dns::DnsError;
use crate::error::RuntimeMessage;
use crate::lookup::RuntimeLookupError;
use crate::options::Resolver;
use crate::report::Report;

/// Why [`connect`](crate::connect()) brought no connection. `{}` is one line: where every address has failed
/// it has the reason of each, or of the few that tell most and how many more there are. `{:?}` has all.
/// [`source`](core::error::Error::source) is then the [`AttemptFailure`] that says most.
///
/// As a `std::io::Error` (feature `std`) it is `ConnectionAborted` where the program canceled, `TimedOut` at
/// the deadline, and where every address has failed what the failure that tells most is: refused before timed
/// out before unreachable before all else. A text that is not a host name or address is `InvalidInput`.
pub struct ConnectError {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: ConnectErrorKind,
    /// Those that name servers have not answered.
    queries: Box<[(Query, QueryError)]>,
    /// Where every address has failed.
    cause: Option<AttemptFailure>,
}

/// What kind of thing went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host is neither a name nor an address.
    InvalidHost(HostError),
    /// The host is an IPv6 address in a zone that has a name (`fe80::1%eth0`). WASI knows zones by their
    /// numbers alone.
    NamedZone,
    /// A text that was to be a host and a port is not.
    InvalidTarget,
    /// The name could not be looked up.
    Resolve(ResolveError),
    /// The race failed. [`ConnectError::addresses`] has what became of each address.
    Race(Failure, Report),
}

/// Why a name has no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// It is below `invalid` (RFC 6761 section 6.4) or `onion` (RFC 7686), and is not asked for.
    Nowhere,
    /// What the runtime says.
    Lookup(RuntimeLookupError),
    /// What name servers say, or do not say.
    #[cfg(feature = "dns")]
    Dns(DnsError),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Nowhere => QueryError::NoSuchName.fmt(f),
            ResolveError::Lookup(error) => error.fmt(f),
            #[cfg(feature = "dns")]
            ResolveError::Dns(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ResolveError::Nowhere => None,
            // Its own words are those of `{}`.
            ResolveError::Lookup(error) => error.source(),
            #[cfg(feature = "dns")]
            ResolveError::Dns(error) => error.source(),
        }
    }
}

impl ConnectError {
    pub(crate) fn new(host: String, port: u16, kind: ConnectErrorKind, resolver: &Resolver) -> Self {
        let cause = match &kind {
            ConnectErrorKind::Race(failure, report) => AttemptFailure::of_race(*failure, &report.timeline()),
            _ => None,
        };
        let queries = match (&kind, resolver) {
            #[cfg(feature = "dns")]
            (ConnectErrorKind::Race(_, report), Resolver::Dns(_)) => {
                report.0.connect().failures(&host).map(|failed| (failed.query, failed.error)).collect()
            }
            // One question asks for both families, and its failure is an error of its own.
            _ => Box::default(),
        };
        ConnectError { host, port, kind, queries, cause }
    }

    /// What kind of thing kept it from a connection: the same on every platform.
    #[must_use]
    pub fn error_kind(&self) -> ErrorKind {
        match &self.kind {
            ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::NamedZone
            | ConnectErrorKind::InvalidTarget => ErrorKind::InvalidHost,
            ConnectErrorKind::Resolve(ResolveError::Nowhere) => ErrorKind::NoSuchName,
            ConnectErrorKind::Resolve(ResolveError::Lookup(error)) => {
                ErrorKind::of_queries([(Query::Aaaa, error.query_error())])
            }
            #[cfg(feature = "dns")]
            ConnectErrorKind::Resolve(ResolveError::Dns(error)) => {
                ErrorKind::of_queries(error.failures().iter().copied())
            }
            ConnectErrorKind::Race(failure, report) => ErrorKind::of_race(*failure, &report.timeline()),
        }
    }

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
        self.verdict().into_iter().flat_map(|verdict| {
            let lines: Vec<_> = verdict.lines().map(|line| line.to_string()).collect();
            lines
        })
    }

    /// What the core makes of it, where a race was run.
    fn verdict(&self) -> Option<FailureMessage<'_, Queries<'_>, DescribeAttempt>> {
        let ConnectErrorKind::Race(failure, report) = &self.kind else { return None };
        let (host, port, failure) = (self.host.as_str(), self.port, *failure);
        let queries = self.queries.iter().copied();
        let words: DescribeAttempt = |_, error| RuntimeMessage(error);
        Some(FailureMessage { host, port, failure, timeline: report.timeline(), queries, words })
    }
}

/// The queries that failed.
type Queries<'a> = iter::Copied<slice::Iter<'a, (Query, QueryError)>>;

/// The words for the error of an address.
type DescribeAttempt = fn(SocketAddr, AttemptError) -> RuntimeMessage;

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectError { host, kind, .. } = self;
        match kind {
            ConnectErrorKind::InvalidHost(error) => invalid_host(host, (*error).into()).fmt(f),
            ConnectErrorKind::NamedZone => invalid_host(host, InvalidHost::Zone).fmt(f),
            ConnectErrorKind::InvalidTarget => {
                write!(f, "{host:?} is not HOST:PORT: add the port, and write an IPv6 address in brackets")
            }
            ConnectErrorKind::Resolve(ResolveError::Nowhere) if is_onion(host) => {
                write!(f, "could not resolve {host}: onion names are Tor's and not in DNS (RFC 7686)")
            }
            ConnectErrorKind::Resolve(error) => write!(f, "could not resolve {host}: {error}"),
            ConnectErrorKind::Race(..) => self.verdict().map_or(Ok(()), |verdict| verdict.fmt(f)),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(verdict) = self.verdict() else { return write!(f, "{self}") };
        write!(f, "{}", verdict.summary())?;
        let lines: Vec<String> = self.addresses().filter(|_| !verdict.says_all()).collect();
        if lines.is_empty() { Ok(()) } else { write!(f, " ({})", lines.join("; ")) }
    }
}

impl core::error::Error for ConnectError {
    /// Where every address has failed, the [`AttemptFailure`] that says most, whose words are what the line
    /// of `{}` does not say. Another cause stands in the line itself.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            ConnectErrorKind::Resolve(error) => error.source(),
            _ => self.cause.as_ref().map(|cause| cause as _),
        }
    }
}

#[cfg(feature = "std")]
impl From<ConnectError> for std::io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match error.error_kind() {
            ErrorKind::InvalidHost => std::io::ErrorKind::InvalidInput,
            ErrorKind::TimedOut => std::io::ErrorKind::TimedOut,
            ErrorKind::Canceled => std::io::ErrorKind::ConnectionAborted,
            ErrorKind::Refused => std::io::ErrorKind::ConnectionRefused,
            ErrorKind::Unreachable => std::io::ErrorKind::NetworkUnreachable,
            ErrorKind::Reset => std::io::ErrorKind::ConnectionReset,
            _ => std::io::ErrorKind::Other,
        };
        // From which `get_ref` and `downcast_ref` lead back to it.
        std::io::Error::new(kind, error)
    }
}
