//! Addresses of this machine that change while a connect runs, over a fake stack in virtual time.

mod virtual_support;

use std::cell::RefCell;
use std::net::IpAddr;

use connie_async::connie_core::memory::Memory;
use connie_async::connie_core::{Config, Family, Instant};
use connie_async::{ConnectionError, Options, RaceConnect};
use embassy_futures::join::join;
use embedded_io_async::ErrorKind;
use virtual_support::Behaviour::{Accept, Silent};
use virtual_support::{Fault, World, ip};

const MS: u64 = 1_000;
const OLD: &str = "10.0.0.2";
const NEW: &str = "10.9.0.2";

type Net<'w> = RaceConnect<&'w World, &'w World, &'w World, 4, 16, 4>;

fn net(world: &World) -> Net<'_> {
    let options = Options::new().race(Config::all_at_once());
    RaceConnect::with_capacities(world, world, world, options)
}

/// A name with one silent address, and this machine at its old address.
fn world(v6: &str) -> World {
    let world = World::new();
    world.name("many.test", Family::V6, 0, Some(v6));
    world.name("many.test", Family::V4, 0, Some("192.0.2.1"));
    world.address("192.0.2.1", Silent);
    world.source_v4.set(Some(ip(OLD)));
    world
}

impl World {
    /// From `at` on, IPv4 is sent from `to`. What is sent from the new address is answered.
    async fn moves(&self, at: u64, to: Option<&str>) {
        use connie_async::Clock;
        self.wait_until(Instant::from_micros(at)).await;
        self.source_v4.set(to.map(ip));
        self.lacks.set(to.is_none().then_some(Family::V4));
        if to == Some(NEW) {
            self.address("192.0.2.1", Accept(30 * MS));
        }
    }

    fn froms(&self) -> Vec<Option<IpAddr>> {
        self.sent_from.borrow().clone()
    }
}

/// No answer can reach the attempts of the old address, so their destinations are tried again.
#[test]
fn a_connect_goes_on_from_another_address() {
    let world = world("");
    let net = net(&world);
    let options = net.options();
    // The stack wakes whoever has a socket that it ends.
    let ((), connected) =
        world.run(join(world.moves(100 * MS, Some(NEW)), net.connect(("many.test", 80), &options)));
    assert_eq!(connected.expect("a connection").destination().ip(), ip("192.0.2.1"));
    assert_eq!((world.now(), world.froms()), (130 * MS, vec![Some(ip(OLD)), Some(ip(NEW))]));
    assert_eq!(world.open.get(), 0);
}

/// As when a DHCP server refuses to renew a lease: there is no address for a while.
#[test]
fn a_connect_waits_for_an_address_in_place_of_one_that_is_gone() {
    let world = world("");
    let net = net(&world);
    let options = net.options();
    let ended = RefCell::new(None);
    // Tasks of their own: nothing but the clock wakes the connect.
    let connect = async {
        let connected = net.connect(("many.test", 80), &options).await.map(|it| it.destination().ip());
        *ended.borrow_mut() = Some((connected, world.now()));
    };
    let moves = async {
        world.moves(100 * MS, None).await;
        world.moves(5_000 * MS, Some(NEW)).await;
    };
    let (count, _) = world.run_tasks(u64::MAX - 1, vec![Box::pin(connect), Box::pin(moves)]);
    assert_eq!(count, 2);
    let (connected, at) = ended.take().expect("it has ended");
    assert_eq!(connected, Ok(ip("192.0.2.1")));
    assert!((5_030 * MS..=5_130 * MS).contains(&at), "{at}");
    assert_eq!(world.froms().last(), Some(&Some(ip(NEW))));
    assert!(world.froms().iter().all(Option::is_some), "nothing is sent from nowhere: {:?}", world.froms());
}

/// And not for ever: the deadline is 30 s, and an address that comes after 12 s comes too late.
#[test]
fn an_address_that_is_gone_for_good_ends_what_has_no_other_way() {
    let world = world("");
    let net = net(&world);
    let options = net.options();
    let (connected, ()) =
        world.run(join(net.connect(("many.test", 80), &options), world.moves(100 * MS, None)));
    assert_eq!(connected.map(|_| ()), Err::<(), ConnectionError<Fault>>(ConnectionError::Unreachable));
    assert!((12_100 * MS..12_300 * MS).contains(&world.now()), "{}", world.now());
}

/// The other family is not held up, neither by the loss nor by what comes in its place.
#[test]
fn the_other_family_wins_meanwhile() {
    let world = world("2001:db8::1");
    world.source_v6.set(Some(ip("2001:db8:1::2")));
    world.address("2001:db8::1", Accept(400 * MS));
    let net = net(&world);
    let options = net.options();
    let (connected, ()) =
        world.run(join(net.connect(("many.test", 80), &options), world.moves(100 * MS, None)));
    assert_eq!(connected.expect("a connection").destination().ip(), ip("2001:db8::1"));
    assert_eq!(world.now(), 400 * MS);
}

/// A real reset is not a move: the source address is as it was.
#[test]
fn a_reset_without_a_move_is_a_reset() {
    let world = world("");
    world.address("192.0.2.1", virtual_support::Behaviour::Fail(50 * MS, ErrorKind::ConnectionReset));
    let net = net(&world);
    let options = net.options();
    let error = world.run(net.connect(("many.test", 80), &options)).map(|_| ());
    assert_eq!(error, Err(ConnectionError::AllAttemptsFailed(Some(Fault(ErrorKind::ConnectionReset)))));
    assert_eq!(world.froms().len(), 1);
}

/// What is learnt after a move is learnt of the new network: there the next visit begins with what won.
#[test]
fn the_memory_follows() {
    let world = World::new();
    world.name("many.test", Family::V6, 0, Some(""));
    world.name("many.test", Family::V4, 0, Some("192.0.2.7 192.0.2.8 192.0.2.1"));
    world.source_v4.set(Some(ip(OLD)));
    let memory = RefCell::new(Memory::<16>::new(7, Instant::ZERO));
    let net = net(&world).with_memory(&memory);
    let options = net.options();
    let connect = || net.connect(("many.test", 80), &options);
    let (connected, ()) = world.run(join(connect(), world.moves(100 * MS, Some(NEW))));
    assert_eq!(connected.expect("a connection").destination().ip(), ip("192.0.2.1"));
    let first_on = |source: &str| {
        world.source_v4.set(Some(ip(source)));
        world.started.borrow_mut().clear();
        drop(world.run(connect()));
        world.tried()[0].clone()
    };
    assert_eq!(first_on(NEW), "192.0.2.1");
    assert_eq!(first_on(OLD), "192.0.2.7", "nothing was learnt there");
}

/// The same where no attempt was touched by the change: the family had been given up, or this is its first
/// address. Its addresses are known only later.
#[test]
fn the_memory_follows_to_an_address_that_nobody_waited_for() {
    for had_one in [true, false] {
        let world = World::new();
        world.name("many.test", Family::V6, 0, Some("2001:db8::1"));
        world.name("many.test", Family::V4, 20_000 * MS, Some("192.0.2.7 192.0.2.8 192.0.2.1"));
        // There is no NAT64.
        world.name("ipv4only.arpa", Family::V6, 0, None);
        world.source_v6.set(Some(ip("2001:db8:1::2")));
        world.source_v4.set(had_one.then(|| ip(OLD)));
        world.lacks.set((!had_one).then_some(Family::V4));
        let memory = RefCell::new(Memory::<16>::new(7, Instant::ZERO));
        let net = net(&world).with_memory(&memory);
        let options = net.options();
        let connect = || net.connect(("many.test", 80), &options);
        let moves = async {
            if had_one {
                world.moves(100 * MS, None).await;
            }
            // After `PAUSE`, and before the answer.
            world.moves(15_000 * MS, Some(NEW)).await;
        };
        let (connected, ()) = world.run(join(connect(), moves));
        assert_eq!(connected.expect("a connection").destination().ip(), ip("192.0.2.1"));
        assert_eq!(world.froms().last(), Some(&Some(ip(NEW))));
        world.name("many.test", Family::V6, 0, Some(""));
        world.name("many.test", Family::V4, 0, Some("192.0.2.7 192.0.2.8 192.0.2.1"));
        let first_on = |source: &str| {
            world.source_v4.set(Some(ip(source)));
            world.started.borrow_mut().clear();
            drop(world.run(connect()));
            world.tried()[0].clone()
        };
        assert_eq!(first_on(NEW), "192.0.2.1", "{had_one}");
        assert_eq!(first_on(OLD), "192.0.2.7", "nothing was learnt there: {had_one}");
    }
}
