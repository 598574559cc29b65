//! The servers of a service: each works off what comes in its order, and drops SYNs when that is too much.

use std::time::Duration;

/// How much work a server has before it when it begins to drop SYNs, as one whose accept queue is full does.
const FULL: Duration = Duration::from_secs(2);

/// One server. All times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServiceServer {
    /// When it will have done all that has come.
    done: u64,
    /// How fast it works, in percent.
    rate: u64,
    is_up: bool,
    /// How often it has died: what it owed before is lost.
    pub(super) deaths: u32,
}

impl ServiceServer {
    pub(super) const fn new() -> Self {
        ServiceServer { done: 0, rate: 100, is_up: true, deaths: 0 }
    }

    /// Takes `work` in at `now`. Answers when it is done; `None` where nobody hears of it.
    pub(super) fn takes(&mut self, work: u64, now: u64) -> Option<u64> {
        if !self.is_up || self.done.saturating_sub(now) > FULL.as_nanos() as u64 {
            return None;
        }
        self.done = self.done.max(now) + work * 100 / self.rate;
        Some(self.done)
    }

    /// Takes in work of a client that is connected, however much there is.
    pub(super) fn serves(&mut self, work: u64, now: u64) {
        if self.is_up {
            self.done = self.done.max(now) + work * 100 / self.rate;
        }
    }

    /// Works at `rate` percent from `now` on.
    pub(super) fn works_at(&mut self, rate: u64, now: u64) {
        self.done = now + self.done.saturating_sub(now) * self.rate / rate;
        self.rate = rate;
    }

    /// What it had to do is lost, and it hears nothing until it comes back.
    pub(super) fn dies(&mut self) {
        (self.is_up, self.done) = (false, 0);
        self.deaths += 1;
    }

    pub(super) fn comes_back(&mut self) {
        self.is_up = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_done_in_its_turn() {
        let mut server = ServiceServer::new();
        assert_eq!(server.takes(10, 100), Some(110));
        assert_eq!(server.takes(10, 105), Some(120));
        server.serves(30, 110);
        assert_eq!(server.takes(10, 115), Some(160));
        assert_eq!(server.takes(10, 500), Some(510));
    }

    #[test]
    fn one_that_has_too_much_to_do_drops_syns_and_serves_on() {
        let full = FULL.as_nanos() as u64;
        let mut server = ServiceServer::new();
        server.serves(full, 0);
        assert_eq!(server.takes(1, 0), Some(full + 1));
        assert_eq!(server.takes(1, 0), None);
        assert_eq!(server.takes(1, 1), Some(full + 2));
    }

    #[test]
    fn at_half_the_rate_all_takes_twice_as_long() {
        let mut server = ServiceServer::new();
        server.serves(100, 0);
        server.works_at(50, 40);
        assert_eq!(server.takes(10, 40), Some(180));
        server.works_at(100, 140);
        assert_eq!(server.takes(10, 140), Some(170));
    }

    #[test]
    fn the_dead_hear_nothing_and_owe_nothing() {
        let mut server = ServiceServer::new();
        server.serves(1_000, 0);
        server.dies();
        assert_eq!((server.takes(10, 1), server.deaths), (None, 1));
        server.comes_back();
        assert_eq!(server.takes(10, 2), Some(12));
    }
}
