//! Which address comes first: RFC 6724, and the caller (rules 3 and 4).

use connie_core::Config;
use connie_core::connect::{AddressOrder, ConnectInput, Facts};
use connie_core::resolution::Query::{A, Aaaa};
use connie_core::resolution::selection::{DEFAULT_POLICY, PolicyEntry, Route};

use crate::common::addresses;
use crate::verbs::*;

#[test]
fn an_answer_is_put_in_the_order_of_rfc_6724() {
    let mut name = Name::asked(&at_once(), BOTH);
    // Rule 1 of section 6, and rule 10 for the rest.
    name.answers_from(Aaaa, "abc", "- 2001:db8::ff 2001:db8::ff");
    name.expect("start b, start c, start a, wait");
}

#[test]
fn addresses_of_which_nothing_is_known_keep_their_order() {
    let mut name = Name::asked(&at_once(), BOTH);
    name.answers_from(Aaaa, "bac", "2001:db8::ff");
    name.expect("start b, start a, start c, wait");
}

#[test]
fn what_is_in_order_already_stays_so() {
    let mut name = Name::asked(&at_once(), BOTH);
    let order = AddressOrder::Best(Route::Unknown);
    name.input(ConnectInput::Answered { query: Aaaa, addresses: &addresses("cab"), order });
    name.expect("start c, start a, start b, wait");
}

/// Of more addresses than there are places, the first sixteen are put in order, and none is lost on the way.
#[test]
fn a_long_answer_goes_on_in_its_own_order() {
    let mut name = Name::asked(&at_once().max_in_flight(1), BOTH);
    name.answers(Aaaa, "abcdefghijklmnopqrst");
    name.expect("start a, wait");
    assert_eq!(name.connect.timeline().summary().omitted_destinations, 4);
}

#[test]
fn the_family_of_the_best_address_of_all_comes_first() {
    let one_socket = Config::one_by_one().max_in_flight(1);
    let mut name = Name::asked(&one_socket, BOTH);
    name.answers_from(Aaaa, "a", "2001:db8::ff");
    name.answers_from(A, "A", "192.0.2.255");
    name.expect("start a, wait");
    // Rule 2 of section 6: a link-local source does not fit a global destination.
    let mut name = Name::asked(&one_socket, BOTH);
    name.answers_from(Aaaa, "a", "fe80::1");
    name.answers_from(A, "A", "192.0.2.255");
    name.expect("start A, wait");
    // The same where the resolver had put them in order.
    let mut name = Name::asked(&one_socket, BOTH);
    for (query, list, route) in [(Aaaa, "a", Route::Unreachable), (A, "A", Route::Unknown)] {
        name.input(ConnectInput::Answered {
            query,
            addresses: &addresses(list),
            order: AddressOrder::Best(route),
        });
    }
    name.expect("start A, wait");
}

#[test]
fn a_callers_preference_for_ipv4_is_not_undone() {
    let one_socket = prefers_v4(Config::one_by_one()).max_in_flight(1);
    let mut name = Name::asked(&one_socket, BOTH);
    name.answers_from(Aaaa, "a", "2001:db8::ff");
    name.answers_from(A, "A", "-");
    name.expect("start A, wait");
}

/// As with `precedence ::ffff:0:0/96 100` in gai.conf: RFC 6724's table, but for IPv4's row.
const IPV4_FIRST: [PolicyEntry; 9] = {
    let mut policy = DEFAULT_POLICY;
    policy[2].precedence = 100;
    policy
};

#[test]
fn an_administrators_preference_for_ipv4_is_known_before_the_addresses_are() {
    let facts = Facts::default().policy(&IPV4_FIRST);
    let asked = || {
        let mut name = Name::with("name.test", &staggered(), &facts).expect("a host");
        name.expect("AAAA?, A?");
        name
    };
    // What IPv4 has is not held back for IPv6.
    let mut name = asked();
    name.answers(A, "A");
    name.expect("start A");
    // It is waited for, and comes first.
    let mut name = asked();
    name.answers(Aaaa, "a");
    name.expect("wait 50");
    name.advance(20);
    name.answers(A, "A");
    name.expect("start A");
    // The rules before the sixth hold all the same: no address of IPv4 can be reached.
    let mut name = asked();
    name.answers_from(A, "A", "-");
    name.answers_from(Aaaa, "a", "2001:db8::ff");
    name.expect("start a");
}

/// RFC 8305 section 3: the Resolution Delay is for the family that is preferred.
#[test]
fn a_caller_who_prefers_ipv4_waits_for_no_ipv6() {
    let mut name = Name::asked(&prefers_v4(staggered()), BOTH);
    name.answers(A, "A");
    name.expect("start A");
    let mut name = Name::asked(&prefers_v4(staggered()), BOTH);
    name.answers(Aaaa, "a");
    name.expect("wait 50");
    name.advance_micros(49_999);
    name.expect("wait 50");
    name.advance(50);
    name.expect("start a");
}
