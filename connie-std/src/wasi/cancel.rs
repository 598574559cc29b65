//! Giving up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a [`connect`](crate::connect). Clones end the same one; it stays canceled.
///
/// A component has no other thread that could cancel in the middle of a wait: what was canceled before the
/// call, or by a [lookup](crate::resolve::PendingLookup) of the program's own, counts.
#[derive(Clone, Debug)]
pub struct Canceler(Arc<AtomicBool>);

impl Canceler {
    /// A canceler that has not been used.
    ///
    /// # Errors
    ///
    /// None on WASI.
    pub fn new() -> std::io::Result<Self> {
        Ok(Canceler(Arc::default()))
    }

    /// Cancels. From now on every `connect` with this canceler ends with
    /// [`Failure::Canceled`](connie_core::Failure::Canceled).
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
