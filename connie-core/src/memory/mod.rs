//! What was learnt of addresses: how long they take to answer, on which network, and which do not.
//!
//! A [`Memory`] is a value. It takes no clock, draws no lots and allocates nothing. A race asks it for a
//! [`Plan`] before it starts, and it learns from the race when that has ended; in between neither knows of
//! the other. Off is the race as it is.
//!
//! ```
//! use connie_core::memory::{Finish, Memory, Network};
//! use connie_core::race::PlannedRace;
//! use connie_core::{Config, Input, Instant, Output};
//!
//! let mut memory = Memory::<32>::new(0x5eed, Instant::ZERO);
//! let addresses = ["192.0.2.1:80".parse()?, "192.0.2.2:80".parse()?];
//! let visit = memory.visit("example.org", Finish::Tcp, 0, &Network::default());
//! for (at, starts) in [(0, 2), (1_000, 1)] {
//!     let now = Instant::from_millis(at);
//!     let mut race = PlannedRace::<16, 4>::new(&Config::all_at_once(), now);
//!     race.handle_addresses(&addresses, now);
//!     race.follow(&memory.plan(&visit, &race, 0, now));
//!     // The first race starts both. The second starts the one that answered, alone.
//!     let mut started = Vec::new();
//!     while let Output::StartAttempt { id, .. } = race.poll_output(now) {
//!         started.push(id);
//!     }
//!     assert_eq!(started.len(), starts);
//!
//!     let now = Instant::from_millis(at + 30);
//!     race.handle_input(Input::AttemptSucceeded { id: started[0] }, now);
//!     while !race.poll_output(now).ends_drain() {}
//!     memory.learn(&visit, &race, false, now);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rules
//!
//! ```text
//! An address   not known ──answered──▶ live ◀──────────answered───────────┬───────────┐
//!                  │                    │ ▲                              │           │
//!                  │              late  ▼ │ answered                     │           │
//!                  │                   missed ──beaten as a lead──▶ dethroned         │
//!                  │                    │ late again                                 │
//!                  └──────failed────────┴──────────failed──────────────▶ demoted ─────┘
//! ```
//!
//! 1. **Key.** An address is known by its IP address, its port, the network (a hash of the source address;
//!    IPv6: of its /64), the finish line and the caller's partition. An entry says which host it belongs to,
//!    by 32 bits of the host's name under the memory's salt.
//! 2. **Enters** an address that was dialled and answered or failed: none for being in an answer, none for
//!    losing.
//! 3. **Learns** at the end of a race, as `lesson.rs` has it. Where no address answered, none has failed,
//!    since the network may have been down; the next race of that host is the whole race.
//! 4. **A failure** demotes: for 5 s · 2^n, at most 5 minutes, and up to half as long again by a hash. After
//!    that the address is on probation: explored, never lead, until it has answered. `n` falls by one each
//!    half-life.
//! 5. **Silence is evidence.** An attempt that ran for more than twice its measure and a quarter of the
//!    patience, when one that started no earlier was answered, has missed. The second miss in a row demotes.
//! 6. **One event counts once**: a failure or a miss of an attempt that started before the last one was
//!    counted is not counted.
//! 7. **A lead that was late** when its race ended has missed, too. In the next race the second starts beside
//!    it. If it wins it is forgiven; if one that started no earlier beats it, it is dethroned, and the next
//!    race is the whole race.
//! 8. **A stall** is when leads of two hosts were late at one moment. No address is distrusted for it, and
//!    for 3 s leads have all of Δ.
//! 9. **Explores** one address each 32 races of a host, or 15 minutes after the last time with a race since,
//!    in the order of a hash of their own. It starts with the lead; with one socket, or `Staggered`, in its
//!    place. One that wins so is explored in the next race again, and having won twice it leads, whatever it
//!    was before. So those that are as good as each other lead in turn, and a server that was away has its
//!    share again.
//! 10. **A family is doubted** when attempts on three different addresses of it failed, or were silent for a
//!     quarter of the patience, in races that the other family won. It goes second until it has answered, or
//!     for a half-life.
//! 11. **A prefix speaks for its addresses**: of one that was never seen the round trip of its /24 or /48 is
//!     known. That one died is said of no other.
//! 12. **The bucket** pays for each start beyond a race's first, but in the first race of a host, which is
//!     one that was not raced for a life; ten connections bring one. What it cannot pay for waits, ever
//!     longer.
//! 13. **Who goes when the table is full**: addresses that led a race which they won, and their hosts, stay
//!     before those that have not, which have a quarter of the table, and at least one place. Of each the
//!     oldest goes.
//! 14. **How long a host's answers take**, where its user reports that, is smoothed like a round trip, in a
//!     place of its own. No plan depends on it.
//!
//! [`Plan`]: crate::race::Plan

mod answer_time;
mod bucket;
mod bytes;
mod crowd;
mod entry;
mod estimate;
mod explain;
mod explained;
mod incumbent;
mod key;
mod learn;
mod lesson;
mod order;
mod recall;
mod recorded;
mod settings;
mod table;

use heapless::Vec;

use crate::race::{Destination, Family, Guide, Plan, PlanRequest, Race};
use crate::time::Instant;
pub use answer_time::AnswerTime;
use bucket::Bucket;
pub use bytes::InvalidMemory;
pub use crowd::{Crowd, CrowdRole, CrowdTicket};
use entry::{Entry, Marks, Standing};
use estimate::Estimate;
pub use explain::{
    AddressPart, CrowdState, ExplainedAddress, Explanation, ExplanationOutline, WholeRaceReason,
};
pub use explained::ExplanationJson;
pub use key::{Finish, Network, Visit};
use order::{AddressState, PlanContext, Trust, WaitingAddress};
pub use recall::{NoMemory, Recall, Recalled, Remember};
pub use recorded::Recorded;
use settings::Limits;
pub use settings::{MemorySettings, Remembered, Verdict};
use table::Table;

/// What was learnt, in `N` places of 40 octets: one for each address, and one for each host.
///
/// See the [module](self) for its rules.
#[derive(Clone, Debug)]
pub struct Memory<const N: usize = 32> {
    salt: u32,
    limits: Limits,
    /// Times in entries count from here, in units of 1,024 µs: a shift, where a division would cost a
    /// microcontroller a kilobyte.
    base: Instant,
    /// What its clock began with.
    begin: u32,
    bucket: Bucket,
    /// What is held against each family.
    doubts: [FamilyDoubt; 2],
    late: LateLead,
    /// When the network last stalled; 0 for never.
    stalled: u32,
    table: Table<N>,
}

/// What is held against a family on a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FamilyDoubt {
    realm: u32,
    /// When something was last added.
    at: u32,
    /// The addresses that it is about; 0 for none.
    numbers: [u32; 3],
}

/// After how long a host in use explores, however few its races. Fifteen minutes are fewer SYNs than ten, and
/// no more regret: docs/courtesy.md.
const EXPLORE: u32 = ticks(900);
/// The last lead that was late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LateLead {
    host: u32,
    at: u32,
}

const fn ticks(seconds: u64) -> u32 {
    ((seconds * 1_000_000) >> 10) as u32
}

const HALF_LIFE: u32 = ticks(MemorySettings::HALF_LIFE.as_secs());
const PAUSE: u32 = ticks(5);
const LONGEST_PAUSE: u32 = ticks(300);
const STALL: u32 = ticks(3);
/// When a plan that explores counts as given up.
const CLAIM: u32 = ticks(60);
/// How many races of a host there are to one that explores.
const RACES: u8 = 32;
/// RFC 8305 section 8: "The recommended minimum value is 100 milliseconds".
const RECOMMENDED: u32 = 100_000;

impl<const N: usize> Memory<N> {
    /// A memory that knows nothing.
    ///
    /// `salt` makes its hashes differ from those of others: a random number, and the same one for a memory
    /// that is read back from bytes.
    #[must_use]
    pub const fn new(salt: u32, now: Instant) -> Self {
        const { assert!(N >= 2, "a memory holds a host and an address of it at least") };
        let doubts = [FamilyDoubt { realm: 0, at: 0, numbers: [0; 3] }; 2];
        let late = LateLead { host: 0, at: 0 };
        Memory {
            salt,
            limits: Limits::DEFAULT,
            base: now,
            begin: 1,
            bucket: Bucket::new(),
            doubts,
            late,
            stalled: 0,
            table: Table::new(),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> MemorySettings {
        self.limits.settings()
    }

    /// Tells it. A life is kept to the millisecond.
    pub fn set_settings(&mut self, settings: &MemorySettings) {
        self.limits = Limits::of(settings);
    }

    /// What a race to `host` is about. Addresses are known by `partition` as well: a program that must not
    /// tell one of its users by another's connections gives each a number of its own.
    #[must_use]
    pub fn visit(&self, host: &str, finish: Finish, partition: u32, network: &Network) -> Visit {
        Visit::new(self.salt, host, finish, partition, network)
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.table.clear();
        self.doubts = [FamilyDoubt::default(); 2];
        self.late = LateLead::default();
        self.stalled = 0;
    }

    /// How many SYNs beyond a race's first the bucket pays for.
    #[must_use]
    pub fn paid_syns(&self) -> usize {
        self.bucket.paid_syns().into()
    }

    // Plans.

    /// The plan for a race that was given its addresses, or more of them. Have the race
    /// [follow](Race::follow) it before it is polled.
    ///
    /// `spread` is 0, or for races to one host that start at one time a number for each: then those leads
    /// that are as good as each other share them. A plan that explores counts as this exploration until its
    /// race was learnt from, or for a minute: no other race explores meanwhile.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn plan<const D: usize, const K: usize, const R: usize, G: Guide>(
        &mut self,
        visit: &Visit,
        race: &Race<D, K, R, G>,
        spread: u32,
        now: Instant,
    ) -> Plan<D> {
        self.rebase(now);
        let now = self.tick(now);
        let mut known = Vec::<_, D>::new();
        self.look_up(visit, race, &mut known, now);
        let order = self.order(visit, race.prospect(), spread, now);
        let plan = order::plan(&known, &order);
        if plan.times.explored.is_some() {
            if let Some(host) = self.table.find_mut(&visit.key()) {
                host.estimate = Estimate::of_bits(now);
            }
        }
        plan
    }

    /// What a plan is made of, beside its addresses.
    fn order(&self, visit: &Visit, prospect: PlanRequest, spread: u32, now: u32) -> PlanContext {
        let host = self.table.find(&visit.key());
        let doubted = match [Family::V6, Family::V4].map(|family| self.is_doubted(visit, family, now)) {
            [true, false] => Some(Family::V6),
            [false, true] => Some(Family::V4),
            _ => None,
        };
        let Limits { least, gap, short_delays, .. } = self.limits;
        let least = if prospect.is_grouped && !short_delays { least.max(RECOMMENDED) } else { least };
        PlanContext {
            prospect,
            first: doubted.map_or(prospect.preferred, Family::other),
            doubted,
            met: host.is_some_and(|host| now.saturating_sub(host.answered) <= self.limits.life),
            whole: host.is_some_and(|host| host.marks.has(Marks::WHOLE)),
            explores: host.is_some_and(|host| explores(host, prospect, now)),
            cursor: host.map_or(0, |host| host.host),
            stalled: self.stalled > 0 && now.saturating_sub(self.stalled) < STALL,
            spread,
            least,
            gap,
            paid_syns: self.bucket.paid_syns(),
        }
    }

    /// What is known of the addresses that a race waits to start: rules 1, 4 and 11, in one pass over the
    /// table.
    fn look_up<'r, const D: usize, const K: usize, const R: usize, G: Guide>(
        &self,
        visit: &Visit,
        race: &'r Race<D, K, R, G>,
        known: &mut Vec<WaitingAddress<'r>, D>,
        now: u32,
    ) {
        // Of a table of a thousand most are of none of their prefixes.
        let bit = |prefix: u32| 1 << (prefix & 31);
        let mut sieve = 0;
        for (place, waiting) in race.fresh() {
            let one = unknown(place, waiting, self.salt);
            sieve |= bit(one.prefix);
            // There are as many as the race has room for.
            let _ = known.push(one);
        }
        for entry in self.table.as_slice() {
            let prefix = key::prefix(entry.ip);
            if sieve & bit(prefix) == 0 {
                continue;
            }
            for one in &mut *known {
                if one.prefix == prefix && visit.realm(one.family()) == entry.realm && one.number > 0 {
                    self.take(one, entry, visit.host, now);
                }
            }
        }
        for one in known {
            // A prefix speaks for those that nothing stands against.
            if one.trust == Trust::Prefix && one.state != AddressState::Live {
                one.mean = 0;
            }
        }
    }

    /// What an entry says of an address of its prefix, which may be its own.
    fn take(&self, one: &mut WaitingAddress<'_>, entry: &Entry, host: u32, now: u32) {
        let age = now.saturating_sub(entry.answered);
        let is_usable = entry.estimate.is_known() && age <= self.limits.life;
        if entry.ip == one.waiting.ip() && entry.port == one.waiting.port() {
            one.state = self.state(entry, host, one.number, now);
            one.rising = entry.marks.has(Marks::RISING);
            if is_usable {
                one.trust = if entry.marks.has(Marks::USED) { Trust::Used } else { Trust::Answered };
            }
        } else if one.trust > Trust::Prefix {
            return;
        }
        // Rule 11: the one that answered last.
        if one.trust > Trust::Prefix || entry.answered > one.heard {
            one.heard = entry.answered;
            one.mean = if is_usable { entry.estimate.mean.micros() } else { 0 };
            one.due = entry.estimate.measure(age / HALF_LIFE);
        }
    }

    fn state(&self, entry: &Entry, host: u32, number: u32, now: u32) -> AddressState {
        let age = now.saturating_sub(entry.counted);
        match entry.standing {
            _ if entry.marks.has(Marks::VERDICT) && entry.host != host => AddressState::Live,
            _ if age > self.limits.life => AddressState::Live,
            Standing::LIVE => AddressState::Live,
            Standing::MISSED => AddressState::Missed,
            Standing::DEMOTED if age < pause(entry.marks.level(), number) => AddressState::Demoted,
            _ => AddressState::Probation,
        }
    }

    /// Rule 10.
    fn is_doubted(&self, visit: &Visit, family: Family, now: u32) -> bool {
        let [v6, v4] = &self.doubts;
        let doubt = if family == Family::V6 { v6 } else { v4 };
        let [.., last] = doubt.numbers;
        last != 0 && doubt.realm == visit.realm(family) && now.saturating_sub(doubt.at) <= HALF_LIFE
    }

    // Time.

    /// 1,024 µs at a time. Never 0, which stands for no time.
    fn tick(&self, at: Instant) -> u32 {
        u32::try_from(at.micros_since(self.base) >> 10).unwrap_or(u32::MAX).saturating_add(self.begin)
    }

    /// Moves the base when half of the range is used: what is older than 25 days is as old as that from then
    /// on.
    fn rebase(&mut self, now: Instant) {
        const HALF: u32 = 1 << 31;
        if self.tick(now) < HALF {
            return;
        }
        // As far as it takes, which can be more than 32 bits: a device slept for a year, or its clock did not
        // begin where the memory did.
        let since = (now.micros_since(self.base) >> 10).saturating_add(self.begin.into());
        let shift = since.saturating_sub(ticks(25 * 86_400).into());
        self.base = self.base.plus_micros(shift << 10);
        let shift = u32::try_from(shift).unwrap_or(u32::MAX);
        self.table.shift(shift);
        // They last for minutes.
        self.doubts = [FamilyDoubt::default(); 2];
        self.late = LateLead::default();
        self.stalled = 0;
    }
}

/// An address of which nothing is known.
fn unknown(place: u8, waiting: &Destination, salt: u32) -> WaitingAddress<'_> {
    WaitingAddress {
        waiting,
        place,
        number: key::number(salt, waiting.ip(), waiting.port()),
        prefix: key::prefix(waiting.ip()),
        heard: 0,
        mean: 0,
        due: 0,
        trust: Trust::Prefix,
        rising: false,
        state: AddressState::Live,
    }
}

/// How long an address is demoted: up to half as long again by its number, so that not all come back at one
/// time.
fn pause(level: u8, number: u32) -> u32 {
    let pause = (PAUSE << level.min(Marks::HIGHEST)).min(LONGEST_PAUSE);
    pause.saturating_add((pause >> 9).saturating_mul(number & 0xff))
}

/// Rule 9: whether it is time. A race that plans anew before it starts, since more addresses are known, has
/// not given its exploration up.
fn explores(host: &Entry, race: PlanRequest, now: u32) -> bool {
    let (races, claimed) = (host.standing.0, host.estimate.bits());
    let since = now.saturating_sub(host.counted);
    let is_due = races >= RACES || (since >= EXPLORE && host.answered > host.counted);
    let is_claimed = !race.explores && claimed > 0 && now.saturating_sub(claimed) < CLAIM;
    is_due && !is_claimed
}
