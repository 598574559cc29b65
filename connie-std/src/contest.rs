//! A race with what it takes from outside its stack: the answers of look-ups, and its part of a budget. What drives it waits for all of
//! them, in a thread or in a task.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::task::Waker;
use std::time::Duration;

use connie_core::resolution::{Query, QueryError};
use connie_core::{Connection, Failure, Instant, RaceStack};

use crate::block_on::block_on;
use crate::budget::{Place, Share, SocketBudget, Turn};
use crate::cancel::Canceler;
use crate::clock::OsClock;
use crate::error::ConnectErrorKind;
use crate::options::Options;
use crate::report::Report;
use crate::resolve::{Names, OsConnector, Running};
use crate::target::Target;
use crate::waiter::OsWaiter;

/// How often a race that stands in line looks after its look-ups.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct Contest<S: RaceStack> {
    /// Some 30 KiB, which are not moved about.
    pub(crate) connector: Box<OsConnector<S>>,
    names: Names,
    allowance: Option<Allowance>,
    /// How many sockets an address can use.
    for_each: usize,
    deadline: Option<Duration>,
}

/// How a race was won.
pub(crate) struct Outcome<T> {
    pub(crate) socket: T,
    pub(crate) destination: SocketAddr,
    pub(crate) report: Report,
    /// The winner's place in a budget.
    pub(crate) share: Option<Share>,
}

/// What a race may take from a budget.
struct Allowance {
    budget: SocketBudget,
    /// Taken when the first address is known, so that no socket is kept from others while a name is resolved.
    share: Option<Share>,
    /// Where it stands in line for that.
    place: Option<Place>,
    /// Until when it waits for connections to end, since it has found that they hold all.
    waits_until: Option<Instant>,
    /// Whether it has given up, since connections hold all.
    refused: bool,
}

/// Whether a race has the sockets that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sockets {
    /// It has, or needs none yet.
    Ready,
    /// It stands in line: until its turn has come it must open none. It has to look again at this moment, if not woken before.
    InLine(Option<Instant>),
    /// Connections hold all, and it does not wait for them, or not any longer: cancel it.
    AllHeld,
}

impl<S: RaceStack> Contest<S> {
    /// Begins the race, which asks for the look-ups that `target` needs.
    pub(crate) fn begin(
        target: Target<'_>,
        options: &Options,
        now: Instant,
    ) -> Result<Self, ConnectErrorKind> {
        let (connector, names) = Names::begin(target, options, now)?;
        let budget = options.budget.clone();
        let allowance = budget.map(|budget| Allowance {
            budget,
            share: None,
            place: None,
            waits_until: None,
            refused: false,
        });
        let for_each = if options.race.hedge { 2 } else { 1 };
        Ok(Contest { connector, names, allowance, for_each, deadline: options.race.deadline })
    }

    /// Sends a query that the race asks for, by a look-up among `lookups`.
    pub(crate) fn send(&mut self, query: Query, lookups: &mut Vec<Running>, clock: OsClock, now: Instant) {
        self.names.send(query, lookups, clock, now);
    }

    /// Tells the race what `lookups` have learnt.
    pub(crate) fn advance(&mut self, lookups: &mut [Running], now: Instant) {
        self.names.advance(&mut self.connector, lookups, now);
    }

    /// Whether every address is known.
    fn is_complete(&self) -> bool {
        let connect = self.connector.connect();
        connect.is_resolved() && !Query::ALL.into_iter().any(|query| connect.is_pending(query))
    }

    /// When the race has to end.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.deadline.map(|deadline| self.connector.connect().race().start() + deadline)
    }

    /// Sees to it that a race with addresses has sockets for them, and no more than they can use once all are known. Where it stands in
    /// line for them `waker` is woken when its turn has come.
    pub(crate) fn poll_sockets(&mut self, waker: &Waker, now: Instant) -> Sockets {
        let (complete, until) = (self.is_complete(), self.until());
        let Some(allowance) = &mut self.allowance else { return Sockets::Ready };
        let addresses = self.connector.timeline().destinations().len();
        if addresses == 0 {
            allowance.place = None;
            return Sockets::Ready;
        }
        let useful = if complete { addresses.saturating_mul(self.for_each) } else { usize::MAX };
        if allowance.share.is_none() {
            let most = self.connector.connect().race().limit().min(useful);
            match allowance.take(most, waker, now) {
                Sockets::Ready => {}
                Sockets::InLine(wakes) => return Sockets::InLine(wakes.into_iter().chain(until).min()),
                Sockets::AllHeld => return Sockets::AllHeld,
            }
        }
        if let Some(share) = &mut allowance.share {
            share.keep(useful);
            self.connector.limit_to(share.sockets());
        }
        Sockets::Ready
    }

    /// As [`poll_sockets`](Self::poll_sockets), waiting in line until the deadline, or until the program cancels. The look-ups go on
    /// meanwhile: they may have places that others wait for.
    pub(crate) fn wait_for_sockets(&mut self, waiter: &mut OsWaiter) -> Sockets {
        let (clock, deadline) = (waiter.clock(), self.until());
        let canceler = waiter.canceler.clone();
        let canceled = || canceler.as_ref().is_some_and(Canceler::is_canceled);
        let canceled: Option<&dyn Fn() -> bool> = if canceler.is_some() { Some(&canceled) } else { None };
        let poll = |waker: &Waker| {
            let now = clock.now();
            self.advance(&mut waiter.lookups, now);
            match self.poll_sockets(waker, now) {
                Sockets::InLine(until) if deadline.is_none_or(|deadline| now < deadline) => {
                    let look = waiter.has_look_ups().then(|| now + LOOK);
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
            allowance.place = None;
        }
    }

    /// What came of it all.
    pub(crate) fn conclude(
        self,
        result: Result<Connection<S::TcpSocket>, Failure>,
    ) -> Result<Outcome<S::TcpSocket>, ConnectErrorKind> {
        let report = Report::from(self.connector.timeline());
        let held = self.names.all_held();
        let report = self.names.conclude(self.connector.connect(), report);
        if let Some(Allowance { refused: true, budget, .. }) = &self.allowance {
            let sockets = budget.sockets();
            return Err(ConnectErrorKind::BudgetHeld { sockets, held: sockets, report });
        }
        match result {
            Ok(Connection { socket, destination }) => {
                let share = self.allowance.and_then(|allowance| allowance.share);
                Ok(Outcome { socket, destination, report, share: share.map(Share::hold) })
            }
            Err(Failure::NoDestinations) if !report.failed_queries().is_empty() => match held {
                Some(sockets) if lacked_sockets(&report) => {
                    Err(ConnectErrorKind::BudgetHeld { sockets, held: sockets, report })
                }
                _ => Err(ConnectErrorKind::Resolve(report)),
            },
            Err(failure) => Err(ConnectErrorKind::Race(failure, report)),
        }
    }
}

/// Whether a query failed for want of a socket.
fn lacked_sockets(report: &Report) -> bool {
    report.failed_queries().iter().any(|failed| failed.error.kind == QueryError::OutOfSockets)
}

impl Allowance {
    /// Takes up to `most` sockets, or stands in line for one.
    fn take(&mut self, most: usize, waker: &Waker, now: Instant) -> Sockets {
        match self.budget.poll_take(&mut self.place, most, waker) {
            Turn::Taken(share) => {
                self.share = Some(share);
                Sockets::Ready
            }
            Turn::InLine => Sockets::InLine(None),
            Turn::AllHeld => {
                let until = *self.waits_until.get_or_insert(now + self.budget.patience());
                if now < until {
                    return Sockets::InLine(Some(until));
                }
                self.refused = true;
                self.place = None;
                Sockets::AllHeld
            }
        }
    }
}
