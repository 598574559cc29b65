//! A stack whose UDP leads to the name servers of a row, in virtual time.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::SocketAddr;

use connie_async::Clock;
use connie_async::connie_core::Instant;
use connie_sim::name_servers::{Coming, Reaction, Sender, Servers};
use embedded_io_async::ErrorKind;
use embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};

use crate::virtual_support::{Fault, World};

pub struct Net<'w> {
    pub world: &'w World,
    pub servers: RefCell<Servers>,
    /// Sockets that are open, and the most that were.
    pub open: Cell<usize>,
    pub most_open: Cell<usize>,
    /// How many there are.
    pub pool: Cell<usize>,
    /// How many connects are still to hang.
    pub hang: Cell<usize>,
}

impl<'w> Net<'w> {
    pub fn new(world: &'w World, servers: Servers) -> Self {
        let zero = || Cell::new(0);
        let (open, most_open, hang) = (zero(), zero(), zero());
        Net { world, servers: RefCell::new(servers), open, most_open, pool: Cell::new(usize::MAX), hang }
    }

    /// What was sent.
    pub fn sent(&self) -> String {
        self.servers.borrow().sent().join(" ")
    }
}

pub struct Socket<'n> {
    net: &'n Net<'n>,
    server: usize,
    coming: Vec<Coming>,
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        self.net.open.set(self.net.open.get() - 1);
    }
}

impl ConnectedUdp for Socket<'_> {
    type Error = Fault;

    async fn send(&mut self, query: &[u8]) -> Result<(), Fault> {
        let now = self.net.world.now();
        let coming = self.net.servers.borrow_mut().ask(self.server, query, false, Instant::from_micros(now));
        self.coming.extend(coming);
        Ok(())
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let next = (0..self.coming.len()).min_by_key(|index| self.coming[*index].at);
            let Some(next) = next else { return pending().await };
            while Clock::now(self.net.world) < self.coming[next].at {
                Clock::wait_until(self.net.world, self.coming[next].at).await;
                if Clock::now(self.net.world) < self.coming[next].at {
                    // A clock that is early goes on with the next poll.
                    embassy_futures::yield_now().await;
                }
            }
            match self.coming.remove(next).reaction {
                // What comes from elsewhere does not reach a connected socket.
                Reaction::Silent | Reaction::Says(_, Sender::OtherHost | Sender::OtherPort) => {}
                Reaction::Fails => return Err(Fault(ErrorKind::ConnectionRefused)),
                Reaction::Says(message, Sender::Itself) => {
                    buffer[..message.len()].copy_from_slice(&message);
                    return Ok(message.len());
                }
            }
        }
    }
}

/// Connects alone.
pub enum Never {}

impl UnconnectedUdp for Never {
    type Error = Fault;

    async fn send(&mut self, _: SocketAddr, _: SocketAddr, _: &[u8]) -> Result<(), Fault> {
        match *self {}
    }

    async fn receive_into(&mut self, _: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Fault> {
        match *self {}
    }
}

impl<'n> UdpStack for &'n Net<'n> {
    type Error = Fault;
    type Connected = Socket<'n>;
    type UniquelyBound = Never;
    type MultiplyBound = Never;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, Socket<'n>), Fault> {
        if self.hang.get() > 0 {
            self.hang.set(self.hang.get() - 1);
            return pending().await;
        }
        if self.open.get() >= self.pool.get() {
            return Err(Fault(ErrorKind::OutOfMemory));
        }
        let mut servers = 0..self.servers.borrow().count();
        let server = servers.find(|index| Servers::address(*index) == remote).expect("a server");
        self.open.set(self.open.get() + 1);
        self.most_open.set(self.most_open.get().max(self.open.get()));
        Ok((local, Socket { net: self, server, coming: Vec::new() }))
    }

    async fn bind_single(&self, _: SocketAddr) -> Result<(SocketAddr, Never), Fault> {
        Err(Fault(ErrorKind::Unsupported))
    }

    async fn bind_multiple(&self, _: SocketAddr) -> Result<Never, Fault> {
        Err(Fault(ErrorKind::Unsupported))
    }
}
