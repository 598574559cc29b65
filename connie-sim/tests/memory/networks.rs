//! Eight networks, forty visits each: what the first costs, and what all others cost on average.

use connie_core::Config;
use connie_sim::{Host, Visits, hang, ok};

/// What visits cost, the first not counted.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    visits: f64,
    /// Milliseconds beyond the round trip of the best address.
    regret: f64,
    syns: f64,
    wasted: f64,
}

impl Cost {
    fn add(
        &mut self,
        visits: &mut Visits,
        best: u64,
        count: usize,
        mut before: impl FnMut(&mut Visits, usize) -> u64,
    ) {
        let first = visits.visit();
        assert!(first.winner.is_some());
        let mut best = best;
        for number in 1..count {
            let changed = before(visits, number);
            if changed > 0 {
                best = changed;
            }
            let visit = visits.visit();
            self.visits += 1.0;
            self.regret += visit.took.as_secs_f64() * 1e3 - best as f64;
            self.syns += f64::from(visit.syns);
            self.wasted += f64::from(visit.wasted);
        }
    }

    fn mean(&self) -> (f64, f64, f64) {
        (self.regret / self.visits, self.syns / self.visits, self.wasted / self.visits)
    }

    /// At most so many milliseconds, SYNs and wasted handshakes a visit.
    #[track_caller]
    fn at_most(&self, name: &str, regret: f64, syns: f64, wasted: f64) {
        let (is_regret, is_syns, is_wasted) = self.mean();
        println!("{name}: {is_regret:.2} ms, {is_syns:.3} SYNs, {is_wasted:.3} wasted");
        assert!(is_regret <= regret, "{name}: {is_regret:.2} ms of regret, {regret} wanted");
        assert!(is_syns <= syns, "{name}: {is_syns:.3} SYNs a visit, {syns} wanted");
        assert!(is_wasted <= wasted, "{name}: {is_wasted:.3} wasted handshakes a visit, {wasted} wanted");
    }
}

const SEEDS: u64 = 20;
const LABELS: [&str; 12] = ["4a", "4b", "4c", "4d", "4e", "4f", "4g", "4h", "4i", "4j", "4k", "4l"];

/// `count` visits to IPv4 addresses with these hosts.
fn network(seed: u64, hosts: &[Host]) -> Visits {
    let mut visits = Visits::new(&Config::all_at_once(), seed);
    visits.answer(&LABELS[..hosts.len()].join(" "));
    for (label, host) in LABELS.iter().zip(hosts) {
        visits.put(label, host.clone());
    }
    visits
}

fn nothing(_: &mut Visits, _: usize) -> u64 {
    0
}

#[test]
fn twelve_alive_of_20_to_200_ms() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts: Vec<Host> = (0..12).map(|n| ok(20 + (n * 5 + 7) % 12 * 180 / 11)).collect();
        cost.add(&mut network(seed, &hosts), 20, 40, nothing);
    }
    cost.at_most("12 alive", 1.5, 1.1, 0.1);
}

#[test]
fn eight_alive_of_30_ms_each() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        cost.add(&mut network(seed, &vec![ok(30); 8]), 30, 40, nothing);
    }
    cost.at_most("8 equal", 1.0, 1.1, 0.1);
}

#[test]
fn six_of_which_three_are_dead() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts = [hang(), hang(), hang(), ok(40), ok(50), ok(60)];
        cost.add(&mut network(seed, &hosts), 40, 40, nothing);
    }
    cost.at_most("6, three dead", 2.0, 1.1, 0.1);
}

#[test]
fn four_of_ipv6_dead_and_four_of_ipv4_alive() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let mut visits = network(seed, &vec![ok(40); 4]);
        visits.answer("6a 6b 6c 6d 4a 4b 4c 4d");
        cost.add(&mut visits, 40, 40, nothing);
    }
    cost.at_most("IPv6 dead", 1.5, 1.1, 0.1);
}

#[test]
fn the_best_of_six_dies_at_its_sixteenth_attempt() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts = [ok(60), ok(70), ok(30), ok(50), ok(80), ok(90)];
        cost.add(&mut network(seed, &hosts), 30, 40, |visits, number| {
            if number < 15 {
                return 0;
            }
            visits.put("4c", hang());
            50
        });
    }
    cost.at_most("the best dies", 3.0, 1.35, 0.3);
}

#[test]
fn the_best_of_four_becomes_slow() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts = [ok(50), ok(20), ok(40), ok(60)];
        cost.add(&mut network(seed, &hosts), 20, 40, |visits, number| {
            if number < 15 {
                return 0;
            }
            visits.put("4b", ok(300));
            40
        });
    }
    cost.at_most("the best becomes slow", 4.0, 1.3, 0.25);
}

/// Three of a hundred packets are lost each way.
#[test]
fn four_alive_with_loss() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts = [ok(60).loss(6), ok(30).loss(6), ok(40).loss(6), ok(50).loss(6)];
        cost.add(&mut network(seed, &hosts), 30, 200, nothing);
    }
    cost.at_most("loss", 10.0, 1.3, 0.25);
}

#[test]
fn eight_alive_with_jitter() {
    let mut cost = Cost::default();
    for seed in 0..SEEDS {
        let hosts: Vec<Host> = (0..8).map(|n| ok(30 + (n * 3 + 2) % 8 * 30 / 7).jitter(20)).collect();
        cost.add(&mut network(seed, &hosts), 40, 40, nothing);
    }
    cost.at_most("jitter", 3.0, 1.15, 0.1);
}
