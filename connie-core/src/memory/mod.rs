//! What was learnt of addresses: how long they take to answer, on which network, and which do not.
//!
//! A [`Memory`] is a value. It takes no clock, draws no lots and allocates nothing. A race asks it for a [`Plan`] before it starts, and it learns
//! from the race when that has ended; in between neither knows of the other. Off is the race as it is.
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
//! 1. **Key.** An address is known by itself, its port, the network (a hash of the source address; IPv6: of its /64), the finish line and the
//!    caller's partition. An entry says whose it is, by 32 bits of the host's name under the memory's salt.
//! 2. **Enters** an address that was dialled and answered or failed: none for being in an answer, none for losing.
//! 3. **Learns** at the end of a race, as `lesson.rs` has it. Where nobody answered nobody has failed, since the network may have been down; the
//!    next race of that host is the whole race.
//! 4. **A failure** demotes: for 5 s · 2^n, at most 5 minutes, and up to half as long again by a hash. After that the address is on probation:
//!    explored, never lead, until it has answered. `n` falls by one each half-life.
//! 5. **Silence is evidence.** An attempt that ran for more than twice its measure and a quarter of the patience, when one that started no earlier
//!    was answered, has missed. The second miss in a row demotes.
//! 6. **One event counts once**: a failure or a miss of an attempt that started before the last one was counted is not counted.
//! 7. **A lead that was late** when its race ended has missed, too. In the next race the second starts beside it. If it wins it is forgiven; if one
//!    that started no earlier beats it, it is dethroned, and the next race is the whole race.
//! 8. **A stall** is when leads of two hosts were late at one moment. Nobody is distrusted for it, and for 3 s leads have all of Δ.
//! 9. **Explores** one address each 32 races of a host, or 10 minutes after the last time with a race since, in the order of a hash of their own. It
//!    starts 10 ms behind the lead; with one socket, or `Staggered`, in its place. One that wins so is explored in the next race again, and having won twice it
//!    leads, whatever it was before.
//! 10. **A family is doubted** when attempts on three different addresses of it failed, or were silent for a quarter of the patience, in races that
//!     the other family won. It goes second until it has answered, or for a half-life.
//! 11. **A prefix speaks for its addresses**: of one that was never seen the round trip of its /24 or /48 is known. That one died is said of no other.
//! 12. **The bucket** pays for each start beyond a race's first, but in the first race of a host; ten connections bring one. What it cannot pay for
//!     waits, ever longer.
//! 13. **Who goes when the table is full**: addresses that led a race which they won, and their hosts, stay before those that have not, which have
//!     a quarter of the table, and at least one place. Of each the oldest goes.
//!
//! [`Plan`]: crate::race::Plan

mod bucket;
mod bytes;
mod crowd;
mod entry;
mod estimate;
mod key;
mod lesson;
mod order;
mod words;

use core::net::{Ipv6Addr, SocketAddr};

use heapless::Vec;

use crate::race::{Chosen, Destination, Family, Guide, Outcome, Plan, PlannedRace, Race};
use crate::time::{Instant, micros};
use crate::timeline::Ran;
use bucket::Bucket;
pub use bytes::InvalidMemory;
pub use crowd::{Crowd, Role, Ticket};
use entry::{Entry, HostEntry, Marks, Slot, Standing};
use estimate::{Estimate, LONGEST};
pub use key::{Finish, Network, Visit};
use lesson::Lesson;
use order::{Known, Order, State, Trust};
pub use words::{Remembered, Settings, Verdict};

/// What was learnt, in `N` places of 40 octets: one for each address, and one for each host.
///
/// See the [module](self) for its rules.
#[derive(Clone, Debug)]
pub struct Memory<const N: usize = 32> {
    salt: u32,
    settings: Settings,
    /// Times in entries count from here, in units of 1,024 µs: a shift, where a division would cost a microcontroller a kilobyte.
    base: Instant,
    /// What its clock began with.
    begin: u32,
    bucket: Bucket,
    /// What is held against each family.
    doubts: [Doubt; 2],
    late: Late,
    /// When the network last stalled; 0 for never.
    stalled: u32,
    slots: Vec<Slot, N>,
}

/// What is held against a family on a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Doubt {
    realm: u32,
    /// When something was last added.
    at: u32,
    /// The addresses that it is about.
    keys: [u32; 3],
}

/// The last lead that was late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Late {
    host: u32,
    at: u32,
}

const fn ticks(seconds: u64) -> u32 {
    ((seconds * 1_000_000) >> 10) as u32
}

const HALF_LIFE: u32 = ticks(Settings::HALF_LIFE.as_secs());
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
    /// `salt` makes its hashes differ from those of others: a random number, and the same one for a memory that is read back from bytes.
    #[must_use]
    pub const fn new(salt: u32, now: Instant) -> Self {
        const { assert!(N >= 2, "a memory holds a host and an address of it at least") };
        let doubts = [Doubt { realm: 0, at: 0, keys: [0; 3] }; 2];
        let late = Late { host: 0, at: 0 };
        Memory {
            salt,
            settings: Settings::DEFAULT,
            base: now,
            begin: 1,
            bucket: Bucket::new(),
            doubts,
            late,
            stalled: 0,
            slots: Vec::new(),
        }
    }

    /// What it is told by its user.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same, to change.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// What a race to `host` is about. Addresses are known by `partition` as well: a program that must not tell one of its users by another's
    /// connections gives each a number of its own.
    #[must_use]
    pub fn visit(&self, host: &str, finish: Finish, partition: u32, network: &Network) -> Visit {
        Visit::new(self.salt, host, finish, partition, network)
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.slots.clear();
        self.doubts = [Doubt::default(); 2];
        self.late = Late::default();
        self.stalled = 0;
    }

    /// How many SYNs beyond a race's first the bucket pays for.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.bucket.in_hand().into()
    }

    // Plans.

    /// The plan for a race that has been told its addresses, or more of them. Have the race [follow](Race::follow) it before it is polled.
    ///
    /// `spread` is 0, or for races to one host that start at one time a number for each: then those leads that are as good as each other
    /// share them. Each call that answers a plan which explores counts as this exploration, until its race was learnt from.
    pub fn plan<const D: usize, const K: usize, const R: usize, G: Guide>(
        &mut self,
        visit: &Visit,
        race: &Race<D, K, R, G>,
        spread: u32,
        now: Instant,
    ) -> Plan<D> {
        self.rebase(now);
        let now = self.tick(now);
        let prospect = race.prospect();
        let mut known = Vec::<Known, D>::new();
        for (place, waiting) in race.fresh() {
            // There are as many as the race has room for.
            let _ = known.push(self.known(visit, place, waiting, now));
        }
        let host = self.host_mut(visit).copied();
        let doubted =
            [Family::V6, Family::V4].into_iter().find(|family| self.is_doubted(visit, *family, now));
        let doubted = doubted.filter(|family| !self.is_doubted(visit, family.other(), now));
        let least = micros(self.settings.least_delay).clamp(10_000, 2_000_000) as u32;
        let order = Order {
            prospect,
            first: doubted.map_or(prospect.preferred, Family::other),
            doubted,
            met: host.is_some(),
            whole: host.is_some_and(|host| host.whole),
            explores: host.is_some_and(|host| explores(&host, now)),
            cursor: host.map_or(0, |host| host.cursor),
            stalled: self.stalled > 0 && now.saturating_sub(self.stalled) < STALL,
            spread,
            least: if prospect.is_grouped && !self.settings.short_delays {
                least.max(RECOMMENDED)
            } else {
                least
            },
            gap: micros(self.settings.gap).min(2_000_000) as u32,
            in_hand: self.bucket.in_hand(),
        };
        let plan = order::plan(&known, &order);
        if plan.times.explored.is_some() {
            if let Some(host) = self.host_mut(visit) {
                host.claimed = now;
            }
        }
        plan
    }

    /// What is known of one address: rules 1, 4 and 11.
    fn known(&self, visit: &Visit, place: u8, waiting: &Destination, now: u32) -> Known {
        let mut known = Known {
            place,
            family: waiting.family(),
            rank: waiting.rank(),
            key: 0,
            prefix: u32::from(place),
            mean: 0,
            due: 0,
            trust: Trust::Prefix,
            rising: false,
            state: State::Live,
        };
        let Some(target) = self.target(waiting, visit) else { return known };
        known.key = target.key;
        known.prefix = key::prefix(target.ip);
        if let Some(entry) = self.entry(&target) {
            known.state = self.state(entry, visit.host, target.key, now);
            known.rising = entry.marks.has(Marks::RISING);
            self.estimate(entry, now, &mut known);
            if known.mean > 0 {
                known.trust = if entry.marks.has(Marks::USED) { Trust::Used } else { Trust::Answered };
            }
        }
        if known.mean == 0 && known.state == State::Live {
            // Rule 11: the one that was heard of last.
            let mut near: Option<&Entry> = None;
            for slot in &self.slots {
                let Slot::Address(entry) = slot else { continue };
                let is_near = entry.realm == target.realm && key::are_near(entry.ip, target.ip);
                if is_near && near.is_none_or(|near| near.answered < entry.answered) {
                    near = Some(entry);
                }
            }
            if let Some(entry) = near {
                self.estimate(entry, now, &mut known);
            }
        }
        known
    }

    fn estimate(&self, entry: &Entry, now: u32, known: &mut Known) {
        let age = now.saturating_sub(entry.answered);
        if entry.estimate.is_known() && age <= self.life() {
            known.mean = entry.estimate.mean.micros();
            known.due = entry.estimate.measure(age / HALF_LIFE);
        }
    }

    fn state(&self, entry: &Entry, host: u32, key: u32, now: u32) -> State {
        let age = now.saturating_sub(entry.counted);
        match entry.standing {
            _ if entry.marks.has(Marks::VERDICT) && entry.host != host => State::Live,
            _ if age > self.life() => State::Live,
            Standing::Live => State::Live,
            Standing::Missed => State::Missed,
            Standing::Demoted if age < pause(entry.marks.level(), key) => State::Demoted,
            Standing::Demoted | Standing::Dethroned => State::Probation,
        }
    }

    // Lessons.

    /// Learns from a race that has ended. `is_sent_again` is whether the winner's SYN was sent more than once, where the system tells
    /// (`TCP_INFO`): by Karn's rule its time is no sample then.
    pub fn learn<const D: usize, const K: usize, const R: usize>(
        &mut self,
        visit: &Visit,
        race: &PlannedRace<D, K, R>,
        is_sent_again: bool,
        now: Instant,
    ) {
        let start = race.start();
        self.learn_by(visit, race, is_sent_again, start, now);
    }

    /// As [`learn`](Memory::learn), of a race that had another clock. By the memory's it began at `start`.
    pub fn learn_by<const D: usize, const K: usize, const R: usize>(
        &mut self,
        visit: &Visit,
        race: &PlannedRace<D, K, R>,
        is_sent_again: bool,
        start: Instant,
        now: Instant,
    ) {
        let Some(ended) = race.ended() else { return };
        self.rebase(now);
        let plan = race.plan().times;
        let start = self.tick(start);
        let winner = race.attempts().find(|ran| ran.outcome == Outcome::Established);
        let won_by = winner.and_then(|ran| race.destination(ran.place)).map(Destination::family);
        let at = start.saturating_add(ended >> 10);
        let over = Ended { visit: *visit, start, at, ended, winner, won_by, patience: plan.patience };
        if plan.met {
            self.bucket.pay(race.started().saturating_sub(1));
        }
        let mut taught = winner.is_some();
        if taught {
            self.bucket.earn();
        }
        let target = |memory: &Self, ran: &Ran| {
            race.destination(ran.place).and_then(|destination| memory.target(destination, visit))
        };
        let first = |memory: &Self, chosen: Option<Chosen>| {
            let ran = race.attempts().find(|ran| chosen.is_some_and(|chosen| chosen.place == ran.place))?;
            // Another address may have come to have its place.
            let target =
                target(memory, &ran).filter(|it| chosen.is_some_and(|chosen| chosen.key.get() == it.key))?;
            Some((target, ran))
        };
        let (lead, explored) = (first(self, plan.lead), first(self, plan.explored));
        let stalls = lead.is_some_and(|(_, ran)| self.stalls(&over, &ran, plan.due));
        let mut answered = None;
        for ran in race.attempts() {
            let Some(target) = target(self, &ran) else { continue };
            if over.is_of_winner(&ran) {
                answered = Some(target);
            } else {
                taught |= self.learn_of(&over, &target, &ran, stalls);
            }
        }
        if let (Some(target), Some(ran)) = (answered, winner) {
            self.answered(&over, &target, &ran, is_sent_again, plan.lead.is_none());
        }
        let lead_won = lead.is_some_and(|(_, ran)| over.is_of_winner(&ran));
        if let Some((target, ran)) = lead {
            match lead_won {
                true => self.led(&target, plan.met),
                false if stalls => {}
                false => taught |= self.learn_of_lead(&over, &target, &ran, plan.due, plan.together),
            }
        }
        if taught {
            let explored = explored.map(|(target, _)| target.key);
            self.learn_of_host(&over, plan.lead.is_none(), lead_won && plan.met, explored);
        } else if let Some(host) = self.host_mut(visit).filter(|_| plan.explored.is_some()) {
            // It was given up before it could find out anything.
            host.claimed = 0;
        }
        if let Some((target, ran)) = explored {
            self.learn_of_explored(&over, &target, &ran, lead);
        }
    }

    /// Rules 3 to 6 and 10, for an attempt on an address that has not answered. Whether it has failed in a race that nobody won. Where the
    /// network `stalls`, silence is no evidence.
    fn learn_of(&mut self, race: &Ended, target: &Target, ran: &Ran, stalls: bool) -> bool {
        let lesson = race.lesson(ran);
        let has_failed = matches!(lesson, Lesson::Failure | Lesson::FailureOfHost);
        let Some(winner) = race.winner else { return has_failed };
        let time = ran.ended.saturating_sub(ran.started);
        let is_silent =
            !stalls && lesson == Lesson::Silence && time > race.patience / 4 && winner.started >= ran.started;
        if has_failed {
            self.failed(race, target, ran, lesson == Lesson::FailureOfHost);
        } else if is_silent {
            self.was_silent(race, target, ran, time);
        }
        if race.won_by == Some(target.family.other()) && (lesson == Lesson::Failure || is_silent) {
            self.doubt(race, target);
        }
        false
    }

    /// Rule 5.
    fn was_silent(&mut self, race: &Ended, target: &Target, ran: &Ran, time: u32) {
        let (started, at) = (race.moment(ran.started), race.at);
        let Some(entry) = self.entry_mut(target) else { return };
        let measure = entry.estimate.measure(0);
        if !entry.estimate.is_known() || time / 2 < measure || started <= entry.counted {
            return;
        }
        match entry.standing {
            Standing::Live => (entry.standing, entry.counted) = (Standing::Missed, at),
            Standing::Missed | Standing::Dethroned | Standing::Demoted => demote(entry, at),
        }
    }

    /// Rules 4 and 6.
    fn failed(&mut self, race: &Ended, target: &Target, ran: &Ran, for_host: bool) {
        let (started, at) = (race.moment(ran.started), race.moment(ran.ended));
        let host = race.visit.host;
        let Some(entry) = self.entry_or_new(target, host) else { return };
        if started <= entry.counted || started < entry.answered {
            return;
        }
        demote(entry, at);
        entry.marks.set(Marks::VERDICT, for_host);
        entry.host = host;
    }

    /// The winner: rules 2 and 4. `of_all` is whether it won a whole race.
    fn answered(&mut self, race: &Ended, target: &Target, ran: &Ran, is_sent_again: bool, of_all: bool) {
        let sample = ran.ended.saturating_sub(ran.started);
        let (host, at) = (race.visit.host, race.at);
        *self.doubt_of(target.family) = Doubt::default();
        let Some(entry) = self.entry_or_new(target, host) else { return };
        if sample <= LONGEST && !(is_sent_again && entry.estimate.is_known()) {
            entry.estimate.update(sample);
        }
        entry.answered = at;
        // A verdict from above stands: that TCP answers was never in doubt.
        if !(entry.marks.has(Marks::VERDICT) && entry.standing == Standing::Demoted) {
            entry.standing = Standing::Live;
            entry.host = host;
            if of_all {
                entry.marks.set(Marks::USED, true);
            }
        }
    }

    /// The lead has won. In the first race of a host one may lead for its prefix, which is no reason to keep it.
    fn led(&mut self, target: &Target, met: bool) {
        let Some(entry) = self.entry_mut(target) else { return };
        entry.marks.set(Marks::USED, true);
        if met {
            entry.marks.set(Marks::LED, true);
        }
    }

    /// Rules 7 and 8, for a lead that has not won. Answers whether that is held against it.
    fn learn_of_lead(&mut self, race: &Ended, target: &Target, ran: &Ran, due: u32, together: bool) -> bool {
        if race.lesson(ran) != Lesson::Silence {
            return false;
        }
        let is_beaten = race.winner.is_some_and(|winner| winner.started >= ran.started);
        if together && is_beaten {
            self.dethrone(race, target);
            return true;
        }
        if ran.ended.saturating_sub(ran.started) < due {
            return false;
        }
        let started = race.moment(ran.started);
        if let Some(entry) = self.entry_mut(target) {
            if entry.standing == Standing::Live && started > entry.counted {
                (entry.standing, entry.counted) = (Standing::Missed, race.at);
            }
        }
        true
    }

    fn dethrone(&mut self, race: &Ended, target: &Target) {
        if let Some(entry) = self.entry_mut(target) {
            if entry.standing == Standing::Missed {
                (entry.standing, entry.counted) = (Standing::Dethroned, race.at);
                entry.marks.set(Marks::USED, false);
            }
        }
        if let Some(host) = self.host_mut(&race.visit) {
            host.whole = true;
        }
    }

    /// Rule 8: whether the lead was late while another host's was.
    fn stalls(&mut self, race: &Ended, ran: &Ran, due: u32) -> bool {
        let is_late = race.lesson(ran) == Lesson::Silence && ran.ended.saturating_sub(ran.started) >= due;
        if !is_late {
            return false;
        }
        let other = self.late;
        self.late = Late { host: race.visit.host, at: race.at };
        let is_both = other.host != 0
            && other.host != race.visit.host
            && other.at >= race.moment(ran.started.saturating_add(due));
        if is_both {
            self.stalled = race.at;
            self.forgive(other);
        }
        is_both
    }

    /// Rule 8: the lead that was late before this one was not to blame either.
    fn forgive(&mut self, late: Late) {
        for slot in &mut self.slots {
            if let Slot::Address(entry) = slot {
                let is_it = entry.host == late.host && entry.counted == late.at;
                if is_it && entry.standing == Standing::Missed {
                    entry.standing = Standing::Live;
                }
            }
        }
    }

    /// Rules 3 and 9. `explored` is the address that was, `of_all` whether it was the whole race.
    fn learn_of_host(&mut self, race: &Ended, of_all: bool, lead_won: bool, explored: Option<u32>) {
        if race.winner.is_some() {
            self.meet(race);
        }
        let Some(host) = self.host_mut(&race.visit) else { return };
        host.raced = race.at;
        host.races = host.races.saturating_add(1);
        host.claimed = 0;
        host.led |= lead_won;
        if race.winner.is_none() {
            host.whole = true;
        } else if of_all {
            host.whole = false;
        }
        if let Some(key) = explored {
            host.races = 0;
            host.explored = race.at;
            host.cursor = key;
        }
    }

    /// Rule 9: two wins in a row.
    fn learn_of_explored(&mut self, race: &Ended, target: &Target, ran: &Ran, lead: Option<(Target, Ran)>) {
        let won = race.is_of_winner(ran);
        let Some(entry) = self.entry_mut(target) else { return };
        let again = entry.marks.has(Marks::RISING);
        entry.marks.set(Marks::RISING, won && !again);
        if !won || !again {
            return;
        }
        entry.estimate = Estimate::first(ran.ended.saturating_sub(ran.started).min(LONGEST));
        entry.marks.set(Marks::LED | Marks::USED, true);
        let Some((target, ran)) = lead else { return };
        let time = race.ended.saturating_sub(ran.started).min(LONGEST);
        if let Some(entry) = self.entry_mut(&target) {
            entry.marks.set(Marks::USED, false);
            if time > entry.estimate.mean.micros() {
                // "Slower than that": it never pulls an estimate down.
                entry.estimate = Estimate::first(time);
            }
        }
    }

    /// What the user of a connection to `address` found out.
    pub fn report(&mut self, visit: &Visit, address: SocketAddr, verdict: Verdict, now: Instant) {
        self.rebase(now);
        let now = self.tick(now);
        let family = Family::of(&address);
        let (ip, port, realm) = (key::mapped(&address), address.port(), visit.realm(family));
        let Some(entry) = self.entry_mut(&Target { ip, port, realm, family, key: 0 }) else { return };
        let is_others = entry.marks.has(Marks::VERDICT) && entry.host != visit.host;
        match verdict {
            Verdict::Good if is_others => {}
            Verdict::Good => {
                entry.standing = Standing::Live;
                entry.marks.set(Marks::VERDICT, false);
            }
            Verdict::Refused | Verdict::Stalled | Verdict::TlsFailed => {
                if entry.standing == Standing::Demoted && !entry.marks.has(Marks::VERDICT) {
                    // It does not even answer.
                    return;
                }
                demote(entry, now);
                entry.marks.set(Marks::VERDICT, true);
                entry.host = visit.host;
            }
        }
    }

    // Rule 10.

    fn doubt_of(&mut self, family: Family) -> &mut Doubt {
        let [v6, v4] = &mut self.doubts;
        match family {
            Family::V6 => v6,
            Family::V4 => v4,
        }
    }

    fn doubt(&mut self, race: &Ended, target: &Target) {
        let (realm, at, key) = (target.realm, race.at, target.key);
        let doubt = self.doubt_of(target.family);
        if doubt.realm != realm || at.saturating_sub(doubt.at) > HALF_LIFE {
            *doubt = Doubt { realm, at, keys: [0; 3] };
        }
        doubt.at = at;
        if doubt.keys.contains(&key) {
            return;
        }
        if let Some(free) = doubt.keys.iter_mut().find(|known| **known == 0) {
            *free = key;
        }
    }

    fn is_doubted(&self, visit: &Visit, family: Family, now: u32) -> bool {
        let [v6, v4] = &self.doubts;
        let doubt = if family == Family::V6 { v6 } else { v4 };
        let is_full = !doubt.keys.contains(&0);
        is_full && doubt.realm == visit.realm(family) && now.saturating_sub(doubt.at) <= HALF_LIFE
    }

    // The table.

    /// What a destination is known by; `None` where it is not to be remembered.
    fn target(&self, destination: &Destination, visit: &Visit) -> Option<Target> {
        let (ip, port) = destination.key();
        let family = destination.family();
        let key = key::turn(self.salt, ip, port);
        let realm = visit.realm(family);
        key::is_remembered(ip).then_some(Target { ip, port, realm, family, key })
    }

    fn entry(&self, target: &Target) -> Option<&Entry> {
        self.slots.iter().find_map(|slot| match slot {
            Slot::Address(entry) if target.is_of(entry) => Some(entry),
            _ => None,
        })
    }

    fn entry_mut(&mut self, target: &Target) -> Option<&mut Entry> {
        self.slots.iter_mut().find_map(|slot| match slot {
            Slot::Address(entry) if target.is_of(entry) => Some(entry),
            _ => None,
        })
    }

    fn entry_or_new(&mut self, target: &Target, host: u32) -> Option<&mut Entry> {
        if self.entry_mut(target).is_none() {
            let Target { ip, port, realm, .. } = *target;
            self.insert(Slot::Address(Entry::new(ip, port, realm, host)));
        }
        self.entry_mut(target)
    }

    fn host_mut(&mut self, visit: &Visit) -> Option<&mut HostEntry> {
        let realms = visit.realms();
        self.slots.iter_mut().find_map(|slot| match slot {
            Slot::Host(host) if host.host == visit.host && host.realms == realms => Some(host),
            _ => None,
        })
    }

    /// Its counter begins anywhere, so that not all clients explore at one time, and not all the same address.
    fn meet(&mut self, race: &Ended) {
        if self.host_mut(&race.visit).is_some() {
            return;
        }
        let realms = race.visit.realms();
        let begin = key::end(key::mix(self.salt, realms ^ race.visit.host));
        self.insert(Slot::Host(HostEntry {
            host: race.visit.host,
            realms,
            raced: race.at,
            explored: race.at,
            cursor: begin,
            claimed: 0,
            // Below 32.
            races: (begin >> 8) as u8 % RACES,
            whole: false,
            led: false,
        }));
    }

    /// Rule 13.
    fn insert(&mut self, slot: Slot) {
        let Err(slot) = self.slots.push(slot) else { return };
        let others = self.slots.iter().filter(|slot| !slot.has_led()).count();
        let of_leads = others < (N / 4).max(1);
        let those = self.slots.iter_mut().filter(|slot| slot.has_led() == of_leads);
        if let Some(oldest) = those.min_by_key(|slot| slot.newest()) {
            *oldest = slot;
        }
    }

    // Time.

    /// 1,024 µs at a time. Never 0, which is no time.
    fn tick(&self, at: Instant) -> u32 {
        u32::try_from(at.micros_since(self.base) >> 10).unwrap_or(u32::MAX).saturating_add(self.begin)
    }

    fn life(&self) -> u32 {
        u32::try_from(micros(self.settings.life) >> 10).unwrap_or(u32::MAX).min(ticks(24 * 86_400))
    }

    /// Moves the base when half of the range is used: what is older than 25 days is as old as that from then on.
    fn rebase(&mut self, now: Instant) {
        const HALF: u32 = 1 << 31;
        let now = self.tick(now);
        if now < HALF {
            return;
        }
        let shift = now.saturating_sub(ticks(25 * 86_400));
        self.base = self.base.plus_micros(u64::from(shift) << 10);
        let move_down = |at: &mut u32| *at = at.saturating_sub(shift);
        for slot in &mut self.slots {
            match slot {
                Slot::Address(entry) => {
                    move_down(&mut entry.answered);
                    move_down(&mut entry.counted);
                }
                Slot::Host(host) => {
                    move_down(&mut host.raced);
                    move_down(&mut host.explored);
                    move_down(&mut host.claimed);
                }
            }
        }
        for doubt in &mut self.doubts {
            move_down(&mut doubt.at);
        }
        move_down(&mut self.late.at);
        move_down(&mut self.stalled);
    }
}

/// An address as it is looked for.
#[derive(Clone, Copy)]
struct Target {
    ip: Ipv6Addr,
    port: u16,
    realm: u32,
    family: Family,
    key: u32,
}

impl Target {
    fn is_of(&self, entry: &Entry) -> bool {
        entry.realm == self.realm && entry.port == self.port && entry.ip == self.ip
    }
}

/// A race that has ended. Times in it are in microseconds since its start.
struct Ended {
    visit: Visit,
    /// On the memory's clock, as `at` is, its end.
    start: u32,
    at: u32,
    ended: u32,
    patience: u32,
    winner: Option<Ran>,
    won_by: Option<Family>,
}

impl Ended {
    /// A moment of the race, on the memory's clock.
    fn moment(&self, since: u32) -> u32 {
        self.start.saturating_add(since >> 10)
    }

    /// Whether it is an attempt on the address that has won: the one that did, or the other one.
    fn is_of_winner(&self, ran: &Ran) -> bool {
        self.winner.is_some_and(|winner| winner.place == ran.place)
    }

    fn lesson(&self, ran: &Ran) -> Lesson {
        let cut_short = self.winner.is_none() && ran.ended == self.ended;
        Lesson::of(ran.outcome, ran.ended.saturating_sub(ran.started), cut_short)
    }
}

/// Rule 4: one failure more, or the second miss in a row.
fn demote(entry: &mut Entry, at: u32) {
    if entry.standing == Standing::Demoted {
        let decayed = at.saturating_sub(entry.counted) / HALF_LIFE;
        let level = u32::from(entry.marks.level()).saturating_add(1).saturating_sub(decayed);
        entry.marks.set_level(level.min(u32::from(Marks::HIGHEST)) as u8);
    } else {
        entry.marks.set_level(0);
    }
    (entry.standing, entry.counted) = (Standing::Demoted, at);
    entry.marks.set(Marks::RISING | Marks::USED, false);
}

/// How long an address is demoted: up to half as long again by its key, so that not all come back at one time.
fn pause(level: u8, key: u32) -> u32 {
    let pause = (PAUSE << level.min(Marks::HIGHEST)).min(LONGEST_PAUSE);
    pause.saturating_add((pause >> 9).saturating_mul(key & 0xff))
}

/// Rule 9: whether it is time.
fn explores(host: &HostEntry, now: u32) -> bool {
    let since = now.saturating_sub(host.explored);
    let is_due = host.races >= RACES || (since >= HALF_LIFE && host.raced > host.explored);
    let is_claimed = host.claimed > 0 && now.saturating_sub(host.claimed) < CLAIM;
    is_due && !is_claimed
}
