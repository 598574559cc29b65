//! https by the race, under hyper-util's client.
#![cfg(all(target_os = "linux", feature = "tls"))]

#[path = "../../connie-std/tests/tokio_support/mod.rs"]
mod tokio_support;

use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use connie_hyper::{HttpsConnector, RaceError, RaceInfo};
use connie_servers::{Authority, BlackHole, Identity, Live, TlsServer, clock::poll_until};
use connie_std::connie_core::TlsFailure;
use connie_std::connie_core::timeline::Style;
use connie_std::tokio_net::TlsConnector;
use connie_std::{Keepalive, OnSocket, Purpose, SocketBudget, SocketOptions, TlsOptions};
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::HttpInfo;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use tokio_support::{LIMIT, any_port, here, named, run, within};

type Racing = Client<HttpsConnector, Empty<&'static [u8]>>;

/// Speaks HTTP/1.1 and HTTP/2 over TLS, and answers each request with its version.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    async fn start(identity: &Identity, protocols: &[&str]) -> Self {
        let mut config = identity.server_config(rustls::ALL_VERSIONS);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(any_port(4)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that takes no such certificate is what a test is about.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(|request: Request<Incoming>| async move {
                        let version = format!("{:?}", request.version());
                        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(version))))
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Server { address, accepted }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// `name.test` leads to a dead address, and then to this server.
    fn uri(&self) -> String {
        format!("https://name.test:{}/", self.address.port())
    }
}

fn tls(authority: &Authority, protocols: &[&str]) -> TlsConnector {
    let options = TlsOptions::new()
        .system_roots(false)
        .ca_pem(authority.pem().into_bytes())
        .alpn(protocols.iter().copied());
    TlsConnector::new(&options).unwrap()
}

fn client(connector: HttpsConnector) -> Racing {
    Client::builder(TokioExecutor::new()).build(connector)
}

struct Page {
    body: String,
    version: Version,
    race: RaceInfo,
    remote: SocketAddr,
}

async fn get(client: &Racing, uri: &str) -> Result<Page, Error> {
    let response = timeout(LIMIT, client.get(uri.parse().unwrap())).await.expect("an answer")?;
    let race = response.extensions().get::<RaceInfo>().expect("the race").clone();
    let remote = response.extensions().get::<HttpInfo>().expect("hyper-util's own").remote_addr();
    let version = response.version();
    let body = response.into_body().collect().await.expect("the body").to_bytes();
    Ok(Page { body: String::from_utf8(body.to_vec()).unwrap(), version, race, remote })
}

/// Two requests, by a race with a dead first address: in which version, over how many connections.
fn speaks(version: Version, offered: &'static [&'static str], agreed: &'static [&'static str]) {
    run(move || async move {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["name.test"]), agreed).await;
        let port = server.address.port();
        let hole = BlackHole::open(SocketAddr::new(here(2), port));
        let options = named("name.test", &[hole.address(), server.address]);
        let client = client(HttpsConnector::new(tls(&authority, offered), options));
        for _ in 0..2 {
            let page = get(&client, &server.uri()).await.unwrap();
            assert_eq!((page.body, page.version), (format!("{version:?}"), version));
            assert_eq!((page.race.destination(), page.remote), (server.address, server.address));
            assert_eq!(page.race.timeline().destinations().count(), 2);
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn http_2_is_spoken_where_both_have_it() {
    speaks(Version::HTTP_2, &["h2", "http/1.1"], &["h2", "http/1.1"]);
}

#[test]
fn http_1_is_spoken_where_the_server_has_no_other() {
    speaks(Version::HTTP_11, &["h2", "http/1.1"], &["http/1.1"]);
}

#[test]
fn http_1_is_spoken_where_nothing_else_is_offered() {
    speaks(Version::HTTP_11, &["http/1.1"], &["h2", "http/1.1"]);
}

#[test]
fn http_1_is_spoken_where_nothing_is_agreed_on() {
    speaks(Version::HTTP_11, &["h2", "http/1.1"], &[]);
}

/// With HTTP/2 many requests share one connection, also those that begin before it is there.
#[test]
fn requests_share_a_connection_of_http_2() {
    run(|| async {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["name.test"]), &["h2"]).await;
        let options = named("name.test", &[server.address]);
        let client = client(HttpsConnector::new(tls(&authority, &["h2"]), options));
        get(&client, &server.uri()).await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (client, uri) = (client.clone(), server.uri());
                tokio::spawn(async move { get(&client, &uri).await.unwrap().version })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Version::HTTP_2);
        }
        assert_eq!(server.accepted(), 1);
    });
}

/// What wins with TLS on top of a race to TCP: an address that takes connections and is silent, and one with
/// another's certificate.
#[test]
fn an_address_that_fails_in_tls_does_not_stop_the_others() {
    run(|| async {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["name.test"]), &["http/1.1"]).await;
        let port = server.address.port();
        let silent = Live::silent(SocketAddr::new(here(2), port));
        let addresses = [silent.address(), server.address];
        let client =
            client(HttpsConnector::new(tls(&authority, &["http/1.1"]), named("name.test", &addresses)));
        let page = get(&client, &server.uri()).await.unwrap();
        assert_eq!(page.race.destination(), server.address);
    });
}

#[test]
fn a_bad_certificate_is_told_in_words() {
    let chain = run(|| async {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["other.test"]), &["http/1.1"]).await;
        let options = named("name.test", &[server.address]);
        let client = client(HttpsConnector::new(tls(&authority, &["http/1.1"]), options));
        let error = get(&client, &server.uri()).await.map(|page| page.body).expect_err("no page");
        let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
        let Some(RaceError::Connect(failed)) = inner else { panic!("{error:?}") };
        assert_eq!(failed.tls_failure(), Some(TlsFailure::CertificateName));
        failed.to_string()
    });
    let words = r#"certificate not valid for "name.test": it is for "other.test""#;
    assert!(chain.ends_with(words), "{chain}");
}

/// As without TLS: the options, what sees each socket, and a source address that leaves the other family out.
#[test]
fn sockets_are_set_up_as_asked() {
    let (tell, told) = std::sync::mpsc::channel();
    let address = run(|| async move {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["name.test"]), &["h2"]).await;
        let other = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, server.address.port()));
        let on_socket = OnSocket::new(move |fd, address, purpose| {
            let keepalive = rustix::net::sockopt::socket_keepalive(fd)?;
            tell.send((address, keepalive, purpose)).map_err(std::io::Error::other)
        });
        let socket = SocketOptions::new().keepalive(Keepalive::default());
        let options = named("name.test", &[other, server.address])
            .source_v4(Ipv4Addr::new(127, 0, 0, 9))
            .socket(socket)
            .on_socket(on_socket);
        let client = client(HttpsConnector::new(tls(&authority, &["h2"]), options));
        let page = get(&client, &server.uri()).await.unwrap();
        let waterfall = page.race.timeline().waterfall(100, Style::default()).to_string();
        assert!(
            waterfall.lines().any(|line| line.contains("::1") && line.contains("no source")),
            "{waterfall}"
        );
        server.address
    });
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(address, true, Purpose::Connection)]);
}

#[test]
fn http_stays_plain() {
    let server = Live::http(any_port(4), "page");
    let address = server.address();
    run(move || async move {
        let client =
            client(HttpsConnector::new(tls(&Authority::new(), &["h2"]), named("name.test", &[address])));
        let page = get(&client, &format!("http://name.test:{}/", address.port())).await.unwrap();
        assert_eq!((page.body.as_str(), page.version), ("page", Version::HTTP_11));
    });
    assert_eq!(server.counts().accepted, 1);
}

/// Each scheme's kind of stream, without a client.
#[test]
fn web_sockets_are_secret_where_they_say_so() {
    run(|| async {
        let authority = Authority::new();
        let server = TlsServer::echo(&authority.certify(&["name.test"]));
        let mut connector =
            HttpsConnector::new(tls(&authority, &[]), named("name.test", &[server.address()]));
        let mut stream = async |scheme: &str| {
            let uri = format!("{scheme}://name.test:{}/", server.address().port());
            connector.call(uri.parse().unwrap()).await.map(TokioIo::into_inner)
        };
        for (scheme, secret) in [("ws", false), ("wss", true)] {
            let stream = stream(scheme).await.expect("a connection");
            assert_eq!((stream.is_tls(), stream.destination()), (secret, server.address()));
            let winner = stream.report().timeline().winner().expect("a winner");
            assert_eq!(winner.destination, server.address());
        }
        let Err(RaceError::Uri(why)) = stream("grpc").await else { panic!("it has decided") };
        assert_eq!(why, "grpc is neither http nor https");
        // Its threads are as fast as they are.
        assert!(poll_until(LIMIT, || server.accepted() == 2 && server.handshakes() == 1));
    });
}

#[test]
fn the_deadline_covers_the_handshake() {
    run(|| async {
        let silent = TlsServer::silent();
        let options = within(Duration::from_millis(100));
        let client = client(HttpsConnector::new(tls(&Authority::new(), &["h2"]), options));
        let error = get(&client, &format!("https://{}/", silent.address())).await.map(|page| page.body);
        let error = error.expect_err("silence");
        assert!(format!("{error:?}").contains("timed out"), "{error:?}");
    });
}

/// In the pool too.
#[test]
fn a_connection_holds_its_place_in_the_budget() {
    run(|| async {
        let authority = Authority::new();
        let server = Server::start(&authority.certify(&["name.test"]), &["h2"]).await;
        let budget = SocketBudget::new(4);
        let mut options = named("name.test", &[server.address]);
        options.budget = Some(budget.clone());
        let client = client(HttpsConnector::new(tls(&authority, &["h2"]), options));
        get(&client, &server.uri()).await.unwrap();
        assert_eq!(budget.free(), 3);
        drop(client);
        for _ in 0..10_000 {
            if budget.free() == 4 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} of 4 sockets are free", budget.free());
    });
}
