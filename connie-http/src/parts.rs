//! The parts of a connection, for programs that write their own: they read and write octets, and touch no
//! socket.
//!
//! [`RequestHead`] writes the head of a request. [`HeadScanner`] finds the end of a response's head as its
//! octets arrive, [`ResponseHead::parse`] reads it, and its [`framing`](ResponseHead::framing) says how the
//! body ends. [`BodyDecoder`] then finds the body in what follows. [`ReceivedRequest`] is the head of a
//! request, as a server or a proxy receives it. [`Socks5Handshake`] leads a connection
//! through a SOCKS5 proxy, before anything else is sent.
//!
//! ```
//! use connie_http::ResponseHead;
//! use connie_http::parts::{BodyDecoder, BodyPart, ParsedHead, RequestKind};
//!
//! let mut received = *b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
//! let ParsedHead::Complete(head) = ResponseHead::parse(&mut received)? else { panic!("the empty line is there") };
//! let (mut decoder, mut at) = (BodyDecoder::new(head.framing(RequestKind::Other)?), head.len());
//! let mut body = Vec::new();
//! while !decoder.is_done() {
//!     let step = decoder.step(&received[at..], usize::MAX)?;
//!     if step.part == BodyPart::Content {
//!         body.extend_from_slice(&received[at + step.skip..at + step.consumed()]);
//!     }
//!     at += step.consumed();
//! }
//! assert_eq!(body, b"hello");
//! # Ok::<(), connie_http::HttpError>(())
//! ```

#[cfg(doc)]
use crate::ResponseHead;

pub use crate::body_decoder::{BodyDecoder, BodyPart, BodyStep};
pub use crate::received_request::{InvalidRequest, ReceivedRequest};
pub use crate::request::{RequestHead, RequestKind};
pub use crate::response_head::{BodyFraming, HeadScanner, ParsedHead};
pub use crate::socks5::{Socks5Error, Socks5Handshake, Socks5Host, Socks5Output};
