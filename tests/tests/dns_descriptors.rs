//! The descriptors of lookups by DNS, counted. Alone in its binary: see [`connie_tests::descriptors`].
#![cfg(target_os = "linux")]

mod dns_support;

use std::net::{Ipv4Addr, TcpListener};

use connie_core::Config;
use connie_std::dns::HttpsRecords;
use connie_std::resolve::{Resolve, ResolveRequest};
use connie_std::{Options, OsClock, connect};
use connie_tests::clock::{pause, poll_until};
use connie_tests::descriptors::descriptors;
use connie_tests::servers::{DnsAnswer, RecordType};

use dns_support::*;

/// One UDP socket for each question and server, and one for TCP while an answer is fetched; none after the
/// end, or after the lookup was given up.
#[test]
fn none_is_left_however_a_look_up_ends() {
    let (first, second) = (server(), server());
    let resolver = dns([&first, &second]).https_records(HttpsRecords::Always);
    // What the process opens once and keeps.
    first.host("name.test", &v4([1]));
    look_up(&resolver);
    let before = descriptors();

    // To its end, by an answer, over TCP, by failure.
    for answer in [
        DnsAnswer::addresses(&v4([1])),
        DnsAnswer::addresses(&v4(1..=40)).truncated(),
        DnsAnswer::code(2),
        DnsAnswer::no_such_name(),
    ] {
        resolver.cache.clear();
        name(&first, answer.clone(), answer);
        look_up(&resolver);
        settles_at(before, "after its end");
    }

    // Given up while three questions wait for two servers each.
    for silent in [&first, &second] {
        name(silent, DnsAnswer::silent(), DnsAnswer::silent());
        silent.set("_80._https.name.test", RecordType::Https, DnsAnswer::silent());
    }
    resolver.cache.clear();
    let clock = OsClock::start();
    let mut lookup = resolver.lookup(&ResolveRequest::new("name.test", 80, clock), clock.now());
    assert_eq!(lookup.poll(clock.now()), None);
    assert_eq!(descriptors().sockets, before.sockets + 3, "one for each question");
    pause(ms(300));
    assert_eq!(lookup.poll(clock.now()), None);
    assert_eq!(descriptors().sockets, before.sockets + 6, "and one for each at the second server");
    drop(lookup);
    assert_eq!(descriptors(), before, "after it was given up");

    // Given up by a race that has its winner, and what it costs while it runs: no thread.
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = web.local_addr().expect("an address").port();
    let before_race = descriptors();
    first.set("name.test", RecordType::A, DnsAnswer::addresses(&[Ipv4Addr::LOCALHOST.into()]));
    let before_threads = threads();
    let options = Options::new().resolver(resolver.clone());
    let winner = connect(("name.test", port), &options).expect("a connection");
    assert_eq!(descriptors().sockets, before_race.sockets + 1, "the winner, and no question");
    assert_eq!(threads(), before_threads);
    drop((winner, web));
    name(&first, DnsAnswer::silent(), DnsAnswer::silent());
    let race = Config::all_at_once().deadline(Some(ms(300)));
    resolver.cache.clear();
    let error = connect(("name.test", port), &options.race(race)).expect_err("nobody answers");
    settles_at(before, &format!("after {error}"));

    // Waited for by many, of which some are given up.
    let late = DnsAnswer::addresses(&[Ipv4Addr::LOCALHOST.into()]).after(ms(300));
    name(&first, late.clone(), late);
    resolver.cache.clear();
    let asks = Options::new().resolver(resolver.clone());
    std::thread::scope(|scope| {
        for number in 0..20 {
            let deadline = Some(if number % 2 == 0 { ms(100) } else { ms(5_000) });
            let race = Config::all_at_once().deadline(deadline);
            let options = asks.clone().race(race);
            scope.spawn(move || connect(("name.test", 1), &options).expect_err("nobody listens"));
        }
    });
    settles_at(before, "after many have waited");

    // Given up in the middle of TCP.
    let late = DnsAnswer::addresses(&v4([1])).truncated();
    name(&first, late.clone(), late);
    let mut lookup = resolver.lookup(&ResolveRequest::new("name.test", 80, clock), clock.now());
    let over_tcp = || first.queries().iter().any(|query| query.tcp);
    first.clear_queries();
    assert!(poll_until(ms(5_000), || {
        let _ = lookup.poll(clock.now());
        over_tcp()
    }));
    drop(lookup);
    settles_at(before, "after it was given up over TCP");
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("the threads").count()
}

/// The server, in this process too, closes its ends a moment later.
#[track_caller]
fn settles_at(before: connie_tests::descriptors::Descriptors, when: &str) {
    let mut now = descriptors();
    poll_until(ms(2_000), || {
        now = descriptors();
        now == before
    });
    assert_eq!(now, before, "{when}");
}
