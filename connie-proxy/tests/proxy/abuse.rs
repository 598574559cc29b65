//! Clients that are slow, many, or make no sense.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use connie_proxy::Credentials;
use connie_servers::clock::{poll_until, timed};
use connie_servers::{DnsServer, RecordType};
use connie_std::dns::Dns;

use crate::support::{LIMIT, Running, Server, ask, config, read, read_all, socks5, socks5_name};

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

/// Sends a handshake in one segment, in pieces and an octet at a time, with data for the host behind it.
#[test]
fn how_a_handshake_is_cut_makes_no_difference() {
    let server = Server::echo();
    let mut config = config();
    config.users = vec![Credentials { user: "u".repeat(255), password: "p".repeat(255) }];
    let proxy = Running::start(config);
    let port = server.address.port().to_be_bytes();
    let login = [&[1, 255][..], &[b'u'; 255], &[255], &[b'p'; 255]].concat();
    let methods = [&[5, 255][..], &[2; 255]].concat();
    let whole = [&methods[..], &login, &[5, 1, 0, 1, 127, 0, 0, 1], &port, b"hello"].concat();
    for piece in [whole.len(), 7, 1] {
        let mut client = proxy.client();
        client.set_nodelay(true).unwrap();
        for piece in whole.chunks(piece) {
            client.write_all(piece).unwrap();
        }
        assert_eq!(read::<14>(&mut client), [5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0], "{piece}");
        assert_eq!(&read::<5>(&mut client), b"hello", "{piece}");
    }
}

#[test]
fn names_that_are_none_reach_no_resolver() {
    let server = DnsServer::start((Ipv4Addr::LOCALHOST, 0).into());
    let mut config = config();
    config.options.deadline = Some(Duration::from_secs(2));
    config.options = config.options.resolver(Dns::new([server.address()]).hosts_file(None).search([""; 0]));
    let proxy = Running::start(config);
    let long = "x".repeat(255);
    let labels = "a.".repeat(127) + "a";
    for name in [
        &long[..],
        &labels,
        "..",
        ".",
        "a..b",
        "a b",
        "a\0b",
        "\x1b[2J",
        "127.1",
        "0x7f.1",
        "1.2.3.4.5",
        "[::1",
        "::1]",
        "a:80",
    ] {
        let mut client = proxy.client();
        let (code, time) = timed(|| socks5_name(&mut client, name, 80));
        assert!(matches!(code, 1 | 2 | 4 | 5 | 6), "{name:?}: {code}");
        assert!(time < LIMIT / 2, "{name:?} took {time:?}");
    }
    for target in
        [&format!("{long}.{long}:80"), "a b:80", "\x1b[2J:80", "a%0d%0aX:80", "[::1]x:80", "a:0", "a:65536"]
    {
        let answer = ask(&proxy, &format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains('\x1b'), "{target:?}: {answer}");
    }
    assert!(server.queries().is_empty(), "{:?}", server.queries());
    // Valid names do: to DNS a label is any string of octets (RFC 2181 section 11).
    for name in ["name.test", "a/b", "u@a", "%00"] {
        assert_eq!(socks5_name(&mut proxy.client(), name, 80), 4, "{name}");
        assert!(server.asked(name, RecordType::A) > 0, "{name}");
    }
}

/// Many clients send a request an octet at a time and never end it, while another is served.
#[test]
fn slow_clients_hold_up_nobody() {
    let server = Server::echo();
    let mut config = config();
    config.limits.handshake = Duration::from_secs(1);
    let proxy = Running::start(config);
    let mut slow: Vec<_> = (0..200).map(|_| proxy.client()).collect();
    for octet in b"GET http://" {
        for client in &mut slow {
            let _ = client.write_all(&[*octet]);
        }
        let mut client = proxy.client();
        assert_eq!(socks5(&mut client, server.address), 0);
        client.write_all(b"x").unwrap();
        assert_eq!(&read::<1>(&mut client), b"x");
    }
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 0), "their time has an end");
}
