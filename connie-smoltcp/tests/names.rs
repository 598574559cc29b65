//! Names and datagrams: DNS servers that answer, do not know, or are silent.

mod link;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::embedded_nal::{UdpClientStack, UdpFullStack};
use connie_core::resolution::HostError;
use connie_core::stack::nb;
use connie_core::{Config, Failure, Families, Family};
use connie_sim::{Rng, seeds};
use connie_smoltcp::connie_dns::DnsConfig;
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::wire::IpCidr;
use connie_smoltcp::{
    Dns, DnsBuffers, DnsDriver, Platform as _, PlatformPoller, SocketStorage, Stack, StackError, StartError,
    StorageFull, TcpBuffers, UdpBuffers,
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
        ("many.test.", false) => Some((1..=14).map(|n| Ipv4Addr::new(198, 51, 100, n).into()).collect()),
        _ => Some(vec![]),
    }
}

/// What a client is lent.
struct Memory<'a> {
    storage: [SocketStorage<'a>; 7],
    queries: [DnsBuffers; 2],
    buffers: [TcpBuffers<512, 512>; 4],
    datagrams: [UdpBuffers<2, 256>; 1],
}

impl<'a> Memory<'a> {
    fn new() -> Self {
        Memory {
            storage: [SocketStorage::EMPTY; 7],
            queries: [const { DnsBuffers::new() }; 2],
            buffers: [const { TcpBuffers::new() }; 4],
            datagrams: [UdpBuffers::new()],
        }
    }

    fn client(&'a mut self, world: &World) -> (Client<'a>, Dns) {
        let Memory { storage, queries, buffers, datagrams } = self;
        let mut card = world.card();
        let interface = client_interface(&mut card, 7);
        let mut stack = Stack::with_udp(interface, card, storage, buffers, datagrams, world.clone(), 7);
        let dns = Dns::start(&mut stack, &[SERVER], queries).expect("room for it");
        (stack, dns)
    }
}

fn world() -> World {
    let world = World::ethernet();
    world.add_v4(false, Place::Host(Answers::Nothing), PATH);
    world.serve_names(SERVER, names);
    world.add_v4(false, HTTP, PATH);
    world.add_v6(false, HTTP, PATH);
    world
}

fn with_stack(body: impl FnOnce(&World, &mut Client<'_>, &Dns)) {
    let (world, mut memory) = (world(), Memory::new());
    let (mut stack, dns) = memory.client(&world);
    body(&world, &mut stack, &dns);
}

type RaceDriver<'d, 'a> = DnsDriver<'d, Client<'a>, 16, 4>;

/// All addresses that a race is told for a name, and when the last answer came.
fn answers(world: &World, stack: &mut Client<'_>, dns: &Dns, host: &str) -> (u64, Vec<SocketAddr>) {
    let mut driver = RaceDriver::new(dns, stack, host, 80, &Config::one_by_one()).expect("a name");
    while !driver.connect().is_resolved() {
        stack.poll();
        let _ = driver.poll(stack);
        let next = stack.poll_at().filter(|_| !driver.connect().is_resolved());
        next.into_iter().for_each(|next| world.idle_until(Some(next)));
    }
    driver.cancel(stack);
    let known = driver.timeline().destinations().map(|destination| destination.address()).collect();
    (world.now().as_micros() / 1000, known)
}

#[track_caller]
fn race(world: &World, stack: &mut Client<'_>, dns: &Dns, host: &str) -> Result<SocketAddr, Failure> {
    let config = Config::all_at_once().deadline(Some(ms(60_000)));
    let mut driver = RaceDriver::new(dns, stack, host, 80, &config).expect("a name");
    let result = driver.run(stack, &mut PlatformPoller(world.clone()));
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
fn all_addresses_of_a_name_are_raced_that_the_race_has_room_for() {
    with_stack(|world, stack, dns| {
        let (_, known) = answers(world, stack, dns, "many.test");
        assert_eq!(known.len(), 14, "{known:?}");
    });
}

/// A live address that was left out explains a race that fails: the summary counts it.
#[test]
fn addresses_that_the_race_has_no_room_for_are_counted() {
    with_stack(|world, stack, dns| {
        let config = Config::one_by_one();
        let mut driver = DnsDriver::<_, 3, 2>::new(dns, stack, "many.test", 80, &config).expect("a name");
        while !driver.connect().is_resolved() {
            stack.poll();
            let _ = driver.poll(stack);
            let next = stack.poll_at().filter(|_| !driver.connect().is_resolved());
            next.into_iter().for_each(|next| world.idle_until(Some(next)));
        }
        let summary = driver.timeline().summary();
        assert_eq!((driver.timeline().destinations().count(), summary.omitted_destinations), (3, 11));
        driver.cancel(stack);
    });
}

/// As many as `DATA` says, and no more.
#[test]
fn the_number_of_addresses_is_the_program_s() {
    let (world, mut memory) = (world(), Memory::new());
    let Memory { storage, queries, buffers, datagrams } = &mut memory;
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut stack = Stack::with_udp(interface, card, storage, buffers, datagrams, world.clone(), 7);
    let dns = Dns::<1, 1, 16, 20>::with_config(&DnsConfig::default(), &mut stack, &[SERVER], queries);
    let dns = dns.expect("room for it");
    let config = Config::one_by_one();
    let mut driver =
        DnsDriver::<_, 16, 4, 32, _>::new(&dns, &mut stack, "many.test", 80, &config).expect("a name");
    while !driver.connect().is_resolved() {
        stack.poll();
        let _ = driver.poll(&mut stack);
        world.idle_until(stack.poll_at());
    }
    assert_eq!(driver.timeline().destinations().count(), 5);
    driver.cancel(&mut stack);
    let too_long = DnsDriver::<_, 16, 4, 32, _>::new(&dns, &mut stack, "abcdefghij.test.", 80, &config);
    assert_eq!(too_long.map(|_| ()), Err(StartError::NameTooLong), "17 octets");
    let longest = DnsDriver::<_, 16, 4, 32, _>::new(&dns, &mut stack, "abcdefghi.test.", 80, &config);
    longest.expect("16 octets").cancel(&mut stack);
}

#[test]
fn a_silent_server_is_given_up() {
    with_stack(|world, stack, dns| {
        dns.set_servers(stack, &["192.0.2.77".parse().expect("an address")]);
        assert_eq!(race(world, stack, dns, "both.test"), Err(Failure::NoDestinations));
        assert_eq!(world.now(), at(8_000), "asked at 0, 1 and 3 s, and then 5 s more");
    });
}

/// Of two name servers the first is dead: on the link, where it is asked for in vain, or behind the router.
/// The second is on the link or behind the router, too, and each is tried over IPv4 and IPv6.
#[test]
fn a_dead_name_server_holds_up_the_next_for_no_longer_than_the_stagger() {
    for (dead_on_link, alive_on_link) in [(true, true), (true, false), (false, true), (false, false)] {
        for (dead_v6, alive_v6) in [(false, false), (true, true), (true, false), (false, true)] {
            let world = World::ethernet();
            let add = |is_v6, on_link, place| match is_v6 {
                true => world.add_v6(on_link, place, PATH).ip(),
                false => world.add_v4(on_link, place, PATH).ip(),
            };
            let dead = add(dead_v6, dead_on_link, Place::Nobody);
            let alive = add(alive_v6, alive_on_link, Place::Host(Answers::Nothing));
            world.serve_names(alive, |name, is_v6| {
                let web = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 3).into();
                Some(if name == "v6.test." && is_v6 { vec![web] } else { vec![] })
            });
            let web = world.add_v6(false, HTTP, PATH);
            let mut memory = Memory::new();
            let (mut stack, dns) = memory.client(&world);
            dns.set_servers(&mut stack, &[dead, alive]);
            let what = format!("{dead}, {alive}");
            assert_eq!(race(&world, &mut stack, &dns, "v6.test"), Ok(web), "{what}");
            // The stagger; a round trip for the neighbour, where that is not the router next door; one for
            // the name and one for the connection.
            let expected = 250 + if alive_on_link { 60 } else { 40 };
            assert_eq!(world.now(), at(expected), "{what}");
            // From then on it comes last, and its neighbour is known.
            let start = world.now();
            dns.set_servers(&mut stack, &[dead, alive]);
            let _ = race(&world, &mut stack, &dns, "nobody.test");
            assert_eq!(world.now().duration_since(start), ROUND_TRIP, "{what}");
            let asked = world.wire().questions.get(&dead).map_or(0, Vec::len);
            assert_eq!(asked, usize::from(dead_on_link), "{what}");
        }
    }
}

/// Nor does it hold up another name that is looked up by the same sockets, when the lookup that asked it is
/// over.
#[test]
fn a_dead_name_server_of_a_look_up_that_was_canceled_holds_nothing_up() {
    with_stack(|world, stack, dns| {
        let dead = world.add_v4(true, Place::Nobody, PATH).ip();
        dns.set_servers(stack, &[dead]);
        let mut driver =
            RaceDriver::new(dns, stack, "both.test", 80, &Config::all_at_once()).expect("a name");
        let _ = driver.poll(stack);
        world.idle_until(Some(at(100)));
        stack.poll();
        driver.cancel(stack);
        dns.set_servers(stack, &[SERVER]);
        assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
        assert_eq!(world.now(), at(140));
    });
}

/// Three name servers at random: dead, on the link or behind the router; a host without one; or alive. Frames
/// are lost, doubled and late, and the card has no room at times. Every lookup ends, with the address where a
/// server is alive and nothing is lost, and leaves the client as it was.
#[test]
fn any_name_servers() {
    let (won, lost) = (Cell::new(0), Cell::new(0));
    seeds(300, |seed| {
        let mut rng = Rng::new(seed);
        let world = World::new(Medium::Ethernet, seed);
        let loss = if rng.chance(50) { 0 } else { 20 };
        let busy = if rng.chance(50) { 0 } else { 30 };
        let (mut servers, mut alive) = (Vec::new(), false);
        for _ in 0..3 {
            let link = Link { loss, doubled: 5, jitter: ms(30), ..PATH };
            let (on_link, is_v6, kind) = (rng.chance(50), rng.chance(50), rng.below(3));
            let place = if kind == 0 { Place::Nobody } else { Place::Host(Answers::Nothing) };
            let server = match is_v6 {
                true => world.add_v6(on_link, place, link).ip(),
                false => world.add_v4(on_link, place, link).ip(),
            };
            if kind == 2 {
                alive = true;
                world.serve_names(server, |name, is_v6| {
                    let web = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 4).into();
                    Some(if name == "v6.test." && is_v6 { vec![web] } else { vec![] })
                });
            }
            servers.push(server);
        }
        let web = world.add_v6(false, HTTP, PATH);
        let mut memory = Memory::new();
        let (mut stack, dns) = memory.client(&world);
        dns.set_servers(&mut stack, &servers);
        world.set_busy(busy);
        let result = race(&world, &mut stack, &dns, "v6.test");
        match result {
            Ok(winner) => assert_eq!(winner, web),
            // Rule 8 of an exchange: the last server is asked after half a second, and has 8 s.
            Err(failure) => {
                assert!(
                    failure == Failure::NoDestinations && world.now() <= at(8_600),
                    "{failure} {}",
                    world.now()
                );
                assert!(!alive || loss > 0, "{servers:?} at {}", world.now());
            }
        }
        let count = if result.is_ok() { &won } else { &lost };
        count.set(count.get() + 1);
        // Nothing is left of it.
        world.mend();
        let mut driver =
            RaceDriver::new(&dns, &mut stack, "other.test", 80, &Config::all_at_once()).expect("room");
        driver.cancel(&mut stack);
    });
    assert!(won.get() >= 150 && lost.get() >= 30, "{won:?} won, {lost:?} lost");
}

/// Its host says so, and the next is asked at once.
#[test]
fn a_host_without_a_name_server_holds_nothing_up() {
    with_stack(|world, stack, dns| {
        for host in [WEB_V4, WEB_V6] {
            dns.set_servers(stack, &[host, SERVER]);
            let start = world.now();
            assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
            assert_eq!(world.now().duration_since(start), 3 * ROUND_TRIP, "{host}");
        }
    });
}

/// A name server of a family that the stack has no address of.
#[test]
fn a_name_server_that_there_is_no_way_to_holds_nothing_up() {
    with_stack(|world, stack, dns| {
        stack.interface_mut().update_ip_addrs(|own| {
            own.retain(|own| match own {
                IpCidr::Ipv4(_) => true,
                IpCidr::Ipv6(own) => own.address().is_unicast_link_local(),
            })
        });
        dns.set_servers(stack, &["2001:db8::53".parse().expect("an address"), SERVER]);
        assert_eq!(race(world, stack, dns, "both.test"), Ok(SocketAddr::new(WEB_V4, 80)));
        assert_eq!(world.now(), at(40));
        dns.set_servers(stack, &["2001:db8::53".parse().expect("an address")]);
        let start = world.now();
        assert_eq!(race(world, stack, dns, "both.test"), Err(Failure::NoDestinations));
        assert_eq!(world.now(), start);
    });
}

#[test]
fn an_answer_is_kept_for_its_time_to_live() {
    with_stack(|world, stack, dns| {
        for (start, takes) in [(0, 40), (59_019, 20), (60_020, 40)] {
            world.idle_until(Some(at(start)));
            let start = world.now();
            assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
            assert_eq!(world.now().duration_since(start), ms(takes));
        }
    });
}

/// RFC 1122 section 3.2.1.3 (g): loopback addresses "MUST NOT appear outside a host".
#[test]
fn a_name_server_on_this_host_is_not_looked_for_outside() {
    with_stack(|world, stack, dns| {
        let nowhere = ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"];
        let mut servers: Vec<IpAddr> = nowhere.iter().map(|ip| ip.parse().expect("an address")).collect();
        servers.push(SERVER);
        dns.set_servers(stack, &servers);
        // One that is asked in vain would cost 250 ms.
        assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
        assert_eq!(world.now(), at(40));
    });
}

/// There is room for three.
#[test]
fn a_name_server_named_twice_takes_no_place_of_another() {
    with_stack(|world, stack, dns| {
        let silent = "192.0.2.77".parse().expect("an address");
        dns.set_servers(stack, &[silent, silent, silent, SERVER]);
        assert_eq!(race(world, stack, dns, "v6.test"), Ok(SocketAddr::new(WEB_V6, 80)));
        assert_eq!(world.now(), at(290));
    });
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    with_stack(|world, stack, dns| {
        for (host, ip) in [("192.0.2.2", WEB_V4), ("[2001::3]", WEB_V6), ("2001::3", WEB_V6)] {
            let start = world.now();
            assert_eq!(race(world, stack, dns, host), Ok(SocketAddr::new(ip, 80)));
            assert_eq!(world.now().duration_since(start), ROUND_TRIP, "{host}");
        }
        for never in ["x.invalid", "x.Onion."] {
            let start = world.now();
            assert_eq!(race(world, stack, dns, never), Err(Failure::NoDestinations), "{never}");
            assert_eq!(world.now(), start, "{never} was asked for");
        }
        // There are no loopback addresses here, and nothing is sent for them.
        for here in ["localhost", "127.0.0.1", "::1", "0.0.0.0", "[::]", "224.0.0.1"] {
            let (start, sent) = (world.now(), world.wire().syns());
            assert_eq!(race(world, stack, dns, here), Err(Failure::AllAttemptsFailed), "{here}");
            assert_eq!((world.now(), world.wire().syns()), (start, sent), "{here}");
        }
    });
}

#[test]
fn a_connect_that_cannot_begin_says_why() {
    let config = Config::all_at_once();
    with_stack(|_, stack, dns| {
        let ask = |stack: &mut Client<'_>, host: &str| {
            RaceDriver::new(dns, stack, host, 80, &config).map(|_| ()).expect_err(host)
        };
        assert_eq!(ask(stack, ""), StartError::Host(HostError::Empty));
        assert_eq!(ask(stack, "a..b"), StartError::Host(HostError::Label));
        assert_eq!(ask(stack, &"a.".repeat(200)), StartError::Host(HostError::TooLong));
        assert_eq!(ask(stack, "fe80::1%eth0"), StartError::Zone);
    });
    with_stack(|_, stack, dns| {
        // There is room for one name, which two may ask for.
        let mut first = RaceDriver::new(dns, stack, "both.test", 80, &config).expect("a name");
        let mut second = RaceDriver::new(dns, stack, "both.test", 80, &config).expect("the same name");
        for _ in 0..2 {
            let third = RaceDriver::new(dns, stack, "v6.test", 80, &config).map(|_| ());
            assert_eq!(third, Err(StartError::OutOfQueries));
        }
        first.cancel(stack);
        let third = RaceDriver::new(dns, stack, "v6.test", 80, &config).map(|_| ());
        assert_eq!(third, Err(StartError::OutOfQueries), "the second still asks");
        second.cancel(stack);
        RaceDriver::new(dns, stack, "v6.test", 80, &config).expect("room again").cancel(stack);
    });
}

/// With room for four names.
type Wide<'d, 'a> = DnsDriver<'d, Client<'a>, 16, 4, 32, Dns<4>>;

/// Room for more names, and two sockets for questions.
#[test]
fn what_there_is_no_socket_for_is_not_begun() {
    let config = Config::all_at_once();
    let (world, mut memory) = (world(), Memory::new());
    let Memory { storage, queries, buffers, datagrams } = &mut memory;
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut stack = Stack::with_udp(interface, card, storage, buffers, datagrams, world.clone(), 7);
    let dns = Dns::<4>::with_config(&DnsConfig::default(), &mut stack, &[SERVER], queries);
    let dns = dns.expect("room for it");
    let only_v4 = config.clone().families(Families::Only(Family::V4));
    let poller = &mut PlatformPoller(world.clone());
    let mut first = Wide::new(&dns, &mut stack, "both.test", 80, &only_v4).expect("a name");
    let second = Wide::new(&dns, &mut stack, "v6.test", 80, &config).map(|_| ());
    assert_eq!(second, Err(StartError::OutOfQueries), "one socket is free, and two are wanted");
    // Those of the second are taken back, so that there is a socket for one question more.
    let mut third = Wide::new(&dns, &mut stack, "silent-v6.test", 80, &only_v4).expect("a name");
    for driver in [&mut third, &mut first] {
        let connection = driver.run(&mut stack, poller).expect("a connection");
        assert_eq!(connection.destination, SocketAddr::new(WEB_V4, 80));
    }
    // Storage for one socket more than there is.
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 5];
    let (mut buffers, mut queries) =
        ([const { TcpBuffers::<512, 512>::new() }; 4], [const { DnsBuffers::<512, 155>::new() }; 2]);
    let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world, 7);
    assert_eq!(Dns::start(&mut stack, &[SERVER], &mut queries).map(|_| ()), Err(StorageFull));
}

#[test]
fn another_stack_knows_nothing_of_the_queries_of_one() {
    let (config, world) = (Config::all_at_once(), world());
    let (mut memory, mut others) = (Memory::new(), Memory::new());
    let ((mut stack, dns), (mut other, its)) = (memory.client(&world), others.client(&world));
    let wrong = RaceDriver::new(&dns, &mut other, "both.test", 80, &config).map(|_| ());
    assert_eq!(wrong, Err(StartError::WrongStack));
    let mut driver = RaceDriver::new(&dns, &mut stack, "both.test", 80, &config).expect("a name");
    let result = driver.run(&mut other, &mut PlatformPoller(world)).map(|_| ());
    assert_eq!(result, Err(Failure::NoDestinations));
    assert!(RaceDriver::new(&its, &mut other, "both.test", 80, &config).is_ok());
}

/// The question for the A record of both.test.
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04both\x04test\x00\x00\x01\x00\x01";

#[test]
fn a_datagram_is_answered() {
    with_stack(|world, stack, _| {
        let mut socket = UdpClientStack::socket(stack).expect("a socket");
        assert_eq!(UdpClientStack::socket(stack).map(|_| ()), Err(StackError::OutOfSockets));
        let mut buffer = [0; 256];
        let unbound = UdpClientStack::receive(stack, &mut socket, &mut buffer);
        assert_eq!(unbound, Err(nb::Error::Other(StackError::NotConnected)));

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
        assert_eq!(too_long, Err(nb::Error::Other(StackError::TooLong)));
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
        assert_eq!(send(longest + 1), Err(nb::Error::Other(StackError::TooLong)), "{host}");
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
        assert_eq!(unbound, Err(nb::Error::Other(StackError::NotConnected)));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 0), Err(StackError::PortInUse));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 6_000), Ok(()));
        assert_eq!(UdpFullStack::bind(stack, &mut socket, 6_000), Err(StackError::PortInUse));
        assert_eq!(UdpFullStack::send_to(stack, &mut socket, server, b"hello"), Ok(()));
        let nowhere =
            UdpFullStack::send_to(stack, &mut socket, "[fe81::1]:53".parse().expect("an address"), b"hello");
        assert_eq!(nowhere, Err(nb::Error::Other(StackError::Unreachable)));
    });
}
