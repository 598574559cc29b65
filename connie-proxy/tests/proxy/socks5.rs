//! SOCKS5: where it leads, and what it replies.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::Duration;

use connie_servers::{BlackHole, Live, closed_port};
use connie_std::AddressFilter;

use crate::support::{
    Partitioned, Running, Server, config, config_with_name, count_attempts, read, socks5, socks5_name,
    socks5_request,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[test]
fn it_leads_to_addresses_and_names() {
    let server = Server::echo();
    let port = server.address.port();
    let proxy = Running::start(config_with_name("name.test", port, &[HERE]));
    for name in [None, Some("name.test"), Some("127.0.0.1"), Some("[::ffff:127.0.0.1]")] {
        let mut client = proxy.client();
        let reply = match name {
            Some(name) => socks5_name(&mut client, name, port),
            None => socks5(&mut client, server.address),
        };
        assert_eq!(reply, 0, "{name:?}");
        client.write_all(b"hello").unwrap();
        assert_eq!(&read::<5>(&mut client), b"hello");
    }
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let request = [&[5, 1, 0, 4][..], &Ipv6Addr::LOCALHOST.octets(), &address.port().to_be_bytes()].concat();
    assert_eq!(socks5_request(&mut proxy.client(), &request), 0);
}

#[test]
fn it_says_why_there_is_no_connection() {
    let closed = closed_port(HERE);
    let silent = BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let mut config = config();
    config.options.deadline = Some(Duration::from_millis(300));
    let proxy = Running::start(config.clone());
    assert_eq!(socks5(&mut proxy.client(), closed.address()), 5, "refused");
    assert_eq!(socks5(&mut proxy.client(), silent.address()), 6, "timed out");
    assert_eq!(socks5(&mut proxy.client(), proxy.address), 2, "itself");
    assert_eq!(socks5_name(&mut proxy.client(), "localhost", proxy.address.port()), 2, "itself, by a name");
    assert_eq!(socks5_name(&mut proxy.client(), "a..b", 80), 4, "no name");
    assert_eq!(socks5_name(&mut proxy.client(), &"x".repeat(255), 80), 4, "the longest");
    for request in [[5, 2, 0, 1, 127, 0, 0, 1, 0, 80], [5, 3, 0, 1, 127, 0, 0, 1, 0, 80]] {
        assert_eq!(socks5_request(&mut proxy.client(), &request), 7, "not CONNECT");
    }
    assert_eq!(socks5_request(&mut proxy.client(), &[5, 1, 0, 9, 0, 0]), 8, "no type of address");
    config.options.filter = AddressFilter::public_only();
    let filtered = Running::start(config);
    assert_eq!(socks5(&mut filtered.client(), closed.address()), 2, "denied");
    assert_eq!(socks5_name(&mut filtered.client(), "localhost", 80), 2, "a name that leads inside");
}

#[test]
fn all_addresses_of_a_name_race_and_later_visits_know() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let port = live.address().port();
    let dead: Vec<_> = (2..=6).map(|last| BlackHole::open(([127, 0, 0, last], port))).collect();
    let mut addresses: Vec<IpAddr> = dead.iter().map(|hole| hole.address().ip()).collect();
    addresses.push(HERE);
    let mut config = config_with_name("name.test", port, &addresses);
    let attempts = count_attempts(&mut config);
    let proxy = Running::start(config);
    let visit = || {
        attempts.store(0, Ordering::SeqCst);
        assert_eq!(socks5_name(&mut proxy.client(), "name.test", port), 0);
        attempts.load(Ordering::SeqCst)
    };
    assert_eq!(visit(), 6);
    // One of 32 looks at another one, too.
    let later: usize = (0..4).map(|_| visit()).sum();
    assert!(later <= 5, "{later} attempts");
}

#[test]
fn clients_of_one_name_share_what_was_learnt_and_others_do_not() {
    let shared = Partitioned::start();
    let visit = |user: &str| {
        shared.attempts_of(|mut client| {
            client.write_all(&[5, 2, 0, 2]).unwrap();
            assert_eq!(read::<2>(&mut client), [5, 2], "it asks for a name where it can");
            let length = u8::try_from(user.len()).unwrap();
            client.write_all(&[&[1, length][..], user.as_bytes(), &[0]].concat()).unwrap();
            assert_eq!(read::<2>(&mut client), [1, 0]);
            let port = shared.port.to_be_bytes();
            client.write_all(&[&[5, 1, 0, 3, 9][..], b"name.test", &port].concat()).unwrap();
            assert_eq!(read::<10>(&mut client)[1], 0);
        })
    };
    assert_eq!(visit("me"), 2);
    assert_eq!(visit("me"), 1);
    assert_eq!(visit("you"), 2);
}

#[test]
fn a_handshake_may_come_octet_by_octet_or_all_at_once() {
    let server = Server::echo();
    let proxy = Running::start(config());
    let SocketAddr::V4(address) = server.address else { panic!("IPv4") };
    let whole = [&[5, 1, 0, 5, 1, 0, 1][..], &address.ip().octets(), &address.port().to_be_bytes(), b"early"]
        .concat();
    for piece in [1, whole.len()] {
        let mut client = proxy.client();
        client.set_nodelay(true).unwrap();
        for octets in whole.chunks(piece) {
            client.write_all(octets).unwrap();
        }
        assert_eq!(read::<2>(&mut client), [5, 0]);
        assert_eq!(read::<10>(&mut client)[1], 0);
        assert_eq!(&read::<5>(&mut client), b"early", "what was sent too early goes to the host");
    }
}
