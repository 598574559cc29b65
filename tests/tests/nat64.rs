//! A network that has IPv6 alone, with NAT64: names and literals that have IPv4 only are reached through its
//! prefix (RFC 8305 section 7).
//!
//! The router plays the translator: it answers for the addresses under the prefix.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use connie_core::Failure;
use connie_std::dns::Dns;
use connie_std::{AddressFilter, ConnectError, ConnectErrorKind, Connected, Options, connect};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

use kernel_support::{PORT, abandon, unattended};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A network without an IPv4 route. The well-known prefix and one of its own lead to the translator.
fn network(lab: &Lab) -> DnsServer {
    lab.add_address(ip("2001:db8:ffff::1"));
    for network in ["2001:db8::/32", "64:ff9b::/96"] {
        lab.route(network);
    }
    for address in ["64:ff9b::192.0.2.1", "2001:db8:64:c000:2:100::", "2001:db8::1"] {
        lab.set(ip(address), Behaviour::accept(ms(20)));
    }
    let server = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
    server.set("v4.test", RecordType::A, DnsAnswer::addresses(&[ip("192.0.2.1")]));
    server.set("v4.test", RecordType::Aaaa, DnsAnswer::no_data());
    server
}

fn tells_prefix(server: &DnsServer, addresses: &[&str]) {
    let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
    server.set("ipv4only.arpa", RecordType::Aaaa, DnsAnswer::addresses(&addresses));
}

fn connects(server: &DnsServer, host: &str) -> Result<Connected, ConnectError> {
    connects_by(server, host, AddressFilter::default())
}

fn connects_by(server: &DnsServer, host: &str, filter: AddressFilter) -> Result<Connected, ConnectError> {
    let dns = Dns::new([server.address()]).hosts_file(None);
    let race = Options::default().race.deadline(Some(ms(10_000)));
    connect((host, PORT), &Options::new().resolver(dns).race(race).filter(filter))
}

#[track_caller]
fn reaches(lab: &Lab, server: &DnsServer, host: &str, address: &str) {
    let winner = connects(server, host).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(winner.destination(), SocketAddr::new(ip(address), PORT), "{:?}", winner.timeline());
    abandon(lab, winner);
}

#[test]
fn an_a_only_name_and_an_ipv4_literal_are_reached_through_the_prefix() {
    in_namespace(|lab| {
        let (server, _web) = (network(lab), unattended());
        tells_prefix(&server, &["64:ff9b::192.0.0.170", "64:ff9b::192.0.0.171"]);
        reaches(lab, &server, "v4.test", "64:ff9b::192.0.2.1");
        reaches(lab, &server, "192.0.2.1", "64:ff9b::192.0.2.1");
        // A prefix of 48 bits, which breaks the address in two.
        tells_prefix(&server, &["2001:db8:64:c000:0:aa00::"]);
        reaches(lab, &server, "v4.test", "2001:db8:64:c000:2:100::");
        reaches(lab, &server, "192.0.2.1", "2001:db8:64:c000:2:100::");
    });
}

/// Whoever denies an IPv4 address means where it leads.
#[test]
fn no_prefix_leads_to_what_a_filter_denies() {
    in_namespace(|lab| {
        let (server, _web) = (network(lab), unattended());
        tells_prefix(&server, &["2001:db8:64:c000:0:aa00::", "64:ff9b::192.0.0.170"]);
        let deny = |network: &str| AddressFilter::default().deny(network.parse().expect("a network"));
        // As DNS64 answers (RFC 6147).
        server.set("dns64.test", RecordType::Aaaa, DnsAnswer::addresses(&[ip("64:ff9b::192.0.2.1")]));
        server.set("dns64.test", RecordType::A, DnsAnswer::no_data());
        for host in ["v4.test", "192.0.2.1", "dns64.test"] {
            let error = connects_by(&server, host, deny("192.0.2.1")).map(drop).expect_err("it is denied");
            assert!(matches!(error.kind(), ConnectErrorKind::Denied(_)), "{host}: {error:?}");
            let winner =
                connects_by(&server, host, deny("192.0.2.2")).unwrap_or_else(|error| panic!("{error:?}"));
            assert!(winner.destination().is_ipv6() && winner.report().denied().is_empty());
            abandon(lab, winner);
        }
    });
}

#[test]
fn an_aaaa_answer_that_never_comes_costs_an_a_only_name_nothing() {
    in_namespace(|lab| {
        let (server, _web) = (network(lab), unattended());
        tells_prefix(&server, &["64:ff9b::192.0.0.170"]);
        server.set("v4.test", RecordType::Aaaa, DnsAnswer::silent());
        let winner = connects(&server, "v4.test").unwrap_or_else(|error| panic!("{error:?}"));
        // Long before the resolver asks again.
        assert!(winner.timeline().summary().ended.expect("an end") < ms(800), "{:?}", winner.timeline());
        abandon(lab, winner);
    });
}

#[test]
fn a_name_with_ipv6_needs_no_prefix() {
    in_namespace(|lab| {
        let (server, _web) = (network(lab), unattended());
        server.set("ipv4only.arpa", RecordType::Aaaa, DnsAnswer::silent());
        server.set("v6.test", RecordType::A, DnsAnswer::addresses(&[ip("192.0.2.1")]));
        server.set("v6.test", RecordType::Aaaa, DnsAnswer::addresses(&[ip("2001:db8::1")]));
        reaches(lab, &server, "v6.test", "2001:db8::1");
    });
}

#[test]
fn without_a_prefix_the_error_says_what_is_wrong() {
    in_namespace(|lab| {
        let server = network(lab);
        for host in ["v4.test", "192.0.2.1"] {
            let error = connects(&server, host).map(|_| ()).expect_err("nowhere to go");
            let failure = error.timeline().map(|timeline| timeline.summary().failure);
            assert_eq!(failure, Some(Some(Failure::AllAttemptsFailed)), "{error:?}");
            let lines: Vec<_> = error.addresses().collect();
            assert_eq!(lines, [format!("192.0.2.1:{PORT}: unreachable")], "{error:?}");
        }
    });
}
