//! Answers that change while the race runs.

use connie_core::{Config, Failure, Family, Input};
use connie_sim::{
    Bench, Scenario, address, cancels, connects, fails, hang, ok, refuse, starts, waits_for_input,
    waits_until,
};

#[test]
fn case_75_an_address_that_arrives_late_joins_at_once() {
    Scenario::all_at_once()
        .v4(hang())
        .v4(ok(30))
        .joins_at(100)
        .run()
        .starts("4a@0 4b@100")
        .connects("4b", 130);
}

#[test]
fn case_75_staggered_it_waits_for_its_turn() {
    let scenario = |joins| Scenario::staggered().v6(hang()).v6(ok(30)).joins_at(joins);
    scenario(100).run().starts("6a@0 6b@250").connects("6b", 280);
    scenario(250).run().starts("6a@0 6b@250").connects("6b", 280);
    scenario(400).run().starts("6a@0 6b@400").connects("6b", 430);
}

#[test]
fn case_75_a_whole_family_joins() {
    Scenario::all_at_once()
        .a_at(10)
        .aaaa_at(60)
        .v4(hang())
        .v6(ok(20))
        .run()
        .starts("4a@10 6a@60")
        .connects("6a", 80);
}

#[test]
fn case_75_an_address_that_leaves_before_its_start_is_dropped() {
    Scenario::staggered()
        .v6(hang())
        .v6(ok(10))
        .leaves_at(200)
        .v6(ok(40))
        .run()
        .starts("6a@0 6c@250")
        .connects("6c", 290);
}

#[test]
fn case_75_at_the_moment_of_its_start_it_is_dropped_and_just_after_it_stays() {
    let scenario = |leaves| Scenario::staggered().v6(hang()).v6(ok(10)).leaves_at(leaves).v6(ok(40));
    scenario(249).run().connects("6c", 290);
    scenario(250).run().connects("6c", 290);
    scenario(251).run().starts("6a@0 6b@250").connects("6b", 260);
}

#[test]
fn case_75_an_attempt_under_way_goes_on_when_its_address_leaves() {
    Scenario::all_at_once().v4(ok(100)).leaves_at(50).v4(hang()).run().connects("4a", 100);
}

#[test]
fn case_75_one_that_left_is_not_started_again_after_its_eviction() {
    Scenario::all_at_once()
        .sockets(1)
        .v4(ok(400))
        .leaves_at(100)
        .v4(refuse(10))
        .v4(ok(700))
        .run()
        .starts("4a@0 4b@250 4c@260")
        .connects("4c", 960);
}

#[test]
fn case_75_step_by_step() {
    let mut race = Bench::new(&Config::all_at_once().max_in_flight(1));
    race.answers(Family::V4, "4a 4b");
    race.expect([starts("4a"), waits_until(250)]);
    race.answers(Family::V4, "4c");
    race.answers(Family::V6, "");
    race.advance(250);
    race.expect([cancels("4a"), starts("4c")]);
    race.advance(10_000);
    race.expect_idle();
    race.succeeds("4c");
    race.expect(connects("4c"));
}

/// RFC 8305 section 6: an address goes when "the DNS answers change". A refresh that gets none has not
/// changed them.
#[test]
fn case_75_a_refresh_that_fails_takes_no_address_back() {
    let mut race = Bench::new(&Config::all_at_once().max_in_flight(1));
    race.answers(Family::V4, "4a 4b");
    race.answers(Family::V6, "");
    race.expect([starts("4a"), waits_until(250)]);
    race.advance(100);
    race.input(Input::ResolutionFailed { family: Family::V4 });
    race.expect(waits_until(250));
    race.advance(250);
    race.expect([cancels("4a"), starts("4b")]);
    race.succeeds("4b");
    race.expect(connects("4b"));
}

#[test]
fn case_75_before_the_start_as_well() {
    let mut race = Bench::new(&Config::staggered());
    race.answers(Family::V4, "4a");
    race.expect(waits_until(50));
    race.input(Input::ResolutionFailed { family: Family::V4 });
    race.expect(waits_until(50));
    race.answers(Family::V6, "");
    race.expect(starts("4a"));
    race.expect(waits_for_input());
    // An answer that came after the failure counts, and one without addresses takes back what has not
    // started.
    race.input(Input::Resolved { family: Family::V4, addresses: &[address("4b")] });
    race.answers(Family::V4, "");
    race.fails("4a", connie_core::AttemptErrorKind::Refused);
    race.expect(fails(Failure::AllAttemptsFailed));
}
