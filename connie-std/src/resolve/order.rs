//! In which order to try addresses: RFC 6724 with what the operating system tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::Family;
use connie_core::resolution::selection::{Candidate, DEFAULT_POLICY, Route, sort};
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

/// `addresses` as candidates, in order.
pub(super) fn ordered(addresses: &[SocketAddr], sources: Sources) -> Vec<Candidate> {
    let mut candidates: Vec<_> = addresses.iter().map(|address| candidate(address, sources)).collect();
    sort(&mut candidates);
    candidates
}

pub(super) fn candidate(address: &SocketAddr, sources: Sources) -> Candidate {
    let given = match address {
        SocketAddr::V4(_) => sources.v4.map(IpAddr::V4),
        SocketAddr::V6(_) => sources.v6.map(IpAddr::V6),
    };
    let route = given.map_or_else(|| route(address), Route::from_source);
    Candidate::new(&DEFAULT_POLICY, *address, route)
}

/// Whether the host has a way to the internet by `family`. An address for documentation (RFC 5737, RFC 3849) goes where any other
/// goes that no route names.
pub(super) fn has_route(family: Family) -> bool {
    let anywhere: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    route(&SocketAddr::new(anywhere, 9)) != Route::Unreachable
}

/// How the host would send to `address`. A UDP socket that is connected to it knows, and nothing is sent.
fn route(address: &SocketAddr) -> Route {
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

    #[test]
    fn loopback_is_reached_from_loopback() {
        let source = |text: &str| match route(&text.parse().expect("an address")) {
            Route::From(source) => source.address.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(source("127.0.0.1:80"), "127.0.0.1");
        assert_eq!(source("127.0.0.1:0"), "127.0.0.1");
    }

    #[test]
    fn an_address_that_is_nobodys_cannot_be_reached() {
        assert_eq!(route(&"255.255.255.255:80".parse().expect("an address")), Route::Unknown, "EACCES");
        // A link-local address without a zone leads nowhere.
        assert_eq!(has_route(Family::V6) && has_route(Family::V4), {
            let both = ["192.0.2.1:80", "[2001:db8::1]:80"].map(|text| text.parse().expect("an address"));
            ordered(&both, Sources::default()).iter().all(Candidate::is_reachable)
        });
    }
}
