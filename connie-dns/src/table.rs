//! The names that are asked for or known: who waits for what, and for how long an answer is kept.
//!
//! One table is both: a question is asked in the place where its answer will be kept, so that all who ask for it meet there. A place that
//! nobody waits for is given to another name when there is none left: first one that holds nothing any more, then the one whose
//! answers would expire first.

use core::time::Duration;

use connie_core::Instant;

use crate::answer::{Found, Problem, Reply};
use crate::exchange::Exchange;
use crate::kind::PerKind;
use crate::name::Name;

/// How long an answer is there for those who wait for it, though it may not be kept for others: from its coming, or from when they found
/// it here. Who has not come for it by then has forgotten to [give it up](crate::Client::give_up).
const HELD: Duration = Duration::from_secs(10);

/// A name with its questions.
#[derive(Clone, Debug)]
pub(crate) struct Entry<const S: usize, const N: usize, const D: usize> {
    pub(crate) name: Name<N>,
    pub(crate) questions: PerKind<Question<S, N, D>>,
}

/// What is known of one kind of records of a name.
#[derive(Clone, Debug)]
pub(crate) struct Question<const S: usize, const N: usize, const D: usize> {
    pub(crate) state: State<S, N, D>,
    /// Which of the questions that this place has had.
    pub(crate) serial: u16,
    /// How many wait for it.
    pub(crate) waiting: u16,
    /// Whether its end is still to be told.
    pub(crate) is_news: bool,
}

// Each is as large as the table has room for in any case.
#[allow(clippy::large_enum_variant, reason = "the room is there for the largest of them")]
#[derive(Clone, Debug)]
pub(crate) enum State<const S: usize, const N: usize, const D: usize> {
    /// Nothing is known, and nobody asks.
    Idle,
    Asking(Exchange<S, N>),
    Answered(Reply<D>, Times),
    Failed([Option<Problem>; S], Times),
}

/// Until when a question has its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For all who ask.
    expires: Instant,
    /// For those who wait for it.
    held_until: Instant,
}

impl Times {
    /// It has come, and is kept for so many seconds.
    pub(crate) fn new(seconds: u32, now: Instant) -> Self {
        Times { expires: now + Duration::from_secs(seconds.into()), held_until: now + HELD }
    }
}

impl<const S: usize, const N: usize, const D: usize> Question<S, N, D> {
    const fn idle() -> Self {
        Question { state: State::Idle, serial: 0, waiting: 0, is_news: false }
    }

    /// Until when others than those who wait may have it.
    pub(crate) fn expires(&self) -> Instant {
        match &self.state {
            State::Answered(_, times) | State::Failed(_, times) => times.expires,
            State::Idle | State::Asking(_) => Instant::ZERO,
        }
    }

    /// Whether somebody waits for it, or may still come for it.
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        match &self.state {
            State::Idle => false,
            State::Asking(_) => true,
            State::Answered(_, times) | State::Failed(_, times) => self.waiting > 0 && now < times.held_until,
        }
    }

    /// Whether there is no need to ask.
    pub(crate) fn is_known(&self, now: Instant) -> bool {
        self.is_held(now) || now < self.expires()
    }

    /// One more waits for it.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_add(1);
        match &mut self.state {
            // What is good no longer is not held any longer for those who come now.
            State::Answered(_, times) if now < times.expires => times.held_until = now + HELD,
            _ => {}
        }
    }

    /// Whether it is known that there is no such name.
    pub(crate) fn denies_name(&self, now: Instant) -> bool {
        matches!(&self.state, State::Answered(reply, times) if reply.found == Found::NoSuchName && now < times.expires)
    }

    /// Nothing is known of it any more.
    pub(crate) fn clear(&mut self) {
        self.state = State::Idle;
        self.is_news = false;
    }

    /// Ends it. Somebody waits for it, or it would have been given up.
    pub(crate) fn end(&mut self, state: State<S, N, D>) {
        self.state = state;
        self.is_news = true;
    }
}

impl<const S: usize, const N: usize, const D: usize> Entry<S, N, D> {
    pub(crate) fn vacant() -> Self {
        Entry { name: Name::absent(), questions: PerKind::new(|_| Question::idle()) }
    }

    /// Whether there is anything in it that somebody waits for.
    fn is_held(&self, now: Instant) -> bool {
        self.questions.all().any(|question| question.is_held(now))
    }

    /// Until when it holds an answer.
    fn expires(&self) -> Instant {
        self.questions.all().map(Question::expires).fold(Instant::ZERO, Instant::max)
    }

    /// Forgets what nobody waits for.
    pub(crate) fn forget(&mut self, now: Instant) {
        for (_, question) in self.questions.all_mut() {
            if !question.is_held(now) {
                question.clear();
            }
        }
    }
}

/// The place of `name`, which it may have to be given. `None` where there is room for no other name.
pub(crate) fn place<'t, const S: usize, const N: usize, const D: usize>(
    entries: &'t mut [Entry<S, N, D>],
    name: &Name<N>,
    now: Instant,
) -> Option<(usize, &'t mut Entry<S, N, D>)> {
    let (mut next, mut is_there) = (None, false);
    for (index, entry) in entries.iter().enumerate() {
        if entry.name == *name {
            (next, is_there) = (Some((Instant::ZERO, index)), true);
            break;
        }
        let expires = entry.expires();
        if !entry.is_held(now) && next.is_none_or(|(sooner, _)| expires < sooner) {
            next = Some((expires, index));
        }
    }
    let (_, index) = next?;
    let entry = entries.get_mut(index)?;
    if !is_there {
        entry.name = *name;
        entry.questions.all_mut().for_each(|(_, question)| question.clear());
    }
    Some((index, entry))
}
