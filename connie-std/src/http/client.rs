//! The connections, and what both can do.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use connie_core::Waiter;
use connie_http::{HttpError, RequestBody};

use super::error::ClientError;
use super::response::Response;
use super::transport::{Racing, Transport};
use crate::socket::OsStack;
#[cfg(feature = "tls")]
use crate::tls::{TlsConnector, TlsStack};
use crate::{Options, OsWaiter, Report};

/// Room for the head of a request and of an answer: what desktop clients allow.
const BUFFER: usize = 64 * 1024;

/// How much of a body is read from a reader at a time.
const PIECE: usize = 64 * 1024;

/// An HTTP connection to one server, in the manner of Python's `http.client.HTTPConnection`. Its methods are those of [`Client`].
///
/// ```
/// use connie_std::http::HttpConnection;
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
#[derive(Debug)]
#[doc(alias = "HTTPConnection")]
pub struct HttpConnection(Client<OsStack>);

/// An HTTPS connection to one server, in the manner of Python's `http.client.HTTPSConnection`. Its methods are those of [`Client`].
#[cfg(feature = "tls")]
#[derive(Debug)]
#[doc(alias = "HTTPSConnection")]
pub struct HttpsConnection(Client<TlsStack>);

impl HttpConnection {
    /// A connection to this host: a name, or an address as [`Target::Host`](crate::Target::Host) takes one. Nothing is looked up or opened before the
    /// first request.
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
        let stack = OsStack::from(&options);
        Client::over(stack, host, port, options).map(HttpConnection)
    }
}

#[cfg(feature = "tls")]
impl HttpsConnection {
    /// A connection to this host, whose certificate is checked against what the machine trusts. Nothing is looked up or opened before
    /// the first request.
    ///
    /// The machine's list of authorities is read once in the life of a process.
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidHost`]; [`ClientError::Tls`] where the machine trusts nobody.
    pub fn new(host: &str, port: u16) -> Result<Self, ClientError> {
        Self::with_options(host, port, Options::default(), TlsConnector::system()?)
    }

    /// The same, and how it is to race and whom it is to trust.
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
        Client::over(stack, host, port, options).map(HttpsConnection)
    }
}

impl Deref for HttpConnection {
    type Target = Client<OsStack>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for HttpConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

#[cfg(feature = "tls")]
impl Deref for HttpsConnection {
    type Target = Client<TlsStack>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[cfg(feature = "tls")]
impl DerefMut for HttpsConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// What [`HttpConnection`] and [`HttpsConnection`] can do.
///
/// Requests go out one after the other: [`request`](Self::request), [`response`](Self::response), read the body to its end, and again. The
/// connection opens itself by a race when a request needs it, and opens another when the last has ended, by whichever side. A request that a
/// kept connection lost is sent once more where it is idempotent and no byte of an answer came. The
/// [connection of connie-http](connie_http::HttpConnection) has the rules.
///
/// A body can be sent in pieces: [`put_request`](Self::put_request), [`put_header`](Self::put_header),
/// [`end_headers`](Self::end_headers), [`send`](Self::send), [`finish_body`](Self::finish_body); or from a reader:
/// [`request_from`](Self::request_from).
///
/// # Time
///
/// Set a limit: without one a server that falls silent is waited for, for ever. [`Options::race`] has the deadline of a race,
/// [`set_timeout`](Self::set_timeout) the longest silence, [`set_deadline`](Self::set_deadline) the end of everything. The
/// [`Canceler`](crate::Canceler) of [`Options::canceler`] ends every wait from another thread.
pub struct Client<T: Transport>
where
    OsWaiter: Waiter<T>,
{
    inner: connie_http::HttpConnection<T, OsWaiter, Vec<u8>, Racing>,
}

impl<T: Transport> fmt::Debug for Client<T>
where
    OsWaiter: Waiter<T>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Racing { host, port, .. } = self.inner.opener();
        f.debug_struct("Client").field("host", host).field("port", port).finish_non_exhaustive()
    }
}

impl<T: Transport> Client<T>
where
    OsWaiter: Waiter<T>,
{
    fn over(stack: T, host: &str, port: u16, options: Options) -> Result<Self, ClientError> {
        let waiter = OsWaiter::new(options.canceler.clone());
        let racing = Racing::new(host, port, options);
        let buffer = vec![0; BUFFER];
        let inner =
            connie_http::HttpConnection::with_opener(stack, waiter, racing, T::host(host, port), buffer)?;
        Ok(Client { inner })
    }

    /// Opens the connection, tunnel included, where it is not open. A request does that by itself.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`], [`HttpError::TunnelRefused`], and what can go wrong between client and proxy.
    pub fn connect(&mut self) -> Result<(), ClientError> {
        let result = self.ready().connect();
        self.told(result)
    }

    /// Sends a request: its head, and `body` where that is not empty. The head has a `Host` field, or the one among `headers`, and a
    /// Content-Length where the body or the method asks for one; nothing else is added.
    ///
    /// # Errors
    ///
    /// [`ClientError::Connect`]; [`HttpError`]s of the caller, with nothing sent; [`HttpError::TimedOut`], [`HttpError::Canceled`].
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), ClientError> {
        let result = self.ready().request(method, target, headers, body);
        self.told(result)
    }

    /// Sends a request whose body comes from a reader: `length` bytes, or chunked where the length is not known.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request). [`HttpError::BodyTooShort`] or [`HttpError::BodyTooLong`] where the reader has not `length` bytes, and its
    /// own error where reading fails; the connection is then closed.
    pub fn request_from(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &mut dyn Read,
        length: Option<u64>,
    ) -> io::Result<()> {
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

    fn send_from(&mut self, body: &mut dyn Read) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        while self.wants_body() {
            match body.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => self.send(&piece[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.finish_body()?)
    }

    /// Begins a request whose head and body are given in pieces. One that was begun before, and not sent, is forgotten.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::put_request).
    #[doc(alias = "putrequest")]
    pub fn put_request(&mut self, method: &str, target: &str) -> Result<(), ClientError> {
        let result = self.ready().put_request(method, target);
        self.told(result)
    }

    /// The same with a `Host` field of one's own.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::put_request_for).
    pub fn put_request_for(&mut self, method: &str, target: &str, host: &str) -> Result<(), ClientError> {
        let result = self.ready().put_request_for(method, target, host);
        self.told(result)
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
        let result = self.ready().end_headers(body);
        self.told(result)
    }

    /// Sends a piece of the body: part of the length announced, or a chunk.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::send).
    pub fn send(&mut self, data: &[u8]) -> Result<(), ClientError> {
        let result = self.ready().send(data);
        self.told(result)
    }

    /// Ends the body of the request begun.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::finish_body).
    pub fn finish_body(&mut self) -> Result<(), ClientError> {
        let result = self.ready().finish_body();
        self.told(result)
    }

    /// Whether the server still listens to the body that is being sent. Where it does not, its answer can be had at once.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.inner.wants_body()
    }

    /// Waits for the answer's head. Called again before the next request, it gives the same answer.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::response), and [`ClientError::Connect`] where the request had to be sent again and
    /// could not.
    #[doc(alias = "getresponse")]
    pub fn response(&mut self) -> Result<Response<'_, T>, ClientError> {
        // Asked twice, since what the first call lends could not be given back with an error. The second waits for nothing.
        let result = self.ready().response().map(|_| ());
        self.told(result)?;
        Ok(Response(self.inner.response()?))
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

    /// The longest time without a byte, sent or received, that an operation waits for. Default: for ever.
    #[doc(alias = "timeout")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_timeout(timeout);
    }

    /// How long everything that follows may take, from now. Default: for ever.
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

    /// Has the connection lead to `host`, through the HTTP proxy that it was made for: each connection begins with a CONNECT request with
    /// `headers` (`Proxy-Authorization`, say). Of an [`HttpsConnection`] the way to the proxy is plain, and TLS with `host` begins
    /// within the tunnel. A connection that is open already, and has not been used, is closed. The deadline of
    /// [`Options::race`] holds until the tunnel is there.
    ///
    /// # Errors
    ///
    /// As the [core's](connie_http::HttpConnection::set_tunnel), and [`HttpError::InvalidHost`] where `host` can be no server's name.
    /// The connection is then as it was.
    pub fn set_tunnel(&mut self, host: &str, port: u16, headers: &[(&str, &str)]) -> Result<(), ClientError> {
        // Asked first: a tunnel that is half set would send TLS for one host to another.
        if !self.inner.parts_mut().0.can_aim(host) {
            return Err(HttpError::InvalidHost.into());
        }
        self.inner.set_tunnel(T::host(host, port), headers)?;
        // It leads to the proxy as to the host itself: by TLS, where that is spoken.
        if self.inner.is_open() {
            self.inner.close();
        }
        self.inner.parts_mut().0.aim(host);
        Ok(())
    }

    /// The host that it was made for.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.opener().host
    }

    /// The port that it was made for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.opener().port
    }

    /// Where the last connection leads; `None` before the first, and where the last could not be opened.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.inner.opener().won.as_ref().map(|(destination, _)| *destination)
    }

    /// What the race for the last connection did.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.inner.opener().won.as_ref().map(|(_, report)| report)
    }

    /// How the next connections race, source addresses and `nodelay` included. A [`Canceler`](crate::Canceler) that is set here ends what is waited for
    /// from the next call on, also on a connection that is open: to go on after a cancel, set another or `None`.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.inner.opener_mut().options
    }

    /// The connection, whose waits end as the options say now.
    fn ready(&mut self) -> &mut connie_http::HttpConnection<T, OsWaiter, Vec<u8>, Racing> {
        let canceler = self.inner.opener().options.canceler.clone();
        self.inner.parts_mut().1.set_canceler(canceler);
        &mut self.inner
    }

    /// A failure to connect with all that the race knows about it.
    fn told<R>(&mut self, result: Result<R, HttpError>) -> Result<R, ClientError> {
        result.map_err(|error| match (error, self.inner.opener_mut().error.take()) {
            (HttpError::Connect(_), Some(why)) => ClientError::Connect(why),
            (error, _) => ClientError::Http(error),
        })
    }
}
