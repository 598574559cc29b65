//! Clauses of RFC 8305 and of its next version on history, delays and order, with `Staggered`: those of
//! `docs/history.md` that no other test is about.

use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::race::PlannedRace;
use connie_core::{Config, Family, Input, Output};
use connie_sim::{SimHost, Visits, addresses, hang, label, ok, refuse, seeds};

use crate::{regular, visits};

const STAGGERED: Config = Config::staggered();

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// When each attempt of a visit started, in milliseconds.
fn starts(visit: &connie_sim::SimVisit) -> Vec<u64> {
    let at = |start: &str| start.split('@').nth(1).and_then(|at| at.parse().ok()).expect("a start");
    visit.starts.split(' ').map(at).collect()
}

/// "it SHOULD add a Destination Address Selection rule between rules 8 and 9 that prefers addresses with
/// lower RTTs", and that of used addresses comes after it.
#[test]
fn a_lower_round_trip_comes_first_and_then_what_was_used() {
    let mut visits = regular(&STAGGERED, [("4a", ok(90)), ("4b", ok(90)), ("4c", ok(20))]);
    // 4a is the one that has been used, however the answer rotates.
    for answer in ["4a 4b", "4b 4a"] {
        visits.answer(answer);
        assert_eq!(visits.visit().starts, "4a@0", "{answer}");
    }
    // 4c is met as one that is explored, and is nearer.
    visits.answer("4a 4b 4c");
    let nearer = (0..32 * 3 + 2).find(|_| visits.visit().starts == "4c@0");
    assert!(nearer.is_some());
    visits.answer("4a 4b 4c");
    visits.put("4c", hang());
    assert!(visits.visit().starts.starts_with("4c@0 4a@"), "who was used is before who was not");
}

/// "a subsequent connection MUST NOT be started within 10 milliseconds of the previous attempt", whatever the
/// history: the delays of 60 programs that remember hosts that come and go. "The Connection Attempt Delay
/// SHOULD have an upper bound" of 2 s.
#[test]
fn no_two_attempts_start_within_ten_milliseconds() {
    seeds(60, |seed| {
        let mut rng = connie_sim::Rng::new(seed);
        let all = ["6a", "4a", "6b", "4b", "6c"];
        let mut visits = Visits::new(&STAGGERED, seed);
        if rng.chance(50) {
            let memory = visits.memory.as_mut().unwrap();
            let mut settings = memory.settings();
            settings.short_delays = true;
            memory.set_settings(&settings);
        }
        let least = if visits.memory.as_ref().unwrap().settings().short_delays { 10 } else { 100 };
        visits.answer(&all.join(" "));
        let mut late = 0;
        for _ in 0..150 {
            for label in all {
                if rng.chance(8) {
                    let host = if rng.chance(40) { hang() } else { ok(rng.within(5, 400)).jitter(20) };
                    visits.put(label, host);
                }
            }
            visits.config.deadline = rng.chance(20).then(|| ms(rng.within(30, 300)));
            let visit = visits.visit();
            let starts = starts(&visit);
            late += starts.len() - 1;
            for pair in starts.windows(2) {
                assert!(pair[1] - pair[0] >= least, "{}", visit.starts);
                // The ladder's longest, where the bucket is empty.
                assert!(pair[1] - pair[0] <= 2_000, "{}", visit.starts);
            }
        }
        assert!(late > 20, "{late} starts beyond a first");
    });
}

/// The delay is between attempts of which the earlier one may still succeed: one that has failed is followed
/// at once.
#[test]
fn one_that_has_failed_is_followed_at_once() {
    let mut visits = regular(&STAGGERED, [("6a", ok(30)), ("4a", ok(30))]);
    visits.put("6a", refuse(3));
    assert_eq!(visits.visit().starts, "6a@0 4a@3");
}

/// "This historical data MUST be partitioned using the same boundaries used for privacy-sensitive
/// information", and "MUST NOT be used across different Provisioning Domains".
#[test]
fn what_one_partition_has_learnt_no_other_uses() {
    for config in [STAGGERED, Config::all_at_once()] {
        let mut visits = regular(&config, [("4a", hang()), ("4b", ok(30))]);
        let now = visits.now();
        let memory = visits.memory.as_mut().unwrap();
        let mut leads = |partition, network: &connie_core::memory::Network| {
            let mut race = PlannedRace::<64, 16, 256>::new(&config, now);
            race.handle_addresses(&addresses("4a 4b"), now);
            let visit = memory.visit("name.test", Finish::Tcp, partition, network);
            memory.plan(&visit, &race, 0, now).lead()
        };
        let home = visits.network;
        let elsewhere = connie_core::memory::Network::new("198.51.100.7".parse().ok(), None);
        assert_eq!((leads(0, &home), leads(1, &home), leads(0, &elsewhere)), (Some(1), None, None));
    }
}

/// "if a client can reliably identify a previously attached PvD, it MAY retain and resume using historical
/// data associated with that PvD upon reconnection".
#[test]
fn back_on_a_network_what_was_learnt_there_is_used_again() {
    let mut visits = regular(&STAGGERED, [("4a", hang()), ("4b", ok(30))]);
    let home = visits.network;
    visits.network = connie_core::memory::Network::new("198.51.100.7".parse().ok(), None);
    assert!(visits.visit().starts.starts_with("4a@0"));
    visits.network = home;
    assert_eq!(visits.visit().starts, "4b@0");
}

/// "Clients that use historical data MUST ensure that clients with different historical data will eventually
/// converge toward the same behaviors."
#[test]
fn programs_with_different_pasts_come_to_do_the_same() {
    fn past(config: &Config, hosts: [(&str, SimHost); 4]) -> Visits {
        let mut visits = regular(config, hosts);
        for _ in 0..20 {
            visits.visit();
        }
        visits
    }
    for config in [STAGGERED, Config::all_at_once()] {
        let labels = ["4a", "4b", "4c", "4d"];
        for nearest in labels {
            for used in labels {
                let mut visits =
                    past(&config, labels.map(|it| (it, if it == used { ok(40) } else { hang() })));
                for label in labels {
                    visits.put(label, ok(if label == nearest { 20 } else { 60 }));
                }
                let races = (1..=32 * 4 + 2).find(|_| visits.visit().starts == format!("{nearest}@0"));
                assert!(races.is_some(), "{used} was used, and {nearest} is nearest");
            }
        }
    }
}

/// "If an endpoint is added to the list, its position SHOULD be determined by applying the sorting rules to
/// the complete list".
#[test]
fn an_answer_that_comes_late_is_put_in_order_by_what_is_known() {
    let mut visits = regular(&STAGGERED, [("4a", hang()), ("4b", ok(30)), ("4c", hang())]);
    let now = visits.now();
    let mut memory = visits.memory.take().unwrap();
    let visit = memory.visit(&visits.host, Finish::Tcp, 0, &visits.network);
    let mut race = PlannedRace::<64, 16, 256>::new(&STAGGERED, now);
    let mut order = Vec::new();
    for (family, labels, at) in [(Family::V6, "6a 6b", 0), (Family::V4, "4a 4b 4c", 60)] {
        let now = now + ms(at);
        race.handle_input(Input::Resolved { family, addresses: &addresses(labels) }, now);
        race.follow(&memory.plan(&visit, &race, 0, now));
        if let Output::StartAttempt { destination, .. } = race.poll_output(now) {
            order.push(label(destination));
        }
    }
    for at in (61..2_000).step_by(10) {
        if let Output::StartAttempt { destination, .. } = race.poll_output(now + ms(at)) {
            order.push(label(destination));
        }
    }
    assert_eq!(order, ["6a", "4b", "6b", "4a", "4c"]);
}

/// "the client SHOULD modify the ordered list to interleave address families", and so it is with a memory.
#[test]
fn families_alternate_whatever_was_learnt() {
    let hosts = [("6a", ok(30)), ("6b", ok(35)), ("4a", ok(20)), ("4b", ok(10)), ("6c", ok(300))];
    let mut visits = visits(&STAGGERED, hosts);
    for _ in 0..120 {
        visits.visit();
    }
    for label in ["6a", "6b", "6c", "4a", "4b"] {
        visits.put(label, hang());
    }
    visits.config.deadline = Some(ms(5_000));
    let visit = visits.visit();
    let families: String = visit.starts.split(' ').map(|start| &start[..1]).collect();
    assert_eq!(families, "64646", "{}", visit.starts);
}
