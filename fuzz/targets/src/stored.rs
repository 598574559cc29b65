//! The bytes of a memory, read by their documented format; and bytes as nobody would write them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use connie_core::memory::{Finish, Memory, Network};
use connie_core::race::PlannedRace;
use connie_core::{Config, Input, Instant, Output};

use crate::draw::Draw;
use crate::race::address;

/// The number of every memory here.
pub(crate) const SALT: u32 = 0x5eed;
const HEAD: usize = 12;
const ENTRY: usize = 40;
/// The mark of an entry that has led a race which it won.
const LED: u8 = 0x08;

/// What is in a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored(Vec<u8>);

impl Stored {
    pub(crate) fn of<const N: usize>(memory: &Memory<N>, now: Instant) -> Self {
        let mut bytes = vec![0; memory.byte_len()];
        assert_eq!(memory.to_bytes(&mut bytes, now), Some(bytes.len()));
        Stored(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.0[HEAD..].chunks(ENTRY)
    }

    /// What each entry is found by: its port, address and realm.
    pub(crate) fn keys(&self) -> BTreeSet<Vec<u8>> {
        self.entries().map(|entry| entry[2..24].to_vec()).collect()
    }

    fn led(&self) -> BTreeSet<Vec<u8>> {
        self.entries().filter(|entry| entry[1] & LED != 0).map(|entry| entry[2..24].to_vec()).collect()
    }

    /// Of bytes that were read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Stored(bytes.to_vec())
    }

    /// The ages of an entry are words: 0 is never, and all that is younger than the oldest there is has grown
    /// by what has passed.
    pub(crate) fn has_aged(&self, before: &Stored) {
        let ages =
            |entry: &[u8]| [28, 32].map(|at| u32::from_le_bytes(entry[at..at + 4].try_into().unwrap()));
        for (after, before) in self.entries().zip(before.entries()) {
            for (after, before) in ages(after).into_iter().zip(ages(before)) {
                assert_eq!(after == 0, before == 0, "it forgets that it happened, or learns that it did");
                assert!(after >= before.min(24 * 84_375_000), "it is younger than before: {after}, {before}");
            }
        }
    }

    /// There is room for what is in it, and nothing is in it twice.
    pub(crate) fn check(&self, room: usize) {
        let count = self.entries().count();
        assert!(count <= room, "{count} entries in {room} places");
        assert_eq!(self.keys().len(), count, "an entry is there twice");
    }

    /// Rule 13: one that has led goes only where those that have not are down to their quarter.
    pub(crate) fn keeps_those_that_have_led(&self, before: &Stored, room: usize) {
        let keys = self.keys();
        if before.led().iter().all(|key| keys.contains(key)) {
            return;
        }
        let others = self.entries().count() - self.led().len();
        assert!(
            others <= (room / 4).max(1),
            "one that has led is gone, and {others} that have not are there"
        );
    }

    /// Whether `bytes` have the check that they should have.
    pub(crate) fn has_right_check(bytes: &[u8]) -> bool {
        bytes.len() >= HEAD && bytes[4..8] == check(&bytes[8..]).to_le_bytes()
    }
}

/// Bytes that nobody wrote: any; or any entries, with a right head; or entries that were written, and changed
/// since.
pub(crate) fn forged(mut draw: Draw<'_>) -> Vec<u8> {
    let kind = draw.below(4);
    if kind == 0 {
        return draw.rest().to_vec();
    }
    let tenths = draw.short().to_le_bytes();
    let mut entries = if kind == 1 { draw.rest().to_vec() } else { changed(draw) };
    entries.truncate(entries.len() / ENTRY * ENTRY);
    let count = (entries.len() / ENTRY) as u16;
    let checked = [tenths.as_slice(), &count.to_le_bytes(), &entries].concat();
    [b"cnm1".as_slice(), &check(&checked).to_le_bytes(), &checked].concat()
}

fn changed(mut draw: Draw<'_>) -> Vec<u8> {
    let mut entries = written()[HEAD..].to_vec();
    let count = entries.len() / ENTRY;
    while !draw.is_done() {
        let (entry, octet, to) = (draw.byte(), draw.byte(), draw.byte());
        let entry = usize::from(entry) % count;
        match usize::from(octet) {
            octet if octet < ENTRY => entries[entry * ENTRY + octet] = to,
            // Two that are the same, or nearly.
            octet if octet < 2 * ENTRY => {
                let from = usize::from(to) % count * ENTRY;
                entries.copy_within(from..from + ENTRY, entry * ENTRY);
            }
            // Fewer.
            octet if octet < 3 * ENTRY => {
                entries.truncate((entry + 1) * ENTRY);
                return entries;
            }
            // What stays an entry of another standing, or one that has led.
            octet if octet % 2 == 0 => entries[entry * ENTRY] ^= to & 3,
            _ => entries[entry * ENTRY + 1] ^= to & LED,
        }
    }
    entries
}

/// What a memory writes that has seen some races to two hosts, on each of two networks.
fn written() -> &'static [u8] {
    static WRITTEN: OnceLock<Vec<u8>> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let mut memory = Memory::<64>::new(SALT, Instant::ZERO);
        let mut now = Instant::ZERO;
        let here = Network::new("192.0.2.200".parse().ok(), "2001:db8:ff::1".parse().ok());
        for (host, network, first) in [
            ("a.test", here, 0_u8),
            ("b.test", here, 1),
            ("a.test", Network::default(), 2),
            ("a.test", here, 3),
        ] {
            let visit = memory.visit(host, Finish::Tcp, 0, &network);
            let addresses =
                [address(first), address(first + 1), address(0x60 | first), address(0x61 + first)];
            for winner in [0, 1, 0, 0] {
                let mut race = PlannedRace::<4, 4>::new(&Config::all_at_once(), now);
                race.handle_addresses(&addresses, now);
                race.follow(&memory.plan(&visit, &race, 0, now));
                let mut ids = Vec::new();
                while let Output::StartAttempt { id, .. } = race.poll_output(now) {
                    ids.push(id);
                }
                let failed = Input::AttemptFailed {
                    id: ids[(winner + 1) % ids.len()],
                    error: connie_core::AttemptErrorKind::Refused.into(),
                };
                now += std::time::Duration::from_millis(30);
                if ids.len() > 1 {
                    race.handle_input(failed, now);
                }
                race.handle_input(Input::AttemptSucceeded { id: ids[winner % ids.len()] }, now);
                while !race.poll_output(now).ends_drain() {}
                memory.learn(&visit, &race, false, now);
            }
        }
        Stored::of(&memory, now).0
    })
}

/// The check, worked out anew: MurmurHash3 (x86, 32 bits) of the words, begun with `1mnc` and the length.
fn check(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    });
    let round = |hash: u32, word: u32| {
        let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    };
    let mut hash = words.fold(round(u32::from_be_bytes(*b"cnm1"), bytes.len() as u32), round);
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16).max(1)
}
