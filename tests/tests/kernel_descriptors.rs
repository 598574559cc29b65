//! How many sockets a race holds, and that it leaves none: as the kernel counts them, never as we do.
//!
//! Descriptors belong to a process, so each test runs in a process of its own.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::time::Duration;

use connie_core::{Config, Failure};
use connie_std::{Canceler, ConnectErrorKind, Options, connect};
use connie_tests::clock::{pause, poll_until};
use connie_tests::descriptors::{SocketWatch, descriptors};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::{BlackHole, Live, closed_port};
use kernel_support::alone::alone;
use kernel_support::{
    all_at_once, at, count, nothing_is_left, only_the_winner_is_left, options, outcomes, race, unattended,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The threads of this process, as the kernel sees them.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("a list of threads").count()
}

/// What this process had before, it has again: as many descriptors, sockets and threads.
#[track_caller]
fn leaves_no_trace(races: impl FnOnce()) {
    let before = (descriptors(), threads());
    races();
    // A thread is counted for a moment after it was joined.
    poll_until(ms(1000), || threads() == before.1);
    assert_eq!((descriptors(), threads()), before);
}

/// Twelve addresses of both families: dead, refusing, slow and good.
fn a_mixed_network(lab: &Lab) -> Vec<SocketAddr> {
    for n in [2, 5] {
        lab.set(v4(n), Behaviour::refuse(ms(5)));
        lab.set(v6(n), Behaviour::refuse(ms(10)));
    }
    lab.set(v4(3), Behaviour::accept(ms(20)));
    lab.set(v6(3), Behaviour::accept(ms(20)));
    lab.set(v6(4), Behaviour::accept(ms(22)));
    at((1..=6).flat_map(|n| [v6(n), v4(n)]))
}

#[test]
fn case_28_ten_races_at_once_five_times_leave_no_descriptor() {
    alone(|| {
        in_namespace(|lab| {
            let _listener = unattended();
            let addresses = a_mixed_network(lab);
            leaves_no_trace(|| {
                for _ in 0..5 {
                    let together = Barrier::new(10);
                    std::thread::scope(|scope| {
                        for _ in 0..10 {
                            scope.spawn(|| {
                                together.wait();
                                let winner = connect(&addresses, &Options::default()).expect("a connection");
                                // All ten have their winners before the first lets go.
                                together.wait();
                                assert!(winner.peer_addr().is_ok());
                            });
                        }
                    });
                }
            });
            assert_eq!(lab.log().attempts().len(), 5 * 10 * addresses.len());
        });
    });
}

#[test]
fn a_race_of_64_addresses_over_4_sockets_never_has_more_than_4_open() {
    alone(|| {
        in_namespace(|lab| {
            let _listener = unattended();
            // Sixteen turns of 20 ms.
            let options = options(all_at_once(4).patience(ms(20)));
            lab.set(v4(64), Behaviour::accept(ms(10)));
            let (before, watch) = (descriptors().sockets, SocketWatch::start());
            let winner = race(&at((1..=64).map(v4)), &options).won_by(v4(64), ms(15 * 20 + 10));
            assert_eq!(watch.most(), before + 4);
            assert_eq!(count(&winner.timeline(), "evicted"), 60);
            only_the_winner_is_left(lab, &winner);
        });
    });
}

/// Sockets also come free by refusals, and eviction takes addresses that are slow but alive.
#[test]
fn whatever_the_64_addresses_do_4_sockets_are_enough() {
    alone(|| {
        in_namespace(|lab| {
            let _listener = unattended();
            for n in 1..=64 {
                match n % 4 {
                    0 => lab.set(v4(n), Behaviour::refuse(ms(u64::from(n % 7)))),
                    1 => lab.set(v4(n), Behaviour::accept(ms(200))),
                    _ => {}
                }
            }
            let addresses = at((1..=64).map(v4));
            let options = options(all_at_once(4).patience(ms(20)).deadline(Some(ms(600))));
            let (before, watch) = (descriptors().sockets, SocketWatch::start());
            // Nobody answers within 20 ms, nor within the 40 ms of the second round.
            let error = race(&addresses, &options).lost(Failure::DeadlineExceeded, ms(600));
            assert_eq!(watch.most(), before + 4);
            let timeline = error.timeline().expect("a race");
            assert!(timeline.destinations().all(|it| it.was_started()), "{}", outcomes(&timeline).len());
            assert_eq!(descriptors().sockets, before);
            nothing_is_left(lab);
        });
    });
}

/// A quarter each: won, won by a name that a thread looks up, canceled from another thread, ended by the
/// deadline.
#[test]
fn a_thousand_races_half_of_them_given_up_leave_no_descriptor_and_no_thread() {
    alone(|| {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let holes = [2, 3].map(|n| BlackHole::open((Ipv4Addr::new(127, 0, 0, n), 0)));
        let silent = [holes[0].address(), holes[1].address()];
        let (closed, server) = (closed_port(here), Live::silent((here, 0)));
        let good = [silent[0], closed.address(), server.address()];
        leaves_no_trace(|| {
            let (to_cancel, cancelers) = channel::<Canceler>();
            let canceling = std::thread::spawn(move || {
                for canceler in cancelers {
                    pause(ms(1));
                    canceler.cancel();
                }
            });
            for number in 0..1000 {
                let canceler = Canceler::new().expect("a canceler");
                let mut options = Options::new().canceler(canceler.clone());
                match number % 4 {
                    0 => assert_eq!(winner(good, &options), server.address()),
                    1 => {
                        assert_eq!(winner(("localhost", server.address().port()), &options), server.address())
                    }
                    2 => {
                        to_cancel.send(canceler).expect("the canceling thread");
                        assert_eq!(failure(&silent, &options), Failure::Canceled);
                    }
                    _ => {
                        options.race.deadline = Some(ms(2));
                        assert_eq!(failure(&silent, &options), Failure::DeadlineExceeded);
                    }
                }
            }
            drop(to_cancel);
            canceling.join().expect("the canceling thread");
            server.wait_until(|counts| counts.open == 0 && counts.eof == 500);
        });
    });
}

#[track_caller]
fn winner<'a>(target: impl Into<connie_std::Target<'a>>, options: &Options) -> SocketAddr {
    connect(target, options).expect("a connection").peer_addr().expect("a peer")
}

#[track_caller]
fn failure(addresses: &[SocketAddr], options: &Options) -> Failure {
    match connect(addresses, options).expect_err("black holes").kind() {
        ConnectErrorKind::Race(failure, _) => *failure,
        other => panic!("{other:?}"),
    }
}

/// Takes all descriptors of the process but a few, until it is dropped.
struct Scarcity {
    before: Rlimit,
    _taken: Vec<File>,
}

impl Scarcity {
    #[track_caller]
    fn leaving(few: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        let most = u64::try_from(descriptors().total + 32).expect("a small number");
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: before.maximum })
            .expect("a limit");
        let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        taken.truncate(taken.len() - few);
        Self { before, _taken: taken }
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).expect("the limit that there was");
    }
}

/// The third address keeps its turn: it has the first socket that comes free, when the patience with the dead
/// ones ends.
#[test]
fn case_70_without_a_third_socket_the_race_goes_on_with_two() {
    alone(|| {
        in_namespace(|lab| {
            let _listener = unattended();
            lab.set(v4(3), Behaviour::accept(ms(30)));
            let scarcity = Scarcity::leaving(2);
            let raced = race(&at((1..=4).map(v4)), &options(all_at_once(4)));
            drop(scarcity);

            let winner = raced.won_by(v4(3), ms(250 + 30));
            let fates = [
                (v4(1), "evicted"),
                (v4(2), "evicted"),
                (v4(3), "out_of_sockets"),
                (v4(3), "established"),
                (v4(4), "canceled"),
            ];
            assert_eq!(outcomes(&winner.timeline()), fates);
            only_the_winner_is_left(lab, &winner);
            assert_eq!(lab.log().attempts_to(v4(3)).len(), 1, "{}", lab.log());
        });
    });
}

#[test]
fn case_70_an_attempt_that_has_a_socket_wins_in_spite_of_one_that_has_none() {
    alone(|| {
        in_namespace(|lab| {
            let _listener = unattended();
            lab.set(v4(2), Behaviour::accept(ms(30)));
            let scarcity = Scarcity::leaving(2);
            let raced = race(&at((1..=4).map(v4)), &options(all_at_once(4)));
            drop(scarcity);
            only_the_winner_is_left(lab, &raced.won_by(v4(2), ms(30)));
        });
    });
}

#[test]
fn a_process_without_descriptors_is_told_so_at_once() {
    alone(|| {
        in_namespace(|_| {
            let scarcity = Scarcity::leaving(0);
            let raced = race(&at([v4(1), v6(1)]), &options(Config::all_at_once()));
            drop(scarcity);
            let error = raced.lost(Failure::AllAttemptsFailed, Duration::ZERO);
            let lines: Vec<String> = error.addresses().collect();
            let why = "no socket left: this process has no descriptor left";
            assert_eq!(lines, [format!("10.9.0.1:8080: {why}"), format!("[fd00:9::1]:8080: {why}")]);
            let advice = ": close some, raise `ulimit -n`, or set Options::budget to a smaller one";
            assert!(error.to_string().ends_with(advice), "{error}");
        });
    });
}
