//! The bucket.

use std::time::Duration;

use connie_core::Config;
use connie_sim::{hang, ok, refuse};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

fn paid_syns(visits: &connie_sim::Visits) -> usize {
    visits.memory.as_ref().unwrap().paid_syns()
}

#[test]
fn the_first_race_of_a_host_is_free() {
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    assert_eq!(paid_syns(&visits), 16);
    assert_eq!(visits.visit().syns, 4);
    assert_eq!(paid_syns(&visits), 16);
}

/// As after a move to another building of the same network: all that is known of the addresses is wrong, and
/// the whole race is due.
fn due(visits: &mut connie_sim::Visits) {
    let hosts = ["4a", "4b", "4c", "4d"];
    for label in hosts {
        visits.put(label, refuse(5));
    }
    assert!(visits.visit().winner.is_none());
    for (label, trip) in hosts.into_iter().zip([30, 60, 70, 80]) {
        visits.put(label, ok(trip));
    }
}

/// "whatever the reason": whole races that come later, too. A host that was not raced for a life is as one
/// that was never met.
#[test]
fn a_whole_race_later_is_paid_for_but_not_after_a_life() {
    for (seconds, paid) in [(3_590, 3), (3_601, 0)] {
        let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
        due(&mut visits);
        visits.wait(Duration::from_secs(seconds));
        let before = paid_syns(&visits);
        assert_eq!(visits.visit().syns, 4, "after {seconds} s");
        assert_eq!(before - paid_syns(&visits), paid, "after {seconds} s");
    }
}

/// With nothing in hand the next starts wait a delay, then twice that, up to two seconds.
#[test]
fn what_is_not_paid_for_comes_ever_later() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    for _ in 0..4 {
        due(&mut visits);
        visits.visit();
    }
    assert_eq!(paid_syns(&visits), 0);
    due(&mut visits);
    for label in ["4a", "4b", "4c"] {
        visits.put(label, hang());
    }
    visits.put("4d", ok(30));
    assert_eq!(visits.visit().starts, "4a@0 4b@250 4c@750 4d@1750");
}

/// A host that says nothing is raced for longer than a life: it is in use, and its races are not free.
#[test]
fn silence_makes_no_race_free() {
    let config = ALL.deadline(Some(Duration::from_secs(5)));
    let mut visits = regular(&config, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    for label in ["4a", "4b", "4c", "4d"] {
        visits.put(label, hang());
    }
    for _ in 0..130 {
        assert!(visits.visit().winner.is_none());
        visits.wait(Duration::from_secs(60));
    }
    assert_eq!(visits.visit().starts, "4a@0 4b@250 4c@750 4d@1750 4a@3750");
}

#[test]
fn ten_connections_bring_one_syn() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80))]);
    due(&mut visits);
    visits.visit();
    assert_eq!(paid_syns(&visits), 10);
    // 10.1: nine more, and ten for each that was explored.
    let explored: u32 = (0..9).map(|_| visits.visit().syns - 1).sum();
    (0..10 * explored).for_each(|_| drop(visits.visit()));
    assert_eq!(paid_syns(&visits), 11);
}
