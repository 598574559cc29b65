//! Paths for what a test writes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A path in the temporary directory that nobody else uses.
#[must_use]
pub fn temporary_path(what: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("connie-{}-{number}-{what}", std::process::id()))
}
