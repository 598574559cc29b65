//! TLS connections that win a race, in a task (feature `tokio-tls`).
//!
//! The handshakes are tokio-rustls's, each a future that the race polls: so the winner is a stream that other
//! crates know. Driving the session that the blocking connections have would end in a stream of our own,
//! since tokio-rustls makes none of a session that has begun.

mod stack;

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use connie_core::memory::Finish;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
pub use tokio_rustls::client::TlsStream;

use self::stack::{TlsSocket, TlsStack};
use super::race::{clock, now, race};
use super::stack::{TokioSocket, TokioStack};
use crate::cancel::Canceler;
use crate::connect::failed;
use crate::connected::Connected;
use crate::observation::RaceObservation;
use crate::target::TargetRef;
use crate::tls::{FinishLine, TlsError, TlsOptions, TlsSetupError};
use crate::{ConnectError, ConnectErrorKind, Options, Target};

/// Makes TLS connections in a task: what [`connie_std::TlsConnector`](crate::TlsConnector) does in a thread,
/// with the same options, errors and finish lines. A clone is a reference.
///
/// An address wins when TLS with it is established, certificate included. One that accepts TCP and then is
/// silent, refuses, speaks no TLS or shows a bad certificate does not stop the others, and what loses within
/// its TLS handshake is sent a reset.
///
/// ```no_run
/// use connie_std::tokio_net::TlsConnector;
/// use connie_std::{Options, TlsOptions};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// # async fn fetch() -> std::io::Result<()> {
/// let tls = TlsConnector::new(&TlsOptions::default())?;
/// let mut stream = tls.connect("example.org:443", &Options::default()).await?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: example.org\r\n\r\n").await?;
/// let mut page = String::new();
/// stream.read_to_string(&mut page).await?;
/// println!("{} won, with {:?}:\n{page}", stream.destination(), stream.tls_version());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TlsConnector(crate::TlsConnector);

/// A TLS connection that won its race: [`connie_std::Connected`](crate::Connected) over the stream of
/// tokio-rustls, to which it derefs. [`get_ref`](TlsStream::get_ref) has tokio's stream and rustls's session,
/// with the server's certificates; [`into_stream`](crate::Connected::into_stream) is for crates that want
/// tokio-rustls's type, which so is part of this crate's public face: an incompatible version of tokio-rustls
/// comes with a breaking release.
///
/// A read answers no bytes only after the server's `close_notify`; a connection that ends without one is an
/// error of kind [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) (RFC 8446 section 6.1). `shutdown` says
/// `close_notify`. Dropping the stream does not: that could wait.
pub type TlsConnected = Connected<TlsStream<TcpStream>>;

impl TlsConnected {
    /// The application's protocol that was agreed on (RFC 7301), such as `h2`.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    /// The version of TLS that was agreed on: `TLSv1_2` or `TLSv1_3`.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        self.stream.get_ref().1.protocol_version().and_then(|version| version.as_str())
    }
}

impl From<crate::TlsConnector> for TlsConnector {
    /// The same connector for tasks: of a configuration of rustls, say, by
    /// [`from_rustls`](crate::TlsConnector::from_rustls).
    fn from(connector: crate::TlsConnector) -> Self {
        TlsConnector(connector)
    }
}

impl TlsConnector {
    /// A connector with these options.
    ///
    /// # Errors
    ///
    /// As [`connie_std::TlsConnector::new`](crate::TlsConnector::new).
    pub fn new(options: &TlsOptions) -> Result<Self, TlsSetupError> {
        crate::TlsConnector::new(options).map(Self)
    }

    /// The connector with the default options, made at the first call and shared by all, with those that
    /// block.
    ///
    /// # Errors
    ///
    /// [`TlsSetupError::NoRoots`] where the machine trusts nobody.
    pub fn system() -> Result<Self, TlsSetupError> {
        crate::TlsConnector::system().map(Self)
    }

    /// Connects to the address of `target` that answers first, as [`connect`](super::connect) does,
    /// to the end of the TLS handshake. Dropping the future ends all of it, and the deadline of `options`
    /// covers the handshake too.
    ///
    /// The certificate must be valid for the host, of [several](crate::Target#several-hosts) for the one
    /// whose address it is, or for [`TlsOptions::server_name`]; a list of addresses needs the latter.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says what went wrong, names the host, and has a line for each address.
    ///
    /// # Panics
    ///
    /// As [`connect`](super::connect).
    pub async fn connect<'a>(
        &self,
        target: impl Into<Target<'a>>,
        options: &Options,
    ) -> Result<TlsConnected, ConnectError> {
        let target = target.into();
        let target = target.view();
        let mut watch = RaceObservation::begin_by(target, options, clock, now);
        let result = match self.0.finish_line() {
            FinishLine::Tls => self.race(target, options, &mut watch).await,
            FinishLine::Tcp => self.race_to_tcp(target, options, &mut watch).await,
        };
        let result = result.map_err(|kind| failed(target, kind));
        watch.tell(result.as_ref().map(|won| (won.destination, &won.report)));
        result
    }

    /// TLS with `target` over a connection that leads there already: a tunnel through a proxy, say. Nothing
    /// of TLS has passed on it. Ends when the handshake has completed, or the race's deadline has passed from
    /// now.
    ///
    /// # Errors
    ///
    /// [`ConnectErrorKind::Tls`], [`ConnectErrorKind::InvalidHost`], [`ConnectErrorKind::InvalidTarget`]; the
    /// connection is then closed.
    ///
    /// # Panics
    ///
    /// In a runtime without time, where there is a deadline.
    pub async fn secure<'a>(
        &self,
        target: impl Into<Target<'a>>,
        stream: TcpStream,
        options: &Options,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let target = target.into();
        let target = target.view();
        let result = match (self.0.names_of(target), stream.peer_addr()) {
            (Err(kind), _) => Err(kind),
            (_, Err(error)) => Err(ConnectErrorKind::Socket(error)),
            (Ok(names), Ok(peer)) => {
                let handshake = self.handshake(names.first().clone(), stream, deadline(options), options);
                handshake.await.map_err(|error| ConnectErrorKind::Tls(peer, error))
            }
        };
        result.map_err(|kind| failed(target, kind))
    }

    /// A race to the end of the TLS handshake.
    async fn race(
        &self,
        target: TargetRef<'_>,
        options: &Options,
        watch: &mut RaceObservation,
    ) -> Result<TlsConnected, ConnectErrorKind> {
        let stack = TlsStack::new(TokioStack::new(options), self.0.clone(), self.0.names_of(target)?);
        race(stack, target, Finish::Tls, options, TlsSocket::into_stream, watch).await
    }

    /// A race to TCP, whose winner alone is asked for TLS.
    async fn race_to_tcp(
        &self,
        target: TargetRef<'_>,
        options: &Options,
        watch: &mut RaceObservation,
    ) -> Result<TlsConnected, ConnectErrorKind> {
        let names = self.0.names_of(target)?;
        let until = deadline(options);
        let stack = TokioStack::new(options);
        let won = race(stack, target, Finish::Tcp, options, TokioSocket::into_stream, watch).await?;
        let Connected { stream, destination, report, _held } = won;
        let name = names.number(report.number_of(destination).unwrap_or(0)).clone();
        let stream = self.handshake(name, stream, until, options).await;
        let stream = stream.map_err(|error| {
            error.report_to_memory(&report);
            ConnectErrorKind::Tls(destination, error)
        })?;
        Ok(Connected { stream, destination, report, _held })
    }

    /// Completes the handshake. Where the time is up, where the program cancels and where the future is
    /// dropped, the connection is reset.
    async fn handshake(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
        until: Option<Instant>,
        options: &Options,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let mut socket = TlsSocket::begin(&self.0, name, stream);
        let cancelable = options.canceler.as_ref().map(Canceler::cancelable);
        let end = poll_fn(|context| match socket.poll_handshake(context) {
            Poll::Pending if cancelable.as_ref().is_some_and(|it| it.poll(context.waker())) => {
                Poll::Ready(Err(TlsError::canceled()))
            }
            result => result,
        });
        match until {
            Some(until) => timeout_at(until, end).await.unwrap_or_else(|_| Err(TlsError::timed_out()))?,
            None => end.await?,
        }
        socket.into_stream().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
    }
}

/// When the race has to end, in the runtime's time. `None` for one that is out of reach.
fn deadline(options: &Options) -> Option<Instant> {
    options.time_limit().and_then(|deadline| Instant::now().checked_add(deadline))
}
