//! After the handshake, over the kernel's own sockets behind a router with delays: servers that shake hands and say nothing, or
//! break off, and how soon the page comes all the same. Each server counts the requests that it gets.
#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_core::{Config, Poller};
use connie_servers::Authority;
use connie_std::http::{Client, ClientError, HttpConnection, HttpsConnection, ResponseFinish, Transport};
use connie_std::{Memory, Options, OsPoller, Override, TlsConnector, TlsOptions};
use connie_tests::clock::timed;
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4};

const HOST: &str = "name.test";
const PORT: u16 = 8080;
const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";

/// What a server does behind its handshake.
#[derive(Clone, Copy)]
enum Front {
    /// Accepts, and reads nothing.
    Mute,
    /// Takes the request, and says nothing.
    Silent,
    Begins(&'static [u8]),
    Reset,
    Answers(&'static [u8]),
}

const LIVE: Front = Front::Answers(PAGE);

type ServerTls = Option<Arc<rustls::ServerConfig>>;

fn serve(front: Front, mut tcp: TcpStream, tls: ServerTls, requests: &AtomicUsize) -> io::Result<()> {
    match tls {
        None => {
            let reset = tcp.try_clone()?;
            answer(front, &mut tcp, &reset, requests)
        }
        Some(config) => {
            let mut session = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
            while session.is_handshaking() {
                session.complete_io(&mut tcp)?;
            }
            let reset = tcp.try_clone()?;
            answer(front, &mut rustls::Stream::new(&mut session, &mut tcp), &reset, requests)
        }
    }
}

fn answer(
    front: Front,
    stream: &mut (impl Read + Write),
    tcp: &TcpStream,
    requests: &AtomicUsize,
) -> io::Result<()> {
    let stay = || {
        let mut tcp = tcp;
        io::copy(&mut tcp, &mut io::sink()).map(|_| ())
    };
    if let Front::Mute = front {
        return stay();
    }
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        requests.fetch_add(1, Ordering::SeqCst);
        match front {
            Front::Mute | Front::Silent => return stay(),
            Front::Reset => {
                return Ok(rustix::net::sockopt::set_socket_linger(tcp, Some(Duration::ZERO))?);
            }
            Front::Begins(bytes) => {
                stream.write_all(bytes)?;
                stream.flush()?;
                return stay();
            }
            Front::Answers(bytes) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
        }
    }
}

/// A host with these servers, so far away.
struct Site {
    requests: Vec<Arc<AtomicUsize>>,
    memory: Memory,
    tls: Option<TlsConnector>,
}

impl Site {
    fn new(lab: &Lab, fronts: &[(Front, u64)], secure: bool) -> Self {
        let authority = Authority::new();
        let config = secure.then(|| Arc::new(authority.certify(&[HOST]).server_config(rustls::ALL_VERSIONS)));
        let mut requests = Vec::new();
        for (number, (front, rtt)) in (1..).zip(fronts.iter().copied()) {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a listener");
            let port = listener.local_addr().expect("an address").port();
            lab.set(v4(number), Behaviour::accept(ms(rtt)).to_port(port));
            let (count, tls) = (Arc::new(AtomicUsize::new(0)), config.clone());
            requests.push(Arc::clone(&count));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (count, tls) = (Arc::clone(&count), tls.clone());
                    std::thread::spawn(move || serve(front, stream, tls, &count));
                }
            });
        }
        let tls = secure.then(|| {
            let ca_pem = authority.pem().into_bytes();
            TlsConnector::new(&TlsOptions { system_roots: false, ca_pem, ..TlsOptions::default() })
                .expect("usable options")
        });
        Site { requests, memory: Memory::new(), tls }
    }

    fn at(number: u16) -> SocketAddr {
        (v4(number), PORT).into()
    }

    fn options(&self) -> Options {
        let addresses = (1..).take(self.requests.len()).map(v4).collect();
        Options {
            overrides: vec![Override { host: HOST.to_owned(), port: PORT, addresses }],
            race: Config::all_at_once().deadline(Some(Duration::from_secs(20))),
            memory: Some(self.memory.clone()),
            ..Options::default()
        }
    }

    /// Fetches the page over a new connection: its status, how long that took, and where it came from.
    fn visit(&self, limit: Duration) -> (Result<u16, ClientError>, Duration, Option<SocketAddr>) {
        match &self.tls {
            None => fetch(HttpConnection::with_options(HOST, PORT, self.options()).expect("a host"), limit),
            Some(tls) => {
                let made = HttpsConnection::with_options(HOST, PORT, self.options(), tls.clone());
                fetch(made.expect("a host"), limit)
            }
        }
    }

    #[track_caller]
    fn had(&self, requests: &[usize]) {
        let had: Vec<_> = self.requests.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        assert_eq!(had, requests, "requests");
    }
}

fn fetch<T: Transport>(
    mut connection: Client<T>,
    limit: Duration,
) -> (Result<u16, ClientError>, Duration, Option<SocketAddr>)
where
    OsPoller: Poller<T>,
{
    connection.set_response_finish(Some(ResponseFinish::new()));
    connection.set_deadline(Some(limit));
    let (status, took) = timed(|| {
        connection.request("GET", "/", &[], b"")?;
        let mut response = connection.response()?;
        let status = response.status();
        let mut body = Vec::new();
        response.read_to_end(&mut body).map_err(ClientError::Body)?;
        Ok(status)
    });
    (status, took, connection.destination())
}

const LONG: Duration = Duration::from_secs(10);

/// How often it is tried where the machine is busy.
const RUNS: usize = 4;

/// {first, live}: the page within this long of the live one's own time on the first visit, and within 60 ms on the second.
#[track_caller]
fn beside_live(first: Front, secure: bool, extra: Duration, had: [usize; 2]) {
    in_namespace(move |lab| {
        let mut late = Vec::new();
        for _ in 0..RUNS {
            // A page of the live one alone.
            let (status, own, _) = Site::new(lab, &[(LIVE, 40)], secure).visit(LONG);
            assert_eq!(status.expect("an answer"), 200);
            let site = Site::new(lab, &[(first, 20), (LIVE, 40)], secure);
            let beyond = [(); 2].map(|()| {
                let (status, took, from) = site.visit(LONG);
                assert_eq!((status.expect("an answer"), from), (200, Some(Site::at(2))));
                took.saturating_sub(own)
            });
            site.had(&had);
            println!("own {own:?}; beyond that {beyond:?}");
            if beyond[0] <= extra && beyond[1] <= ms(60) {
                return;
            }
            late.push(beyond);
        }
        panic!("late for {extra:?} and 60 ms: {late:?}");
    });
}

#[test]
fn one_that_accepts_and_is_silent_costs_a_second_once() {
    beside_live(Front::Mute, false, ms(1_100), [0, 2]);
}

#[test]
fn one_that_takes_the_request_and_is_silent_costs_a_second_once() {
    beside_live(Front::Silent, false, ms(1_100), [1, 2]);
}

#[test]
fn one_that_is_silent_behind_tls_costs_a_second_once() {
    beside_live(Front::Silent, true, ms(1_100), [1, 2]);
}

#[test]
fn one_that_resets_costs_its_own_time_once() {
    // Two round trips of its own, and what a busy machine takes.
    beside_live(Front::Reset, false, ms(40 + 60), [1, 2]);
}

#[test]
fn one_that_resets_behind_tls_costs_its_own_time_once() {
    beside_live(Front::Reset, true, ms(60 + 60), [1, 2]);
}

#[test]
fn half_a_status_line_and_a_503_are_answers() {
    in_namespace(|lab| {
        let site = Site::new(lab, &[(Front::Answers(BUSY), 20), (LIVE, 40)], false);
        assert_eq!(site.visit(LONG).0.expect("an answer"), 503);
        site.had(&[1, 0]);
        let site = Site::new(lab, &[(Front::Begins(b"HTTP/1."), 20), (LIVE, 40)], true);
        let (status, took, _) = site.visit(ms(1_500));
        let error = status.unwrap_err();
        assert!(matches!(error, ClientError::Http(_)) && took >= ms(1_500), "{error:?} after {took:?}");
        site.had(&[1, 0]);
    });
}

#[test]
fn when_both_are_silent_it_ends_by_the_deadline_and_says_so() {
    in_namespace(|lab| {
        let site = Site::new(lab, &[(Front::Silent, 20), (Front::Mute, 40)], false);
        let (status, took, _) = site.visit(ms(1_500));
        let line = status.unwrap_err().to_string();
        assert!(took >= ms(1_500) && took < ms(1_700), "{took:?}");
        for number in [1, 2] {
            assert!(line.contains(&format!("{}: silent until time was up", Site::at(number))), "{line}");
        }
        site.had(&[1, 0]);
    });
}
