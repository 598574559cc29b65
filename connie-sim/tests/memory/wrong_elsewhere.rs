//! How memory went wrong in other clients.

use std::time::Duration;

use connie_core::memory::{Network, Verdict};
use connie_core::{Config, Failure};
use connie_sim::{Visits, address, hang, ok, refuse};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_live(visits: &Visits, label: &str) -> Option<bool> {
    let memory = visits.memory.as_ref().unwrap();
    memory.entries(visits.now()).find(|entry| entry.address == address(label)).map(|entry| entry.is_live)
}

/// "An address stays bad for ever though it is back."
#[test]
fn one_that_is_back_leads_again() {
    let mut visits = regular(&ALL, [("4a", ok(20)), ("4b", ok(60))]);
    visits.put("4a", refuse(1));
    visits.visit();
    visits.put("4a", ok(20));
    assert!(visits.visit().starts.starts_with("4b@0"));
    assert!((0..66).any(|_| visits.visit().starts == "4a@0"));
}

/// "The wrong entry is marked."
#[test]
fn only_the_one_that_failed_is_marked() {
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", refuse(5)), ("6a", hang())]);
    visits.visit();
    assert_eq!(["4a", "4b", "6a"].map(|it| is_live(&visits, it)), [Some(true), Some(false), None]);
}

/// "A failure on one path is not recorded, so that a dead route stays preferred", and the other way round.
#[test]
fn a_failure_counts_on_its_network() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    let home = visits.network;
    visits.network = Network::new("198.51.100.7".parse().ok(), None);
    visits.put("4a", refuse(1));
    visits.visit();
    assert!(visits.visit().starts.starts_with("4b@0"));
    visits.put("4a", ok(30));
    visits.network = home;
    assert!(visits.visit().starts.starts_with("4a@0"));
}

fn is_demoted(visits: &Visits, label: &str) -> bool {
    let memory = visits.memory.as_ref().unwrap();
    memory.entries(visits.now()).any(|entry| entry.address == address(label) && entry.is_demoted)
}

/// Demoted for 5 s, and up to half as long again; twice that after the next failure, up to five minutes.
#[test]
fn one_that_failed_is_demoted_for_five_seconds_and_ever_longer() {
    let mut visits = regular(&ALL, [("4a", ok(20)), ("4b", ok(60))]);
    visits.pause = Duration::ZERO;
    let mut verdict = Vec::new();
    for (failures, least) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        visits.put("4a", refuse(1));
        // As a lead it fails once; after that it fails when it is explored.
        assert!((0..100).any(|_| visits.visit().starts.contains("4a")), "{failures}");
        verdict.push((failures, least));
        visits.wait(Duration::from_millis(least * 1_000 - 1_000));
        assert!(is_demoted(&visits, "4a"), "{failures}: {least} s");
        visits.wait(Duration::from_millis(least * 500 + 1_100));
        assert!(!is_demoted(&visits, "4a"), "{failures}: {least} s and a half");
    }
}

/// "Silence is evidence": the second miss in a row demotes as a failure does. Demoted is tried last.
#[test]
fn silence_demotes_the_second_time_and_the_demoted_are_last() {
    let hosts = [("4a", ok(30)), ("4b", ok(200)), ("4c", ok(220)), ("4d", ok(240))];
    let mut visits = regular(&ALL, hosts);
    visits.put("4a", hang());
    visits.visit();
    assert_eq!((is_live(&visits, "4a"), is_demoted(&visits, "4a")), (Some(true), false));
    visits.visit();
    assert!(is_demoted(&visits, "4a"));
    assert_eq!(visits.visit().starts, "4b@0 4c@0 4d@0 4a@0");
}

/// Last among those that were not started, and before all that were evicted.
#[test]
fn the_demoted_come_before_the_evicted() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", refuse(1))]);
    assert!(is_demoted(&visits, "4c"));
    visits.put("4a", hang()).put("4b", hang()).put("4c", ok(30));
    visits.config.max_in_flight = 1;
    assert_eq!(visits.visit().starts, "4a@0 4b@250 4c@500");
}

/// "Units mixed": what took so many milliseconds is told so, and waited for so long; an age is in seconds, as
/// a pause is.
#[test]
fn each_time_is_told_and_waited_for_in_its_unit() {
    let about = |visits: &Visits| {
        let memory = visits.memory.as_ref().unwrap();
        memory.entries(visits.now()).find(|entry| entry.address == address("4a")).unwrap()
    };
    let ms = Duration::from_millis;
    for millis in [2, 30, 90, 900] {
        let mut visits = regular(&ALL, [("4a", ok(millis)), ("4b", hang())]);
        let known = about(&visits);
        let (round_trip, variation) = (known.round_trip.unwrap(), known.variation.unwrap());
        assert_eq!(round_trip.as_millis(), millis.into());
        // RFC 6298: half of the first sample, and since then a smaller one each time.
        assert!((ms(millis) / 4..ms(millis) / 2).contains(&variation), "{millis}: {variation:?}");
        assert_eq!(known.measure, round_trip + (4 * variation).max(ms(10)).max(round_trip / 8));
        assert!(known.age.abs_diff(visits.pause) < ms(3), "{millis}: {:?}", known.age);

        visits.wait(secs(7)).put("4a", hang());
        assert!(about(&visits).age.abs_diff(secs(7) + visits.pause) < ms(3));
        visits.put("4b", ok(30));
        let visit = visits.visit();
        let due = known.measure.min(ms(250));
        assert_eq!(Duration::from_micros(visit.plan.lead_is_due().into()), due);
        assert_eq!(Duration::from_micros(visit.plan.longest_delay().into()), ms(250));
        assert_eq!(visit.starts.split(' ').nth(1).unwrap(), format!("4b@{}", due.as_millis()));
        assert!(visit.took.abs_diff(due + ms(30)) < ms(1), "{millis}: {:?}", visit.took);

        let mut visits = regular(&ALL, [("4a", ok(millis)), ("4b", ok(millis))]);
        visits.put("4a", refuse(1));
        visits.visit();
        let pause = about(&visits).demoted_for + visits.pause + ms(millis);
        assert!((secs(5)..secs(8)).contains(&pause), "{millis}: {pause:?}");
    }
}

/// "IPv4 is preferred after one IPv6 failure until the program ends."
#[test]
fn one_failure_of_a_family_says_nothing_and_three_do_for_a_while() {
    let dead = [("6a", hang()), ("6b", hang()), ("6c", hang()), ("4a", ok(100))];
    let mut visits = visits(&ALL, dead);
    // No round trip is known for long enough to lead.
    let memory = visits.memory.as_mut().unwrap();
    let mut settings = memory.settings();
    settings.life = Duration::ZERO;
    memory.set_settings(&settings);
    // Silent for more than a quarter of the patience, in a race that IPv4 won.
    visits.answer("6a 4a");
    visits.visit();
    visits.host = "other.test".into();
    visits.answer("6d 4b").put("6d", ok(30)).put("4b", ok(30));
    assert!(visits.visit().starts.starts_with("6d@0"));
    // It has answered: what was held against it is gone. Now three are silent.
    visits.host = "name.test".into();
    visits.answer("6a 6b 6c 4a");
    visits.visit();
    visits.host = "third.test".into();
    visits.answer("6e 4c").put("6e", ok(30)).put("4c", ok(30));
    assert!(visits.visit().starts.starts_with("4c@0"), "IPv6 goes second");
    visits.wait(secs(601));
    visits.host = "fourth.test".into();
    assert!(visits.visit().starts.starts_with("6e@0"), "for a half-life");
}

/// "A network outage marks everything bad."
#[test]
fn an_outage_marks_nothing() {
    for dead in [hang(), refuse(3)] {
        let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60)), ("4c", ok(70))]);
        visits.config.deadline = Some(secs(2));
        for label in ["4a", "4b", "4c"] {
            visits.put(label, dead.clone());
        }
        assert!(visits.visit().failure.is_some());
        assert!(!["4a", "4b", "4c"].iter().any(|label| is_demoted(&visits, label)));
        for (label, millis) in [("4a", 30), ("4b", 60), ("4c", 70)] {
            visits.put(label, ok(millis));
        }
        // The next race of that host is the whole race, and then all is as it was.
        let visit = visits.visit();
        assert_eq!((visit.syns, visit.winner.as_deref()), (3, Some("4a")));
        assert_eq!(visits.visit().starts, "4a@0");
    }
}

/// "An address that left the answer is still dialled."
#[test]
fn what_is_not_in_the_answer_is_not_dialled() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.answer("4b 4c").put("4c", ok(70));
    for _ in 0..40 {
        assert!(!visits.visit().starts.contains("4a"));
    }
}

/// "Canceled losers count as failures."
#[test]
fn losers_are_not_marked() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(35)), ("4c", ok(40))]);
    visits.put("4a", hang());
    visits.visit();
    visits.visit();
    // Whoever lost these races was slower, and no more.
    assert!([Some(true), None].contains(&is_live(&visits, "4c")));
    visits.put("4b", refuse(1));
    visits.wait(secs(1));
    assert_eq!(visits.visit().winner.as_deref(), Some("4c"));
}

/// "All bad: stuck", and "after the mend all are hammered".
#[test]
fn where_all_are_bad_all_are_tried() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.put("4a", refuse(1));
    visits.visit();
    visits.put("4b", refuse(1));
    assert_eq!(visits.visit().failure, Some(Failure::AllAttemptsFailed));
    visits.put("4a", ok(30)).put("4b", ok(60));
    let visit = visits.visit();
    assert_eq!((visit.winner.as_deref(), visit.took), (Some("4a"), Duration::from_millis(30)));
    assert_eq!(visits.visit().syns, 1);
}

/// "1,000 races with one dead lead count 1,000 failures": they ran at one time.
#[test]
fn one_event_counts_once() {
    let mut visits = regular(&ALL, [("4a", ok(20)), ("4b", ok(60))]);
    let before = visits.memory.clone();
    visits.put("4a", refuse(1));
    visits.visit();
    let once = visits.memory.clone().unwrap();
    let (mut many, at) = (visits.memory.take().unwrap(), visits.now());
    // What came of the same race, a thousand times.
    visits.memory = before;
    let told = |memory: &mut connie_core::memory::Memory<64>| {
        for _ in 0..1_000 {
            let mut twin = crate::visits(&ALL, [("4a", refuse(1)), ("4b", ok(60))]);
            twin.memory = Some(memory.clone());
            twin.visit();
            *memory = twin.memory.take().unwrap();
        }
    };
    told(&mut many);
    let pause = |memory: &connie_core::memory::Memory<64>| {
        let mut twin = crate::visits(&ALL, [("4a", ok(20)), ("4b", ok(60))]);
        twin.memory = Some(memory.clone());
        twin.wait(at.duration_since(twin.now()) + secs(8));
        twin.visit().starts
    };
    // Past its first pause it is on probation in both, and has its turn to be explored.
    assert_eq!(pause(&once), pause(&many));
}

/// "Captive portal": the same network before and after its login, where all addresses answer at once before
/// it.
#[test]
fn a_captive_portal_is_unlearnt_within_two_visits() {
    let portal = [("4a", ok(3)), ("4b", ok(3)), ("6a", ok(3))];
    let mut visits = regular(&ALL, portal);
    for (label, host) in [("4a", ok(60)), ("4b", ok(40)), ("6a", ok(80))] {
        visits.put(label, host);
    }
    let costs: Vec<_> =
        (0..6).map(|_| visits.visit()).map(|visit| (visit.syns, visit.took.as_millis())).collect();
    assert!(costs[2..].iter().all(|(syns, took)| *syns <= 3 && *took <= 80), "{costs:?}");
    assert!(costs[3..].iter().all(|(syns, _)| *syns == 1), "{costs:?}");
}

/// What a server says above TCP is kept by host: another host at the same address is not touched.
#[test]
fn a_verdict_from_above_is_its_hosts() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    let about = |visits: &Visits| {
        let memory = visits.memory.as_ref().unwrap();
        memory.visit(&visits.host, connie_core::memory::Finish::Tcp, 0, &visits.network)
    };
    let (visit, now) = (about(&visits), visits.now());
    visits.memory.as_mut().unwrap().report(&visit, address("4a"), Verdict::Stalled, now);
    let next = visits.visit().starts;
    assert!(next.starts_with("4b@0"), "{next}");
    visits.host = "other.test".into();
    assert!(visits.visit().starts.starts_with("4a@0"));
    let now = visits.now();
    visits.memory.as_mut().unwrap().report(&visit, address("4a"), Verdict::Good, now);
    visits.host = "name.test".into();
    visits.visit();
    assert_eq!(is_live(&visits, "4a"), Some(true));
}
