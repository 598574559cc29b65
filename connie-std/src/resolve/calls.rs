//! One call of `getaddrinfo`, and which of many may begin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use connie_core::Family;

use super::reply_queue::{CallError, ReplyQueue};
use crate::budget::{Permits, SocketBudget};

/// The most threads that wait in line for places of one budget: the rest serve others.
const MAX_IN_LINE: usize = 16;

/// A call of `getaddrinfo`, to be made or under way.
pub(super) struct ResolverCall {
    pub(super) id: u64,
    pub(super) host: Arc<str>,
    pub(super) family: Family,
    /// Whether a thread has it.
    pub(super) running: bool,
    /// Whether the hosts file has its answer.
    pub(super) hosted: bool,
    pub(super) waiting: Vec<Arc<ReplyQueue>>,
    /// Where the room for the descriptor that `getaddrinfo` opens comes from.
    pub(super) budget: Option<SocketBudget>,
    /// That room. A call that waits for a thread has none, but for the moment until its thread comes.
    pub(super) room: Option<Arc<Permits>>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct CallRequest<'a> {
    pub(super) host: &'a str,
    pub(super) family: Family,
    /// Whether the hosts file has its answer.
    pub(super) hosted: bool,
    pub(super) budget: Option<&'a SocketBudget>,
}

/// What is left to be done when the pool is unlocked: wakes those who are to know, and drops what may wake
/// others. To be declared before the pool is locked, so that it is dropped after that.
#[derive(Default)]
pub(super) struct AfterUnlock {
    pub(super) woken: Vec<Waker>,
    pub(super) rooms: Vec<Arc<Permits>>,
    pub(super) calls: Vec<ResolverCall>,
}

impl AfterUnlock {
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.woken.extend(waker);
    }
}

impl Drop for AfterUnlock {
    fn drop(&mut self) {
        self.rooms.clear();
        self.calls.clear();
        self.woken.drain(..).for_each(Waker::wake);
    }
}

/// How many calls may have places of `budget`: half of it, and two where it has so many, so that the families
/// of a name go side by side.
pub(super) fn most_of(budget: &SocketBudget) -> usize {
    let sockets = budget.sockets();
    (sockets / 2).max(2).min(sockets)
}

impl ResolverCall {
    pub(super) fn is_abandoned(&self) -> bool {
        self.running && self.waiting.is_empty()
    }

    /// Whether its thread needs nothing more.
    pub(super) fn is_made(&self) -> bool {
        self.running && (self.room.is_some() || self.budget.is_none())
    }

    /// Whether its thread waits in line for room.
    fn is_in_line(&self) -> bool {
        self.running && !self.is_made()
    }

    pub(super) fn is_of(&self, budget: &SocketBudget) -> bool {
        self.budget.as_ref().is_some_and(|own| own.is_same(budget))
    }

    /// Whether it takes its room from `budget`, and waits as long for connections to end.
    pub(super) fn is_patient_with(&self, budget: Option<&SocketBudget>) -> bool {
        match budget {
            None => self.budget.is_none(),
            Some(budget) => {
                self.is_of(budget)
                    && self.budget.as_ref().map(SocketBudget::patience) == Some(budget.patience())
            }
        }
    }

    /// Whether it brings what is wanted. Who has another budget does not wait for room in this one.
    pub(super) fn is_for(&self, wanted: CallRequest<'_>) -> bool {
        let CallRequest { host, family, budget, .. } = wanted;
        let begins = self.is_made() || self.is_patient_with(budget);
        self.family == family && *self.host == *host && begins
    }

    pub(super) fn tell(mut self, result: &Result<Vec<SocketAddr>, CallError>, later: &mut AfterUnlock) {
        // Whose mailbox it is keeps it until the pool is unlocked. From then on nobody else has it, and its
        // descriptors are closed with it.
        for replies in self.waiting.drain(..) {
            later.wake(replies.put(self.family, result.clone()));
        }
        later.calls.push(self);
    }
}

/// How many calls have begun, and so how many more may.
pub(super) struct CallCounts<'a> {
    /// How many more of names that are not in the hosts file may begin.
    left: usize,
    budgets: Vec<BudgetCounts<'a>>,
}

/// What calls have of a budget.
struct BudgetCounts<'a> {
    budget: &'a SocketBudget,
    /// How many of names that are not in the hosts file have a place, or a thread that waits in line for it.
    calls: usize,
    in_line: usize,
}

impl<'a> CallCounts<'a> {
    /// Of `calls`, with so many at once of names that are not in the hosts file.
    pub(super) fn new(calls: &'a [ResolverCall], at_once: usize) -> Self {
        let mut tally = CallCounts { left: at_once, budgets: Vec::new() };
        for call in calls.iter().filter(|call| call.running) {
            tally.count(call);
        }
        tally
    }

    fn of(&mut self, call: &'a ResolverCall) -> Option<&mut BudgetCounts<'a>> {
        let budget = call.budget.as_ref()?;
        let index = self.budgets.iter().position(|other| other.budget.is_same(budget));
        let index = index.unwrap_or_else(|| {
            self.budgets.push(BudgetCounts { budget, calls: 0, in_line: 0 });
            self.budgets.len() - 1
        });
        self.budgets.get_mut(index)
    }

    fn count(&mut self, call: &'a ResolverCall) {
        self.left = self.left.saturating_sub(usize::from(!call.hosted));
        if let Some(of) = self.of(call) {
            of.calls += usize::from(!call.hosted);
            of.in_line += usize::from(call.is_in_line());
        }
    }

    /// Whether the call, for which there is no thread yet, may begin. Counts it then.
    pub(super) fn admits(&mut self, call: &'a ResolverCall) -> bool {
        let (mut may, hosted) = (self.left > 0 || call.hosted, call.hosted);
        let stands_in_line = call.budget.is_some() && call.room.is_none();
        if let Some(of) = self.of(call) {
            may &= hosted || of.calls < most_of(of.budget);
            may &= !stands_in_line || of.in_line < MAX_IN_LINE;
            of.in_line += usize::from(may && stands_in_line);
        }
        if may {
            self.count(call);
        }
        may
    }
}
