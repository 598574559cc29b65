//! Queries, and how they can fail.

use core::fmt;

use super::nat64::WELL_KNOWN_NAME;
use crate::race::Family;

/// Why a query brought no answer. That a name has no address of the family is an answer, an empty one, and no
/// error.
///
/// Which of these a resolver can tell apart depends on the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// This machine had no socket left to ask with.
    OutOfSockets,
    /// The resolver reports a failure that may be temporary, without a reason.
    Temporary,
    /// The resolver reports a failure without a reason.
    Failed,
}

impl QueryError {
    /// How much it says about a name whose queries have failed in different ways, from 0, the most: that a
    /// server or resolver failed, or that there was no socket to ask one; that none answered in time; that
    /// none could be reached; and last that there is no such name, since many resolvers say that also of a
    /// name without addresses of the one family.
    #[must_use]
    pub const fn precedence(self) -> u8 {
        match self {
            QueryError::ServerFailure
            | QueryError::Refused
            | QueryError::Malformed
            | QueryError::OutOfSockets
            | QueryError::Temporary
            | QueryError::Failed => 0,
            QueryError::TimedOut => 1,
            QueryError::Unreachable => 2,
            QueryError::NoSuchName => 3,
        }
    }
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
            QueryError::OutOfSockets => "no socket left to ask a name server",
            QueryError::Temporary => "a temporary failure of name resolution",
            QueryError::Failed => "name resolution failed",
        })
    }
}

impl core::error::Error for QueryError {}

/// A query of a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Query {
    /// For the name's IPv6 addresses.
    Aaaa,
    /// For the name's IPv4 addresses.
    A,
    /// For the network's NAT64 prefix: the AAAA records of [`WELL_KNOWN_NAME`].
    Nat64Prefix,
}

impl Query {
    /// All, in the order of sending: "the AAAA query SHOULD be sent first, followed by the A query" (RFC 8305
    /// section 3).
    pub const ALL: [Query; 3] = [Query::Aaaa, Query::A, Query::Nat64Prefix];

    /// The query for the addresses of `family`.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        match family {
            Family::V4 => Query::A,
            Family::V6 => Query::Aaaa,
        }
    }

    /// The name that is asked for, where the resolution is one of `host`.
    #[must_use]
    pub const fn name(self, host: &str) -> &str {
        match self {
            Query::Aaaa | Query::A => host,
            Query::Nat64Prefix => WELL_KNOWN_NAME,
        }
    }

    /// The type of record that is asked for.
    #[must_use]
    pub const fn record_type(self) -> &'static str {
        match self {
            Query::Aaaa | Query::Nat64Prefix => "AAAA",
            Query::A => "A",
        }
    }
}

/// A query that failed. `{}` names it: `AAAA query for example.org failed: no answer in time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryFailure<'a> {
    /// The name of the resolution.
    pub host: &'a str,
    /// The query.
    pub query: Query,
    /// Why it failed.
    pub error: QueryError,
}

impl fmt::Display for QueryFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueryFailure { host, query, error } = self;
        write!(f, "{} query for {} failed: {error}", query.record_type(), query.name(host))
    }
}

impl core::error::Error for QueryFailure<'_> {}
