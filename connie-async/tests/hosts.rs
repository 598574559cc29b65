//! Several hosts, one race, over a fake stack in virtual time.

mod virtual_support;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use connie_async::connie_core::resolution::QueryError;
use connie_async::connie_core::{Config, Family};
use connie_async::{ConnectionError, Options, RaceConnect};
use embedded_io_async::ErrorKind;
use virtual_support::Behaviour::{Accept, Fail};
use virtual_support::{Fault, World, ip};

const MS: u64 = 1_000;

type Net<'w> = RaceConnect<&'w World, &'w World, &'w World, 4, 16, 4>;

fn net(world: &World, deadline: u64) -> Net<'_> {
    let config = Config::all_at_once().deadline(Some(Duration::from_millis(deadline)));
    RaceConnect::with_capacities(world, world, world, Options::new().race(config))
}

/// A name with these addresses of IPv4 alone, which are known after so many microseconds.
fn name(world: &World, name: &str, micros: u64, v4: &str) {
    world.name(name, Family::V6, micros, Some(""));
    world.name(name, Family::V4, micros, Some(v4));
}

/// Who wins, and the number of the host.
fn connect<const HOSTS: usize>(
    world: &World,
    deadline: u64,
    hosts: [(&str, u16); HOSTS],
) -> Result<(SocketAddr, usize), ConnectionError<Fault>> {
    let net = net(world, deadline);
    let won = world.run(net.connect_any(hosts, &net.options()));
    won.map(|(connection, number)| (connection.destination(), number))
}

/// Nobody is at the twelve addresses of the first, the second is not found, and nothing is ever heard of the
/// third.
#[test]
fn what_is_known_is_tried_whatever_becomes_of_the_others() {
    let world = World::new();
    let dead: Vec<String> = (1..=12).map(|n| format!("192.0.2.{n}")).collect();
    name(&world, "dead.test", 0, &dead.join(" "));
    world.name("lost.test", Family::V6, 0, None);
    world.name("lost.test", Family::V4, 0, None);
    world.name("hangs.test", Family::V6, u64::MAX / 2, Some(""));
    world.name("hangs.test", Family::V4, u64::MAX / 2, Some(""));
    name(&world, "there.test", 10 * MS, "198.51.100.1");
    world.address("198.51.100.1", Accept(30 * MS));
    let hosts = [("dead.test", 1), ("lost.test", 2), ("hangs.test", 3), ("there.test", 4)];
    let won = connect(&world, 60_000, hosts);
    assert_eq!(won.unwrap(), (SocketAddr::new(ip("198.51.100.1"), 4), 3));
    // It waits for a turn: all four sockets are at the first host's when it is known.
    assert_eq!(world.now(), (250 + 30) * MS);
    assert_eq!(world.open.get(), 0, "nothing is left of the others");
    assert!(world.is_quiet(), "nor of the look-ups");
}

/// Known at one time, none has to wait for another's second best.
#[test]
fn the_best_of_each_host_is_tried_first() {
    let world = World::new();
    let dead: Vec<String> = (1..=12).map(|n| format!("192.0.2.{n}")).collect();
    name(&world, "dead.test", 5 * MS, &dead.join(" "));
    name(&world, "there.test", 5 * MS, "198.51.100.1");
    world.address("198.51.100.1", Accept(30 * MS));
    world.address("203.0.113.1", Fail(MS, ErrorKind::ConnectionRefused));
    let hosts = [("203.0.113.1", 7), ("dead.test", 1), ("there.test", 4)];
    assert_eq!(connect(&world, 60_000, hosts).unwrap().1, 2);
    assert_eq!(world.now(), 35 * MS);
    assert_eq!(world.tried()[..3], ["203.0.113.1", "192.0.2.1", "198.51.100.1"]);
    assert_eq!((world.queries(Family::V6), world.queries(Family::V4)), (2, 2));
}

#[test]
fn errors_are_those_of_all_hosts() {
    let world = World::new();
    world.name("lost.test", Family::V6, 0, None);
    world.name("lost.test", Family::V4, 0, None);
    world.name_fails("fails.test", ErrorKind::TimedOut);
    name(&world, "refuses.test", 0, "192.0.2.1");
    world.address("192.0.2.1", Fail(MS, ErrorKind::ConnectionRefused));
    world.name("hangs.test", Family::V6, u64::MAX / 2, Some(""));
    world.name("hangs.test", Family::V4, u64::MAX / 2, Some(""));
    let lost = connect(&world, 1_000, [("lost.test", 1), ("fails.test", 2)]);
    assert!(
        matches!(lost, Err(ConnectionError::NotResolved(error)) if error != QueryError::NoSuchName),
        "{lost:?}"
    );
    let refused = connect(&world, 1_000, [("lost.test", 1), ("refuses.test", 2)]);
    assert!(
        matches!(refused, Err(ConnectionError::AllAttemptsFailed(Some(Fault(ErrorKind::ConnectionRefused))))),
        "{refused:?}"
    );
    let begins = world.now();
    let late = connect(&world, 1_000, [("refuses.test", 1), ("hangs.test", 2)]);
    assert!(matches!(late, Err(ConnectionError::DeadlineExceeded)), "{late:?}");
    assert_eq!(world.now() - begins, 1_000 * MS);
    assert!(matches!(connect(&world, 1_000, [("a b", 1)]), Err(ConnectionError::InvalidHost(_))));
    assert!(matches!(
        connect(&world, 1_000, [("x.invalid", 1), ("y.invalid", 2)]),
        Err(ConnectionError::NotResolved(_))
    ));
}

/// No socket, lookup or alarm is left.
#[test]
fn a_future_that_is_dropped_leaves_nothing() {
    let world = World::new();
    name(&world, "silent.test", 0, "192.0.2.1 192.0.2.2");
    world.name("hangs.test", Family::V6, u64::MAX / 2, Some(""));
    world.name("hangs.test", Family::V4, u64::MAX / 2, Some(""));
    let net = net(&world, 60_000);
    {
        let options = net.options();
        let mut race = pin!(net.connect_any([("silent.test", 1), ("hangs.test", 2)], &options));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(race.as_mut().poll(&mut context).is_pending());
        assert!(race.as_mut().poll(&mut context).is_pending());
        assert_eq!(world.open.get(), 2);
    }
    assert_eq!(world.open.get(), 0);
    assert!(world.is_quiet());
}
