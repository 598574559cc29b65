//! HTTP/1.1 on the connection that won (RFC 9110, RFC 9112).
//!
//! [`HttpConnection`] is the whole client: it sends requests over a connected socket and reads the answers, in a buffer that
//! the caller provides. Under it are three parts that touch no socket and can be used alone: [`RequestHead`] writes a
//! request's head, [`ResponseHead`] reads an answer's, [`BodyDecoder`] finds the body's bytes in what follows.
//!
//! ```
//! # use connie_core::doc_stack::{Clock, Stack};
//! use connie_http::{Host, HttpConnection};
//! use connie_core::{Config, RaceDriver, Poller};
//! # let (mut stack, mut clock) = (Stack::default(), Clock::default());
//!
//! let mut race = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), clock.now());
//! race.handle_addresses(&["192.0.2.1:80".parse()?, "[2001:db8::1]:80".parse()?], clock.now());
//! let won = race.run(&mut stack, &mut clock)?;
//!
//! let mut buffer = [0; 1024];
//! let host = Host::http("name.test", 80);
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
//! Who knows Python's `http.client` finds each of its names in [`python`].
//!
//! # A connection that opens itself
//!
//! Given addresses in place of a socket, the connection races them when a request needs it, and again when the server has closed it
//! meanwhile:
//!
//! ```
//! # use connie_core::doc_stack::{Clock, Stack};
//! use connie_core::Config;
//! use connie_http::{RaceAddresses, Host, HttpConnection};
//!
//! let addresses = ["192.0.2.1:80".parse()?, "[2001:db8::1]:80".parse()?];
//! let destinations = RaceAddresses::<_, 16, 4>::new(addresses, Config::all_at_once());
//! let (stack, clock, buffer) = (Stack::default(), Clock::default(), [0; 1024]);
//! let mut connection =
//!     HttpConnection::with_opener(stack, clock, destinations, Host::http("name.test", 80), buffer)?;
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
//! # Limits
//!
//! | what | limit |
//! |---|---|
//! | a request's head, an answer's head; a request's head and a proxy's answer to CONNECT together | the buffer, less the length of the `Host` value and of the CONNECT request where there is one |
//! | header fields | none but the buffer: as many as fit |
//! | 1xx answers before the final one | [`MAX_INTERIM`] |
//! | a line that begins a chunk, extensions included | [`MAX_CHUNK_LINE`] |
//! | the size of a chunk | [`MAX_CHUNK`] |
//! | the trailer section | [`MAX_TRAILERS`], and what the head leaves free of the buffer |
//! | a Content-Length | `u64::MAX` |
//! | the wait for a 100 after `Expect: 100-continue` | [`EXPECT_TIMEOUT`], unless told otherwise |
//! | times that a lost request is repeated | 1 |
//!
//! On a 32-bit machine a connection takes 200 bytes, beside its buffer and what opens it. Reading a head takes no memory that grows with
//! the head.

#![no_std]
#![forbid(unsafe_code)]

mod body;
mod client;
mod coding;
mod connection;
mod error;
mod exchange;
mod fields;
mod host;
mod inbox;
mod link;
mod open_connection;
#[cfg(doc)]
pub mod python;
mod reply;
mod request;
mod response;
mod response_race;
mod sending;
mod status;
mod syntax;
mod transfer_coding;
mod tunnel;
mod writer;

pub use body::{BodyDecoder, MAX_CHUNK, MAX_CHUNK_LINE, MAX_TRAILERS, Part, Step};
pub use connection::{EXPECT_TIMEOUT, HttpConnection};
pub use error::HttpError;
pub use exchange::MAX_INTERIM;
pub use fields::{Header, Headers};
pub use host::Host;
pub use link::ByRef;
pub use open_connection::{OpenConnection, OpenContext, RaceAddresses};
pub use reply::Response;
pub use request::{RequestBody, RequestHead, RequestKind, is_idempotent, is_safe_to_race};
pub use response::{Framing, HeadScanner, Parsed, ResponseHead, Version};
pub use response_race::{
    DEFAULT_RESPONSE_PATIENCE, ResponseOutput, ResponseRace, ResponseRaceConfig, RetryBucket, Side,
};
pub use status::{StatusClass, reason_phrase};
pub use transfer_coding::TransferCoding;

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
