//! What one of many races has of a memory that they share: a reference for adapters.
//!
//! Between a plan and the end of its race nothing is held but a ticket and a number. An adapter holds its
//! lock for each of these calls, and never across a wait.

use std::time::Duration;

use connie_core::memory::{Crowd, CrowdRole, CrowdTicket, Memory, Visit};
use connie_core::race::PlannedRace;
use connie_core::{Config, Instant};

/// A race of the simulation: room for every address, and a socket for each.
pub(super) type Race = PlannedRace<16, 16, 32>;

/// What they share, under the adapter's lock.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) memory: Memory<64>,
    pub(super) crowd: Crowd<8>,
    /// How many of those that the bucket has in hand are promised to races that run.
    promised: usize,
    /// The last number that was given to a race.
    last: u32,
}

/// A race's part in it.
#[derive(Debug)]
pub(super) struct Member {
    visit: Visit,
    patience: Duration,
    /// When it could have started without a memory.
    since: Option<Instant>,
    /// Its number among those of one moment, by which they spread. 0 until it waits for another.
    number: u32,
    /// How many starts were promised to it.
    promised: usize,
    part: MemberState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberState {
    /// It has no plan yet, or waits for one that leads.
    Asks,
    Leads(CrowdTicket),
    Runs,
}

/// What a race does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberStep {
    /// Be polled.
    Run,
    /// Nothing, until then or until the race that leads is over.
    WaitUntil(Instant),
}

impl Shared {
    pub(super) fn new(memory: Memory<64>) -> Self {
        Shared { memory, crowd: Crowd::new(), promised: 0, last: 0 }
    }

    /// Up to `most` starts of those in hand: what is promised to one race is not promised to the next, though
    /// all see the same purse.
    fn promise(&mut self, most: usize) -> usize {
        let starts = self.memory.paid_syns().saturating_sub(self.promised).min(most);
        self.promised += starts;
        starts
    }
}

impl Member {
    pub(super) fn new(visit: Visit, config: &Config) -> Self {
        Member {
            visit,
            patience: config.patience,
            since: None,
            number: 0,
            promised: 0,
            part: MemberState::Asks,
        }
    }

    pub(super) fn leads(&self) -> bool {
        matches!(self.part, MemberState::Leads(_))
    }

    /// What `race`, which knows its addresses, does now: ask before its first poll, and when a wait is over.
    pub(super) fn ask(&mut self, shared: &mut Shared, race: &mut Race, now: Instant) -> MemberStep {
        if self.part != MemberState::Asks {
            return MemberStep::Run;
        }
        let since = *self.since.get_or_insert(now);
        let has_waited = self.number > 0;
        let plan = shared.memory.plan(&self.visit, race, self.number, now);
        if plan.explores() {
            let longest = Duration::from_micros(plan.longest_delay().into());
            let left = longest.saturating_sub(now.duration_since(since));
            match shared.crowd.join(&self.visit, self.patience, left, now) {
                CrowdRole::Lead(ticket) => {
                    self.part = MemberState::Leads(ticket);
                    race.follow(&plan);
                    return MemberStep::Run;
                }
                // Where it knows whom to start with, the other explores for it, and there is nothing to wait
                // for.
                CrowdRole::Follow(until) if plan.lead().is_none() => {
                    if !has_waited {
                        shared.last += 1;
                        self.number = shared.last;
                    }
                    return MemberStep::WaitUntil(until);
                }
                CrowdRole::Alone if !has_waited => {
                    self.part = MemberState::Runs;
                    race.follow(&plan);
                    return MemberStep::Run;
                }
                CrowdRole::Follow(_) | CrowdRole::Alone => {}
            }
        }
        self.part = MemberState::Runs;
        self.promised = shared.promise(race.destinations().len().saturating_sub(1));
        race.follow(&plan.following(self.promised));
        MemberStep::Run
    }

    /// The race is over, however it ended. Answers whether those that wait are to be woken.
    pub(super) fn end(self, shared: &mut Shared, race: &Race, is_sent_again: bool, now: Instant) -> bool {
        shared.memory.learn(&self.visit, race, is_sent_again, now);
        shared.promised -= self.promised;
        match self.part {
            MemberState::Leads(ticket) => shared.crowd.leave(ticket),
            MemberState::Asks | MemberState::Runs => false,
        }
    }
}
