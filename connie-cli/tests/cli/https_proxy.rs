//! Proxies that speak TLS themselves.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connie_servers::{Authority, PemFile, Served, TlsServer};

use crate::site::{Reply, Site};
use crate::support::connie;

/// A proxy that speaks TLS, remembers the heads that it was sent, answers for every server, and opens every
/// tunnel: to `names` where it is not asked for an address.
pub struct HttpsProxy {
    server: TlsServer,
    heads: Arc<Mutex<Vec<String>>>,
    authority: PemFile,
}

impl HttpsProxy {
    pub fn start(names: Option<SocketAddr>) -> Self {
        let authority = Authority::new();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&heads);
        let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), move |served| {
            let head = served.read_head()?;
            log.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
            let target = head.split(' ').nth(1).unwrap_or_default();
            if !head.starts_with("CONNECT") {
                let page = format!("by proxy: {target}\n");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
                return served.write_all((head + &page).as_bytes());
            }
            let Some(to) = target.parse().ok().or(names) else {
                return served.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
            };
            served.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            relay(served, &mut TcpStream::connect(to)?)
        });
        HttpsProxy { server, heads, authority: authority.file() }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.server.address())
    }

    /// The file that has the proxy's authority.
    pub fn file(&self) -> &str {
        self.authority.path().to_str().expect("the path is text")
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Passes on what either side says, until one is at its end.
fn relay(served: &mut Served, server: &mut TcpStream) -> io::Result<()> {
    let pause = Some(Duration::from_millis(5));
    served.tcp().set_read_timeout(pause)?;
    server.set_read_timeout(pause)?;
    let mut piece = vec![0; 64 * 1024];
    let some = |read: io::Result<usize>| match read {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        read => read.map(Some),
    };
    // For as long as a test may take.
    for _ in 0..6_000 {
        match some(served.read(&mut piece))? {
            Some(0) => return Ok(()),
            Some(count) => server.write_all(&piece[..count])?,
            None => {}
        }
        match some(server.read(&mut piece))? {
            Some(0) => return served.close(),
            Some(count) => served.write_all(&piece[..count])?,
            None => {}
        }
    }
    Ok(())
}

fn get(proxy: &HttpsProxy, arguments: &[&str]) -> crate::support::Ran {
    connie(["get", "-x", &proxy.url(), "--proxy-cacert", proxy.file()].iter().chain(arguments))
}

#[test]
fn an_https_proxy_is_asked_within_tls() {
    let proxy = HttpsProxy::start(None);
    get(&proxy, &["-U", "me:secret", "http://name.test/a"])
        .exits(0)
        .prints("by proxy: http://name.test/a\n")
        .is_quiet();
    let head = &proxy.heads()[0];
    assert!(head.starts_with("GET http://name.test/a HTTP/1.1\r\nHost: name.test\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
}

#[test]
fn a_tunnel_for_http_leads_through_its_tls() {
    let (proxy, server) = (HttpsProxy::start(None), Site::start(|asked| Reply::ok(asked.target())));
    get(&proxy, &["-p", &server.url("/1"), &server.url("/2")]).exits(0).prints("/1/2").is_quiet();
    assert_eq!(proxy.heads().len(), 1, "one tunnel for both");
    assert!(proxy.heads()[0].starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address())));
    let ran = get(&proxy, &["-v", "-p", &server.url("/")]);
    ran.exits(0).says(&format!("tunnel through {}", proxy.url()));
    assert!(!ran.stderr.contains("TLSv1.3 with"), "none is spoken with the server: {}", ran.stderr);
}

#[test]
fn tls_with_the_server_is_within_tls_with_the_proxy() {
    let authority = Authority::new();
    let body: String = (0..300_000).map(|number| format!("{number}\n")).collect();
    let page = body.clone();
    let server = TlsServer::start(&authority.certify(&["name.test"]), move |served| {
        let head = served.read_head()?;
        assert!(!head.contains("Proxy-"), "{head}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
        served.write_all(head.as_bytes())?;
        served.write_all(page.as_bytes())?;
        served.close()
    });
    let proxy = HttpsProxy::start(Some(server.address()));
    let file = authority.file();
    let options = ["--cacert", file.path().to_str().unwrap(), "-U", "me:secret"];
    let ran = get(&proxy, &[&options[..], &["https://name.test/"]].concat());
    ran.exits(0).is_quiet();
    assert!(ran.out() == body, "{} of {} octets", ran.stdout.len(), body.len());
    let head = &proxy.heads()[0];
    assert!(head.starts_with("CONNECT name.test:443 ") && head.contains("bWU6c2VjcmV0"), "{head}");
    get(&proxy, &["https://name.test/"]).exits(60).says(&format!("through the proxy {}", proxy.url()));
}

#[test]
fn an_upload_through_two_layers_of_tls_arrives_whole() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["name.test"]), move |served| {
        served.read_head()?;
        let mut body = vec![0; 900_000];
        served.read_exact(&mut body)?;
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        let page = sum.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
        served.write_all((head + &page).as_bytes())?;
        served.close()
    });
    let proxy = HttpsProxy::start(Some(server.address()));
    let path = crate::support::fresh_path("upload");
    let body: Vec<u8> = (0..900_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&path, &body).unwrap();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let (file, data) = (authority.file(), format!("@{}", path.display()));
    let options = ["--cacert", file.path().to_str().unwrap(), "--data-binary", &data, "https://name.test/"];
    get(&proxy, &options).exits(0).prints(&sum.to_string());
}

#[test]
fn who_is_trusted_as_a_proxy_is_said_by_options_of_its_own() {
    let proxy = HttpsProxy::start(None);
    let url = proxy.url();
    let ask = |options: &[&str]| connie(["get", "-x", &url, "http://name.test/"].iter().chain(options));
    ask(&[]).exits(60).says(&format!("could not reach the proxy {url}"));
    ask(&["-k", "--cacert", proxy.file()]).exits(60);
    ask(&["--proxy-insecure"]).exits(0);
    ask(&["--proxy-cacert", "/nonexistent"]).exits(77);
    let plain = TlsServer::plain_http();
    let url = format!("https://{}", plain.address());
    connie(["get", "-x", &url, "http://name.test/"]).exits(35).says("could not reach the proxy");
}

#[test]
fn a_proxy_within_tls_that_opens_no_tunnel_is_an_error() {
    let proxy = HttpsProxy::start(None);
    get(&proxy, &["https://name.test/"]).exits(56).says("answered 403 to CONNECT");
}
