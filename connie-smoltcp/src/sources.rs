//! What this machine sends from, as far as it changes: whether a family has come to another address or router
//! since somebody last looked, and whether one that has lost its address may get another soon.

use core::net::IpAddr;
use core::time::Duration;

use connie_core::{Family, Instant};

use crate::address::{NO_HASH, hash};

/// How long attempts wait for a new address when their family has lost its own. A DHCP client whose old
/// address was refused asks for a new one at once, and again after 10 s (smoltcp's `discover_timeout`), so
/// that one question or offer may be lost. The rest is for the two round trips of the answer.
const PAUSE: Duration = Duration::from_secs(12);

/// Both families, IPv6 before IPv4.
#[derive(Debug, Default)]
pub(crate) struct Sources([Source; 2]);

#[derive(Debug, Default)]
struct Source {
    /// A hash of address and router; 0 without an address.
    tag: u32,
    /// Since when it has none, where it had one.
    lost: Option<Instant>,
    /// How often it has come to another. It comes round.
    changes: u8,
}

impl Sources {
    /// Takes note of the address and the router that the family has at `now`.
    pub(crate) fn update(
        &mut self,
        family: Family,
        address: Option<IpAddr>,
        router: Option<IpAddr>,
        now: Instant,
    ) {
        let source = self.of(family);
        let own = address.map(|address| hash(NO_HASH, address));
        let tag = own.map_or(0, |own| router.map_or(own, |router| hash(own, router)).max(1));
        if tag == source.tag {
            return;
        }
        // The first takes nothing's place.
        if tag != 0 && (source.tag != 0 || source.lost.is_some()) {
            source.changes = source.changes.wrapping_add(1);
        }
        source.lost = (tag == 0).then_some(now);
        source.tag = tag;
    }

    /// A number that is another when a family has come to another address or router.
    pub(crate) fn changes(&self) -> u8 {
        let Sources([v6, v4]) = self;
        v6.changes.wrapping_add(v4.changes)
    }

    /// The same of one family.
    pub(crate) fn changes_of(&self, family: Family) -> u8 {
        let Sources([v6, v4]) = self;
        if family == Family::V6 { v6 } else { v4 }.changes
    }

    /// Until when a family may still get another address in place of the one that it has lost.
    pub(crate) fn awaited_until(&self, family: Family) -> Option<Instant> {
        let Sources([v6, v4]) = self;
        let source = if family == Family::V6 { v6 } else { v4 };
        // The addition ends at the last `Instant`, and cannot overflow.
        Some(source.lost? + PAUSE)
    }

    fn of(&mut self, family: Family) -> &mut Source {
        let Sources([v6, v4]) = self;
        if family == Family::V6 { v6 } else { v4 }
    }
}
