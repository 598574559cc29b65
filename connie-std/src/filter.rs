//! Which addresses may be connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Which addresses a [`connect`](crate::connect) may try: networks that are denied, and networks that are
/// allowed within those.
///
/// It is for programs that connect to names which others choose: a web hook, a feed, a picture's URL. Whoever
/// chooses the name can have it lead to `127.0.0.1` or into the program's own network, also after the program
/// has checked it (DNS rebinding). A check before the connect may see other answers than the connect does.
/// This one comes between the answers and the race.
///
/// - **Every address is checked, wherever it comes from**: answers and hints of any
///   [`resolver`](crate::Options::resolver), the hosts file, [`overrides`](crate::Options::overrides),
///   `localhost`, addresses that are written out, and those that the program gives itself. A denied address
///   is not tried, and is in [`Report::denied`](crate::Report::denied). If no address is left, the error is
///   [`ConnectErrorKind::Denied`](crate::ConnectErrorKind::Denied).
/// - **The most specific network that has the address decides**; of two that are equal, the later one. An
///   address in none of them is allowed.
/// - **An IPv4 address inside of an IPv6 address counts too.** `::ffff:127.0.0.1` is the IPv4 address: IPv6
///   networks do not apply to it. Of a NAT64's address with the well-known prefix (`64:ff9b::7f00:1`,
///   RFC 6052), of 6to4 (`2002:7f00:1::`, RFC 3056) and of Teredo (RFC 4380), the networks are asked for the
///   whole and for what is inside, and either can deny it. What a network's own NAT64 prefix carries cannot
///   be seen in an address; where connie itself makes such an address out of an IPv4 address (RFC 7050), the
///   IPv4 address was checked before.
/// - **Not checked** are name servers, and the hosts behind a proxy: only the proxy's own address is checked,
///   and the proxy has to decide which hosts may be reached through it.
///
/// ```
/// use connie_std::{AddressFilter, ConnectErrorKind, Options, connect};
///
/// let options = Options::new().filter(AddressFilter::public_only());
/// let error = connect("127.0.0.1:80", &options).unwrap_err();
/// assert!(matches!(error.kind(), ConnectErrorKind::Denied(_)));
///
/// // The program's own network, and there one service.
/// let filter = AddressFilter::default().deny("10.0.0.0/8".parse()?).allow("10.1.2.3".parse()?);
/// assert!(filter.allows("10.1.2.3".parse()?) && !filter.allows("10.1.2.4".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressFilter {
    rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rule {
    network: IpNetwork,
    allows: bool,
}

/// The networks of the IANA registries of special-purpose addresses (RFC 6890) that are not globally
/// reachable, or lead to nobody in particular.
const NOT_PUBLIC_V4: [(Ipv4Addr, u8); 16] = [
    // "This network", of which 0.0.0.0 leads to this very host on many systems.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared with the provider's own NAT (RFC 6598).
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; in clouds that is where a machine's credentials are to be had.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // IETF protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // For documentation, three.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // 6to4 relays, which are no more (RFC 7526).
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, and broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// Of IPv6 all but 2000::/3, which alone is handed out, and the well-known prefix of NAT64: loopback, unique
/// local, link-local and multicast addresses are outside. And inside of it these.
const NOT_PUBLIC_V6: [(Ipv6Addr, u8); 3] = [
    // IETF protocol assignments: Teredo, ORCHID, benchmarks.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // For documentation, both.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

const GLOBAL_UNICAST: IpNetwork = IpNetwork::of_v6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const WELL_KNOWN_NAT64: IpNetwork = IpNetwork::of_v6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
const SIX_TO_FOUR: IpNetwork = IpNetwork::of_v6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);
const TEREDO: IpNetwork = IpNetwork::of_v6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);
const ALL_V6: IpNetwork = IpNetwork::of_v6(Ipv6Addr::UNSPECIFIED, 0);

impl AddressFilter {
    /// Denies what is not on the public internet: loopback, private, shared and unique local, link-local,
    /// unspecified, multicast, broadcast, documentation's and all other reserved addresses. A program whose
    /// own network is to be reached [allows](Self::allow) it.
    #[must_use]
    pub fn public_only() -> Self {
        let v4 = NOT_PUBLIC_V4.iter().map(|&(prefix, length)| IpNetwork::of_v4(prefix, length));
        let v6 = NOT_PUBLIC_V6.iter().map(|&(prefix, length)| IpNetwork::of_v6(prefix, length));
        let filter = Self::default().deny(ALL_V6).allow(GLOBAL_UNICAST).allow(WELL_KNOWN_NAT64);
        v4.chain(v6).fold(filter, Self::deny)
    }

    /// The same, with this network denied.
    #[must_use]
    pub fn deny(self, network: IpNetwork) -> Self {
        self.with(network, false)
    }

    /// The same, with this network allowed. For what a larger network is denied that has it; to deny all but
    /// a few, deny `0.0.0.0/0` and `::/0`.
    #[must_use]
    pub fn allow(self, network: IpNetwork) -> Self {
        self.with(network, true)
    }

    fn with(mut self, network: IpNetwork, allows: bool) -> Self {
        self.rules.push(Rule { network, allows });
        self
    }

    /// Whether `address` may be tried.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let inside = match address {
            IpAddr::V4(_) => [None, None],
            IpAddr::V6(whole) => inside(whole),
        };
        let inside = inside.into_iter().flatten().map(IpAddr::V4);
        std::iter::once(address).chain(inside).all(|ip| self.allows_itself(ip))
    }

    fn allows_itself(&self, address: IpAddr) -> bool {
        // Of equals the last.
        let telling = self.rules.iter().filter(|rule| rule.network.contains(address));
        telling.max_by_key(|rule| rule.network.bits).is_none_or(|rule| rule.allows)
    }

    /// Whether it denies nothing, as the default does.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Display for AddressFilter {
    /// One line: `deny 10.0.0.0/8, allow 10.1.2.3/32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("allow all");
        }
        for (index, Rule { network, allows }) in self.rules.iter().enumerate() {
            let (comma, verb) = (if index == 0 { "" } else { ", " }, if *allows { "allow" } else { "deny" });
            write!(f, "{comma}{verb} {network}")?;
        }
        Ok(())
    }
}

/// The IPv4 addresses that one of IPv6 leads to or comes by.
fn inside(whole: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = whole.to_bits();
    // Where the four octets end, counted in bits from the right.
    let at = |right: u32| Some(Ipv4Addr::from_bits((bits >> right) as u32));
    if WELL_KNOWN_NAT64.contains(whole.into()) {
        [at(0), None]
    } else if SIX_TO_FOUR.contains(whole.into()) {
        [at(80), None]
    } else if TEREDO.contains(whole.into()) {
        // Its server, and its client, whose bits are turned over.
        [at(64), Some(Ipv4Addr::from_bits(!(bits as u32)))]
    } else {
        [None, None]
    }
}

/// A network: the addresses that begin with the same bits. As a text `10.0.0.0/8`, `2001:db8::/32`, or an
/// address alone.
///
/// ```
/// use connie_std::IpNetwork;
/// use std::net::Ipv4Addr;
///
/// let network: IpNetwork = "172.16.0.0/12".parse()?;
/// assert_eq!(Some(network), IpNetwork::new(Ipv4Addr::new(172, 16, 0, 0), 12));
/// assert!(network.contains("172.31.255.255".parse()?) && !network.contains("172.32.0.0".parse()?));
/// assert!(network.contains("::ffff:172.16.0.1".parse()?), "an IPv4-mapped address is the IPv4 address");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    prefix: IpAddr,
    bits: u8,
}

impl IpNetwork {
    /// The network of `prefix` with this many bits in common. `None` if it has fewer bits, or if a bit after
    /// them is set: `10.1.2.3/8` is most likely a mistake.
    #[must_use]
    pub fn new(prefix: impl Into<IpAddr>, bits: u8) -> Option<Self> {
        let prefix = prefix.into();
        // To shift by all bits is `None`.
        let is_network = match prefix {
            IpAddr::V4(ip) => bits <= 32 && ip.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
            IpAddr::V6(ip) => bits <= 128 && ip.to_bits().checked_shl(bits.into()).unwrap_or(0) == 0,
        };
        is_network.then_some(IpNetwork { prefix, bits }).map(IpNetwork::canonical)
    }

    /// A part of the IPv4-mapped addresses is a part of IPv4.
    fn canonical(self) -> Self {
        match (self.prefix.to_canonical(), self.bits.checked_sub(96)) {
            (prefix @ IpAddr::V4(_), Some(bits)) if self.prefix.is_ipv6() => IpNetwork { prefix, bits },
            _ => self,
        }
    }

    const fn of_v4(prefix: Ipv4Addr, bits: u8) -> Self {
        IpNetwork { prefix: IpAddr::V4(prefix), bits }
    }

    const fn of_v6(prefix: Ipv6Addr, bits: u8) -> Self {
        IpNetwork { prefix: IpAddr::V6(prefix), bits }
    }

    /// Whether `address` belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let common = match (self.prefix, address.to_canonical()) {
            (IpAddr::V4(prefix), IpAddr::V4(address)) => {
                (prefix.to_bits() ^ address.to_bits()).leading_zeros()
            }
            (IpAddr::V6(prefix), IpAddr::V6(address)) => {
                (prefix.to_bits() ^ address.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        common >= u32::from(self.bits)
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.prefix, self.bits)
    }
}

impl FromStr for IpNetwork {
    type Err = InvalidIpNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidIpNetwork> {
        let (prefix, bits) = text.split_once('/').map_or((text, None), |(prefix, bits)| (prefix, Some(bits)));
        let prefix: IpAddr = prefix.parse().map_err(|_| InvalidIpNetwork)?;
        let bits = match bits {
            None => {
                if prefix.is_ipv4() {
                    32
                } else {
                    128
                }
            }
            // Not `parse` alone, which takes a plus sign too.
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| InvalidIpNetwork)?
            }
            Some(_) => return Err(InvalidIpNetwork),
        };
        IpNetwork::new(prefix, bits).ok_or(InvalidIpNetwork)
    }
}

/// A text that is not an [`IpNetwork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIpNetwork;

impl fmt::Display for InvalidIpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network is an address and how many of its bits count (at most 32, with IPv6 128), with no other bit set: 10.0.0.0/8 or fd00::/8")
    }
}

impl std::error::Error for InvalidIpNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(filter: &AddressFilter, address: &str) -> bool {
        filter.allows(address.parse().unwrap())
    }

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    /// The first and the last address of each, and its neighbours.
    #[test]
    fn what_is_not_public_of_ipv4() {
        let filter = AddressFilter::public_only();
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let [first, last] = [first, last].map(|text| text.parse::<Ipv4Addr>().unwrap().to_bits());
            let inside = [first, last].map(Ipv4Addr::from_bits);
            let outside =
                [first.checked_sub(1), last.checked_add(1)].map(|bits| bits.map(Ipv4Addr::from_bits));
            for ip in inside {
                let [a, b, c, d] = ip.octets();
                let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                assert!(!filter.allows(ip.into()), "{ip}");
                assert!(!filter.allows(ip.to_ipv6_mapped().into()), "{ip}, mapped");
                let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
                assert!(!filter.allows(nat64.into()), "{nat64}");
                let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1);
                assert!(!filter.allows(six_to_four.into()), "{six_to_four}");
            }
            for ip in outside.into_iter().flatten() {
                let [a, b, c, d] = ip.octets();
                let nat64 = Ipv6Addr::new(
                    0x64,
                    0xff9b,
                    0,
                    0,
                    0,
                    0,
                    u16::from_be_bytes([a, b]),
                    u16::from_be_bytes([c, d]),
                );
                for ip in [ip.into(), ip.to_ipv6_mapped().into(), nat64.into()] {
                    assert!(filter.allows(ip), "{ip}");
                }
            }
        }
        for ip in ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.0", "223.255.255.255", "::ffff:8.8.8.8"]
        {
            assert!(allows(&filter, ip), "{ip}");
        }
    }

    #[test]
    fn what_is_not_public_of_ipv6() {
        let filter = AddressFilter::public_only();
        for ip in [
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "64:ff9b:1::808:808",
            "64:ff9b:0:1::808:808",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:0:808:808::f7f7:f7f7",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff:ffff::1",
            "2002:a00:1::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!allows(&filter, ip), "{ip}");
        }
        for ip in [
            "2000::",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "2606:4700::1111",
            "3ffe:ffff::1",
            "3fff:1000::1",
            "64:ff9b::808:808",
        ] {
            assert!(allows(&filter, ip), "{ip}");
        }
    }

    /// The client's address has its bits turned over (RFC 4380 section 4).
    #[test]
    fn teredo_has_two_addresses_inside() {
        let filter = AddressFilter::default().deny(network("10.0.0.0/8"));
        assert!(!allows(&filter, "2001:0:a00:1::f7f7:f7f7"), "its server");
        assert!(!allows(&filter, "2001:0:808:808::f5ff:fffe"), "its client");
        assert!(allows(&filter, "2001:0:808:808::f7f7:f7f7") && allows(&filter, "2001:1::a00:1"));
    }

    #[test]
    fn the_most_specific_network_decides_and_of_equals_the_last() {
        let filter = AddressFilter::default()
            .allow(network("10.1.0.0/16"))
            .deny(network("10.0.0.0/8"))
            .deny(network("10.1.2.0/24"));
        assert!(allows(&filter, "10.1.1.1") && allows(&filter, "11.0.0.1") && allows(&filter, "::1"));
        assert!(
            !allows(&filter, "10.2.0.1")
                && !allows(&filter, "10.1.2.1")
                && !allows(&filter, "::ffff:10.1.2.1")
        );
        let last = filter.clone().allow(network("10.1.2.0/24"));
        assert!(allows(&last, "10.1.2.1") && filter != last);
        assert_eq!(filter.to_string(), "allow 10.1.0.0/16, deny 10.0.0.0/8, deny 10.1.2.0/24");
        assert_eq!(AddressFilter::default().to_string(), "allow all");
        assert!(allows(&AddressFilter::public_only().allow(network("fd00:1::/32")), "fd00:1::1"));
    }

    #[test]
    fn a_list_of_what_is_allowed() {
        let filter = AddressFilter::default()
            .deny(network("0.0.0.0/0"))
            .deny(network("::/0"))
            .allow(network("192.0.2.7"))
            .allow(network("2001:db8::7"));
        for ip in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"] {
            assert!(allows(&filter, ip), "{ip}");
        }
        for ip in ["192.0.2.6", "2001:db8::6", "::ffff:192.0.2.6", "64:ff9b::c000:207"] {
            assert!(!allows(&filter, ip), "{ip}");
        }
        // IPv6 networks say nothing about IPv4.
        assert!(allows(&AddressFilter::default().deny(ALL_V6), "::ffff:192.0.2.1"));
    }

    #[test]
    fn texts_of_networks() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.1").to_string(), "192.0.2.1/32");
        assert_eq!(network("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
        assert_eq!(network("::ffff:0:0/96").to_string(), "0.0.0.0/0");
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.1/31",
            "10.1.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "::/129",
            "::1/127",
            "2001:db8::1/32",
            "10/8",
            "fe80::1%1/64",
            "128.0.0.0/0",
            "8000::/0",
            "10.0.0.0/256",
        ] {
            assert_eq!(text.parse::<IpNetwork>(), Err(InvalidIpNetwork), "{text}");
        }
        assert_eq!(IpNetwork::new(Ipv4Addr::LOCALHOST, 33), None);
    }
}
