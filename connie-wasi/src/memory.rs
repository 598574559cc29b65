//! What the races of a component have learnt, for those to come.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::Instant;
use connie_core::memory::{Finish, Network, Remembered, Verdict, Visit};
use wasip2::random::random::get_random_u64;

use crate::poll::WasiClock;
use crate::report::WasiConnectDriver;
use crate::route::source;
use crate::socket::WasiStack;

/// How many addresses and hosts it has room for. Each takes 40 octets.
const PLACES: usize = 256;

/// A memory that the connects of a component share: which addresses answer, how fast, and which are dead.
/// From the second visit to a host on one SYN is enough, mostly.
///
/// A clone is a reference to the same memory. It goes into [`Options::memory`](crate::Options::memory). Its
/// rules are those of [`connie_core::memory`].
///
/// ```no_run
/// use connie_wasi::{Memory, Options, connect};
///
/// let options = Options::new().memory(Memory::new());
/// for _ in 0..3 {
///     let stream = connect(("example.org", 80), &options)?;
///     println!("{} after {} attempts", stream.destination(), stream.timeline().summary().attempts);
/// }
/// # Ok::<(), connie_wasi::ConnectError>(())
/// ```
#[derive(Clone)]
pub struct Memory(Rc<SharedMemory>);

struct SharedMemory {
    clock: WasiClock,
    core: RefCell<connie_core::memory::Memory<PLACES>>,
}

impl Memory {
    /// A memory that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        let clock = WasiClock::start();
        let salt = get_random_u64() as u32;
        let core = RefCell::new(connie_core::memory::Memory::new(salt, clock.now()));
        Memory(Rc::new(SharedMemory { clock, core }))
    }

    /// Forgets all: for a component that learns that its host is on another network. A host that has another
    /// source address there is distinguished without this.
    pub fn forget(&self) {
        // Borrowed for the length of a call alone.
        self.0.core.borrow_mut().forget();
    }

    /// What is known of each address.
    #[must_use]
    pub fn entries(&self) -> Vec<Remembered> {
        self.0.core.borrow().entries(self.0.clock.now()).collect()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// What one race has of a memory.
#[derive(Clone, Debug)]
pub(crate) struct MemoryVisit {
    memory: Memory,
    visit: Visit,
    /// How many addresses the last plan was for.
    planned: usize,
}

impl MemoryVisit {
    pub(crate) fn new(memory: &Memory, stack: &mut WasiStack, host: &str) -> Self {
        let visit = memory.0.core.borrow().visit(host, Finish::Tcp, 0, &network(stack));
        MemoryVisit { memory: memory.clone(), visit, planned: 0 }
    }

    /// Where addresses have joined: has the race do what is best with them.
    pub(crate) fn plan(&mut self, driver: &mut WasiConnectDriver) {
        let race = driver.connect().race();
        let known = race.destinations().len();
        if known != self.planned {
            self.planned = known;
            let now = self.memory.0.clock.now();
            let plan = self.memory.0.core.borrow_mut().plan(&self.visit, race, 0, now);
            driver.follow(&plan);
        }
    }

    /// Learns from the race, which has ended.
    pub(crate) fn learn(&self, driver: &WasiConnectDriver) {
        let (race, now) = (driver.connect().race(), self.memory.0.clock.now());
        // The race has another clock.
        let ran = race.elapsed().as_micros() as u64;
        let start = Instant::from_micros(now.as_micros().saturating_sub(ran));
        self.memory.0.core.borrow_mut().learn_by(&self.visit, race, false, start, now);
    }

    pub(crate) fn report(&self, address: SocketAddr, verdict: Verdict) {
        let now = self.memory.0.clock.now();
        self.memory.0.core.borrow_mut().report(&self.visit, address, verdict, now);
    }
}

/// The network that the host is on: by what it sends from to addresses that stand for the internet.
fn network(stack: &mut WasiStack) -> Network {
    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let mut own =
        |remote: IpAddr| source(stack.network(), SocketAddr::new(remote, 9)).ok().map(|own| own.ip());
    let (v4, v6) = (own(V4.into()), own(V6.into()));
    Network::new(
        if let Some(IpAddr::V4(own)) = v4 { Some(own) } else { None },
        if let Some(IpAddr::V6(own)) = v6 { Some(own) } else { None },
    )
}
