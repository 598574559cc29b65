//! A datagram socket that a lookup and what waits for it have together.

use std::net::UdpSocket;
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd};

use crate::budget::Permits;

/// So that neither needs a copy: closed, and its room given back, when both are done with it.
#[derive(Debug)]
pub(crate) struct Datagrams {
    // Closed before its room is given back.
    pub(crate) socket: UdpSocket,
    pub(crate) _room: Option<Arc<Permits>>,
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
