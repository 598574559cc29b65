//! A connection whose scheme a value says: what it tells of each opening, the way through a proxy, and
//! requests that it lost.
#![cfg(all(target_os = "linux", feature = "tls"))]

use std::error::Error as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use connie_core::{Failure, TlsFailure};
use connie_http::HttpError;
use connie_servers::{Authority, TlsServer, closed_port, limits};
use connie_std::http1::{AnyConnection, ClientError, OpeningRecord};
use connie_std::{ConnectErrorKind, FinishLine, Options, Override, TlsConnector, TlsOptions, connect_socket};

const HOST: &str = "name.test";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const ROOM: usize = 8 * 1024;
/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(20);

/// Names of any server lead to loopback.
fn options(port: u16, deadline: Duration) -> Options {
    let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    Options::new()
        .overrides([Override { host: "*".to_owned(), port, addresses }])
        .race(Options::default().race.deadline(Some(deadline)))
}

fn trusting(authority: &Authority, finish_line: FinishLine) -> TlsConnector {
    let ca_pem = authority.pem().into_bytes();
    let options = TlsOptions::new().system_roots(false).ca_pem(ca_pem).finish_line(finish_line);
    TlsConnector::new(&options).expect("usable options")
}

fn http(server: SocketAddr) -> AnyConnection {
    let port = server.port();
    AnyConnection::http(HOST, port, options(port, LONG), vec![0; ROOM]).expect("a host")
}

fn https(server: SocketAddr, tls: &TlsConnector) -> AnyConnection {
    let port = server.port();
    AnyConnection::https(HOST, port, options(port, LONG), tls, vec![0; ROOM]).expect("a host")
}

/// `connection`, through the proxy `gate.test` at this address, which has this time to lead there.
fn through(proxy: SocketAddr, mut connection: AnyConnection, deadline: Duration) -> AnyConnection {
    *connection.options_mut() = options(proxy.port(), deadline);
    let login = [("Proxy-Authorization", "Basic eDp5")];
    connection.set_proxy("gate.test", proxy.port(), &login).expect("a proxy");
    connection
}

/// Reads a request's head.
fn head(stream: &mut impl Read) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A plain server that answers every request, and tells its head.
fn server() -> (TlsServer, Receiver<String>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = TlsServer::raw(move |mut tcp| {
        loop {
            let asked = head(&mut tcp)?;
            if asked.is_empty() {
                return Ok(());
            }
            let _ = tell.lock().map(|tell| tell.send(asked));
            tcp.write_all(HELLO)?;
        }
    });
    (server, told)
}

fn secure_server(authority: &Authority, name: &str) -> TlsServer {
    TlsServer::start(&authority.certify(&[name]), |served| {
        while !served.read_head()?.is_empty() {
            served.write_all(HELLO)?;
        }
        served.close()
    })
}

/// A proxy that leads to `server` whomever it is asked for, and tells what it was asked.
fn proxy_to(server: SocketAddr) -> (TlsServer, Receiver<String>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let proxy = TlsServer::raw(move |mut client| {
        let asked = head(&mut client)?;
        let _ = tell.lock().map(|tell| tell.send(asked));
        client.write_all(b"HTTP/1.1 200 Go\r\n\r\n")?;
        let mut server = TcpStream::connect(server)?;
        let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || io::copy(&mut from_server, &mut to_client));
        io::copy(&mut client, &mut server).map(|_| ())
    });
    (proxy, told)
}

#[track_caller]
fn get(connection: &mut AnyConnection) -> Result<String, ClientError> {
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    let mut body = String::new();
    response.read_to_string(&mut body).expect("a body");
    Ok(body)
}

#[track_caller]
fn opening(connection: &AnyConnection) -> &OpeningRecord {
    connection.opening().expect("it was opened, or tried to be")
}

/// The moments of an opening that went well are in order, and those of TLS and of the tunnel there where
/// these are.
#[track_caller]
fn went_well(opening: &OpeningRecord, number: u32, tls: bool, tunnel: bool) {
    assert_eq!(opening.number, number);
    let (connected, ready) = (opening.connected.expect("connected"), opening.ready.expect("ready"));
    let tunneled = opening.tunneled.unwrap_or(connected);
    assert!(opening.began <= connected && connected <= tunneled && tunneled <= ready, "{opening:?}");
    assert_eq!(opening.tunneled.is_some(), tunnel, "{opening:?}");
    assert_eq!(opening.tls_version, tls.then_some("TLSv1_3"));
    assert_eq!(opening.tls_name.as_deref(), tls.then_some(HOST));
    let report = opening.report.as_ref().expect("a race");
    assert_eq!(report.timeline().winner().map(|won| won.destination), opening.destination);
}

#[test]
fn one_type_speaks_http_and_https_and_tells_each_opening_once() {
    let authority = Authority::new();
    for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
        let (plain, _) = server();
        let secure = secure_server(&authority, HOST);
        let tls = trusting(&authority, finish_line);
        let connections = [
            (http(plain.address()), plain.address(), false),
            (https(secure.address(), &tls), secure.address(), true),
        ];
        for (mut connection, address, tls) in connections {
            assert!(connection.opening().is_none());
            for number in [1, 1, 2] {
                if number != connection.opening().map_or(1, |opening| opening.number) {
                    connection.close();
                }
                assert_eq!(get(&mut connection).expect("an answer"), "hello");
                went_well(opening(&connection), number, tls, false);
                assert_eq!(connection.destination(), Some(address));
            }
            let now = connection.now();
            assert!(opening(&connection).ready.is_some_and(|ready| ready <= now));
        }
        assert_eq!((plain.accepted(), secure.accepted()), (2, 2));
    }
}

#[test]
fn a_race_that_is_lost_is_reported_too() {
    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let mut connection = http(closed.address());
    let error = connection.connect().expect_err("nobody listens");
    assert!(matches!(error, ClientError::Connect(_)), "{error:?}");
    let opening = opening(&connection);
    assert_eq!((opening.number, opening.connected, opening.ready), (1, None, None));
    let report = connection.report().expect("a race");
    assert_eq!(report.timeline().summary().failure, Some(Failure::AllAttemptsFailed));
    assert_eq!(connection.destination(), None);
}

#[test]
fn a_proxy_leads_to_the_host_that_the_connection_was_made_for() {
    let authority = Authority::new();
    let tls = trusting(&authority, FinishLine::Tls);
    let ((plain, heads), secure) = (server(), secure_server(&authority, HOST));
    let connections = [
        (http(plain.address()), plain.address(), false),
        (https(secure.address(), &tls), secure.address(), true),
    ];
    for (connection, server, tls) in connections {
        let (proxy, told) = proxy_to(server);
        let mut connection = through(proxy.address(), connection, LONG);
        for number in [1, 2] {
            assert_eq!(get(&mut connection).expect("an answer"), "hello");
            let to = format!("{HOST}:{}", server.port());
            let expected =
                format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
            assert_eq!(limits::told(&told), expected);
            went_well(opening(&connection), number, tls, true);
            assert_eq!(connection.destination(), Some(proxy.address()));
            assert_eq!((connection.host(), connection.port()), (HOST, server.port()));
            assert_eq!(connection.hop(), ("gate.test", proxy.address().port()));
            connection.close();
        }
    }
    let asked = limits::told(&heads);
    assert_eq!(asked, format!("GET / HTTP/1.1\r\nHost: {HOST}:{}\r\n\r\n", plain.address().port()));
}

/// Whom the error names: the proxy where that cannot be reached, and the server where TLS with that fails.
#[test]
fn an_error_names_the_end_of_the_way_that_failed() {
    let authority = Authority::new();
    let tls = trusting(&authority, FinishLine::Tls);
    let other = secure_server(&authority, "other.test");
    let (proxy, _told) = proxy_to(other.address());
    let mut connection = through(proxy.address(), https(other.address(), &tls), LONG);
    match connection.connect().expect_err("another's certificate") {
        ClientError::Connect(error) => {
            assert_eq!((error.host(), error.tls_failure()), (HOST, Some(TlsFailure::CertificateName)));
            assert!(matches!(error.kind(), ConnectErrorKind::Tls(..)), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    let record = opening(&connection);
    assert!(
        record.tunneled.is_some() && record.ready.is_none() && record.tls_version.is_none(),
        "{record:?}"
    );

    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let mut connection = through(closed.address(), https(other.address(), &tls), LONG);
    match connection.connect().expect_err("no proxy") {
        ClientError::Connect(error) => assert_eq!(error.host(), "gate.test"),
        other => panic!("{other:?}"),
    }
    assert!(opening(&connection).tunneled.is_none());
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_told_from_a_server_that_answers_so() {
    let answers: [(&[u8], HttpError); 3] = [
        (b"", HttpError::EmptyReply),
        (b"SSH-2.0\r\n\r\n", HttpError::NotHttp),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", HttpError::TunnelRefused { status: 403 }),
    ];
    for (answer, expected) in answers {
        let peer = TlsServer::raw(move |mut tcp| {
            head(&mut tcp)?;
            tcp.write_all(answer)
        });
        let mut connection = through(peer.address(), http(peer.address()), LONG);
        let error = get(&mut connection).expect_err("no tunnel");
        assert!(matches!(&error, ClientError::Tunnel(why) if *why == expected), "{error:?}");
        assert!(error.to_string().starts_with("could not open a tunnel through the proxy: "), "{error}");
        // Of the server itself.
        if expected == HttpError::EmptyReply {
            let error = get(&mut http(peer.address())).expect_err("no answer");
            assert!(matches!(error, ClientError::Http(HttpError::EmptyReply)), "{error:?}");
        }
    }
}

/// The deadline of the race covers the CONNECT exchange and TLS within the tunnel, however little silence
/// there is.
#[test]
fn the_deadline_of_the_race_covers_all_that_comes_before_the_first_request() {
    let authority = Authority::new();
    let deadline = Duration::from_millis(300);
    let mute: &[u8] = b"";
    let tunnel_to_nobody: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    let trickle: &[u8] = b"HTTP/1.1 200 OK\r\nX: ";
    for answer in [mute, tunnel_to_nobody, trickle] {
        let proxy = TlsServer::raw(move |mut client| {
            head(&mut client)?;
            client.write_all(answer)?;
            if answer == trickle {
                loop {
                    connie_servers::clock::pause(Duration::from_millis(20));
                    client.write_all(b"x")?;
                }
            }
            // Until the client has gone.
            io::copy(&mut client, &mut io::sink()).map(|_| ())
        });
        let tls = trusting(&authority, FinishLine::Tls);
        let mut connection = through(proxy.address(), https(proxy.address(), &tls), deadline);
        let (error, took) = connie_servers::clock::timed(|| get(&mut connection).expect_err("no end"));
        assert_eq!(matches!(error, ClientError::Tunnel(_)), answer != tunnel_to_nobody, "{error:?}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
        assert!(took >= deadline && took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn the_buffer_is_the_room_for_heads() {
    let peer = TlsServer::raw(|mut tcp| {
        head(&mut tcp)?;
        let field = "x".repeat(1000);
        tcp.write_all(format!("HTTP/1.1 204 No Content\r\nX: {field}\r\n\r\n").as_bytes())
    });
    let port = peer.address().port();
    for (room, fits) in [(800, false), (2000, true)] {
        let mut connection =
            AnyConnection::http(HOST, port, options(port, LONG), vec![0; room]).expect("room for the host");
        connection.request("GET", "/", &[], b"").expect("sent");
        match connection.response() {
            Ok(response) => assert!(fits && response.header("x").is_some_and(|value| value.len() == 1000)),
            Err(error) => {
                assert!(
                    !fits && matches!(error, ClientError::Http(HttpError::HeadTooLarge { .. })),
                    "{error}"
                );
            }
        }
    }
    let error = AnyConnection::http(HOST, port, Options::default(), vec![0; 8]).expect_err("no room");
    assert_eq!(error.as_http(), Some(&HttpError::BufferTooSmall));
}

#[test]
fn a_connection_goes_on_over_a_socket_that_is_there_already() {
    let authority = Authority::new();
    let tls = trusting(&authority, FinishLine::Tls);
    let ((plain, _told), secure) = (server(), secure_server(&authority, HOST));
    let racing = options(secure.address().port(), LONG);
    let (socket, ..) = connect_socket(plain.address(), &racing).expect("a connection");
    let mut connection = http(plain.address());
    connection.attach(socket.into());
    let (_, socket, ..) = tls.connect_socket((HOST, secure.address().port()), &racing).expect("TLS");
    let mut within_tls = https(secure.address(), &tls);
    within_tls.attach(socket.into());
    for connection in [&mut connection, &mut within_tls] {
        assert_eq!(get(connection).expect("an answer"), "hello");
        assert!(connection.opening().is_none());
        connection.close();
        assert_eq!(get(connection).expect("an answer of another"), "hello");
        assert_eq!(opening(connection).number, 1);
    }
    assert_eq!((plain.accepted(), secure.accepted()), (2, 2));
    // A plain socket cannot carry what is meant for TLS: nothing is sent in the clear.
    let (socket, ..) = connect_socket(plain.address(), &racing).expect("a connection");
    within_tls.set_auto_open(false);
    within_tls.attach(socket.into());
    let error = get(&mut within_tls).expect_err("not TLS");
    assert!(matches!(error.as_http(), Some(HttpError::Send(_))), "{error:?}");
}

/// A proxy to which the caller's own socket leads already by TLS: what is meant for the host must not be read
/// by it.
#[test]
fn a_socket_that_speaks_tls_is_no_way_through_a_proxy() {
    let authority = Authority::new();
    let tls = trusting(&authority, FinishLine::Tls);
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let proxy = TlsServer::start(&authority.certify(&[HOST]), move |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let through = served.read_head().unwrap_or_default();
        let _ = tell.lock().map(|tell| tell.send(through));
        served.close()
    });
    let port = proxy.address().port();
    let (_, socket, ..) = tls.connect_socket((HOST, port), &options(port, LONG)).expect("TLS");
    let mut connection = through(proxy.address(), https(proxy.address(), &tls), LONG);
    connection.attach(socket.into());
    let error = connection.request("GET", "/secret", &[], b"").expect_err("no TLS with the host");
    drop(connection);
    assert_eq!(limits::told(&told), "", "{error:?}");
    let line = format!("connected to name.test port {port}, but the socket failed: ");
    assert!(error.to_string().starts_with(&line), "{error}");
}

/// The record has the deadline that the race had, which is what was left of the connection's own.
#[test]
fn an_opening_has_what_time_is_left() {
    let (server, _told) = server();
    let mut connection = http(server.address());
    assert_eq!(get(&mut connection).expect("an answer"), "hello");
    assert_eq!(opening(&connection).config.deadline, Some(LONG));
    connection.close();
    connection.set_deadline(Some(LONG / 2));
    assert_eq!(get(&mut connection).expect("an answer"), "hello");
    let deadline = opening(&connection).config.deadline.expect("a deadline");
    assert!(deadline <= LONG / 2 && deadline > LONG / 4, "{deadline:?}");
}

#[test]
fn what_nobody_wants_of_a_body_is_passed_over_where_that_keeps_the_connection() {
    const BODY: usize = 3000;
    // The head without its length, how much is passed over, and whether another request can follow.
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3000\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\n";
    for (head_of_answer, most, keeps) in [
        (sized, BODY, true),
        (sized, BODY - 1, false),
        (chunked, BODY, true),
        (chunked, BODY - 1, false),
        (closing, BODY, false),
        (until_close, BODY, false),
    ] {
        let server = TlsServer::raw(move |mut tcp| {
            while !head(&mut tcp)?.is_empty() {
                tcp.write_all(head_of_answer.as_bytes())?;
                match head_of_answer == chunked {
                    true => tcp.write_all(format!("bb8\r\n{}\r\n0\r\n\r\n", "x".repeat(BODY)).as_bytes())?,
                    false => tcp.write_all(&[b'x'; BODY])?,
                }
                if head_of_answer == until_close {
                    break;
                }
            }
            Ok(())
        });
        let mut connection = http(server.address());
        connection.request("GET", "/", &[], b"").expect("sent");
        let mut response = connection.response().expect("an answer");
        let kept = response.discard_at_most(most as u64).expect("a body");
        assert_eq!(kept, keeps, "{head_of_answer:?}, {most}");
        if !kept {
            connection.close();
        }
        connection.request("GET", "/", &[], b"").expect("the next one");
        assert_eq!(connection.response().expect("an answer").status(), 200);
        assert_eq!(server.accepted(), if keeps { 1 } else { 2 });
    }
}

#[test]
fn a_connection_that_ends_with_its_answer_is_not_waited_for() {
    let server = TlsServer::raw(|mut tcp| {
        head(&mut tcp)?;
        tcp.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")?;
        // The body never comes.
        io::copy(&mut tcp, &mut io::sink()).map(|_| ())
    });
    let mut connection = http(server.address());
    connection.set_timeout(Some(LONG / 4));
    connection.request("GET", "/", &[], b"").expect("sent");
    let kept = connection.response().expect("an answer").discard_at_most(100);
    assert!(!kept.expect("no wait"));
}

/// A server that answers one request of each connection, and closes the second unread. It counts the bodies
/// that it has read.
fn forgetful() -> (TlsServer, std::sync::Arc<AtomicUsize>) {
    let bodies = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&bodies);
    let server = TlsServer::raw(move |mut tcp| {
        let mut body = [0; 5];
        head(&mut tcp)?;
        tcp.read_exact(&mut body)?;
        count.fetch_add(1, Ordering::SeqCst);
        tcp.write_all(HELLO)?;
        head(&mut tcp)?;
        tcp.read_exact(&mut body)
    });
    (server, bodies)
}

#[test]
fn a_request_from_a_reader_that_was_lost_can_be_made_once_more() {
    let put = |connection: &mut AnyConnection, method: &str| {
        connection.request_from(method, "/", &[], &mut &b"bytes"[..], Some(5))?;
        connection.response()?.discard()
    };
    let (server, bodies) = forgetful();
    let mut connection = http(server.address());
    put(&mut connection, "PUT").expect("an answer");
    assert!(!connection.was_lost());
    put(&mut connection, "PUT").expect_err("lost");
    assert!(connection.was_lost());
    put(&mut connection, "PUT").expect("an answer of a new connection");
    assert_eq!((bodies.load(Ordering::SeqCst), opening(&connection).number), (2, 2));
    // What may have been done must not be done twice.
    put(&mut connection, "POST").expect_err("lost");
    assert!(!connection.was_lost());
}

#[test]
fn a_reader_that_fails_is_told_from_the_connection() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(ErrorKind::PermissionDenied, "not for you"))
        }
    }
    let (server, _) = server();
    let mut connection = http(server.address());
    let error = connection.request_from("PUT", "/", &[], &mut Broken, None).expect_err("a broken reader");
    match &error {
        ClientError::Body(why) => assert_eq!(why.kind(), ErrorKind::PermissionDenied),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().ends_with("not for you") && error.source().is_none(), "{error}");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::PermissionDenied);
    assert!(!connection.is_open());
    assert_eq!(get(&mut connection).expect("the next one"), "hello");
}
