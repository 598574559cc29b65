//! The connections, and what both can do.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Instant, Poller};
use connie_http::{HttpError, RequestBody};

use super::AnyStack;
use super::error::ClientError;
use super::first_byte::{FirstByte, Pending};
use super::race_connect::{OpeningRecord, RaceConnect};
use super::response::Response;
use super::response_race::{ResponseFinish, ResponseRecord};
use super::socks5::Socks5Proxy;
use super::transport::Transport;
use crate::socket::OsStack;
#[cfg(feature = "tls")]
use crate::tls::{TlsConnector, TlsStack};
use crate::{Options, OsPoller, Report};

/// Room for the head of a request and of a response: what desktop clients allow.
const BUFFER: usize = 64 * 1024;

/// How much of a body is read from a reader at a time.
const PIECE: usize = 64 * 1024;

/// An HTTP connection to one server, in the manner of Python's `http.client.HTTPConnection`. Its methods are
/// those of [`Client`].
///
/// ```
/// use connie_std::http1::HttpConnection;
/// use std::io::Read;
/// # use std::io::Write;
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let port = listener.local_addr()?.port();
/// # let server = std::thread::spawn(move || {
/// #     let (mut stream, _) = listener.accept().unwrap();
/// #     for _ in 0..2 {
/// #         let _ = stream.read(&mut [0; 1024]).unwrap();
/// #         stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
/// #     }
/// # });
///
/// let mut connection = HttpConnection::new("127.0.0.1", port)?;
/// for _ in 0..2 {
///     connection.request("GET", "/", &[], b"")?;
///     let mut response = connection.response()?;
///     let mut body = String::new();
///     response.read_to_string(&mut body)?;
///     assert_eq!((response.status(), &body[..]), (200, "hello\n"));
/// }
/// # server.join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "HTTPConnection")]
pub type HttpConnection = Client<OsStack>;

/// An HTTPS connection to one server, in the manner of Python's `http.client.HTTPSConnection`. Its methods
/// are those of [`Client`].
#[cfg(feature = "tls")]
#[doc(alias = "HTTPSConnection")]
pub type HttpsConnection = Client<TlsStack>;

/// A connection by HTTP or by HTTPS, as the constructor says and not the type: for a program that is given
/// URLs. Its methods are those of [`Client`].
pub type AnyConnection = Client<AnyStack>;

impl HttpConnection {
    /// A connection to this host: a name, or an address as [`Target`](crate::Target) takes one.
    /// Nothing is looked up or opened before the first request.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`].
    pub fn new(host: &str, port: u16) -> Result<Self, ClientError> {
        Self::with_options(host, port, Options::default())
    }

    /// The same, and how it is to race: each connection is opened by a race with these options.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`].
    pub fn with_options(host: &str, port: u16, options: Options) -> Result<Self, ClientError> {
        Self::over(OsStack::from(&options), host, port, options, vec![0; BUFFER])
    }
}

#[cfg(feature = "tls")]
impl HttpsConnection {
    /// A connection to this host, whose certificate is checked against what the machine trusts. Nothing is
    /// looked up or opened before the first request.
    ///
    /// The machine's list of authorities is read once in the life of a process.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`]; [`ClientError::Tls`] where the machine trusts no authority.
    pub fn new(host: &str, port: u16) -> Result<Self, ClientError> {
        Self::with_options(host, port, Options::default(), TlsConnector::system()?)
    }

    /// The same, and how it is to race and which authorities it trusts.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`].
    pub fn with_options(
        host: &str,
        port: u16,
        options: Options,
        tls: TlsConnector,
    ) -> Result<Self, ClientError> {
        let stack = tls.stack(host, &options).ok_or(HttpError::InvalidHost)?;
        Self::over(stack, host, port, options, vec![0; BUFFER])
    }
}

impl AnyConnection {
    /// A plain connection to this host, as [`HttpConnection::with_options`] makes one. `buffer` holds the
    /// head of a request and then that of its response, with what is received beyond it: 64 KiB is what
    /// desktop clients allow.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`].
    pub fn http(host: &str, port: u16, options: Options, buffer: Vec<u8>) -> Result<Self, ClientError> {
        Self::over(AnyStack::from(&options), host, port, options, buffer)
    }

    /// A connection to this host by TLS, as [`HttpsConnection::with_options`] makes one, with a buffer as for
    /// [`http`](Self::http).
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`], [`HttpError::BufferTooSmall`].
    #[cfg(feature = "tls")]
    pub fn https(
        host: &str,
        port: u16,
        options: Options,
        tls: &TlsConnector,
        buffer: Vec<u8>,
    ) -> Result<Self, ClientError> {
        let stack = tls.stack(host, &options).ok_or(HttpError::InvalidHost)?;
        Self::over(AnyStack::Tls(stack), host, port, options, buffer)
    }

    /// As [`set_proxy`](Self::set_proxy), for a proxy that speaks TLS itself: the race to it goes to `tls`'
    /// finish line, CONNECT is sent within TLS, and so is all that follows, TLS with the host included.
    ///
    /// # Errors
    ///
    /// As [`set_proxy`](Self::set_proxy), and [`HttpError::InvalidHost`] where `proxy` can be no server's
    /// name.
    #[cfg(feature = "tls")]
    pub fn set_https_proxy(
        &mut self,
        proxy: &str,
        port: u16,
        headers: &[(&str, &str)],
        tls: &TlsConnector,
    ) -> Result<(), ClientError> {
        // Asked first: a proxy that is half set would be sent in the clear what is meant for it alone.
        let to_proxy = tls.stack(proxy, &Options::default()).ok_or(HttpError::InvalidHost)?;
        self.set_proxy(proxy, port, headers)?;
        self.inner.parts_mut().0.set_proxy(tls, proxy, to_proxy);
        Ok(())
    }
}

/// A connection to one server: an [`HttpConnection`], an [`HttpsConnection`] or an [`AnyConnection`].
///
/// Requests go out one after the other: [`request`](Self::request), [`response`](Self::response), read the
/// body to its end, and again. The connection opens itself by a race when a request needs it, and opens
/// another when the last has ended, by whichever side. A request that a kept connection lost is sent once
/// more where it is idempotent and no byte of a response came. The [connection of
/// connie-http](connie_http::HttpConnection) has the rules.
///
/// A body can be sent in pieces: [`put_request`](Self::put_request), [`put_header`](Self::put_header),
/// [`end_headers`](Self::end_headers), [`send`](Self::send), [`finish_body`](Self::finish_body); or from a
/// reader: [`request_from`](Self::request_from).
///
/// # Memory
///
/// Each opening goes by what earlier ones have shown ([`Options::memory`]), and the first exchange over a
/// connection adds to that: a response; a connection that was reset or closed without one; silence, of a
/// second at least, until the time was up; with a [`ResponseFinish`](super::ResponseFinish) also silence for
/// its patience, where another address answered then. Through a proxy all that is about the proxy.
///
/// # Time
///
/// Set a limit: without one a server that falls silent is waited for, for ever. [`Options::deadline`] is that
/// of a race, [`set_timeout`](Self::set_timeout) the longest silence, [`set_deadline`](Self::set_deadline)
/// the end of everything. The [`Canceler`](crate::Canceler) of [`Options::canceler`] ends every wait from
/// another thread.
pub struct Client<T: Transport>
where
    OsPoller: Poller<T>,
{
    inner: connie_http::HttpConnection<T, OsPoller, Vec<u8>, RaceConnect>,
    response_finish: Option<ResponseFinish>,
    /// Whether the request that was begun may be sent to two servers, as far as its method says.
    may_repeat: bool,
    pending: Option<Pending>,
    response_record: Option<ResponseRecord>,
}

impl<T: Transport> fmt::Debug for Client<T>
where
    OsPoller: Poller<T>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = &self.inner.opener().server;
        f.debug_struct("Client").field("host", host).field("port", port).finish_non_exhaustive()
    }
}

impl<T: Transport> Client<T>
where
    OsPoller: Poller<T>,
{
    /// Without a memory among its options it has one of its own.
    fn over(
        stack: T,
        host: &str,
        port: u16,
        mut options: Options,
        buffer: Vec<u8>,
    ) -> Result<Self, ClientError> {
        options.memory.get_or_insert_default();
        let poller = OsPoller::new(options.canceler.clone());
        let opener = RaceConnect::new(host, port, options);
        let authority = stack.authority(host, port);
        let inner = connie_http::HttpConnection::with_opener(stack, poller, opener, authority, buffer)?;
        Ok(Client { inner, response_finish: None, may_repeat: false, pending: None, response_record: None })
    }

    /// Opens the connection, tunnel included, where it is not open. A request does that by itself.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], and [`ClientError::Tunnel`] for what can go wrong between client and proxy.
    pub fn connect(&mut self) -> Result<(), ClientError> {
        let result = self.prepared().connect();
        self.with_report(result)
    }

    /// Sends a request: its head, and `body` where that is not empty. The head has a `Host` field, or the one
    /// among `headers`, and a Content-Length where the body or the method asks for one; nothing else is
    /// added.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`]; [`HttpError`]s of the caller, with nothing sent; [`HttpError::TimedOut`],
    /// [`HttpError::Canceled`].
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), ClientError> {
        self.on_request_begun(method);
        let result = self.prepared().request(method, target, headers, body);
        self.with_report(result)?;
        self.on_request_sent(body.len());
        Ok(())
    }

    /// Sends a request whose body comes from a reader: `length` bytes, or chunked where the length is not
    /// known.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request). [`HttpError::BodyTooShort`] or [`HttpError::BodyTooLong`] where the
    /// reader does not have `length` bytes, and [`ClientError::Body`] where reading fails; the connection is
    /// then closed. A request that a kept connection lost is not sent again, since the reader is at its end:
    /// [`was_lost`](Self::was_lost) says whether to do so.
    pub fn request_from(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &mut dyn Read,
        length: Option<u64>,
    ) -> Result<(), ClientError> {
        let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        match host {
            Some((_, host)) => self.put_request_for(method, target, host)?,
            None => self.put_request(method, target)?,
        }
        for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
            self.put_header(name, value.as_bytes())?;
        }
        self.end_headers(length.map_or(RequestBody::Chunked, RequestBody::Length))?;
        let sent = self.send_from(body);
        if sent.is_err() {
            // What is left of the body cannot be told from another request.
            self.close();
        }
        sent
    }

    fn send_from(&mut self, body: &mut dyn Read) -> Result<(), ClientError> {
        if !self.wants_body() {
            return self.finish_body();
        }
        let mut piece = vec![0; PIECE];
        while self.wants_body() {
            match body.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => self.send(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ClientError::Body(error)),
            }
        }
        self.finish_body()
    }

    /// Begins a request whose head and body are given in pieces. One that was begun before, and not sent, is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::put_request).
    #[doc(alias = "putrequest")]
    pub fn put_request(&mut self, method: &str, target: &str) -> Result<(), ClientError> {
        self.on_request_begun(method);
        let result = self.prepared().put_request(method, target);
        self.with_report(result)
    }

    /// The same with a `Host` field of one's own.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::put_request_for).
    pub fn put_request_for(&mut self, method: &str, target: &str, host: &str) -> Result<(), ClientError> {
        self.on_request_begun(method);
        let result = self.prepared().put_request_for(method, target, host);
        self.with_report(result)
    }

    /// Adds a header field to the request begun.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::put_header).
    #[doc(alias = "putheader")]
    pub fn put_header(&mut self, name: &str, value: &[u8]) -> Result<(), ClientError> {
        Ok(self.inner.put_header(name, value)?)
    }

    /// Ends the head of the request begun and sends it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], and as the [core's](connie_http::HttpConnection::end_headers).
    #[doc(alias = "endheaders")]
    pub fn end_headers(&mut self, body: RequestBody) -> Result<(), ClientError> {
        let result = self.prepared().end_headers(body);
        self.with_report(result)?;
        if matches!(body, RequestBody::None | RequestBody::Length(0)) {
            self.on_request_sent(0);
        }
        Ok(())
    }

    /// Sends a piece of the body: part of the length announced, or a chunk.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::send).
    pub fn send(&mut self, data: &[u8]) -> Result<(), ClientError> {
        let result = self.prepared().send(data);
        self.with_report(result)
    }

    /// Ends the body of the request begun.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::finish_body).
    pub fn finish_body(&mut self) -> Result<(), ClientError> {
        let result = self.prepared().finish_body();
        self.with_report(result)
    }

    /// Whether the server still listens to the body that is being sent. Where it does not, its response can
    /// be had at once.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.inner.wants_body()
    }

    /// Waits for the response's head. Called again before the next request, it gives the same response.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::response), and [`ClientError::Connect`] where the request
    /// had to be sent again and could not.
    #[doc(alias = "getresponse")]
    pub fn response(&mut self) -> Result<Response<'_, T>, ClientError> {
        self.await_first_byte()?;
        // Asked again, since what the first call lends could not be given back with an error. Later ones wait
        // for nothing.
        let result = self.prepared().response().map(|_| ());
        self.with_report(result)?;
        let status = self.inner.response()?.status();
        self.inner.opener_mut().on_response(status);
        Ok(Response(self.inner.response()?))
    }

    /// Whether the last request was lost with a kept connection and can be made once more by whoever has its
    /// body: see the [core's](connie_http::HttpConnection::was_lost).
    #[must_use]
    pub fn was_lost(&self) -> bool {
        self.inner.was_lost()
    }

    /// Whether the connection is open. A request opens one that is not.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner.is_open()
    }

    /// Closes the connection. The next request opens another.
    pub fn close(&mut self) {
        self.inner.close();
    }

    /// Goes on over a socket that is connected to the host already, and within TLS where this speaks it. The
    /// one it had, if any, is closed. When it has ended, the next request opens another as ever:
    /// [`set_auto_open`](Self::set_auto_open) has a say in that.
    ///
    /// With a [tunnel](Self::set_tunnel) it leads to the proxy, which is asked for the host first thing. A
    /// socket that speaks TLS is no good for that: TLS within TLS is not spoken, and the request fails before
    /// anything is sent to the host.
    pub fn attach(&mut self, socket: T::TcpSocket) {
        self.inner.attach(socket);
        self.inner.opener_mut().on_attached();
    }

    /// The longest time without a byte, sent or received, that an operation waits for. Default: forever.
    #[doc(alias = "timeout")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_timeout(timeout);
    }

    /// How long everything that follows may take, from now. Default: forever.
    pub fn set_deadline(&mut self, left: Option<Duration>) {
        let now = self.inner.parts_mut().1.now();
        self.inner.set_deadline(left.map(|left| now + left));
    }

    /// Whether a request opens the connection where it is not open. Default: yes.
    #[doc(alias = "auto_open")]
    pub fn set_auto_open(&mut self, auto_open: bool) {
        self.inner.set_auto_open(auto_open);
    }

    /// How long a body is held back after `Expect: 100-continue`. Default: one second.
    pub fn set_expect_timeout(&mut self, timeout: Duration) {
        self.inner.set_expect_timeout(timeout);
    }

    /// Whether a body in a [transfer coding](connie_http::ResponseHead::transfer_codings) other than chunked
    /// is read as it is coded: [`Decoded`](super::Decoded) undoes `gzip` and `deflate`. Default: no, and such
    /// a response is an error.
    pub fn set_takes_coded(&mut self, takes_coded: bool) {
        self.inner.set_takes_coded(takes_coded);
    }

    /// Whether the heads of a response are kept as they came, for [`raw_heads`](Self::raw_heads). Default:
    /// no.
    pub fn set_keeps_heads(&mut self, keeps_heads: bool) {
        self.inner.set_keeps_heads(keeps_heads);
    }

    /// The heads of the last response as they came, where they are kept: those of status 1xx, and then the
    /// final one. Where that was cut off, or could not be read, all lines of it that are complete.
    #[must_use]
    pub fn raw_heads(&self) -> &[u8] {
        self.inner.raw_heads()
    }

    /// Makes the connection lead to `host`, through the HTTP proxy that it was made for: each connection
    /// begins with a CONNECT request with `headers` (`Proxy-Authorization`, say). Of an [`HttpsConnection`]
    /// the way to the proxy is plain, and TLS with `host` begins within the tunnel. A connection that is open
    /// already, and has not been used, is closed. The deadline of [`Options::race`] holds until the tunnel is
    /// there.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::set_tunnel), and [`HttpError::InvalidHost`] where `host`
    /// can be no server's name. The connection is then as it was.
    pub fn set_tunnel(&mut self, host: &str, port: u16, headers: &[(&str, &str)]) -> Result<(), ClientError> {
        // Asked first: a tunnel that is half set would send TLS for one host to another.
        if !self.inner.parts_mut().0.can_be_server(host) {
            return Err(HttpError::InvalidHost.into());
        }
        let authority = self.inner.parts_mut().0.authority(host, port);
        self.inner.set_tunnel(authority, headers)?;
        // It leads to the proxy as to the host itself: by TLS, where that is spoken.
        if self.inner.is_open() {
            self.inner.close();
        }
        self.inner.parts_mut().0.set_server(host);
        self.inner.opener_mut().server = (host.to_owned(), port);
        Ok(())
    }

    /// Makes the connection lead to the host that it was made for through this HTTP proxy:
    /// [`set_tunnel`](Self::set_tunnel) from the other end. Each connection is then opened by a race to the
    /// proxy.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::set_tunnel). The connection is then as it was.
    pub fn set_proxy(&mut self, proxy: &str, port: u16, headers: &[(&str, &str)]) -> Result<(), ClientError> {
        let (host, of_host) = self.inner.opener().server.clone();
        self.set_tunnel(&host, of_host, headers)?;
        let opener = self.inner.opener_mut();
        (opener.hop, opener.socks5) = ((proxy.to_owned(), port), None);
        Ok(())
    }

    /// Makes the connection lead to the host that it was made for through this SOCKS5 proxy, to which each
    /// connection is opened by a race. TLS, where that is spoken, begins with the host. A connection that is
    /// open already is closed.
    ///
    /// What goes wrong between proxy and host is [`ClientError::Socks5`].
    pub fn set_socks5_proxy(&mut self, proxy: Socks5Proxy) {
        self.inner.close();
        let opener = self.inner.opener_mut();
        opener.hop = (proxy.host.clone(), proxy.port);
        opener.socks5 = Some(proxy);
    }

    /// The host that requests are for: with a tunnel, the one at its end.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.opener().server.0
    }

    /// The port that requests are for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.opener().server.1
    }

    /// The host and the port that connections are raced to: those of the proxy where there is one, or else
    /// those that requests are for.
    #[must_use]
    pub fn hop(&self) -> (&str, u16) {
        let (host, port) = &self.inner.opener().hop;
        (host, *port)
    }

    /// What is known of how the last connection was opened, or was not; `None` before the first, and for one
    /// that was [attached](Self::attach). A request that opens one by itself leaves another record than there
    /// was.
    #[must_use]
    pub fn opening(&self) -> Option<&OpeningRecord> {
        self.inner.opener().record.as_ref()
    }

    /// The address that won the last race; `None` before the first, and where none won.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.opening()?.destination
    }

    /// What the race for the last connection did, won or lost.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.opening()?.report.as_ref()
    }

    /// The time by the connection's clock, which began when the connection was made.
    #[must_use]
    pub fn now(&mut self) -> Instant {
        self.inner.parts_mut().1.now()
    }

    /// How the next connections race, source addresses and `nodelay` included. A
    /// [`Canceler`](crate::Canceler) that is set here ends what is waited for from the next call on, also on
    /// a connection that is open: to go on after a cancel, set another or `None`.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.inner.opener_mut().options
    }

    /// Has each request race to the first byte of its response, over two connections where one is silent or
    /// is lost: see [`ResponseFinish`]. Default: no.
    pub fn set_response_finish(&mut self, finish: Option<ResponseFinish>) {
        self.response_finish = finish;
    }

    /// What is known of the last race to the first byte of a response; `None` where there was none.
    #[must_use]
    pub fn response_record(&self) -> Option<&ResponseRecord> {
        self.response_record.as_ref()
    }

    /// A request with this method begins.
    fn on_request_begun(&mut self, method: &str) {
        (self.pending, self.response_record) = (None, None);
        self.may_repeat = self.response_finish.as_ref().is_some_and(|finish| finish.allows(method));
    }

    /// The request was sent, with a body of this length.
    fn on_request_sent(&mut self, body: usize) {
        if let Some(finish) = &self.response_finish {
            // What has a body is an upload, whatever its method.
            let may_repeat = self.may_repeat && (body == 0 || finish.allows_bodies());
            self.pending = Some(Pending { sent: self.now(), body, may_repeat });
        }
    }

    /// Waits for the first byte of the response, where that is the finish line.
    fn await_first_byte(&mut self) -> Result<(), ClientError> {
        let (Some(finish), Some(pending)) = (self.response_finish.clone(), self.pending.take()) else {
            return Ok(());
        };
        let ended = FirstByte::run(self.prepared(), &finish, pending);
        self.response_record = ended.record;
        ended.result
    }

    /// The connection, whose waits end as the options say now.
    fn prepared(&mut self) -> &mut connie_http::HttpConnection<T, OsPoller, Vec<u8>, RaceConnect> {
        let canceler = self.inner.opener().options.canceler.clone();
        self.inner.parts_mut().1.set_canceler(canceler);
        &mut self.inner
    }

    /// A failure with all that the race knows about it.
    fn with_report<R>(&mut self, result: Result<R, HttpError>) -> Result<R, ClientError> {
        result.map_err(|error| {
            let now = self.now();
            self.inner.opener_mut().on_error(&error, now);
            self.inner.opener_mut().client_error(error)
        })
    }
}
