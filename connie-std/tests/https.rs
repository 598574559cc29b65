//! `HttpConnection` and `HttpsConnection` against servers on loopback.
#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use connie_core::TlsFailure;
use connie_http::HttpError;
use connie_servers::{Authority, Served, TlsServer, limits};
use connie_std::http1::{Client, ClientError, HttpConnection, HttpsConnection, Transport};
use connie_std::{Canceler, FinishLine, Options, OsClock, OsPoller, Override, TlsConnector, TlsOptions};

const HOST: &str = "name.test";

fn options(port: u16) -> Options {
    let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    Options::new()
        .overrides([Override { host: HOST.to_owned(), port, addresses }])
        // A test that hangs is worse than one that fails.
        .deadline(Duration::from_secs(20))
}

fn trusting(authority: &Authority, finish_line: FinishLine) -> TlsConnector {
    let ca_pem = authority.pem().into_bytes();
    let options = TlsOptions::new().system_roots(false).ca_pem(ca_pem).finish_line(finish_line);
    TlsConnector::new(&options).expect("usable options")
}

/// A connection by TLS to a server that behaves so.
fn https(
    behave: impl Fn(&mut Served) -> io::Result<()> + Send + Sync + 'static,
) -> (TlsServer, HttpsConnection) {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&[HOST]), behave);
    let port = server.address().port();
    let tls = trusting(&authority, FinishLine::Tls);
    let connection = HttpsConnection::with_options(HOST, port, options(port), tls).expect("a host");
    (server, connection)
}

/// A plain connection to a server that behaves so.
fn http(behave: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> (TlsServer, HttpConnection) {
    let server = TlsServer::raw(behave);
    let port = server.address().port();
    let connection = HttpConnection::with_options(HOST, port, options(port)).expect("a host");
    (server, connection)
}

/// Reads a request's head.
fn head(stream: &mut impl io::Read) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Fetches `/` and answers the status and the body.
#[track_caller]
fn get<T: Transport>(connection: &mut Client<T>) -> (u16, String)
where
    OsPoller: connie_core::Poller<T>,
{
    connection.request("GET", "/", &[], b"").expect("sent");
    let mut response = connection.response().expect("an answer");
    let mut body = String::new();
    response.read_to_string(&mut body).expect("a body");
    (response.status(), body)
}

#[track_caller]
fn tls_failure(error: &ClientError) -> Option<TlsFailure> {
    match error {
        ClientError::Connect(error) => error.tls_failure(),
        other => panic!("{other:?}"),
    }
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers every request of a connection.
fn greet(served: &mut Served) -> io::Result<()> {
    while !served.read_head()?.is_empty() {
        served.write_all(HELLO)?;
    }
    served.close()
}

#[test]
fn requests_go_out_on_one_connection() {
    let (server, mut connection) = https(greet);
    assert!(!connection.is_open());
    assert_eq!(connection.destination(), None);
    for _ in 0..3 {
        assert_eq!(get(&mut connection), (200, "hello".to_owned()));
    }
    assert_eq!((server.accepted(), connection.is_open()), (1, true));
    assert_eq!(connection.destination(), Some(server.address()));
    assert_eq!(connection.report().map(|report| report.timeline().attempts().count()), Some(1));
    assert_eq!((connection.host(), connection.port()), (HOST, server.address().port()));
}

#[test]
fn a_connection_that_the_server_ends_is_opened_again() {
    let (server, mut connection) = https(|served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")?;
        served.close()
    });
    for count in 1..=3 {
        assert_eq!(get(&mut connection), (200, "hello".to_owned()));
        assert_eq!((server.accepted(), connection.is_open()), (count, false));
    }
}

#[test]
fn a_kept_connection_that_the_server_cut_is_opened_again() {
    // In order, and without a close_notify.
    for in_order in [true, false] {
        let (server, mut connection) = https(move |served| {
            served.read_head()?;
            served.write_all(HELLO)?;
            if in_order { served.close() } else { served.cut() }
        });
        for count in 1..=3 {
            assert_eq!(get(&mut connection), (200, "hello".to_owned()));
            assert_eq!(server.accepted(), count);
        }
    }
}

#[test]
fn an_answer_without_a_body_that_ends_the_connection_can_be_asked_for_twice() {
    for answer in
        ["HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"]
    {
        let (_server, mut connection) = http(move |mut tcp| {
            head(&mut tcp)?;
            tcp.write_all(answer.as_bytes())
        });
        connection.request("GET", "/", &[], b"").expect("sent");
        let status = connection.response().expect("an answer").status();
        assert_eq!(connection.response().expect("the same").status(), status);
    }
}

#[test]
fn a_body_until_close_is_whole_only_with_a_close_notify() {
    for in_order in [true, false] {
        let (_server, mut connection) = https(move |served| {
            served.read_head()?;
            served.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello")?;
            if in_order { served.close() } else { served.cut() }
        });
        connection.request("GET", "/", &[], b"").expect("sent");
        let mut response = connection.response().expect("an answer");
        let mut body = String::new();
        let result = response.read_to_string(&mut body).map_err(|error| error.kind());
        assert_eq!(result, if in_order { Ok(5) } else { Err(ErrorKind::UnexpectedEof) });
    }
}

#[test]
fn a_body_that_ends_early_says_how_much_came() {
    let (_server, mut connection) = http(|mut tcp| {
        head(&mut tcp)?;
        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    });
    connection.request("GET", "/", &[], b"").expect("sent");
    let error = connection.response().expect("an answer").read_to_end(&mut Vec::new()).expect_err("early");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<HttpError>());
    assert_eq!(inner, Some(&HttpError::IncompleteRead { got: 5, expected: Some(9) }));
}

#[cfg(feature = "gzip")]
#[test]
fn a_compressed_body_is_decoded_as_it_is_read_and_the_connection_kept() {
    use connie_std::http1::{ACCEPT_ENCODING, DecodeError, Decoded};

    // "hello", as gzip writes it.
    const GZIP: &[u8] =
        &[31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
    let (server, mut connection) = https(|served| {
        loop {
            let head = served.read_head()?;
            if head.is_empty() {
                return served.close();
            }
            let body = if head.contains("GET /half ") { &GZIP[..12] } else { GZIP };
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
            served.write_all(head.as_bytes())?;
            for byte in body {
                served.write_all(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n'])?;
            }
            served.write_all(b"0\r\n\r\n")?;
        }
    });
    let mut get = |target| {
        connection.request("GET", target, &[("Accept-Encoding", ACCEPT_ENCODING)], b"")?;
        let response = connection.response()?;
        let coding = response.header("content-encoding").unwrap_or_default().to_vec();
        let mut text = String::new();
        Decoded::new(&coding, response)?.read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    for _ in 0..2 {
        assert_eq!(get("/").expect("a body"), "hello");
    }
    let error = get("/half").expect_err("half of one");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DecodeError>());
    assert_eq!(inner, Some(&DecodeError::Truncated));
    // The body as it was sent was whole.
    assert_eq!(get("/").expect("a body"), "hello");
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_failure_to_connect_tells_all_that_the_race_knows() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["other.test"]), greet);
    let port = server.address().port();
    for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
        let tls = trusting(&authority, finish_line);
        let mut connection = HttpsConnection::with_options(HOST, port, options(port), tls).expect("a host");
        // Again and again: nothing was opened that could not be opened anew.
        for _ in 0..2 {
            let error = connection.request("GET", "/", &[], b"").expect_err("a bad certificate");
            assert_eq!(tls_failure(&error), Some(TlsFailure::CertificateName));
            assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
            assert!(!connection.is_open());
        }
    }
}

#[test]
fn the_tcp_finish_line_serves_as_well() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&[HOST]), greet);
    let port = server.address().port();
    let tls = trusting(&authority, FinishLine::Tcp);
    let mut connection = HttpsConnection::with_options(HOST, port, options(port), tls).expect("a host");
    assert_eq!(get(&mut connection), (200, "hello".to_owned()));
}

/// A proxy that opens a tunnel to loopback, whatever name it is asked for, and tells what it was asked.
fn proxy(tell: std::sync::mpsc::Sender<String>, answer: &'static str) -> TlsServer {
    let tell = std::sync::Mutex::new(tell);
    TlsServer::raw(move |mut client| {
        let asked = head(&mut client)?;
        let port = asked.split([':', ' ']).nth(2).and_then(|port| port.parse().ok());
        let _ = tell.lock().map(|tell| tell.send(asked));
        client.write_all(answer.as_bytes())?;
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))?;
        let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || io::copy(&mut from_server, &mut to_client));
        io::copy(&mut client, &mut server).map(|_| ())
    })
}

#[test]
fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&[HOST]), greet);
    let (tell, told) = channel();
    let proxy = proxy(tell, "HTTP/1.1 200 Connection established\r\n\r\n");
    let (host, port) = ("127.0.0.1", proxy.address().port());
    for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
        let tls = trusting(&authority, finish_line);
        let mut connection = HttpsConnection::with_options(host, port, options(port), tls).expect("a proxy");
        let key = [("Proxy-Authorization", "Basic eDp5")];
        connection.set_tunnel(HOST, server.address().port(), &key).expect("a host");
        for _ in 0..2 {
            assert_eq!(get(&mut connection), (200, "hello".to_owned()));
        }
        let authority = format!("{HOST}:{}", server.address().port());
        let asked = limits::told(&told);
        assert!(asked.starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic eDp5\r\n"), "{asked}");
        // And once more after the end of the first.
        connection.close();
        assert_eq!(get(&mut connection), (200, "hello".to_owned()));
        limits::told(&told);
    }
    assert_eq!((server.accepted(), proxy.accepted()), (4, 4));
}

#[test]
fn a_tunnel_does_not_hide_a_bad_certificate() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), greet);
    let (tell, _told) = channel();
    let proxy = proxy(tell, "HTTP/1.1 200 OK\r\n\r\n");
    let port = proxy.address().port();
    let tls = trusting(&authority, FinishLine::Tls);
    let mut connection =
        HttpsConnection::with_options("127.0.0.1", port, options(port), tls).expect("a proxy");
    connection.set_tunnel(HOST, server.address().port(), &[]).expect("a host");
    // The proxy's address would be good enough for this certificate; the host's name is not.
    let error = connection.request("GET", "/", &[], b"").expect_err("a bad certificate");
    assert_eq!(tls_failure(&error), Some(TlsFailure::CertificateName));
}

/// A connection that was opened to the proxy before it was told of the tunnel: nothing may go through the
/// tunnel in the clear.
#[test]
fn a_tunnel_that_is_set_on_an_open_connection_speaks_tls_with_the_host() {
    let authority = Authority::new();
    // The proxy speaks TLS itself, so that the first connection succeeds; what comes then is for it to tell.
    let (tell, told) = channel();
    let tell = std::sync::Mutex::new(tell);
    let proxy = TlsServer::start(&authority.certify(&["127.0.0.1"]), move |served| {
        // A client that goes away may do so by a reset, since it has not read the session tickets.
        let mut through = served.read_head().unwrap_or_default();
        if !through.is_empty() {
            served.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            through += &served.read_head().unwrap_or_default();
        }
        let _ = tell.lock().map(|tell| tell.send(through));
        served.close()
    });
    let port = proxy.address().port();
    let tls = trusting(&authority, FinishLine::Tls);
    let mut connection =
        HttpsConnection::with_options("127.0.0.1", port, options(port), tls).expect("a proxy");
    connection.connect().expect("TLS with the proxy");
    connection.set_tunnel(HOST, 443, &[]).expect("a host");
    connection.request("GET", "/secret", &[], b"").expect_err("the proxy takes no plain CONNECT");
    assert_eq!(limits::told(&told), "");
}

#[test]
fn silence_within_a_tunnel_lasts_until_the_deadline_of_the_race() {
    let authority = Authority::new();
    // One that never answers, and one that opens the tunnel to nobody.
    for answer in ["", "HTTP/1.1 200 OK\r\n\r\n"] {
        let proxy = TlsServer::raw(move |mut client| {
            head(&mut client)?;
            client.write_all(answer.as_bytes())?;
            // Until the client has gone.
            io::copy(&mut client, &mut io::sink()).map(|_| ())
        });
        let port = proxy.address().port();
        let race = Options::default().race.deadline(Some(Duration::from_millis(300)));
        let options = options(port).race(race);
        let tls = trusting(&authority, FinishLine::Tls);
        let mut connection = HttpsConnection::with_options("127.0.0.1", port, options, tls).expect("a proxy");
        connection.set_tunnel(HOST, 443, &[]).expect("a host");
        // A test that hangs is worse than one that fails.
        connection.set_timeout(Some(Duration::from_secs(10)));
        let clock = OsClock::start();
        let error = connection.request("GET", "/", &[], b"").expect_err("silence");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
        let took = clock.now().duration_since(connie_core::Instant::ZERO);
        assert!(took < Duration::from_secs(9), "the deadline did not count: {took:?}");
    }
}

#[test]
fn a_proxy_that_says_no_is_told_as_that() {
    let (tell, _told) = channel();
    let proxy = proxy(tell, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let port = proxy.address().port();
    let tls = trusting(&Authority::new(), FinishLine::Tls);
    let mut connection =
        HttpsConnection::with_options("127.0.0.1", port, options(port), tls).expect("a proxy");
    connection.set_tunnel(HOST, 443, &[]).expect("a host");
    let error = connection.request("GET", "/", &[], b"").expect_err("no tunnel");
    assert_eq!(error.as_http(), Some(&HttpError::TunnelRefused { status: 407 }));
}

#[test]
fn a_body_comes_from_a_reader() {
    let (tell, told) = channel();
    let (_server, mut connection) = https(move |served| {
        loop {
            let head = served.read_head()?;
            if head.is_empty() {
                return served.close();
            }
            let mut body = Vec::new();
            let end: &[u8] = if head.contains("Content-Length: 11") { b"hello world" } else { b"0\r\n\r\n" };
            let mut byte = [0];
            while !body.ends_with(end) && served.read(&mut byte)? > 0 {
                body.push(byte[0]);
            }
            let _ = tell.send((head, String::from_utf8_lossy(&body).into_owned()));
            served.write_all(HELLO)?;
        }
    });
    let mut send = |length| {
        let mut body = &b"hello world"[..];
        connection.request_from("PUT", "/", &[("Host", "own.test")], &mut body, length)?;
        connection.response()?.discard()?;
        Ok::<_, io::Error>(limits::told(&told))
    };
    let (head, body) = send(Some(11)).expect("sent");
    assert_eq!(body, "hello world");
    assert!(head.contains("Host: own.test\r\n"), "{head}");
    let (head, body) = send(None).expect("sent");
    assert_eq!(body, "b\r\nhello world\r\n0\r\n\r\n");
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    assert_eq!(send(Some(12)).expect_err("too short").kind(), ErrorKind::InvalidInput);
    assert_eq!(send(Some(10)).expect_err("too long").kind(), ErrorKind::InvalidInput);
    // Such a request has ended the connection, and the next one opens another.
    send(Some(11)).expect("sent");
}

/// More than the buffers on the way hold, both ways, through the core's non-blocking sends.
#[test]
fn large_bodies_go_both_ways() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (_server, mut connection) = https(|served| {
        served.read_head()?;
        let mut body = vec![0; LENGTH];
        served.read_exact(&mut body)?;
        served.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes())?;
        served.write_all(&body)?;
        served.close()
    });
    let body: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
    connection.request("POST", "/", &[], &body).expect("sent");
    let mut back = Vec::new();
    connection.response().expect("an answer").read_to_end(&mut back).expect("a body");
    assert!(back == body, "{} bytes of {LENGTH} came back", back.len());
}

#[test]
fn silence_has_an_end() {
    let (_server, mut connection) = https(|served| {
        served.read_head()?;
        served.read(&mut [0]).map(|_| ())
    });
    connection.set_timeout(Some(Duration::from_millis(50)));
    connection.set_auto_open(true);
    connection
        .connect()
        .or_else(|_| {
            // On a busy machine the handshake may take longer than that.
            connection.set_timeout(None);
            connection.connect()
        })
        .expect("a connection");
    connection.set_timeout(Some(Duration::from_millis(50)));
    connection.request("GET", "/", &[], b"").expect("sent");
    let error = connection.response().expect_err("silence");
    assert_eq!(error.as_http(), Some(&HttpError::TimedOut));
    connection.set_deadline(Some(Duration::ZERO));
    assert_eq!(connection.response().expect_err("no time").as_http(), Some(&HttpError::TimedOut));
}

#[test]
fn another_thread_ends_every_wait() {
    let server = TlsServer::silent();
    let port = server.address().port();
    let canceler = Canceler::new().expect("a canceler");
    let options = options(port).canceler(canceler.clone());
    // Within the TLS handshake, and while an answer is awaited.
    let tls = trusting(&Authority::new(), FinishLine::Tcp);
    let mut secure = HttpsConnection::with_options(HOST, port, options.clone(), tls).expect("a host");
    let mut plain = HttpConnection::with_options(HOST, port, options).expect("a host");
    plain.request("GET", "/", &[], b"").expect("sent");
    let ending = std::thread::spawn(move || canceler.cancel());
    let within_tls = secure.connect().expect_err("canceled");
    assert!(matches!(within_tls, ClientError::Connect(_)), "{within_tls:?}");
    let awaiting = plain.response().expect_err("canceled");
    assert_eq!(awaiting.as_http(), Some(&HttpError::Canceled));
    for error in [within_tls, awaiting] {
        assert!(error.is_canceled(), "{error:?}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionAborted);
    }
    ending.join().expect("a thread");
}

#[test]
fn a_host_that_is_none_is_refused_at_once() {
    for host in ["", "a b", "a/b"] {
        let error = HttpConnection::new(host, 80).expect_err("no host");
        assert_eq!(error.as_http(), Some(&HttpError::InvalidHost), "{host:?}");
        let tls = trusting(&Authority::new(), FinishLine::Tls);
        let error = HttpsConnection::with_options(host, 443, Options::default(), tls).expect_err("no host");
        assert_eq!(error.as_http(), Some(&HttpError::InvalidHost), "{host:?}");
    }
}

/// A program keeps its connections in a pool, and hands them from thread to thread.
#[test]
fn connections_can_be_handed_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<HttpConnection>();
    assert_send::<HttpsConnection>();
    assert_send::<connie_std::TlsStream>();
    assert_send::<TlsConnector>();
    assert_send::<ClientError>();
}
