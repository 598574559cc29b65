//! One client and its paths.

mod picture;
mod tables;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use connie_sim::courtesy::{Costs, Policy, Rival, Setting, run};

use super::Measured;

/// All policies, as tables and the picture have them.
const POLICIES: [(Policy, &str); 9] = [
    (Policy::Connie, "connie"),
    (Policy::ConnieSlow, "connie, each delay 100 ms or more"),
    (Policy::Staggered, "connie, `Staggered`"),
    (Policy::AllAtOnce, "connie without a memory"),
    (HAPPY_EYEBALLS, "Happy Eyeballs, 250 ms"),
    (Policy::Rival(Rival::Curl), "curl, 200 ms"),
    (Policy::Rival(Rival::Firefox), "Firefox, 50 ms · 2^i"),
    (Policy::Rival(Rival::Apple), "Apple, by history"),
    (Policy::Rival(Rival::LastWinner), "the last winner, then 250 ms"),
];

const HAPPY_EYEBALLS: Policy = Policy::Rival(Rival::HappyEyeballs);

/// What policies cost, in the order of [`POLICIES`] or in that of a table.
type Row = (&'static str, Costs);

pub(super) fn measure(seeds: u64) -> Measured {
    let twelve = all(&Setting::TWELVE, seeds);
    let few = all(&tables::few(), seeds);
    let text = tables::text(&twelve, &few, seeds);
    let pictures = vec![("courtesy.svg", picture::picture(&twelve, &few))];
    Measured { text, pictures }
}

/// What each policy costs in a setting.
fn all(setting: &Setting, seeds: u64) -> Vec<Row> {
    POLICIES.iter().map(|(policy, name)| (*name, survey(setting, *policy, seeds))).collect()
}

/// What a policy costs the clients of all seeds below `seeds`; with `CONNIE_SEED` that of this one.
fn survey(setting: &Setting, policy: Policy, seeds: u64) -> Costs {
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
fn share(setting: &Setting, policy: Policy, next: &AtomicU64, end: u64) -> Costs {
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

/// How many seeds CI has time for.
const CHECKED: u64 = 60;

/// Holds what connie costs to bounds. They leave room for what other seeds would have brought.
pub(super) fn check() -> Result<String, String> {
    let [connie, slow, whole, rival] =
        [Policy::Connie, Policy::ConnieSlow, Policy::AllAtOnce, HAPPY_EYEBALLS]
            .map(|policy| survey(&Setting::TWELVE, policy, CHECKED).later);
    let labs = tables::labs(20);
    let mut missed: Vec<String> = Vec::new();
    let mut at_most = |name: &str, is: f64, bound: f64| {
        if is > bound {
            missed.push(format!("{name}: {is:.3}, at most {bound} wanted (seeds 0 to {})", CHECKED - 1));
        }
    };
    at_most("regret beside Happy Eyeballs'", connie.regret() / rival.regret(), 1.0 / 7.0);
    at_most("the same with delays of 100 ms", slow.regret() / rival.regret(), 1.0 / 7.0);
    at_most("regret beside all at once, in ms", connie.regret() - whole.regret(), 10.0);
    at_most("SYNs a visit", connie.syns(), 1.22);
    at_most("visits that came to nothing", connie.lost as f64, whole.lost as f64 + 2.0);
    for (lab, cost) in &labs {
        let wanted = lab.wanted();
        at_most(lab.name(), cost.regret(), wanted.regret);
        at_most(lab.name(), cost.syns(), wanted.syns);
        at_most(lab.name(), cost.wasted(), wanted.wasted);
    }
    let told = format!(
        "twelve addresses, {CHECKED} seeds: connie {:.1} ms at {:.2} SYNs, with delays of 100 ms {:.1} ms; Happy Eyeballs {:.1} ms at \
         {:.2}; all at once {:.1} ms at {:.1}\n",
        connie.regret(),
        connie.syns(),
        slow.regret(),
        rival.regret(),
        rival.syns(),
        whole.regret(),
        whole.syns(),
    );
    if missed.is_empty() { Ok(told) } else { Err(told + &missed.join("\n")) }
}
