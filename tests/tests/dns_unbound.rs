//! DNS clients against unbound, with answers that fit into no datagram: truncated over UDP, and whole over
//! TCP.
#![cfg(target_os = "linux")]

mod dns_support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use connie_core::Family::{self, V4, V6};
use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_std::resolve::ResolveEvent;
use connie_std::{MAX_DESTINATIONS, Options, connect};
use connie_tests::lab::in_namespace;
use connie_tests::limits;
use connie_tests::servers::{Live, Unbound};
use connie_tests::wasi::Runtime;

use dns_support::*;

const PORT_OF_DNS: u16 = 53;
/// How many octets a record of an answer has, behind a pointer to its name.
const A_RECORD: usize = 16;
/// Names, and how many addresses of each family they have: so that the A records fit into the 1,232 octets of
/// a datagram, or do not, or would not fit into 4,096 either, which many a client allows.
const NAMES: [(&str, usize); 3] = [("small.test", 3), ("large.test", 100), ("huge.test", 300)];

/// The address of a family with this number; those of IPv4 are this host's own.
fn address(family: Family, number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number).expect("few addresses").to_be_bytes();
    match family {
        V4 => Ipv4Addr::new(127, 1, high, low).into(),
        V6 => ip(&format!("2001:db8::{number:x}")),
    }
}

fn records() -> Vec<String> {
    let mut records = Vec::new();
    for (name, count) in NAMES {
        for number in 1..=count {
            records.push(format!("{name}. A {}", address(V4, number)));
            records.push(format!("{name}. AAAA {}", address(V6, number)));
        }
    }
    records
}

/// How many connections were opened in this thread's network.
fn connections() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("the kernel's counters");
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let of = |(name, value): (&str, &str)| (name == "ActiveOpens").then(|| value.parse().expect("a number"));
    names.split(' ').zip(values.split(' ')).find_map(of).expect("ActiveOpens")
}

/// `most` of those that the name has, in whatever order: unbound turns them round.
#[track_caller]
fn are_addresses_of(family: Family, count: usize, most: usize, found: &[IpAddr]) {
    let all: BTreeSet<IpAddr> = (1..=count).map(|number| address(family, number)).collect();
    let distinct: BTreeSet<IpAddr> = found.iter().copied().collect();
    assert_eq!((found.len(), distinct.len()), (count.min(most), found.len()), "{found:?}");
    assert!(distinct.is_subset(&all), "{found:?}");
}

/// The table is what it says.
#[test]
fn the_names_need_what_they_are_there_for() {
    let octets = NAMES.map(|(_, count)| count * A_RECORD);
    assert!(octets[0] < 512 && (1_232..4_096).contains(&octets[1]) && octets[2] > 4_096);
}

#[test]
fn connie_std_fetches_what_is_too_long_over_tcp() {
    in_namespace(|_| {
        let Some(_server) = Unbound::start(PORT_OF_DNS, &records()) else { return };
        let dns = || Dns::new([(Ipv4Addr::LOCALHOST, PORT_OF_DNS).into()]).hosts_file(None);
        for (name, count) in NAMES {
            let before = connections();
            let told = look_up_name(&dns(), name, PORT);
            let over_tcp = if count > 3 { 2 } else { 0 };
            assert_eq!(connections() - before, over_tcp, "{name}: {told:?}");
            for family in [V4, V6] {
                let answer = told.0.iter().find_map(|(_, event)| match event {
                    ResolveEvent::Answered(answer) if answer.family == family => Some(answer),
                    _ => None,
                });
                let addresses = &answer.unwrap_or_else(|| panic!("{name}: {told:?}")).addresses;
                are_addresses_of(
                    family,
                    count,
                    MAX_DESTINATIONS,
                    &addresses.iter().map(|it| it.ip()).collect::<Vec<_>>(),
                );
            }
        }
        let told = look_up_name(&dns(), "nobody.test", PORT);
        told.failed(V4, QueryError::NoSuchName, "NXDOMAIN from 127.0.0.1:53");
        let server = Live::silent((Ipv4Addr::UNSPECIFIED, 8080));
        let options = Options::new().resolver(dns());
        let winner = connect(("huge.test", server.address().port()), &options).expect("a connection");
        let to = winner.peer_addr().expect("an address").ip();
        assert!((1..=300).any(|number| address(V4, number) == to), "{to}");
    });
}

#[test]
fn a_component_fetches_what_is_too_long_over_tcp() {
    let Some(runtime) = Runtime::find() else { return };
    let build = |example| {
        let file = format!("examples/{example}.wasm");
        runtime.build("connie-wasi", &["--features", "dns", "--example", example], &file)
    };
    let (ask, fetch) = (build("ask"), build("fetch_by_dns"));
    in_namespace(move |_| {
        let Some(_server) = Unbound::start(PORT_OF_DNS, &records()) else { return };
        for (name, count) in NAMES {
            let before = connections();
            let output = limits::output(runtime.command(&ask).args([name, "aaaa,a", "127.0.0.1:53"]));
            let output = output.expect("a run");
            let said = String::from_utf8(output.stdout).expect("text");
            assert_eq!(connections() - before, if count > 3 { 2 } else { 0 }, "{name}: {said}");
            // The octets of 64 addresses of IPv6 are those of 256 of IPv4.
            let most = connie_wasi::MAX_DESTINATIONS;
            for (family, kind, most) in [(V4, "A ", 4 * most), (V6, "AAAA ", most)] {
                let line = said.lines().find_map(|line| line.strip_prefix(kind));
                let (addresses, _) = line.and_then(|line| line.split_once(" at ")).expect("an answer");
                are_addresses_of(family, count, most, &addresses.split(' ').map(ip).collect::<Vec<_>>());
            }
        }
        let _server = Live::http((Ipv4Addr::UNSPECIFIED, 8080), "the page\n");
        let run = limits::output(runtime.command(&fetch).args(["huge.test", "8080", "127.0.0.1:53"]));
        assert_eq!(run.expect("a run").stdout, b"the page\n");
    });
}
