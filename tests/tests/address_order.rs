//! In which order the addresses of a name are tried: RFC 6724 by what this host would send from, in networks
//! made for it.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, Ipv4Addr};

use connie_core::{Config, Pacing};
use connie_std::dns::Dns;
use connie_std::{ConnectError, Connected, Options, connect};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

use kernel_support::{PORT, abandon, unattended};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn name_server(lab: &Lab, reachable: &[&str]) -> DnsServer {
    for address in reachable {
        lab.set(ip(address), Behaviour::accept(ms(20)));
    }
    DnsServer::start((Ipv4Addr::LOCALHOST, 53).into())
}

fn set(server: &DnsServer, kind: RecordType, addresses: &[&str]) {
    let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
    server.set("name.test", kind, DnsAnswer::addresses(&addresses));
}

/// One attempt at a time, so that the first start is the first choice.
fn first_choice(server: &DnsServer, race: Config) -> Connected {
    let dns = Dns::new([server.address()]).hosts_file(None);
    let race = race.deadline(Some(ms(10_000)));
    connect(("name.test", PORT), &Options::new().resolver(dns).race(race))
        .unwrap_or_else(|error| panic!("{error:?}"))
}

fn staggered() -> Config {
    Config::staggered().pacing(Pacing::Staggered { delay: Config::MAX_DELAY, growth_percent: 100 })
}

#[track_caller]
fn starts_with(lab: &Lab, server: &DnsServer, address: &str) {
    let winner = first_choice(server, staggered());
    let first = winner.timeline().attempts().next().expect("an attempt").destination.ip();
    assert_eq!(first, ip(address), "{:?}", winner.timeline());
    abandon(lab, winner);
}

#[test]
fn a_host_without_ipv6_does_not_wait_for_it() {
    in_namespace(|lab| {
        lab.route("192.0.2.0/24");
        let (server, _web) = (name_server(lab, &["192.0.2.1"]), unattended());
        set(&server, RecordType::A, &["192.0.2.1"]);
        server.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
        // The laboratory's own IPv6 network is no way to the internet.
        let best = (0..20).map(|_| {
            let winner = first_choice(&server, staggered());
            let started = winner.timeline().attempts().next().expect("an attempt").started;
            abandon(lab, winner);
            started
        });
        let best = best.min().expect("twenty runs");
        assert!(best < Config::DEFAULT_RESOLUTION_DELAY / 2, "{best:?}");
    });
}

/// What comes of `name.test`, whose only IPv4 address refuses, where AAAA has its answer at `after`, or
/// never.
fn refused_while_aaaa_is_out(lab: &Lab, v4: &str, after: Option<u64>) -> Result<Connected, ConnectError> {
    lab.set(ip(v4), Behaviour::refuse(ms(1)));
    let server = name_server(lab, &["fd00:9::1"]);
    set(&server, RecordType::A, &[v4]);
    let aaaa = DnsAnswer::addresses(&[ip("fd00:9::1")]);
    let aaaa = after.map_or_else(DnsAnswer::silent, |millis| aaaa.after(ms(millis)));
    server.set("name.test", RecordType::Aaaa, aaaa);
    let dns = Dns::new([server.address()]).hosts_file(None);
    let race = Config::all_at_once().deadline(Some(ms(10_000)));
    connect(("name.test", PORT), &Options::new().resolver(dns).race(race))
}

#[test]
fn a_host_without_ipv6_does_not_wait_for_it_to_fail() {
    in_namespace(|lab| {
        lab.route("192.0.2.0/24");
        let error = refused_while_aaaa_is_out(lab, "192.0.2.1", None).map(|_| ()).expect_err("it refuses");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

/// RFC 4193: a VPN brings its own addresses, and no IPv6 route to the internet.
#[test]
fn a_host_with_a_route_to_unique_local_addresses_alone_waits_for_ipv6() {
    in_namespace(|lab| {
        let _web = unattended();
        lab.route("192.0.2.0/24");
        lab.route("fd00::/8");
        let result = refused_while_aaaa_is_out(lab, "192.0.2.1", Some(300));
        let winner = result.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(winner.destination().ip(), ip("fd00:9::1"));
        abandon(lab, winner);
    });
}

/// The laboratory as it is: a network of its own for each family, and no route to the internet.
#[test]
fn a_host_that_is_not_on_the_internet_waits_for_both_families() {
    in_namespace(|lab| {
        let _web = unattended();
        let result = refused_while_aaaa_is_out(lab, "10.9.0.1", Some(300));
        let winner = result.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(winner.destination().ip(), ip("fd00:9::1"));
        abandon(lab, winner);
    });
}

#[test]
fn ipv6_is_first_and_what_cannot_be_reached_is_last() {
    in_namespace(|lab| {
        lab.add_address(ip("2001:db8:ffff::1"));
        for network in ["192.0.2.0/24", "2001:db8::/32"] {
            lab.route(network);
        }
        let (server, _web) = (name_server(lab, &["192.0.2.1", "2001:db8::1"]), unattended());
        set(&server, RecordType::A, &["192.0.2.1"]);
        // No route leads to the first (rule 1).
        set(&server, RecordType::Aaaa, &["2001:470::1", "2001:db8::1"]);
        starts_with(lab, &server, "2001:db8::1");
        // With nothing else of its family, all of that comes after IPv4.
        set(&server, RecordType::Aaaa, &["2001:470::1"]);
        server.set("name.test", RecordType::A, DnsAnswer::addresses(&[ip("192.0.2.1")]));
        let winner = first_choice(&server, Config::all_at_once());
        assert_eq!(winner.destination().ip(), ip("192.0.2.1"));
        abandon(lab, winner);
    });
}

#[test]
fn a_private_ipv6_address_comes_after_ipv4() {
    in_namespace(|lab| {
        lab.add_address(ip("2001:db8:ffff::1"));
        for network in ["192.0.2.0/24", "2001:db8::/32", "fd12::/32"] {
            lab.route(network);
        }
        let (server, _web) = (name_server(lab, &["192.0.2.1", "fd12::1"]), unattended());
        // Both are there when the race begins: the answer that comes first does not decide.
        set(&server, RecordType::A, &["192.0.2.1"]);
        server.set("name.test", RecordType::Aaaa, DnsAnswer::addresses(&[ip("fd12::1")]).after(ms(20)));
        // Its label is not that of a global source (rule 5).
        starts_with(lab, &server, "192.0.2.1");
    });
}
