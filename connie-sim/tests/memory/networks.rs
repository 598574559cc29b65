//! Eight networks, forty visits each: what the first costs, and what all others cost on average.

use connie_sim::courtesy::{Cost, Lab};

const SEEDS: u64 = 20;

/// Its visits cost no more than they may.
#[track_caller]
fn costs_little(lab: Lab) {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        cost.add(&lab.run(seed));
    }
    let (name, wanted) = (lab.name(), lab.wanted());
    let (regret, syns, wasted) = (cost.regret(), cost.syns(), cost.wasted());
    println!("{name}: {regret:.2} ms, {syns:.3} SYNs, {wasted:.3} wasted");
    assert!(regret <= wanted.regret, "{name}: {regret:.2} ms of regret, {} wanted", wanted.regret);
    assert!(syns <= wanted.syns, "{name}: {syns:.3} SYNs a visit, {} wanted", wanted.syns);
    assert!(
        wasted <= wanted.wasted,
        "{name}: {wasted:.3} wasted handshakes a visit, {} wanted",
        wanted.wasted
    );
}

#[test]
fn twelve_alive_of_20_to_200_ms() {
    costs_little(Lab::Twelve);
}

#[test]
fn eight_alive_of_30_ms_each() {
    costs_little(Lab::Equal);
}

#[test]
fn six_of_which_three_are_dead() {
    costs_little(Lab::ThreeDead);
}

#[test]
fn four_of_ipv6_dead_and_four_of_ipv4_alive() {
    costs_little(Lab::V6Dead);
}

#[test]
fn the_best_of_six_dies_at_its_sixteenth_attempt() {
    costs_little(Lab::BestDies);
}

#[test]
fn the_best_of_four_becomes_slow() {
    costs_little(Lab::BestSlows);
}

#[test]
fn four_alive_with_loss() {
    costs_little(Lab::Loss);
}

#[test]
fn eight_alive_with_jitter() {
    costs_little(Lab::Jitter);
}
