//! The interface and its addresses: what the firmware with connie and the one without have in common.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use connie_core::Instant;
use smoltcp::iface::{Config, Interface};
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::board::Board;
use crate::command_line::{CommandLine, Own};

/// How long a DHCP server and a router may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Why the firmware ends without a page. Each has an exit code, as curl has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No DHCP server answered.
    NoLease,
    /// No router advertised itself.
    NoAdvertisement,
    /// There is no name server.
    NoNameServer,
    /// The name has no address, or the name server does not say.
    NoAddress,
    /// No address could be connected to.
    NotConnected,
    /// The time allowed was used up.
    TimedOut,
    /// Something was done twice that can be done once.
    Bug,
}

impl Trouble {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            // "Interface error"
            Trouble::NoLease | Trouble::NoAdvertisement => 45,
            Trouble::NoNameServer | Trouble::NoAddress => 6,
            Trouble::NotConnected => 7,
            Trouble::TimedOut => 28,
            Trouble::Bug => 101,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::NoLease => "no DHCP server answered; start one, or give --ip ADDRESS/PREFIX",
            Trouble::NoAdvertisement => "no router advertised itself; start one, or give --ip ADDRESS/PREFIX",
            Trouble::NoNameServer => "the DHCP server named no name server; give --dns ADDRESS",
            Trouble::NoAddress => "the name could not be resolved; check it, or give --addresses",
            Trouble::NotConnected => "could not connect; check that a server listens there",
            Trouble::TimedOut => "the time allowed was used up; allow more with --max-time SECONDS",
            Trouble::Bug => "started twice; this is a bug",
        })
    }
}

/// The interface, with the addresses and routers that the command line gives. What the network gives comes
/// later.
pub fn interface(board: &mut Board, wanted: &CommandLine<'_>) -> Interface {
    let hardware = EthernetAddress(board.ethernet.hardware_address());
    let mut config = Config::new(hardware.into());
    // Another sequence of numbers for another board that started in the same moment.
    config.random_seed =
        hardware.0.iter().fold(board.seed, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
    #[cfg(feature = "slaac")]
    {
        config.slaac = wanted.v6 == Some(Own::Automatic);
    }
    let mut interface = Interface::new(config, &mut board.ethernet, time(board.clock.now()));
    interface.update_ip_addrs(|own| {
        // There is room for four.
        #[cfg(feature = "ipv4")]
        if let Some(Own::Static(address, prefix)) = wanted.v4 {
            let _ = own.push(IpCidr::new(address.into(), prefix));
        }
        #[cfg(feature = "ipv6")]
        if wanted.v6.is_some() {
            let _ = own.push(IpCidr::new(link_local(hardware).into(), 64));
        }
        #[cfg(feature = "ipv6")]
        if let Some(Own::Static(address, prefix)) = wanted.v6 {
            let _ = own.push(IpCidr::new(address.into(), prefix));
        }
    });
    // There is room for two routes, and there are none yet.
    #[cfg(feature = "ipv4")]
    if let Some(gateway) = wanted.gateway_v4 {
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
    }
    #[cfg(feature = "ipv6")]
    if let Some(gateway) = wanted.gateway_v6 {
        let _ = interface.routes_mut().add_default_ipv6_route(gateway);
    }
    interface
}

/// What is still missing of the addresses that are wanted.
#[must_use]
pub fn missing(interface: &Interface, wanted: &CommandLine<'_>) -> Option<Trouble> {
    let has = |ours: fn(&IpAddress) -> bool| interface.ip_addrs().iter().any(|cidr| ours(&cidr.address()));
    let is_v4 = |address: &IpAddress| match address {
        #[cfg(feature = "ipv4")]
        IpAddress::Ipv4(_) => true,
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => false,
    };
    let is_global_v6 = |address: &IpAddress| match address {
        #[cfg(feature = "ipv4")]
        IpAddress::Ipv4(_) => false,
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(address) => !address.is_unicast_link_local(),
    };
    if wanted.v4.is_some() && !has(is_v4) {
        return Some(Trouble::NoLease);
    }
    (wanted.v6.is_some() && !has(is_global_v6)).then_some(Trouble::NoAdvertisement)
}

/// `address` as smoltcp has it; `None` where its family is not built in.
#[must_use]
pub fn address(address: IpAddr) -> Option<IpAddress> {
    match address {
        #[cfg(feature = "ipv4")]
        IpAddr::V4(address) => Some(IpAddress::Ipv4(address)),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(address) => Some(IpAddress::Ipv6(address)),
        #[cfg(not(all(feature = "ipv4", feature = "ipv6")))]
        _ => None,
    }
}

/// The link-local address that a hardware address makes (RFC 4291 appendix A).
#[cfg(feature = "ipv6")]
fn link_local(hardware: EthernetAddress) -> Ipv6Address {
    let [a, b, c, d, e, f] = hardware.0;
    Ipv6Address::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The time as smoltcp has it.
#[must_use]
pub fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// The time as connie has it.
#[must_use]
pub fn instant(time: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(time.total_micros()).unwrap_or(0))
}
