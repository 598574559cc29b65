//! An interface that asks the routers for its IPv6 addresses.

mod link;

use connie_core::stack::TcpClientStack;
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::{Platform as _, SocketStorage, Stack, TcpBuffers, interface};
use link::{Card, World, at, ms};

fn with_stack(world: &World, body: impl FnOnce(&mut Stack<'_, Card, World, 1>)) {
    let mut card = world.card();
    let interface = interface(&mut card, link::CLIENT_MAC, 7, at(0));
    let mut storage = [SocketStorage::EMPTY; 1];
    let mut buffers = [const { TcpBuffers::<64, 64>::new() }; 1];
    body(&mut Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7));
}

/// Serves the stack until `until`, in milliseconds; says how often it was asked to.
fn serve(world: &World, stack: &mut Stack<'_, Card, World, 1>, until: u64) -> usize {
    let mut polls = 0;
    while world.now() < at(until) {
        stack.poll();
        polls += 1;
        let next = stack.poll_at().map_or(at(until), |next| next.min(at(until)));
        world.idle_until(Some(next));
    }
    polls
}

#[test]
fn a_router_that_advertises_a_prefix_gives_an_address_and_a_route() {
    let world = World::ethernet();
    world.advertise();
    with_stack(&world, |stack| {
        serve(&world, stack, 50);
        let own: Vec<String> = stack.interface().ip_addrs().iter().map(ToString::to_string).collect();
        assert_eq!(own, ["fe80::ff:fe00:c1/64", "fd00::ff:fe00:c1/64"]);
        assert!(stack.interface().routes().get_default_ipv6_route().is_some());
    });
}

#[test]
fn without_a_router_the_board_still_sleeps() {
    let world = World::ethernet();
    with_stack(&world, |stack| {
        let polls = serve(&world, stack, 60_000);
        assert!(polls < 60_000 / 4, "{polls} polls in a minute");
        assert_eq!(stack.interface().ip_addrs().len(), 1, "the link-local address");
    });
}

/// smoltcp 0.14 forgets the sockets' timers when it says when it wants to be served, once SLAAC has nothing
/// to wait for.
#[test]
fn a_lost_syn_is_repeated_in_time() {
    let world = World::ethernet();
    world.advertise();
    let nobody = world.add_v6(false, link::Place::Nobody, link::Link::perfect(ms(20)));
    with_stack(&world, |stack| {
        serve(&world, stack, 50);
        let mut socket = TcpClientStack::socket(stack).expect("a socket");
        let _ = TcpClientStack::connect(stack, &mut socket, nobody);
        serve(&world, stack, 2_000);
        let syns = world.wire().flows_to(nobody)[0].syns.clone();
        assert_eq!(syns.len(), 2, "{syns:?}");
        let repeated = syns[1].duration_since(syns[0]);
        assert!(repeated >= ms(1_000) && repeated <= ms(1_010), "{repeated:?}");
    });
}

#[test]
fn a_device_without_hardware_addresses_has_none_of_this() {
    let world = World::new(Medium::Ip, 1);
    with_stack(&world, |stack| {
        let polls = serve(&world, stack, 60_000);
        assert_eq!((polls, stack.interface().ip_addrs().len()), (1, 0));
    });
}
