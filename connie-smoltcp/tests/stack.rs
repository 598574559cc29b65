//! What a `Stack` promises, one promise at a time.

mod link;

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::connect::Routes;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Instant, Interest, PollEntry, Poller, RaceStack};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::socket::tcp;
use connie_smoltcp::smoltcp::wire::{IpAddress, IpCidr};
use connie_smoltcp::{
    Platform as _, PlatformPoller, SocketStorage, Stack, StackError, TcpBuffers, TcpSocket,
};
use link::{Answers, Card, Link, Place, World, at, client_interface, ms};

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);
/// What is sent is acknowledged after a round trip and the 10 ms for which a host waits for more.
const ACKNOWLEDGED: Duration = ms(30);
const PATH: Link = Link::perfect(ROUND_TRIP);

type Client<'a> = Stack<'a, Card, World, 4>;

/// Runs `body` with a stack of four sockets over `world`.
fn with_stack(world: &World, body: impl FnOnce(&mut Client<'_>)) {
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    body(&mut Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7));
}

fn point_to_point() -> World {
    World::new(Medium::Ip, 1)
}

fn socket(stack: &mut Client<'_>) -> TcpSocket {
    TcpClientStack::socket(stack).expect("a socket")
}

/// Begins to connect.
#[track_caller]
fn begin(stack: &mut Client<'_>, remote: SocketAddr) -> TcpSocket {
    let mut socket = socket(stack);
    assert_eq!(TcpClientStack::connect(stack, &mut socket, remote), Err(nb::Error::WouldBlock));
    socket
}

/// Asks every 100 µs until the attempt has ended, without polling: `connect` itself serves the stack.
fn end(
    world: &World,
    stack: &mut Client<'_>,
    socket: &mut TcpSocket,
    remote: SocketAddr,
) -> Result<(), StackError> {
    loop {
        match TcpClientStack::connect(stack, socket, remote) {
            Err(nb::Error::WouldBlock) => world.idle_until(Some(world.now() + Duration::from_micros(100))),
            Err(nb::Error::Other(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

#[track_caller]
fn connected(world: &World, stack: &mut Client<'_>, remote: SocketAddr) -> TcpSocket {
    let mut socket = begin(stack, remote);
    assert_eq!(end(world, stack, &mut socket, remote), Ok(()));
    socket
}

/// Serves the stack until `until`.
fn serve(world: &World, stack: &mut Client<'_>, until: Instant) {
    loop {
        stack.poll();
        if world.now() >= until {
            return;
        }
        let next = stack.poll_at().map_or(until, |next| next.min(until));
        world.idle_until(Some(next));
    }
}

fn send(stack: &mut Client<'_>, socket: &mut TcpSocket, data: &[u8]) -> nb::Result<usize, StackError> {
    TcpClientStack::send(stack, socket, data)
}

fn receive(stack: &mut Client<'_>, socket: &mut TcpSocket) -> nb::Result<usize, StackError> {
    TcpClientStack::receive(stack, socket, &mut [0; 1024])
}

/// Lets time pass, a millisecond at a time and without a poll of the stack, until `done`. Answers how long
/// that took.
#[track_caller]
fn time_until(world: &World, mut done: impl FnMut() -> bool) -> Duration {
    let start = world.now();
    while !done() {
        world.idle_until(Some(world.now() + ms(1)));
        assert!(world.now() < start + ms(100));
    }
    world.now().duration_since(start)
}

fn close(stack: &mut Client<'_>, socket: TcpSocket) {
    TcpClientStack::close(stack, socket).expect("closed");
}

/// The one flow to `remote`.
fn flow(world: &World, remote: SocketAddr) -> link::Flow {
    let wire = world.wire();
    let flows = wire.flows_to(remote);
    assert_eq!(flows.len(), 1, "{wire:#?}");
    flows[0].clone()
}

#[test]
fn a_connection_is_there_after_a_round_trip_and_not_before() {
    let world = point_to_point();
    for remote in [world.add_v4(false, HTTP, PATH), world.add_v6(false, HTTP, PATH)] {
        with_stack(&world, |stack| {
            let start = world.now();
            let _socket = connected(&world, stack, remote);
            assert_eq!(world.now().duration_since(start), ROUND_TRIP);
        });
    }
}

#[test]
fn a_refusal_is_told_once_and_as_what_it_is() {
    let world = point_to_point();
    let remote = world.add_v4(false, Place::Host(Answers::Nothing), PATH);
    with_stack(&world, |stack| {
        let mut socket = begin(stack, remote);
        assert_eq!(end(&world, stack, &mut socket, remote), Err(StackError::Refused));
        assert_eq!(world.now(), Instant::ZERO + ROUND_TRIP);
        assert_eq!(
            end(&world, stack, &mut socket, remote),
            Err(StackError::NotConnected),
            "it does not try again"
        );
        assert_eq!(world.wire().syns(), 1);
        stack.abort(socket);
        assert_eq!(stack.free_sockets(), 4);
    });
}

#[test]
fn silence_is_a_time_out_by_the_stacks_own_clock() {
    let world = point_to_point();
    let remote = world.add_v4(false, Place::Nobody, PATH);
    with_stack(&world, |stack| {
        stack.set_connect_timeout(ms(2_500));
        let mut socket = begin(stack, remote);
        assert_eq!(end(&world, stack, &mut socket, remote), Err(StackError::TimedOut));
        assert_eq!(world.now(), at(2_500));
        assert_eq!(flow(&world, remote).syns, [at(0), at(1_000)], "the next would be due at 3 s");
    });
}

#[test]
fn a_router_that_knows_no_way_is_believed_at_once() {
    for world in [World::ethernet(), point_to_point()] {
        for remote in
            [world.add_v4(false, Place::Unreachable, PATH), world.add_v6(false, Place::Unreachable, PATH)]
        {
            with_stack(&world, |stack| {
                let mut socket = begin(stack, remote);
                assert_eq!(end(&world, stack, &mut socket, remote), Err(StackError::Unreachable));
                stack.abort(socket);
                assert_eq!(stack.free_sockets(), 4);
            });
            assert_eq!(flow(&world, remote).syns.len(), 1);
        }
    }
}

#[test]
fn an_icmp_error_that_quotes_no_syn_of_ours_is_not_believed() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = begin(stack, remote);
        stack.poll();
        // Port and addresses are right, the sequence number is a guess.
        let local = stack.local_address(&socket).expect("a local address");
        world.deliver(link::frames::unreachable(&link::frames::syn(local, remote, 0x1234_5678), remote.ip()));
        assert_eq!(end(&world, stack, &mut socket, remote), Ok(()));
    });
}

/// What becomes of attempts on `remotes` from a stack with these addresses, and with routes for both families
/// where `routed`.
#[track_caller]
fn expect_begin(
    medium: Medium,
    own: &[&str],
    routed: bool,
    remotes: &[&str],
    expected: nb::Result<(), StackError>,
) {
    let world = World::new(medium, 1);
    let mut card = world.card();
    let mut interface = client_interface(&mut card, 7);
    if !own.is_empty() {
        interface.update_ip_addrs(|list| {
            // SLAAC panics without a link-local address.
            list.retain(|own| matches!(own.address(), IpAddress::Ipv6(ip) if ip.is_unicast_link_local()));
            list.extend(own.iter().map(|own| own.parse::<IpCidr>().expect("an address")));
        });
    }
    if !routed {
        interface.routes_mut().update(|routes| routes.clear());
    }
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    for remote in remotes {
        let mut socket = socket(&mut stack);
        let result = TcpClientStack::connect(&mut stack, &mut socket, remote.parse().expect("an address"));
        assert_eq!(result, expected, "{remote} over {medium:?} from {own:?}");
        stack.abort(socket);
    }
    stack.poll();
    assert_eq!((world.wire().syns(), world.wire().questions.len()), (0, 0));
}

const UNREACHABLE: nb::Result<(), StackError> = Err(nb::Error::Other(StackError::Unreachable));
/// An attempt has begun.
const BEGUN: nb::Result<(), StackError> = Err(nb::Error::WouldBlock);

#[test]
fn where_there_is_no_way_nothing_is_sent() {
    let remotes = [
        "192.0.2.1:80",          // no route
        "[2001:db8::1]:80",      // no route
        "[fe81::1]:80",          // link-local, and on another link
        "[::ffff:192.0.2.1]:80", // IPv4 all the same, and no route
    ];
    expect_begin(Medium::Ethernet, &[], false, &remotes, UNREACHABLE);
    expect_begin(Medium::Ethernet, &[], true, &["10.0.0.1:0"], UNREACHABLE);
}

/// Whatever routes there are: RFC 9293 section 3.9.2.3, RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3.
#[test]
fn what_is_no_hosts_address_or_does_not_leave_this_one_is_unreachable() {
    let remotes = [
        "127.0.0.1:80",          // this host
        "127.0.0.0:80",          // the first of them
        "127.255.255.255:80",    // and the last
        "[::1]:80",              // this host
        "[::ffff:127.0.0.1]:80", // the same as an IPv4-mapped address
        "0.0.0.0:80",            // nobody
        "0.0.0.1:80",            // a host on a network without a number
        "0.255.255.255:80",      // the last of them
        "[::ffff:0.0.0.0]:80",   // nobody
        "[::]:80",               // nobody
        "255.255.255.255:80",    // everybody
        "10.0.0.255:80",         // everybody on the link
        "224.0.0.1:80",          // a group
        "239.255.255.255:80",    // the last group
        "[::ffff:224.0.0.1]:80", // a group
        "[ff02::1]:80",          // a group
        "[ff0e::1]:80",          // a group
        "[ffff::ffff]:80",       // a group
    ];
    let next_to_them = [
        "1.0.0.0:80",
        "126.255.255.255:80",
        "128.0.0.0:80",
        "223.255.255.255:80",
        "240.0.0.0:80",
        "[::2]:80",
    ];
    for medium in [Medium::Ethernet, Medium::Ip] {
        expect_begin(medium, &[], true, &remotes, UNREACHABLE);
        expect_begin(medium, &[], true, &next_to_them, BEGUN);
        // An address of the world, on a link that has all of it.
        expect_begin(medium, &["10.0.0.2/0"], true, &["127.0.0.1:80"], UNREACHABLE);
    }
}

/// A device that carries packets back to their sender: an address on it says that it is one.
#[test]
fn loopback_addresses_are_reached_from_loopback_addresses_alone() {
    for medium in [Medium::Ethernet, Medium::Ip] {
        let near = ["127.0.0.1:80", "127.0.0.9:80", "[::1]:80"];
        expect_begin(medium, &["127.0.0.1/8", "::1/128"], true, &near, BEGUN);
        // They "MUST NOT appear outside a host": nor as the source.
        let far = ["192.0.2.1:80", "[2001:db8::1]:80"];
        expect_begin(medium, &["127.0.0.1/8", "::1/128"], true, &far, UNREACHABLE);
        // Not within the network of the address.
        expect_begin(medium, &["127.0.0.1/32"], true, &["127.0.0.2:80"], UNREACHABLE);
    }
}

/// RFC 8305 section 3 and RFC 6724 rule 1 ask which families lead anywhere.
#[test]
fn the_facts_tell_by_which_families_there_is_a_way() {
    for (own, v4, v6) in [
        (&["10.0.0.2/24", "2001:db8:2::2/64"][..], true, true),
        (&["10.0.0.2/24"], true, false),
        (&["2001:db8:2::2/64"], false, true),
        (&["fe80::2/64", "127.0.0.1/8"], false, false),
        (&["::1/128"], false, false),
    ] {
        for routed in [true, false] {
            let world = World::ethernet();
            let mut card = world.card();
            let mut interface = client_interface(&mut card, 7);
            let addresses = own.iter().map(|own| own.parse::<IpCidr>().expect("an address"));
            interface.update_ip_addrs(|list| *list = addresses.collect());
            if !routed {
                interface.routes_mut().update(|routes| routes.clear());
            }
            let mut storage = [SocketStorage::EMPTY; 4];
            let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
            let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
            // One that is not on the internet counts as one that has both: it is on a network of its own.
            let routes = match routed && (v4 || v6) {
                true => Routes { v4, v6 },
                false => Routes::default(),
            };
            assert_eq!(stack.facts().routes, routes, "{own:?}, routed: {routed}");
        }
    }
}

#[test]
fn a_family_without_an_address_is_unreachable_at_once() {
    for medium in [Medium::Ethernet, Medium::Ip] {
        let world = World::new(medium, 1);
        let mut card = world.card();
        let mut interface = client_interface(&mut card, 7);
        let (v4, v6) = (world.add_v4(false, HTTP, PATH), world.add_v6(false, HTTP, PATH));
        // What SLAAC begins with: a link-local address, which does not lead beyond the link.
        interface.update_ip_addrs(|own| {
            own.retain(|own| matches!(own.address().into(), std::net::IpAddr::V6(own) if own.is_unicast_link_local()));
        });
        let mut storage = [SocketStorage::EMPTY; 4];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
        for remote in [v4, v6] {
            let mut socket = socket(&mut stack);
            let result = TcpClientStack::connect(&mut stack, &mut socket, remote);
            assert_eq!(result, Err(nb::Error::Other(StackError::Unreachable)), "{remote} over {medium:?}");
        }
    }
}

#[test]
fn an_address_that_is_taken_away_takes_its_attempts_along() {
    let world = point_to_point();
    let remote = world.add_v4(false, Place::Nobody, PATH);
    with_stack(&world, |stack| {
        let mut socket = begin(stack, remote);
        stack.poll();
        stack.interface_mut().update_ip_addrs(|own| own.clear());
        assert_eq!(end(&world, stack, &mut socket, remote), Err(StackError::Unreachable));
    });
}

#[test]
fn there_are_as_many_sockets_as_were_lent() {
    let world = point_to_point();
    with_stack(&world, |stack| {
        let mut all: Vec<_> = (0..4).map(|_| socket(stack)).collect();
        for _ in 0..3 {
            assert_eq!(TcpClientStack::socket(stack).unwrap_err(), StackError::OutOfSockets);
            stack.abort(all.pop().expect("a socket"));
            all.push(socket(stack));
        }
    });
}

#[test]
fn an_attempt_that_is_aborted_is_forgotten_without_a_word() {
    let world = point_to_point();
    let (slow, other) = (world.add_v4(false, HTTP, Link::perfect(ms(100))), world.add_v4(false, HTTP, PATH));
    with_stack(&world, |stack| {
        let rest: Vec<_> = (0..3).map(|_| socket(stack)).collect();
        let loser = begin(stack, slow);
        serve(&world, stack, at(50));
        stack.abort(loser);
        // Its place is lent again, and the answer that is still under way finds somebody else there.
        let winner = connected(&world, stack, other);
        serve(&world, stack, at(200));
        let flow = flow(&world, slow);
        assert_eq!(
            (flow.answered, flow.reset),
            (Some(at(100)), Some(at(100))),
            "a reset answers it, and not before"
        );
        assert_eq!(world.connections(slow), []);
        assert_eq!(world.connections(other).len(), 1, "the connection in its place lives on");
        drop((rest, winner));
    });
}

#[test]
fn a_connection_that_is_aborted_is_reset_within_the_call() {
    let world = point_to_point();
    let (loser, other) = (world.add_v4(false, HTTP, PATH), world.add_v4(false, HTTP, PATH));
    with_stack(&world, |stack| {
        let _rest: Vec<_> = (0..3).map(|_| socket(stack)).collect();
        let socket = connected(&world, stack, loser);
        let now = world.now();
        stack.abort(socket);
        assert_eq!(flow(&world, loser).reset, Some(now));
        let _ = begin(stack, other);
        serve(&world, stack, now + ms(100));
        assert_eq!(world.connections(loser), []);
        assert_eq!(world.connections(other).len(), 1);
    });
}

#[test]
fn a_reset_that_finds_no_room_leaves_as_soon_as_there_is_some() {
    let world = point_to_point();
    let loser = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let socket = connected(&world, stack, loser);
        world.set_busy(100);
        stack.abort(socket);
        serve(&world, stack, world.now() + ms(50));
        assert_eq!(flow(&world, loser).reset, None);
        assert_eq!(stack.free_sockets(), 4, "its place is free all the same");
        world.set_busy(0);
        let now = world.now();
        serve(&world, stack, now + ms(10));
        assert!(flow(&world, loser).reset.is_some_and(|reset| reset >= now));
    });
}

#[test]
fn a_socket_that_owes_a_reset_is_lent_when_no_other_is_free() {
    let world = point_to_point();
    let loser = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let rest: Vec<_> = (0..3).map(|_| socket(stack)).collect();
        let taken = connected(&world, stack, loser);
        world.set_busy(100);
        stack.abort(taken);
        let again = socket(stack);
        world.set_busy(0);
        // The peer hears of it when it next says something.
        serve(&world, stack, world.now() + ms(50));
        assert_eq!(flow(&world, loser).reset, None);
        drop((rest, again));
    });
}

#[test]
fn what_was_sent_before_a_close_is_delivered() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(send(stack, &mut socket, b"GET / HTTP/1.1\r\n\r\n"), Ok(18));
        close(stack, socket);
        serve(&world, stack, world.now() + ms(100));
        assert_eq!(world.served(remote), 1);
        assert!(flow(&world, remote).finished.is_some());
    });
}

#[test]
fn a_socket_that_is_closing_is_lent_when_no_other_is_free() {
    let world = point_to_point();
    let remotes = [0, 1, 2, 3].map(|_| world.add_v4(false, HTTP, PATH));
    with_stack(&world, |stack| {
        for remote in remotes {
            let socket = connected(&world, stack, remote);
            // The FIN is a long time under way.
            world.set_link(remote, Link::perfect(ms(10_000)));
            close(stack, socket);
        }
        assert_eq!(stack.free_sockets(), 4);
        let _new = socket(stack);
        let was_reset = remotes.map(|remote| flow(&world, remote).reset.is_some());
        assert_eq!(was_reset, [true, false, false, false], "the one that was closed first");
        assert_eq!(stack.free_sockets(), 3);
    });
}

#[test]
fn a_peer_that_has_closed_its_side_already_is_a_connection_all_the_same() {
    let world = point_to_point();
    let remote = world.add_v4(false, Place::Host(Answers::HttpAndHurry), PATH);
    with_stack(&world, |stack| {
        let mut socket = begin(stack, remote);
        serve(&world, stack, at(500));
        assert_eq!(TcpClientStack::connect(stack, &mut socket, remote), Ok(()));
        assert_eq!(receive(stack, &mut socket), Ok(0), "there is nothing more to come");
        assert_eq!(send(stack, &mut socket, b"hello"), Ok(5), "but it still listens");
    });
}

#[test]
fn a_reset_is_no_end_of_file() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        serve(&world, stack, world.now() + ms(50));
        assert_eq!(receive(stack, &mut socket), Err(nb::Error::WouldBlock));
        world.crash(remote);
        assert_eq!(send(stack, &mut socket, b"hello"), Ok(5));
        serve(&world, stack, world.now() + ms(50));
        assert_eq!(receive(stack, &mut socket), Err(nb::Error::Other(StackError::Reset)));
        assert_eq!(send(stack, &mut socket, b"hello"), Err(nb::Error::Other(StackError::Reset)));
    });
}

#[test]
fn all_is_read_before_the_end() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(send(stack, &mut socket, b"GET / HTTP/1.1\r\n\r\n"), Ok(18));
        serve(&world, stack, world.now() + ms(100));
        let (mut page, mut part) = (Vec::new(), [0; 7]);
        loop {
            match TcpClientStack::receive(stack, &mut socket, &mut part) {
                Ok(0) => break,
                Ok(count) => page.extend(&part[..count]),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(page.ends_with(b"host 192.0.2.1"), "{}", String::from_utf8_lossy(&page));
    });
}

#[test]
fn a_place_whose_last_neighbour_was_silent_does_not_hold_up_the_next() {
    let world = World::ethernet();
    let (nobody, live) = (world.add_v4(true, Place::Nobody, PATH), world.add_v4(true, HTTP, PATH));
    with_stack(&world, |stack| {
        let _rest: Vec<_> = (0..3).map(|_| socket(stack)).collect();
        let dead = begin(stack, nobody);
        serve(&world, stack, at(100));
        stack.abort(dead);
        let mut socket = begin(stack, live);
        assert_eq!(end(&world, stack, &mut socket, live), Ok(()));
        assert_eq!(
            world.now(),
            at(100) + ROUND_TRIP * 2,
            "one for its hardware address, one for the handshake"
        );
    });
}

#[test]
fn a_wait_ends_when_a_socket_is_ready_and_says_which() {
    let world = point_to_point();
    let (live, dead) = (world.add_v4(false, HTTP, PATH), world.add_v4(false, Place::Nobody, PATH));
    with_stack(&world, |stack| {
        let (mut live, mut dead) = (begin(stack, live), begin(stack, dead));
        let mut ready = (false, false);
        while ready == (false, false) {
            let mut sockets =
                [PollEntry::new(&mut live, Interest::Connect), PollEntry::new(&mut dead, Interest::Connect)];
            let _ = PlatformPoller(world.clone()).wait(stack, &mut sockets, None);
            ready = (sockets[0].ready, sockets[1].ready);
        }
        assert_eq!((ready, world.now()), ((true, false), Instant::ZERO + ROUND_TRIP));
    });
}

#[test]
fn a_wait_looks_at_what_has_come_before_it_sleeps() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = begin(stack, remote);
        stack.poll();
        // The answer waits in the card.
        world.idle_until(Some(at(20)));
        let before = world.now();
        let mut sockets = [PollEntry::new(&mut socket, Interest::Connect)];
        let _ = PlatformPoller(world.clone()).wait(stack, &mut sockets, Some(at(5_000)));
        assert!(sockets[0].ready);
        assert_eq!(world.now(), before);
        // With nothing to watch, whatever comes is news.
        let _second = begin(stack, remote);
        stack.poll();
        world.idle_until(Some(at(40)));
        let _ = PlatformPoller(world.clone()).wait(stack, &mut [], Some(at(5_000)));
        assert_eq!(world.now(), at(40));
    });
}

#[test]
fn a_wait_ends_at_its_time() {
    let world = point_to_point();
    with_stack(&world, |stack| {
        for until in [at(3), at(3), at(7)] {
            let _ = PlatformPoller(world.clone()).wait(stack, &mut [], Some(until));
            assert_eq!(world.now(), until);
        }
    });
}

#[test]
fn a_server_of_the_programs_own_runs_beside() {
    let world = point_to_point();
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 5];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let (mut rx, mut tx) = ([0; 64], [0; 64]);
    let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let new = |rx, tx| tcp::Socket::new(tcp::SocketBuffer::new(rx), tcp::SocketBuffer::new(tx));
    let handle = stack.add(new(&mut rx[..], &mut tx[..])).expect("room for a fifth");
    stack.get_mut::<tcp::Socket<'_>>(handle).expect("a socket").listen(7).expect("a port");
    assert_eq!(stack.add(new(&mut [][..], &mut [][..])), Err(connie_smoltcp::StorageFull));
}

#[test]
fn a_connection_that_is_asked_for_again_is_there() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(TcpClientStack::connect(stack, &mut socket, remote), Ok(()));
    });
}

#[test]
fn an_empty_slice_is_no_cause_to_wait() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(send(stack, &mut socket, b""), Ok(0));
        assert_eq!(TcpClientStack::receive(stack, &mut socket, &mut []), Ok(0));
    });
}

#[test]
fn what_finds_no_room_has_to_wait_until_the_peer_has_taken_some() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(send(stack, &mut socket, &[b'x'; 600]), Ok(512), "as much as the buffer holds");
        assert_eq!(send(stack, &mut socket, b"x"), Err(nb::Error::WouldBlock));
        // The call itself takes in what has come.
        assert_eq!(time_until(&world, || send(stack, &mut socket, b"x") == Ok(1)), ACKNOWLEDGED);
    });
}

#[test]
fn what_has_come_is_received_without_a_poll() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(send(stack, &mut socket, b"GET / HTTP/1.1\r\n\r\n"), Ok(18));
        stack.poll();
        let come = || receive(stack, &mut socket) != Err(nb::Error::WouldBlock);
        assert_eq!(time_until(&world, come), ROUND_TRIP);
    });
}

#[test]
fn a_local_port_is_not_shared_with_the_programs_own_sockets() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    let local_port = |own: Option<u16>| {
        let mut card = world.card();
        let interface = client_interface(&mut card, 7);
        let mut storage = [SocketStorage::EMPTY; 5];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let (mut rx, mut tx) = ([0; 64], [0; 64]);
        let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
        let mut server =
            tcp::Socket::new(tcp::SocketBuffer::new(&mut rx[..]), tcp::SocketBuffer::new(&mut tx[..]));
        if let Some(port) = own {
            server.listen(port).expect("a port");
        }
        let _ = stack.add(server).expect("room for a fifth");
        let socket = begin(&mut stack, remote);
        stack.local_address(&socket).expect("an address").port()
    };
    // The same seed gives the same port, as long as nobody has it.
    let port = local_port(None);
    assert_eq!(local_port(Some(80)), port);
    assert_ne!(local_port(Some(port)), port);
}

/// The first of the routes is that of IPv4.
#[track_caller]
fn reaches(
    world: &World,
    remote: SocketAddr,
    change: impl FnOnce(&mut smoltcp::iface::Route),
    expected: bool,
) {
    with_stack(world, |stack| {
        let mut change = Some(change);
        stack.interface_mut().routes_mut().update(|routes| {
            let route = routes.iter_mut().find(|route| matches!(route.cidr, smoltcp::wire::IpCidr::Ipv4(_)));
            if let (Some(route), Some(change)) = (route, change.take()) {
                change(route);
            }
        });
        let mut socket = socket(stack);
        let result = TcpClientStack::connect(stack, &mut socket, remote);
        let unreachable = Err(nb::Error::Other(StackError::Unreachable));
        assert_eq!(result, if expected { Err(nb::Error::WouldBlock) } else { unreachable });
    });
}

#[test]
fn a_route_leads_to_its_prefix_as_long_as_it_lasts() {
    let world = World::ethernet();
    let remote = world.add_v4(false, HTTP, PATH);
    world.idle_until(Some(at(5)));
    let now = smoltcp::time::Instant::from_millis(5);
    let elsewhere = smoltcp::wire::IpCidr::new(smoltcp::wire::IpAddress::v4(198, 51, 100, 0), 24);
    reaches(&world, remote, |_| {}, true);
    reaches(&world, remote, |route| route.cidr = elsewhere, false);
    reaches(&world, remote, |route| route.expires_at = Some(now), true);
    reaches(&world, remote, |route| route.expires_at = Some(smoltcp::time::Instant::from_millis(4)), false);
}

#[test]
fn point_to_point_no_route_is_needed() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        stack.interface_mut().routes_mut().update(|routes| routes.clear());
        let _socket = connected(&world, stack, remote);
    });
}

/// Waits for `interest`, 100 ms at most. Answers whether the socket was ready, and how long it took.
fn wait(
    world: &World,
    stack: &mut Client<'_>,
    socket: &mut TcpSocket,
    interest: Interest,
) -> (bool, Duration) {
    let start = world.now();
    loop {
        let mut sockets = [PollEntry::new(socket, interest)];
        let _ = PlatformPoller(world.clone()).wait(stack, &mut sockets, Some(start + ms(100)));
        let (ready, waited) = (sockets[0].ready, world.now().duration_since(start));
        if ready || waited >= ms(100) {
            return (ready, waited);
        }
    }
}

#[test]
fn a_wait_to_receive_ends_with_bytes_or_with_the_peer_s_close() {
    let world = point_to_point();
    let (polite, hasty) =
        (world.add_v4(false, HTTP, PATH), world.add_v4(false, Place::Host(Answers::HttpAndHurry), PATH));
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, polite);
        assert_eq!(wait(&world, stack, &mut socket, Interest::Receive), (false, ms(100)));
        assert_eq!(send(stack, &mut socket, b"GET / HTTP/1.1\r\n\r\n"), Ok(18));
        assert_eq!(wait(&world, stack, &mut socket, Interest::Receive), (true, ROUND_TRIP));
        let mut socket = connected(&world, stack, hasty);
        assert!(wait(&world, stack, &mut socket, Interest::Receive).0);
        assert_eq!(receive(stack, &mut socket), Ok(0));
    });
}

#[test]
fn a_wait_to_send_ends_with_room_or_with_the_connection() {
    let world = point_to_point();
    let remote = world.add_v4(false, HTTP, PATH);
    with_stack(&world, |stack| {
        let mut socket = connected(&world, stack, remote);
        assert_eq!(wait(&world, stack, &mut socket, Interest::Send), (true, Duration::ZERO));
        assert_eq!(send(stack, &mut socket, &[b'x'; 512]), Ok(512));
        assert_eq!(wait(&world, stack, &mut socket, Interest::Send), (true, ACKNOWLEDGED));
        world.crash(remote);
        assert_eq!(send(stack, &mut socket, &[b'x'; 512]), Ok(512));
        assert_eq!(wait(&world, stack, &mut socket, Interest::Send), (true, ROUND_TRIP));
        assert_eq!(send(stack, &mut socket, b"x"), Err(nb::Error::Other(StackError::Reset)));
    });
}

#[test]
fn a_socket_that_has_closed_is_lent_before_one_that_is_closing() {
    let world = point_to_point();
    let remotes = [0, 1, 2, 3].map(|_| world.add_v4(false, Place::Host(Answers::HttpAndHurry), PATH));
    with_stack(&world, |stack| {
        for (index, remote) in remotes.into_iter().enumerate() {
            let socket = connected(&world, stack, remote);
            serve(&world, stack, world.now() + ms(50));
            // The last one's FIN arrives, those of the others are a long time under way.
            if index < 3 {
                world.set_link(remote, Link::perfect(ms(10_000)));
            }
            close(stack, socket);
        }
        serve(&world, stack, world.now() + ms(100));
        let _new = socket(stack);
        let was_reset = remotes.map(|remote| flow(&world, remote).reset.is_some());
        assert_eq!(was_reset, [false; 4]);
    });
}

#[test]
fn a_board_may_sleep_until_something_is_due() {
    let world = point_to_point();
    let remote = world.add_v4(false, Place::Nobody, PATH);
    with_stack(&world, |stack| {
        stack.interface_mut().update_ip_addrs(|own| own.truncate(1));
        let _socket = begin(stack, remote);
        stack.poll();
        // RFC 6298 section 2.1: without a measurement "the sender SHOULD set RTO <- 1 second"; smoltcp begins
        // with less.
        let next = stack.poll_at().expect("the SYN is repeated");
        assert!(next >= world.now() + ms(250), "{next:?}");
    });
}

#[test]
fn what_comes_at_once_is_taken_64_frames_at_a_time() {
    let world = point_to_point();
    with_stack(&world, |stack| {
        let (from, to) = ("192.0.2.9:80".parse().unwrap(), SocketAddr::from(([10, 0, 0, 100], 9)));
        for sequence in 0..65 {
            world.deliver(link::frames::syn(from, to, sequence));
        }
        assert!(stack.poll());
        assert_eq!(stack.poll_at(), Some(world.now()), "there is more");
        assert!(stack.poll(), "the last one");
        assert!(!stack.poll());
    });
}
