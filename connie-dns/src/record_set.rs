//! Answers: the records of a name, and why a server brought none.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::data::Data;
use crate::record_type::RecordType;
use crate::service_binding::ServiceBindings;

/// What a server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply<const D: usize> {
    pub(crate) found: ReplyKind,
    /// For how many seconds it is valid; 0 if unknown: such an answer must not be cached (RFC 2308
    /// section 5).
    pub(crate) ttl: u32,
    pub(crate) data: Data<D>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    /// Records, in the server's order: addresses one behind the other, or services, each behind its length.
    Records,
    /// The name exists, and has no record of this kind.
    NoData,
    /// The name does not exist.
    NoSuchName,
}

impl<const D: usize> Reply<D> {
    /// An answer without a record.
    pub(crate) const fn empty(found: ReplyKind, ttl: u32) -> Self {
        Reply { found, ttl, data: Data::new() }
    }
}

/// The records of one type that a name has; empty if it has none.
#[derive(Clone, Copy)]
pub struct RecordSet<'a> {
    pub(crate) kind: RecordType,
    /// In seconds.
    pub(crate) ttl: u32,
    pub(crate) octets: &'a [u8],
}

impl<'a> RecordSet<'a> {
    /// The type of the records.
    #[must_use]
    pub const fn kind(&self) -> RecordType {
        self.kind
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// For how many more seconds it is valid, rounded down.
    #[must_use]
    pub const fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The addresses, in the server's order; none if this is about HTTPS records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let size = match self.kind {
            RecordType::A => 4,
            RecordType::Aaaa => 16,
            // No chunk of this size has an address.
            RecordType::Https => 1,
        };
        self.octets.chunks_exact(size).filter_map(address)
    }

    /// The service records, in the server's order; none if this is about addresses. A malformed one is an
    /// [error](crate::ServiceBindingError), and makes the others unusable too.
    #[must_use]
    pub const fn services(&self) -> ServiceBindings<'a> {
        ServiceBindings(match self.kind {
            RecordType::Https => self.octets,
            RecordType::A | RecordType::Aaaa => &[],
        })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

impl fmt::Debug for RecordSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RecordType::Https => f.debug_list().entries(self.services()).finish(),
            RecordType::A | RecordType::Aaaa => f.debug_list().entries(self.addresses()).finish(),
        }
    }
}

/// Why a server brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NameServerError {
    /// It answered with this response code.
    ResponseCode(ResponseCode),
    /// It has no data for the name and does not recurse (RFC 1912 section 2.8 calls this lame).
    Lame,
    /// Its answer cannot be read.
    Malformed,
    /// The aliases in its answer form a loop, or are too many.
    Aliases,
    /// It did not answer in time.
    Silent,
    /// It cannot be reached, or nothing listens there.
    Unreachable,
    /// The answer is too long for a datagram, and TCP is not available or has failed.
    Truncated,
}

impl fmt::Display for NameServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameServerError::ResponseCode(code) => code.fmt(f),
            NameServerError::Lame => f.write_str("has no data for the name and does not recurse"),
            NameServerError::Malformed => f.write_str("malformed answer"),
            NameServerError::Aliases => f.write_str("alias loop, or too many aliases"),
            NameServerError::Silent => f.write_str("no answer"),
            NameServerError::Unreachable => f.write_str("unreachable"),
            NameServerError::Truncated => f.write_str("truncated answer, and no TCP"),
        }
    }
}

impl core::error::Error for NameServerError {}

/// A response code (RFC 6895 section 2.3) that means failure. Codes above 255 are 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResponseCode(pub u8);

impl ResponseCode {
    /// FORMERR: the server cannot read the query.
    pub const FORMAT_ERROR: ResponseCode = ResponseCode(1);
    /// SERVFAIL: the server cannot answer, and may be able to later.
    pub const SERVER_FAILURE: ResponseCode = ResponseCode(2);
    /// NOTIMP: the server does not know such queries.
    pub const NOT_IMPLEMENTED: ResponseCode = ResponseCode(4);
    /// REFUSED: the server refuses to answer.
    pub const REFUSED: ResponseCode = ResponseCode(5);
    /// BADVERS: the server does not know this version of EDNS (RFC 6891 section 9).
    pub const BAD_VERSION: ResponseCode = ResponseCode(16);

    /// Whether the server may not have understood EDNS: FORMERR (RFC 6891 section 7), BADVERS
    /// (section 6.1.3), or NOTIMP from an old server.
    pub(crate) const fn may_be_edns(self) -> bool {
        matches!(self, ResponseCode::FORMAT_ERROR | ResponseCode::NOT_IMPLEMENTED | ResponseCode::BAD_VERSION)
    }

    /// Whether the failure may be temporary.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, ResponseCode::SERVER_FAILURE | ResponseCode::REFUSED)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            ResponseCode::FORMAT_ERROR => "FORMERR",
            ResponseCode::SERVER_FAILURE => "SERVFAIL",
            ResponseCode::NOT_IMPLEMENTED => "NOTIMP",
            ResponseCode::REFUSED => "REFUSED",
            ResponseCode::BAD_VERSION => "BADVERS",
            ResponseCode(other) => return write!(f, "response code {other}"),
        })
    }
}
