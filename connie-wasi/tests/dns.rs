//! Name servers asked by a component, on a real runtime: run as `tests/runtime.rs` is. What servers do is in
//! `src/dns/tests.rs`, in virtual time, and in `tests/tests/wasi.rs`.
#![cfg(target_os = "wasi")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use connie_wasi::connie_core::resolution::{Query, QueryError};
use connie_wasi::connie_core::verdict::ErrorKind;
use connie_wasi::connie_core::{Families, Family, Instant};
use connie_wasi::dns::{Dns, DnsConfig, DnsEvent, DnsLookup, DnsTransport};
use connie_wasi::{ConnectErrorKind, Options, PollSet, ResolveError, WasiClock, connect};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn within() -> Options {
    Options::new().deadline(LONG)
}

/// A name server that the test itself is.
fn server() -> (UdpSocket, Dns) {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let dns = Dns::new([server.local_addr().expect("an address")]);
    (server, dns)
}

/// Waits as a program does.
fn wait(lookup: &DnsLookup, clock: WasiClock) {
    let (sockets, mut set) = (lookup.sockets(), PollSet::default());
    sockets.watch(&mut set);
    set.wait(clock, lookup.wake_at(clock));
}

/// The next query, for which the lookup is polled until it is there.
fn query(server: &UdpSocket, lookup: &mut DnsLookup) -> (Vec<u8>, SocketAddr) {
    server.set_nonblocking(true).unwrap();
    let (clock, mut query) = (WasiClock::start(), [0; 512]);
    loop {
        assert_eq!(lookup.poll(), None);
        if let Ok((count, from)) = server.recv_from(&mut query) {
            return (query[..count].to_vec(), from);
        }
        assert!(clock.now() < Instant::ZERO + LONG, "no query");
        wait(lookup, clock);
    }
}

/// `NOERROR` with this address, to a query for `name.test` without aliases.
fn answer(query: &[u8], last: u8) -> Vec<u8> {
    let mut answer = query[..27].to_vec();
    (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
    answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04");
    answer.extend([127, 0, 0, last]);
    answer
}

#[test]
fn an_answer_is_kept_for_all_who_share_it() {
    let (server, dns) = server();
    let only = Families::Only(Family::V4);
    let mut first = dns.look_up("name.test", 80, only);
    let mut second = dns.clone().look_up("name.test", 81, only);
    let (asked, from) = query(&server, &mut first);
    assert_eq!(second.poll(), None);
    server.send_to(&answer(&asked, 7), from).unwrap();
    let clock = WasiClock::start();
    let event = loop {
        match first.poll() {
            Some(event) => break event,
            None => wait(&first, clock),
        }
    };
    assert_eq!(event, DnsEvent::Answered(Family::V4, vec!["127.0.0.7:80".parse().unwrap()]));
    // The first has read what the second waits for.
    assert_eq!(second.wake_at(clock), Some(Instant::ZERO));
    let there = DnsEvent::Answered(Family::V4, vec!["127.0.0.7:81".parse().unwrap()]);
    assert_eq!(second.poll(), Some(there.clone()));
    // And later, without a query. One that a busy machine has had repeated may lie there.
    drop((first, second));
    while server.recv_from(&mut [0; 512]).is_ok() {}
    let mut third = dns.look_up("NAME.test.", 81, only);
    assert_eq!(third.poll(), Some(there));
    assert!(third.poll().is_none() && third.is_done());
    assert!(server.recv_from(&mut [0; 512]).is_err(), "a query for what is known");
    dns.forget();
    query(&server, &mut dns.look_up("name.test", 81, only));
}

/// The runner allows some 250 files. A pollable that outlived its socket would trap.
#[test]
fn lookups_that_are_given_up_leave_no_socket() {
    let (server, udp) = server();
    let address = server.local_addr().unwrap();
    // Nobody accepts. The kernel completes the first hundred handshakes, and lets the others wait.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent = listener.local_addr().unwrap();
    let over_tcp = DnsConfig { transport: DnsTransport::Tcp, ..DnsConfig::default() };
    let tcp = Dns::with_config(&[silent], over_tcp);
    assert_eq!((udp.servers(), tcp.servers()), (vec![address], vec![silent]));
    for (dns, waits) in [(udp, 1), (tcp, 2)] {
        let clock = WasiClock::start();
        for _ in 0..200 {
            let mut lookup = dns.look_up("name.test", 80, Families::Both);
            for _ in 0..waits {
                assert_eq!(lookup.poll(), None);
                let (sockets, mut set) = (lookup.sockets(), PollSet::default());
                sockets.watch(&mut set);
                set.wait(clock, Some(clock.now() + Duration::from_millis(1)));
            }
        }
    }
    // There are sockets left.
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(connect(other.local_addr().unwrap(), &within()).is_ok());
}

#[test]
fn names_are_looked_for_below_the_domains_that_are_given() {
    let (server, dns) = server();
    let dns = dns.with_search(["corp.test".to_owned()], 1);
    let mut lookup = dns.look_up("name", 80, Families::Only(Family::V4));
    let (asked, _) = query(&server, &mut lookup);
    assert_eq!(asked[12..28], *b"\x04name\x04corp\x04test\0");
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    let (_server, dns) = server();
    let mut lookup = dns.look_up("a..b", 80, Families::Both);
    let failed = |family| Some(DnsEvent::Failed(family, QueryError::NoSuchName));
    assert!(!lookup.is_done());
    assert_eq!((lookup.poll(), lookup.poll()), (failed(Family::V6), failed(Family::V4)));
    assert!(lookup.is_done() && lookup.poll().is_none());
}

#[test]
fn a_connect_without_servers_says_so() {
    let error = connect(("name.test", 80), &within().resolver(Dns::new([]))).unwrap_err();
    assert_eq!(error.error_kind(), ErrorKind::LookupUnreachable);
    assert_eq!(error.to_string(), "could not resolve name.test: no name server could be reached");
    // Nothing lies behind it that the line does not say.
    assert!(error.source().is_none());
    let ConnectErrorKind::Resolve(ResolveError::Dns(error)) = error.kind() else { panic!("{error:?}") };
    assert_eq!(error.failures(), [Query::Aaaa, Query::A].map(|query| (query, QueryError::Unreachable)));
    assert_eq!(error.denial(), None);
    assert!(error.source().is_none());
}

/// Whoever is to be asked.
#[test]
fn names_that_are_nowhere_are_not_asked_for() {
    let (server, dns) = server();
    server.set_nonblocking(true).unwrap();
    for (host, expected) in [("x.invalid", "no such name"), ("x.onion", "onion names are Tor's")] {
        let error = connect((host, 80), &within().resolver(dns.clone())).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(matches!(error.kind(), ConnectErrorKind::Resolve(ResolveError::Nowhere)));
    }
    assert!(server.recv_from(&mut [0; 512]).is_err(), "no query");
}

/// A program that does so waits, and does not trap.
#[test]
fn nothing_happens_while_sockets_are_lent() {
    let (server, dns) = server();
    let only = Families::Only(Family::V4);
    let (mut first, mut second) = (dns.look_up("name.test", 80, only), dns.look_up("name.test", 80, only));
    let (asked, from) = query(&server, &mut first);
    let (clock, lent) = (WasiClock::start(), first.sockets());
    server.send_to(&answer(&asked, 7), from).unwrap();
    assert_eq!(second.poll(), None);
    drop(second);
    dns.forget();
    drop(lent);
    let event = loop {
        match first.poll() {
            Some(event) => break event,
            None => wait(&first, clock),
        }
    };
    assert_eq!(event, DnsEvent::Answered(Family::V4, vec!["127.0.0.7:80".parse().unwrap()]));
}
