//! The race under the HTTP client of hyper-util, and what is built on it.
//!
//! hyper-util's `HttpConnector` goes through the addresses of a host one after the other, the two families
//! beside each other. With [`RaceConnector`] in its place they are raced; pool, HTTP/1 and HTTP/2, and TLS on
//! top stay as they are.
//!
//! ```
//! use connie_hyper::{RaceConnector, RaceInfo};
//! use http_body_util::{BodyExt as _, Empty};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! # use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let port = server.local_addr()?.port();
//! # tokio::spawn(async move {
//! #     let (mut stream, _) = server.accept().await.unwrap();
//! #     stream.read(&mut [0; 1024]).await.unwrap();
//! #     stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await
//! # });
//! let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(RaceConnector::default());
//!
//! let response = client.get(format!("http://localhost:{port}/").parse()?).await?;
//! let winner = response.extensions().get::<RaceInfo>().map(RaceInfo::destination);
//! assert_eq!(winner.map(|address| address.port()), Some(port));
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! For `https` by the same race, to the end of the TLS handshake, there is
#![cfg_attr(feature = "tls", doc = "[`HttpsConnector`]")]
#![cfg_attr(not(feature = "tls"), doc = "`HttpsConnector`")]
//! (feature `tls`, off by default).
//!
//! It is a `tower_service::Service<http::Uri>`, so that it fits wherever hyper-util's `HttpConnector` does:
//! into hyper-rustls (`HttpsConnectorBuilder::wrap_connector`) and tonic (`Endpoint::connect_with_connector`)
//! for two.
//!
//! A connection in the client's pool keeps its place in the [budget](connie_std::Options::budget). By default
//! that is three quarters of the process's descriptors; where connections hold all of it, the next fails and
//! says so. A client that keeps more idle connections than that gives its pool a limit, or the race a larger
//! budget.

#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tls")]
mod https;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use connie_std::connie_core::Timeline;
use connie_std::memory::Verdict;
use connie_std::tokio_net::connect;
use connie_std::{ConnectError, Connected, Options, Report};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected as PooledConnection, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

#[cfg(feature = "tls")]
pub use https::{HttpsConnector, HttpsStream};

/// Connects as hyper-util's `HttpConnector` does, but by a race over all addresses of the host. Clones are
/// cheap and do the same.
#[derive(Clone, Debug)]
pub struct RaceConnector {
    options: Arc<Options>,
    enforce_http: bool,
}

impl Default for RaceConnector {
    /// With the default [`Options`]: a connect may take 30 seconds.
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl RaceConnector {
    /// Races with `options`. If they have no [memory](Options::memory), it makes one.
    /// [`Options::observer`] receives each race, even when the request is abandoned.
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        options.memory.get_or_insert_default();
        RaceConnector { options: Arc::new(options), enforce_http: true }
    }

    /// Whether to refuse every scheme but `http`, as it does unless set otherwise: it would speak without TLS
    /// to a server of https. A connector that puts TLS on top needs it to be `false`. `HttpsConnector` brings
    /// its own TLS.
    #[must_use]
    pub fn enforce_http(mut self, is_enforced: bool) -> Self {
        self.enforce_http = is_enforced;
        self
    }

    async fn connect(&self, target: (&str, u16)) -> Result<RaceStream, RaceError> {
        Ok(RaceStream::new(connect(target, &self.options).await?))
    }

    /// Host and port to connect to.
    fn target<'u>(&self, uri: &'u Uri) -> Result<(&'u str, u16), RaceError> {
        let refuse = |why: String| RaceError::Uri(why);
        let scheme = uri
            .scheme_str()
            .ok_or_else(|| refuse(format!("{uri} has no scheme: write http:// before it")))?;
        if self.enforce_http && scheme != "http" {
            return Err(refuse(format!(
                "{scheme} is not http: use HttpsConnector (feature tls), or put TLS on top and call enforce_http(false)"
            )));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refuse(format!("{uri} has no host")))?;
        let port = match (uri.port_u16(), scheme) {
            (Some(port), _) => port,
            (None, "http" | "ws") => 80,
            (None, "https" | "wss") => 443,
            (None, scheme) => {
                return Err(refuse(format!("{scheme} has no default port: write {host}:PORT")));
            }
        };
        Ok((host, port))
    }
}

impl Service<Uri> for RaceConnector {
    type Response = TokioIo<RaceStream>;
    type Error = RaceError;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RaceError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connector = self.clone();
        Connecting(Box::pin(async move {
            let target = connector.target(&uri)?;
            connector.connect(target).await.map(TokioIo::new)
        }))
    }
}

/// A connection that a connector makes. Dropping it ends its race.
#[must_use = "futures do nothing unless polled"]
pub struct Connecting<S = RaceStream>(Pin<Box<dyn Future<Output = Result<TokioIo<S>, RaceError>> + Send>>);

impl<S> Future for Connecting<S> {
    type Output = Result<TokioIo<S>, RaceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<S> fmt::Debug for Connecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

/// Why a connector brought no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum RaceError {
    /// It cannot connect to such a URI, for this reason.
    Uri(String),
    /// It could not connect.
    Connect(ConnectError),
}

impl fmt::Display for RaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RaceError::Uri(why) => f.write_str(why),
            RaceError::Connect(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RaceError::Uri(_) => None,
            // Its own words are these already. Programs look for the kind of a `std::io::Error` in the chain.
            RaceError::Connect(error) => error.cause().map_or_else(|| error.source(), |cause| Some(cause)),
        }
    }
}

impl RaceError {
    /// Whether the program canceled, by the [`Options::canceler`] of the connector.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self, RaceError::Connect(error) if error.is_canceled())
    }
}

impl From<ConnectError> for RaceError {
    fn from(error: ConnectError) -> Self {
        RaceError::Connect(error)
    }
}

/// What the race for a connection did: among the `extensions` of each response that came over it. Clones
/// share one.
#[derive(Clone, Debug)]
pub struct RaceInfo(Arc<(SocketAddr, Report)>);

impl RaceInfo {
    /// The address that won.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.0.0
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.0.1.timeline()
    }

    /// The same, with what became of resolution.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0.1
    }
}

/// A connection that won its race, as hyper-util wants it: an asynchronous stream that tells of itself.
///
/// What its first use shows goes to the [memory](Options::memory) of its connector: whether the server said
/// something, or closed or reset the connection before.
#[derive(Debug)]
pub struct RaceStream<S = TcpStream>(Connected<S>, Trial);

/// What is known of the worth of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// Nothing was sent.
    Idle,
    /// Something was sent, and nothing has come.
    Runs,
    /// The memory has the verdict.
    Over,
}

impl<S> RaceStream<S> {
    fn new(connected: Connected<S>) -> Self {
        RaceStream(connected, Trial::Idle)
    }

    fn report_to_memory(&mut self, verdict: Verdict) {
        self.1 = Trial::Over;
        self.0.report().report_to_memory(verdict);
    }

    /// What a read has come to, by which so many octets were received.
    fn has_read(&mut self, read: &Poll<io::Result<()>>, count: usize) {
        match read {
            _ if self.1 == Trial::Over => {}
            Poll::Ready(Ok(())) if count > 0 => self.report_to_memory(Verdict::Good),
            // Nothing was requested.
            Poll::Ready(Ok(())) if self.1 == Trial::Idle => self.1 = Trial::Over,
            Poll::Ready(Ok(())) => self.report_to_memory(Verdict::Refused),
            Poll::Ready(Err(error)) => self.has_failed(error),
            Poll::Pending => {}
        }
    }

    /// What a write has come to.
    fn has_written(&mut self, written: &Poll<io::Result<usize>>) {
        match (written, self.1) {
            (Poll::Ready(Ok(1..)), Trial::Idle) => self.1 = Trial::Runs,
            (Poll::Ready(Err(error)), Trial::Idle | Trial::Runs) => self.has_failed(error),
            _ => {}
        }
    }

    fn has_failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
        match error.kind() {
            ConnectionReset | BrokenPipe | UnexpectedEof => self.report_to_memory(Verdict::Refused),
            TimedOut => self.report_to_memory(Verdict::Stalled),
            _ => {}
        }
    }

    /// The connection, for a program that goes on without hyper.
    #[must_use]
    pub fn into_inner(self) -> Connected<S> {
        self.0
    }

    /// What the client is told, beside what it learns of the TCP connection: that has hyper-util's own
    /// addresses.
    fn tell(&self, tcp: &TcpStream) -> PooledConnection {
        tcp.connected().extra(RaceInfo(Arc::new((self.0.destination(), self.0.report().clone()))))
    }
}

impl Connection for RaceStream {
    fn connected(&self) -> PooledConnection {
        self.tell(&self.0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RaceStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.0).poll_read(context, buffer);
        if room > 0 {
            self.has_read(&read, buffer.filled().len() - before);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RaceStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(context, buffer);
        self.has_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(context, buffers);
        self.has_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(connector: &RaceConnector, uri: &str) -> Result<(String, u16), String> {
        let uri = uri.parse().unwrap();
        let target = connector.target(&uri).map(|(host, port)| (host.to_owned(), port));
        target.map_err(|error| error.to_string())
    }

    #[track_caller]
    fn leads_to(uri: &str, host: &str, port: u16) {
        let any = RaceConnector::default().enforce_http(false);
        assert_eq!(target(&any, uri), Ok((host.to_owned(), port)));
    }

    #[track_caller]
    fn is_refused(connector: &RaceConnector, uri: &str, why: &str) {
        assert_eq!(target(connector, uri), Err(why.to_owned()));
    }

    #[test]
    fn a_scheme_has_its_port_unless_the_uri_names_one() {
        leads_to("http://name.test/page", "name.test", 80);
        leads_to("https://name.test", "name.test", 443);
        leads_to("HTTPS://name.test", "name.test", 443);
        leads_to("ws://name.test", "name.test", 80);
        leads_to("wss://user:word@name.test", "name.test", 443);
        leads_to("https://name.test:8443", "name.test", 8_443);
        leads_to("http://[::1]/", "[::1]", 80);
        leads_to("http://[2001:db8::1]:8080/", "[2001:db8::1]", 8_080);
        leads_to("grpc://name.test:50051", "name.test", 50_051);
    }

    #[test]
    fn what_it_cannot_connect_to_it_refuses_with_advice() {
        let (http, any) = (RaceConnector::default(), RaceConnector::default().enforce_http(false));
        let advice = "https is not http: use HttpsConnector (feature tls), or put TLS on top and call enforce_http(false)";
        is_refused(&http, "https://name.test", advice);
        is_refused(&any, "name.test:80", "name.test:80 has no scheme: write http:// before it");
        is_refused(&any, "/page", "/page has no scheme: write http:// before it");
        is_refused(&any, "grpc://name.test", "grpc has no default port: write name.test:PORT");
    }
}
