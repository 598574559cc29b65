//! A host that has no route by one of the families (rule 5, and the second half of law 10).

use connie_core::connect::{Facts, Routes};
use connie_core::resolution::Query::{A, Aaaa};
use connie_core::resolution::QueryError;
use connie_core::{AttemptErrorKind, Config};

use crate::common::ms;
use crate::verbs::*;

#[test]
fn without_ipv6_the_start_waits_for_no_aaaa_answer() {
    for config in [at_once(), staggered(), Config::one_by_one()] {
        let mut name = Name::asked(&config, NO_IPV6);
        name.answers(A, "A");
        name.expect("start A");
    }
}

#[test]
fn without_ipv6_the_end_waits_for_no_aaaa_answer() {
    let mut name = Name::asked(&at_once(), NO_IPV6);
    name.answers(A, "A");
    name.expect("start A, wait");
    name.refuses("A");
    name.expect("failed: every address failed");
    assert_eq!(name.failures(), [""; 0], "the query did not fail: nobody waited for it");
}

/// There may be a route to its addresses alone, such as a VPN's.
#[test]
fn its_answer_still_joins() {
    let mut name = Name::asked(&at_once(), NO_IPV6);
    name.answers(A, "A");
    name.expect("start A, wait");
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.refuses("A");
    name.succeeds("a");
    name.expect("established a");
}

#[test]
fn it_is_waited_for_where_it_is_the_only_hope() {
    let mut name = Name::asked(&at_once(), NO_IPV6);
    name.answers(A, "");
    name.expect("wait");
    name.answers(Aaaa, "a");
    name.expect("start a, wait");
    name.fails("a", AttemptErrorKind::Unreachable);
    name.expect("failed: every address failed");

    let mut name = Name::asked(&at_once(), NO_IPV6);
    name.query_fails(A, QueryError::ServerFailure);
    name.expect("wait");
    name.query_fails(Aaaa, QueryError::ServerFailure);
    name.expect("failed: no address to connect to");
}

/// The answer takes the place of hints, and may bring what they lack.
#[test]
fn hints_of_the_other_family_are_not_its_answer() {
    let mut name = Name::asked(&at_once(), NO_IPV6);
    name.hints("A");
    name.expect("start A, wait");
    name.refuses("A");
    name.expect("wait");
    name.answers(A, "A");
    name.expect("failed: every address failed");
}

#[test]
fn the_order_in_which_the_answers_come_changes_nothing() {
    let mut name = Name::asked(&staggered(), NO_IPV6);
    name.query_fails(Aaaa, QueryError::TimedOut);
    name.answers(A, "A");
    name.expect("start A, wait");
    name.refuses("A");
    name.expect("failed: every address failed");
}

/// Without room for a prefix's addresses there is no NAT64, and no wait for IPv4.
#[test]
fn without_ipv4_and_without_nat64_no_a_answer_is_waited_for() {
    let facts = Facts::default().routes(NO_IPV4);
    let now = connie_core::Instant::ZERO;
    let mut connect = connie_core::Connect::<4, 2, 4>::new("name.test", 80, &at_once(), &facts, now).unwrap();
    use connie_core::connect::{AddressOrder, ConnectInput, ConnectOutput};
    assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: Aaaa });
    assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: A });
    assert_eq!(connect.poll_output(now), ConnectOutput::WaitForInput);
    let addresses = crate::common::addresses("a");
    connect.handle_input(
        ConnectInput::Answered { query: Aaaa, addresses: &addresses, order: AddressOrder::Any(&[]) },
        now,
    );
    let ConnectOutput::StartAttempt { id, .. } = connect.poll_output(now) else { panic!() };
    connect.handle_input(ConnectInput::AttemptFailed { id, error: AttemptErrorKind::Refused.into() }, now);
    assert_eq!(connect.poll_output(now), ConnectOutput::Failed(connie_core::Failure::AllAttemptsFailed));
}

/// Neither family can be given up for the other.
#[test]
fn without_any_route_both_are_waited_for() {
    let mut name = Name::asked(&at_once(), Routes { v4: false, v6: false });
    name.answers(A, "A");
    name.expect("start A, wait");
    name.fails("A", AttemptErrorKind::Unreachable);
    name.expect("failed: every address failed");
}

#[test]
fn the_deadline_comes_all_the_same() {
    let mut name = Name::asked(&at_once().deadline(Some(ms(100))), NO_IPV6);
    name.answers(A, "");
    name.advance_micros(99_999);
    name.expect("wait 100");
    name.advance(100);
    name.expect("failed: timed out");
}

#[test]
fn without_ipv6_hints_of_ipv4_wait_for_no_aaaa_answer() {
    let mut name = Name::asked(&staggered(), NO_IPV6);
    name.hints("A");
    name.expect("start A, wait");
}

/// RFC 6724 section 6, rule 1, as far as is known.
#[test]
fn a_family_without_a_route_comes_last() {
    let mut name = Name::asked(&Config::one_by_one(), NO_IPV6);
    name.answers(Aaaa, "a");
    name.answers(A, "A");
    name.expect("start A, wait");
    // Unless the resolver knows of a way to the very address.
    let mut name = Name::asked(&Config::one_by_one(), NO_IPV6);
    name.answers_from(Aaaa, "a", "2001:db8::ff");
    name.answers_from(A, "A", "192.0.2.255");
    name.expect("start a, wait");
}
