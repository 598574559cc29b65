//! IPv4 through the network's NAT64, on a host that has IPv6 alone (rule 2; RFC 8305 section 7, RFC 7050).

use connie_core::connect::Routes;
use connie_core::resolution::Query::{A, Aaaa, Nat64Prefix};
use connie_core::resolution::QueryError;
use connie_core::{AttemptErrorKind, Config, Families, Family};

use crate::verbs::*;

/// What `ipv4only.arpa` has where `64:ff9b::/96` is the prefix.
const PREFIX: &str = "64:ff9b::192.0.0.170 64:ff9b::192.0.0.171";
/// `A`, which is 192.0.2.65, under it.
const A_BEYOND: &str = "[64:ff9b::c000:241]:80";

#[track_caller]
fn asked(config: &Config) -> Name {
    let mut name = Name::new("name.test", config, NO_IPV4);
    name.expect("AAAA?, A?, prefix?, wait");
    name
}

#[test]
fn the_prefix_is_asked_for_last_and_only_where_it_can_help() {
    asked(&at_once());
    for routes in [BOTH, NO_IPV6, Routes { v4: false, v6: false }] {
        Name::new("name.test", &at_once(), routes).expect("AAAA?, A?, wait");
    }
    for family in [Family::V4, Family::V6] {
        let config = at_once().families(Families::Only(family));
        let mut name = Name::new("name.test", &config, NO_IPV4);
        name.expect(if family == Family::V4 { "A?, wait" } else { "AAAA?, wait" });
    }
}

#[test]
fn ipv4_addresses_wait_for_the_prefix_and_join_behind_the_names_own() {
    let mut name = asked(&at_once());
    name.answers(A, "A");
    name.expect("wait");
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.answers(Nat64Prefix, PREFIX);
    name.expect(&format!("start {A_BEYOND}, wait"));
    name.refuses("a");
    name.succeeds(A_BEYOND);
    name.expect(&format!("established {A_BEYOND}"));
}

#[test]
fn they_are_hints_before_the_aaaa_answer() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(A, "A");
    name.expect(&format!("start {A_BEYOND}, wait"));
    name.refuses(A_BEYOND);
    name.expect("wait");
    name.answers(Aaaa, "");
    name.expect("failed: every address failed");
}

#[test]
fn without_a_prefix_all_are_tried_as_they_are() {
    for end in ["failed", "no prefix in it"] {
        let mut name = asked(&at_once());
        name.answers(A, "A");
        name.answers(Aaaa, "");
        name.expect("wait");
        match end {
            "failed" => name.query_fails(Nat64Prefix, QueryError::NoSuchName),
            _ => name.answers(Nat64Prefix, "2001:db8::1"),
        }
        name.expect("start A, wait");
        name.fails("A", AttemptErrorKind::Unreachable);
        name.expect("failed: every address failed");
        assert_eq!(name.failures(), [""; 0], "the name's own queries have not failed");
    }
}

/// Rule 5: by then an A answer can no longer help.
#[test]
fn without_a_prefix_no_a_answer_is_waited_for() {
    let mut name = asked(&at_once());
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.refuses("a");
    name.expect("wait");
    name.query_fails(Nat64Prefix, QueryError::NoSuchName);
    name.expect("failed: every address failed");
}

#[test]
fn with_a_prefix_the_a_answer_is_waited_for() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.refuses("a");
    name.expect("wait");
    name.query_fails(A, QueryError::TimedOut);
    name.expect("failed: every address failed");
    assert_eq!(name.failures(), ["A query for name.test failed: no answer in time"]);
}

/// Law 10: the prefix helps nobody then.
#[test]
fn without_an_ipv4_address_no_prefix_is_waited_for() {
    for fails in [true, false] {
        let mut name = asked(&at_once());
        name.answers(Aaaa, "");
        match fails {
            true => name.query_fails(A, QueryError::ServerFailure),
            false => name.answers(A, ""),
        }
        name.expect("failed: no address to connect to");
    }
}

/// RFC 6052 section 3.1: the Well-Known Prefix "MUST NOT be used to represent non-global IPv4 addresses".
#[test]
fn a_private_address_is_not_reached_through_the_well_known_prefix() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "");
    name.answers(A, "10.0.0.1");
    name.expect("start 10.0.0.1:80, wait");
}

/// Law 8: the host may have a route to it alone, as a VPN's.
#[test]
fn what_the_prefix_does_not_reach_is_tried_as_it_is_beside_what_it_reaches() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "");
    name.answers(A, "10.0.0.1 192.0.2.65");
    name.expect(&format!("start {A_BEYOND}, start 10.0.0.1:80, wait"));
}

#[test]
fn hints_of_ipv4_are_reached_through_it_too() {
    let mut name = asked(&at_once());
    name.hints("A");
    name.expect("wait");
    name.answers(Nat64Prefix, PREFIX);
    name.expect(&format!("start {A_BEYOND}, wait"));
    name.query_fails(A, QueryError::ServerFailure);
    name.answers(Aaaa, "");
    name.expect("wait");
    name.refuses(A_BEYOND);
    name.expect("failed: every address failed");
}

#[test]
fn hints_are_tried_as_they_are_where_the_query_and_the_prefix_fail() {
    let mut name = asked(&at_once());
    name.hints("A");
    name.query_fails(A, QueryError::ServerFailure);
    name.answers(Aaaa, "");
    name.expect("wait");
    name.query_fails(Nat64Prefix, QueryError::TimedOut);
    name.expect("start A, wait");
}

#[test]
fn a_later_answer_takes_the_place_of_what_the_earlier_one_became() {
    let mut name = asked(&at_once().max_in_flight(1));
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "a");
    name.answers(A, "A");
    name.expect("start a, wait");
    name.answers(A, "B");
    name.refuses("a");
    name.expect("start [64:ff9b::c000:242]:80, wait");
    name.refuses("[64:ff9b::c000:242]:80");
    name.expect("failed: every address failed");
}

#[test]
fn what_is_translated_is_tried_once_where_dns64_has_told_it_already() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "64:ff9b::192.0.2.65");
    name.answers(A, "A");
    name.expect(&format!("start {A_BEYOND}, wait"));
}

#[test]
fn a_failure_after_an_answer_takes_nothing_back() {
    let mut name = asked(&at_once());
    name.answers(Nat64Prefix, PREFIX);
    name.answers(A, "A");
    name.answers(Aaaa, "");
    for query in [Aaaa, A, Nat64Prefix] {
        name.query_fails(query, QueryError::TimedOut);
    }
    name.expect(&format!("start {A_BEYOND}, wait"));
    assert_eq!(name.failures(), [""; 0]);
}

/// A host may have a route to it alone.
#[test]
fn a_literal_is_tried_as_it_is_and_through_the_nat64() {
    let mut name = Name::new("192.0.2.65", &staggered(), NO_IPV4);
    name.expect("prefix?, start A, wait");
    name.fails("A", AttemptErrorKind::Unreachable);
    name.expect("wait");
    name.answers(Nat64Prefix, PREFIX);
    name.expect(&format!("start {A_BEYOND}, wait"));
    name.succeeds(A_BEYOND);
    name.expect(&format!("established {A_BEYOND}"));

    let mut name = Name::new("192.0.2.65", &staggered(), NO_IPV4);
    name.expect("prefix?, start A, wait");
    name.fails("A", AttemptErrorKind::Unreachable);
    name.query_fails(Nat64Prefix, QueryError::NoSuchName);
    name.expect("failed: every address failed");
}

#[test]
fn an_address_of_the_host_or_its_link_is_not_looked_for_behind_a_nat64() {
    for near in ["127.0.0.1", "127.255.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1"] {
        assert!(!Routes::matter(near), "{near}");
        Name::new(near, &at_once(), NO_IPV4).expect(&format!("start {near}:80, wait"));
    }
    for far in ["192.0.2.1", "10.0.0.1", "128.0.0.1", "240.0.0.1"] {
        assert!(Routes::matter(far), "{far}");
        Name::new(far, &at_once(), NO_IPV4).expect(&format!("prefix?, start {far}:80, wait"));
    }
    for named in ["name.test", "name.local"] {
        assert!(Routes::matter(named), "{named}");
    }
    for other in ["2001:db8::1", "localhost", "name.invalid", "127.1"] {
        assert!(!Routes::matter(other), "{other}");
    }
}

#[test]
fn what_was_reached_through_it_goes_with_a_newer_answer() {
    let mut name = asked(&at_once().max_in_flight(1));
    name.answers(Nat64Prefix, PREFIX);
    name.answers(Aaaa, "a");
    name.answers(A, "A");
    name.expect("start a, wait");
    // A private address is not reached.
    name.answers(A, "10.0.0.1");
    name.refuses("a");
    name.expect("start 10.0.0.1:80, wait");
    name.refuses("10.0.0.1:80");
    name.expect("failed: every address failed");
}

#[test]
fn hints_that_come_after_the_answer_change_nothing() {
    let mut name = asked(&at_once().max_in_flight(1));
    name.answers(Nat64Prefix, PREFIX);
    name.answers(A, "A");
    name.hints("B");
    name.answers(Aaaa, "");
    name.expect(&format!("start {A_BEYOND}, wait"));
    name.refuses(A_BEYOND);
    name.expect("failed: every address failed");
}

/// Room is for eight of each family.
#[test]
fn an_address_that_dns64_has_told_takes_no_room_twice() {
    let mut name = asked(&at_once().max_in_flight(16));
    name.answers(Nat64Prefix, PREFIX);
    let told = (0x41..0x45).map(|last| format!("64:ff9b::c000:2{last:x}")).collect::<Vec<_>>();
    name.answers(Aaaa, &told.join(" "));
    name.answers(A, "ABCDEFGH");
    let _ = name.connect.poll_output(connie_core::Instant::ZERO);
    assert_eq!(name.connect.timeline().destinations().len(), 8);
}
