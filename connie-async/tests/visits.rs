//! Visits to one host with a memory, over a fake stack in virtual time: how many sockets each opens.

mod virtual_support;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use connie_async::connie_core::memory::{Memory, Remember};
use connie_async::connie_core::timeline::{Attempt, LastRace};
use connie_async::connie_core::{AttemptOutcome, Family, Instant};
use connie_async::{Options, RaceConnect};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use virtual_support::Behaviour::{Accept, Silent};
use virtual_support::{World, ip};

const MS: u64 = 1_000;

type Net<'w, M> = RaceConnect<&'w World, &'w World, &'w World, 4, 16, 4, M>;

fn memory() -> RefCell<Memory<16>> {
    RefCell::new(Memory::new(7, Instant::ZERO))
}

/// Three addresses: a dead one, one that answers in 30 ms, one in 90.
fn world() -> World {
    let world = World::new();
    world.name("three.test", Family::V6, 0, Some(""));
    world.name("three.test", Family::V4, 0, Some("192.0.2.1 192.0.2.2 192.0.2.3"));
    world.address("192.0.2.1", Silent);
    world.address("192.0.2.2", Accept(30 * MS));
    world.address("192.0.2.3", Accept(90 * MS));
    world
}

/// How many sockets a visit opens, where the two calls are those of a program that knows nothing of races.
fn opened<M: Remember<16>>(world: &World, net: &Net<'_, M>) -> usize {
    let (before, start) = (world.tried().len(), world.now());
    let visit = async {
        let address = net.get_host_by_name("three.test", AddrType::Either).await.expect("an address");
        TcpConnect::connect(&net, SocketAddr::new(address, 80)).await.expect("a connection").destination()
    };
    assert_eq!(world.run(visit), SocketAddr::new(ip("192.0.2.2"), 80));
    assert_eq!(world.now() - start, 30 * MS);
    world.tried().len() - before
}

#[test]
fn from_the_second_visit_on_one_socket_is_enough() {
    let (world, memory) = (world(), memory());
    let net: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(&memory);
    assert_eq!(opened(&world, &net), 3);
    for _ in 0..5 {
        assert_eq!(opened(&world, &net), 1);
    }
}

#[test]
fn another_net_goes_on_with_the_same_memory() {
    let (world, memory) = (world(), memory());
    let net = |memory| {
        let net: Net<'_, &RefCell<Memory<16>>> =
            RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(memory);
        net
    };
    assert_eq!(opened(&world, &net(&memory)), 3);
    assert_eq!(opened(&world, &net(&memory)), 1);
    memory.borrow_mut().forget();
    assert_eq!(opened(&world, &net(&memory)), 3);
}

#[test]
fn a_list_of_hosts_has_one_memory() {
    let (world, memory) = (world(), memory());
    let net: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(&memory);
    let opened = |hosts: [(&str, u16); 2]| {
        let before = world.tried().len();
        let (connection, _) = world.run(net.connect_any(hosts, &net.options())).expect("a connection");
        assert_eq!(connection.destination(), SocketAddr::new(ip("192.0.2.2"), 80));
        world.tried().len() - before
    };
    let hosts = [("three.test", 80), ("192.0.2.9", 80)];
    assert!(opened(hosts) > 1);
    assert_eq!(opened(hosts), 1);
    assert_eq!(opened([hosts[1], hosts[0]]), 1);
}

/// By a time-out of the caller's that is shorter than the lead's own measure is long: the next visit does not
/// wait for it alone.
#[test]
fn a_future_that_is_dropped_teaches_that_the_lead_was_late() {
    let (world, memory) = (world(), memory());
    let net: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(&memory);
    for _ in 0..12 {
        opened(&world, &net);
    }
    world.address("192.0.2.2", Silent);
    // When each start came, of a connect that is given 60 ms.
    let started = || {
        let (before, start) = (world.tried().len(), world.now());
        assert!(world.run_until(start + 60 * MS, net.connect(("three.test", 80), &net.options())).is_none());
        let starts = world.started.borrow()[before..].to_vec();
        starts.iter().map(|(to, at)| (to.ip().to_string(), at - start)).collect::<Vec<_>>()
    };
    let first = started();
    assert_eq!(first[0], ("192.0.2.2".to_owned(), 0));
    assert!(first[1].1 > 0, "{first:?}");
    let second = started();
    assert_eq!(second[1].1, 0, "beside the lead: {second:?}");
    // It was late twice, and does not lead any more.
    world.address("192.0.2.3", Accept(30 * MS));
    let won = world.run(net.connect(("three.test", 80), &net.options())).expect("a connection").destination();
    assert_eq!(won, SocketAddr::new(ip("192.0.2.3"), 80));
}

/// Its own, which it shows.
#[test]
fn a_net_may_own_its_memory() {
    let world = world();
    let net: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(memory());
    assert_eq!(opened(&world, &net), 3);
    assert_eq!(opened(&world, &net), 1);
    assert!(net.memory().borrow().entries(Instant::ZERO).count() > 0);
}

#[test]
fn without_a_memory_each_visit_tries_all() {
    let world = world();
    let net: Net<'_, _> = RaceConnect::with_capacities(&world, &world, &world, Options::new());
    for _ in 0..3 {
        assert_eq!(opened(&world, &net), 3);
    }
}

/// The memory is borrowed by the program while a visit begins: that visit has none, and nothing panics.
#[test]
fn a_memory_that_is_borrowed_is_done_without() {
    let (world, memory) = (world(), memory());
    let net: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_memory(&memory);
    let borrowed = memory.borrow_mut();
    assert_eq!(opened(&world, &net), 3);
    drop(borrowed);
    assert_eq!(opened(&world, &net), 3);
    assert_eq!(opened(&world, &net), 1);
}

/// With a memory and without one, and also of a race that its caller gives up.
#[test]
fn the_last_race_is_kept_where_that_is_wanted() {
    let (world, memory) = (world(), memory());
    let last = RefCell::new(LastRace::new());
    let attempts = || last.borrow().timeline().attempts().collect::<Vec<_>>();
    let plain: Net<'_, _> =
        RaceConnect::with_capacities(&world, &world, &world, Options::new()).with_record(&last);
    assert_eq!((opened(&world, &plain), attempts().len()), (3, 3));
    let won = |attempt: &Attempt| attempt.outcome == Some(AttemptOutcome::Established);
    let winner = attempts().into_iter().find(won).expect("a winner");
    assert_eq!(winner.destination, SocketAddr::new(ip("192.0.2.2"), 80));
    assert_eq!(winner.ended, Some(Duration::from_millis(30)));

    let net: Net<'_, _> = RaceConnect::with_capacities(&world, &world, &world, Options::new())
        .with_memory(&memory)
        .with_record(&last);
    assert_eq!((opened(&world, &net), attempts().len()), (3, 3));
    assert_eq!((opened(&world, &net), attempts().len()), (1, 1));

    world.address("192.0.2.2", Silent);
    fn give_up<M: Remember<16>>(world: &World, net: &Net<'_, M>) {
        let end = world.now() + 10 * MS;
        assert!(world.run_until(end, net.connect(("three.test", 80), &net.options())).is_none());
    }
    give_up(&world, &net);
    let ended = |started: usize| {
        assert_eq!(last.borrow().timeline().summary().ended, Some(Duration::from_millis(10)));
        assert_eq!(attempts().len(), started);
        assert!(attempts().iter().all(|attempt| attempt.outcome == Some(AttemptOutcome::Canceled)));
    };
    ended(1);
    give_up(&world, &plain);
    ended(3);
}
