//! Models of other clients.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Family;
use connie_core::memory::Network;

use super::dial::{DialStep, Dialled, dial};
use super::world::{PATIENT, WorldVisit};
use crate::host::SimHost;

/// Another client, or a rule that one could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// RFC 8305: the next after 250 ms, the families in turn.
    HappyEyeballs,
    /// The same with 200 ms.
    Curl,
    /// The same with 50 ms, then 100 ms, and so on.
    Firefox,
    /// By round trips that were measured on this network: the least first, and the next when the last one is
    /// late by its own, within 50 ms and 2 s.
    Apple,
    /// The address that was used last goes first, the next after 250 ms.
    LastWinner,
}

/// What a rival remembers.
#[derive(Default)]
pub(super) struct Rivalry {
    last: HashMap<usize, SocketAddr>,
    measured: HashMap<(SocketAddr, Option<std::net::Ipv4Addr>), Measured>,
}

/// A smoothed round trip and its variation, in microseconds (RFC 6298).
#[derive(Clone, Copy)]
struct Measured {
    mean: f64,
    variation: f64,
}

const DELAY: Duration = Duration::from_millis(250);

impl Rivalry {
    pub(super) fn visit(&mut self, rival: Rival, visit: &WorldVisit) -> Dialled {
        let mut order = in_turn(&visit.answer);
        match rival {
            Rival::LastWinner => {
                let last = self.last.get(&visit.site);
                order.sort_by_key(|(address, _)| last != Some(address));
            }
            Rival::Apple => {
                // What was never measured keeps its place behind what was.
                let mean = |address: &SocketAddr| {
                    self.known(*address, &visit.network).map_or(f64::INFINITY, |known| known.mean)
                };
                order.sort_by(|one, other| mean(&one.0).total_cmp(&mean(&other.0)));
            }
            Rival::HappyEyeballs | Rival::Curl | Rival::Firefox => {}
        }
        let step = |place: usize| {
            let (address, host) = order[place];
            DialStep { address, host, delay: self.delay(rival, place, address, &visit.network) }
        };
        let steps: Vec<DialStep<'_>> = (0..order.len()).map(step).collect();
        let dialled = dial(&steps, visit.at, PATIENT);
        if let Some((address, time)) = dialled.winner {
            self.last.insert(visit.site, address);
            if !dialled.sent_again {
                self.measured(address, &visit.network, time);
            }
        }
        dialled
    }

    fn known(&self, address: SocketAddr, network: &Network) -> Option<Measured> {
        self.measured.get(&(address, network.v4)).copied()
    }

    /// How long after the start of the `place`-th the next may start.
    fn delay(&self, rival: Rival, place: usize, address: SocketAddr, network: &Network) -> Duration {
        match (rival, self.known(address, network)) {
            (Rival::Curl, _) => Duration::from_millis(200),
            (Rival::Firefox, _) => Duration::from_millis(50 << place.min(10)),
            (Rival::Apple, Some(Measured { mean, variation })) => {
                Duration::from_micros((mean + 4.0 * variation).clamp(50_000.0, 2_000_000.0) as u64)
            }
            (Rival::HappyEyeballs | Rival::LastWinner | Rival::Apple, _) => DELAY,
        }
    }

    fn measured(&mut self, address: SocketAddr, network: &Network, time: Duration) {
        let sample = time.as_micros() as f64;
        let first = Measured { mean: sample, variation: sample / 2.0 };
        let known = self.measured.entry((address, network.v4));
        known
            .and_modify(|it| {
                it.variation += ((it.mean - sample).abs() - it.variation) / 4.0;
                it.mean += (sample - it.mean) / 8.0;
            })
            .or_insert(first);
    }
}

/// IPv6, IPv4, IPv6 and so on (RFC 8305 section 4).
fn in_turn(answer: &[(SocketAddr, SimHost)]) -> Vec<(SocketAddr, &SimHost)> {
    let of = |family| answer.iter().filter(move |(address, _)| Family::of(address) == family);
    let (mut v6, mut v4) = (of(Family::V6), of(Family::V4));
    let mut order = Vec::new();
    while order.len() < answer.len() {
        order.extend(v6.next().into_iter().chain(v4.next()).map(|(address, host)| (*address, host)));
    }
    order
}
