//! What an entry is known by: an address on a network, and whose it is.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::race::{Destination, Family, Ip};

/// When an attempt has ended well. An estimate of one says nothing about the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Finish {
    /// When TCP is connected.
    #[default]
    Tcp,
    /// When TLS is.
    Tls,
}

/// The network that this machine is on, by the addresses that it would send from. What is learnt on one is
/// not used on another.
///
/// A program asks a UDP socket of each family that it keeps for this. With neither address all that is learnt
/// counts as one network: a program that cannot tell has to [forget](super::Memory::forget) when the network
/// changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Network {
    /// The IPv4 source address. One of 192.0.0.0/29, which a CLAT has on every network (RFC 7335), tells
    /// nothing: the other one counts.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 source address, of which the first 64 bits count: the rest changes for privacy (RFC 8981).
    pub v6: Option<Ipv6Addr>,
}

impl Network {
    /// The network of these source addresses.
    #[must_use]
    pub const fn new(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Self {
        Network { v4, v6 }
    }

    /// A number for what `family` goes out by.
    fn tag(&self, salt: u32, family: Family) -> u32 {
        let v4 = self.v4.filter(|v4| v4.to_bits() >> 3 != Ipv4Addr::new(192, 0, 0, 0).to_bits() >> 3);
        match (family, v4, self.v6) {
            (Family::V4, Some(v4), _) | (Family::V6, Some(v4), None) => mix(mix(salt, 4), v4.to_bits()),
            (_, _, Some(v6)) => {
                let prefix = (v6.to_bits() >> 64) as u64;
                mix(mix(mix(salt, 6), (prefix >> 32) as u32), prefix as u32)
            }
            (_, None, None) => mix(salt, 0),
        }
    }
}

/// The bit of a realm that says which finish line it is about.
const TLS: u32 = 1;

/// The finish line of what is known in a realm.
pub(super) fn finish(realm: u32) -> Finish {
    if realm & TLS == 0 { Finish::Tcp } else { Finish::Tls }
}

/// A number for the network of a realm and its partition.
pub(super) fn place(realm: u32) -> u32 {
    realm >> 1
}

/// What a race is about, as a memory knows it: from [`Memory::visit`](super::Memory::visit). It has no name
/// in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Visit {
    pub(super) host: u32,
    pub(super) v4: u32,
    pub(super) v6: u32,
}

impl Visit {
    /// The number of its host, as [`Remembered::host`](super::Remembered::host) has it.
    #[must_use]
    pub const fn host(&self) -> u32 {
        self.host
    }

    /// A visit to either host. The sum of two hashes is another one, whichever comes first.
    pub(super) fn joined(self, other: Visit) -> Visit {
        Visit { host: self.host.wrapping_add(other.host), ..self }
    }

    /// A visit that was never made.
    pub(super) const NOBODY: Visit = Visit { host: 0, v4: 0, v6: 0 };

    pub(super) fn new(salt: u32, host: &str, finish: Finish, partition: u32, network: &Network) -> Self {
        let mut name = mix(salt, 0x686f_7374);
        for octet in host.strip_suffix('.').unwrap_or(host).bytes() {
            name = mix(name, octet.to_ascii_lowercase().into());
        }
        let realm = |family| {
            let place = end(mix(network.tag(salt, family), partition)) & !1;
            place | if finish == Finish::Tls { TLS } else { 0 }
        };
        Visit { host: end(name), v4: realm(Family::V4), v6: realm(Family::V6) }
    }

    /// What the time that the host's servers take to answer is found by.
    pub(super) fn answer_key(&self) -> Key {
        let ip = Ip { high: Key::ANSWER_TIME, low: self.host.into() };
        Key { ip, ..self.key() }
    }

    /// The network, the partition and the finish line of `family`, as one number.
    pub(super) fn realm(&self, family: Family) -> u32 {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// What the entry of the host is found by.
    pub(super) fn key(&self) -> Key {
        let ip = Ip { high: Key::HOST, low: self.host.into() };
        Key { ip, realm: end(mix(self.v4, self.v6)), port: 0 }
    }
}

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) ip: Ip,
    pub(super) realm: u32,
    pub(super) port: u16,
}

impl Key {
    /// The upper half of what stands in the place of a host's address: that of a multicast address, and none
    /// of those is remembered.
    pub(super) const HOST: u64 = 0xff00_0000_0000_0000;
    /// The same for how long a host's servers take to answer.
    pub(super) const ANSWER_TIME: u64 = Self::HOST + 1;
}

/// An address as it is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) key: Key,
    pub(super) family: Family,
    /// What it takes its turn by; 0 where it is not to be remembered.
    pub(super) number: u32,
}

impl Target {
    pub(super) fn of(destination: &Destination, visit: &Visit, salt: u32) -> Self {
        let (ip, port, family) = (destination.ip(), destination.port(), destination.family());
        Target { key: Key { ip, port, realm: visit.realm(family) }, family, number: number(salt, ip, port) }
    }
}

/// Whether an address is remembered: not one that means something else on each link (RFC 4007), since a
/// zone's number has no place in an entry.
pub(super) fn is_remembered(ip: Ip) -> bool {
    match ip.v4() {
        Some(v4) => v4 >> 16 != 0xa9fe,
        // fe80::/10, and multicast.
        None => ip.high >> 54 != 0xfe80 >> 6 && ip.high >> 56 != 0xff,
    }
}

/// A number for the /24 of IPv4 or the /48 of IPv6 that an address is in.
pub(super) fn prefix(ip: Ip) -> u32 {
    match ip.v4() {
        Some(v4) => v4 >> 8,
        None => end(mix((ip.high >> 32) as u32, ip.high as u32 >> 16)),
    }
}

/// A number for an address, other in each memory: in the order of these numbers addresses take their turn to
/// be explored. 0 for one that is not to be remembered.
pub(super) fn number(salt: u32, ip: Ip, port: u16) -> u32 {
    if !is_remembered(ip) {
        return 0;
    }
    let Ip { high, low } = ip;
    let words = [(high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32, port.into()];
    end(words.into_iter().fold(salt, mix))
}

/// Takes one more word into a hash: a round of MurmurHash3 (x86, 32 bits).
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn mix(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

/// The last step of that hash. Never 0, which stands for nothing.
pub(super) fn end(hash: u32) -> u32 {
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::ip_and_port;

    fn at(v4: &str, v6: &str) -> Network {
        Network { v4: v4.parse().ok(), v6: v6.parse().ok() }
    }

    fn visit(host: &str, network: &Network) -> Visit {
        Visit::new(7, host, Finish::Tcp, 0, network)
    }

    #[test]
    fn a_host_is_the_same_in_any_case_and_with_its_last_dot() {
        let here = at("192.0.2.1", "2001:db8::1");
        let known = visit("example.org", &here);
        assert_eq!(visit("EXAMPLE.org.", &here), known);
        assert_ne!(visit("example.net", &here).host, known.host);
        assert_ne!(Visit::new(8, "example.org", Finish::Tcp, 0, &here).host, known.host);
    }

    #[test]
    fn networks_finish_lines_and_partitions_are_told_apart() {
        let here = at("192.0.2.1", "2001:db8::1");
        let known = visit("h", &here);
        // Another interface identifier is the same network (RFC 8981).
        assert_eq!(visit("h", &at("192.0.2.1", "2001:db8::2")), known);
        let moved = visit("h", &at("192.0.2.2", "2001:db8::1"));
        assert_eq!((moved.v6, moved.v4 == known.v4), (known.v6, false));
        let moved = visit("h", &at("192.0.2.1", "2001:db8:0:1::1"));
        assert_eq!((moved.v4, moved.v6 == known.v6), (known.v4, false));
        for other in [Visit::new(7, "h", Finish::Tls, 0, &here), Visit::new(7, "h", Finish::Tcp, 1, &here)] {
            assert!(other.host == known.host && other.v4 != known.v4 && other.v6 != known.v6);
        }
    }

    /// RFC 7335: 192.0.0.0/29 is the same on every network.
    #[test]
    fn a_clats_source_is_no_network() {
        let one = visit("h", &at("192.0.0.1", "2001:db8::1"));
        assert_eq!(one.v4, visit("h", &at("", "2001:db8::1")).v4);
        assert_ne!(one.v4, visit("h", &at("192.0.0.1", "2001:db8:1::1")).v4);
        assert_eq!(visit("h", &at("192.0.0.7", "2001:db8::1")).v4, one.v4);
        for beside in ["192.0.0.8", "191.255.255.255"] {
            assert_ne!(visit("h", &at(beside, "2001:db8::1")).v4, one.v4, "{beside}");
        }
    }

    fn ip(text: &str) -> Ip {
        ip_and_port(&text.parse().unwrap()).0
    }

    #[test]
    fn link_local_addresses_are_not_remembered() {
        for (address, is) in [
            ("[fe80::1%3]:80", false),
            ("[febf::1]:80", false),
            ("169.254.1.1:80", false),
            ("[ff02::1]:80", false),
            ("[fec0::1]:80", true),
            ("[fe7f::1]:80", true),
            ("169.253.1.1:80", true),
            ("169.255.1.1:80", true),
            ("[2001:db8::1]:80", true),
        ] {
            assert_eq!(is_remembered(ip(address)), is, "{address}");
        }
    }

    #[test]
    fn near_is_a_24_or_a_48() {
        let near = |a: &str, b: &str| prefix(ip(a)) == prefix(ip(b));
        assert!(near("192.0.2.0:1", "192.0.2.255:1") && !near("192.0.2.255:1", "192.0.3.0:1"));
        assert!(near("[2001:db8:1::]:1", "[2001:db8:1:ffff:ffff:ffff:ffff:ffff]:1"));
        assert!(!near("[2001:db8:1::]:1", "[2001:db8:2::]:1") && !near("[::1]:1", "127.0.0.1:1"));
    }

    /// What is found by one can never be taken for the other.
    #[test]
    fn a_host_has_the_key_of_no_address_that_is_remembered() {
        let key = visit("h", &at("192.0.2.1", "2001:db8::1")).key();
        assert!(!is_remembered(key.ip) && key.ip.high == Key::HOST);
    }
}
