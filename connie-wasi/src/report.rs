//! What a race did, and how large races are here.

use alloc::boxed::Box;

use connie_core::race::Planned;
use connie_core::{ConnectDriver, Timeline};

use crate::socket::WasiStack;

/// How many addresses of one host a [`connect`](crate::connect) considers. `connie-std` has 128, on WASI too;
/// a component of this crate alone has less memory to spend. With 128 a [`Report`] would take 14 KB in place
/// of 10, and a `dns::Dns`, which has room for as many addresses of each of its names, 102 KB in place of 54.
pub const MAX_DESTINATIONS: usize = 64;
/// The most sockets that a [`connect`](crate::connect) has open at the same time.
pub const MAX_IN_FLIGHT: usize = 32;
/// How many attempts the timeline of a [`connect`](crate::connect) remembers.
const RECORDS: usize = 128;

/// With room for a plan, which without a memory is that of the whole race.
pub(crate) type WasiConnectDriver = ConnectDriver<
    WasiStack,
    MAX_DESTINATIONS,
    MAX_IN_FLIGHT,
    RECORDS,
    MAX_DESTINATIONS,
    Planned<MAX_DESTINATIONS>,
>;

/// What a race did. Owns its record: some 10 KB.
#[derive(Debug)]
pub struct Report(pub(crate) Box<WasiConnectDriver>);

impl Report {
    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.0.timeline()
    }
}
