//! What connie costs the network beside other clients, over paths that change: **regret against SYNs**.
//!
//! A client visits some sites over and over, by the real race with a real memory ([`Visits`]) or by a model
//! of another client. Each policy meets the same network at the same times. The oracle of a visit is the
//! fastest handshake that could be had in it, by a SYN sent to each address at its start; what a policy takes
//! beyond that is its **regret**.

mod dial;
mod draw;
mod networks;
mod rival;
mod setting;
mod world;

use std::time::Duration;

use connie_core::Config;
use connie_core::memory::MemorySettings;

use crate::visits::Visits;
use dial::Dialled;
pub use networks::{Lab, Wanted};
pub use rival::Rival;
use rival::Rivalry;
pub use setting::{AddressCount, CourtesyEvent, Distance, Setting};
use world::{PATIENT, World, WorldVisit};

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CourtesyPolicy {
    /// connie as it is, with a memory.
    Connie,
    /// All at once, each time.
    AllAtOnce,
    /// connie with a memory that starts the second 100 ms after the lead at the least.
    ConnieSlow,
    /// connie's `Staggered` with a memory.
    Staggered,
    /// A model of another client.
    Rival(Rival),
}

/// What visits cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// How many came to a connection.
    pub visits: u64,
    /// How many did not within five seconds, though there was one to be had.
    pub lost: u64,
    /// Milliseconds beyond the oracle of each; what was lost counts as five seconds.
    pub regrets: Vec<f32>,
    /// Attempts, of which each is a SYN at least.
    pub syns: u64,
    /// Handshakes that a server did for nothing.
    pub wasted: u64,
}

/// What a policy costs in a setting.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// The first visits to a site by a network, for which nobody can know anything.
    pub first: Cost,
    /// All others.
    pub later: Cost,
    /// Of those the first, the second and so on to a site since the event of the setting.
    pub since: Vec<Cost>,
}

/// For how many visits behind an event their cost is kept apart.
const SINCE: usize = 6;

/// Lets the client of `seed` make all its visits.
#[must_use]
pub fn run(setting: &Setting, policy: CourtesyPolicy, seed: u64) -> Costs {
    let mut world = World::new(setting, seed);
    let mut client = CourtesyClient::new(policy, seed);
    let mut costs = Costs { since: vec![Cost::default(); SINCE], ..Costs::default() };
    let mut visited = [0; world::SITES];
    while let Some(visit) = world.next() {
        let oracle = oracle(&visit);
        let dialled = client.visit(&visit);
        let number = visited[visit.site];
        visited[visit.site] += usize::from(visit.since);
        // Where nothing can be had nobody has anything to regret.
        let Some(oracle) = oracle else { continue };
        let cost = if visit.is_first { &mut costs.first } else { &mut costs.later };
        cost.count(&dialled, oracle);
        if let Some(cost) = costs.since.get_mut(number).filter(|_| visit.since) {
            cost.count(&dialled, oracle);
        }
    }
    costs
}

/// How long the fastest handshake of a visit takes.
fn oracle(visit: &WorldVisit) -> Option<Duration> {
    let ends = visit.answer.iter().filter_map(|(_, host)| dial::end(host, visit.at, PATIENT));
    let first = ends.filter(|end| end.accepts).map(|end| end.at).min()?;
    Some(first.duration_since(visit.at)).filter(|time| *time <= PATIENT)
}

/// Who visits.
enum CourtesyClient {
    Connie(Box<Visits>),
    Rival(Rival, Rivalry),
}

impl CourtesyClient {
    fn new(policy: CourtesyPolicy, seed: u64) -> Self {
        let config = match policy {
            CourtesyPolicy::Rival(rival) => return CourtesyClient::Rival(rival, Rivalry::default()),
            CourtesyPolicy::Staggered => Config::staggered(),
            CourtesyPolicy::Connie | CourtesyPolicy::AllAtOnce | CourtesyPolicy::ConnieSlow => {
                Config::all_at_once()
            }
        };
        let config = config.clone().deadline(Some(PATIENT));
        let mut visits = Visits::new(&config, seed);
        visits.pause = Duration::ZERO;
        if policy == CourtesyPolicy::AllAtOnce {
            visits.memory = None;
        }
        if let Some(memory) = visits.memory.as_mut().filter(|_| policy == CourtesyPolicy::ConnieSlow) {
            let mut settings = MemorySettings::default();
            settings.least_delay = Duration::from_millis(100);
            memory.set_settings(&settings);
        }
        CourtesyClient::Connie(Box::new(visits))
    }

    fn visit(&mut self, visit: &WorldVisit) -> Dialled {
        match self {
            CourtesyClient::Rival(rival, rivalry) => rivalry.visit(*rival, visit),
            CourtesyClient::Connie(visits) => {
                let addresses: Vec<_> = visit.answer.iter().map(|(address, _)| *address).collect();
                for (address, host) in &visit.answer {
                    visits.put_at(*address, host.clone());
                }
                visits.answer_with(&addresses);
                visits.network = visit.network;
                visits.host = format!("site{}.test", visit.site);
                visits.wait(visit.at.duration_since(visits.now()));
                let came = visits.visit();
                Dialled {
                    winner: came.address.map(|address| (address, came.took)),
                    took: came.took,
                    syns: came.syns,
                    wasted: came.wasted,
                    sent_again: false,
                }
            }
        }
    }
}

impl Cost {
    fn count(&mut self, dialled: &Dialled, oracle: Duration) {
        let took = dialled.winner.map_or(PATIENT, |_| dialled.took);
        self.visits += u64::from(dialled.winner.is_some());
        self.lost += u64::from(dialled.winner.is_none());
        self.regrets.push(((took.as_secs_f64() - oracle.as_secs_f64()) * 1e3) as f32);
        self.syns += u64::from(dialled.syns);
        self.wasted += u64::from(dialled.wasted);
    }

    /// Adds what others cost.
    pub fn add(&mut self, other: &Cost) {
        self.visits += other.visits;
        self.lost += other.lost;
        self.regrets.extend(&other.regrets);
        self.syns += other.syns;
        self.wasted += other.wasted;
    }

    fn each(&self, of: f64) -> f64 {
        of / self.regrets.len().max(1) as f64
    }

    /// The mean regret, in milliseconds.
    #[must_use]
    pub fn regret(&self) -> f64 {
        self.each(self.regrets.iter().map(|regret| f64::from(*regret)).sum())
    }

    /// The regret that `percent` of 100 visits do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.regrets.clone();
        sorted.sort_by(f32::total_cmp);
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().map_or(0.0, f64::from)
    }

    /// SYNs a visit.
    #[must_use]
    pub fn syns(&self) -> f64 {
        self.each(self.syns as f64)
    }

    /// Handshakes a visit that a server did for nothing.
    #[must_use]
    pub fn wasted(&self) -> f64 {
        self.each(self.wasted as f64)
    }
}

impl Costs {
    /// Adds what others cost.
    pub fn add(&mut self, other: &Costs) {
        self.first.add(&other.first);
        self.later.add(&other.later);
        self.since.resize(other.since.len().max(self.since.len()), Cost::default());
        for (mine, its) in self.since.iter_mut().zip(&other.since) {
            mine.add(its);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model of dialling is that of the real race, to the microsecond.
    #[test]
    fn all_at_once_takes_what_the_oracle_does() {
        // A SYN that is lost may be overtaken by a hedge.
        let setting = Setting { loss: 0.0, ..Setting::TWELVE };
        crate::seeds(4, |seed| {
            let costs = run(&setting, CourtesyPolicy::AllAtOnce, seed);
            let (first, later) = (&costs.first, &costs.later);
            assert!(later.visits > 100 && later.lost + first.lost == 0, "{}", later.visits);
            assert!(first.regrets.iter().chain(&later.regrets).all(|regret| *regret == 0.0));
        });
    }

    /// Of what nobody remembers, the model of Happy Eyeballs and the real one come to the same.
    #[test]
    fn happy_eyeballs_is_the_race_that_is_staggered() {
        crate::seeds(300, |seed| {
            let visit = || World::new(&Setting::TWELVE, seed).next().expect("a first visit");
            let real = CourtesyClient::new(CourtesyPolicy::Staggered, seed).visit(&visit());
            let model =
                CourtesyClient::new(CourtesyPolicy::Rival(Rival::HappyEyeballs), seed).visit(&visit());
            assert_eq!((real.took, real.syns, real.wasted), (model.took, model.syns, model.wasted));
            assert_eq!(real.winner.map(|it| it.0), model.winner.map(|it| it.0));
        });
    }

    #[test]
    fn all_policies_meet_the_same_network() {
        let counts = |policy| {
            let costs = run(&Setting::TWELVE, policy, 1);
            (costs.first.regrets.len(), costs.later.regrets.len())
        };
        let connie = counts(CourtesyPolicy::Connie);
        assert_eq!(counts(CourtesyPolicy::Rival(Rival::Apple)), connie);
        assert_eq!(counts(CourtesyPolicy::AllAtOnce), connie);
    }

    #[test]
    fn a_seed_replays_its_client() {
        let costs = || format!("{:?}", run(&Setting::PORTAL, CourtesyPolicy::Connie, 7));
        assert_eq!(costs(), costs());
        assert_ne!(costs(), format!("{:?}", run(&Setting::PORTAL, CourtesyPolicy::Connie, 8)));
    }

    /// Whoever is on another network meets each site anew, as who was away for long does; else nobody does.
    #[test]
    fn a_first_visit_is_one_to_a_site_of_which_nothing_is_known() {
        let firsts = |minutes, event| {
            let setting = Setting { in_a_row: 1.0, minutes, ..Setting::until("it happens", event) };
            let costs = run(&setting, CourtesyPolicy::AllAtOnce, 2);
            (costs.first.regrets.len(), costs.later.regrets.len())
        };
        assert_eq!(firsts(1.0, CourtesyEvent::PathsChange).0, world::SITES);
        assert_eq!(firsts(1.0, CourtesyEvent::Moves).0, 2 * world::SITES);
        let (rare, others) = firsts(600.0, CourtesyEvent::PathsChange);
        assert!(rare > 10 * others, "{rare} {others}");
    }

    /// Of paths that stay as they are the fastest is known after one visit.
    #[test]
    fn a_memory_spares_the_syns() {
        let still = Setting { loss: 0.0, dead: 0.0, changes: 0.0, jitter: 0.0, ..Setting::TWELVE };
        let calm = Setting { minutes: 1.0, ..still };
        let (connie, whole) =
            (run(&calm, CourtesyPolicy::Connie, 3).later, run(&calm, CourtesyPolicy::AllAtOnce, 3).later);
        assert!(connie.syns() < 1.3 && whole.syns() > 11.0, "{} {}", connie.syns(), whole.syns());
        assert!(connie.regret() < 1.0, "{}", connie.regret());
    }
}
