//! The sockets of `wasi:sockets/udp`.

use alloc::vec::Vec;
use core::net::SocketAddr;

use connie_core::AttemptError;
use connie_core::stack::nb;
use wasip2::io::poll::Pollable;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::sockets::Sockets;
use crate::address;
use crate::error::SocketError;
use crate::socket::{WasiStack, no_socket};

/// A UDP socket that is connected to its server: the runtime lets nobody else's datagrams through, and tells
/// what a router or the server's host says of those that are sent.
#[derive(Debug)]
pub(crate) struct WasiUdp {
    state: UdpState,
    server: SocketAddr,
    /// Whether a datagram waits to be sent.
    is_full: bool,
    /// What came last.
    received: Vec<u8>,
}

#[derive(Debug)]
enum UdpState {
    /// A runtime may be asking somebody for permission. Fields are dropped in their order: a runtime traps
    /// where a pollable outlives what it is for.
    Binding {
        pollable: Pollable,
        socket: UdpSocket,
    },
    Open(OpenUdp),
    /// It could not be bound.
    Failed,
}

/// The order of the fields counts, as above; a runtime traps where a stream outlives its socket, too.
#[derive(Debug)]
struct OpenUdp {
    readable: Pollable,
    writable: Pollable,
    input: IncomingDatagramStream,
    output: OutgoingDatagramStream,
    _socket: UdpSocket,
}

impl WasiUdp {
    /// What says that a datagram has come, or that one can be sent.
    pub(crate) fn pollable(&self) -> Option<&Pollable> {
        match &self.state {
            UdpState::Binding { pollable, .. } => Some(pollable),
            UdpState::Open(open) if self.is_full => Some(&open.writable),
            UdpState::Open(open) => Some(&open.readable),
            UdpState::Failed => None,
        }
    }

    /// The socket, once it is bound and connected.
    fn open(&mut self) -> nb::Result<&mut OpenUdp, AttemptError> {
        if let UdpState::Binding { .. } = &self.state {
            self.state = match core::mem::replace(&mut self.state, UdpState::Failed) {
                UdpState::Binding { pollable, socket } => match socket.finish_bind() {
                    Err(ErrorCode::WouldBlock) => UdpState::Binding { pollable, socket },
                    Err(code) => return Err(failed(code)),
                    Ok(()) => {
                        drop(pollable);
                        UdpState::Open(connect(socket, self.server).map_err(failed)?)
                    }
                },
                other => other,
            };
        }
        match &mut self.state {
            UdpState::Open(open) => Ok(open),
            UdpState::Binding { .. } => Err(nb::Error::WouldBlock),
            UdpState::Failed => Err(failed(ErrorCode::InvalidState)),
        }
    }
}

/// Connects a socket that is bound. Nothing is sent.
fn connect(socket: UdpSocket, server: SocketAddr) -> Result<OpenUdp, ErrorCode> {
    let (input, output) = socket.stream(Some(address::ip_socket_address(server)))?;
    let (readable, writable) = (input.subscribe(), output.subscribe());
    Ok(OpenUdp { readable, writable, input, output, _socket: socket })
}

fn attempt_error(code: ErrorCode) -> AttemptError {
    SocketError::Code(code).attempt_error()
}

fn failed(code: ErrorCode) -> nb::Error<AttemptError> {
    nb::Error::Other(attempt_error(code))
}

impl Sockets for WasiStack {
    type Udp = WasiUdp;

    fn open_udp(&mut self, server: SocketAddr) -> Result<WasiUdp, AttemptError> {
        let server = address::canonical(server);
        let socket =
            create_udp_socket(address::family(&server)).map_err(|code| attempt_error(no_socket(code)))?;
        let own = address::ip_socket_address(address::any(&server));
        socket.start_bind(self.network(), own).map_err(attempt_error)?;
        let pollable = socket.subscribe();
        let state = UdpState::Binding { pollable, socket };
        let mut socket = WasiUdp { state, server, is_full: false, received: Vec::new() };
        match socket.open() {
            Ok(_) | Err(nb::Error::WouldBlock) => Ok(socket),
            Err(nb::Error::Other(error)) => Err(error),
        }
    }

    fn send_datagram(&mut self, socket: &mut WasiUdp, datagram: &[u8]) -> nb::Result<(), AttemptError> {
        let OpenUdp { output, .. } = socket.open()?;
        let datagram = OutgoingDatagram { data: datagram.to_vec(), remote_address: None };
        // What was not permitted traps. wasmtime sends nothing before the system has said that a new socket
        // has room.
        let is_sent =
            output.check_send().map_err(failed)? > 0 && output.send(&[datagram]).map_err(failed)? > 0;
        socket.is_full = !is_sent;
        if is_sent { Ok(()) } else { Err(nb::Error::WouldBlock) }
    }

    fn receive_datagram<'s>(&mut self, socket: &'s mut WasiUdp) -> nb::Result<&'s [u8], AttemptError> {
        let came = socket.open()?.input.receive(1).map_err(failed)?;
        let datagram = came.into_iter().next().ok_or(nb::Error::WouldBlock)?;
        socket.received = datagram.data;
        Ok(&socket.received)
    }
}
