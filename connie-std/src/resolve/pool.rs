//! All calls of `getaddrinfo` in this process, waiting or running, and the threads that make them.
//!
//! A call cannot be interrupted. One that nobody waits for any longer goes on to its end, on a thread that
//! does not count among the [`MAX_THREADS`] any longer, up to a bound: names whose server is silent must not
//! keep others waiting. And a name of the hosts file, which needs no server, does not wait for those that do.
//!
//! A call has a place in a budget when a thread is to make it, and none while it waits for a thread. Where no
//! place is free, the thread waits in line for it. Where the system has no thread to give and there is none,
//! whoever asks makes the call. No more than half of a budget goes to calls, and a quarter to the notifiers
//! of those who wait, so that whoever needs none is not held up by a silent server.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;

use super::calls::{AfterUnlock, CallCounts, CallRequest, ResolverCall, most_of};
use super::descriptor_permit::BudgetHeldError;
use super::getaddrinfo::{CallOutcome, look_up};
use super::reply_queue::{CallError, ReplyQueue};
use super::{DescriptorPermit, ResolverError};
use crate::block_on::block_on;
use crate::budget::{Permits, SocketBudget};
use crate::clock::OsClock;
use crate::process::ProcessLock;

/// The most threads that the system's resolver uses for calls that something waits for, in the whole process.
/// Further calls wait for one of these threads, except those for names in the hosts file. There are at most
/// 192 more threads for calls that nothing waits for any more, which cannot be interrupted, and 16 for names
/// in the hosts file.
pub const MAX_THREADS: usize = 64;
/// The most threads beside those whose calls nobody waits for any longer.
const MAX_ABANDONED: usize = 3 * MAX_THREADS;
/// The most threads beside those for names of the hosts file.
const MAX_HOSTED: usize = 16;

/// How long a thread waits for another call before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// All calls that are to be made or under way, and the threads that make them.
pub(super) struct CallPool {
    /// Which of the [pools](POOLS) it is.
    index: usize,
    /// Those that wait for a thread are made in this order.
    calls: Vec<ResolverCall>,
    next_id: u64,
    threads: usize,
    idle: usize,
    /// The places that notifiers have, and of which [budgets](SocketBudget::id). Nothing here keeps a budget,
    /// which can wake others when it is dropped.
    notifiers: Vec<(usize, Weak<Permits>)>,
}

/// A call that is to be made.
pub(super) struct CallJob {
    /// The index of its pool.
    pool: usize,
    id: u64,
    host: Arc<str>,
    family: Family,
    /// Where it has no room yet: where to get it.
    needs_room_of: Option<SocketBudget>,
    /// The id of the first call that was asked for later.
    later: u64,
}

/// The first that this process can lock is its own. One that a thread of the parent held when the process was
/// forked is lost, as are those that are lost to the parent: one more for each such fork in a line of them.
static POOLS: [ProcessLock<CallPool>; 4] = [
    ProcessLock::unused(CallPool::new(0)),
    ProcessLock::unused(CallPool::new(1)),
    ProcessLock::unused(CallPool::new(2)),
    ProcessLock::unused(CallPool::new(3)),
];
/// What wakes the threads of each.
static NEWS: [Condvar; 4] = [const { Condvar::new() }; 4];

/// Whoever holds this neither wakes nor drops a waker, nor room in a budget, which wakes others: that can run
/// code of the program's, which may come back here. What is to be woken and dropped goes to a
/// [`AfterUnlock`]. `None` where all are lost.
pub(super) fn pool() -> Option<MutexGuard<'static, CallPool>> {
    POOLS.iter().find_map(|pool| pool.lock(CallPool::inherit))
}

/// The pool of one of its threads.
fn pool_at(index: usize) -> Option<MutexGuard<'static, CallPool>> {
    POOLS.get(index)?.lock(CallPool::inherit)
}

/// Why there is no answer where all are lost.
pub(super) fn lost() -> ResolverError {
    let detail = "the process was forked in the middle of lookups, whose threads are gone".to_owned();
    ResolverError { kind: QueryError::Temporary, detail: Some(detail) }
}

impl CallPool {
    const fn new(index: usize) -> Self {
        CallPool { index, calls: Vec::new(), next_id: 0, threads: 0, idle: 0, notifiers: Vec::new() }
    }

    fn news(&self) -> &'static Condvar {
        // As many as there are pools.
        &NEWS[self.index % NEWS.len()]
    }

    /// The child of a fork has a copy of the pool, and none of its threads.
    fn inherit(&mut self) {
        // The descriptors of the parent's calls are not closed here: their numbers may be somebody else's by
        // now.
        std::mem::forget(std::mem::take(&mut self.calls));
        std::mem::forget(std::mem::take(&mut self.notifiers));
        *self = CallPool::new(self.index);
    }

    /// Whether one more call with a place of `budget` would have to wait for others.
    pub(super) fn is_full(&self, budget: Option<&SocketBudget>) -> bool {
        let others = || self.calls.iter().filter(|call| !call.hosted);
        let of_budget = |budget| others().filter(|call| call.is_of(budget)).count();
        others().count() >= self.most_at_once()
            || budget.is_some_and(|budget| of_budget(budget) >= most_of(budget))
    }

    /// Has `replies` wait for a call that is there already, or returns `false`.
    pub(super) fn join(&mut self, wanted: CallRequest<'_>, replies: &Arc<ReplyQueue>) -> bool {
        let call = self.calls.iter_mut().find(|call| call.is_for(wanted));
        call.map(|call| call.waiting.push(replies.clone())).is_some()
    }

    /// Makes sure that `replies` gets the answer to a call. `room` is for one that need not wait. Returns
    /// what the caller has to [make](make_here) itself, since there is no thread.
    #[must_use]
    pub(super) fn ask(
        &mut self,
        wanted: CallRequest<'_>,
        replies: &Arc<ReplyQueue>,
        room: Option<Arc<Permits>>,
        later: &mut AfterUnlock,
    ) -> Option<CallJob> {
        if self.join(wanted, replies) {
            later.rooms.extend(room);
            return None;
        }
        let CallRequest { host, family, hosted, budget } = wanted;
        let waits = match hosted {
            true => self.calls.iter().filter(|call| call.hosted).count() >= MAX_HOSTED,
            false => self.is_full(budget),
        };
        let room = match room {
            Some(room) if waits => {
                later.rooms.push(room);
                None
            }
            room => room,
        };
        let (waiting, budget, id) = (vec![replies.clone()], budget.cloned(), self.next_id);
        self.next_id += 1;
        let host = host.into();
        self.calls.push(ResolverCall { id, host, family, running: false, hosted, waiting, budget, room });
        match self.add_threads(later) {
            Ok(()) => None,
            Err(error) => {
                let job = self.calls.len().checked_sub(1).and_then(|last| self.take(last));
                self.fail(&error, later);
                job
            }
        }
    }

    /// Whether a thread has each call that `replies` waits for, with room.
    pub(super) fn has_begun(&self, replies: &Arc<ReplyQueue>) -> bool {
        let waits = |call: &&ResolverCall| call.waiting.iter().any(|other| Arc::ptr_eq(other, replies));
        self.calls.iter().filter(waits).all(|call| call.is_made() || call.room.is_some())
    }

    /// Whether a notifier may have these places of `budget`: notifiers have no more than a quarter of one.
    pub(super) fn admits_notifier(&mut self, budget: &SocketBudget, places: &[Arc<Permits>]) -> bool {
        self.notifiers.retain(|(_, place)| place.strong_count() > 0);
        let taken = self.notifiers.iter().filter(|(other, _)| *other == budget.id()).count();
        let may = taken + places.len() <= budget.sockets() / 4;
        if may {
            self.notifiers.extend(places.iter().map(|place| (budget.id(), Arc::downgrade(place))));
        }
        may
    }

    /// How many calls of names that are not in the hosts file may be under way.
    fn most_at_once(&self) -> usize {
        let abandoned = self.calls.iter().filter(|call| call.is_abandoned() && !call.hosted).count();
        MAX_THREADS + abandoned.min(MAX_ABANDONED)
    }

    fn most_threads(&self) -> usize {
        let hosted = self.calls.iter().filter(|call| call.hosted).count().min(MAX_HOSTED);
        // More may be under way, where somebody waits again for one that was abandoned.
        let others = self.calls.iter().filter(|call| call.running && !call.hosted).count();
        self.most_at_once().max(others) + hosted
    }

    /// Which calls may begin now, by index: those of the hosts file's names before all others, then the
    /// first.
    fn due(&self) -> Vec<usize> {
        let mut tally = CallCounts::new(&self.calls, self.most_at_once());
        let mut due = Vec::new();
        for hosted in [true, false] {
            let waiting = |(_, call): &(usize, &ResolverCall)| !call.running && call.hosted == hosted;
            let waiting = self.calls.iter().enumerate().filter(waiting);
            due.extend(waiting.filter(|(_, call)| tally.admits(call)).map(|(index, _)| index));
        }
        due
    }

    /// Makes sure that there are threads for the calls that may begin. Where there is none, those fail.
    fn staff(&mut self, later: &mut AfterUnlock) {
        if let Err(error) = self.add_threads(later) {
            self.fail(&error, later);
        }
    }

    /// The same. An error where there is none.
    fn add_threads(&mut self, later: &mut AfterUnlock) -> io::Result<()> {
        let most = self.most_threads();
        let due = self.due().len();
        (0..due.min(self.idle)).for_each(|_| self.news().notify_one());
        // One that was begun a moment ago may not have taken its call yet.
        let busy = self.calls.iter().filter(|call| call.running).count();
        let coming = self.threads.saturating_sub(busy);
        for _ in 0..due.saturating_sub(coming).min(most.saturating_sub(self.threads)) {
            let index = self.index;
            let thread = std::thread::Builder::new().name("connie-resolver".to_owned());
            match thread.spawn(move || work(index)) {
                Ok(_) => self.threads += 1,
                // Those that run will come to it. It has no place until then.
                Err(_) if self.threads > 0 => {
                    let waiting = self.calls.iter_mut().filter(|call| !call.running);
                    later.rooms.extend(waiting.filter_map(|call| call.room.take()));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells those who wait for a call that nobody makes.
    fn fail(&mut self, error: &io::Error, later: &mut AfterUnlock) {
        let detail = Some(format!("no thread for the system's resolver: {error}"));
        let error = ResolverError { kind: QueryError::Temporary, detail };
        for call in self.calls.extract_if(.., |call| !call.running) {
            call.tell(&Err(error.clone().into()), later);
        }
    }

    /// Whether a thread that has found nothing to do for a while may end, which it does then.
    fn lets_go(&mut self) -> bool {
        let lets_go = self.due().is_empty();
        self.threads -= usize::from(lets_go);
        lets_go
    }

    /// Nobody waits for `replies` any more. A call that is under way goes on, one that is not is not made.
    pub(super) fn forget(&mut self, replies: &Arc<ReplyQueue>, later: &mut AfterUnlock) {
        for call in &mut self.calls {
            call.waiting.retain(|other| !Arc::ptr_eq(other, replies));
        }
        later.calls.extend(self.calls.extract_if(.., |call| !call.running && call.waiting.is_empty()));
        // A thread that waits for nobody makes way for another.
        self.staff(later);
    }

    /// The call to make next.
    fn next(&mut self) -> Option<CallJob> {
        let first = *self.due().first()?;
        self.take(first)
    }

    /// The call with this index, which is made from here on.
    fn take(&mut self, index: usize) -> Option<CallJob> {
        let (pool, later) = (self.index, self.next_id);
        let call = self.calls.get_mut(index)?;
        call.running = true;
        let needs_room_of = call.budget.clone().filter(|_| call.room.is_none());
        Some(CallJob {
            pool,
            id: call.id,
            host: call.host.clone(),
            family: call.family,
            needs_room_of,
            later,
        })
    }

    /// Whether somebody waits for the call.
    fn is_wanted(&self, id: u64) -> bool {
        self.calls.iter().any(|call| call.id == id && !call.waiting.is_empty())
    }

    /// The call has its room. Returns whether it is to be made: not where nobody waits for it any more.
    fn begin(&mut self, id: u64, room: Option<Arc<Permits>>, later: &mut AfterUnlock) -> bool {
        let wanted = self.is_wanted(id);
        match self.calls.iter_mut().find(|call| call.id == id) {
            Some(call) if wanted => call.room = room,
            _ => {
                later.rooms.extend(room);
                self.give_up(id, later);
            }
        }
        // Another may wait in line.
        self.staff(later);
        wanted
    }

    /// The call is not made, unless somebody waits for it after all.
    fn give_up(&mut self, id: u64, later: &mut AfterUnlock) {
        let Some(index) = self.calls.iter().position(|call| call.id == id) else { return };
        self.calls[index].running = false;
        if self.calls[index].waiting.is_empty() {
            later.calls.push(self.calls.remove(index));
        }
    }

    /// Connections hold all of the budget that the call needs, and are not waited for any longer. That holds
    /// for those that were asked for before `before` as well, which would have waited in line beside it if
    /// there had been threads for them.
    fn refuse(&mut self, id: u64, before: u64, held: BudgetHeldError, later: &mut AfterUnlock) {
        let Some(budget) = self.calls.iter().find(|call| call.id == id).and_then(|call| call.budget.clone())
        else {
            return;
        };
        let waits_too = |call: &ResolverCall| {
            !call.running && call.room.is_none() && call.id < before && call.is_patient_with(Some(&budget))
        };
        let refused = self.calls.extract_if(.., |call| call.id == id || waits_too(call));
        for call in refused.collect::<Vec<_>>() {
            call.tell(&Err(CallError::BudgetHeld(held)), later);
        }
        self.staff(later);
    }

    /// The room of a call that was made.
    fn release(&mut self, id: u64) -> Option<Arc<Permits>> {
        self.calls.iter_mut().find(|call| call.id == id).and_then(|call| call.room.take())
    }

    /// The answer of a call is there.
    fn done(&mut self, id: u64, result: CallOutcome, later: &mut AfterUnlock) {
        if let Some(index) = self.calls.iter().position(|call| call.id == id) {
            self.calls.remove(index).tell(&result.map_err(CallError::Resolver), later);
        }
        // A name that is abandoned had no thread's place, and what waits for its budget may have it now.
        self.staff(later);
    }
}

/// What a thread of the pool with this index does.
fn work(index: usize) {
    let Some(mut pool) = pool_at(index) else { return };
    loop {
        if let Some(job) = pool.next() {
            drop(pool);
            make(&job);
            let Some(again) = pool_at(index) else { return };
            pool = again;
            continue;
        }
        pool.idle += 1;
        let news = pool.news();
        let (guard, wait) = news.wait_timeout(pool, LINGER).unwrap_or_else(PoisonError::into_inner);
        pool = guard;
        pool.idle -= 1;
        if wait.timed_out() && pool.lets_go() {
            return;
        }
    }
}

/// Makes a call, as soon as there is room for it.
fn make(job: &CallJob) {
    if let Some(budget) = &job.needs_room_of {
        let room = wait_for_room(budget, job.id, job.pool);
        let mut later = AfterUnlock::default();
        let Some(mut pool) = pool_at(job.pool) else { return };
        match room {
            Some(Ok(room)) => {
                if !pool.begin(job.id, room, &mut later) {
                    return;
                }
            }
            Some(Err(held)) => return pool.refuse(job.id, job.later, held, &mut later),
            None => return pool.give_up(job.id, &mut later),
        }
    }
    finish(job);
}

/// Makes a call on the thread of who has asked for it, there being no other. In line for room it might wait
/// for what this very thread is to give back: where there is none at once, the call does without.
pub(super) fn make_here(job: &CallJob) {
    let room = DescriptorPermit::at_once(job.needs_room_of.as_ref()).and_then(|room| room.share());
    let mut later = AfterUnlock::default();
    if let (Some(_), Some(mut pool)) = (&room, pool_at(job.pool)) {
        pool.begin(job.id, room, &mut later);
    }
    drop(later);
    finish(job);
}

fn finish(job: &CallJob) {
    let result = look_up(&job.host, job.family);
    // Given back before the answer is told: who has that finds the place free.
    let room = pool_at(job.pool).and_then(|mut pool| pool.release(job.id));
    drop(room);
    let mut later = AfterUnlock::default();
    if let Some(mut pool) = pool_at(job.pool) {
        pool.done(job.id, result, &mut later);
    }
}

/// Stands in line. `None` where nobody waits for the call any more.
fn wait_for_room(
    budget: &SocketBudget,
    id: u64,
    index: usize,
) -> Option<Result<Option<Arc<Permits>>, BudgetHeldError>> {
    let (clock, mut room) = (OsClock::start(), DescriptorPermit::default());
    let is_unwanted = || !pool_at(index).is_some_and(|pool| pool.is_wanted(id));
    let stand = |waker: &_| match room.poll_by(Some(budget), waker, clock.now()) {
        Poll::Ready(result) => ControlFlow::Break(result.map(|()| room.share())),
        Poll::Pending => ControlFlow::Continue(room.wake_at()),
    };
    block_on(stand, clock, Some(&is_unwanted))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::budget::Acquire;
    use crate::clock::pause;

    /// None takes longer, on any machine.
    const LIMIT: Duration = Duration::from_secs(20);

    /// Has the pool with this index ask for a literal address, which needs no network.
    fn ask(
        index: usize,
        host: &str,
        budget: Option<&SocketBudget>,
        room: Option<Arc<Permits>>,
    ) -> Arc<ReplyQueue> {
        let (replies, mut later) = (Arc::default(), AfterUnlock::default());
        let wanted = CallRequest { host, family: Family::V4, hosted: false, budget };
        assert!(pool_at(index).unwrap().ask(wanted, &replies, room, &mut later).is_none(), "no thread");
        replies
    }

    #[track_caller]
    fn answer(replies: &ReplyQueue) -> Result<Vec<SocketAddr>, CallError> {
        let clock = OsClock::start();
        loop {
            if let Some(reply) = replies.take() {
                return reply.result;
            }
            assert!(clock.now() < connie_core::Instant::ZERO + LIMIT, "no answer");
            pause(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_thread_serves_the_pool_that_has_made_it() {
        let addresses = answer(&ask(3, "127.0.0.1", None, None)).unwrap();
        assert_eq!(addresses, ["127.0.0.1:0".parse().unwrap()]);
    }

    /// A waker of the program's, which looks something up.
    struct Foreign(Sender<bool>);

    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {
            let (locked, is_locked): (_, Receiver<()>) = channel();
            std::thread::spawn(move || {
                drop(pool_at(2));
                let _ = locked.send(());
            });
            let _ = self.0.send(is_locked.recv_timeout(LIMIT).is_ok());
        }
    }

    #[test]
    fn who_is_woken_for_room_can_look_something_up() {
        let budget = SocketBudget::new(1);
        let room = DescriptorPermit::at_once(Some(&budget)).and_then(|room| room.share());
        let (told, is_told) = channel();
        let (mut other, waker) = (None, Waker::from(Arc::new(Foreign(told))));
        assert!(matches!(budget.poll_acquire(&mut other, 1, &waker), Acquire::Queued));
        let addresses = answer(&ask(2, "127.0.0.2", Some(&budget), room)).unwrap();
        assert_eq!(budget.free(), 1, "when the answer is there");
        assert_eq!(addresses, ["127.0.0.2:0".parse().unwrap()]);
        assert_eq!(is_told.recv_timeout(LIMIT * 2), Ok(true));
    }

    #[test]
    fn connections_that_hold_all_are_waited_for_once_and_not_by_each_in_turn() {
        let patience = Duration::from_secs(1);
        let budget = SocketBudget::new(1).waits(patience);
        let Acquire::Acquired(share) = budget.poll_acquire(&mut None, 1, Waker::noop()) else {
            panic!("it is free")
        };
        let _held = share.hold();
        let clock = OsClock::start();
        let asked: Vec<_> =
            (1..=20).map(|last| ask(1, &format!("127.0.1.{last}"), Some(&budget), None)).collect();
        for replies in asked {
            assert!(matches!(answer(&replies), Err(CallError::BudgetHeld(_))));
        }
        let time = clock.now().duration_since(connie_core::Instant::ZERO);
        assert!((patience..patience * 10).contains(&time), "{time:?}");
    }

    #[test]
    fn a_hosted_name_has_a_thread_where_abandoned_calls_are_waited_for_again() {
        let call = |id, running, hosted| ResolverCall {
            id,
            host: "name.test".into(),
            family: Family::V4,
            running,
            hosted,
            waiting: vec![Arc::default()],
            room: None,
            budget: None,
        };
        let mut pool = CallPool::new(0);
        pool.threads = MAX_THREADS + 9;
        pool.calls = (0..pool.threads as u64).map(|id| call(id, true, false)).collect();
        pool.calls.push(call(1_000, false, false));
        assert_eq!((pool.due().len(), pool.most_threads()), (0, pool.threads));
        pool.calls.push(call(1_001, false, true));
        assert_eq!((pool.due().len(), pool.most_threads()), (1, pool.threads + 1));
    }

    #[test]
    fn notifiers_have_a_quarter_and_those_that_are_gone_count_no_more() {
        let (mut pool, budget, other) = (CallPool::new(0), SocketBudget::new(8), SocketBudget::new(3));
        let place = |budget| vec![DescriptorPermit::at_once(Some(budget)).unwrap().share().unwrap()];
        let (first, second, third) = (place(&budget), place(&budget), place(&budget));
        assert!(pool.admits_notifier(&budget, &first) && pool.admits_notifier(&budget, &second));
        assert!(!pool.admits_notifier(&budget, &third) && !pool.admits_notifier(&other, &place(&other)));
        drop(first);
        assert!(pool.admits_notifier(&budget, &third));
    }

    #[test]
    fn calls_that_wait_have_no_places() {
        let budget = SocketBudget::new(8);
        let call = |id, running, room: bool| ResolverCall {
            id,
            host: "name.test".into(),
            family: Family::V4,
            running,
            hosted: false,
            waiting: vec![Arc::default()],
            room: room.then(|| DescriptorPermit::at_once(Some(&budget)).unwrap().share()).flatten(),
            budget: Some(budget.clone()),
        };
        let mut pool = CallPool::new(0);
        pool.calls =
            vec![call(0, true, true), call(1, true, false), call(2, false, true), call(3, false, false)];
        pool.calls.extend((4..10).map(|id| call(id, false, false)));
        assert_eq!(pool.due(), [2, 3], "with those that run half of the budget");
        assert!(
            pool.is_full(Some(&budget)) && !pool.is_full(Some(&SocketBudget::new(8))) && !pool.is_full(None)
        );
        pool.calls[9].hosted = true;
        assert_eq!(pool.due(), [9, 2, 3]);
        pool.calls[9].budget = None;
        assert_eq!(pool.due(), [9, 2, 3]);
    }
}
