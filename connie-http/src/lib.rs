//! HTTP/1.1 for clients (RFC 9110, RFC 9112), over the connection that won the race, or over any connected
//! stream. No allocation; the caller provides the buffer.
//!
//! [`HttpConnection`] sends requests over a connected socket and reads the responses:
//!
//! ```
//! # use connie_core::doc_stack::{Clock, Stack};
//! use connie_core::{Config, RaceDriver, Poller};
//! use connie_http::{Authority, HttpConnection};
//! # let (mut stack, mut clock) = (Stack::default(), Clock::default());
//!
//! let mut race = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), clock.now());
//! race.handle_addresses(&["192.0.2.1:80".parse()?, "[2001:db8::1]:80".parse()?], clock.now());
//! let won = race.run(&mut stack, &mut clock)?;
//!
//! let mut buffer = [0; 1024];
//! let host = Authority::http("name.test", 80);
//! let mut connection = HttpConnection::new(&mut stack, &mut clock, won.socket, host, &mut buffer)?;
//! connection.request("GET", "/", &[("Accept", "text/plain")], b"")?;
//!
//! let mut response = connection.response()?;
//! assert_eq!((response.status(), response.reason()), (200, "OK"));
//! assert_eq!(response.header("content-length"), Some(&b"6"[..]));
//! let mut body = [0; 64];
//! let length = response.read_to_end(&mut body)?;
//! assert_eq!(&body[..length], b"hello\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The names of Python's `http.client` are listed in [`python`], each with what it is called here.
//!
//! To write a connection of your own, see [`parts`]: they read and write octets, and touch no socket.
//!
//! # A connection that opens itself
//!
//! Given addresses in place of a socket, the connection races them when a request needs a connection, and
//! again after the server has closed it:
//!
//! ```
//! # use connie_core::doc_stack::{Clock, Stack};
//! use connie_core::Config;
//! use connie_http::{Authority, HttpConnection, RaceAddresses};
//!
//! let addresses = ["192.0.2.1:80".parse()?, "[2001:db8::1]:80".parse()?];
//! let destinations = RaceAddresses::<_, 16, 4>::new(addresses, Config::all_at_once());
//! let (stack, clock, buffer) = (Stack::default(), Clock::default(), [0; 1024]);
//! let mut connection =
//!     HttpConnection::with_opener(stack, clock, destinations, Authority::http("name.test", 80), buffer)?;
//!
//! connection.request("GET", "/", &[], b"")?;
//! let mut body = [0; 64];
//! assert_eq!(connection.response()?.read_to_end(&mut body)?, 6);
//! connection.close();
//! connection.request("GET", "/again", &[], b"")?;
//! assert_eq!(connection.response()?.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `raw-heads`, off by default, keeps heads as they came beside what is read of them:
//! `HttpConnection::set_keeps_heads`. `defmt`, off by default: errors are `defmt::Format`, for logs of
//! firmware.
//!
//! # Limits
//!
//! | what | limit |
//! |---|---|
//! | the head of a request, the head of a response | the buffer, less the [stored octets](#the-buffer) |
//! | the head of a request, together with a proxy's response to CONNECT | the same |
//! | header fields | no limit but the buffer |
//! | 1xx responses before the final one | [`MAX_INTERIM`] |
//! | a line that begins a chunk, extensions included | [`MAX_CHUNK_LINE`] |
//! | the size of a chunk | [`MAX_CHUNK`] |
//! | the trailer section | [`MAX_TRAILERS`], and what the head leaves of the buffer |
//! | a Content-Length | `u64::MAX` |
//! | the wait for a 100 after `Expect: 100-continue` | [`EXPECT_TIMEOUT`], unless set otherwise |
//! | how often a lost request is repeated | once |
//!
//! # The buffer
//!
//! The end of the buffer stores the value of the `Host` field and, where there is a tunnel, the CONNECT
//! request. The rest is free for heads. Reading a head takes no memory that grows with the head. On a 32-bit
//! machine a connection takes 216 bytes, not counting its buffer and what opens it.

#![no_std]
#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod authority;
mod awaiting;
mod body_decoder;
mod coding;
mod connection;
mod connection_state;
mod error;
mod exchange_state;
mod fields;
mod link;
mod open_connection;
pub mod parts;
#[cfg(doc)]
pub mod python;
mod receive_buffer;
mod received_request;
mod receiving;
mod request;
mod response_head;
mod response_race;
mod sending;
mod socks5;
mod status;
mod syntax;
mod transfer_coding;
mod tunnel;
mod writer;

pub use authority::Authority;
pub use body_decoder::{MAX_CHUNK, MAX_CHUNK_LINE, MAX_TRAILERS};
pub use connection::{EXPECT_TIMEOUT, HttpConnection};
pub use error::HttpError;
pub use exchange_state::MAX_INTERIM;
pub use fields::{Header, Headers};
pub use link::ByRef;
pub use open_connection::{OpenConnection, OpenContext, RaceAddresses};
pub use receiving::Response;
pub use request::{RequestBody, is_idempotent, is_safe_to_race};
pub use response_head::{ResponseHead, Version};
pub use response_race::{
    DEFAULT_RESPONSE_PATIENCE, ResponseOutput, ResponseRace, ResponseRaceConfig, RetryBucket, Side,
};
pub use status::{StatusClass, reason_phrase};
pub use transfer_coding::TransferCoding;

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
