//! A program that holds every place of its `SocketBudget`, and races that wait in line for one.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_core::{Failure, Families, Family, Instant};
use connie_std::http1::HttpConnection;
use connie_std::resolve::{PendingLookup, Resolve, ResolveEvent, ResolveRequest, SystemResolver, WatchSet};
use connie_std::{
    Canceler, ConnectError, ConnectErrorKind, Connected, Options, OsClock, SocketBudget, connect,
};

/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(20);

/// A server, options with a budget of one place whose races wait for it, and the connection that has it.
fn full() -> (TcpListener, SocketAddr, Options, Connected) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let race = Options::default().race.deadline(Some(LONG));
    let options = Options::new().race(race).budget(SocketBudget::new(1).waits(LONG));
    let held = connect(address, &options).expect("a connection");
    (listener, address, options, held)
}

#[track_caller]
fn race_failure(error: &ConnectError) -> Failure {
    match error.kind() {
        ConnectErrorKind::Race(failure, _) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_deadline_of_a_race_counts_while_it_waits_in_line() {
    let (_listener, address, options, held) = full();
    let deadline = Some(Duration::from_millis(50));
    let hurried = options.clone().race(options.race.clone().deadline(deadline));
    let clock = OsClock::start();
    let (told, telling) = channel();
    std::thread::spawn(move || told.send(connect(address, &hurried)));
    let ended = telling.recv_timeout(LONG).expect("the wait ends");
    let error = ended.expect_err("there is no place");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    assert_eq!(error.timeline().expect("a race").attempts().count(), 0, "no socket was opened");
    let words = format!(
        "could not connect to 127.0.0.1 port {}: timed out waiting for a socket: connections hold every one of its budget, which has \
         1: close some, or set Options::budget to a larger one",
        address.port()
    );
    assert_eq!((error.to_string(), error.summary()), (words.clone(), words));
    assert_eq!(error.io_kind(), ErrorKind::TimedOut);
    let took = clock.now().duration_since(connie_core::Instant::ZERO);
    assert!(took >= Duration::from_millis(50) && took < LONG / 2, "{took:?}");
    // Who gave up is not in line any more.
    drop(held);
    connect(address, &options).expect("the place is free");
}

#[test]
#[cfg(any(target_os = "linux", windows))]
fn a_deadline_that_passes_behind_another_race_says_what_was_waited_for() {
    let budget = SocketBudget::new(1);
    let hole = connie_servers::BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let silent = hole.address();
    let canceler = Canceler::new().expect("a canceler");
    let options = |deadline| {
        let race = Options::default().race.deadline(Some(deadline));
        Options::new().race(race).budget(budget.clone())
    };
    let ahead = options(LONG).canceler(canceler.clone());
    let racing = std::thread::spawn(move || connect(silent, &ahead).map(drop));
    while budget.free() > 0 {
        assert!(!racing.is_finished(), "nobody answers it");
        std::thread::yield_now();
    }
    let error = connect(silent, &options(Duration::from_millis(50))).expect_err("no time left");
    canceler.cancel();
    let ahead = racing.join().expect("a thread").expect_err("canceled");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    let line = error.to_string();
    assert!(line.contains("timed out waiting for a socket of its budget, which has 1: set"), "{line}");
    assert!(error.waited_for_budget());
    assert_eq!(error.io_kind(), ErrorKind::TimedOut);
    assert!(ahead.to_string().ends_with(": canceled"), "{ahead}");
    // One that has had its socket ran out of time in the ordinary way.
    let error = connect(silent, &options(Duration::from_millis(50))).expect_err("nobody answers");
    assert!(error.to_string().ends_with(": timed out") && !error.waited_for_budget(), "{error}");
}

#[test]
fn the_limits_of_an_http_connection_count_too() {
    let (_listener, address, options, _held) = full();
    let mut connection = HttpConnection::with_options("127.0.0.1", address.port(), options).expect("a host");
    connection.set_timeout(Some(Duration::from_millis(50)));
    let error = connection.request("GET", "/", &[], b"").expect_err("there is no place");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
    connection.set_timeout(None);
    connection.set_deadline(Some(Duration::from_millis(50)));
    let error = connection.request("GET", "/", &[], b"").expect_err("there is no place");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
}

#[test]
fn a_cancel_ends_the_wait_in_line() {
    let (_listener, address, options, _held) = full();
    let canceler = Canceler::new().expect("a canceler");
    let options = options.canceler(canceler.clone());
    let (told, telling) = channel();
    let waiting = std::thread::spawn(move || {
        told.send(()).expect("a listener");
        connect(address, &options).map(drop)
    });
    telling.recv_timeout(LONG).expect("a thread");
    canceler.cancel();
    let error = waiting.join().expect("a thread").expect_err("canceled");
    assert_eq!(race_failure(&error), Failure::Canceled);
}

#[test]
fn a_place_that_comes_free_is_taken() {
    let (_listener, address, options, held) = full();
    let (told, telling) = channel();
    let waiting = std::thread::spawn(move || {
        told.send(()).expect("a listener");
        connect(address, &options).map(|connected| connected.destination())
    });
    telling.recv_timeout(LONG).expect("a thread");
    drop(held);
    assert_eq!(waiting.join().expect("a thread").expect("a connection"), address);
}

/// As if the program had not told its budget to wait.
fn at_once(options: &Options) -> Options {
    within(Duration::ZERO, options)
}

fn within(at_most: Duration, options: &Options) -> Options {
    options.clone().budget(options.budget.clone().map(|budget| budget.waits(at_most)))
}

#[track_caller]
fn is_held(error: &ConnectError, count: usize) {
    match error.kind() {
        ConnectErrorKind::BudgetHeld { sockets, .. } => assert_eq!(*sockets, count),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_race_does_not_wait_for_connections() {
    let (_listener, address, options, held) = full();
    let options = at_once(&options);
    let error = connect(address, &options).expect_err("there is no place");
    is_held(&error, 1);
    assert_eq!(
        error.to_string(),
        format!(
            "could not connect to 127.0.0.1 port {}: connections hold every socket of its budget, which has 1: close some, set \
             Options::budget to a larger one, or have it wait with SocketBudget::waits",
            address.port()
        )
    );
    assert_eq!(error.error_kind(), Some(connie_core::verdict::ErrorKind::OutOfSockets));
    assert_eq!((error.io_kind(), error.raw_os_error()), (ErrorKind::QuotaExceeded, None));
    assert!(!error.is_canceled());
    let timeline = error.timeline().expect("a race");
    assert_eq!(
        (timeline.destinations().count(), timeline.attempts().count()),
        (1, 0),
        "no socket was opened"
    );
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::QuotaExceeded);
    // The same for what is built on it.
    let mut connection =
        HttpConnection::with_options("127.0.0.1", address.port(), options.clone()).expect("a host");
    let error = connection.request("GET", "/", &[], b"").expect_err("there is no place");
    assert!(
        error.to_string().contains("connections hold every socket of its budget, which has 1:"),
        "{error}"
    );
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::QuotaExceeded);
    drop(held);
    connect(address, &options).expect("the place is free");
}

#[test]
fn a_race_waits_for_connections_as_long_as_it_was_told() {
    let (_listener, address, options, _held) = full();
    let waits = within(Duration::from_millis(50), &options);
    let clock = OsClock::start();
    let error = connect(address, &waits).expect_err("there is no place");
    let took = clock.now().duration_since(connie_core::Instant::ZERO);
    is_held(&error, 1);
    assert!(took >= Duration::from_millis(50) && took < LONG / 2, "{took:?}");
    let ended = error.timeline().expect("a race").summary().ended.expect("an end");
    assert!(ended >= Duration::from_millis(50) && ended <= took, "the report says {ended:?} of {took:?}");
}

#[test]
#[cfg(any(target_os = "linux", windows))]
fn who_stands_in_line_behind_a_race_learns_that_it_has_become_a_connection() {
    let budget = SocketBudget::new(1);
    // A race that ends at its deadline, and one that wins: until then each has the only place.
    let hole = connie_servers::BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = server.local_addr().expect("an address");
    let options = |deadline| {
        let race = Options::default().race.deadline(Some(deadline));
        Options::new().race(race).budget(budget.clone())
    };
    let hanging = std::thread::spawn({
        let (options, silent) = (options(Duration::from_millis(300)), hole.address());
        move || connect(silent, &options).map(drop)
    });
    // On a busy machine it may be over already.
    while budget.free() > 0 && !hanging.is_finished() {
        std::thread::yield_now();
    }
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let options = options(LONG);
            std::thread::spawn(move || connect(address, &options))
        })
        .collect();
    let error = hanging.join().expect("a thread").expect_err("nobody answers");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    // One of them has the place then, and keeps its connection until all are here: the others fail.
    let ended: Vec<_> = waiting.into_iter().map(|thread| thread.join().expect("a thread")).collect();
    assert_eq!(ended.iter().filter(|result| result.is_ok()).count(), 1);
    ended.iter().filter_map(|result| result.as_ref().err()).for_each(|error| is_held(error, 1));
    assert_eq!((budget.free(), budget.held()), (0, 1));
    drop(ended);
    assert_eq!((budget.free(), budget.held()), (1, 0));
}

#[test]
#[cfg(target_os = "linux")]
fn an_address_that_has_failed_keeps_no_socket_from_others() {
    let budget = SocketBudget::new(8);
    let hole = connie_servers::BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let closed = connie_servers::closed_port(Ipv4Addr::LOCALHOST.into());
    let addresses = [hole.address(), closed.address()];
    let race = Options::default().race.deadline(Some(LONG)).hedge(false);
    let canceler = Canceler::new().expect("a canceler");
    let options = Options::new().race(race).budget(budget.clone()).canceler(canceler.clone());
    let racing = std::thread::spawn(move || connect(addresses, &options).map(drop));
    while budget.free() != 7 {
        assert!(!racing.is_finished(), "the silent address alone needs one");
        std::thread::yield_now();
    }
    canceler.cancel();
    assert_eq!(race_failure(&racing.join().expect("a thread").expect_err("canceled")), Failure::Canceled);
    assert_eq!(budget.free(), 8);
}

/// All that it has is in flight, and none of it ends by itself before the test does.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn a_race_whose_addresses_are_all_silent_lends_to_one_that_comes_later() {
    let holes: [_; 4] = std::array::from_fn(|_| connie_servers::BlackHole::open((Ipv4Addr::LOCALHOST, 0)));
    let silent = holes.each_ref().map(connie_servers::BlackHole::address);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let budget = SocketBudget::new(4);
    let race = Options::default().race.deadline(Some(LONG));
    let canceler = Canceler::new().expect("a canceler");
    let late = Options::new().race(race).budget(budget.clone());
    let early = late.clone().canceler(canceler.clone());
    let racing = std::thread::spawn(move || connect(silent, &early).map(drop));
    while budget.free() > 0 {
        assert!(!racing.is_finished(), "it can use all four");
        std::thread::yield_now();
    }
    let stream = connect(listener.local_addr().expect("an address"), &late).expect("a connection");
    assert!(!racing.is_finished(), "the early race goes on with what is left to it");
    drop(stream);
    canceler.cancel();
    assert_eq!(race_failure(&racing.join().expect("a thread").expect_err("canceled")), Failure::Canceled);
    assert_eq!(budget.free(), 4);
}

/// The system's, for a program that closes a connection at the moment at which a look-up fails.
#[derive(Debug)]
struct Closes(Arc<Mutex<Option<Connected>>>);

struct Closing(Box<dyn PendingLookup>, Arc<Mutex<Option<Connected>>>);

impl Resolve for Closes {
    fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup> {
        Box::new(Closing(SystemResolver.lookup(question, now), self.0.clone()))
    }
}

impl PendingLookup for Closing {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        self.0.watch(watch);
    }

    fn poll(&mut self, now: Instant) -> Option<ResolveEvent> {
        let event = self.0.poll(now)?;
        drop(self.1.lock().expect("no panic").take());
        Some(event)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.0.wake_at()
    }
}

#[test]
fn a_connection_that_closes_afterwards_does_not_change_why_a_look_up_failed() {
    let (_listener, address, options, held) = full();
    let closes = Closes(Arc::new(Mutex::new(Some(held))));
    let race = options.race.clone().families(Families::Only(Family::V4));
    let options = at_once(&options).race(race).resolver(Arc::new(closes));
    let error = connect(("name.test", address.port()), &options).expect_err("there was no place");
    is_held(&error, 1);
    assert_eq!(options.budget.expect("a budget").held(), 0, "it was closed");
}
