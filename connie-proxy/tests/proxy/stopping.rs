//! How it ends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use connie_servers::clock::poll_until;

use crate::support::{LIMIT, Running, Server, config, read, socks5};

#[test]
fn it_listens_no_longer_and_lets_connections_end() {
    let server = Server::echo();
    let mut config = config();
    config.limits.stop = LIMIT;
    let mut proxy = Running::start(config);
    let mut client = proxy.client();
    assert_eq!(socks5(&mut client, server.address), 0);
    proxy.stop();
    assert!(poll_until(LIMIT, || TcpStream::connect(proxy.address).is_err()), "it still listens");
    client.write_all(b"x").unwrap();
    assert_eq!(&read::<1>(&mut client), b"x");
    assert!(!proxy.has_ended());
    drop(client);
    assert!(poll_until(LIMIT, || proxy.has_ended()), "the last connection has ended");
}

#[test]
fn connections_have_a_time_to_end() {
    let (told, heard) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        told.send(stream.read(&mut [0]).map_err(|error| error.kind())).unwrap();
    });
    let mut config = config();
    config.limits.stop = Duration::from_millis(100);
    let mut proxy = Running::start(config);
    let mut client = proxy.client();
    assert_eq!(socks5(&mut client, server.address), 0);
    proxy.stop();
    // An orderly close would make the part look like the whole.
    assert_eq!(client.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), Err(ErrorKind::ConnectionReset));
    assert!(poll_until(LIMIT, || proxy.has_ended()));
}

#[test]
fn a_body_that_would_end_with_the_connection_is_not_cut_in_silence() {
    let server = Server::start(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut config = config();
    config.limits.stop = Duration::from_millis(100);
    let mut proxy = Running::start(config);
    let mut client = proxy.client();
    write!(client, "GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"half") {
        answer.extend(read::<1>(&mut client));
    }
    proxy.stop();
    assert_eq!(client.read(&mut [0]).map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
}
