//! A thousand races one after the other, and many at once: they leave nothing open. One test, alone in its
//! binary, since it counts the descriptors (on Windows the handles) of the whole process.
#![cfg(any(target_os = "linux", windows))]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use connie_servers::{BlackHole, Live, clock::now, clock::poll_until, closed_port, descriptors::descriptors};
use connie_std::{Canceler, Options, SocketBudget, connect};

const LONG: Duration = Duration::from_secs(60);
const IN_A_ROW: usize = 1_000;
const THREADS: usize = 50;
const EACH: usize = 10;
const BUDGET: usize = 64;

fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[test]
fn a_thousand_races_leave_nothing_open() {
    let hole = BlackHole::open((here(2), 0));
    let (closed, server) = (closed_port(here(3)), Live::silent((here(4), 0)));
    let addresses = [hole.address(), closed.address(), server.address()];
    let budget = SocketBudget::new(BUDGET);
    let race = Options::default().race.deadline(Some(LONG));
    let options = Options::new().race(race).budget(budget.clone());
    // What the first use makes and keeps.
    for _ in 0..20 {
        won(&addresses, &options);
    }
    server.wait_until(|counts| counts.open == 0);
    let before = steady(|| descriptors().total);

    for _ in 0..IN_A_ROW {
        won(&addresses, &options);
    }
    server.wait_until(|counts| counts.accepted >= IN_A_ROW && counts.open == 0);
    assert!(poll_until(LONG, || descriptors().total == before), "{before}, and now {:?}", descriptors());
    assert_eq!(budget.free(), BUDGET, "in a row");

    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..EACH).for_each(|_| won(&addresses, &options)));
        }
    });
    server.wait_until(|counts| counts.accepted >= IN_A_ROW + THREADS * EACH && counts.open == 0);
    assert!(poll_until(LONG, || descriptors().total == before), "{before}, and now {:?}", descriptors());
    assert_eq!(budget.free(), BUDGET, "at once");

    canceled_and_late(hole.address(), &options);
    assert!(poll_until(LONG, || descriptors().total == before), "{before}, and now {:?}", descriptors());
    assert_eq!(budget.free(), BUDGET, "canceled and late");
}

/// What `count` says when it has said the same for 50 ms: the server closes a moment after the client, and a
/// thread's handle goes a moment after the thread.
fn steady(count: impl Fn() -> usize) -> usize {
    let (mut last, mut since) = (count(), now());
    let quiet = poll_until(LONG, || {
        let found = count();
        if found != last {
            (last, since) = (found, now());
        }
        since.elapsed() >= Duration::from_millis(50)
    });
    assert!(quiet, "it goes on changing");
    last
}

#[track_caller]
fn won(addresses: &[SocketAddr; 3], options: &Options) {
    let winner = connect(addresses, options).expect("a connection");
    assert_eq!(winner.destination(), addresses[2]);
}

/// Races that end with an attempt under way: by another thread, and by their deadline.
fn canceled_and_late(hole: SocketAddr, options: &Options) {
    for _ in 0..EACH {
        let canceler = Canceler::new().expect("a canceler");
        let canceled = options.clone().canceler(canceler.clone());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| connect(hole, &canceled).map(drop).expect_err("canceled"));
            canceler.cancel();
            assert!(waiting.join().expect("a thread").is_canceled());
        });
        let race = options.race.clone().deadline(Some(Duration::from_millis(5)));
        let late = connect(hole, &options.clone().race(race)).map(drop).expect_err("too late");
        assert!(!late.is_canceled());
    }
}
