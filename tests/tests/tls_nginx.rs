//! TLS and HTTPS against Debian's nginx, which is OpenSSL on the other side.
#![cfg(target_os = "linux")]

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use connie_core::TlsFailure;
use connie_std::http1::{ACCEPT_ENCODING, Decoded, HttpsConnection};
use connie_std::{Options, Override, TlsConnector, TlsOptions};
use connie_tests::servers::{Authority, BlackHole, Nginx, TlsServer, free_port};

const HOST: &str = "name.test";

struct Site {
    _nginx: Nginx,
    port: u16,
    tls: TlsConnector,
}

impl Site {
    /// nginx with a certificate for [`HOST`], these lines in its configuration and these files.
    fn start(directives: &str, files: &[(&str, &[u8])]) -> Option<Self> {
        let authority = Authority::new();
        let identity = authority.certify(&[HOST]);
        let mut files = files.to_vec();
        files.push(("cert.pem", identity.certificate_pem.as_bytes()));
        files.push(("key.pem", identity.key_pem.as_bytes()));
        let port = free_port();
        let directives = format!(
            "listen 127.0.0.1:{port} ssl; ssl_certificate {{files}}/cert.pem; \
             ssl_certificate_key {{files}}/key.pem; {directives}"
        );
        let nginx = Nginx::configured(free_port(), &files, &directives)?;
        let ca_pem = authority.pem().into_bytes();
        let server_name = Some(HOST.to_owned());
        let options = TlsOptions::new().system_roots(false).ca_pem(ca_pem).server_name(server_name);
        let tls = TlsConnector::new(&options).expect("usable options");
        Some(Self { _nginx: nginx, port, tls })
    }

    fn options(&self) -> Options {
        let addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
        let overrides = vec![Override { host: HOST.to_owned(), port: self.port, addresses }];
        Options::new().overrides(overrides)
    }

    fn connect(&self) -> HttpsConnection {
        HttpsConnection::with_options(HOST, self.port, self.options(), self.tls.clone()).expect("a host")
    }
}

/// Fetches `target` and answers the status and the body, decoded.
fn get(connection: &mut HttpsConnection, target: &str) -> (u16, Vec<u8>) {
    connection.request("GET", target, &[("Accept-Encoding", ACCEPT_ENCODING)], b"").expect("sent");
    let response = connection.response().expect("an answer");
    let (status, coding) = (response.status(), response.header("content-encoding"));
    let coding = coding.unwrap_or_default().to_vec();
    let mut body = Vec::new();
    Decoded::new(&coding, response).expect("gzip").read_to_end(&mut body).expect("a body");
    (status, body)
}

#[test]
fn requests_share_a_connection_large_small_missing_and_compressed() {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let text = "the same again and again\n".repeat(10_000);
    let directives = "gzip on; gzip_min_length 1; gzip_types text/plain; \
                      types { text/plain txt; application/octet-stream bin; }";
    let files = [("large.bin", &large[..]), ("text.txt", text.as_bytes())];
    let Some(site) = Site::start(directives, &files) else { return };
    let mut connection = site.connect();
    for _ in 0..2 {
        assert_eq!(get(&mut connection, "/missing").0, 404);
        assert!(get(&mut connection, "/large.bin") == (200, large.clone()));
        assert!(get(&mut connection, "/text.txt") == (200, text.clone().into_bytes()));
    }
    assert!(connection.is_open());

    // That it was compressed at all.
    connection.request("HEAD", "/text.txt", &[("Accept-Encoding", ACCEPT_ENCODING)], b"").expect("sent");
    let response = connection.response().expect("an answer");
    assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
}

#[test]
fn a_connection_that_nginx_closes_is_opened_again() {
    let Some(site) = Site::start("keepalive_requests 2;", &[("a", b"body")]) else { return };
    let mut connection = site.connect();
    for _ in 0..5 {
        assert_eq!(get(&mut connection, "/a"), (200, b"body".to_vec()));
    }
}

#[test]
fn either_version_of_tls_will_do() {
    for (protocol, version) in [("TLSv1.2", "TLSv1_2"), ("TLSv1.3", "TLSv1_3")] {
        let Some(site) = Site::start(&format!("ssl_protocols {protocol};"), &[("a", b"body")]) else {
            return;
        };
        assert_eq!(get(&mut site.connect(), "/a"), (200, b"body".to_vec()));
        let stream = site.tls.connect((HOST, site.port), &site.options()).expect("a connection");
        assert_eq!(stream.tls_version(), Some(version));
    }
}

#[test]
fn a_version_that_nobody_speaks_any_more_is_refused() {
    // At this level OpenSSL would not speak it either.
    let directives = "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;";
    let Some(site) = Site::start(directives, &[]) else { return };
    let error = site.tls.connect((HOST, site.port), &site.options()).expect_err("TLS 1.1");
    let failure = error.tls_failure().expect("TLS failed");
    // The server's alert protocol_version, or what the client makes of its answer.
    assert!(matches!(failure, TlsFailure::Alert(70) | TlsFailure::Incompatible), "{error:?}");
}

#[test]
fn a_client_that_asks_for_tls_on_a_plain_port_is_told() {
    let port = free_port();
    let Some(_nginx) = Nginx::start(port, &[]) else { return };
    let tls = TlsOptions::new().insecure(true);
    let tls = TlsConnector::new(&tls).expect("usable options");
    let error = tls.connect((Ipv4Addr::LOCALHOST, port), &Options::default()).expect_err("no TLS");
    assert_eq!(error.tls_failure(), Some(TlsFailure::NotTls), "{error:?}");
}

/// Dead, silent, plain and forged: nginx wins.
#[test]
fn nginx_wins_against_whatever_goes_no_further_than_tcp() {
    let Some(site) = Site::start("", &[("a", b"body")]) else { return };
    let hole = BlackHole::open((Ipv4Addr::new(127, 0, 0, 2), 0));
    let forged = TlsServer::echo(&Authority::new().certify(&[HOST]));
    let (silent, plain) = (TlsServer::silent(), TlsServer::plain_http());
    let nginx = SocketAddr::from((Ipv4Addr::LOCALHOST, site.port));
    let addresses = [hole.address(), silent.address(), forged.address(), plain.address(), nginx];
    let stream = site.tls.connect(addresses, &Options::default()).expect("a connection");
    assert_eq!(stream.destination(), nginx);
}
