//! Room: what a lookup takes, and what becomes of more than there is room for.

mod common;

use std::mem::size_of;

use common::*;
use connie_core::resolution::QueryError;
use connie_dns::{DnsClient, DnsConfig, RecordLookup, RecordType, WantedRecords};

/// Issue of the machine: "RAM of a lookup at most 1.5 KiB without the driver's datagram buffers": its share
/// of the client, which is what one name more takes, and the lookup itself, with names of 255 octets, three
/// servers and 256 octets of records of each of three kinds.
#[test]
fn a_look_up_takes_no_more_than_one_and_a_half_kibibytes() {
    let share = size_of::<DnsClient<2>>() - size_of::<DnsClient<1>>();
    let lookup = size_of::<RecordLookup>();
    assert!(share + lookup <= 1_536, "{share} + {lookup} octets");
    let small = size_of::<DnsClient<2, 2, 64, 64>>() - size_of::<DnsClient<1, 2, 64, 64>>();
    assert!(
        small + size_of::<RecordLookup<64>>() <= 560,
        "{small} + {} octets",
        size_of::<RecordLookup<64>>()
    );
    // What there is once: servers and settings.
    let once = size_of::<DnsClient<1>>() - share;
    assert!(once <= 256, "{once} octets");
}

#[test]
fn addresses_that_find_no_room_are_left_out() {
    let mut bench = Bench::<1>::new(DnsConfig::default(), &["many:70"]);
    let mut lookup = RecordLookup::new(name("name.test"), WantedRecords::default());
    let found = bench.run(&mut lookup);
    assert_eq!(found.matches("2001:db8::").count(), 16, "{found}");
    assert_eq!(found.matches("192.0.2.").count(), 64, "{found}");
}

#[test]
fn an_alias_that_finds_no_room_cannot_be_followed() {
    let mut bench = Bench::<2, 11, 64>::new(DnsConfig::default(), &["for:b.test alias:much-longer.test; ok"]);
    let short = |text| connie_dns::Name::<11>::parse(text).expect("a name");
    assert_eq!(bench.run(&mut RecordLookup::new(short("name.test"), wanted("a"))), "A 192.0.2.1 at 20");
    assert_eq!(bench.run(&mut RecordLookup::new(short("b.test"), wanted("a"))), "A !Malformed at 40");
}

#[test]
fn a_name_more_than_there_is_room_for_waits_until_another_has_ended() {
    let mut bench = Bench::<2>::new(DnsConfig::default(), &["silent", "ok"]);
    let now = bench.now;
    let [a, b, c] = ["a.test", "b.test", "c.test"].map(name);
    let ids = [&a, &b].map(|name| bench.client.ask(name, RecordType::A, now).expect("room"));
    assert_eq!(bench.client.ask(&c, RecordType::A, now), None);
    assert!(bench.client.ask(&a, RecordType::Aaaa, now).is_some(), "a name that is there already");
    let mut lookup = RecordLookup::new(c, wanted("a"));
    assert!(lookup.poll(&mut bench.client, now).is_none());
    assert!(lookup.waits_for_room());
    bench.pass(300);
    // They have ended, but are held for those who asked.
    let now = bench.now;
    assert!(lookup.poll(&mut bench.client, now).is_none() && lookup.waits_for_room());
    bench.client.give_up(ids[1]);
    assert!(lookup.poll(&mut bench.client, now).is_none() && !lookup.waits_for_room());
    assert_eq!(bench.run(&mut lookup), "A 192.0.2.2 at 320", "the first server comes last now");
    assert!(bench.client.answer(ids[0], now).is_some_and(|answer| answer.is_ok()), "the others have theirs");
    assert!(
        bench.client.answer(ids[1], now).is_some_and(|answer| answer.is_err()),
        "what was given up is gone"
    );
}

#[test]
fn who_forgets_to_give_up_loses_the_place_for_ten_seconds() {
    let mut bench = Bench::<1>::new(DnsConfig::default(), &["for:a.test nodata-without-soa; ok"]);
    let id = bench.client.ask(&name("a.test"), RecordType::A, bench.now).expect("room");
    bench.pass(20);
    assert!(bench.client.answer(id, bench.now).is_some());
    bench.now = connie_core::Instant::from_micros(at(10_020).as_micros() - 1);
    assert_eq!(bench.client.ask(&name("b.test"), RecordType::A, bench.now), None);
    bench.now = at(10_020);
    assert!(bench.client.ask(&name("b.test"), RecordType::A, bench.now).is_some());
    let stale = bench.client.answer(id, bench.now);
    assert!(matches!(stale, Some(Err(QueryError::Failed))));
    // Giving it up now takes nothing from the other.
    bench.client.give_up(id);
    bench.pass(10_040);
    assert_eq!(bench.sent(), ["0@0", "0@10020"]);
}

#[test]
fn others_who_ask_do_not_prolong_what_somebody_forgot() {
    let mut bench = Bench::<1>::new(DnsConfig::default(), &["ttl:0"]);
    let asked = name("a.test");
    let forgotten = bench.client.ask(&asked, RecordType::A, bench.now).expect("room");
    bench.pass(20);
    for millis in [5_000, 10_019, 10_020] {
        bench.now = at(millis);
        let id = bench.client.ask(&asked, RecordType::A, bench.now).expect("room");
        assert_eq!(id == forgotten, millis < 10_020, "at {millis}");
        bench.client.give_up(id);
    }
}

#[test]
fn no_place_at_all() {
    let mut client = DnsClient::<0>::new(DnsConfig::default(), 1);
    assert_eq!(client.ask(&name("a.test"), RecordType::A, at(0)), None);
    assert_eq!(
        client.poll_output(&mut [0; connie_dns::LARGEST_QUERY], at(0)),
        connie_dns::DnsOutput::WaitForInput
    );
}
