//! The end of a run before its time: what it was to do next is not begun, and what it does is given up.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use connie_std::Canceler;

/// Ends the transfers of a run from another thread. Clones end the same ones.
#[derive(Clone, Default)]
pub struct Stop(Arc<SharedStop>);

#[derive(Default)]
struct SharedStop {
    is_stopped: Mutex<bool>,
    changed: Condvar,
    /// Ends what waits for the network. None where the process has no descriptor left for one.
    canceler: Option<Canceler>,
}

impl Stop {
    pub fn new() -> Self {
        Stop(Arc::new(SharedStop { canceler: Canceler::new().ok(), ..SharedStop::default() }))
    }

    pub fn stop(&self) {
        *self.0.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
        if let Some(canceler) = &self.0.canceler {
            canceler.cancel();
        }
    }

    pub fn is_stopped(&self) -> bool {
        *self.0.is_stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ends the waits of a connection.
    pub fn canceler(&self) -> Option<&Canceler> {
        self.0.canceler.as_ref()
    }

    /// Waits for this time, or until the end.
    pub fn sleep(&self, time: Duration) {
        // A component has no other thread that could end it, and nothing to wait with for one.
        #[cfg(target_os = "wasi")]
        #[expect(clippy::disallowed_methods, reason = "the pause between two tries")]
        return std::thread::sleep(time);
        #[cfg(not(target_os = "wasi"))]
        self.wait(time);
    }

    #[cfg(not(target_os = "wasi"))]
    fn wait(&self, time: Duration) {
        let is_stopped = self.0.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.changed.wait_timeout_while(is_stopped, time, |is_stopped| !*is_stopped));
    }
}
