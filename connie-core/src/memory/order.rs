//! Makes a plan of what is known of each address of a race. It changes nothing and has no clock: everything
//! it uses is a value.

use core::num::NonZeroU32;

use super::estimate::is_better;
use super::key::{Key, Visit};
use crate::race::{ChosenAddress, Destination, DestinationIndex, Family, Plan, PlanRequest, PlanTimes, turn};

/// What is known of an address that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingAddress<'r> {
    pub(super) waiting: &'r Destination,
    pub(super) place: DestinationIndex,
    /// What it takes its turn by; 0 where it is not to be remembered.
    pub(super) number: u32,
    /// A number for its prefix.
    pub(super) prefix: u32,
    /// When an answer last confirmed what its time goes by.
    pub(super) heard: u32,
    /// How long it takes to answer, 0 where nothing is known.
    pub(super) mean: u32,
    /// By when it has answered.
    pub(super) due: u32,
    pub(super) trust: Trust,
    pub(super) rising: bool,
    pub(super) state: AddressState,
}

/// What the time of a known address goes by, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// An address of its prefix has answered.
    Prefix,
    /// It has answered.
    Answered,
    /// It is in use.
    Used,
    /// It was used last, and the caller wants it again.
    Incumbent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressState {
    Live,
    Missed,
    Probation,
    Demoted,
}

impl WaitingAddress<'_> {
    pub(super) fn family(&self) -> Family {
        self.waiting.family()
    }

    /// What its entry is found by.
    pub(super) fn key(&self, visit: &Visit) -> Key {
        Key { ip: self.waiting.ip(), realm: visit.realm(self.family()), port: self.waiting.port() }
    }

    fn is_live(&self) -> bool {
        self.mean > 0 && self.may_start()
    }

    /// Whether nothing speaks against it.
    fn may_start(&self) -> bool {
        matches!(self.state, AddressState::Live | AddressState::Missed)
    }

    /// Where it has a number: else nothing is known of it.
    fn chosen(&self) -> Option<ChosenAddress> {
        Some(ChosenAddress { place: self.place, key: NonZeroU32::new(self.number)? })
    }
}

/// What a plan is made of, beside its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanContext {
    pub(super) prospect: PlanRequest,
    /// The family to begin with.
    pub(super) first: Family,
    /// The family of which nothing good is known, if any.
    pub(super) doubted: Option<Family>,
    /// Whether the host is known here.
    pub(super) met: bool,
    /// Whether the whole race is due.
    pub(super) whole: bool,
    /// Whether an address is to be explored, and behind which one in turn.
    pub(super) explores: bool,
    pub(super) cursor: u32,
    /// Whether the network has stalled a moment ago.
    pub(super) stalled: bool,
    /// Which of the equals leads, where the races of one moment are to be spread.
    pub(super) spread: u32,
    pub(super) least: u32,
    pub(super) gap: u32,
    pub(super) paid_syns: u8,
}

/// How long a race waits for the other family's answer where it knows the host, and no address of the first
/// answer.
const HOLD: u32 = 25_000;

/// The plan.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn plan<const D: usize>(known: &[WaitingAddress<'_>], order: &PlanContext) -> Plan<D> {
    let mut plan = Plan::whole();
    let Plan { turns, times } = &mut plan;
    let PlanRequest { patience, left, .. } = order.prospect;
    times.patience = patience;
    // "at most the patience and at most a quarter of the time left to the deadline"
    times.longest = patience.min(u32::try_from(left / 4).unwrap_or(u32::MAX));
    times.met = order.met;
    times.paid = if order.met { order.paid_syns } else { u8::MAX };
    times.first = Some(order.first).filter(|first| *first != order.prospect.preferred);
    times.gap = order.gap;
    for one in known {
        set(turns, one.place, turn_of(one, known, order));
    }
    match lead(known, order).filter(|_| !order.whole) {
        Some(lead) => widen(turns, times, known, order, lead),
        None => {
            spread(turns, known, order.spread);
            // A host that is known by addresses of the family that has not answered.
            if order.met && order.prospect.is_open && known.iter().all(|one| one.mean == 0) {
                times.hold = HOLD.min(times.longest);
            }
        }
    }
    plan
}

/// Has races of one moment without a lead begin with different addresses, of those of which nothing bad is
/// known, and go on with different ones.
fn spread(turns: &mut [u8], known: &[WaitingAddress<'_>], spread: u32) {
    if spread == 0 {
        return;
    }
    let eligible = known.iter().filter(|one| matches!(one.state, AddressState::Live | AddressState::Missed));
    // At most 255.
    let count = (eligible.clone().count() as u32).max(1);
    for (skip, turn) in [(0, turn::EXPLORED), (1, turn::SECOND)] {
        let index = spread.wrapping_add(skip) % count;
        if let Some(one) = eligible.clone().nth(index as usize) {
            set(turns, one.place, turn);
        }
    }
}

/// Lead, then widen.
fn widen(
    turns: &mut [u8],
    times: &mut PlanTimes,
    known: &[WaitingAddress<'_>],
    order: &PlanContext,
    lead: &WaitingAddress<'_>,
) {
    let second = second(known, lead);
    let longest = times.longest;
    times.together = lead.state == AddressState::Missed;
    times.measure = lead.due;
    times.due = if order.stalled { longest } else { lead.due.min(longest) };
    // A stagger's delay "MUST have a lower bound" (RFC 8305 section 5), also beside one that has missed, and
    // where a deadline is near.
    let (is_grouped, together) = (order.prospect.is_grouped, times.together);
    let least = if is_grouped { order.least } else { order.least.min(longest) };
    let late = match together {
        true if is_grouped => least,
        true => 0,
        false => times.due.max(least),
    };
    let rest = second.filter(|second| second.mean > 0).map_or(times.due, |second| second.due).min(longest);
    times.delays = [late, rest, order.gap];
    times.lead = lead.chosen();
    set(turns, lead.place, turn::LEAD);
    if let Some(second) = second {
        set(turns, second.place, turn::SECOND);
    }
    let Some(explored) = explored(known, order, lead, second) else { return };
    times.explored = explored.chosen();
    // It brings in more than it costs, and there is one in 32 races.
    times.paid = times.paid.max(1);
    if order.prospect.sockets < 2 || order.prospect.is_grouped {
        // Beside the lead there is no room for it, or no time.
        set(turns, explored.place, turn::LEAD);
        set(turns, lead.place, turn::EXPLORED);
    } else {
        // At the lead's moment: one that is no better than the lead has a fair chance, too. Behind it by the
        // band a server that was away would stay idle for good, its clients being content with the others.
        set(turns, explored.place, turn::EXPLORED);
        times.delays = [0, late, rest];
    }
}

fn set(turns: &mut [u8], place: DestinationIndex, turn: u8) {
    if let Some(its) = turns.get_mut(usize::from(place)) {
        *its = turn;
    }
}

/// The turn of one that neither leads nor is second.
fn turn_of(one: &WaitingAddress<'_>, known: &[WaitingAddress<'_>], order: &PlanContext) -> u8 {
    match one.state {
        AddressState::Demoted => turn::DEMOTED,
        AddressState::Probation => turn::PROBATION,
        _ if one.mean == 0 && order.doubted == Some(one.family()) => turn::DOUBTED,
        _ if one.mean == 0 => turn::UNKNOWN,
        _ => {
            // Of two of one prefix of which one was never seen they have the same round trip, and the other
            // comes first.
            let key = |it: &WaitingAddress<'_>| (it.mean, !(it.trust as u8), it.place);
            let is_before = |other: &&WaitingAddress<'_>| other.is_live() && key(other) < key(one);
            turn::KNOWN.saturating_add(known.iter().filter(is_before).count().min(100) as u8)
        }
    }
}

/// It does not count.
const OUT: u64 = u64::MAX;

/// The first of those with the least number. One loop, and numbers: a comparison made for each question would
/// take a firmware two kilobytes.
#[inline(never)]
fn least<'k, 'r>(
    known: &'k [WaitingAddress<'r>],
    number: &dyn Fn(&WaitingAddress<'_>) -> u64,
) -> Option<&'k WaitingAddress<'r>> {
    let (mut least, mut found) = (OUT, None);
    for one in known {
        let number = number(one);
        if number < least {
            (least, found) = (number, Some(one));
        }
    }
    found
}

/// Who leads: of those that are live the fastest and all that are as good. Among these one that was used
/// before one that was not, then the answer's own order, by which resolvers share load out.
fn lead<'k, 'r>(known: &'k [WaitingAddress<'r>], order: &PlanContext) -> Option<&'k WaitingAddress<'r>> {
    // Staggered: the family that is first stays first.
    let has_first = known.iter().any(|one| one.family() == order.first);
    let only = if has_first { order.first } else { order.first.other() };
    let is_out =
        |one: &WaitingAddress<'_>| !one.is_live() || order.prospect.is_grouped && one.family() != only;
    let best = least(known, &|one| if is_out(one) { OUT } else { one.mean.into() })?.mean;
    let number = |one: &WaitingAddress<'_>| match is_out(one) || is_better(best, one.mean) {
        true => OUT,
        // The best trust first.
        false => u64::from_be_bytes([
            0,
            0,
            0,
            0,
            0,
            !(one.trust as u8),
            (one.family() != order.first).into(),
            one.waiting.rank(),
        ]),
    };
    let lead = least(known, &number)?;
    if order.spread == 0 {
        return Some(lead);
    }
    let is_equal = |one: &&WaitingAddress<'_>| one.trust == lead.trust && number(one) != OUT;
    // At most 255, and the lead itself is one.
    let count = (known.iter().filter(is_equal).count() as u32).max(1);
    known.iter().filter(is_equal).nth((order.spread % count) as usize)
}

/// Who is second: of the other family, else of another prefix, of those that have answered; then of those
/// that have not.
fn second<'k, 'r>(
    known: &'k [WaitingAddress<'r>],
    lead: &WaitingAddress<'_>,
) -> Option<&'k WaitingAddress<'r>> {
    least(known, &|one| {
        if one.place == lead.place || !one.may_start() {
            return OUT;
        }
        let like = u8::from(one.family() == lead.family()) + u8::from(one.prefix == lead.prefix);
        // A mean has 27 bits.
        let class =
            u64::from(one.trust == Trust::Prefix) << 3 | u64::from(like) << 1 | u64::from(one.mean == 0);
        (class << 32 | u64::from(one.mean)) << 8 | u64::from(one.waiting.rank())
    })
}

/// Who is explored: one that has won so, once more; else the next in turn.
fn explored<'k, 'r>(
    known: &'k [WaitingAddress<'r>],
    order: &PlanContext,
    lead: &WaitingAddress<'_>,
    second: Option<&WaitingAddress<'_>>,
) -> Option<&'k WaitingAddress<'r>> {
    // With the second beside the lead there is no room for a third.
    let beside =
        second.filter(|_| lead.state == AddressState::Missed).map_or(lead.place, |second| second.place);
    least(known, &|one| {
        if one.place == lead.place {
            OUT
        } else if one.rising {
            0
        } else if !order.explores || one.place == beside || one.number == 0 {
            // Of one that is not remembered nothing can be learnt.
            OUT
        } else {
            // Behind the cursor first, then from the least number on.
            u64::from(one.number.wrapping_sub(order.cursor).wrapping_sub(1)) + 1
        }
    })
}
