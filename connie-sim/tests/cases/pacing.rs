//! When attempts start.

use connie_core::{AttemptErrorKind, Config, Family, Pacing};
use connie_sim::{Bench, Scenario, hang, no_route, ok, refuse, starts, waits_until};
use std::time::Duration;

#[test]
fn case_04_the_third_of_three_wins() {
    Scenario::staggered()
        .v6(ok(1_000))
        .v6(ok(1_000))
        .v6(ok(200))
        .run()
        .starts("6a@0 6b@250 6c@500")
        .connects("6c", 700);
}

#[test]
fn case_05_the_second_wins_and_the_third_is_never_started() {
    Scenario::staggered()
        .v6(ok(1_000))
        .v6(ok(100))
        .v6(ok(200))
        .run()
        .starts("6a@0 6b@250")
        .connects("6b", 350);
}

#[test]
fn case_06_with_a_long_delay_the_first_wins() {
    Scenario::staggered()
        .delay(450)
        .v6(ok(1_000))
        .v6(ok(1_000))
        .v6(ok(200))
        .run()
        .starts("6a@0 6b@450 6c@900")
        .connects("6a", 1_000);
}

#[test]
fn case_06_the_last_start_falls_on_the_moment_of_the_first_win() {
    let scenario = |first| Scenario::staggered().delay(450).v6(ok(first)).v6(hang()).v6(hang());
    scenario(899).run().starts("6a@0 6b@450").connects("6a", 899);
    scenario(900).run().starts("6a@0 6b@450").connects("6a", 900);
    scenario(901).run().starts("6a@0 6b@450 6c@900").connects("6a", 901);
}

#[test]
fn case_11_a_family_that_the_stack_does_not_have_is_skipped_without_delay() {
    Scenario::staggered()
        .without(Family::V6)
        .v6(ok(10))
        .v4(ok(20))
        .run()
        .starts("6a@0 4a@0")
        .connects("4a", 20);
}

#[test]
fn case_11_so_are_all_its_addresses() {
    Scenario::staggered()
        .without(Family::V6)
        .v6s(3, ok(10))
        .v4(hang())
        .v4(ok(20))
        .run()
        .starts("6a@0 4a@0 6b@250 4b@250")
        .connects("4b", 270);
}

#[test]
fn case_22_after_a_silent_first_address_the_second_connects_at_the_delay() {
    Scenario::staggered().v6(hang()).v4(ok(0)).run().starts("6a@0 4a@250").connects("4a", 250);
    Scenario::staggered().v6(hang()).v4(ok(20)).run().starts("6a@0 4a@250").connects("4a", 270);
}

#[test]
fn case_23_after_a_refusal_the_second_starts_at_once_however_long_the_delay() {
    let scenario = |first| Scenario::staggered().delay(2_000).v6(first).v4(ok(30));
    scenario(refuse(20)).run().starts("6a@0 4a@20").connects("4a", 50);
    scenario(no_route()).run().starts("6a@0 4a@0").connects("4a", 30);
}

#[test]
fn case_23_the_maximum_delay_is_two_seconds() {
    Scenario::staggered().delay(60_000).v6(hang()).v4(ok(30)).run().connects("4a", 2_030);
}

#[test]
fn case_31_families_alternate() {
    Scenario::staggered()
        .v6s(2, hang())
        .v4s(2, hang())
        .deadline(1_000)
        .run()
        .starts("6a@0 4a@250 6b@500 4b@750");
    Scenario::staggered().v6s(3, hang()).v4(hang()).deadline(1_000).run().starts("6a@0 4a@250 6b@500 6c@750");
}

#[test]
fn case_31_after_as_many_of_the_first_family_as_its_count_says() {
    Scenario::staggered()
        .first_family_count(2)
        .v6s(3, hang())
        .v4(hang())
        .deadline(1_000)
        .run()
        .starts("6a@0 6b@250 4a@500 6c@750");
}

#[test]
fn case_47_a_slow_attempt_is_not_abandoned() {
    Scenario::staggered().v6s(3, ok(400)).v4s(3, ok(400)).run().starts("6a@0 4a@250").connects("6a", 400);
    Scenario::all_at_once().sockets(4).v6s(2, ok(400)).v4s(2, ok(400)).run().connects("6a", 400);
    Scenario::one_by_one().v6s(3, ok(400)).run().starts("6a@0").connects("6a", 400);
}

#[test]
fn case_59_a_delay_that_doubles() {
    let scenario = Scenario::staggered().growing_delay(250, 200).v6s(4, hang()).deadline(3_000);
    scenario.run().starts("6a@0 6b@250 6c@750 6d@1750");
}

#[test]
fn case_59_a_failure_does_not_inflate_the_delay() {
    Scenario::staggered()
        .growing_delay(250, 200)
        .v6(refuse(100))
        .v6s(3, hang())
        .deadline(3_000)
        .run()
        .starts("6a@0 6b@100 6c@350 6d@850");
}

#[test]
fn case_59_step_by_step() {
    let pacing = Pacing::Staggered { delay: Duration::from_millis(250), growth_percent: 200 };
    let mut race = Bench::new(&Config::staggered().pacing(pacing));
    race.resolves("6a 6b 6c 6d");
    race.expect([starts("6a"), waits_until(250)]);
    race.advance(249);
    race.expect_idle();
    race.advance(250);
    race.expect([starts("6b"), waits_until(750)]);
    race.fails("6b", AttemptErrorKind::Refused);
    race.expect([starts("6c"), waits_until(750)]);
    race.advance(750);
    race.expect(starts("6d"));
}

#[test]
fn case_71_all_start_at_once_and_the_fastest_wins_in_its_own_time() {
    let times = [200, 180, 160, 140, 20, 40, 60, 80, 100, 120, 35, 190];
    let scenario = Scenario::all_at_once().sockets(12);
    let outcome = times.into_iter().fold(scenario, |scenario, time| scenario.v4(ok(time))).run();
    outcome.connects("4e", 20);
    assert!(outcome.attempts().all(|attempt| attempt.started.is_zero()));
    assert_eq!((outcome.peak, outcome.attempts().count()), (12, 12));
    assert_eq!(outcome.end_list().matches("canceled@20").count(), 11);
}

#[test]
fn case_76_where_each_first_syn_is_lost_a_second_attempt_saves_the_second() {
    Scenario::all_at_once()
        .sockets(8)
        .patience(300)
        .v4s(4, ok(30).lose_first(1))
        .run()
        .starts("4a@0 4b@0 4c@0 4d@0 4a+@300 4b+@300 4c+@300 4d+@300")
        .connects("4a", 330);
}

#[test]
fn case_76_without_a_free_socket_the_kernel_sends_its_syn_again_after_a_second() {
    Scenario::all_at_once()
        .sockets(4)
        .patience(300)
        .v4s(4, ok(30).lose_first(1))
        .run()
        .starts("4a@0 4b@0 4c@0 4d@0")
        .connects("4a", 1_030);
}

#[test]
fn case_77_the_first_of_two_attempts_on_one_address_wins() {
    let outcome = Scenario::all_at_once().patience(300).v4(ok(400)).run();
    outcome.starts("4a@0 4a+@300").ends("4a:established@400 4a+:canceled@400").connects("4a", 400);
    let seen = outcome.tally("4a");
    assert_eq!((seen.attempts, seen.completed, seen.aborted, seen.resets), (2, 1, 1, 1));
}

#[test]
fn case_77_before_its_patience_is_used_up_it_stays_alone() {
    Scenario::all_at_once().patience(300).v4(ok(299)).run().starts("4a@0");
    Scenario::all_at_once().patience(300).v4(ok(300)).run().starts("4a@0");
    Scenario::all_at_once().patience(300).v4(ok(301)).run().starts("4a@0 4a+@300");
}

#[test]
fn one_by_one_each_gets_an_even_share_of_the_deadline_and_two_seconds_at_least() {
    let scenario = |count, deadline| Scenario::one_by_one().v4s(count, hang()).deadline(deadline).run();
    scenario(3, 9_000).starts("4a@0 4b@3000 4c@6000").errors("4a timed_out, 4b timed_out, 4c timed_out");
    scenario(4, 5_000).starts("4a@0 4b@2000 4c@4000");
    let scenario = |time| Scenario::one_by_one().v4(ok(time)).v4(ok(10)).deadline(6_000).run();
    scenario(2_999).connects("4a", 2_999);
    scenario(3_000).connects("4a", 3_000);
    scenario(3_001).connects("4b", 3_010);
}
