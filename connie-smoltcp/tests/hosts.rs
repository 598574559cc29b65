//! Several hosts, one race, over a simulated link: names by servers that answer, do not know, or are silent.

mod link;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::resolution::{Query, QueryError};
use connie_core::{Config, Connection, Failure};
use connie_smoltcp::connie_dns::DnsConfig;
use connie_smoltcp::{
    Dns, DnsBuffers, HostsDriver, Platform as _, PlatformPoller, SocketStorage, Stack, StartError,
    TcpBuffers, TcpSocket, UdpBuffers,
};
use link::{Answers, Card, Link, Place, World, at, client_interface, ms};

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);
const PATH: Link = Link::perfect(ROUND_TRIP);
/// The first hosts that a world is given: a DNS server, and two web servers.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const WEB_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const WEB_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 3));

/// Room for three names.
type Names = Dns<3>;
type Client<'a> = Stack<'a, Card, World, 4, 1>;
type RaceDriver<'d, 'a> = HostsDriver<'d, Client<'a>, 3, 16, 4, 32, Names>;

fn names(name: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    match (name, is_v6) {
        ("silent.test.", _) => None,
        ("dead.test.", false) => Some((1..=14).map(|n| Ipv4Addr::new(198, 51, 100, n).into()).collect()),
        ("a.test.", false) => Some(vec![WEB_V4]),
        ("b.test.", true) => Some(vec![WEB_V6]),
        _ => Some(vec![]),
    }
}

fn with_stack(body: impl FnOnce(&World, &mut Client<'_>, &Names)) {
    let world = World::ethernet();
    world.add_v4(false, Place::Host(Answers::Nothing), PATH);
    world.serve_names(SERVER, names);
    world.add_v4(false, HTTP, PATH);
    world.add_v6(false, HTTP, PATH);
    let (mut storage, mut datagrams) = ([SocketStorage::EMPTY; 11], [UdpBuffers::<2, 256>::new()]);
    let mut queries = [const { DnsBuffers::<512, { 27 + 128 }>::new() }; 6];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut stack =
        Stack::with_udp(interface, card, &mut storage, &mut buffers, &mut datagrams, world.clone(), 7);
    let dns = Names::with_config(&DnsConfig::default(), &mut stack, &[SERVER], &mut queries);
    body(&world, &mut stack, &dns.expect("room for it"));
}

/// Who wins, with the number of the host.
type Won = Result<(SocketAddr, Option<usize>), Failure>;

#[track_caller]
fn race(
    world: &World,
    stack: &mut Client<'_>,
    dns: &Names,
    hosts: &[(&str, u16)],
    deadline: Duration,
) -> Won {
    let config = Config::all_at_once().deadline(Some(deadline));
    let mut driver = RaceDriver::new(dns, stack, hosts, &config).expect("hosts");
    let result: Result<Connection<TcpSocket>, _> = driver.run(stack, &mut PlatformPoller(world.clone()));
    result.map(|won| (won.destination, driver.host_of(won.destination)))
}

const LONG: Duration = ms(60_000);

/// Of the first nothing is heard, the second does not exist, and nobody is at the third's fourteen addresses.
#[test]
fn what_is_known_is_tried_whatever_becomes_of_the_others() {
    with_stack(|world, stack, dns| {
        for hosts in [
            [("silent.test", 80), ("nobody.test", 80), ("b.test", 80)],
            [("b.test", 80), ("silent.test", 80), ("nobody.test", 80)],
        ] {
            let begins = world.now();
            let number = hosts.iter().position(|(host, _)| *host == "b.test");
            assert_eq!(race(world, stack, dns, &hosts, LONG), Ok((SocketAddr::new(WEB_V6, 80), number)));
            // A round trip for the names, unless they are known still, and one for the handshake.
            assert!(world.now().duration_since(begins) <= 2 * ROUND_TRIP, "{}", world.now());
        }
    });
}

/// The best of each comes before the second best of any: over four sockets it needs no eviction.
#[test]
fn a_host_with_many_dead_addresses_does_not_hold_up_the_others() {
    with_stack(|world, stack, dns| {
        let hosts = [("dead.test", 80), ("a.test", 80), ("192.0.2.77", 80)];
        assert_eq!(race(world, stack, dns, &hosts, LONG), Ok((SocketAddr::new(WEB_V4, 80), Some(1))));
        assert_eq!(world.now(), at(40));
    });
}

/// A live address that was left out explains a race that fails: the summary counts it.
#[test]
fn addresses_that_the_race_has_no_room_for_are_counted() {
    with_stack(|world, stack, dns| {
        type Small<'d, 'a> = HostsDriver<'d, Client<'a>, 3, 8, 4, 32, Names>;
        let config = Config::all_at_once().deadline(Some(ms(2_000)));
        let mut driver = Small::new(dns, stack, &[("dead.test", 80)], &config).expect("a host");
        let result = driver.run(stack, &mut PlatformPoller(world.clone()));
        assert_eq!(result.map(|won| won.destination), Err(Failure::DeadlineExceeded));
        let summary = driver.timeline().summary();
        assert_eq!((driver.timeline().destinations().count(), summary.omitted_destinations), (8, 6));
    });
}

/// Each host has a port of its own.
#[test]
fn an_address_is_a_host_too() {
    with_stack(|world, stack, dns| {
        let hosts = [("192.0.2.2", 81), ("192.0.2.2", 80)];
        assert_eq!(race(world, stack, dns, &hosts, LONG), Ok((SocketAddr::new(WEB_V4, 80), Some(1))));
        assert_eq!(world.now(), at(20), "nothing is asked");
    });
}

#[test]
fn it_fails_when_the_last_look_up_has() {
    with_stack(|world, stack, dns| {
        let hosts = [("nobody.test", 80), ("other.test", 80)];
        assert_eq!(race(world, stack, dns, &hosts, LONG), Err(Failure::NoDestinations));
        assert_eq!(world.now(), at(20));
        let config = Config::all_at_once().deadline(Some(ms(2_000)));
        let hosts = [("nobody.test", 80), ("silent.test", 80)];
        let mut driver = RaceDriver::new(dns, stack, &hosts, &config).expect("hosts");
        let result = driver.run(stack, &mut PlatformPoller(world.clone()));
        assert_eq!(
            (result.map(|won| won.destination), world.now()),
            (Err(Failure::DeadlineExceeded), at(2_020))
        );
        let why = |number: usize| {
            let failures = driver.hosts().failures(number, hosts[number].0, true);
            failures.map(|it| (it.query, it.error)).collect::<Vec<_>>()
        };
        assert_eq!(why(0), [Query::Aaaa, Query::A].map(|query| (query, QueryError::NoSuchName)));
        assert_eq!(why(1), [Query::Aaaa, Query::A].map(|query| (query, QueryError::TimedOut)));
    });
}

/// All or nothing, and what was asked is given up.
#[test]
fn there_is_room_for_so_many() {
    with_stack(|world, stack, dns| {
        let config = Config::all_at_once();
        let four = [("192.0.2.1", 1), ("192.0.2.2", 2), ("a.test", 3), ("b.test", 4)];
        let refused = RaceDriver::new(dns, stack, &four, &config).map(|_| ());
        assert_eq!(refused, Err(StartError::TooManyHosts));
        let invalid = RaceDriver::new(dns, stack, &[("a.test", 80), ("a b", 80)], &config).map(|_| ());
        assert!(matches!(invalid, Err(StartError::Host(_))), "{invalid:?}");
        let three = [("a.test", 80), ("b.test", 80), ("silent.test", 80)];
        let mut first = RaceDriver::new(dns, stack, &three, &config).expect("room for three");
        let beyond =
            RaceDriver::new(dns, stack, &[("other.test", 80), ("more.test", 80)], &config).map(|_| ());
        assert_eq!(beyond, Err(StartError::OutOfQueries));
        first.cancel(stack);
        assert!(race(world, stack, dns, &three, LONG).is_ok(), "the room is free");
    });
}
