//! `Staggered`: RFC 8305 section 5.

mod common;

use common::*;
use connie_core::{AttemptErrorKind, Config, Family, Input, Pacing};

fn config(delay: u64, growth_percent: u16) -> Config {
    Config::staggered().pacing(Pacing::Staggered { delay: ms(delay), growth_percent })
}

fn bench() -> Bench<16, 8> {
    Bench::new(Config::staggered().evict(false))
}

#[test]
fn the_next_starts_after_the_connection_attempt_delay() {
    let mut race = bench();
    race.addresses("aAb");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start A");
    race.idle_until(500);
    race.expect_all("start b, wait");
}

#[test]
fn the_next_starts_at_once_when_one_fails() {
    let mut race = bench();
    race.addresses("abc");
    race.expect_all("start a, wait 250");
    race.advance(100);
    race.fails("a", REFUSED);
    race.expect_all("start b, wait 350");
}

#[test]
fn a_failure_of_an_older_attempt_counts_as_well() {
    let mut race = bench();
    race.addresses("abc");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start b");
    race.advance(300);
    race.fails("a", REFUSED);
    race.expect_all("start c, wait");
}

#[test]
fn a_growing_delay_is_not_inflated_by_a_failure() {
    let mut race = Bench::<16, 8>::new(config(250, 200));
    race.addresses("abcde");
    race.expect("start a");
    race.idle_until(250);
    race.expect("start b");
    race.idle_until(750);
    race.expect("start c");
    race.advance(800);
    race.fails("c", REFUSED);
    race.expect("start d");
    race.idle_until(1_800);
    race.expect_all("start e, wait");
}

#[test]
fn the_delay_has_a_floor_and_a_ceiling() {
    let mut race = Bench::<16, 8>::new(config(0, 100));
    race.addresses("ab");
    race.expect_all("start a, wait 10");
    let mut race = Bench::<16, 8>::new(config(1_500, 200));
    race.addresses("abc");
    race.expect_all("start a, wait 1500");
    race.advance(1_500);
    race.expect_all("start b, wait 3500");
}

#[test]
fn ipv6_starts_at_once_and_ipv4_waits_for_the_resolution_delay() {
    let mut race = bench();
    race.advance(10);
    race.resolved("a");
    race.expect_all("start a, wait");

    let mut race = bench();
    race.advance(10);
    race.resolved("A");
    race.idle_until(60);
    race.expect_all("start A, wait");
}

#[test]
fn an_ipv6_answer_within_the_resolution_delay_goes_first() {
    for arrival in [59, 60] {
        let mut race = bench();
        race.advance(10);
        race.resolved("A");
        race.expect_idle(60);
        race.advance(arrival);
        race.resolved("a");
        race.expect("start a");
        race.idle_until(arrival + 250);
        race.expect("start A");
    }
}

#[test]
fn a_negative_ipv6_answer_ends_the_resolution_delay() {
    let mut race = bench();
    race.resolved("A");
    race.expect_idle(50);
    race.advance(20);
    race.input(Input::ResolutionFailed { family: Family::V6 });
    race.expect("start A");
}

#[test]
fn a_late_answer_waits_for_the_delay_unless_nothing_is_in_flight() {
    let mut race = bench();
    race.resolved("a");
    race.expect_all("start a, wait");
    race.advance(100);
    race.resolved("A");
    race.idle_until(250);
    race.expect("start A");
    race.fails("A", REFUSED);
    race.fails("a", REFUSED);
    race.advance(260);
    race.expect("failed: every address failed");
}

#[test]
fn a_delay_that_ran_out_unused_starts_a_late_arrival_at_once() {
    let mut race = bench();
    race.resolved("a");
    race.expect_all("start a, wait");
    race.advance(400);
    race.resolved("A");
    race.expect_all("start A, wait");
}

#[test]
fn an_attempt_that_cannot_be_opened_costs_no_delay() {
    let mut race = bench();
    race.addresses("aAbB");
    race.expect("start a");
    race.fails("a", AttemptErrorKind::Unreachable);
    race.expect("start A");
    race.expect_idle(250);
}

#[test]
fn with_too_few_sockets_the_start_waits_for_an_eviction() {
    let mut race = Bench::<16, 1>::new(Config::staggered().patience(ms(400)));
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(400);
    race.expect_all("cancel a, start b, wait 1200");
}

/// The wait is for the family that is preferred now.
#[test]
fn a_preference_told_later_opens_the_race_to_what_has_come() {
    let mut race = Bench::<16, 4>::new(Config::staggered());
    race.resolved("A");
    race.expect("wait 50");
    race.race.prefer(Family::V4);
    race.expect("start A");
}
