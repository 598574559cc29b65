//! Runs each example against a server on the loopback interface, with a refusing address before it.

mod support;

use std::process::{Command, Output};

use support::{expect, server};

/// Runs `program` with an address that refuses and one that serves a page.
fn run(program: &str) -> Output {
    Command::new(program).args(["127.0.0.1:1", &server()]).output().unwrap()
}

#[test]
fn connect() {
    let output = run(env!("CARGO_BIN_EXE_connect"));
    expect(&output, "connected to 127.0.0.1:");
    expect(&output, "127.0.0.1:1 connection refused");
}

#[test]
fn fetch() {
    expect(&run(env!("CARGO_BIN_EXE_fetch")), "the page\n");
}

#[test]
fn observe() {
    let output = run(env!("CARGO_BIN_EXE_observe"));
    let out = String::from_utf8_lossy(&output.stdout);
    let lost = out.lines().find(|line| line.starts_with(r#"{"host":"127.0.0.1","port":1,"outcome":"lost""#));
    assert!(lost.is_some_and(|line| line.contains(r#""error":"could not connect to 127.0.0.1:1"#)), "{out}");
    expect(&output, r#""outcome":"won","winner":"127.0.0.1:"#);
    expect(&output, "2 of 3 won");
    let err = String::from_utf8_lossy(&output.stderr);
    let event = |words: &str| err.lines().filter(|line| line.contains(words)).count();
    assert_eq!((event(" INFO connie: race "), event("DEBUG connie: attempt ")), (3, 4), "{err}");
}

#[test]
fn event_loop() {
    expect(&run(env!("CARGO_BIN_EXE_event_loop")), "connected to 127.0.0.1:");
}

#[test]
fn smoltcp_wire() {
    let output = Command::new(env!("CARGO_BIN_EXE_smoltcp_wire")).output().unwrap();
    expect(&output, "connected to 192.0.2.1:80 in ");
    expect(&output, "200 OK: hello\n");
}

#[test]
fn own_loop() {
    expect(&run(env!("CARGO_BIN_EXE_own_loop")), "connected to 127.0.0.1:");
}

#[test]
fn foreign_stack() {
    expect(&run(env!("CARGO_BIN_EXE_foreign_stack")), "connected to 127.0.0.1:");
}

/// `localhost` has two addresses. Nothing answers at the first, and Python's server is at the second.
#[test]
#[cfg(target_os = "linux")]
fn reqwless() {
    use connie_servers::{BlackHole, PythonServer};
    use std::net::Ipv6Addr;

    let dead = BlackHole::open((Ipv6Addr::LOCALHOST, 0));
    let port = dead.address().port();
    let Some(_server) = PythonServer::start(port, &[("page", b"the page\n")]) else { return };
    let run = |url: String| Command::new(env!("CARGO_BIN_EXE_reqwless")).arg(url).output().unwrap();
    expect(&run(format!("http://localhost:{port}/page")), "the page\n");
    for scheme in ["https", "HTTPS"] {
        let output = run(format!("{scheme}://localhost:{port}/page"));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "sent in the clear: {output:?}");
        assert!(err.contains("this program has no TLS") && err.lines().count() == 1, "{err}");
    }
    let output = run(format!("http://nobody.invalid:{port}/page"));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/page: Dns"));
}

#[test]
#[cfg(target_os = "linux")]
fn crawl() {
    let output = Command::new(env!("CARGO_BIN_EXE_crawl")).args(["300", "48"]).output().unwrap();
    expect(&output, "300 hosts of 12 addresses, 48 descriptors, 32 clients at a time");
    expect(&output, "0 live hosts missed, 0 times out of descriptors");
}

#[test]
fn without_addresses_each_says_what_it_wants() {
    for program in [
        env!("CARGO_BIN_EXE_connect"),
        env!("CARGO_BIN_EXE_fetch"),
        env!("CARGO_BIN_EXE_event_loop"),
        env!("CARGO_BIN_EXE_own_loop"),
        env!("CARGO_BIN_EXE_foreign_stack"),
    ] {
        let output = Command::new(program).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("give one address or more"), "{program}");
    }
}

/// Three addresses of a name: the first takes TCP and is silent, the second has the certificate of another
/// name, the third is nginx or `openssl s_server`.
#[test]
#[cfg(target_os = "linux")]
fn https_parts() {
    use connie_servers::{Authority, Nginx, OpensslServer, TlsServer, free_port, temporary_path};
    use std::io;

    let authority = Authority::new();
    let good = authority.certify(&["many.test"]);
    let der = temporary_path("der");
    std::fs::write(&der, authority.der()).unwrap();
    let port = free_port();
    let long: Vec<u8> = (0..50_000).map(|n| b'a' + (n % 26) as u8).collect();
    let files: [(&str, &[u8]); 4] = [
        ("cert.pem", good.certificate_pem.as_bytes()),
        ("key.pem", good.key_pem.as_bytes()),
        ("page", b"the page\n"),
        ("long", &long),
    ];
    let directives = format!(
        "listen 127.0.19.3:{port} ssl; ssl_certificate {{files}}/cert.pem; \
         ssl_certificate_key {{files}}/key.pem; ssl_protocols TLSv1.3;"
    );
    let Some(_nginx) = Nginx::configured(free_port(), &files, &directives) else { return };
    let at = |last: u8| std::net::SocketAddr::from(([127, 0, 19, last], port));
    let silent = TlsServer::raw_at(at(1), |mut tcp| io::copy(&mut tcp, &mut io::sink()).map(|_| ()));
    let wrong = TlsServer::start_at(at(2), &authority.certify(&["other.test"]), |_| Ok(()));
    let run = |port: u16, path: &str, lasts: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_https_parts"));
        command.args(["many.test", &port.to_string(), path]).arg(&der);
        command.args(lasts.iter().map(|last| format!("127.0.19.{last}")));
        command.output().unwrap()
    };
    let output = run(port, "/page", &[1, 2, 3]);
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"the page\n"[..], &b"200\n"[..]));
    // The others were tried, and more than a record comes whole.
    assert!(silent.accepted() == 1 && wrong.accepted() == 1);
    assert_eq!(run(port, "/long", &[1, 2, 3]).stdout, long);
    let output = run(port, "/page", &[2]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty() && err.contains("certificate"), "{err}");

    let other = free_port();
    if let Some(_openssl) = OpensslServer::start(other, &good.certificate_pem, &good.key_pem, &[]) {
        let output = run(other, "/", &[3]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("TLS_AES_128_GCM_SHA256"), "{output:?}");
    }
    std::fs::remove_file(der).unwrap();
}
