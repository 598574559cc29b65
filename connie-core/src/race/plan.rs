//! What a race with a memory is to do first: a value, made before the race starts.
//!
//! A plan puts addresses in order and times them. It never adds one, and takes none away (law 8). With it a
//! race **leads, then widens**: one address starts alone, the second when that is late, the rest when that is
//! late too, and all of them at the latest `Δ` after the race could have started without a plan. What a plan
//! says of the time is at most `Δ`, whatever the memory believed (law 9).

use core::fmt;
use core::hash::{Hash, Hasher};
use core::num::NonZeroU32;
use core::time::Duration;

use super::input::Family;
use super::pacing::{MAX_DELAY, MIN_DELAY};
use crate::time::{Instant, micros};

/// A plan for a race with room for `D` addresses: from [`Memory::plan`](crate::memory::Memory::plan), for
/// [`Race::follow`](super::Race::follow).
///
/// The default is none: the whole race, at once, as without a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan<const D: usize = 16> {
    /// When each address of the race's table has its turn, the least first. In one turn they have the order
    /// of a race without a plan.
    pub(crate) turns: [u8; D],
    pub(crate) times: PlanTimes,
}

/// What a plan says beside the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlanTimes {
    /// Who starts alone; `None` for the whole race.
    pub(crate) lead: Option<ChosenAddress>,
    /// Who is tried to learn about it.
    pub(crate) explored: Option<ChosenAddress>,
    /// How long after each start the next one comes, in microseconds. Those beyond are `gap` apart.
    pub(crate) delays: [u32; 3],
    pub(crate) gap: u32,
    /// How long the race waits for the other family's answer.
    pub(crate) hold: u32,
    /// `Δ`: how long all this may keep an address back.
    pub(crate) longest: u32,
    /// By when the lead has answered if all is as it was, counted from its start.
    pub(crate) due: u32,
    /// The same, where it is longer than all that a plan may wait.
    pub(crate) measure: u32,
    pub(crate) patience: u32,
    /// The family to begin with, where that is another than without a plan.
    pub(crate) first: Option<Family>,
    /// How many starts beyond the first are paid for; the others come ever later.
    pub(crate) paid: u8,
    /// Whether the memory has met the host: the first race of one is free.
    pub(crate) met: bool,
    /// Whether the lead has missed before, and starts with the second beside it.
    pub(crate) together: bool,
}

impl PlanTimes {
    const WHOLE: PlanTimes = PlanTimes {
        lead: None,
        explored: None,
        delays: [0; 3],
        gap: 0,
        hold: 0,
        longest: 0,
        due: 0,
        measure: 0,
        patience: 0,
        first: None,
        paid: u8::MAX,
        met: false,
        together: false,
    };
}

/// A destination's place in the table. The race keeps it while an attempt on the destination is in flight;
/// entries never move, and a place is given to another address only when no attempt is in flight on it.
pub(crate) type DestinationIndex = u8;

/// What a plan for a race has to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanRequest {
    /// Whether families keep their order: the race is staggered.
    pub(crate) is_grouped: bool,
    /// Whether an answer is still to come.
    pub(crate) is_open: bool,
    pub(crate) patience: u32,
    pub(crate) sockets: u8,
    /// The time that is left to its deadline, in microseconds.
    pub(crate) left: u64,
    pub(crate) preferred: Family,
    /// Whether it has a plan that explores, and has started nothing.
    pub(crate) explores: bool,
}

/// An address that a plan has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChosenAddress {
    pub(crate) place: DestinationIndex,
    /// What the memory knows it by, since another address may come to have its place.
    pub(crate) key: NonZeroU32,
}

/// The turns of a plan.
pub(crate) mod turn {
    /// It starts alone.
    pub(crate) const LEAD: u8 = 0;
    /// It starts beside the lead, to be learnt about. Without a lead: it starts first, so that races of one
    /// moment begin with different addresses.
    pub(crate) const EXPLORED: u8 = 1;
    pub(crate) const SECOND: u8 = 2;
    /// Of those that are known to answer, the fastest; others follow.
    pub(crate) const KNOWN: u8 = 3;
    /// Nothing is known of it.
    pub(crate) const UNKNOWN: u8 = 0x7d;
    /// Nothing is known of it, and little good of its family.
    pub(crate) const DOUBTED: u8 = 0x7e;
    /// It has failed, and its pause is over.
    pub(crate) const PROBATION: u8 = 0x7f;
    /// It has failed lately: last among those that were not started, and before all that were evicted.
    pub(crate) const DEMOTED: u8 = 0x80;
}

impl<const D: usize> Plan<D> {
    /// No plan: the whole race.
    #[must_use]
    pub const fn whole() -> Self {
        Plan { turns: [turn::UNKNOWN; D], times: PlanTimes::WHOLE }
    }

    /// The place, among the race's [destinations](super::Race::destinations), of the address that starts
    /// alone. `None` for a race that starts all at once, or as it is paced.
    #[must_use]
    pub fn lead(&self) -> Option<usize> {
        self.times.lead.map(|chosen| chosen.place.into())
    }

    /// Whether the lead is trusted: it has answered since it was last late.
    #[must_use]
    pub fn trusts_lead(&self) -> bool {
        self.times.lead.is_some() && !self.times.together
    }

    /// The place of an address that is tried beside the lead to learn about it.
    #[must_use]
    pub fn explored(&self) -> Option<usize> {
        self.times.explored.map(|chosen| chosen.place.into())
    }

    /// Whether it brings what nobody knows yet, so that one race may do it for all that run at one time: see
    /// [`Crowd`](crate::memory::Crowd).
    #[must_use]
    pub fn explores(&self) -> bool {
        self.times.lead.is_none() || self.times.explored.is_some()
    }

    /// The same without the address that is tried beside the lead: for a race that another does this for.
    #[must_use]
    pub fn without_exploring(mut self) -> Self {
        let times = &mut self.times;
        let Some(explored) = times.explored.take() else { return self };
        let Some(turn) = self.turns.get_mut(usize::from(explored.place)) else { return self };
        // In the lead's place it has no delay of its own.
        if *turn == turn::EXPLORED {
            let [beside, second, rest] = times.delays;
            times.delays = [beside.saturating_add(second), rest, times.gap];
        }
        *turn = turn::UNKNOWN;
        self
    }

    /// The same for a race that has waited for another to find out, and runs with all that have waited too:
    /// without exploring, and with no more than `paid` of the starts beyond its first paid for. It is not the
    /// first race of its host, which alone is free.
    #[must_use]
    pub fn following(self, paid: usize) -> Self {
        let mut plan = self.without_exploring();
        plan.times.paid = plan.times.paid.min(u8::try_from(paid).unwrap_or(u8::MAX));
        plan.times.met = true;
        plan
    }

    /// The same for a race that has stood in line for its first socket for so long, as it would have without
    /// a plan: no part of `Δ`.
    #[must_use]
    pub fn after_line(mut self, time: Duration) -> Self {
        let time = u32::try_from(micros(time)).unwrap_or(u32::MAX);
        self.times.longest = self.times.longest.saturating_add(time);
        self
    }

    /// How long after the lead's start it is late, in microseconds: when the second starts, where nothing
    /// else is planned.
    #[must_use]
    pub fn lead_is_due(&self) -> u32 {
        self.times.due
    }

    /// How many starts beyond the first are paid for: see [`Memory`](crate::memory::Memory).
    #[must_use]
    pub fn paid(&self) -> usize {
        self.times.paid.into()
    }

    /// `Δ`: how long the plan can keep an address back, in microseconds.
    #[must_use]
    pub fn longest_delay(&self) -> u32 {
        self.times.longest
    }
}

impl<const D: usize> Default for Plan<D> {
    fn default() -> Self {
        Self::whole()
    }
}

/// What a race keeps of its plan: nothing where it can have none.
pub trait Guide: sealed::Guide {}

/// No room for a plan: a race as it is without a memory, to the octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unplanned;

impl Guide for Unplanned {}
impl sealed::Guide for Unplanned {
    #[inline(always)]
    fn steps(&self) -> Option<&PlanSteps> {
        None
    }

    #[inline(always)]
    fn steps_mut(&mut self) -> Option<&mut PlanSteps> {
        None
    }

    #[inline(always)]
    fn turns(&self) -> &[u8] {
        &[]
    }
}

/// Room for a plan, for a race with room for `D` addresses.
#[derive(Clone, Debug, Hash)]
pub struct Planned<const D: usize> {
    turns: [u8; D],
    steps: PlanSteps,
}

impl<const D: usize> Planned<D> {
    /// Takes a plan. When an attempt has started, the lead has: then it only puts the others in order.
    pub(super) fn follow(&mut self, plan: &Plan<D>) {
        self.turns = plan.turns;
        if self.steps.starts == 0 {
            self.steps.times = plan.times;
        }
    }

    pub(super) fn plan(&self) -> Plan<D> {
        Plan { turns: self.turns, times: self.steps.times }
    }

    pub(super) fn times(&self) -> &PlanTimes {
        &self.steps.times
    }

    pub(super) fn moved(&self) -> [u32; 2] {
        self.steps.moved
    }
}

impl<const D: usize> Default for Planned<D> {
    fn default() -> Self {
        let steps = PlanSteps {
            times: PlanTimes::WHOLE,
            ladder: 0,
            starts: 0,
            next: Instant::ZERO,
            moved: [u32::MAX; 2],
        };
        Planned { turns: [turn::UNKNOWN; D], steps }
    }
}

impl<const D: usize> Guide for Planned<D> {}
impl<const D: usize> sealed::Guide for Planned<D> {
    fn steps(&self) -> Option<&PlanSteps> {
        Some(&self.steps)
    }

    fn steps_mut(&mut self) -> Option<&mut PlanSteps> {
        Some(&mut self.steps)
    }

    fn turns(&self) -> &[u8] {
        &self.turns
    }
}

pub(super) mod sealed {
    use super::PlanSteps;

    pub trait Guide: core::fmt::Debug + Clone + Default + core::hash::Hash {
        fn steps(&self) -> Option<&PlanSteps>;
        fn steps_mut(&mut self) -> Option<&mut PlanSteps>;
        fn turns(&self) -> &[u8];
    }
}

/// How far a race has come in the times of its plan.
#[derive(Clone)]
pub struct PlanSteps {
    times: PlanTimes,
    /// What the last start that is not paid for made the next one wait; 0 where there was none.
    ladder: u32,
    starts: u8,
    /// When the next start may come.
    next: Instant,
    /// When the source of IPv6, and that of IPv4, last changed, in microseconds since the race's start;
    /// `u32::MAX` where it has not, since more zeros beside the others have firmware link another `memset`.
    moved: [u32; 2],
}

impl Hash for PlanSteps {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What the race does next does not depend on when it has moved.
        let PlanSteps { times, ladder, starts, next, moved: _ } = self;
        (times, ladder, starts, next).hash(state);
    }
}

impl fmt::Debug for PlanSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} started, next at {}", self.starts, self.next)
    }
}

impl PlanSteps {
    /// Whether it is to explore, and has started nothing.
    pub(super) fn explores(&self) -> bool {
        self.starts == 0 && self.times.explored.is_some()
    }

    /// Whether the next start is one that is not paid for.
    pub(super) fn is_unpaid(&self) -> bool {
        // The first of a race is free.
        self.starts > 0 && self.starts > self.times.paid
    }

    /// Takes note of a start at `now`, be it of a hedge.
    pub(super) fn started(&mut self, now: Instant) {
        let PlanTimes { lead, delays, gap, patience, .. } = self.times;
        let [first, ..] = delays;
        let planned = delays.get(usize::from(self.starts)).copied().unwrap_or(gap);
        let mut delay = if lead.is_some() { planned } else { 0 };
        self.starts = self.starts.saturating_add(1);
        if self.is_unpaid() {
            self.ladder = match self.ladder {
                0 => if lead.is_some() { first } else { patience }.max(micros(MIN_DELAY) as u32),
                last => last.saturating_mul(2).min(micros(MAX_DELAY) as u32),
            };
            delay = delay.max(self.ladder);
        }
        self.next = now.plus_micros(delay.into());
    }

    /// Takes note that the attempt at `place` has failed: the next may start. One that was only explored
    /// beside the lead, which is in flight still, says nothing about that.
    pub(super) fn failed(&mut self, place: DestinationIndex, now: Instant, is_last: bool) {
        if is_last || self.times.explored.is_none_or(|explored| explored.place != place) {
            self.next = now;
        }
    }

    /// Takes a start back for which the stack had no socket.
    pub(super) fn put_back(&mut self) {
        self.starts = self.starts.saturating_sub(1);
    }

    /// The source of a family has changed: as many have started as are `in_flight`, and the next may start.
    pub(super) fn begin_anew(&mut self, in_flight: u8, now: Instant) {
        self.starts = in_flight;
        self.ladder = 0;
        self.next = now;
    }

    /// The source of `family` has changed at `at`.
    pub(super) fn note_move(&mut self, family: Family, at: u64) {
        let [v6, v4] = &mut self.moved;
        *if family == Family::V6 { v6 } else { v4 } = u32::try_from(at).unwrap_or(u32::MAX);
    }

    /// When the next attempt may start in a race that could have started at `possible` without a plan, and
    /// may now do so from `resolved` on. `is_open` is whether an answer is still to come.
    pub(super) fn earliest(&self, resolved: Instant, possible: Instant, is_open: bool) -> Instant {
        let next = match self.starts {
            0 if is_open => possible.plus_micros(self.times.hold.into()),
            0 => possible,
            _ if self.is_unpaid() => self.next,
            _ => self.next.min(possible.plus_micros(self.times.longest.into())),
        };
        resolved.max(next)
    }

    /// How long after the first start the second comes, of a race that is staggered by `delay`.
    pub(super) fn shortened(&self, delay: u32) -> u32 {
        match (self.times.lead, self.starts) {
            (Some(_), 0..=1) => self.times.delays[0].min(delay),
            _ => delay,
        }
    }

    /// When the attempt at `place`, which has outstayed its patience at `at`, gets a second beside it.
    pub(super) fn hedges_at(&self, place: DestinationIndex, at: Instant) -> Instant {
        let PlanTimes { lead, measure, patience, .. } = self.times;
        // Not before its own measure, where that is longer.
        let beyond =
            if lead.is_some_and(|lead| lead.place == place) { measure.saturating_sub(patience) } else { 0 };
        at.plus_micros(beyond.into()).max(self.unpaid_until())
    }

    /// When one that is not paid for may start; at once where it is paid for.
    pub(super) fn unpaid_until(&self) -> Instant {
        if self.is_unpaid() { self.next } else { Instant::ZERO }
    }
}
