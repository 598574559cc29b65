//! Connect to the address that answers first.
//!
//! A host name often has a dozen addresses. An ordinary client takes the first and, if that is dead, waits a
//! long timeout before the next. [`connect`] tries all of them at once, keeps the first that completes its
//! TCP handshake, closes the rest and goes on with the winner.
//!
//! ```
//! use connie_std::{Options, connect};
//! use std::net::TcpListener;
//!
//! // Two addresses, of which the first refuses.
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let addresses = ["127.0.0.1:1".parse().unwrap(), server.local_addr()?];
//!
//! let stream = connect(&addresses, &Options::default())?;
//! assert_eq!(stream.peer_addr()?, server.local_addr()?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`TlsConnector`] does the same with TLS, where an address has to complete that handshake too.
//! [`HttpConnection`] and [`HttpsConnection`] look a host up, race for each connection, and speak HTTP/1.1
//! over the winner:
//!
#![cfg_attr(feature = "tls", doc = "```no_run")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! use connie_std::HttpsConnection;
//!
//! let mut connection = HttpsConnection::new("example.org", 443)?;
//! connection.request("GET", "/", &[], b"")?;
//! let page = std::io::read_to_string(connection.response()?)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`Connected`] derefs to [`std::net::TcpStream`] and carries the race's timeline. [`OsStack`] and [`OsPoller`] are the
//! parts, for a program that drives the [core](connie_core) itself. With a [`Memory`] nearly all visits to a host but the first start one address alone. With the feature `tokio` the race is also a future, and with `tokio-tls` that to the
//! end of TLS.
//!
//! # Features
//!
//! | feature | what | default |
//! |---|---|---|
//! | `tls` | TLS by rustls, and HTTPS | yes |
//! | `gzip` | bodies that were sent compressed: `http1::Decoded` | yes |
//! | `br`, `zstd` | such bodies in Brotli and Zstandard, too | no |
//! | `getaddrinfo` | the system's resolver asked for each family separately | yes |
//! | `dns` | DNS spoken directly: `dns` | no |
//! | `tokio` | the race as a future of tokio: `tokio_net` | no |
//! | `tokio-tls` | the race to the end of TLS as one: `tokio_net::TlsConnector` | no |
//! | `tracing` | an event of tracing for each race | no |
//! | `serde` | reports as JSON, or in any other format of serde | no |
//!
//! # How long a connect may take
//!
//! [`Options::deadline`] limits all of it: resolution, the race and, with TLS, the handshake. What comes after, such as an answer of HTTP, has limits of
//! its own.
//!
//! | what connects | default | set by |
//! |---|---|---|
//! | [`connect`](connect()), `tokio_net::connect`, both `TlsConnector`s, in WASI too | 30 s | [`Options::deadline`], `None` for no limit |
//! | [`HttpConnection`], `HttpsConnection`, `http1::AnyConnection` | 30 s for each connection that they open | the same, and `set_deadline`: the sooner counts |
//! | `connie-hyper` | 30 s | the same; a timeout of the client around it drops the race |
//! | `connie-ureq` | 30 s | the same, and the agent's `timeout_connect` and others: the sooner counts |
//! | `tokio_net::OrderedResolver` | 5 s for its own race | an earlier deadline |
//! | `connie-async`, `connie-wasi` | 30 s | `Options::deadline` of that crate, `None` for no limit |
//! | `connie-core`, `connie-smoltcp` | no limit | `Config::deadline`, which [`Options::race`](Options::race()) takes over here |
//! | C | no default: each call takes it | `timeout_ms`, 0 for no limit |
//! | Python | none, as `socket.create_connection` | `timeout=`, `socket.setdefaulttimeout` |
//! | `connie`, the program | 300 s, as curl | `--connect-timeout`, `-m` |
//!
//! # In a WebAssembly component
//!
//! On WASI 0.2 (`wasm32-wasip2`) the same functions run over `connie-wasi`, with names from the runtime. Leave the features `getaddrinfo`,
//! `tls`, `dns` and `tokio` out there. [`Connected`] derefs to the stream of `connie-wasi`, since std's cannot be made of a socket. A
//! loser whose handshake is complete is closed in order, since WASI cannot reset. There is no other thread, so a
//! [`Canceler`] is checked between two waits.
//!
//! # What it promises
//!
//! - A race never has more sockets open than [`Config::max_in_flight`](connie_core::Config::max_in_flight) allows, and needs no
//!   other descriptor where the addresses are known, but with a memory: for a moment a UDP socket for each family,
//!   which tells the network. Resolution of a name takes its own while it runs: with the
//!   system's resolver one pipe until the last answer is there; for a moment a UDP socket for each answer, to learn
//!   its source address (RFC 6724); and before that two or three, to learn which routes the host has. When the call returns, only the winner's is open.
//! - A wake-up costs one `poll` over all attempts and one more system call for each socket that is ready; on Linux the winner costs
//!   a third, which asks whether it has a peer.
//! - Only a completed handshake wins: writable with an error pending is a failure.
//! - Losers are aborted: a peer that has completed its handshake is sent a reset, and neither side is left in TIME-WAIT.

// One function is allowed to: `was_retransmitted`, which asks the kernel what no library asks it safely.
#![deny(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(
    target_os = "wasi",
    any(feature = "tls", feature = "dns", feature = "getaddrinfo", feature = "tokio")
))]
compile_error!(
    "on WASI the runtime has the names, and there is no TLS: leave the features away (default-features = false)"
);

#[cfg(not(target_os = "wasi"))]
mod beside;
mod block_on;
mod budget;
mod budget_state;
#[cfg_attr(target_os = "wasi", path = "wasi/cancel.rs")]
mod cancel;
#[cfg_attr(target_os = "wasi", path = "wasi/clock.rs")]
mod clock;
mod connect;
mod connect_operation;
mod connected;
#[cfg(feature = "dns")]
pub mod dns;
mod egress;
#[cfg(not(target_os = "wasi"))]
mod errno;
mod error;
mod error_chain;
mod filter;
mod hosts;
pub mod http1;
mod limits;
#[cfg(not(target_os = "wasi"))]
mod local_ports;
pub mod memory;
mod note;
#[cfg(not(target_os = "wasi"))]
mod notifier;
mod observation;
mod observer;
mod options;
#[cfg_attr(target_os = "wasi", path = "wasi/os_error.rs")]
mod os_error;
#[cfg(not(target_os = "wasi"))]
mod pollable;
mod poller;
mod process;
mod report;
pub mod resolve;
mod retransmitted;
#[cfg(feature = "serde")]
mod serialized;
mod setup_step;
#[cfg_attr(target_os = "wasi", path = "wasi/socket.rs")]
mod socket;
#[cfg(not(target_os = "wasi"))]
mod socket_options;
mod target;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio_net;
#[cfg(feature = "tracing")]
mod trace;
#[cfg_attr(target_os = "wasi", path = "wasi/wait.rs")]
mod wait;
mod zone;

pub use budget::SocketBudget;
pub use cancel::Canceler;
pub use clock::OsClock;
pub use connect::{connect, connect_socket};
pub use connected::Connected;
pub use connie_core;
pub use connie_core::{Config, Families, Family, Pacing};
pub use error::{ConnectError, ConnectErrorKind};
pub use filter::{AddressFilter, InvalidIpNetwork, IpNetwork};
pub use hosts::MAX_HOSTS;
pub use http1::HttpConnection;
#[cfg(feature = "tls")]
pub use http1::HttpsConnection;
pub use memory::Memory;
pub use observer::{Observed, Observer, RaceOutcome};
pub use options::{MAX_DESTINATIONS, MAX_IN_FLIGHT, Options, Override};
pub use os_error::OsError;
pub use poller::{OsPoller, SleepPoller};
pub use report::{FailedQuery, NextPlan, Report};
pub use setup_step::SetupStep;
pub use socket::{OsSocket, OsStack};
#[cfg(not(target_os = "wasi"))]
pub use socket_options::{Keepalive, OnSocket, Purpose, SocketOptions};
pub use target::Target;
#[cfg(feature = "tls")]
pub use tls::{
    FinishLine, TlsConnector, TlsError, TlsOptions, TlsSetupError, TlsSocket, TlsStack, TlsStream,
};

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
