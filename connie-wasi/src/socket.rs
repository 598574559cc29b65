//! The sockets of `wasi:sockets/tcp` as a stack that a race can run on.

use alloc::string::ToString;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Interest, RaceStack};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, Network};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::address;
use crate::error::SocketError;
use crate::poll::{PollSet, WasiClock};

/// The most that one call receives or sends. The runtime makes a list of that size for each.
const PIECE: usize = 64 * 1024;

/// How long [`close`](TcpClientStack::close) waits for what was sent and the runtime still holds.
///
/// An operating system goes on sending when a program has closed its socket. A runtime may throw away what it
/// has not passed on yet when the component drops the stream (wasmtime before 48 does), so that closing has
/// to wait for it. Nothing is held back as long as the peer reads.
pub const LINGER: Duration = Duration::from_secs(1);

/// The TCP sockets of WASI 0.2.
///
/// It implements embedded-nal's [`TcpClientStack`], so that any program written for that runs over it, and
/// [`RaceStack`], so that races do. How many sockets a race has open is up to its
/// [`Config::max_in_flight`](connie_core::Config::max_in_flight).
///
/// # What WASI does otherwise
///
/// - **Losers are closed, not reset**, where they had completed their handshake: WASI 0.2 has no `SO_LINGER`.
///   An attempt that is under way ends when its socket is dropped, and a SYN-ACK that comes later finds no
///   socket, as everywhere.
/// - **`close` may wait**, for [`LINGER`] at most, where a large piece that was sent has not left the
///   runtime. `abort` does not wait.
/// - **A runtime may wait by itself** when a stream is dropped that it still holds data for, for as long as
///   the peer does not read. wasmtime does from 48 on, and there is no call that would stop it: there neither
///   `abort` nor a drop ends at once what a peer that has stopped reading was being sent. Races are not
///   concerned, as their losers have sent nothing.
#[derive(Debug, Default)]
pub struct WasiStack {
    source_v4: Option<Ipv4Addr>,
    source_v6: Option<Ipv6Addr>,
    network: Option<Network>,
}

/// One TCP socket. Dropping it closes it at once.
#[derive(Debug, Default)]
pub struct WasiSocket(SocketState);

#[derive(Debug, Default)]
enum SocketState {
    /// No socket yet: its family is not known before `connect`.
    #[default]
    New,
    /// The source address is being bound.
    Binding(Pending),
    Connecting(Pending),
    Connected(Streams),
    /// The handshake failed.
    Failed,
}

/// A socket with an operation under way. Fields are dropped in their order: a runtime traps where a pollable
/// outlives what it is for.
#[derive(Debug)]
struct Pending {
    pollable: Pollable,
    socket: TcpSocket,
}

/// A connected socket. The order of the fields counts, as in [`Pending`].
#[derive(Debug)]
struct Streams {
    readable: Pollable,
    writable: Pollable,
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
    /// What ended the receiving side. A runtime tells it once, and says "closed" from then on, as if all had
    /// been well.
    broken: Option<SocketError>,
}

impl WasiSocket {
    /// What says that the socket may have what `interest` says; none before `connect` and after a failure.
    #[must_use]
    pub fn pollable(&self, interest: Interest) -> Option<&Pollable> {
        match (&self.0, interest) {
            (SocketState::Binding(pending) | SocketState::Connecting(pending), _) => Some(&pending.pollable),
            (SocketState::Connected(streams), Interest::Receive) => Some(&streams.readable),
            (SocketState::Connected(streams), Interest::Connect | Interest::Send) => Some(&streams.writable),
            (SocketState::New | SocketState::Failed, _) => None,
        }
    }

    /// Whether its handshake is complete, whatever has become of the connection since.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.0, SocketState::Connected(_))
    }

    /// Where it leads.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotConnected`], and what the runtime says.
    pub fn peer_address(&self) -> Result<SocketAddr, SocketError> {
        Ok(address::socket_addr(self.streams()?.socket.remote_address()?))
    }

    /// Where it comes from.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotConnected`], and what the runtime says.
    pub fn local_address(&self) -> Result<SocketAddr, SocketError> {
        Ok(address::socket_addr(self.streams()?.socket.local_address()?))
    }

    /// Closes one side of the connection, or both. What was sent still leaves.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotConnected`], and what the runtime says.
    pub fn shutdown(&mut self, sides: ShutdownType) -> Result<(), SocketError> {
        Ok(self.streams()?.socket.shutdown(sides)?)
    }

    /// Asks the runtime to pass on what it holds: "the output-stream will not accept any writes
    /// (`check-write` will return `ok(0)`) until the flush has completed" (wasi:io/streams).
    /// [`is_flushed`](Self::is_flushed) says when it has.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotConnected`], [`SocketError::Closed`], [`SocketError::Stream`].
    pub fn flush(&self) -> Result<(), SocketError> {
        self.streams()?.output.flush().map_err(|error| SocketError::from_stream(&error))
    }

    /// Whether everything that was sent has left the runtime, after a [`flush`](Self::flush). While it has
    /// not, [`Interest::Send`] says when to ask again.
    ///
    /// # Errors
    ///
    /// [`SocketError::NotConnected`], [`SocketError::Closed`], [`SocketError::Stream`].
    pub fn is_flushed(&self) -> Result<bool, SocketError> {
        let permit = self.streams()?.output.check_write();
        Ok(permit.map_err(|error| SocketError::from_stream(&error))? > 0)
    }

    fn streams(&self) -> Result<&Streams, SocketError> {
        match &self.0 {
            SocketState::Connected(streams) => Ok(streams),
            _ => Err(SocketError::NotConnected),
        }
    }
}

impl SocketState {
    /// Where the handshake stands. It is asked for as soon as it has begun: on some runtimes the SYN leaves
    /// only then.
    fn begin_handshake(socket: TcpSocket) -> Result<Self, SocketError> {
        match socket.finish_connect() {
            Ok(streams) => Self::connected(socket, streams),
            Err(ErrorCode::WouldBlock) => {
                Ok(SocketState::Connecting(Pending { pollable: socket.subscribe(), socket }))
            }
            Err(code) => Err(code.into()),
        }
    }

    fn poll_handshake(pending: Pending) -> Result<Self, SocketError> {
        match pending.socket.finish_connect() {
            Ok(streams) => {
                let Pending { pollable, socket } = pending;
                drop(pollable);
                Self::connected(socket, streams)
            }
            Err(ErrorCode::WouldBlock) => Ok(SocketState::Connecting(pending)),
            Err(code) => Err(code.into()),
        }
    }

    fn connected(
        socket: TcpSocket,
        (input, output): (InputStream, OutputStream),
    ) -> Result<Self, SocketError> {
        if is_its_own_peer(&socket) {
            // A runtime traps where a stream outlives its socket.
            drop((input, output));
            return Err(ErrorCode::ConnectionRefused.into());
        }
        let (readable, writable) = (input.subscribe(), output.subscribe());
        Ok(SocketState::Connected(Streams { readable, writable, input, output, socket, broken: None }))
    }
}

/// Whether a connected socket is the other end of its own connection.
///
/// A `connect` to a port of the host on which nobody listens can be given that very port to come from, and
/// its SYN then meets its own socket (RFC 9293 section 3.5, "simultaneous open"). Such a port refuses.
fn is_its_own_peer(socket: &TcpSocket) -> bool {
    match (socket.local_address(), socket.remote_address()) {
        (Ok(own), Ok(peer)) => address::socket_addr(own) == address::socket_addr(peer),
        _ => false,
    }
}

impl WasiStack {
    /// A stack whose connections come from these addresses; for a family without one the host chooses.
    #[must_use]
    pub fn from_sources(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        WasiStack { source_v4: v4, source_v6: v6, network: None }
    }

    /// The network that the runtime gives.
    pub fn network(&mut self) -> &Network {
        self.network.get_or_insert_with(instance_network)
    }

    /// From where connections to `remote` come, if that is not the host's choice.
    pub(crate) fn source(&self, remote: &SocketAddr) -> Option<SocketAddr> {
        match remote {
            SocketAddr::V4(_) => self.source_v4.map(|ip| SocketAddr::from((ip, 0))),
            SocketAddr::V6(_) => self.source_v6.map(|ip| SocketAddr::from((ip, 0))),
        }
    }

    fn begin(&mut self, remote: SocketAddr) -> Result<SocketState, SocketError> {
        let socket = create_tcp_socket(address::family(&remote)).map_err(no_socket)?;
        let Some(source) = self.source(&remote) else { return self.start(socket, remote) };
        socket.start_bind(self.network(), address::ip_socket_address(source))?;
        match socket.finish_bind() {
            Ok(()) => self.start(socket, remote),
            // A runtime may be asking somebody for permission.
            Err(ErrorCode::WouldBlock) => {
                Ok(SocketState::Binding(Pending { pollable: socket.subscribe(), socket }))
            }
            Err(code) => Err(code.into()),
        }
    }

    fn bind(&mut self, pending: Pending, remote: SocketAddr) -> Result<SocketState, SocketError> {
        match pending.socket.finish_bind() {
            Ok(()) => {
                let Pending { pollable, socket } = pending;
                drop(pollable);
                self.start(socket, remote)
            }
            Err(ErrorCode::WouldBlock) => Ok(SocketState::Binding(pending)),
            Err(code) => Err(code.into()),
        }
    }

    fn start(&mut self, socket: TcpSocket, remote: SocketAddr) -> Result<SocketState, SocketError> {
        socket.start_connect(self.network(), address::ip_socket_address(remote))?;
        SocketState::begin_handshake(socket)
    }
}

/// Why there is no socket. wasmtime has `unknown` for a process that may open no more files (EMFILE), and
/// nothing has been said of an address yet that could be wrong.
pub(crate) fn no_socket(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::Unknown => ErrorCode::NewSocketLimit,
        code => code,
    }
}

impl TcpClientStack for WasiStack {
    type TcpSocket = WasiSocket;
    type Error = SocketError;

    /// A socket that the runtime learns of when it is connected, since its family is not known before.
    fn socket(&mut self) -> Result<WasiSocket, SocketError> {
        Ok(WasiSocket::default())
    }

    fn connect(&mut self, socket: &mut WasiSocket, remote: SocketAddr) -> nb::Result<(), SocketError> {
        let remote = address::canonical(remote);
        socket.0 = match core::mem::replace(&mut socket.0, SocketState::Failed) {
            SocketState::New => self.begin(remote)?,
            SocketState::Binding(pending) => self.bind(pending, remote)?,
            SocketState::Connecting(pending) => SocketState::poll_handshake(pending)?,
            SocketState::Connected(streams) => SocketState::Connected(streams),
            SocketState::Failed => return Err(nb::Error::Other(SocketError::NotConnected)),
        };
        match socket.0 {
            SocketState::Connected(_) => Ok(()),
            _ => Err(nb::Error::WouldBlock),
        }
    }

    fn send(&mut self, socket: &mut WasiSocket, buffer: &[u8]) -> nb::Result<usize, SocketError> {
        let output = &socket.streams()?.output;
        let permit = output.check_write().map_err(|error| SocketError::from_stream(&error))?;
        if permit == 0 {
            return Err(nb::Error::WouldBlock);
        }
        let most = usize::try_from(permit).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get(..most).unwrap_or(buffer);
        output.write(piece).map_err(|error| SocketError::from_stream(&error))?;
        Ok(piece.len())
    }

    fn receive(&mut self, socket: &mut WasiSocket, buffer: &mut [u8]) -> nb::Result<usize, SocketError> {
        let SocketState::Connected(streams) = &mut socket.0 else {
            return Err(nb::Error::Other(SocketError::NotConnected));
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(error) = &streams.broken {
            return Err(nb::Error::Other(error.clone()));
        }
        match streams.input.read(buffer.len().min(PIECE) as u64) {
            Ok(bytes) if bytes.is_empty() => Err(nb::Error::WouldBlock),
            Ok(bytes) => match buffer.get_mut(..bytes.len()) {
                Some(into) => {
                    // Two slices of the same length.
                    into.copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                None => Err(nb::Error::Other(SocketError::Stream(
                    "the runtime gave more than it was asked for".to_string(),
                ))),
            },
            Err(StreamError::Closed) => Ok(0),
            Err(error) => {
                let error = SocketError::from_stream(&error);
                streams.broken = Some(error.clone());
                Err(nb::Error::Other(error))
            }
        }
    }

    /// Closes the socket in order: what was sent is still delivered, for which it may wait as long as
    /// [`LINGER`].
    fn close(&mut self, socket: WasiSocket) -> Result<(), SocketError> {
        // Where it fails nothing can leave any more, which the next call says too.
        let _ = socket.flush();
        if let (Ok(false), Some(writable)) = (socket.is_flushed(), socket.pollable(Interest::Send)) {
            let clock = WasiClock::start();
            let mut set = PollSet::default();
            set.watch(writable);
            let _ = set.wait(clock, Some(clock.now() + LINGER));
        }
        drop(socket);
        Ok(())
    }
}

impl RaceStack for WasiStack {
    fn attempt_error(&self, error: &SocketError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: WasiSocket) {
        drop(socket);
    }
}
