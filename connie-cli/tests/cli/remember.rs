//! `--memory`: what one connection has learnt the next one goes by, in one run and in the next.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::support::{connie, fresh_path};

/// Three addresses of one name that answer, and how to tell the program of them.
fn hosts() -> (Vec<TcpListener>, SocketAddr, String) {
    let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 31), 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let others = [32, 33].map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).unwrap());
    let resolve = format!("name.test:{port}:127.0.0.31,127.0.0.32,127.0.0.33");
    (std::iter::once(first).chain(others).collect(), (Ipv4Addr::LOCALHOST, port).into(), resolve)
}

/// How many attempts a race to them took.
fn attempts(hosts: &(Vec<TcpListener>, SocketAddr, String), options: &[&str]) -> usize {
    let target = format!("name.test:{}", hosts.1.port());
    let arguments = ["race", &target, "--json", "--resolve", &hosts.2];
    let ran = connie(arguments.into_iter().chain(options.iter().copied()));
    ran.exits(0).json()["attempts"].as_array().expect("a list").len()
}

#[test]
fn the_second_run_starts_one_address() {
    let hosts = hosts();
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    assert_eq!(attempts(&hosts, &["--memory", file]), 3);
    assert_eq!(attempts(&hosts, &["--memory", file]), 1);
    // The last of the two counts.
    assert_eq!(attempts(&hosts, &["--memory", file, "--no-memory"]), 3);
    assert_eq!(attempts(&hosts, &["--no-memory", "--memory", file]), 1);
    assert_eq!(attempts(&hosts, &[]), 3);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_none_is_an_error_of_one_line_and_stays_as_it_is() {
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "hello").unwrap();
    for command in [["race", "127.0.0.1:1"], ["get", "http://127.0.0.1:1/"]] {
        let line = format!("connie: {file}: not a memory that this version wrote: remove it to begin anew\n");
        connie(command.into_iter().chain(["--memory", file])).exits(26).says_lines(1).says(&line);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    std::fs::remove_file(path).unwrap();
}
