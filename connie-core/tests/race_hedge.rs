//! The hedge: a second attempt beside one that has outstayed its patience.

mod common;

use common::*;
use connie_core::race::Destination;
use connie_core::{AttemptError, AttemptErrorKind, Config, Pacing};

fn bench<const K: usize>() -> Bench<16, K> {
    Bench::new(Config::all_at_once())
}

#[test]
fn a_slow_attempt_gets_a_second_beside_it_and_no_third() {
    let mut race = bench::<4>();
    race.addresses("a");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("start a', wait");
    race.advance(10_000);
    race.expect("wait");
    race.succeeds("a'");
    race.expect_all("cancel a, established a");
    race.expect_timeline(&["a 0..10000 canceled", "a' 250..10000 established"]);
}

#[test]
fn the_first_of_the_two_may_win_as_well() {
    let mut race = bench::<4>();
    race.addresses("a");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("start a', wait");
    race.advance(400);
    race.succeeds("a");
    race.expect_all("cancel a', established a");
}

#[test]
fn all_slow_attempts_are_hedged_as_far_as_sockets_go() {
    let mut race = bench::<5>();
    race.addresses("aAb");
    race.expect_all("start a, start A, start b");
    race.idle_until(250);
    race.expect_all("start a', start A', wait");
}

#[test]
fn a_destination_fails_only_with_both_its_attempts() {
    let mut race = bench::<4>();
    race.addresses("a");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("start a', wait");
    race.fails("a", REFUSED);
    race.expect("wait");
    race.fails("a'", AttemptErrorKind::Reset);
    race.expect("failed: every address failed");
}

/// The race keeps one number for each destination: that of the attempt which failed last, though it started
/// first here.
#[test]
fn the_number_of_an_error_belongs_to_the_attempt_that_failed_last() {
    let mut race = bench::<4>();
    let refused = |number| AttemptError::new(REFUSED).with_number(number);
    race.addresses("ab");
    race.expect_all("start a, start b");
    race.idle_until(250);
    race.expect_all("start a', start b', wait");
    race.fails("a'", refused(1));
    race.fails("b", refused(3));
    race.advance(300);
    race.fails("a", refused(2));
    race.fails("b'", REFUSED);
    race.expect_all("failed: every address failed");
    let timeline = race.race.timeline();
    let errors: Vec<_> = timeline.destinations().map(Destination::error).collect();
    assert_eq!(errors, [Some(refused(2)), Some(REFUSED.into())]);
    let numbers: Vec<_> = timeline.attempts().map(|attempt| (attempt.hedge, attempt.number)).collect();
    assert_eq!(numbers, [(false, Some(2)), (false, None), (true, None), (true, None)]);
}

#[test]
fn one_that_waits_goes_before_a_hedge() {
    let mut race = bench::<2>();
    race.addresses("abc");
    race.expect_all("start a, start b");
    race.idle_until(250);
    race.expect_all("cancel a, start c, wait 500");
}

#[test]
fn a_hedged_attempt_gives_its_socket_up_to_one_that_waits() {
    let mut race = bench::<2>();
    race.resolved("A");
    race.expect("start A");
    race.idle_until(250);
    race.expect_all("start A', wait");
    race.advance(300);
    race.resolved("a");
    race.expect_all("cancel A, start a, wait");
    race.fails("A'", REFUSED);
    race.fails("a", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn out_of_sockets_a_hedge_is_given_up_and_the_first_goes_on() {
    let mut race = bench::<4>();
    race.addresses("a");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start a'");
    race.fails("a'", AttemptErrorKind::OutOfSockets);
    race.expect("wait");
    assert_eq!(race.race.max_in_flight(), 1);
    race.succeeds("a");
    race.expect("established a");
}

#[test]
fn a_withdrawn_address_gets_no_hedge() {
    let mut race = bench::<4>();
    race.resolved("A");
    race.expect_all("start A, wait 250");
    race.resolved("B");
    race.expect_all("start B, wait 250");
    race.advance(250);
    race.expect_all("start B', wait");
}

#[test]
fn staggered_does_not_hedge_unless_told_to() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.addresses("a");
    race.expect_all("start a, wait");
    let mut race = Bench::<16, 4>::new(Config::staggered().hedge(true));
    race.addresses("a");
    race.expect_all("start a, wait 250");
}

/// A free socket belongs to the destination whose turn pacing still holds back.
#[test]
fn while_a_destination_waits_for_its_turn_nothing_is_hedged() {
    let pacing = Pacing::Staggered { delay: ms(2_000), growth_percent: 100 };
    let mut race = Bench::<16, 4>::new(Config::staggered().pacing(pacing).hedge(true));
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(2_000);
    race.expect_all("start b, start a', wait 2250");
}
