//! Giving up from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(unix)]
use rustix::fd::OwnedFd;
use rustix::fd::{AsFd, BorrowedFd};

use crate::notifier::Notifier;
use crate::process;

/// Ends a [`connect`](crate::connect()) from another thread. Clones cancel the same calls. It stays canceled.
///
/// After a fork, parent and child each have their own: neither cancels the other's calls. In the child, one
/// made before the fork takes up to 20 ms to act, and one made after it acts at once.
///
/// On Linux it takes one descriptor, on other Unix systems two, elsewhere a socket, however many races and
/// attempts it serves.
#[derive(Clone, Debug)]
pub struct Canceler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    canceled: AtomicBool,
    /// Notified once, and never cleared: it wakes every wait from then on.
    notifier: Notifier,
    /// The process that made the notifier. The child of a fork would share it with its parent.
    process: u32,
    /// What cancels this one too.
    parent: Option<Canceler>,
    /// A descriptor of the program's own, which cancels when it is ready to read.
    #[cfg(unix)]
    descriptor: Option<OwnedFd>,
    /// Those that wait in a task.
    #[cfg(feature = "tokio")]
    tasks: process::ProcessLock<tasks::Tasks>,
}

impl Canceler {
    /// A canceler that has not been used.
    ///
    /// # Errors
    ///
    /// Where the process is out of descriptors.
    pub fn new() -> std::io::Result<Self> {
        Self::with_parent(None)
    }

    /// A canceler that also cancels once `descriptor` is ready to read, or the other end of it is closed: a
    /// pipe or an eventfd that a signal handler writes to, a descriptor of another event loop. Nothing is
    /// read from it.
    ///
    /// Each wait is for it too, so a call that blocks ends at once. A future of tokio looks at it whenever it
    /// is polled, and is not woken by it: drop the future, or [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// Where the process is out of descriptors.
    #[cfg(unix)]
    pub fn when_readable(descriptor: OwnedFd) -> std::io::Result<Self> {
        let mut shared = Shared::new(None)?;
        shared.descriptor = Some(descriptor);
        Ok(Canceler { shared: Arc::new(shared) })
    }

    /// A canceler that this one cancels too, for a part of what this one cancels.
    ///
    /// ```
    /// use connie_std::Canceler;
    ///
    /// let program = Canceler::new()?;
    /// let (page, picture) = (program.child()?, program.child()?);
    /// page.cancel();
    /// assert!(page.is_canceled() && !picture.is_canceled() && !program.is_canceled());
    /// program.cancel();
    /// assert!(picture.is_canceled());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the process is out of descriptors.
    pub fn child(&self) -> std::io::Result<Canceler> {
        Self::with_parent(Some(self.clone()))
    }

    fn with_parent(parent: Option<Canceler>) -> std::io::Result<Self> {
        Shared::new(parent).map(|shared| Canceler { shared: Arc::new(shared) })
    }

    /// Cancels. From now on every `connect` with this canceler ends with
    /// [`Failure::Canceled`](connie_core::Failure::Canceled).
    pub fn cancel(&self) {
        if !self.shared.canceled.swap(true, Ordering::SeqCst) {
            self.notify();
            #[cfg(feature = "tokio")]
            self.wake_tasks();
        }
    }

    fn notify(&self) {
        if self.shared.process == process::this() {
            self.shared.notifier.notify();
        }
    }

    /// Whether it was canceled, or one that it is a child of.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.lineage().any(|canceler| {
            let is_due = canceler.shared.descriptor().is_some_and(is_readable);
            if is_due {
                canceler.cancel();
            }
            is_due || canceler.shared.canceled.load(Ordering::SeqCst)
        })
    }

    /// What is ready to read from the cancel on: of each that can cancel this.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let own = self.of_this_process().map(|canceler| canceler.shared.notifier.as_fd());
        own.chain(self.lineage().filter_map(|canceler| canceler.shared.descriptor()))
    }

    /// Whether one that can cancel this has no notifier in this process, which has to look from time to time
    /// then.
    pub(crate) fn is_inherited(&self) -> bool {
        self.lineage().count() > self.of_this_process().count()
    }

    fn of_this_process(&self) -> impl Iterator<Item = &Canceler> {
        let this = process::this();
        self.lineage().filter(move |canceler| canceler.shared.process == this)
    }

    /// Itself, its parent, and so on.
    fn lineage(&self) -> impl Iterator<Item = &Canceler> {
        std::iter::successors(Some(self), |canceler| canceler.shared.parent.as_ref())
    }
}

impl Shared {
    fn new(parent: Option<Canceler>) -> std::io::Result<Self> {
        Ok(Shared {
            canceled: AtomicBool::new(false),
            notifier: Notifier::new()?,
            process: process::this(),
            parent,
            #[cfg(unix)]
            descriptor: None,
            #[cfg(feature = "tokio")]
            tasks: process::ProcessLock::new(tasks::Tasks::default()),
        })
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        #[cfg(unix)]
        return self.descriptor.as_ref().map(AsFd::as_fd);
        #[cfg(not(unix))]
        None
    }
}

/// Whether there is something to read, or nobody left to write it. What `poll` cannot say now is asked for
/// again.
fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

#[cfg(feature = "tokio")]
pub(crate) use tasks::Cancelable;

#[cfg(feature = "tokio")]
mod tasks {
    use std::collections::BTreeMap;
    use std::sync::MutexGuard;
    use std::task::Waker;

    use super::Canceler;

    /// Who is to be woken by a cancel.
    #[derive(Debug, Default)]
    pub(super) struct Tasks {
        next: u64,
        wakers: BTreeMap<u64, Waker>,
    }

    /// Something in a task that a [`Canceler`] can end.
    #[derive(Debug)]
    pub(crate) struct Cancelable {
        canceler: Canceler,
        /// Its number with each that can cancel the canceler.
        tickets: Vec<u64>,
    }

    impl Canceler {
        /// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may
        /// come back here.
        ///
        /// `None` in the child of a fork to which it is lost: no task is woken there, and each sees the
        /// cancel when it is polled.
        fn tasks(&self) -> Option<MutexGuard<'_, Tasks>> {
            // The tasks of the parent are not woken here.
            self.shared.tasks.lock(|tasks| std::mem::forget(std::mem::take(&mut tasks.wakers)))
        }

        pub(super) fn wake_tasks(&self) {
            let woken = self.tasks().map(|mut tasks| std::mem::take(&mut tasks.wakers)).unwrap_or_default();
            woken.into_values().for_each(Waker::wake);
        }

        pub(crate) fn cancelable(&self) -> Cancelable {
            let tickets = self.lineage().map(Self::ticket).collect();
            Cancelable { canceler: self.clone(), tickets }
        }

        fn ticket(&self) -> u64 {
            let Some(mut tasks) = self.tasks() else { return 0 };
            tasks.next += 1;
            tasks.next
        }

        fn wake_on_cancel(&self, ticket: u64, waker: &Waker) {
            let Some(mut tasks) = self.tasks() else { return };
            let known = tasks.wakers.get(&ticket).is_some_and(|before| before.will_wake(waker));
            let before = if known { None } else { tasks.wakers.insert(ticket, waker.clone()) };
            drop(tasks);
            drop(before);
        }
    }

    impl Cancelable {
        /// Whether the program has canceled. Where not, `waker` is woken when it does.
        pub(crate) fn poll(&self, waker: &Waker) -> bool {
            for (canceler, &ticket) in self.canceler.lineage().zip(&self.tickets) {
                canceler.wake_on_cancel(ticket, waker);
            }
            // After that, so that a cancel that has not seen the waker is seen here.
            self.canceler.is_canceled()
        }
    }

    impl Drop for Cancelable {
        fn drop(&mut self) {
            for (canceler, ticket) in self.canceler.lineage().zip(&self.tickets) {
                let gone = canceler.tasks().map(|mut tasks| tasks.wakers.remove(ticket));
                drop(gone);
            }
        }
    }
}
