//! Random networks: every law holds on each of them, and no race is ever stuck.

use std::cell::Cell;
use std::time::Duration;

use connie_core::{Config, Failure};
use connie_sim::{
    Bound, Ending, RaceOutcome, RandomNetwork, Rng, Scenario, any_name, anything, hang, ok, seeds, sharing,
    steady,
};

#[test]
fn any_race_over_any_network_keeps_the_laws() {
    seeds(6_000, |seed| {
        // `run` itself asserts them.
        let _ = anything(seed).run();
    });
}

#[test]
fn any_name_on_any_host_keeps_the_laws() {
    seeds(20_000, |seed| {
        let _ = any_name(seed).run();
    });
}

#[test]
fn waking_for_nothing_changes_nothing() {
    seeds(1_000, |seed| {
        let scenario = steady(seed).scenario.deadline(5_000);
        assert_eq!(scenario.clone().restless().run(), scenario.run());
    });
}

#[test]
fn no_race_is_ever_stuck() {
    seeds(2_000, |seed| {
        let network = steady(seed);
        let outcome = network.scenario.connect().outcome;
        every_destination_starts_in_the_first_round(&network, &outcome);
        let Some(oracle) = network.oracle else {
            return assert_eq!(outcome.ending, Ending::Failed(Failure::AllAttemptsFailed));
        };
        assert!(matches!(outcome.ending, Ending::Connected(_)), "a live address and no connection");
        let (took, bound) = (outcome.elapsed, network.bound);
        assert!(oracle <= took, "connected in {took:?}, and the fastest answers in {oracle:?}");
        assert!(took <= bound.win(oracle), "took {took:?} of {:?}: {network:?}", bound.win(oracle));
    });
}

/// However often the number of sockets changes: what the least of them can do, the race has done.
#[test]
fn no_race_is_ever_stuck_while_sockets_come_and_go() {
    let (told, changed) = (Cell::new(0), Cell::new(0));
    seeds(1_000, |seed| {
        let sharing = sharing(seed);
        let (network, outcome) = (&sharing.network, sharing.network.scenario.connect().outcome);
        let took = outcome.elapsed;
        if let Some(by) = sharing.first_start(took) {
            every_destination_starts_by(by, &outcome);
        }
        let Some(oracle) = network.oracle else {
            return assert_eq!(outcome.ending, Ending::Failed(Failure::AllAttemptsFailed));
        };
        assert!(matches!(outcome.ending, Ending::Connected(_)), "a live address and no connection");
        assert!(oracle <= took, "connected in {took:?}, and the fastest answers in {oracle:?}");
        let by = sharing.win(oracle, took);
        assert!(took <= by, "took {took:?} of {by:?}: {sharing:?}");
        told.set(told.get() + u32::from(network.n > sharing.least(took)));
        changed.set(changed.get() + u32::from(took > Duration::ZERO && sharing.least(took) < network.k));
    });
    let few = told.get() < 500 || changed.get() < 200;
    assert!(
        !few || std::env::var_os("CONNIE_SEED").is_some(),
        "the law had little to say: {told:?}, {changed:?}"
    );
}

/// Neither what the race began with nor what it had in the end would do in place of the least.
#[test]
fn the_least_number_of_sockets_counts_wherever_it_stands() {
    let race = || Scenario::all_at_once().sockets(4).v4s(11, hang()).v4(ok(30));
    let ms = Duration::from_millis;
    let bound = |k| Bound::new(12, k, Config::DEFAULT_PATIENCE).win(ms(30));
    assert_eq!(race().run().elapsed, bound(4));
    for (least, back, took) in [(1, 1_900, 1_930), (1, 9_000, 2_030), (2, 9_000, 1_030)] {
        let elapsed = race().shares_at(1, least).shares_at(back, 4).run().elapsed;
        assert_eq!(elapsed, ms(took), "{least} sockets until {back} ms");
        assert!(bound(4) < elapsed && elapsed <= bound(least));
    }
}

/// A race that has every address in flight is left with fewer sockets: the bound counts anew from there.
#[test]
fn no_race_is_ever_stuck_that_has_to_give_sockets_back() {
    let cut_short = Cell::new(0);
    seeds(2_000, |seed| {
        let mut rng = Rng::new(seed);
        let (n, left) = (rng.within(2, 12) as usize, rng.within(1, 3) as usize);
        let (needs, lowered) = (rng.within(1, 4_000), rng.within(0, 4_000));
        let live = rng.within(0, n as u64 - 1) as usize;
        let scenario = Scenario::all_at_once().sockets(n).v4s(live, hang()).v4(ok(needs));
        let scenario = scenario.v4s(n - 1 - live, hang()).shares_at(lowered, left);
        let took = scenario.run().elapsed;
        let [needs, lowered] = [needs, lowered].map(Duration::from_millis);
        let by = lowered + Bound::new(n, left.min(n), Config::DEFAULT_PATIENCE).win(needs);
        assert!(needs <= took && took <= by, "took {took:?} of {by:?}: {scenario:?}");
        cut_short.set(cut_short.get() + u32::from(took > needs));
    });
    let few = cut_short.get() < 200;
    assert!(!few || std::env::var_os("CONNIE_SEED").is_some(), "the law had little to say: {cut_short:?}");
}

fn every_destination_starts_in_the_first_round(network: &RandomNetwork, outcome: &RaceOutcome) {
    every_destination_starts_by(network.bound.first_start(), outcome);
}

fn every_destination_starts_by(by: Duration, outcome: &RaceOutcome) {
    if outcome.recording.timeline().summary().omitted_attempts > 0 {
        return;
    }
    for destination in outcome.recording.timeline().destinations() {
        let first = outcome.attempts().find(|attempt| attempt.destination == destination.address());
        let started = first.map_or(outcome.elapsed, |first| first.started);
        assert!(started <= by, "{} waits until {started:?}, not {by:?}", destination.address());
    }
}

#[test]
fn with_a_socket_for_each_destination_the_fastest_wins_in_its_own_time() {
    seeds(2_000, |seed| {
        let network = steady(seed);
        let Some(oracle) = network.oracle.filter(|_| network.n <= network.k) else { return };
        assert_eq!(network.scenario.run().elapsed, oracle);
    });
}
