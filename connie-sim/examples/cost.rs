//! Prints what one race over the simulation costs in real time. Run it with `--release`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use connie_sim::{Scenario, hang, ok, refuse};

const RUNS: u32 = 20_000;

fn main() {
    let dozen = (0..12).fold(Scenario::all_at_once(), |scenario, place| scenario.v4(ok(20 + 15 * place)));
    report("12 addresses alive, 12 sockets", &dozen.clone().sockets(12));
    report("12 addresses alive, 4 sockets", &dozen.sockets(4));
    report("11 of 12 dead, 4 sockets", &Scenario::all_at_once().v4s(11, hang()).v4(ok(30)).sockets(4));
    report("11 of 12 refuse, one by one", &Scenario::one_by_one().v4s(11, refuse(20)).v4(ok(30)));
    report("60 of 64 dead, 8 sockets", &Scenario::all_at_once().v4s(60, hang()).v4s(4, ok(50)).sockets(8));
}

fn report(what: &str, scenario: &Scenario) {
    let once = time(|| {
        black_box(scenario.run_once());
    });
    let checked = time(|| {
        black_box(scenario.run());
    });
    println!("{what}: {once:.1?} a race, {checked:.1?} with all checks, run twice");
}

#[allow(clippy::disallowed_methods, reason = "real time is what is measured here")]
fn time(mut race: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..RUNS).for_each(|_| race());
    start.elapsed() / RUNS
}
