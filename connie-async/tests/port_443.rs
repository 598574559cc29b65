//! What a client writes to port 443 is TLS, or is not sent: unmodified clients over a bare `RaceConnect`.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses some of it")]
mod std_support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use connie_async::{ConnectionError, Options, RaceConnect};
use connie_servers::{Authority, TlsServer};
use edge_nal::TcpSplit as _;
use embedded_io_async::{Error as _, ErrorKind, Read as _, Write as _};
use embedded_nal_async::TcpConnect;
use reqwless::client::{HttpClient, TlsConfig, TlsVerify};
use reqwless::request::Method;
use std_support::{Counted, SystemClock, Table, run};

const HOST: &str = "many.test";
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n";

/// The system's stack, with this port in the place of 443: to listen there needs privileges.
struct Moved<S>(S, u16);

impl<S> Moved<S> {
    fn remote(&self, remote: SocketAddr) -> SocketAddr {
        let port = if remote.port() == 443 { self.1 } else { remote.port() };
        SocketAddr::new(remote.ip(), port)
    }
}

impl TcpConnect for Moved<Counted> {
    type Error = io::Error;
    type Connection<'a> = <Counted as TcpConnect>::Connection<'a>;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Self::Connection<'a>, Self::Error> {
        self.0.connect(self.remote(remote)).await
    }
}

impl edge_nal::TcpConnect for Moved<edge_nal_std::Stack> {
    type Error = io::Error;
    type Socket<'a> = <edge_nal_std::Stack as edge_nal::TcpConnect>::Socket<'a>;

    async fn connect(&self, remote: SocketAddr) -> Result<Self::Socket<'_>, Self::Error> {
        edge_nal::TcpConnect::connect(&self.0, self.remote(remote)).await
    }
}

fn net<S>(server: &TlsServer, stack: S) -> RaceConnect<Moved<S>, Table, SystemClock> {
    let table = Table(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    RaceConnect::new(Moved(stack, server.address().port()), table, SystemClock::new(), Options::new())
}

/// A web server in the clear, and all that it has heard.
fn plain() -> (TlsServer, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let server = TlsServer::raw(move |mut tcp: TcpStream| {
        use io::{Read, Write};
        let (mut octet, mut head) = ([0], Vec::new());
        while !head.ends_with(b"\r\n\r\n") && tcp.read(&mut octet)? > 0 {
            head.extend(octet);
            ear.lock().expect("nobody panicked").extend(octet);
        }
        tcp.write_all(if head.is_empty() { b"" } else { PAGE })
    });
    (server, heard)
}

async fn status<T: TcpConnect, D: embedded_nal_async::Dns>(
    client: &mut HttpClient<'_, T, D>,
    url: &str,
) -> Result<u16, reqwless::Error> {
    let mut buffer = [0; 4096];
    let mut request = client.request(Method::GET, url).await?;
    Ok(request.send(&mut buffer).await?.status.0)
}

/// With the features that it has here, it writes the requests of `https` URLs in the clear.
#[test]
fn an_https_url_of_a_reqwless_without_tls_is_refused_and_nothing_is_sent() {
    let (server, heard) = plain();
    let bare = net(&server, Counted::default());
    let mut client = HttpClient::new(&bare, &bare);
    for url in ["https://many.test/secret", "https://many.test:443/secret", "http://many.test:443/"] {
        let result = run(status(&mut client, url));
        assert!(matches!(result, Err(reqwless::Error::Network(ErrorKind::Unsupported))), "{result:?}");
    }
    assert!(heard.lock().expect("nobody panicked").is_empty(), "in the clear");
    // What is meant to be in the clear: another port, and a program that knows what it does.
    let url = format!("http://many.test:{}/", server.address().port());
    assert_eq!(run(status(&mut client, &url)).ok(), Some(200));
    let allowed = net(&server, Counted::default()).allow_plain_443();
    let mut client = HttpClient::new(&allowed, &allowed);
    assert_eq!(run(status(&mut client, "http://many.test:443/")).ok(), Some(200));
}

/// A client that does TLS itself, above TCP, uses port 443 as well.
#[test]
fn a_client_with_a_tls_of_its_own_is_served() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&[HOST]), |served| {
        served.read_head()?;
        served.write_all(PAGE)?;
        served.close()
    });
    let bare = net(&server, Counted::default());
    let (mut read, mut write) = ([0; 16640], [0; 4096]);
    let tls = TlsConfig::new(7, &mut read, &mut write, TlsVerify::None);
    let mut client = HttpClient::new_with_tls(&bare, &bare, tls);
    assert_eq!(run(status(&mut client, "https://many.test/")).ok(), Some(200));
}

#[test]
fn the_first_octet_decides_also_in_halves_and_not_for_who_connects_by_name() {
    let server = TlsServer::raw(|mut tcp| io::copy(&mut tcp.try_clone()?, &mut tcp).map(|_| ()));
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 443);
    let (bare, edge) = (net(&server, Counted::default()), net(&server, edge_nal_std::Stack::new()));
    run(async {
        let mut connection = TcpConnect::connect(&bare, address).await.expect("TCP");
        for refused in [b"GET / HTTP/1.1\r\n", &b"\x17\x03\x03"[..]] {
            assert_eq!(connection.write(b"").await.ok(), Some(0));
            let error = connection.write(refused).await.expect_err("in the clear");
            assert!(matches!(error, ConnectionError::InTheClear), "{error}");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("allow_plain_443") && error.to_string().lines().count() == 1);
        }
        // What comes after a record of a handshake is its client's.
        for taken in [b"\x16\x03\x01\x00", &b"\x17\x03\x03"[..]] {
            connection.write_all(taken).await.expect("TLS");
        }
        let mut echo = [0; 7];
        connection.read_exact(&mut echo).await.expect("an echo");
        assert_eq!(&echo, b"\x16\x03\x01\x00\x17\x03\x03", "and nothing that was refused");

        let mut connection = edge_nal::TcpConnect::connect(&edge, address).await.expect("TCP");
        let (_, mut write) = connection.split();
        assert!(matches!(write.write(b"GET").await, Err(ConnectionError::InTheClear)));
        write.write_all(b"\x16\x03\x01").await.expect("TLS");
        let (_, mut write) = connection.split();
        write.write_all(b"\x00\x17\x03").await.expect("the rest");

        // A program that names host and port itself has no URL that could be taken for another.
        let mut connection = bare.connect((HOST, 443), &Options::new()).await.expect("TCP");
        connection.write_all(b"SSH-2.0-").await.expect("what the program wants");
    });
}

/// A half is borrowed: if it wrote nothing, or was refused, the connection still refuses afterwards.
#[test]
fn a_half_that_wrote_nothing_leaves_the_rule_as_it_was() {
    let server = TlsServer::raw(|mut tcp| io::copy(&mut tcp.try_clone()?, &mut tcp).map(|_| ()));
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 443);
    let net = net(&server, edge_nal_std::Stack::new());
    run(async {
        let mut connection = edge_nal::TcpConnect::connect(&net, address).await.expect("TCP");
        let _ = connection.split();
        for _ in 0..2 {
            let (_, mut write) = connection.split();
            assert_eq!(write.write(b"").await.ok(), Some(0));
            let error = write.write(b"GET / HTTP/1.1\r\n").await.expect_err("in the clear");
            assert!(matches!(error, ConnectionError::InTheClear), "{error}");
            let error = connection.write(b"GET / HTTP/1.1\r\n").await.expect_err("in the clear");
            assert!(matches!(error, ConnectionError::InTheClear), "{error}");
        }
        let (mut read, mut write) = connection.split();
        write.write_all(b"\x16\x03\x01").await.expect("TLS");
        let mut echo = [0; 3];
        read.read_exact(&mut echo).await.expect("an echo");
        assert_eq!(&echo, b"\x16\x03\x01", "and nothing that was refused");
        connection.write_all(b"\x00\x17\x03").await.expect("the rest");
    });
}

/// A connection whose buffer is full at first, and then fails once.
#[derive(Default)]
struct Reluctant {
    calls: usize,
    taken: Vec<u8>,
}

impl embedded_io_async::ErrorType for Reluctant {
    type Error = ErrorKind;
}

impl embedded_io_async::Read for Reluctant {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(0)
    }
}

impl embedded_io_async::Write for Reluctant {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        self.calls += 1;
        match self.calls {
            1 => Ok(0),
            2 => Err(ErrorKind::Interrupted),
            _ => {
                self.taken.extend(&buffer[..1]);
                Ok(1)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct ReluctantStack;

impl TcpConnect for ReluctantStack {
    type Error = ErrorKind;
    type Connection<'a> = Reluctant;

    async fn connect(&self, _: SocketAddr) -> Result<Reluctant, ErrorKind> {
        Ok(Reluctant::default())
    }
}

/// The first octet is the first that the stack has taken.
#[test]
fn a_handshake_that_the_stack_did_not_take_does_not_open_the_way() {
    let table = Table(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let net: RaceConnect<_, _, _> =
        RaceConnect::new(ReluctantStack, table, SystemClock::new(), Options::new());
    run(async {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 443);
        let mut connection = TcpConnect::connect(&net, address).await.expect("TCP");
        for untaken in [Some(0), None] {
            assert_eq!(connection.write(b"\x16\x03").await.ok(), untaken);
            assert!(matches!(connection.write(b"GET").await, Err(ConnectionError::InTheClear)));
        }
        assert_eq!(connection.write(b"\x16\x03").await.ok(), Some(1));
        connection.write_all(b"\x03\x01").await.expect("the rest");
        assert_eq!(connection.get_ref().taken, b"\x16\x03\x01");
    });
}
