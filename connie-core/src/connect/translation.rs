//! What is kept of a name's addresses where IPv4 is reached through the network's NAT64: both families', to
//! put one under the other.

use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use heapless::Vec;

use crate::empty::empty;
use crate::race::Family;
use crate::resolution::nat64::{Prefix, is_local};

/// The addresses of both families, at most `N` of each, and the network's prefix.
#[derive(Clone, Debug, Hash)]
pub(super) struct Translation<const N: usize> {
    /// Found; `None` before, and where there is none.
    prefix: Option<Prefix>,
    v4: Vec<SocketAddrV4, N>,
    /// The name's own.
    v6: Vec<SocketAddrV6, N>,
    /// Whether the race was given IPv4 addresses under the prefix.
    joined: bool,
}

impl<const N: usize> Translation<N> {
    pub(super) fn new() -> Self {
        Translation { prefix: None, v4: empty(), v6: empty(), joined: false }
    }

    /// Keeps the addresses of `family`, in place of those that it had. The others of `addresses` are passed
    /// over, and so are those that there is no room for.
    pub(super) fn keep(&mut self, family: Family, addresses: impl Iterator<Item = SocketAddr>) {
        match family {
            Family::V4 => self.v4.clear(),
            Family::V6 => self.v6.clear(),
        }
        for address in addresses.filter(|address| Family::of(address) == family) {
            // An IPv4-mapped address is the IPv4 address.
            match (address.ip().to_canonical(), address) {
                (IpAddr::V4(ip), _) => {
                    let _ = self.v4.push(SocketAddrV4::new(ip, address.port()));
                }
                (_, SocketAddr::V6(v6)) => {
                    let _ = self.v6.push(v6);
                }
                (IpAddr::V6(_), SocketAddr::V4(_)) => {}
            }
        }
    }

    /// Takes the prefix from the answer for it: the first one in it.
    pub(super) fn discover(&mut self, addresses: &[SocketAddr]) {
        self.prefix = addresses.iter().find_map(|address| match address {
            SocketAddr::V6(address) => Prefix::discover(*address.ip()),
            SocketAddr::V4(_) => None,
        });
    }

    /// Whether the IPv4 addresses under the prefix change what the race has to know of IPv6: there are
    /// some, or there were.
    pub(super) fn join(&mut self) -> bool {
        let joined = self.has_joined();
        core::mem::replace(&mut self.joined, joined) || joined
    }

    /// Whether any IPv4 address is reached through the NAT64.
    pub(super) fn has_joined(&self) -> bool {
        self.through().next().is_some()
    }

    /// Whether an IPv4 address is known that some prefix may reach.
    pub(super) fn may_help(&self) -> bool {
        self.v4.iter().any(|address| may_lie_beyond(IpAddr::V4(*address.ip())))
    }

    /// Whether the network has a prefix.
    pub(super) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// The IPv4 addresses that the translator does not reach.
    pub(super) fn beyond_reach(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        let prefix = self.prefix;
        let is_reached =
            move |address: &SocketAddrV4| prefix.is_some_and(|prefix| prefix.reaches(*address.ip()));
        self.v4.iter().copied().filter(move |address| !is_reached(address)).map(SocketAddr::V4)
    }

    /// The name's own, and behind them those of IPv4 under the prefix.
    pub(super) fn v6(&self) -> impl Iterator<Item = SocketAddr> + Clone {
        self.v6.iter().copied().chain(self.through()).map(SocketAddr::V6)
    }

    /// The IPv4 addresses that the translator reaches, as it knows them.
    fn through(&self) -> impl Iterator<Item = SocketAddrV6> + Clone {
        let prefix = self.prefix;
        self.v4.iter().filter_map(move |address| under(prefix?, address))
    }
}

/// `address` as the translator of `prefix` knows it; `None` where that does not reach it.
fn under(prefix: Prefix, address: &SocketAddrV4) -> Option<SocketAddrV6> {
    let reaches = prefix.reaches(*address.ip());
    reaches.then(|| SocketAddrV6::new(prefix.synthesize(*address.ip()), address.port(), 0, 0))
}

/// Whether `ip` is an IPv4 address that may lie behind a NAT64, and not on this host or its link.
pub(super) fn may_lie_beyond(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !is_local(ip),
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn list(text: &str) -> std::vec::Vec<SocketAddr> {
        text.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn what_is_translated_needs_no_room_among_the_names_own_addresses() {
        let mut translation = Translation::<2>::new();
        translation.discover(&list("64:ff9b::192.0.0.170"));
        translation.keep(Family::V6, list("2001:db8::1 192.0.2.9 2001:db8::2 2001:db8::3").into_iter());
        translation.keep(Family::V4, list("192.0.2.1 192.0.2.2 192.0.2.3").into_iter());
        let all = list("2001:db8::1 2001:db8::2 64:ff9b::192.0.2.1 64:ff9b::192.0.2.2");
        assert!(translation.v6().eq(all), "{:?}", translation.v6().collect::<std::vec::Vec<_>>());
    }

    #[test]
    fn the_race_is_told_anew_when_the_last_translated_address_goes() {
        let mut translation = Translation::<2>::new();
        translation.discover(&list("64:ff9b::192.0.0.170"));
        assert!(!translation.join(), "there is nothing to translate");
        translation.keep(Family::V4, list("192.0.2.1").into_iter());
        assert!(translation.join());
        // A private address is not reached by the well-known prefix.
        translation.keep(Family::V4, list("10.0.0.1").into_iter());
        assert!(translation.join(), "one goes");
        assert!(!translation.join(), "it is gone already");
    }
}
