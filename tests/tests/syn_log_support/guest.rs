//! smoltcp and its DNS client, in a second host of the laboratory: its packets pass the kernel and then the
//! router.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};

use connie_core::resolution::QueryError;
use connie_core::{Failure, Family};
use connie_smoltcp::smoltcp::iface::Interface;
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv6Cidr};
use connie_smoltcp::{
    Dns, DnsBuffers, DnsDriver, PlatformPoller, SocketStorage, Stack, StartError, TcpBuffers,
};
use connie_tests::guest::{GATEWAY_V4, GATEWAY_V6, Guest};
use connie_tests::names_table::{Name, PORT};

use super::stage::Stage as Names;
use super::{Ended, lost};

/// As the kernel's host has one: of the network that the addresses are in, so that IPv6 is preferred.
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfffe, 0, 0, 0, 0, 2);
const OF_THE_LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const SOCKETS: usize = 8;
/// A question for each family, and one for the prefix of NAT64.
const QUERIES: usize = 3;

/// Why it does something else with a name.
pub fn reason(name: &Name) -> Option<&'static str> {
    match name.label {
        "localhost" | "below-localhost" | "nat64-loopback" => Some("smoltcp has no loopback addresses"),
        _ => None,
    }
}

/// `DnsDriver::run`.
pub fn connect(stage: &Names<'_>) -> Ended {
    let guest = Guest::plug_in(stage.lab, Medium::Ip);
    stage.lab.ip("route add 2001:db8:fffe::/64 dev guest0\naddr add fe80::1/64 dev guest0 nodad");
    // The kernel itself is the neighbour on this link.
    let _neighbour = TcpListener::bind(neighbour()).expect("a listener");
    let mut storage = [const { SocketStorage::EMPTY }; SOCKETS + QUERIES];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; SOCKETS];
    let mut queries = [const { DnsBuffers::<512, 155>::new() }; QUERIES];
    let interface = interface(&guest, stage.name);
    let mut stack = Stack::new(interface, guest.clone(), &mut storage, &mut buffers, guest.clone(), 7);
    let server = if stage.name.lacks == Some(Family::V4) { GATEWAY_V6.into() } else { GATEWAY_V4.into() };
    let dns = Dns::start(&mut stack, &[server], &mut queries).expect("room for it");

    let config = stage.config();
    let driver = DnsDriver::<_, 16, SOCKETS, 64>::new(&dns, &mut stack, &stage.host, PORT, &config);
    let mut driver = match driver {
        Ok(driver) => driver,
        Err(StartError::Host(_)) => return Ended::Lost("no host".to_owned()),
        Err(StartError::Zone) => return Ended::Lost("no such zone".to_owned()),
        Err(error) => panic!("{error}"),
    };
    match driver.run(&mut stack, &mut PlatformPoller(guest)) {
        Ok(winner) => Ended::Won(winner.destination.ip()),
        Err(Failure::NoDestinations) => {
            let failures = driver.connect().failures(&stage.host).map(|failure| failure.error);
            let worst = failures.min_by_key(|error| error.precedence());
            let said = match worst {
                None => "no address",
                Some(QueryError::NoSuchName) => "no such name",
                Some(_) => "look-up failed",
            };
            Ended::Lost(said.to_owned())
        }
        Err(failure) => Ended::Lost(lost(failure, &driver.timeline())),
    }
}

/// The neighbour that the table has, at the kernel's end of the guest's link.
fn neighbour() -> SocketAddr {
    let index =
        std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/guest0").expect("the guest's device");
    let index = index.split_whitespace().nth(1).and_then(|index| index.parse().ok()).expect("its number");
    SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), PORT, 0, index).into()
}

/// Without the addresses and the route of a family that the host lacks.
fn interface(guest: &Guest, name: &Name) -> Interface {
    let mut interface = guest.interface();
    let has = |family| name.lacks != Some(family);
    interface.update_ip_addrs(|own| {
        own.push(IpCidr::Ipv6(Ipv6Cidr::new(GLOBAL, 64))).expect("room");
        own.push(IpCidr::Ipv6(Ipv6Cidr::new(OF_THE_LINK, 64))).expect("room");
        own.retain(|own| match own {
            IpCidr::Ipv4(_) => has(Family::V4),
            IpCidr::Ipv6(_) => has(Family::V6),
        });
    });
    if !has(Family::V4) {
        interface.routes_mut().remove_default_ipv4_route();
    }
    if !has(Family::V6) {
        interface.routes_mut().remove_default_ipv6_route();
    }
    interface
}
