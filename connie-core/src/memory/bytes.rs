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
//! All numbers are little-endian. Times are ages, since no clock need go on from one run to the next; the
//! program that reads the bytes says how long ago they were written. There are no names in them: hosts and
//! networks are hashes under the memory's salt, which is not in them.

use core::fmt;
use core::time::Duration;

use super::Memory;
use super::bucket::Bucket;
use super::entry::{Entry, Marks, Standing};
use super::estimate::Estimate;
use super::key::{self, Key};
use crate::race::Ip;
use crate::time::{Instant, micros};

const MAGIC: [u8; 4] = *b"cnm1";
const HEAD: usize = 12;
/// An entry as bytes.
const ENTRY: usize = 40;

/// Why bytes are not a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
            InvalidMemory::Version => "not a memory that this version wrote",
            InvalidMemory::Length => "the memory is cut off",
            InvalidMemory::Checksum => "the memory was changed since it was written",
            InvalidMemory::Entry => "the memory holds what none was written with",
        })
    }
}

impl core::error::Error for InvalidMemory {}

impl<const N: usize> Memory<N> {
    /// How many bytes [`to_bytes`](Memory::to_bytes) writes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        // A table is in RAM: its size is far from the end of the range.
        self.table.as_slice().len().saturating_mul(ENTRY).saturating_add(HEAD)
    }

    /// Writes it into `bytes`, and answers how much of them it took; `None` where there are fewer than
    /// [`byte_len`](Memory::byte_len).
    #[must_use]
    pub fn to_bytes(&self, bytes: &mut [u8], now: Instant) -> Option<usize> {
        let len = self.byte_len();
        let now = self.tick(now);
        let (head, mut rest) = bytes.get_mut(..len)?.split_first_chunk_mut::<HEAD>()?;
        for entry in self.table.as_slice() {
            let (bytes, next) = rest.split_first_chunk_mut::<ENTRY>()?;
            *bytes = write(entry, now);
            rest = next;
        }
        let count = u16::try_from(self.table.as_slice().len()).ok()?.to_le_bytes();
        let tenths = self.bucket.tenths().to_le_bytes();
        *head = [MAGIC, [0; 4], [tenths[0], tenths[1], count[0], count[1]]].as_flattened().try_into().ok()?;
        let sum = check(bytes.get(8..len)?).to_le_bytes();
        bytes.get_mut(4..8)?.copy_from_slice(&sum);
        Some(len)
    }

    /// Reads what [`to_bytes`](Memory::to_bytes) wrote `age` ago. With another `salt` than it had then
    /// nothing in it is found again. What there is no room for is dropped, the oldest first.
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
        // Older than an entry can be, so that all that was written is in the past, and none of it at 0, which
        // is never.
        memory.begin = OLDEST + 1;
        let (now, age) = (memory.tick(now), u32::try_from(micros(age) >> 10).unwrap_or(u32::MAX));
        let mut rest = entries;
        while let Some((entry, next)) = rest.split_first_chunk::<ENTRY>() {
            rest = next;
            let entry = read(entry, now, age).ok_or(InvalidMemory::Entry)?;
            let Entry { ip, realm, port, .. } = entry;
            if memory.table.find(&Key { ip, realm, port }).is_some() {
                return Err(InvalidMemory::Entry);
            }
            memory.table.insert(entry);
        }
        Ok(memory)
    }
}

/// The age that entries stop at: 24 days.
const OLDEST: u32 = super::ticks(24 * 86_400);

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

/// Ten words, in the order of the fields. Of a host the number in the place of the estimate is how long ago a
/// race began that explores: that one is over.
fn write(entry: &Entry, now: u32) -> [u8; ENTRY] {
    // 0 stays 0: never. Else an age of one at least.
    let age = |at: u32| if at == 0 { 0 } else { now.saturating_sub(at).saturating_add(1) };
    let Ip { high, low } = entry.ip;
    let small = [entry.standing.0, entry.marks.0];
    let words: [u32; 10] = [
        u32::from(entry.port) << 16 | u32::from(u16::from_le_bytes(small)),
        (high >> 32) as u32,
        high as u32,
        (low >> 32) as u32,
        low as u32,
        entry.realm,
        entry.host,
        age(entry.answered),
        age(entry.counted),
        if entry.is_host() { 0 } else { entry.estimate.bits() },
    ];
    let mut bytes = [0; ENTRY];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn read(bytes: &[u8; ENTRY], now: u32, elapsed: u32) -> Option<Entry> {
    let mut words = [0; 10];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(chunk.try_into().ok()?);
    }
    let at = |age: u32| match age {
        0 => 0,
        age => now.saturating_sub((age - 1).saturating_add(elapsed).min(OLDEST)),
    };
    let [first, a, b, c, d, realm, host, answered, counted, estimate] = words;
    let [standing, marks, port @ ..] = first.to_le_bytes();
    let entry = Entry {
        ip: Ip { high: u64::from(a) << 32 | u64::from(b), low: u64::from(c) << 32 | u64::from(d) },
        realm,
        host,
        answered: at(answered),
        counted: at(counted),
        estimate: Estimate::of_bits(estimate),
        port: u16::from_le_bytes(port),
        marks: Marks(marks),
        standing: Standing(standing),
    };
    let can_be = if entry.is_host() {
        // Nobody met it, and nothing was learnt of it then.
        c == 0 && estimate == 0 && entry.port == 0 && marks & !(Marks::LED | Marks::WHOLE) == 0 && host > 0
    } else if entry.is_answer_time() {
        c == 0 && first == 0 && host == 0 && counted == 0 && entry.estimate.is_known()
    } else {
        key::is_remembered(entry.ip)
            && standing <= Standing::DEMOTED.0
            && entry.marks.level() <= Marks::HIGHEST
    };
    can_be.then_some(entry)
}
