//! IPv4 from a host that has IPv6 alone, through the NAT64 of its network (RFC 8305 section 7): in one call
//! and in two.

mod virtual_support;

use std::net::SocketAddr;
use std::time::Duration;

use connie_async::connie_core::resolution::nat64::WELL_KNOWN_NAME;
use connie_async::connie_core::{Config, Family};
use connie_async::{Connection, ConnectionError, Options, RaceConnect};
use embedded_io_async::ErrorKind;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use virtual_support::Behaviour::{Accept, Fail};
use virtual_support::{Fault, Socket, World, ip};

const MS: u64 = 1_000;
const THROUGH: &str = "64:ff9b::192.0.2.1";

type Net<'w> = RaceConnect<&'w World, &'w World, &'w World, 4, 8, 4>;
type Outcome<'w> = Result<Connection<Socket<'w>>, ConnectionError<Fault>>;

fn net(world: &World) -> Net<'_> {
    let config = Config::all_at_once().deadline(Some(Duration::from_secs(5))).hedge(false);
    RaceConnect::with_capacities(world, world, world, Options::new().race(config))
}

/// A network without IPv4, which tells its prefix after `micros`.
fn world(micros: u64, prefix: &str) -> World {
    let world = World::new();
    world.lacks.set(Some(Family::V4));
    world.name(WELL_KNOWN_NAME, Family::V6, micros, Some(prefix));
    world.address(THROUGH, Accept(MS));
    world
}

fn connects<'n>(world: &'n World, net: &'n Net<'n>, host: &str, two_calls: bool) -> Outcome<'n> {
    world.run(async {
        if !two_calls {
            return net.connect((host, 80), &net.options()).await;
        }
        let address = net.get_host_by_name(host, AddrType::Either).await.expect("an address");
        TcpConnect::connect(net, SocketAddr::new(address, 80)).await
    })
}

#[track_caller]
fn won(outcome: &Outcome<'_>, address: &str) {
    match outcome {
        Ok(connection) => assert_eq!(connection.destination(), SocketAddr::new(ip(address), 80)),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_name_with_ipv4_addresses_alone() {
    for two_calls in [false, true] {
        let world = world(30 * MS, "64:ff9b::192.0.0.170 64:ff9b::192.0.0.171");
        world.name("four.test", Family::V6, 0, Some(""));
        world.name("four.test", Family::V4, 0, Some("192.0.2.1"));
        let net = net(&world);
        won(&connects(&world, &net, "four.test", two_calls), THROUGH);
        // An address that is kept back cannot answer a lookup, so nothing is asked for again.
        let asked = world.asked.borrow();
        let asked: Vec<_> = asked.iter().map(|(name, family, _)| (name.as_str(), *family)).collect();
        let prefix = (WELL_KNOWN_NAME, Family::V6);
        assert_eq!(asked, [("four.test", Family::V6), ("four.test", Family::V4), prefix]);
        assert_eq!((world.tried(), world.now()), (vec!["64:ff9b::c000:201".to_owned()], 31 * MS));
    }
}

/// It is tried as it is at once, since there may be a way to it alone. Here there is none.
#[test]
fn an_ipv4_address() {
    for (micros, two_calls) in [(100 * MS, false), (100 * MS, true), (5 * MS, false), (5 * MS, true)] {
        let world = world(micros, "64:ff9b::192.0.0.170");
        let net = net(&world);
        won(&connects(&world, &net, "192.0.2.1", two_calls), THROUGH);
        assert_eq!(world.tried(), ["64:ff9b::c000:201"]);
        // The lookup of the two calls does not wait for a prefix that is late, and the connect asks again.
        assert_eq!(world.queries(Family::V6), 1 + usize::from(two_calls && micros > 15 * MS));
    }
}

/// What was late when the lookup was answered is asked for again, and so are the addresses that it was kept
/// back for.
#[test]
fn a_prefix_that_comes_after_the_ipv6_addresses() {
    for two_calls in [false, true] {
        let world = world(200 * MS, "64:ff9b::192.0.0.170");
        world.name("both.test", Family::V6, 0, Some("2001:db8::1"));
        world.name("both.test", Family::V4, 0, Some("192.0.2.1"));
        world.address("2001:db8::1", Fail(MS, ErrorKind::ConnectionRefused));
        let net = net(&world);
        won(&connects(&world, &net, "both.test", two_calls), THROUGH);
        assert_eq!(world.tried(), ["2001:db8::1", "64:ff9b::c000:201"]);
    }
}

#[test]
fn a_network_without_a_nat64() {
    for two_calls in [false, true] {
        let world = world(0, "");
        world.name_fails(WELL_KNOWN_NAME, ErrorKind::Other);
        world.name("four.test", Family::V6, 0, Some(""));
        world.name("four.test", Family::V4, 0, Some("192.0.2.1"));
        let net = net(&world);
        let error = connects(&world, &net, "four.test", two_calls).err();
        assert_eq!((error, world.now()), (Some(ConnectionError::Unreachable), 0));
        assert!(world.tried().is_empty() && world.is_quiet());
    }
}

/// With IPv4 there is no need for it.
#[test]
fn a_host_with_ipv4_does_not_ask() {
    let world = world(0, "64:ff9b::192.0.0.170");
    world.lacks.set(None);
    world.name("four.test", Family::V6, 0, Some(""));
    world.name("four.test", Family::V4, 0, Some("192.0.2.1"));
    world.address("192.0.2.1", Accept(MS));
    let net = net(&world);
    won(&connects(&world, &net, "four.test", false), "192.0.2.1");
    assert_eq!(world.queries(Family::V6), 1);
}
