//! The order of a host's addresses for clients that take a resolver, on loopback addresses.
#![cfg(all(feature = "tokio", any(target_os = "linux", windows)))]

mod tokio_support;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;
use connie_servers::BlackHole;
use connie_std::resolve::{ResolveEvent, ResolverError};
use connie_std::tokio_net::OrderedResolver;
use connie_std::{ConnectErrorKind, Memory, Options, Override};

use tokio_support::{LIMIT, Prompted, here, run, within};

/// A server at 127.0.0.`last` that counts who comes; at other addresses with its port nobody is.
struct Server(TcpListener);

impl Server {
    fn open(last: u8) -> Self {
        Self::at(SocketAddr::new(here(last), 0))
    }

    fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        Server(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    fn port(&self) -> u16 {
        self.address().port()
    }

    /// How many have come since it was last asked.
    fn came(&self) -> usize {
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

/// Options of a machine on which every name has these addresses.
fn all_at(port: u16, last: &[u8]) -> Options {
    let addresses = last.iter().map(|last| here(*last)).collect();
    within(LIMIT).overrides([Override { host: "*".to_owned(), port, addresses }])
}

fn at(port: u16, last: &[u8]) -> Vec<SocketAddr> {
    last.iter().map(|last| SocketAddr::new(here(*last), port)).collect()
}

fn resolver(memory: &Memory, port: u16, last: &[u8]) -> OrderedResolver {
    OrderedResolver::new(memory, port).with_options(all_at(port, last))
}

/// Nobody is at .2, nobody answers at .3.
#[test]
fn the_winner_of_a_race_goes_first_and_what_has_failed_last() {
    let server = Server::open(4);
    let port = server.port();
    let _hole = BlackHole::open(SocketAddr::new(here(3), port));
    let resolver = resolver(&Memory::new(), port, &[2, 3, 4]);
    let answered = run(move || async move { resolver.resolve("a.test").await.unwrap() });
    assert_eq!(answered, at(port, &[4, 3, 2]));
    assert_eq!(server.came(), 1, "the probe");
}

/// A server that has accepted the probe is told that it is over, and not by a reset.
#[test]
fn the_connection_that_won_is_closed() {
    let server = Server::open(4);
    let resolver = resolver(&Memory::new(), server.port(), &[2, 4]);
    run(move || async move { resolver.resolve("a.test").await.unwrap() });
    let (mut accepted, _) = server.0.accept().expect("the probe");
    accepted.set_nonblocking(false).unwrap();
    accepted.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(std::io::Read::read(&mut accepted, &mut [0; 8]).unwrap(), 0);
}

#[test]
fn where_the_memory_knows_nothing_is_sent() {
    let server = Server::open(4);
    let port = server.port();
    let resolver = resolver(&Memory::new(), port, &[2, 3, 4]);
    let answered = run(move || async move {
        resolver.resolve("a.test").await.unwrap();
        let mut answered = Vec::new();
        for _ in 0..5 {
            answered.push(resolver.resolve("A.Test").await.unwrap());
        }
        answered
    });
    assert_eq!(answered, vec![at(port, &[4, 2, 3]); 5]);
    assert_eq!(server.came(), 1);
}

/// What one of the library's own races has learnt is of use too.
#[test]
fn a_memory_that_other_races_have_filled_serves() {
    let server = Server::open(4);
    let (port, memory) = (server.port(), Memory::new());
    let (options, resolver) = (all_at(port, &[2, 4]), resolver(&memory, port, &[2, 4]));
    let connected = options.memory(memory);
    let answered = run(move || async move {
        connie_std::tokio_net::connect(("a.test", port), &connected).await.unwrap();
        resolver.resolve("a.test").await.unwrap()
    });
    assert_eq!(answered, at(port, &[4, 2]));
    assert_eq!(server.came(), 1, "the other's");
}

/// The half-life is 600 s, and a memory counts in 1,024 µs.
#[test]
fn knowledge_older_than_the_half_life_is_made_anew() {
    for (age, races) in [(599, 0), (601, 1)] {
        let server = Server::open(4);
        let (port, memory) = (server.port(), Memory::new());
        let first = resolver(&memory, port, &[2, 4]);
        run(move || async move { first.resolve("a.test").await.unwrap() });
        assert_eq!(server.came(), 1);
        let memory = Memory::from_bytes(&memory.to_bytes(), Duration::from_secs(age)).unwrap();
        let second = resolver(&memory, port, &[2, 4]);
        let answered = run(move || async move { second.resolve("a.test").await.unwrap() });
        assert_eq!((answered, server.came()), (at(port, &[4, 2]), races), "{age} s");
    }
}

/// The client has seen that the first address is dead. The others of its answer are raced.
#[test]
fn a_host_whose_first_address_is_dead_is_raced_again_on_request() {
    let (first, second) = (Server::open(4), 5);
    let port = first.port();
    let resolver = resolver(&Memory::new(), port, &[4, second]);
    let before = resolver.clone();
    let answered = run(move || async move { before.resolve("a.test").await.unwrap() });
    assert_eq!(answered, at(port, &[4, 5]));

    drop(first);
    let second = Server::at(SocketAddr::new(here(second), port));
    resolver.race_again("A.test");
    let answered = run(move || async move {
        [resolver.resolve("a.test").await.unwrap(), resolver.resolve("a.test").await.unwrap()]
    });
    assert_eq!(answered, [at(port, &[5, 4]), at(port, &[5, 4])]);
    assert_eq!(second.came(), 1);
}

/// One that was late once is still what the memory would begin with; the answer begins with who has just
/// answered.
#[test]
fn the_winner_goes_first_whatever_the_memory_thinks_of_others() {
    let first = Server::open(4);
    let port = first.port();
    let resolver = resolver(&Memory::new(), port, &[4, 5]);
    let before = resolver.clone();
    assert_eq!(run(move || async move { before.resolve("a.test").await.unwrap() }), at(port, &[4, 5]));

    drop(first);
    let _hole = BlackHole::open(SocketAddr::new(here(4), port));
    let _second = Server::at(SocketAddr::new(here(5), port));
    resolver.race_again("a.test");
    assert_eq!(run(move || async move { resolver.resolve("a.test").await.unwrap() }), at(port, &[5, 4]));
}

/// A client has limits of its own: what it was about to find out the next call does.
#[test]
fn one_that_is_given_up_leaves_the_race_to_the_next() {
    let first = Server::open(4);
    let port = first.port();
    let resolver = resolver(&Memory::new(), port, &[4, 5]);
    let before = resolver.clone();
    assert_eq!(run(move || async move { before.resolve("a.test").await.unwrap() }), at(port, &[4, 5]));

    drop(first);
    let _hole = BlackHole::open(SocketAddr::new(here(4), port));
    let _second = Server::at(SocketAddr::new(here(5), port));
    resolver.race_again("a.test");
    let answered = run(move || async move {
        assert!(tokio::time::timeout(Duration::ZERO, resolver.resolve("a.test")).await.is_err());
        resolver.resolve("a.test").await.unwrap()
    });
    assert_eq!(answered, at(port, &[5, 4]));
}

#[test]
fn calls_for_one_host_at_one_time_share_a_race() {
    let server = Server::open(4);
    let port = server.port();
    let resolver = resolver(&Memory::new(), port, &[2, 3, 4]);
    let answered = run(move || async move {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let resolver = resolver.clone();
                tokio::spawn(async move { resolver.resolve("a.test").await.unwrap() })
            })
            .collect();
        let mut answered = Vec::new();
        for call in calls {
            answered.push(call.await.unwrap());
        }
        answered
    });
    // The order of the others hangs on which refusals came before the race was won.
    let winner = SocketAddr::new(here(4), port);
    assert!(answered.iter().all(|answer| (answer[0], answer.len()) == (winner, 3)), "{answered:?}");
    assert_eq!(server.came(), 1);
}

/// Whose turn it is may be dropped: the next has it.
#[test]
fn a_call_that_is_dropped_does_not_hold_up_the_others() {
    let hole = BlackHole::open(SocketAddr::new(here(3), 0));
    let port = hole.address().port();
    let resolver = resolver(&Memory::new(), port, &[2, 3]);
    let answered = run(move || async move {
        let first = tokio::time::timeout(Duration::from_millis(100), resolver.resolve("a.test"));
        assert!(first.await.is_err(), "nobody answers");
        drop(hole);
        let _server = Server::at(SocketAddr::new(here(3), port));
        resolver.resolve("a.test").await.unwrap()
    });
    assert_eq!(answered, at(port, &[3, 2]));
}

/// There is nothing to put in order.
#[test]
fn one_address_is_not_raced() {
    let server = Server::open(4);
    let resolver = resolver(&Memory::new(), server.port(), &[4]);
    let answered = run(move || async move { resolver.resolve("a.test").await.unwrap() });
    assert_eq!((answered, server.came()), (vec![server.address()], 0));
}

/// Its user will find that out, and have an error of its own.
#[test]
fn where_all_are_dead_the_answer_is_all_of_them() {
    let port = Server::open(4).port();
    let silent = BlackHole::open(SocketAddr::new(here(3), port));
    let options = all_at(port, &[2, 3]).race(within(Duration::from_millis(300)).race);
    let resolver = OrderedResolver::new(&Memory::new(), port).with_options(options);
    let mut answered = run(move || async move { resolver.resolve("a.test").await.unwrap() });
    answered.sort_unstable();
    assert_eq!(answered, at(port, &[2, 3]));
    drop(silent);
}

#[test]
fn a_name_without_addresses_is_an_error() {
    let prompted = Prompted::default();
    for family in [Family::V4, Family::V6] {
        let error = ResolverError { kind: QueryError::NoSuchName, detail: None };
        prompted.tell(ResolveEvent::Failed { family, error });
    }
    let resolver = OrderedResolver::new(&Memory::new(), 80).with_options(prompted.options());
    let error = run(move || async move { resolver.resolve("a.test").await.unwrap_err() });
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)), "{error}");
}

/// A family that never answers costs 50 ms.
#[test]
fn one_familys_answer_does_not_wait_for_the_others() {
    let server = Server::open(4);
    let port = server.port();
    let prompted = Prompted::default();
    prompted.answer(Family::V4, &at(port, &[2, 4]));
    let resolver = OrderedResolver::new(&Memory::new(), port).with_options(prompted.options());
    let answered = run(move || async move {
        let answered = tokio::time::timeout(Duration::from_secs(10), resolver.resolve("a.test"));
        answered.await.expect("in time").unwrap()
    });
    assert_eq!(answered, at(port, &[4, 2]));
    assert_eq!(prompted.open(), 0, "its look-up is over");
}

/// An address that joins while the race runs is in the answer.
#[test]
fn what_is_known_late_is_in_the_answer() {
    let hole = BlackHole::open(SocketAddr::new(here(3), 0));
    let port = hole.address().port();
    let prompted = Prompted::default();
    prompted.answer(Family::V4, &at(port, &[3]));
    let (late, v6) = (prompted.clone(), IpAddr::from(std::net::Ipv6Addr::LOCALHOST));
    let Ok(server) = TcpListener::bind(SocketAddr::new(v6, port)) else {
        return connie_servers::skip(
            "IPv6 on the loopback interface",
            "sysctl net.ipv6.conf.lo.disable_ipv6=0",
        );
    };
    let resolver = OrderedResolver::new(&Memory::new(), port).with_options(prompted.options());
    let answered = run(move || async move {
        let told = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            late.answer(Family::V6, &[SocketAddr::new(v6, port)]);
        };
        let (answered, ()) = tokio::join!(resolver.resolve("a.test"), told);
        answered.unwrap()
    });
    assert_eq!(answered, [server.local_addr().unwrap(), hole.address()]);
}
