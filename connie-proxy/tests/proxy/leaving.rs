//! Clients that leave before they are connected.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use connie_servers::BlackHole;
use connie_servers::clock::{poll_until, timed};

use crate::support::{LIMIT, Running, Server, config, read_all};

/// Requests for a connection to this address, by SOCKS5 and by CONNECT, with early data behind them.
fn requests(to: SocketAddr, early: &str) -> [Vec<u8>; 2] {
    let SocketAddr::V4(to) = to else { panic!("an IPv4 address") };
    let socks5 =
        [&[5, 1, 0, 5, 1, 0, 1][..], &to.ip().octets(), &to.port().to_be_bytes(), early.as_bytes()].concat();
    [socks5, format!("CONNECT {to} HTTP/1.1\r\nHost: x\r\n\r\n{early}").into_bytes()]
}

/// A client whose race has begun and gets no answer.
fn racing(proxy: &Running, request: &[u8]) -> TcpStream {
    let mut client = proxy.client();
    client.write_all(request).unwrap();
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 1));
    if request[0] == 5 {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).unwrap();
    }
    client
}

/// Whether the client's connection ends soon. The race alone would take longer.
fn ends(proxy: &Running) -> bool {
    let (has_ended, time) = timed(|| poll_until(LIMIT / 4, || proxy.view.counts().open == 0));
    println!("{time:?}");
    has_ended
}

#[test]
fn one_that_closes_ends_its_race() {
    let silent = BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let proxy = Running::start(config());
    for request in requests(silent.address(), "") {
        drop(racing(&proxy, &request));
        assert!(ends(&proxy), "closed");
        let half = racing(&proxy, &request);
        half.shutdown(Shutdown::Write).unwrap();
        assert!(ends(&proxy), "nobody closes a direction before the reply who waits for it");
        drop(half);
    }
    assert_eq!(proxy.view.counts().connected, 0);
}

#[test]
fn a_reset_ends_a_race_behind_what_was_sent() {
    let silent = BlackHole::open((Ipv4Addr::LOCALHOST, 0));
    let proxy = Running::start(config());
    let get = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", silent.address());
    for request in requests(silent.address(), "").into_iter().chain([get.into_bytes()]) {
        let mut client = racing(&proxy, &request);
        // It is not read before there is a connection.
        client.write_all(&[b'x'; 1000]).unwrap();
        connie_servers::clock::pause(connie_servers::clock::ms(20));
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        assert!(ends(&proxy));
    }
}

#[test]
fn one_that_has_said_all_and_closes_its_direction_is_served() {
    // It reads to the end of the head and answers, whether more will come or not.
    let server = Server::start(|mut stream| {
        let (mut head, mut octet) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet).unwrap_or(0) > 0 {
            head.push(octet[0]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe page");
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut head);
    });
    let proxy = Running::start(config());
    let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let forwarded = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address);
    for request in requests(server.address, get).into_iter().chain([forwarded.into_bytes()]) {
        let mut client = proxy.client();
        client.write_all(&request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"the page"), "{}", String::from_utf8_lossy(&answer));
    }
}

/// The server reads the whole request, and the end behind it, and answers late.
#[test]
fn a_slow_answer_comes_behind_the_clients_end() {
    let server = Server::start(|mut stream| {
        let (mut head, mut octet) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet).unwrap_or(0) > 0 {
            head.push(octet[0]);
        }
        // The end goes through a tunnel. The server of a forwarded request learns nothing of it.
        let ended = !head.starts_with(b"GET /tunnel") || matches!(stream.read(&mut octet), Ok(0));
        // Longer than a server may owe an answer to a client that has gone before it counts as stalled.
        connie_servers::clock::pause(connie_servers::clock::ms(1_500));
        if ended {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe page");
        }
    });
    let proxy = Running::start(config());
    let get = "GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n";
    let forwarded = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address).into_bytes();
    // What comes later is read by the relay and not with the request.
    let whole = requests(server.address, get).into_iter().chain([forwarded]).map(|it| (it, Vec::new()));
    let parted = requests(server.address, "").map(|it| (it, get.as_bytes().to_vec()));
    let clients = whole.chain(parted).map(|(request, later)| {
        let mut client = proxy.client();
        std::thread::spawn(move || {
            client.write_all(&request).unwrap();
            connie_servers::clock::pause(connie_servers::clock::ms(if later.is_empty() { 0 } else { 100 }));
            client.write_all(&later).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            read_all(&mut client)
        })
    });
    for client in clients.collect::<Vec<_>>() {
        let answer = client.join().unwrap();
        assert!(answer.ends_with("the page"), "{answer}");
    }
}

/// The limit is of silence, not of the answer.
#[test]
fn a_long_answer_comes_behind_the_clients_end() {
    let server = Server::start(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
        for _ in 0..40 {
            connie_servers::clock::pause(connie_servers::clock::ms(100));
            let _ = stream.write_all(b".");
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut config = config();
    config.limits.half_closed = std::time::Duration::from_millis(1_500);
    let proxy = Running::start(config);
    let forwarded = format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address).into_bytes();
    let [_, tunnel] = requests(server.address, "GET / HTTP/1.1\r\n\r\n");
    let mut clients = [tunnel, forwarded].map(|request| {
        let mut client = proxy.client();
        client.write_all(&request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client
    });
    for client in &mut clients {
        let mut answer = vec![0; 1024];
        let mut length = 0;
        while !answer[..length].ends_with(&[b'.'; 40]) {
            match client.read(&mut answer[length..]).unwrap() {
                0 => panic!("{}", String::from_utf8_lossy(&answer[..length])),
                count => length += count,
            }
        }
    }
}
