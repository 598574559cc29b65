//! A source address that changes while the race runs: rule 10.

mod common;

use common::*;
use connie_core::{AttemptErrorKind, AttemptOutcome, Config, Failure, Family, Input, Pacing};

const GONE: AttemptOutcome = AttemptOutcome::Failed(AttemptErrorKind::SourceGone);

#[test]
fn its_attempts_end_and_start_anew_and_the_others_go_on() {
    let mut race = Bench::<16, 8>::new(Config::all_at_once());
    race.addresses("aAbB");
    race.expect_all("start a, start A, start b, start B, wait 250");
    race.advance(200);
    race.changes(Family::V4);
    race.expect_all("start A, start B, wait 250");
    // Those of the other family are hedged in their own time, those that began anew in theirs.
    race.advance(250);
    race.expect_all("start a', start b', wait 450");
    race.advance(300);
    race.succeeds("B");
    race.expect_all("cancel b', cancel a', cancel A, cancel b, cancel a, established B");
    race.expect_timeline(&[
        "a 0..300 canceled",
        "A 0..200 this machine's address has changed",
        "b 0..300 canceled",
        "B 0..200 this machine's address has changed",
        "A 200..300 canceled",
        "B 200..300 established",
        "a' 250..300 canceled",
        "b' 250..300 canceled",
    ]);
}

#[test]
fn what_failed_before_is_tried_again_and_what_failed_of_the_other_family_is_not() {
    let mut race = Bench::<16, 8>::new(Config::all_at_once().hedge(false));
    race.addresses("aAB");
    race.expect_all("start a, start A, start B, wait");
    race.advance(10);
    race.fails("A", AttemptErrorKind::Unreachable);
    race.fails("a", REFUSED);
    race.expect_idle_for_input();
    race.advance(20);
    race.changes(Family::V4);
    race.expect_all("start A, start B, wait");
    race.fails("A", REFUSED);
    race.fails("B", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn one_that_was_evicted_is_fresh_with_its_first_patience() {
    let mut race = Bench::<16, 1>::new(Config::all_at_once());
    race.addresses("AB");
    race.expect("start A");
    race.idle_until(250);
    race.expect_all("cancel A, start B, wait 750");
    race.advance(300);
    race.changes(Family::V4);
    // In the order of the answer again.
    race.expect("start A");
    race.idle_until(550);
    race.expect_all("cancel A, start B, wait 1050");
}

#[test]
fn both_attempts_on_a_destination_end_and_one_starts() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once());
    race.addresses("A");
    race.expect("start A");
    race.idle_until(250);
    race.expect_all("start A', wait");
    race.advance(260);
    race.changes(Family::V4);
    race.expect("start A");
    race.idle_until(510);
    race.expect_all("start A', wait");
    assert_eq!(race.outcomes(), [GONE, GONE]);
}

fn staggered() -> Bench<16, 8> {
    let pacing = Pacing::Staggered { delay: ms(250), growth_percent: 200 };
    Bench::new(Config::staggered().pacing(pacing).evict(false).hedge(false))
}

#[test]
fn staggered_the_next_starts_at_once_and_the_rest_a_delay_apart() {
    let mut race = staggered();
    race.addresses("aABb");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start A");
    race.idle_until(750);
    race.expect("start b");
    race.advance(800);
    race.changes(Family::V4);
    // The delay that has grown to 1 s stays so.
    race.expect("start A");
    race.idle_until(1_800);
    race.expect("start B");
    race.expect_idle_for_input();
}

/// Nothing has ended: the delay that runs is not cut short.
#[test]
fn staggered_a_family_without_an_attempt_in_flight_cuts_no_delay_short() {
    let mut race = staggered();
    race.addresses("abAB");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start A");
    race.advance(300);
    race.fails("A", REFUSED);
    race.expect("start b");
    race.advance(350);
    race.changes(Family::V4);
    race.idle_until(800);
    race.expect("start A");
}

#[test]
fn one_by_one_the_next_starts_with_a_share_of_what_is_left() {
    let config = Config::one_by_one().deadline(Some(ms(10_000)));
    let mut race = Bench::<16, 4>::new(config);
    race.addresses("AB");
    race.expect_all("start A, wait 5000");
    race.advance(4_000);
    race.changes(Family::V4);
    race.expect_all("start A, wait 7000");
}

#[test]
fn families_take_their_turns_anew() {
    let mut race = Bench::<16, 2>::new(Config::all_at_once().evict(false));
    race.addresses("abAB");
    race.expect_all("start a, start A, wait");
    race.changes(Family::V6);
    race.expect_all("start a, wait");
    race.fails("a", REFUSED);
    race.expect_all("start B, wait");
    race.changes(Family::V4);
    race.expect_all("start A, start b, wait");
}

#[test]
fn what_the_answer_no_longer_holds_is_not_started_again() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false));
    race.resolved("AB");
    race.expect_all("start A, start B, wait");
    race.resolved("B");
    race.changes(Family::V4);
    race.expect_all("start B, wait");
    // It comes back as one that was never tried.
    race.resolved("BA");
    race.expect_all("start A, wait");
}

#[test]
fn a_limit_stays() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().evict(false).hedge(false));
    race.addresses("ABC");
    race.expect_all("start A, start B, start C, wait");
    race.race.limit_to(1);
    race.changes(Family::V4);
    race.expect_all("start A, wait");
}

#[test]
fn around_the_deadline() {
    for (at, starts) in [(999, true), (1_000, false), (1_001, false)] {
        let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false).deadline(Some(ms(1_000))));
        race.addresses("A");
        race.expect_all("start A, wait 1000");
        race.advance(at);
        race.changes(Family::V4);
        if starts {
            race.expect_all("start A, wait 1000");
            race.advance(1_000);
            race.expect("cancel A");
        }
        race.expect("failed: timed out");
        race.expect_failure(Failure::DeadlineExceeded);
    }
}

#[test]
fn a_race_that_has_ended_stays_as_it_is() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once());
    race.addresses("aA");
    race.expect_all("start a, start A");
    race.succeeds("A");
    race.changes_after_the_end(Family::V4);
    race.changes_after_the_end(Family::V6);
    race.expect_all("cancel a, established A");
    race.changes_after_the_end(Family::V4);
    race.expect("established A");
}

/// Case 63 stands: that is the end.
#[test]
fn a_stack_that_is_gone_does_not_come_back_with_an_address() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once());
    race.addresses("AB");
    race.expect_all("start A, start B");
    race.fails("A", AttemptErrorKind::StackGone);
    race.changes_after_the_end(Family::V4);
    race.expect_all("cancel B, failed: the network is down");
}

#[test]
fn late_results_of_attempts_that_ended_so_change_nothing() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false));
    race.addresses("A");
    race.expect_all("start A, wait");
    let old = race.id("A");
    race.changes(Family::V4);
    race.input(Input::AttemptSucceeded { id: old });
    race.expect_all("start A, wait");
    race.input(Input::AttemptFailed { id: old, error: AttemptErrorKind::StackGone.into() });
    race.expect("wait");
}

/// What is said of one attempt alone is a failure as any other: else a stack that always says so would have
/// the race start it for ever.
#[test]
fn of_a_single_attempt_it_is_a_failure() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false));
    race.addresses("AB");
    race.expect_all("start A, start B, wait");
    race.fails("A", AttemptErrorKind::SourceGone);
    race.expect("wait");
    race.fails("B", AttemptErrorKind::SourceGone);
    race.expect("failed: every address failed");
}

#[test]
fn before_the_first_answer_it_changes_nothing() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false));
    race.changes(Family::V6);
    race.changes(Family::V4);
    race.addresses("aA");
    race.expect_all("start a, start A, wait");
}
