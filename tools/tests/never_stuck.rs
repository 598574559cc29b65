//! The law that a race is never stuck, as `docs/never-stuck.md` states it.
//!
//! `cargo run --profile search -p connie-tools --bin never_stuck -- --check` holds 100,000 networks to it;
//! here are as many as a test has time for. `CONNIE_SEED` replays one, `CONNIE_RUNS` draws more.

use std::time::Duration;

use connie_core::Config;
use connie_sim::{Bound, Ending, Rng, Scenario, hang, ok, refuse, seeds};
use connie_tools::never_stuck::Trial;

const PATIENCE: Duration = Config::DEFAULT_PATIENCE;

#[test]
fn no_race_is_ever_stuck() {
    let bound = std::cell::Cell::new(0);
    seeds(1_500, |seed| {
        // `check` itself asserts the law.
        let verdict = Trial::draw(seed).check();
        bound.set(bound.get() + u32::from(verdict.bound.is_some() && verdict.n > verdict.k));
    });
    assert!(bound.get() > 1_000 || std::env::var_os("CONNIE_SEED").is_some(), "the law had nothing to say");
}

/// One address that needs `r` among dead ones, wherever it stands.
fn longest(n: usize, k: usize, r: Duration) -> Duration {
    let alone = |place| {
        let survivor = ok(0).plus_micros(r.as_micros() as u64);
        let scenario = Scenario::all_at_once().sockets(k).v4s(place, hang()).v4(survivor);
        let outcome = scenario.v4s(n - 1 - place, hang()).connect().outcome;
        assert!(matches!(outcome.ending, Ending::Connected(_)));
        outcome.elapsed
    };
    (0..n).map(alone).max().unwrap_or_default()
}

#[test]
fn no_lesser_bound_holds() {
    for (n, k) in [(2, 1), (5, 1), (3, 2), (5, 2), (5, 4), (6, 4), (8, 4), (9, 4), (12, 4)] {
        let bound = Bound::new(n, k, PATIENCE);
        for round in 0..4 {
            let most = PATIENCE * (1 << round);
            assert_eq!(longest(n, k, most), bound.win(most), "n {n} k {k} round {round}");
            let least = most / 2 + Duration::from_micros(1);
            assert_eq!(
                longest(n, k, least),
                bound.win(least),
                "n {n} k {k}, at the beginning of round {round}"
            );
        }
    }
}

#[test]
fn the_examples_of_the_page_are_right() {
    let examples =
        [(12, 4, 30, 530), (12, 4, 400, 1_900), (12, 4, 900, 4_400), (64, 4, 30, 3_780), (64, 1, 30, 15_780)];
    for (n, k, r, by) in examples.into_iter().chain([(5, 4, 900, 1_900)]) {
        let bound = Bound::new(n, k, PATIENCE);
        assert_eq!(bound.win(Duration::from_millis(r)), Duration::from_millis(by), "{n} on {k}, {r} ms");
    }
}

/// IPv6 addresses that come late to a race over IPv4 ones.
fn late(seed: u64) -> (Scenario, Bound, Duration, Vec<Duration>) {
    let mut rng = Rng::new(seed);
    let (k, early, fresh) = (rng.within(1, 6) as usize, rng.within(1, 12), rng.within(1, 12));
    let arrival = rng.pick(&[20, 200, 2_000, 10_000]) + rng.below(1_000);
    let config = Config::all_at_once().max_in_flight(k).hedge(rng.chance(80));
    let lucky = rng.below(fresh);
    let mut scenario = Scenario::with(config).seed(seed).aaaa_at(arrival);
    let mut needs = Vec::new();
    for place in 0..early + fresh {
        let host = if place == early + lucky || rng.chance(3) {
            let r = rng.pick(&[30, 100, 300, 600, 2_000]);
            needs.push(Duration::from_millis(r));
            ok(r)
        } else if rng.chance(10) {
            refuse(rng.within(1, 300))
        } else {
            hang()
        };
        scenario = if place < early { scenario.v4(host) } else { scenario.v6(host) };
    }
    let bound = Bound::new((early + fresh) as usize, k, PATIENCE);
    (scenario, bound, Duration::from_millis(arrival), needs)
}

#[test]
fn addresses_that_come_late_have_their_turn_too() {
    seeds(1_000, |seed| {
        let (scenario, bound, arrival, needs) = late(seed);
        let outcome = scenario.connect().outcome;
        assert!(matches!(outcome.ending, Ending::Connected(_)), "a live address and no connection");
        let timeline = outcome.recording.timeline();
        if timeline.summary().omitted_attempts > 0 {
            return;
        }
        let first = |address| {
            let started = outcome.attempts().find(|attempt| attempt.destination == address);
            started.map_or(outcome.elapsed, |first| first.started)
        };
        let starts: Vec<_> = timeline.destinations().map(|known| first(known.address())).collect();
        // Early ones that have not had their turn are as fresh as those that come late.
        let fresh = starts.iter().filter(|started| **started >= arrival).count();
        let (last, by) = (starts.into_iter().max(), bound.first_start_after(arrival, fresh));
        assert!(last <= Some(by), "an address waits until {last:?}, not {by:?}");
        let by = needs.into_iter().map(|r| bound.win_after(arrival, fresh, r)).min().expect("one is alive");
        assert!(outcome.elapsed <= by, "took {:?} of {by:?}", outcome.elapsed);
    });
}

#[test]
fn a_late_address_waits_for_one_patience() {
    // 4a has come back with 500 ms, and is cut short for one that was never tried.
    let scenario = Scenario::all_at_once().sockets(1).v4s(2, hang()).v6(ok(30)).aaaa_at(800);
    scenario.run().starts("4a@0 4b@250 4a@750 6a@1000").connects("6a", 1_030);
}
