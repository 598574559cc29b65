//! `https` by the race (feature `tls`).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use connie_std::tokio_net::{TlsConnector, TlsStream};
use connie_std::{Options, Report};
use http::Uri;
use hyper_util::client::legacy::connect::{Connected as PooledConnection, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{Connecting, RaceConnector, RaceError, RaceStream};

/// Connects for `https` by a race to the end of the TLS handshake, and for `http` as a [`RaceConnector`].
/// Clones are cheap and do the same.
///
/// An address that accepts TCP and then is silent, or shows a bad certificate, does not stop the others. With
/// TLS on top of a [`RaceConnector`] it would have won.
///
/// The client speaks HTTP/2 where the server agrees to it, for which it has to be offered. A client that was
/// built for HTTP/1 alone offers nothing else, which is what [`TlsOptions`](connie_std::TlsOptions) do of
/// themselves.
///
/// ```no_run
/// use connie_hyper::HttpsConnector;
/// use connie_std::{Options, TlsOptions, tokio_net::TlsConnector};
/// use http_body_util::Empty;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let alpn = vec!["h2".to_owned(), "http/1.1".to_owned()];
/// let tls = TlsConnector::new(&TlsOptions::new().alpn(alpn))?;
/// let connector = HttpsConnector::new(tls, Options::default());
/// let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
/// let response = client.get("https://example.org/".parse()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HttpsConnector {
    race: RaceConnector,
    tls: TlsConnector,
}

impl HttpsConnector {
    /// Makes TLS connections by `tls`, and races as `options` say.
    #[must_use]
    pub fn new(tls: TlsConnector, options: Options) -> Self {
        HttpsConnector { race: RaceConnector::new(options).enforce_http(false), tls }
    }

    async fn connect(&self, uri: &Uri) -> Result<HttpsStream, RaceError> {
        let target = self.race.target(uri)?;
        match uri.scheme_str() {
            Some("https" | "wss") => {
                let connected = self.tls.connect(target, &self.race.options).await?;
                Ok(HttpsStream(Either::Tls(Box::new(RaceStream::new(connected)))))
            }
            Some("http" | "ws") => {
                self.race.connect(target).await.map(|stream| HttpsStream(Either::Plain(stream)))
            }
            // The URI does not say whether the connection must be encrypted.
            scheme => {
                let scheme = scheme.unwrap_or_default();
                Err(RaceError::Uri(format!("{scheme} is neither http nor https")))
            }
        }
    }
}

impl Service<Uri> for HttpsConnector {
    type Response = TokioIo<HttpsStream>;
    type Error = RaceError;
    type Future = Connecting<HttpsStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RaceError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Connecting(Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) }))
    }
}

/// A connection that an [`HttpsConnector`] has made: by TLS for `https` and `wss`, and without for `http` and
/// `ws`. What of rustls or of  tokio-rustls is within does not show.
#[derive(Debug)]
pub struct HttpsStream(Either);

#[derive(Debug)]
enum Either {
    Plain(RaceStream),
    Tls(Box<RaceStream<TlsStream<TcpStream>>>),
}

impl HttpsStream {
    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.0, Either::Tls(_))
    }

    /// The address that won.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        match &self.0 {
            Either::Plain(stream) => stream.0.destination(),
            Either::Tls(stream) => stream.0.destination(),
        }
    }

    /// What the race did.
    #[must_use]
    pub fn report(&self) -> &Report {
        match &self.0 {
            Either::Plain(stream) => stream.0.report(),
            Either::Tls(stream) => stream.0.report(),
        }
    }
}

impl Connection for HttpsStream {
    /// Has hyper-util speak HTTP/2 where that was agreed on (RFC 7301).
    fn connected(&self) -> PooledConnection {
        match &self.0 {
            Either::Plain(stream) => stream.connected(),
            Either::Tls(stream) => {
                let told = stream.tell(stream.0.get_ref().0);
                if stream.0.alpn() == Some(b"h2") { told.negotiated_h2() } else { told }
            }
        }
    }
}

/// The same of either stream.
macro_rules! either {
    ($stream:expr, $it:ident => $what:expr) => {
        match &mut $stream.get_mut().0 {
            Either::Plain(stream) => {
                let $it = Pin::new(stream);
                $what
            }
            Either::Tls(stream) => {
                let $it = Pin::new(&mut **stream);
                $what
            }
        }
    };
}

impl AsyncRead for HttpsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for HttpsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(context, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Either::Plain(stream) => stream.is_write_vectored(),
            Either::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(context))
    }
}
