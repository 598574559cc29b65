//! What the driver asks of the runtime, so that tests can be the network.

use core::net::SocketAddr;

use connie_core::stack::nb;
use connie_core::{AttemptError, RaceStack};

/// UDP sockets beside those of TCP.
pub(super) trait Sockets: RaceStack {
    /// A UDP socket for one server, on a port that is hard to guess.
    type Udp;

    /// Opens one, without waiting.
    fn open_udp(&mut self, server: SocketAddr) -> Result<Self::Udp, AttemptError>;

    /// Sends a datagram. `WouldBlock`: try again when the socket is ready.
    fn send_datagram(&mut self, socket: &mut Self::Udp, datagram: &[u8]) -> nb::Result<(), AttemptError>;

    /// A datagram that has come from the server. An error is what a router or the server's host has said of
    /// one that was sent.
    fn receive_datagram<'s>(&mut self, socket: &'s mut Self::Udp) -> nb::Result<&'s [u8], AttemptError>;
}
