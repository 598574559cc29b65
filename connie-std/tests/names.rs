//! Names through a resolver of the program's own: what it is asked, what becomes of its answers, and that
//! nothing waits for it.
//!
//! Real sockets on loopback; only what the resolver says is made up. Times are asserted with a wide margin:
//! seconds between what must not wait and what it would have waited for.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_core::resolution::{Query, QueryError};
use connie_core::{Config, Failure, Families, Family, Instant};
use connie_std::resolve::{
    FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, Resolver, ResolverError, WatchSet,
};
use connie_std::{Canceler, ConnectError, ConnectErrorKind, Options, Override, connect};

/// What a resolver says, and when: milliseconds after it was asked.
type Script = Vec<(u64, ResolveEvent)>;

/// A resolver that says what it was told to say.
struct Scripted {
    script: Script,
    asked: Mutex<Vec<(String, u16, Families)>>,
    /// How many look-ups are under way.
    open: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Resolve for Scripted {
    fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup> {
        self.asked.lock().unwrap().push((question.host.to_owned(), question.port, question.families));
        self.open.fetch_add(1, Ordering::SeqCst);
        let script = self.script.iter();
        let script =
            script.map(|(after, event)| (now + Duration::from_millis(*after), event.clone())).collect();
        Box::new(ScriptedLookup { script, open: self.open.clone(), polls: self.polls.clone() })
    }
}

struct ScriptedLookup {
    script: Vec<(Instant, ResolveEvent)>,
    open: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl PendingLookup for ScriptedLookup {
    fn watch<'a>(&'a self, _: &mut WatchSet<'a>) {}

    fn poll(&mut self, now: Instant) -> Option<ResolveEvent> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        let due = self.script.iter().position(|(at, _)| *at <= now)?;
        Some(self.script.remove(due).1)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.script.iter().map(|(at, _)| *at).min()
    }
}

impl Drop for ScriptedLookup {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn resolver(script: Script) -> Arc<Scripted> {
    Arc::new(Scripted { script, asked: Mutex::default(), open: Arc::default(), polls: Arc::default() })
}

fn options(resolver: &Arc<Scripted>) -> Options {
    let race = Options::default().race.deadline(Some(Duration::from_secs(20)));
    Options::new().race(race).resolver(Resolver::from(resolver.clone()))
}

fn answer(family: Family, addresses: &[SocketAddr]) -> ResolveEvent {
    ResolveEvent::Answered(FamilyAddresses {
        family,
        addresses: addresses.to_vec(),
        ttl: None,
        ordered: false,
    })
}

fn hint(family: Family, addresses: &[SocketAddr]) -> ResolveEvent {
    ResolveEvent::Hinted(FamilyAddresses { family, addresses: addresses.to_vec(), ttl: None, ordered: false })
}

fn failure(family: Family, kind: QueryError) -> ResolveEvent {
    ResolveEvent::Failed { family, error: kind.into() }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// An address that refuses: whoever connects from it would have to listen on it.
fn refusing() -> (std::net::TcpStream, SocketAddr) {
    let (_listener, address) = listener();
    let stream = std::net::TcpStream::connect(address).expect("a connection");
    let address = stream.local_addr().expect("an address");
    (stream, address)
}

#[track_caller]
fn fails(result: Result<connie_std::Connected, ConnectError>, text: &str) -> ConnectError {
    let error = result.map(|winner| winner.destination()).expect_err("nothing to connect to");
    assert_eq!(error.to_string(), text);
    error
}

#[test]
fn the_first_usable_answer_starts_the_race_and_what_never_comes_costs_nothing() {
    let (_listener, address) = listener();
    let resolver = resolver(vec![(0, answer(Family::V4, &[address]))]);
    let winner = connect(("name.test", address.port()), &options(&resolver)).expect("a connection");
    assert_eq!(winner.destination(), address);
    let summary = winner.timeline().summary();
    assert!(summary.ended.unwrap() < Duration::from_secs(2), "{summary:?}");
    assert_eq!(*resolver.asked.lock().unwrap(), [("name.test".to_owned(), address.port(), Families::Both)]);
    assert_eq!(resolver.open.load(Ordering::SeqCst), 0, "the look-up is abandoned");
}

#[test]
fn a_late_answer_costs_a_staggered_race_the_resolution_delay_at_most() {
    let (_listener, address) = listener();
    for late in [None, Some((10_000, answer(Family::V6, &["[::1]:9".parse().unwrap()])))] {
        let script = [(0, answer(Family::V4, &[address]))].into_iter().chain(late);
        let resolver = resolver(script.collect());
        let mut options = options(&resolver);
        options.race = Config::staggered().deadline(options.race.deadline);
        let winner = connect(("name.test", address.port()), &options).expect("a connection");
        // A host without IPv6 does not wait for it.
        assert!(winner.timeline().summary().ended.unwrap() < Duration::from_secs(3));
        assert_eq!(winner.destination(), address);
    }
}

#[test]
fn addresses_that_come_while_the_race_runs_join_it() {
    let (_listener, address) = listener();
    let (_held, refused) = refusing();
    // What refuses keeps nobody waiting; the race goes on for the other answer.
    let script = vec![
        (0, hint(Family::V4, &[refused])),
        (20, answer(Family::V6, &[])),
        (60, answer(Family::V4, &[refused, address])),
    ];
    let winner = connect(("name.test", 80), &options(&resolver(script))).expect("a connection");
    assert_eq!(winner.destination(), address);
    let starts: Vec<_> = winner.timeline().attempts().map(|attempt| attempt.destination).collect();
    assert_eq!(starts, [refused, address]);
    let summary = winner.timeline().summary();
    assert!(
        summary.resolved.unwrap() < Duration::from_millis(20)
            || summary.ended.unwrap() > Duration::from_millis(60)
    );
}

#[test]
fn an_error_names_the_queries_that_failed() {
    let script = vec![
        (0, failure(Family::V6, QueryError::ServerFailure)),
        (5, failure(Family::V4, QueryError::TimedOut)),
    ];
    let error = fails(
        connect(("x.test", 80), &options(&resolver(script))),
        "could not resolve x.test: AAAA query failed: the name server could not answer (SERVFAIL); \
         A query failed: no answer in time",
    );
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)));
    let queries: Vec<_> = error.failed_queries().iter().map(ToString::to_string).collect();
    assert_eq!(
        queries,
        [
            "AAAA query for x.test failed: the name server could not answer (SERVFAIL)",
            "A query for x.test failed: no answer in time"
        ]
    );
    assert_eq!(error.addresses().count(), 0, "they are the error, and not beside it");
    assert_eq!(
        error.timeline().map(|timeline| timeline.summary().failure),
        Some(Some(Failure::NoDestinations))
    );
    let script = vec![
        (0, failure(Family::V4, QueryError::NoSuchName)),
        (5, failure(Family::V6, QueryError::NoSuchName)),
    ];
    let error = fails(
        connect(("x.test", 80), &options(&resolver(script))),
        "could not resolve x.test: AAAA and A queries failed: no such name",
    );
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_query_that_failed_is_told_beside_the_addresses() {
    let (_held, refused) = refusing();
    let script = |kind| vec![(0, answer(Family::V4, &[refused])), (5, failure(Family::V6, kind))];
    let failed = "AAAA query for x.test failed: the name server refused to answer (REFUSED)";
    let only = format!("could not connect to x.test port 80: {refused}: connection refused");
    let text = format!("{only}; {failed}");
    let error = fails(connect(("x.test", 80), &options(&resolver(script(QueryError::Refused)))), &text);
    assert_eq!(error.summary(), "could not connect to x.test port 80: every address failed");
    let lines: Vec<_> = error.addresses().collect();
    assert_eq!(lines, [format!("{refused}: connection refused"), failed.to_owned()]);
    // The name is there, as the other query has shown: it only has no address of this family.
    let error = fails(connect(("x.test", 80), &options(&resolver(script(QueryError::NoSuchName)))), &only);
    assert_eq!(error.failed_queries(), []);
}

#[test]
fn a_name_without_addresses_is_no_failure_of_a_query() {
    let script = vec![(0, answer(Family::V6, &[])), (0, answer(Family::V4, &[]))];
    let error = fails(
        connect(("x.test", 80), &options(&resolver(script))),
        "could not connect to x.test port 80: no address to connect to",
    );
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::NoDestinations, _)));
}

#[test]
fn a_deadline_ends_the_wait_for_a_resolver_and_names_what_was_silent() {
    let resolver = resolver(vec![(0, answer(Family::V6, &[]))]);
    let mut options = options(&resolver);
    options.race.deadline = Some(Duration::from_millis(50));
    let error = fails(
        connect(("x.test", 80), &options),
        "could not resolve x.test in the time allowed: A query failed: no answer in time",
    );
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(resolver.open.load(Ordering::SeqCst), 0);
    let polls = resolver.polls.load(Ordering::SeqCst);
    assert!(polls < 20, "{polls} polls: the wait for the resolver spins");
}

#[test]
fn a_program_that_cancels_does_not_wait_for_the_resolver() {
    let resolver = resolver(Vec::new());
    let canceler = Canceler::new().expect("a canceler");
    let mut options = options(&resolver);
    options.race.deadline = None;
    options.canceler = Some(canceler.clone());
    let waiting = std::thread::spawn(move || connect(("x.test", 80), &options).map(|_| ()));
    while resolver.open.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    canceler.cancel();
    let error = waiting.join().expect("a thread").expect_err("canceled");
    assert!(error.is_canceled());
    assert_eq!(resolver.open.load(Ordering::SeqCst), 0);
}

#[test]
fn only_the_families_that_may_be_used_are_asked_for() {
    let (_listener, address) = listener();
    let resolver = resolver(vec![(0, answer(Family::V4, &[address]))]);
    let mut options = options(&resolver);
    options.race.families = Families::Only(Family::V4);
    assert!(connect(("x.test", 80), &options).is_ok());
    assert_eq!(resolver.asked.lock().unwrap()[0].2, Families::Only(Family::V4));
}

#[test]
fn what_needs_no_resolver_is_not_asked_for() {
    let (_listener, address) = listener();
    let resolver = resolver(Vec::new());
    let mut options = options(&resolver);
    options.overrides =
        vec![Override { host: "given.test".to_owned(), port: address.port(), addresses: vec![address.ip()] }];
    let given = Override { host: "x.onion".to_owned(), ..options.overrides[0].clone() };
    assert!(connect(("x.onion", address.port()), &options.clone().overrides([given])).is_ok());
    for host in ["given.test", "127.0.0.1", "localhost", "a.localhost.", "::ffff:127.0.0.1"] {
        let winner = connect((host, address.port()), &options).expect(host);
        assert_eq!(winner.destination(), address, "{host}");
    }
    let error = fails(
        connect(("any.invalid", 80), &options),
        "could not resolve any.invalid: AAAA and A queries failed: no such name",
    );
    assert_eq!(error.failed_queries()[0].query, Query::Aaaa);
    for host in ["x.onion", "X.Onion.", "onion"] {
        let not_sent = "AAAA and A queries failed: onion names are Tor's and not in DNS (RFC 7686)";
        fails(connect((host, 80), &options), &format!("could not resolve {host}: {not_sent}"));
    }
    fails(
        connect(("127.1", 80), &options),
        "\"127.1\" is not a host name or address: write IPv4 addresses as four decimal numbers: 192.0.2.1",
    );
    assert_eq!(*resolver.asked.lock().unwrap(), []);
}

#[test]
fn localhost_begins_with_the_family_that_the_caller_prefers() {
    let (_held, refused) = refusing();
    let port = refused.port();
    let mut options = options(&resolver(Vec::new()));
    // One at a time, so that the first to start is the first choice. Nobody listens on either.
    options.race.max_in_flight = 1;
    for (preferred, first) in [(Family::V6, "[::1]"), (Family::V4, "127.0.0.1")] {
        options.race.preferred_family = preferred;
        let error = connect(("a.localhost", port), &options).map(|_| ()).expect_err("nobody listens");
        let timeline = error.timeline().expect("a race");
        let starts: Vec<_> = timeline.attempts().map(|attempt| attempt.destination).collect();
        assert_eq!(starts.first(), Some(&format!("{first}:{port}").parse().unwrap()), "{starts:?}");
        assert_eq!(starts.len(), 2, "{starts:?}");
    }
}

#[test]
fn a_race_that_is_over_before_it_has_begun_asks_nothing() {
    let resolver = resolver(Vec::new());
    let canceler = Canceler::new().expect("a canceler");
    canceler.cancel();
    let canceled = options(&resolver).canceler(canceler);
    assert!(connect(("x.test", 80), &canceled).map(|_| ()).expect_err("canceled").is_canceled());
    let mut late = options(&resolver);
    late.race.deadline = Some(Duration::ZERO);
    let error = connect(("x.test", 80), &late).map(|_| ()).expect_err("too late");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(*resolver.asked.lock().unwrap(), []);
}

#[test]
fn a_failure_that_an_answer_comes_after_is_none() {
    let (_listener, address) = listener();
    let script = vec![
        (0, failure(Family::V4, QueryError::ServerFailure)),
        (20, answer(Family::V4, &[address])),
        (20, answer(Family::V6, &[])),
    ];
    let winner = connect(("x.test", 80), &options(&resolver(script))).expect("a connection");
    assert_eq!(winner.destination(), address);
    assert_eq!(winner.report().failed_queries(), []);
}

#[test]
fn the_words_of_the_resolver_are_passed_on() {
    let error =
        ResolverError { kind: QueryError::Failed, detail: Some("the hosts file is on fire".to_owned()) };
    let event = |family| ResolveEvent::Failed { family, error: error.clone() };
    let script = vec![(0, event(Family::V6)), (0, event(Family::V4))];
    fails(
        connect(("x.test", 80), &options(&resolver(script))),
        "could not resolve x.test: AAAA and A queries failed: the hosts file is on fire",
    );
}

/// A resolver whose look-ups wait for a datagram that says that the answer is there.
#[derive(Debug)]
struct Wired {
    address: SocketAddr,
    socket: UdpSocket,
}

struct WiredLookup {
    address: SocketAddr,
    socket: UdpSocket,
    polls: u32,
}

impl Resolve for Wired {
    fn lookup(&self, _: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        let socket = self.socket.try_clone().expect("a descriptor");
        Box::new(WiredLookup { address: self.address, socket, polls: 0 })
    }
}

impl PendingLookup for WiredLookup {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        watch.read(&self.socket);
    }

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        self.polls += 1;
        assert!(self.polls < 1_000, "woken for nothing");
        self.socket.recv(&mut [0; 8]).ok()?;
        Some(answer(Family::V4, &[self.address]))
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_resolvers_descriptor_wakes_the_race() {
    let (_listener, address) = listener();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_nonblocking(true).expect("an option");
    let to = socket.local_addr().expect("an address");
    let mut options = options(&resolver(Vec::new()));
    options.race.deadline = None;
    options.resolver = Resolver::from(Arc::new(Wired { address, socket }));
    let connecting = std::thread::spawn(move || connect(("x.test", 80), &options));
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    // Whether it waits already or not: the datagram is there.
    sender.send_to(b"answer", to).expect("sent");
    assert_eq!(connecting.join().expect("a thread").expect("a connection").destination(), address);
}
