//! What a race is run over: some addresses and what stands behind each.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Config, Family};
use connie_sim::{Rng, Scenario, SimHost, SimStack, hang, numbered, ok, refuse, unreachable};

/// Some addresses, in the order in which a resolver lists them, and what stands behind each. The seed fixes
/// which SYNs are lost.
#[derive(Clone, Debug)]
pub struct Course {
    seed: u64,
    hosts: Vec<(Family, SimHost)>,
}

/// How a client is connected to the world: what every round trip takes at least.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// Out of 100 clients.
    pub share: u8,
    /// The least and the most, in milliseconds.
    pub millis: (u64, u64),
}

/// The lines that [`Course::mixed`] draws from.
pub const LINES: [Line; 4] = [
    Line { name: "fixed line", share: 55, millis: (5, 40) },
    Line { name: "mobile", share: 30, millis: (40, 150) },
    Line { name: "bad mobile", share: 10, millis: (150, 500) },
    Line { name: "satellite", share: 5, millis: (550, 700) },
];

impl Course {
    /// No addresses yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Course { seed, hosts: Vec::new() }
    }

    /// One more address of `family`.
    pub fn push(&mut self, family: Family, host: SimHost) {
        self.hosts.push((family, host));
    }

    /// A site with `n` addresses as a client on `line` sees it: anything from all of them to a single one is
    /// alive, now and then one family is dead altogether, and on some days SYNs get lost. At least one
    /// address is alive.
    #[must_use]
    pub fn mixed(seed: u64, n: usize, line: &Line) -> Self {
        let mut rng = Rng::new(seed);
        let mut course = Course::new(seed);
        let base = rng.within(line.millis.0, line.millis.1);
        let alive = rng.pick(&[100, 100, 100, 75, 75, 50, 50, 10, 0, 0]);
        let loss = rng.pick(&[0, 0, 0, 0, 0, 0, 0, 2, 2, 20]);
        let v6 = rng.pick(&[0, 50, 50, 50]);
        let dead_family = if rng.chance(15) { Some(Family::V6) } else { None };
        let lucky = rng.below(n as u64) as usize;
        for place in 0..n {
            let far = match rng.below(10) {
                0..=6 => rng.within(1, 30),
                7 | 8 => rng.within(30, 120),
                _ => rng.within(120, 250),
            };
            let family = if rng.chance(v6) { Family::V6 } else { Family::V4 };
            let lives = place == lucky || (rng.chance(alive) && dead_family != Some(family));
            let host = match rng.below(10) {
                _ if lives => ok(base + far).loss(loss),
                0 | 1 => refuse(base + far),
                2 => unreachable(base + far),
                _ => hang(),
            };
            course.push(family, host.plus_micros(rng.below(1_000)));
        }
        course
    }

    /// How many addresses there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.hosts.len()
    }

    /// A race over them.
    #[must_use]
    pub fn scenario(&self, config: Config) -> Scenario {
        self.hosts.iter().fold(
            Scenario::with(config).seed(self.seed),
            |scenario, (family, host)| match family {
                Family::V6 => scenario.v6(host.clone()),
                Family::V4 => scenario.v4(host.clone()),
            },
        )
    }

    /// A stack that leads to them.
    #[must_use]
    pub fn stack(&self) -> SimStack {
        let mut stack = SimStack::new(self.seed);
        for (address, host) in self.addresses().zip(&self.hosts) {
            stack.put(address, host.1.clone());
        }
        stack
    }

    /// The addresses in the order in which every client here tries them: the families alternate, IPv6 first.
    #[must_use]
    pub fn order(&self) -> Vec<SocketAddr> {
        let of = |wanted| self.addresses().filter(move |address| Family::of(address) == wanted);
        let (mut v6, mut v4) = (of(Family::V6), of(Family::V4));
        let mut order = Vec::with_capacity(self.count());
        while order.len() < self.count() {
            order.extend(v6.next().into_iter().chain(v4.next()));
        }
        order
    }

    /// The least round trip of an address that accepts: what no client can beat.
    #[must_use]
    pub fn oracle(&self) -> Option<Duration> {
        let accepting = self.hosts.iter().map(|(_, host)| host).filter(|host| host.accepts());
        accepting.map(SimHost::round_trip_micros).min().map(Duration::from_micros)
    }

    /// The addresses as the resolver lists them.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let (mut v6, mut v4) = (0, 0);
        self.hosts.iter().map(move |(family, _)| {
            let count = if *family == Family::V6 { &mut v6 } else { &mut v4 };
            *count += 1;
            numbered(*family, *count)
        })
    }

    /// The most SYNs in a row that are lost among the first `syns` to the `place`-th address.
    pub(crate) fn lost_in_a_row(&self, place: usize, syns: u32) -> u32 {
        let mut numbers = SimStack::numbers_of(self.seed, place);
        let host = &self.hosts[place].1;
        let (mut row, mut most) = (0, 0);
        for count in 1..=syns {
            let lost = host.answers(count, connie_core::Instant::ZERO, &mut numbers).is_none();
            row = if lost { row + 1 } else { 0 };
            most = most.max(row);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_sim::label;

    #[test]
    fn the_families_alternate() {
        let mut course = Course::new(0);
        for family in [Family::V4, Family::V4, Family::V4, Family::V6] {
            course.push(family, hang());
        }
        let order: Vec<_> = course.order().into_iter().map(label).collect();
        assert_eq!(order, ["6a", "4a", "4b", "4c"]);
    }

    #[test]
    fn one_address_is_always_alive() {
        for seed in 0..200 {
            assert!(Course::mixed(seed, 6, &LINES[0]).oracle().is_some(), "seed {seed}");
        }
    }

    #[test]
    fn lost_syns_are_counted_in_a_row() {
        let mut course = Course::new(7);
        course.push(Family::V4, ok(10).lose_first(3));
        course.push(Family::V4, ok(10).loss(100));
        assert_eq!([1, 3, 9].map(|syns| course.lost_in_a_row(0, syns)), [1, 3, 3]);
        assert_eq!(course.lost_in_a_row(1, 9), 9);
    }
}
