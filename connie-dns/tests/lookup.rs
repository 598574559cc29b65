//! A lookup: what is reported of which name, and when.

mod common;

use common::*;
use connie_core::resolution::QueryError;
use connie_dns::{DnsConfig, RecordLookup, SearchNames, WantedRecords};

const SEARCH: [&str; 2] = ["corp.test", "lab.test"];

/// Looks up `host` with the search list, and which names were asked for.
#[track_caller]
fn search(script: &str, host: &str, kinds: &str, found: &str, asked: &[&str]) {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &[script]);
    let names = SearchNames::<_, 255>::new(host, &SEARCH, 1);
    let mut lookup = RecordLookup::from_names(names, wanted(kinds)).expect("a name");
    assert_eq!(bench.run(&mut lookup), found, "{script}");
    assert_eq!(bench.asked(), asked, "{script}");
}

#[test]
fn the_first_name_that_has_an_address_is_the_one() {
    search("ok", "www", "a", "A 192.0.2.1 at 20", &["www.corp.test"]);
    search("for:www.lab.test ok; nx", "www", "a", "A 192.0.2.1 at 40", &["www.corp.test", "www.lab.test"]);
    search("for:www ok; nx", "www", "a", "A 192.0.2.1 at 60", &["www.corp.test", "www.lab.test", "www"]);
    search(
        "for:a.b.lab.test ok; nodata",
        "a.b",
        "a",
        "A 192.0.2.1 at 60",
        &["a.b", "a.b.corp.test", "a.b.lab.test"],
    );
    search("ok", "www.", "a", "A 192.0.2.1 at 20", &["www"]);
}

#[test]
fn one_family_is_enough() {
    let asked = ["www.corp.test", "www.corp.test", "www.lab.test", "www.lab.test"];
    let script = "for:www.corp.test nodata; aaaa nodata@10; ok@30";
    search(script, "www", "aaaa a", "AAAA none at 50; A 192.0.2.1 at 50", &asked);
}

/// What it lacks is told with what it has.
#[test]
fn nothing_is_reported_of_a_name_before_it_counts() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["aaaa nodata@10; ok@30"]);
    let names = SearchNames::<_, 255>::new("www", &SEARCH, 1);
    let mut lookup = RecordLookup::from_names(names, WantedRecords::default()).expect("a name");
    assert_eq!(bench.run(&mut lookup), "AAAA none at 30; A 192.0.2.1 at 30");
    let mut lookup = RecordLookup::new(name("alone.test"), WantedRecords::default());
    assert_eq!(bench.run(&mut lookup), "AAAA none at 40; A 192.0.2.1 at 60", "of an only name all is");
}

#[test]
fn a_search_does_not_go_on_where_a_server_is_silent() {
    search("silent", "www", "a", "A !TimedOut at 8000", &["www.corp.test"; 3]);
    search("fails", "www", "a", "A !Unreachable at 20", &["www.corp.test"]);
}

/// RFC 8020: NXDOMAIN ends the other type, so that the search goes on at once.
#[test]
fn a_silent_family_does_not_hold_up_a_search_from_a_name_that_does_not_exist() {
    let asked = ["www.corp.test", "www.corp.test", "www.lab.test", "www.lab.test"];
    let script = "for:www.lab.test ok; a nx; silent";
    search(script, "www", "aaaa a", "AAAA 2001:db8::1 at 40; A 192.0.2.1 at 40", &asked);
}

#[test]
fn of_names_without_addresses_the_first_that_exists_is_reported() {
    let all = ["www.corp.test", "www.lab.test", "www"];
    search("nx", "www", "a", "A !NoSuchName at 60", &all);
    search("for:www.lab.test nodata; nx", "www", "a", "A none at 60", &all);
    search("for:www nodata; nx", "www", "a", "A none at 60", &all);
    let twice = ["www.corp.test", "www.corp.test", "www.lab.test", "www.lab.test", "www", "www"];
    let script = "for:www.lab.test aaaa refused; for:www.lab.test nodata; nx";
    // It is asked again twice.
    let mut asked = twice.to_vec();
    asked.splice(4..4, ["www.lab.test", "www.lab.test"]);
    search(script, "www", "aaaa a", "AAAA !Refused at 1600; A none at 1600", &asked);
}

#[test]
fn of_two_that_exist_it_is_the_first() {
    let script = "for:www.corp.test aaaa code:9; for:www.corp.test nodata; for:www.lab.test nodata; nx";
    let asked = ["www.corp.test", "www.corp.test", "www.lab.test", "www.lab.test", "www", "www"];
    search(script, "www", "aaaa a", "AAAA !ServerFailure at 60; A none at 60", &asked);
}

#[test]
fn no_name_at_all() {
    let names = SearchNames::<_, 255>::new("a..b", &SEARCH, 1);
    assert!(RecordLookup::from_names(names, WantedRecords::default()).is_none());
}

#[test]
fn the_records_of_a_service_have_a_name_of_their_own() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["https service; ok"]);
    let service = name("name.test").https_query_name(8_443).expect("a name");
    let found = bench.run(&mut RecordLookup::new(service, wanted("https")));
    assert!(found.contains("HTTPS [1 ."), "{found}");
    assert_eq!(bench.asked(), ["_8443._https.name.test"]);
}

#[test]
fn names_of_tor_are_not_asked_for() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["ok"]);
    let found = bench.run(&mut RecordLookup::new(name("abc.onion"), wanted("a")));
    assert_eq!((found.as_str(), bench.sent().len()), ("A !NoSuchName at 0", 0));
}

#[test]
fn a_look_up_that_is_closed_asks_no_more() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["silent"]);
    let mut lookup = RecordLookup::new(name("name.test"), WantedRecords::default());
    let now = bench.now;
    assert!(lookup.poll(&mut bench.client, now).is_none());
    assert!(bench.drain().is_some());
    lookup.close(&mut bench.client);
    assert!(lookup.is_done() && bench.drain().is_none());
    assert!(lookup.poll(&mut bench.client, now).is_none());
    assert!(bench.drain().is_none());
}

#[test]
fn an_end_is_reported_once() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["nx"]);
    let mut lookup = RecordLookup::new(name("name.test"), wanted("a"));
    assert!(lookup.poll(&mut bench.client, bench.now).is_none());
    bench.pass(20);
    let event = lookup.poll(&mut bench.client, bench.now).expect("an end");
    assert_eq!(event.result.err(), Some(QueryError::NoSuchName));
    assert!(lookup.poll(&mut bench.client, bench.now).is_none() && lookup.is_done());
}
