//! HTTP/1.1 for programs with std: connections that find their server by name, own their buffers, and hand bodies out as
//! [`std::io::Read`].
//!
//! [`HttpConnection`] and [`HttpsConnection`] are the [core's](connie_http::HttpConnection), with an opener that resolves the host's
//! name and races for each connection. All their methods are those of [`Client`].
//!
//! ```no_run
//! use connie_std::http::HttpsConnection;
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

mod client;
#[cfg(feature = "gzip")]
mod decode;
mod error;
mod response;
mod transport;

#[cfg(feature = "tls")]
pub use client::HttpsConnection;
pub use client::{Client, HttpConnection};
#[cfg(feature = "gzip")]
pub use decode::{ACCEPT_ENCODING, DecodeError, Decoded, MAX_CODINGS, UnsupportedCoding};
pub use error::ClientError;
pub use response::Response;
pub use transport::Transport;
