//! The bucket.

use std::time::Duration;

use connie_core::Config;
use connie_sim::{hang, ok};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

fn in_hand(visits: &connie_sim::Visits) -> usize {
    visits.memory.as_ref().unwrap().in_hand()
}

#[test]
fn the_first_race_of_a_host_is_free() {
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    assert_eq!(in_hand(&visits), 16);
    assert_eq!(visits.visit().syns, 4);
    assert_eq!(in_hand(&visits), 16);
}

/// "whatever the reason": whole races that come later, too.
#[test]
fn a_whole_race_later_is_paid_for() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    visits.wait(Duration::from_secs(3_601));
    assert_eq!(visits.visit().syns, 4);
    assert_eq!(in_hand(&visits), 13);
}

/// With nothing in hand the next starts wait a delay, then twice that, up to two seconds.
#[test]
fn what_is_not_paid_for_comes_ever_later() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", hang())]);
    let spends = |visits: &mut connie_sim::Visits| {
        visits.wait(Duration::from_secs(3_601));
        visits.visit()
    };
    for _ in 0..6 {
        spends(&mut visits);
    }
    assert_eq!(in_hand(&visits), 0);
    for label in ["4a", "4b", "4c"] {
        visits.put(label, hang());
    }
    visits.put("4d", ok(30));
    assert_eq!(spends(&mut visits).starts, "4a@0 4b@250 4c@750 4d@1750");
}

/// Nor is anybody evicted for one that is kept back: what is in flight has its time until that may start.
#[test]
fn nobody_is_evicted_for_one_that_is_not_paid_for() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", hang())]);
    for _ in 0..6 {
        visits.wait(Duration::from_secs(3_601));
        visits.visit();
    }
    assert_eq!(in_hand(&visits), 0);
    visits.config.max_in_flight = 1;
    visits.put("4a", hang()).put("4b", ok(400));
    visits.wait(Duration::from_secs(3_601));
    let visit = visits.visit();
    // Its patience ends at 500 ms, and the third may start at 750.
    assert_eq!((visit.starts.as_str(), visit.winner.as_deref()), ("4a@0 4b@250", Some("4b")));
}

#[test]
fn ten_connections_bring_one_syn() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    visits.wait(Duration::from_secs(3_601));
    visits.visit();
    assert_eq!(in_hand(&visits), 13);
    // 13.1: nine more, and ten for each that was explored.
    let explored: u32 = (0..9).map(|_| visits.visit().syns - 1).sum();
    (0..10 * explored).for_each(|_| drop(visits.visit()));
    assert_eq!(in_hand(&visits), 14);
}
