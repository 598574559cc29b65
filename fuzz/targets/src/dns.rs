//! The answers of name servers: whatever they send, and however often.

use std::net::IpAddr;
use std::time::Duration;

use connie_core::Instant;

use self::exchange::{Exchange, Outcome, Timing, Todo};
use self::message::{Found, Kind, MAX_ADDRESSES, Question, Reply, Said, Transport, query, read};
use self::name::Name;
use self::service::Service;
use crate::decoded::{hex, note};
use crate::draw::Draw;

// The crate keeps these to itself, since a program has no use for them.
#[path = "../../../connie-std/src/dns/exchange.rs"]
#[allow(dead_code, reason = "the look-up that uses the rest is not fuzzed")]
mod exchange;
#[path = "../../../connie-std/src/dns/message.rs"]
#[allow(dead_code, reason = "the look-up that uses the rest is not fuzzed")]
mod message;
#[path = "../../../connie-std/src/dns/name.rs"]
#[allow(dead_code, reason = "the look-up that uses the rest is not fuzzed")]
mod name;
#[path = "../../../connie-std/src/dns/service.rs"]
#[allow(dead_code, reason = "the look-up that uses the rest is not fuzzed")]
mod service;

const ID: u16 = 0x1234;
const NAME: &str = "name.test";
/// Where the records begin in an answer with the question for [`NAME`].
const RECORDS: usize = 12 + 11 + 4;

/// Reads an answer. The first byte decides what was asked for, the second whether the rest is the whole answer, or goes behind
/// a header with the right id and the question: then its first five bytes are the flags and the numbers of records.
///
/// # Panics
///
/// Where reading it again gives something else, where it is taken for an answer to another question, where there is an address that
/// is not in the packet, and where a question does not end.
pub fn dns(data: &[u8]) {
    let mut draw = Draw::new(data);
    let kind = draw.pick(&[Kind::A, Kind::Aaaa, Kind::Https]);
    let (framed, transport) = (draw.flag(), draw.pick(&[Transport::Udp, Transport::Tcp]));
    let asked = question(NAME, kind);
    let packet = if framed { frame(draw, &asked) } else { draw.rest().to_vec() };
    note(|| {
        let kind = match kind {
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
            Kind::Https => "HTTPS",
        };
        let transport = if transport == Transport::Udp { "UDP" } else { "TCP" };
        format!("{kind} over {transport}: {}", hex(&packet))
    });
    let said = read(&packet, &asked, ID, transport);
    assert_eq!(read(&packet, &asked, ID, transport), said, "reading it again gives something else");
    if said != Said::NotOurs {
        assert_eq!(read(&packet, &asked, ID ^ 1, transport), Said::NotOurs, "an answer to another id");
        answers_nothing_else(&packet, kind, transport);
    }
    if let Said::Reply(reply) = &said {
        makes_sense(reply, &packet, kind);
    }
    ends(&asked, &packet, transport, &said);
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: Name::parse(name).expect("a name"), kind }
}

/// An answer that has the right id and repeats the question.
fn frame(mut draw: Draw<'_>, asked: &Question) -> Vec<u8> {
    let mut packet = query(asked, ID, false);
    assert_eq!(packet.len(), RECORDS, "a query of a header and a question");
    packet[2] = 0x80 | draw.byte();
    packet[3] = draw.byte();
    for section in [7, 9, 11] {
        packet[section] = draw.byte();
    }
    packet.extend_from_slice(draw.rest());
    packet
}

/// An answer that repeats the question is none to a question for something else. One without a question is only ever an error.
#[track_caller]
fn answers_nothing_else(packet: &[u8], kind: Kind, transport: Transport) {
    let other_kind = if kind == Kind::A { Kind::Aaaa } else { Kind::A };
    for other in [question(NAME, other_kind), question("name.tess", kind), question("test", kind)] {
        match read(packet, &other, ID, transport) {
            Said::NotOurs | Said::Refused(_) | Said::Truncated => {}
            said => panic!("an answer to {other:?} too: {said:?}"),
        }
    }
}

#[track_caller]
fn makes_sense(reply: &Reply, packet: &[u8], kind: Kind) {
    assert!(reply.ttl.is_none_or(|ttl| ttl <= i32::MAX as u32), "{reply:?}");
    match &reply.found {
        Found::Addresses(addresses) => {
            assert!((1..=MAX_ADDRESSES).contains(&addresses.len()), "{} addresses", addresses.len());
            for address in addresses {
                assert_eq!(address.is_ipv6(), kind == Kind::Aaaa, "{address} is not what was asked for");
                assert_ne!(kind, Kind::Https, "{address} was not asked for");
                is_in(packet, address);
            }
        }
        Found::Services(services) => {
            assert_eq!(kind, Kind::Https, "services were not asked for");
            assert!(!services.is_empty());
            services.iter().for_each(|service| service_makes_sense(service, packet));
        }
        Found::Alias(name) => assert_ne!(name.to_string(), NAME, "an alias of itself"),
        Found::NoData | Found::NoSuchName => {}
    }
}

#[track_caller]
fn service_makes_sense(service: &Service, packet: &[u8]) {
    for hint in &service.hints {
        is_in(packet, hint);
    }
    assert!(service.http1 || !service.alpn.is_empty(), "it speaks nothing: {service:?}");
    if service.is_alias() {
        assert!(service.port.is_none() && service.hints.is_empty(), "{service:?}");
    }
}

/// The address's octets stand in the packet.
#[track_caller]
fn is_in(packet: &[u8], address: &IpAddr) {
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    assert!(packet.windows(octets.len()).any(|window| window == octets), "{address} is not in the packet");
}

/// A question to two servers of which one answers everything with this packet and the other is silent ends, with what the packet says
/// if it says anything.
fn ends(asked: &Question, packet: &[u8], transport: Transport, said: &Said) {
    let timing = Timing { attempts: 2, timeout: Duration::from_secs(2) };
    let mut exchange = Exchange::new(asked.clone(), timing, transport, [ID, ID ^ 1], Instant::ZERO);
    let mut now = Instant::ZERO;
    for _ in 0..100 {
        while let Some(todo) = exchange.poll(now) {
            match todo {
                Todo::Send(0, _) => exchange.received(0, packet, Transport::Udp, now),
                Todo::Connect(0, _) => {
                    exchange.received(0, packet, Transport::Tcp, now);
                    exchange.stream_failed(0, "closed", now);
                }
                _ => {}
            }
        }
        match (exchange.outcome(), exchange.wake_at()) {
            (None, Some(next)) => {
                assert!(next > now, "it turns round in {now}");
                now = next;
            }
            (Some(outcome), None) => return ended(outcome, said),
            other => panic!("neither ended nor waiting: {other:?}"),
        }
    }
    panic!("it does not end");
}

#[track_caller]
fn ended(outcome: Outcome, said: &Said) {
    match (outcome, said) {
        (Ok((0, reply)), Said::Reply(expected)) => assert_eq!(reply, *expected),
        // Over TCP it says what did not fit before.
        (Ok((0, _)), Said::Truncated) => {}
        (Err(problems), Said::NotOurs | Said::Refused(_) | Said::Broken(_) | Said::Truncated) => {
            assert_eq!(problems.len(), 2);
        }
        other => panic!("{other:?}"),
    }
}
