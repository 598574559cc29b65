//! A race with what it takes from outside its stack: the answers of look-ups, and its part of a budget. What drives it waits for all of
//! them, in a thread or in a task.

use std::net::SocketAddr;
#[cfg(not(target_os = "wasi"))]
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::task::Waker;
use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Connection, Failure, Instant, RaceStack};

pub(crate) use crate::allowance::Sockets;
use crate::allowance::{Allowance, Use};
use crate::block_on::block_on;
use crate::budget::{Held, SocketBudget};
use crate::cancel::Canceler;
use crate::clock::OsClock;
use crate::error::ConnectErrorKind;
use crate::hosts::Owners;
use crate::memory::{Company, Recall, Step, Why};
use crate::options::Options;
use crate::poller::OsPoller;
use crate::report::{Lack, Report};
use crate::resolve::{Names, OsDriver, Running};
use crate::sent_again::SentAgain;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::SocketOptions;
use crate::target::Target;

/// How often a race that stands in line looks after its look-ups.
const LOOK: Duration = Duration::from_millis(5);

/// How long a race makes do with the sockets that it has, since the system had no more for it, before it tries once again. A thread learns of that
/// this much later, if nothing wakes it before.
const SHORTAGE: Duration = Duration::from_millis(250);

pub(crate) struct Contest<S: RaceStack> {
    /// Some 30 KiB, which are not moved about.
    pub(crate) driver: Box<OsDriver<S>>,
    names: Names,
    allowance: Option<Allowance>,
    /// How many attempts the race may have in flight, as it was told.
    limit: usize,
    /// Until when it makes do with what it has.
    short_until: Option<Instant>,
    /// In a thread, when it has to be looked whether the system has had all the sockets that the race was to open.
    starts_by: Option<Instant>,
    deadline: Option<Duration>,
    company: Option<Company>,
    /// Since when it stands in line for its first socket.
    in_line_since: Option<Instant>,
    why: Why,
    #[cfg(not(target_os = "wasi"))]
    socket: SocketOptions,
    #[cfg(not(target_os = "wasi"))]
    sources: (Option<Ipv4Addr>, Option<Ipv6Addr>),
}

/// How a race was won.
pub(crate) struct Outcome<T> {
    pub(crate) socket: T,
    pub(crate) destination: SocketAddr,
    pub(crate) report: Report,
    /// The winner's place in a budget.
    pub(crate) held: Option<Held>,
}

impl<S: RaceStack> Contest<S> {
    /// Begins the race, which asks for the look-ups that `target` needs.
    pub(crate) fn begin(
        target: Target<'_>,
        finish: Finish,
        options: &Options,
        clock: OsClock,
        now: Instant,
    ) -> Result<Self, ConnectErrorKind> {
        #[cfg(not(target_os = "wasi"))]
        options.socket.check().map_err(ConnectErrorKind::InvalidOption)?;
        let (driver, names) = Names::begin(target, options, now)?;
        let budget = options.budget.clone();
        budget.iter().for_each(SocketBudget::enter);
        let allowance = budget.map(|budget| Allowance::new(budget, names.loan(), &options.race));
        let limit = driver.connect().race().limit();
        let deadline = options.race.deadline;
        let company = options.memory.as_ref().and_then(|memory| {
            let network = names.network(driver.connect().race().destinations());
            let recall = Recall::new(memory, target, finish, &network, clock)?;
            Some(Company::new(recall.for_incumbent(options.incumbent), &options.race))
        });
        let mut contest = Contest {
            driver,
            names,
            allowance,
            limit,
            short_until: None,
            starts_by: None,
            deadline,
            company,
            in_line_since: None,
            why: Why::default(),
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.clone(),
            #[cfg(not(target_os = "wasi"))]
            sources: (options.source_v4, options.source_v6),
        };
        contest.plan(now);
        Ok(contest)
    }

    /// Has the race do what its memory, if any, knows to be best with the addresses that it has been told.
    fn plan(&mut self, now: Instant) {
        let Some(company) = &mut self.company else { return };
        let race = self.driver.connect().race();
        if !race.destinations().is_empty() {
            let plan = company.plan_and_say(race, &mut self.why, now);
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
        self.company.as_ref().map(Company::recall)
    }

    /// Until when it waits for another race to the same host, which finds out what this one would.
    fn poll_crowd(&mut self, waker: &Waker, now: Instant) -> Option<Instant> {
        match self.company.as_mut()?.poll(self.driver.connect().race(), &mut self.why, waker, now) {
            Step::GoOn => None,
            Step::Plan(plan) => {
                self.driver.follow(&plan);
                None
            }
            Step::WaitUntil(until) => Some(until),
        }
    }

    /// Whether somebody learns from its end.
    #[cfg(feature = "tokio")]
    pub(crate) fn has_memory(&self) -> bool {
        self.company.is_some()
    }

    /// Who knows whose an address is, where there are several hosts.
    pub(crate) fn owners(&self) -> &Owners {
        self.names.owners()
    }

    /// Sends a query that the race asks for, by a look-up among `lookups`.
    pub(crate) fn send(&mut self, query: Query, lookups: &mut Vec<Running>, clock: OsClock, now: Instant) {
        self.names.send(query, lookups, clock, now);
    }

    /// Tells the race what `lookups` have learnt.
    pub(crate) fn advance(&mut self, lookups: &mut [Running], now: Instant) {
        if self.names.advance(&mut self.driver, lookups, now) {
            self.plan(now);
        }
    }

    /// When the race has to end.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.deadline.map(|deadline| self.driver.connect().race().start() + deadline)
    }

    /// Sees to it that a race with addresses has sockets for them, and no more than it has a use for. Where it stands in line for them, or waits for
    /// what another race finds out, `waker` is woken when its turn has come. Where `in_task`, `waker` wakes the race also while that waits for its sockets.
    pub(crate) fn poll_sockets(&mut self, in_task: bool, waker: &Waker, now: Instant) -> Sockets {
        let until = self.until();
        if let Some(turn) = self.poll_crowd(waker, now) {
            // It has none, and needs none yet.
            return Sockets::InLine(until.into_iter().chain([turn]).min());
        }
        self.notice_shortage(now);
        let race = self.driver.connect().race();
        let in_flight = race.in_flight();
        let addresses = race.destinations().iter().filter(|it| it.error().is_none()).count();
        self.starts_by = (!in_task && in_flight < addresses).then(|| now + SHORTAGE);
        let Some(allowance) = &mut self.allowance else {
            if self.short_until.is_none() {
                self.tell_limit(usize::MAX);
            }
            return Sockets::Ready;
        };
        let most = if self.short_until.is_some() { self.limit } else { usize::MAX };
        // Where it stands in line its plan's time has not begun.
        let by_plan = race.sockets_by_plan(self.in_line_since.unwrap_or(now));
        let sockets = allowance.poll(Use { addresses, in_flight, most, by_plan }, in_task, waker, now);
        if let Some(limit) = allowance.limit() {
            self.tell_limit(limit);
        }
        self.notice_line(sockets, in_flight, now);
        match sockets {
            Sockets::InLine(wakes) => Sockets::InLine(wakes.into_iter().chain(until).min()),
            sockets => sockets,
        }
    }

    /// The time that a race stands in line for its first socket is none that its plan has kept it back.
    fn notice_line(&mut self, sockets: Sockets, in_flight: usize, now: Instant) {
        match (sockets, self.in_line_since) {
            (Sockets::InLine(_), None) if in_flight == 0 => self.in_line_since = Some(now),
            (Sockets::Ready, Some(since)) => {
                self.in_line_since = None;
                if let Some(company) = &mut self.company {
                    company.has_stood_in_line(now.duration_since(since));
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
        self.limit = self.driver.connect().race().limit();
    }

    /// Where the system had no socket for an attempt, the race has lowered its limit by itself (rule 5). It has no use for more, until it
    /// tries again.
    fn notice_shortage(&mut self, now: Instant) {
        let limit = self.driver.connect().race().limit();
        if limit < self.limit {
            self.limit = limit;
            self.short_until = Some(now + SHORTAGE);
        } else if self.short_until.is_some_and(|until| until <= now) {
            self.short_until = None;
        }
    }

    /// To be called when the race has made its turn: what that has freed beyond its limit goes to who stands in line.
    #[cfg(feature = "tokio")]
    pub(crate) fn give_back(&mut self, now: Instant) {
        self.notice_shortage(now);
        if let Some(allowance) = &mut self.allowance {
            allowance.limit_to(self.limit);
            allowance.give_back(self.driver.connect().race().in_flight());
        }
    }

    /// When the race has to be [asked](Self::poll_sockets) again, if nothing else happens.
    pub(crate) fn looks_at(&self) -> Option<Instant> {
        let looks_at = self.allowance.as_ref().and_then(Allowance::looks_at);
        looks_at.into_iter().chain(self.short_until).chain(self.starts_by).min()
    }

    /// As [`poll_sockets`](Self::poll_sockets), waiting in line until the deadline, or until the program cancels. The look-ups go on
    /// meanwhile: they may have places that others wait for.
    pub(crate) fn wait_for_sockets(&mut self, poller: &mut OsPoller) -> Sockets {
        let (clock, deadline) = (poller.clock(), self.until());
        let canceler = poller.canceler.clone();
        let canceled = || canceler.as_ref().is_some_and(Canceler::is_canceled);
        let canceled: Option<&dyn Fn() -> bool> = if canceler.is_some() { Some(&canceled) } else { None };
        let poll = |waker: &Waker| {
            let now = clock.now();
            self.advance(&mut poller.lookups, now);
            match self.poll_sockets(false, waker, now) {
                Sockets::InLine(until) if deadline.is_none_or(|deadline| now < deadline) => {
                    let look = poller.has_look_ups().then(|| now + LOOK);
                    ControlFlow::Continue(until.into_iter().chain(look).min())
                }
                sockets => ControlFlow::Break(sockets),
            }
        };
        let sockets = block_on(poll, clock, canceled).unwrap_or(Sockets::InLine(None));
        if sockets != Sockets::Ready {
            self.leave_the_line();
        }
        sockets
    }

    /// Gives up waiting for sockets.
    fn leave_the_line(&mut self) {
        if let Some(allowance) = &mut self.allowance {
            allowance.leave();
        }
    }

    /// What came of it all.
    pub(crate) fn conclude(
        mut self,
        result: Result<Connection<S::TcpSocket>, Failure>,
    ) -> Result<Outcome<S::TcpSocket>, ConnectErrorKind>
    where
        S::TcpSocket: SentAgain,
    {
        let report = Report::from(self.driver.timeline());
        let race = self.driver.connect().race();
        let is_sent_again = || result.as_ref().is_ok_and(|won| won.socket.was_sent_again());
        let report =
            report.with_visit(self.company.take().map(|company| company.learn(race, is_sent_again())));
        let report = report.with_why(self.why);
        let held = self.names.all_held();
        let report = self.names.conclude(self.driver.connect(), report);
        #[cfg(not(target_os = "wasi"))]
        let report = {
            let notes = self.socket.notes(&report.timeline(), self.sources);
            report.with_notes(notes)
        };
        let lack = self.allowance.as_ref().and_then(Allowance::lack);
        if let Some(lack @ Lack::Refused { sockets }) = lack {
            return Err(ConnectErrorKind::BudgetHeld { sockets, report: report.with_lack(lack) });
        }
        match result {
            Ok(Connection { socket, destination }) => {
                let held = self.allowance.and_then(Allowance::into_held);
                Ok(Outcome { socket, destination, report, held })
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

/// Whether a query failed for want of a socket.
fn lacked_sockets(report: &Report) -> bool {
    report.failed_queries().iter().any(|failed| failed.error.kind == QueryError::OutOfSockets)
}
