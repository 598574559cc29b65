//! What a policy costs many clients.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use connie_sim::courtesy::{Costs, CourtesyPolicy, Rival, Setting, run};

pub(super) const HAPPY_EYEBALLS: CourtesyPolicy = CourtesyPolicy::Rival(Rival::HappyEyeballs);

/// What policies cost, in the order of the picture or in that of a table.
pub(super) type Row = (&'static str, Costs);

/// What a policy costs the clients of all seeds below `seeds`; with `CONNIE_SEED` that of this one.
pub(super) fn survey(setting: &Setting, policy: CourtesyPolicy, seeds: u64) -> Costs {
    let only = std::env::var("CONNIE_SEED").ok().and_then(|seed| seed.trim().parse().ok());
    let (first, end) = only.map_or((0, seeds), |seed: u64| (seed, seed.saturating_add(1)));
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || scope.spawn(|| share(setting, policy, &next, end));
        let running: Vec<_> = (0..workers).map(|_| work()).collect();
        let mut sum = Costs::default();
        for worker in running {
            sum.add(&worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        sum
    })
}

/// Takes seeds until none is left.
fn share(setting: &Setting, policy: CourtesyPolicy, next: &AtomicU64, end: u64) -> Costs {
    let mut costs = Costs::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return costs;
        }
        // A client is made from its seed alone: nothing half-done is seen after a panic.
        match catch_unwind(AssertUnwindSafe(|| run(setting, policy, seed))) {
            Ok(its) => costs.add(&its),
            Err(panic) => {
                eprintln!("{}, {policy:?}: CONNIE_SEED={seed} replays this", setting.name);
                resume_unwind(panic);
            }
        }
    }
}
