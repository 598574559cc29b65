//! Random networks: every law holds on each of them, and no race is ever stuck.

use connie_core::Failure;
use connie_sim::{Ending, Network, Outcome, any_name, anything, seeds, steady};

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

fn every_destination_starts_in_the_first_round(network: &Network, outcome: &Outcome) {
    let by = network.bound.first_start();
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
