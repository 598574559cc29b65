//! Several hosts, one race: what the answers of each come to together.

use std::net::SocketAddr;

use connie_core::connect::{AddressOrder, Connect, ConnectOutput, Facts, Hosts, Routes, Start};
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptErrorKind, AttemptId, Config, Failure, Families, Family, Instant};

const NOW: Instant = Instant::ZERO;

/// A connect to several hosts whose queries are sent, over more sockets than there are addresses.
struct Several<const ADDRESSES: usize = 16> {
    hosts: Hosts<3, ADDRESSES>,
    connect: Connect<ADDRESSES, 16>,
}

fn to(list: &[&str]) -> Several {
    with(list, &Config::all_at_once().hedge(false), Routes::default())
}

fn with<const ADDRESSES: usize>(list: &[&str], config: &Config, routes: Routes) -> Several<ADDRESSES> {
    let config = config.clone().max_in_flight(16);
    let facts = Facts::default().routes(routes);
    let mut hosts = Hosts::new(&facts);
    for (number, host) in list.iter().enumerate() {
        let (host, port) = host.rsplit_once(':').expect("a port");
        let start = Start::new(host, port.parse().expect("a port"), &facts).expect("a host");
        assert_eq!(hosts.add(start, &config), Some(number));
    }
    let known = hosts.known();
    let mut connect = Connect::begin(hosts.start(&known), &config, &facts, NOW);
    while let Some(news) = hosts.news() {
        connect.handle_input(news.input(), NOW);
    }
    Several { hosts, connect }
}

fn addresses(text: &str) -> Vec<SocketAddr> {
    text.split_whitespace().map(|it| it.parse().expect("an address")).collect()
}

impl<const ADDRESSES: usize> Several<ADDRESSES> {
    fn tell(&mut self) {
        while let Some(news) = self.hosts.news() {
            self.connect.handle_input(news.input(), NOW);
        }
    }

    fn answers(&mut self, host: usize, query: Query, text: &str) {
        self.hosts.answered(host, query, &addresses(text), AddressOrder::Any(&[]));
        self.tell();
    }

    fn fails(&mut self, host: usize, query: Query) {
        self.hosts.failed(host, query, QueryError::NoSuchName);
        self.tell();
    }

    /// The addresses that start now, and what ends the drain.
    fn polls(&mut self) -> (Vec<(SocketAddr, AttemptId)>, ConnectOutput) {
        let mut started = Vec::new();
        loop {
            match self.connect.poll_output(NOW) {
                ConnectOutput::SendQuery { .. } => {}
                ConnectOutput::StartAttempt { id, destination } => started.push((destination, id)),
                output => return (started, output),
            }
        }
    }

    #[track_caller]
    fn starts(&mut self, text: &str) -> Vec<AttemptId> {
        let (started, _) = self.polls();
        let (to, ids): (Vec<_>, _) = started.into_iter().unzip();
        assert_eq!(to, addresses(text));
        ids
    }
}

#[test]
fn the_best_of_each_host_comes_before_the_second_best_of_any() {
    let mut several = to(&["a.test:1", "b.test:2"]);
    several.answers(0, Query::A, "192.0.2.1:1 192.0.2.2:1 192.0.2.3:1");
    several.answers(1, Query::A, "198.51.100.1:2");
    several.answers(0, Query::Aaaa, "[2001:db8:a::1]:1");
    several.answers(1, Query::Aaaa, "[2001:db8:b::1]:2 [2001:db8:b::2]:2");
    several.starts(
        "[2001:db8:a::1]:1 192.0.2.1:1 [2001:db8:b::1]:2 198.51.100.1:2 [2001:db8:b::2]:2 192.0.2.2:1 192.0.2.3:1",
    );
    assert_eq!(several.hosts.host_of("198.51.100.1:2".parse().unwrap()), Some(1));
    assert_eq!(several.hosts.host_of("198.51.100.1:1".parse().unwrap()), None);
}

/// What is known is tried, whatever the look-ups of the others do.
#[test]
fn neither_a_name_that_is_not_found_nor_one_that_hangs_holds_up_the_others() {
    let mut several = to(&["hangs.test:1", "fails.test:2", "b.test:3"]);
    several.fails(1, Query::Aaaa);
    several.fails(1, Query::A);
    several.answers(2, Query::A, "192.0.2.3:3");
    let ids = several.starts("192.0.2.3:3");
    let error = AttemptErrorKind::Refused.into();
    several
        .connect
        .handle_input(connie_core::connect::ConnectInput::AttemptFailed { id: ids[0], error }, NOW);
    // Law 10: the one that hangs could still help.
    assert_eq!(several.polls(), (vec![], ConnectOutput::WaitForInput));
    several.answers(0, Query::A, "192.0.2.1:1");
    let ids = several.starts("192.0.2.1:1");
    several.connect.handle_input(connie_core::connect::ConnectInput::AttemptSucceeded { id: ids[0] }, NOW);
    assert!(
        matches!(several.polls().1, ConnectOutput::Established { destination, .. } if several.hosts.host_of(destination) == Some(0))
    );
}

#[test]
fn it_fails_as_soon_as_no_look_up_can_help() {
    let mut several = to(&["a.test:1", "b.test:2"]);
    for (host, query) in [(0, Query::A), (1, Query::Aaaa), (1, Query::A)] {
        several.fails(host, query);
        assert_eq!(several.polls(), (vec![], ConnectOutput::WaitForInput));
    }
    several.answers(0, Query::Aaaa, "");
    assert_eq!(several.polls(), (vec![], ConnectOutput::Failed(Failure::NoDestinations)));
    let failed =
        |number, host| several.hosts.failures(number, host, false).map(|it| it.query).collect::<Vec<_>>();
    assert_eq!(failed(0, "a.test"), [Query::A]);
    assert_eq!(failed(1, "b.test"), [Query::Aaaa, Query::A]);
}

/// That a name has no such address is no failure where it has others.
#[test]
fn failures_are_told_by_host() {
    let mut several = to(&["a.test:1", "b.test:2", "x.invalid:3"]);
    several.fails(0, Query::Aaaa);
    several.answers(0, Query::A, "192.0.2.1:1");
    several.hosts.failed(1, Query::Aaaa, QueryError::ServerFailure);
    let of = |number, timed_out| {
        let failures = several.hosts.failures(number, "h", timed_out);
        failures.map(|it| (it.query, it.error)).collect::<Vec<_>>()
    };
    assert_eq!(of(0, false), []);
    assert_eq!(of(1, false), [(Query::Aaaa, QueryError::ServerFailure)]);
    assert_eq!(of(1, true), [(Query::Aaaa, QueryError::ServerFailure), (Query::A, QueryError::TimedOut)]);
    assert_eq!(of(2, false), [Query::Aaaa, Query::A].map(|query| (query, QueryError::NoSuchName)));
    assert_eq!(of(3, true), []);
}

#[test]
fn addresses_among_the_hosts_are_tried_at_once() {
    let mut several = to(&["a.test:1", "192.0.2.9:2", "[2001:db8::9]:3"]);
    several.starts("[2001:db8::9]:3 192.0.2.9:2");
    several.answers(0, Query::A, "192.0.2.1:1");
    several.starts("192.0.2.1:1");
}

/// Nothing is asked, and the list is tried in its own order, its first family first.
#[test]
fn where_all_are_known_nothing_is_asked() {
    let mut several = to(&["192.0.2.1:1", "[2001:db8::1]:1", "localhost:7"]);
    assert_eq!(several.hosts.asking(Query::A).count(), 0);
    let (started, _) = several.polls();
    let to: Vec<_> = started.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, addresses("192.0.2.1:1 [2001:db8::1]:1 127.0.0.1:7 [::1]:7"));
    let mut several = self::to(&["x.invalid:1", "y.onion:2"]);
    assert_eq!(several.polls(), (vec![], ConnectOutput::Failed(Failure::NoDestinations)));
}

#[test]
fn one_family_alone_is_asked_for_where_only_that_is_allowed() {
    let config = Config::all_at_once().families(Families::Only(Family::V4));
    let mut several = with::<16>(&["a.test:1", "[2001:db8::9]:2"], &config, Routes::default());
    assert!(several.hosts.asking(Query::A).eq([0]) && several.hosts.asking(Query::Aaaa).count() == 0);
    several.answers(0, Query::Aaaa, "[2001:db8::1]:1");
    several.answers(0, Query::A, "192.0.2.1:1");
    several.starts("192.0.2.1:1");
}

/// A newer answer of one host takes back what its older one had, and nothing of the others.
#[test]
fn a_newer_answer_takes_the_place_of_the_hosts_older_one() {
    let config = Config::all_at_once().max_in_flight(16).hedge(false);
    let mut several = with::<16>(&["a.test:1", "b.test:2"], &config, Routes::default());
    several.connect.limit_to(1);
    several.hosts.hinted(0, Family::V4, &addresses("192.0.2.1:1 192.0.2.2:1"), AddressOrder::Any(&[]));
    several.answers(1, Query::A, "198.51.100.1:2 198.51.100.2:2");
    several.starts("192.0.2.1:1");
    several.answers(0, Query::A, "192.0.2.7:1");
    several.connect.grow_to(16);
    several.starts("192.0.2.7:1 198.51.100.1:2 198.51.100.2:2");
    // Hints that come after an answer say nothing.
    several.hosts.hinted(0, Family::V4, &addresses("192.0.2.8:1"), AddressOrder::Any(&[]));
    assert!(several.hosts.news().is_none());
}

/// RFC 6724 puts the addresses of each host in order, and not those of one before another's.
#[test]
fn each_hosts_addresses_are_in_order() {
    let mut several = to(&["a.test:1", "b.test:2"]);
    // Rule 6: the precedence of unique local addresses is low.
    several.answers(0, Query::Aaaa, "[fd00::1]:1 [2001:db8::1]:1");
    several.answers(1, Query::Aaaa, "[fd00::2]:2");
    several.starts("[2001:db8::1]:1 [fd00::2]:2 [fd00::1]:1");
}

/// Room is for four. The first host's many addresses leave some to the second.
#[test]
fn a_host_with_many_addresses_makes_room_for_others() {
    for late in [Query::A, Query::Aaaa] {
        let mut several = with::<4>(&["a.test:1", "b.test:2"], &Config::all_at_once(), Routes::default());
        several.connect.pause();
        several.answers(0, Query::A, "192.0.2.1:1 192.0.2.2:1 192.0.2.3:1");
        several.answers(0, Query::Aaaa, "[2001:db8::1]:1 [2001:db8::2]:1 [2001:db8::3]:1");
        several.answers(1, late, if late == Query::A { "198.51.100.1:2" } else { "[2001:db8:b::1]:2" });
        assert_eq!(several.hosts.known().len(), 4);
        several.connect.grow_to(16);
        let (started, _) = several.polls();
        let of: Vec<_> = started.iter().filter_map(|(to, _)| several.hosts.host_of(*to)).collect();
        assert_eq!((of.len(), of.iter().filter(|host| **host == 1).count()), (4, 1), "{started:?}");
    }
}

/// An address that two hosts have in common is tried once, and belongs to the one that had it first.
#[test]
fn an_address_of_two_hosts_is_one_destination() {
    let mut several = to(&["a.test:1", "b.test:1"]);
    several.answers(1, Query::A, "192.0.2.1:1 192.0.2.2:1");
    several.answers(0, Query::A, "192.0.2.2:1 192.0.2.1:1");
    let (started, _) = several.polls();
    assert_eq!(started.len(), 2, "{started:?}");
    assert_eq!(several.hosts.host_of("192.0.2.1:1".parse().unwrap()), Some(1));
}

#[test]
fn what_was_not_asked_for_or_is_nobodys_changes_nothing() {
    let mut several = to(&["a.test:1", "192.0.2.9:2"]);
    several.starts("192.0.2.9:2");
    several.hosts.answered(1, Query::A, &addresses("192.0.2.8:2"), AddressOrder::Any(&[]));
    several.hosts.answered(2, Query::A, &addresses("192.0.2.8:2"), AddressOrder::Any(&[]));
    several.hosts.answered(0, Query::Nat64Prefix, &addresses("192.0.2.8:2"), AddressOrder::Any(&[]));
    several.hosts.failed(2, Query::A, QueryError::Failed);
    several.hosts.failed(1, Query::A, QueryError::Failed);
    assert!(several.hosts.news().is_none());
}

/// A host without a route by IPv6 begins with IPv4 (rule 4 of a connect), and does not wait for the family
/// that it cannot reach (rule 5).
#[test]
fn a_family_without_a_route_is_not_waited_for() {
    let config = Config::all_at_once().hedge(false);
    let mut several = with::<16>(&["a.test:1", "b.test:2"], &config, Routes { v4: true, v6: false });
    several.answers(0, Query::A, "192.0.2.1:1");
    several.answers(1, Query::A, "192.0.2.2:2");
    for id in several.starts("192.0.2.1:1 192.0.2.2:2") {
        let error = AttemptErrorKind::Refused.into();
        several.connect.handle_input(connie_core::connect::ConnectInput::AttemptFailed { id, error }, NOW);
    }
    assert_eq!(several.polls().1, ConnectOutput::Failed(Failure::AllAttemptsFailed));
}

/// Behind a NAT64 an address has another, and is the same host's.
#[test]
fn an_address_behind_a_nat64_is_its_hosts() {
    let config = Config::all_at_once().hedge(false).max_in_flight(16);
    let facts = Facts::default().routes(Routes { v4: false, v6: true });
    let mut hosts = Hosts::<2, 16>::new(&facts);
    for (host, port) in [("a.test", 1), ("b.test", 2)] {
        hosts.add(Start::new(host, port, &facts).expect("a name"), &config).expect("room");
    }
    let known = hosts.known();
    let mut connect = Connect::<16, 16, 16, 8>::begin(hosts.start(&known), &config, &facts, NOW);
    hosts.answered(0, Query::A, &addresses("192.0.2.1:1"), AddressOrder::Any(&[]));
    hosts.answered(1, Query::A, &addresses("192.0.2.1:2"), AddressOrder::Any(&[]));
    for host in [0, 1] {
        hosts.failed(host, Query::Aaaa, QueryError::NoSuchName);
    }
    let prefix = addresses("[64:ff9b::192.0.0.170]:0");
    let input = connie_core::connect::ConnectInput::Answered {
        query: Query::Nat64Prefix,
        addresses: &prefix,
        order: AddressOrder::Any(&[]),
    };
    hosts.handle_input(0, input);
    connect.handle_input(input, NOW);
    while let Some(news) = hosts.news() {
        connect.handle_input(news.input(), NOW);
    }
    let mut started = Vec::new();
    while let output @ (ConnectOutput::SendQuery { .. } | ConnectOutput::StartAttempt { .. }) =
        connect.poll_output(NOW)
    {
        if let ConnectOutput::StartAttempt { destination, .. } = output {
            started.push((destination.to_string(), hosts.host_of(destination)));
        }
    }
    let through = |port: usize, host| (format!("[64:ff9b::c000:201]:{port}"), Some(host));
    assert_eq!(started, [through(1, 0), through(2, 1)]);
}
