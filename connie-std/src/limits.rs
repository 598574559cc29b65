//! How much a [`connect`](crate::connect) has room for.

use connie_core::race::PlannedRace;

/// How many addresses one [`connect`](crate::connect) considers; those beyond are counted in its report. It
/// is 128 on WASI too; `connie-wasi` used by itself considers 64, to save RAM.
pub const MAX_DESTINATIONS: usize = 128;
/// The most sockets that a [`connect`](crate::connect) can be allowed to have open.
pub const MAX_IN_FLIGHT: usize = 64;
/// How many attempts the timeline of a [`connect`](crate::connect) remembers.
pub(crate) const RECORDS: usize = 512;

/// A race with that much room.
pub(crate) type OsRace = PlannedRace<MAX_DESTINATIONS, MAX_IN_FLIGHT, RECORDS>;
