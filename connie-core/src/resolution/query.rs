//! Queries, and how they can fail.

use core::fmt;

use crate::race::Family;

/// Why a query brought no answer. That a name has no address of the family is an answer, an empty one, and no error.
///
/// Which of these a resolver can tell apart depends on the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryError {
    /// The name does not exist (NXDOMAIN, RFC 2308 section 2.1).
    NoSuchName,
    /// The server could not answer (SERVFAIL), and may be able to later.
    ServerFailure,
    /// The server does not answer such queries (REFUSED).
    Refused,
    /// No server answered in time.
    TimedOut,
    /// No server could be reached, or none is known.
    Unreachable,
    /// The answer could not be understood.
    Malformed,
    /// The resolver says that it failed, and that it may not the next time, and not why.
    Temporary,
    /// The resolver says that it failed, and not why.
    Failed,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueryError::NoSuchName => "no such name",
            QueryError::ServerFailure => "the name server could not answer (SERVFAIL)",
            QueryError::Refused => "the name server refused to answer (REFUSED)",
            QueryError::TimedOut => "no answer in time",
            QueryError::Unreachable => "no name server could be reached",
            QueryError::Malformed => "the answer could not be understood",
            QueryError::Temporary => "a temporary failure of name resolution",
            QueryError::Failed => "name resolution failed",
        })
    }
}

impl core::error::Error for QueryError {}

/// The type of record that holds a family's addresses: `A` or `AAAA`.
#[must_use]
pub const fn record_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    }
}
