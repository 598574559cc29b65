//! How it ends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
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
    let server = Server::echo();
    let mut config = config();
    config.limits.stop = Duration::from_millis(100);
    let mut proxy = Running::start(config);
    let mut client = proxy.client();
    assert_eq!(socks5(&mut client, server.address), 0);
    proxy.stop();
    let end = client.read(&mut [0]);
    assert!(
        matches!(&end, Ok(0)) || end.as_ref().is_err_and(|it| it.kind() == ErrorKind::ConnectionReset),
        "{end:?}"
    );
    assert!(poll_until(LIMIT, || proxy.has_ended()));
}
