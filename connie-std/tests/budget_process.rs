//! A program that holds its connections, with the budget that every program has. Alone in its binary, since
//! that budget is the process's, as is the limit that it is made from.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use connie_std::{ConnectErrorKind, Connected, Options, SocketBudget, connect};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn the_socket_after_the_last_fails_at_once() {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: before.maximum }).expect("a limit");
    // Nobody accepts: a connection takes no descriptor but the client's.
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    rustix::net::listen(&server, 512).expect("a longer backlog");
    let address = server.local_addr().expect("an address");
    // Where it waited for a connection, it would wait until this.
    let race = Options::default().race.deadline(Some(Duration::from_secs(60)));
    let options = Options::new().race(race);
    let mut held: Vec<Connected> =
        (0..192).map(|_| connect(address, &options).expect("a connection")).collect();
    let budget = SocketBudget::for_process();
    assert_eq!((budget.sockets(), budget.free(), budget.held()), (192, 0, 192), "three quarters of 256");
    let error = connect(address, &options).expect_err("no socket is left");
    assert!(matches!(error.kind(), ConnectErrorKind::BudgetHeld { sockets: 192, .. }), "{error}");
    assert!(
        error.to_string().contains("connections hold every socket of its budget, which has 192:"),
        "{error}"
    );
    held.pop();
    connect(address, &options).expect("one was closed");
}
