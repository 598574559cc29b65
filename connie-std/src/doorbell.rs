//! Wakes a `poll` from another thread.

use std::io;
#[cfg(unix)]
use std::io::{Read, Write};

use rustix::fd::{AsFd, BorrowedFd};

/// Something that `poll` can wait for and that any thread can ring. A pipe on Unix, elsewhere a socket that is connected to
/// itself, since `poll` takes nothing else there.
#[derive(Debug)]
pub(crate) struct Doorbell(Wire);

#[cfg(unix)]
#[derive(Debug)]
struct Wire {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Wire(std::net::UdpSocket);

impl Doorbell {
    /// # Errors
    ///
    /// Where the process is out of descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        Wire::new().map(Doorbell)
    }

    /// Rings. A bell that has rung wakes every `poll` until it is [answered](Doorbell::answer).
    pub(crate) fn ring(&self) {
        // The few octets that it ever holds do not fill it, so it cannot block; both ends live as long as this does.
        let _ = self.0.send();
    }

    /// Takes one ring back, which must have been made.
    pub(crate) fn answer(&self) {
        let _ = self.0.receive();
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end()
    }
}

#[cfg(unix)]
impl Wire {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Wire { reader, writer })
    }

    fn send(&self) -> io::Result<usize> {
        (&self.writer).write(&[1])
    }

    fn receive(&self) -> io::Result<usize> {
        (&self.reader).read(&mut [0])
    }

    fn end(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(not(unix))]
impl Wire {
    fn new() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Wire(socket))
    }

    fn send(&self) -> io::Result<usize> {
        self.0.send(&[1])
    }

    fn receive(&self) -> io::Result<usize> {
        self.0.recv(&mut [0])
    }

    fn end(&self) -> BorrowedFd<'_> {
        rustix::fd::AsFd::as_fd(&self.0)
    }
}
