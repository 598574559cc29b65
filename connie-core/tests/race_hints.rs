//! Hints: addresses to go on with until their family's answer comes (RFC 9460 section 7.3).

mod common;

use common::*;
use connie_core::{Config, Families, Family};

fn bench<const K: usize>() -> Bench<16, K> {
    Bench::new(Config::all_at_once().hedge(false).evict(false))
}

#[test]
fn hints_start_a_race_and_the_answer_takes_their_place() {
    let mut race = bench::<1>();
    race.hinted("ab");
    race.expect_all("start a, wait");
    race.resolved("ac");
    race.fails("a", REFUSED);
    race.expect_all("start c, wait");
}

#[test]
fn hints_do_not_end_the_wait_for_the_answer() {
    let mut race = bench::<4>();
    race.hinted("a");
    race.no_address(Family::V4);
    race.expect_all("start a, wait");
    race.fails("a", REFUSED);
    race.expect("wait");
    race.resolved("b");
    race.expect_all("start b, wait");
    race.fails("b", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn hints_stay_where_the_query_fails() {
    let mut race = bench::<1>();
    race.hinted("ab");
    race.no_address(Family::V4);
    race.expect_all("start a, wait");
    race.unanswered(Family::V6);
    race.fails("a", REFUSED);
    race.expect_all("start b, wait");
    race.fails("b", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn a_query_that_fails_after_its_answer_leaves_the_answer() {
    let mut race = bench::<1>();
    race.resolved("abc");
    race.expect_all("start a, wait");
    race.unanswered(Family::V6);
    race.no_address(Family::V4);
    race.fails("a", REFUSED);
    race.expect("start b");
    // An answer without addresses takes it back.
    race.no_address(Family::V6);
    race.fails("b", REFUSED);
    race.expect("failed: every address failed");
}

#[test]
fn hints_after_the_answer_change_nothing() {
    for positive in [true, false] {
        let mut race = bench::<4>();
        if positive {
            race.resolved("a");
            race.expect("start a");
        } else {
            race.no_address(Family::V6);
        }
        race.hinted("b");
        race.expect("wait");
    }
}

#[test]
fn hints_of_a_family_that_is_not_allowed_are_not_started() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once().families(Families::Only(Family::V4)));
    race.hinted("a");
    race.expect("wait");
    race.resolved("b");
    race.expect("wait");
    race.hinted("A");
    race.expect_all("start A, wait 250");
}

/// "When an AAAA response is received first, the first IPv6 connection attempt is immediately started" (RFC
/// 8305 section 3).
#[test]
fn staggered_a_hint_of_the_preferred_family_is_as_good_as_its_answer() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.hinted("a");
    race.expect_all("start a, wait");
}

#[test]
fn staggered_a_hint_of_the_other_family_waits_for_the_resolution_delay() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.hinted("A");
    race.idle_until(50);
    race.expect_all("start A, wait");
}

#[test]
fn staggered_the_delay_of_an_answer_runs_from_the_hint_before_it() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.hinted("A");
    race.expect("wait 50");
    race.advance(30);
    race.resolved("A");
    race.idle_until(50);
    race.expect("start A");
}

#[test]
fn staggered_without_the_preferred_family_a_hint_of_the_other_starts_at_once() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.hinted("A");
    race.expect("wait 50");
    race.advance(20);
    race.no_address(Family::V6);
    race.expect_all("start A, wait");
}

#[test]
fn one_by_one_hints_are_not_enough_to_start() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one());
    race.hinted("a");
    race.resolved("A");
    race.expect("wait");
    race.advance(10);
    race.resolved("a");
    race.expect("start a");
}
