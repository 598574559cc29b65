//! IPv4 hosts from a network that has IPv6 alone: the addresses of NAT64 (RFC 6052), and how its prefix is
//! found (RFC 7050).

use core::net::{Ipv4Addr, Ipv6Addr};

/// The name whose AAAA answer has the prefix (RFC 7050 section 3): it has IPv4 addresses only, so
/// that an AAAA record of it was made up by the network's DNS64.
pub const WELL_KNOWN_NAME: &str = "ipv4only.arpa";

/// The IPv4 addresses of [`WELL_KNOWN_NAME`] (RFC 7050 section 8.2).
pub const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// A NAT64 prefix, under which each IPv4 address has an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    bits: u128,
    length: PrefixLength,
}

/// "One of the following lengths: 32, 40, 48, 56, 64, or 96" (RFC 6052 section 2.2), in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PrefixLength {
    /// 32 bits.
    L32 = 32,
    /// 40 bits.
    L40 = 40,
    /// 48 bits.
    L48 = 48,
    /// 56 bits.
    L56 = 56,
    /// 64 bits.
    L64 = 64,
    /// 96 bits.
    L96 = 96,
}

impl PrefixLength {
    /// All of them, the longest first: so they are looked for, since `64:ff9b::/96` is by far the most
    /// common.
    pub const ALL: [PrefixLength; 6] = [
        PrefixLength::L96,
        PrefixLength::L64,
        PrefixLength::L56,
        PrefixLength::L48,
        PrefixLength::L40,
        PrefixLength::L32,
    ];

    /// The bits of the prefix.
    const fn mask(self) -> u128 {
        // The least length is 32, so the shift is below 128.
        u128::MAX << (128 - self as u32)
    }
}

/// Bits 64 to 71, counted from the left, which "MUST be set to zero" (RFC 6052 section 2.2): the octet `u` in
/// the figure. An IPv4 address is broken in two around it.
const U_OCTET: u128 = 0xff << 56;

/// The bits below it.
const LOW_56: u128 = (1 << 56) - 1;

impl Prefix {
    /// `64:ff9b::/96`, the Well-Known Prefix (RFC 6052 section 2.1).
    pub const WELL_KNOWN: Prefix = Prefix { bits: 0x0064_ff9b << 96, length: PrefixLength::L96 };

    /// The first bits of `address`; the rest does not count. `None` where the octet that must be zero is not.
    #[must_use]
    pub const fn new(address: Ipv6Addr, length: PrefixLength) -> Option<Self> {
        let bits = address.to_bits() & length.mask();
        if bits & U_OCTET == 0 { Some(Prefix { bits, length }) } else { None }
    }

    /// The prefix with zeros for the rest.
    #[must_use]
    pub const fn address(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.bits)
    }

    /// Its length.
    #[must_use]
    pub const fn length(&self) -> PrefixLength {
        self.length
    }

    /// Whether a translator with this prefix can reach `ip`. None reaches what has no meaning beyond a link
    /// or a host, and one with the Well-Known Prefix no private network either: it "MUST NOT be used to
    /// represent non-global IPv4 addresses" (RFC 6052 section 3.1).
    #[must_use]
    pub fn reaches(&self, ip: Ipv4Addr) -> bool {
        let private = ip.is_private() && *self == Self::WELL_KNOWN;
        !(is_local(ip) || private)
    }

    /// The IPv6 address of `ip` under this prefix, with a suffix of zeros (RFC 6052 section 2.2).
    ///
    /// ```
    /// use connie_core::resolution::nat64::Prefix;
    ///
    /// let address = Prefix::WELL_KNOWN.synthesize([192, 0, 2, 33].into());
    /// assert_eq!(address.to_string(), "64:ff9b::c000:221");
    /// ```
    #[must_use]
    pub const fn synthesize(&self, ip: Ipv4Addr) -> Ipv6Addr {
        let ip = ip.to_bits() as u128;
        if let PrefixLength::L96 = self.length {
            return Ipv6Addr::from_bits(self.bits | ip);
        }
        // Of the 120 bits without the octet `u`, the 32 right behind the prefix, which has 64 at most.
        Ipv6Addr::from_bits(self.bits | around_u(ip << (120 - 32 - self.length as u32)))
    }

    /// The IPv4 address that `address` stands for, where it is one under this prefix. The suffix does not
    /// count, which is "reserved for future extensions and SHOULD be set to zero" (RFC 6052 section 2.2).
    #[must_use]
    pub const fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = address.to_bits();
        if bits & self.length.mask() != self.bits || bits & U_OCTET != 0 {
            return None;
        }
        let ip = match self.length {
            PrefixLength::L96 => bits,
            length => without_u(bits) >> (120 - 32 - length as u32),
        };
        // The lower 32 bits: the address.
        Some(Ipv4Addr::from_bits(ip as u32))
    }

    /// The prefix that an AAAA record of [`WELL_KNOWN_NAME`] tells: where one of the [well-known
    /// addresses](WELL_KNOWN_ADDRESSES) lies in it, and in no more than one way (RFC 7050 section 3).
    ///
    /// Addresses that hide none tell nothing: they belong to a network that answers every name with an
    /// address of its own.
    #[must_use]
    pub fn discover(address: Ipv6Addr) -> Option<Self> {
        let mut found = None;
        for length in PrefixLength::ALL {
            let Some(prefix) = Prefix::new(address, length) else { continue };
            let hidden = prefix.extract(address);
            if hidden.is_some_and(|ip| WELL_KNOWN_ADDRESSES.contains(&ip)) {
                // "If the Well-Known IPv4 Address is found in more than one location, the node MUST NOT use"
                // it (same place).
                if found.is_some() {
                    return None;
                }
                found = Some(prefix);
            }
        }
        found
    }
}

/// Whether `ip` has no meaning beyond a link or a host.
pub(crate) fn is_local(ip: Ipv4Addr) -> bool {
    ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        // "This host on this network" (RFC 6890 section 2.2.2).
        || ip.octets().first() == Some(&0)
}

/// 120 bits as 128 with zeros for the octet `u`, below which there are 56.
const fn around_u(plain: u128) -> u128 {
    (plain >> 56 << 64) | (plain & LOW_56)
}

/// 128 bits as 120 without the octet `u`.
const fn without_u(bits: u128) -> u128 {
    (bits >> 64 << 56) | (bits & LOW_56)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    /// The table of RFC 6052 section 2.4, with 192.0.2.33 under each, and the Well-Known Prefix of the second
    /// table.
    const TABLE: [(&str, PrefixLength, &str); 7] = [
        ("2001:db8::", PrefixLength::L32, "2001:db8:c000:221::"),
        ("2001:db8:100::", PrefixLength::L40, "2001:db8:1c0:2:21::"),
        ("2001:db8:122::", PrefixLength::L48, "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::", PrefixLength::L56, "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::", PrefixLength::L64, "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::", PrefixLength::L96, "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::", PrefixLength::L96, "64:ff9b::192.0.2.33"),
    ];

    #[test]
    fn rfc_6052_section_2_4() {
        let ip = Ipv4Addr::new(192, 0, 2, 33);
        for (prefix, length, expected) in TABLE {
            let prefix = Prefix::new(v6(prefix), length).unwrap();
            assert_eq!(prefix.synthesize(ip), v6(expected), "{prefix:?}");
            assert_eq!(prefix.extract(v6(expected)), Some(ip), "{prefix:?}");
        }
    }

    #[test]
    fn every_address_comes_back_under_every_prefix() {
        for (prefix, length, _) in TABLE {
            let prefix = Prefix::new(v6(prefix), length).unwrap();
            for shift in 0..32 {
                for bits in [1_u32 << shift, !(1_u32 << shift), 0x0102_0304_u32.rotate_left(shift)] {
                    let ip = Ipv4Addr::from_bits(bits);
                    let address = prefix.synthesize(ip);
                    assert_eq!(address.to_bits() & U_OCTET, 0, "{address}");
                    assert_eq!(prefix.extract(address), Some(ip), "{prefix:?} {ip}");
                }
            }
        }
    }

    #[test]
    fn an_address_of_another_prefix_stands_for_nothing() {
        assert_eq!(Prefix::WELL_KNOWN.extract(v6("64:ff9b:1::192.0.2.1")), None);
        let prefix = Prefix::new(v6("2001:db8:122::"), PrefixLength::L48).unwrap();
        assert_eq!(prefix.extract(v6("2001:db8:122:c000:1:21::")), Some(Ipv4Addr::new(192, 0, 1, 0)));
        assert_eq!(prefix.extract(v6("2001:db8:122:c000:102:2100::")), None, "the octet u");
        // "The suffix ... SHOULD be set to zero" and is not looked at.
        assert_eq!(prefix.extract(v6("2001:db8:122:c000:2:2100::7")), Some(Ipv4Addr::new(192, 0, 2, 33)));
    }

    #[test]
    fn what_is_local_is_not_reached_through_a_translator() {
        let own = Prefix::new(v6("2001:db8:122:344::"), PrefixLength::L96).unwrap();
        for (ip, by_well_known, by_own) in [
            ([192, 0, 2, 1], true, true),
            ([10, 0, 0, 1], false, true),
            ([172, 16, 0, 1], false, true),
            ([192, 168, 0, 1], false, true),
            ([127, 0, 0, 1], false, false),
            ([169, 254, 0, 1], false, false),
            ([224, 0, 0, 1], false, false),
            ([255, 255, 255, 255], false, false),
            ([0, 0, 0, 0], false, false),
        ] {
            assert_eq!(Prefix::WELL_KNOWN.reaches(ip.into()), by_well_known, "{ip:?}");
            assert_eq!(own.reaches(ip.into()), by_own, "{ip:?}");
        }
    }

    #[test]
    fn the_octet_u_of_a_prefix_is_zero() {
        assert_eq!(Prefix::new(v6("2001:db8::100:0:0:0"), PrefixLength::L96), None);
        assert!(
            Prefix::new(v6("2001:db8::1:0:0:0"), PrefixLength::L96).is_some(),
            "the octet behind it may be anything"
        );
    }

    #[test]
    fn the_prefix_is_found_at_every_length() {
        for (address, length, _) in TABLE {
            let prefix = Prefix::new(v6(address), length).unwrap();
            for well_known in WELL_KNOWN_ADDRESSES {
                assert_eq!(Prefix::discover(prefix.synthesize(well_known)), Some(prefix), "{prefix:?}");
            }
        }
        assert_eq!(
            Prefix::discover(v6("2001:db8::1")),
            None,
            "a network that answers every name with its own address"
        );
    }

    #[test]
    fn a_prefix_that_could_be_two_is_none() {
        // Under 64 bits at 72 to 103, and under 96 bits at the end.
        let twice = Ipv6Addr::from_bits((0x2001_0db8_c000_00aa_u128 << 64) | 0xc000_00aa);
        assert_eq!(Prefix::discover(twice), None);
    }
}
