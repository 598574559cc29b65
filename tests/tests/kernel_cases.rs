//! The cases that every race must show, with the kernel's own sockets behind a router with delays.
//!
//! Each test is named after its case. The cases that count or use up the descriptors of a process are in
//! `kernel_descriptors.rs`, those that start a process in `kernel_calls.rs`: a process that is being started
//! holds copies of every socket for a moment, and keeps what was closed here open.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use connie_core::{Config, Failure, Family, Instant, Poller, Progress, RaceDriver};
use connie_std::{OsClock, OsPoller, OsStack};
use connie_tests::clock::{pause, poll_until};
use connie_tests::lab::{Behaviour, Closing, in_namespace, ms, v4, v6};
use connie_tests::servers::Live;
use kernel_support::{
    AT_ONCE, PORT, abandon, all_at_once, at, count, everywhere, in_time, nothing_is_left,
    only_the_winner_is_left, options, outcomes, race, slowly, starts, unattended,
};

/// IPv6 is switched off: its addresses fail in the call that would have sent the SYN.
#[test]
fn case_11_a_family_that_is_switched_off_is_skipped_at_once() {
    in_namespace(|lab| {
        let _server = Live::silent((Ipv4Addr::UNSPECIFIED, PORT));
        lab.set(v4(1), Behaviour::accept(ms(30)));
        lab.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");

        // The second IPv6 address has its turn after the IPv4 one, and may not have it before the delay.
        let staggered = vec![(v6(1), "unreachable"), (v4(1), "established")];
        let mut all = staggered.clone();
        all.push((v6(2), "unreachable"));
        for (config, fates) in [(slowly(), staggered), (all_at_once(2), all)] {
            let winner = race(&at([v6(1), v6(2), v4(1)]), &options(config)).won_by(v4(1), ms(30));
            assert_eq!(outcomes(&winner.timeline()), fates);
            assert!(starts(&winner.timeline(), v4(1))[0] < AT_ONCE);
            only_the_winner_is_left(lab, &winner);
            abandon(lab, winner);
        }
        assert_eq!(lab.log().order(), [v4(1)], "no SYN went out to the other family");
    });
}

/// Staggered as RFC 8305 has it: the first hangs, the second starts after the delay, and its refusal starts
/// the third at once.
#[test]
fn case_22_and_23_silence_costs_one_delay_and_a_refusal_none() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(2), Behaviour::refuse(ms(30)));
        lab.set(v4(3), Behaviour::accept(ms(20)));
        let winner =
            race(&at((1..=3).map(v4)), &options(Config::staggered())).won_by(v4(3), ms(250 + 30 + 20));
        let fates = [(v4(1), "canceled"), (v4(2), "refused"), (v4(3), "established")];
        assert_eq!(outcomes(&winner.timeline()), fates);
        in_time(starts(&winner.timeline(), v4(2))[0], ms(250), "the start of the second");
        only_the_winner_is_left(lab, &winner);
    });
}

/// Over loopback a handshake is complete before `connect` returns, so the race's first wait finds all four.
#[test]
fn case_32_of_four_that_complete_in_one_tick_one_wins() {
    let servers: Vec<Live> = (2..=5).map(|n| Live::silent((Ipv4Addr::new(127, 0, 0, n), 0))).collect();
    let addresses: Vec<SocketAddr> = servers.iter().map(Live::address).collect();
    let winner = race(&addresses, &options(all_at_once(4))).won_by(addresses[0].ip(), Duration::ZERO);
    assert_eq!((count(&winner.timeline(), "established"), count(&winner.timeline(), "canceled")), (1, 3));

    servers[0].wait_until(|counts| (counts.accepted, counts.open) == (1, 1));
    for loser in &servers[1..] {
        loser.wait_until(|counts| (counts.accepted, counts.reset) == (1, 1));
    }
    drop(winner);
    servers[0].wait_until(|counts| (counts.eof, counts.reset) == (1, 0));
}

/// The program sleeps while four handshakes complete.
#[test]
fn case_32_the_losers_are_reset_on_the_wire() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere());
        (1..=4).for_each(|n| lab.set(v4(n), Behaviour::accept(ms(20 + u64::from(n)))));
        let (mut stack, clock) = (OsStack::default(), OsClock::start());
        let mut driver = RaceDriver::<OsStack>::new(&all_at_once(4), clock.now());
        driver.handle_addresses(&at((1..=4).map(v4)), clock.now());
        assert!(matches!(driver.poll(&mut stack, clock.now()), Progress::WaitForInput));
        lab.wait_until(ms(1000), |log| {
            log.attempts().iter().filter(|it| it.established.is_some()).count() == 4
        });

        let Progress::Connected(winner) = driver.poll(&mut stack, clock.now()) else { panic!("no winner") };
        let winner = winner.socket.into_stream().expect("a connected socket");
        assert!(matches!(driver.poll(&mut stack, clock.now()), Progress::Finished), "one race, one winner");
        assert_eq!(lab.client_sockets().len(), 1);
        let client = winner.local_addr().expect("an address");
        let log = lab.wait_until_closed(&[client]);
        let losers = log.attempts().iter().filter(|it| it.client != client);
        assert!(losers.clone().all(|it| it.closing() == Some(Closing::Reset)), "{log}");
        assert_eq!(
            (losers.count(), log.counts(winner.peer_addr().expect("a peer").ip()).client_resets),
            (3, 0)
        );
        server.wait_until(|counts| (counts.open, counts.reset, counts.eof) == (1, 3, 0));
    });
}

#[test]
fn case_67_a_good_fifth_address_wins_as_soon_as_one_has_refused() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        (3..=4).for_each(|n| lab.set(v4(n), Behaviour::refuse(ms(20))));
        lab.set(v4(5), Behaviour::accept(ms(20)));
        let winner = race(&at((1..=5).map(v4)), &options(all_at_once(4))).won_by(v4(5), ms(40));
        let fates = ["canceled", "canceled", "refused", "refused", "established"];
        assert_eq!(
            outcomes(&winner.timeline()),
            std::array::from_fn::<_, 5, _>(|n| (v4(n as u16 + 1), fates[n]))
        );
        assert_eq!(lab.log().most_handshakes(), 4);
        only_the_winner_is_left(lab, &winner);
    });
}

#[test]
fn case_68_a_refusal_that_comes_first_does_not_win() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        for (refuses, accepts) in [(v4(1), v4(2)), (v6(1), v6(2))] {
            lab.set(refuses, Behaviour::refuse(ms(10)));
            lab.set(accepts, Behaviour::accept(ms(50)));
            let winner = race(&at([refuses, accepts]), &options(all_at_once(2))).won_by(accepts, ms(50));
            assert_eq!(outcomes(&winner.timeline()), [(refuses, "refused"), (accepts, "established")]);
            only_the_winner_is_left(lab, &winner);
            abandon(lab, winner);
        }
    });
}

#[test]
fn case_69_a_server_that_never_speaks_first_is_connected_to_all_the_same() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere());
        for remote in [v4(1), v6(1)] {
            lab.set(remote, Behaviour::accept(ms(30)));
            let mut winner = race(&at([remote]), &options(Config::all_at_once())).won_by(remote, ms(30));
            winner.write_all(b"anybody there?").expect("a connection");
        }
        server.wait_until(|counts| (counts.accepted, counts.eof, counts.answered) == (2, 2, 0));
    });
}

/// Twelve addresses 20 to 200 ms away, the nearest in the middle.
fn twelve() -> impl Iterator<Item = (IpAddr, Duration)> {
    let times = [200, 188, 176, 164, 152, 140, 20, 128, 116, 104, 92, 80];
    (1..).zip(times).map(|(n, time)| (v4(n), ms(time)))
}

#[test]
fn case_71_of_twelve_at_once_the_nearest_wins_at_its_time() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        twelve().for_each(|(address, rtt)| lab.set(address, Behaviour::accept(rtt)));
        let addresses = at(twelve().map(|(address, _)| address));
        let winner = race(&addresses, &options(all_at_once(12))).won_by(v4(7), ms(20));
        assert_eq!((count(&winner.timeline(), "canceled"), winner.timeline().attempts().count()), (11, 12));
        only_the_winner_is_left(lab, &winner);

        let log = lab.log();
        assert_eq!((log.attempts().len(), log.most_open()), (12, 12), "{log}");
        let last = log.attempts().iter().map(|it| it.started()).max();
        assert!(last.is_some_and(|last| last < AT_ONCE), "not all at once: {log}");
    });
}

/// Twelve addresses take three turns of four sockets; the last turn begins after two patiences.
#[test]
fn case_72_behind_eleven_dead_addresses_the_last_wins_in_the_third_turn() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(12), Behaviour::accept(ms(40)));
        let winner = race(&at((1..=12).map(v4)), &options(all_at_once(4))).won_by(v4(12), ms(500 + 40));
        in_time(starts(&winner.timeline(), v4(12))[0], ms(500), "the start of the last");
        assert_eq!((count(&winner.timeline(), "evicted"), count(&winner.timeline(), "canceled")), (8, 3));
        only_the_winner_is_left(lab, &winner);
        assert_eq!(lab.log().order(), (1..=12).map(v4).collect::<Vec<_>>());
    });
}

/// The kernel would repeat the SYN after a second.
#[test]
fn case_76_when_every_first_syn_is_lost_a_second_attempt_gets_through() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        (1..=4).for_each(|n| lab.set(v4(n), Behaviour::accept(ms(30)).losing_syns(1)));
        let config = all_at_once(8).patience(ms(300));
        let winner = race(&at((1..=4).map(v4)), &options(config)).won_by(v4(1), ms(300 + 30));
        assert!(winner.timeline().winner().is_some_and(|it| it.hedge), "a first attempt has won");
        only_the_winner_is_left(lab, &winner);
        for n in 1..=4 {
            let counts = lab.log().counts(v4(n));
            assert_eq!((counts.first_syns, counts.repeated_syns), (2, 0), "{}", lab.log());
        }
    });
}

/// A slow address is not abandoned: its second attempt would only have answered 300 ms later.
#[test]
fn case_77_a_slow_address_wins_at_its_time_and_its_second_attempt_is_closed() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(1), Behaviour::accept(ms(400)));
        let config = all_at_once(4).patience(ms(300));
        let winner = race(&at([v4(1)]), &options(config)).won_by(v4(1), ms(400));
        assert_eq!(outcomes(&winner.timeline()), [(v4(1), "established"), (v4(1), "canceled")]);
        in_time(starts(&winner.timeline(), v4(1))[1], ms(300), "the start of the second");
        only_the_winner_is_left(lab, &winner);
    });
}

/// The resolver's part is played by the test: the answer for IPv4 comes after 10 ms, that for IPv6 never.
#[test]
fn case_78_addresses_of_one_family_start_when_its_answer_comes() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(2), Behaviour::accept(ms(30)));
        let (mut stack, mut poller) = (OsStack::default(), OsPoller::new(None));
        let mut time = || Poller::<OsStack>::now(&mut poller);
        let mut driver = RaceDriver::<OsStack>::new(&all_at_once(4), time());
        assert!(matches!(driver.poll(&mut stack, time()), Progress::WaitForInput));
        pause(ms(10));
        let answered = time();
        driver.resolved(Family::V4, &at([v4(1), v4(2)]), answered);

        let connection = driver.run(&mut stack, &mut poller).expect("a connection");
        assert_eq!(connection.destination.ip(), v4(2));
        let answered = answered.duration_since(Instant::ZERO);
        for n in [1, 2] {
            let started = starts(&driver.timeline(), v4(n))[0];
            assert!(
                (answered..answered + AT_ONCE).contains(&started),
                "{started:?} after an answer at {answered:?}"
            );
        }
        let ended = driver.timeline().summary().ended.expect("the end of the race");
        in_time(ended, answered + ms(30), "the end of the race");
        assert!(poll_until(ms(1000), || lab.client_sockets().len() == 1), "{:?}", lab.client_sockets());
    });
}

/// A listener that goes away resets the connections that nobody has accepted yet. The race hears of the
/// handshake and of the reset in one wait: that is no winner.
#[test]
fn case_14_a_connection_that_was_reset_before_the_race_looked_does_not_win() {
    in_namespace(|lab| {
        let listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(10)));
        let (mut stack, clock) = (OsStack::default(), OsClock::start());
        let mut driver = RaceDriver::<OsStack>::new(&all_at_once(2), clock.now());
        driver.handle_addresses(&at([v4(1), v4(2)]), clock.now());
        assert!(matches!(driver.poll(&mut stack, clock.now()), Progress::WaitForInput));
        lab.wait_until(ms(1000), |log| log.attempts_to(v4(1)).iter().any(|it| it.established.is_some()));
        drop(listener);
        lab.wait_until(ms(1000), |log| log.attempts_to(v4(1)).iter().all(|it| !it.is_open()));

        assert!(matches!(driver.poll(&mut stack, clock.now()), Progress::WaitUntil(_)), "a false winner");
        assert_eq!(outcomes(&driver.timeline()), [(v4(1), "reset"), (v4(2), "open")]);
        assert_eq!(lab.client_sockets().len(), 1);
        assert!(matches!(driver.cancel(&mut stack, clock.now()), Progress::Failed(Failure::Canceled)));
        nothing_is_left(lab);
    });
}
