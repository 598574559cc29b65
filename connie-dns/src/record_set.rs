//! Answers: what is known of a question.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::data::Data;
use crate::record_type::RecordType;
use crate::service_binding::ServiceBindings;

/// What a server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply<const D: usize> {
    pub(crate) found: ReplyKind,
    /// For how many seconds it holds; 0 where nothing says so: such an answer is not to be kept (RFC 2308 section 5).
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

/// The records of a name, of one kind; none where the name has none of that kind.
#[derive(Clone, Copy)]
pub struct RecordSet<'a> {
    pub(crate) kind: RecordType,
    /// In seconds.
    pub(crate) ttl: u32,
    pub(crate) octets: &'a [u8],
}

impl<'a> RecordSet<'a> {
    /// Of what kind the records are.
    #[must_use]
    pub const fn kind(&self) -> RecordType {
        self.kind
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// For how many seconds it still holds, rounded down.
    #[must_use]
    pub const fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The addresses, in the server's order; none where services were asked for.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let size = match self.kind {
            RecordType::A => 4,
            RecordType::Aaaa => 16,
            // No chunk of this size has an address.
            RecordType::Https => 1,
        };
        self.octets.chunks_exact(size).filter_map(address)
    }

    /// The service records, in the server's order; none where addresses were asked for. One that breaks the rules is a
    /// [fault](crate::ServiceBindingError), and makes the others beside it useless.
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
#[non_exhaustive]
pub enum NameServerError {
    /// It answers with this response code.
    ResponseCode(ResponseCode),
    /// It knows nothing of the name, and does not ask others (RFC 1912 section 2.8 calls it lame).
    Lame,
    /// Its answer cannot be read.
    Malformed,
    /// The aliases in its answer lead in a circle, or there are too many of them.
    Aliases,
    /// It said nothing in time.
    Silent,
    /// It cannot be reached, or nobody is there.
    Unreachable,
    /// The answer is too long for a datagram, and there is no TCP connection or it brought nothing.
    Truncated,
}

impl fmt::Display for NameServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameServerError::ResponseCode(code) => code.fmt(f),
            NameServerError::Lame => f.write_str("knows nothing of the name, and asks nobody"),
            NameServerError::Malformed => f.write_str("an answer that cannot be read"),
            NameServerError::Aliases => f.write_str("aliases that lead nowhere"),
            NameServerError::Silent => f.write_str("no answer"),
            NameServerError::Unreachable => f.write_str("not reached"),
            NameServerError::Truncated => f.write_str("its answer needs TCP"),
        }
    }
}

/// A response code (RFC 6895 section 2.3), of those that are no answer. Above 255 it is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseCode(pub u8);

impl ResponseCode {
    /// FORMERR: the server cannot read the query.
    pub const FORMAT_ERROR: ResponseCode = ResponseCode(1);
    /// SERVFAIL: the server cannot answer, and may be able to later.
    pub const SERVER_FAILURE: ResponseCode = ResponseCode(2);
    /// NOTIMP: the server does not know such queries.
    pub const NOT_IMPLEMENTED: ResponseCode = ResponseCode(4);
    /// REFUSED: the server does not want to answer.
    pub const REFUSED: ResponseCode = ResponseCode(5);
    /// BADVERS: the server does not know this version of EDNS (RFC 6891 section 9).
    pub const BAD_VERSION: ResponseCode = ResponseCode(16);

    /// Whether the server may not have understood EDNS. It says FORMERR (RFC 6891 section 7), BADVERS (section 6.1.3), or, if it is
    /// old, NOTIMP.
    pub(crate) const fn may_be_edns(self) -> bool {
        matches!(self, ResponseCode::FORMAT_ERROR | ResponseCode::NOT_IMPLEMENTED | ResponseCode::BAD_VERSION)
    }

    /// Whether it may pass by itself.
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
