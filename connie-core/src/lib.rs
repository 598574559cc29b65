//! Connect to the address that answers first, anywhere: no `std`, no allocation, no socket more than was
//! given.
//!
//! A [`Race`] is given the addresses of a host and decides when to try which, with at most `k` connection
//! attempts in flight; the first that completes its TCP handshake wins and the rest are canceled. It owns no
//! socket and no clock. Its user reports what happened ([`handle_input`](Race::handle_input)), asks what to
//! do ([`poll_output`](Race::poll_output)) until the answer [ends the drain](Output::ends_drain), and then
//! sleeps until the time that the answer named or until something happens. Time only comes in as an argument.
//! Waking late, early or for nothing is just another poll; results that come late, twice or for unknown
//! attempts change nothing; a race with a deadline ends by it, and one that has ended leaves no attempt open.
//!
//! ```
//! use connie_core::{AttemptId, Config, Failure, Input, Instant, Output, Race};
//! use core::net::SocketAddr;
//! # struct Sockets; impl Sockets {
//! #     fn open(&mut self, _: AttemptId, _: SocketAddr) {}
//! #     fn close(&mut self, _: AttemptId) {}
//! #     fn wait(&mut self, _: Option<Instant>) -> Option<Input<'static>> { None }
//! #     fn now(&self) -> Instant { Instant::from_millis(20_000) }
//! # }
//!
//! /// The whole drive loop, over whatever the program calls its sockets.
//! fn drive(race: &mut Race, sockets: &mut Sockets) -> Result<AttemptId, Failure> {
//!     loop {
//!         let until = match race.poll_output(sockets.now()) {
//!             Output::StartAttempt { id, destination } => {
//!                 sockets.open(id, destination);
//!                 continue;
//!             }
//!             Output::CancelAttempt { id } => {
//!                 sockets.close(id);
//!                 continue;
//!             }
//!             Output::WaitUntil(until) => Some(until),
//!             Output::WaitForInput => None,
//!             Output::Established { id, .. } => return Ok(id),
//!             Output::Failed(failure) => return Err(failure),
//!         };
//!         if let Some(input) = sockets.wait(until) {
//!             race.handle_input(input, sockets.now());
//!         }
//!     }
//! }
//! # let config = Config::default().deadline(Some(core::time::Duration::from_secs(10)));
//! # let mut race = Race::new(&config, Instant::ZERO);
//! # assert_eq!(drive(&mut race, &mut Sockets), Err(Failure::DeadlineExceeded));
//! ```
//!
//! # The parts
//!
//! | part | what it does |
//! |---|---|
//! | [`Race`] | decides; its [module](race) has the rules, the laws and the state diagram |
//! | [`Connect`] | a race from a host's text on: what is asked for a name, and what answers mean; its [module](connect) has the rules |
//! | [`RaceDriver`], [`ConnectDriver`] | drive a race, or a connect, over a TCP stack, and own its sockets |
//! | [`RaceStack`], [`Poller`] | what a TCP stack must promise, and what the program provides: a clock and a wait over sockets |
//! | [`NalCompat`] | any embedded-nal `TcpClientStack` as a `RaceStack`, within limits |
//! | [`Memory`](memory::Memory) | what races have learnt: with it one SYN is enough on nearly every visit but the first; its [module](memory) has the rules |
//! | [`Timeline`] | what a race did, as a table, a waterfall, JSON or qlog |
//!
//! `connie-http` speaks HTTP/1.1 on the winner. `connie-std` brings the operating system's sockets and a
//! `connect()` that does it all.
//!
//! # Features
//!
//! `defmt`, off by default: errors, events and outcomes are `defmt::Format`, for logs of firmware.
//!
//! # Fewer sockets than addresses
//!
//! A race with `k` sockets and `n` addresses is never stuck behind dead ones: an attempt that has used up its
//! [patience](Config::patience) gives its socket to an address that waits, and comes back later with twice
//! the patience. Every address that is known at the start is first tried within `(⌈n/k⌉ − 1) · patience`.

#![no_std]
#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The verbs of the tests of a race, for the tests of its prints: the file is that of the tests in tests/.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
extern crate self as connie_core;
#[cfg(test)]
extern crate std;

pub mod connect;
#[doc(hidden)]
pub mod doc_stack;
mod driver;
mod empty;
pub mod memory;
pub mod plain;
pub mod race;
pub mod resolution;
pub mod stack;
mod time;
pub mod timeline;
pub mod verdict;

pub use embedded_nal;

pub use connect::Connect;
pub use driver::{ConnectDriver, Connection, Driver, Machine, Progress, RaceDriver, TurnResult};
pub use race::{
    AttemptError, AttemptErrorKind, AttemptId, AttemptOutcome, Config, Failure, Families, Family, Input,
    Output, Pacing, Race, TlsFailure,
};
pub use stack::{Interest, NalCompat, PollEntry, PollResult, Poller, RaceStack};
pub use time::Instant;
pub use timeline::Timeline;

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
