//! The race as a future of tokio (feature `tokio`).
//!
//! ```
//! use connie_std::Options;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! # use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = TcpListener::bind("127.0.0.1:0").await?;
//! # let port = server.local_addr()?.port();
//! # tokio::spawn(async move { server.accept().await.unwrap().0.write_all(b"hello").await });
//! // In the place of tokio::net::TcpStream::connect(("localhost", port)):
//! let mut stream = connie_std::tokio_net::connect(("localhost", port), &Options::new()).await?;
//! let mut greeting = String::new();
//! stream.read_to_string(&mut greeting).await?;
//! assert_eq!(greeting, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! It is the same race as that of [`connie_std::connect`](crate::connect()), with the same [`Options`],
//! errors and timeline: tokio's reactor stands where `poll` stands there. No thread waits for a connection.
//! Lookups by the system's resolver, which only has a call that blocks, run on the
//! [threads](crate::resolve::MAX_THREADS) that all lookups of the process share; those of
#![cfg_attr(feature = "dns", doc = "[`dns::Dns`](crate::dns::Dns)")]
#![cfg_attr(not(feature = "dns"), doc = "`dns::Dns`")]
//! run in the task.
//!
#![cfg_attr(feature = "tokio-tls", doc = "[`TlsConnector`]")]
#![cfg_attr(not(feature = "tokio-tls"), doc = "`TlsConnector`")]
//! (feature `tokio-tls`) races to the end of the TLS handshake.
//!
//! # To give up, drop the future
//!
//! As `tokio::time::timeout` and `select!` do. Attempts under way are aborted: a peer that had completed its
//! handshake is sent a reset. No descriptor is left, no task or thread, and no place in a
//! [`SocketBudget`](crate::SocketBudget) or in the line for one. A call of `getaddrinfo` that cannot be
//! interrupted goes on and holds nothing of the caller's.
//!
//! To give up and still learn what became of each address, set a deadline ([`Options::deadline`], 30 seconds
//! by default), or use a [`Canceler`](crate::Canceler).
//!
//! # What it asks of the runtime
//!
//! Its I/O and its time (`enable_all`, which `#[tokio::main]` sets), on one thread or many. Outside of a
//! runtime the future ends with [`NoRuntime`](crate::ConnectErrorKind::NoRuntime); in one that was built
//! without I/O or time tokio panics, and says which to enable. It stays with the runtime of its first poll.
//!
//! Time is the runtime's. In a test that has called `tokio::time::pause`, a runtime with nothing to do goes
//! on to its next timer at once and does not wait for the network: a deadline can come then before the peer
//! has answered. Pause it for races that are to time out.
//!
//! A race waits for its turn in the line for sockets without blocking the thread. As with tokio's semaphore,
//! a future that holds a place in line has to be polled: one that is kept and not polled holds up those
//! behind it.
//!
//! Except on Unix, lookups that give the race sockets to wait for (`dns::Dns`) are polled each 5 ms, since
//! tokio waits for no foreign sockets there.

mod ordered;
mod race;
mod registrations;
mod stack;
#[cfg(feature = "tokio-tls")]
mod tls;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use connie_core::memory::Finish;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub use self::ordered::OrderedResolver;
use self::race::{clock, now, race};
use self::stack::{TokioSocket, TokioStack};
#[cfg(feature = "tokio-tls")]
pub use self::tls::{TlsConnected, TlsConnector, TlsStream};
use crate::connect::failed;
use crate::observation::RaceObservation;
use crate::{ConnectError, Options, Target};

/// Connects to the address of `target` that answers first, as [`connie_std::connect`](crate::connect()) does.
/// Ends with a winner, when every address has failed, at the deadline, which counts from the first poll, or
/// when canceled; no socket is open then but the winner's.
///
/// ```
/// use connie_std::{Options, connie_core::Config};
/// use std::time::Duration;
/// # use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = TcpListener::bind("127.0.0.1:0").await?;
/// // Two addresses, of which the first refuses.
/// let addresses = ["127.0.0.1:1".parse()?, server.local_addr()?];
/// let race = Options::default().race.deadline(Some(Duration::from_secs(10)));
///
/// let stream = connie_std::tokio_net::connect(&addresses, &Options::new().race(race)).await?;
/// assert_eq!(stream.destination(), addresses[1]);
/// println!("{}", stream.timeline().waterfall(80, Default::default()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`ConnectError`] says what went wrong, names the host, and has a line for each address. It turns into an
/// [`io::Error`] with `?`.
///
/// # Panics
///
/// In a runtime without I/O or without time, as everything of tokio's that needs them.
pub async fn connect<'a>(
    target: impl Into<Target<'a>>,
    options: &Options,
) -> Result<Connected, ConnectError> {
    let target = target.into();
    let target = target.view();
    let mut watch = RaceObservation::begin_by(target, options, clock, now);
    let stack = TokioStack::new(options);
    let raced = race(stack, target, Finish::Tcp, options, TokioSocket::into_stream, &mut watch).await;
    let raced = raced.map_err(|kind| failed(target, kind));
    watch.tell(raced.as_ref().map(|won| (won.destination, &won.report)));
    raced
}

/// A connection that won its race: [`connie_std::Connected`](crate::Connected) over tokio's stream.
pub type Connected = crate::Connected<TcpStream>;

impl<S: AsyncRead + Unpin> AsyncRead for crate::Connected<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for crate::Connected<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
