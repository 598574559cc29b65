//! Connections of all kinds, and what they leave behind. Alone in its process: descriptors are counted.
#![cfg(target_os = "linux")]

#[path = "proxy/support.rs"]
#[expect(dead_code, reason = "for the other tests")]
mod support;
#[path = "soak/visit.rs"]
mod visit;

use std::time::Duration;

use connie_servers::clock::poll_until;
use connie_servers::descriptors::descriptors;

use crate::support::{LIMIT, Running, Server, config, socks5};
use crate::visit::{Random, visit};

/// Connections of all kinds for some seconds; then nothing is left of them. `CONNIE_SOAK_SECONDS` has it go
/// on for longer, `CONNIE_SOAK_SEED` does the same again.
#[test]
fn a_soak_leaves_nothing_behind() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (number("CONNIE_SOAK_SECONDS", 3), number("CONNIE_SOAK_SEED", 23));
    println!("CONNIE_SOAK_SEED={seed}");
    let server = Server::echo();
    let mut config = config();
    config.limits.handshake = Duration::from_millis(500);
    let proxy = Running::start(config);
    // What the runtime needs is there once it has served.
    assert_eq!(socks5(&mut proxy.client(), server.address), 0);
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 0));
    let before = descriptors();
    let start = connie_servers::clock::now();
    let (mut random, mut done) = (Random(seed), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        visit(proxy.client(), server.address, &mut random);
        done += 1;
    }
    println!("{done} connections");
    assert!(done > 100, "only {done}");
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 0), "{:?}", proxy.view.counts());
    assert!(
        poll_until(LIMIT, || descriptors().total <= before.total),
        "{:?}, before {before:?}",
        descriptors()
    );
}
