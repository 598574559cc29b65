//! What a TLS session runs over: TCP, or a session with a proxy over that.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use connie_core::stack::nb;

use super::error::TlsError;
use super::session::{Session, TransportNeeds};

#[derive(Debug)]
pub(super) struct Carrier {
    pub(super) tcp: TcpStream,
    /// The session with a proxy, which carries the one with the host.
    pub(super) outer: Option<Box<Session>>,
}

impl Carrier {
    /// What has to happen on the TCP connection so that it can carry what a session over it needs.
    pub(super) fn needs(&self, wants: TransportNeeds) -> TransportNeeds {
        let Some(outer) = &self.outer else { return wants };
        let none = TransportNeeds { read: false, write: false };
        let read = if wants.read { outer.needs_for_receive() } else { none };
        let write = if wants.write { outer.needs_for_send() } else { none };
        if wants.read && read == none || wants.write && write == none {
            // It has bytes to hand over, or room for more.
            return none;
        }
        TransportNeeds { read: read.read || write.read, write: read.write || write.write }
    }

    /// Ends the session with the proxy, as far as the transport takes it now.
    pub(super) fn close(&mut self) {
        if let Some(outer) = &mut self.outer {
            outer.close(&mut self.tcp);
        }
    }
}

impl Read for Carrier {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.outer {
            Some(outer) => outer.receive(&mut self.tcp, into).map_err(blocking),
            None => self.tcp.read(into),
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.outer {
            Some(outer) => outer.send(&mut self.tcp, data).map_err(blocking),
            None => self.tcp.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

fn blocking(error: nb::Error<TlsError>) -> io::Error {
    match error {
        nb::Error::WouldBlock => io::ErrorKind::WouldBlock.into(),
        nb::Error::Other(error) => error.into(),
    }
}
