//! From a host's text to the race: rules 1 to 6 of `connect`, and its laws 8 and 10.

#[path = "../common/mod.rs"]
mod common;
mod nat64;
mod order;
mod routes;
mod verbs;

use connie_core::connect::{Facts, InvalidHost, named_zone};
use connie_core::resolution::Query::{A, Aaaa, Nat64Prefix};
use connie_core::resolution::{HostError, QueryError};
use connie_core::{Families, Family};

use common::{addresses, ms};
use verbs::*;

// Rule 1.

/// RFC 8305 section 3: "the AAAA query SHOULD be sent first, followed by the A query".
#[test]
fn aaaa_is_sent_first_and_then_a() {
    let mut name = Name::new("name.test", &at_once(), BOTH);
    name.expect("AAAA?, A?, wait, wait");
}

#[test]
fn only_the_families_that_may_be_used_are_asked_for() {
    for (family, query) in [(Family::V4, "A?"), (Family::V6, "AAAA?")] {
        let config = at_once().families(Families::Only(family));
        let mut name = Name::new("name.test", &config, BOTH);
        name.expect(query);
        name.expect("wait");
        // Nothing else is waited for.
        name.query_fails(if family == Family::V4 { A } else { Aaaa }, QueryError::ServerFailure);
        name.expect("failed: no address to connect to");
    }
}

#[test]
fn a_literal_is_not_asked_for() {
    for (host, called) in
        [("192.0.2.65", "A"), ("2001:db8::61", "a"), ("[2001:db8::61]", "a"), ("fe80::1%7", "[fe80::1%7]:80")]
    {
        let mut name = Name::new(host, &at_once(), BOTH);
        name.expect(&format!("start {called}, wait"));
        name.refuses(called);
        name.expect("failed: every address failed");
    }
}

/// RFC 4007 section 11.2: an implementation gives zones names, and numbers them itself.
#[test]
fn a_zone_by_name_is_numbered_by_the_adapter() {
    assert_eq!(named_zone("fe80::1%eth0"), Some("eth0"));
    for other in ["fe80::1%7", "fe80::1", "192.0.2.1", "name.test", "a b"] {
        assert_eq!(named_zone(other), None, "{other}");
    }
    let facts = Facts::default().zone(Some(3));
    let mut name = Name::with("fe80::1%eth0", &at_once(), &facts).unwrap();
    name.expect("start [fe80::1%3]:80, wait");
    let unknown = Name::with("fe80::1%eth0", &at_once(), &Facts::default());
    assert_eq!(unknown.err(), Some(InvalidHost::Zone));
    // One that has a number keeps it.
    Name::with("fe80::1%7", &at_once(), &facts).unwrap().expect("start [fe80::1%7]:80");
}

#[test]
fn what_is_no_host_is_an_error() {
    let error = Name::with("127.1", &at_once(), &Facts::default()).err();
    assert_eq!(error, Some(InvalidHost::Host(HostError::Ipv4)));
}

/// RFC 6761 section 6.3: "SHOULD always return the IP loopback address".
#[test]
fn localhost_is_not_asked_for() {
    for host in ["localhost", "a.localhost.", "LOCALHOST"] {
        let mut name = Name::new(host, &at_once(), BOTH);
        name.expect("start [::1]:80, start 127.0.0.1:80, wait");
    }
    let mut name = Name::new("localhost", &prefers_v4(at_once()), BOTH);
    name.expect("start 127.0.0.1:80, start [::1]:80, wait");
    // Routes to the internet have no say in it.
    for routes in [NO_IPV4, NO_IPV6] {
        let mut name = Name::new("localhost", &at_once(), routes);
        name.expect("start [::1]:80, start 127.0.0.1:80, wait");
    }
}

/// RFC 6761 section 6.4 and RFC 7686 section 2.
#[test]
fn names_that_are_nowhere_fail_unasked() {
    for host in ["name.invalid", "name.onion."] {
        let mut name = Name::new(host, &at_once(), BOTH);
        name.expect("failed: no address to connect to");
        let kinds: Vec<_> = name.connect.failures(host).map(|failure| failure.error).collect();
        assert_eq!(kinds, [QueryError::NoSuchName; 2], "{host}");
    }
}

#[test]
fn known_addresses_are_all_that_is_tried_in_the_order_of_their_list() {
    let list = addresses("Aab");
    let facts = Facts::default().hosts(Some(&list));
    let mut name = Name::with("name.test", &at_once(), &facts).unwrap();
    name.expect("start A, start a, start b, wait");
    let facts = Facts::default().hosts(Some(&[]));
    Name::with("name.test", &at_once(), &facts).unwrap().expect("failed: no address to connect to");
}

// Rule 3.

#[test]
fn each_answer_joins_when_it_comes_in_whatever_order() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.answers(A, "A");
    name.expect("start A, wait");
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.succeeds("a");
    name.expect("cancel A, established a");
}

#[test]
fn addresses_of_the_other_family_in_an_answer_are_passed_over() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.answers(A, "aA");
    name.expect("start A, wait");
    name.answers(Aaaa, "B");
    name.refuses("A");
    name.expect("failed: every address failed");
}

#[test]
fn a_newer_answer_takes_the_place_of_the_older_one() {
    let mut name = Name::asked(&at_once().max_in_flight(1), BOTH);
    name.answers(Aaaa, "ab");
    name.answers(A, "");
    name.expect("start a, wait");
    name.answers(Aaaa, "ac");
    name.refuses("a");
    name.expect("start c, wait");
    // A failure after an answer says nothing about it.
    name.query_fails(Aaaa, QueryError::TimedOut);
    name.refuses("c");
    name.expect("failed: every address failed");
    assert_eq!(name.failures(), [""; 0]);
}

/// RFC 9460 section 7.3.
#[test]
fn hints_serve_until_the_answer_comes() {
    let mut name = Name::asked(&at_once().max_in_flight(1), BOTH);
    name.hints("ab");
    name.answers(A, "");
    name.expect("start a, wait");
    name.answers(Aaaa, "ac");
    name.hints("d");
    name.refuses("a");
    name.expect("start c, wait");
    name.refuses("c");
    name.expect("failed: every address failed");
}

#[test]
fn hints_stay_where_the_query_fails() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.hints("a");
    name.expect("start a, wait");
    name.query_fails(Aaaa, QueryError::ServerFailure);
    name.query_fails(A, QueryError::ServerFailure);
    name.expect("wait");
    name.refuses("a");
    name.expect("failed: every address failed");
}

// Law 10.

#[test]
fn it_does_not_fail_while_a_query_may_still_help_and_fails_when_none_can() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.answers(A, "A");
    name.expect("start A, wait");
    name.refuses("A");
    name.expect("wait");
    name.query_fails(Aaaa, QueryError::TimedOut);
    name.expect("failed: every address failed");
}

#[test]
fn a_failed_query_is_told_with_its_name_and_its_reason() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.query_fails(A, QueryError::ServerFailure);
    name.query_fails(Aaaa, QueryError::NoSuchName);
    name.expect("failed: no address to connect to");
    assert_eq!(
        name.failures(),
        [
            "AAAA query for name.test failed: no such name",
            "A query for name.test failed: the name server could not answer (SERVFAIL)"
        ]
    );
    // Some servers say so of a name without such addresses.
    let mut name = Name::asked(&at_once(), BOTH);
    name.query_fails(Aaaa, QueryError::NoSuchName);
    name.answers(A, "A");
    assert_eq!(name.failures(), [""; 0]);
}

#[test]
fn at_the_deadline_a_query_without_an_answer_has_timed_out() {
    let mut name = Name::asked(&at_once().deadline(Some(ms(1_000))), BOTH);
    name.answers(A, "");
    name.advance_micros(999_999);
    name.expect("wait 1000");
    assert_eq!(name.failures(), [""; 0]);
    name.advance(1_000);
    name.expect("failed: timed out");
    assert_eq!(name.failures(), ["AAAA query for name.test failed: no answer in time"]);
}

#[test]
fn a_query_whose_family_has_hints_has_not_timed_out() {
    let mut name = Name::asked(&at_once().deadline(Some(ms(1_000))), BOTH);
    name.hints("a");
    name.answers(A, "");
    name.expect("start a, wait 1000");
    name.advance(1_000);
    name.expect("cancel a, failed: timed out");
    assert_eq!(name.failures(), [""; 0]);
}

// Rule 6.

#[test]
fn no_query_is_sent_when_it_is_over() {
    let mut name = Name::new("name.test", &at_once(), BOTH);
    name.input(connie_core::connect::ConnectInput::Cancel);
    name.expect("failed: canceled, failed: canceled");

    let mut name = Name::new("name.test", &at_once().deadline(Some(ms(10))), BOTH);
    name.expect("AAAA?");
    name.advance(10);
    name.expect("failed: timed out, failed: timed out");

    let mut name = Name::asked(&at_once(), NO_IPV4);
    name.hints("a");
    name.expect("prefix?, start a");
    name.succeeds("a");
    name.expect("established a");
    name.answers(Nat64Prefix, "64:ff9b::192.0.0.170");
    name.answers(A, "A");
    name.answers(Aaaa, "b");
    name.expect("established a");
}
