//! What is kept, for how long, and who shares it.

mod common;

use std::time::Duration;

use common::*;
use connie_core::Instant;
use connie_dns::{DnsConfig, RecordLookup, RecordType, WantedRecords};
use connie_sim::name_servers::SOA_TTL;

/// Looks up the addresses of IPv4 of this name now.
fn look_up(bench: &mut Bench, text: &str) -> String {
    bench.run(&mut RecordLookup::new(name(text), wanted("a")))
}

#[test]
fn an_answer_holds_for_its_time_to_live() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ttl:10"]);
    assert_eq!(look_up(&mut bench, "name.test"), "A 192.0.2.1 at 20");
    bench.now = Instant::from_micros(at(10_020).as_micros() - 1);
    assert_eq!(look_up(&mut bench, "NAME.test."), "A 192.0.2.1 at 10019");
    assert_eq!(bench.sent(), ["0@0"]);
    bench.now = at(10_020);
    assert_eq!(look_up(&mut bench, "name.test"), "A 192.0.2.1 at 10040");
    assert_eq!(bench.sent(), ["0@0", "0@10020"]);
}

#[test]
fn how_long_it_still_holds_is_told_with_it() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ttl:10"]);
    look_up(&mut bench, "name.test");
    for (millis, left) in [(20, 10), (21, 9), (3_020, 7), (9_999, 0)] {
        bench.now = at(millis);
        let id = bench.client.ask(&name("name.test"), RecordType::A, bench.now).expect("room");
        let answer = bench.client.answer(id, bench.now).expect("an answer").expect("a good one");
        assert_eq!(answer.ttl(), left, "at {millis}");
        bench.client.give_up(id);
    }
}

#[test]
fn but_for_no_longer_than_the_settings_say() {
    let settings = DnsConfig { longest_ttl: Duration::from_secs(7), ..DnsConfig::default() };
    for (settings, seconds) in [(DnsConfig::default(), 60), (settings, 7)] {
        let mut bench = Bench::<4>::new(settings, &["ok"]);
        look_up(&mut bench, "name.test");
        bench.now = at(20 + seconds * 1_000 - 1);
        look_up(&mut bench, "name.test");
        assert_eq!(bench.sent().len(), 1);
        bench.now = at(20 + seconds * 1_000);
        look_up(&mut bench, "name.test");
        assert_eq!(bench.sent().len(), 2);
    }
}

/// An answer by way of an alias holds as long as what holds shortest.
#[test]
fn an_alias_that_was_asked_for_has_a_time_to_live_too() {
    let settings = DnsConfig { longest_ttl: Duration::from_secs(1_000), ..DnsConfig::default() };
    for script in ["for:b.test ok; alias:b.test", "alias-ok", "ok-alias"] {
        let mut bench = Bench::<4>::new(settings, &[script]);
        look_up(&mut bench, "name.test");
        let id = bench.client.ask(&name("name.test"), RecordType::A, bench.now).expect("room");
        let answer = bench.client.answer(id, bench.now).expect("an answer").expect("a good one");
        assert_eq!(answer.ttl(), 100, "{script}");
    }
}

/// RFC 2308 section 5, and RFC 2181 section 8.
#[test]
fn what_holds_and_what_does_not() {
    for (script, seconds) in [
        ("ok", 60),
        ("ttl:0", 0),
        ("ttl:1", 1),
        ("ttl:2147483648", 0),
        ("nodata", u64::from(SOA_TTL)),
        ("nx", u64::from(SOA_TTL)),
        ("nodata-without-soa", 0),
        ("nx-without-soa", 0),
        ("soa-of:other", 0),
        ("servfail", 0),
        ("cut", 0),
        ("tc-with", 0),
        ("alias-ok", 60),
        ("alias-nodata", u64::from(SOA_TTL)),
        ("alias-nx", u64::from(SOA_TTL)),
        ("alias-nx:5", 5),
        ("nx-of:other", 0),
        ("nx-of:test", u64::from(SOA_TTL)),
        ("for:b.test ttl:5; alias:b.test", 5),
    ] {
        let mut bench = Bench::<4>::new(DnsConfig { attempts: 1, ..DnsConfig::default() }, &[script]);
        look_up(&mut bench, "name.test");
        let (came, sent) = (bench.time(), bench.sent().len());
        if seconds > 0 {
            bench.now = Instant::from_micros(at(came + seconds * 1_000).as_micros() - 1);
            look_up(&mut bench, "name.test");
            assert_eq!(bench.sent().len(), sent, "{script}: within {seconds} s");
        }
        bench.now = at(came + seconds * 1_000);
        look_up(&mut bench, "name.test");
        assert!(bench.sent().len() > sent, "{script}: after {seconds} s");
    }
}

#[test]
fn kinds_and_names_are_apart() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ok"]);
    look_up(&mut bench, "name.test");
    bench.run(&mut RecordLookup::new(name("name.test"), wanted("aaaa")));
    look_up(&mut bench, "name.test.test");
    assert_eq!(bench.sent().len(), 3);
}

#[test]
fn that_a_name_does_not_exist_holds_for_all_kinds() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["nx"]);
    look_up(&mut bench, "name.test");
    let found = bench.run(&mut RecordLookup::new(name("name.test"), wanted("aaaa https")));
    assert_eq!(found, "AAAA !NoSuchName at 20; HTTPS !NoSuchName at 20");
    assert_eq!(bench.sent(), ["0@0"]);
    // RFC 4074 section 4.2: what is said of AAAA need not hold for A.
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["aaaa nx; ok"]);
    bench.run(&mut RecordLookup::new(name("name.test"), wanted("aaaa")));
    assert_eq!(look_up(&mut bench, "name.test"), "A 192.0.2.1 at 40");
}

#[test]
fn a_thousand_ask_once() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ok"]);
    let mut lookups: Vec<_> =
        (0..1_000).map(|_| RecordLookup::new(name("name.test"), WantedRecords::default())).collect();
    let now = bench.now;
    assert!(lookups.iter_mut().all(|lookup| lookup.poll(&mut bench.client, now).is_none()));
    bench.pass(20);
    assert_eq!(bench.sent(), ["0@0", "0@0"], "AAAA and A");
    assert_eq!(bench.ended.len(), 2, "the end of each is told once");
    let now = bench.now;
    for mut lookup in lookups {
        let mut found = Vec::new();
        while let Some(event) = lookup.poll(&mut bench.client, now) {
            found.push(describe(&event));
        }
        assert_eq!(found, ["AAAA 2001:db8::1", "A 192.0.2.1"]);
        lookup.close(&mut bench.client);
    }
    assert_eq!(bench.sent().len(), 2);
}

#[test]
fn what_does_not_hold_is_for_those_who_have_waited() {
    let mut bench = Bench::<1>::new(DnsConfig::default(), &["ttl:0"]);
    let asked = name("name.test");
    let ids = [0, 1].map(|_| bench.client.ask(&asked, RecordType::A, bench.now).expect("room"));
    assert_eq!(ids[0], ids[1]);
    bench.pass(25);
    assert!(bench.client.answer(ids[0], bench.now).is_some());
    bench.client.give_up(ids[0]);
    // One of the two has still to come for it.
    let third = bench.client.ask(&asked, RecordType::A, bench.now).expect("room");
    assert_eq!(third, ids[1]);
    bench.client.give_up(third);
    bench.client.give_up(ids[1]);
    let next = bench.client.ask(&asked, RecordType::A, bench.now).expect("room");
    assert_ne!(next, ids[1]);
    bench.pass(50);
    assert_eq!(bench.sent(), ["0@0", "0@25"]);
}

#[test]
fn a_question_that_nobody_waits_for_is_given_up() {
    let mut bench = Bench::<1>::new(DnsConfig::default(), &["silent", "ok"]);
    let asked = name("name.test");
    let ids = [0, 1].map(|_| bench.client.ask(&asked, RecordType::A, bench.now).expect("room"));
    bench.pass(100);
    bench.client.give_up(ids[0]);
    assert!(bench.drain().is_some(), "one still waits");
    bench.client.give_up(ids[1]);
    assert_eq!(bench.drain(), None);
    bench.pass(1_000);
    assert_eq!(bench.sent(), ["0@0"]);
    assert!(bench.ended.is_empty());
    assert!(bench.client.ask(&name("other.test"), RecordType::A, bench.now).is_some(), "its place is free");
}

#[test]
fn the_next_to_expire_makes_room() {
    let mut bench = Bench::<2>::new(DnsConfig::default(), &["for:short.test ttl:5; ok"]);
    let look_up = |bench: &mut Bench<2>, text| bench.run(&mut RecordLookup::new(name(text), wanted("a")));
    look_up(&mut bench, "short.test");
    look_up(&mut bench, "long.test");
    look_up(&mut bench, "third.test");
    assert_eq!(bench.sent().len(), 3);
    look_up(&mut bench, "long.test");
    look_up(&mut bench, "third.test");
    assert_eq!(bench.sent().len(), 3, "they are kept");
    look_up(&mut bench, "short.test");
    assert_eq!(bench.sent().len(), 4, "it has gone");
}

#[test]
fn what_is_kept_can_be_forgotten_and_what_is_asked_goes_on() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ok"]);
    look_up(&mut bench, "name.test");
    let id = bench.client.ask(&name("other.test"), RecordType::A, bench.now).expect("room");
    bench.drain();
    bench.client.forget(bench.now);
    bench.pass(40);
    assert!(bench.client.answer(id, bench.now).is_some());
    look_up(&mut bench, "name.test");
    assert_eq!(bench.sent(), ["0@0", "0@20", "0@40"]);
}

#[test]
fn with_other_servers_everything_is_asked_anew() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["for:name.test ok; silent", "ok"]);
    bench.client.set_servers(&[server(0)], bench.now);
    look_up(&mut bench, "name.test");
    let id = bench.client.ask(&name("other.test"), RecordType::A, bench.now).expect("room");
    bench.drain();
    bench.client.set_servers(&[server(0)], bench.now);
    bench.pass(500);
    assert_eq!(bench.sent(), ["0@0", "0@20"], "the same are no others");
    bench.client.set_servers(&[server(1)], bench.now);
    bench.pass(520);
    assert_eq!(bench.sent(), ["0@0", "0@20", "1@500"]);
    assert!(bench.client.answer(id, bench.now).is_some());
    assert_eq!(look_up(&mut bench, "name.test"), "A 192.0.2.2 at 540", "what was kept is forgotten");
    bench.client.set_servers(&[], bench.now);
    assert_eq!(look_up(&mut bench, "name.test"), "A !Unreachable at 540");
}
