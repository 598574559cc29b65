//! What races have learnt, for later races: with it one SYN is enough on nearly every visit after the first.
//!
//! ```
//! use connie_std::{Memory, Options, connect};
//! use std::net::TcpListener;
//!
//! # let server = TcpListener::bind("127.0.0.1:0")?;
//! # let addresses = [server.local_addr()?, "127.0.0.1:1".parse().unwrap()];
//! let options = Options::new().memory(Memory::new());
//! let first = connect(&addresses, &options)?;
//! assert_eq!(first.timeline().summary().attempts, 2);
//! // It knows now which one answers, and starts the other in one visit of 32.
//! let attempts = || connect(&addresses, &options).map(|stream| stream.timeline().summary().attempts);
//! let later: u32 = (0..5).map(|_| attempts()).sum::<Result<_, _>>()?;
//! assert!(later < 10);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The rules are those of [`connie_core::memory`]. What a memory believes costs a race at most one patience,
//! whatever that is worth.

mod clock;
mod coalesced;
mod file;
mod recall;
mod salt;
mod shared;
mod visited;
mod why;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use connie_core::Instant;
pub use connie_core::memory::{
    AddressPart, CrowdState, ExplainedAddress, Explanation, InvalidMemory, MemorySettings, Remembered,
    Verdict, WholeRaceReason,
};

use clock::MemoryClock;
pub(crate) use coalesced::{Coalesced, StartDecision};
pub use file::MemoryFileError;
pub(crate) use recall::Recall;
use salt::salt;
use shared::SharedMemory;
pub(crate) use visited::Visited;
pub(crate) use why::Why;

/// How many addresses and hosts it has room for. Each takes 40 octets.
const PLACES: usize = 1_024;

type Core = connie_core::memory::Memory<PLACES>;

/// A memory that many races share, in any number of threads and tasks: see the [module](self).
///
/// A clone is a reference to the same memory. Give it to each connect by
/// [`Options::memory`](crate::Options::memory). It holds up to 1,024 hosts and addresses, 40 KiB; where it is
/// full those go first that were never of use, and then the oldest.
///
/// After a fork the child has a copy, and learns on by itself. Where another thread of the parent was at the
/// memory in that very moment the child has none: its races are whole ones.
///
/// An address is known by its port, by whether the race went to TCP or to TLS, and by the network: the source
/// address that this machine sends from, of IPv6 the first 64 bits. So what was learnt at home is not used
/// elsewhere, and is there still when one comes home.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<SharedMemory>,
    partition: u32,
    /// Whose the addresses are that a race is given.
    host: Option<Arc<str>>,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        let clock = MemoryClock::start();
        Self::of(Core::new(salt(), clock.now()), clock)
    }

    fn of(core: Core, clock: MemoryClock) -> Self {
        Memory { shared: Arc::new(SharedMemory::new(core, clock)), partition: 0, host: None }
    }

    /// The same memory for the part of a program that `number` stands for. What races of one partition learn
    /// no other uses: a program must not tell one of its users by the connections of another. What pays for
    /// SYNs is common to all.
    #[must_use]
    pub fn partition(&self, number: u32) -> Self {
        Memory { partition: number, ..self.clone() }
    }

    /// The same memory for a caller that looks names up by itself, and gives races the addresses of `host`.
    /// They are that host's then, as those of a race to its name are. Otherwise a list is known by the least
    /// of its addresses, and is another one for each answer that differs. Races to anything but addresses are
    /// what they were.
    ///
    /// ```
    /// use connie_std::{Memory, Options, connect};
    ///
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let answer = [server.local_addr()?];
    /// let memory = Memory::new();
    /// // `answer` is what a resolver of the caller's said of this name.
    /// let options = Options::new().memory(memory.for_host("name.example"));
    /// connect(&answer, &options)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn for_host(&self, host: &str) -> Self {
        Memory { host: Some(host.into()), ..self.clone() }
    }

    /// Forgets everything, in every partition.
    pub fn forget(&self) {
        if let Some(mut state) = self.shared.state() {
            state.core.forget();
        }
    }

    /// To be told by a program that hears of it that the machine is on another network. It forgets all: most
    /// networks are told apart without this, but not two on which the machine has the same address, nor one
    /// before and after the login to it.
    pub fn network_changed(&self) {
        self.forget();
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> MemorySettings {
        self.shared.state().map(|state| state.core.settings().clone()).unwrap_or_default()
    }

    /// Changes the settings, for races that start from now on.
    pub fn set_settings(&self, settings: MemorySettings) {
        if let Some(mut state) = self.shared.state() {
            state.core.set_settings(&settings);
        }
    }

    /// What is known of each address, on any network and in any partition.
    #[must_use]
    pub fn entries(&self) -> Vec<Remembered> {
        let now = self.shared.clock.now();
        self.shared.state().map(|state| state.core.entries(now).collect()).unwrap_or_default()
    }

    /// How many SYNs beyond a race's first it pays for. Each connection brings a tenth of one.
    #[must_use]
    pub fn paid_syns(&self) -> usize {
        self.shared.state().map_or(0, |state| state.core.paid_syns())
    }

    /// All of it, for [`from_bytes`](Memory::from_bytes) in another run of the program on this machine. There
    /// are no names in it: addresses are in plain, hosts and networks as hashes under a number that is not in
    /// it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let now = self.shared.clock.now();
        self.bytes().unwrap_or_else(|| to_bytes(&Core::new(salt(), now), now))
    }

    /// The same; `None` in a process to which it is lost.
    fn bytes(&self) -> Option<Vec<u8>> {
        let now = self.shared.clock.now();
        self.shared.state().map(|state| to_bytes(&state.core, now))
    }

    /// Reads what [`to_bytes`](Memory::to_bytes) wrote `age` ago, on this machine: of what another has
    /// written it finds nothing again.
    ///
    /// # Errors
    ///
    /// [`InvalidMemory`] where it was not written so.
    pub fn from_bytes(bytes: &[u8], age: Duration) -> Result<Self, InvalidMemory> {
        let clock = MemoryClock::start();
        Ok(Self::of(Core::from_bytes(bytes, salt(), age, clock.now())?, clock))
    }
}

fn to_bytes(core: &Core, now: Instant) -> Vec<u8> {
    let mut bytes = vec![0; core.byte_len()];
    let len = core.to_bytes(&mut bytes, now).unwrap_or_default();
    bytes.truncate(len);
    bytes
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Memory");
        out.field("partition", &self.partition).field("host", &self.host).finish_non_exhaustive()
    }
}
