//! In which order to try addresses: RFC 6724 with what the operating system tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::connect::Routes;
use connie_core::resolution::selection::Route;
#[cfg(not(target_os = "wasi"))]
use rustix::io::Errno;
#[cfg(not(target_os = "wasi"))]
use rustix::net::{AddressFamily, SocketType};

#[cfg(not(target_os = "wasi"))]
use crate::socket::open;

/// Where connections come from, where the program has a say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sources {
    pub(super) v4: Option<Ipv4Addr>,
    pub(super) v6: Option<Ipv6Addr>,
}

impl Sources {
    /// Whether there is one for the other family alone, so that a race leaves the address out.
    fn leave_out(self, address: &SocketAddr) -> bool {
        match address {
            SocketAddr::V4(_) => self.v4.is_none() && self.v6.is_some(),
            SocketAddr::V6(_) => self.v6.is_none() && self.v4.is_some(),
        }
    }
}

/// How the host would send to `address`.
pub(super) fn route(address: &SocketAddr, sources: Sources) -> Route {
    if sources.leave_out(address) {
        return Route::Unreachable;
    }
    let given = match address {
        SocketAddr::V4(_) => sources.v4.map(IpAddr::V4),
        SocketAddr::V6(_) => sources.v6.map(IpAddr::V6),
    };
    given.map_or_else(|| probe(address), Route::from_source)
}

/// The families by which this machine can reach the internet, less what a source address leaves out.
pub(super) fn host_routes(sources: Sources) -> Routes {
    Routes::of(|ip| {
        let address = SocketAddr::new(ip, 9);
        !sources.leave_out(&address) && probe(&address) != Route::Unreachable
    })
}

/// The same by asking the system: a UDP socket that is connected to it knows, and nothing is sent.
fn probe(address: &SocketAddr) -> Route {
    // Some systems take no port 0; 9 is for what is thrown away.
    match source(SocketAddr::new(address.ip(), address.port().max(9))) {
        Ok(source) => Route::from_source(source.ip()),
        Err(error) if is_unreachable(&error) => Route::Unreachable,
        // No descriptor to spare, or a firewall's word: it says nothing about the way.
        Err(_) => Route::Unknown,
    }
}

#[cfg(not(target_os = "wasi"))]
fn source(address: SocketAddr) -> Result<SocketAddr, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = open(family, SocketType::DGRAM)?;
    rustix::net::connect(&socket, &address)?;
    SocketAddr::try_from(rustix::net::getsockname(&socket)?)
}

#[cfg(not(target_os = "wasi"))]
fn is_unreachable(error: &Errno) -> bool {
    matches!(
        *error,
        Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NETDOWN
            | Errno::ADDRNOTAVAIL
            | Errno::AFNOSUPPORT
    )
}

/// WASI has a socket bound before it is connected.
#[cfg(target_os = "wasi")]
fn source(address: SocketAddr) -> std::io::Result<SocketAddr> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.local_addr()
}

#[cfg(target_os = "wasi")]
fn is_unreachable(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, sources: Sources) -> String {
        match route(&text.parse().expect("an address"), sources) {
            Route::From(source) => source.address.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        assert_eq!(from("127.0.0.1:80", Sources::default()), "127.0.0.1");
        assert_eq!(from("127.0.0.1:0", Sources::default()), "127.0.0.1");
    }

    #[test]
    fn a_source_that_the_program_gives_is_the_source() {
        let sources = Sources { v4: Some(Ipv4Addr::new(192, 0, 2, 7)), v6: Some(Ipv6Addr::LOCALHOST) };
        assert_eq!(from("127.0.0.1:80", sources), "192.0.2.7");
        assert_eq!(from("[2001:db8::1]:80", sources), "::1");
    }

    #[test]
    fn a_source_for_one_family_alone_leaves_no_way_by_the_other() {
        let (v4, v6) = (Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST));
        let way =
            |text: &str, sources| route(&text.parse().expect("an address"), sources) != Route::Unreachable;
        for (sources, ways) in [
            (Sources { v4, v6: None }, (true, false)),
            (Sources { v4: None, v6 }, (false, true)),
            (Sources { v4, v6 }, (true, true)),
        ] {
            assert_eq!((way("127.0.0.1:80", sources), way("[::1]:80", sources)), ways, "{sources:?}");
        }
        assert!(!host_routes(Sources { v4, v6: None }).v6 || !host_routes(Sources::default()).v4);
    }

    #[test]
    fn what_the_system_refuses_for_another_reason_is_not_unreachable() {
        let everybody = "255.255.255.255:80".parse().expect("an address");
        assert_eq!(route(&everybody, Sources::default()), Route::Unknown, "EACCES");
    }
}
