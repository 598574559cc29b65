//! Why a plan is as it is: what the memory knew of each address when the plan was made, and what follows from
//! that. A program that does not ask for it has none of it.

use core::net::SocketAddr;
use core::time::Duration;

use heapless::Vec;

use super::entry::{Marks, Standing};
use super::key::Visit;
use super::order::{AddressState, Trust, WaitingAddress};
use super::{CrowdRole, Entry, Memory, STALL, pause};
use crate::race::{DestinationIndex, Family, Guide, Plan, Race, turn};

/// Why a race does what it does: from [`Memory::explain`].
///
/// It prints as one line, `lead: 31 ms +-4, seen 12 s ago; 3 demoted; next at 47 ms`, and so does each of its
/// [addresses](Explanation::addresses). [`json`](Explanation::json) is for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    outline: ExplanationOutline,
    addresses: &'a [ExplainedAddress],
}

/// What an explanation says of the race as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplanationOutline {
    whole: Option<WholeRaceReason>,
    next: Option<u32>,
    rest: Option<u32>,
    longest: u32,
    hold: u32,
    paid: Option<u8>,
    first: Option<Family>,
    has_stalled: bool,
    crowd: CrowdState,
    omitted: u8,
}

/// Why a race is the whole race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WholeRaceReason {
    /// The host was never met on this network.
    NeverMet,
    /// Nothing is known of the addresses that could lead, or it was learnt too long ago.
    NothingFresh,
    /// Those that are known have failed, and have not answered since.
    NoneLive,
    /// In the race before, the lead was beaten when it had been late before that, or nothing answered.
    AfterMiss,
}

impl WholeRaceReason {
    /// Its name, such as `never_met`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            WholeRaceReason::NeverMet => "never_met",
            WholeRaceReason::NothingFresh => "nothing_fresh",
            WholeRaceReason::NoneLive => "none_live",
            WholeRaceReason::AfterMiss => "after_miss",
        }
    }
}

/// Which part an address has in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressPart {
    /// It starts alone.
    Lead,
    /// It is tried to learn about it: beside the lead, or in its place.
    Explored,
    /// It starts when the lead is late.
    Second,
    /// It is known to answer, and comes behind those.
    Known,
    /// Nothing is known of it.
    Unknown,
    /// It has failed. Its pause is over, and it has not answered since.
    OnProbation,
    /// It has failed lately, and comes last.
    Demoted,
}

impl AddressPart {
    /// Its name, such as `on_probation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AddressPart::Lead => "lead",
            AddressPart::Explored => "explored",
            AddressPart::Second => "second",
            AddressPart::Known => "known",
            AddressPart::Unknown => "unknown",
            AddressPart::OnProbation => "on_probation",
            AddressPart::Demoted => "demoted",
        }
    }
}

/// What a race has to do with others to its host that run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrowdState {
    /// Nothing.
    No,
    /// It explores for them.
    Leads,
    /// It has waited for the one that does.
    Follows,
}

impl CrowdState {
    /// Its name, such as `follows`, where it has to do with others.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            CrowdState::No => None,
            CrowdState::Leads => Some("leads"),
            CrowdState::Follows => Some("follows"),
        }
    }
}

/// What a plan knows of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedAddress {
    address: SocketAddr,
    part: AddressPart,
    failures: u8,
    was_late: bool,
    is_of_prefix: bool,
    /// In microseconds, 0 where nothing is known.
    mean: u32,
    variation: u32,
    due: u32,
    /// In units of 1,024 µs.
    age: Option<u32>,
    pause: u32,
}

/// What a start that is not paid for waits at least, and at most: see `PlanSteps`.
const LEAST_LADDER: u32 = crate::time::micros(crate::Config::MIN_DELAY) as u32;
const LONGEST_LADDER: u32 = crate::time::micros(crate::Config::MAX_DELAY) as u32;

fn ticks(ticks: u32) -> Duration {
    Duration::from_micros(u64::from(ticks) << 10)
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

impl ExplainedAddress {
    /// Room for one.
    pub const EMPTY: Self =
        Self::new(SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0));

    const fn new(address: SocketAddr) -> Self {
        ExplainedAddress {
            address,
            part: AddressPart::Unknown,
            failures: 0,
            was_late: false,
            is_of_prefix: false,
            mean: 0,
            variation: 0,
            due: 0,
            age: None,
            pause: 0,
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Which part it has.
    #[must_use]
    pub fn part(&self) -> AddressPart {
        self.part
    }

    /// How long it takes to answer, where that is known.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        (self.mean > 0).then(|| micros(self.mean))
    }

    /// How much that varies, where that is known: RFC 6298's RTTVAR.
    #[must_use]
    pub fn variation(&self) -> Option<Duration> {
        (self.mean > 0 && !self.is_of_prefix).then(|| micros(self.variation))
    }

    /// By when it has answered if all is as it was, counted from its start.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        (self.mean > 0).then(|| micros(self.due))
    }

    /// Whether all that is known of it is what an address of its prefix takes to answer.
    #[must_use]
    pub fn is_of_prefix(&self) -> bool {
        self.is_of_prefix
    }

    /// How long ago it last answered here; `None` where it never has.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.age.map(ticks)
    }

    /// How often it has failed without an answer in between. One is forgotten each half-life.
    #[must_use]
    pub fn failures(&self) -> u8 {
        self.failures
    }

    /// Whether it was late when it was last tried.
    #[must_use]
    pub fn was_late(&self) -> bool {
        self.was_late
    }

    /// How long it comes last for having failed; `None` where it does not.
    #[must_use]
    pub fn paused_for(&self) -> Option<Duration> {
        (self.pause > 0).then(|| ticks(self.pause))
    }
}

impl<'a> Explanation<'a> {
    /// Of parts that were kept: see [`parts`](Explanation::parts).
    #[must_use]
    pub const fn from_parts(outline: ExplanationOutline, addresses: &'a [ExplainedAddress]) -> Self {
        Explanation { outline, addresses }
    }

    /// Its parts, for one who keeps them longer than what it was made in.
    #[must_use]
    pub const fn parts(&self) -> (ExplanationOutline, &'a [ExplainedAddress]) {
        (self.outline, self.addresses)
    }

    /// The addresses that the plan is about, in the order of the race's [destinations](Race::destinations).
    #[must_use]
    pub const fn addresses(&self) -> &'a [ExplainedAddress] {
        self.addresses
    }

    /// The one that has this part, where it is the part of one address.
    #[must_use]
    pub fn the(&self, part: AddressPart) -> Option<&'a ExplainedAddress> {
        self.addresses.iter().find(|one| one.part == part)
    }

    /// How many have this part.
    #[must_use]
    pub fn count(&self, part: AddressPart) -> usize {
        self.addresses.iter().filter(|one| one.part == part).count()
    }

    /// Why it is the whole race; `None` where an address leads.
    #[must_use]
    pub const fn whole(&self) -> Option<WholeRaceReason> {
        self.outline.whole
    }

    /// When the second starts, counted from the start of the first; `None` where nothing holds it back, or
    /// there is none.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.outline.next.map(micros)
    }

    /// The same for the third, where the delays of the race itself do not grow. Others follow.
    #[must_use]
    pub fn rest(&self) -> Option<Duration> {
        self.outline.rest.map(micros)
    }

    /// `Δ`: how long the plan can keep an address back.
    #[must_use]
    pub fn longest_delay(&self) -> Duration {
        micros(self.outline.longest)
    }

    /// How long the race waits for the other family's answer.
    #[must_use]
    pub fn hold(&self) -> Option<Duration> {
        (self.outline.hold > 0).then(|| micros(self.outline.hold))
    }

    /// How many starts beyond the first are paid for; `None` for the first race of a host, which pays for
    /// none.
    #[must_use]
    pub fn paid(&self) -> Option<usize> {
        self.outline.paid.map(usize::from)
    }

    /// The family that goes first since the other one has failed, where that is another than without a
    /// memory.
    #[must_use]
    pub const fn first(&self) -> Option<Family> {
        self.outline.first
    }

    /// Whether the network has stalled a moment ago, so that leads have all of `Δ`.
    #[must_use]
    pub const fn has_stalled(&self) -> bool {
        self.outline.has_stalled
    }

    /// What it has to do with other races of this moment.
    #[must_use]
    pub const fn crowd(&self) -> CrowdState {
        self.outline.crowd
    }

    /// How many addresses found no room in it.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.outline.omitted.into()
    }

    /// The same, for a race that has a role in a [crowd](super::Crowd).
    #[must_use]
    pub const fn in_crowd(mut self, role: &CrowdRole) -> Self {
        self.outline.crowd = match role {
            CrowdRole::Lead(_) => CrowdState::Leads,
            CrowdRole::Follow(_) => CrowdState::Follows,
            CrowdRole::Alone => CrowdState::No,
        };
        self
    }
}

impl<const N: usize> Memory<N> {
    /// Why `plan` is what it is. To be asked for just when it was made, before the race follows it or
    /// anything is learnt. `room` is for what it says of each address: as many as the race has
    /// [destinations](Race::destinations).
    ///
    /// ```
    /// use connie_core::memory::{ExplainedAddress, Finish, Memory, Network};
    /// use connie_core::race::PlannedRace;
    /// use connie_core::{Config, Instant};
    ///
    /// let now = Instant::ZERO;
    /// let mut memory = Memory::<32>::new(0x5eed, now);
    /// let visit = memory.visit("example.org", Finish::Tcp, 0, &Network::default());
    /// let mut race = PlannedRace::<16, 4>::new(&Config::all_at_once(), now);
    /// race.handle_addresses(&["192.0.2.1:80".parse()?, "192.0.2.2:80".parse()?], now);
    /// let plan = memory.plan(&visit, &race, 0, now);
    /// let mut room = [ExplainedAddress::EMPTY; 16];
    /// let explanation = memory.explain(&visit, &race, &plan, &mut room, now);
    /// assert_eq!(explanation.to_string(), "whole race: the host was never met here; 2 unknown");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain<'r, const D: usize, const K: usize, const R: usize, G: Guide>(
        &self,
        visit: &Visit,
        race: &Race<D, K, R, G>,
        plan: &Plan<D>,
        room: &'r mut [ExplainedAddress],
        now: crate::Instant,
    ) -> Explanation<'r> {
        let now = self.tick(now);
        // Once an attempt has started, the plan only puts the others in order.
        let begun = race.started() > 0;
        let (mut told, mut fresh) = (0_usize, 0_usize);
        let mut known = Vec::<_, D>::new();
        self.look_up(visit, race, &mut known, now);
        for ((place, waiting), known) in race.fresh().zip(&known) {
            fresh = fresh.saturating_add(1);
            if let Some(row) = room.get_mut(told) {
                *row = ExplainedAddress::of(waiting.address(), known);
                if let Some(part) = part(plan, place).filter(|_| !begun) {
                    row.part = part;
                }
                told = told.saturating_add(1);
            }
        }
        for entry in self.table.as_slice() {
            for (row, known) in room.iter_mut().zip(&known) {
                if known.number > 0 && entry.is_at(&known.key(visit)) {
                    row.take(entry, known, now);
                }
            }
        }
        let addresses: &'r [ExplainedAddress] = room.get(..told).unwrap_or_default();
        let mut outline = outline(plan, race.delay(), fresh);
        outline.omitted = u8::try_from(fresh.saturating_sub(told)).unwrap_or(u8::MAX);
        outline.has_stalled = self.stalled > 0 && now.saturating_sub(self.stalled) < STALL;
        if plan.times.lead.is_none() {
            outline.whole = Some(self.whole(visit, plan.times.met, addresses));
        }
        Explanation { outline, addresses }
    }

    fn whole(&self, visit: &Visit, met: bool, addresses: &[ExplainedAddress]) -> WholeRaceReason {
        let is_due = self.table.find(&visit.key()).is_some_and(|host| host.marks.has(Marks::WHOLE));
        let is_down =
            |one: &ExplainedAddress| matches!(one.part, AddressPart::Demoted | AddressPart::OnProbation);
        match () {
            () if !met => WholeRaceReason::NeverMet,
            () if is_due => WholeRaceReason::AfterMiss,
            () if addresses.iter().any(is_down)
                && addresses.iter().all(|one| is_down(one) || one.mean == 0) =>
            {
                WholeRaceReason::NoneLive
            }
            () => WholeRaceReason::NothingFresh,
        }
    }
}

impl ExplainedAddress {
    fn of(address: SocketAddr, known: &WaitingAddress<'_>) -> Self {
        let mut row = ExplainedAddress::new(address);
        row.part = part_of(known);
        row.was_late = known.state == AddressState::Missed;
        (row.mean, row.due) = (known.mean, known.due);
        row.is_of_prefix = known.mean > 0 && known.trust == Trust::Prefix;
        row
    }

    /// What its entry says.
    fn take(&mut self, entry: &Entry, known: &WaitingAddress<'_>, now: u32) {
        if entry.answered > 0 {
            self.age = Some(now.saturating_sub(entry.answered));
        }
        if !self.is_of_prefix {
            self.variation = entry.estimate.variation.micros();
        }
        let counts = matches!(known.state, AddressState::Demoted | AddressState::Probation);
        if counts && entry.standing == Standing::DEMOTED {
            self.failures = entry.marks.level().min(Marks::HIGHEST).saturating_add(1);
            let over = entry.counted.saturating_add(pause(entry.marks.level(), known.number));
            self.pause = over.saturating_sub(now);
        }
    }
}

/// The part that is one address's.
fn part<const D: usize>(plan: &Plan<D>, place: DestinationIndex) -> Option<AddressPart> {
    let is = |chosen: Option<crate::race::ChosenAddress>| chosen.is_some_and(|chosen| chosen.place == place);
    match plan.turns.get(usize::from(place)) {
        _ if is(plan.times.lead) => Some(AddressPart::Lead),
        _ if is(plan.times.explored) => Some(AddressPart::Explored),
        Some(&turn::SECOND) => Some(AddressPart::Second),
        _ => None,
    }
}

/// The part of one that is among many.
fn part_of(known: &WaitingAddress<'_>) -> AddressPart {
    match known.state {
        AddressState::Demoted => AddressPart::Demoted,
        AddressState::Probation => AddressPart::OnProbation,
        AddressState::Live | AddressState::Missed if known.mean == 0 => AddressPart::Unknown,
        AddressState::Live | AddressState::Missed => AddressPart::Known,
    }
}

/// When the second, the third and the fourth start, counted from the start of the first, while none fails.
/// `own` is the delay that the race has without a plan.
fn starts<const D: usize>(plan: &Plan<D>, own: u32) -> [u32; 3] {
    let [first, ..] = plan.times.delays;
    let mut ladder = if plan.times.lead.is_some() { first } else { plan.times.patience }.max(LEAST_LADDER);
    let (mut at, mut started) = (0_u32, 1);
    plan.times.delays.map(|delay| {
        let delay = match (own, started) {
            (0, _) => delay,
            (_, 1 | 2) if plan.times.lead.is_some() => first.min(own),
            _ => own,
        };
        if started > plan.times.paid {
            at = at.saturating_add(ladder.max(delay));
            ladder = ladder.saturating_mul(2).min(LONGEST_LADDER);
        } else if own == 0 {
            at = at.saturating_add(delay).min(plan.times.longest);
        } else {
            at = at.saturating_add(delay);
        }
        started = started.saturating_add(1);
        at
    })
}

/// What is common to all addresses, of which `fresh` wait.
fn outline<const D: usize>(plan: &Plan<D>, own: Option<u32>, fresh: usize) -> ExplanationOutline {
    // Where one is explored beside the lead, the second is the third to start.
    let is_beside = plan.times.explored.is_some_and(|explored| {
        plan.turns.get(usize::from(explored.place)).is_some_and(|turn| *turn == turn::EXPLORED)
    });
    let is_timed = plan.times.lead.is_some() || plan.times.paid == 0;
    let [beside, second, third] =
        starts(plan, own.unwrap_or(0)).map(|at| (is_timed && own.is_some()).then_some(at));
    let (next, rest, ahead) = if is_beside { (second, third, 2) } else { (beside, second, 1) };
    ExplanationOutline {
        whole: None,
        next: next.filter(|_| fresh > ahead),
        rest: rest.filter(|_| fresh > ahead.saturating_add(1)),
        longest: plan.times.longest,
        hold: plan.times.hold,
        paid: plan.times.met.then_some(plan.times.paid),
        first: plan.times.first,
        has_stalled: false,
        crowd: CrowdState::No,
        omitted: 0,
    }
}
