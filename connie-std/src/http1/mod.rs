//! HTTP/1.1 for programs with std: connections that find their server by name, own their buffers, and hand
//! bodies out as [`std::io::Read`].
//!
//! [`HttpConnection`], [`HttpsConnection`] and [`AnyConnection`] are the
//! [core's](connie_http::HttpConnection), with an opener that resolves the host's name and races for each
//! connection. All their methods are those of [`Client`].
//!
//! ```no_run
//! use connie_std::http1::HttpsConnection;
//! use std::io::Read;
//!
//! let mut connection = HttpsConnection::new("example.org", 443)?;
//! for page in ["/", "/about"] {
//!     connection.request("GET", page, &[("Accept", "text/html")], b"")?;
//!     let mut response = connection.response()?;
//!     let mut body = String::new();
//!     response.read_to_string(&mut body)?;
//!     println!("{} {}: {} bytes", response.status(), response.reason(), body.len());
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg(feature = "tls")]
mod any_stack;
mod client;
#[cfg(feature = "gzip")]
mod decode;
mod error;
mod first_address;
mod first_byte;
mod race_connect;
mod response;
mod response_race;
mod socks5;
mod transport;

#[cfg(feature = "tls")]
pub use any_stack::{AnySocket, AnyStack, connect_plain_socket};
#[cfg(feature = "tls")]
pub use client::HttpsConnection;
pub use client::{AnyConnection, Client, HttpConnection};
#[cfg(feature = "gzip")]
pub use decode::{ACCEPT_ENCODING, DecodeError, Decoded, MAX_CODINGS, UnsupportedCoding};
pub use error::ClientError;
pub use race_connect::OpeningRecord;
pub use response::Response;
pub use response_race::{NoResponse, ResponseFinish, ResponseRecord, RetryBudget, SecondRecord};
pub use socks5::Socks5Proxy;
pub use transport::Transport;

/// A stack of either kind, of which there is one without the feature `tls`.
#[cfg(not(feature = "tls"))]
pub type AnyStack = crate::OsStack;

#[cfg(not(feature = "tls"))]
pub use crate::connect::connect_socket as connect_plain_socket;

/// A socket of an [`AnyStack`].
#[cfg(not(feature = "tls"))]
pub type AnySocket = crate::OsSocket;
