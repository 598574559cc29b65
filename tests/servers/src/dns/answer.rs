//! What the server says, when, and how it goes wrong.

use std::net::IpAddr;
use std::time::Duration;

use super::RecordType;
use super::message::{CNAME, Query, Record, Reply, name};

/// SERVFAIL and its like (RFC 1035 section 4.1.1).
const FORMERR: u8 = 1;
const NXDOMAIN: u8 = 3;
/// How long answers hold unless a test says otherwise, in seconds.
const TTL: u32 = 300;
/// The largest datagram without EDNS.
const PLAIN_PAYLOAD: u16 = 512;

/// An answer of a [`DnsServer`](super::DnsServer).
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use connie_servers::{DnsAnswer, Quirk};
/// use std::time::Duration;
///
/// let late = DnsAnswer::addresses(&["192.0.2.1".parse().unwrap()]).after(Duration::from_millis(200));
/// let chain = late.clone().through(&["a.test", "b.test"]);
/// let forged = DnsAnswer::no_data().quirk(Quirk::WrongId);
/// # let _ = (chain, forged);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DnsAnswer {
    records: Vec<Record>,
    code: u8,
    soa: Option<u32>,
    delay: Duration,
    silent: bool,
    drops: u32,
    truncated: bool,
    quirks: Vec<Quirk>,
}

/// How an answer goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Before the answer comes one with another id, and with addresses that nobody has.
    WrongId,
    /// Before the answer comes one from a port that was not asked, with addresses that nobody has.
    WrongSource,
    /// Before the answer comes one to another question, with addresses that nobody has.
    WrongQuestion,
    /// Before the answer come packets that are no DNS messages.
    Garbage,
    /// The answer ends in the middle of a record.
    CutShort,
    /// A query with EDNS is answered with FORMERR, and without the question.
    NoEdns,
    /// Over TCP the connection is closed in place of an answer.
    HangUp,
    /// The aliases stand in the answer in the wrong order, behind what they lead to.
    Backwards,
}

impl DnsAnswer {
    fn new(code: u8, records: Vec<Record>) -> Self {
        let soa = if records.is_empty() && matches!(code, 0 | NXDOMAIN) { Some(TTL) } else { None };
        DnsAnswer {
            records,
            code,
            soa,
            delay: Duration::ZERO,
            silent: false,
            drops: 0,
            truncated: false,
            quirks: Vec::new(),
        }
    }

    /// These addresses. None makes it [`no_data`](Self::no_data).
    #[must_use]
    pub fn addresses(addresses: &[IpAddr]) -> Self {
        let record = |address: &IpAddr| match address {
            IpAddr::V4(v4) => (RecordType::A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (RecordType::Aaaa, v6.octets().to_vec()),
        };
        let records = addresses.iter().map(record);
        let records = records.map(|(kind, data)| Record { owner: None, kind: kind.number(), ttl: TTL, data });
        Self::new(0, records.collect())
    }

    /// These HTTPS records: see [`https`].
    #[must_use]
    pub fn services(records: &[Vec<u8>]) -> Self {
        let kind = RecordType::Https.number();
        let record = |data: &Vec<u8>| Record { owner: None, kind, ttl: TTL, data: data.clone() };
        Self::new(0, records.iter().map(record).collect())
    }

    /// The name exists, and has nothing of this type.
    #[must_use]
    pub fn no_data() -> Self {
        Self::new(0, Vec::new())
    }

    /// The name does not exist.
    #[must_use]
    pub fn no_such_name() -> Self {
        Self::new(NXDOMAIN, Vec::new())
    }

    /// An error: 2 is SERVFAIL, 5 REFUSED (RFC 1035 section 4.1.1).
    #[must_use]
    pub fn code(code: u8) -> Self {
        Self::new(code, Vec::new())
    }

    /// No answer, ever.
    #[must_use]
    pub fn silent() -> Self {
        DnsAnswer { silent: true, ..Self::no_data() }
    }

    /// The name is an alias of `target`, and the server does not look that up itself.
    #[must_use]
    pub fn alias(target: &str) -> Self {
        Self::new(0, vec![Record { owner: None, kind: CNAME, ttl: TTL, data: name(target) }])
    }

    /// The name is an alias of the first of `names`, that of the next, and the last has what the answer says.
    #[must_use]
    pub fn through(mut self, names: &[&str]) -> Self {
        let Some(last) = names.last() else { return self };
        for record in &mut self.records {
            record.owner.get_or_insert_with(|| (*last).to_owned());
        }
        let mut owner = None;
        let mut records = Vec::new();
        for target in names {
            records.push(Record { owner, kind: CNAME, ttl: TTL, data: name(target) });
            owner = Some((*target).to_owned());
        }
        records.append(&mut self.records);
        self.records = records;
        self
    }

    /// Its time to live in seconds, and that of an answer that there is nothing.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        for record in &mut self.records {
            record.ttl = seconds;
        }
        self.soa = self.soa.map(|_| seconds);
        self
    }

    /// Nothing says for how long there is nothing.
    #[must_use]
    pub fn without_soa(mut self) -> Self {
        self.soa = None;
        self
    }

    /// It comes this long after the query.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The first `count` queries are lost.
    #[must_use]
    pub const fn dropping(mut self, count: u32) -> Self {
        self.drops = count;
        self
    }

    /// It does not fit into a datagram, whatever it holds.
    #[must_use]
    pub const fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    /// It goes wrong like this too.
    #[must_use]
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.push(quirk);
        self
    }

    pub(super) const fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether a query that has just come is answered.
    pub(super) fn answers_now(&mut self) -> bool {
        if self.drops > 0 {
            self.drops -= 1;
            return false;
        }
        !self.silent
    }

    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// The packets to answer with, in their order, and the quirk for which each is sent.
    pub(super) fn packets(&self, query: &Query, packet: &[u8], tcp: bool) -> Vec<(Vec<u8>, Option<Quirk>)> {
        if self.has(Quirk::NoEdns) && query.payload.is_some() {
            let header = [packet[0], packet[1], 0x81, 0x80 | FORMERR, 0, 0, 0, 0, 0, 0, 0, 0];
            return vec![(header.to_vec(), None)];
        }
        let mut packets = Vec::new();
        if !tcp {
            packets.extend(self.quirks.iter().flat_map(|quirk| forged(*quirk, query)));
        }
        let mut records = self.records.clone();
        if self.has(Quirk::Backwards) {
            records.reverse();
        }
        let reply = |truncated| {
            let soa = self.soa;
            Reply { query, code: self.code, truncated, answers: &records, soa }.write()
        };
        let mut answer = reply(self.truncated && !tcp);
        if !tcp && answer.len() > usize::from(query.payload.unwrap_or(PLAIN_PAYLOAD)) {
            answer = reply(true);
        }
        if self.has(Quirk::CutShort) {
            answer.truncate(answer.len() - 15);
        }
        let hang_up = (tcp && self.has(Quirk::HangUp)).then_some(Quirk::HangUp);
        packets.push((answer, hang_up));
        packets
    }
}

/// The packets that come before the answer.
fn forged(quirk: Quirk, query: &Query) -> Vec<(Vec<u8>, Option<Quirk>)> {
    let nobody = match query.kind {
        RecordType::Aaaa => DnsAnswer::addresses(&["100::dead".parse().expect("an address")]),
        _ => DnsAnswer::addresses(&["192.0.2.66".parse().expect("an address")]),
    };
    let mut packet = Reply { query, code: 0, truncated: false, answers: &nobody.records, soa: None }.write();
    match quirk {
        Quirk::WrongId => packet[1] ^= 1,
        Quirk::WrongSource => {}
        // The last letter of the first label.
        Quirk::WrongQuestion => packet[12 + usize::from(query.question[0])] ^= 1,
        Quirk::Garbage => {
            let same_id = [&packet[..2], b"\xff\xff\xff\xff"].concat();
            return [Vec::new(), vec![0], vec![0xff; 600], same_id].map(|it| (it, None)).into();
        }
        Quirk::CutShort | Quirk::NoEdns | Quirk::HangUp | Quirk::Backwards => return Vec::new(),
    }
    vec![(packet, Some(quirk))]
}

/// The data of an HTTPS record (RFC 9460 section 2.2). `target` is `.` for the record's own name; the
/// parameters are keys and values, which must be in the order of the keys.
#[must_use]
pub fn https(priority: u16, target: &str, parameters: &[(u16, &[u8])]) -> Vec<u8> {
    let mut data = priority.to_be_bytes().to_vec();
    data.extend(name(target));
    for (key, value) in parameters {
        data.extend(key.to_be_bytes());
        data.extend(u16::try_from(value.len()).expect("a value is short").to_be_bytes());
        data.extend(*value);
    }
    data
}
