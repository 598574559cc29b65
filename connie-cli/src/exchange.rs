//! One exchange over one connection, whatever that runs over.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::Duration;

use connie_core::{RaceStack, Waiter};
use connie_http::{HttpConnection, HttpError, RequestBody, Version};
use connie_std::OsWaiter;

use crate::request::Request;

/// A connection that requests go out on, one after the other: plain, or within TLS.
pub trait Exchange {
    /// How long all that follows may take, and how long a body waits for the server to ask for it.
    fn limit(&mut self, left: Option<Duration>, expect: Option<Duration>);
    /// Sends a request whose body is in memory.
    fn send_whole(&mut self, request: &Request, body: &[u8]) -> Result<(), HttpError>;
    /// Sends the head of a request whose body follows.
    fn send_head(&mut self, request: &Request) -> Result<(), HttpError>;
    /// Whether the server still listens to the body.
    fn wants_body(&self) -> bool;
    fn send(&mut self, piece: &[u8]) -> Result<(), HttpError>;
    fn finish_body(&mut self) -> Result<(), HttpError>;
    /// Waits for the answer's head.
    fn answer(&mut self) -> Result<Answer, HttpError>;
    /// Reads some of the answer's body; 0 at its end.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, HttpError>;
    /// How much of the answer's body is still to come; `None` where nobody knows.
    fn remaining(&mut self) -> Option<u64>;
    /// Whether there is still a connection.
    fn is_open(&self) -> bool;
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub reason: String,
    /// The head as it was sent, but for white space around values.
    pub head: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    /// How long the body is, where that is known.
    pub length: Option<u64>,
}

impl Answer {
    /// The value of the first field with this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// How many fields its head has.
    pub fn fields(&self) -> usize {
        self.headers.len()
    }

    /// Its version of HTTP.
    pub fn version(&self) -> &'static str {
        if self.head.starts_with(b"HTTP/1.0") { "1.0" } else { "1.1" }
    }

    /// Whether the connection may serve for more: the body's end can be told from the connection's, and the server does not announce that.
    pub fn keeps_connection(&self) -> bool {
        let framed = self.length.is_some() || self.header("transfer-encoding").is_some();
        let closes = self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        framed && !closes
    }
}

impl Answer {
    /// What has been done to the body, the last coding last.
    #[cfg(feature = "gzip")]
    pub fn codings(&self) -> Vec<u8> {
        let fields = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
        fields.map(|(_, value)| value.as_slice()).collect::<Vec<_>>().join(&b","[..])
    }
}

/// The body of an answer as a reader, whose errors hold the [`HttpError`].
/// Counts what it reads.
pub struct BodyReader<'a>(pub &'a mut dyn Exchange, pub &'a Cell<u64>);

impl Read for BodyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out).map_err(io::Error::other)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

impl<S: RaceStack> Exchange for HttpConnection<S, OsWaiter, Vec<u8>>
where
    OsWaiter: Waiter<S>,
{
    fn limit(&mut self, left: Option<Duration>, expect: Option<Duration>) {
        let now = Waiter::<S>::now(self.parts_mut().1);
        self.set_deadline(left.map(|left| now + left));
        if let Some(expect) = expect {
            self.set_expect_timeout(expect);
        }
    }

    fn send_whole(&mut self, request: &Request, body: &[u8]) -> Result<(), HttpError> {
        let mut headers = vec![("Host", request.host.as_str())];
        headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.request(&request.method, &request.target, &headers, body)
    }

    fn send_head(&mut self, request: &Request) -> Result<(), HttpError> {
        self.put_request_for(&request.method, &request.target, &request.host)?;
        for (name, value) in &request.headers {
            self.put_header(name, value.as_bytes())?;
        }
        self.end_headers(request.body)
    }

    fn wants_body(&self) -> bool {
        HttpConnection::wants_body(self)
    }

    fn send(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        HttpConnection::send(self, piece)
    }

    fn finish_body(&mut self) -> Result<(), HttpError> {
        HttpConnection::finish_body(self)
    }

    fn answer(&mut self) -> Result<Answer, HttpError> {
        let response = self.response()?;
        let head = response.head();
        let version = match head.version() {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        let mut bytes = format!("{version} {:03} {}\r\n", head.status(), head.reason()).into_bytes();
        let mut headers = Vec::new();
        for header in head.headers() {
            bytes.extend_from_slice(header.name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(header.value);
            bytes.extend_from_slice(b"\r\n");
            headers.push((header.name.to_owned(), header.value.to_vec()));
        }
        bytes.extend_from_slice(b"\r\n");
        Ok(Answer {
            status: head.status(),
            reason: head.reason().to_owned(),
            head: bytes,
            headers,
            length: response.remaining(),
        })
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, HttpError> {
        self.response()?.read(out)
    }

    fn remaining(&mut self) -> Option<u64> {
        self.response().ok()?.remaining()
    }

    fn is_open(&self) -> bool {
        HttpConnection::is_open(self)
    }
}

/// Whether `request` can go out at once with its body, `bytes`.
pub fn is_whole(request: &Request, bytes: &[u8]) -> bool {
    request.body == RequestBody::of(&request.method, bytes)
}
