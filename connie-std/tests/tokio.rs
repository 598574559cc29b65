//! The race as a future of tokio.
#![cfg(all(feature = "tokio", feature = "dns", any(target_os = "linux", windows)))]

mod tokio_support;

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{AttemptOutcome, Config, Failure, Family, Instant};
use connie_servers::{
    BlackHole, DnsAnswer, DnsServer, Live, RecordType, clock::poll_until, closed_port, skip,
};
use connie_std::memory::AddressPart;
use connie_std::resolve::{FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, WatchSet};
use connie_std::tokio_net::{Connected, connect};
use connie_std::{Canceler, ConnectError, ConnectErrorKind, Memory, Options, SocketBudget};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use tokio_support::{LIMIT, Prompted, any_port, here, many_threads, named, run, run_on, within};

/// Long enough for anything that is not waited for, short enough that nothing which is waited for fits in.
const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn failed<T>(result: Result<T, ConnectError>) -> ConnectError {
    result.map(|_| ()).expect_err("nothing to connect to")
}

/// Lets the other tasks of this thread run, and the race open its sockets.
async fn meanwhile() {
    for _ in 0..10 {
        yield_now().await;
    }
}

/// A budget of one socket, options that take from it and wait for it, and the connection to `server` that has
/// it.
async fn one_socket_taken(server: SocketAddr) -> (SocketBudget, Options, Connected) {
    let budget = SocketBudget::new(1).waits(LIMIT);
    let options = within(LIMIT).budget(budget.clone());
    let held = connect(server, &options).await.unwrap();
    assert_eq!(budget.free(), 0, "the winner keeps its place");
    (budget, options, held)
}

#[test]
fn a_dead_first_address_costs_nothing() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::http(any_port(4), "page"));
    let closed = closed_port(here(3));
    let addresses = [hole.address(), closed.address(), server.address()];
    let page = run(move || async move {
        let mut stream = timeout(SOON, connect(&addresses, &within(LIMIT))).await.unwrap().unwrap();
        assert_eq!(stream.destination(), addresses[2]);
        assert_eq!(stream.peer_addr().unwrap(), addresses[2]);
        let outcomes: Vec<_> = stream.timeline().attempts().map(|it| (it.destination, it.outcome)).collect();
        assert!(outcomes.contains(&(addresses[2], Some(AttemptOutcome::Established))), "{outcomes:?}");
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut page = vec![0; 4096];
        let length = stream.read(&mut page).await.unwrap();
        String::from_utf8_lossy(&page[..length]).into_owned()
    });
    assert!(page.ends_with("\r\n\r\npage"), "{page}");
}

#[test]
fn a_host_and_a_port_are_enough() {
    let server = Live::silent(any_port(1));
    let port = server.address().port();
    let peer = run(move || async move {
        connect(("localhost", port), &Options::new()).await.unwrap().peer_addr().unwrap()
    });
    assert_eq!(peer, server.address());
}

#[test]
fn where_all_addresses_refuse_the_error_names_each() {
    let closed = [closed_port(here(2)), closed_port(here(3))];
    let addresses = [closed[0].address(), closed[1].address()];
    let error = run(move || async move { failed(connect(&addresses, &within(LIMIT)).await) });
    let lines: Vec<_> = error.addresses().collect();
    assert_eq!(lines, addresses.map(|address| format!("{address}: connection refused")));
    assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::AllAttemptsFailed, _)), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_deadline_holds_and_is_never_early() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    let deadline = Duration::from_millis(300);
    let (error, waited) = run(move || async move {
        let start = tokio::time::Instant::now();
        (failed(connect(address, &within(deadline)).await), start.elapsed())
    });
    assert!(waited >= deadline, "{waited:?}");
    assert_eq!(error.addresses().collect::<Vec<_>>(), [format!("{address}: timed out")]);
    assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
}

#[test]
fn time_is_the_runtimes() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    let error = run(move || async move {
        tokio::time::pause();
        // Nothing else is to be done, so that the runtime goes on to the next timer, up to the last.
        failed(connect(address, &within(Duration::from_secs(86_400))).await)
    });
    assert!(error.to_string().ends_with("timed out"), "{error}");
}

#[test]
fn a_name_is_raced_as_its_answers_come() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let (dead, good) = (hole.address(), server.address());
    let resolver = Prompted::default();
    let seen = resolver.clone();
    let winner = run(move || async move {
        let options = resolver.options();
        let race = tokio::spawn(async move { connect(("name.test", 80), &options).await });
        meanwhile().await;
        resolver.answer(Family::V4, &[dead]);
        // The first address is tried before there is an answer of the other family.
        sleep(Duration::from_millis(20)).await;
        assert!(!race.is_finished());
        resolver.answer(Family::V6, &[]);
        resolver.answer(Family::V4, &[dead, good]);
        race.await.unwrap().unwrap().destination()
    });
    assert_eq!(winner, good);
    assert_eq!((seen.begun(), seen.open()), (1, 0));
    assert!(seen.polls() < 1_000, "{} polls: it spins", seen.polls());
}

/// The answer of one family is there, that of the other never comes.
#[track_caller]
fn wins_with_the_answer_of(family: Family, server: &Live) {
    let address = server.address();
    let resolver = Prompted::default();
    let winner = run(move || async move {
        resolver.answer(family, &[address]);
        let options = resolver.options();
        let race = timeout(SOON, connect(("name.test", 80), &options));
        race.await.expect("it waits for the other answer").unwrap().destination()
    });
    assert_eq!(winner, address);
}

#[test]
fn an_aaaa_answer_that_never_comes_costs_nothing() {
    wins_with_the_answer_of(Family::V4, &Live::silent(any_port(4)));
}

#[test]
fn an_a_answer_that_never_comes_costs_nothing() {
    let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    if std::net::TcpListener::bind(loopback).is_err() {
        return skip("IPv6 on the loopback interface", "sysctl net.ipv6.conf.lo.disable_ipv6=0");
    }
    wins_with_the_answer_of(Family::V6, &Live::silent(loopback));
}

#[test]
fn a_resolver_that_fails_is_quoted() {
    let resolver = Prompted::default();
    let error = run(move || async move {
        for family in [Family::V6, Family::V4] {
            resolver.tell(ResolveEvent::Failed { family, error: QueryError::NoSuchName.into() });
        }
        failed(connect("name.test:80", &resolver.options()).await)
    });
    assert_eq!(error.to_string(), "could not resolve name.test: AAAA and A queries failed: no such name");
    assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
}

#[test]
fn lookups_that_wait_for_sockets_wake_the_task() {
    let live = Live::silent(any_port(4));
    let name_server = DnsServer::start(any_port(1));
    name_server.set("name.test", RecordType::Aaaa, DnsAnswer::no_data());
    let late = DnsAnswer::addresses(&[live.address().ip()]).after(Duration::from_millis(50));
    name_server.set("name.test", RecordType::A, late);
    let mut dns = connie_std::dns::Dns::new([name_server.address()]);
    dns.hosts_file = None;
    let port = live.address().port();
    let destination = run(move || async move {
        let options = within(LIMIT).resolver(Arc::new(dns));
        connect(("name.test", port), &options).await.unwrap().destination()
    });
    assert_eq!(destination, live.address());
    assert!(name_server.asked("name.test", RecordType::A) >= 1);
}

/// Look-ups that wait for a datagram, which is the answer, and for nothing else. All lend the same socket.
#[derive(Clone, Debug)]
struct Wired {
    socket: Arc<UdpSocket>,
    answer: SocketAddr,
    polls: Arc<AtomicUsize>,
    is_answered: bool,
}

impl Resolve for Wired {
    fn lookup(&self, _: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        Box::new(self.clone())
    }
}

impl PendingLookup for Wired {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        if !self.is_answered {
            watch.read(&*self.socket);
        }
    }

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if self.is_answered || self.socket.recv(&mut [0; 8]).is_err() {
            return None;
        }
        self.is_answered = true;
        let (family, addresses) = (Family::V4, vec![self.answer]);
        Some(ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true }))
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_lent_descriptor_wakes_each_race_that_has_it() {
    const RACES: usize = 5;
    let server = Live::silent(any_port(4));
    let socket = UdpSocket::bind(any_port(1)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let (to, answer) = (socket.local_addr().unwrap(), server.address());
    let wired = Wired { socket: Arc::new(socket), answer, polls: Arc::default(), is_answered: false };
    let polls = wired.polls.clone();
    run(move || async move {
        let options = within(LIMIT).resolver(Arc::new(wired));
        let race = |options: Options| async move { connect(("name.test", 80), &options).await };
        let races: Vec<_> = (0..RACES).map(|_| tokio::spawn(race(options.clone()))).collect();
        meanwhile().await;
        let sender = UdpSocket::bind(any_port(1)).unwrap();
        for _ in 0..RACES {
            sender.send_to(b"answer", to).unwrap();
        }
        for race in races {
            let connected = timeout(SOON, race).await.expect("woken").unwrap().unwrap();
            assert_eq!(connected.destination(), answer);
        }
    });
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls < 100 * RACES, "{polls} polls: it spins");
}

#[test]
fn losers_are_reset() {
    let servers = [Live::silent(any_port(2)), Live::silent(any_port(3))];
    let addresses = [servers[0].address(), servers[1].address()];
    let winner = run(move || async move { connect(&addresses, &within(LIMIT)).await.unwrap().destination() });
    let [won, lost] = if winner == addresses[0] { [0, 1] } else { [1, 0] };
    let counts = servers[lost].wait_until(|counts| counts.accepted == 1 && counts.open == 0);
    // Wine reads a reset as an end in order: what is sent is seen from outside of it
    // (tests/tests/windows.rs).
    if cfg!(not(windows)) {
        assert_eq!((counts.reset, counts.eof), (1, 0), "the loser");
    }
    let counts = servers[won].wait_until(|counts| counts.accepted == 1 && counts.open == 0);
    assert_eq!((counts.reset, counts.eof), (0, 1), "the winner, closed in order");
}

#[test]
fn the_options_hold() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        for nodelay in [true, false] {
            let source_v4 = Some(Ipv4Addr::new(127, 0, 0, 9));
            let options = within(LIMIT).nodelay(nodelay).source_v4(source_v4);
            let stream = connect(address, &options).await.unwrap();
            assert_eq!(stream.nodelay().unwrap(), nodelay);
            assert_eq!(stream.local_addr().unwrap().ip(), here(9));
            // Only losers are reset.
            assert_eq!(rustix::net::sockopt::socket_linger(&*stream).unwrap(), None);
        }
        let options = named("name.test", &[address]);
        assert_eq!(connect(("name.test", address.port()), &options).await.unwrap().destination(), address);
        let error = failed(connect("name.test", &options).await);
        assert!(matches!(error.kind(), ConnectErrorKind::InvalidTarget), "{error}");
        let none: [SocketAddr; 0] = [];
        let error = failed(connect(&none, &within(LIMIT)).await);
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    });
}

#[test]
fn an_error_has_its_kind_number_and_reasons() {
    let closed = closed_port(here(3));
    let (refused, group) = (closed.address(), SocketAddr::from(([224, 0, 0, 1], 9)));
    let error = run(move || async move { failed(connect(&[group, refused], &within(LIMIT)).await) });
    let each = format!("{refused}: connection refused; {group}: unreachable");
    assert!(error.to_string().ends_with(&each), "{error}");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::CONNREFUSED.raw_os_error()));
    assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    let error = run(move || async move { failed(connect(group, &within(LIMIT)).await) });
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NETUNREACH.raw_os_error()));
}

#[test]
fn a_canceler_ends_it_from_another_thread() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    run(move || async move {
        let canceler = Canceler::new().unwrap();
        // Its own, and one of which it is a child.
        for canceled in [canceler.child().unwrap(), canceler] {
            let options = within(LIMIT).canceler(canceled.child().unwrap());
            let race = tokio::spawn(async move { connect(address, &options).await });
            meanwhile().await;
            assert!(!race.is_finished());
            std::thread::spawn(move || canceled.cancel()).join().unwrap();
            let error = failed(timeout(SOON, race).await.expect("woken").unwrap());
            assert!(error.is_canceled());
            assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionAborted);
        }
    });
}

#[test]
fn what_was_canceled_before_opens_nothing() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    let canceler = Canceler::new().unwrap();
    canceler.cancel();
    let options = within(LIMIT).canceler(canceler);
    let error = run(move || async move { failed(connect(address, &options).await) });
    assert!(error.is_canceled());
    assert_eq!(error.timeline().unwrap().attempts().count(), 0);
    assert_eq!(server.counts().accepted, 0);
}

#[test]
fn who_waits_for_a_socket_does_not_block_the_thread() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        let (budget, options, first) = one_socket_taken(address).await;
        let second = tokio::spawn(async move { connect(address, &options).await });
        meanwhile().await;
        assert!(!second.is_finished());
        // This is the thread that the other waits on.
        drop(first);
        let second = timeout(SOON, second).await.expect("woken").unwrap().unwrap();
        assert_eq!(budget.free(), 0);
        drop(second.into_stream());
        assert_eq!(budget.free(), 1, "a plain stream has no place");
    });
}

#[test]
fn a_deadline_and_a_canceler_end_the_wait_for_a_socket() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        let (budget, options, held) = one_socket_taken(address).await;
        let short = within(Duration::from_millis(50)).budget(budget.clone());
        let error = failed(connect(address, &short).await);
        assert!(matches!(error.kind(), ConnectErrorKind::Race(Failure::DeadlineExceeded, _)), "{error}");
        assert_eq!(error.timeline().unwrap().attempts().count(), 0, "no socket, no attempt");
        assert!(error.to_string().contains("timed out waiting for a socket"), "{error}");

        let canceler = Canceler::new().unwrap();
        let options = options.canceler(canceler.clone());
        let race = tokio::spawn(async move { connect(address, &options).await });
        meanwhile().await;
        canceler.cancel();
        assert!(failed(timeout(SOON, race).await.unwrap().unwrap()).is_canceled());
        drop(held);
        assert_eq!(budget.free(), 1);
    });
}

#[test]
fn a_task_does_not_wait_for_connections() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        let (budget, options, held) = one_socket_taken(address).await;
        let within = |at_most| options.clone().budget(budget.clone().waits(at_most));
        for at_most in [Duration::ZERO, Duration::from_millis(50)] {
            let error = failed(timeout(SOON, connect(address, &within(at_most))).await.expect("an end"));
            let kind = error.kind();
            assert!(matches!(kind, ConnectErrorKind::BudgetHeld { sockets: 1, .. }), "{error}");
        }
        // In line behind a race, which becomes a connection.
        drop(held);
        let at_once = within(Duration::ZERO);
        let (first, second) = tokio::join!(connect(address, &options), connect(address, &at_once));
        let first = first.unwrap();
        assert!(matches!(failed(second).kind(), ConnectErrorKind::BudgetHeld { .. }));
        assert_eq!((budget.free(), budget.held()), (0, 1));
        drop(first);
        assert_eq!((budget.free(), budget.held()), (1, 0));
    });
}

#[test]
fn who_has_stood_in_line_opens_no_more_than_it_was_given() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let (silent, address) = (hole.address(), server.address());
    run(move || async move {
        let (_, options, held) = one_socket_taken(address).await;
        let race = tokio::spawn(async move { connect(&[silent, address], &options).await });
        meanwhile().await;
        drop(held);
        let connected = timeout(SOON, race).await.expect("woken").unwrap().unwrap();
        assert_eq!(connected.destination(), address);
        let summary = connected.timeline().summary();
        assert_eq!((summary.max_in_flight, summary.attempts), (1, 2), "one after the other");
    });
}

#[test]
fn who_waits_longest_for_a_socket_is_next() {
    const CROWD: usize = 50;
    let server = Live::silent(any_port(4));
    let address = server.address();
    let order = run(move || async move {
        let (_, options, held) = one_socket_taken(address).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut races = Vec::new();
        for number in 0..CROWD {
            let (options, order) = (options.clone(), order.clone());
            races.push(tokio::spawn(async move {
                let connected = connect(address, &options).await.unwrap();
                order.lock().unwrap().push(number);
                drop(connected);
            }));
            // So that they stand in line as they are numbered.
            meanwhile().await;
        }
        // One gives up, and holds up nobody.
        races.remove(7).abort();
        drop(held);
        for race in races {
            race.await.unwrap();
        }
        Arc::into_inner(order).unwrap().into_inner().unwrap()
    });
    let expected: Vec<_> = (0..CROWD).filter(|&number| number != 7).collect();
    assert_eq!(order, expected);
}

#[test]
fn who_is_called_and_has_gone_passes_the_turn_on() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        let (budget, options, held) = one_socket_taken(address).await;
        let race = |options: Options| async move { connect(address, &options).await.map(drop) };
        let first = tokio::spawn(race(options.clone()));
        meanwhile().await;
        let second = tokio::spawn(race(options));
        meanwhile().await;
        // It is the first's turn, which ends before it has run again.
        drop(held);
        first.abort();
        timeout(SOON, second).await.expect("woken").unwrap().unwrap();
        assert_eq!(budget.free(), 1);
    });
}

#[test]
fn a_blocking_race_and_a_task_stand_in_the_same_line() {
    let server = Live::silent(any_port(4));
    let address = server.address();
    run(move || async move {
        let (budget, options, held) = one_socket_taken(address).await;
        let blocking = options.clone();
        let thread = std::thread::spawn(move || connie_std::connect(address, &blocking).map(|_| ()));
        let task = tokio::spawn(async move { connect(address, &options).await.map(|_| ()) });
        meanwhile().await;
        drop(held);
        task.await.unwrap().unwrap();
        tokio::task::spawn_blocking(move || thread.join().unwrap().unwrap()).await.unwrap();
        assert_eq!(budget.free(), 1);
    });
}

/// All that it has is in flight, and none of it ends by itself before the test does.
#[test]
fn a_race_whose_addresses_are_all_silent_lends_to_one_that_comes_later() {
    let holes: [_; 4] = std::array::from_fn(|_| BlackHole::open(any_port(2)));
    let silent = holes.each_ref().map(BlackHole::address);
    let server = Live::silent(any_port(4));
    let live = server.address();
    run(move || async move {
        let budget = SocketBudget::new(4);
        let options = within(LIMIT).budget(budget.clone());
        let late = options.clone();
        let racing = tokio::spawn(async move { connect(&silent, &options).await.map(drop) });
        while budget.free() > 0 {
            yield_now().await;
        }
        let stream = timeout(SOON, connect(live, &late)).await.expect("in time").unwrap();
        assert!(!racing.is_finished(), "the early race goes on with what is left to it");
        drop(stream);
        racing.abort();
        racing.await.unwrap_err();
        assert_eq!(budget.free(), 4);
    });
}

#[test]
fn it_runs_on_many_threads() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let addresses = [hole.address(), server.address()];
    run_on(many_threads, move || async move {
        let options = within(LIMIT).budget(SocketBudget::new(40));
        let races: Vec<_> = (0..200)
            .map(|_| {
                let options = options.clone();
                tokio::spawn(async move { connect(&addresses, &options).await.unwrap().destination() })
            })
            .collect();
        for race in races {
            assert_eq!(race.await.unwrap(), addresses[1]);
        }
        assert_eq!(options.budget.unwrap().free(), 40);
    });
}

#[test]
fn a_future_that_moves_to_another_task_is_woken_there() {
    let server = Live::silent(any_port(4));
    let good = server.address();
    let resolver = Prompted::default();
    let destination = run_on(many_threads, move || async move {
        let options = resolver.options();
        let mut race = Box::pin(async move { connect(("name.test", 80), &options).await });
        // Polled once here, by a waker that wakes nobody.
        assert!(race.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let race = tokio::spawn(race);
        meanwhile().await;
        resolver.answer(Family::V4, &[good]);
        timeout(SOON, race).await.expect("woken").unwrap().unwrap().destination()
    });
    assert_eq!(destination, good);
}

/// By an executor of another library, say. The runtime's own threads see to its sockets.
#[test]
fn a_future_that_leaves_its_runtime_stays_with_it() {
    let server = Live::silent(any_port(4));
    let (runtime, resolver) = (many_threads(), Prompted::default());
    let options = resolver.options();
    let mut race = pin!(connect(("name.test", 80), &options));
    let mut poll = || race.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let entered = runtime.enter();
    assert!(poll().is_pending());
    drop(entered);
    resolver.answer(Family::V4, &[server.address()]);
    resolver.answer(Family::V6, &[]);
    let mut winner = None;
    assert!(poll_until(LIMIT, || match poll() {
        Poll::Pending => false,
        Poll::Ready(result) => {
            winner = Some(result.unwrap().destination());
            true
        }
    }));
    assert_eq!(winner, Some(server.address()));
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    let options = Options::default();
    let race = pin!(connect("127.0.0.1:1", &options));
    let Poll::Ready(result) = race.poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
    let error = failed(result);
    assert!(matches!(error.kind(), ConnectErrorKind::NoRuntime));
    assert_eq!(
        error.to_string(),
        "could not connect to 127.0.0.1 port 1: no tokio runtime here: await this in a task of one"
    );
}

#[test]
#[should_panic(expected = "enable_time")]
fn a_runtime_without_time_says_what_to_enable() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _ = run_on(runtime, || async { connect("127.0.0.1:1", &Options::new()).await });
}

#[test]
#[should_panic(expected = "enable_io")]
fn a_runtime_without_io_says_what_to_enable() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _ = run_on(runtime, || async { connect("127.0.0.1:1", &Options::new()).await });
}

#[test]
fn a_staggered_race_waits_between_attempts() {
    let (hole, server) = (BlackHole::open(any_port(2)), Live::silent(any_port(4)));
    let addresses = [hole.address(), server.address()];
    let (winner, waited) = run(move || async move {
        let race = Config::staggered().deadline(Some(LIMIT));
        let connected = connect(&addresses, &Options::new().race(race)).await.unwrap();
        (connected.destination(), connected.timeline().summary().ended.unwrap())
    });
    assert_eq!(winner, addresses[1]);
    assert!(waited >= Duration::from_millis(250), "{waited:?}");
}

/// A look-up that watches a socket, and fails when that does.
#[cfg(not(windows))]
#[derive(Clone, Debug)]
struct OfSocket(Arc<UdpSocket>);

#[cfg(not(windows))]
impl Resolve for OfSocket {
    fn lookup(&self, _: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        Box::new(OfSocketUnderWay { socket: self.0.clone(), failed: Vec::new() })
    }
}

#[cfg(not(windows))]
struct OfSocketUnderWay {
    socket: Arc<UdpSocket>,
    failed: Vec<Family>,
}

#[cfg(not(windows))]
impl PendingLookup for OfSocketUnderWay {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        watch.read(&*self.socket);
    }

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        if self.socket.recv(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            self.failed = vec![Family::V4, Family::V6];
        }
        let family = self.failed.pop()?;
        Some(ResolveEvent::Failed { family, error: QueryError::Temporary.into() })
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

/// As that of a name server's machine which says that nothing listens there: nothing can be read then. Wine
/// takes the error for itself.
#[cfg(not(windows))]
#[test]
fn an_error_of_a_socket_wakes_the_look_up_that_waits_for_it() {
    let socket = UdpSocket::bind(any_port(2)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let closed = UdpSocket::bind(any_port(3)).unwrap().local_addr().unwrap();
    socket.connect(closed).unwrap();
    let socket = Arc::new(socket);
    let options = within(LIMIT).resolver(Arc::new(OfSocket(socket.clone())));
    let error = run(move || async move {
        let race = tokio::spawn(async move { failed(connect(("name.test", 80), &options).await) });
        // Until the race waits: the error comes to one that has looked already.
        sleep(Duration::from_millis(50)).await;
        socket.send(&[0]).unwrap();
        timeout(SOON, race).await.expect("the error wakes it").unwrap()
    });
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)), "{error:?}");
}

/// Tasks and threads share a memory: what a task has learnt a thread knows, by whatever clock.
#[test]
fn a_memory_is_shared_with_threads() {
    run(|| async {
        let servers = [Live::silent(any_port(2)), Live::silent(any_port(3)), Live::silent(any_port(4))];
        let addresses = servers.each_ref().map(Live::address);
        let memory = Memory::new();
        let mut settings = memory.settings();
        settings.least_delay = Duration::from_secs(1);
        memory.set_settings(settings);
        let options = Options::new().memory(memory);
        let first = connect(&addresses, &options).await.expect("a connection");
        assert_eq!(first.timeline().summary().attempts, 3);
        let second = connect(&addresses, &options).await.expect("a connection");
        let third = connie_std::connect(addresses, &options).expect("a connection");
        for later in [second.report(), third.report()] {
            let the = |part| later.explanation().and_then(|it| it.the(part)).map(|it| it.address());
            assert_eq!(the(AddressPart::Lead), Some(first.destination()));
            // One race in 32 explores another beside it.
            let explored = u32::from(the(AddressPart::Explored).is_some());
            assert_eq!(later.timeline().summary().attempts, 1 + explored);
        }
    });
}

/// From now on nothing answers at the listener's address: its queue is full, and Linux drops every further
/// SYN. What fills it.
#[cfg(target_os = "linux")]
fn silence(server: &std::net::TcpListener) -> Vec<std::net::TcpStream> {
    rustix::net::listen(server, 0).expect("no room in the queue");
    let address = server.local_addr().expect("an address");
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    std::iter::from_fn(connect).collect()
}

/// A future that is dropped when its lead is late has taught that: the next race starts the second beside it.
#[test]
#[cfg(target_os = "linux")]
fn a_race_that_is_dropped_has_taught_that_its_lead_was_late() {
    run(|| async {
        // One race in 32 explores, and starts the second in any case: which one is another for each list of
        // addresses.
        while !is_taught_by_a_dropped_race().await {}
    });
}

/// Whether the race that is dropped was one that starts its lead alone.
#[cfg(target_os = "linux")]
async fn is_taught_by_a_dropped_race() -> bool {
    let lead = std::net::TcpListener::bind(any_port(5)).expect("a free port");
    let second = Live::silent(any_port(6));
    let addresses = [lead.local_addr().expect("an address"), second.address()];
    let memory = Memory::new();
    let mut settings = memory.settings();
    settings.least_delay = Duration::from_secs(1);
    memory.set_settings(settings);
    let options = Options::new().memory(memory);
    connect(addresses[0], &options).await.expect("a connection");
    let led = connect(&addresses, &options).await.expect("a connection");
    if led.timeline().summary().attempts > 1 {
        return false;
    }
    assert_eq!(led.destination(), addresses[0]);
    let _full = silence(&lead);
    // The second would start when the patience is over.
    if timeout(Duration::from_millis(150), connect(&addresses, &options)).await.is_ok() {
        return false;
    }
    let next = connect(&addresses, &options).await.expect("a connection");
    assert_eq!(next.destination(), addresses[1]);
    let started: Vec<_> = next.timeline().attempts().map(|it| it.started).collect();
    assert!(started.len() == 2 && started.iter().all(|it| *it < Duration::from_millis(150)), "{started:?}");
    true
}
