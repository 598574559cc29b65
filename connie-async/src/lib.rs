//! connie's race under the async network stacks of microcontrollers:
//! [embedded-nal-async](embedded_nal_async), embassy-net, edge-nal.
//!
//! Such a stack connects to one address, and its lookup gives one: where that is dead, the program waits.
//! [`RaceConnect`] stands between the stack and the program. It is itself an embedded-nal-async `Dns` and
//! `TcpConnect`, so a client written against these, such as reqwless, takes it as it is and races all
//! addresses of a host without knowing. No `std`, no allocation, no `unsafe` (but for one
//! module of `tls`); never more than `SOCKETS` connects at a time.
//!
//! ```
//! use connie_async::{Options, PlainDns, RaceConnect};
//! # use connie_async::doc_stack::{Stack, SystemClock};
//! # use embedded_io_async::{Read, Write};
//! # async_io::block_on(async {
//! // On a microcontroller: embassy-net's TcpClient, a `dns::Dns` and EmbassyClock; see `embassy_net`.
//! let (tcp, names, clock) = (Stack, PlainDns(Stack), SystemClock::default());
//! let net = RaceConnect::new(tcp, names, clock, Options::new());
//!
//! let mut connection = net.connect(("many.test", 80), &Options::new()).await.unwrap();
//! assert_eq!(connection.destination().to_string(), "192.0.2.1:80");
//! connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
//! # let mut page = [0; 64];
//! # assert!(connection.read(&mut page).await.unwrap() > 0);
//! # });
//! ```
//!
//! Names come from [`dns::Dns`], a client over the stack's UDP, or from the stack itself by [`PlainDns`].
//!
//! # From two calls to one race
//!
//! `Dns::get_host_by_name` answers with one address, and `TcpConnect::connect` takes one. So `RaceConnect`
//! remembers the last `NAMES` lookups, and answers each with one of its addresses, which *stands for* the
//! name from then on:
//!
//! - **A lookup** asks for both families side by side. It answers when both have, or
//!   [`resolution_delay`](RaceConnect::with_resolution_delay) (15 ms) after the first that brought an
//!   address. A family that fails does not make the name fail.
//! - **A connect** to an address that stands for a name races all addresses of the name, to whatever port it
//!   was asked for. A family whose answer had not come is asked for again meanwhile, and joins. The zone of
//!   an address (`fe80::1%2`), which the traits' own cannot carry, is kept with what it stands for.
//! - **A connect to any other address** is a race of that address alone, which has a deadline and a second
//!   attempt where the first stays silent.
//! - **Two names with an address in common** are distinguished by standing behind different addresses. Where
//!   that cannot be, since all addresses of one stand for others, only what the names have in common is
//!   raced: no program is led to a server of another name. What a program connects to without having looked
//!   it up cannot be distinguished from a name's address.
//!
//! [`RaceConnect::connect`] does both in one call, for programs that need not go through the traits. To call
//! the trait's own method name the trait: `TcpConnect::connect(&net, address)`.
//!
//! Either way [`Connect`](connie_core::Connect) of connie-core decides: what is asked for a name and what is
//! not (`localhost`, `.invalid`), in which order addresses are tried (RFC 6724), what is waited for, and with
//! the feature `nat64` how IPv4 is reached without IPv4.
//!
//! # Giving up
//!
//! Dropping the future of a connect drops the futures of all its attempts, and with them their sockets. So
//! losers end as well. What their peers see depends on the stack. embassy-net (0.9) forgets such a socket and
//! sends nothing: a SYN-ACK that comes later is answered with a reset, and a peer whose handshake was
//! complete learns of it when it next sends. On an operating system the socket is closed.
//!
//! # Sharing
//!
//! All is by `&self`, and many connects and lookups may be under way at the same time, each with up to
//! `SOCKETS` attempts. `RaceConnect` is for the tasks of one executor: it is not `Sync`, as embassy-net's
//! `Stack` is not; nor is `Dns`. No borrow of what is remembered lasts over an `await`.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `defmt` | errors are `defmt::Format` |
//! | `embassy-net` | `dns::Dns` over an embassy-net `Stack`; brings `embassy-time` |
//! | `embassy-net-ipv6` | the same for IPv6 |
//! | `embassy-time` | `EmbassyClock` |
//! | `embedded-tls` | `tls::embedded`: TLS 1.3 by embedded-tls, for `tls` |
//! | `edge-nal` | `RaceConnect` implements edge-nal's `Dns` and `TcpConnect` as well, over a stack that does; `dns::Dns` over its UDP |
//! | `p384` | certificates of P-384 too |
//! | `tls` | `connie_async::tls`: the race goes to the end of the TLS handshake |
//! | `nat64` | IPv4 addresses from a network of IPv6 alone, through its NAT64 (RFC 8305 section 7): up to 8 addresses of each family |

#![no_std]
#![cfg_attr(not(feature = "tls"), forbid(unsafe_code))]
// One module of `tls` has some.
#![deny(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![expect(
    async_fn_in_trait,
    reason = "as in embedded-nal-async: such futures stay on their executor, and need not be Send"
)]

mod alarm;
mod attempts;
mod clock;
mod connection;
pub mod dns;
#[doc(hidden)]
pub mod doc_stack;
mod drive;
#[cfg(feature = "edge-nal")]
pub mod edge_nal;
#[cfg(feature = "embassy-net")]
pub mod embassy_net;
mod error;
mod hosts;
mod known_names;
mod lookup;
mod nal;
mod options;
mod queries;
mod race_connect;
mod sources;
mod target;
#[cfg(feature = "tls")]
pub mod tls;
mod within;

pub use connie_core::{self, Config, Pacing};
pub use embedded_nal_async;

pub use clock::Clock;
#[cfg(feature = "embassy-time")]
pub use clock::EmbassyClock;
pub use connection::Connection;
pub use error::{ConnectionError, ResolveError};
pub use lookup::{AddressList, Lookup, PlainDns};
pub use options::Options;
pub use race_connect::RaceConnect;
pub use target::Target;
pub use within::{TimedOut, within};

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
