//! How long a host's servers take to answer a request, from when it was sent to the first byte that came
//! back.
//!
//! Smoothed like the round trip of an address, in a place of its own. It is known by the host, the network,
//! the finish line and the partition, and not by the address: which address is slow to answer is what a
//! [`Verdict`](super::Verdict) says.

use core::time::Duration;

use super::entry::Entry;
use super::estimate::LONGEST;
use super::{HALF_LIFE, Memory, Visit};
use crate::time::{Instant, micros};

/// How long a host takes to answer, as far as it is known: from [`Memory::answer_time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerTime {
    /// The smoothed time (RFC 6298's SRTT).
    pub mean: Duration,
    /// By when an answer has begun if all is as it was.
    pub measure: Duration,
}

impl<const N: usize> Memory<N> {
    /// Learns that a server of this host took so long from the request to the first byte of its answer. More
    /// than a minute says nothing.
    pub fn learn_answer_time(&mut self, visit: &Visit, took: Duration, now: Instant) {
        let Some(sample) = u32::try_from(micros(took)).ok().filter(|sample| *sample <= LONGEST) else {
            return;
        };
        self.rebase(now);
        let (now, life) = (self.tick(now), self.limits.life);
        let Some(entry) = self.table.find_or_new(&visit.answer_key()) else { return };
        if is_too_old(entry, now, life) {
            entry.estimate = Default::default();
        }
        entry.estimate.update(sample);
        entry.answered = now;
    }

    /// How long servers of this host take to answer; `None` where that is not known, or was learnt longer
    /// than a life ago.
    #[must_use]
    pub fn answer_time(&self, visit: &Visit, now: Instant) -> Option<AnswerTime> {
        let now = self.tick(now);
        let entry = self.table.find(&visit.answer_key())?;
        if is_too_old(entry, now, self.limits.life) {
            return None;
        }
        let micros = |micros: u32| Duration::from_micros(micros.into());
        let age = now.saturating_sub(entry.answered);
        let measure = micros(entry.estimate.measure(age / HALF_LIFE));
        Some(AnswerTime { mean: micros(entry.estimate.mean.micros()), measure })
    }
}

fn is_too_old(entry: &Entry, now: u32, life: u32) -> bool {
    now.saturating_sub(entry.answered) > life
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Finish, Network};

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn visit(memory: &Memory<8>, host: &str) -> Visit {
        memory.visit(host, Finish::Tcp, 0, &Network::default())
    }

    #[test]
    fn a_hosts_answers_are_smoothed_and_known_by_the_host() {
        let mut memory = Memory::<8>::new(7, at(0));
        let (slow, fast) = (visit(&memory, "slow"), visit(&memory, "fast"));
        assert_eq!(memory.answer_time(&slow, at(0)), None);
        for _ in 0..60 {
            memory.learn_answer_time(&slow, Duration::from_secs(3), at(SECOND));
            memory.learn_answer_time(&fast, Duration::from_millis(40), at(SECOND));
        }
        let [slow, fast] = [slow, fast].map(|visit| memory.answer_time(&visit, at(SECOND)).unwrap());
        assert!(
            slow.measure >= Duration::from_secs(3) && slow.measure < Duration::from_millis(3_400),
            "{slow:?}"
        );
        assert!(
            fast.measure >= Duration::from_millis(50) && fast.measure < Duration::from_millis(52),
            "{fast:?}"
        );
        assert!(fast.mean.abs_diff(Duration::from_millis(40)) < Duration::from_micros(500), "{fast:?}");
        assert_eq!(memory.entries(at(SECOND)).count(), 0, "it is not an address");
    }

    #[test]
    fn it_is_used_for_a_life() {
        let mut memory = Memory::<8>::new(7, at(0));
        let host = visit(&memory, "host");
        memory.learn_answer_time(&host, Duration::from_secs(3), at(SECOND));
        // A tick is 1,024 microseconds.
        let end = (1 + 3_600) * SECOND;
        assert!(memory.answer_time(&host, at(end - 2_048)).is_some());
        assert!(memory.answer_time(&host, at(end + 2_048)).is_none());
        // What is learnt then does not go on from it.
        memory.learn_answer_time(&host, Duration::from_millis(20), at(end + 2_048));
        assert!(memory.answer_time(&host, at(end + 2_048)).unwrap().mean < Duration::from_millis(21));
    }

    #[test]
    fn more_than_a_minute_says_nothing() {
        let mut memory = Memory::<8>::new(7, at(0));
        let host = visit(&memory, "host");
        memory.learn_answer_time(&host, Duration::from_micros(LONGEST as u64 + 1), at(SECOND));
        assert_eq!(memory.answer_time(&host, at(SECOND)), None);
        memory.learn_answer_time(&host, Duration::from_micros(LONGEST.into()), at(SECOND));
        assert!(memory.answer_time(&host, at(SECOND)).is_some());
    }

    #[test]
    fn it_is_kept_as_bytes() {
        let mut memory = Memory::<8>::new(7, at(0));
        let host = visit(&memory, "host");
        memory.learn_answer_time(&host, Duration::from_millis(40), at(SECOND));
        let before = memory.answer_time(&host, at(SECOND));
        let mut bytes = [0; 100];
        let length = memory.to_bytes(&mut bytes, at(SECOND)).unwrap();
        let read = Memory::<8>::from_bytes(&bytes[..length], 7, Duration::ZERO, at(0)).unwrap();
        assert_eq!(read.answer_time(&host, at(0)), before);
    }
}
