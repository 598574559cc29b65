//! Which answers the start waits for.

use connie_core::{Config, Failure, Family};
use connie_sim::{Bench, Scenario, address, hang, ok, refuse, starts, waits_for_input, waits_until};

#[test]
fn case_12_no_addresses_fail_at_once() {
    Scenario::staggered().run().fails(Failure::NoDestinations, 0).errors("");
    Scenario::all_at_once().run().fails(Failure::NoDestinations, 0);
    Scenario::one_by_one().run().fails(Failure::NoDestinations, 0);
}

#[test]
fn case_12_the_last_of_two_failed_queries_ends_it() {
    Scenario::staggered().a_fails_at(10).aaaa_fails_at(20).run().fails(Failure::NoDestinations, 20);
    Scenario::staggered().a_at(30).aaaa_fails_at(20).run().fails(Failure::NoDestinations, 30);
}

#[test]
fn case_16_v6_is_first_whichever_answer_is() {
    let scenario = Scenario::staggered().v6(ok(400)).v4(ok(400));
    scenario.clone().aaaa_at(0).a_at(30).run().starts("6a@0 4a@250").connects("6a", 400);
    scenario.clone().aaaa_at(30).a_at(0).run().starts("6a@30 4a@280").connects("6a", 430);
    scenario.aaaa_at(30).a_at(30).run().starts("6a@30 4a@280").connects("6a", 430);
}

#[test]
fn case_17_only_one_family() {
    let scenario = |family| Scenario::staggered().only(family).v6(refuse(10)).v4(refuse(10));
    scenario(Family::V6).run().starts("6a@0").fails(Failure::AllAttemptsFailed, 10);
    scenario(Family::V4).run().starts("4a@0").fails(Failure::AllAttemptsFailed, 10);
}

#[test]
fn case_17_the_other_family_is_not_waited_for() {
    Scenario::staggered().only(Family::V4).v4(ok(10)).aaaa_never().run().connects("4a", 10);
    Scenario::staggered().only(Family::V6).v4(ok(10)).a_never().run().fails(Failure::NoDestinations, 0);
}

#[test]
fn case_25_a_thousand_copies_of_one_address_are_one() {
    let outcome = Scenario::staggered().v4(ok(10)).copies(1_000).run();
    outcome.starts("4a@0").connects("4a", 10);
    assert_eq!(outcome.tally("4a").syns, 1);
    let outcome = Scenario::all_at_once().v4(ok(10)).copies(1_000).run();
    outcome.starts("4a@0").connects("4a", 10);
}

#[test]
fn case_50_the_aaaa_query_goes_first_and_neither_waits() {
    let both = Scenario::staggered().v6(ok(10)).v4(ok(10));
    both.run().asks("AAAA A");
    both.clone().aaaa_never().a_at(10).run().asks("AAAA A");
    both.clone().only(Family::V4).run().asks("A").connects("4a", 10);
    both.clone().only(Family::V6).run().asks("AAAA").connects("6a", 10);
}

#[test]
fn case_50_names_that_are_not_asked_for() {
    let outcome = Scenario::all_at_once().v4(ok(10)).host("no-such.invalid").run();
    outcome.asks("").fails(Failure::NoDestinations, 0);
    assert_eq!(
        outcome.failed_queries,
        [
            "AAAA query for no-such.invalid failed: no such name",
            "A query for no-such.invalid failed: no such name"
        ]
    );
    Scenario::all_at_once().v4(ok(10)).host("x.Onion.").run().asks("").fails(Failure::NoDestinations, 0);
    let outcome = Scenario::all_at_once().host("localhost").run();
    outcome.asks("").starts("[::1]:80@0 127.0.0.1:80@0 [::1]:80+@250 127.0.0.1:80+@250");
}

#[test]
fn case_50_a_query_that_failed_is_named() {
    let outcome = Scenario::all_at_once().v4(refuse(20)).aaaa_fails_at(10).run();
    outcome.fails(Failure::AllAttemptsFailed, 20);
    assert_eq!(outcome.failed_queries.len(), 1);
    assert!(outcome.failed_queries[0].starts_with("AAAA query for name.test failed: "));
}

#[test]
fn case_51_an_a_answer_alone_waits_for_the_resolution_delay() {
    let scenario = Scenario::staggered().a_at(100).v6(ok(10)).v4(ok(10));
    scenario.clone().aaaa_never().run().starts("4a@150").connects("4a", 160);
    scenario.clone().aaaa_at(149).run().starts("6a@149").connects("6a", 159);
    scenario.clone().aaaa_at(151).run().starts("4a@150").connects("4a", 160);
    // An answer that says there is no AAAA, and a failure, end the wait.
    let alone = Scenario::staggered().a_at(100).v4(ok(10));
    alone.clone().aaaa_at(120).run().starts("4a@120").connects("4a", 130);
    alone.aaaa_fails_at(130).run().starts("4a@130").connects("4a", 140);
}

#[test]
fn case_53_an_answer_exactly_at_the_resolution_delay() {
    // The simulation ends a wait of no length in a panic.
    Scenario::staggered()
        .a_at(100)
        .aaaa_at(150)
        .v6(ok(10))
        .v4(ok(10))
        .run()
        .starts("6a@150")
        .connects("6a", 160);
}

#[test]
fn case_53_step_by_step() {
    let mut race = Bench::new(&Config::staggered());
    race.expect(waits_for_input());
    race.answers(Family::V4, "4a");
    race.expect(waits_until(50));
    race.advance(50);
    race.answers(Family::V6, "6a");
    race.expect([starts("6a"), waits_until(300)]);
}

#[test]
fn case_54_the_same_address_from_two_sources_is_attempted_once() {
    let mapped = "[::ffff:192.0.2.1]:80".parse().unwrap();
    Scenario::all_at_once()
        .v4(refuse(20))
        .v4(refuse(20))
        .answers(0, Family::V4, vec![mapped, address("4b"), address("4a")])
        .answers(10, Family::V4, vec![address("4b"), address("4a")])
        .run()
        .ends("4a:refused@20 4b:refused@20")
        .fails(Failure::AllAttemptsFailed, 20);
}

#[test]
fn case_56_an_address_literal_is_one_attempt_whose_failure_is_final() {
    for host in ["2001:db8::1", "[2001:db8::1]"] {
        let outcome = Scenario::staggered().v6(refuse(20)).v4(ok(10)).host(host).run();
        outcome.asks("").starts("6a@0").errors("6a refused").fails(Failure::AllAttemptsFailed, 20);
        assert_eq!(outcome.tally("6a").syns, 1);
    }
    let outcome = Scenario::all_at_once().v4(ok(20)).host("192.0.2.1").run();
    outcome.asks("").starts("4a@0").connects("4a", 20);
}

#[test]
fn case_56_a_literal_of_a_family_that_may_not_be_used() {
    Scenario::all_at_once().only(Family::V4).host("2001:db8::1").run().fails(Failure::NoDestinations, 0);
}

#[test]
fn case_78_all_at_once_does_not_wait_for_the_other_family() {
    Scenario::all_at_once()
        .a_at(10)
        .aaaa_never()
        .v4(hang())
        .v4(ok(20))
        .run()
        .starts("4a@10 4b@10")
        .connects("4b", 30);
}

#[test]
fn case_78_when_all_of_one_family_fail_the_other_answer_is_waited_for() {
    let scenario = Scenario::all_at_once().a_at(10).v4(refuse(20)).v6(ok(20));
    scenario.clone().aaaa_never().run().waits_for_an_answer().errors("4a refused");
    scenario.clone().aaaa_never().deadline(500).run().fails(Failure::DeadlineExceeded, 500);
    scenario.clone().aaaa_at(100).run().starts("4a@10 6a@100").connects("6a", 120);
    scenario.aaaa_fails_at(100).run().fails(Failure::AllAttemptsFailed, 100);
}
