//! Visits to one host with a memory: what each costs in SYNs, counted on the wire.

mod link;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::memory::{Memory, Verdict};
use connie_core::{Config, Failure, Instant};
use connie_smoltcp::connie_dns::DnsConfig;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv4Address};
use connie_smoltcp::{
    Dns, DnsBuffers, DnsDriver, HostsDriver, Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers,
    UdpBuffers,
};
use link::{Answers, Card, Link, Place, World, client_interface, ms};

const HTTP: Place = Place::Host(Answers::Http);
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Nobody is at the first; the second answers in 20 ms, the third in 60.
const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 2, 2), Ipv4Addr::new(192, 0, 2, 3), Ipv4Addr::new(192, 0, 2, 4)];
/// Answers in 20 ms.
const BY_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 5);

type Client<'a> = Stack<'a, Card, World, 4, 1>;
type Names = Dns<3>;

fn names(name: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    match (name, is_v6) {
        ("three.test.", false) | ("both.test.", false) => Some(ADDRESSES.map(IpAddr::V4).to_vec()),
        ("both.test.", true) => Some(vec![BY_IPV6.into()]),
        _ => Some(vec![]),
    }
}

fn with_stack(body: impl FnOnce(&World, &mut Client<'_>, &Names)) {
    let world = World::ethernet();
    world.add_v4(false, Place::Host(Answers::Nothing), Link::perfect(ms(20)));
    world.serve_names(SERVER, names);
    for (place, round_trip) in [(Place::Nobody, 20), (HTTP, 20), (HTTP, 60)] {
        world.add_v4(false, place, Link::perfect(ms(round_trip)));
    }
    world.add_v6(false, HTTP, Link::perfect(ms(20)));
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

fn memory() -> RefCell<Memory<16>> {
    RefCell::new(Memory::new(7, Instant::ZERO))
}

/// One visit: who wins, how long that takes, and how many SYNs it costs. Its connection is closed.
#[track_caller]
fn visit(
    world: &World,
    stack: &mut Client<'_>,
    dns: &Names,
    host: &str,
    memory: &RefCell<Memory<16>>,
) -> (SocketAddr, Duration, usize) {
    let config = Config::all_at_once().deadline(Some(ms(60_000)));
    let (syns, start) = (world.wire().syns(), world.now());
    let driver = DnsDriver::<_, 16, 4, 32, _, _>::with_memory(dns, stack, host, 80, &config, memory);
    let mut driver = driver.expect("a name");
    let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a connection");
    let took = world.now().duration_since(start);
    connie_core::RaceStack::abort(stack, connection.socket);
    (connection.destination, took, world.wire().syns() - syns)
}

#[test]
fn from_the_second_visit_on_one_syn_is_enough() {
    with_stack(|world, stack, dns| {
        let memory = memory();
        let live = SocketAddr::new(ADDRESSES[1].into(), 80);
        let (winner, _, syns) = visit(world, stack, dns, "three.test", &memory);
        assert_eq!((winner, syns), (live, 3));
        for _ in 0..5 {
            let (winner, took, syns) = visit(world, stack, dns, "three.test", &memory);
            assert_eq!((winner, syns), (live, 1));
            // The name is in the cache by now.
            assert_eq!(took, ms(20));
        }
    });
}

/// The answer of the family that is known to be slower comes first, or last: the lead waits for what it
/// knows.
#[test]
fn both_families_are_one_race_with_one_lead() {
    with_stack(|world, stack, dns| {
        let memory = memory();
        visit(world, stack, dns, "both.test", &memory);
        let (_, took, syns) = visit(world, stack, dns, "both.test", &memory);
        assert_eq!((took, syns), (ms(20), 1));
    });
}

#[test]
fn without_a_memory_each_visit_tries_all() {
    with_stack(|world, stack, dns| {
        for _ in 0..3 {
            let syns = world.wire().syns();
            let mut driver =
                DnsDriver::<_, 16, 4, 32, _>::new(dns, stack, "three.test", 80, &Config::all_at_once())
                    .expect("a name");
            let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a connection");
            connie_core::RaceStack::abort(stack, connection.socket);
            assert_eq!(world.wire().syns() - syns, 3);
        }
    });
}

#[test]
fn what_is_learnt_on_one_network_is_not_used_on_another() {
    with_stack(|world, stack, dns| {
        let memory = memory();
        visit(world, stack, dns, "three.test", &memory);
        assert_eq!(visit(world, stack, dns, "three.test", &memory).2, 1);
        stack.interface_mut().update_ip_addrs(|own| {
            for own in own.iter_mut() {
                if let IpCidr::Ipv4(own) = own {
                    *own = connie_smoltcp::smoltcp::wire::Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 101), 24);
                }
            }
        });
        // The router has to find the new address first, so that a SYN may be sent again.
        assert!(visit(world, stack, dns, "three.test", &memory).2 >= 3, "it was never met here");
        assert_eq!(visit(world, stack, dns, "three.test", &memory).2, 1);
    });
}

#[test]
fn a_connect_that_is_canceled_teaches_no_failure() {
    with_stack(|world, stack, dns| {
        let memory = memory();
        let driver = DnsDriver::<_, 16, 4, 32, _, _>::with_memory(
            dns,
            stack,
            "three.test",
            80,
            &Config::all_at_once(),
            &memory,
        );
        let mut driver = driver.expect("a name");
        driver.cancel(stack);
        driver.cancel(stack);
        assert_eq!(driver.run(stack, &mut PlatformPoller(world.clone())).err(), Some(Failure::Canceled));
        assert_eq!(memory.borrow().entries(world.now()).count(), 0);
    });
}

#[test]
fn a_verdict_sends_the_next_visit_elsewhere() {
    with_stack(|world, stack, dns| {
        let memory = memory();
        let config = Config::all_at_once();
        visit(world, stack, dns, "three.test", &memory);
        let driver =
            DnsDriver::<_, 16, 4, 32, _, _>::with_memory(dns, stack, "three.test", 80, &config, &memory);
        let mut driver = driver.expect("a name");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a connection");
        driver.report(connection.destination, Verdict::Stalled, world.now());
        connie_core::RaceStack::abort(stack, connection.socket);
        let (winner, ..) = visit(world, stack, dns, "three.test", &memory);
        assert_eq!(winner, SocketAddr::new(ADDRESSES[2].into(), 80));
    });
}

#[test]
fn a_list_of_hosts_has_one_memory() {
    with_stack(|world, stack, dns| {
        let (memory, config) = (memory(), Config::all_at_once());
        let mut syns = |hosts: &[(&str, u16)]| {
            let before = world.wire().syns();
            let driver =
                HostsDriver::<_, 3, 16, 4, 32, _, _>::with_memory(dns, stack, hosts, &config, &memory);
            let mut driver = driver.expect("names");
            let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a connection");
            connie_core::RaceStack::abort(stack, connection.socket);
            world.wire().syns() - before
        };
        let hosts = [("three.test", 80), ("both.test", 80)];
        assert_eq!(syns(&hosts), 4);
        assert_eq!(syns(&hosts), 1);
        assert_eq!(syns(&[hosts[1], hosts[0]]), 1);
    });
}

/// What is said of a server of the list is said of it for the list alone.
#[test]
fn a_list_of_hosts_is_a_host_of_its_own() {
    with_stack(|world, stack, dns| {
        let (memory, config) = (memory(), Config::all_at_once());
        let hosts = [("three.test", 80), ("both.test", 80)];
        let driver = HostsDriver::<_, 3, 16, 4, 32, _, _>::with_memory(dns, stack, &hosts, &config, &memory);
        let mut driver = driver.expect("names");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a connection");
        driver.report(connection.destination, Verdict::Stalled, world.now());
        connie_core::RaceStack::abort(stack, connection.socket);
        // It is a server of `both.test`, of which nothing was said.
        let (winner, _, syns) = visit(world, stack, dns, "both.test", &memory);
        assert_eq!((winner, syns), (connection.destination, 1));
    });
}
