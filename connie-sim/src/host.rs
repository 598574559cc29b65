//! What stands behind an address.

use std::rc::Rc;

use connie_core::Instant;

use crate::rng::Rng;

/// How a host answers a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SynAnswer {
    Accept,
    Refuse,
    /// A router on the path answers that it cannot be reached.
    Unreachable,
    /// The stack itself has no route, and reports that at once.
    NoRoute,
    Silence,
}

/// What a host sends after it has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) response: Vec<u8>,
    /// How long the server thinks, in microseconds.
    pub(crate) think: u64,
    /// How much one `receive` yields at most.
    pub(crate) segment: usize,
    /// Microseconds from one segment to the next.
    pub(crate) gap: u64,
    /// Whether the response ends with the connection.
    pub(crate) closes: bool,
}

/// What stands behind an address. Start from one of [`ok`], [`refuse`], [`hang`], [`unreachable()`] and
/// [`no_route`], and add to it.
///
/// All times are milliseconds from when the SYN is sent, the whole way there and back.
#[derive(Clone, Debug)]
pub struct SimHost {
    pub(crate) answer: SynAnswer,
    /// From a SYN to its answer, in microseconds.
    pub(crate) round_trip: u64,
    jitter: u64,
    lose_first: u32,
    loss_percent: u8,
    lost: Vec<Span>,
    held: Vec<Span>,
    /// From the end of the handshake, in microseconds.
    pub(crate) resets_after: Option<u64>,
    pub(crate) service: Option<Rc<Service>>,
    /// How much it takes in during one round trip.
    pub(crate) window: usize,
}

/// From the first moment to the second, that one not included.
pub(crate) type Span = (Instant, Instant);

/// Accepts after `millis`, and never speaks.
#[must_use]
pub fn ok(millis: u64) -> SimHost {
    SimHost::new(SynAnswer::Accept, millis)
}

/// Answers with a reset after `millis`: nothing listens there.
#[must_use]
pub fn refuse(millis: u64) -> SimHost {
    SimHost::new(SynAnswer::Refuse, millis)
}

/// Never answers. The stack gives up when its SYN schedule has run out, see
/// [`SimStack::syn_retries`](crate::SimStack::syn_retries).
#[must_use]
pub fn hang() -> SimHost {
    SimHost::new(SynAnswer::Silence, 0)
}

/// A router on the way answers, after `millis`, that the host cannot be reached.
#[must_use]
pub fn unreachable(millis: u64) -> SimHost {
    SimHost::new(SynAnswer::Unreachable, millis)
}

/// The stack has no route there: `connect` fails at once.
#[must_use]
pub fn no_route() -> SimHost {
    SimHost::new(SynAnswer::NoRoute, 0)
}

impl SimHost {
    fn new(answer: SynAnswer, millis: u64) -> Self {
        SimHost {
            answer,
            round_trip: millis * 1_000,
            jitter: 0,
            lose_first: 0,
            loss_percent: 0,
            lost: Vec::new(),
            held: Vec::new(),
            resets_after: None,
            service: None,
            window: usize::MAX,
        }
    }

    /// The same, `micros` microseconds later.
    #[must_use]
    pub fn plus_micros(mut self, micros: u64) -> Self {
        self.round_trip += micros;
        self
    }

    /// Each answer takes up to `millis` longer, by chance.
    #[must_use]
    pub fn jitter(mut self, millis: u64) -> Self {
        self.jitter = millis * 1_000;
        self
    }

    /// The first `count` SYNs that reach this address are lost, whichever attempt sent them.
    #[must_use]
    pub fn lose_first(mut self, count: u32) -> Self {
        self.lose_first = count;
        self
    }

    /// Each SYN is lost with a chance of `percent` in 100.
    #[must_use]
    pub fn loss(mut self, percent: u8) -> Self {
        self.loss_percent = percent;
        self
    }

    /// Each SYN that is sent from `from` to `to` is lost.
    #[must_use]
    pub fn loses_between(mut self, from: Instant, to: Instant) -> Self {
        self.lost.push((from, to));
        self
    }

    /// From `from` to `to` nothing goes out or comes in: what is sent then leaves at `to`, and what would
    /// arrive then arrives at `to`. Where there are several they come in their order.
    #[must_use]
    pub fn held_between(mut self, from: Instant, to: Instant) -> Self {
        self.held.push((from, to));
        self
    }

    /// `millis` after a handshake the host resets the connection; 0 is so soon that the client never sees it
    /// without.
    #[must_use]
    pub fn resets_after(mut self, millis: u64) -> Self {
        self.resets_after = Some(millis * 1_000);
        self
    }

    /// Answers each request with `response`, which arrives a round trip and `think` milliseconds after the
    /// last piece of the request was sent. The request is not looked at: what is sent until the response
    /// begins to arrive is one request.
    #[must_use]
    pub fn serves(mut self, response: impl Into<Vec<u8>>, think: u64) -> Self {
        let response = response.into();
        let segment = usize::MAX;
        self.service =
            Some(Rc::new(Service { response, think: think * 1_000, segment, gap: 0, closes: false }));
        self
    }

    /// The response comes in segments of `bytes`, one each `gap` milliseconds. Follows
    /// [`serves`](SimHost::serves).
    ///
    /// # Panics
    ///
    /// When the host serves nothing, or `bytes` is 0.
    #[must_use]
    #[track_caller]
    pub fn in_segments(self, bytes: usize, gap: u64) -> Self {
        assert!(bytes > 0, "a segment holds something");
        self.change_service(|service| (service.segment, service.gap) = (bytes, gap * 1_000))
    }

    /// The host closes its side after the response. Follows [`serves`](SimHost::serves).
    ///
    /// # Panics
    ///
    /// When the host serves nothing.
    #[must_use]
    #[track_caller]
    pub fn closes(self) -> Self {
        self.change_service(|service| service.closes = true)
    }

    /// The host takes in at most `bytes` in each round trip; more has to wait.
    ///
    /// # Panics
    ///
    /// When `bytes` is 0.
    #[must_use]
    #[track_caller]
    pub fn window(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a window lets something through");
        self.window = bytes;
        self
    }

    #[track_caller]
    fn change_service(mut self, change: impl FnOnce(&mut Service)) -> Self {
        let service = self.service.as_mut().expect("a host that serves something");
        change(Rc::make_mut(service));
        self
    }

    /// Whether it lets a handshake complete, sooner or later.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.answer == SynAnswer::Accept && self.loss_percent < 100 && self.resets_after != Some(0)
    }

    /// Whether it answers each SYN by accepting it, for good.
    pub(crate) fn accepts_every_syn(&self) -> bool {
        self.accepts() && self.loss_percent == 0 && self.lose_first == 0 && self.lost.is_empty()
    }

    /// Microseconds from a SYN that is not lost to its answer, without jitter.
    #[must_use]
    pub fn round_trip_micros(&self) -> u64 {
        self.round_trip
    }

    /// When the answer to the `count`-th SYN, sent at `sent`, arrives; `None` when none does. `rng` decides
    /// what is left to chance.
    pub fn answers(&self, count: u32, sent: Instant, rng: &mut Rng) -> Option<Instant> {
        let in_vain = self.lost.iter().any(|(from, to)| (*from..*to).contains(&sent));
        let lost = in_vain || count <= self.lose_first || rng.chance(self.loss_percent);
        if lost || self.answer == SynAnswer::Silence {
            return None;
        }
        let late = if self.jitter == 0 { 0 } else { rng.within(0, self.jitter) };
        Some(self.released(later(self.released(sent), self.round_trip + late)))
    }

    /// When what is under way at `at` goes on.
    fn released(&self, at: Instant) -> Instant {
        let held = |at: Instant, (from, to): &Span| if (*from..*to).contains(&at) { *to } else { at };
        self.held.iter().fold(at, held)
    }
}

/// `micros` microseconds after `at`.
pub(crate) fn later(at: Instant, micros: u64) -> Instant {
    Instant::from_micros(at.as_micros().saturating_add(micros))
}
