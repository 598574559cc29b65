//! Fewer sockets than destinations: eviction, doubling patience, and sockets that run out.

mod common;

use common::*;
use connie_core::{AttemptErrorKind, AttemptOutcome, Config};

fn bench<const K: usize>() -> Bench<16, K> {
    Bench::new(Config::all_at_once().hedge(false))
}

#[test]
fn an_attempt_that_outstayed_its_patience_makes_room() {
    let mut race = bench::<2>();
    race.addresses("abc");
    race.expect_all("start a, start b");
    race.idle_until(250);
    race.expect_all("cancel a, start c");
}

#[test]
fn the_evicted_come_back_with_twice_the_patience_that_they_were_given() {
    let mut race = bench::<1>();
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("cancel a, start b");
    // `a` comes back with 500 ms, so `b` is given as much, and comes back with 1000.
    race.idle_until(750);
    race.expect_all("cancel b, start a");
    race.idle_until(1_750);
    race.expect_all("cancel a, start b");
    race.idle_until(3_750);
    race.expect_all("cancel b, start a");
    race.expect_timeline(&[
        "a 0..250 evicted",
        "b 250..750 evicted",
        "a 750..1750 evicted",
        "b 1750..3750 evicted",
        "a 3750.. in flight",
    ]);
}

#[test]
fn one_that_waits_again_throws_out_nobody_who_has_run_for_less_than_it_will() {
    let mut race = bench::<4>();
    race.addresses("abcde");
    race.expect_all("start a, start b, start c, start d");
    race.idle_until(250);
    race.expect_all("cancel a, start e");
    race.idle_until(500);
    race.expect_all("cancel b, start a");
    race.idle_until(1_000);
    race.expect_all("cancel c, start b");
}

#[test]
fn nobody_is_evicted_while_nobody_waits() {
    let mut race = bench::<2>();
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.advance(5_000);
    race.expect("wait");
    race.resolved("ABabc");
    race.expect_all("cancel a, start A, cancel b, start B, wait 5500");
}

#[test]
fn the_one_that_outstayed_longest_goes_first() {
    let mut race = bench::<3>();
    race.resolved("A");
    race.expect_all("start A, wait");
    race.advance(100);
    race.resolved("ABCDE");
    race.expect_all("start B, start C");
    race.idle_until(250);
    race.expect_all("cancel A, start D");
    race.idle_until(350);
    race.expect_all("cancel B, start E");
}

#[test]
fn the_last_of_a_family_stays_while_there_is_a_choice() {
    let mut race = bench::<3>();
    race.addresses("aABCDE");
    race.expect_all("start a, start A, start B");
    race.idle_until(250);
    race.expect_all("cancel A, start C, cancel B, start D, cancel a, start E, wait 750");
}

#[test]
fn a_newcomer_may_replace_the_last_of_its_own_family() {
    let mut race = bench::<2>();
    race.resolved("A");
    race.expect_all("start A, wait");
    race.resolved("ab");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("cancel a, start b");
}

#[test]
fn fresh_addresses_go_before_the_evicted() {
    let mut race = bench::<1>();
    race.resolved("ab");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("cancel a, start b");
    race.advance(300);
    race.resolved("A");
    race.idle_until(500);
    race.expect_all("cancel b, start A");
    race.idle_until(1_000);
    race.expect_all("cancel A, start a, wait 1500");
}

#[test]
fn out_of_sockets_the_race_goes_on_with_what_it_has_and_loses_nothing() {
    let mut race = bench::<4>();
    race.addresses("abcd");
    race.expect_all("start a, start b, start c");
    race.fails("c", AttemptErrorKind::OutOfSockets);
    assert_eq!(race.race.max_in_flight(), 2);
    race.expect_idle(250);
    race.fails("a", REFUSED);
    race.expect_all("start c, wait 250");
    race.fails("b", REFUSED);
    race.expect("start d");
    race.succeeds("d");
    race.expect_all("cancel c, established d");
    // The third had no socket, so it was never in flight.
    assert_eq!(race.race.timeline().summary().max_in_flight, 2);
}

#[test]
fn out_of_sockets_with_none_in_flight_the_destination_has_failed() {
    let mut race = bench::<4>();
    race.addresses("ab");
    race.expect("start a");
    race.fails("a", AttemptErrorKind::OutOfSockets);
    race.expect("start b");
    race.fails("b", AttemptErrorKind::OutOfSockets);
    race.expect("failed: every address failed");
    assert_eq!(race.outcomes(), [AttemptOutcome::Failed(AttemptErrorKind::OutOfSockets); 2]);
}

#[test]
fn an_evicted_one_that_is_put_back_is_the_next_all_the_same() {
    let mut race = bench::<2>();
    race.addresses("abc");
    race.expect_all("start a, start b");
    race.idle_until(250);
    race.expect_all("cancel a, start c");
    race.idle_until(500);
    race.expect_all("cancel b, start a");
    race.fails("a", AttemptErrorKind::OutOfSockets);
    race.idle_until(750);
    race.expect_all("cancel c, start a");
}

#[test]
fn without_eviction_the_race_waits_for_its_attempts() {
    let mut race = Bench::<16, 1>::new(Config::all_at_once().evict(false).hedge(false));
    race.addresses("ab");
    race.expect_all("start a, wait");
    race.advance(100_000);
    race.expect("wait");
    race.fails("a", AttemptErrorKind::TimedOut);
    race.expect("start b");
}

#[test]
fn a_withdrawn_address_is_not_started_again() {
    let mut race = bench::<1>();
    race.resolved("ABC");
    race.expect("start A");
    race.advance(100);
    race.resolved("C");
    race.expect_idle(250);
    race.advance(250);
    race.expect_all("cancel A, start C, wait");
}

#[test]
fn a_full_record_forgets_the_evicted_first_and_no_attempt_in_flight() {
    let mut race = Bench::<4, 2, 3>::new(Config::all_at_once().hedge(false));
    race.addresses("abcd");
    race.expect_all("start a, start b");
    race.fails("a", REFUSED);
    race.expect("start c");
    race.idle_until(250);
    race.expect_all("cancel b, start d");
    race.expect_timeline(&["a 0..0 connection refused", "c 0.. in flight", "d 250.. in flight"]);
    race.idle_until(500);
    race.expect_all("cancel c, start b");
    race.expect_timeline(&["a 0..0 connection refused", "d 250.. in flight", "b 500.. in flight"]);
    let summary = race.race.timeline().summary();
    assert_eq!((summary.attempts, summary.omitted_attempts), (5, 2));
    race.advance(600);
    race.succeeds("b");
    race.expect_all("cancel d, established b");
    race.expect_timeline(&["a 0..0 connection refused", "d 250..600 canceled", "b 500..600 established"]);
}

#[test]
fn a_fresh_address_waits_for_one_patience_however_late_it_comes() {
    let mut race = bench::<1>();
    race.resolved("AB");
    race.expect("start A");
    race.idle_until(250);
    race.expect_all("cancel A, start B");
    race.idle_until(750);
    race.expect_all("cancel B, start A");
    race.idle_until(1_750);
    race.expect_all("cancel A, start B, wait 3750");
    race.advance(1_900);
    race.resolved("a");
    race.idle_until(2_000);
    race.expect_all("cancel B, start a");
    // `B` was given less than the 2000 ms that it came back with, and comes back with as much.
    race.expect_idle(4_000);
}

#[test]
fn a_full_table_of_dead_addresses_shuts_out_nobody_who_comes_later() {
    let mut race = Bench::<4, 4, 4>::new(Config::all_at_once());
    race.resolved("ABCD");
    race.expect_all("start A, start B, start C, start D");
    for name in ["A", "B", "C", "D"] {
        race.fails(name, REFUSED);
    }
    race.expect("wait");
    race.resolved("a");
    race.expect("start a");
    race.expect_timeline(&[
        "B 0..0 connection refused",
        "C 0..0 connection refused",
        "D 0..0 connection refused",
        "a 0.. in flight",
    ]);
    race.succeeds("a");
    race.expect("established a");
    assert_eq!(race.race.timeline().summary().omitted_destinations, 1);
}
