//! What may be changed of an HTTP connection between two requests, and what a change that is refused leaves
//! alone.
#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use connie_core::Poller;
use connie_http::HttpError;
use connie_servers::{Authority, TlsServer};
use connie_std::http1::{Client, ClientError, HttpConnection, HttpsConnection, Transport};
use connie_std::{
    Canceler, FinishLine, Keepalive, OnSocket, Options, OsPoller, Override, Purpose, SocketOptions,
};
use connie_std::{TlsConnector, TlsOptions};

const HOST: &str = "name.test";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(20);

fn options(port: u16) -> Options {
    let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    Options::new()
        .overrides([Override { host: HOST.to_owned(), port, addresses }])
        .race(Options::default().race.deadline(Some(LONG)))
}

fn trusting(authority: &Authority) -> TlsConnector {
    let ca_pem = authority.pem().into_bytes();
    let finish_line = FinishLine::Tls;
    let options = TlsOptions::new().system_roots(false).ca_pem(ca_pem).finish_line(finish_line);
    TlsConnector::new(&options).expect("usable options")
}

/// Reads a request's head.
fn head(stream: &mut impl io::Read) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A plain server that greets, except that it never answers what is asked under `/silent`. It tells who
/// connects.
fn plain_server() -> (TlsServer, Receiver<SocketAddr>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = TlsServer::raw(move |mut tcp| {
        let _ = tell.lock().map(|tell| tell.send(tcp.peer_addr()?).map_err(io::Error::other));
        loop {
            let asked = head(&mut tcp)?;
            if asked.is_empty() {
                return Ok(());
            }
            if !asked.contains(" /silent ") {
                tcp.write_all(HELLO)?;
            }
        }
    });
    (server, told)
}

fn plain(server: &TlsServer) -> HttpConnection {
    let port = server.address().port();
    let mut connection = HttpConnection::with_options(HOST, port, options(port)).expect("a host");
    connection.set_timeout(Some(LONG));
    connection
}

/// A server that greets by TLS, and a connection to it.
fn secure(authority: &Authority) -> (TlsServer, HttpsConnection) {
    let server = TlsServer::start(&authority.certify(&[HOST]), |served| {
        while !served.read_head()?.is_empty() {
            served.write_all(HELLO)?;
        }
        served.close()
    });
    let port = server.address().port();
    let mut connection =
        HttpsConnection::with_options(HOST, port, options(port), trusting(authority)).expect("a host");
    connection.set_timeout(Some(LONG));
    (server, connection)
}

#[track_caller]
fn get<T: Transport>(connection: &mut Client<T>) -> Result<u16, ClientError>
where
    OsPoller: Poller<T>,
{
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    response.read_to_end(&mut Vec::new()).expect("a body");
    Ok(response.status())
}

#[track_caller]
fn expect_canceled<R: std::fmt::Debug>(result: Result<R, ClientError>) {
    let error = result.expect_err("canceled");
    match &error {
        ClientError::Connect(error) => assert!(error.is_canceled(), "{error:?}"),
        error => assert_eq!(error.as_http(), Some(&HttpError::Canceled)),
    }
    assert!(error.is_canceled(), "{error:?}");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionAborted);
}

fn canceled() -> Canceler {
    let canceler = Canceler::new().expect("a canceler");
    canceler.cancel();
    canceler
}

#[test]
fn a_source_address_counts_from_the_next_opening_on() {
    let (server, peers) = plain_server();
    let mut connection = plain(&server);
    let other = Ipv4Addr::new(127, 0, 0, 5);
    for (source, expected) in [(None, Ipv4Addr::LOCALHOST), (Some(other), other), (None, Ipv4Addr::LOCALHOST)]
    {
        connection.options_mut().source_v4 = source;
        connection.close();
        assert_eq!(get(&mut connection).expect("an answer"), 200);
        assert_eq!(peers.recv_timeout(LONG).expect("a connection").ip(), expected);
    }
}

/// An address of somebody else's can be no source: nothing is sent, and the next one is tried in its place.
#[test]
fn a_source_address_counts_under_tls_too() {
    let authority = Authority::new();
    let (_server, mut connection) = secure(&authority);
    connection.options_mut().source_v4 = Some(Ipv4Addr::new(192, 0, 2, 1));
    match connection.connect().expect_err("no address of ours") {
        ClientError::Connect(_) => {}
        other => panic!("{other:?}"),
    }
    connection.options_mut().source_v4 = Some(Ipv4Addr::new(127, 0, 0, 5));
    assert_eq!(get(&mut connection).expect("an answer"), 200);
}

#[test]
fn a_source_address_of_one_family_leaves_the_other_out_under_http_and_tls_alike() {
    let authority = Authority::new();
    let (_secure_server, mut secure) = secure(&authority);
    let (server, _peers) = plain_server();
    let mut plain = plain(&server);
    for options in [plain.options_mut(), secure.options_mut()] {
        options.source_v6 = Some(std::net::Ipv6Addr::LOCALHOST);
    }
    let says = "left out: a source address was given for the other family alone";
    for error in [get(&mut plain).expect_err(says).to_string(), get(&mut secure).expect_err(says).to_string()]
    {
        assert!(error.contains(says), "{error}");
    }
}

/// It sees the sockets of both, with the options set.
#[test]
fn what_is_done_with_a_socket_is_done_under_http_and_tls_alike() {
    let authority = Authority::new();
    let (_secure_server, mut secure) = secure(&authority);
    let (server, _peers) = plain_server();
    let mut plain = plain(&server);
    let (tell, told) = channel();
    let on_socket = OnSocket::new(move |fd, address, purpose| {
        if purpose == Purpose::Route {
            // Its memory asks from which of its addresses this machine would reach the server.
            return Ok(());
        }
        let keepalive = rustix::net::sockopt::socket_keepalive(fd)?;
        tell.send((address.port(), keepalive)).map_err(io::Error::other)
    });
    let socket = SocketOptions::new().keepalive(Keepalive::default());
    for options in [plain.options_mut(), secure.options_mut()] {
        (options.on_socket, options.socket) = (Some(on_socket.clone()), socket.clone());
    }
    assert_eq!(get(&mut plain).expect("an answer"), 200);
    assert_eq!(get(&mut secure).expect("an answer"), 200);
    let seen: Vec<_> = told.try_iter().collect();
    assert_eq!(seen, [(plain.port(), true), (secure.port(), true)]);
}

#[test]
fn a_canceler_that_is_set_later_ends_the_next_race_and_one_that_is_taken_away_ends_none() {
    let (server, _peers) = plain_server();
    let mut connection = plain(&server);
    connection.options_mut().canceler = Some(canceled());
    expect_canceled(get(&mut connection));
    assert_eq!(server.accepted(), 0);
    connection.options_mut().canceler = None;
    assert_eq!(get(&mut connection).expect("an answer"), 200);
    connection.options_mut().canceler = Some(Canceler::new().expect("a canceler"));
    assert_eq!(get(&mut connection).expect("an answer"), 200);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_canceler_that_is_set_later_ends_waits_on_an_open_connection() {
    let (server, _peers) = plain_server();
    let mut connection = plain(&server);
    assert_eq!(get(&mut connection).expect("an answer"), 200);
    let canceler = Canceler::new().expect("a canceler");
    connection.options_mut().canceler = Some(canceler.clone());
    connection.request("GET", "/silent", &[], b"").expect("sent");
    let ending = std::thread::spawn(move || canceler.cancel());
    expect_canceled(connection.response());
    ending.join().expect("a thread");
    // The answer may still come: with another canceler it is waited for, and nothing but the time-out ends
    // that.
    connection.options_mut().canceler = Some(Canceler::new().expect("a canceler"));
    connection.set_timeout(Some(Duration::from_millis(50)));
    assert_eq!(connection.response().expect_err("silence").as_http(), Some(&HttpError::TimedOut));
    assert_eq!(server.accepted(), 1);
}

/// A host that core takes, and that no certificate can be for: a label of 64 letters (RFC 1035 section 2.3.4:
/// "labels 63 octets or less").
#[test]
fn a_tunnel_that_is_refused_leaves_the_connection_as_it_was() {
    let authority = Authority::new();
    let (server, mut connection) = secure(&authority);
    connection.connect().expect("a connection");
    let bad = "x".repeat(64);
    let error = connection.set_tunnel(&bad, 443, &[]).expect_err("no server's name");
    assert_eq!(error.as_http(), Some(&HttpError::InvalidHost));
    // Still the host itself, still the connection that was open, and no CONNECT.
    assert!(connection.is_open());
    for count in [1, 2] {
        assert_eq!(get(&mut connection).expect("an answer"), 200);
        assert_eq!(server.accepted(), count);
        connection.close();
    }
}
