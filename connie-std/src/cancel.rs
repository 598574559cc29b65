//! Giving up from another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::doorbell::Doorbell;

/// Ends a [`connect`](crate::connect()) from another thread. Clones end the same one; it stays canceled.
///
/// On Linux it costs one descriptor, on other Unix systems two, elsewhere a socket, however many races and attempts it serves.
#[derive(Clone, Debug)]
pub struct Canceler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    canceled: AtomicBool,
    /// Rung once, and never answered: it wakes every wait from then on.
    bell: Doorbell,
    /// What cancels this one too.
    parent: Option<Canceler>,
    /// Those that wait in a task.
    #[cfg(feature = "tokio")]
    tasks: std::sync::Mutex<tasks::Tasks>,
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

    /// A canceler of its own that this one cancels too: for a part of what this one ends.
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
        let shared = Shared {
            canceled: AtomicBool::new(false),
            bell: Doorbell::new()?,
            parent,
            #[cfg(feature = "tokio")]
            tasks: std::sync::Mutex::default(),
        };
        Ok(Canceler { shared: Arc::new(shared) })
    }

    /// Cancels. From now on every `connect` with this canceler ends with [`Failure::Canceled`](connie_core::Failure::Canceled).
    pub fn cancel(&self) {
        if !self.shared.canceled.swap(true, Ordering::SeqCst) {
            self.shared.bell.ring();
            #[cfg(feature = "tokio")]
            self.wake_tasks();
        }
    }

    /// Whether it was canceled, or one that it is a child of.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.lineage().any(|canceler| canceler.shared.canceled.load(Ordering::SeqCst))
    }

    /// What is ready to read from the cancel on: one for each that can cancel this.
    pub(crate) fn bells(&self) -> impl Iterator<Item = &Doorbell> {
        self.lineage().map(|canceler| &canceler.shared.bell)
    }

    /// Itself, its parent, and so on.
    fn lineage(&self) -> impl Iterator<Item = &Canceler> {
        std::iter::successors(Some(self), |canceler| canceler.shared.parent.as_ref())
    }
}

#[cfg(feature = "tokio")]
pub(crate) use tasks::Cancelable;

#[cfg(feature = "tokio")]
mod tasks {
    use std::collections::BTreeMap;
    use std::sync::{MutexGuard, PoisonError};
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
        /// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may come back here.
        fn tasks(&self) -> MutexGuard<'_, Tasks> {
            // Nothing panics with the lock held.
            self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn wake_tasks(&self) {
            let woken = std::mem::take(&mut self.tasks().wakers);
            woken.into_values().for_each(Waker::wake);
        }

        pub(crate) fn cancelable(&self) -> Cancelable {
            let tickets = self.lineage().map(Self::ticket).collect();
            Cancelable { canceler: self.clone(), tickets }
        }

        fn ticket(&self) -> u64 {
            let mut tasks = self.tasks();
            tasks.next += 1;
            tasks.next
        }

        fn wake_on_cancel(&self, ticket: u64, waker: &Waker) {
            let mut tasks = self.tasks();
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
                let gone = canceler.tasks().wakers.remove(ticket);
                drop(gone);
            }
        }
    }
}
