//! Answers: what is known of a question.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::data::Data;
use crate::kind::Kind;
use crate::service::Services;

/// What a server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply<const D: usize> {
    pub(crate) found: Found,
    /// For how many seconds it holds; 0 where nothing says so: such an answer is not to be kept (RFC 2308 section 5).
    pub(crate) ttl: u32,
    pub(crate) data: Data<D>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Records, in the server's order: addresses one behind the other, or services, each behind its length.
    Records,
    /// The name exists, and has no record of this kind.
    NoData,
    /// The name does not exist.
    NoSuchName,
}

impl<const D: usize> Reply<D> {
    /// An answer without a record.
    pub(crate) const fn empty(found: Found, ttl: u32) -> Self {
        Reply { found, ttl, data: Data::new() }
    }
}

/// The records of a name, of one kind; none where the name has none of that kind.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    pub(crate) kind: Kind,
    /// In seconds.
    pub(crate) ttl: u32,
    pub(crate) octets: &'a [u8],
}

impl<'a> Answer<'a> {
    /// Of what kind the records are.
    #[must_use]
    pub const fn kind(&self) -> Kind {
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
            Kind::A => 4,
            Kind::Aaaa => 16,
            // No chunk of this size has an address.
            Kind::Https => 1,
        };
        self.octets.chunks_exact(size).filter_map(address)
    }

    /// The service records, in the server's order; none where addresses were asked for. One that breaks the rules is a
    /// [fault](crate::ServiceFault), and makes the others beside it useless.
    #[must_use]
    pub const fn services(&self) -> Services<'a> {
        Services(match self.kind {
            Kind::Https => self.octets,
            Kind::A | Kind::Aaaa => &[],
        })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Https => f.debug_list().entries(self.services()).finish(),
            Kind::A | Kind::Aaaa => f.debug_list().entries(self.addresses()).finish(),
        }
    }
}

/// Why a server brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It answers with this response code.
    Code(Code),
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Code(code) => code.fmt(f),
            Problem::Lame => f.write_str("knows nothing of the name, and asks nobody"),
            Problem::Malformed => f.write_str("an answer that cannot be read"),
            Problem::Aliases => f.write_str("aliases that lead nowhere"),
            Problem::Silent => f.write_str("no answer"),
            Problem::Unreachable => f.write_str("not reached"),
            Problem::Truncated => f.write_str("its answer needs TCP"),
        }
    }
}

/// A response code (RFC 6895 section 2.3), of those that are no answer. Above 255 it is 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// FORMERR: the server cannot read the query.
    pub const FORMAT_ERROR: Code = Code(1);
    /// SERVFAIL: the server cannot answer, and may be able to later.
    pub const SERVER_FAILURE: Code = Code(2);
    /// NOTIMP: the server does not know such queries.
    pub const NOT_IMPLEMENTED: Code = Code(4);
    /// REFUSED: the server does not want to answer.
    pub const REFUSED: Code = Code(5);
    /// BADVERS: the server does not know this version of EDNS (RFC 6891 section 9).
    pub const BAD_VERSION: Code = Code(16);

    /// Whether the server may not have understood EDNS. It says FORMERR (RFC 6891 section 7), BADVERS (section 6.1.3), or, if it is
    /// old, NOTIMP.
    pub(crate) const fn may_be_edns(self) -> bool {
        matches!(self, Code::FORMAT_ERROR | Code::NOT_IMPLEMENTED | Code::BAD_VERSION)
    }

    /// Whether it may pass by itself.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, Code::SERVER_FAILURE | Code::REFUSED)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Code::FORMAT_ERROR => "FORMERR",
            Code::SERVER_FAILURE => "SERVFAIL",
            Code::NOT_IMPLEMENTED => "NOTIMP",
            Code::REFUSED => "REFUSED",
            Code::BAD_VERSION => "BADVERS",
            Code(other) => return write!(f, "response code {other}"),
        })
    }
}
