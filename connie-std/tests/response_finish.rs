//! The finish line `Response`, on loopback: two servers of one host, of which the first wins the race of the
//! handshakes. Each counts the requests that it gets.
#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_core::{AttemptErrorKind, Config, Poller};
use connie_http::{HttpError, RequestBody};
use connie_servers::clock::{pause, timed};
use connie_servers::{Authority, Served, TlsServer};
use connie_std::http1::{
    AnyConnection, Client, ClientError, ResponseFinish, RetryBudget, Socks5Proxy, Transport,
};
use connie_std::memory::Remembered;
use connie_std::{
    Canceler, HttpConnection, HttpsConnection, Memory, Options, OsPoller, Override, SocketBudget,
    TlsConnector, TlsOptions,
};

const HOST: &str = "name.test";
const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
const PATIENCE: Duration = Duration::from_millis(150);
/// How late a busy machine may be.
const LATE: Duration = Duration::from_millis(700);

/// What a server does with each connection.
#[derive(Clone, Copy, Debug)]
enum Front {
    /// Accepts, and reads nothing.
    Mute,
    /// Takes each request, and says nothing.
    Silent,
    /// Says as much as this, and no more.
    Begins(&'static [u8]),
    Reset,
    Close,
    /// What is not TLS, within TLS.
    BreakTls,
    /// Answers each request so, after this long.
    Answers(&'static [u8], Duration),
}

const LIVE: Front = Front::Answers(HELLO, Duration::ZERO);

/// A connection as a server sees it.
trait Peer {
    fn head(&mut self) -> io::Result<String>;
    fn write(&mut self, data: &[u8]) -> io::Result<()>;
    fn tcp(&self) -> &TcpStream;
    fn write_plain(&mut self, data: &[u8]) -> io::Result<()>;
}

impl Peer for TcpStream {
    fn head(&mut self) -> io::Result<String> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && self.read(&mut byte)? > 0 {
            head.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.write_all(data)
    }

    fn tcp(&self) -> &TcpStream {
        self
    }

    fn write_plain(&mut self, data: &[u8]) -> io::Result<()> {
        self.write_all(data)
    }
}

impl Peer for Served {
    fn head(&mut self) -> io::Result<String> {
        self.read_head()
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.write_all(data)
    }

    fn tcp(&self) -> &TcpStream {
        Served::tcp(self)
    }

    fn write_plain(&mut self, data: &[u8]) -> io::Result<()> {
        Served::write_plain(self, data)
    }
}

/// Waits until the client closes.
fn stay(peer: &mut impl Peer) -> io::Result<()> {
    let mut tcp = peer.tcp().try_clone()?;
    io::copy(&mut tcp, &mut io::sink()).map(|_| ())
}

impl Front {
    fn serve(self, peer: &mut impl Peer, requests: &AtomicUsize) -> io::Result<()> {
        if let Front::Mute = self {
            return stay(peer);
        }
        loop {
            if !peer.head()?.ends_with("\r\n\r\n") {
                return Ok(());
            }
            requests.fetch_add(1, Ordering::SeqCst);
            match self {
                Front::Mute | Front::Silent => return stay(peer),
                Front::Begins(bytes) => {
                    peer.write(bytes)?;
                    return stay(peer);
                }
                Front::Close => return Ok(()),
                Front::Reset => {
                    return Ok(rustix::net::sockopt::set_socket_linger(peer.tcp(), Some(Duration::ZERO))?);
                }
                Front::BreakTls => {
                    // An alert, in plain: certificate_required.
                    peer.write_plain(&[21, 3, 3, 0, 2, 2, 116])?;
                    return stay(peer);
                }
                Front::Answers(answer, after) => {
                    pause(after);
                    peer.write(answer)?;
                }
            }
        }
    }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// The servers of a host.
struct Site {
    servers: Vec<(TlsServer, Arc<AtomicUsize>)>,
    memory: Memory,
    tls: Option<TlsConnector>,
}

impl Site {
    fn over(fronts: &[Front], authority: Option<&Authority>) -> Self {
        let mut servers = Vec::new();
        let mut port = 0;
        for (number, front) in (1..).zip(fronts.iter().copied()) {
            let (count, at) = (Arc::new(AtomicUsize::new(0)), SocketAddr::new(ip(number), port));
            let requests = Arc::clone(&count);
            let server = match authority {
                None => TlsServer::raw_at(at, move |mut tcp| front.serve(&mut tcp, &requests)),
                Some(authority) => TlsServer::start_at(at, &authority.certify(&[HOST]), move |tls| {
                    front.serve(tls, &requests)
                }),
            };
            port = server.address().port();
            servers.push((server, count));
        }
        let tls = authority.map(|authority| {
            let ca_pem = authority.pem().into_bytes();
            let options = TlsOptions::new().system_roots(false).ca_pem(ca_pem);
            TlsConnector::new(&options).expect("usable options")
        });
        Site { servers, memory: Memory::new(), tls }
    }

    fn plain(fronts: &[Front]) -> Self {
        Self::over(fronts, None)
    }

    fn secure(fronts: &[Front]) -> Self {
        Self::over(fronts, Some(&Authority::new()))
    }

    fn port(&self) -> u16 {
        self.servers[0].0.address().port()
    }

    fn at(&self, index: usize) -> SocketAddr {
        self.servers[index].0.address()
    }

    fn options(&self) -> Options {
        let addresses = (1..).take(self.servers.len()).map(ip).collect();
        Options::new()
            .overrides([Override { host: HOST.to_owned(), port: self.port(), addresses }])
            // So that the first is the one that wins.
            .race(Config::staggered())
            .deadline(Duration::from_secs(20))
            .memory(self.memory.clone())
    }

    fn http(&self) -> HttpConnection {
        let mut connection = HttpConnection::with_options(HOST, self.port(), self.options()).expect("a host");
        connection.set_response_finish(Some(finish()));
        connection.set_deadline(Some(Duration::from_secs(20)));
        connection
    }

    fn https(&self) -> HttpsConnection {
        let tls = self.tls.clone().expect("a site with TLS");
        let made = HttpsConnection::with_options(HOST, self.port(), self.options(), tls);
        let mut connection = made.expect("a host");
        connection.set_response_finish(Some(finish()));
        connection.set_deadline(Some(Duration::from_secs(20)));
        connection
    }

    /// How many requests each server has had.
    #[track_caller]
    fn had(&self, requests: &[usize]) {
        let had: Vec<_> = self.servers.iter().map(|(_, count)| count.load(Ordering::SeqCst)).collect();
        assert_eq!(had, requests, "requests");
    }

    fn remembered(&self, index: usize) -> Remembered {
        let entries = self.memory.entries();
        entries.into_iter().find(|entry| entry.address == self.at(index)).expect("it was dialled")
    }
}

fn finish() -> ResponseFinish {
    ResponseFinish::new().patience(PATIENCE)
}

/// What a GET is answered with.
fn get<T: Transport>(connection: &mut Client<T>) -> Result<(u16, String), ClientError>
where
    OsPoller: Poller<T>,
{
    ask(connection, "GET")
}

fn ask<T: Transport>(connection: &mut Client<T>, method: &str) -> Result<(u16, String), ClientError>
where
    OsPoller: Poller<T>,
{
    connection.request(method, "/", &[], b"")?;
    let mut response = connection.response()?;
    let mut body = String::new();
    let status = response.status();
    response.read_to_string(&mut body).map_err(ClientError::Body)?;
    Ok((status, body))
}

trait ClientErrorExt {
    fn text(&self) -> String;
}

impl ClientErrorExt for ClientError {
    fn text(&self) -> String {
        self.to_string()
    }
}

fn hello() -> (u16, String) {
    (200, "hello".to_owned())
}

/// What `first` does beside a server that is live: the page comes after the patience, or at once where the
/// first connection was lost.
#[track_caller]
fn second_answers<T: Transport>(site: &Site, connection: &mut Client<T>, waits: bool)
where
    OsPoller: Poller<T>,
{
    let (answer, took) = timed(|| get(connection));
    assert_eq!(answer.expect("an answer"), hello());
    let least = if waits { PATIENCE } else { Duration::ZERO };
    assert!(took >= least && took < least + LATE, "{took:?}");
    assert_eq!(connection.destination(), Some(site.at(1)));
    let record = connection.response_record().expect("a race");
    assert_eq!((record.first, record.kept, record.requests()), (site.at(0), Some(site.at(1)), 2));
    assert!(site.remembered(0).is_demoted, "the first is demoted for this host");
    assert!(!site.remembered(1).is_demoted);
    // The connection is one like any other.
    assert_eq!(get(connection).expect("another answer"), hello());
}

/// {front, live}, without and with TLS.
#[track_caller]
fn beside_live(front: Front, waits: bool, had: [usize; 2]) {
    let site = Site::plain(&[front, LIVE]);
    second_answers(&site, &mut site.http(), waits);
    site.had(&had);
    let site = Site::secure(&[front, LIVE]);
    second_answers(&site, &mut site.https(), waits);
    site.had(&had);
}

#[test]
fn a_server_that_accepts_and_is_silent_is_passed_over() {
    beside_live(Front::Mute, true, [0, 2]);
}

#[test]
fn a_server_that_takes_the_request_and_is_silent_is_passed_over() {
    beside_live(Front::Silent, true, [1, 2]);
}

#[test]
fn a_connection_that_is_reset_after_the_request_is_repeated_elsewhere() {
    beside_live(Front::Reset, false, [1, 2]);
}

#[test]
fn a_connection_that_is_closed_after_the_request_is_repeated_elsewhere() {
    beside_live(Front::Close, false, [1, 2]);
}

#[test]
fn a_connection_whose_tls_breaks_is_repeated_elsewhere() {
    let site = Site::secure(&[Front::BreakTls, LIVE]);
    let mut connection = site.https();
    second_answers(&site, &mut connection, false);
    site.had(&[1, 2]);
}

#[test]
fn half_a_status_line_is_an_answer_and_kept() {
    for site in
        [Site::plain(&[Front::Begins(b"HTTP/1."), LIVE]), Site::secure(&[Front::Begins(b"HTTP/1."), LIVE])]
    {
        let limit = 3 * PATIENCE;
        let error = if site.tls.is_some() {
            let mut connection = site.https();
            connection.set_timeout(Some(limit));
            get(&mut connection).unwrap_err()
        } else {
            let mut connection = site.http();
            connection.set_timeout(Some(limit));
            get(&mut connection).unwrap_err()
        };
        assert!(matches!(error, ClientError::Http(HttpError::TimedOut)), "{error:?}");
        site.had(&[1, 0]);
    }
}

#[test]
fn a_503_at_once_is_an_answer_and_kept() {
    let site = Site::plain(&[Front::Answers(BUSY, Duration::ZERO), LIVE]);
    assert_eq!(get(&mut site.http()).expect("an answer"), (503, "busy".to_owned()));
    site.had(&[1, 0]);
    let site = Site::secure(&[Front::Answers(BUSY, Duration::ZERO), LIVE]);
    assert_eq!(get(&mut site.https()).expect("an answer"), (503, "busy".to_owned()));
    site.had(&[1, 0]);
}

#[test]
fn when_both_are_silent_the_end_is_the_deadline_and_names_both() {
    for front in [Front::Mute, Front::Silent] {
        let site = Site::plain(&[front, Front::Silent]);
        let mut connection = site.http();
        let limit = 3 * PATIENCE;
        connection.set_deadline(Some(limit));
        let (answer, took) = timed(|| get(&mut connection));
        let error = answer.unwrap_err();
        assert!(took >= limit && took < limit + LATE, "{took:?}");
        assert_eq!(error.as_http(), Some(&HttpError::TimedOut));
        let expected = format!(
            "no answer from two addresses: {}: silent until time was up; {}: silent until time was up",
            site.at(0),
            site.at(1)
        );
        assert_eq!(error.text(), expected);
        assert_eq!(connection.response_record().unwrap().requests(), 2);
    }
}

#[test]
fn when_both_are_lost_the_error_names_both() {
    let site = Site::plain(&[Front::Reset, Front::Close]);
    let error = get(&mut site.http()).unwrap_err();
    let ClientError::NoResponse(both) = &error else { panic!("{error:?}") };
    let reset = HttpError::Receive(AttemptErrorKind::Reset.into());
    let (first, why) = both.first();
    assert_eq!(first, site.at(0));
    assert!(
        matches!(why, HttpError::Receive(error) if error == AttemptErrorKind::Reset),
        "{why:?} for {reset:?}"
    );
    assert_eq!(both.second(), Some((site.at(1), HttpError::EmptyReply)));
    assert!(error.text().contains(&site.at(0).to_string()) && error.text().contains(&site.at(1).to_string()));
    site.had(&[1, 1]);
}

#[test]
fn off_unless_it_is_set() {
    let site = Site::plain(&[Front::Silent, LIVE]);
    let mut connection = site.http();
    connection.set_response_finish(None);
    connection.set_timeout(Some(3 * PATIENCE));
    let error = get(&mut connection).unwrap_err();
    assert!(matches!(error, ClientError::Http(HttpError::TimedOut)), "{error:?}");
    site.had(&[1, 0]);
    let site = Site::plain(&[Front::Reset, LIVE]);
    let mut connection = site.http();
    connection.set_response_finish(None);
    assert!(matches!(get(&mut connection), Err(ClientError::Http(HttpError::Receive(_)))));
    site.had(&[1, 0]);
}

#[test]
fn a_slow_page_is_asked_for_once_with_one_address_and_twice_with_two() {
    let slow = Front::Answers(HELLO, 6 * PATIENCE);
    let site = Site::plain(&[slow]);
    assert_eq!(get(&mut site.http()).expect("an answer"), hello());
    site.had(&[1]);
    let site = Site::plain(&[slow, slow, slow]);
    let mut connection = site.http();
    assert_eq!(get(&mut connection).expect("an answer"), hello());
    assert_eq!(connection.destination(), Some(site.at(0)), "the first was asked first");
    assert_eq!(connection.response_record().unwrap().kept, Some(site.at(0)));
    assert!(!site.remembered(0).is_demoted, "it has answered");
    let asked: usize = site.servers.iter().map(|(_, count)| count.load(Ordering::SeqCst)).sum();
    assert_eq!(asked, 2);
}

#[test]
fn an_answer_that_comes_while_the_second_is_being_opened_ends_that() {
    // The second accepts TCP and never speaks TLS: its handshake is not over when the first answers.
    let authority = Authority::new();
    let mut site = Site::over(&[Front::Answers(HELLO, 3 * PATIENCE)], Some(&authority));
    let mute = TlsServer::raw_at(SocketAddr::new(ip(2), site.port()), |mut tcp| {
        io::copy(&mut tcp, &mut io::sink()).map(|_| ())
    });
    site.servers.push((mute, Arc::default()));
    let mut connection = site.https();
    let (answer, took) = timed(|| get(&mut connection));
    assert_eq!(answer.expect("an answer"), hello());
    assert!(took < 3 * PATIENCE + LATE, "{took:?}");
    assert_eq!(site.servers[1].0.accepted(), 1);
    assert_eq!(connection.destination(), Some(site.at(0)));
}

#[test]
fn a_first_that_is_lost_while_the_second_is_being_opened_is_no_end() {
    let authority = Authority::new();
    let mut site = Site::over(&[Front::Answers(b"", 2 * PATIENCE)], Some(&authority));
    // Closes after that.
    let identity = authority.certify(&[HOST]);
    let config = Arc::new(identity.server_config(rustls::ALL_VERSIONS));
    let count = Arc::new(AtomicUsize::new(0));
    let requests = Arc::clone(&count);
    let late = TlsServer::raw_at(SocketAddr::new(ip(2), site.port()), move |mut tcp| {
        pause(4 * PATIENCE);
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        let mut request = [0; 1_024];
        if stream.read(&mut request)? > 0 {
            requests.fetch_add(1, Ordering::SeqCst);
            stream.write_all(HELLO)?;
            stream.flush()?;
        }
        Ok(())
    });
    site.servers.push((late, count));
    let mut connection = site.https();
    assert_eq!(get(&mut connection).expect("an answer"), hello());
    site.had(&[1, 1]);
}

#[test]
fn a_cancel_while_the_second_is_being_opened_is_what_the_error_says() {
    for front in [Front::Reset, Front::Silent] {
        let mut site = Site::secure(&[front]);
        let mute = TlsServer::raw_at(SocketAddr::new(ip(2), site.port()), |mut tcp| {
            io::copy(&mut tcp, &mut io::sink()).map(|_| ())
        });
        site.servers.push((mute, Arc::default()));
        let mut connection = site.https();
        let canceler = Canceler::new().expect("a canceler");
        connection.options_mut().canceler = Some(canceler.clone());
        let cancels = std::thread::spawn(move || {
            pause(3 * PATIENCE);
            canceler.cancel();
        });
        let (answer, took) = timed(|| get(&mut connection));
        cancels.join().expect("it has ended");
        assert!(matches!(answer, Err(ClientError::Http(HttpError::Canceled))), "{answer:?}");
        assert!(took < 3 * PATIENCE + LATE, "{took:?}");
    }
}

#[test]
fn a_warm_spare_is_open_when_it_is_called_for_and_closed_at_the_first_byte() {
    let site = Site::plain(&[Front::Answers(HELLO, PATIENCE / 2), Front::Silent]);
    let mut connection = site.http();
    connection.set_response_finish(Some(finish().warm_spare(true)));
    assert_eq!(get(&mut connection).expect("an answer"), hello());
    site.had(&[1, 0]);
    assert_eq!(site.servers[1].0.accepted(), 1, "it was opened");
    let site = Site::plain(&[Front::Silent, LIVE]);
    let mut connection = site.http();
    connection.set_response_finish(Some(finish().warm_spare(true)));
    second_answers(&site, &mut connection, true);
    site.had(&[1, 2]);
}

/// The first connection has the only place, so that the second stands in line for one.
#[test]
fn an_answer_is_not_held_up_by_a_second_connection_that_waits_for_a_socket() {
    let site = Site::plain(&[Front::Answers(HELLO, 2 * PATIENCE), Front::Silent]);
    let budget = SocketBudget::new(1).waits(Duration::from_secs(3_600));
    let options = site.options().budget(budget).deadline(None);
    let mut connection = HttpConnection::with_options(HOST, site.port(), options).expect("a host");
    connection.set_response_finish(Some(finish()));
    let (answer, took) = timed(|| get(&mut connection));
    assert_eq!(answer.expect("an answer"), hello());
    assert!(took < 2 * PATIENCE + LATE, "{took:?}");
    site.had(&[1, 0]);
}

#[test]
fn what_may_not_be_repeated_is_not() {
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let site = Site::plain(&[Front::Reset, LIVE]);
        let mut connection = site.http();
        assert!(ask(&mut connection, method).is_err(), "{method}");
        site.had(&[1, 0]);
        // By the caller's word.
        let site = Site::plain(&[Front::Reset, LIVE]);
        let mut connection = site.http();
        connection.set_response_finish(Some(finish().any_method(true)));
        assert_eq!(ask(&mut connection, method).expect("an answer"), hello(), "{method}");
        site.had(&[1, 1]);
    }
    for method in ["HEAD", "OPTIONS"] {
        let site =
            Site::plain(&[Front::Silent, Front::Answers(b"HTTP/1.1 204 None\r\n\r\n", Duration::ZERO)]);
        assert_eq!(ask(&mut site.http(), method).expect("an answer").0, 204, "{method}");
        site.had(&[1, 1]);
    }
}

/// Bodies under way, `Expect`, CONNECT and upgrades, though the caller has vouched for every method.
#[test]
fn uploads_upgrades_and_tunnels_are_what_they_were() {
    let any = || Some(finish().any_method(true));
    let unchanged = |send: &dyn Fn(&mut HttpConnection) -> Result<(), ClientError>| {
        let site = Site::plain(&[Front::Silent, LIVE]);
        let mut connection = site.http();
        connection.set_response_finish(any());
        connection.set_timeout(Some(2 * PATIENCE));
        connection.set_expect_timeout(PATIENCE / 10);
        send(&mut connection).expect("sent");
        let error = connection.response().map(|_| ()).unwrap_err();
        assert!(matches!(error, ClientError::Http(HttpError::TimedOut)), "{error:?}");
        site.had(&[1, 0]);
        assert_eq!(connection.response_record().map_or(1, |record| record.requests()), 1);
    };
    unchanged(&|connection| {
        connection.put_request("PUT", "/")?;
        connection.end_headers(RequestBody::Length(4))?;
        connection.send(b"body")?;
        connection.finish_body()
    });
    unchanged(&|connection| connection.request_from("PUT", "/", &[], &mut &b"body"[..], None));
    unchanged(&|connection| connection.request("POST", "/", &[("Expect", "100-continue")], b"body"));
    unchanged(&|connection| {
        connection.request("GET", "/", &[("Connection", "upgrade"), ("Upgrade", "x")], b"")
    });
    unchanged(&|connection| connection.request("CONNECT", "other.test:1", &[], b""));
    // Larger than what is kept of it.
    unchanged(&|connection| connection.request("POST", "/", &[], &[7; 100_000]));
    // While a body is being received nothing is opened, however long that takes.
    let site = Site::plain(&[Front::Begins(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), LIVE]);
    let mut connection = site.http();
    connection.set_timeout(Some(2 * PATIENCE));
    assert!(get(&mut connection).is_err());
    site.had(&[1, 0]);
    assert_eq!(site.servers[1].0.accepted(), 0);
}

/// What is behind a proxy's tunnel no other address of the proxy can mend.
#[test]
fn a_request_through_a_tunnel_is_sent_once() {
    let open = Front::Answers(b"HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO);
    let site = Site::plain(&[open, LIVE]);
    let mut connection = site.http();
    connection.set_tunnel("other.test", 80, &[]).expect("a host");
    connection.set_timeout(Some(3 * PATIENCE));
    connection.request("GET", "/", &[], b"").expect("sent");
    let _ = connection.response();
    assert!(connection.response_record().is_none(), "nothing was raced");
    assert_eq!(site.servers[1].0.accepted(), 0);
}

/// Nor behind one of SOCKS5.
#[test]
fn a_request_through_a_socks5_proxy_is_sent_once() {
    let (asked, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let proxy = |tcp: &mut TcpStream, requests: &AtomicUsize| {
        // One method is offered, which is none; then the name of the host, and a port.
        tcp.read_exact(&mut [0; 3])?;
        tcp.write_all(&[5, 0])?;
        tcp.read_exact(&mut [0; 4 + 1 + "other.test".len() + 2])?;
        tcp.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        Front::Silent.serve(tcp, requests)
    };
    let counts = [Arc::clone(&asked), Arc::clone(&requests)];
    let mut servers = Vec::new();
    for (last, count) in (1..).zip(counts) {
        let port = servers.first().map_or(0, |(server, _): &(TlsServer, _)| server.address().port());
        let at = SocketAddr::new(ip(last), port);
        let counted = Arc::clone(&count);
        servers.push((TlsServer::raw_at(at, move |mut tcp| proxy(&mut tcp, &counted)), count));
    }
    let site = Site { servers, memory: Memory::new(), tls: None };
    let mut connection = HttpConnection::with_options("other.test", 80, site.options()).expect("a host");
    connection.set_socks5_proxy(Socks5Proxy::new(HOST, site.port()));
    connection.set_response_finish(Some(finish()));
    connection.set_timeout(Some(3 * PATIENCE));
    connection.request("GET", "/", &[], b"").expect("sent");
    let error = connection.response().map(|_| ()).unwrap_err();
    assert!(matches!(error, ClientError::Http(HttpError::TimedOut)), "{error:?}");
    assert!(connection.response_record().is_none(), "nothing was raced");
    site.had(&[1, 0]);
    assert_eq!(site.servers[1].0.accepted(), 0);
}

#[test]
fn an_answer_that_is_there_when_it_is_asked_for_opens_nothing() {
    let site = Site::plain(&[LIVE, LIVE]);
    let mut connection = site.http();
    for _ in 0..2 {
        connection.request("GET", "/", &[], b"").expect("sent");
        // The caller has other things to do meanwhile.
        pause(2 * PATIENCE);
        assert_eq!(connection.response().expect("an answer").status(), 200);
        connection.response().and_then(|mut response| response.discard()).expect("its body");
        let record = connection.response_record().expect("a race");
        assert!(record.second.is_none(), "{record:?}");
    }
    assert_eq!(site.servers[1].0.accepted(), 0);
    // That the caller took its time is not taken for the host's.
    connection.set_response_finish(Some(ResponseFinish::new()));
    assert_eq!(get(&mut connection).expect("an answer"), hello());
    let patience = connection.response_record().expect("a race").patience;
    connection.close();
    assert_eq!(get(&mut connection).expect("an answer"), hello());
    let learnt = connection.response_record().expect("a race").patience;
    assert_eq!((patience.as_millis(), learnt.as_millis()), (1_000, 300));
}

#[test]
fn a_first_that_is_lost_while_the_second_is_being_sent_the_request_does_not_cut_that_off() {
    const BODY: usize = 24 << 20;
    // Both take all of it: the first at once, and then it breaks off; the second later.
    let whole = |tcp: &mut TcpStream| {
        tcp.head()?;
        io::copy(&mut tcp.take(BODY as u64), &mut io::sink())
    };
    let first = TlsServer::raw_at(SocketAddr::new(ip(1), 0), move |mut tcp| {
        whole(&mut tcp)?;
        pause(3 * PATIENCE);
        Ok(())
    });
    let second = TlsServer::raw_at(SocketAddr::new(ip(2), first.address().port()), move |mut tcp| {
        pause(5 * PATIENCE);
        match whole(&mut tcp)? == BODY as u64 {
            true => tcp.write_all(HELLO),
            false => Ok(()),
        }
    });
    let servers = vec![(first, Arc::default()), (second, Arc::default())];
    let site = Site { servers, memory: Memory::new(), tls: None };
    let buffer = vec![0; BODY + (1 << 16)];
    let mut connection = AnyConnection::http(HOST, site.port(), site.options(), buffer).expect("a host");
    connection.set_response_finish(Some(finish().any_method(true)));
    connection.set_deadline(Some(Duration::from_secs(10)));
    connection.request("POST", "/", &[], &vec![7; BODY]).expect("sent");
    assert_eq!(connection.response().expect("an answer").status(), 200);
    let record = connection.response_record().expect("a race");
    assert!(record.first_error.is_some(), "{record:?}");
    assert_eq!(record.kept, Some(site.at(1)));
}

#[test]
fn a_first_that_was_lost_is_judged_for_that_though_the_second_was_waited_for() {
    let site = Site::plain(&[Front::Reset, Front::Silent]);
    let mut connection = site.http();
    connection.set_deadline(Some(2 * PATIENCE));
    assert!(matches!(get(&mut connection), Err(ClientError::NoResponse(_))));
    assert!(site.remembered(0).is_demoted, "it was reset");
    assert!(!site.remembered(1).is_demoted, "it had less than a second");
}

#[test]
fn a_body_that_went_out_in_one_call_is_repeated_by_the_callers_word() {
    let site = Site::plain(&[Front::Reset, LIVE]);
    let mut connection = site.http();
    connection.set_response_finish(Some(finish().any_method(true)));
    connection.request("POST", "/", &[], b"body\r\n\r\n").expect("sent");
    assert_eq!(connection.response().expect("an answer").status(), 200);
    // Its body looks like the end of another head.
    assert_eq!(connection.response_record().unwrap().requests(), 2);
}

/// Two servers that close each connection when they have answered one request, and say nothing of it: the
/// next request finds it open, and is lost.
fn answering_once() -> Site {
    let one = |mut tcp: TcpStream| {
        if tcp.head()?.ends_with("\r\n\r\n") {
            tcp.write_all(HELLO)?;
            let _ = tcp.head()?;
        }
        Ok(())
    };
    let first = TlsServer::raw_at(SocketAddr::new(ip(1), 0), one);
    let second = TlsServer::raw_at(SocketAddr::new(ip(2), first.address().port()), one);
    Site {
        servers: vec![(first, Arc::default()), (second, Arc::default())],
        memory: Memory::new(),
        tls: None,
    }
}

#[test]
fn a_kept_connection_that_was_closed_is_held_against_nobody_by_the_second_either() {
    let site = answering_once();
    let mut connection = site.http();
    connection.set_response_finish(Some(finish().any_method(true)));
    for at in [0, 1] {
        assert_eq!(ask(&mut connection, "POST").expect("an answer"), hello());
        let kept = connection.response_record().and_then(|record| record.kept);
        assert_eq!(kept, Some(site.at(at)), "the first has closed before it was asked again");
    }
    assert!(!site.remembered(0).is_demoted);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_opened_anew_as_ever() {
    let site = answering_once();
    let mut connection = site.http();
    let budget = RetryBudget::new();
    connection.set_response_finish(Some(finish().retries(budget.clone())));
    for _ in 0..3 {
        assert_eq!(get(&mut connection).expect("an answer"), hello());
        assert_eq!(connection.destination(), Some(site.at(0)), "nothing is held against it");
        let kept = connection.response_record().map(|record| record.kept);
        assert!(kept.is_none_or(|kept| kept == Some(site.at(0))), "no record denies the answer: {kept:?}");
    }
    assert_eq!(budget.available(), 3, "such a repetition is free");
    assert!(!site.remembered(0).is_demoted);
}

#[test]
fn the_budget_is_shared_and_ends() {
    let site = Site::plain(&[Front::Reset, LIVE]);
    let budget = RetryBudget::new();
    let mut answers = Vec::new();
    for _ in 0..5 {
        let mut connection = site.http();
        connection.options_mut().memory = None;
        connection.set_response_finish(Some(finish().retries(budget.clone())));
        answers.push(get(&mut connection).is_ok());
    }
    assert_eq!(answers, [true, true, true, false, false]);
    site.had(&[5, 3]);
}

#[test]
fn the_second_visit_goes_to_the_live_one_at_once_and_the_silent_one_comes_back() {
    let site = Site::plain(&[Front::Silent, LIVE]);
    assert_eq!(get(&mut site.http()).expect("an answer"), hello());
    let mut connection = site.http();
    let (answer, took) = timed(|| get(&mut connection));
    assert_eq!(answer.expect("an answer"), hello());
    assert!(took < PATIENCE, "{took:?}");
    assert_eq!(connection.destination(), Some(site.at(1)));
    site.had(&[1, 2]);
    let silent = site.remembered(0);
    assert!(
        silent.is_demoted
            && silent.demoted_for > Duration::ZERO
            && silent.demoted_for < Duration::from_secs(8)
    );
}

/// Patience is for requests that may be repeated: how long others take has no part in it.
#[test]
fn patience_is_not_learnt_from_requests_that_are_never_repeated() {
    let site = Site::plain(&[Front::Answers(HELLO, Duration::from_millis(700))]);
    let mut connection = site.http();
    connection.set_response_finish(Some(ResponseFinish::new()));
    ask(&mut connection, "POST").expect("an answer");
    get(&mut connection).expect("an answer");
    let patience = connection.response_record().expect("a race").patience;
    assert_eq!(patience, Duration::from_secs(1));
}

/// Without a patience of its own the first has a second, and then as long as the host's answers take.
#[test]
fn patience_is_learnt_from_the_hosts_answers() {
    let site = Site::plain(&[LIVE, LIVE]);
    let mut connection = site.http();
    connection.set_response_finish(Some(ResponseFinish::new()));
    let patience = |connection: &HttpConnection| connection.response_record().unwrap().patience;
    get(&mut connection).expect("an answer");
    assert_eq!(patience(&connection), Duration::from_secs(1));
    get(&mut connection).expect("an answer");
    assert_eq!(patience(&connection), Duration::from_millis(300));
    let slow = Site::plain(&[Front::Answers(HELLO, Duration::from_millis(700))]);
    let mut connection = slow.http();
    connection.set_response_finish(Some(ResponseFinish::new()));
    get(&mut connection).expect("an answer");
    get(&mut connection).expect("an answer");
    assert!(patience(&connection) > Duration::from_millis(1_400), "{:?}", patience(&connection));
}

#[test]
fn an_http_proxy_takes_the_place_of_one_of_socks() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = proxy.local_addr().expect("an address").port();
    let mut connection = HttpConnection::new(HOST, 80).expect("a host");
    connection.set_socks5_proxy(Socks5Proxy::new("127.0.0.1", port));
    connection.set_proxy("127.0.0.1", port, &[]).expect("a proxy");
    connection.set_timeout(Some(3 * PATIENCE));
    let asks = std::thread::spawn(move || connection.request("GET", "/", &[], b"").map(drop));
    let mut first = [0];
    proxy.accept().expect("the client comes").0.read_exact(&mut first).expect("what it says");
    assert_eq!(first, *b"C", "CONNECT, and not a greeting of SOCKS");
    assert!(asks.join().expect("it has ended").is_err());
}
