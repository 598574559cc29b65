//! Names and datagrams: DNS servers that answer, do not know, or are silent.

mod link;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::embedded_nal::{UdpClientStack, UdpFullStack};
use connie_core::resolution::HostError;
use connie_core::stack::nb;
use connie_core::{Config, Connector, Failure, Families, Family};
use connie_smoltcp::{
    Board as _, BoardWaiter, Dns, Error, LookupError, QueryStorage, SocketStorage, Stack, TcpBuffers,
    UdpBuffers,
};
use link::{Answers, Card, Link, Place, World, at, client_interface, ms};

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);
const PATH: Link = Link::perfect(ROUND_TRIP);
/// The first hosts that a world is given: a DNS server, and two web servers.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const WEB_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const WEB_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 3));

type Client<'a> = Stack<'a, Card, World, 4, 1>;

fn names(name: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    match (name, is_v6) {
        ("both.test.", true) | ("v6.test.", true) => Some(vec![WEB_V6]),
        ("both.test.", false) | ("silent-v6.test.", false) => Some(vec![WEB_V4]),
        ("silent-v6.test.", true) => None,
        ("many.test.", false) => Some((1..=8).map(|n| Ipv4Addr::new(198, 51, 100, n).into()).collect()),
        _ => Some(vec![]),
    }
}

fn with_stack(body: impl FnOnce(&World, &mut Client<'_>, &mut Dns)) {
    let world = World::ethernet();
    world.add_v4(false, Place::Host(Answers::Nothing), PATH);
    world.serve_names(SERVER, names);
    world.add_v4(false, HTTP, PATH);
    world.add_v6(false, HTTP, PATH);
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let (mut storage, mut queries) = ([SocketStorage::EMPTY; 6], [const { None }; 2] as [QueryStorage; 2]);
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut datagrams = [UdpBuffers::<2, 256>::new()];
    let mut stack =
        Stack::with_udp(interface, card, &mut storage, &mut buffers, &mut datagrams, world.clone(), 7);
    let mut dns = Dns::start(&mut stack, &[SERVER], &mut queries).expect("room for it");
    body(&world, &mut stack, &mut dns);
}

/// All addresses that a race is told for a name, and when the last answer came.
fn answers(world: &World, stack: &mut Client<'_>, dns: &mut Dns, host: &str) -> (u64, Vec<SocketAddr>) {
    let mut lookup = dns.look_up(stack, host, 80, Families::Both).expect("a name");
    let mut connector = Connector::<Client<'_>, 16, 4>::new(&Config::one_by_one(), world.now());
    while !lookup.is_complete() {
        stack.poll();
        lookup.poll(stack, &mut connector);
        if lookup.is_complete() {
            break;
        }
        let next = stack.poll_at();
        world.idle_until(next);
    }
    let known = connector.timeline().destinations().map(|destination| destination.address()).collect();
    (world.now().as_micros() / 1000, known)
}

#[track_caller]
fn race(world: &World, stack: &mut Client<'_>, dns: &mut Dns, host: &str) -> Result<SocketAddr, Failure> {
    let config = Config { deadline: Some(ms(60_000)), ..Config::all_at_once() };
    let mut lookup = dns.look_up(stack, host, 80, Families::Both).expect("a name");
    let mut connector = Connector::<_, 16, 4>::new(&config, world.now());
    let result = lookup.run(&mut connector, stack, &mut BoardWaiter(world.clone()));
    assert!(lookup.is_complete(), "nothing is asked any more");
    result.map(|connection| connection.destination)
}

#[test]
fn both_families_are_asked_for_at_once() {
    with_stack(|world, stack, dns| {
        let (at, known) = answers(world, stack, dns, "both.test");
        assert_eq!(known, [SocketAddr::new(WEB_V6, 80), SocketAddr::new(WEB_V4, 80)]);
        assert_eq!(at, 20, "a round trip, with the router next door");
    });
}

#[test]
fn a_silent_family_does_not_hold_up_the_race() {
    with_stack(|world, stack, dns| {
        assert_eq!(race(world, stack, dns, "silent-v6.test"), Ok(SocketAddr::new(WEB_V4, 80)));
        assert_eq!(world.now(), at(40), "one round trip for the name, one for the handshake");
        // The query that nobody has answered is given up, and its memory is free.
        // 2001::/32 is Teredo's, and comes after IPv4 (RFC 6724 section 2.1).
        assert_eq!(race(world, stack, dns, "both.test"), Ok(SocketAddr::new(WEB_V4, 80)));
    });
}

#[test]
fn a_name_without_addresses_ends_the_race_at_once() {
    with_stack(|world, stack, dns| {
        assert_eq!(race(world, stack, dns, "nobody.test"), Err(Failure::NoDestinations));
        assert_eq!(world.now(), at(20));
    });
}

#[test]
fn one_family_is_enough() {
    with_stack(|world, stack, dns| {
        assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
    });
}

#[test]
fn eight_addresses_are_kept() {
    with_stack(|world, stack, dns| {
        let (_, known) = answers(world, stack, dns, "many.test");
        assert_eq!(known.len(), 8, "{known:?}");
    });
}

#[test]
fn a_silent_server_is_given_up() {
    with_stack(|world, stack, dns| {
        dns.set_servers(stack, &["192.0.2.77".parse().expect("an address")]);
        assert_eq!(race(world, stack, dns, "both.test"), Err(Failure::NoDestinations));
        assert!(world.now() >= at(10_000) && world.now() < at(15_000), "{}", world.now());
    });
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    with_stack(|world, stack, dns| {
        for (host, ip) in [("192.0.2.2", WEB_V4), ("[2001::3]", WEB_V6), ("2001::3", WEB_V6)] {
            let start = world.now();
            assert_eq!(race(world, stack, dns, host), Ok(SocketAddr::new(ip, 80)));
            assert_eq!(world.now().since(start), ROUND_TRIP, "{host}");
        }
        for never in ["x.invalid", "x.Onion."] {
            let start = world.now();
            assert_eq!(race(world, stack, dns, never), Err(Failure::NoDestinations), "{never}");
            assert_eq!(world.now(), start, "{never} was asked for");
        }
        // There are no loopback addresses here.
        assert_eq!(race(world, stack, dns, "localhost"), Err(Failure::AllAttemptsFailed));
    });
}

#[test]
fn a_lookup_that_cannot_begin_says_why() {
    with_stack(|_, stack, dns| {
        let mut ask = |stack: &mut Client<'_>, host: &str| {
            dns.look_up(stack, host, 80, Families::Both).map(|_| ()).expect_err(host)
        };
        assert_eq!(ask(stack, ""), LookupError::Host(HostError::Empty));
        assert_eq!(ask(stack, "a..b"), LookupError::Host(HostError::Label));
        assert_eq!(ask(stack, &"a.".repeat(200)), LookupError::Host(HostError::TooLong));
    });
    with_stack(|_, stack, dns| {
        let mut first = dns.look_up(stack, "both.test", 80, Families::Both).expect("a name");
        let second = dns.look_up(stack, "both.test", 80, Families::Only(Family::V4)).map(|_| ());
        assert_eq!(second, Err(LookupError::OutOfQueries));
        first.cancel(stack);
        assert!(dns.look_up(stack, "both.test", 80, Families::Both).is_ok());
    });
}

#[test]
fn another_stack_knows_nothing_of_a_lookup() {
    with_stack(|_, stack, dns| {
        let mut lookup = dns.look_up(stack, "both.test", 80, Families::Both).expect("a name");
        with_stack(|world, other, others| {
            let wrong = dns.look_up(other, "both.test", 80, Families::Both).map(|_| ());
            assert_eq!(wrong, Err(LookupError::WrongStack));
            let config = Config::all_at_once();
            let mut connector = Connector::<_, 16, 4>::new(&config, other.now());
            let mut waiter = BoardWaiter(world.clone());
            assert_eq!(
                lookup.run(&mut connector, other, &mut waiter).map(|_| ()),
                Err(Failure::NoDestinations)
            );
            assert!(others.look_up(other, "both.test", 80, Families::Both).is_ok());
        });
    });
}

/// The question for the A record of both.test.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04both\x04test\x00\x00\x01\x00\x01";

#[test]
fn a_datagram_is_answered() {
    with_stack(|world, stack, _| {
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        assert_eq!(UdpClientStack::socket(stack).map(|_| ()), Err(Error::OutOfSockets));
        let mut buffer = [0; 256];
        let unbound = UdpClientStack::receive(stack, &mut socket, &mut buffer);
        assert_eq!(unbound, Err(nb::Error::Other(Error::NotConnected)));

        let server = SocketAddr::new(SERVER, 53);
        UdpClientStack::connect(stack, &mut socket, server).expect("a local port");
        UdpClientStack::send(stack, &mut socket, QUESTION).expect("room");
        let (length, from) = loop {
            match UdpClientStack::receive(stack, &mut socket, &mut buffer) {
                Err(nb::Error::WouldBlock) => world.idle_until(Some(world.now() + ms(1))),
                result => break result.expect("an answer"),
            }
        };
        assert_eq!(from, server);
        assert_eq!(buffer[..length][length - 4..], [192, 0, 2, 2], "the address of both.test");

        let too_long = UdpClientStack::send(stack, &mut socket, &[0; 300]);
        assert_eq!(too_long, Err(nb::Error::Other(Error::TooLong)));
        UdpClientStack::close(stack, socket).expect("closed");
        assert!(UdpClientStack::socket(stack).is_ok());
    });
}

/// smoltcp would drop it, and `send` say that all is well.
#[test]
fn a_datagram_that_no_frame_can_hold_is_refused() {
    let world = World::ethernet();
    let hosts = [world.add_v4(true, HTTP, PATH), world.add_v6(true, HTTP, PATH)];
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 2];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 1];
    let mut datagrams = [UdpBuffers::<2, 4096>::new()];
    let mut stack =
        Stack::with_udp(interface, card, &mut storage, &mut buffers, &mut datagrams, world.clone(), 7);
    for (host, longest) in hosts.into_iter().zip([1500 - 28, 1500 - 48]) {
        let mut socket = UdpClientStack::socket(&mut stack).expect("a socket");
        UdpClientStack::connect(&mut stack, &mut socket, host).expect("a local port");
        let mut send = |length| UdpClientStack::send(&mut stack, &mut socket, &vec![0; length]);
        assert_eq!(send(longest + 1), Err(nb::Error::Other(Error::TooLong)), "{host}");
        assert_eq!(send(longest), Ok(()), "{host}");
        UdpClientStack::close(&mut stack, socket).expect("closed");
    }
}

#[test]
fn ports_can_be_chosen_and_are_not_shared() {
    with_stack(|_, stack, _| {
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        let server = SocketAddr::new(SERVER, 53);
        let unbound = UdpFullStack::send_to(stack, &mut socket, server, b"hello");
        assert_eq!(unbound, Err(nb::Error::Other(Error::NotConnected)));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 0), Err(Error::PortInUse));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 6_000), Ok(()));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 6_000), Err(Error::PortInUse));
        assert_eq!(UdpFullStack::send_to(stack, &mut socket, server, b"hello"), Ok(()));
        let nowhere =
            UdpFullStack::send_to(stack, &mut socket, "[fe81::1]:53".parse().expect("an address"), b"hello");
        assert_eq!(nowhere, Err(nb::Error::Other(Error::Unreachable)));
    });
}
