//! The operating system's TCP sockets as a stack that a race can run on.

use std::io::{self, Read, Write};
pub(crate) use std::net::TcpStream;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Interest, RaceStack};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::budget::{KeepPermit, SocketPermit};
use crate::errno::{Call, has_begun, has_woken};
use crate::local_ports::LocalPorts;
use crate::note::Note;
use crate::os_error::OsError;
use crate::pollable::{PollNeed, Pollable};
use crate::retransmitted::{Retransmitted, is_retransmitted};
use crate::setup_step::SetupStep;
use crate::socket_options::{OnSocket, Purpose, SocketOptions, share_port_at_connect};

/// The operating system's TCP sockets. Every socket is non-blocking and closed on `exec`.
///
/// It implements embedded-nal's [`TcpClientStack`], so that any program written for that runs over it, and
/// [`RaceStack`], so that races do.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct OsStack {
    /// The source address of IPv4 connections. Default: the system's choice, unless there is one for IPv6:
    /// then IPv4 is left out.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections. Default: the system's choice, unless there is one for IPv4:
    /// then IPv6 is left out.
    pub source_v6: Option<Ipv6Addr>,
    /// What is set on each socket before it is connected. Default: nothing.
    pub socket: SocketOptions,
    /// What the program itself does with each socket before it is connected. Default: nothing.
    pub on_socket: Option<OnSocket>,
    /// Whether a connection that is established sends small segments at once (`TCP_NODELAY`). Default: yes,
    /// since a client that writes a request and then reads gains nothing from waiting for more.
    pub nodelay: bool,
}

impl Default for OsStack {
    fn default() -> Self {
        OsStack {
            source_v4: None,
            source_v6: None,
            socket: SocketOptions::default(),
            on_socket: None,
            nodelay: true,
        }
    }
}

/// One TCP socket. Dropping it closes it.
#[derive(Debug, Default)]
pub struct OsSocket(OsSocketState, Option<SocketPermit>);

#[derive(Debug, Default)]
enum OsSocketState {
    /// No descriptor yet: its family is not known before `connect`.
    #[default]
    New,
    /// `writable` once a readiness wait has seen the handshake end; `vain` counts how often that had ended in
    /// nothing.
    Connecting {
        fd: OwnedFd,
        writable: bool,
        vain: u16,
    },
    Connected(TcpStream),
    /// The handshake failed.
    Failed,
}

/// A socket of which `connect` was called.
pub(crate) enum Begun {
    /// The handshake is under way.
    Connecting(OwnedFd),
    Connected(OwnedFd),
}

impl OsSocket {
    /// The stream, still non-blocking, where the socket is connected. Its place in a
    /// [`SocketBudget`](crate::SocketBudget) is free then.
    #[must_use]
    pub fn into_stream(self) -> Option<TcpStream> {
        self.into_parts().0
    }

    /// The stream and its place in a budget.
    pub(crate) fn into_parts(self) -> (Option<TcpStream>, Option<SocketPermit>) {
        match self.0 {
            OsSocketState::Connected(stream) => (Some(stream), self.1),
            _ => (None, None),
        }
    }

    /// Where it leads.
    #[cfg(feature = "tls")]
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            OsSocketState::Connected(stream) => stream.peer_addr(),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The descriptor; none before `connect` and after a failure.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            OsSocketState::Connecting { fd, .. } => Some(fd.as_fd()),
            OsSocketState::Connected(stream) => Some(stream.as_fd()),
            OsSocketState::New | OsSocketState::Failed => None,
        }
    }

    fn stream(&mut self) -> Result<&mut TcpStream, OsError> {
        match &mut self.0 {
            OsSocketState::Connected(stream) => Ok(stream),
            _ => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
        }
    }
}

impl KeepPermit for OsSocket {
    fn hold(&mut self, held: SocketPermit) {
        self.1 = Some(held);
    }
}

impl Retransmitted for OsSocket {
    fn was_retransmitted(&self) -> bool {
        self.fd().is_some_and(is_retransmitted)
    }
}

impl Pollable for OsSocket {
    fn poll_need(&self, interest: Interest) -> PollNeed<'_> {
        let events = match interest {
            Interest::Receive => PollFlags::IN,
            Interest::Connect | Interest::Send => PollFlags::OUT,
        };
        self.fd().map_or(PollNeed::Never, |fd| PollNeed::Events(fd, events))
    }

    fn found(&mut self, interest: Interest) {
        if let (OsSocketState::Connecting { writable, .. }, Interest::Connect) = (&mut self.0, interest) {
            *writable = true;
        }
    }
}

impl TryFrom<TcpStream> for OsSocket {
    type Error = io::Error;

    /// A connected stream as a socket of this stack: it is made non-blocking.
    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(OsSocket(OsSocketState::Connected(stream), None))
    }
}

impl OsStack {
    /// Hands over why [`OnSocket`] refused sockets of the race, where the attempts' errors have no number for
    /// it.
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        self.on_socket.as_ref().map(OnSocket::take_notes).unwrap_or_default()
    }

    /// A socket for `remote` that is set up and neither bound nor connected.
    fn open(&self, remote: SocketAddr) -> Result<OwnedFd, OsError> {
        let fd = open(
            if remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 },
            SocketType::STREAM,
        )
        .map_err(|errno| OsError::of(Call::Socket, errno))?;
        self.socket.apply(fd.as_fd())?;
        match &self.on_socket {
            Some(on_socket) => on_socket.call(fd.as_fd(), remote).map(|()| fd),
            None => Ok(fd),
        }
    }

    /// The source address for `remote`, where the program has given one.
    fn source(&self, remote: SocketAddr) -> Result<Option<IpAddr>, OsError> {
        let (v4, v6) = (self.source_v4.map(IpAddr::V4), self.source_v6.map(IpAddr::V6));
        match if remote.is_ipv4() { (v4, v6) } else { (v6, v4) } {
            // It would leave the machine by another way than the program has asked for.
            (None, Some(_)) => Err(OsError::of_other_family()),
            (source, _) => Ok(source),
        }
    }

    /// Opens a socket and begins to connect it.
    pub(crate) fn begin(&self, remote: SocketAddr) -> Result<Begun, OsError> {
        let source = self.source(remote)?;
        if let Some(ports) = &self.socket.local_ports {
            return self.begin_from_one_of(ports.clone(), source, remote);
        }
        let fd = self.open(remote)?;
        if let Some(source) = source {
            share_port_at_connect(&fd);
            bind(&fd, source, 0)?;
        }
        start(fd, remote).map_err(|errno| match errno {
            Errno::ADDRNOTAVAIL if self.has_source(remote) => OsError::of(Call::ConnectFromSource, errno),
            errno => errno.into(),
        })
    }

    /// The same from the first of `ports` that can be used.
    fn begin_from_one_of(
        &self,
        ports: RangeInclusive<u16>,
        source: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<Begun, OsError> {
        let any = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut ports = LocalPorts::of(ports);
        // Of a range without ports, which `connect` refuses before.
        let mut last = OsError::of_setup(SetupStep::LocalPorts, Errno::INVAL);
        let mut has_source = None;
        loop {
            let fd = self.open(remote)?;
            // So that the attempts of a race can come from one port, as they lead to different addresses. On
            // Windows that would be to take the port from whoever has it.
            #[cfg(not(windows))]
            sockopt::set_socket_reuseaddr(&fd, true)?;
            loop {
                let Some(port) = ports.next() else { return Err(last) };
                match bind(&fd, source.unwrap_or(any), port) {
                    Ok(()) => break,
                    Err(error) if error.is_of_source() => return Err(error),
                    Err(error) => last = OsError::of_setup(SetupStep::LocalPorts, error),
                }
            }
            match start(fd, remote) {
                // Another connection leads from this port to the same address. Linux says of it what it says
                // where the machine has no address of the family, which no other port would change.
                Err(Errno::ADDRINUSE) => {}
                Err(Errno::ADDRNOTAVAIL) if *has_source.get_or_insert_with(|| self.has_source(remote)) => {}
                result => return result.map_err(OsError::from),
            }
            last = OsError::of_setup(SetupStep::LocalPorts, Errno::ADDRINUSE);
        }
    }

    /// Whether this machine has a source address for `remote`: then `EADDRNOTAVAIL` of a `connect` speaks of
    /// ports. A UDP socket tells, which takes none of TCP's and sends nothing. It goes by the route that the
    /// connection would have taken.
    fn has_source(&self, remote: SocketAddr) -> bool {
        let ask = || {
            let family = if remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let fd = open(family, SocketType::DGRAM)?;
            self.socket.of_route().apply(fd.as_fd())?;
            if let Some(on_socket) = &self.on_socket {
                on_socket.call_for(fd.as_fd(), remote, Purpose::Route)?;
            }
            rustix::net::connect(&fd, &remote).map_err(OsError::from)
        };
        remote.port() != 0 && ask().is_ok()
    }

    /// The handshake has ended if the socket is writable.
    fn conclude(&self, fd: OwnedFd, writable: bool, vain: u16) -> nb::Result<OsSocketState, OsError> {
        let writable = if writable { Ok(true) } else { is_writable(fd.as_fd()) };
        let peer = match writable {
            Ok(true) => ended(fd.as_fd())?,
            Ok(false) => return Ok(OsSocketState::Connecting { fd, writable: false, vain }),
            // `poll` cannot be asked. The socket itself knows whether it has a peer.
            Err(_) => match ended(fd.as_fd())? {
                Peer::Another if rustix::net::getpeername(&fd).is_err() => {
                    return Ok(OsSocketState::Connecting { fd, writable: false, vain });
                }
                Peer::Nobody => return Ok(OsSocketState::Connecting { fd, writable: false, vain }),
                peer => peer,
            },
        };
        self.settle(fd, peer, vain)
    }

    /// What a socket is whose handshake has ended without an error.
    fn settle(&self, fd: OwnedFd, peer: Peer, vain: u16) -> nb::Result<OsSocketState, OsError> {
        match peer {
            Peer::Another => {
                if self.nodelay {
                    // A peer that has reset the connection already shows it at the first read, not here.
                    let _ = sockopt::set_tcp_nodelay(&fd, true);
                }
                Ok(OsSocketState::Connected(TcpStream::from(fd)))
            }
            Peer::Itself => {
                reset(fd.as_fd());
                Err(nb::Error::Other(Errno::CONNREFUSED.into()))
            }
            // Neither connected nor failed: its error is on the way.
            Peer::Nobody if vain < MOST_IN_VAIN => {
                Ok(OsSocketState::Connecting { fd, writable: false, vain: vain + 1 })
            }
            Peer::Nobody => Err(nb::Error::Other(Errno::NOTCONN.into())),
        }
    }
}

impl TcpClientStack for OsStack {
    type TcpSocket = OsSocket;
    type Error = OsError;

    /// A socket that takes a descriptor when it is connected, since its family is not known before.
    fn socket(&mut self) -> Result<OsSocket, OsError> {
        Ok(OsSocket::default())
    }

    fn connect(&mut self, socket: &mut OsSocket, remote: SocketAddr) -> nb::Result<(), OsError> {
        socket.0 = match std::mem::replace(&mut socket.0, OsSocketState::Failed) {
            OsSocketState::New => match self.begin(remote)? {
                Begun::Connecting(fd) => OsSocketState::Connecting { fd, writable: false, vain: 0 },
                Begun::Connected(fd) => {
                    let peer = peer(fd.as_fd());
                    self.settle(fd, peer, 0)?
                }
            },
            OsSocketState::Connecting { fd, writable, vain } => self.conclude(fd, writable, vain)?,
            OsSocketState::Connected(stream) => OsSocketState::Connected(stream),
            OsSocketState::Failed => {
                return Err(nb::Error::Other(io::Error::from(io::ErrorKind::NotConnected).into()));
            }
        };
        match socket.0 {
            OsSocketState::Connected(_) => Ok(()),
            _ => Err(nb::Error::WouldBlock),
        }
    }

    fn send(&mut self, socket: &mut OsSocket, buffer: &[u8]) -> nb::Result<usize, OsError> {
        let stream = socket.stream()?;
        retry(|| stream.write(buffer))
    }

    fn receive(&mut self, socket: &mut OsSocket, buffer: &mut [u8]) -> nb::Result<usize, OsError> {
        let stream = socket.stream()?;
        retry(|| stream.read(buffer))
    }

    /// Closes the socket in order: what was sent is still delivered.
    fn close(&mut self, socket: OsSocket) -> Result<(), OsError> {
        drop(socket);
        Ok(())
    }
}

impl RaceStack for OsStack {
    fn attempt_error(&self, error: &OsError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, socket: OsSocket) {
        if let Some(fd) = socket.fd() {
            reset(fd);
        }
        drop(socket);
    }
}

/// Binds a socket to a source address, and to a port where that is not 0.
fn bind(fd: &OwnedFd, source: IpAddr, port: u16) -> Result<(), OsError> {
    rustix::net::bind(fd, &SocketAddr::from((source, port))).map_err(|errno| OsError::of(Call::Bind, errno))
}

/// Begins to connect a socket. Where that fails it is closed: its place is for others.
fn start(fd: OwnedFd, remote: SocketAddr) -> Result<Begun, Errno> {
    match rustix::net::connect(&fd, &remote) {
        Ok(()) => Ok(Begun::Connected(fd)),
        // EINTR: "the connection shall be established asynchronously" (POSIX connect). EAGAIN is that on
        // Windows alone: elsewhere nothing was begun, and a socket that never will be connected is writable
        // and shows no error.
        Err(errno) if has_begun(errno) => Ok(Begun::Connecting(fd)),
        Err(errno) => Err(errno),
    }
}

/// How often a socket can be ready without being connected or having failed, before that counts as a failure.
/// Each time is a `poll` that does not wait: it is some milliseconds in all, and a socket whose error never
/// comes must not keep a processor busy until the deadline.
pub(crate) const MOST_IN_VAIN: u16 = 1_000;

/// The stream as one that blocks.
pub(crate) fn blocking(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(false).map(|()| stream)
}

/// Runs a read or write again when a signal has interrupted it.
pub(crate) fn retry(mut call: impl FnMut() -> io::Result<usize>) -> nb::Result<usize, OsError> {
    loop {
        match call() {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(nb::Error::WouldBlock),
            Err(error) => return Err(nb::Error::Other(error.into())),
        }
    }
}

/// Whether a `connect` has ended, one way or the other, for a program that has not waited for it.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(ready) => Ok(ready > 0),
        Err(errno) if has_woken(errno) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Who is at the other end of a socket whose handshake has ended. `SO_ERROR` alone tells how. Reading that
/// clears it, so it is read once.
pub(crate) fn ended(fd: BorrowedFd<'_>) -> Result<Peer, OsError> {
    match sockopt::socket_error(fd) {
        Ok(Ok(())) => Ok(peer(fd)),
        Ok(Err(errno)) => Err(errno.into()),
        Err(errno) => Err(OsError::of(Call::GetSockOpt, errno)),
    }
}

/// Who is at the other end of a socket that has ended its handshake without an error.
pub(crate) enum Peer {
    Another,
    /// A `connect` to a port of this machine on which nobody listens can be given that very port to come
    /// from. Its SYN then meets its own socket, which takes that for a simultaneous open (RFC 9293 section
    /// 3.5): it connects, and reads what it writes. Such a port refuses.
    Itself,
    /// Linux can wake a `poll` for an attempt that a router's ICMP error has just ended before `SO_ERROR` has
    /// that error: seen on 6.18, on a machine with more to do than processors. A moment later it is there.
    Nobody,
}

pub(crate) fn peer(fd: BorrowedFd<'_>) -> Peer {
    let linux = cfg!(any(target_os = "linux", target_os = "android"));
    match rustix::net::getpeername(fd) {
        Err(Errno::NOTCONN) if linux => Peer::Nobody,
        Ok(Some(peer)) if rustix::net::getsockname(fd).is_ok_and(|own| own == peer) => Peer::Itself,
        _ => Peer::Another,
    }
}

/// Has the close of a socket send a reset where the handshake has completed, and leave no TIME-WAIT.
pub(crate) fn reset(fd: BorrowedFd<'_>) {
    // With a linger time of zero it does. Where this fails the socket is closed in order, which costs the
    // peer a little more.
    let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
}

/// A socket that never blocks and does not survive `exec`.
pub(crate) fn open(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::net::SocketFlags;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(family, kind, flags, None)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        #[cfg(windows)]
        start_winsock()?;
        let fd = rustix::net::socket(family, kind, None)?;
        #[cfg(not(windows))]
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        #[cfg(any(target_vendor = "apple", target_os = "netbsd"))]
        sockopt::set_socket_nosigpipe(&fd, true)?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(fd)
    }
}

/// Winsock counts its starts; one is enough for the life of the process.
#[cfg(windows)]
fn start_winsock() -> Result<(), Errno> {
    static STARTED: std::sync::OnceLock<Result<(), Errno>> = std::sync::OnceLock::new();
    *STARTED.get_or_init(|| rustix::net::wsa_startup().map(|_| ()))
}
