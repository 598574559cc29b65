//! `connie_std` in a WebAssembly component: run by
//! `cargo test -p connie-std --no-default-features --test component --target wasm32-wasip2` with a runner
//! such as `tests/wasi/run.py`.
//!
//! There are no threads here, so each test is both sides, and the kernel completes the handshakes.
#![cfg(target_os = "wasi")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_std::connie_core::stack::TcpClientStack;
use connie_std::connie_core::{Failure, Instant};
use connie_std::resolve::{Resolve, ResolveEvent, ResolveRequest, SystemResolver, WatchSet};
use connie_std::{
    Canceler, ConnectErrorKind, HttpConnection, Options, OsClock, OsStack, SocketBudget, connect,
    connect_socket,
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn within(deadline: Duration) -> Options {
    Options::new().race(Options::default().race.deadline(Some(deadline)))
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

#[test]
fn the_winner_is_a_stream() {
    let (listener, live) = listener();
    let closed = self::listener().1;
    let mut stream = connect(&[closed, live], &within(LONG)).unwrap();
    assert_eq!((stream.destination(), stream.peer_address()), (live, Ok(live)));
    let (mut peer, _) = listener.accept().unwrap();
    stream.write_all(b"ping").unwrap();
    let mut heard = [0; 4];
    peer.read_exact(&mut heard).unwrap();
    peer.write_all(&heard).unwrap();
    drop(peer);
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "ping");
    drop(stream);

    let error = connect(closed, &within(LONG)).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::AllAttemptsFailed, _)));
    assert_eq!(error.addresses().collect::<Vec<_>>(), [format!("{closed}: connection refused")]);
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionRefused);
}

/// As on an operating system, reading says what has become of it.
#[test]
fn a_winner_whose_peer_has_reset_it_is_a_stream_all_the_same() {
    let (listener, live) = listener();
    let (mut socket, _, _) = connect_socket(live, &within(LONG)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert!(matches!(OsStack::default().send(&mut socket, b"unread"), Ok(6)));
    peer.read_exact(&mut [0; 1]).unwrap();
    drop(peer);
    let mut stream = socket.into_stream().expect("a stream");
    assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_budget_is_kept_to() {
    let (_listener, live) = listener();
    let budget = SocketBudget::new(1);
    let options = within(Duration::from_secs(10)).budget(budget.clone());
    let first = connect(live, &options).unwrap();
    assert_eq!(budget.free(), 0);
    let error = connect(live, &options).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::BudgetHeld { sockets: 1, .. }), "{error}");
    // Nothing comes free while a component waits.
    let waits = Some(budget.clone().waits(Duration::from_secs(10)));
    let options = within(Duration::from_millis(50)).budget(waits);
    let clock = OsClock::start();
    let error = connect(live, &options).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::DeadlineExceeded, _)), "{error}");
    assert!(clock.now() >= Instant::from_millis(50), "early");
    drop(first);
    assert_eq!(budget.free(), 1);
    assert!(connect(live, &options).is_ok());
}

#[test]
fn what_was_canceled_before_opens_nothing() {
    let (listener, live) = listener();
    let canceler = Canceler::new().unwrap();
    canceler.cancel();
    let options = within(LONG).canceler(canceler);
    assert!(connect(live, &options).unwrap_err().is_canceled());
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn the_runtime_resolves_names() {
    let clock = OsClock::start();
    let mut lookup = SystemResolver.lookup(&ResolveRequest::new("localhost", 80, clock), clock.now());
    let mut families = Vec::new();
    while families.len() < 2 {
        assert!(clock.now() < Instant::ZERO + LONG, "no answer");
        match lookup.poll(clock.now()) {
            Some(ResolveEvent::Answered(answer)) => families.push(answer),
            Some(event) => panic!("{event:?}"),
            // Only the runtime can say when, and the race's `poll` asks it.
            None => assert_eq!(lookup.wake_at(), None),
        }
    }
    lookup.watch(&mut WatchSet::default());
    assert_eq!(lookup.poll(clock.now()), None);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    assert!(families.iter().any(|answer| answer.addresses.contains(&here)), "{families:?}");
    let error = connect(("no_such_name.invalid", 80), &within(LONG)).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)), "{error}");
}

#[test]
fn http_over_the_winner() {
    let (listener, live) = listener();
    let mut connection = HttpConnection::with_options("127.0.0.1", live.port(), within(LONG)).unwrap();
    connection.set_timeout(Some(LONG));
    connection.request("GET", "/", &[], b"").unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut request = [0; 1024];
    let count = peer.read(&mut request).unwrap();
    assert!(request[..count].starts_with(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:"));
    peer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").unwrap();
    let mut body = String::new();
    connection.response().unwrap().read_to_string(&mut body).unwrap();
    assert_eq!((body.as_str(), connection.destination()), ("hello", Some(live)));
}
