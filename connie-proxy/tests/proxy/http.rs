//! HTTP: tunnels, and requests that are passed on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_proxy::Credentials;
use connie_servers::clock::poll_until;
use connie_servers::{BlackHole, Live, closed_port};
use connie_std::AddressFilter;

use crate::support::{LIMIT, Partitioned, Running, Server, ask, config, config_with_name, read, read_all};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server that keeps each request, with as much of a body as Content-Length says, and answers `answer`.
fn recorder(answer: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&seen);
    let server = Server::start(move |stream| {
        let request = read_request(&stream);
        log.lock().unwrap().push(request);
        let _ = (&stream).write_all(answer.as_bytes());
    });
    (server, seen)
}

fn read_request(stream: &TcpStream) -> String {
    let (mut reader, mut request, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let start = request.len();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return request;
        }
        let line = &request[start..];
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

#[test]
fn a_tunnel_carries_anything() {
    let server = Server::echo();
    let proxy = Running::start(config());
    let mut client = proxy.client();
    write!(client, "CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\nearly", server.address).unwrap();
    assert_eq!(&read::<26>(&mut client), b"HTTP/1.1 200 Connected\r\n\r\n");
    assert_eq!(&read::<5>(&mut client), b"early");
    client.write_all(b"\0\xff").unwrap();
    assert_eq!(read::<2>(&mut client), [0, 0xff]);
}

#[test]
fn why_there_is_no_connection_is_a_status_and_a_line() {
    let closed = closed_port(HERE);
    let silent = BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let mut config = config();
    config.options.deadline = Some(Duration::from_millis(300));
    let proxy = Running::start(config.clone());
    config.options.filter = AddressFilter::public_only();
    let filtered = Running::start(config);
    let own = proxy.address;
    for (proxy, target, status, error) in [
        (&proxy, closed.address(), "502 Bad Gateway", "connection_refused"),
        (&proxy, silent.address(), "504 Gateway Timeout", "connection_timeout"),
        (&proxy, own, "502 Bad Gateway", "proxy_loop_detected"),
        (&filtered, closed.address(), "403 Forbidden", "destination_ip_prohibited"),
    ] {
        for request in [
            format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET http://{target}/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        ] {
            let answer = ask(proxy, &request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert!(answer.contains(&format!("Proxy-Status: connie; error={error}\r\n")), "{answer}");
            let (_, text) = answer.split_once("\r\n\r\n").unwrap();
            assert!(text.contains("127.0.0.1"), "{text}");
        }
        // RFC 9110 section 9.3.2: to HEAD the same head, and no content.
        let answer = ask(proxy, &format!("HEAD http://{target}/ HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains("Content-Length: ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn a_request_is_passed_on_with_its_body() {
    let (server, seen) = recorder("HTTP/1.1 201 Made\r\nContent-Length: 2\r\nKeep-Alive: x\r\n\r\nok");
    let port = server.address.port();
    let proxy = Running::start(config_with_name("name.test", port, &[HERE]));
    let answer = ask(
        &proxy,
        &format!(
            "POST http://name.test:{port}/a?b HTTP/1.1\r\nHost: other.test\r\nProxy-Connection: keep-alive\r\n\
             Content-Length: 4\r\n\r\nbodyGET http://name.test:{port}/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
        ),
    );
    assert_eq!(answer, "HTTP/1.1 201 Made\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let wanted = format!(
        "POST /a?b HTTP/1.1\r\nHost: name.test:{port}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    );
    assert_eq!(*seen.lock().unwrap(), [wanted], "one request, and none that hides behind it");
}

#[test]
fn what_could_hide_a_request_reaches_no_server() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let proxy = Running::start(config());
    let target = live.address();
    for fields in [
        "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "Host: a\r\nTransfer-Encoding: xchunked\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n chunked\r\n",
        "Host: a\r\nTransfer-Encoding : chunked\r\n",
        "Host: a\r\nX: y\n",
        "Host: a\r\nX: y\rZ: w\r\n",
        "Host: a\r\nHost: b\r\n",
        "X: y\r\n",
        "Host: a\r\n folded\r\n",
    ] {
        let answer = ask(&proxy, &format!("POST http://{target}/ HTTP/1.1\r\n{fields}\r\n0\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{fields:?}: {answer}");
    }
    assert_eq!(live.counts().accepted, 0);
}

#[test]
fn it_is_no_web_server() {
    let proxy = Running::start(config());
    let answer = ask(&proxy, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("this is a proxy"), "{answer}");
    let head = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(70_000));
    assert!(ask(&proxy, &head).starts_with("HTTP/1.1 431 "));
    assert!(ask(&proxy, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert_eq!(ask(&proxy, "\x16\x03\x01\x02\0"), "", "what speaks neither protocol is closed");
}

#[test]
fn an_answer_that_is_none_is_told() {
    let proxy = Running::start(config());
    for answer in ["", "220 ready\r\n", "HTTP/1.1 200 OK\r\n"] {
        let (server, _) = recorder(answer);
        let told = ask(&proxy, &format!("GET http://{}/ HTTP/1.1\r\nHost: a\r\n\r\n", server.address));
        assert!(told.starts_with("HTTP/1.1 502 ") && told.contains("no answer"), "{answer:?}: {told}");
    }
    // One that breaks off is broken off.
    let (server, _) = recorder("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let mut client = proxy.client();
    write!(client, "GET http://{}/ HTTP/1.1\r\nHost: a\r\n\r\n", server.address).unwrap();
    let mut got = Vec::new();
    let end = client.read_to_end(&mut got);
    assert!(end.is_err() || got.ends_with(b"abc"), "{end:?}");
    assert!(!read_all(&mut client).contains("abc"));
}

#[test]
fn a_request_that_comes_back_is_a_loop() {
    let (server, seen) = recorder("HTTP/1.1 204 No\r\n\r\n");
    let mut config = config();
    config.via = true;
    let (proxy, other) = (Running::start(config.clone()), Running::start(config));
    let get = |via: &str| format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n{via}\r\n", server.address);
    let answer = ask(&proxy, &get(""));
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("\r\nVia: 1.1 connie-"), "{answer}");
    let request = seen.lock().unwrap().pop().unwrap();
    let via = request.lines().find(|line| line.starts_with("Via: ")).unwrap();
    let via = format!("{via}, 1.0 another\r\n");
    let connect = format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n{via}\r\n", server.address);
    for request in [get(&via), connect] {
        let answer = ask(&proxy, &request);
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert!(answer.contains("Proxy-Status: connie; error=proxy_loop_detected\r\n"), "{answer}");
    }
    assert!(seen.lock().unwrap().is_empty());
    assert!(ask(&other, &get(&via)).starts_with("HTTP/1.1 204 "), "another proxy is none");
    let request = seen.lock().unwrap().pop().unwrap();
    assert_eq!(request.matches("1.1 connie-").count(), 2, "{request}");
}

#[test]
fn options_and_trace_end_at_the_proxy_that_max_forwards_names() {
    let (server, seen) = recorder("HTTP/1.1 204 No\r\n\r\n");
    let mut config = config();
    let proxy = Running::start(config.clone());
    let request = |method: &str, left: &str, more: &str| {
        let target = server.address;
        format!(
            "{method} http://{target}/ HTTP/1.1\r\nHost: x\r\nMax-Forwards: {left}\r\nCookie: a\r\n{more}\r\n"
        )
    };
    let with_body = request("OPTIONS", "0", "Content-Length: 4\r\n") + "body";
    for request in [request("OPTIONS", "0", ""), with_body] {
        let answer = ask(&proxy, &request);
        assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let answer = ask(&proxy, &request("TRACE", "0", ""));
    assert!(answer.starts_with("HTTP/1.1 501 Not Implemented\r\n") && !answer.contains("Cookie"), "{answer}");
    assert!(ask(&proxy, &request("TRACE", "x", "")).starts_with("HTTP/1.1 400 "));
    config.users = vec![Credentials { user: "me".into(), password: "x".into() }];
    let closed = Running::start(config);
    assert!(
        ask(&closed, &request("OPTIONS", "0", "")).starts_with("HTTP/1.1 407 "),
        "nobody is let in by it"
    );
    assert!(seen.lock().unwrap().is_empty());
    for method in ["OPTIONS", "TRACE"] {
        assert!(ask(&proxy, &request(method, "1", "")).starts_with("HTTP/1.1 204 "));
        let request = seen.lock().unwrap().pop().unwrap();
        assert!(
            request.contains("\r\nMax-Forwards: 0\r\n") && !request.contains("Max-Forwards: 1"),
            "{request}"
        );
    }
}

#[test]
fn clients_are_told_apart_by_the_name_that_they_send() {
    let shared = Partitioned::start();
    let visit = |user: &str| {
        let login = Credentials { user: user.into(), password: user.repeat(2) }.basic();
        let login = if user.is_empty() { String::new() } else { format!("Proxy-Authorization: {login}\r\n") };
        shared.attempts_of(|mut client| {
            let port = shared.port;
            write!(client, "CONNECT name.test:{port} HTTP/1.1\r\nHost: x\r\n{login}\r\n").unwrap();
            assert_eq!(&read::<26>(&mut client), b"HTTP/1.1 200 Connected\r\n\r\n");
        })
    };
    assert_eq!([visit("me"), visit("me"), visit("you"), visit("")], [2, 1, 2, 2]);
}

#[test]
fn who_waits_for_an_answer_and_leaves_is_not_waited_for() {
    let server = Server::start(|stream| {
        let _ = read_request(&stream);
        let _ = stream.peek(&mut [0; 1]);
    });
    let mut config = config();
    config.limits.half_closed = Duration::from_millis(200);
    let proxy = Running::start(config);
    let mut client = proxy.client();
    write!(client, "GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address).unwrap();
    assert!(poll_until(LIMIT, || proxy.view.counts().connected == 1));
    drop(client);
    assert!(poll_until(LIMIT / 2, || proxy.view.counts().open == 0));
}
