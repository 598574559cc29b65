//! Networks as firmware meets them: cables that are pulled out, routers that change, caches that are too
//! small. Each test says who wins, when by the virtual clock, and that nothing is left open.
//!
//! Some of it is smoltcp's affair, and the test says so: what is asserted there is that a race comes through.

mod link;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::{
    Dhcp, DhcpEvent, Dns, DnsBuffers, DnsDriver, Platform as _, PlatformPoller, SocketStorage, Stack,
    TcpBuffers,
};
use link::client::{Client, config, expect_clean, fetch, race, serve, settle, visit, with_stack};
use link::dhcp::DhcpServer;
use link::{Answers, Link, Place, World, at, client_interface, edits, ms};

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);
const PATH: Link = Link::perfect(ROUND_TRIP);
const NEW_ROUTER: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfd];

/// A SYN that is lost is repeated after 1 s and after 3 s (RFC 6298 sections 2.1 and 5.5).
#[test]
fn a_cable_that_is_out_for_a_while_costs_little_more_than_that_while() {
    for medium in [Medium::Ethernet, Medium::Ip] {
        for v6 in [false, true] {
            let world = World::new(medium, 1);
            let address = if v6 { world.add_v6(false, HTTP, PATH) } else { world.add_v4(false, HTTP, PATH) };
            with_stack::<4>(&world, |stack| {
                // Nobody is answered at first, and in the middle of the second page.
                world.unplug(true);
                world.after(2_500, |world| world.unplug(false));
                let first = visit(&world, stack, &[address]);
                world.after(25, |world| world.unplug(true));
                world.after(4_025, |world| world.unplug(false));
                let second = visit(&world, stack, &[address]);
                assert_eq!((first, second), ((address, 3_020), (address, 20)));
                // The second page's own time-outs had grown to 4 s by the end.
                assert!(world.now() < at(12_000), "{:?}", world.now());
            });
        }
    }
}

/// smoltcp's cache has room for 8 hardware addresses. Thirteen neighbours answer in the same moment.
#[test]
fn a_cache_of_neighbours_that_is_too_small() {
    for live in 0..12 {
        let world = World::ethernet();
        let mut addresses =
            [(); 12].map(|()| world.add_v4(true, Place::Host(Answers::Nothing), PATH)).to_vec();
        let winner = world.add_v4(true, HTTP, PATH);
        addresses.insert(live, winner);
        with_stack::<13>(&world, |stack| {
            assert_eq!(visit(&world, stack, &addresses), (winner, 40));
        });
    }
}

/// The old hardware address is still in smoltcp's cache, and stays there for a minute. The SYN that is
/// repeated after a second asks for the router anew, and that of the race's second attempt, 250 ms later,
/// gets through.
#[test]
fn a_router_in_whose_place_another_was_put() {
    for v6 in [false, true] {
        let world = World::ethernet();
        let address = if v6 { world.add_v6(false, HTTP, PATH) } else { world.add_v4(false, HTTP, PATH) };
        with_stack::<4>(&world, |stack| {
            visit(&world, stack, &[address]);
            world.replace_routers(NEW_ROUTER);
            assert_eq!(visit(&world, stack, &[address]), (address, 1_270));
            // From then on it is known.
            assert_eq!(visit(&world, stack, &[address]), (address, 20));
        });
    }
}

/// RFC 4861 section 6.3.4 and RFC 4862 section 5.5.4: a router and a prefix are used for their lifetimes. The
/// stack looks every 10 s, since smoltcp does not say when they end.
///
/// The interface has a route of IPv4 from the beginning, beside which smoltcp 0.14 adds no router of IPv6.
#[test]
fn lifetimes_of_a_router_and_of_its_prefix() {
    let world = World::ethernet();
    let v6 = world.add_v6(false, HTTP, PATH);
    let v4 = world.add_v4(false, HTTP, Link::perfect(ms(40)));
    let mut card = world.card();
    let mut interface = connie_smoltcp::interface(&mut card, link::CLIENT_MAC, 7, at(0));
    interface.update_ip_addrs(|own| own.push("10.0.0.100/24".parse().unwrap()).unwrap());
    interface.routes_mut().add_default_ipv4_route(link::ROUTER_V4).unwrap();
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack: Client<'_, 4> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let stack = &mut stack;
    let own = |stack: &Client<'_, 4>| stack.interface().ip_addrs().len();
    world.send_advertisement(10, 20);
    serve(&world, stack, 1_000);
    assert_eq!(own(stack), 3);
    assert_eq!(visit(&world, stack, &[v6, v4]), (v6, 20));
    // Told again in time, they last.
    world.send_advertisement(10, 20);
    serve(&world, stack, 10_500);
    assert_eq!(visit(&world, stack, &[v6, v4]), (v6, 20));
    serve(&world, stack, 21_000);
    assert_eq!(visit(&world, stack, &[v6, v4]), (v4, 40));
    serve(&world, stack, 32_000);
    assert_eq!(own(stack), 2);
    // The router comes back.
    world.send_advertisement(1_800, 1_800);
    serve(&world, stack, 33_000);
    assert_eq!(visit(&world, stack, &[v6, v4]), (v6, 20));
    settle(stack, &world);
    expect_clean(stack, &world);
}

/// With each new address smoltcp forgets all its neighbours. The router's answer and its advertisement come
/// in the same moment, and the answer is lost: it is asked again at once, and not after a second.
#[test]
fn a_router_that_advertises_itself_as_the_race_asks_for_it() {
    let world = World::ethernet();
    let address = world.add_v4(false, HTTP, PATH);
    let mut card = world.card();
    let mut interface = connie_smoltcp::interface(&mut card, link::CLIENT_MAC, 7, at(0));
    interface.update_ip_addrs(|own| own.push("10.0.0.100/24".parse().unwrap()).unwrap());
    interface.routes_mut().add_default_ipv4_route(link::ROUTER_V4).unwrap();
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack: Client<'_, 4> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let stack = &mut stack;
    serve(&world, stack, 1_000);
    world.after(0, |world| world.send_advertisement(1_800, 1_800));
    assert_eq!(visit(&world, stack, &[address]), (address, 20));
    assert_eq!(stack.interface().ip_addrs().len(), 3);
    settle(stack, &world);
    expect_clean(stack, &world);
}

#[test]
fn the_last_of_twenty_addresses() {
    let world = World::ethernet();
    let places: Vec<_> = (0..19)
        .map(|n| match n % 3 {
            0 => world.add_v4(true, Place::Nobody, PATH),
            1 => world.add_v6(false, Place::Nobody, PATH),
            _ => world.add_v4(false, Place::Host(Answers::Nothing), PATH),
        })
        .collect();
    let live = world.add_v4(false, HTTP, PATH);
    let addresses: Vec<_> = places.into_iter().chain([live]).collect();
    with_stack::<4>(&world, |stack| {
        // Five turns of four sockets, of which the dead take three patiences.
        assert_eq!(visit(&world, stack, &addresses), (live, 790));
    });
    with_stack::<20>(&world, |stack| assert_eq!(visit(&world, stack, &addresses), (live, 20)));
}

fn many_addresses(_: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    let web = IpAddr::from([192, 0, 2, 3]);
    Some(if is_v6 { vec![] } else { std::iter::repeat_n(web, 14).collect() })
}

/// smoltcp's `proto-ipv4-fragmentation` is off here: the pieces are dropped, as from a server that is silent.
/// The next server is asked after 250 ms. (The client announces room for 512 octets, so that no server has
/// cause to send more than fits.)
#[test]
fn an_answer_in_pieces() {
    let world = World::ethernet();
    let servers = [(); 2].map(|()| world.add_v4(false, Place::Host(Answers::Nothing), PATH));
    let web = world.add_v4(false, HTTP, PATH);
    servers.iter().for_each(|server| world.serve_names(server.ip(), many_addresses));
    world.rewrite(servers[0], edits::fragments);
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 8];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut queries = [const { DnsBuffers::<512>::new() }; 4];
    let mut stack: Client<'_, 4> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let stack = &mut stack;
    let dns = Dns::start(stack, &servers.map(|server| server.ip()), &mut queries).expect("room for it");
    let mut driver = DnsDriver::<_, 16, 4>::new(&dns, stack, "many.test", 80, &config()).expect("a name");
    let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
    assert_eq!((connection.destination, world.now()), (web, at(250 + 40)));
    assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
    settle(stack, &world);
    expect_clean(stack, &world);
}

/// A lease of two minutes is renewed a thousand times: the address stays, and so does a connection.
#[test]
fn a_thousand_renewals() {
    let world = World::ethernet();
    let address = world.add_v4(false, HTTP, PATH);
    world.serve_dhcp(DhcpServer {
        server: link::ROUTER_V4,
        address: link::client_v4(),
        router: link::ROUTER_V4,
        dns: vec![Ipv4Addr::new(10, 0, 0, 53)],
        lease: 120,
        granted: 0,
        denied: 0,
    });
    let mut card = world.card();
    let interface = connie_smoltcp::interface(&mut card, link::CLIENT_MAC, 7, at(0));
    let mut storage = [SocketStorage::EMPTY; 5];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack: Client<'_, 4> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let stack = &mut stack;
    let mut dhcp = Dhcp::start(stack).expect("room for it");
    let mut events = Vec::new();
    let mut connection = None;
    while world.dhcp().granted < 1 + 1_000 {
        stack.poll();
        events.extend(dhcp.poll(stack));
        let has_address = matches!(events.last(), Some(DhcpEvent::Configured(_)));
        if connection.is_none() && has_address {
            connection = Some(race(&world, stack, &[address], &config()).expect("a winner"));
        }
        let next = stack.poll_at().expect("a renewal");
        world.idle_until(Some(next));
    }
    stack.poll();
    let lost = events.iter().filter(|event| **event == DhcpEvent::Deconfigured).count();
    // At first there is none.
    assert_eq!((events.len() - lost, lost), (1, 1), "{events:?}");
    assert_eq!(world.dhcp().denied, 0);
    assert!(world.now() >= at(60_000_000), "{:?}", world.now());
    assert_eq!(world.wire().syns(), 1);
    assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection.expect("a connection")));
    settle(stack, &world);
    expect_clean(stack, &world);
}
