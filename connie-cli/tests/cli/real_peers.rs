//! Servers and proxies that others have written: nginx, Python's http.server, tinyproxy.

use connie_servers::{Authority, Nginx, PemFile, PythonServer, Tinyproxy, free_port};

use crate::support::{Ran, connie, fresh_path};

#[track_caller]
fn get(url: &str, options: &[&str]) -> Ran {
    connie(["get", url].iter().chain(options))
}

/// What nginx serves here, and how, on a port of its own for http and one for https.
struct Served {
    port: u16,
    tls: u16,
    authority: PemFile,
    nginx: Nginx,
    _identity: [PemFile; 2],
}

const TEXT: &str = "a text that can be made smaller, smaller, smaller, smaller, smaller, smaller, smaller\n";

impl Served {
    fn start() -> Option<Self> {
        let authority = Authority::new();
        let identity = authority.certify(&["name.test", "127.0.0.1"]);
        let files = [PemFile::new(&identity.certificate_pem), PemFile::new(&identity.key_pem)];
        let (port, tls) = (free_port(), free_port());
        let directives = format!(
            "listen 127.0.0.1:{tls} ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};\n\
             location /gzip/ {{ alias {{files}}/; gzip on; gzip_types text/plain; gzip_min_length 1; types {{ text/plain txt; }} }}\n\
             location /put/ {{ alias {{files}}/; dav_methods PUT; client_max_body_size 16m; }}\n\
             location /old {{ return 301 /text.txt; }}\n\
             location /secure {{ return 302 https://name.test:{tls}/text.txt; }}\n\
             location /plain {{ return 302 http://name.test:{port}/text.txt; }}\n",
            files[0].path().display(),
            files[1].path().display(),
        );
        let content = [("text.txt", TEXT.as_bytes()), ("big", &vec![b'x'; 3 << 20])];
        let nginx = Nginx::configured(port, &content, &directives)?;
        Some(Served { port, tls, authority: authority.file(), nginx, _identity: files })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn secure(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.tls)
    }

    fn trusts(&self) -> [&str; 2] {
        ["--cacert", self.authority.path().to_str().expect("a path")]
    }
}

#[test]
fn nginx_serves_pages_on_a_kept_connection() {
    let Some(served) = Served::start() else { return };
    let url = served.url("/text.txt");
    let ran = connie(["get", "-v", &url, &url, &served.url("/old"), "-L"]);
    ran.exits(0).prints(&TEXT.repeat(3)).says("< HTTP/1.1 301 Moved Permanently");
    assert_eq!(ran.stderr.matches("* reusing the connection").count(), 3, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("* connected to").count(), 1, "{}", ran.stderr);
    get(&served.url("/missing"), &["-f"]).exits(22);
    get(&url, &["-I"]).exits(0);
}

#[test]
fn nginx_sends_ranges_and_completes_files() {
    let Some(served) = Served::start() else { return };
    let url = served.url("/text.txt");
    get(&url, &["-r", "2-5"]).exits(0).prints(&TEXT[2..6]);
    let path = fresh_path("part");
    let file = path.to_str().unwrap();
    std::fs::write(&path, &TEXT[..10]).unwrap();
    for _ in 0..2 {
        get(&url, &["-C", "-", "-o", file]).exits(0).is_quiet();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
    }
    std::fs::write(&path, TEXT.repeat(2)).unwrap();
    get(&url, &["-C", "-", "-o", file]).exits(33).says("the server has only");
}

#[test]
fn nginx_takes_uploads_and_asks_for_large_ones() {
    let Some(served) = Served::start() else { return };
    let path = fresh_path("upload");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "small\n").unwrap();
    get(&served.url("/put/small"), &["-f", "-T", file]).exits(0);
    assert_eq!(std::fs::read_to_string(served.nginx.files().join("small")).unwrap(), "small\n");
    let large: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    std::fs::write(&path, &large).unwrap();
    for (name, options) in [("put", &[][..]), ("chunked", &["-H", "Transfer-Encoding: chunked"])] {
        let url = served.url(&format!("/put/{name}"));
        let ran = get(&url, &[&["-v", "-f", "-T", file], options].concat());
        ran.exits(0).says("> Expect: 100-continue").says("< HTTP/1.1 201 Created");
        assert!(std::fs::read(served.nginx.files().join(name)).unwrap() == large, "{name} is not the file");
    }
    std::fs::write(&path, vec![b'x'; 17 << 20]).unwrap();
    get(&served.url("/put/huge"), &["-f", "-T", file]).exits(22).says("413");
}

#[test]
fn nginx_compresses_what_may_be_compressed() {
    let Some(served) = Served::start() else { return };
    let url = served.url("/gzip/text.txt");
    let ran = get(&url, &["-v", "--compressed"]);
    ran.exits(0).prints(TEXT).says("> Accept-Encoding: gzip, deflate").says("< Content-Encoding: gzip");
    let plain = get(&url, &["-v"]);
    plain.exits(0).prints(TEXT);
    assert!(!plain.stderr.contains("Encoding"), "{}", plain.stderr);
    // Asked for by hand, it is handed on as it comes.
    let raw = get(&url, &["-H", "Accept-Encoding: gzip"]);
    assert!(raw.exits(0).stdout.starts_with(&[0x1f, 0x8b]) && raw.stdout.len() < TEXT.len());
}

#[test]
fn nginx_speaks_tls() {
    let Some(served) = Served::start() else { return };
    let url = served.secure("/text.txt");
    get(&url, &served.trusts()).exits(0).prints(TEXT).is_quiet();
    get(&url, &["-k"]).exits(0).prints(TEXT);
    get(&url, &[]).exits(60).prints("").says("--cacert FILE").says("authority");
    let ran = connie(
        ["get", "-v", &url, &served.secure("/big"), "-o", "/dev/null", "-o", "/dev/null"]
            .iter()
            .chain(&served.trusts()),
    );
    ran.exits(0).says("* TLSv1.3 with 127.0.0.1").says("* reusing the connection");
    for line in ["tls", "tcp"] {
        get(&url, &[&served.trusts()[..], &["--finish-line", line]].concat()).exits(0).prints(TEXT);
        get(&url, &["--finish-line", line]).exits(60).says("--cacert");
    }
    let wrong = format!("https://localhost:{}/text.txt", served.tls);
    get(&wrong, &[&served.trusts()[..], &["-4"]].concat()).exits(60).says("name");
    get(&served.url("/text.txt").replace("http:", "https:"), &["-k"])
        .exits(35)
        .says("does not speak TLS")
        .says("http URL");
    get(&url.replace("https:", "http:"), &["-f"]).exits(22).says("400");
    get(&url, &["--cacert", "/nonexistent/file"]).exits(77).says_lines(1).says("/nonexistent/file");
}

#[test]
fn a_dead_address_does_not_hold_https_up() {
    let Some(served) = Served::start() else { return };
    // One that takes TCP and never says a word, one that refuses, and nginx.
    let silent = std::net::TcpListener::bind(("127.0.0.2", served.tls)).unwrap();
    let entry = format!("name.test:{}:127.0.0.2,127.0.0.3,127.0.0.1", served.tls);
    let url = format!("https://name.test:{}/text.txt", served.tls);
    let options = ["--resolve", &entry, "-m", "30"];
    get(&url, &[&options[..], &served.trusts()].concat()).exits(0).prints(TEXT).is_quiet();
    drop(silent);
}

#[test]
fn redirects_change_between_http_and_https() {
    let Some(served) = Served::start() else { return };
    let resolve = [served.port, served.tls].map(|port| format!("name.test:{port}:127.0.0.1"));
    let options = ["-L", "-v", "-u", "me:secret", "--resolve", &resolve[0], "--resolve", &resolve[1]];
    let options = [&options[..], &served.trusts()].concat();
    for url in [
        format!("http://name.test:{}/secure", served.port),
        format!("https://name.test:{}/plain", served.tls),
    ] {
        let ran = get(&url, &options);
        ran.exits(0).prints(TEXT);
        assert_eq!(
            ran.stderr.matches("> Authorization").count(),
            1,
            "another scheme is another origin: {}",
            ran.stderr
        );
    }
}

#[test]
fn python_serves_pages() {
    let port = free_port();
    let Some(_server) = PythonServer::start(port, &[("page", b"from python\n")]) else { return };
    let url = format!("http://127.0.0.1:{port}/page");
    // HTTP/1.0: a connection for each.
    connie(["get", &url, &url]).exits(0).prints("from python\nfrom python\n").is_quiet();
    get(&format!("http://127.0.0.1:{port}/"), &["-i"]).exits(0).says("");
    get(&format!("http://127.0.0.1:{port}/missing"), &["-f"]).exits(22).says("404");
    get(&url, &["-d", "x"]).exits(0);
    get(&url, &["-f", "-d", "x"]).exits(22).says("501");
}

#[test]
fn tinyproxy_leads_everywhere() {
    let Some(served) = Served::start() else { return };
    let port = free_port();
    let Some(_proxy) = Tinyproxy::start(port, "") else { return };
    let address = format!("127.0.0.1:{port}");
    let proxy = ["-x", address.as_str()];
    get(&served.url("/text.txt"), &proxy).exits(0).prints(TEXT).is_quiet();
    get(&served.url("/text.txt"), &[&proxy[..], &["-p"]].concat()).exits(0).prints(TEXT).is_quiet();
    let by_tunnel = [&proxy[..], &served.trusts()].concat();
    get(&served.secure("/text.txt"), &by_tunnel).exits(0).prints(TEXT).is_quiet();
    let urls = [served.secure("/text.txt"), served.secure("/big"), served.secure("/text.txt")];
    let ran = connie(
        ["get", "-v"]
            .iter()
            .copied()
            .chain(urls.iter().map(String::as_str))
            .chain(by_tunnel.iter().copied())
            .chain(["-o", "/dev/null", "-o", "/dev/null"]),
    );
    ran.exits(0)
        .prints(TEXT)
        .says(&format!("* tunnel through http://{address} to 127.0.0.1 port {}", served.tls));
    assert_eq!(ran.stderr.matches("* tunnel").count(), 1, "{}", ran.stderr);
    get(&served.secure("/text.txt"), &proxy).exits(60).says("--cacert");
    get("http://127.0.0.1:1/", &[&proxy[..], &["-f"]].concat()).exits(22);
    get("https://127.0.0.1:1/", &proxy).exits(56).says("to CONNECT");
}

#[test]
fn tinyproxy_wants_a_login() {
    let Some(served) = Served::start() else { return };
    let port = free_port();
    let Some(_proxy) = Tinyproxy::start(port, "BasicAuth me secret") else { return };
    let address = format!("127.0.0.1:{port}");
    for url in [served.url("/text.txt"), served.secure("/text.txt")] {
        let options = [&["-k", "-x", address.as_str()][..], &["-U", "me:secret"]].concat();
        get(&url, &options).exits(0).prints(TEXT);
    }
    get(&served.url("/text.txt"), &["-f", "-x", &address]).exits(22).says("407");
    get(&served.secure("/text.txt"), &["-k", "-x", &address]).exits(56).says("407").says("-U");
}
