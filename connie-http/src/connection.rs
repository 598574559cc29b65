//! One HTTP/1.1 connection: sends requests, one after the other, and hands out their answers.

use core::fmt;
use core::time::Duration;

use connie_core::embedded_nal::nb;

use crate::authority::Authority;
use crate::body_decoder::BodyDecoder;
use crate::connection_state::{ConnectStep, ConnectionState};
use crate::error::HttpError;
use crate::exchange_state::{BodyPiece, ExchangeState, RequestOptions};
use crate::link::{ByRef, Link};
use crate::open_connection::{OpenConnection, OpenContext};
use crate::receive_buffer::ReceiveBuffer;
use crate::request::{RequestBody, RequestHead};
use crate::response_head::BodyFraming;
use crate::syntax::{copy, spell};
use connie_core::{Failure, Instant};
use connie_core::{Poller, RaceStack};

/// How long a body is held back after `Expect: 100-continue`, unless
/// [told otherwise](HttpConnection::set_expect_timeout). As long as curl waits.
pub const EXPECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a body that goes out with its head leaves free for a proxy's response, in a buffer that has four
/// times as much.
const CONNECT_ROOM: usize = 512;

/// A connection to one server, in the manner of Python's `http.client.HTTPConnection`.
///
/// Requests go out one after the other: [`request`](Self::request), [`response`](Self::response), read the
/// body to its end, and again, as long as [`is_open`](Self::is_open). A body can also be sent in pieces:
/// [`put_request`](Self::put_request), [`put_header`](Self::put_header), [`end_headers`](Self::end_headers),
/// [`send`](Self::send), [`finish_body`](Self::finish_body).
///
/// `B` is the buffer, anything from an array to a `Vec`. It holds the request's head, then the response's
/// head, then what was received beyond it; the last bytes hold the `Host` value. 1 KiB serves plain servers,
/// 8 KiB most, 64 KiB is what desktop clients allow. Bodies do not have to fit: they go from the stack to the
/// caller's slice.
///
/// # Opening
///
/// A connection is made over a socket that is connected ([`new`](Self::new), [`owning`](Self::owning)), and
/// then ends with it unless it is given [another](Self::attach). Or it is made with an [`OpenConnection`]
/// ([`with_opener`](Self::with_opener)), and then connects itself as soon as a request needs it, by a race as
/// a rule: for the first request, and whenever the connection before was closed, by whichever side.
///
/// A server may close a kept connection at the very moment when a request is on its way. Such a request is
/// sent once more over a new connection if not a byte of a response came, its method is idempotent (RFC 9110
/// section 9.2.2: a client "SHOULD NOT automatically retry a request with a non-idempotent method"), and it
/// can be: head and body fit the buffer, or no more than the head has been sent, or
/// [`request`](Self::request) is still sending. It is not sent a third time: "A client SHOULD NOT
/// automatically retry a failed automatic retry." [`set_auto_open`](Self::set_auto_open) turns all this off.
///
/// ```
/// # use connie_core::doc_stack::{Clock, Stack};
/// use connie_core::Config;
/// use connie_http::{Authority, ByRef, HttpConnection, RaceAddresses};
/// # let (mut stack, mut clock) = (Stack::default(), Clock::default());
///
/// let destinations = RaceAddresses::<_>::new(["192.0.2.1:80".parse()?], Config::all_at_once());
/// let (host, mut buffer) = (Authority::http("name.test", 80), [0; 512]);
/// let mut connection =
///     HttpConnection::with_opener(&mut stack, ByRef(&mut clock), destinations, host, &mut buffer)?;
/// for _ in 0..3 {
///     connection.request("GET", "/", &[], b"")?;
///     connection.response()?.discard()?;
///     connection.close();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The socket
///
/// The connection owns the socket and the stack (or a borrow of it), so it can keep this promise: the socket
/// is released exactly once. It is closed by [`close`](Self::close), by dropping the connection, or as soon
/// as a response that ends the connection has been read; it is reset by an error, and where a body is
/// abandoned unread. [`take_socket`](Self::take_socket) hands it out instead.
///
/// # Time
///
/// Every wait ends with [`HttpError::TimedOut`] at the [deadline](Self::set_deadline), or when the
/// [timeout](Self::set_timeout) has passed without a byte, and with [`HttpError::Canceled`] when the poller
/// says so. While a response is read, nothing is lost by that: call again. While a request is sent it ends
/// the connection, since it is not known how much has arrived.
///
/// ```
/// # use connie_core::doc_stack::{Clock, Stack};
/// # use connie_core::stack::TcpClientStack;
/// use connie_http::{Authority, HttpConnection};
/// # let (mut stack, mut clock) = (Stack::default(), Clock::default());
/// # let socket = stack.socket().unwrap();
///
/// let mut buffer = [0; 512];
/// let mut connection = HttpConnection::new(&mut stack, &mut clock, socket, Authority::http("::1", 80), &mut buffer)?;
/// connection.set_timeout(Some(core::time::Duration::from_secs(10)));
/// connection.request("POST", "/log", &[("Content-Type", "text/plain")], b"21 degrees")?;
/// let mut response = connection.response()?;
/// assert_eq!(response.status(), 200);
/// response.discard()?;
/// assert!(connection.is_open());
/// # Ok::<(), connie_http::HttpError>(())
/// ```
#[doc(alias = "HTTPConnection")]
pub struct HttpConnection<S: RaceStack, W, B, O = ()> {
    pub(crate) link: Link<S, W>,
    pub(crate) opener: O,
    /// At its end, in this order: the CONNECT request where there is a tunnel, and the `Host` value.
    pub(crate) buffer: B,
    /// The length of the `Host` value.
    host: usize,
    /// The length of the CONNECT request; 0 for no tunnel.
    pub(crate) tunnel: usize,
    /// What opens it: a program that sets no tunnel has none of that code.
    pub(crate) tunnel_by: Option<OpenTunnel<S, W, B, O>>,
    pub(crate) exchange: ExchangeState,
    pub(crate) state: ConnectionState,
    pub(crate) expect_timeout: Duration,
    /// Whether bodies in transfer codings other than chunked are given as they are coded.
    pub(crate) takes_coded: bool,
    pub(crate) receive_buffer: ReceiveBuffer,
    pub(crate) decoder: BodyDecoder,
}

/// Opens the tunnel, and leaves so many bytes at the start of the buffer alone.
pub(crate) type OpenTunnel<S, W, B, O> = fn(&mut HttpConnection<S, W, B, O>, usize) -> Result<(), HttpError>;

impl<S: RaceStack, W, B, O> fmt::Debug for HttpConnection<S, W, B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl<'a, S: RaceStack, W: Poller<S>> HttpConnection<&'a mut S, ByRef<'a, W>, &'a mut [u8]> {
    /// A connection over `socket`, which is connected and belongs to `stack`; everything else is borrowed.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`]; the socket is then closed.
    pub fn new(
        stack: &'a mut S,
        poller: &'a mut W,
        socket: S::TcpSocket,
        authority: Authority<'_>,
        buffer: &'a mut [u8],
    ) -> Result<Self, HttpError> {
        Self::owning(stack, ByRef(poller), socket, authority, buffer)
    }
}

impl<S: RaceStack, W: Poller<S>, B: AsRef<[u8]> + AsMut<[u8]>> HttpConnection<S, W, B> {
    /// As [`new`](HttpConnection::new), over a stack, a poller and a buffer that the connection keeps.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`]; the socket is then closed.
    pub fn owning(
        stack: S,
        poller: W,
        socket: S::TcpSocket,
        authority: Authority<'_>,
        buffer: B,
    ) -> Result<Self, HttpError> {
        Self::assemble(Link::new(stack, poller, Some(socket)), (), authority, buffer)
    }
}

impl<S, W, B, O> HttpConnection<S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// A connection that `opener` opens when a request needs it. It can be lent a stack, a poller and an
    /// opener, as `&mut stack`, [`ByRef`]`(&mut poller)` and `&mut opener`.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`].
    pub fn with_opener(
        stack: S,
        poller: W,
        opener: O,
        authority: Authority<'_>,
        buffer: B,
    ) -> Result<Self, HttpError> {
        Self::assemble(Link::new(stack, poller, None), opener, authority, buffer)
    }

    fn assemble(link: Link<S, W>, opener: O, authority: Authority<'_>, buffer: B) -> Result<Self, HttpError> {
        let mut connection = HttpConnection {
            state: ConnectionState::new(link.is_open()),
            link,
            opener,
            buffer,
            host: 0,
            tunnel: 0,
            tunnel_by: None,
            exchange: ExchangeState::new(),
            expect_timeout: EXPECT_TIMEOUT,
            takes_coded: false,
            receive_buffer: ReceiveBuffer::new(false),
            decoder: BodyDecoder::new(BodyFraming::Empty),
        };
        let length = authority.write(connection.buffer.as_mut())?;
        connection.keep(0, length)?;
        Ok(connection)
    }

    /// Opens the connection, tunnel included, where it is not open. A request does that by itself.
    ///
    /// # Errors
    ///
    /// [`HttpError::Connect`], [`HttpError::TunnelRefused`], [`HttpError::NotConnected`] where nothing opens
    /// it, and what can go wrong between client and proxy.
    pub fn connect(&mut self) -> Result<(), HttpError> {
        let kept = self.exchange.head_length().unwrap_or_default();
        self.reach(kept, self.opener.opens())
    }

    /// Sends a request: its head, and `body` where that is not empty.
    ///
    /// The head has a `Host` field, or the one among `headers`, and a Content-Length where
    /// [`RequestBody::from_bytes`] says so; nothing else is added. `method` is any token and `target` any
    /// form of request target: see [`RequestHead::new`].
    ///
    /// It is not an error if the server stops listening: it may have answered early, as
    /// [`response`](Self::response) will tell.
    ///
    /// With `Expect: 100-continue` among `headers` the body is held back until the server asks for it: see
    /// [`end_headers`](Self::end_headers).
    ///
    /// # Errors
    ///
    /// Those of [`put_request`](Self::put_request), [`put_header`](Self::put_header) and
    /// [`end_headers`](Self::end_headers), with nothing sent; [`HttpError::TimedOut`],
    /// [`HttpError::Canceled`].
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), HttpError> {
        let framing = RequestBody::from_bytes(method, body);
        self.begin(method, target, host_among(headers)?)?;
        let length = match self.write_headers(headers, framing) {
            Ok(length) => length,
            Err(error) => {
                self.exchange.on_forgotten();
                return Err(error);
            }
        };
        self.ensure_open(length)?;
        let joined = self.join(length, body);
        self.begin_upload(length.saturating_add(joined), framing)?;
        self.upload_again(body.get(joined..).unwrap_or_default(), framing)?;
        self.exchange.on_sent_whole();
        Ok(())
    }

    /// Begins a request whose head and body are given in pieces. One that was begun before, and not sent, is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendRequest`] while the last exchange is not over, [`HttpError::InvalidMethod`],
    /// [`HttpError::InvalidTarget`], [`HttpError::BufferTooSmall`]; [`HttpError::NotConnected`] and
    /// [`HttpError::Stale`] where nothing opens another connection.
    #[doc(alias = "putrequest")]
    pub fn put_request(&mut self, method: &str, target: &str) -> Result<(), HttpError> {
        self.begin(method, target, None)
    }

    /// As [`put_request`](Self::put_request), with `host` as the value of the `Host` field: for a proxy that
    /// is asked for many hosts.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], and those of [`put_request`](Self::put_request).
    #[doc(alias = "skip_host")]
    pub fn put_request_for(&mut self, method: &str, target: &str, host: &str) -> Result<(), HttpError> {
        self.begin(method, target, Some(host))
    }

    /// Adds a header field to the request begun.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendHeader`] where there is none; [`HttpError::ReservedHeader`],
    /// [`HttpError::InvalidHeaderName`], [`HttpError::InvalidHeaderValue`], [`HttpError::BufferTooSmall`],
    /// after which the request is as it was.
    #[doc(alias = "putheader")]
    pub fn put_header(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        let length = self.exchange.head_length()?;
        let mut head = RequestHead::resume(self.room(), length);
        head.header(name, value)?;
        let (close, expect, upgrade) = (head.closes(), head.expects_continue(), head.asks_upgrade());
        let length = head.length();
        self.exchange.on_header_added(length, RequestOptions { close, expect, upgrade })
    }

    /// Ends the head of the request begun and sends it, over a new connection where there is none that is
    /// good. With [`RequestBody::None`] the request is complete.
    ///
    /// With `Expect: 100-continue` in the head, this waits for the server's reply (RFC 9110 section 10.1.1).
    /// After a 100 the body is sent, and also when none has come in [time](Self::set_expect_timeout), since a
    /// client "SHOULD NOT wait for an indefinite period". After a final response it is not:
    /// [`wants_body`](Self::wants_body) says so, what is sent anyway is dropped, and
    /// [`response`](Self::response) has the response. A 417 says that the server cannot be asked this way:
    /// repeat the request without the field.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendHeader`], [`HttpError::ExpectWithoutBody`], [`HttpError::BufferTooSmall`],
    /// those of [`connect`](Self::connect), [`HttpError::TimedOut`], [`HttpError::Canceled`].
    #[doc(alias = "endheaders")]
    pub fn end_headers(&mut self, body: RequestBody) -> Result<(), HttpError> {
        let length = self.finish_head(body)?;
        self.ensure_open(length)?;
        self.begin_upload(length, body)
    }

    /// Sends a piece of the body: part of the length announced, or a chunk.
    ///
    /// Once the server has answered or stopped listening the pieces are dropped: see
    /// [`wants_body`](Self::wants_body).
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendBody`] where no body is due, [`HttpError::BodyTooLong`], with nothing sent;
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn send(&mut self, data: &[u8]) -> Result<(), HttpError> {
        match self.exchange.on_body_given(data.len())? {
            BodyPiece::Dropped => Ok(()),
            BodyPiece::Plain => {
                self.state.on_bytes_dropped();
                self.upload(data)
            }
            BodyPiece::Chunk => {
                self.state.on_bytes_dropped();
                let mut digits = [0; 16];
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.upload(spell::<16>(length, &mut digits))?;
                self.upload(b"\r\n")?;
                self.upload(data)?;
                self.upload(b"\r\n")
            }
        }
    }

    /// Ends the body of the request begun.
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSendBody`] where no body is due, [`HttpError::BodyTooShort`] where part of the
    /// length announced is missing; [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn finish_body(&mut self) -> Result<(), HttpError> {
        if self.exchange.ends_in_a_chunk() {
            self.state.on_bytes_dropped();
            self.upload(b"0\r\n\r\n")?;
        }
        self.exchange.on_body_ended()
    }

    /// Whether the server still listens to the body that is being sent. Where it does not, its response can
    /// be had at once.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.exchange.wants_body()
    }

    /// Whether there is a connection. It can serve another request once the last response has been read to
    /// its end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        debug_assert_eq!(self.state.is_open(), self.link.is_open(), "the state and the socket agree");
        self.state.is_open()
    }

    /// Whether the last request was lost with a kept connection and can be sent once more by the caller,
    /// which has its body: not a byte of a response came, and the method is idempotent. What is in the buffer
    /// has been sent once more by then; this is for a body that was sent in pieces. A request that was made
    /// once more, and lost again, is not to be made a third time.
    #[must_use]
    pub fn was_lost(&self) -> bool {
        self.state.is_first_try() && self.exchange.was_lost() && self.receive_buffer.is_empty()
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        self.hang_up();
        self.exchange.on_closed();
    }

    /// Goes on over another connected socket to the same host. The one it had, if any, is closed.
    pub fn attach(&mut self, socket: S::TcpSocket) {
        self.link.attach(socket);
        self.state.on_opened();
        self.exchange.on_connected();
        self.receive_buffer = ReceiveBuffer::new(self.receive_buffer.keeps_heads());
    }

    /// Hands out the socket, which the caller must then close, with the bytes that were received after the
    /// response's head and have not been read: for tunnels and other protocols. The connection is closed as
    /// far as HTTP is concerned.
    #[doc(alias = "sock")]
    pub fn take_socket(&mut self) -> Option<(S::TcpSocket, &[u8])> {
        let socket = self.link.take()?;
        self.state.on_closed();
        self.exchange.on_closed();
        Some((socket, self.receive_buffer.unread(self.buffer.as_ref())))
    }

    /// The longest time without a byte, sent or received, that an operation waits for. Default: forever.
    #[doc(alias = "timeout")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.link.timeout = timeout;
    }

    /// When everything has to be over. Default: never.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.link.deadline = deadline;
    }

    /// Whether a request opens the connection where it has ended, and is repeated over a new one where the
    /// server gave up the old one meanwhile. Default: yes. Without it [`connect`](Self::connect) opens.
    #[doc(alias = "auto_open")]
    pub fn set_auto_open(&mut self, auto_open: bool) {
        self.state.on_auto_open_set(auto_open);
    }

    /// How long a body is held back after `Expect: 100-continue`, and no longer than the
    /// [timeout](Self::set_timeout). Default: [`EXPECT_TIMEOUT`].
    pub fn set_expect_timeout(&mut self, timeout: Duration) {
        self.expect_timeout = timeout;
    }

    /// Whether a body in a [transfer coding](crate::ResponseHead::transfer_codings) other than chunked is
    /// read as it is coded, since the caller undoes that. Default: no, and such a response is [an
    /// error](HttpError::UnsupportedTransferCoding). No other request follows on the connection.
    pub fn set_takes_coded(&mut self, takes_coded: bool) {
        self.takes_coded = takes_coded;
    }

    /// Whether the heads of a response stay in the buffer as they came, for
    /// [`raw_heads`](Self::raw_heads): those of status 1xx too, which have to fit there together with the
    /// final one. Holds from the next request on. Default: no.
    #[cfg(feature = "raw-heads")]
    pub fn set_keeps_heads(&mut self, keeps_heads: bool) {
        self.receive_buffer = ReceiveBuffer::new(keeps_heads);
    }

    /// What opens the connection.
    #[must_use]
    pub fn opener(&self) -> &O {
        &self.opener
    }

    /// What opens the connection, to be changed for the next time.
    pub fn opener_mut(&mut self) -> &mut O {
        &mut self.opener
    }

    /// The stack and the poller.
    pub fn parts_mut(&mut self) -> (&mut S, &mut W) {
        (&mut self.link.stack, &mut self.link.poller)
    }

    /// The buffer without what is kept at its end.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let end = self.capacity();
        self.buffer.as_mut().get_mut(..end).unwrap_or_default()
    }

    /// Abandons the connection.
    // Called from about twenty places: in each of them it would cost flash.
    #[inline(never)]
    pub(crate) fn fail(&mut self, error: HttpError) -> HttpError {
        self.give_up();
        self.exchange.on_failed(error)
    }

    /// Ends the connection at once, for a reason that the exchange is told.
    pub(crate) fn give_up(&mut self) {
        self.link.abort();
        self.state.on_closed();
    }

    /// Ends the connection in good order.
    pub(crate) fn hang_up(&mut self) {
        self.link.release();
        self.state.on_closed();
    }

    /// Moves what was written to the start of the buffer to its end: a CONNECT request and a `Host` value of
    /// these lengths.
    pub(crate) fn keep(&mut self, tunnel: usize, host: usize) -> Result<(), HttpError> {
        let buffer = self.buffer.as_mut();
        let length = tunnel.saturating_add(host);
        // Not beyond the buffer, since it has just been written there.
        let end = buffer.len().saturating_sub(length);
        if end < length {
            // Less room than a head with this host takes.
            return Err(HttpError::BufferTooSmall);
        }
        let (front, back) = buffer.split_at_mut_checked(end).ok_or(HttpError::BufferTooSmall)?;
        copy(front, back);
        (self.tunnel, self.host) = (tunnel, host);
        Ok(())
    }

    /// Forgets the last response and a request that was begun.
    pub(crate) fn forget(&mut self) {
        self.exchange.on_forgotten();
        self.receive_buffer = ReceiveBuffer::new(self.receive_buffer.keeps_heads());
    }

    /// Whether a connection that has ended is opened again.
    pub(crate) fn may_open(&self) -> bool {
        self.state.may_open(self.opener.opens())
    }

    /// Begins a request: checks it and writes the start of its head.
    fn begin(&mut self, method: &str, target: &str, host: Option<&str>) -> Result<(), HttpError> {
        // After a failure there is no socket: that is told below, where nothing may open another.
        self.exchange.may_begin()?;
        if !self.may_open() {
            match self.check_idle() {
                Err(HttpError::Stale) => return Err(self.exchange.on_failed(HttpError::Stale)),
                checked => checked?,
            }
        }
        self.forget();
        let end = self.capacity();
        let (room, kept) = self.buffer.as_mut().split_at_mut_checked(end).ok_or(HttpError::BufferTooSmall)?;
        // Written as text by `Authority::write`.
        let own = core::str::from_utf8(kept.get(self.tunnel..).unwrap_or_default()).unwrap_or_default();
        let head = RequestHead::new(room, method, target, host.unwrap_or(own))?;
        self.exchange.on_request_begun(method, head.length())
    }

    /// Sees that there is a connection, tunnel included, for a request whose head is written: these first
    /// `kept` bytes of the buffer.
    fn ensure_open(&mut self, kept: usize) -> Result<(), HttpError> {
        let may_open = self.may_open();
        // Where nothing opens another, it was looked at when the request was begun.
        if may_open {
            let _ = self.check_idle();
        }
        self.reach(kept, may_open)
    }

    /// Takes all steps that lead to a request. The first `kept` bytes of the buffer are left alone. Nothing
    /// is opened unless `opens`.
    pub(crate) fn reach(&mut self, kept: usize, opens: bool) -> Result<(), HttpError> {
        let deadline = self.link.deadline;
        let reached = loop {
            let step = self.state.next();
            let taken = match step {
                ConnectStep::Send => break Ok(()),
                ConnectStep::Open if !opens => break Err(HttpError::NotConnected),
                ConnectStep::Open => self.open(),
                ConnectStep::Tunnel => match self.tunnel_by {
                    Some(open) => open(self, kept),
                    None => Err(HttpError::NotConnected),
                },
                ConnectStep::Secure => self.secure_tunnel(),
            };
            if let Err(error) = taken {
                break Err(self.fail(match error {
                    // What the end of a wait means where there is no connection to the host yet.
                    HttpError::TimedOut if step != ConnectStep::Open => {
                        HttpError::Connect(Failure::DeadlineExceeded)
                    }
                    HttpError::Canceled => HttpError::Connect(Failure::Canceled),
                    error => error,
                }));
            }
        };
        self.link.deadline = deadline;
        reached
    }

    /// Opens a connection. The opener's own limit is the deadline from here on, where it comes before that of
    /// the connection.
    // On its own, so that what a race takes of the stack is free again in the tunnel.
    #[inline(never)]
    fn open(&mut self) -> Result<(), HttpError> {
        let context = OpenContext { until: self.link.limit()?, tunnel: self.state.has_tunnel() };
        let opened = self.opener.open(&mut self.link.stack, &mut self.link.poller, context);
        self.attach(opened.map_err(HttpError::Connect)?);
        self.link.deadline = self.link.deadline.into_iter().chain(self.opener.tunnel_until()).min();
        Ok(())
    }

    /// Puts the start of a body behind the head, to go out with it, in one segment where it can.
    fn join(&mut self, length: usize, body: &[u8]) -> usize {
        if self.exchange.expects_continue() {
            return 0;
        }
        // Were the request repeated, a proxy's response would have to find room behind it.
        let capacity = self.capacity();
        let left = if self.tunnel > 0 { CONNECT_ROOM.min(capacity / 4) } else { 0 };
        let end = capacity.saturating_sub(left);
        copy(body, self.buffer.as_mut().get_mut(length..end).unwrap_or_default())
    }

    /// RFC 9112 section 9.2: data on a connection without an outstanding request must not be taken for a
    /// response, and "the client SHOULD close the connection".
    fn check_idle(&mut self) -> Result<(), HttpError> {
        if !self.is_open() {
            return Err(HttpError::NotConnected);
        }
        if !self.state.must_check_idle()
            || matches!(self.link.try_receive(&mut [0]), Err(nb::Error::WouldBlock))
        {
            return Ok(());
        }
        self.hang_up();
        Err(HttpError::Stale)
    }

    /// Writes the rest of the head begun, and returns its length.
    fn write_headers(&mut self, headers: &[(&str, &str)], body: RequestBody) -> Result<usize, HttpError> {
        for (name, value) in headers {
            if !name.eq_ignore_ascii_case("host") {
                self.put_header(name, value.as_bytes())?;
            }
        }
        self.finish_head(body)
    }

    fn finish_head(&mut self, body: RequestBody) -> Result<usize, HttpError> {
        let length = self.exchange.may_end_head(body)?;
        RequestHead::resume(self.room(), length).finish(body)
    }

    /// The length of [`room`](Self::room).
    // Asked in about twenty places, as `fail` is called.
    #[inline(never)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.as_ref().len().saturating_sub(self.host.saturating_add(self.tunnel))
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
