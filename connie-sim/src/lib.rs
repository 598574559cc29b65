//! A small internet in virtual time, to race connections over.
//!
//! Every [host](SimHost) does what its script says: it accepts, refuses, stays silent, loses SYNs, serves a
//! page. A [`SimStack`] with a bounded number of sockets leads there, and a [`SimClock`] that jumps from
//! event to event takes the place of waiting. Both implement the traits of `connie-core`, so that its driver
//! and its HTTP connection run over them unchanged; no real socket and no real clock is ever touched.
//! Whatever is random derives from one seed, see [`seeds`].
//!
//! A [`Scenario`] puts all of it together, and reads as prose:
//!
//! ```
//! use connie_sim::{Scenario, hang, ok};
//!
//! Scenario::staggered()
//!     .v6(hang())
//!     .v4(ok(20))
//!     .run()
//!     .starts("6a@0 4a@250")
//!     .connects("4a", 270);
//! ```
//!
//! Addresses are named by family and letter: `6a` is the first IPv6 address, `4c` the third IPv4 one. All are
//! documentation addresses, see [`address`].
//!
//! As it runs, the simulation holds the race to its laws: a wait that does not lead into the future, more
//! sockets than were allowed, a socket never released, a race past its deadline and the like end in a panic
//! that says which law was broken. A [`ConnectReferee`] does the same for a bare `Connect`, a [`Referee`] for
//! a bare `Race`, and a [`Bench`] drives one step by step.

mod bench;
mod bound;
mod by_hand;
mod clock;
mod connect_referee;
pub mod courtesy;
pub mod demo;
mod driver;
mod host;
mod label;
pub mod name_servers;
mod outcome;
mod random;
mod random_names;
mod recording;
mod referee;
mod resolver;
mod rng;
mod scenario;
pub mod service;
pub mod sites;
mod stack;
mod stream;
mod tally;
mod tasks;
mod translator;
mod verify;
mod visits;
pub mod words;

pub use bench::{Bench, BenchOutput, cancels, connects, fails, starts, waits_for_input, waits_until};
pub use bound::Bound;
pub use clock::SimClock;
pub use connect_referee::{ConnectCapacity, ConnectReferee};
pub use driver::{ConnectDriver, RaceDriver};
pub use host::{SimHost, hang, no_route, ok, refuse, unreachable};
pub use label::{address, addresses, label, numbered};
pub use outcome::{Ending, RaceOutcome};
pub use random::{RandomNetwork, Sharing, anything, sharing, steady};
pub use random_names::any_name;
pub use recording::Recording;
pub use referee::Referee;
pub use rng::{Rng, seeds};
pub use scenario::{Live, Scenario};
pub use stack::{SimError, SimSocket, SimStack};
pub use tally::Tally;
pub use tasks::{CrowdResult, TaskFault, Tasks};
pub use visits::{SimVisit, Visits};

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
