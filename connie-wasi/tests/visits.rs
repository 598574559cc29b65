//! Visits to one host with a memory, in a component: run as `tests/runtime.rs` is.
#![cfg(target_os = "wasi")]

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use connie_wasi::connie_core::memory::Verdict;
use connie_wasi::{Connected, Memory, Options, WasiPoller, connect, http1};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn options(memory: Option<&Memory>) -> Options {
    Options::new().deadline(LONG).memory(memory.cloned())
}

/// `localhost` is `::1`, where nobody listens, and 127.0.0.1.
fn visit(port: u16, memory: Option<&Memory>) -> Connected {
    connect(("localhost", port), &options(memory)).expect("a server")
}

#[test]
fn from_the_second_visit_on_one_attempt_is_enough() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let attempts = |memory| visit(port, memory).timeline().summary().attempts;
    let memory = Memory::new();
    assert_eq!(attempts(Some(&memory)), 2);
    // One visit in 32 explores the other beside it.
    let later: u32 = (0..3).map(|_| attempts(Some(&memory))).sum();
    assert!(later <= 3 + 1, "{later}");
    assert_eq!(attempts(None), 2);
    assert!(!memory.entries().is_empty());
    memory.forget();
    assert!(memory.entries().is_empty());
    assert_eq!(attempts(Some(&memory)), 2);
}

#[test]
fn a_verdict_is_told_and_outlives_the_connection() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let memory = Memory::new();
    visit(port, Some(&memory)).report_to_memory(Verdict::Stalled);
    // Who stalls does not lead: both are tried.
    assert_eq!(visit(port, Some(&memory)).timeline().summary().attempts, 2);
}

#[test]
fn connections_of_http_share_the_memory_of_their_options() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let memory = Memory::new();
    let mut connection =
        http1::connection("localhost", port, options(Some(&memory)), WasiPoller::new()).unwrap();
    connection.set_timeout(Some(LONG));
    connection.request("GET", "/", &[], b"").unwrap();
    assert!(!memory.entries().is_empty());
}
