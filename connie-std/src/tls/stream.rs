//! A TLS connection as a stream that blocks, as `TcpStream` does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use connie_core::Timeline;
use connie_core::stack::nb;

use super::error::TlsError;
use super::stack::TlsSocket;
use crate::Report;

/// A TLS connection that won its race. Blocks, as a `TcpStream` does.
///
/// A read returns `Ok(0)` only after the server's `close_notify`. A connection that ends without one is an
/// error of kind `UnexpectedEof`: what came may have been cut off by somebody else (RFC 8446 section 6.1).
/// Dropping the stream says `close_notify` and closes.
#[derive(Debug)]
pub struct TlsStream {
    socket: TlsSocket,
    destination: SocketAddr,
    report: Report,
}

impl TlsStream {
    pub(super) fn new(socket: TlsSocket, destination: SocketAddr, report: Report) -> io::Result<Self> {
        socket.tcp().ok_or(io::ErrorKind::NotConnected)?.set_nonblocking(false)?;
        Ok(TlsStream { socket, destination, report })
    }

    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.report.timeline()
    }

    /// What the race did, with what became of each address in words.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The application's protocol that was agreed on (RFC 7301), such as `http/1.1`.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.socket.alpn()
    }

    /// The version of TLS that was agreed on: `TLSv1_2` or `TLSv1_3`.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        self.socket.tls_version()
    }

    /// The TCP connection below, for its timeouts and options. What is read from it or written to it directly
    /// breaks the session.
    ///
    /// # Errors
    ///
    /// None as long as the stream lives.
    pub fn tcp(&self) -> io::Result<&TcpStream> {
        self.socket.tcp().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let (stream, session) = self.socket.parts().map_err(blocked)?;
        session.receive(stream, buffer).map_err(blocked)
    }
}

impl Write for TlsStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (stream, session) = self.socket.parts().map_err(blocked)?;
        session.send(stream, buffer).map_err(blocked)
    }

    fn flush(&mut self) -> io::Result<()> {
        let (stream, session) = self.socket.parts().map_err(blocked)?;
        session.flush(stream).map_err(blocked)
    }
}

/// A stream that blocks says `WouldBlock` only when its own timeout has passed, and then so does this one.
fn blocked(error: nb::Error<TlsError>) -> io::Error {
    match error {
        nb::Error::WouldBlock => io::ErrorKind::WouldBlock.into(),
        nb::Error::Other(error) => error.into(),
    }
}
