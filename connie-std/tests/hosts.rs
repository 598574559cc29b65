//! Several hosts, one race, on loopback addresses.
#![cfg(any(target_os = "linux", windows))]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Failure, Family, Instant};
use connie_servers::{BlackHole, Live, closed_port};
use connie_std::memory::AddressPart;
use connie_std::resolve::{
    FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, ResolverError, WatchSet,
};
use connie_std::{
    AddressFilter, ConnectError, ConnectErrorKind, MAX_HOSTS, Memory, Observer, Options, Target, connect,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Knows some names: their addresses, or that there are none. Of others nothing is ever heard.
#[derive(Debug)]
struct Book(Vec<(&'static str, Result<IpAddr, QueryError>)>);

impl Resolve for Book {
    fn lookup(&self, question: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        let entry = self.0.iter().find(|(name, _)| *name == question.host);
        let told = |family| match entry?.1 {
            Ok(ip) => {
                let address = SocketAddr::new(ip, question.port);
                let addresses = Some(address).filter(|it| Family::of(it) == family).into_iter().collect();
                Some(ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true }))
            }
            Err(kind) => Some(ResolveEvent::Failed { family, error: ResolverError { kind, detail: None } }),
        };
        Box::new(Told([Family::V4, Family::V6].into_iter().filter_map(told).collect()))
    }
}

struct Told(Vec<ResolveEvent>);

impl PendingLookup for Told {
    fn watch<'a>(&'a self, _: &mut WatchSet<'a>) {}

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        self.0.pop()
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn server(last: u8) -> Live {
    Live::http(SocketAddr::new(here(last), 0), "page")
}

fn knowing(names: &[(&'static str, Result<IpAddr, QueryError>)]) -> Options {
    let race = Options::default().race.deadline(Some(LIMIT));
    Options::new().resolver(Arc::new(Book(names.to_vec()))).race(race)
}

fn port(address: SocketAddr) -> u16 {
    address.port()
}

#[track_caller]
fn failed(target: Target<'_>, options: &Options) -> ConnectError {
    connect(target, options).map(|won| won.destination()).expect_err("nothing to connect to")
}

/// Each has a port of its own. The first refuses, of the second nobody answers.
#[test]
fn the_host_that_answers_wins() {
    let (closed, hole, live) =
        (closed_port(here(2)), BlackHole::open(SocketAddr::new(here(3), 0)), server(4));
    let ports = [closed.address(), hole.address(), live.address()].map(port);
    let options = knowing(&[("a.test", Ok(here(2))), ("b.test", Ok(here(3))), ("c.test", Ok(here(4)))]);
    let hosts = [("a.test", ports[0]), ("b.test", ports[1]), ("c.test", ports[2])];
    let won = connect(hosts, &options).expect("a connection");
    assert_eq!(won.destination(), live.address());
    assert_eq!(won.report().won_by(), Some(("c.test", ports[2])));
    assert_eq!(won.report().host_of(hole.address()), Some(("b.test", ports[1])));
    assert_eq!(won.report().host_of(SocketAddr::new(here(3), ports[2])), None);
    assert_eq!(won.timeline().destinations().len(), 3);
}

/// One is not found, and of another nothing is ever heard.
#[test]
fn a_look_up_that_fails_or_hangs_holds_up_no_other() {
    let live = server(4);
    let options = knowing(&[("fails.test", Err(QueryError::ServerFailure)), ("b.test", Ok(here(4)))]);
    let hosts = [("hangs.test", 1), ("fails.test", 2), ("b.test", port(live.address()))];
    let started = std::thread::spawn(move || connect(hosts, &options).expect("a connection"));
    let won = started.join().expect("no panic");
    assert_eq!(won.report().won_by().map(|(host, _)| host), Some("b.test"));
    assert!(won.timeline().summary().ended.is_some_and(|ended| ended < Duration::from_secs(10)));
    let failed: Vec<_> = won.report().failed_queries().iter().map(|failed| &*failed.host).collect();
    assert_eq!(failed, ["fails.test"; 2]);
}

/// The words name each host.
#[test]
fn an_error_says_which_host_failed_how() {
    let (closed, other) = (closed_port(here(2)), closed_port(here(3)));
    let (first, second) = (closed.address(), other.address());
    let options = knowing(&[("a.test", Ok(here(2))), ("lost.test", Err(QueryError::NoSuchName))]);
    let texts = [format!("a.test:{}", first.port()), "lost.test:2".to_owned(), second.to_string()];
    let error = failed(Target::from(&texts), &options);
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::AllAttemptsFailed, _)), "{error:?}");
    assert_eq!((error.host(), error.port()), (&*texts.join(", "), 0));
    assert_eq!(error.io_kind(), std::io::ErrorKind::ConnectionRefused);
    let lines = [
        format!("{first}: connection refused (a.test)"),
        format!("{second}: connection refused"),
        "AAAA query for lost.test failed: no such name".to_owned(),
        "A query for lost.test failed: no such name".to_owned(),
    ];
    let mut told: Vec<_> = error.addresses().collect();
    // The address is known first.
    told[..2].sort();
    assert_eq!(told, lines);
    for line in lines {
        assert!(error.to_string().contains(&line), "{error}");
    }
    assert_eq!(error.summary(), format!("could not connect to {}: every address failed", texts.join(", ")));
}

#[test]
fn names_of_which_none_has_addresses_are_told_one_by_one() {
    let options =
        knowing(&[("a.test", Err(QueryError::NoSuchName)), ("b.test", Err(QueryError::ServerFailure))]);
    let error = failed(Target::from(&["a.test:1", "b.test:2"]), &options);
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)), "{error:?}");
    let line = error.to_string();
    let begin = "could not resolve any of a.test:1, b.test:2: a.test: AAAA and A queries failed: no such name; b.test: ";
    assert!(line.starts_with(begin) && line.ends_with("could not answer (SERVFAIL)"), "{line}");
}

/// A deadline ends it where a look-up hangs, at its time.
#[test]
fn the_deadline_covers_all_lookups() {
    let closed = closed_port(here(2));
    let mut options = knowing(&[("a.test", Ok(here(2)))]);
    options.race.deadline = Some(Duration::from_millis(300));
    let error = failed(Target::from(&[("hangs.test", 1), ("a.test", port(closed.address()))]), &options);
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::DeadlineExceeded, _)), "{error:?}");
    let queries: Vec<_> = error.failed_queries().iter().map(|it| (&*it.host, it.error.kind)).collect();
    assert_eq!(queries, [("hangs.test", QueryError::TimedOut); 2]);
}

/// One SYN for a list that was visited before, in whatever order it is given, and with any spelling.
#[test]
fn a_memory_knows_a_list() {
    let (one, other) = (server(4), server(5));
    let ports = [one.address(), other.address()].map(port);
    let memory = Memory::new();
    let mut settings = memory.settings();
    settings.least_delay = Duration::from_secs(1);
    memory.set_settings(settings);
    let options = knowing(&[("a.test", Ok(here(4))), ("b.test", Ok(here(5))), ("B.test", Ok(here(5)))]);
    let options = options.memory(memory);
    let first = connect([("a.test", ports[0]), ("b.test", ports[1])], &options).expect("a connection");
    assert_eq!(first.timeline().summary().attempts, 2);
    let second = connect([("B.test", ports[1]), ("a.test", ports[0])], &options).expect("a connection");
    let the = |part| second.report().explanation().and_then(|it| it.the(part)).map(|it| it.address());
    assert_eq!(the(AddressPart::Lead), Some(first.destination()));
    // One visit in 32 explores another beside it.
    assert_eq!(second.timeline().summary().attempts, 1 + u32::from(the(AddressPart::Explored).is_some()));
}

#[test]
fn a_text_that_is_no_host_is_named_and_nothing_is_tried() {
    let live = server(4);
    let good = live.address().to_string();
    for (bad, kind) in [("b.test", "HOST:PORT"), ("b test:80", "b test")] {
        let error = failed(Target::from(&[&*good, bad]), &knowing(&[]));
        let line = error.to_string();
        assert!(line.contains(kind) && !line.contains(&good), "{line}");
        assert_eq!(error.io_kind(), std::io::ErrorKind::InvalidInput);
    }
    assert_eq!(live.counts().accepted, 0);
}

#[test]
fn lists_have_their_bounds() {
    let none: [&str; 0] = [];
    let error = failed(Target::from(&none), &knowing(&[]));
    assert_eq!(error.to_string(), "the list of addresses is empty: give at least one");
    let many = vec![("hangs.test", 80); MAX_HOSTS + 1];
    let error = failed(Target::from(&many), &knowing(&[]));
    assert!(matches!(error.kind(), ConnectErrorKind::TooManyHosts(count) if *count == MAX_HOSTS + 1));
    let live = server(4);
    let mut many = vec![("lost.test", 80); MAX_HOSTS - 1];
    many.push(("a.test", port(live.address())));
    let options = knowing(&[("lost.test", Err(QueryError::NoSuchName)), ("a.test", Ok(here(4)))]);
    assert_eq!(connect(&many, &options).expect("a connection").destination(), live.address());
}

/// A list of one is that one.
#[test]
fn a_list_of_one_is_as_the_one() {
    let closed = closed_port(here(2));
    let text = closed.address().to_string();
    let [alone, listed] = [Target::from(&text), Target::from(&[&*text])].map(|it| failed(it, &knowing(&[])));
    assert_eq!(alone.to_string(), listed.to_string());
    assert_eq!((alone.host(), alone.port()), (listed.host(), listed.port()));
}

/// Lists of anything, lists of addresses among them.
#[test]
fn targets_of_each_kind_are_in_one_race() {
    let (closed, live) = (closed_port(here(2)), server(4));
    let addresses = [closed.address(), SocketAddr::new(here(3), port(closed.address()))];
    let hosts = [Target::from(&addresses), Target::from(live.address()), Target::from(("hangs.test", 80))];
    let won = connect(&hosts, &knowing(&[])).expect("a connection");
    assert_eq!(won.timeline().destinations().len(), 3);
    assert_eq!(won.report().won_by(), Some(("127.0.0.4", port(live.address()))));
}

#[test]
fn the_filter_holds_for_each_host() {
    let (denied, live) = (server(2), server(4));
    let mut options = knowing(&[("a.test", Ok(here(2))), ("b.test", Ok(here(4)))]);
    options.filter = AddressFilter::default().deny("127.0.0.2".parse().expect("a network"));
    let hosts = [("a.test", port(denied.address())), ("b.test", port(live.address())), ("127.0.0.2", 9)];
    let won = connect(hosts, &options).expect("a connection");
    assert_eq!(won.destination(), live.address());
    let mut told = won.report().denied().to_vec();
    told.sort_unstable();
    let mut wanted = [denied.address(), SocketAddr::new(here(2), 9)];
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    assert_eq!(denied.counts().accepted, 0);
}

#[test]
fn an_observer_is_told_of_all() {
    let live = server(4);
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let options = knowing(&[("a.test", Ok(here(4)))]).observer(Observer::new(move |observed| {
        tells.lock().unwrap().push((observed.host().to_owned(), observed.port()));
    }));
    let hosts = [("a.test", port(live.address())), ("hangs.test", 7)];
    connect(hosts, &options).expect("a connection");
    let wanted = (format!("a.test:{}, hangs.test:7", port(live.address())), 0);
    assert_eq!(*told.lock().unwrap(), [wanted]);
}
