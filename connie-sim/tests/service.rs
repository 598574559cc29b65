//! Very many clients of one service: what `docs/courtesy.md` says of it is held for more of them by
//! `courtesy --ci` of `connie-tools`.

use std::time::Duration;

use connie_sim::seeds;
use connie_sim::service::{HAPPENS, ServicePolicy, ServiceRun, Story, run};

const SECOND: Duration = Duration::from_secs(1);

fn few(policy: ServicePolicy, story: Story, seed: u64) -> ServiceRun {
    let (pause, length) = (8 * SECOND, 220 * SECOND);
    ServiceRun { policy, story, clients: 600, pause, handshake: 20, load: 60, lost: 5, length, seed }
}

#[test]
fn a_seed_fixes_all_of_a_run() {
    let counted = |seed| {
        let report =
            run(&ServiceRun { length: 140 * SECOND, ..few(ServicePolicy::Memory, Story::HalfRate, seed) });
        report.bins.iter().map(|bin| (bin.connected, bin.syns, bin.micros)).collect::<Vec<_>>()
    };
    let one = counted(1);
    assert_eq!(one, counted(1));
    assert_ne!(one, counted(2));
    assert_eq!(one.len(), 14);
}

/// "recovery from overload in every seed": an overload ends when its cause does.
#[test]
fn clients_with_memories_recover_from_an_overload() {
    seeds(2, |seed| {
        for story in [Story::HalfRate, Story::Crowd] {
            let run_of = few(ServicePolicy::Memory, story, seed);
            let report = run(&run_of);
            let worst =
                report.between(HAPPENS, run_of.over()).iter().map(|bin| bin.millis()).fold(0.0, f64::max);
            assert!(worst > 5.0 * report.before().millis(), "{story:?}: no overload");
            let back = report.recovers(run_of.over());
            assert!(back.is_some_and(|back| back <= 60 * SECOND), "{story:?}: {back:?}");
        }
    });
}

/// What the bucket and its ladder are for: without them a service stays overloaded that has to do a fifth of
/// a connection's work for each SYN.
#[test]
fn without_a_bucket_an_overload_outlasts_its_cause() {
    let run_of = few(ServicePolicy::HappyEyeballs, Story::HalfRate, 1);
    let report = run(&run_of);
    assert!(report.before().syns_a_visit() < 1.1);
    assert_eq!(report.recovers(run_of.over()), None);
}

#[test]
fn a_server_that_dies_is_left_and_one_that_is_back_is_found() {
    let mut run_of = few(ServicePolicy::Memory, Story::Returns, 1);
    (run_of.pause, run_of.lost) = (SECOND, 0);
    run_of.length = run_of.over() + run_of.theorem();
    let report = run(&run_of);
    let away = report.between(HAPPENS + 10 * SECOND, run_of.over());
    assert!(away.iter().all(|bin| bin.share(0) == 0.0 && bin.failed == 0));
    let share = report.share(0, run_of.length);
    assert!((0.6..1.5).contains(&share), "{share}");
}
