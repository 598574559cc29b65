//! Visits over a kernel: a client fetches a page of one host again and again, each time over a connection of
//! its own, and the wire says what that cost.
//!
//! - [`Network`]: where a host's addresses are, and what happens to them from visit to visit. [`networks`]
//!   are all of them.
//! - [`Visitor`]: a client. [`Process`] is one that is a program.
//! - [`go`]: lets a visitor make its visits in a laboratory.

mod course;
mod networks;
mod process;
mod server;

pub use course::{Course, Seen, Visitor, go};
pub use networks::{Cost, Network, networks};
pub use process::{Process, VISIT_LIMIT};

/// The host that is visited, on port 80.
pub const HOST: &str = "www.name.test";
