//! `OneByOne`: what most clients do.

mod common;

use common::*;
use connie_core::Config;

#[test]
fn the_next_starts_when_the_last_has_ended_however_long_that_takes() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one());
    race.addresses("ab");
    race.expect_all("start a, wait");
    race.advance(130_000);
    race.fails("a", connie_core::AttemptErrorKind::TimedOut);
    race.expect_all("start b, wait");
}

#[test]
fn it_waits_for_both_families() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one());
    race.resolved("a");
    race.expect("wait");
    race.advance(2_000);
    race.resolved("A");
    race.expect("start a");
}

#[test]
fn each_attempt_gets_its_share_of_the_deadline() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one().deadline(Some(ms(12_000))));
    race.addresses("abc");
    race.expect("start a");
    race.idle_until(4_000);
    race.expect_all("cancel a, start b");
    race.idle_until(8_000);
    race.expect_all("cancel b, start c");
    race.idle_until(12_000);
    race.expect_all("cancel c, failed: timed out");
}

#[test]
fn a_share_that_is_not_used_up_goes_to_the_others() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one().deadline(Some(ms(12_000))));
    race.addresses("abc");
    race.expect("start a");
    race.advance(2_000);
    race.fails("a", REFUSED);
    race.expect_all("start b, wait 7000");
}

#[test]
fn a_share_is_at_least_two_seconds_but_ends_with_the_deadline() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one().deadline(Some(ms(3_000))));
    race.addresses("abcd");
    race.expect_all("start a, wait 2000");
    race.advance(2_000);
    race.expect_all("cancel a, start b");
    race.idle_until(3_000);
    race.expect_all("cancel b, failed: timed out");
}

#[test]
fn nothing_is_started_beside_the_last_one() {
    let mut race = Bench::<16, 4>::new(Config::one_by_one());
    race.addresses("a");
    race.expect_all("start a, wait");
    race.advance(130_000);
    race.expect("wait");
}
