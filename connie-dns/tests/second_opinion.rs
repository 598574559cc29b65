//! What an answer means to this client, beside what it means to a reader that is made of the crate `domain`:
//! whole answers of every kind, and spoilt ones.
//!
//! Three differences are meant: a malformed record costs itself alone here and the whole answer there; a lame
//! answer is none here; and the upper bits of a code count here though the options beside them cannot be
//! read.

mod common;
#[path = "by_domain/message.rs"]
#[allow(dead_code, reason = "queries are written by the client under test")]
mod message;
#[path = "by_domain/name.rs"]
#[allow(dead_code, reason = "the rest is for lookups")]
mod name;
#[path = "by_domain/service.rs"]
#[allow(dead_code, reason = "the rest is for lookups")]
mod service;

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::{at, server};
use connie_core::resolution::QueryError;
use connie_dns::{DnsClient, DnsConfig, DnsInput, DnsOutput, DnsTransport, LARGEST_QUERY, Name, RecordType};
use connie_sim::name_servers::{Query, Reaction, react};
use connie_sim::{Rng, seeds};
use message::{Found, Question, Said, read};

const REACTIONS: &[&str] = &[
    "ok",
    "many:9",
    "nodata",
    "nodata-without-soa",
    "soa-of:other",
    "nx",
    "nx-without-soa",
    "servfail",
    "refused",
    "formerr",
    "notimp",
    "code:9",
    "badvers",
    "lame",
    "referral",
    "authoritative-nothing",
    "tc",
    "tc-with",
    "tc-servfail",
    "alias:b.test",
    "alias-ok",
    "ok-alias",
    "alias-nodata",
    "alias-nx",
    "chain:16",
    "chain:17",
    "circle",
    "wild-goose",
    "broken-alias",
    "short-and-ok",
    "ok-and-short",
    "short",
    "signed",
    "stranger",
    "stranger-and-ok",
    "chaos",
    "ttl:1",
    "ttl:2147483648",
    "service",
    "bad-service",
    "empty",
    "garbage",
    "half-header",
    "echo",
    "wrong-id",
    "wrong-name",
    "wrong-type",
    "wrong-class",
    "wrong-opcode",
    "two-questions",
    "without-question:0",
    "without-question:2",
    "without-question:3",
    "two-cut",
    "cut",
    "ok-in-capitals",
    "ok-opt",
    "ok-cookie",
];

/// What the client makes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Made {
    Nothing,
    AsksOverTcp,
    AsksWithoutEdns,
    /// Another name, as a query has it.
    AsksFor(Vec<u8>),
    Addresses(Vec<IpAddr>, u32),
    Services(usize, u32),
    Empty(u32),
    Fails(QueryError),
}

/// A client that has asked for these records of `name.test`, and its query.
struct Asked {
    client: DnsClient<1, 1, 255, 2_048>,
    id: connie_dns::QuestionId,
    port: connie_dns::Port,
    query: Query,
}

fn ask(kind: RecordType, seed: u64) -> Asked {
    let settings = DnsConfig { attempts: 1, transport: DnsTransport::UdpAndTcp, ..DnsConfig::default() };
    let mut client = DnsClient::new(settings, seed);
    client.set_servers(&[server(0)], at(0));
    let id = client.ask(&Name::parse("name.test").expect("a name"), kind, at(0)).expect("room");
    let mut buffer = [0; LARGEST_QUERY];
    let DnsOutput::Send { port, length, .. } = client.poll_output(&mut buffer, at(0)) else {
        panic!("a query")
    };
    Asked { client, id, port, query: Query::read(&buffer[..length], false) }
}

impl Asked {
    fn hears(&mut self, message: &[u8]) -> Made {
        self.client.handle_input(DnsInput::Datagram { port: self.port, from: server(0), message }, at(1));
        let mut buffer = [0; LARGEST_QUERY];
        match self.client.poll_output(&mut buffer, at(1)) {
            DnsOutput::Connect { .. } => Made::AsksOverTcp,
            DnsOutput::Send { length, .. } => {
                let query = Query::read(&buffer[..length], false);
                match query.name == "name.test" && !query.edns {
                    true => Made::AsksWithoutEdns,
                    false => Made::AsksFor(query.name_octets().to_vec()),
                }
            }
            DnsOutput::WaitUntil(_) => Made::Nothing,
            DnsOutput::WaitForInput => panic!("the question is forgotten"),
            DnsOutput::Ended(_) => match self.client.answer(self.id, at(1)).expect("an end") {
                Err(error) => Made::Fails(error),
                Ok(answer) if answer.is_empty() => Made::Empty(answer.ttl()),
                Ok(answer) if answer.kind() == RecordType::Https => {
                    Made::Services(answer.services().count(), answer.ttl())
                }
                Ok(answer) => Made::Addresses(answer.addresses().collect(), answer.ttl()),
            },
        }
    }
}

/// What the other reader says of the same message.
fn opinion(message: &[u8], kind: RecordType, query: &Query) -> Said {
    let kind = match kind {
        RecordType::Aaaa => message::Kind::Aaaa,
        RecordType::A => message::Kind::A,
        RecordType::Https => message::Kind::Https,
    };
    let asked = Question { name: name::Name::parse("name.test").expect("a name"), kind };
    let id = u16::from_be_bytes([query.octets[0], query.octets[1]]);
    read(message, &asked, id, message::Transport::Udp)
}

/// Whether both agree.
fn agrees(made: &Made, said: &Said) -> bool {
    // No longer than a minute is kept.
    let kept = |ttl: Option<u32>| ttl.unwrap_or(0).min(60);
    match (said, made) {
        (Said::NotOurs, made) => *made == Made::Nothing,
        (Said::Truncated, made) => *made == Made::AsksOverTcp,
        (Said::Refused(code), made) if code.may_be_edns() => *made == Made::AsksWithoutEdns,
        (Said::Refused(code), made) if code.is_refusal() => *made == Made::Fails(QueryError::Refused),
        (Said::Refused(_), made) => *made == Made::Fails(QueryError::ServerFailure),
        // Some of it may be good, or what is left lame.
        (Said::Broken(_), Made::Fails(error)) => {
            matches!(error, QueryError::Malformed | QueryError::ServerFailure)
        }
        (Said::Broken(_), made) => !matches!(made, Made::Nothing | Made::AsksOverTcp | Made::AsksWithoutEdns),
        (Said::Reply(reply), made) => match (&reply.found, made) {
            (Found::Addresses(list), Made::Addresses(own, ttl)) => own == list && *ttl == kept(reply.ttl),
            (Found::Services(list), Made::Services(own, ttl)) => {
                *own == list.len() && *ttl == kept(reply.ttl)
            }
            (Found::Alias(name), Made::AsksFor(own)) => own == name.0.as_octets(),
            (Found::NoData, Made::Empty(ttl)) => *ttl == kept(reply.ttl),
            // A name with a pointer that leads back, but not before that name, is none here.
            (Found::NoData, Made::Fails(QueryError::Malformed)) => true,
            // Lame.
            (Found::NoData, Made::Fails(error)) => *error == QueryError::ServerFailure && reply.ttl.is_none(),
            (Found::NoSuchName, made) => *made == Made::Fails(QueryError::NoSuchName),
            _ => false,
        },
    }
}

/// Changes some octets, or cuts the message short.
fn spoil(message: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.within(1, 3) {
        let octet = rng.bits() as u8;
        if let Some(place) = message.get_mut(rng.below(100) as usize) {
            *place = rng.pick(&[0, 1, 0x0c, 0x3f, 0x40, 0xc0, 0xff, octet]);
        }
    }
    if rng.chance(20) {
        message.truncate(rng.below(100) as usize);
    }
}

#[test]
fn both_readers_agree() {
    let seen = std::cell::RefCell::new(BTreeMap::new());
    seeds(30_000, |seed| {
        let mut rng = Rng::new(seed);
        let (kind, word) = (rng.pick(&RecordType::ALL), rng.pick(REACTIONS));
        let mut asked = ask(kind, seed);
        let Reaction::Says(mut message, _) = react(word, 0, &asked.query) else {
            panic!("{word} says nothing")
        };
        if rng.chance(70) {
            spoil(&mut message, &mut rng);
        }
        let said = opinion(&message, kind, &asked.query);
        let made = asked.hears(&message);
        let has_code = word.starts_with("ok-") && matches!(made, Made::Fails(_) | Made::AsksWithoutEdns);
        assert!(
            has_code || agrees(&made, &said),
            "{kind} {word}: {made:?}, and the other {said:?}\n{}",
            message.escape_ascii()
        );
        let label =
            format!("{made:?}").split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
        *seen.borrow_mut().entry(label).or_insert(0_u32) += 1;
    });
    // All of it has occurred, unless one seed was asked for.
    let seen = seen.into_inner();
    let is_whole =
        seen.values().sum::<u32>() < 10_000 || seen.len() == 8 && seen.values().all(|count| *count > 50);
    assert!(is_whole, "{seen:?}");
}
