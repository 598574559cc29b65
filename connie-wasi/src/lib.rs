//! connie over the sockets of WASI 0.2: a WebAssembly component that connects to the address that answers
//! first.
//!
//! A host name often has a dozen addresses. An ordinary client takes the first and, if that is dead, waits a
//! long timeout before the next. [`connect`] tries all of them at once, keeps the first that completes its
//! TCP handshake, closes the rest and goes on with the winner.
//!
//! ```no_run
//! use connie_wasi::{Options, connect};
//! use std::io::{Read, Write};
//!
//! let mut stream = connect(("example.org", 80), &Options::new())?;
//! stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n")?;
//! let mut page = String::new();
//! stream.read_to_string(&mut page)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Build with `--target wasm32-wasip2`, and run with a runtime that gives it the network:
//!
//! ```text
//! cargo build --release --target wasm32-wasip2
//! wasmtime run -S inherit-network=y,allow-ip-name-lookup=y target/wasm32-wasip2/release/program.wasm
//! ```
//!
//! # The parts
//!
//! | part | what it does |
//! |---|---|
//! | [`connect()`] | looks a name up, races, and hands the winner over as a stream that blocks ([`Connected`]) |
//! | [`http1`] | HTTP/1.1 on the winner |
//! | [`WasiStack`], [`WasiPoller`] | the sockets, and one `poll` over everything, for a program that drives the [core](connie_core) itself |
//! | [`NameLookup`] | names, by the runtime, beside a race |
//! | `dns` | names, by name servers that the component asks itself (feature `dns`) |
//! | [`PollSet`] | one `poll` over pollables of the program's own too |
//!
//! `connie-std` has more: socket budgets, a resolver of one's own, proxies. It runs in components too, over
//! this crate.
//!
//! # Features
//!
//! The crate is `no_std` with `alloc`.
//!
//! | feature | what | default |
//! |---|---|---|
//! | `std` | `TcpStream` as a reader and writer of [`std::io`], and errors that turn into its `Error` | yes |
//! | `dns` | name servers asked by the component itself, some 45 KB: `dns::Dns` | no |
//!
//! # Other targets
//!
//! It compiles for every target, so that a workspace with a component in it can be checked as a whole, and
//! its documentation read. Where there is no WASI, the first call that would reach the runtime ends the
//! program.
//!
//! # What it promises
//!
//! - A race never has more sockets open than [`Config::max_in_flight`](connie_core::Config::max_in_flight)
//!   says. When a call returns, none is open but the winner's. Lookups by `dns` have sockets of their own
//!   beside these. Before the race of a name a UDP socket tells by which families the host has a route to the
//!   internet; it sends nothing.
//! - A wake-up costs one `poll` over all attempts, the lookup and the clock, and one more call for each
//!   socket that is ready.
//! - Only a completed handshake wins. std's `TcpStream::connect_timeout` says `Ok` for a refused port on this
//!   target.
//! - It does not trap where the runtime denies it the network or names: it says so in one line.

#![no_std]
#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// This crate itself cannot panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod address;
mod connect;
mod connect_error;
#[cfg(feature = "dns")]
pub mod dns;
mod error;
mod host_lookup;
pub mod http1;
mod lookup;
mod memory;
mod options;
mod poll;
mod report;
mod route;
mod socket;
mod stream;
mod target;
mod wait;

pub use connie_core::{self, Config, Pacing};
pub use wasip2;

pub use connect::{ConnectedSocket, connect, connect_socket};
pub use connect_error::{ConnectError, ConnectErrorKind, ResolveError};
pub use error::{SocketError, describe};
pub use http1::HttpConnection;
pub use lookup::{LookupEvent, NameLookup, RuntimeLookupError};
pub use memory::Memory;
pub use options::{Options, Resolver};
pub use poll::{PollSet, WasiClock};
pub use report::{MAX_DESTINATIONS, MAX_IN_FLIGHT, Report};
pub use socket::{LINGER, WasiSocket, WasiStack};
pub use stream::{Connected, TcpStream};
pub use target::Target;
pub use wait::WasiPoller;

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
