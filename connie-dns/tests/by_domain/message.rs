//! DNS messages (RFC 1035 section 4): writes queries, and reads what an answer means to a lookup.
//!
//! Names, sections and records are taken apart by the crate `domain`; nothing else of this crate sees its
//! types.

use std::fmt;
use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::message::RecordSection;
use domain::base::{Message, MessageBuilder, ParsedName, Rtype, ToName};
use domain::rdata::{A, Aaaa, Cname, Https, Soa};

use super::name::Name;
use super::service::Service;

/// The largest UDP answer that a query allows (RFC 6891 section 6.2.3). 1,232 octets fit into the least
/// packet that every IPv6 link carries, 1,280, so that no answer is lost to fragmentation.
const UDP_PAYLOAD: u16 = 1_232;
/// How many aliases are followed within one answer.
const MAX_ALIASES: usize = 16;
/// How many addresses of one answer are kept: as many as a race has room for.
pub(super) const MAX_ADDRESSES: usize = 128;
/// How many service records of one answer are kept.
const MAX_SERVICES: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Aaaa,
    A,
    Https,
}

impl Kind {
    const fn rtype(self) -> Rtype {
        match self {
            Kind::Aaaa => Rtype::AAAA,
            Kind::A => Rtype::A,
            Kind::Https => Rtype::HTTPS,
        }
    }
}

/// A question: a name, and what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: Kind,
}

/// The query that asks `question`, with recursion desired. `edns` says whether it allows answers beyond 512
/// octets.
pub(super) fn query(question: &Question, id: u16, edns: bool) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(id);
    header.set_rd(true);
    let mut builder = builder.question();
    // A vector takes whatever a name of 255 octets needs.
    let _ = builder.push((&question.name.0, question.kind.rtype()));
    let mut builder = builder.additional();
    if edns {
        let _ = builder.opt(|opt| {
            opt.set_udp_payload_size(UDP_PAYLOAD);
            Ok(())
        });
    }
    builder.finish()
}

/// What a packet says about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: it is not an answer to this query.
    NotOurs,
    /// The answer did not fit: it is available over TCP (RFC 2181 section 9).
    Truncated,
    /// The server cannot or will not answer.
    Refused(Code),
    /// The answer breaks the rules.
    Broken(Fault),
    /// The answer.
    Reply(Reply),
}

/// An answer, and for how many seconds it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) found: Found,
    /// `None` where nothing says so: such an answer is not to be kept (RFC 2308 section 5).
    pub(super) ttl: Option<u32>,
}

/// What an answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Addresses, in the server's order.
    Addresses(Vec<IpAddr>),
    /// Service records, in the server's order.
    Services(Vec<Service>),
    /// The name is an alias of this one, about which the answer says nothing.
    Alias(Name),
    /// The name exists, and has no record of this kind.
    NoData,
    /// The name does not exist.
    NoSuchName,
}

/// The response code of a server that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(OptRcode);

impl Code {
    /// Whether the server may not have understood EDNS. It says FORMERR (RFC 6891 section 7), BADVERS
    /// (section 6.1.3), or, if it is old, NOTIMP.
    pub(super) fn may_be_edns(self) -> bool {
        matches!(self.0, OptRcode::FORMERR | OptRcode::NOTIMP | OptRcode::BADVERS)
    }

    /// Whether the query was refused for who asks or for what, and not for a trouble of the server.
    pub(super) fn is_refusal(self) -> bool {
        self.0 == OptRcode::REFUSED
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How an answer breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It cannot be read.
    Malformed,
    /// Its aliases lead in a circle, or there are more than [`MAX_ALIASES`].
    Aliases,
}

/// Whether a packet came alone or in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Reads a packet that has come from a server that was asked `asked` with this `id`.
pub(super) fn read(packet: &[u8], asked: &Question, id: u16, transport: Transport) -> Said {
    let Ok(message) = Message::from_slice(packet) else { return Said::NotOurs };
    // As a sized view, which the codec's iterators want.
    let message = message.for_slice_ref();
    let header = message.header();
    if !header.qr() || header.id() != id || header.opcode() != Opcode::QUERY {
        return Said::NotOurs;
    }
    let code = message.opt_rcode();
    let answers = matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
    if !repeats(&message, asked, !answers) {
        return Said::NotOurs;
    }
    if header.tc() && transport == Transport::Udp {
        return Said::Truncated;
    }
    let reply = match code {
        OptRcode::NOERROR => records(&message, asked),
        OptRcode::NXDOMAIN => {
            let ttl = negative_ttl(&message, None);
            Ok(Reply { found: Found::NoSuchName, ttl })
        }
        code => return Said::Refused(Code(code)),
    };
    reply.map_or_else(Said::Broken, Said::Reply)
}

/// Whether the message repeats the question. A server that could not read the query may leave it out.
fn repeats(message: &Message<&[u8]>, asked: &Question, may_lack: bool) -> bool {
    if message.header_counts().qdcount() == 0 {
        return may_lack;
    }
    message.sole_question().is_ok_and(|question| {
        question.qtype() == asked.kind.rtype()
            && question.qclass() == Class::IN
            && question.qname().name_eq(&asked.name.0)
    })
}

type Owner<'a> = ParsedName<&'a [u8]>;

/// The records of the answer section that matter to a question.
struct Records<'a> {
    /// An alias, its target, and its time to live.
    aliases: Vec<(Owner<'a>, Owner<'a>, u32)>,
    addresses: Vec<(Owner<'a>, IpAddr, u32)>,
    services: Vec<(Owner<'a>, Service, u32)>,
}

impl<'a> Records<'a> {
    fn read(section: RecordSection<'a, &'a [u8]>, kind: Kind) -> Result<Self, Fault> {
        let mut records = Records { aliases: Vec::new(), addresses: Vec::new(), services: Vec::new() };
        for record in section {
            let record = record.map_err(|_| Fault::Malformed)?;
            if record.class() != Class::IN {
                continue;
            }
            let owner = record.owner().deref_octets();
            let ttl = ttl(record.ttl().as_secs());
            if record.rtype() == Rtype::CNAME {
                let record = record.into_record::<Cname<_>>().map_err(|_| Fault::Malformed)?;
                records.aliases.extend(record.map(|record| (owner, *record.data().cname(), ttl)));
            } else if record.rtype() != kind.rtype() {
                // Signatures, and what else a server adds.
            } else if kind == Kind::A {
                let record = record.into_record::<A>().map_err(|_| Fault::Malformed)?;
                records.addresses.extend(record.map(|record| (owner, record.data().addr().into(), ttl)));
            } else if kind == Kind::Aaaa {
                let record = record.into_record::<Aaaa>().map_err(|_| Fault::Malformed)?;
                records.addresses.extend(record.map(|record| (owner, record.data().addr().into(), ttl)));
            } else {
                let service = match record.into_record::<Https<_, _>>() {
                    Ok(Some(record)) => service(&owner, record.data()),
                    _ => Service::malformed(Name::of(&owner)),
                };
                records.services.push((owner, service, ttl));
            }
        }
        Ok(records)
    }

    /// What there is for `owner`, and the least time to live of it.
    fn found(&self, owner: &Owner<'_>) -> Option<(Found, u32)> {
        let addresses = self.addresses.iter().filter(|(of, ..)| of.name_eq(owner)).take(MAX_ADDRESSES);
        if let Some(ttl) = addresses.clone().map(|(.., ttl)| *ttl).min() {
            return Some((Found::Addresses(addresses.map(|(_, ip, _)| *ip).collect()), ttl));
        }
        let services = self.services.iter().filter(|(of, ..)| of.name_eq(owner)).take(MAX_SERVICES);
        let ttl = services.clone().map(|(.., ttl)| *ttl).min()?;
        Some((Found::Services(services.map(|(_, service, _)| service.clone()).collect()), ttl))
    }
}

/// The record as the lookup wants it.
fn service(owner: &Owner<'_>, data: &Https<&[u8], Owner<'_>>) -> Service {
    let target = if data.target().is_root() { None } else { Some(Name::of(data.target())) };
    Service::parse(Name::of(owner), data.priority(), target, data.params().as_slice())
}

/// What an answer without an error says: the records for the name, or for the one that its aliases lead to.
/// The aliases may stand in any order.
fn records(message: &Message<&[u8]>, asked: &Question) -> Result<Reply, Fault> {
    let section = message.answer().map_err(|_| Fault::Malformed)?;
    let records = Records::read(section, asked.kind)?;
    // The question has been compared with `asked`: from here on both names are views of the message.
    let question = message.sole_question().map_err(|_| Fault::Malformed)?;
    let mut name: Owner<'_> = question.qname().deref_octets();
    let mut least = u32::MAX;
    for hops in 0..=MAX_ALIASES {
        if let Some((found, ttl)) = records.found(&name) {
            return Ok(Reply { found, ttl: Some(ttl.min(least)) });
        }
        let Some((_, target, ttl)) = records.aliases.iter().find(|(alias, ..)| alias.name_eq(&name)) else {
            return Ok(nothing(message, &name, hops > 0, least));
        };
        (name, least) = (*target, least.min(*ttl));
    }
    Err(Fault::Aliases)
}

/// What an answer that has nothing for `name` means. One with the SOA record of a zone around it says that
/// there is nothing (RFC 2308 section 2.2); without, the server may not have followed the alias.
fn nothing(message: &Message<&[u8]>, name: &Owner<'_>, is_alias: bool, aliases_ttl: u32) -> Reply {
    match negative_ttl(message, Some(name)) {
        None if is_alias => Reply { found: Found::Alias(Name::of(name)), ttl: Some(aliases_ttl) },
        ttl => Reply { found: Found::NoData, ttl: ttl.map(|ttl| ttl.min(aliases_ttl)) },
    }
}

/// For how long it holds that there is nothing: the lesser of the SOA record's own time to live and its
/// MINIMUM field (RFC 2308 section 5). `None` where there is no such record, or only of a zone that does not
/// hold `name`.
fn negative_ttl(message: &Message<&[u8]>, name: Option<&Owner<'_>>) -> Option<u32> {
    let mut soas = message.authority().ok()?.limit_to_in::<Soa<_>>();
    let soa = soas.find_map(|record| {
        let record = record.ok()?;
        name.is_none_or(|name| name.ends_with(record.owner())).then_some(record)
    })?;
    Some(ttl(soa.ttl().as_secs()).min(ttl(soa.data().minimum().as_secs())))
}

/// RFC 2181 section 8: "Implementations should treat TTL values received with the most significant bit set as
/// if the entire value received was zero."
const fn ttl(received: u32) -> u32 {
    if received > i32::MAX as u32 { 0 } else { received }
}
