//! The addresses that this machine sends from while a connect runs, as its [`Lookup`] tells them: whether
//! that of a family has changed, and whether a family that has lost its own may get another soon.

use core::mem;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use connie_core::memory::Network;
use connie_core::resolution::selection::{Route, Source};
use connie_core::{Family, Instant};

use crate::lookup::Lookup;

/// How long attempts wait for a new address when their family has lost its own. A DHCP client whose old
/// address was refused asks for a new one at once, and again after 10 s (smoltcp's `discover_timeout`). The
/// rest is for the two round trips of the answer.
const PAUSE: Duration = Duration::from_secs(12);

/// How often to look for it: no stack announces it through a waker that several tasks can share.
const LOOK: Duration = Duration::from_millis(100);

/// What one connect knows of them.
pub(crate) struct Sources {
    network: Network,
    /// Since when a family that had an address has none: IPv6, then IPv4.
    lost: [Option<Instant>; 2],
}

/// What has become of a family's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceFate {
    Stays,
    /// There may be another soon.
    Awaited,
    /// There is another.
    Replaced,
    /// No other came in time.
    Lost,
}

impl Sources {
    pub(crate) const fn new(network: Network) -> Self {
        Sources { network, lost: [None; 2] }
    }

    /// The network as it was at the last [`look`](Self::look).
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    /// Whether the network has changed since the last look, and what has become of the address of each
    /// family, IPv6 before IPv4.
    pub(crate) fn look<L: Lookup>(&mut self, names: &L, now: Instant) -> (bool, [(Family, SourceFate); 2]) {
        let network = network(names);
        let [v6, v4] = &mut self.lost;
        let fates = [
            (Family::V6, fate(v6, self.network.v6, network.v6, now)),
            (Family::V4, fate(v4, self.network.v4, network.v4, now)),
        ];
        (mem::replace(&mut self.network, network) != network, fates)
    }

    /// Whether attempts of `family`, which has no address, are to wait for one.
    pub(crate) fn is_awaited(&self, family: Family) -> bool {
        let [v6, v4] = &self.lost;
        if family == Family::V6 { v6 } else { v4 }.is_some()
    }

    /// When to look again, if nothing wakes the connect before.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        // The addition ends at the last `Instant`, and cannot overflow.
        self.lost.iter().any(Option::is_some).then(|| now + LOOK)
    }
}

fn fate<A: PartialEq>(lost: &mut Option<Instant>, was: Option<A>, is: Option<A>, now: Instant) -> SourceFate {
    match (is, *lost) {
        (Some(_), Some(_)) => {
            *lost = None;
            SourceFate::Replaced
        }
        // The addition ends at the last `Instant`, and cannot overflow.
        (None, Some(since)) if now >= since + PAUSE => {
            *lost = None;
            SourceFate::Lost
        }
        (None, Some(_)) => SourceFate::Awaited,
        (None, None) if was.is_some() => {
            *lost = Some(now);
            SourceFate::Awaited
        }
        // A first address replaces none.
        (is, None) if was.is_none() || was == is => SourceFate::Stays,
        (_, None) => SourceFate::Replaced,
    }
}

/// The network that this machine is on, as far as its [`Lookup`] knows: the addresses that it would send from
/// to the internet.
pub(crate) fn network<L: Lookup>(names: &L) -> Network {
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let mut network = Network::default();
    for route in [names.route(V4), names.route(V6)] {
        match route {
            Route::From(Source { address: IpAddr::V4(own), .. }) => network.v4 = Some(own),
            Route::From(Source { address: IpAddr::V6(own), .. }) => network.v6 = Some(own),
            _ => {}
        }
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_loses_its_address_waits_for_another_and_not_for_ever() {
        let at = Instant::from_micros;
        let mut lost = None;
        let mut look = |was: u8, is: u8, now| {
            let some = |address| (address > 0).then_some(address);
            fate(&mut lost, some(was), some(is), at(now))
        };
        assert_eq!(look(0, 0, 0), SourceFate::Stays);
        assert_eq!(look(0, 1, 1), SourceFate::Stays, "a first address replaces none");
        assert_eq!(look(1, 1, 2), SourceFate::Stays);
        assert_eq!(look(1, 2, 3), SourceFate::Replaced);
        assert_eq!(look(2, 0, 4), SourceFate::Awaited);
        assert_eq!(look(0, 0, 5), SourceFate::Awaited);
        assert_eq!(look(0, 2, 6), SourceFate::Replaced, "the old sockets are gone");
        assert_eq!(look(2, 2, 7), SourceFate::Stays);
        assert_eq!(look(2, 0, 8), SourceFate::Awaited);
        assert_eq!(look(0, 0, 12_000_007), SourceFate::Awaited);
        assert_eq!(look(0, 0, 12_000_008), SourceFate::Lost);
        assert_eq!(look(0, 0, 12_000_009), SourceFate::Stays);
        assert_eq!(look(0, 3, 12_000_010), SourceFate::Stays, "nothing waits for it any more");
    }
}
