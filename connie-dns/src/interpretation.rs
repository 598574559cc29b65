//! Reads what an answer means to a question (RFC 1035 section 4, RFC 2308).

use crate::cursor::{Cursor, NameAt, Record, Section};
use crate::data::Data;
use crate::name::Name;
use crate::query::{CLASS_IN, OPT, capital};
use crate::record_set::{NameServerError, Reply, ReplyKind, ResponseCode};
use crate::record_type::RecordType;

/// How many aliases are followed within one answer.
const MOST_ALIASES: usize = 16;

const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentQuery<'a> {
    /// As octets of a message, in lower case.
    pub(crate) name: &'a [u8],
    pub(crate) kind: RecordType,
    pub(crate) id: u16,
    /// Which letters were written as capitals, where the answer must repeat them.
    pub(crate) case: Option<u32>,
}

/// How a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceivedBy {
    /// In a datagram. What does not fit is fetched over TCP.
    Datagram,
    /// In a datagram, where there is no TCP.
    OnlyDatagram,
    /// In a TCP connection.
    Stream,
}

/// What a message says about a question.
#[derive(Clone, Debug)]
pub(crate) enum Interpretation<const N: usize, const D: usize> {
    /// Nothing: it is not an answer to this query.
    NotOurs,
    /// Why it cannot be used.
    Unusable(NameServerError),
    /// The name is an alias of this one, about which the answer says nothing. For how many seconds that
    /// holds.
    Alias(Name<N>, u32),
    Answer(Reply<D>),
}

/// Reads what has come from a server that was asked `asked`.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn read<const N: usize, const D: usize>(
    octets: &[u8],
    asked: &SentQuery<'_>,
    way: ReceivedBy,
) -> Interpretation<N, D> {
    let Some((header, body)) = octets.split_first_chunk::<12>() else { return Interpretation::NotOurs };
    // RFC 1035 section 4.1.1: the id, two octets of flags, and how many questions and records there are in
    // each section.
    let [id_high, id_low, first, second, questions_high, questions, a, b, c, d, e, f] = *header;
    let (code, is_truncated) = (second & 0x0f, first & 0x02 != 0);
    // The flag QR, and no operation but QUERY.
    if first & 0xf8 != 0x80 || [id_high, id_low] != asked.id.to_be_bytes() {
        return Interpretation::NotOurs;
    }
    let repeats = (questions_high, questions) == (0, 1) && repeats(body, asked);
    // A server that could not read the query may leave the question out.
    let may_lack = (questions_high, questions) == (0, 0) && !matches!(code, 0 | 3);
    if !repeats && !may_lack {
        return Interpretation::NotOurs;
    }
    if is_truncated && way == ReceivedBy::Datagram {
        return Interpretation::Unusable(NameServerError::Truncated);
    }
    if !repeats {
        return Interpretation::Unusable(NameServerError::ResponseCode(ResponseCode(code)));
    }
    let count = |high, low| u16::from_be_bytes([high, low]);
    // Behind the header, the name, and its type and class.
    let rest = Cursor::new(octets, asked.name.len().saturating_add(16));
    let answers = Section::new(rest, count(a, b));
    let authority = answers.next_section(count(c, d));
    let additional = authority.and_then(|section| section.next_section(count(e, f)));
    let records = Records { answers, authority, asked: asked.kind };
    let mut said = match (additional.map_or(0, extended_code), code) {
        // The flags AA and RA: it is an authority, or asks others where it does not know.
        (0, 0 | 3) => {
            let is_competent = first & 0x04 != 0 || second & 0x80 != 0;
            records.said(NameAt::new(octets, 12), code == 3, is_competent)
        }
        // The lower four bits are those of the header (RFC 6891 section 6.1.3).
        (extended, code) => {
            Interpretation::Unusable(NameServerError::ResponseCode(ResponseCode(if extended < 16 {
                extended << 4 | code
            } else {
                u8::MAX
            })))
        }
    };
    if is_truncated {
        // There is no other way to have it. Addresses that it has are addresses, but not to be kept, since
        // more may be missing. What it does not have may be what did not fit.
        match &mut said {
            Interpretation::Answer(reply) if reply.found != ReplyKind::NoData => reply.ttl = 0,
            Interpretation::Unusable(NameServerError::ResponseCode(_)) => {}
            _ => return Interpretation::Unusable(NameServerError::Truncated),
        }
    }
    said
}

/// Whether the question is the one that was asked.
fn repeats(body: &[u8], asked: &SentQuery<'_>) -> bool {
    let Some((name, rest)) = body.split_at_checked(asked.name.len()) else { return false };
    let mut case = asked.case.unwrap_or_default();
    let is_same = name.iter().zip(asked.name).all(|(own, asked_octet)| {
        let octet = capital(*asked_octet, &mut case);
        *own == octet || asked.case.is_none() && own.eq_ignore_ascii_case(&octet)
    });
    let [high, low] = asked.kind.number().to_be_bytes();
    is_same && rest.starts_with(&[high, low, 0, CLASS_IN])
}

/// The upper eight bits of the response code, in the OPT record (RFC 6891 section 6.1.3).
fn extended_code(mut additional: Section<'_>) -> u8 {
    let [code, ..] =
        additional.find(|record| record.number == u16::from(OPT)).map_or(0, |opt| opt.ttl).to_be_bytes();
    code
}

/// The records of a message that matter to a question.
struct Records<'m> {
    answers: Section<'m>,
    /// `None` where the message ends before it.
    authority: Option<Section<'m>>,
    asked: RecordType,
}

impl<'m> Records<'m> {
    /// What an answer without an error says, or one that denies the name: the records for the name, or for
    /// the one that its aliases lead to, which is also the one that is denied (RFC 6604 section 3). The
    /// aliases may stand in any order. A record that is malformed counts as if it were not there, unless
    /// there is nothing else.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn said<const N: usize, const D: usize>(
        &self,
        asked: NameAt<'m>,
        denied: bool,
        is_competent: bool,
    ) -> Interpretation<N, D> {
        let (mut name, mut least, mut spoilt) = (asked, u32::MAX, !self.answers.is_whole());
        for hops in 0..=MOST_ALIASES {
            let mut data = Data::new();
            if denied {
                // Its own records would speak against it.
            } else if let Some(ttl) = self.collect(name, &mut data, &mut spoilt) {
                return Interpretation::Answer(Reply {
                    found: ReplyKind::Records,
                    ttl: ttl.min(least),
                    data,
                });
            }
            match self.alias(name, &mut spoilt) {
                Some((target, ttl)) => (name, least) = (target, least.min(ttl)),
                None if denied => {
                    let ttl = self.negative_ttl(name).unwrap_or(0).min(least);
                    return Interpretation::Answer(Reply::empty(ReplyKind::NoSuchName, ttl));
                }
                None if spoilt => return Interpretation::Unusable(NameServerError::Malformed),
                None => return self.nothing(name, hops > 0, least, is_competent),
            }
        }
        // They lead in a circle, or there are more than that.
        Interpretation::Unusable(NameServerError::Aliases)
    }

    /// Takes the records of `owner`. The least time to live of them; `None` where there is none.
    fn collect<const D: usize>(
        &self,
        owner: NameAt<'_>,
        data: &mut Data<D>,
        spoilt: &mut bool,
    ) -> Option<u32> {
        let mut least = None;
        for record in self.answers {
            if record.class != u16::from(CLASS_IN)
                || record.number != self.asked.number()
                || !record.owner.is(owner)
            {
                continue;
            }
            match self.asked {
                RecordType::A if record.data().len() == 4 => data.push(record.data()),
                RecordType::Aaaa if record.data().len() == 16 => data.push(record.data()),
                // Its length before it. It is taken apart when it is looked at.
                RecordType::Https => data.push(record.sized),
                RecordType::A | RecordType::Aaaa => {
                    *spoilt = true;
                    continue;
                }
            }
            least = Some(least.unwrap_or(u32::MAX).min(ttl(record.ttl)));
        }
        // Where there is room for none, nothing is known.
        least.filter(|_| !data.is_empty())
    }

    /// What `owner` is an alias of, and for how many seconds.
    fn alias(&self, owner: NameAt<'_>, spoilt: &mut bool) -> Option<(NameAt<'m>, u32)> {
        let is_alias = |record: &Record<'_>| {
            record.class == u16::from(CLASS_IN) && record.number == CNAME && record.owner.is(owner)
        };
        let mut aliases = self.answers.filter(is_alias);
        aliases.find_map(|record| match record.names(1) {
            Some((target, [])) => Some((target, ttl(record.ttl))),
            _ => {
                *spoilt = true;
                None
            }
        })
    }

    /// What an answer that has nothing for `name` means. One with the SOA record of a zone around it says
    /// that there is nothing; one with NS records and without it refers to other servers (RFC 2308
    /// section 2.2). Without either, the server may not have followed the alias, or may not be the one to
    /// ask.
    fn nothing<const N: usize, const D: usize>(
        &self,
        name: NameAt<'_>,
        is_alias: bool,
        least: u32,
        is_competent: bool,
    ) -> Interpretation<N, D> {
        match self.negative_ttl(name) {
            Ok(ttl) => Interpretation::Answer(Reply::empty(ReplyKind::NoData, ttl.min(least))),
            Err(_) if is_alias => {
                name.to_name().map_or(Interpretation::Unusable(NameServerError::Malformed), |name| {
                    Interpretation::Alias(name, least)
                })
            }
            Err(false) if is_competent => Interpretation::Answer(Reply::empty(ReplyKind::NoData, 0)),
            Err(_) => Interpretation::Unusable(NameServerError::Lame),
        }
    }

    /// For how many seconds it holds that there is nothing: the lesser of the SOA record's own time to live
    /// and its MINIMUM field (RFC 2308 section 5). An error where there is no such record, or only of a zone
    /// that does not hold `name`: whether the answer refers to other servers.
    fn negative_ttl(&self, name: NameAt<'_>) -> Result<u32, bool> {
        let mut refers = false;
        for record in self.authority.ok_or(false)? {
            refers |= record.number == NS;
            if record.class != u16::from(CLASS_IN) || record.number != SOA {
                continue;
            }
            // Two names and five numbers, of which MINIMUM is the last (RFC 1035 section 3.3.13).
            let numbers = record.names(2).and_then(|(_, numbers)| <&[u8; 20]>::try_from(numbers).ok());
            let minimum = numbers.and_then(|numbers| numbers.last_chunk::<4>());
            let minimum = minimum.filter(|_| name.is_within(record.owner));
            if let Some(minimum) = minimum {
                return Ok(ttl(record.ttl).min(ttl(u32::from_be_bytes(*minimum))));
            }
        }
        Err(refers)
    }
}

/// RFC 2181 section 8: "Implementations should treat TTL values received with the most significant bit set as
/// if the entire value received was zero."
const fn ttl(received: u32) -> u32 {
    if received > i32::MAX as u32 { 0 } else { received }
}
