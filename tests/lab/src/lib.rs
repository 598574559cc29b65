//! A network laboratory: real kernel sockets against many remote addresses, each with a behaviour of its own.
//!
//! ```no_run
//! use connie_lab::{Behaviour, in_namespace, ms, v4, v6};
//!
//! in_namespace(|lab| {
//!     lab.set(v6(1), Behaviour::black_hole());
//!     lab.set(v4(1), Behaviour::refuse(ms(30)));
//!     // ... connect to v6(1) and v4(1), then ask lab.log() what was seen on the wire.
//! });
//! ```
//!
//! - [`in_namespace`]: runs a test's body with a [`Lab`] in a network namespace of its own.
//! - [`deny`]: system calls that fail on purpose.
//! - [`firmware`]: the firmware of `examples/firmware-qemu`, built and run in QEMU on a TAP device of a
//!   laboratory.
//! - [`wasi`]: components for WASI 0.2, built and run on wasmtime.
//! - [`wine`]: programs for Windows, built and run on Wine.
//!
//! It uses nothing of connie's: any crate's tests can have it. Linux only; elsewhere there is nothing in it.
#![cfg(target_os = "linux")]

pub mod behaviour;
pub mod deny;
mod files;
pub mod firmware;
pub mod log;
pub mod namespace;
mod netlink;
pub mod packet;
pub mod router;
pub mod sockets;
mod tun;
pub mod wasi;
pub mod wine;
pub mod wire;

pub use behaviour::{Behaviour, Unreachable};
pub use connie_servers::clock::ms;
pub use files::replace_files;
pub use log::{Attempt, Closing, Counts, Ended, WireLog};
pub use namespace::{in_namespace, in_namespace_within};
pub use sockets::{TcpSocket, TcpState};

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use connie_servers::clock::poll_until;
use netlink::Devices;
use router::Router;
use wire::{Plan, Wire};

/// The IPv4 address that clients inside the laboratory call from, and at which listeners wait.
pub const HOST_V4: Ipv4Addr = Ipv4Addr::new(10, 9, 255, 1);
/// The same for IPv6.
pub const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0xffff, 1);

/// The name of the TUN device.
const DEVICE: &str = "lab0";
/// How long [`Lab::wait_until_closed`] waits.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

const PLAN: Plan = Plan {
    host_v4: HOST_V4,
    host_v6: HOST_V6,
    router_v4: Ipv4Addr::new(10, 9, 255, 254),
    router_v6: Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0xffff, 0xfe),
    shadows_v4: Ipv4Addr::new(10, 8, 0, 0),
    shadows_v6: Ipv6Addr::new(0xfd00, 8, 0, 0, 0, 0, 0, 0),
};

/// The IPv4 remote address number `n`: 10.9.0.n, and on through 10.9.1.0 after 255.
///
/// # Panics
/// Outside of 1 to 60,000.
#[must_use]
pub fn v4(n: u16) -> IpAddr {
    assert!((1..=60_000).contains(&n), "remote addresses are numbered from 1 to 60,000");
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(10, 9, high, low).into()
}

/// The IPv6 remote address number `n`: fd00:9::n.
///
/// # Panics
/// Outside of 1 to 60,000.
#[must_use]
pub fn v6(n: u16) -> IpAddr {
    assert!((1..=60_000).contains(&n), "remote addresses are numbered from 1 to 60,000");
    Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, n).into()
}

/// The laboratory of one test: a namespace with a loopback device, the two host addresses, and a router
/// behind which 10.8.0.0/15 and fd00:8::/31 lie. There is no default route: other addresses fail at once
/// with `ENETUNREACH`.
///
/// A remote address is a black hole until [`set`](Self::set) says otherwise.
///
/// The router sends *probes* of its own: a bare ACK to a client whose SYN waits for an answer. An open socket
/// ignores it, a closed one draws an RST. That is how the log knows of sockets that were closed without a
/// packet.
pub struct Lab {
    router: Router,
}

impl Lab {
    /// Sets the laboratory up in the calling thread's namespace, which must be new.
    fn set_up() -> io::Result<Self> {
        let device = tun::open()?;
        tun::create(&device, DEVICE)?;
        for (name, value) in SYSCTLS {
            set_sysctl(name, value)?;
        }
        let devices = Devices::open()?;
        devices.up("lo")?;
        devices.up_with(DEVICE, 1500, 10_000)?;
        // One bit short of the remote addresses' network, so that the shadows lie behind the device too.
        devices.add_address(DEVICE, HOST_V4.into(), 15)?;
        devices.add_address(DEVICE, HOST_V6.into(), 31)?;
        wait_for_address(HOST_V6.into())?;
        Ok(Self { router: Router::start(device, Wire::new(PLAN))? })
    }

    /// Says what a remote address does from now on. Attempts under way feel it too.
    pub fn set(&self, remote: IpAddr, behaviour: Behaviour) {
        self.router.set(remote, behaviour);
    }

    /// Has no new attempt make those probed that wait, for a test with a thousand attempts at one time.
    /// Sockets that are closed without a packet count as open until [`wait_until`](Self::wait_until) finds
    /// out.
    pub fn spare_probes(&self) {
        self.router.spare_probes();
    }

    /// What was seen on the wire so far.
    #[must_use]
    pub fn log(&self) -> WireLog {
        self.router.log()
    }

    /// Forgets what was seen: the next log begins with the next attempt.
    pub fn clear_log(&self) {
        self.router.clear_log();
    }

    /// Waits until the log is as wanted, for at most `limit`, and returns it.
    ///
    /// # Panics
    /// With the log, when the limit has passed.
    #[track_caller]
    pub fn wait_until(&self, limit: Duration, wanted: impl FnMut(&WireLog) -> bool) -> WireLog {
        match self.router.wait_until(limit, wanted) {
            Ok(log) => log,
            Err(log) => panic!("not seen within {limit:?}; the wire saw {log}"),
        }
    }

    /// Waits until every attempt has ended on the wire but those with one of these client addresses, and
    /// returns the log. Give the winner's local address.
    ///
    /// # Panics
    /// With the log, when an attempt is still open after 5 s.
    #[track_caller]
    pub fn wait_until_closed(&self, but: &[SocketAddr]) -> WireLog {
        self.wait_until(CLOSE_LIMIT, |log| log.open().iter().all(|attempt| but.contains(&attempt.client)))
    }

    /// Adds an address to the laboratory's host: for a listener of its own ([`Behaviour::to`]), or for
    /// clients that choose their source address.
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn add_address(&self, address: IpAddr) {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        let added = Devices::open()
            .and_then(|devices| devices.add_address(DEVICE, address, prefix))
            .and_then(|()| wait_for_address(address));
        added.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Puts a whole network, such as `192.0.2.0/24` or `default`, behind the router, beside 10.9.0.0/16 and
    /// fd00:9::/64. Needs the program `ip`.
    ///
    /// # Panics
    /// When the kernel does not take it.
    #[track_caller]
    pub fn route(&self, network: &str) {
        self.ip(&format!("route add {network} dev {DEVICE}"));
    }

    /// Makes one more device, up and with these addresses of the host's on it, each with the length of its
    /// prefix: behind it is a host whose TCP stack is in this process. The kernel forwards between that and
    /// the laboratory's router. What is read from the descriptor was sent to that host, one frame or packet
    /// at a time; reading never waits.
    ///
    /// # Panics
    /// When the kernel does not make the device, or there is one of this name already.
    #[must_use]
    #[track_caller]
    pub fn plug_in(&self, device: &str, layer: Layer, addresses: &[(IpAddr, u8)]) -> OwnedFd {
        plug_in(device, layer, addresses).unwrap_or_else(|error| panic!("{device}: {error}"))
    }

    /// Runs commands of the program `ip`, one a line, in the namespace: for TAP devices, routes and rules of
    /// a test's own (Debian package iproute2). Packets that other devices bring for the remote addresses are
    /// forwarded to the router.
    ///
    /// # Panics
    /// With what `ip` says, when a command fails.
    #[track_caller]
    pub fn ip(&self, commands: &str) {
        ip(commands).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sets a `net.*` variable of the namespace, such as `net/ipv4/tcp_syn_retries`.
    ///
    /// # Panics
    /// When there is no such variable, or it does not take the value.
    #[track_caller]
    pub fn set_sysctl(&self, name: &str, value: &str) {
        set_sysctl(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The kernel's list of the TCP sockets in the namespace that were opened towards a remote address;
    /// neither the listeners nor their ends of the connections. Call it from a thread inside the namespace.
    /// Takes about 10 ms, because the kernel walks the table of all namespaces.
    ///
    /// # Panics
    /// When `/proc` cannot be read.
    #[must_use]
    #[track_caller]
    pub fn client_sockets(&self) -> Vec<TcpSocket> {
        let sockets = sockets::tcp_sockets().unwrap_or_else(|error| panic!("/proc/thread-self/net: {error}"));
        let (shadows_v4, shadows_v6) = (PLAN.shadows_v4.octets(), PLAN.shadows_v6.octets());
        let theirs = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets()[..2] == shadows_v4[..2],
            IpAddr::V6(address) => address.octets()[..8] == shadows_v6[..8],
        };
        let ours = |it: &TcpSocket| it.state != TcpState::Listen && !theirs(it.remote.ip().to_canonical());
        sockets.into_iter().filter(ours).collect()
    }
}

/// What a device carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Ethernet frames (TAP).
    Ethernet,
    /// IP packets (TUN).
    Ip,
}

fn plug_in(device: &str, layer: Layer, addresses: &[(IpAddr, u8)]) -> io::Result<OwnedFd> {
    let descriptor = tun::open()?;
    match layer {
        Layer::Ethernet => tun::create_tap(&descriptor, device)?,
        Layer::Ip => tun::create(&descriptor, device)?,
    }
    let devices = Devices::open()?;
    devices.up_with(device, 1500, 10_000)?;
    for (address, prefix) in addresses {
        devices.add_address(device, *address, *prefix)?;
    }
    for (address, _) in addresses {
        // Before that it does not answer for the address either.
        wait_for_address(*address)?;
    }
    Ok(descriptor)
}

/// Variables of the namespace, and what they are for.
const SYSCTLS: [(&str, &str); 7] = [
    // A machine may be set to have no IPv6 on new devices.
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    // Clients behind other devices: TAP for firmware, TUN for a user-space stack.
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    // Routes may be as odd as a test likes.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    // One connection must not teach the next its round-trip time.
    ("net/ipv4/tcp_no_metrics_save", "1"),
    // No router solicitations on the wire.
    ("net/ipv6/conf/lab0/router_solicitations", "0"),
];

/// Waits until the host takes packets to one of its own addresses in.
///
/// For a new IPv6 address a kernel thread sets up the route, and on a busy machine it takes its time. Packets
/// to the address would go to the router until then.
fn wait_for_address(address: IpAddr) -> io::Result<()> {
    let reaches_itself = || {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(ms(5)))?;
        socket.send_to(b"anybody here?", socket.local_addr()?)?;
        socket.recv(&mut [0; 16])
    };
    let mut last = Ok(0);
    let there = poll_until(Duration::from_secs(5), || {
        last = reaches_itself();
        last.is_ok()
    });
    if there { Ok(()) } else { last.map(|_| ()) }
}

/// Writes a variable below `/proc/sys`, which shows every thread its own network namespace.
fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/{name}");
    std::fs::write(&path, value).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

/// Runs the lines as commands of `ip` in the calling thread's namespace.
fn ip(commands: &str) -> io::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("ip (Debian package iproute2): {error}")))?;
    // Taken out of the child, so that it is closed and `ip` sees the end.
    let stdin = child.stdin.take();
    stdin.expect("stdin is a pipe").write_all(commands.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip: {}\n{commands}", String::from_utf8_lossy(&output.stderr).trim())))
}
