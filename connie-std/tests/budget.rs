//! A program that holds every place of its `SocketBudget`, and races that wait in line for one.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::Duration;

use connie_core::{Config, Failure};
use connie_std::http::HttpConnection;
use connie_std::{
    Canceler, ConnectError, ConnectErrorKind, Connected, Options, OsClock, SocketBudget, connect,
};

/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(20);

/// A server, options with a budget of one place, and the connection that has it.
fn full() -> (TcpListener, SocketAddr, Options, Connected) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let race = Config { deadline: Some(LONG), ..Options::default().race };
    let options = Options { race, budget: Some(SocketBudget::new(1)), ..Options::default() };
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
    let hurried = Options { race: Config { deadline, ..options.race.clone() }, ..options.clone() };
    let clock = OsClock::start();
    let (told, telling) = channel();
    std::thread::spawn(move || told.send(connect(address, &hurried)));
    let ended = telling.recv_timeout(LONG).expect("the wait ends");
    let error = ended.expect_err("there is no place");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    assert_eq!(error.timeline().expect("a race").attempts().count(), 0, "no socket was opened");
    let took = clock.now().since(connie_core::Instant::ZERO);
    assert!(took >= Duration::from_millis(50) && took < LONG / 2, "{took:?}");
    // Who gave up is not in line any more.
    drop(held);
    connect(address, &options).expect("the place is free");
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
    let options = Options { canceler: Some(canceler.clone()), ..options };
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
