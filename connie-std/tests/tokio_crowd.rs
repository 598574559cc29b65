//! A thousand races on one thread. Alone in its binary, since it counts the sockets of the whole process.
#![cfg(all(feature = "tokio", any(target_os = "linux", windows)))]

mod tokio_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connie_servers::{BlackHole, Live, closed_port, descriptors::SocketWatch};
use connie_std::SocketBudget;
use connie_std::tokio_net::connect;
use tokio::task::JoinSet;

use tokio_support::{LIMIT, any_port, here, run, within};

/// On Windows nobody counts them.
fn threads() -> usize {
    if cfg!(windows) { 0 } else { std::fs::read_dir("/proc/self/task").unwrap().count() }
}

const CROWD: usize = 1_000;
const BUDGET: usize = 100;
/// The servers' listeners and queues, tokio's own, and those that the server has not closed yet.
const OTHERS: usize = 40;

#[test]
fn a_thousand_races_share_one_thread_and_a_small_budget() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let closed = closed_port(here(3));
    let addresses = [hole.address(), closed.address(), server.address()];
    let before = threads();
    let watch = SocketWatch::start();
    let most_threads = run(move || async move {
        let budget = SocketBudget::new(BUDGET);
        let options = within(LIMIT).budget(budget.clone());
        let won = Arc::new(AtomicUsize::new(0));
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            let (options, won) = (options.clone(), won.clone());
            crowd.spawn(async move {
                let connected = connect(&addresses, &options).await.unwrap();
                assert_eq!(connected.destination(), addresses[2]);
                won.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut most = 0;
        while let Some(result) = crowd.join_next().await {
            result.unwrap();
            most = most.max(threads());
        }
        assert_eq!((won.load(Ordering::Relaxed), budget.free()), (CROWD, BUDGET));
        most
    });
    // The watch's and the runtime's.
    assert!(most_threads <= before + 2, "{most_threads} threads, {before} before");
    server.wait_until(|counts| counts.accepted >= CROWD && counts.open == 0);
    let most = watch.most();
    // The server, in this process too, has one for each of the client's.
    assert!(most <= 2 * BUDGET + OTHERS, "{most} sockets at once");
}
