//! What a program has set on each socket of a race before it is connected.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use rustix::net::sockopt;

use connie_core::{AttemptError, AttemptErrorKind, Timeline};

use crate::note::{Note, Notes};
use crate::os_error::OsError;
use crate::setup_step::SetupStep;

/// What is set on each socket before it is connected: made by [`SocketOptions::new`], which sets nothing, and
/// changed by methods that have the names of its fields. They take what is optional as it is, or an `Option`.
///
/// ```
/// use connie_std::{Keepalive, Options, SocketOptions, connect};
/// use std::time::Duration;
///
/// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = server.local_addr()?;
/// let keepalive = Keepalive::new().idle(Duration::from_secs(60));
/// let socket = SocketOptions::new().keepalive(keepalive);
/// let stream = connect(address, &Options::new().socket(socket))?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What the system does not take, or does not have, fails each attempt: its line names the option and has the
/// system's words (`mark could not be set: Operation not permitted`), and
/// [`raw_os_error`](crate::ConnectError::raw_os_error) the system's number. An option that this platform
/// lacks is `EOPNOTSUPP`.
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Probes of a silent peer (`SO_KEEPALIVE`).
    pub keepalive: Option<Keepalive>,
    /// The size of the send buffer in bytes (`SO_SNDBUF`). Linux takes twice as much, for its own records,
    /// and no more than `net.core.wmem_max` allows.
    pub send_buffer: Option<usize>,
    /// The size of the receive buffer in bytes (`SO_RCVBUF`), from which the window scale of the SYN follows.
    /// Linux takes twice as much, and no more than `net.core.rmem_max` allows.
    pub receive_buffer: Option<usize>,
    /// How long what was sent may stay unacknowledged before the connection ends (`TCP_USER_TIMEOUT`; RFC
    /// 5482), in whole milliseconds, rounded up. Zero is refused: it would be the system's own. Linux and
    /// Android. It bounds the handshake too.
    pub user_timeout: Option<Duration>,
    /// The name of the interface that all packets leave and enter by (`SO_BINDTODEVICE`): `eth0`. Linux and
    /// Android; before Linux 5.7 for the privileged alone. Name servers (`dns::Dns`) are asked by it too, but
    /// for those on a loopback address. The empty name, one of more than 15 bytes and one with a zero byte
    /// are refused before there is a socket ([`InvalidOption`](crate::ConnectErrorKind::InvalidOption)).
    pub interface: Option<String>,
    /// The mark that rules for routes and packets can go by (`SO_MARK`). Linux; it takes `CAP_NET_ADMIN` or
    /// `CAP_NET_RAW`. Queries to name servers (`dns::Dns`) have it too.
    pub mark: Option<u32>,
    /// The local ports that connections come from, of which each attempt takes the first that it can use.
    /// Below 1,024 they are the privileged's. Where connections of a race lead to different addresses they
    /// share a port on Linux (`SO_REUSEADDR`); elsewhere each takes one of its own.
    ///
    /// An attempt tries 256 ports at the most. A range of up to that many is gone through from its least port
    /// up. A longer one is gone on with where the last search of the process has ended, and from its least
    /// port again after its last. A port on which somebody listens costs one system call; one from which
    /// another connection leads to the same address costs five, and one more for each option that is set:
    /// some milliseconds in all where every port is taken. Where none can be used the attempt fails with
    /// `EADDRINUSE`, or what else the last of them met, and the race goes on with its other addresses, which
    /// may find one. An empty range, and one that begins with 0, is refused before there is a socket
    /// ([`InvalidOption`](crate::ConnectErrorKind::InvalidOption)).
    pub local_ports: Option<RangeInclusive<u16>>,
}

/// How a silent peer is probed. Each field that is `None` is the system's, on Linux two hours, 75 seconds and
/// 9. What lies outside of the limits here is refused before there is a socket
/// ([`InvalidOption`](crate::ConnectErrorKind::InvalidOption)).
#[must_use]
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// The silence before the first probe (`TCP_KEEPIDLE`), in whole seconds, rounded up; at least one, on
    /// Linux at most 32,767.
    pub idle: Option<Duration>,
    /// The time between two probes (`TCP_KEEPINTVL`), in whole seconds, rounded up; at least one, on Linux at
    /// most 32,767.
    pub interval: Option<Duration>,
    /// How many probes without an answer end the connection (`TCP_KEEPCNT`): 1 to 127 on Linux.
    pub count: Option<u32>,
}

/// `MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL` of Linux. A fraction of a second is rounded up.
const MOST_OF_SILENCE: Duration = match cfg!(any(target_os = "linux", target_os = "android")) {
    true => Duration::from_secs(32_767),
    false => Duration::MAX,
};

/// How often to ask at most: `MAX_TCP_KEEPCNT` on Linux.
const PROBES: RangeInclusive<u32> =
    1..=if cfg!(any(target_os = "linux", target_os = "android")) { 127 } else { u32::MAX };

impl SocketOptions {
    /// The default: nothing is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`keepalive`](Self::keepalive).
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.keepalive = keepalive.into();
        self
    }

    /// Sets [`send_buffer`](Self::send_buffer).
    pub fn send_buffer(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.send_buffer = bytes.into();
        self
    }

    /// Sets [`receive_buffer`](Self::receive_buffer).
    pub fn receive_buffer(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.receive_buffer = bytes.into();
        self
    }

    /// Sets [`user_timeout`](Self::user_timeout).
    pub fn user_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.user_timeout = time.into();
        self
    }

    /// Sets [`interface`](Self::interface).
    pub fn interface(mut self, name: impl Into<Option<String>>) -> Self {
        self.interface = name.into();
        self
    }

    /// Sets [`mark`](Self::mark).
    pub fn mark(mut self, mark: impl Into<Option<u32>>) -> Self {
        self.mark = mark.into();
        self
    }

    /// Sets [`local_ports`](Self::local_ports).
    pub fn local_ports(mut self, ports: impl Into<Option<RangeInclusive<u16>>>) -> Self {
        self.local_ports = ports.into();
        self
    }

    /// What is wrong with them where no socket could be set up so, or not as it was meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.interface.as_deref().map_or(Ok(()), check_interface)?;
        self.keepalive.map_or(Ok(()), Keepalive::check)?;
        match &self.local_ports {
            Some(ports) if ports.is_empty() => {
                return Err(format!("local_ports {ports:?} is empty: give the lower port first"));
            }
            // For the kernel 0 is whatever port is free.
            Some(ports) if *ports.start() == 0 => {
                return Err(format!(
                    "local_ports {ports:?} begins with 0, which is no port: give 1 to 65535, or none for the system's choice"
                ));
            }
            _ => {}
        }
        match self.user_timeout {
            // The kernel would take it for its own default.
            Some(Duration::ZERO) => {
                Err("user_timeout is 0: give a time, or none for the system's".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What the options say by which sockets of a race could not be set up, or not bound to a source address:
    /// an attempt's error has no room for it.
    pub(crate) fn notes(
        &self,
        timeline: &Timeline<'_>,
        (v4, v6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
    ) -> Vec<Note> {
        let text = |address: SocketAddr, error: AttemptError| match error.kind() {
            // Without a number the family was left out, and no address was at fault.
            AttemptErrorKind::NoSourceAddress if error.number().is_none() => None,
            AttemptErrorKind::NoSourceAddress if address.is_ipv4() => v4.map(|it| it.to_string()),
            AttemptErrorKind::NoSourceAddress => v6.map(|it| it.to_string()),
            AttemptErrorKind::Setup(step) => match SetupStep::from_number(step) {
                Some(SetupStep::Interface) => self.interface.clone(),
                Some(SetupStep::LocalPorts) => {
                    self.local_ports.as_ref().map(|ports| format!("{}-{}", ports.start(), ports.end()))
                }
                _ => None,
            },
            _ => None,
        };
        let note = |(address, text): (SocketAddr, String)| Notes::one(address, &text);
        let failed =
            timeline.destinations().filter_map(|it| Some((it.address(), text(it.address(), it.error()?)?)));
        failed.map(note).collect()
    }

    /// Those of them that choose a route.
    pub(crate) fn of_route(&self) -> Self {
        SocketOptions::new().interface(self.interface.clone()).mark(self.mark)
    }

    /// Sets all that is to be set. Only that costs a call.
    pub(crate) fn apply(&self, fd: BorrowedFd<'_>) -> Result<(), OsError> {
        let of = |setup| move |errno: Errno| OsError::of_setup(setup, errno);
        if let Some(keepalive) = self.keepalive {
            keepalive.apply(fd).map_err(of(SetupStep::Keepalive))?;
        }
        if let Some(bytes) = self.send_buffer {
            sockopt::set_socket_send_buffer_size(fd, bytes).map_err(of(SetupStep::SendBuffer))?;
        }
        if let Some(bytes) = self.receive_buffer {
            sockopt::set_socket_recv_buffer_size(fd, bytes).map_err(of(SetupStep::ReceiveBuffer))?;
        }
        if let Some(time) = self.user_timeout {
            set_user_timeout(fd, time).map_err(of(SetupStep::UserTimeout))?;
        }
        if let Some(name) = &self.interface {
            bind_to_interface(fd, name).map_err(of(SetupStep::Interface))?;
        }
        if let Some(mark) = self.mark {
            set_mark(fd, mark).map_err(of(SetupStep::Mark))?;
        }
        Ok(())
    }
}

impl Keepalive {
    /// The default: the system's times.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`idle`](Self::idle).
    pub fn idle(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.idle = time.into();
        self
    }

    /// Sets [`interval`](Self::interval).
    pub fn interval(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.interval = time.into();
        self
    }

    /// Sets [`count`](Self::count).
    pub fn count(mut self, count: impl Into<Option<u32>>) -> Self {
        self.count = count.into();
        self
    }

    /// What no socket could be set to.
    fn check(self) -> Result<(), String> {
        let time = |field: &str, time: Option<Duration>| match time {
            Some(time) if time.is_zero() || time > MOST_OF_SILENCE => {
                let limit =
                    if cfg!(any(target_os = "linux", target_os = "android")) { " to 32767 s" } else { "" };
                Err(format!("keepalive {field} is {time:?}: give 1 s{limit}, or none for the system's"))
            }
            _ => Ok(()),
        };
        time("idle", self.idle)?;
        time("interval", self.interval)?;
        match self.count {
            Some(count) if !PROBES.contains(&count) => {
                let limit =
                    if cfg!(any(target_os = "linux", target_os = "android")) { " to 127" } else { "" };
                Err(format!("keepalive count is {count}: give 1{limit}, or none for the system's"))
            }
            _ => Ok(()),
        }
    }

    fn apply(self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        sockopt::set_socket_keepalive(fd, true)?;
        #[cfg(not(any(target_os = "haiku", target_os = "nto", target_os = "openbsd", target_os = "redox")))]
        {
            self.idle.map_or(Ok(()), |time| sockopt::set_tcp_keepidle(fd, time))?;
            self.interval.map_or(Ok(()), |time| sockopt::set_tcp_keepintvl(fd, time))?;
            self.count.map_or(Ok(()), |count| sockopt::set_tcp_keepcnt(fd, count))?;
        }
        #[cfg(any(target_os = "haiku", target_os = "nto", target_os = "openbsd", target_os = "redox"))]
        if self != Keepalive::default() {
            return Err(Errno::OPNOTSUPP);
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(fd: BorrowedFd<'_>, time: Duration) -> Result<(), Errno> {
    let millis = u32::try_from(time.as_nanos().div_ceil(1_000_000)).map_err(|_| Errno::INVAL)?;
    // For the kernel that is none.
    if millis == 0 {
        return Err(Errno::INVAL);
    }
    sockopt::set_tcp_user_timeout(fd, millis)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: BorrowedFd<'_>, _: Duration) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// What is wrong with the name of an interface, where none could have it.
fn check_interface(name: &str) -> Result<(), String> {
    let why = match name {
        "" => "is empty",
        name if name.contains('\0') => "holds a zero byte",
        name if name.len() > MOST_OF_A_NAME => "is too long: names have 15 bytes at most",
        _ => return Ok(()),
    };
    Err(format!("interface {name:?} {why}; give the name of one of this machine, such as eth0"))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to_interface(fd: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
    // Linux cuts a longer name off, which may be that of another interface, and takes the empty one for none.
    check_interface(name).map_err(|_| Errno::NODEV)?;
    setsockopt(&fd, BindToDevice, &name.into()).map_err(errno)
}

/// `IFNAMSIZ`, without the zero byte at its end.
const MOST_OF_A_NAME: usize = 15;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to_interface(_: BorrowedFd<'_>, _: &str) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

#[cfg(target_os = "linux")]
fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> Result<(), Errno> {
    nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::Mark, &mark).map_err(errno)
}

#[cfg(not(target_os = "linux"))]
fn set_mark(_: BorrowedFd<'_>, _: u32) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Has the port of a socket that is about to be bound to an address be chosen at `connect`, when it is known
/// where that leads: at `bind` it would be one that no other socket has, and a busy machine runs out of them.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn share_port_at_connect(fd: impl AsFd) {
    // Linux before 4.2 has no such option; there a socket takes a port of its own.
    let _ = nix::sys::socket::setsockopt(&fd.as_fd(), nix::sys::socket::sockopt::IpBindAddressNoPort, &true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn share_port_at_connect(_: impl AsFd) {}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn errno(error: nix::errno::Errno) -> Errno {
    Errno::from_io_error(&error.into()).unwrap_or(Errno::INVAL)
}

/// What a socket is for that is shown to [`OnSocket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// To be connected to an address of the race, by TCP.
    Connection,
    /// To ask a name server (`dns::Dns`), by UDP, and by TCP where the answer needs that.
    NameServer,
    /// To ask the system by which route an address would be reached, and from which address of this machine.
    /// It is a UDP socket on which nothing is sent.
    Route,
}

/// What a program does itself with each socket of a connect, before it is bound and connected: it sees the
/// descriptor, on which the [`SocketOptions`] are set, the address that it will lead to, and what it is for.
/// On Windows the descriptor is a `BorrowedSocket`.
///
/// ```
/// use connie_std::{OnSocket, Options, connect};
/// use std::io;
///
/// # fn protect(_: i32) -> bool { true }
/// # #[cfg(unix)] {
/// use std::os::fd::AsRawFd;
///
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// // Android's VpnService.protect, say, which keeps a VPN's own connections out of it.
/// let on_socket = OnSocket::new(|socket, _address, _purpose| match protect(socket.as_raw_fd()) {
///     true => Ok(()),
///     false => Err(io::Error::other("not protected")),
/// });
/// let stream = connect(address, &Options::new().on_socket(on_socket)).unwrap();
/// # }
/// ```
///
/// An error fails the attempt, whose line says that `on_socket` refused the socket, and why: in the system's
/// words where the error has its number, and else in the error's own, which the report has as the address's
/// [note](crate::Report::note) (`on_socket refused the socket: not protected`). Or it fails the query to that
/// name server; a route that cannot be asked for is taken for unknown. Options that TCP alone has belong on a
/// [`Purpose::Connection`].
///
/// It is called once for each socket, from whatever thread runs the connect, which waits for it: it must not
/// block. It is not called for an address that is left out. It is called again where the [local
/// port](SocketOptions::local_ports) turns out to lead to that address already, and once for a
/// [`Purpose::Route`] where the system has no address or no port to connect from, and it is asked which. The
/// sockets of the system's resolver are the C library's own, and nothing here sees them: where they matter,
/// use `dns::Dns`.
#[derive(Clone)]
pub struct OnSocket {
    closure: Arc<Closure>,
    /// What the sockets of a stack are for.
    purpose: Purpose,
    /// What it has said of the sockets of a race where the system has no number for that.
    notes: Arc<Mutex<Notes>>,
}

type Closure = dyn Fn(BorrowedFd<'_>, SocketAddr, Purpose) -> io::Result<()> + Send + Sync;

impl OnSocket {
    /// Calls `closure` with each socket, the address that it is to lead to, and what it is for.
    pub fn new(
        closure: impl Fn(BorrowedFd<'_>, SocketAddr, Purpose) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        OnSocket { closure: Arc::new(closure), purpose: Purpose::Connection, notes: Arc::default() }
    }

    /// The same for the sockets of one race, whose words nobody else keeps.
    pub(crate) fn of_race(&self) -> Self {
        OnSocket { notes: Arc::default(), ..self.clone() }
    }

    /// Hands over what it has said of sockets that were to be connected.
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The same for the sockets of a stack that are for something else than the race's connections.
    #[cfg(feature = "dns")]
    pub(crate) fn for_purpose(&self, purpose: Purpose) -> Self {
        OnSocket { purpose, ..self.clone() }
    }

    /// Shows it a socket of a stack.
    pub(crate) fn call(&self, fd: BorrowedFd<'_>, remote: SocketAddr) -> Result<(), OsError> {
        self.call_for(fd, remote, self.purpose)
    }

    /// Shows it a socket for this purpose.
    pub(crate) fn call_for(
        &self,
        fd: BorrowedFd<'_>,
        remote: SocketAddr,
        purpose: Purpose,
    ) -> Result<(), OsError> {
        (self.closure)(fd, remote, purpose).map_err(|error| {
            if purpose == Purpose::Connection && error.raw_os_error().is_none() {
                let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.keep(remote, &error.to_string());
            }
            OsError::of_setup(SetupStep::OnSocket, error)
        })
    }
}

impl fmt::Debug for OnSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSocket")
    }
}
