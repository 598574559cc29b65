//! Random networks, frame by frame: smoltcp against smoltcp over links that delay, lose, double and reorder.
//!
//! `CONNIE_SEED` replays one, `CONNIE_RUNS` changes how many there are.

mod link;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{
    AttemptErrorKind, AttemptOutcome, Config, Connection, Failure, Instant, Pacing, RaceDriver,
};
use connie_sim::{Rng, seeds};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::socket::tcp;
use connie_smoltcp::{Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers, TcpSocket};
use link::client::{fetch, settle};
use link::{Answers, Card, Link, Place, Wire, World, at, client_interface, ms};

const NETWORKS: u64 = 3_000;

type Client<'a, const TCP: usize> = Stack<'a, Card, World, TCP>;
type Race<'a, const TCP: usize> = RaceDriver<Client<'a, TCP>, 16, 8, 64>;

/// A network, and the race over it.
struct Network {
    world: World,
    places: BTreeMap<SocketAddr, (Place, Link)>,
    addresses: Vec<SocketAddr>,
    config: Config,
    /// Whether nothing is left to chance.
    is_perfect: bool,
}

#[test]
fn every_race_over_every_network_keeps_its_promises() {
    seeds(NETWORKS, |seed| {
        let mut rng = Rng::new(seed);
        match rng.below(4) {
            0 => run::<1>(seed, &mut rng),
            1 => run::<2>(seed, &mut rng),
            2 => run::<4>(seed, &mut rng),
            _ => run::<8>(seed, &mut rng),
        }
    });
}

fn network(seed: u64, rng: &mut Rng) -> Network {
    let medium = rng.pick(&[Medium::Ethernet, Medium::Ethernet, Medium::Ip]);
    let world = World::new(medium, seed);
    let is_perfect = rng.chance(40);
    let (mut places, mut addresses) = (BTreeMap::new(), Vec::new());
    let alive = rng.pick(&[0, 20, 50, 100]);
    for _ in 0..rng.within(1, 12) {
        let place = match rng.below(4) {
            _ if rng.chance(alive) => {
                Place::Host(rng.pick(&[Answers::Http, Answers::Http, Answers::HttpAndHurry]))
            }
            0 => Place::Host(Answers::Nothing),
            1 => Place::Unreachable,
            _ => Place::Nobody,
        };
        let link = if is_perfect { Link::perfect(round_trip(rng)) } else { imperfect(rng) };
        let on_link = medium == Medium::Ethernet && place != Place::Unreachable && rng.chance(50);
        let address = if rng.chance(50) {
            world.add_v6(on_link, place, link)
        } else {
            world.add_v4(on_link, place, link)
        };
        places.insert(address, (place, link));
        addresses.push(address);
    }
    if rng.chance(10) {
        let is_v6 = rng.chance(50);
        world.kill_router(is_v6);
        if medium == Medium::Ethernet {
            // Nobody behind it can be reached any more.
            let behind = |address: &SocketAddr| match address {
                SocketAddr::V4(address) => !is_v6 && address.ip().octets()[0] == 192,
                SocketAddr::V6(address) => is_v6 && address.ip().segments()[0] == 0x2001,
            };
            places.iter_mut().filter(|(address, _)| behind(address)).for_each(|(_, it)| it.0 = Place::Nobody);
        }
    }
    if !is_perfect && rng.chance(30) {
        world.set_busy(rng.pick(&[1, 10, 50]));
    }
    let config = config(rng);
    Network { world, places, addresses, config, is_perfect }
}

fn round_trip(rng: &mut Rng) -> Duration {
    // Even, so that half of it is a whole number of microseconds.
    Duration::from_micros(2 * rng.within(100, 150_000))
}

fn imperfect(rng: &mut Rng) -> Link {
    Link {
        delay: round_trip(rng) / 2,
        jitter: ms(rng.pick(&[0, 1, 20, 100])),
        loss: rng.pick(&[0, 1, 5, 20]),
        doubled: rng.pick(&[0, 1, 10]),
    }
}

fn config(rng: &mut Rng) -> Config {
    let preset = match rng.below(4) {
        0 => Config::staggered(),
        1 => Config::one_by_one(),
        _ => Config::all_at_once(),
    };
    preset
        .clone()
        .deadline(Some(ms(rng.pick(&[200, 2_000, 20_000]))))
        .max_in_flight(rng.pick(&[1, 3, usize::MAX, usize::MAX]))
        .patience(ms(rng.pick(&[50, 250, 250, 1_000])))
}

fn run<const TCP: usize>(seed: u64, rng: &mut Rng) {
    let network = network(seed, rng);
    let world = &network.world;
    let mut card = world.card();
    let interface = client_interface(&mut card, seed);
    let mut storage = [const { SocketStorage::EMPTY }; TCP];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; TCP];
    let mut stack: Client<'_, TCP> =
        Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), seed);
    let mut poller = PlatformPoller(world.clone());

    let mut race = Race::<TCP>::new(&network.config, at(0));
    race.handle_addresses(&network.addresses, at(0));
    let result = race.run(&mut stack, &mut poller);
    let ended = world.now();
    let in_use = TCP - stack.free_sockets();
    check_timeline(&network, &race, TCP);
    match result {
        Ok(connection) => {
            assert_eq!(in_use, 1, "the winner has a socket, and nobody else");
            check_winner(&network, &connection, ended);
            let winner = (stack.local_address(&connection.socket).unwrap(), connection.destination);
            let is_served = fetch(&mut stack, &mut poller, connection);
            settle(&mut stack, world);
            check_flows(&world.wire(), Some(winner), is_served);
        }
        Err(failure) => {
            assert_eq!(in_use, 0, "a race that failed holds no socket");
            check_failure(&network, &race, failure, ended);
            settle(&mut stack, world);
            check_flows(&world.wire(), None, false);
        }
    }
    check_hosts(&network);
    assert_eq!(stack.free_sockets(), TCP);
    check_questions(&world.wire());
}

/// No early win, no win over a host that does not serve, and in a perfect network the best one in its own
/// time.
#[track_caller]
fn check_winner(network: &Network, connection: &Connection<TcpSocket>, ended: Instant) {
    let (place, link) = network.places[&connection.destination];
    assert!(matches!(place, Place::Host(Answers::Http | Answers::HttpAndHurry)), "{place:?} won");
    let took = ended.duration_since(at(0));
    assert!(took >= link.delay * 2, "won after {took:?}, earlier than a frame comes back");
    let wire = network.world.wire();
    let answered = wire.flows_to(connection.destination).iter().filter_map(|flow| flow.answered).min();
    assert!(answered.is_some_and(|at| at <= ended), "won without an answer");
    let states = network.world.connections(connection.destination);
    assert!(!states.is_empty(), "the winner's peer knows of no connection");
}

#[track_caller]
fn check_failure<const TCP: usize>(
    network: &Network,
    race: &Race<'_, TCP>,
    failure: Failure,
    ended: Instant,
) {
    match failure {
        Failure::DeadlineExceeded => {
            assert_eq!(Some(ended.duration_since(at(0))), network.config.deadline, "ended at its deadline");
        }
        Failure::AllAttemptsFailed => {
            for destination in race.timeline().destinations() {
                let (place, _) = network.places[&destination.address()];
                let outcomes = attempts_to(race, destination.address());
                let expected = match place {
                    Place::Host(Answers::Nothing) => AttemptErrorKind::Refused,
                    Place::Unreachable => AttemptErrorKind::Unreachable,
                    // A share of the deadline was all it had.
                    _ if network.config.pacing == Pacing::OneByOne => AttemptErrorKind::TimedOut,
                    _ => panic!("{place:?} at {} has failed: {outcomes:?}", destination.address()),
                };
                let failed = outcomes.iter().any(|it| {
                    *it == AttemptOutcome::Failed(expected)
                        || *it == AttemptOutcome::Failed(AttemptErrorKind::TimedOut)
                });
                assert!(failed, "{place:?} at {}: {outcomes:?}", destination.address());
            }
        }
        other => panic!("{other:?}"),
    }
    if network.is_perfect && failure == Failure::DeadlineExceeded {
        let patient = network.config.deadline.is_some_and(|deadline| deadline >= ms(20_000));
        let alive = network
            .places
            .values()
            .any(|(place, _)| matches!(place, Place::Host(Answers::Http | Answers::HttpAndHurry)));
        assert!(
            !(patient && alive && network.config.pacing == Pacing::AllAtOnce),
            "stuck behind dead addresses"
        );
    }
}

fn attempts_to<const TCP: usize>(race: &Race<'_, TCP>, address: SocketAddr) -> Vec<AttemptOutcome> {
    race.timeline().attempts().filter(|it| it.destination == address).filter_map(|it| it.outcome).collect()
}

#[track_caller]
fn check_timeline<const TCP: usize>(network: &Network, race: &Race<'_, TCP>, sockets: usize) {
    let summary = race.timeline().summary();
    assert!(summary.max_in_flight <= sockets.min(network.config.max_in_flight), "{summary:?}");
    assert!(race.timeline().attempts().all(|attempt| attempt.outcome.is_some()), "an attempt has not ended");
}

/// Every flow but the winner's that was answered was reset by the client, unless the peer had reset it. The
/// winner was closed in good order once it had served.
#[track_caller]
fn check_flows(wire: &Wire, winner: Option<(SocketAddr, SocketAddr)>, is_served: bool) {
    for (key, flow) in &wire.flows {
        if Some(*key) == winner {
            // Then the client has forgotten it, and what its peer may still say is answered by a reset.
            let in_order = flow.finished.is_some_and(|closed| flow.reset.is_none_or(|at| at > closed));
            assert!(in_order || !is_served && flow.reset.is_some(), "the winner was not closed: {flow:?}");
        } else if flow.answered.is_some() {
            assert!(flow.reset.is_some() || flow.refused.is_some(), "{key:?} was left open: {flow:?}");
            assert_eq!(flow.finished, None, "a loser is reset, not closed: {flow:?}");
        }
    }
    let ports: Vec<u16> = wire.flows.iter().map(|((from, _), _)| from.port()).collect();
    let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), ports.len(), "a port was used twice");
}

/// No host is left with a connection that the client has forgotten, unless the reset was lost on the way: it
/// is sent once.
#[track_caller]
fn check_hosts(network: &Network) {
    let wire = network.world.wire();
    for (address, (_, link)) in &network.places {
        for (state, port) in network.world.connections(*address) {
            let was_reset = |port| {
                let is_it = |from: &SocketAddr, to: &SocketAddr| from.port() == port && to == address;
                wire.flows.iter().any(|((from, to), flow)| is_it(from, to) && flow.reset.is_some())
            };
            let lost = link.loss > 0 && port.is_some_and(was_reset);
            assert!(state == tcp::State::TimeWait || lost, "{address} still has a connection: {state:?}");
        }
    }
}

/// The stack asks for a neighbour once a second at most (RFC 1122 section 2.3.2.1, RFC 4861 section 7.2.2),
/// and smoltcp, which does not know of that, may ask once between.
#[track_caller]
fn check_questions(wire: &Wire) {
    for (neighbour, asked) in &wire.questions {
        let hasty = asked.windows(3).find(|three| three[2].duration_since(three[0]) < ms(1_000));
        assert_eq!(hasty, None, "{neighbour} was asked for too often");
    }
}
