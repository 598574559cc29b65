//! On Ethernet a dead neighbour must not hold up the others.

mod link;

use connie_core::{Config, Failure, Family, RaceDriver};
use connie_smoltcp::{Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers};
use link::{Answers, Link, Place, World, at, client_interface, ms};
use std::net::SocketAddr;
use std::time::Duration;

const HTTP: Place = Place::Host(Answers::Http);
const ROUND_TRIP: Duration = ms(20);

/// Races to `addresses` over four sockets; says who won, and when.
fn race(world: &World, addresses: &[SocketAddr]) -> Result<(SocketAddr, Duration), Failure> {
    let mut card = world.card();
    let interface = client_interface(&mut card, 7);
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    // The dead come first.
    let config = Config::all_at_once().deadline(Some(ms(10_000))).preferred_family(Family::of(&addresses[0]));
    let mut driver = RaceDriver::<_, 16, 4>::new(&config, at(0));
    driver.handle_addresses(addresses, at(0));
    let connection = driver.run(&mut stack, &mut PlatformPoller(world.clone()))?;
    Ok((connection.destination, world.now().duration_since(at(0))))
}

/// One round trip to learn the neighbour's hardware address, and one for the handshake.
#[track_caller]
fn wins_at_once(world: &World, addresses: &[SocketAddr], winner: SocketAddr) {
    assert_eq!(race(world, addresses), Ok((winner, ROUND_TRIP * 2)), "{:#?}", world.wire());
}

#[test]
fn three_dead_neighbours_do_not_hold_up_the_fourth() {
    for live in 0..4 {
        for v6 in [false, true] {
            let world = World::ethernet();
            let place = |index| if index == live { HTTP } else { Place::Nobody };
            let add = |index| match v6 {
                false => world.add_v4(true, place(index), Link::perfect(ROUND_TRIP)),
                true => world.add_v6(true, place(index), Link::perfect(ROUND_TRIP)),
            };
            let addresses = [0, 1, 2, 3].map(add);
            wins_at_once(&world, &addresses, addresses[live]);
        }
    }
}

#[test]
fn a_neighbour_is_asked_for_once_a_second() {
    let world = World::ethernet();
    let addresses = [0, 1, 2, 3].map(|_| world.add_v4(true, Place::Nobody, Link::perfect(ROUND_TRIP)));
    assert_eq!(race(&world, &addresses), Err(Failure::DeadlineExceeded));
    let wire = world.wire();
    for address in addresses {
        let asked = &wire.questions[&address.ip()];
        assert!(asked.windows(2).all(|two| two[1].duration_since(two[0]) >= ms(1000)), "{asked:?}");
        assert!(asked.len() >= 10, "{asked:?}");
    }
    assert_eq!(wire.syns(), 0);
}

#[test]
fn a_dead_ipv6_router_does_not_hold_up_ipv4() {
    let world = World::ethernet();
    world.kill_router(true);
    let dead = [0, 1, 2].map(|_| world.add_v6(false, HTTP, Link::perfect(ROUND_TRIP)));
    let live = world.add_v4(true, HTTP, Link::perfect(ROUND_TRIP));
    wins_at_once(&world, &[dead[0], dead[1], dead[2], live], live);
}

#[test]
fn a_dead_ipv4_router_does_not_hold_up_ipv6() {
    let world = World::ethernet();
    world.kill_router(false);
    let dead = [0, 1, 2].map(|_| world.add_v4(false, HTTP, Link::perfect(ROUND_TRIP)));
    let live = world.add_v6(true, HTTP, Link::perfect(ROUND_TRIP));
    wins_at_once(&world, &[dead[0], dead[1], dead[2], live], live);
}

#[test]
fn a_device_without_room_for_the_question_is_not_asked_again_and_again() {
    let world = World::ethernet();
    let address = world.add_v4(true, HTTP, Link::perfect(ROUND_TRIP));
    // The clock passes only while the client idles: one that spins never comes to the deadline.
    world.set_busy(100);
    assert_eq!(race(&world, &[address]), Err(Failure::DeadlineExceeded));
    assert_eq!(world.now(), at(10_000));
}
