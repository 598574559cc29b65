//! A race with what it takes from outside its stack: the answers of lookups, and its part of a budget. What
//! drives it waits for all of them, in a thread or in a task.

use std::net::SocketAddr;
#[cfg(not(target_os = "wasi"))]
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::task::Waker;
use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Connection, Failure, Instant, RaceStack};

use crate::block_on::block_on;
use crate::budget::{SocketBudget, SocketPermit};
pub(crate) use crate::budget_state::SocketSupply;
use crate::budget_state::{BudgetState, SocketDemand};
use crate::clock::OsClock;
use crate::error::ConnectErrorKind;
use crate::hosts::Owners;
use crate::memory::{Coalesced, Recall, StartDecision, Why};
use crate::options::Options;
use crate::poller::OsPoller;
use crate::report::{Lack, Report};
use crate::resolve::{LookupTask, NameResolution, OsDriver};
use crate::retransmitted::Retransmitted;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::SocketOptions;
use crate::target::TargetRef;

/// How often a race that waits in line looks after its lookups.
const LOOK: Duration = Duration::from_millis(5);

/// How long a race makes do with the sockets that it has, since the system had no more for it, before it
/// tries once again. A thread learns of that this much later, if nothing wakes it before.
const SHORTAGE: Duration = Duration::from_millis(250);

pub(crate) struct ConnectOperation<S: RaceStack> {
    /// Some 30 KiB, which are not moved about.
    pub(crate) driver: Box<OsDriver<S>>,
    names: NameResolution,
    budget_state: Option<BudgetState>,
    /// How many attempts the race may have in flight, as it was told.
    limit: usize,
    /// Until when it makes do with what it has.
    short_until: Option<Instant>,
    /// In a thread, when it has to be looked whether the system has had all the sockets that the race was to
    /// open.
    starts_by: Option<Instant>,
    deadline: Option<Duration>,
    coalesced: Option<Coalesced>,
    /// Since when it waits in line for its first socket.
    in_line_since: Option<Instant>,
    why: Why,
    #[cfg(not(target_os = "wasi"))]
    socket: SocketOptions,
    #[cfg(not(target_os = "wasi"))]
    sources: (Option<Ipv4Addr>, Option<Ipv6Addr>),
}

/// How a race was won.
pub(crate) struct ConnectOutcome<T> {
    pub(crate) socket: T,
    pub(crate) destination: SocketAddr,
    pub(crate) report: Report,
    /// The winner's place in a budget.
    pub(crate) held: Option<SocketPermit>,
}

impl<S: RaceStack> ConnectOperation<S> {
    /// Begins the race, which asks for the lookups that `target` needs.
    pub(crate) fn begin(
        target: TargetRef<'_>,
        finish: Finish,
        options: &Options,
        clock: OsClock,
        now: Instant,
    ) -> Result<Self, ConnectErrorKind> {
        #[cfg(not(target_os = "wasi"))]
        options.socket.check().map_err(ConnectErrorKind::InvalidOption)?;
        let (driver, names) = NameResolution::begin(target, options, now)?;
        let budget = options.budget.clone();
        budget.iter().for_each(SocketBudget::enter);
        let budget_state = budget.map(|budget| BudgetState::new(budget, names.loan(), &options.race));
        let limit = driver.connect().race().max_in_flight();
        let deadline = options.time_limit();
        let coalesced = options.memory.as_ref().and_then(|memory| {
            let network = names.network(driver.connect().race().destinations());
            let recall = Recall::new(memory, target, finish, &network, clock)?;
            Some(Coalesced::new(recall.for_incumbent(options.incumbent), &options.race))
        });
        let mut operation = ConnectOperation {
            driver,
            names,
            budget_state,
            limit,
            short_until: None,
            starts_by: None,
            deadline,
            coalesced,
            in_line_since: None,
            why: Why::default(),
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.clone(),
            #[cfg(not(target_os = "wasi"))]
            sources: (options.source_v4, options.source_v6),
        };
        operation.plan(now);
        Ok(operation)
    }

    /// Has the race do what its memory, if any, knows to be best with the addresses that it has been told.
    fn plan(&mut self, now: Instant) {
        let Some(coalesced) = &mut self.coalesced else { return };
        let race = self.driver.connect().race();
        if !race.destinations().is_empty() {
            let plan = coalesced.plan_and_say(race, &mut self.why, now);
            self.driver.follow(&plan);
        }
    }

    /// Has the race start nothing until it is [released](Self::release), and look up names meanwhile.
    #[cfg(feature = "tokio")]
    pub(crate) fn hold(&mut self) {
        self.driver.pause();
        self.limit = 0;
    }

    /// Lets it start.
    #[cfg(feature = "tokio")]
    pub(crate) fn release(&mut self, now: Instant) {
        self.tell_limit(usize::MAX);
        self.plan(now);
    }

    /// Who is asked what the race is to do.
    #[cfg(feature = "tokio")]
    pub(crate) fn recall(&self) -> Option<&Recall> {
        self.coalesced.as_ref().map(Coalesced::recall)
    }

    /// Until when it waits for another race to the same host, which finds out what this one would.
    fn poll_crowd(&mut self, waker: &Waker, now: Instant) -> Option<Instant> {
        match self.coalesced.as_mut()?.poll(self.driver.connect().race(), &mut self.why, waker, now) {
            StartDecision::GoOn => None,
            StartDecision::Plan(plan) => {
                self.driver.follow(&plan);
                None
            }
            StartDecision::WaitUntil(until) => Some(until),
        }
    }

    /// Whether somebody learns from its end.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_memory(&self) -> bool {
        self.coalesced.is_some()
    }

    /// Who knows whose an address is, where there are several hosts.
    pub(crate) fn owners(&self) -> &Owners {
        self.names.owners()
    }

    /// Sends a query that the race asks for, by a lookup among `lookups`.
    pub(crate) fn send(&mut self, query: Query, lookups: &mut Vec<LookupTask>, clock: OsClock, now: Instant) {
        self.names.send(query, lookups, clock, now);
    }

    /// Tells the race what `lookups` have learnt.
    pub(crate) fn advance(&mut self, lookups: &mut [LookupTask], now: Instant) {
        if self.names.advance(&mut self.driver, lookups, now) {
            self.plan(now);
        }
    }

    /// When the race has to end.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.deadline.map(|deadline| self.driver.connect().race().start() + deadline)
    }

    /// Makes sure that a race with addresses has sockets for them, and no more than it has a use for. Where
    /// it waits in line for them, or waits for what another race finds out, `waker` is woken when its turn
    /// has come. Where `in_task`, `waker` wakes the race also while that waits for its sockets.
    pub(crate) fn poll_sockets(&mut self, in_task: bool, waker: &Waker, now: Instant) -> SocketSupply {
        let until = self.until();
        if let Some(turn) = self.poll_crowd(waker, now) {
            // It has none, and needs none yet.
            return SocketSupply::InLine(until.into_iter().chain([turn]).min());
        }
        self.notice_shortage(now);
        let race = self.driver.connect().race();
        let in_flight = race.in_flight();
        let addresses = race.destinations().iter().filter(|it| it.error().is_none()).count();
        self.starts_by = (!in_task && in_flight < addresses).then(|| now + SHORTAGE);
        let Some(budget_state) = &mut self.budget_state else {
            if self.short_until.is_none() {
                self.tell_limit(usize::MAX);
            }
            return SocketSupply::Ready;
        };
        let most = if self.short_until.is_some() { self.limit } else { usize::MAX };
        // Where it waits in line its plan's time has not begun.
        let by_plan = race.sockets_by_plan(self.in_line_since.unwrap_or(now));
        let sockets =
            budget_state.poll(SocketDemand { addresses, in_flight, most, by_plan }, in_task, waker, now);
        if let Some(limit) = budget_state.limit() {
            self.tell_limit(limit);
        }
        self.notice_line(sockets, in_flight, now);
        match sockets {
            SocketSupply::InLine(wakes) => SocketSupply::InLine(wakes.into_iter().chain(until).min()),
            sockets => sockets,
        }
    }

    /// The time that a race waits in line for its first socket is none that its plan has kept it back.
    fn notice_line(&mut self, sockets: SocketSupply, in_flight: usize, now: Instant) {
        match (sockets, self.in_line_since) {
            (SocketSupply::InLine(_), None) if in_flight == 0 => self.in_line_since = Some(now),
            (SocketSupply::Ready, Some(since)) => {
                self.in_line_since = None;
                if let Some(coalesced) = &mut self.coalesced {
                    coalesced.has_stood_in_line(now.duration_since(since));
                    self.plan(now);
                }
            }
            _ => {}
        }
    }

    fn tell_limit(&mut self, limit: usize) {
        if limit == 0 {
            self.driver.pause();
        } else if limit < self.limit {
            self.driver.limit_to(limit);
        } else if limit > self.limit {
            self.driver.grow_to(limit);
        }
        self.limit = self.driver.connect().race().max_in_flight();
    }

    /// Where the system had no socket for an attempt, the race has lowered its limit by itself (rule 5). It
    /// has no use for more, until it tries again.
    fn notice_shortage(&mut self, now: Instant) {
        let limit = self.driver.connect().race().max_in_flight();
        if limit < self.limit {
            self.limit = limit;
            self.short_until = Some(now + SHORTAGE);
        } else if self.short_until.is_some_and(|until| until <= now) {
            self.short_until = None;
        }
    }

    /// To be called when the race has made its turn: what that has freed beyond its limit goes to who waits
    /// in line.
    #[cfg(feature = "tokio")]
    pub(crate) fn give_back(&mut self, now: Instant) {
        self.notice_shortage(now);
        if let Some(budget_state) = &mut self.budget_state {
            budget_state.limit_to(self.limit);
            budget_state.give_back(self.driver.connect().race().in_flight());
        }
    }

    /// When the race has to be [asked](Self::poll_sockets) again, if nothing else happens.
    pub(crate) fn looks_at(&self) -> Option<Instant> {
        let looks_at = self.budget_state.as_ref().and_then(BudgetState::looks_at);
        looks_at.into_iter().chain(self.short_until).chain(self.starts_by).min()
    }

    /// As [`poll_sockets`](Self::poll_sockets), waiting in line until the deadline, or until the program
    /// cancels or what is watched beside the race has something. The lookups go on meanwhile: they may have
    /// places that others wait for.
    pub(crate) fn wait_for_sockets(&mut self, poller: &mut OsPoller) -> SocketSupply {
        let (clock, deadline) = (poller.clock(), self.until());
        let ends = poller.ends_wait();
        let poll = |waker: &Waker| {
            let now = clock.now();
            self.advance(&mut poller.lookups, now);
            match self.poll_sockets(false, waker, now) {
                SocketSupply::InLine(until) if deadline.is_none_or(|deadline| now < deadline) => {
                    let look = poller.has_lookups().then(|| now + LOOK);
                    ControlFlow::Continue(until.into_iter().chain(look).min())
                }
                sockets => ControlFlow::Break(sockets),
            }
        };
        let sockets = block_on(poll, clock, ends.as_ref().map(|ends| ends as &dyn Fn() -> bool))
            .unwrap_or(SocketSupply::InLine(None));
        if sockets != SocketSupply::Ready {
            self.leave_the_line();
        }
        sockets
    }

    /// Gives up waiting for sockets.
    fn leave_the_line(&mut self) {
        if let Some(budget_state) = &mut self.budget_state {
            budget_state.leave();
        }
    }

    /// What came of it all.
    pub(crate) fn conclude(
        mut self,
        result: Result<Connection<S::TcpSocket>, Failure>,
    ) -> Result<ConnectOutcome<S::TcpSocket>, ConnectErrorKind>
    where
        S::TcpSocket: Retransmitted,
    {
        let report = Report::from(self.driver.timeline());
        let race = self.driver.connect().race();
        let is_retransmitted = || result.as_ref().is_ok_and(|won| won.socket.was_retransmitted());
        let report = report
            .with_visit(self.coalesced.take().map(|coalesced| coalesced.learn(race, is_retransmitted())));
        let report = report.with_why(self.why);
        let held = self.names.all_held();
        let report = self.names.conclude(self.driver.connect(), report);
        #[cfg(not(target_os = "wasi"))]
        let report = {
            let notes = self.socket.notes(&report.timeline(), self.sources);
            report.with_notes(notes)
        };
        let lack = self.budget_state.as_ref().and_then(BudgetState::lack);
        if let Some(lack @ Lack::Refused { sockets }) = lack {
            return Err(ConnectErrorKind::BudgetHeld { sockets, report: report.with_lack(lack) });
        }
        match result {
            Ok(Connection { socket, destination }) => {
                let held = self.budget_state.and_then(BudgetState::into_held);
                Ok(ConnectOutcome { socket, destination, report, held })
            }
            Err(Failure::NoDestinations) if !report.denied().is_empty() => {
                Err(ConnectErrorKind::Denied(report))
            }
            Err(Failure::NoDestinations) if !report.failed_queries().is_empty() => match held {
                Some(sockets) if lacked_sockets(&report) => {
                    let report = report.with_lack(Lack::Refused { sockets });
                    Err(ConnectErrorKind::BudgetHeld { sockets, report })
                }
                _ => Err(ConnectErrorKind::Resolve(report)),
            },
            Err(failure) => {
                // One that had attempts has more to say than that it waited for another socket in the end.
                let lack = lack.filter(|_| report.timeline().summary().attempts == 0);
                let report = match lack {
                    Some(lack) if failure == Failure::DeadlineExceeded => report.with_lack(lack),
                    _ => report,
                };
                Err(ConnectErrorKind::Race(failure, report))
            }
        }
    }
}

/// Whether a query failed for lack of a socket.
fn lacked_sockets(report: &Report) -> bool {
    report.failed_queries().iter().any(|failed| failed.error.kind == QueryError::OutOfSockets)
}
