//! How many sockets all races of a program may have open at the same time.

use std::collections::VecDeque;
use std::fmt;
#[cfg(not(target_os = "wasi"))]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::task::Waker;
use std::time::Duration;

use crate::process::ProcessLock;

mod spare_permits;

pub(crate) use spare_permits::SparePermits;

/// A number of sockets that races share, so that a program with thousands of races never sees `EMFILE`.
/// Clones share the same number.
///
/// A race takes its sockets from the budget, waits in line if none is free, and gives them back when it ends,
/// except the winner's. That one comes back when the [`OsSocket`](crate::OsSocket) or
/// [`Connected`](crate::Connected) is dropped, or turned into a plain stream, which the budget does not
/// count.
///
/// It is fair: the race that has waited longest is next, and no race waits for more than one socket. A race
/// has one for each address that it knows and that has not failed, as far as
/// [`Config::max_in_flight`](connie_core::Config::max_in_flight) and what is free allow. One that is a task
/// and found fewer has the next that come free, within its [patience](connie_core::Config::patience). A
/// thread, which nothing wakes while it waits for the network, takes more only when no race waits in line,
/// and only when it looks: when its attempts or lookups have news, and once each patience. The same holds for
/// addresses that a race learns after it has left the line, and for second attempts. When another race waits
/// in line, a race whose patience has passed keeps no more than its fair part, which is at least one: it
/// gives back what is not in flight, and evicts attempts that have outstayed their patience until no more are
/// left. A race with few sockets is slower where addresses are dead, and never stuck.
///
/// A race waits for sockets that come back by themselves: those of other races, and of lookups. It does not
/// wait for those of connections unless [`waits`](Self::waits) is set, since only the program can give them
/// back. When connections hold all, the race fails at once with
/// [`BudgetHeld`](crate::ConnectErrorKind::BudgetHeld), and so do those that wait in line when it comes to
/// that.
///
/// Lookups take their descriptors here too, and stand in the same line: one for each socket of `dns::Dns`,
/// and one for each call of `getaddrinfo`. One that would wait behind its own race is lent a socket of that:
/// what is not in flight, or the place of an attempt that has outstayed its patience.
///
/// With a [memory](crate::Memory) a race takes one socket for the address that it starts with, and those for
/// the others when their time has come. Where none is free then it goes on with what it has.
///
/// The resolver of a program's own is not counted. Where the process is out of descriptors in spite of the
/// budget, since the program has opened others, a lookup asks for one anew for five seconds, and fails with
/// [`OutOfSockets`](connie_core::resolution::QueryError::OutOfSockets) then.
///
/// ```
/// use connie_std::{Options, SocketBudget, connect};
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = server.local_addr()?;
///
/// let budget = SocketBudget::new(8);
/// let options = Options::new().budget(budget.clone());
/// let stream = connect(address, &options)?;
/// assert_eq!(budget.free(), 7, "the winner's is taken");
/// drop(stream);
/// assert_eq!(budget.free(), 8);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SocketBudget {
    shared: Arc<SharedBudget>,
    /// How long a race waits for connections to end.
    waits: Duration,
    /// For the lookups of a race: what that has for them.
    loan: Option<SparePermits>,
    /// Whether a lookup had no place of it, since connections held all.
    #[cfg(not(target_os = "wasi"))]
    refused: Arc<AtomicBool>,
}

#[derive(Debug)]
struct SharedBudget {
    sockets: usize,
    /// Whether a connection keeps its place.
    counts_connections: bool,
    state: ProcessLock<PermitPool>,
}

#[derive(Debug)]
struct PermitPool {
    free: usize,
    /// How many are out and come back by themselves: those of races and lookups. The rest of what is out
    /// belongs to connections.
    passing: usize,
    /// How many races and lookups have them.
    sharers: usize,
    /// Who waits for a socket, longest first.
    line: VecDeque<QueuedWaiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct QueuedWaiter {
    ticket: u64,
    waker: Waker,
    /// Whether it was told that connections hold all. It has its own time then, and is not woken for that
    /// again.
    told: bool,
    /// Whether it has sockets, and waits for more.
    shares: bool,
}

impl QueuedWaiter {
    /// Has it wake `waker` from now on. Returns the one before, where that is another.
    fn wakes(&mut self, waker: &Waker) -> Option<Waker> {
        let changed = !self.waker.will_wake(waker);
        changed.then(|| std::mem::replace(&mut self.waker, waker.clone()))
    }
}

/// What came of asking for a share.
#[derive(Debug)]
pub(crate) enum Acquire {
    Acquired(Permits),
    /// It waits for what comes back by itself.
    Queued,
    /// It waits in line, and connections hold all: nothing comes back by itself.
    AllHeld,
}

impl SocketBudget {
    /// A budget of so many sockets, at least one.
    #[must_use]
    pub fn new(sockets: usize) -> Self {
        Self::counting(sockets, true)
    }

    /// A budget of so many sockets, at least one, for attempts and lookups alone: a winner's place comes back
    /// when its race ends. For a program that bounds the number of its connections by itself, and wants to
    /// bound how many SYNs it has on the way beside them.
    ///
    /// ```
    /// use connie_std::{Options, SocketBudget, connect};
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = server.local_addr()?;
    ///
    /// let budget = SocketBudget::attempts_only(1);
    /// let options = Options::new().budget(budget.clone());
    /// let (first, second) = (connect(address, &options)?, connect(address, &options)?);
    /// assert_eq!((budget.free(), budget.held()), (1, 0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn attempts_only(sockets: usize) -> Self {
        Self::counting(sockets, false)
    }

    fn counting(sockets: usize, counts_connections: bool) -> Self {
        let sockets = sockets.max(1);
        let state =
            PermitPool { free: sockets, passing: 0, sharers: 0, line: VecDeque::new(), next_ticket: 0 };
        let shared = Arc::new(SharedBudget { sockets, counts_connections, state: ProcessLock::new(state) });
        SocketBudget {
            shared,
            waits: Duration::ZERO,
            loan: None,
            #[cfg(not(target_os = "wasi"))]
            refused: Arc::default(),
        }
    }

    /// The same budget, for races that wait up to `at_most` for connections to end where these hold all of
    /// it, counted from when a race finds it so. No race waits beyond its deadline. Zero, which is the
    /// default, is not to wait: the race fails at once.
    ///
    /// For a program that works off more than it has sockets for, and closes each connection by itself:
    ///
    /// ```
    /// use connie_std::{Options, SocketBudget, connect};
    /// use std::time::Duration;
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = server.local_addr()?;
    ///
    /// let budget = SocketBudget::new(1);
    /// let at_once = Options::new().budget(budget.clone());
    /// let waits = Options::new().budget(budget.waits(Duration::from_secs(10)));
    /// let held = connect(address, &at_once)?;
    /// assert!(connect(address, &at_once).is_err());
    /// std::thread::scope(|scope| {
    ///     let next = scope.spawn(|| connect(address, &waits).map(drop));
    ///     drop(held);
    ///     next.join().expect("no panic")
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn waits(self, at_most: Duration) -> Self {
        SocketBudget { waits: at_most, ..self }
    }

    /// The budget that all races of this process share by default: three quarters of the descriptors that the
    /// process was allowed when this was first called (`RLIMIT_NOFILE`), which leaves the rest to its files
    /// and servers; 4,096 where the system sets no limit. The rest is at least 16, since a runtime and the
    /// standard streams alone take seven: of 64 descriptors and fewer it has what is beyond 16, and of 17 and
    /// fewer one.
    #[must_use]
    pub fn for_process() -> Self {
        static OF_PROCESS: OnceLock<SocketBudget> = OnceLock::new();
        if let Some(budget) = OF_PROCESS.get() {
            return budget.clone();
        }
        // Made before it is put there: the child of a fork would wait for ever for a thread of its parent
        // that was at it.
        let budget = Self::new(allowed().map_or(UNLIMITED, of_limit));
        OF_PROCESS.get_or_init(|| budget).clone()
    }

    /// How many there are.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.shared.sockets
    }

    /// Which budget it is, as long as something of it lives.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.shared.state().map_or(self.shared.sockets, |state| state.free)
    }

    /// How many connections hold. The other sockets that are not free belong to races and lookups.
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.state_again().map_or(0, |state| state.held(self.shared.sockets))
    }

    /// Whether it is the same budget.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn is_same(&self, other: &SocketBudget) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The same budget for the lookups of a race: whoever waits in line for them has what the race has
    /// [lent](SparePermits::lend) besides.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn for_lookups(&self) -> Self {
        SocketBudget { loan: Some(SparePermits::default()), refused: Arc::default(), ..self.clone() }
    }

    /// What a race has for these lookups.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn loan(&self) -> Option<SparePermits> {
        self.loan.clone()
    }

    /// A lookup has no place, since connections hold all.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether that has happened to one [of these](Self::for_lookups). They may have ended since.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// How long a race waits for connections to end.
    pub(crate) fn patience(&self) -> Duration {
        self.waits
    }

    /// For a race that begins: in the child of a fork, the first to do so sees to it that it is not held up
    /// by what its parent had.
    pub(crate) fn enter(&self) {
        drop(self.shared.state());
    }

    /// Takes up to `most` sockets, at least one, where it is `place`'s turn and one is free. Else it waits in
    /// line with `place`, and `waker` is woken when its turn has come, or when connections hold all. It
    /// leaves the line only where it has got `most`: drop the place to give up, or to be content with less.
    ///
    /// What it takes counts as coming back by itself until it [becomes](Permits::hold) a connection: a lookup
    /// takes its descriptors here too.
    pub(crate) fn poll_acquire(
        &self,
        place: &mut Option<QueueTicket>,
        most: usize,
        waker: &Waker,
    ) -> Acquire {
        let lent = self.loan.as_ref().filter(|_| place.is_some()).and_then(SparePermits::take);
        if let Some(share) = lent {
            *place = None;
            return Acquire::Acquired(share);
        }
        let Some(mut state) = self.shared.state_again() else {
            return Acquire::Acquired(Permits { budget: self.shared.clone(), sockets: most.max(1) });
        };
        let ticket = match place {
            Some(place) => place.ticket,
            None => {
                let ticket = state.queue_up(waker.clone());
                *place = Some(QueueTicket { budget: self.clone(), ticket });
                ticket
            }
        };
        if state.free > 0 && state.line.front().is_some_and(|first| first.ticket == ticket) {
            let sockets = state.take(most);
            let before = state.line.front_mut().and_then(|first| {
                first.shares = true;
                // It may have moved to another task since, and stays in line where this is not all.
                first.wakes(waker)
            });
            drop(state);
            drop(before);
            if sockets >= most {
                // Leaves the line, and wakes who is next in it.
                *place = None;
            }
            return Acquire::Acquired(Permits { budget: self.shared.clone(), sockets });
        }
        let all_held = state.all_held();
        let before = state.position(ticket).and_then(|position| {
            let waiting = state.line.get_mut(position)?;
            waiting.told = all_held;
            waiting.wakes(waker)
        });
        drop(state);
        drop(before);
        if let Some(loan) = &self.loan {
            loan.waits(ticket, waker);
        }
        if all_held { Acquire::AllHeld } else { Acquire::Queued }
    }

    /// Takes up to `most` sockets where some are free and nobody waits in line for them.
    pub(crate) fn try_acquire(&self, most: usize) -> Option<Permits> {
        let mut state = self.shared.state_again()?;
        (state.free > 0 && state.line.is_empty()).then(|| {
            let sockets = state.take(most);
            Permits { budget: self.shared.clone(), sockets }
        })
    }

    /// Where somebody waits in line and finds nothing: how many sockets each would have, of those that races
    /// and lookups share. At least one.
    pub(crate) fn fair_share(&self) -> Option<usize> {
        let state = self.shared.state_again()?;
        // Only the first in line can have some already.
        let counted = state.line.front().is_some_and(|first| first.shares);
        let sharers = (state.sharers + state.line.len() - usize::from(counted)).max(1);
        (state.free < state.line.len()).then(|| ((state.free + state.passing) / sharers).max(1))
    }
}

impl fmt::Debug for SocketBudget {
    /// How many sockets it has, how many of them are free, and how many connections hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sockets, state) = (self.sockets(), self.shared.state());
        let (free, held) = state.map_or((sockets, 0), |state| (state.free, state.held(sockets)));
        f.debug_struct("SocketBudget")
            .field("sockets", &sockets)
            .field("free", &free)
            .field("held", &held)
            .finish_non_exhaustive()
    }
}

impl SharedBudget {
    /// Takes `sockets` of a race or a lookup back. Where `all`, whoever had them has none now.
    fn give_back(&self, sockets: usize, all: bool) {
        let Some(mut state) = self.state_again() else { return };
        state.passing = state.passing.saturating_sub(sockets);
        state.sharers = state.sharers.saturating_sub(usize::from(all));
        self.free(state, sockets);
    }

    /// A connection has ended.
    fn no_longer_held(&self) {
        if !self.counts_connections {
            return;
        }
        let Some(state) = self.state_again() else { return };
        self.free(state, 1);
    }

    fn free(&self, mut state: MutexGuard<'_, PermitPool>, sockets: usize) {
        // A child was given back at once what its parent's races had.
        state.free = (state.free + sockets).min(self.sockets - state.passing);
        let next = state.next();
        drop(state);
        wake(next);
    }

    /// A socket of a race is a connection's now.
    fn becomes_held(&self) {
        if !self.counts_connections {
            // Whoever raced for it is counted off by the drop of what is left of its share.
            return self.give_back(1, false);
        }
        let Some(mut state) = self.state_again() else { return };
        state.passing = state.passing.saturating_sub(1);
        let untold = state.untold();
        drop(state);
        // Each of them has to act: none waits for another.
        untold.into_iter().for_each(Waker::wake);
    }

    fn leave(&self, ticket: u64) {
        let Some(mut state) = self.state_again() else { return };
        let gone = state.position(ticket).and_then(|position| state.line.remove(position));
        let next = state.next();
        drop(state);
        drop(gone);
        wake(next);
    }

    /// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may come
    /// back here.
    ///
    /// `None` in the child of a fork to which the budget is lost: it races without one.
    fn state(&self) -> Option<MutexGuard<'_, PermitPool>> {
        self.state.lock(PermitPool::inherit)
    }

    /// The same for who has been here before, as a rule in this process: without a question to the system
    /// whether it is the same.
    fn state_again(&self) -> Option<MutexGuard<'_, PermitPool>> {
        self.state.lock_again(PermitPool::inherit)
    }
}

impl PermitPool {
    fn queue_up(&mut self, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back(QueuedWaiter { ticket, waker, told: false, shares: false });
        ticket
    }

    /// Takes up to `most` of what is free, at least one: there has to be one.
    fn take(&mut self, most: usize) -> usize {
        let sockets = self.free.min(most.max(1));
        self.free -= sockets;
        self.passing += sockets;
        self.sharers += 1;
        sockets
    }

    /// In the child of a fork: the races and lookups that other threads ran are not there, nor is anybody of
    /// them in line. Connections are, and hold their places.
    fn inherit(&mut self) {
        // What a waker does when it is dropped is another process's business.
        std::mem::forget(std::mem::take(&mut self.line));
        self.free += std::mem::take(&mut self.passing);
        self.sharers = 0;
    }

    fn held(&self, sockets: usize) -> usize {
        sockets - self.free - self.passing
    }

    /// Whether nothing comes back by itself.
    fn all_held(&self) -> bool {
        self.free == 0 && self.passing == 0
    }

    /// The wakers of those in line who have to learn that connections hold all.
    fn untold(&mut self) -> Vec<Waker> {
        if !self.all_held() {
            return Vec::new();
        }
        let untold = self.line.iter_mut().filter(|waiting| !waiting.told);
        untold
            .map(|waiting| {
                waiting.told = true;
                waiting.waker.clone()
            })
            .collect()
    }

    /// Tickets grow along the line.
    fn position(&self, ticket: u64) -> Option<usize> {
        self.line.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()
    }

    /// The waker of the first in line, where a socket is free for it.
    fn next(&self) -> Option<Waker> {
        self.line.front().filter(|_| self.free > 0).map(|first| first.waker.clone())
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A place in the line of a budget. Dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct QueueTicket {
    budget: SocketBudget,
    ticket: u64,
}

impl Drop for QueueTicket {
    fn drop(&mut self) {
        self.budget.shared.leave(self.ticket);
        self.budget.loan.iter().for_each(|loan| loan.leaves(self.ticket));
    }
}

const UNLIMITED: usize = 4_096;

/// How many descriptors are left to the program, where a process may have `limit`: a quarter, and at least so
/// many. Of 20 a quarter would be five, and tokio with the standard streams takes seven.
const LEFT_AT_LEAST: usize = 16;

fn of_limit(limit: usize) -> usize {
    limit.saturating_sub((limit / 4).max(LEFT_AT_LEAST)).max(1)
}

#[cfg(all(unix, not(target_os = "espidf")))]
fn allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(limit).ok()
}

// ESP-IDF counts the sockets of its network stack (CONFIG_LWIP_MAX_SOCKETS), and has no call that says how
// many.
#[cfg(any(not(unix), target_os = "espidf"))]
fn allowed() -> Option<usize> {
    None
}

/// Sockets that a race or a lookup has of a budget. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Permits {
    budget: Arc<SharedBudget>,
    sockets: usize,
}

impl Permits {
    pub(crate) fn sockets(&self) -> usize {
        self.sockets
    }

    /// Gives back all but `sockets`.
    pub(crate) fn keep(&mut self, sockets: usize) {
        let surplus = self.sockets.saturating_sub(sockets);
        if surplus > 0 {
            self.sockets -= surplus;
            self.budget.give_back(surplus, false);
        }
    }

    /// Takes one of them off, for somebody else. There has to be one.
    fn split(&mut self) -> Permits {
        self.sockets = self.sockets.saturating_sub(1);
        if let Some(mut state) = self.budget.state_again() {
            state.sharers += 1;
        }
        Permits { budget: self.budget.clone(), sockets: 1 }
    }

    /// Adds those of `other`, which are of the same budget.
    pub(crate) fn join(&mut self, mut other: Permits) {
        self.sockets += std::mem::take(&mut other.sockets);
    }

    /// One of them is the place of a connection from here on. The rest is given back.
    pub(crate) fn hold(mut self) -> SocketPermit {
        self.keep(1);
        // Nothing is left for its own drop to give back.
        self.sockets = 0;
        let budget = self.budget.clone();
        budget.becomes_held();
        SocketPermit(budget)
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.budget.give_back(self.sockets, true);
    }
}

/// The place of a connection, which only the program gives back: by dropping the connection, and this with
/// it.
///
/// Every socket of a race has room for one, so it is as small as can be.
#[derive(Debug)]
pub struct SocketPermit(Arc<SharedBudget>);

impl Drop for SocketPermit {
    fn drop(&mut self) {
        self.0.no_longer_held();
    }
}

/// Something that keeps the socket permit of a connection as long as it lives.
pub trait KeepPermit {
    /// Keeps `held`.
    fn hold(&mut self, held: SocketPermit);
}

#[cfg(test)]
mod tests;
