//! Makes smoltcp's interface, with the settings that its defaults get wrong for a client.

use connie_core::Instant;
use smoltcp::iface::{Config, Interface};
use smoltcp::phy::Device;
use smoltcp::wire::HardwareAddress;

use crate::address;

/// smoltcp's interface over `device`, with the hardware address `mac` where the device carries Ethernet
/// frames.
///
/// With the feature `slaac`, an Ethernet interface gets a link-local IPv6 address made of `mac`, and asks the
/// routers for more (RFC 4862): what they advertise becomes addresses and routes as long as the stack is
/// polled. smoltcp does no duplicate address detection, and asks three times in all, 4 s apart.
///
/// `seed` decides sequence numbers. It should differ from boot to boot, for the peers' sake and against
/// guessing (RFC 9293 section 3.4.1).
///
/// smoltcp's own `Interface::new` does as well. Mind that it panics where the hardware address is none for
/// the device, that its seed is 0 unless the program says otherwise, and that the first poll panics where
/// SLAAC is on without a link-local address.
///
/// # Panics
///
/// Where the device carries neither Ethernet frames nor IP packets, or what it carries is not among the
/// features built in.
pub fn interface<D: Device>(device: &mut D, mac: [u8; 6], seed: u64, now: Instant) -> Interface {
    let hardware = match device.capabilities().medium {
        #[cfg(feature = "ip")]
        smoltcp::phy::Medium::Ip => HardwareAddress::Ip,
        #[cfg(feature = "ethernet")]
        _ => HardwareAddress::Ethernet(unicast(mac)),
        #[cfg(not(feature = "ethernet"))]
        _ => HardwareAddress::Ip,
    };
    let mut config = Config::new(hardware);
    config.random_seed = seed;
    let start = address::to_smoltcp(now);
    #[cfg(feature = "slaac")]
    if matches!(hardware, HardwareAddress::Ethernet(_)) {
        config.slaac = true;
        let mut interface = Interface::new(config, device, start);
        add_link_local(&mut interface, hardware);
        return interface;
    }
    Interface::new(config, device, start)
}

/// RFC 4862 section 5.3: "A link-local address is formed by combining the well-known link-local prefix
/// FE80::0 [RFC4291] (of appropriate length) with an interface identifier".
#[cfg(feature = "slaac")]
fn add_link_local(interface: &mut Interface, hardware: HardwareAddress) {
    use smoltcp::wire::{IpCidr, Ipv6Cidr};
    const PREFIX: core::net::Ipv6Addr = core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
    // There is an identifier, since the prefix has 64 bits and the hardware address 48.
    if let Some(address) = Ipv6Cidr::from_link_prefix(&Ipv6Cidr::new(PREFIX, 64), hardware) {
        // It is the first.
        interface.update_ip_addrs(|addresses| _ = addresses.push(IpCidr::Ipv6(address)));
    }
}

/// The address of one station: IEEE 802's first bit, set, makes it a group's, which smoltcp takes for no
/// address at all.
#[cfg(feature = "ethernet")]
fn unicast(mac: [u8; 6]) -> smoltcp::wire::EthernetAddress {
    let [first, rest @ ..] = mac;
    let [b, c, d, e, f] = rest;
    smoltcp::wire::EthernetAddress([first & !1, b, c, d, e, f])
}
