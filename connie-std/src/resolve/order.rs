//! In which order to try addresses: RFC 6724 with what the operating system tells.

use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(target_os = "wasi")]
use std::net::{Ipv4Addr, Ipv6Addr};

use connie_core::connect::Routes;
use connie_core::memory::Network;
use connie_core::resolution::selection::Route;
#[cfg(not(target_os = "wasi"))]
use rustix::io::Errno;

use crate::egress::Egress;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::Purpose;

/// How the host would send to `address`.
pub(super) fn route(address: &SocketAddr, egress: &Egress) -> Route {
    if egress.leaves_out(address) {
        return Route::Unreachable;
    }
    egress.source(address).map_or_else(|| probe(address, egress), Route::from_source)
}

/// The families by which this machine can reach the internet, less what a source address leaves out, and what
/// it sends from then.
pub(super) fn host_routes(egress: &Egress) -> (Routes, Network) {
    let mut network = Network::default();
    let routes = Routes::of(|ip| {
        let address = SocketAddr::new(ip, 9);
        if egress.leaves_out(&address) {
            return false;
        }
        let route = probe(&address, egress);
        if let Route::From(source) = route {
            note(&mut network, egress.source(&address).unwrap_or(source.address));
        }
        route != Route::Unreachable
    });
    (routes, network)
}

/// What this machine sends from to the first of each family.
pub(super) fn network(addresses: impl Iterator<Item = SocketAddr>, egress: &Egress) -> Network {
    let (mut network, mut asked) = (Network::default(), (false, false));
    for address in addresses {
        let asked = if address.is_ipv4() { &mut asked.0 } else { &mut asked.1 };
        if !std::mem::replace(asked, true) {
            if let Route::From(source) = route(&address, egress) {
                note(&mut network, source.address);
            }
        }
    }
    network
}

fn note(network: &mut Network, source: IpAddr) {
    match source {
        IpAddr::V4(source) => network.v4 = network.v4.or(Some(source)),
        IpAddr::V6(source) => network.v6 = network.v6.or(Some(source)),
    }
}

/// The same by asking the system: a UDP socket that is connected to it knows, and nothing is sent.
fn probe(address: &SocketAddr, egress: &Egress) -> Route {
    // Some systems take no port 0; 9 is for what is thrown away.
    match source(SocketAddr::new(address.ip(), address.port().max(9)), egress) {
        Ok(source) => Route::from_source(source.ip()),
        Err(error) if is_unreachable(&error) => Route::Unreachable,
        // No descriptor to spare, or a firewall's word: it says nothing about the way.
        Err(_) => Route::Unknown,
    }
}

#[cfg(not(target_os = "wasi"))]
fn source(address: SocketAddr, egress: &Egress) -> io::Result<SocketAddr> {
    let socket = egress.datagrams(address, Purpose::Route)?;
    Ok(SocketAddr::try_from(rustix::net::getsockname(&socket)?)?)
}

#[cfg(not(target_os = "wasi"))]
fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NETUNREACH
                | Errno::HOSTUNREACH
                | Errno::HOSTDOWN
                | Errno::NETDOWN
                | Errno::ADDRNOTAVAIL
                | Errno::AFNOSUPPORT
        )
    )
}

/// WASI has a socket bound before it is connected.
#[cfg(target_os = "wasi")]
fn source(address: SocketAddr, _: &Egress) -> io::Result<SocketAddr> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.local_addr()
}

#[cfg(target_os = "wasi")]
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind;
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::socket_options::OnSocket;

    fn sources(source_v4: Option<Ipv4Addr>, source_v6: Option<Ipv6Addr>) -> Egress {
        Egress { source_v4, source_v6, ..Egress::default() }
    }

    fn from(text: &str, egress: &Egress) -> String {
        match route(&text.parse().expect("an address"), egress) {
            Route::From(source) => source.address.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        assert_eq!(from("127.0.0.1:80", &Egress::default()), "127.0.0.1");
        assert_eq!(from("127.0.0.1:0", &Egress::default()), "127.0.0.1");
    }

    #[test]
    fn a_source_that_the_program_gives_is_the_source() {
        let egress = sources(Some(Ipv4Addr::new(192, 0, 2, 7)), Some(Ipv6Addr::LOCALHOST));
        assert_eq!(from("127.0.0.1:80", &egress), "192.0.2.7");
        assert_eq!(from("[2001:db8::1]:80", &egress), "::1");
    }

    #[test]
    fn a_source_for_one_family_alone_leaves_no_way_by_the_other() {
        let (v4, v6) = (Some(Ipv4Addr::LOCALHOST), Some(Ipv6Addr::LOCALHOST));
        let way = |text: &str, egress: &Egress| {
            route(&text.parse().expect("an address"), egress) != Route::Unreachable
        };
        for (egress, ways) in [
            (sources(v4, None), (true, false)),
            (sources(None, v6), (false, true)),
            (sources(v4, v6), (true, true)),
        ] {
            let seen = (way("127.0.0.1:80", &egress), way("[::1]:80", &egress));
            assert_eq!(seen, ways, "{egress:?}");
        }
        assert!(!host_routes(&sources(v4, None)).0.v6 || !host_routes(&Egress::default()).0.v4);
    }

    #[test]
    fn what_the_system_refuses_for_another_reason_is_not_unreachable() {
        let everybody = "255.255.255.255:80".parse().expect("an address");
        assert_eq!(route(&everybody, &Egress::default()), Route::Unknown, "EACCES");
    }

    /// The program's own words about a socket say nothing about the way either.
    #[test]
    fn a_socket_that_the_program_refuses_is_not_unreachable() {
        let on_socket = OnSocket::new(|_, _, _| Err(Errno::NETUNREACH.into()));
        let egress = Egress { on_socket: Some(on_socket), ..Egress::default() };
        assert_eq!(route(&"127.0.0.1:80".parse().expect("an address"), &egress), Route::Unknown);
    }
}
