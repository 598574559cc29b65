//! How a server's thread, which waits in `poll`, is told to end.

use std::io;
#[cfg(windows)]
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

#[cfg(not(windows))]
use rustix::event::{EventfdFlags, eventfd};
#[cfg(not(windows))]
use rustix::fd::OwnedFd;
use rustix::fd::{AsFd, BorrowedFd};

/// Ready to read from the moment that it was told to stop. Clones are the same. An eventfd, which needs no
/// network; on Windows, where `poll` takes nothing but sockets, a socket that is connected to itself.
#[derive(Clone)]
pub(crate) struct Stop(Arc<Wire>);

#[cfg(not(windows))]
type Wire = OwnedFd;
#[cfg(windows)]
type Wire = UdpSocket;

impl Stop {
    #[cfg(not(windows))]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?)))
    }

    #[cfg(windows)]
    pub(crate) fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        Ok(Self(Arc::new(socket)))
    }

    pub(crate) fn tell(&self) {
        // An eventfd takes any number but the greatest, and an empty socket takes an octet.
        #[cfg(not(windows))]
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        #[cfg(windows)]
        let _ = self.0.send(&[1]);
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        AsFd::as_fd(&*self.0)
    }
}
