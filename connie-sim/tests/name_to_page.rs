//! From a name to a page, in virtual time: the queries, the race on their answers, and HTTP on the winner, to
//! the millisecond.
//!
//! The cases are those of the list by which `tests/cases` are named; here each goes through to the last byte
//! of the page.

use connie_core::{Family, Instant};
use connie_http::{Authority, HttpConnection};
use connie_sim::{Scenario, SimHost as Peer, hang, ok, refuse};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";

/// A server that completes handshakes in `rtt` and has the page a round trip later.
fn page(rtt: u64) -> Peer {
    ok(rtt).serves(PAGE, 0)
}

/// The page comes from `winner`, its last byte at `at`.
#[track_caller]
fn reads(scenario: &Scenario, winner: &str, at: u64) {
    let mut live = scenario.connect();
    let connection = live.connection.take().expect("a connection");
    assert_eq!(connection.destination, connie_sim::address(winner), "the winner");
    let mut buffer = [0; 512];
    let host = Authority::http("name.test", 80);
    let socket = connection.socket;
    let mut http = HttpConnection::new(&mut live.stack, &mut live.clock, socket, host, &mut buffer)
        .expect("a connection");
    http.request("GET", "/", &[], b"").expect("sent");
    let mut body = [0; 16];
    let length = http.response().expect("a head").read_to_end(&mut body).expect("a body");
    assert_eq!(&body[..length], b"page");
    drop(http);
    assert_eq!(live.stack.open(), 0, "a socket was left open");
    assert_eq!(live.stack.now(), Instant::from_millis(at), "the last byte");
}

#[test]
fn case_16_v6_is_first_whichever_answer_is() {
    let scenario = Scenario::staggered().v6(page(30)).v4(page(30));
    reads(&scenario.clone().aaaa_at(10).a_at(40), "6a", 10 + 60);
    reads(&scenario.aaaa_at(40).a_at(10), "6a", 40 + 60);
}

#[test]
fn case_17_only_one_family() {
    let scenario = Scenario::all_at_once().v6(page(10)).v4(page(30));
    reads(&scenario.only(Family::V4).a_at(10).aaaa_never(), "4a", 10 + 60);
}

#[test]
fn case_50_neither_query_waits_for_the_other() {
    let scenario = Scenario::all_at_once().v6(page(30)).v4(page(30));
    reads(&scenario.clone().aaaa_at(10).a_never(), "6a", 10 + 60);
    reads(&scenario.a_at(10).aaaa_never(), "4a", 10 + 60);
}

#[test]
fn case_51_an_a_answer_alone_costs_a_staggered_race_the_resolution_delay_and_connie_nothing() {
    for aaaa in [Some(2_000), None] {
        let late = |scenario: Scenario| match aaaa {
            Some(at) => scenario.aaaa_at(at),
            None => scenario.aaaa_never(),
        };
        reads(&late(Scenario::staggered().v6(page(30)).v4(page(30)).a_at(10)), "4a", 10 + 50 + 60);
        reads(&late(Scenario::all_at_once().v6(page(30)).v4(page(30)).a_at(10)), "4a", 10 + 60);
    }
}

#[test]
fn case_53_an_answer_exactly_at_the_resolution_delay() {
    reads(&Scenario::staggered().v6(page(30)).v4(page(30)).a_at(10).aaaa_at(60), "6a", 60 + 60);
}

#[test]
fn case_54_the_same_address_from_two_sources() {
    let again = vec![connie_sim::address("4a")];
    let scenario = Scenario::all_at_once().v4(page(30)).a_at(10).answers(20, Family::V4, again).aaaa_never();
    reads(&scenario, "4a", 10 + 60);
    assert_eq!(scenario.run().tally("4a").syns, 1);
}

#[test]
fn case_56_an_address_literal() {
    reads(&Scenario::staggered().v4(page(30)).host("192.0.2.1").aaaa_never().a_never(), "4a", 60);
}

#[test]
fn case_75_addresses_that_arrive_while_the_race_runs() {
    let scenario = Scenario::all_at_once().v4(hang()).v4(page(30)).joins_at(100).a_at(10).aaaa_at(20);
    reads(&scenario, "4b", 100 + 60);
    let scenario = Scenario::all_at_once().v4(refuse(5)).a_at(10).v6(page(30)).aaaa_at(500);
    reads(&scenario, "6a", 500 + 60);
}
