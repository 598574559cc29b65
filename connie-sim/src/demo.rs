//! The twelve addresses of a big site, some dead, some slow, some refusing, and twenty visits of three
//! clients to it.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{AddressPart, Explanation};
use connie_core::{Config, Family};

use crate::host::{SimHost, hang, ok, refuse, unreachable};
use crate::label::{label, numbered};
use crate::visits::{SimVisit, Visits};

/// The name of the site.
pub const HOST: &str = "www.example.com";
/// The port that is connected to.
pub const PORT: u16 = 80;
/// Which visits are shown. Before the last of them the best address has died.
pub const SHOWN: [u32; 3] = [1, 2, 20];

/// One of the site's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoAddress {
    /// The address.
    pub address: SocketAddr,
    /// What it does, in a few words: `dead`, `answers in 38 ms`.
    pub does: &'static str,
}

/// One client, and what came of its visits.
#[derive(Clone, Debug)]
pub struct Lane {
    /// What to call it: `connie`, `Happy Eyeballs`, `plain client`.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: String,
    /// The visits that are [shown](SHOWN).
    pub visits: [SimVisit; 3],
    /// Why each of them did what it did, by its memory; nothing without one.
    pub plans: [Option<String>; 3],
    /// How many SYNs the visits between the second and the last took.
    pub between: u32,
}

/// The site's addresses in the resolver's order: IPv6 before IPv4.
#[must_use]
pub fn addresses() -> Vec<DemoAddress> {
    site().into_iter().map(|(address, does, _)| DemoAddress { address, does }).collect()
}

/// The address that answers first, until it dies.
#[must_use]
pub fn best() -> SocketAddr {
    numbered(Family::V4, 5)
}

fn site() -> Vec<(SocketAddr, &'static str, SimHost)> {
    let of = |family, hosts: [(&'static str, SimHost); 6]| {
        let numbers = (1..).zip(hosts);
        numbers.map(move |(number, (does, host))| (numbered(family, number), does, host))
    };
    of(Family::V6, v6()).chain(of(Family::V4, v4())).collect()
}

fn v6() -> [(&'static str, SimHost); 6] {
    [
        ("dead", hang()),
        ("refuses in 31 ms", refuse(31)),
        ("unreachable after 40 ms", unreachable(40)),
        ("answers in 148 ms", ok(148)),
        ("dead", hang()),
        ("answers in 210 ms", ok(210)),
    ]
}

fn v4() -> [(&'static str, SimHost); 6] {
    [
        ("dead", hang()),
        ("dead", hang()),
        ("dead", hang()),
        ("refuses in 22 ms", refuse(22)),
        ("answers in 38 ms", ok(38)),
        ("answers in 45 ms, loses a SYN", ok(45).lose_first(1)),
    ]
}

/// Has connie with `sockets` sockets and a memory, Happy Eyeballs, and a plain client visit the site twenty
/// times each: the same network, drawn anew for each.
///
/// Nothing is arranged but the network. The plain client has no deadline, as most have none, and walks the
/// resolver's list from the top; on its first, dead address it waits until the stack gives up after seven
/// SYNs, which takes 127 s. Round trips vary by up to 2 ms, as `seed` has it.
#[must_use]
pub fn run(seed: u64, sockets: usize) -> [Lane; 3] {
    let count = site().len();
    let about = match sockets {
        _ if sockets >= count => format!("nothing known yet, all {count} start at once"),
        1 => format!("nothing known yet, {count} take turns on 1 socket"),
        _ => format!("nothing known yet, {count} take turns on {sockets} sockets"),
    };
    let all = Config::all_at_once().max_in_flight(sockets);
    [
        lane("connie", &about, &all, seed, true),
        lane(
            "Happy Eyeballs",
            "RFC 8305, one more after 250 ms or when one fails",
            &Config::staggered(),
            seed,
            false,
        ),
        // The resolver lists all of IPv6 first, and a plain client does not mix the families.
        lane(
            "plain client",
            "one after the other",
            &Config::one_by_one().first_address_family_count(u8::MAX),
            seed,
            false,
        ),
    ]
}

fn lane(name: &'static str, about: &str, config: &Config, seed: u64, remembers: bool) -> Lane {
    let mut visits = Visits::new(config, seed);
    visits.host = HOST.into();
    if !remembers {
        visits.memory = None;
    }
    let mut labels = String::new();
    for (address, _, host) in site() {
        visits.put(&label(address), host.jitter(2));
        labels = format!("{labels} {}", label(address));
    }
    visits.answer(&labels);
    let shown = |visits: &mut Visits| {
        let plan = remembers.then(|| visits.explain(words));
        (visits.visit(), plan)
    };
    let (first, second) = (shown(&mut visits), shown(&mut visits));
    let [_, known, last] = SHOWN;
    let between = (known + 1..last).map(|_| visits.visit().syns).sum();
    visits.put(&label(best()), hang());
    let last = shown(&mut visits);
    let (visits, plans) = ([first.0, second.0, last.0], [first.1, second.1, last.1]);
    Lane { name, about: about.to_owned(), visits, plans, between }
}

/// What the memory had the race do, in words for a reader who does not know it.
fn words(why: Explanation<'_>) -> String {
    let millis = |time: Duration| time.as_millis();
    let lead = why.the(AddressPart::Lead).and_then(|lead| Some((lead.address().ip(), lead.round_trip()?)));
    match (lead, why.next()) {
        (Some((lead, took)), Some(next)) => format!(
            "memory: {lead} took {} ms, so it starts alone; the next after {} ms",
            millis(took),
            millis(next)
        ),
        _ => "memory: no visit yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn times(lane: &Lane) -> [u128; 3] {
        [0, 1, 2].map(|visit: usize| lane.visits[visit].took.as_millis())
    }

    fn syns(lane: &Lane) -> [u32; 3] {
        [0, 1, 2].map(|visit: usize| lane.visits[visit].syns)
    }

    #[test]
    fn connie_learns_and_the_others_begin_anew_each_time() {
        let [connie, happy, plain] = run(0, 16);
        assert_eq!(syns(&connie), [12, 1, 10]);
        let [first, second, last] = times(&connie);
        assert!(first <= 40 && second <= 40 && (100..200).contains(&last), "{:?}", times(&connie));
        assert!((17..=18).contains(&connie.between), "one visit in 32 sends a SYN more: {}", connie.between);
        assert_eq!(connie.visits[2].winner.as_deref(), Some("4f"));
        for (lane, most, attempts) in [(&happy, 1_230, 7), (&plain, 127_300, 4)] {
            assert!(times(lane).iter().all(|time| (most - 100..most).contains(time)), "{:?}", times(lane));
            assert_eq!(syns(lane), [attempts; 3]);
            assert_eq!(lane.between, 17 * attempts);
        }
    }

    #[test]
    fn with_four_sockets_the_first_visit_takes_a_third_of_a_second() {
        let [connie, ..] = run(0, 4);
        assert!((250..330).contains(&times(&connie)[0]), "{:?}", times(&connie));
        assert_eq!(connie.visits[0].recording.timeline().summary().max_in_flight, 4);
        assert_eq!(connie.about, "nothing known yet, 12 take turns on 4 sockets");
        let [one, ..] = run(0, 1);
        assert_eq!(one.about, "nothing known yet, 12 take turns on 1 socket");
    }

    #[test]
    fn whatever_the_seed_and_the_sockets_the_second_visit_is_one_syn() {
        for (seed, sockets) in (0..20).flat_map(|seed| [1, 2, 4, 12, 16].map(|sockets| (seed, sockets))) {
            let [connie, ..] = run(seed, sockets);
            assert!(connie.visits.iter().all(|visit| visit.winner.is_some()), "{seed} {sockets}");
            assert_eq!(connie.visits[1].syns, 1, "{seed} {sockets}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_demo() {
        let starts = |seed| run(seed, 4).map(|lane| lane.visits.map(|visit| (visit.starts, visit.took)));
        assert_eq!(starts(7), starts(7));
        assert_ne!(starts(7), starts(8));
    }

    /// What is shown is run without a referee. A first visit is the race that there is without a memory.
    #[test]
    fn the_first_visits_keep_the_laws() {
        for lane in run(3, 4) {
            let scenario = Scenario::with(match lane.name {
                "connie" => Config::all_at_once().max_in_flight(4),
                "Happy Eyeballs" => Config::staggered(),
                _ => Config::one_by_one().first_address_family_count(u8::MAX),
            });
            let scenario = v6().into_iter().fold(scenario.seed(3), |it, (_, host)| it.v6(host.jitter(2)));
            let scenario = v4().into_iter().fold(scenario, |it, (_, host)| it.v4(host.jitter(2)));
            assert_eq!(scenario.run().elapsed, lane.visits[0].took, "{}", lane.name);
        }
    }

    #[test]
    fn there_are_twelve_addresses() {
        assert_eq!(addresses().len(), 12);
        let known = addresses().into_iter().find(|it| it.address == best());
        assert_eq!(known.map(|it| it.does), Some("answers in 38 ms"));
    }
}
