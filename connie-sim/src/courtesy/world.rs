//! One client, the sites that it visits, and the paths between.
//!
//! All that happens derives from the seed and the time alone, so that each policy meets the same network.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::Network;
use connie_core::{Family, Instant};

use super::draw;
use super::setting::{CourtesyEvent, Distance, Setting};
use crate::host::{SimHost, Span, hang, ok, refuse, unreachable};
use crate::rng::Rng;

const SECOND: f64 = 1e6;
const HOUR: f64 = 3_600.0 * SECOND;
/// How long anybody tries.
pub(super) const PATIENT: Duration = Duration::from_secs(5);
/// How long a path that loses packets one after the other does so.
const BURST: f64 = 0.3 * SECOND;
/// How long one loses a single one.
const BLINK: f64 = 0.002 * SECOND;
/// How long an address that is dead remains so.
const DEAD: f64 = 0.5 * HOUR;
/// Of how many addresses one is dead.
const DEAD_V4: f64 = 0.036;
const DEAD_V6: f64 = 0.032;
/// How many sites a client visits.
pub(super) const SITES: usize = 4;

/// A client and what is around it.
pub(super) struct World {
    seed: u64,
    setting: Setting,
    /// Microseconds of jitter that all of its paths have in common.
    jitter: f64,
    /// The share of SYNs that are lost.
    loss: f64,
    /// How long it is from one stall to the next.
    stalls_each: f64,
    stall: Span,
    stalls: Rng,
    breaks_v6: bool,
    sites: Vec<Vec<NetworkPath>>,
    network: Network,
    visits: Vec<DueVisit>,
    next: usize,
}

/// A visit that is to come.
#[derive(Clone, Copy, Debug)]
struct DueVisit {
    at: f64,
    site: usize,
    event: Option<CourtesyEvent>,
}

/// One visit as all policies meet it.
pub(super) struct WorldVisit {
    pub(super) at: Instant,
    pub(super) site: usize,
    pub(super) network: Network,
    /// The addresses of the answer, in its order, and what is behind each.
    pub(super) answer: Vec<(SocketAddr, SimHost)>,
    /// Whether the event of the setting has happened.
    pub(super) since: bool,
    /// Whether the client was not at this site by this network in the last hour.
    pub(super) is_first: bool,
}

/// The way to one address. Times are microseconds.
struct NetworkPath {
    address: SocketAddr,
    /// What its changes are drawn from.
    route: Rng,
    rng: Rng,
    /// The round trip that it was drawn with.
    base: f64,
    /// What it is now.
    round_trip: f64,
    changes_each: f64,
    /// When it changes next.
    changes: f64,
    /// The share of its time in which it is dead.
    dead: f64,
    /// How it is dead, while it is.
    death: Option<Death>,
    /// When that changes.
    turns: f64,
}

#[derive(Clone, Copy)]
enum Death {
    Silent,
    Refuses,
    Unreachable,
}

impl World {
    pub(super) fn new(setting: &Setting, seed: u64) -> Self {
        let mut rng = Rng::new(Rng::new(seed ^ 0xc0a7).bits());
        let wireless = rng.chance(50);
        let has_v6 = rng.chance(50);
        let broken = draw::between(&mut rng, 0.014, 0.05);
        let breaks_v6 = draw::happens(&mut rng, broken);
        let mut sites: Vec<Vec<NetworkPath>> = Vec::new();
        for site in 0..SITES {
            sites.push(paths(setting, site, has_v6, &mut rng));
        }
        let visits = schedule(setting, &mut rng);
        let network = home(has_v6);
        World {
            seed,
            setting: setting.clone(),
            jitter: if wireless { 30_000.0 } else { 5_000.0 } * setting.jitter,
            loss: setting.loss * rng.pick(&[0.005, 0.01, 0.02]),
            stalls_each: if wireless { 300.0 * SECOND } else { HOUR },
            stall: (Instant::ZERO, Instant::ZERO),
            stalls: Rng::new(rng.bits()),
            breaks_v6,
            sites,
            network,
            visits,
            next: 0,
        }
    }

    /// The next visit.
    pub(super) fn next(&mut self) -> Option<WorldVisit> {
        let due = *self.visits.get(self.next)?;
        let mut rng = Rng::new(Rng::new(self.seed ^ ((self.next as u64 + 1) << 24)).bits());
        let event = self.visits[..=self.next].iter().rposition(|it| it.event.is_some());
        let moved = event.filter(|at| matches!(self.visits[*at].event, Some(CourtesyEvent::Moves)));
        let here = &self.visits[moved.unwrap_or(0)..self.next];
        let last = here.iter().rfind(|earlier| earlier.site == due.site);
        let is_first = last.is_none_or(|last| due.at - last.at > HOUR);
        let since = event.is_some();
        self.next += 1;
        if let Some(event) = due.event {
            self.befalls(event);
        }
        let at = micros(due.at);
        let held = self.stall_at(due.at);
        let shared = draw::humped(&mut rng, self.jitter);
        let in_portal = self.setting.portal && !since;
        let mut answer = Vec::new();
        for path in &mut self.sites[due.site] {
            path.advance(due.at);
            let mut host = if in_portal { ok(3) } else { path.host(shared, self.setting.jitter, &mut rng) };
            if self.breaks_v6 && path.address.is_ipv6() {
                host = hang();
            }
            for (from, to) in losses(due.at, self.loss, &mut rng) {
                host = host.loses_between(from, to);
            }
            if let Some((from, to)) = held {
                host = host.held_between(from, to);
            }
            answer.push((path.address, host));
        }
        draw::shuffle(&mut rng, &mut answer);
        answer.truncate(self.setting.answered);
        Some(WorldVisit { at, site: due.site, network: self.network, answer, since, is_first })
    }

    fn befalls(&mut self, event: CourtesyEvent) {
        match event {
            CourtesyEvent::Nothing => {}
            CourtesyEvent::Moves => {
                let v6 = self.network.v6.and_then(|_| "2001:db8:fe::1".parse().ok());
                self.network = Network::new("198.51.100.7".parse().ok(), v6);
                self.paths_change();
            }
            CourtesyEvent::PathsChange => self.paths_change(),
            CourtesyEvent::BestDies => {
                for site in &mut self.sites {
                    let best = site.iter_mut().filter(|path| path.death.is_none());
                    let best = best.min_by(|a, b| a.round_trip.total_cmp(&b.round_trip));
                    if let Some(best) = best {
                        (best.death, best.turns) = (Some(Death::Silent), f64::INFINITY);
                    }
                }
            }
        }
    }

    fn paths_change(&mut self) {
        let distance = self.setting.distance;
        for (number, site) in self.sites.iter_mut().enumerate() {
            let common = distance.common(number, &mut self.stalls);
            for path in site {
                path.base = distance.draw(number, common, &mut path.rng);
                path.round_trip = path.base;
            }
        }
    }

    /// The stall that lies within the time of a visit at `at`, or around its start.
    fn stall_at(&mut self, at: f64) -> Option<Span> {
        while self.stall.1 <= micros(at) {
            let from =
                self.stall.1.as_micros() as f64 + draw::exponential(&mut self.stalls, self.stalls_each);
            let to = from + draw::between(&mut self.stalls, SECOND, 3.0 * SECOND);
            self.stall = (micros(from), micros(to));
        }
        Some(self.stall).filter(|(from, _)| *from < micros(at) + PATIENT)
    }
}

fn micros(at: f64) -> Instant {
    Instant::from_micros(at as u64)
}

fn home(has_v6: bool) -> Network {
    let v6 = has_v6.then(|| "2001:db8:ff::1".parse().ok()).flatten();
    Network::new("192.0.2.200".parse().ok(), v6)
}

/// The paths to one site. Half of the addresses are IPv6 where the client has that.
fn paths(setting: &Setting, site: usize, has_v6: bool, rng: &mut Rng) -> Vec<NetworkPath> {
    let count = setting.addresses.draw(rng);
    let common = setting.distance.common(site, rng);
    let one_place = setting.distance == Distance::OnePlace;
    let route = rng.bits();
    let mut paths = Vec::new();
    for place in 0..count {
        let family = if has_v6 && place % 2 == 0 { Family::V6 } else { Family::V4 };
        let address = address(family, site as u16, place as u16, one_place);
        let base = setting.distance.draw(site, common, rng);
        let dead = setting.dead * if family == Family::V6 { DEAD_V6 } else { DEAD_V4 };
        // One place is reached by one way.
        let route = if one_place { route } else { rng.bits() };
        paths.push(NetworkPath::new(address, base, dead, HOUR / setting.changes, [route, rng.bits()]));
    }
    paths
}

/// An address in a prefix of its own, or of its site where that is one place. IPv4: of 198.18.0.0/15, which
/// is for benchmarks (RFC 2544).
fn address(family: Family, site: u16, place: u16, one_place: bool) -> SocketAddr {
    let (prefix, host) = if one_place { (site, place + 1) } else { (site * 64 + place, 1) };
    match family {
        Family::V4 => ([198, 18, prefix as u8, host as u8], 443).into(),
        Family::V6 => ([0x2001, 0xdb8, prefix, 0, 0, 0, 0, host], 443).into(),
    }
}

/// When the client visits whom: one site some times in a row, and after some minutes one again.
fn schedule(setting: &Setting, rng: &mut Rng) -> Vec<DueVisit> {
    let mut visits = Vec::new();
    let (mut at, mut site) = (60.0 * SECOND, 0);
    let count = setting.visits * SITES;
    for number in 0..count {
        let rare = rng.below(count as u64 * 10);
        let event = match setting.event {
            Some(event) => (number == count / 2).then_some(event),
            // One client of ten is somewhere else from some time on.
            None => (rare == 0).then_some(CourtesyEvent::Moves),
        };
        if draw::happens(rng, 1.0 / setting.in_a_row) {
            site = rng.below(SITES as u64) as usize;
            at += draw::exponential(rng, setting.minutes * 60.0 * SECOND);
        }
        visits.push(DueVisit { at, site, event });
        // Nobody tries longer than `PATIENT`: a visit has ended when the next begins.
        at += PATIENT.as_micros() as f64 + draw::exponential(rng, 15.0 * SECOND);
        // One client of ten sleeps.
        if rare == 1 {
            at += 9.0 * HOUR;
        }
    }
    visits
}

/// When a path loses what is sent, in the time of a visit at `at`: half of all losses come in bursts.
fn losses(at: f64, loss: f64, rng: &mut Rng) -> Vec<Span> {
    let mut spans = Vec::new();
    let end = at + PATIENT.as_micros() as f64;
    for length in [BLINK, BURST] {
        let each = 2.0 * length / loss;
        let mut from = at - 10.0 * length + draw::exponential(rng, each);
        while from < end {
            let to = from + draw::exponential(rng, length);
            if to > at {
                spans.push((micros(from), micros(to)));
            }
            from += draw::exponential(rng, each);
        }
    }
    spans
}

impl NetworkPath {
    fn new(address: SocketAddr, base: f64, dead: f64, changes_each: f64, seeds: [u64; 2]) -> Self {
        let [mut route, mut rng] = seeds.map(Rng::new);
        let is_dead = draw::happens(&mut rng, dead);
        let changes = draw::exponential(&mut route, changes_each);
        let (round_trip, death, turns) = (base, None, 0.0);
        let mut path =
            NetworkPath { address, route, rng, base, round_trip, changes_each, changes, dead, death, turns };
        path.turn(is_dead);
        path
    }

    /// It dies, or comes back.
    fn turn(&mut self, is_dead: bool) {
        let lasts = if is_dead { DEAD } else { DEAD * (1.0 - self.dead) / self.dead };
        let rng = &mut self.rng;
        self.turns += draw::exponential(rng, lasts);
        self.death = is_dead.then(|| match rng.below(10) {
            0..=6 => Death::Silent,
            7 | 8 => Death::Refuses,
            _ => Death::Unreachable,
        });
    }

    fn advance(&mut self, to: f64) {
        while self.changes <= to {
            let by = 1.0 + draw::between(&mut self.route, 0.2, 0.5);
            let other = if self.route.chance(50) { self.base * by } else { self.base / by };
            // There, and back.
            self.round_trip = if self.is_detour() { self.base } else { other };
            self.changes += draw::exponential(&mut self.route, self.changes_each);
        }
        while self.turns <= to {
            let is_dead = self.death.is_none();
            self.turn(is_dead);
        }
    }

    fn is_detour(&self) -> bool {
        (self.round_trip - self.base).abs() > 1.0
    }

    /// Its own jitter is a millisecond and a fiftieth of its round trip.
    fn host(&self, shared: f64, jitter: f64, rng: &mut Rng) -> SimHost {
        let own = draw::spiky(rng, jitter * (1_000.0 + self.round_trip / 50.0));
        let host = match self.death {
            None => ok(0),
            Some(Death::Refuses) => refuse(0),
            Some(Death::Unreachable) => unreachable(0),
            Some(Death::Silent) => hang(),
        };
        host.plus_micros((self.round_trip + shared + own) as u64)
    }
}
