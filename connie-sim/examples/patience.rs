//! Prints how long races with fewer sockets than addresses take, in milliseconds, by network and patience:
//! the mean and the 99th percentile over 5,000 networks each. Run it with `--release`.
//!
//! ```text
//! cargo run --release -p connie-sim --example patience -- 150 250 400
//! ```

use connie_sim::{Ending, Rng, Scenario, hang, ok, refuse};

const NETWORKS: u64 = 5_000;

/// A kind of network: how many addresses and sockets there are, how many of them are alive, beside one that
/// always is, and how long those take.
struct HostKind {
    name: &'static str,
    addresses: u64,
    sockets: usize,
    alive_percent: u8,
    millis: (u64, u64),
    lost_syns: u32,
}

const KINDS: [HostKind; 8] = [
    kind("all alive, fast, 12 on 4", 12, 4, 100, (20, 200)),
    kind("half alive, fast, 12 on 4", 12, 4, 50, (20, 200)),
    kind("one alive, fast, 12 on 4", 12, 4, 0, (20, 200)),
    kind("all alive, slow, 5 on 4", 5, 4, 100, (260, 600)),
    kind("half alive, mixed, 12 on 4", 12, 4, 50, (100, 800)),
    kind("one alive, slow, 6 on 4", 6, 4, 0, (300, 900)),
    kind("a tenth alive, mixed, 64 on 4", 64, 4, 10, (20, 600)),
    HostKind { lost_syns: 1, ..kind("first SYNs lost, fast, 5 on 4", 5, 4, 100, (20, 200)) },
];

const fn kind(
    name: &'static str,
    addresses: u64,
    sockets: usize,
    alive_percent: u8,
    millis: (u64, u64),
) -> HostKind {
    HostKind { name, addresses, sockets, alive_percent, millis, lost_syns: 0 }
}

impl HostKind {
    fn draw(&self, seed: u64) -> Scenario {
        let mut rng = Rng::new(seed);
        let lucky = rng.below(self.addresses);
        let mut scenario = Scenario::all_at_once().sockets(self.sockets);
        for place in 0..self.addresses {
            let host = if place == lucky || rng.chance(self.alive_percent) {
                ok(rng.within(self.millis.0, self.millis.1)).lose_first(self.lost_syns)
            } else if rng.chance(20) {
                refuse(rng.within(10, 200))
            } else {
                hang()
            };
            scenario = if rng.chance(50) { scenario.v6(host) } else { scenario.v4(host) };
        }
        scenario
    }

    /// The mean and the 99th percentile, in milliseconds.
    fn measure(&self, patience: u64) -> (f64, f64) {
        let mut times: Vec<f64> = (0..NETWORKS)
            .map(|seed| {
                let outcome = self.draw(seed).patience(patience).connect().outcome;
                assert!(matches!(outcome.ending, Ending::Connected(_)), "one is alive");
                outcome.elapsed.as_secs_f64() * 1_000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        (times.iter().sum::<f64>() / NETWORKS as f64, times[times.len() * 99 / 100])
    }
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).filter_map(|millis| millis.parse().ok()).collect();
    let patiences = if given.is_empty() { vec![100, 150, 200, 250, 300, 400, 500] } else { given };
    print!("{:32}", "mean / 99 % by patience");
    patiences.iter().for_each(|millis| print!("{millis:>14}"));
    println!();
    for kind in &KINDS {
        print!("{:32}", kind.name);
        for patience in &patiences {
            let (mean, late) = kind.measure(*patience);
            print!("{:>14}", format!("{mean:.0} / {late:.0}"));
        }
        println!();
    }
}
