//! Two other ways to make do with few sockets, to compare connie with.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Instant, RaceStack};
use connie_sim::{SimClock, SimSocket, SimStack};

use crate::never_stuck::Course;

/// A new attempt each `every`, and at once when none is left in flight. With all sockets taken the oldest
/// attempt goes, and its address is never tried again: what curl 8.22 does, with six sockets and 200 ms.
/// Answers when it was connected; `None` for never.
#[must_use]
pub fn evict_the_oldest(course: &Course, sockets: usize, every: Duration) -> Option<Duration> {
    Rival::new(course, sockets, Rule::EvictTheOldest { every }).run()
}

/// As many attempts at once as there are sockets, and the next when one has failed: what a client does that
/// knows no eviction. Answers when it was connected; `None` for never.
#[must_use]
pub fn never_evict(course: &Course, sockets: usize) -> Option<Duration> {
    Rival::new(course, sockets, Rule::NeverEvict).run()
}

#[derive(Clone, Copy)]
enum Rule {
    EvictTheOldest { every: Duration },
    NeverEvict,
}

struct Rival {
    rule: Rule,
    sockets: usize,
    stack: SimStack,
    clock: SimClock,
    /// Oldest first.
    open: Vec<(SimSocket, SocketAddr)>,
    /// Those that were never tried, last first.
    left: Vec<SocketAddr>,
    last_start: Instant,
}

impl Rival {
    fn new(course: &Course, sockets: usize, rule: Rule) -> Self {
        let stack = course.stack();
        let clock = stack.clock();
        let mut left = course.order();
        left.reverse();
        Rival { rule, sockets, stack, clock, open: Vec::new(), left, last_start: Instant::ZERO }
    }

    fn run(mut self) -> Option<Duration> {
        loop {
            if self.look() {
                return Some(self.stack.now().duration_since(Instant::ZERO));
            }
            if let Some(address) = self.next_start() {
                self.start(address);
                continue;
            }
            if self.open.is_empty() {
                return None;
            }
            let limit = self.next_eviction();
            let next = self.stack.next_handshake(limit).into_iter().chain(limit).min()?;
            self.clock.advance_to(next);
        }
    }

    /// Whether an attempt has succeeded. Those that have failed are dropped.
    fn look(&mut self) -> bool {
        let mut index = 0;
        while let Some((socket, address)) = self.open.get_mut(index) {
            match self.stack.connect(socket, *address) {
                Ok(()) => return true,
                Err(nb::Error::WouldBlock) => index += 1,
                Err(nb::Error::Other(_)) => {
                    let (socket, _) = self.open.remove(index);
                    self.stack.abort(socket);
                }
            }
        }
        false
    }

    /// The address to try now, if one is to be tried.
    fn next_start(&mut self) -> Option<SocketAddr> {
        let now = self.stack.now();
        let due = match self.rule {
            Rule::EvictTheOldest { every } => self.open.is_empty() || self.last_start + every <= now,
            Rule::NeverEvict => self.open.len() < self.sockets,
        };
        if due { self.left.pop() } else { None }
    }

    fn start(&mut self, address: SocketAddr) {
        if self.open.len() == self.sockets {
            let (oldest, _) = self.open.remove(0);
            self.stack.abort(oldest);
        }
        let mut socket = self.stack.socket().expect("the stack has more sockets than a rival asks for");
        self.last_start = self.stack.now();
        match self.stack.connect(&mut socket, address) {
            Ok(()) | Err(nb::Error::WouldBlock) => self.open.push((socket, address)),
            Err(nb::Error::Other(_)) => self.stack.abort(socket),
        }
    }

    /// When time alone brings about the next start.
    fn next_eviction(&self) -> Option<Instant> {
        match self.rule {
            Rule::EvictTheOldest { every } if !self.left.is_empty() => Some(self.last_start + every),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_core::Family;
    use connie_sim::{SimHost, hang, ok, refuse};

    fn course(hosts: &[SimHost]) -> Course {
        let mut course = Course::new(0);
        hosts.iter().for_each(|host| course.push(Family::V4, host.clone()));
        course
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_oldest_goes_each_200_ms() {
        let mut hosts = vec![hang(); 11];
        hosts.push(ok(40));
        // The project has measured 2250 ms of curl 8.22, 10 of them for the name.
        assert_eq!(evict_the_oldest(&course(&hosts), 6, ms(200)), Some(ms(2_240)));
    }

    #[test]
    fn a_slow_address_that_was_evicted_is_lost() {
        let mut hosts = vec![hang(); 11];
        hosts[0] = ok(1_300);
        assert_eq!(evict_the_oldest(&course(&hosts), 6, ms(200)), None);
        assert_eq!(evict_the_oldest(&course(&hosts[..6]), 6, ms(200)), Some(ms(1_300)));
    }

    #[test]
    fn with_none_left_in_flight_the_next_starts_at_once() {
        let hosts = [refuse(30), refuse(30), ok(40)];
        assert_eq!(evict_the_oldest(&course(&hosts), 6, ms(200)), Some(ms(100)));
    }

    #[test]
    fn without_eviction_dead_addresses_keep_their_sockets() {
        let hosts = [hang(), refuse(20), hang(), ok(30)];
        assert_eq!(never_evict(&course(&hosts), 3), Some(ms(50)));
        // The stack gives up on a dead address after 127 s.
        assert_eq!(never_evict(&course(&hosts), 2), Some(ms(127_030)));
        assert_eq!(never_evict(&course(&hosts[..3]), 2), None);
    }
}
