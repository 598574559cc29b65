//! Sites of the simulated internet to measure clients on: what their addresses do, and one connection to one
//! of them.

use connie_core::{Config, Family};

use crate::host::{SimHost, hang, ok, refuse};
use crate::label::{label, numbered};
use crate::outcome::RaceOutcome;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::visits::{SimVisit, Visits};

/// A site with a name and addresses that each do something of their own.
#[derive(Clone, Debug)]
pub struct Site {
    /// A name of the domain that is reserved for this (RFC 6761).
    pub name: &'static str,
    /// What its addresses do, in a few words.
    pub about: &'static str,
    v6: Vec<SimHost>,
    v4: Vec<SimHost>,
}

/// How a client connects to a site.
#[derive(Clone, Debug)]
pub enum SiteClient {
    /// A race over all addresses.
    Race(Config),
    /// One attempt, on an address drawn at random.
    OneAddress,
}

/// The sites, from the harmless to the broken.
#[must_use]
pub fn all() -> Vec<Site> {
    let alive = |trips: &[u64]| trips.iter().map(|trip| ok(*trip)).collect::<Vec<_>>();
    vec![
        Site {
            name: "alive.test",
            about: "twelve addresses, all alive",
            v6: alive(&[120, 90, 60, 200, 150, 45]),
            v4: alive(&[110, 80, 30, 180, 140, 70]),
        },
        Site {
            name: "first-dead.test",
            about: "four addresses, the first is dead",
            v6: vec![hang(), ok(45)],
            v4: alive(&[40, 60]),
        },
        Site {
            name: "ipv6-broken.test",
            about: "six addresses, IPv6 leads nowhere",
            v6: vec![hang(), hang(), hang()],
            v4: alive(&[40, 60, 90]),
        },
        Site {
            name: "lossy.test",
            about: "four addresses, one SYN in five is lost",
            v6: alive(&[40, 50]).into_iter().map(|host| host.loss(20)).collect(),
            v4: alive(&[45, 60]).into_iter().map(|host| host.loss(20)).collect(),
        },
        Site {
            name: "mostly-dead.test",
            about: "twelve addresses, nine dead, two refuse, one alive",
            v6: vec![hang(), refuse(30), hang(), hang(), hang(), hang()],
            v4: vec![hang(), hang(), refuse(25), hang(), ok(40), hang()],
        },
    ]
}

impl Site {
    /// How many addresses it has.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.v6.len() + self.v4.len()
    }

    /// `client` connects once. Round trips vary by up to 5 ms, as `seed` has it.
    #[must_use]
    pub fn visit(&self, client: &SiteClient, seed: u64) -> RaceOutcome {
        let mut rng = Rng::new(seed);
        match client {
            SiteClient::Race(config) => self.scenario(seed, |_| true).under(config.clone()).show(),
            SiteClient::OneAddress => {
                let drawn = rng.below(self.addresses() as u64) as usize;
                self.scenario(seed, |place| place == drawn).under(Config::one_by_one()).show()
            }
        }
    }

    /// `client` connects `count` times, 200 ms apart, with a memory of its own where it `remembers`. Round
    /// trips vary as with [`visit`](Site::visit).
    #[must_use]
    pub fn visits(&self, client: &SiteClient, remembers: bool, count: u32, seed: u64) -> Vec<SimVisit> {
        let mut rng = Rng::new(seed);
        let one = Config::one_by_one();
        let (config, draws) = match client {
            SiteClient::Race(config) => (config, false),
            SiteClient::OneAddress => (&one, true),
        };
        let mut visits = Visits::new(config, seed);
        self.name.clone_into(&mut visits.host);
        if !remembers {
            visits.memory = None;
        }
        let of = |family, hosts: &[SimHost]| {
            let hosts = (1..).zip(hosts.to_vec());
            hosts.map(move |(number, host)| (label(numbered(family, number)), host)).collect::<Vec<_>>()
        };
        let hosts = [of(Family::V6, &self.v6), of(Family::V4, &self.v4)].concat();
        let labels: Vec<String> = hosts.iter().map(|(label, _)| label.clone()).collect();
        for (label, host) in hosts {
            visits.put(&label, host.jitter(5));
        }
        visits.answer(&labels.join(" "));
        let visit = |_| {
            if draws {
                visits.answer(&labels[rng.below(labels.len() as u64) as usize]);
            }
            visits.visit()
        };
        (0..count).map(visit).collect()
    }

    fn scenario(&self, seed: u64, among: impl Fn(usize) -> bool) -> Scenario {
        let v6 = self.v6.iter().map(|host| (Family::V6, host));
        let v4 = self.v4.iter().map(|host| (Family::V4, host));
        let hosts = v6.chain(v4).enumerate().filter(|(place, _)| among(*place));
        hosts.fold(Scenario::all_at_once().seed(seed), |scenario, (_, (family, host))| match family {
            Family::V6 => scenario.v6(host.clone().jitter(5)),
            Family::V4 => scenario.v4(host.clone().jitter(5)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> Site {
        all().into_iter().find(|site| site.name == name).unwrap()
    }

    #[test]
    fn a_race_connects_wherever_something_lives() {
        for site in all() {
            for seed in 0..50 {
                let race = Config::all_at_once().max_in_flight(16);
                let outcome = site.visit(&SiteClient::Race(race), seed);
                assert!(outcome.time_to_connect().is_some(), "{} {seed}", site.name);
            }
        }
    }

    /// A visit is run without a referee.
    #[test]
    fn a_visit_keeps_the_laws() {
        for site in all() {
            let scenario = site.scenario(5, |_| true).under(Config::staggered().max_in_flight(4));
            assert_eq!(scenario.show(), scenario.run(), "{}", site.name);
        }
    }

    #[test]
    fn one_address_is_drawn_evenly_and_may_be_dead() {
        let site = site("first-dead.test");
        let alive = (0..400).filter(|seed| {
            let outcome = site.visit(&SiteClient::OneAddress, *seed);
            assert_eq!(outcome.attempts().count(), 1);
            outcome.time_to_connect().is_some()
        });
        let alive = alive.count();
        assert!((260..340).contains(&alive), "three of four addresses live: {alive} of 400");
    }

    #[test]
    fn with_a_memory_the_later_visits_to_a_site_where_all_live_send_one_syn() {
        let race = SiteClient::Race(Config::all_at_once().max_in_flight(16));
        for (remembers, most) in [(true, 33), (false, 360)] {
            let visits = site("alive.test").visits(&race, remembers, 31, 3);
            assert_eq!((visits.len(), visits[0].syns), (31, 12));
            let later: u32 = visits[1..].iter().map(|visit| visit.syns).sum();
            assert!((if remembers { 30 } else { 360 }..=most).contains(&later), "{remembers}: {later}");
        }
    }

    #[test]
    fn of_visits_to_one_address_each_draws_one() {
        let visits = site("first-dead.test").visits(&SiteClient::OneAddress, false, 100, 3);
        assert!(visits.iter().all(|visit| visit.syns == 1 && visit.wasted == 0));
        let dead = visits.iter().filter(|visit| visit.winner.is_none()).count();
        assert!((15..40).contains(&dead), "one of four addresses is dead: {dead} of 100");
    }

    /// The first visit is the one that [`Site::visit`] makes.
    #[test]
    fn a_first_visit_is_the_only_one() {
        for config in [Config::all_at_once().max_in_flight(16), Config::staggered()] {
            let client = SiteClient::Race(config);
            for (site, seed) in all().iter().flat_map(|site| (0..5).map(move |seed| (site, seed))) {
                let first = &site.visits(&client, true, 1, seed)[0];
                assert_eq!(first.took, site.visit(&client, seed).elapsed, "{} {seed}", site.name);
            }
        }
    }

    #[test]
    fn a_seed_replays_a_visit() {
        let visit = |seed| site("lossy.test").visit(&SiteClient::Race(Config::staggered()), seed).end_list();
        assert_eq!(visit(3), visit(3));
        assert!((0..20).any(|seed| visit(seed) != visit(3)));
    }
}
