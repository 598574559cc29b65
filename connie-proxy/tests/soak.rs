//! Connections of all kinds, and what they leave behind. Alone in its process: descriptors are counted.
#![cfg(target_os = "linux")]

#[path = "proxy/support.rs"]
#[expect(dead_code, reason = "for the other tests")]
mod support;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use connie_servers::clock::poll_until;
use connie_servers::descriptors::descriptors;

use crate::support::{LIMIT, Running, Server, config, socks5};

/// A generator of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit as u64) as usize
    }
}

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
        visit(&proxy, &server, &mut random);
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

/// One client, which ends anywhere.
fn visit(proxy: &Running, server: &Server, random: &mut Random) {
    let mut client = proxy.client();
    let port = server.address.port().to_be_bytes();
    let whole = match random.below(4) {
        0 => [&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1][..], &port, b"hello"].concat(),
        1 => format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\nhello", server.address).into_bytes(),
        2 => format!("GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n", server.address).into_bytes(),
        _ => (0..random.below(40)).map(|_| random.below(256) as u8).collect(),
    };
    let cut = if random.below(3) == 0 { random.below(whole.len() + 1) } else { whole.len() };
    let _ = client.write_all(&whole[..cut]);
    match random.below(3) {
        0 => {}
        1 => {
            let _ = client.set_read_timeout(Some(Duration::from_millis(5)));
            let _ = client.read(&mut [0; 64]);
        }
        _ => {
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = client.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = client.read(&mut [0; 64]);
        }
    }
}
