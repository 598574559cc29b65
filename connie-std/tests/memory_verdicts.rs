//! What a connection turned out to be worth reaches the memory of its race by itself. On loopback addresses,
//! of which the first has led before.
#![cfg(any(target_os = "linux", windows))]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use connie_http::HttpError;
use connie_std::http1::ClientError;
use connie_std::{HttpConnection, Memory, Options, Override, connect};

const HOST: &str = "name.test";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";

/// What a server does with each connection.
#[derive(Clone, Copy)]
enum Does {
    /// Reads a request, and sends a reset.
    Reset,
    /// Reads a request, and closes.
    Close,
    /// Reads a request, and says nothing for as long as the client waits.
    Stay,
    Answer(&'static [u8]),
    /// Opens the tunnel that it is asked for, and then does this.
    Tunnel(&'static Does),
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A server that serves until the end of the process.
fn serve(at: SocketAddr, does: Does) -> SocketAddr {
    let listener = TcpListener::bind(at).expect("a free port");
    let at = listener.local_addr().expect("an address");
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| does.to(stream)));
    at
}

impl Does {
    fn to(self, mut stream: TcpStream) {
        let mut request = [0; 1_024];
        match self {
            Does::Reset => {
                let _ = stream.read(&mut request);
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
            }
            Does::Close => drop(stream.read(&mut request)),
            Does::Stay => drop(std::io::copy(&mut stream, &mut std::io::sink())),
            Does::Answer(answer) => {
                let _ = stream.read(&mut request).and_then(|_| stream.write_all(answer));
            }
            Does::Tunnel(then) => {
                let opened = stream.read(&mut request);
                let _ = opened.and_then(|_| stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
                then.to(stream);
            }
        }
    }
}

/// Two servers, of which the first does as it is told and the second answers, and a connection to the host
/// that has both.
struct Pair {
    memory: Memory,
    addresses: [SocketAddr; 2],
    connection: HttpConnection,
}

impl Pair {
    fn new(numbers: [u8; 2], first: Does) -> Self {
        let first = serve(SocketAddr::new(ip(numbers[0]), 0), first);
        let port = first.port();
        let second = serve(SocketAddr::new(ip(numbers[1]), port), Does::Answer(HELLO));
        let memory = Memory::new();
        let mut settings = memory.settings();
        // So that a busy machine makes no lead late.
        settings.least_delay = Duration::from_secs(1);
        memory.set_settings(settings);
        let entry = Override { host: HOST.to_owned(), port, addresses: numbers.map(ip).to_vec() };
        let options = Options::new().memory(memory.clone()).overrides([entry]);
        // What is known best leads.
        connect(first, &options).expect("a connection");
        let connection = HttpConnection::with_options(HOST, port, options).expect("a name");
        Pair { memory, addresses: [first, second], connection }
    }

    /// What a request was answered with, and by whom.
    fn get(&mut self) -> Result<(u16, SocketAddr), ClientError> {
        self.connection.request("GET", "/", &[], b"")?;
        let mut response = self.connection.response()?;
        let status = response.status();
        response.read_to_end(&mut Vec::new()).expect("a body");
        Ok((status, self.connection.destination().expect("a winner")))
    }

    fn is_demoted(&self) -> bool {
        self.memory.entries().iter().any(|it| it.address == self.addresses[0] && it.is_demoted)
    }

    /// The first request fails, and the second goes elsewhere.
    #[track_caller]
    fn goes_elsewhere(&mut self) {
        self.get().expect_err("no answer");
        assert_eq!(self.connection.destination(), Some(self.addresses[0]));
        assert!(self.is_demoted());
        self.connection.close();
        assert_eq!(self.get().expect("an answer"), (200, self.addresses[1]));
    }
}

#[test]
fn a_server_that_resets_what_it_has_accepted_is_passed_by() {
    Pair::new([61, 62], Does::Reset).goes_elsewhere();
}

#[test]
fn a_server_that_closes_without_an_answer_is_passed_by() {
    Pair::new([63, 64], Does::Close).goes_elsewhere();
}

#[test]
fn a_server_that_is_silent_until_the_time_is_up_is_passed_by() {
    let mut pair = Pair::new([65, 66], Does::Stay);
    pair.connection.set_timeout(Some(Duration::from_millis(1_050)));
    pair.goes_elsewhere();
}

/// A short silence says nothing: some answers take their time.
#[test]
fn an_impatient_client_blames_nobody() {
    let mut pair = Pair::new([67, 68], Does::Stay);
    pair.connection.set_timeout(Some(Duration::from_millis(100)));
    let error = pair.get().expect_err("no answer");
    assert!(matches!(error.as_http(), Some(HttpError::TimedOut)), "{error}");
    assert!(!pair.is_demoted());
}

#[test]
fn an_answer_is_all_that_an_address_is_there_for() {
    let mut pair = Pair::new([69, 70], Does::Answer(HELLO));
    for _ in 0..3 {
        assert_eq!(pair.get().expect("an answer"), (200, pair.addresses[0]));
        assert!(!pair.is_demoted());
    }
    // One that is busy is neither good nor bad.
    let mut pair = Pair::new([71, 72], Does::Answer(BUSY));
    assert_eq!(pair.get().expect("an answer"), (503, pair.addresses[0]));
    assert!(!pair.is_demoted());
}

/// A connection that was of use, and is closed while it is idle, is no bad one.
#[test]
fn a_kept_connection_that_ends_blames_nobody() {
    const KEPT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let mut pair = Pair::new([73, 74], Does::Answer(KEPT));
    for _ in 0..3 {
        assert_eq!(pair.get().expect("an answer"), (200, pair.addresses[0]));
    }
    assert!(!pair.is_demoted());
}

/// What an answer over it shows ends what was held against an address.
#[test]
fn an_answer_makes_up_for_it() {
    let mut pair = Pair::new([75, 76], Does::Close);
    pair.get().expect_err("no answer");
    assert!(pair.is_demoted());
    // The same address by another host's connection, which it answers.
    let other = serve(SocketAddr::new(ip(75), 0), Does::Answer(HELLO));
    let entry = |addresses: &[u8]| Override {
        host: HOST.to_owned(),
        port: other.port(),
        addresses: addresses.iter().copied().map(ip).collect(),
    };
    let options = Options::new().memory(pair.memory.clone()).overrides([entry(&[75])]);
    let connected = connect((HOST, other.port()), &options).expect("a connection");
    connected.report().report_to_memory(connie_std::memory::Verdict::Refused);
    drop(connected);
    let demoted = || pair.memory.entries().iter().any(|it| it.address == other && it.is_demoted);
    assert!(demoted());
    let mut connection = HttpConnection::with_options(HOST, other.port(), options).expect("a name");
    connection.request("GET", "/", &[], b"").expect("sent");
    assert_eq!(connection.response().expect("an answer").status(), 200);
    assert!(!demoted());
}

/// Through a proxy all is about the proxy: what the host behind it does is nothing that its address has done.
#[test]
fn what_is_beyond_a_proxy_is_not_held_against_it() {
    for (numbers, does, is_to_blame) in
        [([77, 78], Does::Tunnel(&Does::Close), false), ([79, 80], Does::Close, true)]
    {
        let mut pair = Pair::new(numbers, does);
        let port = pair.addresses[0].port();
        pair.connection.set_proxy(HOST, port, &[]).expect("a proxy");
        pair.get().expect_err("no answer");
        assert_eq!(pair.is_demoted(), is_to_blame);
    }
}

#[cfg(all(target_os = "linux", feature = "tls"))]
mod tls {
    use connie_core::Config;
    use connie_servers::{Authority, TlsServer};
    use connie_std::memory::AddressPart;
    use connie_std::{ConnectErrorKind, FinishLine, TlsConnector, TlsOptions};

    use super::*;

    fn connector(authority: &Authority) -> TlsConnector {
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_pem(authority.pem().into_bytes())
            .finish_line(FinishLine::Tcp);
        TlsConnector::new(&options).expect("usable options")
    }

    fn fails(address: SocketAddr, connector: &TlsConnector) -> bool {
        let entry = Override { host: HOST.to_owned(), port: address.port(), addresses: vec![address.ip()] };
        let memory = Memory::new();
        let options = Options::new().memory(memory.clone()).overrides([entry]);
        let error = connector.connect((HOST, address.port()), &options).map(drop).expect_err("no TLS");
        assert!(matches!(error.kind(), ConnectErrorKind::Tls(..)), "{error}");
        memory.entries().iter().any(|it| it.address == address && it.is_demoted)
    }

    /// Behind a race to TCP.
    #[test]
    fn a_handshake_that_fails_is_the_addresss_fault_and_a_wrong_name_is_not() {
        let authority = Authority::new();
        let connector = connector(&authority);
        assert!(fails(serve(SocketAddr::new(ip(81), 0), Does::Reset), &connector));
        assert!(fails(serve(SocketAddr::new(ip(81), 0), Does::Close), &connector));
        assert!(fails(serve(SocketAddr::new(ip(81), 0), Does::Answer(HELLO)), &connector));
        let (other, stranger) = (authority.certify(&["other.test"]), Authority::new().certify(&[HOST]));
        for certificate in [other, stranger] {
            let server = TlsServer::echo(&certificate);
            assert!(!fails(server.address(), &connector));
        }
    }

    /// Within a race to TLS: the address is there, and of no use to this host. Another may be served there.
    #[test]
    fn a_reset_in_a_race_to_tls_is_held_against_the_address_for_that_host_alone() {
        let authority = Authority::new();
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_pem(authority.pem().into_bytes())
            .server_name(HOST.to_owned());
        let connector = TlsConnector::new(&options).expect("usable options");
        let good = TlsServer::echo(&authority.certify(&[HOST]));
        let addresses = [serve(SocketAddr::new(ip(83), 0), Does::Reset), good.address()];
        let memory = Memory::new();
        // Is the one demoted that resets?
        let of = |host: &str| {
            let race = Config::staggered();
            let options = Options::new().race(race).memory(memory.for_host(host));
            let stream = connector.connect(addresses, &options).expect("a connection");
            let explanation = stream.report().explanation().expect("a memory");
            // One visit in 32 explores it.
            let demoted = explanation.the(AddressPart::Demoted).or(explanation.the(AddressPart::Explored));
            demoted.map(|it| it.address())
        };
        assert_eq!(of("a.test"), None);
        assert_eq!(of("a.test"), Some(addresses[0]));
        assert_eq!(of("b.test"), None);
    }
}
