//! Clients that are slow, many, or make no sense.

use std::io::Write as _;
use std::time::Duration;

use connie_servers::clock::{poll_until, timed};

use crate::support::{LIMIT, Running, Server, ask, config, read, read_all, socks5};

#[test]
fn a_slow_handshake_ends() {
    let mut config = config();
    config.limits.handshake = Duration::from_millis(300);
    let proxy = Running::start(config);
    for start in [&b""[..], &[5], &[5, 1, 0, 5, 1], b"GET http://a/ HTTP/1.1\r\n"] {
        let mut client = proxy.client();
        client.write_all(start).unwrap();
        let (_, time) = timed(|| read_all(&mut client));
        assert!(time < LIMIT / 2, "{start:?} took {time:?}");
    }
    // One octet now and then does not help.
    let mut client = proxy.client();
    let mut sent = 0;
    while client.write_all(b"G").is_ok() && sent < 100 {
        sent += 1;
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(sent < 100);
}

#[test]
fn those_beyond_its_limit_are_told_and_come_in_later() {
    let server = Server::echo();
    let mut config = config();
    config.limits.clients = 2;
    let proxy = Running::start(config);
    let mut held: Vec<_> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut held {
        assert_eq!(socks5(client, server.address), 0);
    }
    assert_eq!(socks5(&mut proxy.client(), server.address), 1);
    let answer = ask(&proxy, &format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", server.address));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    // Those that are in are served.
    held[0].write_all(b"x").unwrap();
    assert_eq!(&read::<1>(&mut held[0]), b"x");
    held.pop();
    assert!(poll_until(LIMIT, || socks5(&mut proxy.client(), server.address) == 0), "there is a place now");
    // A flood of clients that say nothing, beyond those that are told: they are closed, and others are served
    // again.
    let flood: Vec<_> = (0..200).map(|_| proxy.client()).collect();
    held[0].write_all(b"y").unwrap();
    assert_eq!(&read::<1>(&mut held[0]), b"y");
    drop(flood);
    drop(held);
    assert!(poll_until(LIMIT, || socks5(&mut proxy.client(), server.address) == 0));
}

#[test]
fn a_budget_that_connections_hold_is_said_to_be_busy() {
    let server = Server::echo();
    let mut config = config();
    config.options.budget = Some(connie_std::SocketBudget::new(2));
    let proxy = Running::start(config);
    let mut held: Vec<_> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut held {
        assert_eq!(socks5(client, server.address), 0);
    }
    assert_eq!(socks5(&mut proxy.client(), server.address), 1);
    drop(held);
    assert!(poll_until(LIMIT, || socks5(&mut proxy.client(), server.address) == 0));
}
