//! The servers for loopback, which need no privilege.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use connie_servers::{BlackHole, Live, LiveCounts, PythonServer, clock::ms, closed_port};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[track_caller]
fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect_timeout(&address, ms(1000)).unwrap_or_else(|error| panic!("{address}: {error}"))
}

#[track_caller]
fn refused(address: SocketAddr) {
    let error = TcpStream::connect_timeout(&address, ms(1000)).expect_err("no connection");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
}

fn answer(stream: &mut TcpStream, body: &str) -> String {
    write!(stream, "GET / HTTP/1.1\r\nHost: here\r\n\r\n").expect("a request sent");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut answer = vec![0; head.len() + body.len()];
    stream.read_exact(&mut answer).expect("an answer");
    String::from_utf8(answer).expect("text").strip_prefix(&head).expect("the head").to_owned()
}

/// Longer than the kernel's first repeated SYN, which might get lucky.
#[test]
fn a_black_hole_never_answers() {
    let holes = [V4, V6].map(|address| BlackHole::open((address, 0)));
    let knocks = holes.iter().flat_map(|hole| [hole.address(); 4]).map(|address| {
        std::thread::spawn(move || {
            TcpStream::connect_timeout(&address, ms(1200)).map_err(|error| error.kind())
        })
    });
    for knock in knocks.collect::<Vec<_>>() {
        let answer = knock.join().expect("a thread");
        assert_eq!(answer.expect_err("silence"), ErrorKind::TimedOut);
    }
}

#[test]
fn a_black_hole_that_is_gone_refuses() {
    let hole = BlackHole::open((V4, 0));
    let address = hole.address();
    drop(hole);
    refused(address);
}

#[test]
fn a_closed_port_refuses_and_stays_closed() {
    for address in [V4, V6] {
        let closed = closed_port(address);
        (0..3).for_each(|_| refused(closed.address()));
        assert!(std::net::TcpListener::bind(closed.address()).is_err(), "somebody else could take the port");
    }
}

#[test]
fn a_live_server_answers_request_after_request() {
    for address in [V4, V6] {
        let server = Live::http((address, 0), "hello");
        let mut stream = connected(server.address());
        for _ in 0..3 {
            assert_eq!(answer(&mut stream, "hello"), "hello");
        }
        server.wait_until(|counts| {
            *counts == LiveCounts { accepted: 1, open: 1, answered: 3, ..LiveCounts::default() }
        });
    }
}

#[test]
fn a_live_server_counts_how_its_connections_end() {
    let server = Live::silent((V4, 0));
    let streams: Vec<TcpStream> = (0..6).map(|_| connected(server.address())).collect();
    server.wait_until(|counts| (counts.accepted, counts.open) == (6, 6));
    for (n, stream) in streams.iter().enumerate() {
        if n % 3 == 0 {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("an option");
        }
    }
    drop(streams);
    server.wait_until(|counts| (counts.open, counts.eof, counts.reset) == (0, 4, 2));
}

#[test]
fn a_silent_server_is_silent() {
    let server = Live::silent((V4, 0));
    let mut stream = connected(server.address());
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request sent");
    stream.set_read_timeout(Some(ms(100))).expect("an option");
    assert_eq!(stream.read(&mut [0]).expect_err("silence").kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_server_ends_with_its_test() {
    let server = Live::silent((V4, 0));
    let address = server.address();
    let mut stream = connected(address);
    // One that still waits in the queue would be reset.
    server.wait_until(|counts| counts.open == 1);
    drop(server);
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    refused(address);
}

#[test]
fn python_serves_on_loopback() {
    let free = closed_port(Ipv4Addr::UNSPECIFIED.into()).address().port();
    let Some(_python) = PythonServer::start(free, &[("page", b"from Python")]) else { return };
    let mut stream = connected((V4, free).into());
    write!(stream, "GET /page HTTP/1.0\r\n\r\n").expect("a request sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("\r\n\r\nfrom Python"), "{answer}");
}
