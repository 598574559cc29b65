//! The clients: what each knows, and how each begins a visit.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network, Visit};
use connie_core::race::PlannedRace;
use connie_core::{Config, Instant};

use super::{SERVERS, ServicePolicy};
use crate::rng::Rng;

/// A visit's race: a socket for each address, so that none is evicted.
pub(super) type Race = PlannedRace<SERVERS, SERVERS, 16>;

/// A memory with room for the service's addresses and its name.
type ClientMemory = Memory<16>;

/// How long a client goes on.
const DEADLINE: Duration = Duration::from_secs(10);

/// The addresses, as an answer has them: all of them twice, so that each rotation is a slice.
pub(super) fn addresses() -> [SocketAddr; 2 * SERVERS] {
    // Three places of four: documentation addresses.
    const PLACES: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];
    std::array::from_fn(|index| {
        let [a, b, c] = PLACES[index % SERVERS % PLACES.len()];
        SocketAddr::from(([a, b, c, (index % SERVERS) as u8 + 1], 443))
    })
}

/// Which server an address is.
pub(super) fn server(address: SocketAddr) -> usize {
    let SocketAddr::V4(v4) = address else { unreachable!("the service has IPv4") };
    usize::from(v4.ip().octets()[3]) - 1
}

/// A client.
pub(super) struct ServiceClient {
    memory: Option<Box<(ClientMemory, Visit)>>,
    last: Option<SocketAddr>,
    /// From a SYN to its answer from a server that has nothing to do, in nanoseconds.
    pub(super) round_trip: u64,
}

impl ServiceClient {
    pub(super) fn new(policy: ServicePolicy, rng: &mut Rng) -> Self {
        let memory = (policy == ServicePolicy::Memory).then(|| {
            let salt = rng.bits() as u32;
            let memory = ClientMemory::new(salt, Instant::ZERO);
            let visit = memory.visit("service.test", Finish::Tcp, 0, &Network::default());
            Box::new((memory, visit))
        });
        // 10 to 100 ms, as many in each octave.
        let round_trip = 10e6 * 10_f64.powf(rng.below(1_000) as f64 / 1_000.0);
        ServiceClient { memory, last: None, round_trip: round_trip as u64 }
    }

    /// A race to the addresses of an answer.
    pub(super) fn begin(&mut self, policy: ServicePolicy, answer: &[SocketAddr], now: Instant) -> Race {
        let config = match policy {
            ServicePolicy::Memory | ServicePolicy::AllAtOnce => Config::all_at_once(),
            ServicePolicy::HappyEyeballs | ServicePolicy::LastWinner => Config::staggered(),
        };
        let mut race = Race::new(&config.clone().deadline(Some(DEADLINE)), now);
        match self.last.filter(|_| policy == ServicePolicy::LastWinner) {
            Some(last) => {
                let mut order = answer.to_vec();
                order.sort_by_key(|address| *address != last);
                race.handle_addresses(&order, now);
            }
            None => race.handle_addresses(answer, now),
        }
        if let Some((memory, visit)) = self.memory.as_deref_mut() {
            race.follow(&memory.plan(visit, &race, 0, now));
        }
        race
    }

    /// Learns from a race that has ended.
    pub(super) fn end(&mut self, race: &Race, winner: Option<SocketAddr>, sent_again: bool, now: Instant) {
        self.last = winner.or(self.last);
        if let Some((memory, visit)) = self.memory.as_deref_mut() {
            memory.learn(visit, race, sent_again, now);
        }
    }
}
