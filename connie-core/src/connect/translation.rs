//! What is kept of a name's addresses where IPv4 is reached through the network's NAT64: both families', to put one under
//! the other.

use core::net::{IpAddr, SocketAddr};

use heapless::Vec;

use crate::race::Family;
use crate::resolution::nat64::{Prefix, is_local};

/// The addresses of both families, at most `N` of each, and the network's prefix.
#[derive(Clone, Debug, Hash)]
pub(super) struct Translation<const N: usize> {
    /// Found; `None` before, and where there is none.
    prefix: Option<Prefix>,
    v4: Vec<SocketAddr, N>,
    /// The name's own, and behind them those of `v4` under the prefix.
    v6: Vec<SocketAddr, N>,
    /// How many of `v6` are the name's own.
    own: usize,
}

impl<const N: usize> Translation<N> {
    pub(super) const fn new() -> Self {
        Translation { prefix: None, v4: Vec::new(), v6: Vec::new(), own: 0 }
    }

    /// Keeps the addresses of `family`, in place of those that it had. The others of `addresses` are passed over.
    pub(super) fn keep(&mut self, family: Family, addresses: impl Iterator<Item = SocketAddr>) {
        let list = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        list.clear();
        // Not by `collect`, which panics where there are more than there is room for.
        for address in addresses.filter(|address| Family::of(address) == family) {
            if list.push(address).is_err() {
                break;
            }
        }
        if family == Family::V6 {
            self.own = self.v6.len();
        }
    }

    /// Takes the prefix from the answer for it: the first that it tells.
    pub(super) fn discover(&mut self, addresses: &[SocketAddr]) {
        self.prefix = addresses.iter().find_map(|address| match address {
            SocketAddr::V6(address) => Prefix::discover(*address.ip()),
            SocketAddr::V4(_) => None,
        });
    }

    /// Puts the IPv4 addresses under the prefix, behind the name's own of IPv6. Answers whether that has changed the list.
    pub(super) fn join(&mut self) -> bool {
        let joined = self.v6.len() > self.own;
        self.v6.truncate(self.own);
        if let Some(prefix) = self.prefix {
            for address in self.v4.iter().filter_map(|address| under(prefix, address)) {
                if !self.v6.contains(&address) {
                    // Where there is no room, the name has had more addresses of its own than this keeps.
                    let _ = self.v6.push(address);
                }
            }
        }
        joined || self.has_joined()
    }

    /// Whether any IPv4 address is reached through the NAT64.
    pub(super) fn has_joined(&self) -> bool {
        let Some(prefix) = self.prefix else { return false };
        self.v4.iter().any(|address| under(prefix, address).is_some())
    }

    /// Whether an IPv4 address is known that some prefix may reach.
    pub(super) fn may_help(&self) -> bool {
        self.v4.iter().any(|address| may_lie_beyond(address.ip()))
    }

    /// Whether the network has told a prefix.
    pub(super) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    pub(super) fn v4(&self) -> &[SocketAddr] {
        &self.v4
    }

    pub(super) fn v6(&self) -> &[SocketAddr] {
        &self.v6
    }
}

/// `address` as the translator of `prefix` knows it; `None` where that does not reach it. An IPv4-mapped address is the IPv4 address.
fn under(prefix: Prefix, address: &SocketAddr) -> Option<SocketAddr> {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) if prefix.reaches(ip) => {
            Some(SocketAddr::new(prefix.synthesize(ip).into(), address.port()))
        }
        _ => None,
    }
}

/// Whether `ip` is an IPv4 address that may lie behind a NAT64, and not on this host or its link.
pub(super) fn may_lie_beyond(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !is_local(ip),
        IpAddr::V6(_) => false,
    }
}
