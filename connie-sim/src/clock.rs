//! The clock, and waiting as a jump to the next event.

use std::cell::Cell;
use std::rc::Rc;

use connie_core::{Instant, NalCompat, PollEntry, PollResult, Poller};

use crate::rng::Rng;
use crate::stack::{SimSocket, SimStack};
use crate::stream::earliest;

/// More waits at one moment than any client can want: each socket may become ready once, and a few more.
const WAITS_AT_ONE_MOMENT: u32 = 10_000;

/// A clock in virtual time. Waiting moves it to the next event.
///
/// It panics when a wait leads nowhere: when its time has come already, when it is the ten thousandth at the
/// same moment, or when nothing can ever happen.
#[derive(Debug)]
pub struct SimClock {
    time: Rc<Cell<Instant>>,
    cancel_at: Option<Instant>,
    /// Wakes for nothing now and then.
    restless: Option<Rng>,
    /// How long after its time it wakes, in microseconds.
    oversleeps: u64,
    waits: u32,
    waits_now: u32,
    last_wait: Instant,
}

impl SimStack {
    /// A clock that tells this stack's time.
    #[must_use]
    pub fn clock(&self) -> SimClock {
        SimClock::new(Rc::clone(&self.time))
    }
}

impl SimClock {
    fn new(time: Rc<Cell<Instant>>) -> Self {
        SimClock {
            time,
            cancel_at: None,
            restless: None,
            oversleeps: 0,
            waits: 0,
            waits_now: 0,
            last_wait: Instant::ZERO,
        }
    }

    /// A wait that reaches `at` ends there, and says that the program wants no more.
    pub fn cancels_at(&mut self, at: Instant) {
        self.cancel_at = Some(at);
    }

    /// Now and then, as `seed` has it, a wait ends early or marks a socket that has nothing.
    pub fn restless(&mut self, seed: u64) {
        self.restless = Some(Rng::new(seed));
    }

    /// Every wait ends `micros` microseconds late.
    pub fn oversleeps(&mut self, micros: u64) {
        self.oversleeps = micros;
    }

    /// How often the program has waited.
    #[must_use]
    pub fn waits(&self) -> u32 {
        self.waits
    }

    /// Lets time pass up to `to`.
    ///
    /// # Panics
    ///
    /// When that is in the past.
    #[track_caller]
    pub fn advance_to(&mut self, to: Instant) {
        assert!(to >= self.time.get(), "time does not run backwards");
        self.time.set(to);
    }

    #[track_caller]
    fn count_wait(&mut self) {
        let now = self.time.get();
        self.waits_now = if now == self.last_wait { self.waits_now + 1 } else { 1 };
        self.last_wait = now;
        self.waits += 1;
        assert!(self.waits_now < WAITS_AT_ONE_MOMENT, "livelock: the program waits at {now} over and over");
    }
}

impl Poller<SimStack> for SimClock {
    fn now(&mut self) -> Instant {
        self.time.get()
    }

    #[track_caller]
    fn wait(
        &mut self,
        stack: &mut SimStack,
        sockets: &mut [PollEntry<'_, SimSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        let now = self.time.get();
        self.count_wait();
        if let Some(until) = until {
            assert!(until > now, "law 4: a wait until {until} at {now} has no length");
        }
        let limit = earliest(until, self.cancel_at);
        let ready = stack.next_ready(sockets, limit);
        let wakes = earliest(ready, limit).unwrap_or_else(|| {
            panic!("the program waits for ever at {now}: no socket, no time, no cancel");
        });
        let mut wakes = wakes.max(now).as_micros() + self.oversleeps;
        if let Some(rng) = self.restless.as_mut().filter(|_| wakes > now.as_micros() + 1) {
            if rng.chance(30) {
                wakes = rng.within(now.as_micros() + 1, wakes);
            }
        }
        self.time.set(Instant::from_micros(wakes));
        for watched in sockets {
            let spurious = self.restless.as_mut().is_some_and(|rng| rng.chance(10));
            watched.ready = spurious || stack.is_ready(watched.socket, watched.interest);
        }
        match self.cancel_at {
            Some(at) if at <= self.time.get() => PollResult::Canceled,
            _ => PollResult::Look,
        }
    }
}

impl Poller<NalCompat<SimStack>> for SimClock {
    fn now(&mut self) -> Instant {
        self.time.get()
    }

    #[track_caller]
    fn wait(
        &mut self,
        stack: &mut NalCompat<SimStack>,
        sockets: &mut [PollEntry<'_, SimSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.wait(stack.get_mut(), sockets, until)
    }
}
