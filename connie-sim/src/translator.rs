//! The addresses of NAT64 once more, after the figure of RFC 6052 section 2.2 and octet by octet: a second
//! opinion on the core's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the octets of an IPv4 address lie in an IPv6 address, by the length of the prefix in octets. Octet 8
/// is `u`.
const PLACES: [(usize, [usize; 4]); 6] = [
    (12, [12, 13, 14, 15]),
    (8, [9, 10, 11, 12]),
    (7, [7, 9, 10, 11]),
    (6, [6, 7, 9, 10]),
    (5, [5, 6, 7, 9]),
    (4, [4, 5, 6, 7]),
];

/// The Well-Known Prefix (RFC 6052 section 2.1).
const WELL_KNOWN: [u8; 12] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

/// A translator with its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translator {
    /// The prefix, and zeros.
    octets: [u8; 16],
    length: usize,
    places: [usize; 4],
}

impl Translator {
    /// The translator whose prefix an AAAA record of `ipv4only.arpa` tells (RFC 7050 section 3): one of that
    /// name's two addresses lies in it, in one place alone.
    pub(crate) fn from_answer(ip: IpAddr) -> Option<Self> {
        let IpAddr::V6(ip) = ip else { return None };
        let all = ip.octets();
        let hides = |(_, places): &(usize, [usize; 4])| {
            all[8] == 0 && matches!(places.map(|place| all[place]), [192, 0, 0, 170 | 171])
        };
        let mut found = PLACES.into_iter().filter(hides);
        let (length, places) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        let mut octets = [0; 16];
        octets[..length].copy_from_slice(&all[..length]);
        Some(Translator { octets, length, places })
    }

    /// `address` as this translator knows it; `None` for one that it does not reach.
    pub(crate) fn translate(&self, address: &SocketAddr) -> Option<SocketAddr> {
        let ip = v4(address).filter(|_| Self::may_reach(address))?;
        // It "MUST NOT be used to represent non-global IPv4 addresses" (RFC 6052 section 3.1).
        let is_private = matches!(ip.octets(), [10, ..] | [172, 16..=31, ..] | [192, 168, ..]);
        if is_private && self.length == 12 && self.octets[..12] == WELL_KNOWN {
            return None;
        }
        let mut octets = self.octets;
        for (place, octet) in self.places.into_iter().zip(ip.octets()) {
            octets[place] = octet;
        }
        Some((Ipv6Addr::from(octets), address.port()).into())
    }

    /// Whether there may be a translator that reaches `address`: it is an IPv4 address that means something
    /// beyond its host and link.
    pub(crate) fn may_reach(address: &SocketAddr) -> bool {
        let near = |ip: Ipv4Addr| {
            matches!(ip.octets(), [0 | 127 | 224..=239, ..] | [169, 254, ..] | [255, 255, 255, 255])
        };
        v4(address).is_some_and(|ip| !near(ip))
    }
}

fn v4(address: &SocketAddr) -> Option<Ipv4Addr> {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 6052 section 2.4.
    #[test]
    fn rfc_6052_section_2_4() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (hidden, expected) in [
            ("2001:db8:c000:aa::", "2001:db8:c000:221::"),
            ("2001:db8:1c0:0:aa::", "2001:db8:1c0:2:21::"),
            ("2001:db8:122:c000:0:aa00::", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:3c0:0:aa::", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344:c0:0:aa00::", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::192.0.0.170", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::192.0.0.171", "64:ff9b::192.0.2.33"),
        ] {
            let translator = Translator::from_answer(ip(hidden)).unwrap();
            let translated = translator.translate(&"192.0.2.33:80".parse().unwrap());
            assert_eq!(translated, Some((ip(expected), 80).into()), "{hidden}");
        }
        assert_eq!(Translator::from_answer(ip("2001:db8::1")), None);
    }

    #[test]
    fn what_is_near_is_reached_by_none() {
        let own = Translator::from_answer("2001:db8::192.0.0.170".parse().unwrap()).unwrap();
        for near in ["127.0.0.1:80", "169.254.1.1:80", "0.0.0.0:80", "224.0.0.1:80", "[2001:db8::1]:80"] {
            assert_eq!(own.translate(&near.parse().unwrap()), None, "{near}");
        }
        let private = "10.0.0.1:80".parse().unwrap();
        assert!(own.translate(&private).is_some());
        let well_known = Translator::from_answer("64:ff9b::192.0.0.170".parse().unwrap()).unwrap();
        assert_eq!(well_known.translate(&private), None);
    }
}
