//! Eight networks, forty visits each by one program with a memory: what all but the first cost on average,
//! beside what they may.

use super::Cost;
use crate::host::{SimHost, hang, ok};
use crate::visits::Visits;
use connie_core::Config;

/// One of the networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lab {
    /// Twelve addresses of 20 to 200 ms.
    Twelve,
    /// Eight of 30 ms each.
    Equal,
    /// Six, of which three are dead.
    ThreeDead,
    /// Four of IPv6 that are dead, and four of IPv4.
    V6Dead,
    /// The best of six dies.
    BestDies,
    /// The best of four becomes slow.
    BestSlows,
    /// Three of a hundred packets are lost each way.
    Loss,
    /// Up to 10 ms more or less.
    Jitter,
}

/// What a visit may cost: milliseconds beyond the round trip of the best address, SYNs, handshakes for
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Milliseconds.
    pub regret: f64,
    /// SYNs.
    pub syns: f64,
    /// Handshakes for nothing.
    pub wasted: f64,
}

const LABELS: [&str; 12] = ["4a", "4b", "4c", "4d", "4e", "4f", "4g", "4h", "4i", "4j", "4k", "4l"];

impl Lab {
    /// All of them.
    pub const ALL: [Lab; 8] = [
        Lab::Twelve,
        Lab::Equal,
        Lab::ThreeDead,
        Lab::V6Dead,
        Lab::BestDies,
        Lab::BestSlows,
        Lab::Loss,
        Lab::Jitter,
    ];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Lab::Twelve => "12 alive, 20 to 200 ms",
            Lab::Equal => "8 alive, 30 ms each",
            Lab::ThreeDead => "6, three dead",
            Lab::V6Dead => "4 IPv6 dead, 4 IPv4 alive",
            Lab::BestDies => "the best of 6 dies before the 16th visit",
            Lab::BestSlows => "the best of 4 becomes slow (20 to 300 ms)",
            Lab::Loss => "4 alive, 30 to 60 ms, 3 % loss each way (200 visits)",
            Lab::Jitter => "8 alive, 40 to 70 ms, jitter ±10 ms",
        }
    }

    /// What its visits may cost.
    #[must_use]
    pub fn wanted(self) -> Wanted {
        let (regret, syns, wasted) = match self {
            Lab::Twelve | Lab::V6Dead => (1.5, 1.1, 0.1),
            Lab::Equal => (1.0, 1.1, 0.1),
            Lab::ThreeDead => (2.0, 1.1, 0.1),
            Lab::BestDies => (3.0, 1.35, 0.3),
            Lab::BestSlows => (4.0, 1.3, 0.25),
            Lab::Loss => (10.0, 1.3, 0.25),
            Lab::Jitter => (3.0, 1.15, 0.1),
        };
        Wanted { regret, syns, wasted }
    }

    /// What the visits of one seed cost, the first not counted.
    ///
    /// # Panics
    ///
    /// When a visit comes to no connection.
    #[must_use]
    pub fn run(self, seed: u64) -> Cost {
        let mut visits = Visits::new(&Config::all_at_once(), seed);
        let hosts = self.hosts();
        visits.answer(&LABELS[..hosts.len()].join(" "));
        for (label, host) in LABELS.iter().zip(&hosts) {
            visits.put(label, host.clone());
        }
        if self == Lab::V6Dead {
            visits.answer("6a 6b 6c 6d 4a 4b 4c 4d");
        }
        let mut cost = Cost::default();
        for number in 0..if self == Lab::Loss { 200 } else { 40 } {
            let best = self.change(&mut visits, number);
            let visit = visits.visit();
            assert!(visit.winner.is_some(), "{self:?}: visit {number} of seed {seed} has failed");
            if number > 0 {
                cost.visits += 1;
                cost.regrets.push((visit.took.as_secs_f64() * 1e3 - best as f64) as f32);
                cost.syns += u64::from(visit.syns);
                cost.wasted += u64::from(visit.wasted);
            }
        }
        cost
    }

    fn hosts(self) -> Vec<SimHost> {
        match self {
            Lab::Twelve => (0..12).map(|n| ok(20 + (n * 5 + 7) % 12 * 180 / 11)).collect(),
            Lab::Equal => vec![ok(30); 8],
            Lab::ThreeDead => vec![hang(), hang(), hang(), ok(40), ok(50), ok(60)],
            Lab::V6Dead => vec![ok(40); 4],
            Lab::BestDies => [60, 70, 30, 50, 80, 90].map(ok).to_vec(),
            Lab::BestSlows => [50, 20, 40, 60].map(ok).to_vec(),
            Lab::Loss => [60, 30, 40, 50].map(|millis| ok(millis).loss(6)).to_vec(),
            Lab::Jitter => (0..8).map(|n| ok(30 + (n * 3 + 2) % 8 * 30 / 7).jitter(20)).collect(),
        }
    }

    /// What happens before a visit. Answers the round trip of the best address from then on.
    fn change(self, visits: &mut Visits, number: usize) -> u64 {
        match (self, number >= 15) {
            (Lab::Twelve, _) | (Lab::BestSlows, false) => 20,
            (Lab::Equal | Lab::Loss, _) | (Lab::BestDies, false) => 30,
            (Lab::ThreeDead | Lab::V6Dead | Lab::Jitter, _) => 40,
            (Lab::BestDies, true) => {
                visits.put("4c", hang());
                50
            }
            (Lab::BestSlows, true) => {
                visits.put("4b", ok(300));
                40
            }
        }
    }
}
