//! `AllAtOnce`: everything starts as soon as there is a socket for it.

mod common;

use common::*;
use connie_core::{AttemptError, AttemptErrorKind, Config, Failure, Families, Family, Input, Instant, Race};

fn bench<const K: usize>() -> Bench<16, K> {
    Bench::new(Config::all_at_once().hedge(false).evict(false))
}

#[test]
fn all_start_at_once_families_alternating() {
    let mut race = bench::<4>();
    race.addresses("abAB");
    race.expect_all("start a, start A, start b, start B, wait");
}

#[test]
fn the_first_to_succeed_wins_and_the_others_are_canceled() {
    let mut race = bench::<4>();
    race.addresses("abc");
    race.expect_all("start a, start b, start c, wait");
    race.advance(30);
    race.succeeds("b");
    race.expect_all("cancel c, cancel a, established b, established b");
    race.expect_timeline(&["a 0..30 canceled", "b 0..30 established", "c 0..30 canceled"]);
}

#[test]
fn of_several_in_one_tick_the_first_told_wins() {
    let mut race = bench::<4>();
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.succeeds("b");
    race.succeeds("a");
    race.expect_all("cancel a, established b");
}

#[test]
fn a_failure_makes_room_for_the_next() {
    let mut race = bench::<2>();
    race.addresses("abc");
    race.expect_all("start a, start b, wait");
    race.advance(10);
    race.fails("a", REFUSED);
    race.expect_all("start c, wait");
}

#[test]
fn when_all_have_failed_the_race_has() {
    let mut race = bench::<4>();
    race.addresses("aA");
    race.expect_all("start a, start A, wait");
    race.fails("a", AttemptErrorKind::Unreachable);
    race.expect("wait");
    race.fails("A", REFUSED);
    race.expect_all("failed: every address failed, failed: every address failed");
    let errors: Vec<_> =
        race.race.timeline().destinations().map(|one| one.error().map(AttemptError::kind)).collect();
    assert_eq!(errors, [Some(AttemptErrorKind::Unreachable), Some(REFUSED)]);
}

#[test]
fn the_race_starts_on_the_first_usable_answer_and_later_ones_join() {
    let mut race = bench::<4>();
    race.expect("wait");
    race.advance(10);
    race.resolved("AB");
    race.expect_all("start A, start B, wait");
    race.advance(40);
    race.resolved("a");
    race.expect_all("start a, wait");
}

#[test]
fn a_race_does_not_fail_while_an_answer_is_outstanding() {
    let mut race = bench::<4>();
    race.resolved("A");
    race.expect_all("start A, wait");
    race.fails("A", REFUSED);
    race.expect("wait");
    race.input(Input::ResolutionFailed { family: Family::V6 });
    race.expect("failed: every address failed");
}

#[test]
fn without_an_address_the_race_fails_and_says_so() {
    let mut race = bench::<4>();
    race.no_address(Family::V6);
    race.expect("wait");
    race.input(Input::ResolutionFailed { family: Family::V4 });
    race.expect("failed: no address to connect to");
}

#[test]
fn an_answer_taken_back_before_anything_started_leaves_no_address() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.resolved("A");
    race.expect("wait 50");
    race.no_address(Family::V4);
    race.no_address(Family::V6);
    race.expect("failed: no address to connect to");
}

#[test]
fn a_family_that_is_not_allowed_is_never_started() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().families(Families::Only(Family::V4)));
    race.addresses("aA");
    race.expect_all("start A, wait 250");
    race.fails("A", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn its_time_counts_from_its_start() {
    let mut race = Race::<16, 4, 16>::new(&Config::all_at_once(), Instant::from_millis(1_000));
    assert_eq!((race.start(), race.elapsed()), (Instant::from_millis(1_000), ms(0)));
    let _ = race.poll_output(Instant::from_millis(1_250));
    assert_eq!((race.start(), race.elapsed()), (Instant::from_millis(1_000), ms(250)));
}

#[test]
fn the_deadline_ends_everything_at_its_time() {
    let deadline = Some(ms(1_000));
    let mut race = Bench::<16, 4>::new(Config::all_at_once().deadline(deadline).hedge(false));
    race.addresses("abc");
    race.expect_all("start a, start b, start c");
    race.idle_until(1_000);
    race.expect_all("cancel c, cancel b, cancel a, failed: timed out");
    race.expect_timeline(&["a 0..1000 timed out", "b 0..1000 timed out", "c 0..1000 timed out"]);
    let errors: Vec<_> =
        race.race.timeline().destinations().map(|one| one.error().map(AttemptError::kind)).collect();
    assert_eq!(errors, [Some(AttemptErrorKind::TimedOut); 3]);
}

#[test]
fn a_success_told_at_the_deadline_still_counts() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().deadline(Some(ms(100))));
    race.addresses("a");
    race.expect_all("start a, wait 100");
    race.advance(101);
    race.succeeds("a");
    race.expect("established a");
}

#[test]
fn a_deadline_before_any_answer_ends_the_race() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().deadline(Some(ms(100))));
    race.idle_until(100);
    race.expect("failed: timed out");
    race.expect_failure(Failure::DeadlineExceeded);
    race.resolved("a");
    race.expect("failed: timed out");
}

#[test]
fn an_attempt_that_used_up_its_time_has_failed() {
    let config = Config::all_at_once().attempt_timeout(Some(ms(100))).hedge(false);
    let mut race = Bench::<16, 1>::new(config);
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(100);
    race.expect_all("cancel a, start b");
    race.idle_until(200);
    race.expect_all("cancel b, failed: every address failed");
    race.expect_timeline(&["a 0..100 timed out", "b 100..200 timed out"]);
}

#[test]
fn canceled_before_the_start_nothing_is_opened() {
    let mut race = bench::<4>();
    race.addresses("ab");
    race.input(Input::Cancel);
    race.expect("failed: canceled");
    race.expect_timeline(&[]);
}

#[test]
fn canceled_while_pending_everything_is_closed() {
    let mut race = bench::<4>();
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.advance(5_000);
    race.input(Input::Cancel);
    race.expect_all("cancel b, cancel a, failed: canceled");
}

#[test]
fn canceled_after_success_the_winner_stays() {
    let mut race = bench::<4>();
    race.addresses("a");
    race.expect_all("start a, wait");
    race.succeeds("a");
    race.input(Input::Cancel);
    race.expect("established a");
}

#[test]
fn late_results_change_nothing() {
    let mut race = bench::<4>();
    race.addresses("abc");
    race.expect_all("start a, start b, start c, wait");
    race.fails("c", REFUSED);
    race.fails("c", AttemptErrorKind::Reset);
    race.succeeds("c");
    race.expect("wait");
    race.succeeds("a");
    race.expect_all("cancel b, established a");
    race.succeeds("b");
    race.fails("a", AttemptErrorKind::Reset);
    race.expect("established a");
    race.expect_timeline(&["a 0..0 established", "b 0..0 canceled", "c 0..0 connection refused"]);
}

#[test]
fn an_attempt_that_fails_by_itself_after_the_end_is_not_canceled() {
    let mut race = bench::<4>();
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.succeeds("a");
    race.fails("b", REFUSED);
    race.expect("established a");
}

#[test]
fn a_stack_that_is_gone_ends_the_race_without_walking_the_list() {
    let mut race = bench::<2>();
    race.addresses("abcd");
    race.expect_all("start a, start b, wait");
    race.fails("a", AttemptErrorKind::StackGone);
    race.expect_all("cancel b, failed: the network is down");
}

#[test]
fn a_clock_that_runs_backwards_stands_still() {
    let mut race = bench::<4>();
    race.resolved("a");
    race.expect("start a");
    race.advance(100);
    race.expect("wait");
    // What comes by a clock that is behind counts as at 100.
    race.set_back(40);
    race.resolved("A");
    race.expect_all("start A, wait");
    race.advance(90);
    race.succeeds("A");
    race.expect_all("cancel a, established A");
    race.expect_timeline(&["a 0..100 canceled", "A 100..100 established"]);
}

#[test]
fn addresses_beyond_the_capacity_are_counted() {
    let mut race = Bench::<2, 2, 4>::new(Config::all_at_once());
    race.addresses("abcAB");
    race.expect_all("start a, start A, wait");
    assert_eq!(race.race.timeline().summary().omitted_destinations, 3);
}

#[test]
fn max_in_flight_is_held_within_the_capacity() {
    for (wanted, limit) in [(0, 1), (1, 1), (3, 3), (4, 4), (usize::MAX, 4)] {
        let race = Bench::<16, 4>::new(Config::all_at_once().max_in_flight(wanted));
        assert_eq!(race.race.max_in_flight(), limit);
    }
}

#[test]
fn a_preference_that_changes_counts_from_the_next_start() {
    let mut race = bench::<4>();
    race.race.prefer(Family::V4);
    race.addresses("abAB");
    race.expect_all("start A, start a");
    race.race.prefer(Family::V6);
    race.expect_all("start B, start b, wait");
}

#[test]
fn a_limit_counts_from_the_next_start_and_never_rises() {
    for (sockets, limit) in [(0, 1), (1, 1), (2, 2), (3, 3), (4, 4), (usize::MAX, 4)] {
        let mut race = bench::<4>();
        race.addresses("abcde");
        race.expect_all("start a, start b");
        race.race.limit_to(sockets);
        assert_eq!(race.race.max_in_flight(), limit, "limited to {sockets}");
        race.race.limit_to(4);
        assert_eq!(race.race.max_in_flight(), limit, "limited to {sockets}");
    }
    let mut race = bench::<4>();
    race.race.limit_to(0);
    race.addresses("ab");
    race.expect_all("start a, wait");
}

#[test]
fn sockets_beyond_a_new_limit_are_not_used_again() {
    let mut race = bench::<4>();
    race.addresses("abcdef");
    race.expect_all("start a, start b, start c, start d, wait");
    race.race.limit_to(2);
    race.expect("wait");
    assert_eq!(race.race.in_flight(), 4, "what is in flight goes on");
    for freed in ["a", "b"] {
        race.fails(freed, REFUSED);
        race.expect("wait");
    }
    race.fails("c", REFUSED);
    race.expect_all("start e, wait");
    // The stack has no socket for it: what is in flight is all there is, and no more than before.
    race.fails("e", AttemptErrorKind::OutOfSockets);
    assert_eq!(race.race.max_in_flight(), 1);
    race.succeeds("d");
    race.expect("established d");
}

#[test]
fn a_stack_out_of_sockets_raises_no_limit() {
    let mut race = bench::<4>();
    race.addresses("abcdef");
    race.expect_all("start a, start b, start c, start d, wait");
    race.race.limit_to(1);
    race.fails("d", AttemptErrorKind::OutOfSockets);
    assert_eq!((race.race.max_in_flight(), race.race.in_flight()), (1, 3));
    race.expect("wait");
}

/// Who waits does not wait for dead ones: as many are evicted as it takes, each after its patience.
#[test]
fn beyond_a_new_limit_attempts_are_evicted_until_there_is_room() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().hedge(false));
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.advance(100);
    race.addresses("abcd");
    race.expect_all("start c, start d, wait");
    race.race.limit_to(2);
    race.addresses("abcde");
    race.expect_idle(250);
    race.advance(250);
    race.expect_all("cancel a, cancel b");
    race.expect_idle(350);
    race.advance(350);
    race.expect_all("cancel c, start e");
}

#[test]
fn what_became_of_an_address_is_not_told_of_the_one_that_takes_its_place() {
    let mut race = Bench::<1, 1, 4>::new(Config::all_at_once());
    race.resolved("a");
    race.expect("start a");
    race.fails("a", REFUSED);
    race.resolved("A");
    race.expect("start A");
    race.expect_timeline(&["A 0.. in flight"]);
    let summary = race.race.timeline().summary();
    assert_eq!((summary.attempts, summary.omitted_attempts, summary.omitted_destinations), (2, 1, 1));
}
