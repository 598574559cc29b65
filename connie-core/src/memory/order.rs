//! Makes a plan of what is known of each address of a race. It changes nothing, and knows no clock: all that it is told is a value.

use super::estimate::is_better;
use crate::race::{Chosen, Family, Place, Plan, Prospect, turn};

/// What is known of an address that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) place: Place,
    pub(super) family: Family,
    /// Its place in its family's answer.
    pub(super) rank: u8,
    /// What the memory knows it by.
    pub(super) key: u32,
    /// A number for its prefix.
    pub(super) prefix: u32,
    /// How long it takes to answer, 0 where nothing is known.
    pub(super) mean: u32,
    /// By when it has answered.
    pub(super) due: u32,
    pub(super) trust: Trust,
    pub(super) rising: bool,
    pub(super) state: State,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Missed,
    Probation,
    Demoted,
}

impl Known {
    fn is_live(&self) -> bool {
        self.mean > 0 && matches!(self.state, State::Live | State::Missed)
    }

    fn chosen(&self) -> Chosen {
        Chosen { place: self.place, key: self.key }
    }
}

/// What a plan is made of, beside its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) prospect: Prospect,
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
    pub(super) in_hand: u8,
}

/// How long a race waits for the other family's answer where it knows the host, and no address of the first answer.
const HOLD: u32 = 25_000;
/// How long after the lead an address starts that is explored: RFC 8305's least delay.
const BESIDE: u32 = 10_000;

/// The plan.
pub(super) fn plan<const D: usize>(known: &[Known], order: &Order) -> Plan<D> {
    let mut plan = Plan::whole();
    let Prospect { patience, left, .. } = order.prospect;
    plan.patience = patience;
    // "at most the patience and at most a quarter of the time left to the deadline"
    plan.longest = patience.min(u32::try_from(left / 4).unwrap_or(u32::MAX));
    plan.met = order.met;
    plan.paid = if order.met { order.in_hand } else { u8::MAX };
    plan.first = Some(order.first).filter(|first| *first != order.prospect.preferred);
    plan.gap = order.gap;
    for one in known {
        set(&mut plan, one.place, turn_of(one, known, order));
    }
    let lead = lead(known, order);
    let Some(lead) = lead.filter(|_| !order.whole) else {
        let unknown = !known.iter().any(|one| one.mean > 0);
        // A host that is known by addresses of the family that has not answered.
        if order.met && unknown && order.prospect.is_open {
            plan.hold = HOLD.min(plan.longest);
        }
        return plan;
    };
    widen(&mut plan, known, order, lead);
    plan
}

/// Lead, then widen.
fn widen<const D: usize>(plan: &mut Plan<D>, known: &[Known], order: &Order, lead: &Known) {
    let second = second(known, lead);
    let explored = explored(known, order, lead, second);
    let longest = plan.longest;
    plan.together = lead.state == State::Missed;
    plan.measure = lead.due;
    plan.due = if order.stalled { longest } else { lead.due.min(longest) };
    let late = if plan.together { 0 } else { plan.due.max(order.least.min(longest)) };
    let rest = second.map_or(plan.due, |second| if second.mean > 0 { second.due } else { plan.due });
    plan.delays = [late, rest.min(longest), order.gap];
    plan.lead = Some(lead.chosen());
    set(plan, lead.place, turn::LEAD);
    if let Some(second) = second {
        set(plan, second.place, turn::SECOND);
    }
    let Some(explored) = explored else { return };
    plan.explored = Some(explored.chosen());
    // It brings in more than it costs, and there is one in 32 races.
    plan.paid = plan.paid.max(1);
    if order.prospect.sockets < 2 || order.prospect.is_grouped {
        // Beside the lead there is no room for it, or no time.
        set(plan, explored.place, turn::LEAD);
        set(plan, lead.place, turn::EXPLORED);
        return;
    }
    set(plan, explored.place, turn::EXPLORED);
    plan.delays = [BESIDE.min(late), late.saturating_sub(BESIDE), rest.min(longest)];
}

fn set<const D: usize>(plan: &mut Plan<D>, place: Place, turn: u8) {
    if let Some(its) = plan.turns.get_mut(usize::from(place)) {
        *its = turn;
    }
}

/// The turn of one that neither leads nor is second.
fn turn_of(one: &Known, known: &[Known], order: &Order) -> u8 {
    match one.state {
        State::Demoted => turn::DEMOTED,
        State::Probation => turn::PROBATION,
        _ if one.mean == 0 && order.doubted == Some(one.family) => turn::DOUBTED,
        _ if one.mean == 0 => turn::UNKNOWN,
        _ => {
            let faster = known.iter().filter(|other| other.is_live() && is_before(other, one));
            turn::KNOWN.saturating_add(faster.count().min(100) as u8)
        }
    }
}

fn is_before(a: &Known, b: &Known) -> bool {
    (a.mean, a.place) < (b.mean, b.place)
}

/// Who leads: of those that are live the fastest and all that are as good. Among these one that was used before one that was not, then the
/// answer's own order, by which resolvers share load out.
fn lead<'k>(known: &'k [Known], order: &Order) -> Option<&'k Known> {
    // Staggered: the family that is first stays first.
    let has = |family| known.iter().any(|one| one.family == family);
    let only = if has(order.first) { order.first } else { order.first.other() };
    let eligible = |one: &&Known| one.is_live() && (!order.prospect.is_grouped || one.family == only);
    let best = known.iter().filter(eligible).map(|one| one.mean).min()?;
    let equals = known.iter().filter(eligible).filter(|one| !is_better(best, one.mean));
    let most = equals.clone().map(|one| one.trust).max()?;
    let mut equals = equals.filter(|one| one.trust == most);
    if order.spread > 0 {
        // At most 255.
        let count = (equals.clone().count() as u32).max(1);
        return equals.nth((order.spread % count) as usize);
    }
    equals.min_by_key(|one| (one.family != order.first, one.rank))
}

/// Who is second: of the other family, else of another prefix, of those that have answered; then of those that have not.
fn second<'k>(known: &'k [Known], lead: &Known) -> Option<&'k Known> {
    let others = known
        .iter()
        .filter(|one| one.place != lead.place && matches!(one.state, State::Live | State::Missed));
    others.min_by_key(|one| {
        let like = u8::from(one.family == lead.family) + u8::from(one.prefix == lead.prefix);
        (one.trust == Trust::Prefix, like, one.mean == 0, one.mean, one.rank)
    })
}

/// Who is explored: one that has won so, once more; else the next in turn.
fn explored<'k>(
    known: &'k [Known],
    order: &Order,
    lead: &Known,
    second: Option<&Known>,
) -> Option<&'k Known> {
    let others = known.iter().filter(|one| one.place != lead.place);
    if let Some(rising) = others.clone().find(|one| one.rising) {
        return Some(rising);
    }
    if !order.explores {
        return None;
    }
    // With the second beside the lead there is no room for a third. Of one that is not remembered nothing can be learnt.
    let others = others.filter(|one| one.key > 0);
    let others =
        others.filter(|one| lead.state != State::Missed || second.is_none_or(|s| s.place != one.place));
    // Behind the cursor first, then from the least number on.
    others.min_by_key(|one| (one.key <= order.cursor, one.key))
}
