//! A `connect` to what never answers: that it costs the others nothing, how it ends, and what is said of it.
#![cfg(any(target_os = "linux", windows))]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::channel;
use std::time::Duration;

use connie_core::{AttemptOutcome, Failure};
#[cfg(unix)]
use connie_servers::clock::takes;
use connie_servers::{BlackHole, Live, clock::pause, clock::timed, closed_port};
use connie_std::{Canceler, ConnectError, ConnectErrorKind, Options, connect};

/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(60);

fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn any_port(last: u8) -> SocketAddr {
    SocketAddr::new(here(last), 0)
}

fn within(deadline: Duration) -> Options {
    let race = Options::default().race.deadline(Some(deadline));
    Options::new().race(race)
}

#[track_caller]
fn race_failure(error: &ConnectError) -> Failure {
    match error.kind() {
        ConnectErrorKind::Race(failure, _) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_that_are_dead_or_refuse_cost_the_others_nothing() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let closed = closed_port(here(3));
    let addresses = [hole.address(), closed.address(), server.address()];
    let (winner, took) = timed(|| connect(addresses, &within(LONG)).expect("a connection"));
    assert_eq!((winner.destination(), winner.peer_addr().ok()), (addresses[2], Some(addresses[2])));
    let won = winner.timeline().attempts().find(|it| it.outcome == Some(AttemptOutcome::Established));
    assert_eq!(won.map(|it| it.destination), Some(addresses[2]));
    assert!(took < LONG / 2, "{took:?}");
}

#[test]
fn the_deadline_holds_and_is_never_early() {
    let hole = BlackHole::open(any_port(2));
    let deadline = Duration::from_millis(300);
    let (result, took) = timed(|| connect(hole.address(), &within(deadline)));
    let error = result.expect_err("nobody answers");
    assert!(took >= deadline && took < LONG / 2, "{took:?}");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    assert_eq!(error.addresses().collect::<Vec<_>>(), [format!("{}: timed out", hole.address())]);
    assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
}

/// Only what was waited for has timed out.
#[test]
fn of_silence_and_a_refusal_each_has_its_words() {
    let (hole, closed) = (BlackHole::open(any_port(2)), closed_port(here(3)));
    let (silent, refused) = (hole.address(), closed.address());
    let error = connect([silent, refused], &within(Duration::from_millis(300))).expect_err("nowhere to go");
    let mut lines: Vec<_> = error.addresses().collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("{silent}: timed out"), format!("{refused}: connection refused")]);
    let alone = connect(refused, &within(LONG)).expect_err("a refusal");
    assert_eq!(alone.to_string(), format!("could not connect to {refused}: connection refused"));
    assert_eq!(race_failure(&alone), Failure::AllAttemptsFailed);
}

#[test]
fn another_thread_ends_it() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    let canceler = Canceler::new().expect("a canceler");
    // Its own, and one of which it is a child.
    for canceled in [canceler.child().expect("a canceler"), canceler] {
        let options = within(LONG).canceler(canceled.child().expect("a canceler"));
        let (told, telling) = channel();
        std::thread::spawn(move || told.send(connect(address, &options).map(drop)));
        pause(Duration::from_millis(30));
        assert!(telling.try_recv().is_err(), "it waits");
        canceled.cancel();
        let error = telling.recv_timeout(LONG / 2).expect("woken").expect_err("canceled");
        assert!(error.is_canceled());
        assert!(!error.to_string().contains("timed out"), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionAborted);
    }
}

/// What is written to it, and what its end closed is, both are ready to read. Nothing is read, and the call
/// ends at once: it waits for that descriptor too.
#[test]
#[cfg(unix)]
fn a_descriptor_of_the_programs_own_ends_it() {
    let hole = BlackHole::open(any_port(2));
    for writes in [true, false] {
        takes(WAITS, Duration::from_millis(100), || canceled_by_a_pipe(hole.address(), writes));
    }
}

/// How long the call waits before it is canceled.
#[cfg(unix)]
const WAITS: Duration = Duration::from_millis(30);

#[cfg(unix)]
fn canceled_by_a_pipe(address: SocketAddr, writes: bool) {
    use std::io::{Read, Write};
    let (mut reader, mut writer) = io::pipe().expect("a pipe");
    let duplicate = reader.try_clone().expect("a duplicate");
    let canceler = Canceler::when_readable(duplicate.into()).expect("a canceler");
    // By way of a child, too.
    let options = within(LONG).canceler(canceler.child().expect("a canceler"));
    let (told, telling) = channel();
    std::thread::spawn(move || told.send(connect(address, &options).map(drop)));
    pause(WAITS);
    assert!(telling.try_recv().is_err() && !canceler.is_canceled(), "it waits");
    if writes {
        writer.write_all(b"x").expect("a pipe has room");
    }
    drop(writer);
    let error = telling.recv_timeout(LONG / 2).expect("woken").expect_err("canceled");
    assert!(error.is_canceled() && canceler.is_canceled());
    let mut left = String::new();
    reader.read_to_string(&mut left).expect("a pipe");
    assert_eq!(left, if writes { "x" } else { "" });
    assert!(canceler.is_canceled(), "it stays so");
}

#[test]
fn the_options_hold() {
    let server = Live::silent(any_port(4));
    for nodelay in [true, false] {
        let source_v4 = Some(Ipv4Addr::new(127, 0, 0, 9));
        let stream = connect(server.address(), &within(LONG).nodelay(nodelay).source_v4(source_v4))
            .expect("a connection");
        assert_eq!(stream.nodelay().expect("an option"), nodelay);
        assert_eq!(stream.local_addr().expect("an address").ip(), here(9));
    }
}
