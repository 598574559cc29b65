//! The entries of a memory: what is known of an address, and of a host. They are data; `learn.rs` changes
//! them.

use super::estimate::Estimate;
use super::key::Key;
use crate::race::Ip;

/// A place in the table, in 40 octets. Times are those of the memory; 0 is never.
///
/// It is an address's, or a host's on a network, which its [`Key`] says. One kind of place, and not
/// two, is half a kilobyte of firmware: all are found, counted by age and thrown out alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) ip: Ip,
    pub(super) realm: u32,
    /// Of an address: whose it is, by a host's hash: who used it last, or whose verdict it bears.
    /// Of a host: the number of the address that was explored last.
    pub(super) host: u32,
    /// Of an address: when it last answered. Of a host: when its last race ended.
    pub(super) answered: u32,
    /// Of an address: when a failure or a miss was last counted. Of a host: when an address was last
    /// explored.
    pub(super) counted: u32,
    /// Of a host: when a plan was last made that explores; 0 where its race has ended.
    pub(super) estimate: Estimate,
    pub(super) port: u16,
    pub(super) marks: Marks,
    /// Of a host: how many races have ended since an address was explored.
    pub(super) standing: Standing,
}

const _: () = assert!(size_of::<Entry>() == 40);

impl Entry {
    /// One of which nothing is known.
    pub(super) fn new(key: &Key) -> Self {
        let Key { ip, realm, port } = *key;
        Entry {
            ip,
            realm,
            host: 0,
            answered: 0,
            counted: 0,
            estimate: Estimate::default(),
            port,
            marks: Marks(0),
            standing: Standing::LIVE,
        }
    }

    pub(super) fn is_at(&self, key: &Key) -> bool {
        self.ip == key.ip && self.realm == key.realm && self.port == key.port
    }

    /// Whether it is a host's.
    pub(super) fn is_host(&self) -> bool {
        self.ip.high == Key::HOST
    }

    /// Whether it is how long a host's servers take to answer. Of its fields only `estimate` and `answered`
    /// have a meaning.
    pub(super) fn is_answer_time(&self) -> bool {
        self.ip.high == Key::ANSWER_TIME
    }

    /// When it was last of use.
    pub(super) fn newest(&self) -> u32 {
        // A host is as old as its last race, and none was explored later.
        self.answered.max(self.counted)
    }
}

/// The state of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing(pub(super) u8);

impl Standing {
    pub(super) const LIVE: Standing = Standing(0);
    /// It was late once, and has not answered since.
    pub(super) const MISSED: Standing = Standing(1);
    /// It was beaten when it should have led: it may lead when it has answered.
    pub(super) const DETHRONED: Standing = Standing(2);
    /// It failed. After a pause it may be explored, and lead when it has answered.
    pub(super) const DEMOTED: Standing = Standing(3);
}

/// Small facts, in an octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u8);

impl Marks {
    /// It has led a race that it won; an address of that host has.
    pub(super) const LED: u8 = 0x08;
    /// It has won when it was explored.
    pub(super) const RISING: u8 = 0x10;
    /// It is demoted for its host alone.
    pub(super) const VERDICT: u8 = 0x20;
    /// It is in use: it has led a race that it won, or has won a whole race, and was not late since.
    pub(super) const USED: u8 = 0x40;
    /// Of a host: its next race is the whole race.
    pub(super) const WHOLE: u8 = 0x80;
    /// Of an address: what it is demoted for is the end of an attempt to TLS, so that one which ends well
    /// takes it back.
    pub(super) const OF_ATTEMPT: u8 = 0x80;
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
