//! Runs each example against a server on the loopback interface, with dead addresses before it.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::Command;

use support::{expect, server};

#[test]
fn ureq() {
    let (_, port) = server().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let url = format!("http://localhost:{port}/");
    expect(&Command::new(env!("CARGO_BIN_EXE_ureq")).arg(url).output().unwrap(), "the page\n");
}

#[test]
#[cfg(target_os = "linux")]
fn https() {
    use connie_servers::{Authority, TlsServer};

    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), |served| {
        while !served.read_head()?.is_empty() {
            served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n")?;
        }
        served.close()
    });
    let run = |file: &std::path::Path| {
        let program = env!("CARGO_BIN_EXE_https");
        Command::new(program).arg(server.address().to_string()).arg(file).output().unwrap()
    };
    expect(&run(authority.file().path()), "/again: 200 OK\nthe page\n");
    assert_eq!(server.accepted(), 1);
    // Somebody else's.
    let output = run(Authority::new().file().path());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("certificate not issued by a trusted authority"), "{err}");
}

#[cfg(target_os = "linux")]
const HYPER: &str = env!("CARGO_BIN_EXE_hyper");

/// With a black hole at the first address of the host, and nobody at the second.
#[cfg(target_os = "linux")]
#[track_caller]
fn run_hyper(program: &str, url: &str, server: std::net::SocketAddr, ca: Option<&std::path::Path>) {
    let _hole = connie_servers::BlackHole::open(([127, 0, 0, 2], server.port()));
    let mut program = Command::new(program);
    program.args([url, "127.0.0.2", "127.0.0.3", "127.0.0.1"]);
    if let Some(ca) = ca {
        program.env("SSL_CERT_FILE", ca);
    }
    let output = program.output().unwrap();
    expect(&output, "the page\n");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains(&format!("127.0.0.1:{} won", server.port())), "{err}");
    assert!(err.contains("127.0.0.2  canceled"), "{err}");
    assert!(err.contains("127.0.0.3  refused"), "{err}");
}

#[test]
#[cfg(target_os = "linux")]
fn hyper() {
    let server: std::net::SocketAddr = server().parse().unwrap();
    run_hyper(HYPER, &format!("http://name.test:{}/", server.port()), server, None);
}

#[cfg(target_os = "linux")]
#[track_caller]
fn run_hyper_with_tls(program: &str) {
    use connie_servers::{Authority, TlsServer};

    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["name.test"]), |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n")?;
        served.close()
    });
    let url = format!("https://name.test:{}/", server.address().port());
    run_hyper(program, &url, server.address(), Some(authority.file().path()));
    assert_eq!(server.accepted(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn hyper_with_tls() {
    run_hyper_with_tls(HYPER);
}

#[test]
#[cfg(target_os = "linux")]
fn hyper_https() {
    run_hyper_with_tls(env!("CARGO_BIN_EXE_hyper_https"));
}

/// What such a client is good for: with a black hole at the first address of its host, and nobody at the
/// second.
#[cfg(target_os = "linux")]
#[track_caller]
fn run_ordered(program: &str, options: &[&str]) -> String {
    let server: std::net::SocketAddr = server().parse().unwrap();
    let _hole = connie_servers::BlackHole::open(([127, 0, 0, 2], server.port()));
    let mut program = Command::new(program);
    program.arg(format!("http://name.test:{}/", server.port())).args(options);
    let output = program.args(["127.0.0.2", "127.0.0.3", "127.0.0.1"]).output().unwrap();
    expect(&output, "the page\n");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains(&server.to_string()), "{err}");
    err
}

/// Plain, it waits for the first address until it gives up.
#[test]
#[cfg(target_os = "linux")]
fn reqwest() {
    let err = run_ordered(env!("CARGO_BIN_EXE_reqwest"), &["--visits", "3"]);
    assert_eq!(err.lines().count(), 3, "{err}");
    let milliseconds =
        err.split_whitespace().filter_map(|word| word.parse::<f64>().ok().filter(|it| it.fract() > 0.0));
    assert!(milliseconds.sum::<f64>() < 5_000.0, "{err}");
}

#[test]
#[cfg(target_os = "linux")]
fn hyper_ordered() {
    run_ordered(env!("CARGO_BIN_EXE_hyper_ordered"), &[]);
}
