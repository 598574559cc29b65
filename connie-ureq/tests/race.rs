//! connie's race under ureq.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use connie_servers::{BlackHole, Live, closed_port};
use connie_std::memory::WholeRaceReason;
use connie_std::{
    AddressFilter, Canceler, ConnectError, ConnectErrorKind, Memory, Observer, OnSocket, Options, Purpose,
    RaceOutcome, connect,
};
use connie_ureq::RaceConnector;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout};
use ureq::{Agent, Error, Timeout};

/// A name server that knows one answer.
#[derive(Debug)]
struct Knows(Vec<SocketAddr>);

impl Resolver for Knows {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        self.0.iter().for_each(|address| addresses.push(*address));
        Ok(addresses)
    }
}

fn agent(addresses: &[SocketAddr], config: Config) -> Agent {
    Agent::with_parts(config, ().chain(RaceConnector::default()), Knows(addresses.to_vec()))
}

fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[expect(clippy::disallowed_methods, reason = "what a user waits for is the matter here")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_dead_first_address_costs_nothing() {
    let hole = BlackHole::open(SocketAddr::new(here(2), 0));
    let closed = closed_port(here(3));
    let server = Live::http(SocketAddr::new(here(4), 0), "page");
    let agent = agent(&[hole.address(), closed.address(), server.address()], Config::default());
    let start = now();
    let page = agent.get("http://name.test/").call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(page, "page");
    // ureq alone gives the first address all the time in the world.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn the_program_sees_each_socket_before_it_is_connected() {
    let server = Live::http(SocketAddr::new(here(4), 0), "page");
    let (tell, told) = std::sync::mpsc::channel();
    let on_socket = OnSocket::new(move |_, address, purpose| {
        tell.send((address, purpose)).map_err(std::io::Error::other)
    });
    let connector = RaceConnector::new(Options::new().on_socket(on_socket));
    let agent = Agent::with_parts(Config::default(), ().chain(connector), Knows(vec![server.address()]));
    let page = agent.get("http://name.test/").call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(page, "page");
    // The connector's memory asks from which of its addresses this machine would reach it.
    let [asked, connected] = [Purpose::Route, Purpose::Connection].map(|purpose| (server.address(), purpose));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [asked, connected]);
}

#[test]
fn a_source_address_of_one_family_leaves_the_other_out() {
    let other = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 9));
    let source_v4 = Some(Ipv4Addr::new(127, 0, 0, 9));
    let connector = RaceConnector::new(Options::new().source_v4(source_v4));
    let agent = Agent::with_parts(Config::default(), ().chain(connector), Knows(vec![other]));
    let error = agent.get("http://name.test/").call().unwrap_err().to_string();
    let says = "[::1]:9: left out: a source address was given for the other family alone";
    assert!(error.contains(says), "{error}");
}

/// ureq asks its own resolver, whose answers are looked at anyway.
#[test]
fn an_address_that_is_denied_is_not_tried() {
    let (inside, outside) = (
        Live::http(SocketAddr::new(here(2), 0), "inside"),
        Live::http(SocketAddr::new(here(4), 0), "outside"),
    );
    let filter = AddressFilter::public_only().allow("127.0.0.4".parse().unwrap());
    let get = |addresses: &[SocketAddr]| {
        let connector = RaceConnector::new(Options::new().filter(filter.clone()));
        let agent = Agent::with_parts(Config::default(), ().chain(connector), Knows(addresses.to_vec()));
        agent.get("http://name.test/").call().map(|mut answer| answer.body_mut().read_to_string().unwrap())
    };
    assert_eq!(get(&[inside.address(), outside.address()]).unwrap(), "outside");
    let error = get(&[inside.address()]).unwrap_err();
    let Error::Io(inner) = &error else { panic!("{error:?}") };
    assert_eq!(inner.kind(), ErrorKind::PermissionDenied);
    let ours = inner.get_ref().and_then(|error| error.downcast_ref::<ConnectError>());
    assert!(ours.is_some_and(|error| matches!(error.kind(), ConnectErrorKind::Denied(_))), "{error:?}");
    assert_eq!(inside.counts().accepted, 0);
}

#[test]
fn its_time_out_for_connecting_holds() {
    let hole = BlackHole::open(SocketAddr::new(here(2), 0));
    let config = Config::builder().timeout_connect(Some(Duration::from_millis(300))).build();
    let start = now();
    let error = agent(&[hole.address()], config).get("http://name.test/").call().unwrap_err();
    assert!(matches!(error, Error::Timeout(Timeout::Connect)), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn where_all_addresses_fail_the_error_names_each() {
    let (one, other) = (closed_port(here(2)), closed_port(here(3)));
    let error = agent(&[one.address(), other.address()], Config::default()).get("http://name.test/").call();
    let error = error.unwrap_err();
    let Error::Io(inner) = &error else { panic!("{error:?}") };
    assert_eq!(inner.kind(), ErrorKind::ConnectionRefused);
    let line = format!("{}: connection refused; {}: connection refused", one.address(), other.address());
    assert!(error.to_string().contains(&line), "{error}");
    let failed =
        inner.get_ref().and_then(|error| error.downcast_ref::<ConnectError>()).expect("connie's own error");
    let lines: Vec<String> = failed.addresses().map(|line| line.to_string()).collect();
    let expected = [one, other].map(|port| format!("{}: connection refused", port.address()));
    assert_eq!(lines, expected);
}

/// A group is nobody to connect to: there is no way to one.
#[test]
fn a_refusal_tells_more_than_that_there_is_no_way() {
    let (closed, group) = (closed_port(here(2)), SocketAddr::from(([224, 0, 0, 1], 9)));
    let error = agent(&[group, closed.address()], Config::default()).get("http://name.test/").call();
    let Err(Error::Io(inner)) = &error else { panic!("{error:?}") };
    assert_eq!(inner.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn shutting_the_agent_down_ends_a_race_under_way() {
    let hole = BlackHole::open(SocketAddr::new(here(2), 0));
    let agent = agent(&[hole.address()], Config::default());
    let calling = agent.clone();
    let thread = std::thread::spawn(move || calling.get("http://name.test/").call().map(|_| ()));
    while agent_is_idle(&hole) {
        std::thread::yield_now();
    }
    agent.shutdown();
    let error = thread.join().unwrap().unwrap_err();
    let Error::Io(inner) = &error else { panic!("{error:?}") };
    assert_eq!(inner.kind(), ErrorKind::ConnectionAborted);
    let ours = inner.get_ref().and_then(|error| error.downcast_ref::<ConnectError>());
    assert!(ours.is_some_and(ConnectError::is_canceled), "{error:?}");
}

/// Options whose canceler the program shares between agents and its own races.
#[test]
fn shutting_an_agent_down_ends_no_races_but_its_own() {
    let hole = BlackHole::open(SocketAddr::new(here(2), 0));
    let shared = Canceler::new().unwrap();
    // One socket each, and an end where the cancel has none.
    let limit = Duration::from_secs(20);
    let race = Options::default().race.hedge(false).deadline(Some(limit));
    let options = Options::new().race(race).canceler(shared.clone());
    let connector = RaceConnector::new(options);
    let agent =
        |address| Agent::with_parts(Config::default(), ().chain(connector.clone()), Knows(vec![address]));
    let (one, other) = (agent(hole.address()), agent(hole.address()));
    let start = |agent: &Agent| {
        let agent = agent.clone();
        std::thread::spawn(move || agent.get("http://name.test/").call().map(|_| ()))
    };
    let (first, second) = (start(&one), start(&other));
    let began = now();
    while connecting_to(&hole) < 2 {
        assert!(began.elapsed() < limit, "no race began");
        std::thread::yield_now();
    }
    one.shutdown();
    assert!(first.join().unwrap().is_err());
    assert!(!shared.is_canceled() && !second.is_finished());
    assert_eq!(connecting_to(&hole), 1);
    // The program's own canceler ends them all.
    shared.cancel();
    assert!(second.join().unwrap().is_err());
    assert!(began.elapsed() < limit, "the deadline ended it, and not the canceler");
}

/// How many sockets of this machine are connecting to the black hole.
fn connecting_to(hole: &BlackHole) -> usize {
    let port = format!(":{:04X} 02 ", hole.address().port());
    std::fs::read_to_string("/proc/net/tcp").unwrap().matches(&port).count()
}

/// Whether no SYN has come to the black hole: a socket of this process that is connecting to it.
fn agent_is_idle(hole: &BlackHole) -> bool {
    let port = format!(":{:04X} 02 ", hole.address().port());
    !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&port)
}

#[test]
fn a_connection_is_used_again() {
    let server = Live::http(SocketAddr::new(here(4), 0), "page");
    let agent = agent(&[server.address()], Config::default());
    for _ in 0..3 {
        let mut answer = agent.get("http://name.test/").call().unwrap();
        assert_eq!(answer.body_mut().read_to_string().unwrap(), "page");
    }
}

#[test]
fn an_observer_is_told_of_each_race_by_the_name_of_the_host() {
    let closed = closed_port(here(3));
    let server = Live::http(SocketAddr::new(here(4), 0), "page");
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let observer = Observer::new(move |observed| {
        let race = (observed.host().to_owned(), observed.port(), observed.outcome(), observed.winner());
        seen.lock().unwrap().push(race);
    });
    let options = Options::new().observer(observer);
    let get = |address: SocketAddr| {
        let connector = ().chain(RaceConnector::new(options.clone()));
        Agent::with_parts(Config::default(), connector, Knows(vec![address])).get("http://name.test/").call()
    };
    get(server.address()).unwrap();
    get(closed.address()).unwrap_err();
    let race =
        |address: SocketAddr, outcome, winner| ("name.test".to_owned(), address.port(), outcome, winner);
    let won = race(server.address(), RaceOutcome::Won, Some(server.address()));
    let lost = race(closed.address(), RaceOutcome::Lost, None);
    assert_eq!(*told.lock().unwrap(), [won, lost]);
}

/// A name server of which each answer is another part of a host's addresses.
#[derive(Debug)]
struct Turns(Mutex<Vec<Vec<SocketAddr>>>);

impl Resolver for Turns {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let answer = self.0.lock().unwrap().pop().unwrap_or_default();
        Knows(answer).resolve(uri, config, timeout)
    }
}

/// What the memory knew at each visit to a host whose answer turns, by way of a proxy if there is one.
fn visits(proxy: Option<&str>, hosts: [&str; 2]) -> Vec<Option<WholeRaceReason>> {
    let server = Live::http(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), "page");
    let answer = |net| {
        [1, 2].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, net, last), server.address().port())))
    };
    let (tell, told) = std::sync::mpsc::channel();
    let observer = Observer::new(move |observed| {
        let explanation = observed.report().and_then(|report| report.explanation());
        tell.send(explanation.expect("a memory").whole()).unwrap();
    });
    let connector = RaceConnector::new(Options::new().observer(observer));
    let config = Config::builder().proxy(proxy.map(|it| ureq::Proxy::new(it).unwrap()));
    // Each visit has a connection of its own.
    let config = config.max_idle_connections(0).build();
    let connector = ().chain(ConnectProxyConnector::default()).chain(connector);
    let turns = Turns(Mutex::new([2, 1].map(|net| answer(net).to_vec()).to_vec()));
    let agent = Agent::with_parts(config, connector, turns);
    for host in hosts {
        // Whatever came of it: the server is no proxy.
        let _ = agent.get(format!("http://{host}/")).call().map(|mut it| it.body_mut().read_to_string());
    }
    told.try_iter().collect()
}

#[test]
fn a_host_is_known_by_its_name_whatever_addresses_an_answer_has() {
    let (new, met) = (Some(WholeRaceReason::NeverMet), Some(WholeRaceReason::NothingFresh));
    assert_eq!(visits(None, ["name.test", "name.test"]), [new, met]);
    assert_eq!(visits(None, ["name.test", "other.test"]), [new, new]);
    // Through a proxy it is the proxy that is met.
    assert_eq!(visits(Some("http://proxy.test:3128"), ["name.test", "other.test"]), [new, met]);
}

/// A server that accepts, reads and closes is passed by the next time: the memory hears of it by itself.
#[test]
fn a_server_that_closes_without_an_answer_is_passed_by_the_next_time() {
    let closing = std::net::TcpListener::bind(SocketAddr::new(here(91), 0)).unwrap();
    let first = closing.local_addr().unwrap();
    std::thread::spawn(move || {
        closing.incoming().flatten().for_each(|mut stream| drop(stream.read(&mut [0; 1_024])));
    });
    let server = Live::http(SocketAddr::new(here(92), first.port()), "page");
    let memory = Memory::new();
    let mut settings = memory.settings();
    // So that a busy machine makes no lead late.
    settings.least_delay = Duration::from_secs(1);
    memory.set_settings(settings);
    let options = Options::new().memory(memory.clone());
    // What is known best leads.
    connect(first, &options).unwrap();
    let connector = ().chain(RaceConnector::new(options));
    let agent = Agent::with_parts(Config::default(), connector, Knows(vec![first, server.address()]));
    agent.get("http://name.test/").call().expect_err("no answer");
    let is_demoted = |address| memory.entries().iter().any(|it| it.address == address && it.is_demoted);
    assert!(is_demoted(first));
    let page = agent.get("http://name.test/").call().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(page, "page");
    assert!(!is_demoted(server.address()));
}
