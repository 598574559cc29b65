//! Lookups and connects over a fake stack in virtual time: what is raced, when it ends, and what is left
//! open.

mod virtual_support;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use connie_async::connie_core::connect::InvalidHost;
use connie_async::connie_core::resolution::{HostError, QueryError};
use connie_async::connie_core::{Config, Families, Family};
use connie_async::{Connection, ConnectionError, Options, RaceConnect, ResolveError};
use embedded_io_async::{Error as _, ErrorKind, Read};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use virtual_support::Behaviour::{Accept, Fail, Silent};
use virtual_support::{Fault, Socket, World, ip};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// An end for races that nobody wins.
const SOON: Duration = Duration::from_secs(1);
const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;

type Net<'w, const SOCKETS: usize = 4> = RaceConnect<&'w World, &'w World, &'w World, SOCKETS, 16, 4>;
type Outcome<'w> = Result<Connection<Socket<'w>>, ConnectionError<Fault>>;

fn net<const SOCKETS: usize>(world: &World, config: Config) -> Net<'_, SOCKETS> {
    RaceConnect::with_capacities(world, world, world, Options::new().race(config))
}

/// Looks the name up and connects, as reqwless does.
async fn open<'n, 'w, const SOCKETS: usize>(net: &'n Net<'w, SOCKETS>, host: &str) -> Outcome<'n> {
    let address = net.get_host_by_name(host, AddrType::Either).await.expect("an address");
    TcpConnect::connect(net, SocketAddr::new(address, 80)).await
}

#[track_caller]
fn won(outcome: &Outcome<'_>, address: &str) {
    match outcome {
        Ok(connection) => assert_eq!(connection.destination(), SocketAddr::new(ip(address), 80)),
        Err(error) => panic!("{error}"),
    }
}

/// A name whose addresses are known at once.
fn known(world: &World, name: &str, v6: &str, v4: &str) {
    world.name(name, Family::V6, 0, Some(v6));
    world.name(name, Family::V4, 0, Some(v4));
}

#[test]
fn a_dead_first_address_costs_nothing() {
    let world = World::new();
    known(&world, "many.test", "2001:db8::1", "192.0.2.1 192.0.2.2");
    world.address("192.0.2.1", Fail(5 * MS, REFUSED));
    world.address("192.0.2.2", Accept(30 * MS));
    let net = net::<4>(&world, Config::all_at_once());
    let outcome = world.run(open(&net, "many.test"));
    won(&outcome, "192.0.2.2");
    assert_eq!(world.now(), 30 * MS);
    assert_eq!(world.open.get(), 1);
    drop(outcome);
    assert_eq!(world.open.get(), 0);
    assert!(world.is_quiet());
}

#[test]
fn any_port_of_the_name_is_raced_and_no_other_address_stands_for_it() {
    let world = World::new();
    known(&world, "many.test", "", "192.0.2.1 192.0.2.2");
    world.address("192.0.2.2", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    let first = world.run(net.get_host_by_name("many.test", AddrType::Either)).unwrap();
    assert_eq!(first, ip("192.0.2.1"));
    for port in [80, 443] {
        let connection = world.run(TcpConnect::connect(&net, SocketAddr::new(first, port))).unwrap();
        assert_eq!(connection.destination(), SocketAddr::new(ip("192.0.2.2"), port));
    }
    world.started.borrow_mut().clear();
    world.run(TcpConnect::connect(&net, "192.0.2.2:80".parse().unwrap())).unwrap();
    assert_eq!(world.tried(), ["192.0.2.2"]);
}

/// Eleven dead of twelve over four sockets, and the stack has no more.
#[test]
fn no_more_than_sockets_are_in_flight_and_none_is_stuck() {
    let world = World::new();
    let list: Vec<String> = (1..=12).map(|n| format!("192.0.2.{n}")).collect();
    known(&world, "many.test", "", &list.join(" "));
    world.address("192.0.2.12", Accept(20 * MS));
    world.pool.set(4);
    let net = net::<4>(&world, Config::all_at_once());
    let outcome = world.run(open(&net, "many.test"));
    won(&outcome, "192.0.2.12");
    assert_eq!(world.most_open.get(), 4);
    assert_eq!(world.tried()[..12], list[..]);
    // Two rounds of patience, and the round trip.
    assert_eq!(world.now(), 520 * MS);
}

#[test]
fn one_socket_is_enough() {
    let world = World::new();
    known(&world, "many.test", "2001:db8::1 2001:db8::2", "192.0.2.1");
    world.address("192.0.2.1", Accept(MS));
    world.pool.set(1);
    let net = net::<1>(&world, Config::all_at_once());
    won(&world.run(open(&net, "many.test")), "192.0.2.1");
    assert_eq!((world.most_open.get(), world.now()), (1, 251 * MS));
}

/// A stack that has fewer sockets than it promised says so by a reset that comes at once.
#[test]
fn a_stack_with_fewer_sockets_than_promised_loses_no_address() {
    let world = World::new();
    known(&world, "many.test", "", "192.0.2.1 192.0.2.2 192.0.2.3");
    world.address("192.0.2.3", Accept(MS));
    world.pool.set(2);
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(open(&net, "many.test")), "192.0.2.3");
    assert_eq!(world.most_open.get(), 2);
}

/// Nor is the want of a socket what the program is told, where the network has said something.
#[test]
fn a_stack_with_fewer_sockets_than_promised_tells_what_the_network_said() {
    let world = World::new();
    known(&world, "many.test", "", "192.0.2.1 192.0.2.2");
    for last in 1..=2 {
        world.address(&format!("192.0.2.{last}"), Fail(5 * MS, ErrorKind::TimedOut));
    }
    world.pool.set(1);
    let net = net::<4>(&world, Config::all_at_once());
    let error = world.run(open(&net, "many.test")).err();
    assert_eq!(error, Some(ConnectionError::AllAttemptsFailed(Some(Fault(ErrorKind::TimedOut)))));
    // With none at all there is nothing else to tell.
    world.pool.set(0);
    let error = world.run(open(&net, "many.test")).err();
    assert_eq!(error, Some(ConnectionError::AllAttemptsFailed(Some(Fault(ErrorKind::ConnectionReset)))));
}

#[test]
fn the_loser_of_a_photo_finish_is_closed() {
    let world = World::new();
    known(&world, "many.test", "", "192.0.2.1 192.0.2.2");
    world.address("192.0.2.1", Accept(10 * MS));
    world.address("192.0.2.2", Accept(10 * MS));
    let net = net::<4>(&world, Config::all_at_once());
    let outcome = world.run(open(&net, "many.test"));
    won(&outcome, "192.0.2.1");
    assert_eq!(world.open.get(), 1);
}

#[test]
fn dropping_a_connect_closes_all_of_its_sockets() {
    let world = World::new();
    known(&world, "many.test", "2001:db8::1", "192.0.2.1 192.0.2.2");
    let net = net::<4>(&world, Config::all_at_once());
    {
        let mut connecting = pin!(open(&net, "many.test"));
        assert!(world.run_until(100 * MS, connecting.as_mut()).is_none());
        assert_eq!(world.open.get(), 3);
        assert!(!world.is_quiet());
    }
    assert_eq!(world.open.get(), 0);
    assert!(world.is_quiet());
    // And nothing is the worse for it.
    world.address("192.0.2.2", Accept(MS));
    won(&world.run(open(&net, "many.test")), "192.0.2.2");
}

#[test]
fn the_error_is_the_most_telling_one() {
    let world = World::new();
    known(&world, "many.test", "2001:db8::1", "192.0.2.1 192.0.2.2");
    world.address("2001:db8::1", Fail(0, ErrorKind::NotConnected));
    world.address("192.0.2.1", Fail(10 * MS, REFUSED));
    world.address("192.0.2.2", Fail(20 * MS, ErrorKind::TimedOut));
    let net = net::<4>(&world, Config::all_at_once());
    let error = world.run(open(&net, "many.test")).err().unwrap();
    assert_eq!(error, ConnectionError::AllAttemptsFailed(Some(Fault(REFUSED))));
    assert_eq!(error.kind(), REFUSED);
    assert_eq!(error.to_string(), "every address failed: ConnectionRefused");
    assert_eq!((world.now(), world.open.get()), (20 * MS, 0));
}

/// A connection that is there by the deadline is handed over; one that comes a microsecond later is not.
#[test]
fn the_deadline_of_a_connect() {
    for (late, connects) in [(-1, true), (0, true), (1, false)] {
        let world = World::new();
        world.address("192.0.2.1", Accept((SECOND as i64 + late) as u64));
        let config = Config::all_at_once().deadline(Some(Duration::from_secs(1))).hedge(false);
        let net = net::<4>(&world, config);
        let outcome = world.run(TcpConnect::connect(&net, "192.0.2.1:80".parse().unwrap()));
        assert_eq!(outcome.is_ok(), connects, "{late}");
        assert_eq!(world.now(), SECOND.min((SECOND as i64 + late) as u64), "{late}");
        if let Err(error) = outcome {
            assert_eq!((error, error.kind()), (ConnectionError::DeadlineExceeded, ErrorKind::TimedOut));
        }
        assert_eq!(world.open.get(), usize::from(connects));
    }
}

#[test]
fn without_a_deadline_there_are_thirty_seconds_for_each_call() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once());
    let error = world.run(net.get_host_by_name("silent.test", AddrType::Either)).unwrap_err();
    assert_eq!((error, world.now()), (ResolveError::DeadlineExceeded, 30 * SECOND));
    let error = world.run(TcpConnect::connect(&net, "192.0.2.1:80".parse().unwrap())).err();
    assert_eq!((error, world.now()), (Some(ConnectionError::DeadlineExceeded), 60 * SECOND));
}

/// The second family is waited for 15 ms from the first that has an address, and no longer.
#[test]
fn the_resolution_delay_of_a_look_up() {
    for (late, waited_for) in [(-1, true), (0, true), (1, false)] {
        let world = World::new();
        world.name("many.test", Family::V4, 10 * MS, Some("192.0.2.1"));
        world.name("many.test", Family::V6, (25 * MS as i64 + late) as u64, Some("2001:db8::1"));
        world.address("192.0.2.1", Accept(0));
        let net = net::<4>(&world, Config::all_at_once());
        let first = world.run(net.get_host_by_name("many.test", AddrType::Either)).unwrap();
        assert_eq!(first, ip(if waited_for { "2001:db8::1" } else { "192.0.2.1" }), "{late}");
        assert_eq!(world.now(), (25 * MS).min((25 * MS as i64 + late) as u64), "{late}");
        let outcome = world.run(TcpConnect::connect(&net, SocketAddr::new(first, 80)));
        won(&outcome, "192.0.2.1");
        // What was not waited for is asked for again.
        assert_eq!(world.queries(Family::V6), if waited_for { 1 } else { 2 }, "{late}");
        assert_eq!(world.queries(Family::V4), 1);
    }
}

#[test]
fn the_deadline_of_a_look_up() {
    for (late, answers) in [(-1, true), (0, true), (1, false)] {
        let world = World::new();
        world.name("many.test", Family::V4, (SECOND as i64 + late) as u64, Some("192.0.2.1"));
        world.name("many.test", Family::V6, 0, None);
        let config = Config::all_at_once().deadline(Some(Duration::from_secs(1)));
        let net = net::<4>(&world, config);
        let outcome = world.run(net.get_host_by_name("many.test", AddrType::Either));
        assert_eq!(outcome.is_ok(), answers, "{late}");
        assert!(answers || outcome == Err(ResolveError::DeadlineExceeded), "{late}");
        assert!(world.is_quiet());
    }
}

/// The A answer is dead, and the AAAA answer comes two seconds late: the connect waits for it by itself.
#[test]
fn a_family_that_was_late_joins_the_race() {
    let world = World::new();
    world.name("many.test", Family::V4, 10 * MS, Some("192.0.2.1"));
    world.name("many.test", Family::V6, 2 * SECOND, Some("2001:db8::1"));
    world.address("192.0.2.1", Fail(MS, REFUSED));
    world.address("2001:db8::1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(open(&net, "many.test")), "2001:db8::1");
    assert_eq!(world.now(), (10 + 15) * MS + 2 * SECOND + MS);
}

#[test]
fn a_family_that_was_late_and_fails_ends_the_race_with_what_the_others_said() {
    let world = World::new();
    world.name("many.test", Family::V4, 10 * MS, Some("192.0.2.1"));
    world.name("many.test", Family::V6, 2 * SECOND, None);
    world.address("192.0.2.1", Fail(MS, REFUSED));
    let net = net::<4>(&world, Config::all_at_once());
    let error = world.run(open(&net, "many.test")).err();
    assert_eq!(error, Some(ConnectionError::AllAttemptsFailed(Some(Fault(REFUSED)))));
}

/// embassy-net tells a name without AAAA records as a failure.
#[test]
fn the_failure_of_one_family_is_not_that_of_the_name() {
    let world = World::new();
    world.name("four.test", Family::V6, MS, None);
    world.name("four.test", Family::V4, 9 * MS, Some("192.0.2.1"));
    world.address("192.0.2.1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(open(&net, "four.test")), "192.0.2.1");
    assert_eq!((world.now(), world.queries(Family::V6)), (10 * MS, 1));
}

#[test]
fn a_name_without_addresses() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once());
    let ask = |name: &str| world.run(net.get_host_by_name(name, AddrType::Either));
    known(&world, "none.test", "", "");
    assert_eq!(ask("none.test"), Err(ResolveError::NoAddress));
    world.name("gone.test", Family::V6, 0, None);
    world.name("gone.test", Family::V4, 0, None);
    assert_eq!(ask("gone.test"), Err(ResolveError::NoSuchName));
    world.name_fails("broken.test", ErrorKind::Other);
    assert_eq!(ask("broken.test"), Err(ResolveError::Failed(Fault(ErrorKind::Other))));
    world.asked.borrow_mut().clear();
    for never in ["x.invalid", "x.Onion."] {
        assert_eq!(ask(never), Err(ResolveError::NoSuchName), "{never}");
    }
    assert_eq!(ask("a..b"), Err(ResolveError::InvalidHost(HostError::Label.into())));
    assert_eq!(ask("127.1"), Err(ResolveError::InvalidHost(HostError::Ipv4.into())));
    assert_eq!(ask("fe80::1%eth0"), Err(ResolveError::InvalidHost(InvalidHost::Zone)));
    assert!(world.asked.borrow().is_empty());
}

#[test]
fn addresses_and_localhost_are_not_asked_for() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once());
    for (host, address) in
        [("192.0.2.7", "192.0.2.7"), ("[2001:db8::7]", "2001:db8::7"), ("localhost", "::1")]
    {
        assert_eq!(world.run(net.get_host_by_name(host, AddrType::Either)), Ok(ip(address)));
    }
    assert!(world.asked.borrow().is_empty());
    world.address("127.0.0.1", Accept(MS));
    won(&world.run(open(&net, "localhost")), "127.0.0.1");
}

#[test]
fn only_the_family_that_was_asked_for_is_raced() {
    let world = World::new();
    known(&world, "many.test", "2001:db8::1", "192.0.2.1");
    world.address("2001:db8::1", Accept(0));
    world.address("192.0.2.1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    let address = world.run(net.get_host_by_name("many.test", AddrType::IPv4)).unwrap();
    won(&world.run(TcpConnect::connect(&net, SocketAddr::new(address, 80))), "192.0.2.1");
    assert_eq!(world.queries(Family::V6), 0);
    let wrong = world.run(net.get_host_by_name("192.0.2.1", AddrType::IPv6));
    assert_eq!(wrong, Err(ResolveError::NoAddress));
}

/// embassy-net panics where it is to connect to an IPv6 address that it was built without, and waits for
/// nothing where it has no address of the family.
#[test]
fn an_address_without_a_way_to_it_is_not_handed_to_the_stack() {
    let world = World::new();
    world.lacks.set(Some(Family::V6));
    known(&world, "many.test", "2001:db8::1", "192.0.2.1");
    world.address("192.0.2.1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(open(&net, "many.test")), "192.0.2.1");
    let address = world.run(net.get_host_by_name("2001:db8::1", AddrType::Either)).unwrap();
    let error = world.run(TcpConnect::connect(&net, SocketAddr::new(address, 80))).err().unwrap();
    assert_eq!((error, error.kind()), (ConnectionError::Unreachable, ErrorKind::NotConnected));
    assert_eq!(error.to_string(), "no address can be reached");
    // What the network says of others tells more.
    world.address("192.0.2.1", Fail(MS, REFUSED));
    let error = world.run(net.connect(("many.test", 80), &net.options())).err();
    assert_eq!(error, Some(ConnectionError::AllAttemptsFailed(Some(Fault(REFUSED)))));
    assert_eq!(world.tried(), ["192.0.2.1", "192.0.2.1"]);
}

#[test]
fn an_address_of_a_family_that_may_not_be_used_is_none() {
    let world = World::new();
    let only_v6 = Config::all_at_once().families(Families::Only(Family::V6));
    let net = Net::<4>::with_capacities(&world, &world, &world, Options::new().race(only_v6));
    let error = world.run(TcpConnect::connect(&net, "192.0.2.1:80".parse().unwrap())).err();
    assert_eq!(error, Some(ConnectionError::NoAddress));
    let asked = world.run(net.get_host_by_name("many.test", AddrType::IPv4));
    assert_eq!(asked, Err(ResolveError::NoAddress));
    assert!(world.tried().is_empty() && world.asked.borrow().is_empty());
}

/// A host without IPv6 asks for AAAA, and waits for it neither to begin nor to fail.
#[test]
fn a_family_without_a_route_is_not_waited_for() {
    for two_calls in [false, true] {
        let world = World::new();
        world.lacks.set(Some(Family::V6));
        world.name("four.test", Family::V4, 10 * MS, Some("192.0.2.1"));
        world.address("192.0.2.1", Fail(MS, REFUSED));
        let net = net::<4>(&world, Config::staggered());
        let error = match two_calls {
            true => world.run(open(&net, "four.test")).err(),
            false => world.run(net.connect(("four.test", 80), &net.options())).err(),
        };
        assert_eq!(error, Some(ConnectionError::AllAttemptsFailed(Some(Fault(REFUSED)))));
        // A lookup waits for it as for any other, for 15 ms.
        let (end, asked) = if two_calls { (26 * MS, 2) } else { (11 * MS, 1) };
        assert_eq!((world.now(), world.queries(Family::V6)), (end, asked));
        assert!(world.is_quiet());
    }
}

/// Where the other family has nothing, it is the only hope.
#[test]
fn a_family_without_a_route_is_waited_for_where_there_is_nothing_else() {
    let world = World::new();
    world.lacks.set(Some(Family::V6));
    world.name("six.test", Family::V4, 0, Some(""));
    world.name("six.test", Family::V6, 2 * SECOND, Some("::1"));
    world.address("::1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(net.connect(("six.test", 80), &net.options())), "::1");
    assert_eq!(world.now(), 2 * SECOND + MS);
}

/// IPv6 comes first by RFC 6724, but for a unique local address or from one, and before all comes the
/// caller's choice.
#[test]
fn which_family_comes_first() {
    for (v6, source, prefers, first) in [
        ("2001:db8::1", None, Family::V6, "2001:db8::1"),
        ("fd00::1", None, Family::V6, "192.0.2.1"),
        ("2001:db8::1", Some("2001:db8::9"), Family::V6, "2001:db8::1"),
        ("2001:db8::1", Some("fd00::9"), Family::V6, "192.0.2.1"),
        ("2001:db8::1", None, Family::V4, "192.0.2.1"),
    ] {
        let world = World::new();
        world.source_v6.set(source.map(ip));
        known(&world, "many.test", v6, "192.0.2.1");
        let config = Config::staggered().preferred_family(prefers).deadline(Some(SOON));
        let net = net::<4>(&world, config);
        let _ = world.run(net.connect(("many.test", 80), &net.options()));
        assert_eq!(world.tried()[0], first, "in one call");
        world.started.borrow_mut().clear();
        let stands = world.run(net.get_host_by_name("many.test", AddrType::Either));
        assert_eq!(stands, Ok(ip(first)));
        let _ = world.run(TcpConnect::connect(&net, SocketAddr::new(ip(first), 80)));
        assert_eq!(world.tried()[0], first, "in two");
    }
}

/// As a name of both families it is: localhost has two addresses.
#[test]
fn the_caller_says_which_address_of_localhost_comes_first() {
    let world = World::new();
    let config = Config::staggered().preferred_family(Family::V4).deadline(Some(SOON));
    let net = net::<4>(&world, config);
    let _ = world.run(net.connect(("localhost", 80), &net.options()));
    let _ = world.run(open(&net, "a.localhost"));
    assert_eq!(world.tried(), ["127.0.0.1", "::1", "127.0.0.1", "::1"]);
    let only = world.run(net.get_host_by_name("localhost", AddrType::IPv6));
    assert_eq!(only, Ok(ip("::1")));
    world.started.borrow_mut().clear();
    let _ = world.run(TcpConnect::connect(&net, "[::1]:80".parse().unwrap()));
    assert_eq!(world.tried(), ["::1"]);
    assert!(world.asked.borrow().is_empty());
}

#[test]
fn names_that_are_never_asked_for() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once());
    for name in ["x.invalid", "x.Onion."] {
        known(&world, name, "2001:db8::1", "192.0.2.1");
        let error = world.run(net.connect((name, 80), &net.options())).err().unwrap();
        assert_eq!(error, ConnectionError::NotResolved(QueryError::NoSuchName), "{name}");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, "no such name".to_owned()));
    }
    assert!(world.asked.borrow().is_empty());
}

/// The first of two names is one whose addresses need no lookup.
#[test]
fn localhost_and_its_address_share_that_alone() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once().deadline(Some(SOON)));
    for host in ["localhost", "::1"] {
        let stands = world.run(net.get_host_by_name(host, AddrType::Either));
        assert_eq!(stands, Ok(ip("::1")), "{host}");
    }
    let _ = world.run(TcpConnect::connect(&net, "[::1]:80".parse().unwrap()));
    assert!(
        !world.tried().is_empty() && world.tried().iter().all(|tried| tried == "::1"),
        "{:?}",
        world.tried()
    );
}

/// A lookup is answered when it has an address, whatever the race would wait for.
#[test]
fn a_look_up_is_the_same_for_every_pacing() {
    for config in [Config::all_at_once(), Config::staggered(), Config::one_by_one()] {
        let world = World::new();
        world.name("many.test", Family::V4, 10 * MS, Some("192.0.2.1 192.0.2.2"));
        world.name("many.test", Family::V6, 100 * MS, Some("2001:db8::1"));
        for last in 1..=2 {
            world.address(&format!("192.0.2.{last}"), Fail(MS, REFUSED));
        }
        world.address("2001:db8::1", Accept(MS));
        let net = net::<4>(&world, config);
        let stands = world.run(net.get_host_by_name("many.test", AddrType::Either));
        assert_eq!((stands, world.now()), (Ok(ip("192.0.2.1")), 25 * MS));
        won(&world.run(TcpConnect::connect(&net, SocketAddr::new(ip("192.0.2.1"), 80))), "2001:db8::1");
    }
}

/// What the lookup knows of a failure is told, and nothing is made up.
#[test]
fn why_a_name_has_no_address() {
    let world = World::new();
    let net = net::<4>(&world, Config::all_at_once());
    let fails = |name: &str| world.run(net.connect((name, 80), &net.options())).err();
    known(&world, "none.test", "", "");
    assert_eq!(fails("none.test"), Some(ConnectionError::NoAddress));
    world.name_fails("gone.test", ErrorKind::NotFound);
    assert_eq!(fails("gone.test"), Some(ConnectionError::NotResolved(QueryError::NoSuchName)));
    world.name_fails("broken.test", ErrorKind::Other);
    assert_eq!(fails("broken.test"), Some(ConnectionError::NotResolved(QueryError::ServerFailure)));
    world.name_fails("slow.test", ErrorKind::TimedOut);
    let error = fails("slow.test").unwrap();
    assert_eq!(
        (error, error.kind()),
        (ConnectionError::NotResolved(QueryError::TimedOut), ErrorKind::TimedOut)
    );
    // That one server knows no such name is not all that there is to say where another says nothing.
    world.name_fails("half.test", ErrorKind::TimedOut);
    world.name("half.test", Family::V6, 0, None);
    assert_eq!(fails("half.test"), Some(ConnectionError::NotResolved(QueryError::TimedOut)));
    let look_up = |name: &str| world.run(net.get_host_by_name(name, AddrType::Either));
    assert_eq!(look_up("half.test"), Err(ResolveError::Failed(Fault(ErrorKind::TimedOut))));
}

/// The traits' addresses have no zone: the text that one stands for has.
#[test]
fn a_zone_outlives_the_two_calls() {
    let world = World::new();
    world.address("fe80::1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    let stands = world.run(net.get_host_by_name("fe80::1%7", AddrType::Either));
    assert_eq!(stands, Ok(ip("fe80::1")));
    let connection = world.run(TcpConnect::connect(&net, "[fe80::1]:80".parse().unwrap())).unwrap();
    assert_eq!(connection.destination(), "[fe80::1%7]:80".parse().unwrap());
}

/// An IPv4 address of this host or its link is tried as it is, whatever the routes are.
#[test]
fn an_address_of_the_host_itself_is_tried_without_ipv4() {
    let world = World::new();
    world.lacks.set(Some(Family::V4));
    world.address("127.0.0.1", Accept(MS));
    let net = net::<4>(&world, Config::all_at_once());
    won(&world.run(net.connect(("127.0.0.1", 80), &net.options())), "127.0.0.1");
    won(&world.run(open(&net, "127.0.0.1")), "127.0.0.1");
    assert!(world.asked.borrow().is_empty());
}

#[test]
fn names_that_share_an_address_are_not_mixed_up() {
    let world = World::new();
    known(&world, "a.test", "", "192.0.2.1 192.0.2.2");
    known(&world, "b.test", "", "192.0.2.1 192.0.2.3");
    known(&world, "c.test", "", "192.0.2.1");
    for last in 1..=3 {
        // The shared one is dead.
        world.address(&format!("192.0.2.{last}"), if last == 1 { Silent } else { Accept(MS) });
    }
    let net = net::<4>(&world, Config::all_at_once().deadline(Some(Duration::from_secs(1))));
    let ask = |name: &str| world.run(net.get_host_by_name(name, AddrType::Either)).unwrap();
    let [a, b] = [ask("a.test"), ask("b.test")];
    won(&world.run(TcpConnect::connect(&net, SocketAddr::new(a, 80))), "192.0.2.2");
    won(&world.run(TcpConnect::connect(&net, SocketAddr::new(b, 80))), "192.0.2.3");
    // c has nothing that does not stand for another already. Then a is led to what both have, which is dead.
    world.started.borrow_mut().clear();
    let c = ask("c.test");
    assert_eq!(c, a);
    let error = world.run(TcpConnect::connect(&net, SocketAddr::new(c, 80))).err();
    assert_eq!(error, Some(ConnectionError::DeadlineExceeded));
    assert!(world.tried().iter().all(|tried| tried == "192.0.2.1"), "{:?}", world.tried());
}

#[test]
fn connects_side_by_side_keep_to_themselves() {
    let world = World::new();
    known(&world, "a.test", "2001:db8::1", "192.0.2.1");
    known(&world, "b.test", "2001:db8::2", "192.0.2.2");
    world.address("192.0.2.1", Accept(20 * MS));
    world.address("192.0.2.2", Accept(10 * MS));
    let net = net::<2>(&world, Config::all_at_once());
    let both = embassy_futures::join::join(open(&net, "a.test"), open(&net, "b.test"));
    let (a, b) = world.run(both);
    won(&a, "192.0.2.1");
    won(&b, "192.0.2.2");
    assert_eq!((world.most_open.get(), world.open.get()), (4, 2));
}

#[test]
fn a_host_is_connected_to_in_one_call_from_the_first_answer_on() {
    let world = World::new();
    world.name("many.test", Family::V4, 10 * MS, Some("192.0.2.1"));
    world.name("many.test", Family::V6, 2 * SECOND, Some("2001:db8::1"));
    world.address("192.0.2.1", Accept(5 * MS));
    let net = net::<4>(&world, Config::all_at_once());
    let outcome = world.run(net.connect(("many.test", 80), &net.options()));
    won(&outcome, "192.0.2.1");
    assert_eq!((world.now(), world.queries(Family::V6)), (15 * MS, 1));
    assert!(world.is_quiet(), "the AAAA look-up goes on");
    world.address("127.0.0.1", Accept(0));
    world.address("2001:db8::7", Accept(0));
    won(&world.run(net.connect(("localhost", 80), &net.options())), "127.0.0.1");
    won(&world.run(net.connect(("[2001:db8::7]", 80), &net.options())), "2001:db8::7");
    let fails = |host: &str| world.run(net.connect((host, 80), &net.options())).err();
    assert_eq!(fails("a..b"), Some(ConnectionError::InvalidHost(HostError::Label.into())));
    assert_eq!(fails("fe80::1%eth0"), Some(ConnectionError::InvalidHost(InvalidHost::Zone)));
}

/// A clock that rings a little too soon must not make the executor spin within one poll.
#[test]
fn a_clock_that_rings_too_soon() {
    let world = World::new();
    world.early.set(7);
    let list: Vec<String> = (1..=6).map(|n| format!("192.0.2.{n}")).collect();
    known(&world, "many.test", "", &list.join(" "));
    let config = Config::all_at_once().deadline(Some(Duration::from_millis(1)));
    let net = net::<2>(&world, config);
    let error = world.run_until(SECOND, open(&net, "many.test")).expect("an end").err();
    assert_eq!(error, Some(ConnectionError::DeadlineExceeded));
    assert!((MS..MS + 10).contains(&world.now()), "{}", world.now());
}

/// Nor may it cut a lookup short.
#[test]
fn a_look_up_by_a_clock_that_rings_too_soon() {
    let world = World::new();
    world.early.set(700);
    let config = Config::all_at_once().deadline(Some(Duration::from_millis(30)));
    let net = net::<4>(&world, config);
    let asked = net.get_host_by_name("silent.test", AddrType::Either);
    let outcome = world.run_until(SECOND, asked).expect("an end");
    assert_eq!(outcome, Err(ResolveError::DeadlineExceeded));
    assert!((30 * MS..30 * MS + 10).contains(&world.now()), "{}", world.now());
    // The second answer comes half a millisecond before the wait for it is over.
    world.name("many.test", Family::V4, 0, Some("192.0.2.1"));
    world.name("many.test", Family::V6, 14 * MS + 500, Some("2001:db8::1"));
    let first = world.run(net.get_host_by_name("many.test", AddrType::Either));
    assert_eq!(first, Ok(ip("2001:db8::1")));
    assert!(world.is_quiet());
}

/// Errors of an established connection pass through.
#[test]
fn the_stacks_own_errors_are_told_as_they_are() {
    let world = World::new();
    world.address("192.0.2.1", Accept(0));
    let net = net::<4>(&world, Config::all_at_once());
    let mut connection = world.run(TcpConnect::connect(&net, "192.0.2.1:80".parse().unwrap())).unwrap();
    let error = world.run(connection.read(&mut [0])).unwrap_err();
    assert_eq!(error, ConnectionError::Stack(Fault(ErrorKind::ConnectionReset)));
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Networks at random: a live address is reached, within the stack's sockets, and all else is closed.
#[test]
fn random_networks() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    // Miri is slow.
    let all = if cfg!(miri) { 20 } else { 2_000 };
    let (seed, rounds) = number("CONNIE_SEED").map_or((0x5eed, all), |seed| (seed, 1));
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let world = World::new();
        let count = 1 + random.below(12);
        let addresses: Vec<IpAddr> = (0..count)
            .map(|n| {
                ip(&if random.below(2) == 0 { format!("192.0.2.{n}") } else { format!("2001:db8::{n}") })
            })
            .collect();
        let mut alive = false;
        for address in &addresses {
            let behaviour = match random.below(4) {
                0 => Accept(random.below(200) * MS),
                1 => Fail(random.below(100) * MS, REFUSED),
                _ => Silent,
            };
            alive |= matches!(behaviour, Accept(_));
            world.address(&address.to_string(), behaviour);
        }
        let of = |v4: bool| -> Vec<String> {
            addresses.iter().filter(|it| it.is_ipv4() == v4).map(IpAddr::to_string).collect()
        };
        for (family, list) in [(Family::V6, of(false)), (Family::V4, of(true))] {
            let answer = if list.is_empty() && random.below(2) == 0 { None } else { Some(list.join(" ")) };
            world.name("many.test", family, random.below(100) * MS, answer.as_deref());
        }
        world.pool.set(2);
        let net = net::<2>(&world, Config::all_at_once().deadline(Some(Duration::from_secs(20))));
        let outcome = world.run(open(&net, "many.test"));
        assert_eq!(outcome.is_ok(), alive, "CONNIE_SEED={seed}: {:?}", world.started.borrow());
        assert_eq!(world.open.get(), usize::from(alive), "CONNIE_SEED={seed}");
        assert!(world.most_open.get() <= 2, "CONNIE_SEED={seed}");
        assert!(world.is_quiet(), "CONNIE_SEED={seed}");
    }
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One connect with its own options, whatever those of the traits are, to each kind of target.
#[test]
fn a_connect_goes_by_its_own_options_and_target() {
    let world = World::new();
    world.address("192.0.2.1", Silent);
    world.address("192.0.2.2", Accept(3 * MS));
    let net = net::<4>(&world, Config::one_by_one().deadline(Some(Duration::from_millis(1))));
    let addresses = ["192.0.2.1:80", "192.0.2.2:80"].map(|address| address.parse::<SocketAddr>().unwrap());
    let options = Options::new();
    won(&world.run(net.connect(&addresses, &options)), "192.0.2.2");
    won(&world.run(net.connect(&addresses[1], &options)), "192.0.2.2");
    won(&world.run(net.connect("192.0.2.2:80", &options)), "192.0.2.2");
    let error = world.run(net.connect("192.0.2.2", &options)).err().unwrap();
    assert_eq!((error, error.kind()), (ConnectionError::InvalidTarget, ErrorKind::InvalidInput));
    assert_eq!(world.run(net.connect(&[], &options)).err(), Some(ConnectionError::NoAddress));
    // Those of the traits, where they are wanted.
    let error = world.run(net.connect(&addresses[1], &net.options())).err();
    assert_eq!(error, Some(ConnectionError::DeadlineExceeded));
    // All of it within 30 s.
    let start = world.now();
    let error = world.run(net.connect(&addresses[0], &options)).err();
    assert_eq!((error, world.now() - start), (Some(ConnectionError::DeadlineExceeded), 30 * SECOND));
}
