//! In which order to try addresses: destination address selection by RFC 6724 section 6.
//!
//! The rules compare a destination with another by what the host would send from: a platform that can tell
//! gives the source address of each. Within a family a race takes addresses in the order in which it is given
//! them; between families it alternates (RFC 8305 section 4), and [`Race::prefer`](crate::Race::prefer) says
//! which one comes first: that of the first address here.
//!
//! ```
//! use connie_core::resolution::selection::{Candidate, DEFAULT_POLICY, Route, sort};
//!
//! let native = Candidate::new(&DEFAULT_POLICY, "[2001:db8:1::1]:80".parse().unwrap(), Route::from_source("fe80::1".parse().unwrap()));
//! let legacy = Candidate::new(&DEFAULT_POLICY, "198.51.100.121:80".parse().unwrap(), Route::from_source("198.51.100.117".parse().unwrap()));
//! let mut candidates = [native, legacy];
//! sort(&mut candidates);
//! // Rule 2: a link-local source does not reach a global destination.
//! assert_eq!(candidates[0].address(), legacy.address());
//! ```

use core::cmp::Ordering;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A row of the policy table (RFC 6724 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    /// The prefix that the row is for; IPv4 addresses are looked up as IPv4-mapped ones.
    pub prefix: Ipv6Addr,
    /// Its length in bits, at most 128. Of the rows that fit, the longest counts.
    pub length: u8,
    /// Destinations of higher precedence come first (rule 6).
    pub precedence: u8,
    /// Destinations come first whose label is that of their source (rule 5).
    pub label: u8,
    /// The scope of its addresses, where the administrator has set one: as multicast addresses number scopes,
    /// 14 for global (rules 2 and 8). `None` for that of the standard.
    pub scope: Option<u8>,
}

const fn row(prefix: [u16; 8], length: u8, precedence: u8, label: u8) -> PolicyEntry {
    let [a, b, c, d, e, f, g, h] = prefix;
    PolicyEntry { prefix: Ipv6Addr::new(a, b, c, d, e, f, g, h), length, precedence, label, scope: None }
}

/// The default policy table (RFC 6724 section 2.1).
pub const DEFAULT_POLICY: [PolicyEntry; 9] = [
    row([0, 0, 0, 0, 0, 0, 0, 1], 128, 50, 0),
    row([0, 0, 0, 0, 0, 0, 0, 0], 0, 40, 1),
    row([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, 35, 4),
    row([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, 30, 2),
    row([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, 5, 5),
    row([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, 3, 13),
    row([0, 0, 0, 0, 0, 0, 0, 0], 96, 1, 3),
    row([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, 1, 11),
    row([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16, 1, 12),
];

/// What the platform knows of the route to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Nothing. Such a destination counts as one that is reached from the best of sources.
    Unknown,
    /// There is no route, or no source address for it (rule 1).
    Unreachable,
    /// The host sends from this source.
    From(Source),
}

impl Route {
    /// From `address`, of which nothing more is known.
    #[must_use]
    pub const fn from_source(address: IpAddr) -> Self {
        Route::From(Source {
            address,
            prefix_length: 64,
            deprecated: false,
            mobility: Mobility::Both,
            native: true,
        })
    }
}

/// The source address that the host uses for a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix, in bits: what is behind it names the interface. 64 for nearly every IPv6
    /// address.
    pub prefix_length: u8,
    /// Whether it is deprecated (RFC 4862 section 5.5.4).
    pub deprecated: bool,
    /// What it is to a mobile host (RFC 6275); on others every address is [`Mobility::Both`].
    pub mobility: Mobility,
    /// Whether its interface sends natively, and not through a tunnel.
    pub native: bool,
}

/// What an address is to a mobile host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mobility {
    /// Home and care-of address at once: the host is at home.
    Both,
    /// A home address.
    Home,
    /// A care-of address.
    CareOf,
}

/// A destination with what the rules want to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    address: SocketAddr,
    standing: AddressRank,
}

impl Candidate {
    /// `address`, reached by `route`, under `policy`: [`DEFAULT_POLICY`] unless the host's administrator has
    /// set another.
    #[must_use]
    pub fn new(policy: &[PolicyEntry], address: SocketAddr, route: Route) -> Self {
        Candidate { address, standing: AddressRank::new(policy, &address, route) }
    }

    /// The destination.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether there is a route to it, as far as is known.
    #[must_use]
    pub const fn is_reachable(&self) -> bool {
        self.standing.key < AddressRank::UNREACHABLE
    }

    /// `Less` when this comes before `other`; `Equal` when no rule distinguishes them, and they stay as they
    /// are (rule 10).
    ///
    /// Rule 9, the longest matching prefix, is applied to IPv6 alone. For IPv4 it would undo the rotation by
    /// which servers share their load, since it prefers whichever address is closest in number; "Rules 8 and
    /// 9 MAY be superseded if the implementation has other means of sorting destination addresses".
    #[must_use]
    pub fn compare(&self, other: &Candidate) -> Ordering {
        self.standing.compare(&other.standing)
    }

    /// Its rank among others.
    pub(crate) const fn standing(&self) -> AddressRank {
        self.standing
    }
}

/// All that the rules know of a destination.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct AddressRank {
    /// Rules 1 to 8 in order, from the highest bit down, so that the lesser comes first. In one number, for
    /// the code of a microcontroller.
    key: u32,
    /// Rule 9, for IPv6.
    common_prefix: Option<u8>,
}

impl AddressRank {
    /// Rule 1. Below it in its octet are rules 2 to 5; the other octets are rules 6, 7 and 8.
    const UNREACHABLE: u32 = 1 << 31;

    fn new(policy: &[PolicyEntry], address: &SocketAddr, route: Route) -> Self {
        let destination = mapped(address.ip());
        let (precedence, label, scope) = look_up(policy, destination);
        let (source, unreachable) = match route {
            Route::From(source) => (Some(source), false),
            Route::Unknown => (None, false),
            Route::Unreachable => (None, true),
        };
        let from = source.map(|source| look_up(policy, mapped(source.address)));
        let mobility = source.map_or(Mobility::Both, |source| source.mobility);
        let above = u8::from(unreachable) << 7
            | u8::from(from.is_some_and(|(_, _, from)| from != scope)) << 6
            | u8::from(source.is_some_and(|source| source.deprecated)) << 5
            // Two bits.
            | (mobility as u8) << 3
            | u8::from(from.is_some_and(|(_, from, _)| from != label)) << 2;
        let tunnel = source.is_some_and(|source| !source.native);
        let key = u32::from_be_bytes([above, u8::MAX.saturating_sub(precedence), tunnel.into(), scope]);
        let common_prefix = source
            .filter(|_| address.is_ipv6())
            .map(|source| common_prefix(mapped(source.address), destination).min(source.prefix_length));
        AddressRank { key, common_prefix }
    }

    pub(crate) fn compare(&self, other: &AddressRank) -> Ordering {
        self.key.cmp(&other.key).then_with(|| match (self.common_prefix, other.common_prefix) {
            (Some(own), Some(its)) => its.cmp(&own),
            _ => Ordering::Equal,
        })
    }
}

/// Puts candidates in order; those that no rule distinguishes stay as they are. By insertion: rule 9 compares
/// within a family only, so that the order is not a total one, which general sorting needs.
pub fn sort(candidates: &mut [Candidate]) {
    for end in 1..=candidates.len() {
        let Some(sorted) = candidates.get_mut(..end) else { return };
        let mut at = sorted.len();
        while let Some([before, new]) = at.checked_sub(2).and_then(|from| sorted.get_mut(from..at)) {
            if new.compare(before) != Ordering::Less {
                break;
            }
            core::mem::swap(before, new);
            at = at.saturating_sub(1);
        }
    }
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// How many bits both begin with.
// One copy where code must be small: 128 bits take many instructions there.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn common_prefix(one: Ipv6Addr, other: Ipv6Addr) -> u8 {
    // At most 128.
    (one.to_bits() ^ other.to_bits()).leading_zeros() as u8
}

/// Precedence, label and scope of `address`.
fn look_up(policy: &[PolicyEntry], address: Ipv6Addr) -> (u8, u8, u8) {
    let fits = |row: &&PolicyEntry| common_prefix(row.prefix, address) >= row.length;
    let longest = policy.iter().filter(fits).max_by_key(|row| row.length);
    let (precedence, label, set) =
        longest.map_or((0, u8::MAX, None), |row| (row.precedence, row.label, row.scope));
    (precedence, label, set.unwrap_or_else(|| scope(address)))
}

/// Whether a table puts IPv4 before IPv6, as far as that can be said before any address is known.
pub(crate) fn prefers_v4(policy: &[PolicyEntry]) -> bool {
    let precedence = |prefix: u128| look_up(policy, Ipv6Addr::from_bits(prefix)).0;
    precedence(0xffff << 32) > precedence(0x2000 << 112)
}

const LINK_LOCAL: u8 = 0x2;
const SITE_LOCAL: u8 = 0x5;
const GLOBAL: u8 = 0xe;

/// Scopes as multicast addresses number them (RFC 6724 section 3.1).
fn scope(address: Ipv6Addr) -> u8 {
    if let Some(v4) = address.to_ipv4_mapped() {
        // "IPv4 auto-configuration addresses [...] and IPv4 loopback addresses [...] are assigned link-local
        // scope", and private ones "global scope" (section 3.2).
        return if v4.is_link_local() || v4.is_loopback() { LINK_LOCAL } else { GLOBAL };
    }
    let [first, second, ..] = address.octets();
    match (first, second) {
        (0xff, second) => second & 0xf,
        (0xfe, second) if second & 0xc0 == 0x80 => LINK_LOCAL,
        (0xfe, second) if second & 0xc0 == 0xc0 => SITE_LOCAL,
        // "The loopback address [...] is treated as having link-local scope" (RFC 4007 section 4).
        _ if address.is_loopback() => LINK_LOCAL,
        _ => GLOBAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn from(text: &str) -> Route {
        match text {
            "-" => Route::Unreachable,
            "?" => Route::Unknown,
            address => Route::from_source(ip(address)),
        }
    }

    fn changed(text: &str, change: impl FnOnce(&mut Source)) -> Route {
        match from(text) {
            Route::From(mut source) => {
                change(&mut source);
                Route::From(source)
            }
            other => other,
        }
    }

    /// `first` comes before `second`, whichever way round they are.
    #[track_caller]
    fn prefers(first: (&str, Route), second: (&str, Route)) {
        let candidate =
            |(address, route)| Candidate::new(&DEFAULT_POLICY, SocketAddr::new(ip(address), 80), route);
        for mut list in [[candidate(first), candidate(second)], [candidate(second), candidate(first)]] {
            sort(&mut list);
            assert_eq!(list.map(|it| it.address().ip()), [ip(first.0), ip(second.0)]);
        }
    }

    /// The nine examples, in the order of the section.
    #[test]
    fn rfc_6724_section_10_2() {
        // Rule 2, prefer matching scope.
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("198.51.100.121", from("169.254.13.78")));
        prefers(("198.51.100.121", from("198.51.100.117")), ("2001:db8:1::1", from("fe80::1")));
        // Rule 6, prefer higher precedence.
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("10.1.2.3", from("10.1.2.4")));
        // Rule 8, prefer smaller scope.
        prefers(("fe80::1", from("fe80::2")), ("2001:db8:1::1", from("2001:db8:1::2")));
        // Rule 4, prefer home addresses.
        let home = changed("2001:db8:3::1", |source| source.mobility = Mobility::Home);
        let away = changed("fe80::2", |source| source.mobility = Mobility::CareOf);
        prefers(("2001:db8:1::1", home), ("fe80::1", away));
        // Rule 3, avoid deprecated addresses.
        let deprecated = changed("fe80::2", |source| source.deprecated = true);
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("fe80::1", deprecated));
        // Rule 9, longest matching prefix.
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("2001:db8:3ffe::1", from("2001:db8:3f44::2")));
        // Rule 5, prefer matching label.
        prefers(
            ("2002:c633:6401::1", from("2002:c633:6401::2")),
            ("2001:db8:1::1", from("2002:c633:6401::2")),
        );
        // Rule 6 again.
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("2002:c633:6401::1", from("2002:c633:6401::2")));
    }

    /// "If a rule produces a result, then the remaining rules are not relevant and MUST be ignored" (section
    /// 6): of each two rules in a row the first decides.
    #[test]
    fn a_rule_outweighs_the_next() {
        let global = |change: fn(&mut Source)| changed("2001:db8:1::2", change);
        let deprecated = global(|source| source.deprecated = true);
        let care_of = global(|source| source.mobility = Mobility::CareOf);
        let tunnel = |source: &mut Source| source.native = false;
        prefers(("2001:db8:1::1", from("fe80::1")), ("fe80::2", from("-")));
        prefers(("2001:db8:1::1", deprecated), ("2001:db8:1::3", from("fe80::1")));
        prefers(("2001:db8:1::1", care_of), ("2001:db8:1::3", deprecated));
        prefers(("2002:c633:6401::1", from("2001:db8:1::2")), ("2001:db8:1::1", care_of));
        prefers(
            ("2002:c633:6401::1", from("2002:c633:6401::2")),
            ("2001:db8:1::1", from("2002:c633:6401::2")),
        );
        prefers(("2001:db8:1::1", global(tunnel)), ("2002:c633:6401::1", from("2002:c633:6401::2")));
        prefers(("2001:db8:1::1", from("2001:db8:1::2")), ("fe80::1", changed("fe80::2", tunnel)));
    }

    #[test]
    fn rule_1_avoids_what_cannot_be_reached() {
        prefers(("192.0.2.1", from("192.0.2.2")), ("2001:db8::1", from("-")));
        prefers(("192.0.2.1", from("?")), ("2001:db8::1", from("-")));
        let is_reachable = |route| {
            Candidate::new(&DEFAULT_POLICY, "[2001:db8::1]:80".parse().unwrap(), route).is_reachable()
        };
        assert_eq!(["2001:db8::2", "?", "-"].map(|text| is_reachable(from(text))), [true, true, false]);
    }

    #[test]
    fn rule_7_prefers_native_transport() {
        let tunnel = changed("2001:db8::2", |source| source.native = false);
        prefers(("2001:db8::7", from("2001:db8::2")), ("2001:db8::1", tunnel));
    }

    #[test]
    fn rule_9_stops_at_the_interface_and_leaves_ipv4_alone() {
        let same = |addresses: [(&str, &str); 2]| {
            let [a, b] = addresses.map(|(to, source)| {
                Candidate::new(&DEFAULT_POLICY, SocketAddr::new(ip(to), 80), from(source))
            });
            assert_eq!(a.compare(&b), Ordering::Equal, "{addresses:?}");
        };
        same([("2001:db8::1:1", "2001:db8::1:2"), ("2001:db8::8000:1", "2001:db8::1:2")]);
        same([("192.0.2.1", "192.0.2.2"), ("198.51.100.1", "192.0.2.2")]);
    }

    #[test]
    fn what_no_rule_tells_apart_stays_as_it_is() {
        let mut list = ["192.0.2.3", "2001:db8::1", "192.0.2.1", "2001:db8::3", "192.0.2.2", "2001:db8::2"]
            .map(|to| Candidate::new(&DEFAULT_POLICY, SocketAddr::new(ip(to), 80), Route::Unknown));
        sort(&mut list);
        let expected = ["2001:db8::1", "2001:db8::3", "2001:db8::2", "192.0.2.3", "192.0.2.1", "192.0.2.2"];
        assert_eq!(list.map(|it| it.address().ip()), expected.map(ip));
        sort(&mut []);
    }

    #[test]
    fn the_policy_table() {
        for (address, precedence, label) in [
            ("::1", 50, 0),
            ("2001:db8::1", 40, 1),
            ("2001:0:1::1", 5, 5),
            ("192.0.2.1", 35, 4),
            ("::192.0.2.1", 1, 3),
            ("2002::1", 30, 2),
            ("fd00::1", 3, 13),
            ("fec0::1", 1, 11),
            ("3ffe::1", 1, 12),
            ("64:ff9b::1", 40, 1),
        ] {
            let (found, of_label, _) = look_up(&DEFAULT_POLICY, mapped(ip(address)));
            assert_eq!((found, of_label), (precedence, label), "{address}");
        }
        assert_eq!(look_up(&[], mapped(ip("::1"))), (0, u8::MAX, LINK_LOCAL));
    }

    #[test]
    fn the_family_that_a_table_puts_first() {
        let [a, b, mut v4, d, e, f, g, h, i] = DEFAULT_POLICY;
        for (precedence, first) in [(39, false), (40, false), (41, true)] {
            v4.precedence = precedence;
            assert_eq!(prefers_v4(&[a, b, v4, d, e, f, g, h, i]), first, "{precedence}");
        }
        assert!(!prefers_v4(&[]));
    }

    /// Private addresses as RFC 3484 had them, for which hosts behind a translator of the time had no use.
    #[test]
    fn a_scope_that_the_administrator_has_set() {
        let private =
            PolicyEntry { scope: Some(SITE_LOCAL), ..row([0, 0, 0, 0, 0, 0xffff, 0x0a00, 0], 104, 35, 4) };
        let [a, b, c, d, e, f, g, h, i] = DEFAULT_POLICY;
        let policy = [a, b, c, d, e, f, g, h, i, private];
        let candidate = |to: &str, from: &str| {
            Candidate::new(&policy, SocketAddr::new(ip(to), 80), Route::from_source(ip(from)))
        };
        // Rule 2: from a private source a global destination is of another scope, and a private one is not.
        let (v4, v6) = (candidate("192.0.2.1", "10.0.0.2"), candidate("fd00::1", "fd00::2"));
        assert_eq!(v6.compare(&v4), Ordering::Less);
        assert_eq!(candidate("10.0.0.1", "10.0.0.2").compare(&v4), Ordering::Less);
        let plain = Candidate::new(&DEFAULT_POLICY, v4.address(), Route::from_source(ip("10.0.0.2")));
        assert_eq!(plain.compare(&v6), Ordering::Less, "rule 6, where nothing is set");
    }

    #[test]
    fn scopes() {
        for (address, expected) in [
            ("::1", LINK_LOCAL),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("fec0::1", SITE_LOCAL),
            ("feff::1", SITE_LOCAL),
            ("fe00::1", GLOBAL),
            ("fe7f::1", GLOBAL),
            ("fd00::1", GLOBAL),
            ("2001:db8::1", GLOBAL),
            ("ff02::1", 2),
            ("ff0e::1", 14),
            ("127.0.0.1", LINK_LOCAL),
            ("169.254.1.1", LINK_LOCAL),
            ("10.0.0.1", GLOBAL),
            ("192.0.2.1", GLOBAL),
        ] {
            assert_eq!(look_up(&DEFAULT_POLICY, mapped(ip(address))).2, expected, "{address}");
        }
    }
}
