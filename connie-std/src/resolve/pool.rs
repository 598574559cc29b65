//! The calls of `getaddrinfo` that are to be made or under way in this process, and the threads that make them.
//!
//! A call cannot be interrupted. One that nobody waits for any more goes on to its end, on a thread that does not count among the
//! [`MAX_THREADS`] any longer, up to a bound: names whose server is silent must not keep others waiting. And a name of the hosts file, which
//! needs no server, does not wait for those that do.

use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;

use super::LookupError;
use super::getaddrinfo::{Outcome, look_up};
use super::mailbox::Mailbox;
use crate::budget::Share;
use crate::process::ProcessLock;

/// The most threads that the system's resolver keeps busy for those who wait, in the whole process. Further calls wait for one of
/// them, but for names of the hosts file. Beside them there are at most 192 for calls that nobody waits for any more, which cannot be
/// interrupted, and 16 for names of the hosts file.
pub const MAX_THREADS: usize = 64;
/// The most threads beside those whose calls nobody waits for any more.
const MAX_ABANDONED: usize = 3 * MAX_THREADS;
/// The most threads beside those for names of the hosts file.
const MAX_HOSTED: usize = 16;

/// How long a thread waits for another call before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// All calls that are to be made or under way, and the threads that make them.
pub(super) struct Pool {
    /// What wakes its threads.
    news: &'static Condvar,
    calls: Vec<Call>,
    threads: usize,
    idle: usize,
}

struct Call {
    host: Arc<str>,
    family: Family,
    running: bool,
    /// Whether the hosts file has its answer.
    hosted: bool,
    waiting: Vec<Arc<Mailbox>>,
    /// For the descriptor that `getaddrinfo` opens.
    _room: Option<Arc<Share>>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) host: &'a str,
    pub(super) family: Family,
    /// Whether the hosts file has its answer.
    pub(super) hosted: bool,
}

/// The first that this process can lock is its own. One that a thread of the parent held when the process was forked is lost, as are
/// those that are lost to the parent: one more for each such fork in a line of them.
static POOLS: [ProcessLock<Pool>; 4] = [
    ProcessLock::unused(Pool::new(&NEWS[0])),
    ProcessLock::unused(Pool::new(&NEWS[1])),
    ProcessLock::unused(Pool::new(&NEWS[2])),
    ProcessLock::unused(Pool::new(&NEWS[3])),
];
static NEWS: [Condvar; 4] = [const { Condvar::new() }; 4];

/// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may come back here. `None` where all are lost.
pub(super) fn pool() -> Option<MutexGuard<'static, Pool>> {
    POOLS.iter().find_map(|pool| pool.lock(Pool::inherit))
}

/// Why there is no answer where all are lost.
pub(super) fn lost() -> LookupError {
    let detail = "threads of the process that forked this one were in the middle of look-ups".to_owned();
    LookupError { kind: QueryError::Temporary, detail: Some(detail) }
}

impl Pool {
    const fn new(news: &'static Condvar) -> Self {
        Pool { news, calls: Vec::new(), threads: 0, idle: 0 }
    }

    /// The child of a fork has a copy of the pool, and none of its threads.
    fn inherit(&mut self) {
        // The descriptors of the parent's calls are not closed here: their numbers may be somebody else's by now.
        std::mem::forget(std::mem::take(&mut self.calls));
        *self = Pool::new(self.news);
    }

    /// Whether one more call would have to wait.
    pub(super) fn is_full(&self) -> bool {
        self.calls.iter().filter(|call| !call.hosted).count() >= self.most_at_once()
    }

    /// Has `mailbox` wait for a call that is there already, or answers `false`.
    pub(super) fn join(&mut self, host: &str, family: Family, mailbox: &Arc<Mailbox>) -> bool {
        let same = |call: &&mut Call| call.family == family && *call.host == *host;
        let call = self.calls.iter_mut().find(same);
        call.map(|call| call.waiting.push(mailbox.clone())).is_some()
    }

    /// Sees to it that `mailbox` gets the answer to a call. Where that is there at once, `woken` gets who else is to know.
    pub(super) fn ask(
        &mut self,
        wanted: Wanted<'_>,
        mailbox: &Arc<Mailbox>,
        room: Option<Arc<Share>>,
        woken: &mut Vec<Waker>,
    ) {
        let Wanted { host, family, hosted } = wanted;
        if !self.join(host, family, mailbox) {
            let waiting = vec![mailbox.clone()];
            let host = host.into();
            self.calls.push(Call { host, family, running: false, hosted, waiting, _room: room });
            self.staff(woken);
        }
    }

    /// How many calls of names that are not in the hosts file may be under way.
    fn most_at_once(&self) -> usize {
        let abandoned = self.calls.iter().filter(|call| call.is_abandoned() && !call.hosted).count();
        MAX_THREADS + abandoned.min(MAX_ABANDONED)
    }

    /// How many calls may begin now.
    fn due(&self) -> usize {
        let count = |hosted, running| {
            self.calls.iter().filter(|it| (it.hosted, it.running) == (hosted, running)).count()
        };
        let free = self.most_at_once().saturating_sub(count(false, true));
        count(true, false) + count(false, false).min(free)
    }

    /// Sees to it that there are threads for the calls that may begin.
    fn staff(&mut self, woken: &mut Vec<Waker>) {
        let hosted = self.calls.iter().filter(|call| call.hosted).count().min(MAX_HOSTED);
        let most = self.most_at_once() + hosted;
        let due = self.due();
        (0..due.min(self.idle)).for_each(|_| self.news.notify_one());
        // One that was begun a moment ago may not have taken its call yet.
        let busy = self.calls.iter().filter(|call| call.running).count();
        let coming = self.threads.saturating_sub(busy);
        for _ in 0..due.saturating_sub(coming).min(most.saturating_sub(self.threads)) {
            if !self.add_thread(woken) {
                return;
            }
        }
    }

    fn add_thread(&mut self, woken: &mut Vec<Waker>) -> bool {
        match std::thread::Builder::new().name("connie-resolver".to_owned()).spawn(work) {
            Ok(_) => {
                self.threads += 1;
                return true;
            }
            // Those that run will come to it.
            Err(_) if self.threads > 0 => {}
            Err(error) => {
                let detail = Some(format!("no thread for the system's resolver: {error}"));
                while let Some(call) = self.calls.pop() {
                    let error = LookupError { kind: QueryError::Temporary, detail: detail.clone() };
                    call.tell(Err(error), woken);
                }
            }
        }
        false
    }

    /// Nobody waits for `mailbox` any more. A call that is under way goes on, one that is not is not made.
    pub(super) fn forget(&mut self, mailbox: &Arc<Mailbox>, woken: &mut Vec<Waker>) {
        for call in &mut self.calls {
            call.waiting.retain(|other| !Arc::ptr_eq(other, mailbox));
        }
        self.calls.retain(|call| call.running || !call.waiting.is_empty());
        // A thread that waits for nobody makes way for another.
        self.staff(woken);
    }

    /// The call to make next: of those that may begin the first, of the hosts file's names before all others.
    fn next(&mut self) -> Option<(Arc<str>, Family)> {
        let running = self.calls.iter().filter(|call| call.running && !call.hosted).count();
        let may_others = running < self.most_at_once();
        let waiting = |call: &&mut Call| !call.running && (call.hosted || may_others);
        let call = self.calls.iter_mut().filter(waiting).min_by_key(|call| !call.hosted)?;
        call.running = true;
        Some((call.host.clone(), call.family))
    }

    /// Answers whom to wake when the pool is unlocked.
    #[must_use]
    fn done(&mut self, host: &str, family: Family, result: Outcome) -> Vec<Waker> {
        let mut woken = Vec::new();
        let same = |call: &Call| call.running && call.family == family && *call.host == *host;
        if let Some(index) = self.calls.iter().position(same) {
            self.calls.remove(index).tell(result, &mut woken);
        }
        woken
    }
}

impl Call {
    fn is_abandoned(&self) -> bool {
        self.running && self.waiting.is_empty()
    }

    fn tell(self, result: Outcome, woken: &mut Vec<Waker>) {
        woken.extend(self.waiting.iter().filter_map(|mailbox| mailbox.put(self.family, result.clone())));
    }
}

/// Wakes those who are to know, when the pool is unlocked.
pub(super) fn wake(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

/// What a thread of the pool does.
fn work() {
    let Some(mut pool) = pool() else { return };
    loop {
        if let Some((host, family)) = pool.next() {
            drop(pool);
            let result = look_up(&host, family);
            let woken = self::pool().map(|mut pool| pool.done(&host, family, result));
            wake(woken.unwrap_or_default());
            let Some(again) = self::pool() else { return };
            pool = again;
            continue;
        }
        pool.idle += 1;
        let (guard, wait) = pool.news.wait_timeout(pool, LINGER).unwrap_or_else(PoisonError::into_inner);
        pool = guard;
        pool.idle -= 1;
        if wait.timed_out() && pool.due() == 0 {
            pool.threads -= 1;
            return;
        }
    }
}
