//! Wakes a `poll` from another thread.

use std::io;
#[cfg(all(unix, not(target_os = "linux")))]
use std::io::{Read, Write};

use rustix::fd::{AsFd, BorrowedFd};

/// Something that `poll` can wait for and that any thread can notify. An eventfd on Linux, a pipe on other
/// Unix systems, elsewhere a socket that is connected to itself, since `poll` takes nothing else there.
#[derive(Debug)]
pub(crate) struct Notifier(NotifierFd);

#[cfg(target_os = "linux")]
#[derive(Debug)]
struct NotifierFd(rustix::fd::OwnedFd);

#[cfg(all(unix, not(target_os = "linux")))]
#[derive(Debug)]
struct NotifierFd {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

#[cfg(not(unix))]
#[derive(Debug)]
struct NotifierFd(std::net::UdpSocket);

impl Notifier {
    /// How many descriptors one costs.
    pub(crate) const DESCRIPTORS: usize = if cfg!(all(unix, not(target_os = "linux"))) { 2 } else { 1 };

    /// # Errors
    ///
    /// Where the process is out of descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        NotifierFd::new().map(Notifier)
    }

    /// Wakes every `poll` that waits for it, until it is [cleared](Notifier::clear).
    pub(crate) fn notify(&self) {
        // The few octets that it ever holds do not fill it, so it cannot block; both ends live as long as
        // this does.
        let _ = self.0.send();
    }

    /// Takes back one notification, which must have been made.
    pub(crate) fn clear(&self) {
        let _ = self.0.receive();
    }
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.end()
    }
}

#[cfg(target_os = "linux")]
impl NotifierFd {
    fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        // As a semaphore: each read takes back one notification.
        let flags = EventfdFlags::SEMAPHORE | EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(NotifierFd(eventfd(0, flags)?))
    }

    fn send(&self) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, &1_u64.to_ne_bytes())?)
    }

    fn receive(&self) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, &mut [0; 8])?)
    }

    fn end(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
impl NotifierFd {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(NotifierFd { reader, writer })
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
impl NotifierFd {
    fn new() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(NotifierFd(socket))
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
