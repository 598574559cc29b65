//! Races to the end of TLS over the operating system's sockets, by embedded-tls, with unmodified clients on
//! top, against rustls, nginx and `openssl s_server`.

#![cfg(target_os = "linux")]

mod std_support;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_async::connie_core::TlsFailure;
use connie_async::connie_core::memory::Memory;
use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
use connie_async::tls::{RecordBuffers, RecordPool, SessionError, TlsError, TlsRaceConnect};
use connie_async::{Config, ConnectionError, Options, RaceConnect, TimedOut, within};
use connie_servers::clock::now;
use connie_servers::{Authority, Identity, Nginx, OpensslServer, Served, TlsServer, free_port};
use embedded_io_async::{Error as _, ErrorKind, Read as _, Write as _};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use rand_core::OsRng;
use reqwless::client::HttpClient;
use reqwless::request::Method;
use std_support::{Counted, SystemClock, Table, run};

const HOST: &str = "many.test";
const PAGE: &[u8] = b"the page\n";

/// The loopback address that ends in `last`.
fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 18, last).into()
}

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(loopback(last), port)
}

type Net = RaceConnect<Counted, Table, SystemClock, 4, 16, 4>;

fn net(addresses: impl IntoIterator<Item = u8>, options: Options) -> Net {
    let table = Table(addresses.into_iter().map(loopback).collect());
    RaceConnect::with_capacities(Counted::default(), table, SystemClock::new(), options)
}

/// Of any program: this machine's time in seconds since 1970.
fn unix_time() -> Option<u64> {
    Some(std::time::SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs())
}

/// Runs `test` with a TLS that trusts `authority`.
fn with_tls<R>(authority: &Authority, test: impl FnOnce(EmbeddedTls<'_, OsRng>) -> R) -> R {
    let der = CertificateDer::from(authority.der());
    let anchors = [trust_anchor(&der).expect("a certificate")];
    test(EmbeddedTls::new(OsRng, &anchors, CertificateTime::Clock(&unix_time)))
}

/// Fetches a page with reqwless, which knows nothing of connie, nor that there is TLS.
async fn page<T: TcpConnect, D: Dns>(tcp: &T, dns: &D, url: &str) -> Result<Vec<u8>, reqwless::Error> {
    let mut client = HttpClient::new(tcp, dns);
    let mut buffer = [0; 16384];
    let mut request = client.request(Method::GET, url).await?;
    let response = request.send(&mut buffer).await?;
    assert_eq!(response.status.0, 200);
    Ok(response.body().read_to_end().await?.to_vec())
}

/// Answers one request with the page.
fn serve_page(served: &mut Served) -> io::Result<()> {
    let head = served.read_head()?;
    assert!(head.starts_with("GET / HTTP/1.1\r\n") && head.contains("many.test"), "{head}");
    served.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PAGE.len()).as_bytes())?;
    served.write_all(PAGE)?;
    served.close()
}

/// A site of three addresses and one port: the first takes TCP and is silent, the second has a certificate of
/// somebody else, the third lives.
struct Site {
    authority: Authority,
    live: TlsServer,
    wrong: TlsServer,
    silent: TlsServer,
}

fn site() -> Site {
    let authority = Authority::new();
    let live = TlsServer::start_at(at(3, 0), &authority.certify(&[HOST]), serve_page);
    let port = live.address().port();
    let wrong = TlsServer::start_at(at(2, port), &authority.certify(&["other.test"]), serve_page);
    let silent = TlsServer::raw_at(at(1, port), |mut tcp| io::copy(&mut tcp, &mut io::sink()).map(|_| ()));
    Site { authority, live, wrong, silent }
}

impl Site {
    fn url(&self) -> String {
        format!("https://{HOST}:{}/", self.live.address().port())
    }
}

const SECONDS: Duration = Duration::from_secs(15);

/// How long one way takes, and what it gives.
fn timed<R>(what: impl FnOnce() -> R) -> (R, Duration) {
    let begun = now();
    let result = what();
    (result, begun.elapsed())
}

#[test]
fn an_unmodified_reqwless_fetches_https_past_a_silent_address_and_a_wrong_certificate() {
    let site = site();
    with_tls(&site.authority, |tls| {
        let buffers = RecordBuffers::<3>::new();
        let net = net([1, 2, 3], Options::new().deadline(SECONDS));
        let secure = TlsRaceConnect::new(&net, &tls, &buffers);
        let alone = crate::net([3], Options::new());
        let alone = TlsRaceConnect::new(&alone, &tls, &buffers);
        // In turns, so that both meet the same, and the best of each: this machine has other things to do
        // too.
        const ROUNDS: usize = 10;
        let times = [0; ROUNDS].map(|_| {
            let (fetched, own) = timed(|| run(page(&alone, &alone, &site.url())));
            assert_eq!(fetched.expect("a page"), PAGE);
            let (fetched, raced) = timed(|| run(page(&secure, &secure, &site.url())));
            assert_eq!(fetched.expect("a page"), PAGE);
            (own, raced)
        });
        let (own, raced) = (times.map(|it| it.0).into_iter().min(), times.map(|it| it.1).into_iter().min());
        let limit = own.expect("ten") + Duration::from_millis(100);
        assert!(raced.expect("ten") <= limit, "later than {limit:?}: {times:?}");
        assert!(site.silent.accepted() >= ROUNDS && site.wrong.accepted() >= ROUNDS, "all were tried");
    });
}

/// A stack on which the address that ends in 3 takes a while for TCP, so that others have the pairs.
struct Late(Counted);

impl TcpConnect for Late {
    type Error = io::Error;
    type Connection<'a> = <Counted as TcpConnect>::Connection<'a>;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Self::Connection<'a>, Self::Error> {
        if remote.ip() == loopback(3) {
            async_io::Timer::after(Duration::from_millis(100)).await;
        }
        self.0.connect(remote).await
    }
}

/// Those who have no pair wait, and silent ones, which have them all, give theirs up after one patience.
#[test]
fn with_fewer_pairs_than_addresses_a_turn_ends_after_one_patience() {
    let authority = Authority::new();
    let live = TlsServer::start_at(at(3, 0), &authority.certify(&[HOST]), serve_page);
    let port = live.address().port();
    let silent =
        |last| TlsServer::raw_at(at(last, port), |mut tcp| io::copy(&mut tcp, &mut io::sink()).map(|_| ()));
    let silent = [1, 2].map(silent);
    with_tls(&authority, |tls| {
        for pairs in [&RecordBuffers::<1>::new() as &dyn RecordPool, &RecordBuffers::<2>::new()] {
            let patience = Duration::from_millis(400);
            let race = Config::all_at_once().patience(patience).deadline(Some(SECONDS));
            let net = RaceConnect::<_, _, _, 4, 16, 4>::with_capacities(
                Late(Counted::default()),
                Table([1, 2, 3].map(loopback).to_vec()),
                SystemClock::new(),
                Options::new().race(race),
            );
            let secure = TlsRaceConnect::new(&net, &tls, pairs);
            let url = format!("https://{HOST}:{port}/");
            let (fetched, took) = timed(|| run(page(&secure, &secure, &url)));
            assert_eq!(fetched.expect("a page"), PAGE);
            // With one pair two silent ones have their turns before.
            assert!(took >= patience && took < 5 * patience, "{took:?}");
        }
    });
    assert!(silent.iter().all(|silent| silent.accepted() >= 2), "both were tried");
}

/// Nothing that a client writes may leave as it was written: not to a server that speaks no TLS, not to any
/// port, not from `http://` either.
#[test]
fn nothing_leaves_in_the_clear() {
    let authority = Authority::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    // As most servers of plain HTTP: it reads, and answers with an error.
    let server = TlsServer::raw_at(at(1, 0), move |mut tcp: TcpStream| {
        use io::{Read, Write};
        let mut buffer = [0; 4096];
        let length = tcp.read(&mut buffer)?;
        ear.lock().expect("nobody panicked").extend_from_slice(&buffer[..length]);
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let port = server.address().port();
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new().deadline(SECONDS));
        let secure = TlsRaceConnect::new(&net, &tls, &buffers);
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://user-secret:pass-secret@{HOST}:{port}/path-secret");
            let _ = run(page(&secure, &secure, &url)).expect_err("no TLS");
            let url = format!("{scheme}://{HOST}:{port}/path-secret");
            let error = run(page(&secure, &secure, &url)).expect_err("no TLS");
            assert!(matches!(error, reqwless::Error::Network(ErrorKind::InvalidData)), "{error:?}");
        }
    });
    let heard = heard.lock().expect("nobody panicked");
    assert!(!heard.is_empty());
    for secret in ["secret", "GET", "HTTP"] {
        assert!(!heard.windows(secret.len()).any(|octets| octets == secret.as_bytes()), "{heard:?}");
    }
    // A handshake (RFC 8446 section 5.1).
    assert_eq!(heard[0], 22);
}

/// What comes of a connect to `server` with a certificate of `authority`.
fn failure(authority: &Authority, server: &TlsServer) -> ConnectionError<TlsError<io::Error>> {
    with_tls(authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new());
        let timeout = Duration::from_millis(300);
        let secure = TlsRaceConnect::new(&net, tls, &buffers).with_handshake_timeout(timeout);
        let target = (HOST, server.address().port());
        run(secure.connect(target, &Options::new())).map(|_| ()).expect_err("no TLS")
    })
}

fn tls_failure(error: &ConnectionError<TlsError<io::Error>>) -> Option<TlsFailure> {
    match error {
        ConnectionError::AllAttemptsFailed(Some(TlsError::Session(SessionError::Tls(failure)))) => {
            Some(*failure)
        }
        _ => None,
    }
}

#[test]
fn a_bad_certificate_a_server_without_tls_and_a_silent_one_are_told_apart() {
    let authority = Authority::new();
    let good = authority.certify(&[HOST]);
    for (identity, wanted) in [
        (authority.certify_until_2001(&[HOST]), TlsFailure::CertificateExpired),
        (authority.certify_from_3001(&[HOST]), TlsFailure::CertificateNotYetValid),
        (authority.certify(&["other.test"]), TlsFailure::CertificateName),
        (Authority::new().certify(&[HOST]), TlsFailure::CertificateUntrusted),
        // Its own authority, and so none of a server.
        (Identity::self_signed(&[HOST]), TlsFailure::CertificateInvalid),
        // A certificate for a server that is used as an authority's.
        (good.misused_as_authority(&[HOST]), TlsFailure::CertificateUntrusted),
    ] {
        let server = TlsServer::start_at(at(1, 0), &identity, |_| Ok(()));
        let error = failure(&authority, &server);
        assert_eq!(tls_failure(&error), Some(wanted), "{error}");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    use io::{Read, Write};
    let plain = TlsServer::raw_at(at(1, 0), |mut tcp| {
        let _ = tcp.read(&mut [0; 1024])?;
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let error = failure(&authority, &plain);
    assert_eq!((tls_failure(&error), error.kind()), (Some(TlsFailure::NotTls), ErrorKind::InvalidData));
    let closing = TlsServer::raw_at(at(1, 0), |mut tcp| tcp.read(&mut [0; 1024]).map(|_| ()));
    assert_eq!(tls_failure(&failure(&authority, &closing)), Some(TlsFailure::ClosedEarly));
    let silent = TlsServer::raw_at(at(1, 0), |mut tcp| io::copy(&mut tcp, &mut io::sink()).map(|_| ()));
    let error = failure(&authority, &silent);
    assert!(matches!(error, ConnectionError::AllAttemptsFailed(Some(TlsError::TimedOut))), "{error}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("no TLS handshake in time"), "{error}");
}

/// A device that does not know the time takes an expired certificate, and no other that is wrong.
#[test]
fn without_a_clock_dates_alone_are_passed_over() {
    let authority = Authority::new();
    let der = CertificateDer::from(authority.der());
    let anchors = [trust_anchor(&der).expect("a certificate")];
    let tls = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Unknown);
    let not_set = || None;
    let unset = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Clock(&not_set));
    let buffers = RecordBuffers::<2>::new();
    let net = net([1], Options::new());
    let connect = |tls: &EmbeddedTls<'_, OsRng>, identity: &Identity| {
        let server = TlsServer::start_at(at(1, 0), identity, |_| Ok(()));
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        run(secure.connect((HOST, server.address().port()), &Options::new())).map(|_| ())
    };
    assert!(connect(&tls, &authority.certify(&[HOST])).is_ok());
    assert!(connect(&tls, &authority.certify_until_2001(&[HOST])).is_ok());
    let error = connect(&tls, &Authority::new().certify_until_2001(&[HOST])).expect_err("untrusted");
    assert_eq!(tls_failure(&error), Some(TlsFailure::CertificateUntrusted));
    let error = connect(&tls, &authority.certify(&["other.test"])).expect_err("another name");
    assert_eq!(tls_failure(&error), Some(TlsFailure::CertificateName));
    let error = connect(&unset, &authority.certify(&[HOST])).expect_err("no time");
    assert_eq!(tls_failure(&error), Some(TlsFailure::Local));
}

/// The server hears the name, and a certificate may be for an address.
#[test]
fn the_name_that_was_looked_up_is_told_and_an_address_is_held_to_its_certificate() {
    let authority = Authority::new();
    let (sender, names) = std::sync::mpsc::channel();
    let tell = move |served: &mut Served| {
        sender.send(served.server_name().map(str::to_owned)).map_err(io::Error::other)
    };
    let identity = authority.certify(&[HOST, "127.0.18.1"]);
    let server = TlsServer::start_at(at(1, 0), &identity, tell);
    let port = server.address().port();
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new());
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let address = server.address();
        run(secure.connect((HOST, port), &Options::new())).expect("a connection");
        run(secure.connect(("many.test.", port), &Options::new())).expect("a connection");
        run(secure.connect(&address, &Options::new())).expect("a connection");
        run(secure.connect(("127.0.18.1", port), &Options::new())).expect("a connection");
        run(TcpConnect::connect(&secure, address)).expect("a connection");
    });
    let heard: Vec<_> = names.try_iter().collect();
    assert_eq!(heard[..2], [Some(HOST.to_owned()), Some(HOST.to_owned())]);
    assert!(heard[2..].iter().all(Option::is_none), "{heard:?}");
}

/// Two names at one address, as where one server has many: each has its own certificate.
#[test]
fn names_that_share_their_addresses_are_told_apart() {
    let authority = Authority::new();
    let (sender, names) = std::sync::mpsc::channel();
    let identity = authority.certify(&[HOST, "second.test"]);
    let server = TlsServer::start_at(at(1, 0), &identity, move |served| {
        sender.send(served.server_name().map(str::to_owned)).map_err(io::Error::other)?;
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n")?;
        served.close()
    });
    let port = server.address().port();
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new().deadline(SECONDS));
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let asked = [HOST, "second.test", HOST, "second.test", "third.test"];
        for host in asked {
            let fetched = run(page(&secure, &secure, &format!("https://{host}:{port}/")));
            match fetched {
                Ok(page) => assert_eq!(page, PAGE),
                // The certificate is not for it.
                Err(error) => {
                    assert!(matches!(error, reqwless::Error::Network(ErrorKind::PermissionDenied)), "{host}");
                    assert_eq!(host, "third.test");
                }
            }
        }
        // Who asks for IPv4 alone, or asks the other, gets an address that stands for several.
        let first = run(Dns::get_host_by_name(&secure, "second.test", AddrType::IPv4)).expect("an address");
        assert_eq!(first, loopback(1));
        let connected = run(TcpConnect::connect(&secure, SocketAddr::new(first, port))).map(|_| ());
        let error = connected.expect_err("of which?");
        assert!(matches!(error, ConnectionError::AllAttemptsFailed(Some(TlsError::SeveralNames))), "{error}");
        // A name is always enough.
        run(secure.connect((HOST, port), &Options::new())).expect("a connection");
    });
    let names: Vec<_> = names.try_iter().flatten().collect();
    assert_eq!(names[..4], [HOST, "second.test", HOST, "second.test"]);
}

/// All pairs are held by connections that the program keeps: nothing is waited for.
#[test]
fn kept_connections_hold_their_pairs_and_a_dropped_one_gives_its_back() {
    let authority = Authority::new();
    let server = TlsServer::start_at(at(1, 0), &authority.certify(&[HOST]), |served| {
        served.read(&mut [0; 1]).map(|_| ())
    });
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new());
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let (target, options) = ((HOST, server.address().port()), Options::new());
        let first = run(secure.connect(target, &options)).expect("a connection");
        let second = run(secure.connect(target, &options)).expect("a connection");
        let error = run(secure.connect(target, &options)).map(|_| ()).expect_err("no pair");
        assert!(matches!(error, ConnectionError::AllAttemptsFailed(Some(TlsError::OutOfBuffers))), "{error}");
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert_eq!(net.tcp().begun.get(), 2, "at once: not even TCP was tried");
        drop(first);
        let third = run(secure.connect(target, &options)).expect("a connection");
        drop((second, third));
        for _ in 0..5 {
            run(secure.connect(target, &options)).expect("a connection");
        }
    });
}

/// How many pairs nobody has.
fn free(pool: &RecordBuffers<2>) -> usize {
    let debug = format!("{pool:?}");
    let number = debug.split_once("free: ").map(|(_, rest)| rest.trim_start());
    number.and_then(|rest| rest.get(..1)?.parse().ok()).unwrap_or_else(|| panic!("{debug}"))
}

/// A connect that its caller gives up in the middle of a handshake gives all back.
#[test]
fn a_connect_that_is_given_up_in_its_handshake_gives_its_pair_back() {
    let authority = Authority::new();
    let (sender, hellos) = std::sync::mpsc::channel();
    let silent = TlsServer::raw_at(at(1, 0), move |mut tcp| {
        use io::Read;
        // The first octet of a ClientHello is here when the pair has been written and sent.
        tcp.read_exact(&mut [0])?;
        sender.send(()).map_err(io::Error::other)?;
        io::copy(&mut tcp, &mut io::sink()).map(|_| ())
    });
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let net = net([1], Options::new());
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let (target, options) = ((HOST, silent.address().port()), Options::new());
        assert_eq!(free(&buffers), 2);
        for _ in 0..5 {
            run(async {
                let mut connect = Box::pin(secure.connect(target, &options));
                while hellos.try_recv().is_err() {
                    assert!(embassy_futures::poll_once(&mut connect).is_pending());
                    async_io::Timer::after(Duration::from_millis(1)).await;
                }
                assert_eq!(free(&buffers), 1, "it is in its handshake");
            });
            assert_eq!(free(&buffers), 2);
        }
    });
}

/// More than a record each way, and the end that only a `close_notify` makes.
#[test]
fn what_is_written_comes_back_and_an_end_that_nobody_said_is_an_error() {
    let authority = Authority::new();
    let identity = authority.certify(&[HOST]);
    let echo = |served: &mut Served| {
        let mut octets = vec![0; 40_000];
        served.read_exact(&mut octets)?;
        served.write_all(&octets)?;
        if octets[0] == 0 { served.close() } else { served.cut() }
    };
    let server = TlsServer::start_at(at(1, 0), &identity, echo);
    with_tls(&authority, |tls| {
        // rustls honours no `max_fragment_length`: a record may have 16,640 octets.
        let buffers = RecordBuffers::<1, 16640>::new();
        let net = net([1], Options::new());
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        for cut in [0, 1] {
            let octets: Vec<u8> = (0..40_000_u32).map(|n| (n % 251) as u8 + cut).collect();
            let back = run(async {
                let mut connection =
                    secure.connect((HOST, server.address().port()), &Options::new()).await.expect("one");
                connection.write_all(&octets).await.expect("written");
                connection.flush().await.expect("sent");
                let mut back = vec![0; octets.len()];
                connection.read_exact(&mut back).await.expect("read");
                assert_eq!(back, octets);
                connection.read(&mut [0; 1]).await
            });
            match back {
                Ok(length) => assert_eq!((length, cut), (0, 0)),
                Err(ConnectionError::Stack(TlsError::Session(SessionError::Tls(failure)))) => {
                    assert_eq!((failure, cut), (TlsFailure::Truncated, 1));
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
}

/// OpenSSL on the other side, in two programs, asked for fragments that the buffers have room for.
#[test]
fn nginx_and_openssl_honour_the_fragments_that_are_asked_for() {
    let authority = Authority::new();
    let identity = authority.certify(&[HOST]);
    let (certificate, key) = (&identity.certificate_pem, &identity.key_pem);
    let long: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
    let files = [("cert.pem", certificate.as_bytes()), ("key.pem", key.as_bytes()), ("long", &long)];
    let (port, other) = (free_port(), free_port());
    let directives = format!(
        "listen 127.0.18.3:{port} ssl; ssl_certificate {{files}}/cert.pem; \
         ssl_certificate_key {{files}}/key.pem; ssl_protocols TLSv1.3;"
    );
    let Some(_nginx) = Nginx::configured(free_port(), &files, &directives) else { return };
    let Some(_openssl) = OpensslServer::start(other, certificate, key, &[]) else { return };
    with_tls(&authority, |tls| {
        fn fetch(pool: &dyn RecordPool, tls: &EmbeddedTls<'_, OsRng>, url: &str) -> Vec<u8> {
            let net = net([3], Options::new().deadline(SECONDS));
            let secure = TlsRaceConnect::new(&net, tls, pool);
            let mut client = HttpClient::new(&secure, &secure);
            let mut buffer = vec![0; 65_536];
            run(async {
                let mut request = client.request(Method::GET, url).await.expect("a connection");
                let response = request.send(&mut buffer).await.expect("a response");
                response.body().read_to_end().await.expect("a body").to_vec()
            })
        }
        let (a, b, c) =
            (RecordBuffers::<2>::new(), RecordBuffers::<2, 2304>::new(), RecordBuffers::<2, 16640>::new());
        for pool in [&a as &dyn RecordPool, &b, &c] {
            assert_eq!(fetch(pool, &tls, &format!("https://{HOST}:{port}/long")), long);
            let said = fetch(pool, &tls, &format!("https://{HOST}:{other}/"));
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains("TLS_AES_128_GCM_SHA256"), "{said}");
        }
    });
}

/// edge-http over edge-nal's traits.
#[test]
fn an_unmodified_edge_http_speaks_https() {
    use edge_http::Method;
    use edge_http::io::client::Connection;

    let site = site();
    with_tls(&site.authority, |tls| {
        let table = Table([1, 2, 3].map(loopback).to_vec());
        let net = RaceConnect::<_, _, _, 4, 16, 4>::with_capacities(
            edge_nal_std::Stack::new(),
            table,
            SystemClock::new(),
            Options::new().deadline(SECONDS),
        );
        let buffers = RecordBuffers::<3>::new();
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let page = run(async {
            let address = edge_nal::Dns::get_host_by_name(&secure, HOST, edge_nal::AddrType::Either)
                .await
                .expect("an address");
            let mut buffer = [0; 4096];
            let address = SocketAddr::new(address, site.live.address().port());
            let mut connection = Connection::<_>::new(&mut buffer, &secure, address);
            connection.initiate_request(true, Method::Get, "/", &[("Host", HOST)]).await.expect("a request");
            connection.initiate_response().await.expect("a response");
            let mut page = [0; 64];
            let length = connection.read(&mut page).await.expect("a body");
            page[..length].to_vec()
        });
        assert_eq!(page, PAGE);
    });
}

/// What is learnt to the end of TLS leads the next visit, and is not used for a race that ends with TCP.
#[test]
fn a_memory_leads_to_the_address_whose_tls_worked() {
    let site = site();
    with_tls(&site.authority, |tls| {
        let memory = RefCell::new(Memory::<16>::new(7, connie_async::connie_core::Instant::ZERO));
        let net = net([1, 2, 3], Options::new().deadline(SECONDS)).with_memory(&memory);
        let buffers = RecordBuffers::<3>::new();
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        for _ in 0..3 {
            assert_eq!(run(page(&secure, &secure, &site.url())).expect("a page"), PAGE);
        }
        assert_eq!((site.silent.accepted(), site.wrong.accepted(), site.live.accepted()), (1, 1, 3));
    });
}

/// A pool that several races share: the one's live address waits for a pair that its silent one has, and the
/// other pair is that of the other race.
#[test]
fn two_races_share_two_pairs() {
    let site = site();
    with_tls(&site.authority, |tls| {
        let buffers = RecordBuffers::<2>::new();
        let race = Config::all_at_once().patience(Duration::from_millis(200)).deadline(Some(SECONDS));
        let net = net([1, 3], Options::new().race(race));
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let (target, options) = ((HOST, site.live.address().port()), net.options());
        let first = run(secure.connect(target, &options)).expect("a connection");
        let second = run(secure.connect(target, &options)).expect("a connection");
        let both = [first.destination(), second.destination()];
        assert_eq!(both, [site.live.address(); 2]);
        // Both are kept, and two more races have nothing to wait for.
        drop((first, second));
        let races = [0, 0].map(|_| Box::pin(secure.connect(target, &options)));
        let results = run(Box::pin(embassy_futures::join::join_array(races)));
        let results = results.map(|result| result.map(|_| ()));
        assert!(results.iter().any(Result::is_ok), "{results:?}");
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert!(
                matches!(error, ConnectionError::AllAttemptsFailed(Some(TlsError::OutOfBuffers))),
                "{error:?}"
            );
        }
        // Both have come back.
        assert_eq!(free(&buffers), 2);
        run(Box::pin(secure.connect(target, &options))).expect("a third connection");
    });
}

/// A limit to all of a request, where the server has TLS and then nothing to say.
#[test]
fn a_request_ends_when_its_time_is_over() {
    let authority = Authority::new();
    let server = TlsServer::start_at(at(1, 0), &authority.certify(&[HOST]), |served| {
        io::copy(&mut served.tcp(), &mut io::sink()).map(|_| ())
    });
    with_tls(&authority, |tls| {
        let buffers = RecordBuffers::<1>::new();
        let net = net([1], Options::new().deadline(SECONDS));
        let secure = TlsRaceConnect::new(&net, tls, &buffers);
        let url = format!("https://{HOST}:{}/", server.address().port());
        let limit = Duration::from_millis(400);
        let (clock, fetch) = (SystemClock::new(), Box::pin(page(&secure, &secure, &url)));
        let result = run(within(&clock, limit, fetch));
        assert!(matches!(result, Err(TimedOut)), "{result:?}");
        assert_eq!(server.handshakes(), 1, "it was the response that did not come");
        // Its pair has come back.
        run(secure.connect((HOST, server.address().port()), &Options::new())).expect("a connection");
    });
}
