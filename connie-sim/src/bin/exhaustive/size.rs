//! How much is searched, and in which steps of time.

use std::time::Duration;

use connie_core::Instant;

pub(crate) const UNIT: Duration = Duration::from_millis(10);
pub(crate) const START: Instant = Instant::from_millis(1_000);

/// How much is searched.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) destinations: usize,
    pub(crate) sockets: usize,
    /// The deadline, in units, and how long a race without one is watched.
    pub(crate) units: u32,
    /// The most destinations of a race that gets hints, or has no deadline.
    pub(crate) special: usize,
    /// The most addresses of a family that a name has.
    pub(crate) of_family: usize,
}
