//! Addresses that do not answer, and addresses that say no.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen};

/// On loopback a connection that is going to be accepted is so within far less than this.
const SILENCE: Duration = Duration::from_millis(30);
/// Linux lets a little more than the asked-for backlog wait; far fewer than this.
const FILLERS_AT_MOST: usize = 16;

/// A loopback address on which nothing ever answers: a listener whose queue of connections is full. Linux
/// then drops every further SYN. Wine's sockets are Linux's, and do too; Windows itself would answer with a
/// reset.
pub struct BlackHole {
    address: SocketAddr,
    _listener: OwnedFd,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Opens a black hole at an address such as `127.0.0.2:8080` or `[::1]:0`; port 0 takes a free one. Needs
    /// 30 ms.
    ///
    /// # Panics
    /// When the address is taken, or answers for ever.
    #[must_use]
    #[track_caller]
    pub fn open(address: impl Into<SocketAddr>) -> Self {
        Self::fill(address.into()).unwrap_or_else(|error| panic!("a black hole: {error}"))
    }

    fn fill(address: SocketAddr) -> io::Result<Self> {
        let listener = bound(address, Reuse::Yes)?;
        listen(&listener, 0)?;
        let address = local_address(&listener)?;
        let mut queue = Vec::new();
        while queue.len() < FILLERS_AT_MOST {
            match TcpStream::connect_timeout(&address, SILENCE) {
                Ok(filler) => queue.push(filler),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { address, _listener: listener, _queue: queue });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{address} still answers after {FILLERS_AT_MOST} connections")))
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port that refuses: it belongs to a socket that does not listen, so nobody else can take it meanwhile.
pub struct ClosedPort {
    address: SocketAddr,
    _socket: OwnedFd,
}

impl ClosedPort {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes a port of this address that refuses every connection for as long as the result lives.
///
/// # Panics
/// When the address is not one of this machine.
#[must_use]
#[track_caller]
pub fn closed_port(address: IpAddr) -> ClosedPort {
    let take = || {
        let socket = bound(SocketAddr::new(address, 0), Reuse::No)?;
        io::Result::Ok(ClosedPort { address: local_address(&socket)?, _socket: socket })
    };
    take().unwrap_or_else(|error| panic!("a closed port of {address}: {error}"))
}

/// Whether a port is taken that a connection which another test's server has closed holds for a minute.
/// Where nobody listens afterwards, others could take it too.
#[derive(PartialEq, Eq)]
enum Reuse {
    Yes,
    No,
}

fn bound(address: SocketAddr, reuse: Reuse) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = open(family)?;
    // Windows would let two listen there.
    if reuse == Reuse::Yes && cfg!(not(windows)) {
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

#[cfg(not(windows))]
fn open(family: AddressFamily) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(family, SocketType::STREAM, rustix::net::SocketFlags::CLOEXEC, None)
}

#[cfg(windows)]
fn open(family: AddressFamily) -> Result<OwnedFd, Errno> {
    // Counted, and never taken back: the process has it for as long as it lives.
    rustix::net::wsa_startup()?;
    rustix::net::socket(family, SocketType::STREAM, None)
}

fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?)
}

/// Binds a listener of the standard library, for the other servers.
#[track_caller]
pub(super) fn listener(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).unwrap_or_else(|error| panic!("listening at {address}: {error}"))
}
