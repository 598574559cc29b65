//! What a race has of a budget: how much it takes, when it takes more, and what it gives back while it runs.

use std::task::Waker;
use std::time::Duration;

use connie_core::{Config, Instant, Pacing};

use crate::budget::{Acquire, Permits, QueueTicket, SocketBudget, SocketPermit, SparePermits};
use crate::options::MAX_IN_FLIGHT;
use crate::report::Lack;

/// A race's part of a budget.
///
/// It takes what it has a use for now: a socket for each address that is known and has not failed, and that
/// no plan holds back. Where there are fewer, a task stays first in line for the rest until its patience has
/// passed: to wait for a place costs less than to wait for an address that may be dead. After that, and in a
/// thread from the beginning, it takes more only where nobody waits in line; and where somebody does it keeps
/// no more than its fair part: what is beyond that it gives back as soon as it is not in flight, and the race
/// evicts for it.
pub(crate) struct BudgetState {
    budget: SocketBudget,
    /// What it lends to its own lookups.
    loan: SparePermits,
    pacing: Pacing,
    hedge: bool,
    /// The most sockets that the race may have.
    most: usize,
    patience: Duration,
    /// Taken when the first address is known, so that no socket is kept from others while a name is resolved.
    share: Option<Permits>,
    /// How many it may use: fewer than it has, where others wait in line.
    limit: usize,
    /// Where it waits in line, for its first socket or for more.
    place: Option<QueueTicket>,
    /// When its patience has passed.
    patient_until: Instant,
    /// Until when it waits for connections to end, since it has found that they hold all.
    waits_until: Option<Instant>,
    /// Why it has no first socket yet.
    lack: Option<Lack>,
    /// When it has to look again.
    looks_at: Option<Instant>,
}

/// How often a thread looks whether an attempt has yielded to a lookup.
const LOOK: Duration = Duration::from_millis(5);

/// What a race could put sockets to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketDemand {
    /// How many addresses it knows that have not failed.
    pub(crate) addresses: usize,
    /// How many attempts are in flight.
    pub(crate) in_flight: usize,
    /// How many sockets the system has for it, as far as that is known.
    pub(crate) most: usize,
    /// How many it has a use for now, and when for more, where a plan holds addresses back.
    pub(crate) by_plan: Option<(usize, Instant)>,
}

/// Whether a race has the sockets that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketSupply {
    /// It has, or needs none yet.
    Ready,
    /// It waits in line: until its turn has come it must open none. It has to look again at this moment, if
    /// not woken before.
    InLine(Option<Instant>),
    /// Connections hold all, and it does not wait for them, or not any longer: cancel it.
    AllHeld,
}

impl BudgetState {
    pub(crate) fn new(budget: SocketBudget, loan: SparePermits, race: &Config) -> Self {
        BudgetState {
            budget,
            loan,
            pacing: race.pacing,
            hedge: race.hedge,
            most: race.max_in_flight.clamp(1, MAX_IN_FLIGHT),
            patience: race.patience.clamp(Config::MIN_DELAY, Config::MAX_PATIENCE),
            share: None,
            limit: 0,
            place: None,
            patient_until: Instant::ZERO,
            waits_until: None,
            lack: None,
            looks_at: None,
        }
    }

    /// Takes, keeps and gives back what fits `to`. `waker` is woken when the race has to look again.
    ///
    /// Where `stays`, it may stay in line while it has sockets already, and then the race has to look as soon
    /// as `waker` is woken, or it holds up who stands behind it.
    pub(crate) fn poll(
        &mut self,
        to: SocketDemand,
        stays: bool,
        waker: &Waker,
        now: Instant,
    ) -> SocketSupply {
        if to.addresses == 0 && to.in_flight == 0 {
            // It waits for a lookup, which may wait in line for what it has.
            (self.share, self.place, self.limit, self.looks_at, self.lack) = (None, None, 0, None, None);
            return SocketSupply::Ready;
        }
        self.lend(to.in_flight);
        let wanted = self.wanted(to, now);
        let has = self.sockets();
        if has == 0 {
            let sockets = self.begin(wanted, waker, now);
            if sockets != SocketSupply::Ready {
                return sockets;
            }
        } else if has < wanted {
            self.take_more(wanted - has, waker, now);
        }
        if !stays || self.sockets() >= wanted {
            self.place = None;
        }
        self.share_out(wanted, now);
        let yields = self.yield_one(to.in_flight);
        self.give_back(to.in_flight);
        let looks = self.place.is_some() || self.limit < self.wanted_for_long(to);
        let looks_at = looks.then(|| self.next_look(now));
        // A thread does not learn when the attempt has ended.
        let lends_at = (yields && !stays).then(|| now + LOOK);
        let released_at = to.by_plan.map(|(_, at)| at);
        self.looks_at = looks_at.into_iter().chain(lends_at).chain(released_at).min();
        SocketSupply::Ready
    }

    /// How many sockets the race may use; `None` where it has none. Where that is 0, it has one for an
    /// attempt that yields to a lookup.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.share.as_ref().map(|_| self.limit)
    }

    /// Lends to the race's lookups in line what is not in flight: all but one, which an attempt can have
    /// first.
    fn lend(&mut self, in_flight: usize) {
        let Some(share) = &mut self.share else { return };
        let kept = in_flight.max(self.limit.min(1));
        let lent = self.loan.in_line().min(share.sockets().saturating_sub(kept));
        (0..lent).for_each(|_| self.loan.lend(share));
        if share.sockets() == 0 {
            // It waits in line now, and its lookup goes on.
            (self.share, self.limit) = (None, 0);
        }
    }

    /// Where a lookup of the race waits in line and all that it has is in flight: has an attempt yield that
    /// has outstayed its patience. What that leaves is [lent](Self::lend).
    fn yield_one(&mut self, in_flight: usize) -> bool {
        let yields = self.loan.in_line() > 0 && self.sockets() <= in_flight;
        if yields {
            self.limit = self.limit.min(in_flight.saturating_sub(1));
        }
        yields
    }

    /// It cannot use more than so many.
    #[cfg(feature = "tokio")]
    pub(crate) fn limit_to(&mut self, sockets: usize) {
        self.limit = self.limit.min(sockets);
    }

    /// Gives back what it may not use and has not `in_flight`.
    pub(crate) fn give_back(&mut self, in_flight: usize) {
        self.lend(in_flight);
        if let Some(share) = &mut self.share {
            share.keep(self.limit.max(in_flight).max(1));
        }
    }

    fn sockets(&self) -> usize {
        self.share.as_ref().map_or(0, Permits::sockets)
    }

    /// When it has to look again, if not woken before.
    pub(crate) fn looks_at(&self) -> Option<Instant> {
        self.looks_at
    }

    /// Leaves the line.
    pub(crate) fn leave(&mut self) {
        self.place = None;
    }

    /// What keeps the race from its first socket, or did so until its end.
    pub(crate) fn lack(&self) -> Option<Lack> {
        self.lack
    }

    /// The winner's place.
    pub(crate) fn into_held(self) -> Option<SocketPermit> {
        self.share.map(Permits::hold)
    }

    /// How many sockets it has a use for now.
    fn wanted(&self, to: SocketDemand, now: Instant) -> usize {
        let for_hedges = self.hedge && self.share.is_some() && now >= self.patient_until;
        let could = if for_hedges { to.addresses.saturating_mul(2) } else { to.addresses };
        let at_once = match self.pacing {
            Pacing::AllAtOnce => usize::MAX,
            Pacing::OneByOne => 1,
            // One for the attempt that starts next, and one so that its turn does not hang on the next look.
            _ => to.in_flight.saturating_add(2),
        };
        let planned = to.by_plan.map_or(usize::MAX, |(sockets, _)| sockets);
        could.min(at_once).min(planned).min(to.most).clamp(1, self.most)
    }

    /// How many it will have a use for if it runs on.
    fn wanted_for_long(&self, to: SocketDemand) -> usize {
        let each = if self.hedge { 2 } else { 1 };
        to.addresses.saturating_mul(each).min(to.most).min(self.most)
    }

    /// Takes its first sockets.
    fn begin(&mut self, wanted: usize, waker: &Waker, now: Instant) -> SocketSupply {
        match self.budget.poll_acquire(&mut self.place, wanted, waker) {
            Acquire::Acquired(share) => {
                self.share = Some(share);
                self.patient_until = now + self.patience;
                (self.waits_until, self.lack) = (None, None);
                SocketSupply::Ready
            }
            Acquire::Queued => {
                // Something comes back by itself again. Should connections hold all once more, that is
                // another wait.
                self.waits_until = None;
                self.lack = Some(Lack::InLine { sockets: self.budget.sockets() });
                SocketSupply::InLine(None)
            }
            Acquire::AllHeld => {
                let until = *self.waits_until.get_or_insert(now + self.budget.patience());
                let sockets = self.budget.sockets();
                if now < until {
                    self.lack = Some(Lack::AllHeld { sockets });
                    return SocketSupply::InLine(Some(until));
                }
                self.lack = Some(Lack::Refused { sockets });
                self.place = None;
                SocketSupply::AllHeld
            }
        }
    }

    fn take_more(&mut self, more: usize, waker: &Waker, now: Instant) {
        if now >= self.patient_until {
            self.place = None;
        }
        let taken = match &mut self.place {
            None => self.budget.try_acquire(more),
            place @ Some(_) => match self.budget.poll_acquire(place, more, waker) {
                Acquire::Acquired(share) => Some(share),
                Acquire::Queued | Acquire::AllHeld => None,
            },
        };
        if let (Some(share), Some(taken)) = (&mut self.share, taken) {
            share.join(taken);
        }
    }

    /// Limits the race to what it has a use for; once its patience has passed and others wait in line, to its
    /// part.
    fn share_out(&mut self, wanted: usize, now: Instant) {
        let has = self.sockets();
        let overdue = has > 1 && now >= self.patient_until;
        let part = if overdue { self.budget.fair_share() } else { None };
        self.limit = has.min(wanted).min(part.unwrap_or(usize::MAX));
    }

    fn next_look(&self, now: Instant) -> Instant {
        if now < self.patient_until { self.patient_until } else { now + self.patience }
    }
}

#[cfg(test)]
mod tests;
