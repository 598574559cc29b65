//! The commands that have to work from a fresh clone, word for word.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use connie_lab::in_namespace;

use crate::server::Server;
use crate::support::{Ran, connie, fresh_path};

#[track_caller]
fn command(line: &str) -> Ran {
    connie(line.split_whitespace())
}

/// The commands name port 8080 of 127.0.0.2, .3 and .4: the first two must refuse, and the last be free.
fn port_8080_is_ours() -> bool {
    let refuses = |address: &str| {
        let address: SocketAddr = address.parse().expect("an address");
        TcpStream::connect_timeout(&address, Duration::from_millis(500))
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    refuses("127.0.0.2:8080") && refuses("127.0.0.3:8080") && TcpListener::bind("127.0.0.4:8080").is_ok()
}

#[test]
fn pages_come_over_the_one_address_that_serves() {
    // `in_namespace` sets this in the process where it runs the test again, and wants to be called there too.
    let again = std::env::var_os("CONNIE_LAB_PROOF").is_some();
    if port_8080_is_ours() && !again {
        fetch_over_port_8080();
    } else {
        in_namespace(|_| fetch_over_port_8080());
    }
}

fn fetch_over_port_8080() {
    let _server = Server::serving("127.0.0.4:8080", "the page\n");
    command("get http://name.test:8080/ --resolve name.test:8080:127.0.0.2,127.0.0.3,127.0.0.4")
        .exits(0)
        .prints("the page\n")
        .is_quiet();

    let ran = command("race --json name.test:8080 --resolve name.test:8080:127.0.0.2,127.0.0.4");
    let race = ran.exits(0).is_quiet().json();
    assert_eq!(race["winner"], "127.0.0.4:8080");
}

#[test]
fn a_refused_address_is_a_line() {
    let ran = command("get http://127.0.0.1:1/");
    let line = "connie: could not connect to 127.0.0.1:1: connection refused; check that a server \
                listens on that port\n";
    ran.exits(7).prints("").says_lines(1).says(line);
}

#[test]
fn a_host_without_addresses_is_not_resolved() {
    command("get http://no-such-host.invalid/")
        .exits(6)
        .prints("")
        .says_lines(1)
        .says("could not resolve no-such-host.invalid")
        .says("--resolve");
}

#[test]
fn the_demo_needs_no_network() {
    let ran = command("demo");
    ran.exits(0).is_quiet();
    for part in [
        "www.example.com",
        "== connie, visit 1: ",
        "== connie, visit 2: ",
        "== connie, visit 20: ",
        "== In short",
    ] {
        assert!(ran.out().contains(part), "{}", ran.out());
    }
    assert_eq!(command("demo").out(), ran.out(), "virtual time has no accidents");
    assert_ne!(command("demo --seed 1").out(), ran.out());
}

#[test]
fn the_demo_draws_three_visits_and_what_they_come_to() {
    let file = fresh_path("demo.svg");
    let ran = connie(["demo", "--svg", file.to_str().unwrap()]);
    ran.exits(0);
    let drawn = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let titles = ["connie, visit 1: ", "connie, visit 2: ", "connie, visit 20: "];
    for title in titles {
        assert_eq!(drawn.matches(&format!("<title>{title}")).count(), 1, "{drawn}");
    }
    // The words of the summary are those that the terminal shows.
    let out = ran.out();
    let (_, sum) = out.split_once("== In short").unwrap();
    for words in ["39 ms", "12 SYNs", "1 SYN", "1224 ms", "127.2 s"] {
        assert!(sum.contains(words) && drawn.contains(words), "{words}: {sum}{drawn}");
    }
    assert_eq!(drawn.matches("<svg ").count(), drawn.matches("</svg>").count());
    command("demo --svg /no/such/folder/demo.svg").exits(23).says_lines(1);
}

/// What the README shows is what its command draws, with as many sockets as every other command has.
#[test]
fn the_picture_in_the_readme_is_what_the_demo_draws() {
    let drawn = command("demo --svg -").exits(0).out();
    assert_eq!(
        drawn,
        include_str!("../../../docs/demo.svg"),
        "cargo run --release -- demo --svg docs/demo.svg"
    );
    assert_eq!(command("demo --svg - --max-in-flight 16").exits(0).out(), drawn);
    // The name that it had before is still taken.
    let one = command("demo --max-sockets 1").exits(0).out();
    assert!(one.contains("== connie, visit 1: nothing known yet, 12 take turns on 1 socket\n"), "{one}");
    command("demo --max-in-flight 65").exits(2).says("64").says_lines(1);
}
