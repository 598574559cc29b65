//! Races with a memory, over the kernel's own sockets behind a router with delays. What is counted are SYNs
//! on the wire.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_core::Config;
use connie_std::{Memory, Options, connect};
use connie_tests::clock::timed;
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use kernel_support::{PORT, at, everywhere, race};

fn with(memory: &Memory) -> Options {
    Options::new().memory(memory.clone()).race(Config::all_at_once())
}

/// How many attempts have gone out so far.
fn syns(lab: &Lab) -> usize {
    lab.log().attempts().len()
}

/// One visit, won by `winner`, `expected` after its start. How many SYNs it took.
#[track_caller]
fn visit(
    lab: &Lab,
    addresses: &[SocketAddr],
    options: &Options,
    winner: IpAddr,
    expected: Duration,
) -> usize {
    let before = syns(lab);
    drop(race(addresses, options).won_by(winner, expected));
    syns(lab) - before
}

fn server() -> TcpListener {
    TcpListener::bind(everywhere()).expect("a free port")
}

/// "About one SYN on every visit but the first", and the first as fast as ever.
#[test]
fn of_six_alive_the_nearest_is_met_with_one_syn() {
    in_namespace(|lab| {
        let _server = server();
        for n in 1..=6 {
            lab.set(v4(n), Behaviour::accept(ms(20 + 25 * u64::from(6 - n))));
        }
        let addresses = at((1..=6).map(v4));
        let memory = Memory::new();
        assert_eq!(visit(lab, &addresses, &with(&memory), v4(6), ms(20)), 6);
        for _ in 0..4 {
            assert!(
                visit(lab, &addresses, &with(&memory), v4(6), ms(20)) <= 2,
                "one, or one more that explores"
            );
        }
        assert!(syns(lab) <= 6 + 4 + 1);
        // Without it, and with another that knows nothing, it is the whole race as before.
        assert_eq!(visit(lab, &addresses, &with(&memory).memory(None), v4(6), ms(20)), 6);
        assert_eq!(visit(lab, &addresses, &with(&Memory::new()), v4(6), ms(20)), 6);
    });
}

/// The other family is dead, as where IPv6 is broken: after one visit nobody waits for it, nor calls it.
#[test]
fn a_dead_family_is_called_once() {
    in_namespace(|lab| {
        let _server = server();
        lab.set(v4(1), Behaviour::accept(ms(30)));
        lab.set(v4(2), Behaviour::accept(ms(60)));
        let addresses = at([v6(1), v6(2), v4(1), v4(2)]);
        let memory = Memory::new();
        assert_eq!(visit(lab, &addresses, &with(&memory), v4(1), ms(30)), 4);
        let later: usize = (0..4).map(|_| visit(lab, &addresses, &with(&memory), v4(1), ms(30))).sum();
        assert!(later <= 5, "{later} SYNs in four visits");
    });
}

/// A handshake whose SYN was lost says little of its address (RFC 6298 section 3, Karn's rule): it has been
/// the best, and is.
#[test]
fn a_syn_that_was_sent_again_is_no_sample() {
    in_namespace(|lab| {
        let _server = server();
        let near = Behaviour::accept(ms(20));
        lab.set(v4(1), near);
        lab.set(v4(2), Behaviour::accept(ms(60)));
        let memory = Memory::new();
        // Without a second SYN beside the first.
        let race = Config::all_at_once().hedge(false);
        let options = with(&memory).race(race);
        for _ in 0..3 {
            visit(lab, &at([v4(1)]), &options, v4(1), ms(20));
        }
        let known = memory.entries()[0];
        lab.set(v4(1), near.losing_syns(1));
        let (won, took) = timed(|| connect(at([v4(1)]), &options).expect("a connection"));
        assert!(took >= ms(1_000), "{took:?}: sent again after a second");
        drop(won);
        let after = memory.entries()[0];
        assert_eq!((after.round_trip, after.measure), (known.round_trip, known.measure));
        assert!(after.age < ms(500), "it has answered all the same");
        // And an answer that was lost is the same.
        lab.set(v4(1), near.losing_syn_acks(1));
        let (_, took) = timed(|| connect(at([v4(1)]), &options).expect("a connection"));
        assert!(took >= ms(1_000), "{took:?}: sent again after a second");
        assert_eq!(memory.entries()[0].round_trip, known.round_trip);
    });
}

/// The best dies: one visit is late by less than the patience, and the next ones are not.
#[test]
fn when_the_best_dies_one_visit_is_late() {
    in_namespace(|lab| {
        let _server = server();
        lab.set(v4(1), Behaviour::accept(ms(20)));
        lab.set(v4(2), Behaviour::accept(ms(40)));
        let addresses = at([v4(1), v4(2)]);
        let memory = Memory::new();
        for _ in 0..3 {
            visit(lab, &addresses, &with(&memory), v4(1), ms(20));
        }
        lab.set(v4(1), Behaviour::black_hole());
        let (won, took) = timed(|| connect(&addresses, &with(&memory)).expect("a connection"));
        assert_eq!(won.destination(), SocketAddr::new(v4(2), PORT));
        assert!(took < ms(250), "{took:?}: less than the patience and a handshake");
        for _ in 0..3 {
            assert!(visit(lab, &addresses, &with(&memory), v4(2), ms(40)) <= 2);
        }
    });
}
