//! Many races at one time with one memory, over the kernel's own sockets behind a router with delays: what
//! one of them finds out serves all. What is counted are SYNs on the wire.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use connie_core::{Config, Failure};
use connie_std::tokio_net;
use connie_std::{Canceler, ConnectErrorKind, Memory, Options, Override, SocketBudget, connect};
use connie_tests::clock::{now, pause, timed};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4};
use kernel_support::machine::lateness;
use kernel_support::{PORT, at, everywhere, on_your_marks};

const CROWD: usize = 1_000;
const ADDRESSES: u16 = 12;
/// Below half a patience, so that the first race has found out before another is to.
const NEAREST: Duration = ms(50);
/// The same for a thousand: then a machine that is late by a hundred milliseconds makes no race start a
/// second address.
const FURTHER: Duration = ms(100);

fn with(memory: &Memory) -> Options {
    let race = Config::all_at_once().max_in_flight(16);
    Options::new().memory(memory.clone()).race(race).budget(None)
}

/// A host of twelve live addresses, the last of them the nearest.
fn host(lab: &Lab) -> Vec<SocketAddr> {
    host_at(lab, NEAREST)
}

fn host_at(lab: &Lab, nearest: Duration) -> Vec<SocketAddr> {
    lab.spare_probes();
    for n in 1..=ADDRESSES {
        lab.set(v4(n), Behaviour::accept(nearest + ms(20) * u32::from(ADDRESSES - n)));
    }
    at((1..=ADDRESSES).map(v4))
}

/// Two crowds at one time would be late by each other's work.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static CROWDS: Mutex<()> = Mutex::new(());
    CROWDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that has room for a thousand and never accepts.
fn server() -> TcpListener {
    server_at(PORT)
}

fn server_at(port: u16) -> TcpListener {
    let server = TcpListener::bind(SocketAddr::new(everywhere().ip(), port)).expect("a free port");
    rustix::net::listen(&server, CROWD as i32).expect("a longer queue");
    server
}

/// How many attempts have gone out so far.
fn syns(lab: &Lab) -> usize {
    lab.log().attempts().len()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What came of a crowd.
#[derive(Debug)]
struct Came {
    syns: usize,
    /// How long 99 of 100 took at most.
    most: Duration,
}

/// Lets the process have as many descriptors as it may.
fn many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("what it may have");
}

/// A thousand tasks that connect at once.
fn crowd(lab: &Lab, addresses: &[SocketAddr], options: &Options) -> Came {
    many_descriptors();
    let before = syns(lab);
    let mut took = runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CROWD {
            let (addresses, options) = (addresses.to_vec(), options.clone());
            let start = now();
            tasks.spawn(async move {
                let connected = tokio_net::connect(&addresses, &options).await.expect("a connection");
                (connected.into_stream(), start.elapsed())
            });
        }
        // Nobody leaves before all have come.
        tasks.join_all().await.into_iter().map(|(_, took)| took).collect::<Vec<_>>()
    });
    took.sort_unstable();
    let came = Came { syns: syns(lab) - before, most: took[CROWD * 99 / 100] };
    println!("{came:?}");
    came
}

/// How long this machine has to work for a thousand races that have no choice and nothing to remember.
fn work(lab: &Lab) -> Duration {
    // The queue of the other is not to be full.
    let _server = server_at(PORT + 1);
    lab.set(v4(100), Behaviour::accept(FURTHER).to_port(PORT + 1));
    let options = with(&Memory::new()).memory(None);
    let came = crowd(lab, &at([v4(100)]), &options);
    came.most.saturating_sub(FURTHER)
}

impl Came {
    /// So many SYNs at most, and 99 of 100 within two and a half times what one race takes alone, but for
    /// what the machine has to work for it.
    #[track_caller]
    fn is_within(&self, syns: usize, alone: Duration, work: Duration) {
        assert!(self.syns <= syns, "{self:?}");
        let late = work * 3 + lateness(Duration::from_secs(10));
        assert!(self.most <= alone * 5 / 2 + late, "{self:?}, alone {alone:?}, work {work:?}, late {late:?}");
    }
}

/// One SYN for each, and here and there one more.
#[test]
fn a_thousand_tasks_with_a_warm_memory_send_a_thousand_syns() {
    let _alone = one_at_a_time();
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host_at(lab, FURTHER), Memory::new());
        let (first, alone) = timed(|| connect(&addresses, &with(&memory)).expect("a connection"));
        assert_eq!(first.destination(), SocketAddr::new(v4(ADDRESSES), PORT));
        for _ in 0..3 {
            connect(&addresses, &with(&memory)).expect("a connection");
        }
        let work = work(lab);
        crowd(lab, &addresses, &with(&memory)).is_within(1_100, alone, work);
    });
}

/// The first of them finds out for all.
#[test]
fn a_thousand_tasks_with_an_empty_memory_send_few_more() {
    let _alone = one_at_a_time();
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses) = (server(), host_at(lab, FURTHER));
        let (_, alone) = timed(|| connect(&addresses, &with(&Memory::new())).expect("a connection"));
        let work = work(lab);
        crowd(lab, &addresses, &with(&Memory::new())).is_within(1_300, alone, work);
    });
}

/// Further away than a race waits for another: none waits for longer than its patience, and none sends
/// twelve. It sends one, and when its patience has passed another.
#[test]
fn a_host_far_away_is_not_waited_for() {
    let _alone = one_at_a_time();
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses) = (server(), host_at(lab, FURTHER));
        let work = work(lab);
        for n in 1..=ADDRESSES {
            lab.set(v4(n), Behaviour::accept(ms(400)));
        }
        lab.clear_log();
        let came = crowd(lab, &addresses, &with(&Memory::new()));
        let late = work * 3 + lateness(Duration::from_secs(10));
        assert!(came.syns <= CROWD * 2 + 100 && came.most <= ms(250 + 400) + late, "{came:?}, {late:?}");
        // They begin with different addresses, since nobody knows which is best; those for which the machine
        // is late may hear of one.
        let log = lab.log();
        let most = (1..=ADDRESSES).map(|n| log.counts(v4(n)).first_syns).max();
        assert!(most < Some(CROWD * 4 / 5), "{most:?}");
    });
}

#[test]
fn threads_wait_for_each_other_too() {
    const THREADS: usize = 40;
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        let before = syns(lab);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| connect(&addresses, &with(&memory)).expect("a connection"));
            }
        });
        let syns = syns(lab) - before;
        assert!(syns <= THREADS + 11 + THREADS / 10, "{syns}");
    });
}

/// Begins a race, and lets it do nothing more: whoever comes next finds it at work.
macro_rules! begun {
    ($race:ident, $addresses:expr, $options:expr) => {
        let mut $race = Box::pin(tokio_net::connect($addresses, $options));
        let mut context = Context::from_waker(Waker::noop());
        assert!($race.as_mut().poll(&mut context).is_pending());
    };
}

/// So many races that begin now. Answers how long all of them took.
async fn others(count: usize, addresses: &[SocketAddr], options: &Options) -> Duration {
    let start = now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (addresses, options) = (addresses.to_vec(), options.clone());
        tasks.spawn(async move {
            tokio_net::connect(&addresses, &options).await.map(drop).expect("a connection")
        });
    }
    tasks.join_all().await;
    start.elapsed()
}

/// A race that is given up passes on what it was at, and one of the others does it.
#[test]
fn when_the_first_is_dropped_the_others_go_on() {
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        let options = with(&memory);
        runtime().block_on(async {
            begun!(first, &addresses, &options);
            begun!(second, &addresses, &options);
            begun!(third, &addresses, &options);
            assert_eq!(syns(lab), 12, "two of them wait");
            drop(second);
            drop(first);
            third.await.expect("a connection");
            let took = others(1, &addresses, &options).await;
            assert!(took < NEAREST + ms(100) + lateness(took), "{took:?}");
        });
        // One race in 32 explores.
        assert!((12 + 12 + 1..=12 + 12 + 2).contains(&syns(lab)));
        assert_eq!(memory.entries().len(), 1);
    });
}

/// One that nobody drives any more is passed by after half a patience.
#[test]
fn when_the_first_is_stuck_the_others_go_on() {
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        let options = with(&memory);
        let took = runtime().block_on(async {
            begun!(first, &addresses, &options);
            let took = others(20, &addresses, &options).await;
            drop(first);
            took
        });
        // Half a patience, a race of its own, and one that goes by that.
        let latest = ms(125) + NEAREST * 2 + ms(100);
        assert!(took > ms(125) && took <= latest + lateness(took), "{took:?}");
        // What is in hand is for those whose time is over before the second has found out, and one race in 32
        // explores.
        assert!((12 + 12 + 19..=12 + 12 + 19 + 16 + 1).contains(&syns(lab)));
    });
}

#[test]
fn when_the_first_fails_the_others_go_on() {
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        let options = with(&memory);
        let hasty = options.race.clone().deadline(Some(NEAREST / 2));
        let hasty = options.clone().race(hasty);
        let took = runtime().block_on(async {
            let first = async {
                let error = tokio_net::connect(&addresses, &hasty).await.expect_err("no time");
                assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::DeadlineExceeded, _)));
            };
            embassy_futures::join::join(first, others(20, &addresses, &options)).await.1
        });
        let latest = NEAREST * 5 / 2 + ms(100);
        assert!(took <= latest + lateness(took), "{took:?}");
        // One race in 32 explores.
        assert!((12 + 12 + 19..=12 + 12 + 20).contains(&syns(lab)));
    });
}

/// What is behind one port says nothing of another: nobody waits for that.
#[test]
fn races_to_two_ports_do_not_wait_for_each_other() {
    in_namespace(|lab| {
        let (_servers, memory) = ([server(), server_at(PORT + 1)], Memory::new());
        host(lab);
        let addresses: Vec<_> = (1..=ADDRESSES).map(v4).collect();
        let entry = |port| Override { host: "name.test".to_owned(), port, addresses: addresses.clone() };
        let options = with(&memory).overrides([entry(PORT), entry(PORT + 1)]);
        runtime().block_on(async {
            begun!(first, ("name.test", PORT), &options);
            begun!(second, ("name.test", PORT + 1), &options);
            begun!(third, ("name.test", PORT), &options);
            assert_eq!(syns(lab), 12 + 12, "the third waits");
            for race in [first, second, third] {
                race.await.expect("a connection");
            }
        });
    });
}

/// A race that waits for another ends when it is canceled, and has opened nothing.
#[test]
fn who_waits_can_give_up() {
    in_namespace(|lab| {
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        let canceler = Canceler::new().expect("a descriptor");
        let options = with(&memory);
        let cancelable = options.clone().canceler(canceler.clone());
        runtime().block_on(async {
            begun!(first, &addresses, &options);
            begun!(second, &addresses, &cancelable);
            canceler.cancel();
            assert!(second.await.expect_err("canceled").is_canceled());
            assert_eq!(syns(lab), 12);
            first.await.expect("a connection");
        });
        // And in a thread.
        let canceler = Canceler::new().expect("a descriptor");
        let memory = Memory::new();
        let options = with(&memory);
        let cancelable = options.clone().canceler(canceler.clone());
        runtime().block_on(async {
            begun!(first, &addresses, &options);
            std::thread::scope(|scope| {
                let second = scope.spawn(|| connect(&addresses, &cancelable).map(drop));
                pause(ms(20));
                canceler.cancel();
                assert!(second.join().expect("no panic").expect_err("canceled").is_canceled());
            });
            drop(first);
        });
        assert_eq!(syns(lab), 24);
    });
}

/// A crawler with a small budget: a race takes a socket for the address that it starts with, and no more
/// before it starts more.
#[test]
fn a_budget_lets_as_many_races_run_as_it_has_sockets() {
    const BUDGET: usize = 100;
    const RACES: usize = 700;
    in_namespace(|lab| {
        on_your_marks();
        let (_server, addresses, memory) = (server(), host(lab), Memory::new());
        for _ in 0..4 {
            connect(&addresses, &with(&memory)).expect("a connection");
        }
        lab.clear_log();
        let budget = SocketBudget::new(BUDGET);
        let options = with(&memory).budget(budget.clone());
        // The last of them stand in line for longer than a plan may keep them back, and have a plan all the
        // same.
        let took = runtime().block_on(others(RACES, &addresses, &options));
        let log = lab.log();
        let most = log.most_handshakes();
        println!("{most} at once, {} SYNs, {took:?}", log.attempts().len());
        assert!((BUDGET * 9 / 10..=BUDGET).contains(&most), "{most} at once");
        assert!(log.attempts().len() <= RACES * 13 / 10);
        assert_eq!(budget.free(), BUDGET);
    });
}
