//! The number of sockets changes while the race runs: `grow_to`, alone and beside `limit_to` and `pause`.

mod common;

use common::*;
use connie_core::{AttemptErrorKind, Config, Pacing};

fn without_hedge() -> Config {
    Config::all_at_once().hedge(false)
}

/// A race that is limited to one socket of its four.
fn limited(config: Config) -> Bench<16, 4> {
    let mut race = Bench::<16, 4>::new(config);
    race.race.limit_to(1);
    race
}

#[test]
fn a_limit_grows_to_what_was_wanted_and_no_further() {
    for (sockets, limit) in [(0, 2), (1, 2), (2, 2), (3, 3), (4, 4), (5, 4), (256, 4), (usize::MAX, 4)] {
        let mut race = Bench::<16, 4>::new(Config::all_at_once());
        race.race.limit_to(2);
        race.race.grow_to(sockets);
        assert_eq!(race.race.max_in_flight(), limit, "grown to {sockets}");
    }
    for (wanted, most) in [(0, 1), (1, 1), (3, 3), (usize::MAX, 4)] {
        let config = Config::all_at_once().max_in_flight(wanted);
        let mut race = Bench::<16, 4>::new(config);
        race.race.grow_to(usize::MAX);
        assert_eq!(race.race.max_in_flight(), most, "{wanted} were wanted");
        race.race.limit_to(0);
        race.race.grow_to(usize::MAX);
        assert_eq!(race.race.max_in_flight(), most, "{wanted} were wanted");
    }
}

#[test]
fn the_largest_race_grows_to_all_its_sockets() {
    for (wanted, most) in [(254, 254), (255, 255), (256, 255)] {
        let config = Config::all_at_once().max_in_flight(wanted);
        let mut race = Bench::<255, 255, 255>::new(config);
        race.race.limit_to(1);
        race.race.grow_to(256);
        assert_eq!(race.race.max_in_flight(), most, "{wanted} were wanted");
    }
}

#[test]
fn fresh_ones_that_wait_start_with_the_next_poll() {
    let mut race = limited(without_hedge());
    race.addresses("abcd");
    race.expect_all("start a, wait 250");
    race.advance(100);
    race.race.grow_to(3);
    race.expect_all("start b, start c, wait 250");
}

/// The oldest attempt's patience no longer says when the race wakes: there is room without it.
#[test]
fn a_race_that_has_room_again_waits_for_nobody_to_yield() {
    let mut race = limited(without_hedge());
    race.addresses("ab");
    race.expect_all("start a, wait 250");
    race.race.grow_to(2);
    race.expect_all("start b, wait");
    race.advance(10_000);
    race.expect("wait");
}

#[test]
fn evicted_ones_that_wait_come_back_at_once() {
    let mut race = limited(without_hedge());
    race.addresses("abc");
    race.expect("start a");
    race.idle_until(250);
    race.expect_all("cancel a, start b");
    race.idle_until(500);
    race.expect_all("cancel b, start c, wait 1000");
    race.advance(600);
    race.race.grow_to(2);
    // `a` has waited longest. It is given the patience that it came back with.
    race.expect_all("start a, wait 1000");
    race.advance(700);
    race.race.grow_to(3);
    race.expect_all("start b, wait");
}

#[test]
fn in_the_middle_of_an_eviction_there_is_room_for_the_evicted_too() {
    let mut race = limited(without_hedge());
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(250);
    race.expect("cancel a");
    race.race.grow_to(2);
    race.expect_all("start b, start a, wait");
}

/// With room there is nobody to evict for.
#[test]
fn what_grows_at_the_moment_of_an_eviction_cuts_nobody_short() {
    let mut race = limited(without_hedge());
    race.addresses("ab");
    race.expect("start a");
    race.idle_until(250);
    race.race.grow_to(2);
    race.expect_all("start b, wait");
}

#[test]
fn where_nothing_waits_nothing_starts_but_a_hedge() {
    let mut race = limited(without_hedge());
    race.addresses("a");
    race.expect_all("start a, wait");
    race.race.grow_to(4);
    race.expect("wait");

    let mut race = limited(Config::all_at_once());
    race.addresses("a");
    race.expect_all("start a, wait");
    race.advance(100);
    race.race.grow_to(2);
    race.expect("wait 250");
    race.idle_until(250);
    race.expect("start a'");

    // One whose patience has ended is hedged at once.
    let mut race = limited(Config::all_at_once());
    race.addresses("a");
    race.expect_all("start a, wait");
    race.advance(400);
    race.race.grow_to(2);
    race.expect("start a'");
}

#[test]
fn addresses_that_come_after_a_growth_find_its_sockets() {
    let mut race = limited(without_hedge());
    race.resolved("A");
    race.expect_all("start A, wait");
    race.race.grow_to(3);
    race.expect("wait");
    race.resolved("abc");
    race.expect_all("start a, start b, wait 250");
}

#[test]
fn what_grew_shrinks_again() {
    let mut race = limited(without_hedge());
    race.addresses("abcde");
    race.expect("start a");
    race.race.grow_to(3);
    race.expect_all("start b, start c, wait 250");
    race.race.limit_to(2);
    race.expect("wait 250");
    race.fails("a", REFUSED);
    race.expect("wait 250");
    race.fails("b", REFUSED);
    race.expect_all("start d, wait 250");
    // Both before one poll: the last word counts.
    race.race.grow_to(4);
    race.race.limit_to(1);
    race.expect("wait 250");
    race.race.limit_to(1);
    race.race.grow_to(3);
    race.expect_all("start e, wait");
}

/// An attempt beyond the limit goes on; a growth that has room for it and for no more starts nothing.
#[test]
fn a_growth_up_to_what_is_in_flight_starts_nothing() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("abcde");
    race.expect_all("start a, start b, start c, start d, wait 250");
    race.race.limit_to(1);
    race.expect("wait 250");
    race.race.grow_to(4);
    race.expect("wait 250");
    race.fails("a", REFUSED);
    race.expect_all("start e, wait");
}

/// Somebody else has a use for the socket, or the limit would not have been lowered.
#[test]
fn beyond_a_new_limit_attempts_yield_after_their_patience_though_nothing_waits() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("abc");
    race.expect_all("start a, start b, start c, wait");
    race.race.limit_to(1);
    race.expect_idle(250);
    race.advance(250);
    // One goes as for a newcomer that never starts. It waits now, and the others yield to it: not before they
    // have run as long as it is going to.
    race.expect("cancel a");
    race.expect_idle(500);
    race.advance(500);
    race.expect_all("cancel b, cancel c, start a, wait 1500");
}

#[test]
fn what_is_beyond_the_limit_is_not_hedged() {
    let mut race = Bench::<16, 4>::new(Config::all_at_once());
    race.addresses("ab");
    race.expect_all("start a, start b, wait 250");
    race.race.limit_to(1);
    race.advance(250);
    race.expect_all("cancel a, wait 500");
    race.succeeds("b");
    race.expect("established b");
}

#[test]
fn a_limit_that_is_kept_ends_no_attempt() {
    for sockets in [2, 3] {
        let mut race = Bench::<16, 4>::new(without_hedge());
        race.addresses("ab");
        race.expect_all("start a, start b, wait");
        race.race.limit_to(sockets);
        race.advance(60_000);
        race.expect("wait");
    }
}

#[test]
fn a_limit_that_grows_back_in_time_ends_no_attempt() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.race.limit_to(1);
    race.expect("wait 250");
    race.advance(249);
    race.race.grow_to(2);
    race.expect("wait");
    race.advance(1_000);
    race.expect("wait");
    // By now both have outstayed their patience.
    race.race.limit_to(1);
    race.expect_all("cancel a, cancel b, start a, wait 2000");
}

#[test]
fn a_race_that_does_not_evict_keeps_what_is_beyond_its_limit() {
    let mut race = Bench::<16, 4>::new(without_hedge().evict(false));
    race.addresses("ab");
    race.expect_all("start a, start b, wait");
    race.race.limit_to(1);
    race.advance(60_000);
    race.expect("wait");
}

/// The last in flight of a family stays while there is a choice, as for a newcomer.
#[test]
fn beyond_a_new_limit_the_last_of_a_family_stays() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("Aab");
    race.expect_all("start a, start A, start b, wait");
    race.race.limit_to(2);
    race.advance(250);
    race.expect_all("cancel a, wait 500");
}

/// With the rounds of the proof: it is as if the newcomer had been evicted as often as any that is in flight.
#[test]
fn beyond_a_new_limit_nothing_yields_before_the_round_is_over() {
    let mut race = limited(without_hedge());
    race.addresses("ab");
    race.expect_all("start a, wait 250");
    race.advance(250);
    race.expect_all("cancel a, start b, wait 750");
    race.advance(300);
    race.race.grow_to(2);
    race.expect_all("start a, wait");
    race.race.limit_to(1);
    race.expect_idle(750);
    race.advance(750);
    race.expect_all("cancel b, wait 1300");
}

#[test]
fn a_paused_race_gives_its_last_socket_up_and_goes_on_when_it_may() {
    let mut race = limited(Config::all_at_once());
    race.addresses("a");
    race.expect_all("start a, wait");
    race.race.pause();
    race.race.limit_to(1);
    assert_eq!(race.race.max_in_flight(), 0);
    race.expect_idle(250);
    race.advance(250);
    race.expect_all("cancel a, wait");
    // What comes meanwhile does not start.
    race.addresses("ab");
    race.advance(60_000);
    race.expect("wait");
    race.race.grow_to(1);
    race.expect_all("start b, wait 60500");
    race.advance(60_500);
    race.expect_all("cancel b, start a, wait 61500");
}

#[test]
fn a_paused_race_can_win_fail_and_end() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("abc");
    race.expect_all("start a, start b, start c, wait");
    race.race.pause();
    race.fails("a", REFUSED);
    race.expect("wait 250");
    race.advance(250);
    // The second is evicted for nobody, and waits: the third yields to it as to any.
    race.expect_all("cancel b, wait 500");
    race.succeeds("c");
    race.expect("established c");
    let mut race = limited(without_hedge().deadline(Some(ms(400))));
    race.addresses("a");
    race.race.pause();
    race.expect("wait 400");
    race.advance(400);
    race.expect("failed: timed out");
}

#[test]
fn sockets_that_ran_out_may_be_there_again() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("abcd");
    race.expect_all("start a, start b");
    race.fails("b", AttemptErrorKind::OutOfSockets);
    race.expect("wait 250");
    assert_eq!(race.race.max_in_flight(), 1);
    race.advance(100);
    race.race.grow_to(3);
    // `b` has kept its turn.
    race.expect_all("start b, start c, wait 250");
}

/// The stack has none for all that the caller says: no destination fails for it, and no time passes.
#[test]
fn a_caller_that_is_wrong_about_sockets_costs_no_destination_its_turn() {
    let mut race = Bench::<16, 4>::new(without_hedge());
    race.addresses("abc");
    race.expect_all("start a, start b");
    race.fails("b", AttemptErrorKind::OutOfSockets);
    race.expect("wait 250");
    for _ in 0..3 {
        race.race.grow_to(4);
        race.expect("start b");
        race.fails("b", AttemptErrorKind::OutOfSockets);
        race.expect("wait 250");
        assert_eq!(race.race.max_in_flight(), 1);
    }
    race.fails("a", REFUSED);
    race.expect("start b");
    race.succeeds("b");
    race.expect("established b");
}

#[test]
fn staggered_starts_keep_their_delay_however_many_sockets_there_are() {
    let pacing = Pacing::Staggered { delay: ms(250), growth_percent: 100 };
    let mut race = limited(Config::staggered().pacing(pacing).hedge(false).evict(false));
    race.addresses("abc");
    race.expect_all("start a, wait");
    race.advance(100);
    race.race.grow_to(4);
    race.expect("wait 250");
    race.idle_until(250);
    race.expect_all("start b, wait 500");
}

#[test]
fn nothing_grows_after_the_end() {
    let mut race = limited(without_hedge());
    race.addresses("ab");
    race.expect("start a");
    race.succeeds("a");
    race.race.grow_to(4);
    race.expect("established a");
    race.race.grow_to(4);
    race.expect("established a");
    assert_eq!(race.race.max_in_flight(), 1, "of a race that is over nothing changes");

    let mut race = limited(without_hedge().deadline(Some(ms(200))));
    race.addresses("ab");
    race.expect("start a");
    race.advance(200);
    // The deadline has come, and nobody has told the race yet.
    race.race.grow_to(4);
    race.expect_all("cancel a, failed: timed out");
}
