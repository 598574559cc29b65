//! A memory as bytes, to be kept while the program does not run.
//!
//! ```text
//! 0   4  "cnm1": the format and its version
//! 4   4  a check of all that follows
//! 8   2  what the bucket has, in tenths of a SYN
//! 10  2  how many entries follow, of 40 octets each
//! 12     entries: which kind, then its fields
//! ```
//!
//! All numbers are little-endian. Times are ages, since no clock need go on from one run to the next; whoever reads the bytes says how long ago they
//! were written. There are no names in them: hosts and networks are hashes under the memory's salt, which is not in them.

use core::fmt;
use core::net::Ipv6Addr;
use core::time::Duration;

use super::bucket::Bucket;
use super::entry::{Entry, HostEntry, Marks, Slot, Standing};
use super::estimate::{Estimate, Short};
use super::{Memory, key};
use crate::time::{Instant, micros};

const MAGIC: [u8; 4] = *b"cnm1";
const HEAD: usize = 12;
/// An entry as bytes.
const ENTRY: usize = 40;

/// Why bytes are no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidMemory {
    /// They do not begin as a memory of this version does.
    Version,
    /// They are cut off, or there are more of them than they say.
    Length,
    /// They are not what was written.
    Checksum,
    /// An entry in them cannot be.
    Entry,
}

impl fmt::Display for InvalidMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidMemory::Version => "not a memory that this version wrote: remove it to begin anew",
            InvalidMemory::Length => "the memory is cut off: remove it to begin anew",
            InvalidMemory::Checksum => "the memory was changed since it was written: remove it to begin anew",
            InvalidMemory::Entry => "the memory holds what none was written with: remove it to begin anew",
        })
    }
}

impl core::error::Error for InvalidMemory {}

impl<const N: usize> Memory<N> {
    /// How many bytes [`to_bytes`](Memory::to_bytes) writes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        // A table is in RAM: its size is far from the end of the range.
        self.slots.len().saturating_mul(ENTRY).saturating_add(HEAD)
    }

    /// Writes it into `bytes`, and answers how much of them it took; `None` where there are fewer than [`byte_len`](Memory::byte_len).
    #[must_use]
    pub fn to_bytes(&self, bytes: &mut [u8], now: Instant) -> Option<usize> {
        let len = self.byte_len();
        let now = self.tick(now);
        let (head, mut rest) = bytes.get_mut(..len)?.split_first_chunk_mut::<HEAD>()?;
        for slot in &self.slots {
            let (entry, next) = rest.split_first_chunk_mut::<ENTRY>()?;
            *entry = write(slot, now);
            rest = next;
        }
        let count = u16::try_from(self.slots.len()).ok()?.to_le_bytes();
        let tenths = self.bucket.tenths().to_le_bytes();
        *head = [MAGIC, [0; 4], [tenths[0], tenths[1], count[0], count[1]]].as_flattened().try_into().ok()?;
        let sum = check(bytes.get(8..len)?).to_le_bytes();
        bytes.get_mut(4..8)?.copy_from_slice(&sum);
        Some(len)
    }

    /// Reads what [`to_bytes`](Memory::to_bytes) wrote `age` ago. With another `salt` than it had then nothing in it is found again. What there is no
    /// room for goes as the oldest do.
    ///
    /// # Errors
    ///
    /// [`InvalidMemory`].
    pub fn from_bytes(bytes: &[u8], salt: u32, age: Duration, now: Instant) -> Result<Self, InvalidMemory> {
        let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(InvalidMemory::Version)?;
        if *magic != MAGIC {
            return Err(InvalidMemory::Version);
        }
        let (sum, checked) = rest.split_first_chunk::<4>().ok_or(InvalidMemory::Length)?;
        let (head, entries) = checked.split_first_chunk::<4>().ok_or(InvalidMemory::Length)?;
        let [tenths, count] = [[head[0], head[1]], [head[2], head[3]]];
        if entries.len() != usize::from(u16::from_le_bytes(count)).saturating_mul(ENTRY) {
            return Err(InvalidMemory::Length);
        }
        if u32::from_le_bytes(*sum) != check(checked) {
            return Err(InvalidMemory::Checksum);
        }
        let mut memory = Memory::new(salt, now);
        memory.bucket = Bucket::with(i16::from_le_bytes(tenths));
        // As old as an entry can be, so that all that was written is in the past.
        memory.begin = OLDEST;
        let (now, age) = (memory.tick(now), u32::try_from(micros(age) >> 10).unwrap_or(u32::MAX));
        let mut rest = entries;
        while let Some((entry, next)) = rest.split_first_chunk::<ENTRY>() {
            rest = next;
            let slot = read(entry, now, age).ok_or(InvalidMemory::Entry)?;
            if memory.slots.iter().any(|known| is_same(known, &slot)) {
                return Err(InvalidMemory::Entry);
            }
            memory.insert(slot);
        }
        Ok(memory)
    }
}

/// The age that entries stop at: 24 days.
const OLDEST: u32 = super::ticks(24 * 86_400);

fn is_same(a: &Slot, b: &Slot) -> bool {
    match (a, b) {
        (Slot::Address(a), Slot::Address(b)) => (a.ip, a.port, a.realm) == (b.ip, b.port, b.realm),
        (Slot::Host(a), Slot::Host(b)) => (a.host, a.realms) == (b.host, b.realms),
        _ => false,
    }
}

fn check(bytes: &[u8]) -> u32 {
    let mut sum = key::mix(0x636e_6d31, bytes.len() as u32);
    for chunk in bytes.chunks(4) {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        sum = key::mix(sum, u32::from_le_bytes(word));
    }
    key::end(sum)
}

/// Ten words, in the order of the fields.
fn write(slot: &Slot, now: u32) -> [u8; ENTRY] {
    // 0 stays 0: never. Else an age of one at least.
    let age = |at: u32| if at == 0 { 0 } else { now.saturating_sub(at).saturating_add(1) };
    let words: [u32; 10] = match slot {
        Slot::Address(entry) => {
            let bits = entry.ip.to_bits();
            let Estimate { mean, variation } = entry.estimate;
            let standing = match entry.standing {
                Standing::Live => 0,
                Standing::Missed => 1,
                Standing::Dethroned => 2,
                Standing::Demoted => 3,
            };
            [
                1 | standing << 4 | u32::from(entry.marks.0) << 8 | u32::from(entry.port) << 16,
                (bits >> 96) as u32,
                (bits >> 64) as u32,
                (bits >> 32) as u32,
                bits as u32,
                entry.realm,
                entry.host,
                age(entry.answered),
                age(entry.counted),
                u32::from(mean.0) | u32::from(variation.0) << 16,
            ]
        }
        Slot::Host(host) => {
            let flags = u32::from(host.whole) | u32::from(host.led) << 1;
            [
                2 | flags << 8 | u32::from(host.races) << 16,
                host.host,
                host.realms,
                age(host.raced),
                age(host.explored),
                host.cursor,
                0,
                0,
                0,
                0,
            ]
        }
    };
    let mut bytes = [0; ENTRY];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn read(bytes: &[u8; ENTRY], now: u32, elapsed: u32) -> Option<Slot> {
    let mut words = [0; 10];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(chunk.try_into().ok()?);
    }
    let at = |age: u32| match age {
        0 => 0,
        age => now.saturating_sub((age - 1).saturating_add(elapsed).min(OLDEST)),
    };
    let [first, a, b, c, d, e, f, g, h, i] = words;
    let [kind, second, upper @ ..] = first.to_le_bytes();
    match kind & 0xf {
        1 if kind < 0x40 => {
            let high = u128::from(a) << 96 | u128::from(b) << 64;
            let standing = match kind >> 4 {
                0 => Standing::Live,
                1 => Standing::Missed,
                2 => Standing::Dethroned,
                _ => Standing::Demoted,
            };
            let marks = Marks(second);
            Some(Slot::Address(Entry {
                ip: Ipv6Addr::from_bits(high | u128::from(c) << 32 | u128::from(d)),
                realm: e,
                host: f,
                answered: at(g),
                counted: at(h),
                estimate: Estimate { mean: Short(i as u16), variation: Short((i >> 16) as u16) },
                port: u16::from_le_bytes(upper),
                marks: Some(marks)
                    .filter(|marks| second & !Marks::ALL == 0 && marks.level() <= Marks::HIGHEST)?,
                standing,
            }))
        }
        2 if kind == 2 && second < 4 && upper[1] == 0 && [f, g, h, i] == [0; 4] => {
            Some(Slot::Host(HostEntry {
                host: a,
                realms: b,
                raced: at(c),
                explored: at(d),
                cursor: e,
                claimed: 0,
                races: upper[0],
                whole: second & 1 != 0,
                led: second & 2 != 0,
            }))
        }
        _ => None,
    }
}
