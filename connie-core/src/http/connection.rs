//! One HTTP/1.1 connection: sends requests, one after the other, and hands out their answers.

use core::fmt;
use core::time::Duration;

use embedded_nal::nb;

use super::body::BodyDecoder;
use super::error::HttpError;
use super::host::Host;
use super::link::{Lent, Link};
use super::reply::{Inbox, Response};
use super::request::{RequestBody, RequestHead, RequestKind};
use super::response::Framing;
use super::syntax::{copy, spell};
use crate::race::AttemptError;
use crate::stack::{Interest, RaceStack, Waiter};
use crate::time::Instant;

/// The most answers of status 1xx that are passed over before the final one. 101 is a final one.
pub const MAX_INTERIM: u8 = 16;

/// How often a body that cannot be sent for the moment lets the connection look for an early answer.
const EARLY_ANSWER_PAUSE: Duration = Duration::from_millis(100);

/// A connection to one server, in the manner of Python's `http.client.HTTPConnection`.
///
/// Requests go out one after the other: [`request`](Self::request), [`response`](Self::response), read the body to its end, and
/// again, as long as [`is_open`](Self::is_open). A body can also be sent in pieces: [`put_request`](Self::put_request),
/// [`put_header`](Self::put_header), [`end_headers`](Self::end_headers), [`send`](Self::send),
/// [`finish_body`](Self::finish_body).
///
/// `B` is the buffer, anything from an array to a `Vec`. It holds the request's head, then the answer's head, then what was
/// received beyond it; the last bytes hold the `Host` value. 1 KiB serves plain servers, 8 KiB most, 64 KiB is what desktop
/// clients allow. Bodies do not have to fit: they go from the stack to the caller's slice.
///
/// # The socket
///
/// The connection owns the socket and the stack (or a borrow of it), so it can keep this promise: the socket is released exactly once.
/// It is closed by [`close`](Self::close), by dropping the connection, or as soon as an answer that ends the connection has been read; it is
/// reset by an error, and where a body is abandoned unread. [`take_socket`](Self::take_socket) hands it out instead.
///
/// # Time
///
/// Every wait ends with [`HttpError::TimedOut`] at the [deadline](Self::set_deadline), or when the [time-out](Self::set_timeout) has
/// passed without a byte, and with [`HttpError::Canceled`] when the waiter says so. While an answer is read, nothing is lost by that: call again.
/// While a request is sent it ends the connection, since nobody knows how much has arrived.
///
/// ```
/// # use connie_core::doc_stack::{Clock, Stack};
/// # use connie_core::stack::TcpClientStack;
/// use connie_core::http::{Host, HttpConnection};
/// # let (mut stack, mut clock) = (Stack::default(), Clock::default());
/// # let socket = stack.socket().unwrap();
///
/// let mut buffer = [0; 512];
/// let mut connection = HttpConnection::new(&mut stack, &mut clock, socket, Host::http("::1", 80), &mut buffer)?;
/// connection.set_timeout(Some(core::time::Duration::from_secs(10)));
/// connection.request("POST", "/log", &[("Content-Type", "text/plain")], b"21 degrees")?;
/// let mut response = connection.response()?;
/// assert_eq!(response.status(), 200);
/// response.discard()?;
/// assert!(connection.is_open());
/// # Ok::<(), connie_core::http::HttpError>(())
/// ```
#[doc(alias = "HTTPConnection")]
pub struct HttpConnection<S: RaceStack, W, B> {
    pub(super) link: Link<S, W>,
    pub(super) buffer: B,
    /// The length of the `Host` value at the end of the buffer.
    host: usize,
    pub(super) phase: Phase,
    pub(super) kind: RequestKind,
    /// Whether the connection may serve another request after this one.
    pub(super) persists: bool,
    /// Whether it has served one before.
    used: bool,
    pub(super) send_failure: Option<AttemptError>,
    pub(super) inbox: Inbox,
    pub(super) decoder: BodyDecoder,
}

impl<S: RaceStack, W, B> fmt::Debug for HttpConnection<S, W, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// How far the exchange has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Between two requests.
    Idle,
    /// A head of this many bytes is in the buffer.
    Heading(usize),
    /// The head is sent; this much of the body is to come.
    Uploading(Left),
    /// The request is complete, or was cut short.
    Waiting,
    /// The answer's body is being read.
    Reading,
    /// What follows is not HTTP.
    Tunnel,
    /// The connection was given up for this reason.
    Failed(HttpError),
}

/// What is to come of a request's body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    Bytes(u64),
    Chunks,
    /// Nothing: the server has answered already, or will not listen any more.
    Refused,
}

impl<'a, S: RaceStack, W: Waiter<S>> HttpConnection<&'a mut S, Lent<'a, W>, &'a mut [u8]> {
    /// A connection over `socket`, which is connected and belongs to `stack`; all else is lent.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`]; the socket is then closed.
    pub fn new(
        stack: &'a mut S,
        waiter: &'a mut W,
        socket: S::TcpSocket,
        host: Host<'_>,
        buffer: &'a mut [u8],
    ) -> Result<Self, HttpError> {
        Self::owning(stack, Lent(waiter), socket, host, buffer)
    }
}

impl<S: RaceStack, W: Waiter<S>, B: AsRef<[u8]> + AsMut<[u8]>> HttpConnection<S, W, B> {
    /// As [`new`](HttpConnection::new), over a stack, a waiter and a buffer that the connection keeps.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`]; the socket is then closed.
    pub fn owning(
        stack: S,
        waiter: W,
        socket: S::TcpSocket,
        host: Host<'_>,
        buffer: B,
    ) -> Result<Self, HttpError> {
        let mut connection = HttpConnection {
            link: Link::new(stack, waiter, socket),
            buffer,
            host: 0,
            phase: Phase::Idle,
            kind: RequestKind::Other,
            persists: true,
            used: false,
            send_failure: None,
            inbox: Inbox::default(),
            decoder: BodyDecoder::new(Framing::Empty),
        };
        connection.keep_host(host)?;
        Ok(connection)
    }

    /// Sends a request: its head, and `body` where that is not empty.
    ///
    /// The head has a `Host` field, or the one among `headers`, and a Content-Length where [`RequestBody::of`] says so; nothing
    /// else is added. `method` is any token and `target` any form of request target: see [`RequestHead::new`].
    ///
    /// It is no error that the server stops listening: it may have answered early, as [`response`](Self::response) will tell.
    ///
    /// # Errors
    ///
    /// Those of [`put_request`](Self::put_request) and [`put_header`](Self::put_header), with nothing sent;
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), HttpError> {
        let framing = RequestBody::of(method, body);
        self.begin(method, target, host_among(headers)?)?;
        let length = match self.write_headers(headers, framing) {
            Ok(length) => length,
            Err(error) => {
                self.phase = Phase::Idle;
                return Err(error);
            }
        };
        // The start of the body goes out with the head, in one segment where it can.
        let joined = copy(body, self.room().get_mut(length..).unwrap_or_default());
        self.begin_upload(length.saturating_add(joined), framing)?;
        self.upload(body.get(joined..).unwrap_or_default())?;
        if !self.is_refused() {
            self.phase = Phase::Waiting;
        }
        Ok(())
    }

    /// Begins a request whose head and body are given in pieces. One that was begun before, and not sent, is forgotten.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendRequest`] while the last exchange is not over, [`HttpError::NotConnected`], [`HttpError::Stale`],
    /// [`HttpError::InvalidMethod`], [`HttpError::InvalidTarget`], [`HttpError::BufferTooSmall`].
    #[doc(alias = "putrequest")]
    pub fn put_request(&mut self, method: &str, target: &str) -> Result<(), HttpError> {
        self.begin(method, target, None)
    }

    /// Adds a header field to the request begun.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendHeader`] where there is none; [`HttpError::ReservedHeader`], [`HttpError::InvalidHeaderName`],
    /// [`HttpError::InvalidHeaderValue`], [`HttpError::BufferTooSmall`], after which the request is as it was.
    #[doc(alias = "putheader")]
    pub fn put_header(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let Phase::Heading(length) = self.phase else {
            return Err(HttpError::CannotSendHeader);
        };
        let mut head = RequestHead::resume(self.room(), length);
        head.header(name, value)?;
        let (length, closes) = (head.length(), head.closes());
        self.phase = Phase::Heading(length);
        self.persists &= !closes;
        Ok(())
    }

    /// Ends the head of the request begun and sends it. With [`RequestBody::None`] the request is complete.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendHeader`], [`HttpError::BufferTooSmall`], [`HttpError::TimedOut`], [`HttpError::Canceled`].
    #[doc(alias = "endheaders")]
    pub fn end_headers(&mut self, body: RequestBody) -> Result<(), HttpError> {
        let length = self.finish_head(body)?;
        self.begin_upload(length, body)
    }

    /// Sends a piece of the body: part of the length announced, or a chunk.
    ///
    /// Once the server has answered or stopped listening the pieces are dropped: see [`wants_body`](Self::wants_body).
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendBody`] where no body is due, [`HttpError::BodyTooLong`], with nothing sent;
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn send(&mut self, data: &[u8]) -> Result<(), HttpError> {
        match self.phase {
            Phase::Uploading(Left::Refused) => Ok(()),
            // A chunk of no bytes would end the body.
            Phase::Uploading(_) if data.is_empty() => Ok(()),
            Phase::Uploading(Left::Bytes(left)) => {
                let given = u64::try_from(data.len()).unwrap_or(u64::MAX);
                let left = left.checked_sub(given).ok_or(HttpError::BodyTooLong)?;
                self.phase = Phase::Uploading(Left::Bytes(left));
                self.upload(data)
            }
            Phase::Uploading(Left::Chunks) => {
                let mut digits = [0; 16];
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.upload(spell::<16>(length, &mut digits))?;
                self.upload(b"\r\n")?;
                self.upload(data)?;
                self.upload(b"\r\n")
            }
            _ => Err(HttpError::CannotSendBody),
        }
    }

    /// Ends the body of the request begun.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendBody`] where no body is due, [`HttpError::BodyTooShort`] where part of the length announced is missing;
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn finish_body(&mut self) -> Result<(), HttpError> {
        match self.phase {
            Phase::Uploading(Left::Bytes(0)) => self.phase = Phase::Waiting,
            Phase::Uploading(Left::Bytes(missing)) => return Err(HttpError::BodyTooShort { missing }),
            Phase::Uploading(Left::Chunks) => {
                self.upload(b"0\r\n\r\n")?;
                if !self.is_refused() {
                    self.phase = Phase::Waiting;
                }
            }
            Phase::Uploading(Left::Refused) => {}
            _ => return Err(HttpError::CannotSendBody),
        }
        Ok(())
    }

    /// Whether the server still listens to the body that is being sent. Where it does not, its answer can be had at once.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        matches!(self.phase, Phase::Uploading(Left::Bytes(1..) | Left::Chunks))
    }

    /// Waits for the answer's head. Answers of status 1xx are passed over, except 101.
    ///
    /// Called again before the next request, it gives the same answer, its body as far as it has been read.
    ///
    /// # Errors
    ///
    /// [`HttpError::ResponseNotReady`] where no request is complete; [`HttpError::EmptyReply`] and all that can be wrong with a head;
    /// [`HttpError::Send`] where the request could not be sent and no answer had come; [`HttpError::Receive`],
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    #[doc(alias = "getresponse")]
    pub fn response(&mut self) -> Result<Response<'_, S, W, B>, HttpError> {
        match self.phase {
            Phase::Waiting | Phase::Uploading(Left::Refused | Left::Bytes(0)) => {
                self.phase = Phase::Waiting;
                self.receive_head()?;
            }
            Phase::Failed(error) => return Err(error),
            Phase::Reading | Phase::Tunnel => {}
            Phase::Idle if self.inbox.has_head() => {}
            _ => return Err(HttpError::ResponseNotReady),
        }
        Ok(Response { connection: self })
    }

    /// Whether there is a connection. It can serve another request once the last answer has been read to its end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.link.release();
        self.phase = Phase::Failed(HttpError::NotConnected);
    }

    /// Goes on over another connected socket to the same host. The one it had, if any, is closed.
    pub fn attach(&mut self, socket: S::TcpSocket) {
        self.link.attach(socket);
        self.phase = Phase::Idle;
        self.inbox = Inbox::default();
        self.used = false;
    }

    /// Hands out the socket, which the caller must then close, with the bytes that were received after the answer's head and have not been
    /// read: for tunnels and other protocols. The connection is closed as far as HTTP is concerned.
    pub fn take_socket(&mut self) -> Option<(S::TcpSocket, &[u8])> {
        let socket = self.link.take()?;
        self.phase = Phase::Failed(HttpError::NotConnected);
        Some((socket, self.inbox.unread(self.buffer.as_ref())))
    }

    /// The longest time without a byte, sent or received, that an operation waits for. Default: for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.link.timeout = timeout;
    }

    /// When everything has to be over. Default: never.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.link.deadline = deadline;
    }

    /// The stack and the waiter.
    pub fn parts_mut(&mut self) -> (&mut S, &mut W) {
        (&mut self.link.stack, &mut self.link.waiter)
    }

    /// The buffer without the `Host` value.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let end = self.capacity();
        self.buffer.as_mut().get_mut(..end).unwrap_or_default()
    }

    /// Gives the connection up.
    pub(super) fn fail(&mut self, error: HttpError) -> HttpError {
        self.link.abort();
        self.phase = Phase::Failed(error);
        error
    }

    /// Writes the `Host` value to the end of the buffer.
    fn keep_host(&mut self, host: Host<'_>) -> Result<(), HttpError> {
        let buffer = self.buffer.as_mut();
        let length = host.write(buffer)?;
        // Not beyond the buffer, since it has just been written there.
        let end = buffer.len().saturating_sub(length);
        if end < length {
            // Less room than a head with this host takes.
            return Err(HttpError::BufferTooSmall);
        }
        let (front, back) = buffer.split_at_mut_checked(end).ok_or(HttpError::BufferTooSmall)?;
        copy(front, back);
        self.host = length;
        Ok(())
    }

    /// Checks that a request can begin, and writes the start of its head.
    fn begin(&mut self, method: &str, target: &str, host: Option<&str>) -> Result<(), HttpError> {
        match self.phase {
            Phase::Idle | Phase::Heading(_) => {}
            Phase::Failed(_) => return Err(HttpError::NotConnected),
            _ => return Err(HttpError::CannotSendRequest),
        }
        self.check_idle()?;
        self.phase = Phase::Idle;
        self.inbox = Inbox::default();
        let end = self.capacity();
        let (room, own) = self.buffer.as_mut().split_at_mut_checked(end).ok_or(HttpError::BufferTooSmall)?;
        // Written as text by `keep_host`.
        let own = core::str::from_utf8(own).unwrap_or_default();
        let head = RequestHead::new(room, method, target, host.unwrap_or(own))?;
        self.phase = Phase::Heading(head.length());
        self.kind = RequestKind::of(method);
        self.persists = true;
        self.send_failure = None;
        Ok(())
    }

    /// RFC 9112 section 9.2: data on a connection without an outstanding request must not be taken for an answer, and "the client
    /// SHOULD close the connection". A fresh connection is spared the call: what a server says there before it is asked (that it
    /// is overloaded, say) can only be meant for the first request.
    fn check_idle(&mut self) -> Result<(), HttpError> {
        if !self.link.is_open() {
            return Err(HttpError::NotConnected);
        }
        if !self.used || matches!(self.link.try_receive(&mut [0]), Err(nb::Error::WouldBlock)) {
            return Ok(());
        }
        self.link.release();
        self.phase = Phase::Failed(HttpError::Stale);
        Err(HttpError::Stale)
    }

    /// Writes the rest of the head begun, and says how long it is.
    fn write_headers(&mut self, headers: &[(&str, &str)], body: RequestBody) -> Result<usize, HttpError> {
        for (name, value) in headers {
            if !name.eq_ignore_ascii_case("host") {
                self.put_header(name, value.as_bytes())?;
            }
        }
        self.finish_head(body)
    }

    fn finish_head(&mut self, body: RequestBody) -> Result<usize, HttpError> {
        let Phase::Heading(length) = self.phase else {
            return Err(HttpError::CannotSendHeader);
        };
        RequestHead::resume(self.room(), length).finish(body)
    }

    /// Sends the first `length` bytes of the buffer, which begin with a head.
    fn begin_upload(&mut self, length: usize, body: RequestBody) -> Result<(), HttpError> {
        self.used = true;
        self.phase = match body {
            RequestBody::None => Phase::Waiting,
            RequestBody::Length(length) => Phase::Uploading(Left::Bytes(length)),
            RequestBody::Chunked => Phase::Uploading(Left::Chunks),
        };
        let mut sent = 0;
        while sent < length {
            let data = self.buffer.as_ref().get(sent..length).unwrap_or_default();
            match self.link.send(data) {
                Ok(count) => sent = sent.saturating_add(count),
                Err(HttpError::Send(reason)) => {
                    self.stop_upload(Some(reason));
                    return Ok(());
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(())
    }

    /// Sends `data`, part of a body, and looks for an early answer where it cannot be sent at once: RFC 9112 section 9.5 has a client
    /// "monitor the network connection for an error response while it is transmitting the request".
    fn upload(&mut self, data: &[u8]) -> Result<(), HttpError> {
        let mut rest = data;
        if rest.is_empty() {
            return Ok(());
        }
        let mut limit = self.link.limit().map_err(|error| self.fail(error))?;
        while !rest.is_empty() && !self.is_refused() {
            match self.link.try_send(rest) {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    limit = self.link.limit().map_err(|error| self.fail(error))?;
                }
                Err(nb::Error::Other(HttpError::Send(reason))) => self.stop_upload(Some(reason)),
                Err(nb::Error::Other(error)) => return Err(self.fail(error)),
                Err(nb::Error::WouldBlock) => {
                    self.hear_early_answer();
                    let pause = Some(EARLY_ANSWER_PAUSE);
                    if !self.is_refused() {
                        self.link.wait(Interest::Send, limit, pause).map_err(|error| self.fail(error))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in what the server has said while it was being sent a body, and stops sending where that is pointless.
    fn hear_early_answer(&mut self) {
        let end = self.capacity();
        let Some(free) = self.inbox.free(self.buffer.as_mut().get_mut(..end).unwrap_or_default()) else {
            return;
        };
        match self.link.try_receive(free) {
            Ok(0) => self.stop_upload(None),
            Ok(count) => {
                self.inbox.received(count);
                if self.is_turned_down() {
                    self.stop_upload(None);
                }
            }
            Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(HttpError::Receive(reason))) => self.stop_upload(Some(reason)),
            Err(nb::Error::Other(_)) => self.stop_upload(None),
        }
    }

    /// Whether an answer has come that makes the rest of the body pointless: one that cannot be read, an error, or one that closes.
    fn is_turned_down(&mut self) -> bool {
        let (kind, end) = (self.kind, self.capacity());
        match self.inbox.next_head(self.buffer.as_mut().get_mut(..end).unwrap_or_default()) {
            Err(_) => true,
            Ok(None) => false,
            Ok(Some(head)) => {
                let head = head.view(self.buffer.as_ref());
                head.status() >= 400 || head.will_close(kind)
            }
        }
    }

    /// The length of [`room`](Self::room).
    pub(super) fn capacity(&self) -> usize {
        self.buffer.as_ref().len().saturating_sub(self.host)
    }

    /// Whether the server has stopped listening to the body that was being sent.
    fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Uploading(Left::Refused))
    }

    /// Gives up sending the body, so that the answer can be read.
    fn stop_upload(&mut self, reason: Option<AttemptError>) {
        self.send_failure = reason;
        self.persists = false;
        self.phase = Phase::Uploading(Left::Refused);
    }
}

/// The one `Host` among `headers`, if there is one.
fn host_among<'a>(headers: &[(&str, &'a str)]) -> Result<Option<&'a str>, HttpError> {
    let mut hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = hosts.next().map(|(_, value)| *value);
    if hosts.next().is_some() {
        return Err(HttpError::ReservedHeader);
    }
    Ok(host)
}
