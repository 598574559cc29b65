//! Runs the example over a TAP device in a network namespace of its own.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Output};

use connie_lab::in_namespace;
use connie_servers::Live;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_smoltcp_tap")).args(arguments).output().expect("the example")
}

#[test]
fn a_page_comes_from_the_address_that_answers() {
    in_namespace(|lab| {
        lab.ip("tuntap add dev tap0 mode tap\naddr add 192.0.2.1/24 dev tap0\nlink set tap0 up");
        let _server = Live::http(SocketAddr::new(SERVER, 8080), "the page\n");
        let output = run(&["tap0", "192.0.2.2/24", "192.0.2.77:8080", "192.0.2.1:8081", "192.0.2.1:8080"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the page\n", "{told}");
        // As words, whatever the width of the table.
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in ["192.0.2.77:8080 canceled", "192.0.2.1:8080 established", "200 OK"] {
            assert!(words.contains(line), "{line:?} is not in\n{told}");
        }
    });
}

#[test]
fn a_device_that_is_not_there_is_a_clear_error() {
    let output = run(&["nosuchtap0", "192.0.2.2/24", "192.0.2.1:8080"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("there is no device nosuchtap0 that is up and has an IPv4 address"), "{told}");
}
