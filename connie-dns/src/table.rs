//! The names that are asked for or known: who waits for what, and for how long an answer is kept.
//!
//! One table is both: a question is asked in the place where its answer will be kept, so that all who ask for
//! it meet there. A place that nobody waits for is given to another name when there is none left: first one
//! that holds nothing any more, then the one whose answers would expire first.

use core::time::Duration;

use connie_core::Instant;

use crate::name::Name;
use crate::query_machine::QueryMachine;
use crate::record_set::{NameServerError, Reply, ReplyKind};
use crate::record_type::PerKind;

/// How long an answer is there for those who wait for it, though it may not be kept for others: from its
/// coming, or from when they found it here. Who has not come for it by then has forgotten to [give it
/// up](crate::DnsClient::give_up).
const HELD: Duration = Duration::from_secs(10);

/// A name with its questions.
#[derive(Clone, Debug)]
pub(crate) struct NameEntry<const S: usize, const N: usize, const D: usize> {
    pub(crate) name: Name<N>,
    pub(crate) questions: PerKind<Question<S, N, D>>,
}

/// What is known of one kind of records of a name.
#[derive(Clone, Debug)]
pub(crate) struct Question<const S: usize, const N: usize, const D: usize> {
    pub(crate) state: QuestionState<S, N, D>,
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
#[repr(u8)]
pub(crate) enum QuestionState<const S: usize, const N: usize, const D: usize> {
    /// Nothing is known, and nobody asks.
    Idle,
    Asking(QueryMachine<S, N>),
    Ended(QuestionEnd<S, D>, Validity),
}

/// How a question has ended.
#[allow(clippy::large_enum_variant, reason = "the room is there for the largest of them")]
#[derive(Clone, Debug)]
pub(crate) enum QuestionEnd<const S: usize, const D: usize> {
    Answered(Reply<D>),
    /// For these reasons; `None` where there is no such server.
    Failed([Option<NameServerError>; S]),
}

/// Until when a question has its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    /// For all who ask.
    expires: Instant,
    /// For those who wait for it.
    held_until: Instant,
}

impl<const S: usize, const N: usize, const D: usize> Question<S, N, D> {
    const fn idle() -> Self {
        Question { state: QuestionState::Idle, serial: 0, waiting: 0, is_news: false }
    }

    /// Until when others than those who wait may have it.
    pub(crate) fn expires(&self) -> Instant {
        if let QuestionState::Ended(_, times) = &self.state { times.expires } else { Instant::ZERO }
    }

    /// Whether somebody waits for it, or may still come for it.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        match &self.state {
            QuestionState::Idle => false,
            QuestionState::Asking(_) => true,
            QuestionState::Ended(_, times) => self.waiting > 0 && now < times.held_until,
        }
    }

    /// One more waits for it.
    pub(crate) fn hold(&mut self, now: Instant) {
        self.waiting = self.waiting.saturating_add(1);
        match &mut self.state {
            // What is good no longer is not held any longer for those who come now.
            QuestionState::Ended(_, times) if now < times.expires => times.held_until = now + HELD,
            _ => {}
        }
    }

    /// Whether it is known that there is no such name.
    pub(crate) fn denies_name(&self, now: Instant) -> bool {
        let denies = matches!(
            &self.state,
            QuestionState::Ended(QuestionEnd::Answered(Reply { found: ReplyKind::NoSuchName, .. }), _)
        );
        denies && now < self.expires()
    }

    /// Nothing is known of it any more.
    pub(crate) fn clear(&mut self) {
        self.state = QuestionState::Idle;
        self.is_news = false;
    }

    /// Ends it, for so many seconds. Somebody waits for it, or it would have been given up.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn end(&mut self, end: QuestionEnd<S, D>, seconds: u32, now: Instant) {
        // No more than 32 bits times 20.
        let expires =
            Instant::from_micros(now.as_micros().saturating_add(u64::from(seconds).wrapping_mul(1_000_000)));
        self.state = QuestionState::Ended(end, Validity { expires, held_until: now + HELD });
        self.is_news = true;
    }

    /// Ends it: the name does not exist, as another question has brought to light. This one's own answer is
    /// not known.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn deny(&mut self, now: Instant) {
        self.end(QuestionEnd::Answered(Reply::empty(ReplyKind::NoSuchName, 0)), 0, now);
    }
}

impl<const S: usize, const N: usize, const D: usize> NameEntry<S, N, D> {
    pub(crate) const fn vacant() -> Self {
        let questions = [Question::idle(), Question::idle(), Question::idle()];
        NameEntry { name: Name::absent(), questions: PerKind::new(questions) }
    }

    /// Until when it holds an answer; `None` where somebody waits for anything in it.
    fn free_after(&self, now: Instant) -> Option<Instant> {
        let mut last = Instant::ZERO;
        for question in self.questions.all() {
            if question.is_held(now) {
                return None;
            }
            last = last.max(question.expires());
        }
        Some(last)
    }

    /// Until when it holds an answer.
    pub(crate) fn expires(&self) -> Instant {
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
    entries: &'t mut [NameEntry<S, N, D>],
    name: &Name<N>,
    now: Instant,
) -> Option<(usize, &'t mut NameEntry<S, N, D>)> {
    if let Some(index) = entries.iter().position(|entry| entry.name == *name) {
        return Some((index, entries.get_mut(index)?));
    }
    let mut next: Option<(Instant, usize)> = None;
    for (index, entry) in entries.iter().enumerate() {
        let expires = entry.free_after(now);
        if let Some(expires) = expires.filter(|expires| next.is_none_or(|(sooner, _)| *expires < sooner)) {
            next = Some((expires, index));
        }
    }
    let (_, index) = next?;
    let entry = entries.get_mut(index)?;
    entry.name = *name;
    entry.questions.all_mut().for_each(|(_, question)| question.clear());
    Some((index, entry))
}
