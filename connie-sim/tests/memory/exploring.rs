//! Exploring: that one address which becomes better is found.

use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::race::PlannedRace;
use connie_core::{Config, Output};
use connie_sim::{Visits, addresses, hang, label, ok};

use crate::regular;

const ALL: Config = Config::all_at_once();

/// Races until `label` leads and wins, at most `most`.
#[track_caller]
fn races_until_led_by(visits: &mut Visits, label: &str, most: usize) -> usize {
    for number in 1..=most {
        if visits.visit().starts == format!("{label}@0") {
            return number;
        }
    }
    panic!("{label} does not lead after {most} races");
}

/// The theorem: an address that becomes better by the band, and answers, is explored within 32 n races of the
/// host. Having won twice in a row it leads.
#[test]
fn an_address_that_becomes_better_is_explored_within_32_n_races() {
    for (n, labels) in [(2, "4a 4b"), (5, "4a 4b 4c 4d 4e"), (8, "4a 4b 6a 4c 6b 4d 6c 4e")] {
        let mut visits = regular(&ALL, [("4a", ok(60))]);
        visits.answer(labels);
        visits.visit();
        for label in labels.split(' ').skip(1) {
            visits.put(label, hang());
        }
        for _ in 0..50 {
            visits.visit();
        }
        let last = labels.rsplit(' ').next().unwrap();
        visits.put(last, ok(20));
        let races = races_until_led_by(&mut visits, last, 32 * n + 2);
        println!("{n} addresses: {races} races");
    }
}

/// One that is as good as the lead is explored and changes nothing.
#[test]
fn one_in_32_races_sends_a_syn_more() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(30)), ("4c", ok(30))]);
    let mut explored = 0;
    for _ in 0..32 * 6 {
        let visit = visits.visit();
        assert!(visit.winner.as_deref() == Some("4a"));
        assert!(visit.syns == 1 || visit.starts.ends_with("@0"), "{}", visit.starts);
        explored += visit.syns - 1;
    }
    assert_eq!(explored, 6);
}

/// Those that are as good as each other lead in turn: a server that was away has its share again, though it
/// is no better than others.
#[test]
fn one_that_is_as_good_comes_to_lead() {
    let as_good = || ok(30).jitter(4);
    let hosts = [("4a", as_good()), ("4b", as_good()), ("4c", as_good()), ("4d", hang())];
    let mut visits = regular(&ALL, hosts);
    for _ in 0..40 {
        visits.visit();
    }
    visits.put("4d", as_good());
    let races = 32 * 4 * 50;
    let won = (0..races).filter(|_| visits.visit().winner.as_deref() == Some("4d")).count();
    assert!((races / 8..races * 3 / 8).contains(&won), "4d has won {won} of {races}");
}

#[test]
fn after_fifteen_minutes_with_a_race_since() {
    let fifteen = Duration::from_secs(900);
    for (beyond, explores) in [(-2, false), (2, true)] {
        let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(30))]);
        let explored = (0..40).find(|_| visits.visit().plan.explored().is_some());
        assert!(explored.is_some());
        let since = visits.now();
        visits.visit();
        let passed = visits.now().duration_since(since) + Duration::from_millis(200);
        let wait = if beyond < 0 { fifteen - passed - Duration::from_millis(2) } else { fifteen };
        visits.wait(wait);
        assert_eq!(visits.visit().plan.explored().is_some(), explores, "{beyond}");
    }
}

/// With one socket there is no room beside the lead: the one that is explored takes its place.
#[test]
fn with_one_socket_the_explored_one_leads() {
    let config = ALL.max_in_flight(1);
    let mut visits = regular(&config, [("4a", ok(60)), ("4b", ok(60))]);
    visits.put("4b", ok(20));
    let explored = (0..40).map(|_| visits.visit()).find(|visit| visit.plan.explored().is_some()).unwrap();
    assert_eq!(explored.starts, "4b@0");
    assert_eq!(explored.took, Duration::from_millis(20));
}

/// All clients begin anywhere: with a counter of their own, behind an address of their own.
#[test]
fn hosts_have_counters_of_their_own() {
    let mut firsts = Vec::new();
    for host in ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"] {
        let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(30)), ("4c", ok(30)), ("4d", ok(30))]);
        visits.host = host.into();
        firsts.push((0..40).position(|_| visits.visit().plan.explored().is_some()).unwrap());
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() >= 4, "{firsts:?}");
}

/// Of a crowd one explores. For the others the lead leads, and is late when it would be.
#[test]
fn a_plan_that_does_not_explore_has_the_delays_of_one_that_need_not() {
    for (config, second) in [(ALL, 100_000), (Config::staggered(), 100_000)] {
        let mut visits = regular(&config, [("4a", ok(30)), ("4b", ok(30)), ("4c", ok(30))]);
        let memory = visits.memory.as_mut().unwrap();
        let mut settings = memory.settings();
        settings.least_delay = Duration::from_millis(100);
        memory.set_settings(&settings);
        let (mut memory, now) = (0..40)
            .find_map(|_| {
                let (before, now) = (visits.memory.clone(), visits.now());
                visits.visit().plan.explored().and(before).map(|memory| (memory, now))
            })
            .expect("one explores");
        let mut race = PlannedRace::<64, 16, 256>::new(&config, now);
        race.handle_addresses(&addresses("4a 4b 4c"), now);
        let visit = memory.visit(&visits.host, Finish::Tcp, 0, &visits.network);
        let plan = memory.plan(&visit, &race, 0, now);
        assert!(plan.explored().is_some() && plan.without_exploring().explored().is_none());
        race.follow(&plan.without_exploring());
        let mut starts = |micros| {
            let now = now + Duration::from_micros(micros);
            std::iter::from_fn(|| match race.poll_output(now) {
                Output::StartAttempt { destination, .. } => Some(label(destination)),
                _ => None,
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(starts(0), ["4a"]);
        assert_eq!(starts(second - 1), [""; 0]);
        assert_eq!(starts(second).len(), 1);
    }
}
