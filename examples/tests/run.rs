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
