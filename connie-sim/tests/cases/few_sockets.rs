//! Fewer sockets than destinations.

use std::time::Duration;

use connie_core::{AttemptErrorKind, Config, Failure};
use connie_sim::{Bench, Bound, Scenario, cancels, hang, no_route, ok, refuse, starts, waits_until};

#[test]
fn case_70_the_third_socket_cannot_be_opened_and_the_race_goes_on_with_two() {
    let outcome =
        Scenario::all_at_once().runs_out_at(3).v4(refuse(20)).v4(hang()).v4(hang()).v4(ok(30)).run();
    // The third address keeps its turn.
    outcome.starts("4a@0 4b@0 4c@0 4c@20 4d@250").connects("4d", 280);
    assert!(outcome.end_list().contains("4c:out_of_sockets@0"));
    assert_eq!(outcome.peak, 2);
}

#[test]
fn case_70_the_same_where_the_first_connect_reports_it() {
    let scenario = Scenario::all_at_once().reports_late().stack_of(2);
    let outcome = scenario.v4(hang()).v4(refuse(20)).v4(hang()).v4(ok(30)).run();
    outcome.starts("4a@0 4b@0 4c@0 4c@20 4d@250").connects("4d", 280);
}

#[test]
fn case_70_with_two_families_the_third_address_keeps_its_turn_too() {
    Scenario::all_at_once()
        .runs_out_at(3)
        .v6(refuse(20))
        .v6(ok(30))
        .v4s(2, hang())
        .run()
        .starts("6a@0 4a@0 6b@0 6b@20")
        .connects("6b", 50);
}

#[test]
fn case_70_without_any_socket_the_race_fails() {
    Scenario::all_at_once()
        .stack_of(0)
        .v4s(2, ok(10))
        .run()
        .fails(Failure::AllAttemptsFailed, 0)
        .errors("4a out_of_sockets, 4b out_of_sockets");
}

#[test]
fn case_70_staggered_goes_on_too() {
    Scenario::staggered()
        .stack_of(2)
        .v4(hang())
        .v4(hang())
        .v4(ok(30))
        .run()
        // A start that did not happen costs no delay, and 4a has outstayed its patience.
        .starts("4a@0 4b@250 4c@500 4c@500")
        .connects("4c", 530);
}

#[test]
fn case_72_the_last_of_twelve_wins_in_the_third_batch() {
    let outcome = Scenario::all_at_once().sockets(4).v4s(11, hang()).v4(ok(30)).run();
    let bound = Bound::new(12, 4, Config::DEFAULT_PATIENCE);
    assert_eq!(bound.first_start(), Duration::from_millis(500));
    assert_eq!(bound.win(Duration::from_millis(30)), Duration::from_millis(530));
    outcome.connects("4l", 530);
    assert_eq!(outcome.peak, 4);
}

#[test]
fn case_72_wherever_the_good_one_stands() {
    let bound = Bound::new(12, 4, Config::DEFAULT_PATIENCE);
    for place in 0..12 {
        let scenario = Scenario::all_at_once().sockets(4).v4s(place, hang()).v4(ok(30));
        let outcome = scenario.v4s(11 - place, hang()).run();
        assert_eq!(outcome.elapsed.as_millis() as usize, place / 4 * 250 + 30, "place {place}");
        assert!(outcome.elapsed <= bound.win(Duration::from_millis(30)));
    }
}

#[test]
fn case_72_dead_in_both_families() {
    let scenario = Scenario::all_at_once().sockets(4).v6s(6, hang()).v4s(5, hang()).v4(ok(30));
    scenario.run().connects("4f", 530);
}

#[test]
fn case_73_with_one_socket_the_last_of_64_wins_after_63_patiences() {
    let outcome = Scenario::all_at_once().sockets(1).v4s(63, hang()).v4(ok(30)).run();
    outcome.connects("4bl", 63 * 250 + 30);
    let bound = Bound::new(64, 1, Config::DEFAULT_PATIENCE);
    assert_eq!(bound.win(Duration::from_millis(30)), outcome.elapsed);
    assert_eq!(outcome.peak, 1);
}

#[test]
fn case_74_a_slow_only_survivor_wins_though_it_is_evicted_on_the_way() {
    let bound = Bound::new(9, 2, Duration::from_millis(300));
    for place in 0..9 {
        let scenario = Scenario::all_at_once().sockets(2).patience(300).v4s(place, hang()).v4(ok(900));
        let outcome = scenario.v4s(8 - place, hang()).run();
        let survivor = &outcome.tallies[place].0;
        outcome.connects_by(&connie_sim::label(*survivor), 10_200);
        assert!(outcome.elapsed <= bound.win(Duration::from_millis(900)), "{:?}", outcome.elapsed);
        let attempts = outcome.attempts().filter(|attempt| attempt.destination == *survivor);
        assert!(attempts.count() >= 2, "it is evicted on the way, and comes back");
    }
}

#[test]
fn case_74_the_patience_that_is_just_enough() {
    let scenario = |time| Scenario::all_at_once().sockets(1).patience(300).v4(ok(time)).v4(hang());
    scenario(299).run().starts("4a@0").connects("4a", 299);
    // A success at the moment of eviction comes first.
    scenario(300).run().starts("4a@0").connects("4a", 300);
    scenario(301).run().starts("4a@0 4b@300 4a@900").connects("4a", 1_201);
}

#[test]
fn case_74_step_by_step() {
    let mut race = Bench::new(&Config::all_at_once().max_in_flight(1));
    race.resolves("4a 4b");
    race.expect([starts("4a"), waits_until(250)]);
    race.advance(250);
    // 4a comes back with 500 ms, and 4b is given as much before it has to go.
    race.expect([cancels("4a"), starts("4b"), waits_until(750)]);
    race.advance(750);
    race.expect([cancels("4b"), starts("4a"), waits_until(1_750)]);
    race.fails("4a", AttemptErrorKind::Refused);
    race.expect(starts("4b"));
}

#[test]
fn addresses_without_a_route_cost_nothing() {
    Scenario::all_at_once().sockets(1).v6s(20, no_route()).v4(ok(30)).run().connects("4a", 30);
}
