//! What the memory learns of a server that accepts connections and never answers: the next visit goes
//! elsewhere.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_servers::clock::poll_until;
use connie_std::Memory;

use crate::support::{LIMIT, Running, config_with_name, socks5_name, two_of_one_port};

/// What the bad server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Silent,
    Closes,
    Resets,
}

const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Two servers on one port. The one that is asked first is bad from then on.
fn servers(fate: Fate) -> u16 {
    let (listeners, port) = two_of_one_port(ADDRESSES);
    let bad = Arc::new(Mutex::new(None));
    for (at, listener) in listeners.into_iter().enumerate() {
        let bad = Arc::clone(&bad);
        // It ends with the test's process.
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                // A connection that lost its race carries nothing.
                if !matches!(stream.peek(&mut [0]), Ok(1)) {
                    continue;
                }
                let is_bad = *bad.lock().unwrap().get_or_insert(at) == at;
                match fate {
                    _ if !is_bad => {
                        let _ = stream.read(&mut [0; 1024]);
                        let _ = stream.write_all(ANSWER);
                    }
                    Fate::Silent => held.push(stream),
                    Fate::Closes => drop(stream.read(&mut [0; 1024])),
                    // What was not read makes the close a reset.
                    Fate::Resets => {}
                }
            }
        });
    }
    port
}

/// How a client asks.
#[derive(Clone, Copy, Debug)]
enum By {
    Socks5,
    Connect,
    Forward,
}

/// Asks once, waits for the answer for `patience`, and returns what came.
fn visit(proxy: &Running, port: u16, by: By, patience: Duration) -> Vec<u8> {
    let mut client = proxy.client();
    match by {
        By::Socks5 => assert_eq!(socks5_name(&mut client, "name.test", port), 0),
        By::Connect => {
            write!(client, "CONNECT name.test:{port} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            client.read_exact(&mut [0; 26]).unwrap();
        }
        By::Forward => write!(client, "GET http://name.test:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(),
    }
    if !matches!(by, By::Forward) {
        client.write_all(b"hello").unwrap();
    }
    answer(&mut client, patience)
}

fn answer(client: &mut TcpStream, patience: Duration) -> Vec<u8> {
    client.set_read_timeout(Some(patience)).unwrap();
    let mut answer = vec![0; 1024];
    let count = client.read(&mut answer).unwrap_or(0);
    answer.truncate(count);
    answer
}

/// A proxy that knows both, and its memory.
fn start(port: u16) -> (Running, Memory) {
    let mut config = config_with_name("name.test", port, &ADDRESSES.map(IpAddr::V4));
    // The proxy soon drops a client that has left.
    config.limits.half_closed = Duration::from_millis(100);
    let memory = config.options.memory.clone().unwrap();
    (Running::start(config), memory)
}

/// Whether the memory holds a failure against an address.
fn has_failed(memory: &Memory) -> bool {
    memory.entries().iter().any(|entry| entry.failures > 0)
}

#[track_caller]
fn next_goes_elsewhere(fate: Fate, by: By) {
    let port = servers(fate);
    let (proxy, memory) = start(port);
    let patience = Duration::from_millis(1_500);
    let told = String::from_utf8(visit(&proxy, port, by, patience)).unwrap();
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 502 "), "{by:?} {fate:?}: {told}");
    // The proxy notices a moment after the client has gone.
    assert!(poll_until(LIMIT, || has_failed(&memory)), "{by:?} {fate:?}: {:?}", memory.entries());
    // One visit may explore the other address, and so may another if the machine is slow.
    let served = (0..4).filter(|_| visit(&proxy, port, by, LIMIT / 4).starts_with(b"HTTP/1.1 204 ")).count();
    assert!(served >= 3, "{by:?} {fate:?}: {served} of 4 visits");
}

#[test]
fn one_that_is_silent_is_not_asked_again() {
    std::thread::scope(|scope| {
        for by in [By::Socks5, By::Connect, By::Forward] {
            scope.spawn(move || next_goes_elsewhere(Fate::Silent, by));
        }
    });
}

#[test]
fn one_that_breaks_off_is_not_asked_again() {
    for by in [By::Socks5, By::Connect, By::Forward] {
        next_goes_elsewhere(Fate::Closes, by);
        next_goes_elsewhere(Fate::Resets, by);
    }
}

/// Whether clients that leave after 100 ms cause no failure in the memory.
fn leaving_says_nothing() -> bool {
    let port = servers(Fate::Silent);
    let (proxy, memory) = start(port);
    for _ in 0..3 {
        let told = visit(&proxy, port, By::Socks5, Duration::from_millis(100));
        assert!(told.is_empty(), "the one that has led leads on: {told:?}");
        assert!(poll_until(LIMIT, || proxy.view.counts().open == 0));
    }
    assert!(!memory.entries().is_empty());
    !has_failed(&memory)
}

#[test]
fn who_leaves_at_once_says_nothing_of_a_server() {
    // If the machine stalls for a second, the client seems to have waited that long.
    assert!((0..3).any(|_| leaving_says_nothing()));
}
