//! What servers send, octet by octet, without a word of the client under test.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::query::{Kind, Query};
use super::record::{QUESTION, TTL, address, record, soa, wire};

/// What a server sends: header bits, and records of the three sections.
#[derive(Clone, Default)]
struct Reply {
    code: u8,
    /// In the third octet.
    flags: u8,
    recurses: bool,
    answers: Vec<Vec<u8>>,
    authority: Vec<Vec<u8>>,
    additional: Vec<Vec<u8>>,
}

impl Reply {
    fn good(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Reply { recurses: true, answers: answers.into_iter().collect(), ..Reply::default() }
    }

    fn code(code: u8) -> Self {
        Reply { code, recurses: true, ..Reply::default() }
    }

    fn octets(&self, query: &Query) -> Vec<u8> {
        let count = |section: &[Vec<u8>]| u16::try_from(section.len()).expect("some records").to_be_bytes();
        let flags = [0x81 | self.flags, u8::from(self.recurses) << 7 | self.code];
        let counts = [[0, 1], count(&self.answers), count(&self.authority), count(&self.additional)].concat();
        let sections = [&self.answers[..], &self.authority, &self.additional].concat().concat();
        [&query.id()[..], &flags, &counts, query.question(), &sections].concat()
    }
}

/// What a server does with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing comes. A TCP connection stays open.
    Silent,
    /// An ICMP error, or a TCP connection that fails.
    Fails,
    /// A message, without the length before it over TCP; and whence it comes.
    Says(Vec<u8>, Sender),
}

/// Where a datagram comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// From where the query went to.
    Itself,
    /// From another port there.
    OtherPort,
    /// From another host.
    OtherHost,
}

/// The reaction that a word stands for, of the server with this index.
///
/// # Panics
///
/// If no reaction is called so.
#[must_use]
#[track_caller]
pub fn react(word: &str, index: usize, query: &Query) -> Reaction {
    match word {
        "silent" => return Reaction::Silent,
        "fails" => return Reaction::Fails,
        _ => {}
    }
    let (name, argument) = word.split_once(':').unwrap_or((word, ""));
    let last = u8::try_from(index + 1).expect("some servers");
    let reply = without_records(name, argument)
        .or_else(|| with_records(name, argument, last, query))
        .or_else(|| with_aliases(name, argument, last, query));
    if let Some(reply) = reply {
        return Reaction::Says(reply.octets(query), Sender::Itself);
    }
    let good = Reply::good([own(last, query)]).octets(query);
    match name {
        "from-elsewhere" => Reaction::Says(good, Sender::OtherHost),
        "from-other-port" => Reaction::Says(good, Sender::OtherPort),
        _ => Reaction::Says(spoilt(name, argument, good, query), Sender::Itself),
    }
}

/// An address of the kind that is asked for.
fn own(last: u8, query: &Query) -> Vec<u8> {
    match query.kind {
        Kind::Aaaa => address(QUESTION, Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()]).into()),
        _ => address(QUESTION, Ipv4Addr::from([192, 0, 2, last]).into()),
    }
}

fn without_records(name: &str, argument: &str) -> Option<Reply> {
    let ns = || record(&wire("test"), 2, 60, &wire("ns.test"));
    Some(match name {
        "nodata" => Reply { authority: vec![soa("test")], ..Reply::good([]) },
        "nodata-without-soa" => Reply::good([]),
        "soa-of" => Reply { authority: vec![soa(argument)], ..Reply::good([]) },
        "nx" => Reply { authority: vec![soa("test")], ..Reply::code(3) },
        "nx-of" => Reply { authority: vec![soa(argument)], ..Reply::code(3) },
        "nx-without-soa" => Reply::code(3),
        "servfail" => Reply::code(2),
        "refused" => Reply::code(5),
        "formerr" => Reply::code(1),
        "notimp" => Reply::code(4),
        "code" => Reply::code(argument.parse().expect("a number")),
        "badvers" => Reply { additional: vec![record(&[0], 41, 1 << 24, &[])], ..Reply::good([]) },
        "lame" => Reply { recurses: false, ..Reply::good([]) },
        "referral" => Reply { recurses: false, authority: vec![ns()], ..Reply::good([]) },
        "referral-of-recursive" => Reply { authority: vec![ns()], ..Reply::good([]) },
        "authoritative-nothing" => Reply { recurses: false, flags: 4, ..Reply::good([]) },
        "tc" => Reply { flags: 2, ..Reply::good([]) },
        "tc-nx" => Reply { flags: 2, ..Reply::code(3) },
        "tc-servfail" => Reply { flags: 2, ..Reply::code(2) },
        _ => return None,
    })
}

fn with_records(name: &str, argument: &str, last: u8, query: &Query) -> Option<Reply> {
    let own = |last| own(last, query);
    let short = || record(QUESTION, query.kind.number(), TTL, b"\xc0\0\x02");
    let changed = |at: usize, octets: &[u8]| {
        let mut answer = own(last);
        answer[at..at + octets.len()].copy_from_slice(octets);
        Reply::good([answer])
    };
    let ttl = || argument.parse::<u32>().expect("a number").to_be_bytes();
    Some(match name {
        "ok" => Reply::good([own(last)]),
        // So many addresses.
        "many" => Reply::good((1..=argument.parse().expect("a number")).map(own)),
        "is" => Reply::good(argument.split(',').map(|ip| address(QUESTION, ip.parse().expect("an address")))),
        // With the server's own OPT record.
        "ok-opt" => Reply { additional: vec![record(&[0], 41, 0, &[])], ..Reply::good([own(last)]) },
        "ok-cookie" => {
            Reply { additional: vec![record(&[0], 41, 0, b"\0\x0a\0\x02ab")], ..Reply::good([own(last)]) }
        }
        "tc-with" => Reply { flags: 2, ..Reply::good([own(last)]) },
        "short-and-ok" => Reply::good([short(), own(last)]),
        "ok-and-short" => Reply::good([own(last), short()]),
        "short" => Reply::good([short()]),
        "signed" => Reply::good([record(QUESTION, 46, TTL, b"signature"), own(last)]),
        "stranger" => Reply::good([owned("other.test", own(last))]),
        "stranger-and-ok" => Reply::good([owned("other.test", own(99)), own(last)]),
        "chaos" => changed(5, &[3]),
        "ttl" => changed(6, &ttl()),
        "service" => Reply::good([
            record(QUESTION, 65, TTL, b"\0\x01\0\0\x01\0\x03\x02h2"),
            record(
                QUESTION,
                65,
                TTL,
                b"\0\x02\x05other\x04test\0\0\x03\0\x02\x01\xbb\0\x04\0\x04\xc0\0\x02\x09",
            ),
        ]),
        "bad-service" => Reply::good([record(QUESTION, 65, TTL, b"\0\x01\0\0\x03\0\x01\x01")]),
        _ => return None,
    })
}

fn with_aliases(name: &str, argument: &str, last: u8, query: &Query) -> Option<Reply> {
    let alias = |of: &[u8], to: &str| record(of, 5, 100, &wire(to));
    let to_b = || alias(QUESTION, "b.test");
    Some(match name {
        "alias" => Reply::good([alias(QUESTION, argument)]),
        "alias-ok" => Reply::good([to_b(), owned("b.test", own(last, query))]),
        "ok-alias" => Reply::good([owned("b.test", own(last, query)), to_b()]),
        "alias-nodata" => Reply { authority: vec![soa("test")], ..Reply::good([to_b()]) },
        // With so many seconds to live of the alias.
        "alias-nx" => {
            let ttl = argument.parse().unwrap_or(100);
            let answers = vec![record(QUESTION, 5, ttl, &wire("b.test"))];
            Reply { authority: vec![soa("test")], answers, ..Reply::code(3) }
        }
        "circle" => Reply::good([to_b(), alias(&wire("b.test"), &query.name)]),
        // Each leads on to another name, for ever.
        "wild-goose" => Reply::good([alias(QUESTION, &format!("x{}", query.name))]),
        "broken-alias" => Reply::good([record(QUESTION, 5, 100, b"\x09b")]),
        "chain" => {
            let hops = 0..argument.parse().expect("a number");
            let names: Vec<String> = hops.map(|hop: u32| format!("h{hop}.test")).collect();
            let mut answers = vec![alias(QUESTION, &names[0])];
            answers.extend(names.windows(2).map(|pair| alias(&wire(&pair[0]), &pair[1])));
            answers.push(owned(names.last().expect("a name"), own(last, query)));
            // The last first.
            answers.reverse();
            Reply::good(answers)
        }
        _ => return None,
    })
}

/// What has become of a good answer.
#[track_caller]
fn spoilt(name: &str, argument: &str, mut good: Vec<u8>, query: &Query) -> Vec<u8> {
    let question_end = 12 + query.question().len();
    match name {
        "empty" => good.clear(),
        "garbage" => good = vec![0xff; 40],
        "half-header" => good.truncate(6),
        "echo" => good.clone_from(&query.octets),
        "wrong-id" => good[1] = !good[1],
        "wrong-name" => good[14] = b'#',
        "wrong-type" => good[question_end - 3] = 99,
        "wrong-class" => good[question_end - 1] = 3,
        "wrong-opcode" => good[2] = 0xa8,
        "two-questions" => good[5] = 2,
        "without-question" => {
            good.truncate(12);
            good[3] |= argument.parse::<u8>().expect("a number");
            good[4..].fill(0);
        }
        "ok-in-lower-case" => good[12..question_end].make_ascii_lowercase(),
        "ok-in-capitals" => good[12..question_end - 4].make_ascii_uppercase(),
        "two-cut" => {
            good[7] = 2;
            good.extend(&own(99, query)[..4]);
        }
        "cut" => good.truncate(good.len() - 1),
        other => panic!("no reaction is called {other:?}"),
    }
    good
}

/// The same record for another owner.
fn owned(owner: &str, record: Vec<u8>) -> Vec<u8> {
    [&wire(owner), &record[QUESTION.len()..]].concat()
}
