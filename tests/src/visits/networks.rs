//! Where the addresses of a host are, and what happens to them from visit to visit.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use connie_lab::{Behaviour, HOST_V4, ms};
use connie_sim::Rng;

/// The other address that the machine has, on its second network.
pub(super) const SECOND_V4: Ipv4Addr = Ipv4Addr::new(10, 9, 254, 1);

/// What visits cost, the first not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Milliseconds beyond the round trip of the fastest address that is alive.
    pub over: f64,
    /// SYNs a visit, also those that the kernel sends again.
    pub syns: f64,
    /// Handshakes a visit that a server answered and that no request came on.
    pub wasted: f64,
}

/// One network.
#[derive(Clone, Debug)]
pub struct Network {
    /// What it is called.
    pub name: &'static str,
    /// How often the host is visited.
    pub visits: usize,
    /// What a client with a memory is to need at most.
    pub wanted: Cost,
    places: Vec<Place>,
    event: Event,
    /// Of a hundred packets of a handshake, so many are lost each way.
    loss: u8,
    /// A round trip is at most so many milliseconds shorter or longer than it should be.
    jitter: u64,
    /// The name server answers with so many of the addresses, drawn for each visit.
    answered: usize,
}

/// An address and its round trip in milliseconds; `None` where it is dead.
type Place = (IpAddr, Option<u64>);

/// What changes, and with which visit, counted from 0.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    /// From `visit` on, the address with this index has another round trip, or is dead.
    Becomes {
        visit: usize,
        place: usize,
        trip: Option<u64>,
    },
    /// The machine is on another network from `visit` until before `back`: its own address is another one
    /// there, and of the host's addresses the first is as far away as the last was, and so on.
    Moves {
        visit: usize,
        back: usize,
    },
}

/// How things stand at one visit.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// What the name server says.
    pub(super) answer: Vec<IpAddr>,
    pub(super) behaviours: Vec<(IpAddr, Behaviour)>,
    /// The address that the machine sends from.
    pub(super) source: Ipv4Addr,
    /// The round trip of the fastest address of the answer, before jitter and loss.
    pub(super) best: Duration,
}

impl Network {
    fn new(name: &'static str, places: Vec<Place>, over: f64, syns: f64, wasted: f64) -> Self {
        let answered = places.len();
        let wanted = Cost { over, syns, wasted };
        Network { name, visits: 40, wanted, places, event: Event::Nothing, loss: 0, jitter: 0, answered }
    }

    /// How many addresses the first visit is told of.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.answered
    }

    /// How many of all addresses are alive at first.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.places.iter().filter(|(_, trip)| trip.is_some()).count()
    }

    /// How things stand at visit `number`, counted from 0. What is drawn derives from `seed`, whichever
    /// client visits.
    pub(super) fn at(&self, number: usize, seed: u64) -> Standing {
        let mut rng = Rng::new(seed << 32 | number as u64);
        let (trips, source) = self.trips(number);
        let mut answer: Vec<usize> = (0..self.places.len()).collect();
        if self.answered < answer.len() {
            for at in 0..self.answered {
                let other = rng.within(at as u64, answer.len() as u64 - 1) as usize;
                answer.swap(at, other);
            }
            answer.truncate(self.answered);
        }
        let best = answer.iter().filter_map(|index| trips[*index]).min().map_or(Duration::ZERO, ms);
        let places = self.places.iter().zip(&trips);
        let behaviours = places.map(|((address, _), trip)| (*address, self.behaviour(*trip, &mut rng)));
        let behaviours = behaviours.collect();
        Standing {
            answer: answer.iter().map(|index| self.places[*index].0).collect(),
            behaviours,
            source,
            best,
        }
    }

    /// The round trips at visit `number`, and the machine's address.
    fn trips(&self, number: usize) -> (Vec<Option<u64>>, Ipv4Addr) {
        let mut trips: Vec<_> = self.places.iter().map(|(_, trip)| *trip).collect();
        match self.event {
            Event::Becomes { visit, place, trip } if number >= visit => trips[place] = trip,
            Event::Moves { visit, back } if (visit..back).contains(&number) => {
                trips.reverse();
                return (trips, SECOND_V4);
            }
            _ => {}
        }
        (trips, HOST_V4)
    }

    fn behaviour(&self, trip: Option<u64>, rng: &mut Rng) -> Behaviour {
        let Some(trip) = trip else { return Behaviour::black_hole() };
        let tenths = rng.within(0, 20 * self.jitter);
        let trip = ms(trip - self.jitter) + Duration::from_micros(100 * tenths);
        // How many are lost before one is not.
        let mut lost = || (0..9).find(|_| !rng.chance(self.loss)).unwrap_or(9);
        Behaviour::accept(trip).losing_syns(lost()).losing_syn_acks(lost())
    }
}

/// IPv4 addresses in networks of their own, so that no round trip of one tells of another's.
fn v4(trips: &[Option<u64>]) -> Vec<Place> {
    let place = |(number, trip): (u8, &Option<u64>)| (IpAddr::from([198, 18, number, 1]), *trip);
    (1..).zip(trips).map(place).collect()
}

fn alive(trips: &[u64]) -> Vec<Place> {
    v4(&trips.iter().copied().map(Some).collect::<Vec<_>>())
}

/// All networks: eight, and after them two that the answer and the machine's own address change on.
#[must_use]
pub fn networks() -> Vec<Network> {
    let twelve: Vec<u64> = (0..12).map(|n| 20 + (n * 5 + 7) % 12 * 180 / 11).collect();
    let spread: Vec<u64> = (0..8).map(|n| 40 + (n * 3 + 2) % 8 * 30 / 7).collect();
    let forty: Vec<u64> = (0..40).map(|n| 30 + (n * 7 + 3) % 40 * 2).collect();
    let dead_v6 = (1..=4).map(|number| (IpAddr::from([0x2001, 0xdb8, number, 0, 0, 0, 0, 1]), None));
    let becomes = |place, trip| Event::Becomes { visit: 15, place, trip };
    vec![
        Network::new("12 alive, 20 to 200 ms", alive(&twelve), 1.5, 1.1, 0.1),
        Network::new("8 alive, 30 ms each", alive(&[30; 8]), 1.0, 1.1, 0.1),
        Network::new("6, three dead", v4(&[None, None, None, Some(40), Some(50), Some(60)]), 2.0, 1.1, 0.1),
        Network::new("4 IPv6 dead, 4 IPv4 alive", dead_v6.chain(alive(&[40; 4])).collect(), 1.5, 1.1, 0.1),
        Network {
            event: becomes(2, None),
            ..Network::new("the best of 6 dies", alive(&[60, 70, 30, 50, 80, 90]), 3.0, 1.35, 0.3)
        },
        Network {
            event: becomes(1, Some(300)),
            ..Network::new("the best of 4 becomes slow", alive(&[50, 20, 40, 60]), 4.0, 1.3, 0.25)
        },
        Network {
            loss: 3,
            visits: 200,
            ..Network::new("4 alive, 3 % loss each way", alive(&[60, 30, 40, 50]), 10.0, 1.3, 0.25)
        },
        Network { jitter: 10, ..Network::new("8 alive, jitter of 10 ms", alive(&spread), 3.0, 1.15, 0.1) },
        Network { answered: 8, ..Network::new("8 of 40 in each answer", alive(&forty), 20.0, 1.8, 0.8) },
        Network {
            event: Event::Moves { visit: 15, back: 30 },
            ..Network::new("another network, and back", alive(&[30, 50, 70, 90, 110, 130]), 2.0, 1.3, 0.25)
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Network {
        networks().into_iter().find(|it| it.name.contains(name)).expect("there is one of that name")
    }

    fn trip_of(network: &Network, number: usize, place: usize) -> Behaviour {
        network.at(number, 1).behaviours[place].1
    }

    #[test]
    fn the_best_is_the_fastest_that_is_alive_at_that_visit() {
        let dies = named("dies");
        assert_eq!([14, 15].map(|number| dies.at(number, 1).best), [ms(30), ms(50)]);
        assert_eq!(trip_of(&dies, 14, 2), Behaviour::accept(ms(30)));
        assert_eq!(trip_of(&dies, 15, 2), Behaviour::black_hole());
        let slow = named("slow");
        assert_eq!([14, 15].map(|number| slow.at(number, 1).best), [ms(20), ms(40)]);
    }

    #[test]
    fn on_the_other_network_all_is_turned_round() {
        let moves = named("another");
        let seen = [14, 15, 29, 30].map(|number| (moves.at(number, 1).source, trip_of(&moves, number, 5)));
        let (here, there) = (Behaviour::accept(ms(130)), Behaviour::accept(ms(30)));
        assert_eq!(seen, [(HOST_V4, here), (SECOND_V4, there), (SECOND_V4, there), (HOST_V4, here)]);
    }

    #[test]
    fn an_answer_that_rotates_has_eight_of_forty_and_others_each_time() {
        let rotates = named("of 40");
        let answers = [0, 1].map(|number| rotates.at(number, 1).answer);
        assert!(answers.iter().all(|answer| answer.len() == 8));
        assert_ne!(answers[0], answers[1]);
        let mut all: Vec<_> = (0..40).flat_map(|number| rotates.at(number, 1).answer).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40);
    }

    #[test]
    fn what_is_drawn_is_the_same_for_each_client_and_another_with_another_seed() {
        let jitter = named("jitter");
        let drawn = |seed| (0..40).map(|number| jitter.at(number, seed).behaviours).collect::<Vec<_>>();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    /// Of 800 packets each way 3 % are 24; four deviations off is 20.
    #[test]
    fn three_of_a_hundred_are_lost() {
        let lossy = named("loss");
        let behaviours: Vec<_> = (0..200).flat_map(|number| lossy.at(number, 1).behaviours).collect();
        let trips = [60, 30, 40, 50];
        let lost = |it: &(usize, &(IpAddr, Behaviour))| it.1.1 != Behaviour::accept(ms(trips[it.0 % 4]));
        let count = behaviours.iter().enumerate().filter(lost).count();
        assert!((28..68).contains(&count), "{count} of 800 lose something");
    }
}
