//! The entries of a memory: what is known of an address, and of a host. They are data; `mod.rs` changes them.

use core::net::Ipv6Addr;

use super::estimate::Estimate;

/// A place in the table: 40 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Address(Entry),
    Host(HostEntry),
}

const _: () = assert!(size_of::<Slot>() == 40);

/// What is known of one address. Times are those of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// IPv4 as IPv4-mapped.
    pub(super) ip: Ipv6Addr,
    pub(super) realm: u32,
    /// Whose it is: who used it last, or whose verdict it bears.
    pub(super) host: u32,
    /// When it last answered.
    pub(super) answered: u32,
    /// When a failure or a miss was last counted.
    pub(super) counted: u32,
    pub(super) estimate: Estimate,
    pub(super) port: u16,
    pub(super) marks: Marks,
    pub(super) standing: Standing,
}

impl Entry {
    /// One of which nothing is known.
    pub(super) fn new(ip: Ipv6Addr, port: u16, realm: u32, host: u32) -> Self {
        let (estimate, marks) = (Estimate::default(), Marks::default());
        Entry { ip, realm, host, answered: 0, counted: 0, estimate, port, marks, standing: Standing::Live }
    }
}

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    /// It was late once, and has not answered since.
    Missed,
    /// It was beaten when it should have led: it may lead when it has answered.
    Dethroned,
    /// It failed. After a pause it may be explored, and lead when it has answered.
    Demoted,
}

/// Small facts about an address, in an octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u8);

impl Marks {
    /// It has led a race that it won.
    pub(super) const LED: u8 = 0x08;
    /// It has won when it was explored.
    pub(super) const RISING: u8 = 0x10;
    /// It is demoted for its host alone.
    pub(super) const VERDICT: u8 = 0x20;
    /// It is in use: it has led a race that it won, or has won a whole race, and was not late since.
    pub(super) const USED: u8 = 0x40;
    /// All that there are.
    pub(super) const ALL: u8 = 0x7f;
    /// The longest pause is that of this level.
    pub(super) const HIGHEST: u8 = 6;

    pub(super) fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    pub(super) fn set(&mut self, mark: u8, to: bool) {
        self.0 = if to { self.0 | mark } else { self.0 & !mark };
    }

    /// How often its pause has doubled.
    pub(super) fn level(self) -> u8 {
        self.0 & 7
    }

    pub(super) fn set_level(&mut self, level: u8) {
        self.0 = (self.0 & !7) | level.min(Self::HIGHEST);
    }
}

/// What is known of a host on a network, beside its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostEntry {
    pub(super) host: u32,
    /// Those of both families.
    pub(super) realms: u32,
    /// When its last race ended.
    pub(super) raced: u32,
    /// When an address was last explored.
    pub(super) explored: u32,
    /// The address that was, as `key::turn` has it.
    pub(super) cursor: u32,
    /// When a plan was last made that explores; 0 where its race has ended.
    pub(super) claimed: u32,
    /// How many races have ended since an address was explored.
    pub(super) races: u8,
    /// Whether the next race is the whole race.
    pub(super) whole: bool,
    /// Whether an address of it has led a race that it won.
    pub(super) led: bool,
}

impl Slot {
    /// Whether it is kept before those that never were of use.
    pub(super) fn has_led(&self) -> bool {
        match self {
            Slot::Address(entry) => entry.marks.has(Marks::LED),
            Slot::Host(host) => host.led,
        }
    }

    /// When it was last of use.
    pub(super) fn newest(&self) -> u32 {
        match self {
            Slot::Address(entry) => entry.answered.max(entry.counted),
            Slot::Host(host) => host.raced,
        }
    }
}
