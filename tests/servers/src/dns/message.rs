//! DNS messages as octets (RFC 1035 section 4.1).

use super::RecordType;

impl RecordType {
    pub(super) const fn number(self) -> u16 {
        match self {
            RecordType::A => 1,
            RecordType::Aaaa => 28,
            RecordType::Https => 65,
            RecordType::Other(number) => number,
        }
    }

    const fn of(number: u16) -> Self {
        match number {
            1 => RecordType::A,
            28 => RecordType::Aaaa,
            65 => RecordType::Https,
            other => RecordType::Other(other),
        }
    }
}

/// The number of the type CNAME.
pub(super) const CNAME: u16 = 5;
const SOA: u16 = 6;
const OPT: u16 = 41;
const HEADER: usize = 12;

/// What the server needs of a query.
pub(super) struct Query {
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) kind: RecordType,
    /// The largest datagram that the client takes, where it says so.
    pub(super) payload: Option<u16>,
    /// The question section as it came.
    pub(super) question: Vec<u8>,
}

impl Query {
    /// Reads a query with one question; `None` for anything else.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        let (id, flags, questions, additional) = (number(0)?, number(2)?, number(4)?, number(10)?);
        // A query of the standard kind, and with recursion desired as a stub resolver has it.
        if flags & 0xf900 != 0x0100 || questions != 1 {
            return None;
        }
        let (mut labels, mut at) = (Vec::new(), HEADER);
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let (kind, class) = (RecordType::of(number(at)?), number(at + 2)?);
        at += 4;
        let question = packet.get(HEADER..at)?.to_vec();
        // An OPT record: the root's name, its type, the payload in place of the class.
        let has_opt = additional == 1 && *packet.get(at)? == 0 && number(at + 1)? == OPT;
        let payload = if has_opt { number(at + 3) } else { None };
        (class == 1).then(|| Query { id, name: labels.join("."), kind, payload, question })
    }
}

/// A resource record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// `None` for the name that was asked for.
    pub(super) owner: Option<String>,
    pub(super) kind: u16,
    pub(super) ttl: u32,
    pub(super) data: Vec<u8>,
}

/// The octets of a name, uncompressed.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label of a test is short"));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// A whole answer.
pub(super) struct Reply<'a> {
    pub(super) query: &'a Query,
    pub(super) code: u8,
    pub(super) truncated: bool,
    pub(super) answers: &'a [Record],
    /// Whether an SOA record says for how many seconds there is nothing.
    pub(super) soa: Option<u32>,
}

impl Reply<'_> {
    pub(super) fn write(&self) -> Vec<u8> {
        let answers = if self.truncated { &[] } else { self.answers };
        let count = |number: usize| u16::try_from(number).expect("fewer than 65,536").to_be_bytes();
        let mut packet = self.query.id.to_be_bytes().to_vec();
        // A response; recursion desired; recursion available.
        packet.extend([0x81 | if self.truncated { 2 } else { 0 }, 0x80 | self.code]);
        packet.extend(count(1));
        packet.extend(count(answers.len()));
        packet.extend(count(usize::from(self.soa.is_some())));
        packet.extend(count(usize::from(self.query.payload.is_some())));
        packet.extend(&self.query.question);
        for record in answers {
            write_record(&mut packet, record);
        }
        if let Some(seconds) = self.soa {
            let mut data = [name("ns.test"), name("admin.test")].concat();
            for number in [1, 3600, 600, 86_400, seconds] {
                data.extend(u32::to_be_bytes(number));
            }
            let zone = self.query.name.rsplit('.').next().unwrap_or_default().to_owned();
            write_record(&mut packet, &Record { owner: Some(zone), kind: SOA, ttl: 3600, data });
        }
        if self.query.payload.is_some() {
            packet.push(0);
            packet.extend(OPT.to_be_bytes());
            packet.extend(1232_u16.to_be_bytes());
            packet.extend([0; 6]);
        }
        packet
    }
}

fn write_record(packet: &mut Vec<u8>, record: &Record) {
    match &record.owner {
        // A pointer to the question.
        None => packet.extend([0xc0, 0x0c]),
        Some(owner) => packet.extend(name(owner)),
    }
    packet.extend(record.kind.to_be_bytes());
    packet.extend(1_u16.to_be_bytes());
    packet.extend(record.ttl.to_be_bytes());
    packet.extend(u16::try_from(record.data.len()).expect("a record is short").to_be_bytes());
    packet.extend(&record.data);
}
