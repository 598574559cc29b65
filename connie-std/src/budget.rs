//! How many sockets all races of a program may have open together.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

/// A number of sockets that races share, so that a program with thousands of them never meets `EMFILE`. Clones share the same.
///
/// A race takes its sockets from the budget before it starts, waits in line where none is free, and gives them back when it ends, all
/// but the winner's. That one comes back when the [`OsSocket`](crate::OsSocket) or [`Connected`](crate::Connected) is dropped,
/// or turned into a plain stream, which the budget knows nothing of.
///
/// It is fair: whoever waits longest is next, and nobody waits for more than one socket. What a race gets beside that is its part of
/// what is free, with each in line given as much; a crowd of races has a socket each, a lone one all that it asks for. A race with
/// few sockets is slower where addresses are dead, and never stuck.
///
/// ```
/// use connie_std::{Options, SocketBudget, connect};
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = server.local_addr()?;
///
/// let budget = SocketBudget::new(8);
/// let options = Options { budget: Some(budget.clone()), ..Options::default() };
/// let stream = connect(address, &options)?;
/// assert_eq!(budget.free(), 7, "the winner's is taken");
/// drop(stream);
/// assert_eq!(budget.free(), 8);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SocketBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sockets: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Who waits for a socket, longest first.
    line: VecDeque<Waiting>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    waker: Waker,
}

impl SocketBudget {
    /// A budget of so many sockets, at least one.
    #[must_use]
    pub fn new(sockets: usize) -> Self {
        let sockets = sockets.max(1);
        let state = State { free: sockets, line: VecDeque::new(), next_ticket: 0 };
        SocketBudget { shared: Arc::new(Shared { sockets, state: Mutex::new(state) }) }
    }

    /// The one that all races of this process share unless told otherwise: three quarters of the descriptors that it was allowed when
    /// this was first called (`RLIMIT_NOFILE`), which leaves the rest to its files and servers; 4,096 where the system sets no
    /// limit.
    #[must_use]
    pub fn of_process() -> Self {
        static OF_PROCESS: OnceLock<SocketBudget> = OnceLock::new();
        OF_PROCESS.get_or_init(|| Self::new(allowed().map_or(UNLIMITED, |limit| limit - limit / 4))).clone()
    }

    /// How many there are.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.shared.sockets
    }

    /// How many are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.state().free
    }

    /// Takes up to `most` sockets, at least one, where it is `place`'s turn and one is free. Else it stands in line with `place`, and
    /// `waker` is woken when its turn has come. To give up, drop the place.
    pub(crate) fn poll_take(&self, place: &mut Option<Place>, most: usize, waker: &Waker) -> Poll<Share> {
        let mut state = self.state();
        let ticket = match place {
            Some(place) => place.ticket,
            None => {
                let ticket = state.queue_up(waker.clone());
                *place = Some(Place { budget: self.clone(), ticket });
                ticket
            }
        };
        if state.free > 0 && state.line.front().is_some_and(|first| first.ticket == ticket) {
            let part = state.free / state.line.len();
            let sockets = part.clamp(1, most.max(1));
            state.free -= sockets;
            drop(state);
            // Leaves the line, and wakes who is next in it.
            *place = None;
            return Poll::Ready(Share { budget: self.clone(), sockets });
        }
        let before = state.position(ticket).and_then(|position| {
            let waiting = state.line.get_mut(position).filter(|it| !it.waker.will_wake(waker))?;
            Some(std::mem::replace(&mut waiting.waker, waker.clone()))
        });
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn give_back(&self, sockets: usize) {
        let mut state = self.state();
        state.free += sockets;
        let next = state.next();
        drop(state);
        wake(next);
    }

    fn leave(&self, ticket: u64) {
        let mut state = self.state();
        let gone = state.position(ticket).and_then(|position| state.line.remove(position));
        let next = state.next();
        drop(state);
        drop(gone);
        wake(next);
    }

    /// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may come back here.
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics with the lock held.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue_up(&mut self, waker: Waker) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back(Waiting { ticket, waker });
        ticket
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
pub(crate) struct Place {
    budget: SocketBudget,
    ticket: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.budget.leave(self.ticket);
    }
}

const UNLIMITED: usize = 4_096;

#[cfg(unix)]
fn allowed() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(limit).ok()
}

#[cfg(not(unix))]
fn allowed() -> Option<usize> {
    None
}

/// Sockets taken from a budget. Dropping it gives them back.
#[derive(Debug)]
pub struct Share {
    budget: SocketBudget,
    sockets: usize,
}

impl Share {
    pub(crate) fn sockets(&self) -> usize {
        self.sockets
    }

    /// Gives back all but `sockets`.
    pub(crate) fn keep(&mut self, sockets: usize) {
        let surplus = self.sockets.saturating_sub(sockets);
        self.sockets -= surplus;
        self.budget.give_back(surplus);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.sockets);
    }
}

/// What can keep a connection's place in a budget as long as it lives.
pub trait Holder {
    /// Keeps `share`.
    fn hold(&mut self, share: Share);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::block_on::block_on;
    use crate::clock::OsClock;
    use connie_core::Instant;

    fn take(budget: &SocketBudget, most: usize) -> Option<Share> {
        let clock = OsClock::start();
        wait(budget, most, Some(clock.now()), None)
    }

    fn wait(
        budget: &SocketBudget,
        most: usize,
        until: Option<Instant>,
        canceled: Option<&dyn Fn() -> bool>,
    ) -> Option<Share> {
        let mut place = None;
        block_on(|waker| budget.poll_take(&mut place, most, waker), OsClock::start(), until, canceled)
    }

    /// Waits until `count` are in line.
    fn wait_for_line(budget: &SocketBudget, count: usize) {
        while budget.state().line.len() < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_lone_race_has_all_that_it_asks_for_and_a_budget_is_never_exceeded() {
        let budget = SocketBudget::new(10);
        let first = take(&budget, 8).unwrap();
        let second = take(&budget, 8).unwrap();
        assert_eq!((first.sockets(), second.sockets(), budget.free()), (8, 2, 0));
        assert!(take(&budget, 1).is_none());
        drop(first);
        assert_eq!(budget.free(), 8);
    }

    #[test]
    fn a_winner_keeps_one() {
        let budget = SocketBudget::new(10);
        let mut share = take(&budget, 6).unwrap();
        share.keep(1);
        share.keep(1);
        assert_eq!(budget.free(), 9);
        drop(share);
        assert_eq!(budget.free(), 10);
    }

    #[test]
    fn a_budget_has_a_socket() {
        assert_eq!(take(&SocketBudget::new(0), 5).unwrap().sockets(), 1);
        assert!(SocketBudget::of_process().sockets() >= 1);
    }

    #[test]
    fn who_waits_longest_is_next_and_shares_with_those_behind() {
        let budget = SocketBudget::new(4);
        let all = take(&budget, 4).unwrap();
        let (sender, receiver) = channel();
        let waiters: Vec<_> = (0..3)
            .map(|number| {
                let (waiting, sender) = (budget.clone(), sender.clone());
                let thread = std::thread::spawn(move || {
                    let share = wait(&waiting, 4, None, None).unwrap();
                    sender.send((number, share.sockets())).unwrap();
                    share
                });
                wait_for_line(&budget, number + 1);
                thread
            })
            .collect();
        drop(all);
        // Of four free ones the first of three takes one, the next of two that are left one, the last all.
        let mut took: Vec<_> = receiver.iter().take(3).collect();
        took.sort_unstable();
        assert_eq!(took, [(0, 1), (1, 1), (2, 2)]);
        for waiter in waiters {
            drop(waiter.join().unwrap());
        }
        assert_eq!(budget.free(), 4);
    }

    #[test]
    fn who_gives_up_leaves_the_line_to_those_behind() {
        let budget = SocketBudget::new(1);
        let all = take(&budget, 1).unwrap();
        let canceled = {
            let waiting = budget.clone();
            std::thread::spawn(move || wait(&waiting, 1, None, Some(&|| true)).is_none())
        };
        assert!(canceled.join().unwrap());
        let next = {
            let waiting = budget.clone();
            std::thread::spawn(move || wait(&waiting, 1, None, None).is_some())
        };
        wait_for_line(&budget, 1);
        drop(all);
        assert!(next.join().unwrap());
        assert_eq!(budget.free(), 1);
    }
}
