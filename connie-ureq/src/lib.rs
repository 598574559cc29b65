//! connie's race under the HTTP client ureq 3.
//!
//! ureq tries the addresses of a host one after the other, the first for half of the time that it has. With
//! [`RaceConnector`] in the place of its `TcpConnector` it races them; all else stays as it is: its TLS goes
//! on top, its timeouts hold, its resolver gives the addresses.
//!
//! ```
//! use connie_ureq::RaceConnector;
//! use ureq::Agent;
//! use ureq::config::Config;
//! use ureq::unversioned::resolver::DefaultResolver;
//! use ureq::unversioned::transport::Connector;
//! # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! # let port = server.local_addr().unwrap().port();
//! # std::thread::spawn(move || {
//! #     let (mut stream, _) = server.accept().unwrap();
//! #     std::io::Read::read(&mut stream, &mut [0; 1024]).unwrap();
//! #     std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
//! # });
//!
//! // With ureq's feature `rustls`: ().chain(RaceConnector::default()).chain(RustlsConnector::default())
//! let connector = ().chain(RaceConnector::default());
//! let agent = Agent::with_parts(Config::default(), connector, DefaultResolver::default());
//!
//! let page = agent.get(format!("http://localhost:{port}/")).call()?.body_mut().read_to_string()?;
//! assert_eq!(page, "hello");
//! # Ok::<(), ureq::Error>(())
//! ```
//!
//! Where all addresses fail, the error is an `Error::Io` around a [`ConnectError`], which has a line for
//! each.
//!
//! ureq calls its transport traits unversioned: they may change with any minor version, so this is for
//! ureq 3.5.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;

use connie_std::connie_core::{Failure, Instant};
use connie_std::memory::Verdict;
use connie_std::{Canceler, ConnectError, ConnectErrorKind, Connected, Observer, Options, OsClock, connect};
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// Connects as ureq's own `TcpConnector` does, but by a race over all addresses that the resolver gave.
#[derive(Clone, Debug)]
pub struct RaceConnector {
    options: Options,
}

impl Default for RaceConnector {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl RaceConnector {
    /// Races as `options` say, but for what ureq decides: its timeout for connecting holds where it is sooner
    /// than the race's deadline, `no_delay` is that of its configuration, and shutting the agent down cancels
    /// its races as [`Options::canceler`] does, without canceling that. [`Options::observer`] is told the
    /// host of the URL, and the [memory](Options::memory) knows the addresses by it, whichever of them a
    /// response has; without one it has one of its own.
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        options.memory.get_or_insert_default();
        RaceConnector { options }
    }
}

impl<In: Transport> Connector<In> for RaceConnector {
    type Out = Either<In, RaceTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() {
            // A connection that is there already, to a SOCKS proxy say.
            return Ok(chained.map(Either::A));
        }
        let mut options = self.options.clone();
        let allowed = details.timeout.not_zero().map(|time| *time);
        options.deadline = options.deadline.into_iter().chain(allowed).min();
        options.nodelay = details.config.no_delay();
        // A canceler of the caller's may serve other races too, which this agent is not to end.
        let canceler = match &options.canceler {
            Some(shared) => shared.child()?,
            None => Canceler::new()?,
        };
        let canceler = Arc::new(Ends(canceler));
        options.canceler = Some(canceler.0.clone());
        (details.register_shutdown)(weak(&canceler))?;

        options.observer = options.observer.map(|observer| named(observer, details.uri));
        // A response that turns is the same host's. Through a proxy this is the proxy's URI.
        if let (Some(memory), Some(host)) = (&mut options.memory, details.uri.host()) {
            *memory = memory.for_host(host);
        }

        let addresses: &[_] = &details.addrs;
        let connected = connect(addresses, &options).map_err(|error| lift(error, details.timeout))?;
        let socket = Arc::new(Socket(connected));
        (details.register_shutdown)(weak(&socket))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(RaceTransport::new(socket, buffers))))
    }
}

/// Tells `observer` the host of `uri`, where the race knows its addresses only.
fn named(observer: Observer, uri: &Uri) -> Observer {
    let host = uri.host().unwrap_or_default().to_owned();
    Observer::new(move |observed| observer.tell(&observed.named(&host, observed.port())))
}

/// What a failed race is to ureq.
fn lift(error: ConnectError, timeout: NextTimeout) -> Error {
    match error.kind() {
        ConnectErrorKind::Race(Failure::DeadlineExceeded, _) if timeout.not_zero().is_some() => {
            Error::Timeout(timeout.reason)
        }
        ConnectErrorKind::Race(Failure::DeadlineExceeded, _) => Error::Timeout(Timeout::Connect),
        _ => Error::Io(error.into()),
    }
}

fn weak<T: ShutdownHandle + 'static>(handle: &Arc<T>) -> Weak<dyn ShutdownHandle> {
    let weak: Weak<T> = Arc::downgrade(handle);
    weak
}

/// Ends a race when the agent is shut down.
struct Ends(Canceler);

impl ShutdownHandle for Ends {
    fn shutdown(&self) {
        self.0.cancel();
    }
}

/// The winner, which the agent can shut down while it is in use.
struct Socket(Connected);

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        // An error says that it is closed already.
        let _ = TcpStream::shutdown(&self.0, Shutdown::Both);
    }
}

/// How long a server that says nothing has time, at least, before that is held against its address.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection that won its race.
///
/// What its first use shows goes to the [memory](Options::memory) of its connector: whether the server said
/// something, closed or reset the connection before, or was silent, for a second at least, until a timeout.
pub struct RaceTransport {
    socket: Arc<Socket>,
    buffers: LazyBuffers,
    /// The timeouts that are set on the socket.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Since it was opened.
    clock: OsClock,
    /// Whether the memory has the verdict.
    is_judged: bool,
}

impl RaceTransport {
    fn new(socket: Arc<Socket>, buffers: LazyBuffers) -> Self {
        let (read_timeout, write_timeout) = (None, None);
        RaceTransport {
            socket,
            buffers,
            read_timeout,
            write_timeout,
            clock: OsClock::start(),
            is_judged: false,
        }
    }

    /// What the first use has come to.
    fn judge(&mut self, verdict: Verdict) {
        if !self.is_judged {
            self.is_judged = true;
            self.socket.0.report().report_to_memory(verdict);
        }
    }

    /// A use has failed.
    fn has_failed(&mut self, error: &Error) {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match error {
            Error::Io(error) if matches!(error.kind(), ConnectionReset | BrokenPipe) => {
                self.judge(Verdict::Refused);
            }
            Error::Timeout(_) if self.clock.now().duration_since(Instant::ZERO) >= SILENCE => {
                self.judge(Verdict::Stalled);
            }
            _ => {}
        }
    }
}

impl fmt::Debug for RaceTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RaceTransport")
            .field("destination", &self.socket.0.destination())
            .finish_non_exhaustive()
    }
}

impl Transport for RaceTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = running(timeout.for_write())?;
        let mut stream: &TcpStream = &self.socket.0;
        let wanted = timeout.not_zero().map(|time| *time);
        if wanted != self.write_timeout {
            stream.set_write_timeout(wanted)?;
            self.write_timeout = wanted;
        }
        let output = self
            .buffers
            .output()
            .get(..amount)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let sent = stream.write_all(output).map_err(|error| timed_out(error, timeout));
        sent.inspect_err(|error| self.has_failed(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = running(timeout.for_read())?;
        let mut stream: &TcpStream = &self.socket.0;
        let wanted = timeout.not_zero().map(|time| *time);
        if wanted != self.read_timeout {
            stream.set_read_timeout(wanted)?;
            self.read_timeout = wanted;
        }
        let input = self.buffers.input_append_buf();
        let count = loop {
            match stream.read(input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|error| timed_out(error, timeout)),
            }
        };
        let count = count.inspect_err(|error| self.has_failed(error))?;
        if !self.buffers.input_append_buf().is_empty() {
            self.judge(if count > 0 { Verdict::Good } else { Verdict::Refused });
        }
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        let stream: &TcpStream = &self.socket.0;
        if stream.set_nonblocking(true).is_err() {
            return false;
        }
        // What a server says between two exchanges, its close included, makes the connection useless.
        let silent = stream.peek(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).is_ok() && silent
    }
}

/// `timeout`, unless it has passed.
fn running(timeout: NextTimeout) -> Result<NextTimeout, Error> {
    if timeout.after.is_zero() { Err(Error::Timeout(timeout.reason)) } else { Ok(timeout) }
}

/// A socket whose timeout has passed says on Unix that it would block.
fn timed_out(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
