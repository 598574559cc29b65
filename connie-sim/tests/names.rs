//! From a host's text to the connection, to the millisecond: what is waited for, until when, and what joins
//! later. The rules are those of `connie_core::connect`.

use connie_core::connect::Routes;
use connie_core::resolution::selection::Route;
use connie_core::{Failure, Family};
use connie_sim::{Scenario, hang, no_route, ok, refuse};

/// 192.0.2.1, which is `4a`, under the Well-Known Prefix.
const A_BEYOND: &str = "[64:ff9b::c000:201]:80";

/// A host that has IPv6 alone, and so cannot reach any IPv4 address.
fn ipv6_alone(scenario: Scenario) -> Scenario {
    scenario.without_route(Family::V4).without(Family::V4)
}

// Rule 5: routes.

/// RFC 8305 section 3: "the client SHOULD wait a short time for the AAAA response". A host without IPv6 has
/// nothing to wait for.
#[test]
fn the_resolution_delay_is_for_hosts_that_have_ipv6() {
    let scenario = Scenario::staggered().a_at(100).aaaa_never().v4(ok(10));
    scenario.run().starts("4a@150").connects("4a", 160);
    scenario.clone().without_route(Family::V6).run().asks("AAAA A").starts("4a@100").connects("4a", 110);
    // By IPv4 there is a way, or not: that of IPv6 decides.
    let neither = Routes { v4: false, v6: false };
    scenario.clone().routes(neither).run().starts("4a@100").connects("4a", 110);
    scenario.without_route(Family::V4).run().asks("AAAA A prefix").starts("4a@150").connects("4a", 160);
}

#[test]
fn the_aaaa_answer_at_the_end_of_the_resolution_delay() {
    let scenario = Scenario::staggered().a_at(100).v6(ok(10)).v4(ok(10));
    scenario.clone().aaaa_at(149).run().starts("6a@149");
    scenario.clone().aaaa_at(150).run().starts("6a@150");
    scenario.clone().aaaa_at(151).run().starts("4a@150");
    // Who prefers IPv4 waits for A.
    let scenario = Scenario::staggered().prefer(Family::V4).aaaa_at(100).v6(ok(10)).v4(ok(10));
    scenario.clone().a_at(149).run().starts("4a@149");
    scenario.clone().a_at(150).run().starts("4a@150");
    scenario.clone().a_at(151).run().starts("6a@150");
    scenario.a_never().run().starts("6a@150").connects("6a", 160);
}

#[test]
fn an_aaaa_answer_that_nobody_waited_for_joins() {
    let scenario = Scenario::staggered().without_route(Family::V6).a_at(10).aaaa_at(30).v4(hang()).v6(ok(20));
    // Its turn comes as if it had been there: the delay counts from the attempt before.
    scenario.run().starts("4a@10 6a@260").connects("6a", 280);
    let at_once = Scenario::all_at_once().without_route(Family::V6).a_at(10).v4(hang()).v6(ok(20));
    at_once.clone().aaaa_at(30).run().starts("4a@10 6a@30").connects("6a", 50);
    at_once.aaaa_at(10).run().starts("4a@10 6a@10").connects("6a", 30);
}

#[test]
fn a_race_fails_when_the_family_that_has_a_route_has_failed() {
    let scenario = Scenario::all_at_once().without_route(Family::V6).v4(refuse(30)).v6(ok(10));
    for late in
        [scenario.clone().aaaa_never(), scenario.clone().aaaa_at(31), scenario.clone().aaaa_fails_at(500)]
    {
        late.run().fails(Failure::AllAttemptsFailed, 30);
    }
    // An answer in time is one more to try.
    scenario.clone().aaaa_at(29).run().connects("6a", 39);
    scenario.aaaa_at(30).run().connects("6a", 40);
}

#[test]
fn the_only_hope_is_waited_for_though_there_is_no_route() {
    let scenario = Scenario::all_at_once().without_route(Family::V6).v6(ok(20)).a_at(10);
    scenario.clone().aaaa_at(400).run().starts("6a@400").connects("6a", 420);
    scenario.clone().a_fails_at(10).aaaa_at(400).run().connects("6a", 420);
    scenario.clone().aaaa_fails_at(400).run().fails(Failure::NoDestinations, 400);
    scenario.clone().aaaa_never().run().waits_for_an_answer();
    scenario.aaaa_never().deadline(500).run().fails(Failure::DeadlineExceeded, 500);
}

/// Hints end no wait: A is still to come, and then so is AAAA.
#[test]
fn hints_begin_the_race_and_end_no_wait() {
    let scenario = Scenario::staggered().v4(refuse(30)).v6(ok(20)).a_never().aaaa_never();
    let hinted = scenario.hints_at(10, Family::V4, "4a");
    hinted.run().starts("4a@60").waits_for_an_answer().errors("4a refused");
    hinted.clone().aaaa_at(300).run().starts("4a@60 6a@300").connects("6a", 320);
    hinted.clone().hints_at(40, Family::V6, "6a").run().starts("6a@40").connects("6a", 60);
    // The query fails, and its hints stay: IPv6 is of no more use to a host that has none.
    let alone = hinted.without_route(Family::V6);
    alone.run().starts("4a@10").waits_for_an_answer();
    alone.a_fails_at(15).run().starts("4a@10").fails(Failure::AllAttemptsFailed, 40);
}

// Rule 4: which family comes first.

#[test]
fn the_caller_prefers_ipv4_and_rfc_6724_does_not_undo_it() {
    let scenario = Scenario::one_by_one().prefer(Family::V4).v6(refuse(10)).v4(refuse(10));
    scenario.run().starts("4a@0 6a@10");
    // The IPv4 address has no route. One by one, the race waits for both answers.
    let far =
        Scenario::one_by_one().prefer(Family::V4).v6(refuse(10)).v4(refuse(10)).by_way_of(Route::Unreachable);
    far.clone().aaaa_at(5).run().starts("4a@5 6a@15");
    let localhost = Scenario::staggered().prefer(Family::V4).host("localhost").deadline(300).run();
    localhost.asks("").starts("127.0.0.1:80@0 [::1]:80@250");
}

#[test]
fn without_a_preference_rfc_6724_decides_when_both_have_come() {
    let scenario = Scenario::one_by_one().v6(refuse(10)).by_way_of(Route::Unreachable).v4(refuse(10));
    scenario.run().starts("4a@0 6a@10");
    let plain = Scenario::one_by_one().v6(refuse(10)).v4(refuse(10));
    plain.run().starts("6a@0 4a@10");
    plain.without_route(Family::V6).run().starts("4a@0 6a@10");
}

#[test]
fn what_the_hosts_file_has_is_all_that_is_tried() {
    let scenario = Scenario::one_by_one().v6(refuse(10)).v4(refuse(10)).v4(ok(10));
    let outcome = scenario.clone().known("4a 6a").run();
    outcome.asks("").starts("4a@0 6a@10").fails(Failure::AllAttemptsFailed, 20);
    // On a host of IPv6 alone too: a file that has an IPv4 address means it.
    let outcome = scenario.clone().known("4b").without_route(Family::V4).run();
    outcome.asks("").starts("4b@0").connects("4b", 10);
    scenario.known("").run().asks("").fails(Failure::NoDestinations, 0);
}

// Rule 2: NAT64.

/// RFC 8305 section 7.1, for a name that has IPv4 alone.
#[test]
fn ipv4_waits_for_the_prefix_and_not_for_the_aaaa_answer() {
    let scenario = ipv6_alone(Scenario::all_at_once().v4(ok(20)).a_at(10).aaaa_never());
    let beyond = |at| format!("{A_BEYOND}@{at}");
    scenario.clone().prefix_at(5).run().asks("AAAA A prefix").starts(&beyond(10));
    scenario.clone().prefix_at(40).run().starts(&beyond(40));
    let outcome = scenario.clone().prefix_at(40).run();
    assert_eq!(outcome.time_to_connect(), Some(std::time::Duration::from_millis(60)));
    // Without one they are tried as they are, since a route to them alone is not known to be missing.
    let outcome = scenario.clone().prefix_fails_at(40).aaaa_at(50).run();
    outcome.starts("4a@40").errors("4a unreachable").fails(Failure::AllAttemptsFailed, 50);
    let outcome = scenario.clone().prefix_told_at(40, &[]).aaaa_fails_at(5).run();
    outcome.starts("4a@40").fails(Failure::AllAttemptsFailed, 40);
    scenario.clone().prefix_never().aaaa_at(0).run().starts("").waits_for_an_answer();
    scenario.prefix_never().deadline(100).run().fails(Failure::DeadlineExceeded, 100);
}

/// What is synthesized is of the AAAA answer's family: RFC 8305's Resolution Delay is over with it.
#[test]
fn what_is_translated_begins_a_staggered_race() {
    let scenario = ipv6_alone(Scenario::staggered().v6(ok(20)).v4(ok(20)).a_at(10));
    scenario.clone().prefix_at(20).aaaa_never().run().starts(&format!("{A_BEYOND}@20"));
    scenario.clone().prefix_at(20).aaaa_at(20).run().starts("6a@20").connects("6a", 40);
    scenario.prefix_at(300).aaaa_at(20).run().starts("6a@20").connects("6a", 40);
}

#[test]
fn a_prefix_at_the_deadline() {
    let scenario = ipv6_alone(Scenario::all_at_once().v4(ok(0)).aaaa_never().deadline(100));
    let connects = |at| scenario.clone().prefix_at(at).run();
    assert!(connects(99).time_to_connect().is_some());
    connects(100).starts("").fails(Failure::DeadlineExceeded, 100);
    connects(101).starts("").fails(Failure::DeadlineExceeded, 100);
}

#[test]
fn an_answer_at_the_deadline() {
    for family in [Family::V4, Family::V6] {
        let scenario = Scenario::all_at_once().only(family).v6(ok(0)).v4(ok(0)).deadline(100);
        let at = |at| scenario.clone().aaaa_at(at).a_at(at).run();
        assert!(at(99).time_to_connect().is_some());
        at(100).starts("").fails(Failure::DeadlineExceeded, 100);
        at(101).starts("").fails(Failure::DeadlineExceeded, 100);
    }
    Scenario::all_at_once().v4(ok(0)).deadline(0).run().asks("").fails(Failure::DeadlineExceeded, 0);
}

#[test]
fn a_prefix_is_not_waited_for_where_it_reaches_nobody() {
    let scenario = ipv6_alone(Scenario::all_at_once().prefix_never());
    scenario.clone().aaaa_at(10).a_at(20).run().fails(Failure::NoDestinations, 20);
    scenario.clone().aaaa_at(10).a_fails_at(20).run().fails(Failure::NoDestinations, 20);
    // 127.0.0.1 is on this host.
    let near = vec![([127, 0, 0, 1], 80).into()];
    let outcome = scenario.clone().answers(20, Family::V4, near).a_never().aaaa_at(10).deadline(500).run();
    outcome.starts("127.0.0.1:80@20").errors("127.0.0.1:80 unreachable");
    scenario.host("127.0.0.1").run().asks("").starts("127.0.0.1:80@0").fails(Failure::AllAttemptsFailed, 0);
}

#[test]
fn a_literal_is_tried_as_it_is_and_through_the_nat64_as_soon_as_that_is_known() {
    let scenario = Scenario::all_at_once().host("192.0.2.1").v4(ok(20)).without_route(Family::V4);
    let both = scenario.clone().prefix_at(10).run();
    both.asks("prefix").starts(&format!("4a@0 {A_BEYOND}@10")).connects("4a", 20);
    let beyond = scenario.clone().without(Family::V4).prefix_at(10).run();
    beyond.starts(&format!("4a@0 {A_BEYOND}@10"));
    assert_eq!(beyond.time_to_connect(), Some(std::time::Duration::from_millis(30)));
    let none = scenario.without(Family::V4).prefix_fails_at(10).run();
    none.starts("4a@0").errors("4a unreachable").fails(Failure::AllAttemptsFailed, 10);
}

/// Law 10, by its second half: nothing that can no longer help is waited for.
#[test]
fn when_the_prefix_has_failed_the_a_answer_is_of_no_use_beside_ipv6() {
    let scenario = ipv6_alone(Scenario::all_at_once().v6(refuse(10)).v4(no_route()).a_never());
    scenario.clone().prefix_fails_at(5).run().starts("6a@0").fails(Failure::AllAttemptsFailed, 10);
    scenario.clone().prefix_fails_at(15).run().fails(Failure::AllAttemptsFailed, 15);
    scenario.clone().prefix_at(5).run().waits_for_an_answer();
    scenario.prefix_at(5).a_at(50).run().fails(Failure::AllAttemptsFailed, 50);
}
