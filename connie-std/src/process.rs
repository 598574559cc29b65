//! Which process this is. The child of a fork has a copy of all that its parent had, and of its threads only
//! the one that forked: what another had locked stays locked, and what one was to do is not done.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::clock::OsClock;

/// This process. A number is given again when a process has ended: a descendant that has its ancestor's is
/// taken for it.
#[cfg(unix)]
pub(crate) fn this() -> u32 {
    std::process::id()
}

/// Nothing forks here.
#[cfg(not(unix))]
pub(crate) fn this() -> u32 {
    1
}

/// How long a child looks for the moment at which the lock is free. Each of its own threads holds it for
/// microseconds.
const LOOK: Duration = Duration::from_millis(20);

/// A lock that is held for short whiles, and that the child of a fork can take too. Where a thread of the
/// parent held it when the process was forked, it is lost to the child, which learns that and does not wait
/// for ever.
#[derive(Debug)]
pub(crate) struct ProcessLock<T> {
    /// The process that has used it last.
    home: AtomicU32,
    /// The process to which it is lost, 0 for none.
    lost: AtomicU32,
    inside: Mutex<T>,
}

impl<T> ProcessLock<T> {
    pub(crate) fn new(inside: T) -> Self {
        ProcessLock { home: AtomicU32::new(this()), lost: AtomicU32::new(0), inside: Mutex::new(inside) }
    }

    /// For a static. Nobody has used it, and there is nothing to inherit yet.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) const fn unused(inside: T) -> Self {
        ProcessLock { home: AtomicU32::new(0), lost: AtomicU32::new(0), inside: Mutex::new(inside) }
    }

    /// Locks it. What another process has left there goes through `inherit` first. `None` where it is lost to
    /// this process.
    pub(crate) fn lock(&self, inherit: impl FnOnce(&mut T)) -> Option<MutexGuard<'_, T>> {
        let this = this();
        if self.home.load(Ordering::Acquire) == this {
            // Nothing that is done under these locks panics halfway.
            return Some(self.inside.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.enter(this, inherit)
    }

    /// As [`lock`](Self::lock), without a question to the system where nobody holds it: then what another
    /// process has left there may still be as it was.
    pub(crate) fn lock_again(&self, inherit: impl FnOnce(&mut T)) -> Option<MutexGuard<'_, T>> {
        self.inside.try_lock().ok().or_else(|| self.lock(inherit))
    }

    /// The first time in this process.
    #[cold]
    fn enter(&self, this: u32, inherit: impl FnOnce(&mut T)) -> Option<MutexGuard<'_, T>> {
        if self.lost.load(Ordering::Acquire) == this {
            return None;
        }
        // Where nobody has used it, no fork has come between: whoever holds it is a thread of this process,
        // however long that takes.
        if self.home.compare_exchange(0, this, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Some(self.inside.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let clock = OsClock::start();
        let mut guard = loop {
            match self.inside.try_lock() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
            if self.home.load(Ordering::Acquire) == this {
                return Some(self.inside.lock().unwrap_or_else(PoisonError::into_inner));
            }
            if clock.now() > connie_core::Instant::ZERO + LOOK {
                self.lost.store(this, Ordering::Release);
                return None;
            }
            std::thread::yield_now();
        };
        // Another thread of this process may have been here before.
        if self.home.load(Ordering::Acquire) != this {
            inherit(&mut guard);
            self.home.store(this, Ordering::Release);
        }
        Some(guard)
    }
}

impl<T: Default> Default for ProcessLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child sees a lock of its parent's.
    fn inherited(inside: u32) -> ProcessLock<u32> {
        ProcessLock { home: AtomicU32::new(this() + 1), lost: AtomicU32::new(0), inside: Mutex::new(inside) }
    }

    #[test]
    fn what_is_there_is_inherited_once() {
        let lock = inherited(5);
        *lock.lock(|inside| *inside += 10).unwrap() += 1;
        *lock.lock(|inside| *inside += 10).unwrap() += 1;
        assert_eq!(*lock.lock(|_| ()).unwrap(), 17);
        let new = ProcessLock::new(5);
        assert_eq!(*new.lock(|inside| *inside += 10).unwrap(), 5, "nobody had it before");
    }

    #[test]
    fn what_a_thread_of_the_parent_held_is_lost() {
        let lock = inherited(5);
        let _held = lock.inside.lock();
        assert!(lock.lock(|_| ()).is_none());
        let clock = OsClock::start();
        assert!((0..1_000).all(|_| lock.lock(|_| ()).is_none()));
        assert!(
            clock.now().duration_since(connie_core::Instant::ZERO) < LOOK * 100,
            "it is known from then on"
        );
    }

    #[test]
    fn a_first_holder_that_is_slow_is_waited_for() {
        let lock = ProcessLock::unused(5);
        let held = lock.inside.lock();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| *lock.lock(|_| ()).expect("no fork has come between"));
            let clock = OsClock::start();
            clock.wait_until(connie_core::Instant::ZERO + LOOK * 5);
            drop(held);
            assert_eq!(second.join().unwrap(), 5);
        });
    }

    #[test]
    fn a_thread_of_this_process_is_waited_for() {
        let lock = std::sync::Arc::new(inherited(5));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let lock = lock.clone();
                std::thread::spawn(move || {
                    for _ in 0..100 {
                        *lock.lock(|inside| *inside = 0).unwrap() += 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(|_| ()).unwrap(), 800);
    }
}
