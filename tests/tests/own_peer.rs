//! A port of this machine on which nobody listens, and which a socket that connects to it is given to come
//! from: the socket would be its own peer.
#![cfg(target_os = "linux")]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::{AttemptError, AttemptErrorKind};
use connie_std::{ConnectError, Options, TlsConnector, TlsOptions, connect};
use connie_tests::lab::in_namespace;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

/// The only port that sockets of the namespace come from.
const PORT: u16 = 40_000;

/// No attempt takes longer, on any machine.
const LIMIT: Duration = Duration::from_secs(50);

/// The default options, but for the deadline.
fn within(deadline: Duration) -> Options {
    let race = Options::default().race.deadline(Some(deadline));
    Options::new().race(race)
}

/// What becomes of the race as a future of tokio.
fn raced(address: SocketAddr) -> Result<(), ConnectError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { connie_std::tokio_net::connect(address, &within(LIMIT)).await.map(|_| ()) })
}

/// The attempt was refused, and the port can be had at once by a server that does not ask for one that is
/// still in use.
#[track_caller]
fn is_refused(error: ConnectError, address: SocketAddr) {
    let timeline = error.timeline().expect("a race");
    let errors: Vec<_> = timeline.destinations().map(|it| it.error().map(AttemptError::kind)).collect();
    assert_eq!(errors, [Some(AttemptErrorKind::Refused)], "{error:?}");
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let server = socket(family, SocketType::STREAM, None).expect("a socket");
    bind(&server, &address).unwrap_or_else(|error| panic!("the port is still taken: {error}"));
    listen(&server, 1).expect("a listener");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_socket_that_has_connected_to_itself_was_refused() {
    in_namespace(|lab| {
        lab.set_sysctl("net/ipv4/ip_local_port_range", &format!("{PORT} {PORT}"));
        let tls = TlsOptions::new().system_roots(false).insecure(true);
        let tls = TlsConnector::new(&tls).expect("usable options");
        for address in [(Ipv4Addr::LOCALHOST, PORT).into(), SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))] {
            let options = within(LIMIT);
            is_refused(connect(address, &options).expect_err("nobody listens"), address);
            is_refused(tls.connect(address, &options).expect_err("nobody listens"), address);
            is_refused(raced(address).expect_err("nobody listens"), address);
        }
    });
}

/// Its own address is no sign: a server on this machine has it too.
#[test]
fn a_server_on_the_same_address_is_another_peer() {
    let server = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = server.local_addr().expect("an address");
    let winner = connect(address, &Options::default()).expect("a connection");
    assert_eq!(winner.local_addr().expect("an address").ip(), address.ip());
}
