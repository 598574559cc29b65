//! The networks: what a host's addresses do, what its name server says, and the best time with one SYN to
//! each address.

use std::net::IpAddr;
use std::time::Duration;

use connie_lab::{Behaviour, Unreachable, ms};
use connie_servers::{DnsAnswer, DnsServer, RecordType};

/// The host that every client fetches a page of.
pub const HOST: &str = "www.name.test";
/// How long the name server takes.
const DNS: Duration = ms(10);
/// A SYN that was lost is sent again by the kernel after this.
const SYN_AGAIN: Duration = ms(1_000);

/// What a query is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    After(Duration),
    Never,
    ServerFailure,
}

/// One network.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    v6: Vec<Behaviour>,
    v4: Vec<Behaviour>,
    aaaa: Answers,
    a: Answers,
    /// From the first query to the earliest moment at which the server can have the request; `None` if no
    /// address serves.
    pub oracle: Option<Duration>,
    /// The proven bound of the time that a race takes with a given number of sockets, for the numbers that do
    /// not suffice for all addresses: `docs/never-stuck.md`.
    pub needs: Duration,
}

impl Scenario {
    pub fn addresses(&self) -> usize {
        self.v6.len() + self.v4.len()
    }

    /// All addresses with what they do.
    pub fn hosts(&self) -> Vec<(IpAddr, Behaviour)> {
        let v6 = (1..).zip(&self.v6).map(|(number, does)| (v6(number), *does));
        let v4 = (1..).zip(&self.v4).map(|(number, does)| (v4(number), *does));
        v6.chain(v4).collect()
    }

    /// Tells the name server.
    pub fn publish(&self, server: &DnsServer) {
        let addresses: Vec<IpAddr> = self.hosts().into_iter().map(|(address, _)| address).collect();
        let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
        for (kind, addresses, answers) in [(RecordType::Aaaa, v6, self.aaaa), (RecordType::A, v4, self.a)] {
            let answer = match answers {
                Answers::Never => DnsAnswer::silent(),
                Answers::ServerFailure => DnsAnswer::code(2).after(DNS),
                Answers::After(delay) if addresses.is_empty() => DnsAnswer::no_data().after(delay),
                Answers::After(delay) => DnsAnswer::addresses(&addresses).after(delay),
            };
            server.set(HOST, kind, answer);
        }
    }
}

/// Addresses for documentation, between which RFC 6724 prefers IPv6.
fn v4(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn v6(number: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number])
}

fn ok(trip: u64) -> Behaviour {
    Behaviour::accept(ms(trip))
}

fn dead() -> Behaviour {
    Behaviour::black_hole()
}

fn refuses(trip: u64) -> Behaviour {
    Behaviour::refuse(ms(trip))
}

fn unreachable(trip: u64) -> Behaviour {
    Behaviour::unreachable(Unreachable::Host, ms(trip))
}

/// A network whose fastest address that serves is `trip` away.
fn network(name: &'static str, v6: Vec<Behaviour>, v4: Vec<Behaviour>, trip: u64) -> Scenario {
    // A look-up, the handshake, and the request's way.
    let oracle = DNS + ms(trip) + ms(trip) / 2;
    let (aaaa, a) = (Answers::After(DNS), Answers::After(DNS));
    Scenario { name, v6, v4, aaaa, a, oracle: Some(oracle), needs: ms(trip) }
}

fn many(count: usize, behaviour: Behaviour) -> Vec<Behaviour> {
    vec![behaviour; count]
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let alive = |trips: &[u64]| trips.iter().map(|trip| ok(*trip)).collect::<Vec<_>>();
    let with = |list: Vec<Behaviour>, last: Behaviour| list.into_iter().chain([last]).collect::<Vec<_>>();
    let mut all = vec![
        network("one address, alive", vec![], alive(&[40]), 40),
        network(
            "12 alive, 20 to 200 ms",
            alive(&[140, 110, 80, 200, 170, 60]),
            alive(&[120, 90, 20, 180, 150, 70]),
            20,
        ),
        network("first of 6 dead", vec![dead(), ok(60), ok(80)], alive(&[40, 70, 90]), 40),
        network("11 of 12 dead", many(6, dead()), with(many(5, dead()), ok(40)), 40),
        network(
            "60 of 64 dead",
            many(32, dead()),
            many(28, dead()).into_iter().chain(alive(&[50, 60, 70, 80])).collect(),
            50,
        ),
        network("refused, refused, good", vec![], vec![refuses(30), refuses(30), ok(40)], 40),
        network("unreachable, then good", vec![unreachable(30), unreachable(30)], alive(&[40, 60]), 40),
        network("IPv6 dead", many(3, dead()), alive(&[40, 60, 90]), 40),
        network("IPv6 slow", alive(&[180, 200]), alive(&[40, 60]), 40),
        network(
            "7 dead, 4 refuse, 1 good",
            vec![dead(), refuses(30), dead(), refuses(25), dead(), dead()],
            vec![dead(), refuses(30), dead(), dead(), refuses(20), ok(40)],
            40,
        ),
    ];
    let lossy = ok(40).losing_syns(1);
    let mut lost = network("first SYN lost everywhere", many(2, lossy), many(2, lossy), 40);
    lost.oracle = lost.oracle.map(|oracle| oracle + SYN_AGAIN);
    lost.needs += SYN_AGAIN;
    all.push(lost);
    let slow = network("slow survivor of 9", many(4, dead()), with(many(4, dead()), ok(900)), 900);
    all.push(slow);
    let pair = |name| network(name, alive(&[60]), alive(&[40]), 40);
    all.push(Scenario { aaaa: Answers::After(ms(2_000)), ..pair("AAAA answer 2 s late") });
    all.push(Scenario { aaaa: Answers::Never, ..pair("AAAA never answered") });
    all.push(Scenario { aaaa: Answers::ServerFailure, ..pair("AAAA: server failure") });
    let late_a = network("A answer 2 s late", alive(&[40]), alive(&[60]), 40);
    all.push(Scenario { a: Answers::After(ms(2_000)), ..late_a });
    all
}
