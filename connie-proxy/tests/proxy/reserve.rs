//! What the memory learns of a server that resets connections which a client keeps in reserve.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::{Running, config_with_name, read, socks5_name, two_of_one_port};

const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];

/// Two servers on one port. Each answers with its number, and resets a connection on which nothing comes for
/// this long.
fn servers(patience: Duration) -> u16 {
    let (listeners, port) = two_of_one_port(ADDRESSES);
    for (at, listener) in (0_u8..).zip(listeners) {
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream, at, patience));
            }
        });
    }
    port
}

fn answer(mut stream: TcpStream, at: u8, patience: Duration) {
    stream.set_read_timeout(Some(patience)).unwrap();
    match stream.read_exact(&mut [0]) {
        Ok(()) => stream.write_all(&[at]).unwrap(),
        Err(_) => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
    }
}

/// Who answers before and after the connection that is kept in reserve.
fn before_and_after(patience: Duration) -> (u8, u8) {
    let port = servers(patience);
    let proxy = Running::start(config_with_name("name.test", port, &ADDRESSES.map(IpAddr::V4)));
    let open = || {
        let mut client = proxy.client();
        assert_eq!(socks5_name(&mut client, "name.test", port), 0);
        client
    };
    let who = || {
        let mut client = open();
        client.write_all(b"?").unwrap();
        read::<1>(&mut client)[0]
    };
    let before = who();
    assert_eq!(open().read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    (before, who())
}

#[test]
fn a_reset_of_one_that_was_never_used_is_held_against_nobody_later_on() {
    let (before, after) = before_and_after(Duration::from_millis(1_500));
    assert_eq!(before, after);
}

#[test]
fn a_reset_at_once_is_held_against_a_server() {
    let (before, after) = before_and_after(Duration::from_millis(300));
    assert_ne!(before, after);
}
