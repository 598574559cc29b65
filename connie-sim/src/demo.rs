//! The twelve addresses of a big site, some dead, some slow, some refusing, and three ways to connect to them.

use std::net::SocketAddr;

use connie_core::Config;

use crate::host::{Host, hang, ok, refuse, unreachable};
use crate::label::numbered;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use connie_core::Family;

/// The name of the site.
pub const HOST: &str = "www.example.com";
/// The port that is connected to.
pub const PORT: u16 = 80;

/// One of the site's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: SocketAddr,
    /// What it does, in a few words: `dead`, `answers in 38 ms`.
    pub does: &'static str,
}

/// One way to connect, and what it came to.
#[derive(Clone, Debug)]
pub struct Lane {
    /// What to call it: `connie`, `Happy Eyeballs`, `plain client`.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: String,
    /// What it came to: its timeline, the time it took and the sockets that it held.
    pub outcome: Outcome,
}

/// The site's addresses in the resolver's order: IPv6 before IPv4.
#[must_use]
pub fn addresses() -> Vec<Address> {
    let of = |family, hosts: [(&'static str, Host); 6]| {
        let numbers = (1..).zip(hosts);
        numbers.map(move |(number, (does, _))| Address { address: numbered(family, number), does })
    };
    of(Family::V6, v6()).chain(of(Family::V4, v4())).collect()
}

fn v6() -> [(&'static str, Host); 6] {
    [
        ("dead", hang()),
        ("refuses in 31 ms", refuse(31)),
        ("unreachable after 40 ms", unreachable(40)),
        ("answers in 148 ms", ok(148)),
        ("dead", hang()),
        ("answers in 210 ms", ok(210)),
    ]
}

fn v4() -> [(&'static str, Host); 6] {
    [
        ("dead", hang()),
        ("dead", hang()),
        ("dead", hang()),
        ("refuses in 22 ms", refuse(22)),
        ("answers in 38 ms", ok(38)),
        ("answers in 45 ms, loses the first SYN", ok(45).lose_first(1)),
    ]
}

/// Runs connie with `sockets` sockets, Happy Eyeballs, and a plain client over the site: the same network, drawn anew for each.
///
/// Nothing is arranged but the network. The plain client has no deadline, as most have none, and walks the resolver's list from
/// the top; on its first, dead address it waits until the stack gives up after seven SYNs, which takes 127 s. Round trips
/// vary by up to 2 ms, as `seed` has it.
#[must_use]
pub fn run(seed: u64, sockets: usize) -> [Lane; 3] {
    let lane = |name, about: &str, config| Lane {
        name,
        about: about.to_owned(),
        outcome: site(seed).under(config).show(),
    };
    let most = if sockets == 1 { "1 socket".to_owned() } else { format!("{sockets} sockets") };
    [
        lane(
            "connie",
            &format!("all at once, {most} at most"),
            Config { max_in_flight: sockets, ..Config::all_at_once() },
        ),
        lane("Happy Eyeballs", "RFC 8305, one more after 250 ms or when one fails", Config::staggered()),
        // The resolver lists all of IPv6 first, and a plain client does not mix the families.
        lane(
            "plain client",
            "one after the other",
            Config { first_address_family_count: u8::MAX, ..Config::one_by_one() },
        ),
    ]
}

fn site(seed: u64) -> Scenario {
    let scenario = Scenario::all_at_once().seed(seed);
    let scenario = v6().into_iter().fold(scenario, |scenario, (_, host)| scenario.v6(host.jitter(2)));
    v4().into_iter().fold(scenario, |scenario, (_, host)| scenario.v4(host.jitter(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connie_wins_in_a_third_of_a_second_happy_eyeballs_in_more_than_one_the_plain_client_in_two_minutes() {
        let [connie, happy, plain] = run(0, 4).map(|lane| lane.outcome);
        connie.connects_by("4e", 330);
        happy.connects_by("6d", 1_230);
        plain.connects_by("6d", 127_300);
        assert!(happy.elapsed.as_millis() > 1_200 && plain.elapsed.as_millis() > 127_000);
        assert_eq!((connie.peak, happy.peak, plain.peak), (4, 5, 1));
    }

    #[test]
    fn with_a_socket_for_each_address_the_fastest_wins_at_once() {
        let [connie, ..] = run(0, 16);
        connie.outcome.connects_by("4e", 40);
        assert_eq!((connie.about.as_str(), connie.outcome.peak), ("all at once, 16 sockets at most", 12));
    }

    #[test]
    fn the_same_seed_gives_the_same_demo() {
        let lists = |seed| run(seed, 4).map(|lane| lane.outcome.end_list());
        assert_eq!(lists(7), lists(7));
        assert_ne!(lists(7), lists(8));
    }

    /// What is shown is run without a referee.
    #[test]
    fn what_is_shown_keeps_the_laws() {
        for config in [Config::all_at_once(), Config::staggered(), Config::one_by_one()] {
            let scenario = site(3).under(Config { max_in_flight: 4, ..config });
            assert_eq!(scenario.show(), scenario.run());
        }
    }

    #[test]
    fn there_are_twelve_addresses() {
        assert_eq!(addresses().len(), 12);
    }
}
