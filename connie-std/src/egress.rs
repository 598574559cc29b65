//! How the sockets of a connect leave the machine: also those that ask name servers, and those that ask the
//! system for a route.

#[cfg(not(target_os = "wasi"))]
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(not(target_os = "wasi"))]
use rustix::fd::{AsFd, OwnedFd};
#[cfg(not(target_os = "wasi"))]
use rustix::net::{AddressFamily, SocketType};

#[cfg(not(target_os = "wasi"))]
use crate::os_error::OsError;
#[cfg(feature = "dns")]
use crate::socket::OsStack;
#[cfg(not(target_os = "wasi"))]
use crate::socket::open;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::{OnSocket, Purpose, SocketOptions};

/// What a program has asked for of the way that its connections take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Egress {
    pub(crate) source_v4: Option<Ipv4Addr>,
    pub(crate) source_v6: Option<Ipv6Addr>,
    /// Of these the ones that choose a route, no others.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) socket: SocketOptions,
    #[cfg(not(target_os = "wasi"))]
    pub(crate) on_socket: Option<OnSocket>,
}

impl Egress {
    /// The source address of connections to `remote`.
    pub(crate) fn source(&self, remote: &SocketAddr) -> Option<IpAddr> {
        match remote {
            SocketAddr::V4(_) => self.source_v4.map(IpAddr::V4),
            SocketAddr::V6(_) => self.source_v6.map(IpAddr::V6),
        }
    }

    /// Whether there is a source address for the other family alone, so that a race leaves `remote` out.
    pub(crate) fn leaves_out(&self, remote: &SocketAddr) -> bool {
        self.source(remote).is_none() && (self.source_v4.is_some() || self.source_v6.is_some())
    }

    /// A UDP socket that is connected to `remote`, on a port that the system draws.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) fn datagrams(&self, remote: SocketAddr, purpose: Purpose) -> io::Result<OwnedFd> {
        let family = if remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let fd = open(family, SocketType::DGRAM)?;
        self.options(remote, purpose).apply(fd.as_fd()).map_err(OsError::into_named)?;
        if let Some(on_socket) = &self.on_socket {
            on_socket.call_for(fd.as_fd(), remote, purpose).map_err(OsError::into_named)?;
        }
        rustix::net::connect(&fd, &remote)?;
        Ok(fd)
    }

    /// What connects to a name server.
    #[cfg(feature = "dns")]
    pub(crate) fn to_server(&self, server: SocketAddr) -> OsStack {
        let purpose = Purpose::NameServer;
        OsStack {
            socket: self.options(server, purpose),
            on_socket: self.on_socket.as_ref().map(|on_socket| on_socket.for_purpose(purpose)),
            ..OsStack::default()
        }
    }

    /// No interface but its own leads to a name server of this machine, such as
    /// systemd-resolved's 127.0.0.53.
    #[cfg(not(target_os = "wasi"))]
    fn options(&self, remote: SocketAddr, purpose: Purpose) -> SocketOptions {
        let mut options = self.socket.clone();
        if purpose == Purpose::NameServer && remote.ip().is_loopback() {
            options.interface = None;
        }
        options
    }
}
