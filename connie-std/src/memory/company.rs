//! A race with a memory among those that run at the same time: what one of them finds out serves all.

use std::task::Waker;
use std::time::Duration;

use connie_core::memory::{Role, Ticket};
use connie_core::race::Plan;
use connie_core::{Config, Instant};

use super::recall::{OsPlan, OsRace, Recall};
use super::shared::State;
use super::visited::Visited;
use super::why::Why;

/// What a race asks its memory, and whom it waits for.
#[derive(Debug)]
pub(crate) struct Company {
    recall: Recall,
    /// The race's own.
    patience: Duration,
    /// When it was first told addresses.
    since: Option<Instant>,
    part: Part,
    /// Its number among those that have waited. 0 where it has not.
    number: u32,
    /// How many starts it was promised.
    promised: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It has found out nothing yet, and waits for nobody.
    None,
    /// Its plan brings what nobody knows: before its first start it has to be seen whether another race is at that.
    Explores,
    Leads(Ticket),
    /// Whatever others do, it goes on.
    Runs,
}

/// What a race is to do before its first start.
#[derive(Debug)]
pub(crate) enum Step {
    GoOn,
    /// Follow this plan.
    Plan(Box<OsPlan>),
    /// Wait until then, or to be woken.
    WaitUntil(Instant),
}

impl Company {
    pub(crate) fn new(recall: Recall, race: &Config) -> Self {
        let patience = race.patience.clamp(Config::MIN_DELAY, Config::MAX_PATIENCE);
        Company { recall, patience, since: None, part: Part::None, number: 0, promised: 0 }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn recall(&self) -> &Recall {
        &self.recall
    }

    /// What the race is to do with the addresses that it has been told, and why.
    pub(crate) fn plan_and_say(&mut self, race: &OsRace, why: &mut Why, now: Instant) -> OsPlan {
        self.since.get_or_insert(now);
        let moment = self.recall.moment(now);
        let Some(mut state) = self.recall.shared().state_again() else { return Plan::whole() };
        let plan = self.recall.plan_under(&mut state, race, self.number, moment);
        self.recall.say(&state, race, &plan, &Role::Alone, why, moment);
        drop(state);
        if self.part == Part::None && plan.explores() {
            self.part = Part::Explores;
        }
        plan
    }

    /// Whether the race may start, or another is at what it would find out. `waker` is woken when that one is over.
    pub(crate) fn poll(&mut self, race: &OsRace, why: &mut Why, waker: &Waker, now: Instant) -> Step {
        if self.part != Part::Explores {
            return Step::GoOn;
        }
        if race.timeline().summary().attempts > 0 {
            self.part = Part::Runs;
            return Step::GoOn;
        }
        let recall = self.recall.clone();
        let Some(mut state) = recall.shared().state_again() else { return Step::GoOn };
        let moment = recall.moment(now);
        let has_waited = self.number > 0;
        let plan = match has_waited {
            // More may be known.
            true => recall.plan_under(&mut state, race, self.number, moment),
            false => race.plan(),
        };
        let role = match plan.explores() {
            true => state.crowd.join(recall.service(), self.patience, self.left(&plan, now), moment),
            false => Role::Alone,
        };
        if let (Role::Follow(until), None) = (role, plan.lead()) {
            let before = self.wait(&mut state, waker);
            drop(state);
            drop(before);
            return Step::WaitUntil(now + until.since(moment));
        }
        let step = self.go_on(&mut state, race, plan, role);
        if let (Step::Plan(plan), true) = (&step, has_waited) {
            // Whom it waited for is over, or has had its time.
            let role = if matches!(role, Role::Lead(_)) { role } else { Role::Follow(moment) };
            recall.say(&state, race, plan, &role, why, moment);
        }
        drop(state);
        self.waits_no_longer();
        step
    }

    /// Has `waker` woken when the one that leads is over. Answers the one before.
    fn wait(&mut self, state: &mut State, waker: &Waker) -> Option<Waker> {
        if self.number == 0 {
            self.number = state.number();
        }
        state.wait(self.number, self.recall.service(), waker)
    }

    /// It waits for nobody any more.
    fn go_on(&mut self, state: &mut State, race: &OsRace, plan: OsPlan, role: Role) -> Step {
        self.part = match role {
            Role::Lead(ticket) => Part::Leads(ticket),
            Role::Follow(_) | Role::Alone => Part::Runs,
        };
        let plan = match (role, self.number) {
            (Role::Lead(_) | Role::Alone, 0) => return Step::GoOn,
            // It knows whom to start with, and the other explores for it.
            (Role::Follow(_), 0) => plan.without_exploring(),
            (Role::Lead(_), _) => plan,
            (Role::Follow(_) | Role::Alone, _) => {
                self.promised = state.promise(race.destinations().len().saturating_sub(1));
                plan.following(self.promised)
            }
        };
        Step::Plan(Box::new(plan))
    }

    /// What is left of the time that its plan may take.
    fn left(&self, plan: &OsPlan, now: Instant) -> Duration {
        let longest = Duration::from_micros(plan.longest_delay().into());
        longest.saturating_sub(now.since(self.since.unwrap_or(now)))
    }

    fn waits_no_longer(&self) {
        if self.number > 0 {
            self.recall.shared().forget(self.number);
        }
    }

    /// Learns from the race, if that has ended, and lets those go on that wait for it. `is_sent_again` is whether what went out on the winner's socket had
    /// to be sent more than once.
    pub(crate) fn learn(self, race: &OsRace, is_sent_again: bool) -> Visited {
        self.recall.learn(race, is_sent_again)
    }
}

/// However the race ends: whoever waits for it goes on, and nothing of it is left.
impl Drop for Company {
    fn drop(&mut self) {
        self.waits_no_longer();
        if let Part::Leads(ticket) = self.part {
            self.recall.shared().leave(ticket, self.recall.service());
        }
        if self.promised > 0 {
            self.recall.shared().no_longer_promised(self.promised);
        }
    }
}
