//! What a scenario has in store for a race: its configuration, what the resolver says, what each address
//! does, what goes wrong.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use connie_core::race::TlsFailure;
use connie_core::{AttemptError, AttemptErrorKind, Config, Families, Family, Instant, Pacing};
use connie_sim::{Rng, address, label};

/// A scenario. Times are microseconds from the race's start.
#[derive(Clone, Debug)]
pub(crate) struct TracePlan {
    pub(crate) config: Config,
    pub(crate) start: Instant,
    pub(crate) room: TraceSize,
    pub(crate) hosts: Vec<TraceHost>,
    pub(crate) news: Vec<(u64, TraceEvent)>,
    pub(crate) stack: TraceStack,
    pub(crate) wakes: Wakes,
    /// Decides what [`Wakes`] leaves open.
    pub(crate) seed: u64,
    /// Whether inputs come between two outputs of a drain.
    pub(crate) interleaves: bool,
    /// Whether results of attempts that were canceled are told all the same.
    pub(crate) tells_late_results: bool,
}

/// How large the race is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TraceSize {
    /// 64 addresses, 16 sockets, 256 attempts on record.
    Large,
    /// 6 addresses, 3 sockets, 4 attempts on record.
    Small,
}

/// An address and what becomes of each attempt on it; the last holds for all further ones.
#[derive(Clone, Debug)]
pub(crate) struct TraceHost {
    pub(crate) address: SocketAddr,
    pub(crate) attempts: Vec<TraceResult>,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TraceResult {
    Succeeds(u64),
    Fails(u64, AttemptError),
    /// Until the stack gives up.
    Silent,
}

/// What happens at a time of its own.
#[derive(Clone, Debug)]
pub(crate) enum TraceEvent {
    Resolved(Family, Vec<SocketAddr>),
    Hinted(Family, Vec<SocketAddr>),
    ResolutionFailed(Family),
    Addresses(Vec<SocketAddr>),
    Prefer(Family),
    LimitTo(usize),
    Cancel,
    /// From now on every attempt fails with [`AttemptErrorKind::StackGone`].
    Gone,
    /// In the cases alone: no scenario is drawn with it.
    SourceChanged(Family),
}

/// What the stack can do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TraceStack {
    /// How many sockets there are at a time.
    pub(crate) sockets: Option<usize>,
    /// The attempt, counted from 1, for which there is no socket.
    pub(crate) runs_out_at: Option<usize>,
    /// After how many microseconds it says that there is none.
    pub(crate) says_so_after: u64,
    /// The family that it does not have.
    pub(crate) lacks: Option<Family>,
}

/// When the program wakes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wakes {
    OnTime,
    /// So many microseconds after its time.
    Late(u64),
    /// Early too and for nothing, and with a clock that runs backwards now and then.
    Restless,
}

/// The seed's scenario.
pub(crate) fn drawn(seed: u64) -> TracePlan {
    let rng = &mut Rng::new(seed);
    let config = config(rng);
    let addresses = addresses(rng);
    // Now and then half of them answer at the same moment.
    let same = rng.chance(15).then(|| result(rng));
    let hosts = addresses.iter().map(|address| host(*address, same, rng)).collect();
    let room = if rng.chance(12) { TraceSize::Small } else { TraceSize::Large };
    let mut plan = TracePlan {
        config,
        start: Instant::from_micros(rng.pick(&[0, 0, 1, 5_000_000, 1 << 40])),
        room,
        hosts,
        news: news(&addresses, rng),
        stack: TraceStack::default(),
        wakes: match rng.below(10) {
            0 => Wakes::Late(rng.within(1, 30_000)),
            1 | 2 => Wakes::Restless,
            _ => Wakes::OnTime,
        },
        seed,
        interleaves: rng.chance(20),
        tells_late_results: rng.chance(30),
    };
    trouble(&mut plan, rng);
    plan.news.sort_by_key(|(at, _)| *at);
    plan
}

fn config(rng: &mut Rng) -> Config {
    let pacing = match rng.below(5) {
        0 | 1 => Pacing::AllAtOnce,
        2 | 3 => Pacing::Staggered {
            delay: Duration::from_millis(rng.pick(&[0, 10, 100, 250, 250, 400, 5_000])),
            growth_percent: rng.pick(&[50, 100, 100, 100, 133, 150, 200, 400]),
        },
        _ => Pacing::OneByOne,
    };
    Config::default()
        .pacing(pacing)
        .families(rng.pick(&[
            Families::Both,
            Families::Both,
            Families::Both,
            Families::Both,
            Families::Both,
            Families::Both,
            Families::Only(Family::V4),
            Families::Only(Family::V6),
        ]))
        .preferred_family(if rng.chance(25) { Family::V4 } else { Family::V6 })
        .first_address_family_count(rng.pick(&[0, 1, 1, 1, 2, 3, 255]))
        .resolution_delay(Duration::from_millis(rng.pick(&[0, 50, 50, 300])))
        .max_in_flight(match rng.below(3) {
            0 => rng.pick(&[usize::MAX, 0]),
            1 => rng.within(1, 4) as usize,
            _ => rng.within(1, 16) as usize,
        })
        .patience(Duration::from_millis(rng.pick(&[1, 10, 100, 250, 250, 250, 300, 1_000, 2_000])))
        .evict(rng.chance(85))
        .hedge(rng.chance(60))
        .deadline(rng.chance(45).then(|| Duration::from_millis(rng.within(0, 8_000))))
        .attempt_timeout(rng.chance(20).then(|| Duration::from_millis(rng.within(0, 3_000))))
}

/// The addresses that there are; those of a family in the order in which a resolver lists them.
fn addresses(rng: &mut Rng) -> Vec<SocketAddr> {
    let count = rng.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 8, 8, 8, 12, 12, 12, 16, 16, 24, 24, 40, 64]);
    let of_v6 = rng.pick(&[0, 20, 50, 50, 50, 50, 80, 100]);
    let (mut v4, mut v6) = (0, 0);
    (0..count)
        .map(|_| {
            if rng.chance(of_v6) {
                v6 += 1;
                spelled_v6(v6, rng)
            } else {
                v4 += 1;
                spelled_v4(v4, rng)
            }
        })
        .collect()
}

/// The IPv6 address with this number, now and then with a zone or a port of its own.
fn spelled_v6(number: u16, rng: &mut Rng) -> SocketAddr {
    let plain = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 80));
    match rng.below(40) {
        0 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 8080)),
        1 => SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, number].into(), 80, 0, 2).into(),
        _ => plain,
    }
}

/// The IPv4 address with this number, now and then mapped into IPv6 or with a port of its own.
fn spelled_v4(number: u16, rng: &mut Rng) -> SocketAddr {
    let ip = Ipv4Addr::from(0xc000_0200 + u32::from(number));
    match rng.below(40) {
        0 => SocketAddr::from((ip, 8080)),
        1 => SocketAddr::from((ip.to_ipv6_mapped(), 80)),
        _ => SocketAddr::from((ip, 80)),
    }
}

fn host(address: SocketAddr, same: Option<TraceResult>, rng: &mut Rng) -> TraceHost {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port()).with_zone_of(address);
    let usual = same.filter(|_| rng.chance(50)).unwrap_or_else(|| result(rng));
    // The first SYN is lost: only a later attempt comes home.
    let attempts = if rng.chance(15) { vec![TraceResult::Silent, usual] } else { vec![usual] };
    TraceHost { address, attempts }
}

/// Keeps the zone, which [`SocketAddr::new`] does not take.
trait Zone {
    fn with_zone_of(self, other: SocketAddr) -> Self;
}

impl Zone for SocketAddr {
    fn with_zone_of(mut self, other: SocketAddr) -> Self {
        if let (SocketAddr::V6(v6), SocketAddr::V6(other)) = (&mut self, other) {
            v6.set_scope_id(other.scope_id());
        }
        self
    }
}

/// Up to `latest`; every other time a multiple of 50 ms, so that things happen at the same moment.
fn moment(latest: u64, rng: &mut Rng) -> u64 {
    let moment = rng.within(0, latest);
    if rng.chance(50) { moment / 50_000 * 50_000 } else { moment }
}

fn result(rng: &mut Rng) -> TraceResult {
    let slowest = rng.pick(&[0, 30, 300, 300, 2_000]) * 1_000;
    let after = moment(slowest, rng);
    if rng.chance(25) {
        return TraceResult::Succeeds(after);
    }
    match rng.below(12) {
        0 => TraceResult::Fails(0, AttemptErrorKind::Unreachable.into()),
        1 => TraceResult::Fails(after, AttemptErrorKind::Unreachable.into()),
        2..=4 => TraceResult::Fails(after, AttemptErrorKind::Refused.into()),
        5 => TraceResult::Fails(after, AttemptErrorKind::Reset.into()),
        6 => TraceResult::Fails(
            after,
            AttemptErrorKind::Tls(rng.pick(&[TlsFailure::NotTls, TlsFailure::CertificateName])).into(),
        ),
        7 => {
            let error = AttemptError::new(AttemptErrorKind::Other);
            TraceResult::Fails(after, error.with_number(rng.below(256) as i32))
        }
        _ => TraceResult::Silent,
    }
}

/// What the resolver says, and when.
fn news(addresses: &[SocketAddr], rng: &mut Rng) -> Vec<(u64, TraceEvent)> {
    if rng.chance(15) {
        return vec![(0, TraceEvent::Addresses(addresses.to_vec()))];
    }
    let mut news = Vec::new();
    for family in [Family::V6, Family::V4] {
        let own: Vec<_> = addresses.iter().copied().filter(|address| Family::of(address) == family).collect();
        let at = if rng.chance(50) { 0 } else { moment(1_000_000, rng) };
        if rng.chance(20) {
            let before = rng.within(0, at.max(1));
            news.push((before, TraceEvent::Hinted(family, some(&own, rng))));
        }
        match rng.below(20) {
            0 => {}
            1 => news.push((at, TraceEvent::ResolutionFailed(family))),
            2 => news.push((at, TraceEvent::Resolved(family, Vec::new()))),
            3..=8 => {
                // Some join and some leave.
                news.push((at, TraceEvent::Resolved(family, some(&own, rng))));
                for _ in 0..rng.within(1, 3) {
                    let later = at + moment(1_000_000, rng);
                    news.push((later, TraceEvent::Resolved(family, some(&own, rng))));
                }
                if rng.chance(30) {
                    news.push((at + moment(1_000_000, rng), TraceEvent::ResolutionFailed(family)));
                }
            }
            9 => {
                // Some twice, and one of the other family.
                let mut list = own.clone();
                list.extend(some(&own, rng));
                list.extend(addresses.first());
                news.push((at, TraceEvent::Resolved(family, list)));
            }
            _ => news.push((at, TraceEvent::Resolved(family, own))),
        }
    }
    news
}

/// Some of `all`, now and then in another order.
fn some(all: &[SocketAddr], rng: &mut Rng) -> Vec<SocketAddr> {
    let share = rng.pick(&[0, 30, 60, 90]);
    let mut some: Vec<_> = all.iter().copied().filter(|_| rng.chance(share)).collect();
    if rng.chance(20) {
        some.reverse();
    }
    some
}

/// What goes wrong beside the addresses: mostly nothing.
fn trouble(plan: &mut TracePlan, rng: &mut Rng) {
    if rng.chance(12) {
        plan.stack.sockets = Some(rng.within(0, 6) as usize);
    }
    if rng.chance(8) {
        plan.stack.runs_out_at = Some(rng.within(1, 8) as usize);
    }
    if rng.chance(30) {
        plan.stack.says_so_after = rng.within(1, 300_000);
        // Before it says so, an answer takes some of the addresses back.
        if (plan.stack.sockets.is_some() || plan.stack.runs_out_at.is_some()) && rng.chance(70) {
            let family = rng.pick(&[Family::V4, Family::V6]);
            let own = plan.hosts.iter().map(|host| host.address);
            let own: Vec<_> = own.filter(|address| Family::of(address) == family).collect();
            let at = rng.within(0, plan.stack.says_so_after);
            plan.news.push((at, TraceEvent::Resolved(family, some(&own, rng))));
        }
    }
    if rng.chance(8) {
        plan.stack.lacks = Some(rng.pick(&[Family::V4, Family::V6]));
    }
    let mut at = |percent, rng: &mut Rng, news| {
        if rng.chance(percent) {
            plan.news.push((moment(1_500_000, rng), news));
        }
    };
    at(5, rng, TraceEvent::Gone);
    at(10, rng, TraceEvent::Cancel);
    let sockets = rng.within(0, 4) as usize;
    at(10, rng, TraceEvent::LimitTo(sockets));
    let family = rng.pick(&[Family::V4, Family::V6]);
    at(10, rng, TraceEvent::Prefer(family));
}

/// A plan put together by hand: for the cases. Both answers are there at once, and all times are
/// milliseconds.
impl TracePlan {
    pub(crate) fn new(config: Config) -> Self {
        TracePlan {
            config,
            start: Instant::ZERO,
            room: TraceSize::Large,
            hosts: Vec::new(),
            news: Vec::new(),
            stack: TraceStack::default(),
            wakes: Wakes::OnTime,
            seed: 0,
            interleaves: false,
            tells_late_results: false,
        }
    }

    /// Addresses and what becomes of an attempt on them: `6a=ok20 4a=refused5 4b=hang`.
    pub(crate) fn hosts(mut self, hosts: &str) -> Self {
        for host in hosts.split_whitespace() {
            let (name, attempts) = host.split_once('=').expect("ADDRESS=RESULT");
            let attempts = attempts.split(',').map(parse).collect();
            self.hosts.push(TraceHost { address: address(name), attempts });
        }
        self
    }

    /// `count` addresses of the family `4` or `6` that all do the same, named on from the last.
    pub(crate) fn many(self, count: usize, family: char, does: &str) -> Self {
        (0..count).fold(self, |plan, _| {
            let own = plan.hosts.iter().filter(|host| label(host.address).starts_with(family)).count();
            let digit = if family == '4' { Family::V4 } else { Family::V6 };
            let next = label(numbered(digit, own as u16 + 1));
            plan.hosts(&format!("{next}={does}"))
        })
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut TracePlan)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn at(mut self, millis: u64, news: TraceEvent) -> Self {
        self.news.push((millis * 1_000, news));
        self.news.sort_by_key(|(at, _)| *at);
        self
    }

    /// The answer about `family` comes at `millis` and holds all its addresses. What has no answer of its own
    /// is answered at 0.
    pub(crate) fn answer(self, millis: u64, family: Family) -> Self {
        let own = self.hosts.iter().map(|host| host.address).filter(|address| Family::of(address) == family);
        let own = own.collect();
        self.at(millis, TraceEvent::Resolved(family, own))
    }

    /// All addresses are known at the start.
    pub(crate) fn answered(self) -> Self {
        self.answer(0, Family::V6).answer(0, Family::V4)
    }
}

fn numbered(family: Family, number: u16) -> SocketAddr {
    match family {
        Family::V4 => SocketAddr::from((Ipv4Addr::from(0xc000_0200 + u32::from(number)), 80)),
        Family::V6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 80)),
    }
}

/// `ok20`, `refused5`, `unreachable0`, `reset20` or `hang`.
fn parse(text: &str) -> TraceResult {
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (word, millis) = text.split_at(digits);
    let after = millis.parse::<u64>().unwrap_or(0) * 1_000;
    match word {
        "ok" => TraceResult::Succeeds(after),
        "refused" => TraceResult::Fails(after, AttemptErrorKind::Refused.into()),
        "unreachable" => TraceResult::Fails(after, AttemptErrorKind::Unreachable.into()),
        "reset" => TraceResult::Fails(after, AttemptErrorKind::Reset.into()),
        "hang" => TraceResult::Silent,
        _ => panic!("no result: {text:?}"),
    }
}
