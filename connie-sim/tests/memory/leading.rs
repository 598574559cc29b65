//! Lead, then widen.

use std::time::Duration;

use connie_core::memory::Network;
use connie_core::{Config, Failure, Pacing};
use connie_sim::{hang, ok, refuse};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_first_visit_is_the_whole_race_and_the_second_is_one_syn() {
    let mut visits = visits(&ALL, [("6a", hang()), ("6b", ok(50)), ("4a", ok(30)), ("4b", ok(60))]);
    assert_eq!(visits.visit().starts, "6a@0 4a@0 6b@0 4b@0");
    for _ in 0..10 {
        let visit = visits.visit();
        assert_eq!((visit.starts.as_str(), visit.took), ("4a@0", ms(30)));
    }
}

#[test]
fn without_a_memory_each_visit_is_the_first() {
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.memory = None;
    for _ in 0..3 {
        assert_eq!(visits.visit().starts, "4a@0 4b@0");
    }
}

/// Results are looked at first: a lead that answers when it is due is not late.
#[test]
fn the_second_starts_when_the_lead_is_late() {
    let know = || regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
    let due = know().visit().plan.lead_is_due();
    assert!((40_000..90_000).contains(&due), "{due}");
    for (beyond, syns) in [(-1, 1), (0, 1), (1, 2)] {
        let mut visits = know();
        visits.put("4a", ok(0).plus_micros((i64::from(due) + beyond) as u64));
        let visit = visits.visit();
        assert_eq!((visit.syns, visit.winner.as_deref()), (syns, Some("4a")), "{beyond}: {}", visit.starts);
    }
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
    visits.put("4a", refuse(7));
    assert!(visits.visit().starts.starts_with("4a@0 4b@7"));
}

/// Also that of the second, while the lead is in flight.
#[test]
fn a_failure_of_the_second_starts_the_third_at_once() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
    visits.put("4a", hang());
    visits.put("4b", refuse(2));
    let starts = visits.visit().starts;
    let at = |name: &str| {
        let start = starts.split(' ').find_map(|start| start.strip_prefix(name)).expect("it starts");
        start.parse::<u64>().expect("milliseconds")
    };
    assert_eq!(at("4c@"), at("4b@") + 2, "{starts}");
}

#[test]
fn the_second_is_of_the_other_family() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("6a", ok(70)), ("6b", ok(70))]);
    visits.put("4a", hang());
    let starts = visits.visit().starts;
    assert!(starts.starts_with("4a@0 6a@"), "{starts}");
}

/// Δ is at most the patience, however slow the lead was.
#[test]
fn nobody_is_held_back_for_longer_than_a_patience() {
    for patience in [50, 250, 400] {
        let config = ALL.patience(ms(patience));
        let mut visits = regular(&config, [("4a", ok(900)), ("4b", hang()), ("4c", hang())]);
        let visit = visits.visit();
        assert_eq!(visit.plan.longest_delay(), patience as u32 * 1_000);
        assert!(visit.starts.starts_with(&format!("4a@0 4b@{patience} 4c@{patience}")), "{}", visit.starts);
    }
}

/// "and at most a quarter of the time left to the deadline": one that is shorter than what the lead takes
/// does not end race after race.
#[test]
fn a_quarter_of_a_deadline_is_the_most() {
    let mut visits = regular(&ALL, [("4a", ok(200)), ("4b", ok(250))]);
    visits.put("4b", ok(20));
    visits.config.deadline = Some(ms(100));
    let visit = visits.visit();
    assert_eq!((visit.starts.as_str(), visit.winner.as_deref()), ("4a@0 4b@25", Some("4b")));
    assert_eq!(visit.plan.longest_delay(), 25_000);
}

/// With fewer sockets than addresses nothing is evicted for one that is held back.
#[test]
fn nothing_is_evicted_before_its_time() {
    let config = ALL.max_in_flight(1);
    let mut visits = regular(&config, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
    visits.put("4a", hang());
    assert!(visits.visit().starts.starts_with("4a@0 4b@250"));
}

/// At Δ results come first, then those that were held back start, then one yields for the last of them, and
/// nobody has a hedge: they were waiting all along.
#[test]
fn those_that_are_held_back_come_before_a_hedge() {
    let config = ALL.max_in_flight(3);
    let mut visits = visits(&config, [("4a", ok(30)), ("4b", ok(200)), ("4c", hang()), ("4d", ok(30))]);
    for each in ["4a", "4b", "4a 4b 4c 4d"] {
        visits.answer(each);
        assert_eq!(visits.visit().starts, each[..2].to_owned() + "@0");
    }
    visits.put("4a", hang());
    let visit = visits.visit();
    let second = visit.plan.lead_is_due() / 1_000;
    assert_eq!(visit.starts, format!("4a@0 4b@{second} 4c@250 4d@250"));
}

/// Rule 3 of the race: after a patience, unless the address takes longer than that by its own measure.
#[test]
fn the_hedge_waits_for_the_leads_own_measure() {
    let config = ALL.patience(ms(50));
    for (usual, starts) in [(20, "4a@0 4a@50"), (70, "4a@0")] {
        let mut visits = regular(&config, [("4a", ok(usual))]);
        for _ in 0..30 {
            visits.visit();
        }
        visits.put("4a", ok(70));
        assert_eq!(visits.visit().starts, starts, "usually {usual} ms");
    }
}

#[test]
fn with_a_stagger_the_delay_is_shortened_to_100_ms_and_never_lengthened() {
    let staggered = Config::staggered().pacing(Pacing::Staggered { delay: ms(250), growth_percent: 100 });
    let hosts = [("6a", ok(30)), ("6b", ok(60)), ("4a", ok(70))];
    let mut visits = regular(&staggered, hosts.clone());
    visits.put("6a", hang());
    assert_eq!(visits.visit().starts, "6a@0 4a@100");
    let mut visits = regular(&staggered, hosts.clone());
    let memory = visits.memory.as_mut().unwrap();
    let mut settings = memory.settings();
    settings.short_delays = true;
    memory.set_settings(&settings);
    visits.put("6a", hang());
    let starts = visits.visit().starts;
    assert!(starts.starts_with("6a@0 4a@") && starts != "6a@0 4a@100", "{starts}");
    let quick = staggered.clone().pacing(Pacing::Staggered { delay: ms(50), growth_percent: 100 });
    let mut visits = regular(&quick, hosts);
    visits.put("6a", hang());
    assert!(visits.visit().starts.starts_with("6a@0 4a@50 6b@100"), "{}", visits.visit().starts);
}

/// RFC 8305 section 4: the family that comes first stays first, whatever the other's round trips.
#[test]
fn with_a_stagger_families_keep_their_order() {
    let config = Config::staggered().attempt_timeout(None);
    let mut visits = visits(&config, [("6a", ok(90)), ("6b", ok(40)), ("4a", ok(10))]);
    visits.visit();
    for _ in 0..100 {
        let visit = visits.visit();
        assert!(visit.starts.starts_with('6') || visit.plan.explored().is_some(), "{}", visit.starts);
    }
    // In its family the one that is better leads, since it was explored.
    assert!(visits.visit().starts.starts_with("6b@0"));
}

#[test]
fn another_network_knows_nothing() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("6a", ok(60))]);
    let home = visits.network;
    visits.network = Network::new("198.51.100.7".parse().ok(), "2001:db8:fe::1".parse().ok());
    assert_eq!(visits.visit().syns, 2);
    assert_eq!(visits.visit().syns, 1);
    visits.network = home;
    assert_eq!(visits.visit().syns, 1);
}

/// Rule 11 of the memory: an answer that rotates through many addresses of a prefix.
#[test]
fn a_prefix_speaks_for_its_addresses() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(30)), ("4c", ok(30)), ("4d", hang())]);
    visits.answer("4c 4b");
    assert_eq!(visits.visit().starts, "4c@0");
    // That one died is said of no other.
    visits.answer("4d 4b");
    visits.visit();
    visits.answer("4e 4b").put("4e", ok(30));
    assert_eq!(visits.visit().syns, 1);
}

#[test]
fn a_lead_that_was_late_has_the_second_beside_it_and_is_forgiven() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
    // It has seen four.
    visits.put("4a", ok(30).lose_first(5));
    assert_eq!(visits.visit().winner.as_deref(), Some("4b"));
    assert!(visits.visit().starts.starts_with("4a@0 4b@0"));
    assert_eq!(visits.visit().starts, "4a@0");
}

#[test]
fn a_lead_that_is_beaten_then_is_dethroned_and_the_next_race_is_the_whole_race() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(40))]);
    visits.put("4a", hang());
    visits.visit();
    assert_eq!(visits.visit().starts, "4a@0 4b@0");
    assert_eq!(visits.visit().syns, 3);
    let last = visits.visit();
    assert_eq!((last.starts.as_str(), last.took), ("4c@0", ms(40)));
}

/// A deadline that ends the race before its lead was late says nothing; one that ends it after does.
#[test]
fn a_lead_in_flight_at_the_deadline_has_missed_if_it_was_late() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.put("4a", hang()).put("4b", hang());
    visits.config.deadline = Some(ms(300));
    assert_eq!(visits.visit().failure, Some(Failure::DeadlineExceeded));
    visits.put("4a", ok(30)).put("4b", ok(60));
    // Nobody has answered: the whole race.
    assert_eq!(visits.visit().starts, "4a@0 4b@0");
    assert_eq!(visits.visit().syns, 1);
}
