//! One question for all who wait for it: many threads and tasks that share one `Dns`, of which one drives,
//! and what becomes of the others when that one is gone.
#![cfg(target_os = "linux")]

mod dns_support;

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use connie_core::Family::V4;
use connie_std::dns::Dns;
use connie_std::resolve::{PendingLookup, Resolve, ResolveRequest};
use connie_std::{ConnectError, Connected, Options, OsClock, connect};
use connie_tests::clock::{pause, poll_until, timed};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

use dns_support::*;

/// When the name server answers: when nobody looks by himself. A driver does at 250 ms, and those who wait
/// would at 300 ms and at 550 ms.
const LATE: Duration = ms(400);
/// How much later those learn of it whose driver does nothing.
const TAKEN_OVER: Duration = ms(1_200);

/// `name.test` is this machine, which takes every connection and ends it.
struct Lab {
    server: DnsServer,
    port: u16,
}

impl Lab {
    fn new() -> Self {
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = web.local_addr().expect("an address").port();
        std::thread::spawn(move || web.incoming().for_each(drop));
        let server = server();
        let here = DnsAnswer::addresses(&[Ipv4Addr::LOCALHOST.into()]);
        name(&server, DnsAnswer::no_data().after(LATE), here.after(LATE));
        Lab { server, port }
    }

    fn options(&self) -> Options {
        let mut options = Options::new().resolver(dns([&self.server]));
        options.race.deadline = Some(Duration::from_secs(20));
        options
    }

    #[track_caller]
    fn was_asked_once(&self) {
        let asked = |kind| self.server.asked("name.test", kind);
        assert_eq!((asked(RecordType::Aaaa), asked(RecordType::A)), (1, 1), "{:?}", self.server.queries());
    }

    fn waits_for_queries(&self) {
        assert!(poll_until(ms(5_000), || self.server.queries().len() == 2));
    }
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().expect("a runtime")
}

type Connecting =
    Pin<Box<dyn Future<Output = Result<Connected<tokio::net::TcpStream>, ConnectError>> + Send>>;

fn connecting(options: &Options, port: u16) -> Connecting {
    let options = options.clone();
    Box::pin(async move { connie_std::tokio_net::connect(("name.test", port), &options).await })
}

#[test]
fn a_thousand_tasks() {
    for threads in [1, 2] {
        let lab = Lab::new();
        let options = lab.options();
        runtime(threads).block_on(async {
            let tasks: Vec<_> = (0..1_000).map(|_| tokio::spawn(connecting(&options, lab.port))).collect();
            for task in tasks {
                task.await.expect("no panic").expect("a connection");
            }
        });
        lab.was_asked_once();
    }
}

/// They are told of the end, and do not have to look for it: the best of some runs on a busy machine shows
/// that.
#[test]
fn fifty_threads() {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let lab = Lab::new();
        let options = lab.options();
        let ((), took) = timed(|| {
            std::thread::scope(|scope| {
                for _ in 0..50 {
                    scope.spawn(|| connect(("name.test", lab.port), &options).expect("a connection"));
                }
            });
        });
        lab.was_asked_once();
        best = best.min(took);
    }
    assert!(best < LATE + ms(100), "{best:?}");
}

#[test]
fn threads_and_tasks_together() {
    let lab = Lab::new();
    let options = lab.options();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| connect(("name.test", lab.port), &options).expect("a connection"));
            scope.spawn(|| runtime(1).block_on(connecting(&options, lab.port)).expect("a connection"));
        }
    });
    lab.was_asked_once();
}

/// Nobody has waited longer than it takes to notice that another does not drive.
#[track_caller]
fn is_not_held_up(lab: &Lab, time: Duration, by: &str) {
    lab.was_asked_once();
    // It joined early, and learns of the answer when it is there.
    assert!(time < LATE + TAKEN_OVER, "{time:?} {by}");
}

/// Another is told, and does not have to notice it by itself: the best of some runs shows that.
#[test]
fn a_driver_that_is_dropped_holds_no_task_up() {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let lab = Lab::new();
        let options = lab.options();
        runtime(2).block_on(async {
            let clock = OsClock::start();
            let driver = tokio::spawn(connecting(&options, lab.port));
            lab.waits_for_queries();
            tokio::time::sleep(ms(290)).await;
            let second = tokio::spawn(connecting(&options, lab.port));
            let third = tokio::spawn(connecting(&options, lab.port));
            tokio::time::sleep(ms(50)).await;
            driver.abort();
            second.await.expect("no panic").expect("a connection");
            third.await.expect("no panic").expect("a connection");
            assert!(driver.await.is_err_and(|error| error.is_cancelled()));
            let took = clock.now().duration_since(connie_core::Instant::ZERO);
            is_not_held_up(&lab, took, "by one that was aborted");
            best = best.min(took);
        });
    }
    assert!(best < LATE + ms(100), "{best:?}");
}

#[test]
fn a_driver_that_is_not_polled_any_more_holds_no_task_up() {
    let lab = Lab::new();
    let options = lab.options();
    runtime(1).block_on(async {
        let mut driver = connecting(&options, lab.port);
        let mut idle = Context::from_waker(Waker::noop());
        assert!(driver.as_mut().poll(&mut idle).is_pending());
        lab.waits_for_queries();
        let start = OsClock::start();
        let others: Vec<_> = (0..10).map(|_| tokio::spawn(connecting(&options, lab.port))).collect();
        for other in others {
            other.await.expect("no panic").expect("a connection");
        }
        is_not_held_up(&lab, start.now().duration_since(connie_core::Instant::ZERO), "by one that sleeps");
        // When it is polled again it finds the answer.
        driver.await.expect("a connection");
        lab.was_asked_once();
    });
}

/// A lookup that has sent its queries.
fn begun(resolver: &Dns) -> (Box<dyn PendingLookup>, OsClock) {
    let clock = OsClock::start();
    let mut lookup = resolver.lookup(&ResolveRequest::new("name.test", 80, clock), clock.now());
    assert_eq!(lookup.poll(clock.now()), None);
    (lookup, clock)
}

#[test]
fn a_driver_that_does_nothing_or_is_dropped_holds_no_thread_up() {
    for is_dropped in [false, true] {
        let lab = Lab::new();
        let resolver = dns([&lab.server]);
        let (lookup, clock) = begun(&resolver);
        let options = Options::new().resolver(resolver);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| timed(|| connect(("name.test", lab.port), &options))))
                .collect();
            pause(ms(100));
            let mut kept = Some(lookup);
            if is_dropped {
                kept = None;
            }
            for other in others {
                let (connected, took) = other.join().expect("no panic");
                connected.expect("a connection");
                is_not_held_up(
                    &lab,
                    took,
                    if is_dropped { "by one that is gone" } else { "by one that sleeps" },
                );
            }
            if let Some(mut lookup) = kept {
                let mut told = Vec::new();
                while let Some(event) = lookup.poll(clock.now()) {
                    told.push(event);
                }
                assert_eq!(told.len(), 2, "it finds the answers when it comes: {told:?}");
                assert_eq!(lookup.wake_at(), None);
            }
        });
    }
}

/// Who waits learns of the first answer while the driver waits for the second, and does not have to look for
/// it: the best of some runs shows that.
#[test]
fn each_answer_is_told_when_it_comes() {
    let mut best = Duration::MAX;
    for _ in 0..4 {
        let lab = Lab::new();
        lab.server.set("name.test", RecordType::Aaaa, DnsAnswer::no_data().after(ms(3_000)));
        let resolver = dns([&lab.server]);
        let (mut driver, clock) = begun(&resolver);
        let options = lab.options().resolver(resolver);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| timed(|| connect(("name.test", lab.port), &options)));
            while !second.is_finished() {
                let _ = driver.poll(clock.now());
                pause(ms(5));
            }
            let (connected, took) = second.join().expect("no panic");
            connected.expect("a connection");
            best = best.min(took);
        });
        lab.was_asked_once();
        assert!(driver.wake_at().is_some(), "it still waits");
    }
    assert!(best < LATE + ms(120), "{best:?}");
}

/// A lookup that asks for one family drives until one comes that asks for both.
#[test]
fn who_asks_for_more_drives() {
    let lab = Lab::new();
    let resolver = dns([&lab.server]);
    let clock = OsClock::start();
    let mut question = ResolveRequest::new("name.test", 80, clock);
    question.families = connie_core::Families::Only(V4);
    let mut first = resolver.lookup(&question, clock.now());
    assert_eq!(first.poll(clock.now()), None);
    let options = Options::new().resolver(resolver);
    connect(("name.test", lab.port), &options).expect("a connection");
    lab.was_asked_once();
    assert!(first.poll(clock.now()).is_some(), "it knows as well");
}

/// Many names at a time, more than are kept.
#[test]
fn a_thousand_names() {
    let lab = Lab::new();
    let resolver = dns([&lab.server]);
    for number in 0..1_000 {
        lab.server.host(&format!("n{number}.test"), &[Ipv4Addr::LOCALHOST.into()]);
    }
    let options = Options::new().resolver(resolver.clone());
    runtime(2).block_on(async {
        let tasks: Vec<_> = (0..1_000)
            .map(|number| {
                let (options, port) = (options.clone(), lab.port);
                tokio::spawn(async move {
                    let host = format!("n{number}.test");
                    connie_std::tokio_net::connect((host.as_str(), port), &options).await.map(drop)
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("a connection");
        }
    });
    let len = resolver.cache.len();
    assert!((448..=1_000).contains(&len), "{len} names are known");
}
