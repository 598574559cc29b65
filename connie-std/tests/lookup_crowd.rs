//! Crowds of look-ups in a process that is allowed few descriptors: each waits for its turn, and none fails.
//!
//! The crowd is a process of its own: this test again, with a lower limit. The servers stay here, with
//! theirs.
#![cfg(all(feature = "tokio", feature = "dns", target_os = "linux"))]

mod tokio_support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use connie_core::verdict::ErrorKind;
use connie_servers::clock::{now, pause, poll_until};
use connie_servers::{BlackHole, DnsAnswer, DnsServer, Live, RecordType, closed_port, limits};
use connie_std::dns::Dns;
use connie_std::resolve::Resolver;
use connie_std::{Canceler, ConnectError, ConnectErrorKind, Options, SocketBudget, connect};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;

use tokio_support::{any_port, here, one_thread, within};

/// Set in the process that is the crowd: where the name server and the web server are.
const CROWD: &str = "CONNIE_CROWD";
/// How many descriptors that is allowed.
const DESCRIPTORS: u64 = 128;
/// How far away the name server is.
const AWAY: Duration = Duration::from_millis(100);
/// None takes longer, on any machine.
const LIMIT: Duration = Duration::from_secs(60);
/// How many threads go through a few places.
const CROWDED: usize = 16;

/// What the crowd goes by.
struct Field {
    names: SocketAddr,
    port: u16,
}

impl Field {
    /// In the process that is the crowd.
    fn here() -> Option<Field> {
        let text = std::env::var(CROWD).ok()?;
        let (names, port) = text.split_once(' ')?;
        let limit = Rlimit { current: Some(DESCRIPTORS), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).expect("a lower limit");
        Some(Field { names: names.parse().ok()?, port: port.parse().ok()? })
    }

    fn options(&self, tcp: bool) -> Options {
        let dns = Dns::new([self.names]).hosts_file(None).tcp(tcp);
        within(LIMIT).resolver(dns)
    }

    /// A task for each name.
    fn tasks(&self, names: usize, options: &Options) -> Ends {
        one_thread().block_on(async {
            let (mut crowd, mut ends) = (JoinSet::new(), Ends::default());
            for number in 0..names {
                let (options, host, port) = (options.clone(), format!("n{number}.test"), self.port);
                crowd.spawn(async move {
                    connie_std::tokio_net::connect((host.as_str(), port), &options).await.map(drop)
                });
            }
            while let Some(end) = crowd.join_next().await {
                ends.count(end.expect("no panic"));
            }
            ends
        })
    }
}

/// How many ended in which way.
#[derive(Default)]
struct Ends(BTreeMap<String, usize>);

impl Ends {
    fn count(&mut self, end: Result<(), ConnectError>) {
        let end =
            end.map_or_else(|error| format!("{:?}: {error}", error.io_kind()), |()| "connected".to_owned());
        // Not each by its own name.
        let end: String = end.chars().filter(|it| !it.is_ascii_digit()).collect();
        *self.0.entry(end).or_default() += 1;
    }

    fn tell(&self) {
        self.0.iter().for_each(|(end, count)| println!("crowd: {count} {end}"));
    }
}

/// Runs `test` as a crowd of so many names, each with an address behind a name server that is far away. All
/// are to connect.
#[track_caller]
fn expect_all_connected(test: &str, names: usize) {
    let most = expect(test, names, &[format!("{names} connected")]);
    assert!(most > DESCRIPTORS as usize / 2, "{most} descriptors are no crowd");
    // Three quarters are the budget, and a few belong to the process: its standard streams, tokio's, those of
    // the test.
    assert!(most < DESCRIPTORS as usize - 8, "{most} descriptors: the budget does not hold");
}

/// Runs `test` as a crowd that ends in these ways. The most descriptors that it had open.
#[track_caller]
fn expect(test: &str, names: usize, expected: &[String]) -> usize {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(1)));
    for number in 0..names {
        let name = format!("n{number}.test");
        server.set(&name, RecordType::A, DnsAnswer::addresses(&[web.address().ip()]).after(AWAY));
        server.set(&name, RecordType::Aaaa, DnsAnswer::no_data().after(AWAY));
    }
    run(test, &Field { names: server.address(), port: web.address().port() }, names, expected)
}

/// Runs `test` over `field`, as [`expect`] does.
#[track_caller]
fn run(test: &str, field: &Field, names: usize, expected: &[String]) -> usize {
    let field = format!("{} {}", field.names, field.port);
    let began = now();
    let mut crowd = Command::new(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture"])
        .env(CROWD, field)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let most = most_descriptors(&mut crowd, began + LIMIT);
    let output = limits::finish(crowd).expect("its end");
    let said = String::from_utf8_lossy(&output.stdout);
    let ends: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("crowd: ")).collect();
    println!("{names} names in {:?}, at most {most} descriptors: {ends:?}", now() - began);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert_eq!(ends, expected);
    most
}

/// The most that the process has had open until its end.
fn most_descriptors(child: &mut Child, until: Instant) -> usize {
    let path = format!("/proc/{}/fd", child.id());
    let mut most = 0;
    while now() < until && matches!(child.try_wait(), Ok(None)) {
        most = most.max(std::fs::read_dir(&path).map_or(0, Iterator::count));
        pause(Duration::from_millis(1));
    }
    most
}

#[test]
fn of_a_thousand_tasks_with_128_descriptors_none_fails() {
    let Some(field) = Field::here() else {
        return expect_all_connected("of_a_thousand_tasks_with_128_descriptors_none_fails", 1_000);
    };
    field.tasks(1_000, &field.options(false)).tell();
}

/// What tokio waits for over TCP it has a copy of, where there is room for one.
#[test]
fn over_tcp_none_fails_either() {
    let Some(field) = Field::here() else {
        return expect_all_connected("over_tcp_none_fails_either", 200);
    };
    field.tasks(200, &field.options(true)).tell();
}

#[test]
fn of_three_hundred_threads_with_128_descriptors_none_fails() {
    let Some(field) = Field::here() else {
        return expect_all_connected("of_three_hundred_threads_with_128_descriptors_none_fails", 300);
    };
    let (options, mut ends) = (field.options(false), Ends::default());
    let threads: Vec<_> = (0..300)
        .map(|number| {
            let (options, port) = (options.clone(), field.port);
            std::thread::spawn(move || {
                connect((format!("n{number}.test").as_str(), port), &options).map(drop)
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| ends.count(thread.join().expect("no panic")));
    ends.tell();
}

/// Opens files until there is no descriptor left.
fn use_all_up() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn descriptors_that_the_program_has_used_up_are_waited_for() {
    let Some(field) = Field::here() else {
        let test = "descriptors_that_the_program_has_used_up_are_waited_for";
        let _most = expect(test, 20, &["20 connected".to_owned()]);
        return;
    };
    let (options, mut ends) = (field.options(false), Ends::default());
    let runtime = one_thread();
    let files = use_all_up();
    std::thread::spawn(move || {
        pause(Duration::from_millis(700));
        drop(files);
    });
    // Half of them in threads.
    let threads: Vec<_> = (0..10)
        .map(|number| {
            let (options, port) = (options.clone(), field.port);
            std::thread::spawn(move || {
                connect((format!("n{number}.test").as_str(), port), &options).map(drop)
            })
        })
        .collect();
    runtime.block_on(async {
        for number in 10..20 {
            let host = format!("n{number}.test");
            let end = connie_std::tokio_net::connect((host.as_str(), field.port), &options).await;
            ends.count(end.map(drop));
        }
    });
    threads.into_iter().for_each(|thread| ends.count(thread.join().expect("no panic")));
    ends.tell();
}

#[test]
fn descriptors_that_do_not_come_back_are_told_as_that() {
    let Some(field) = Field::here() else {
        let words = "no socket left to ask ...:: Too many open files";
        let end = format!("2 Other: could not resolve n.test: AAAA and A queries failed: {words}");
        let _most = expect("descriptors_that_do_not_come_back_are_told_as_that", 2, &[end]);
        return;
    };
    let dns = |tcp| Dns::new([field.names]).hosts_file(None).timeout(Duration::from_millis(300)).tcp(tcp);
    let mut ends = Ends::default();
    let _files = use_all_up();
    for tcp in [false, true] {
        let options = within(LIMIT).resolver(dns(tcp));
        let error = connect(("n0.test", field.port), &options).map(drop).expect_err("no descriptor");
        assert_eq!(error.error_kind(), Some(ErrorKind::OutOfSockets));
        ends.count(Err(error));
    }
    ends.tell();
}

/// A race that the system had no more descriptors for gives back what it has no use for, and tries again by
/// itself. It evicts nothing: with the only socket that it had at first it would wait for a dead address
/// until its deadline.
#[test]
fn a_race_grows_when_descriptors_come_back() {
    let Some(field) = Field::here() else {
        let web = Live::silent(any_port(4));
        let port = web.address().port();
        let _holes = [2, 3].map(|last| BlackHole::open(SocketAddr::new(here(last), port)));
        let field = Field { names: web.address(), port };
        let _most = run("a_race_grows_when_descriptors_come_back", &field, 4, &["4 connected".to_owned()]);
        return;
    };
    let addresses = [2, 3, 4].map(|last| SocketAddr::new(here(last), field.port));
    let (runtime, mut ends) = (one_thread(), Ends::default());
    for (in_task, has_budget) in [(false, false), (false, true), (true, false), (true, true)] {
        let budget = SocketBudget::new(8);
        let race = within(LIMIT).race.evict(false).hedge(false);
        let options = Options::new().race(race).budget(has_budget.then(|| budget.clone()));
        let mut files = use_all_up();
        drop(files.pop());
        let race = || match in_task {
            true => runtime.block_on(connie_std::tokio_net::connect(&addresses[..], &options)).map(drop),
            false => connect(&addresses[..], &options).map(drop),
        };
        std::thread::scope(|scope| {
            let race = scope.spawn(race);
            if has_budget {
                assert!(poll_until(LIMIT / 4, || budget.free() == 7), "{in_task}: {} free", budget.free());
            }
            pause(AWAY);
            assert!(!race.is_finished(), "with one socket it does not come past a dead address");
            drop(files);
            ends.count(race.join().expect("no panic"));
        });
        assert_eq!(budget.free(), 8);
    }
    ends.tell();
}

/// A race that has tried all that it knows keeps no place from its own look-up.
#[test]
fn one_place_is_enough_for_a_name_and_its_addresses() {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(1)));
    let closed = closed_port(here(1));
    for (name, port) in [("live.test", web.address().port()), ("closed.test", closed.address().port())] {
        server.set(name, RecordType::A, DnsAnswer::addresses(&[here(1)]));
        server.set(name, RecordType::Aaaa, DnsAnswer::no_data().after(AWAY));
        let dns = Dns::new([server.address()]).hosts_file(None);
        let budget = SocketBudget::new(1);
        let options = within(LIMIT).resolver(dns).budget(budget.clone());
        let kind = |end: Result<(), ConnectError>| end.map_err(|error| error.io_kind());
        let expected = if name == "live.test" { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused) };
        assert_eq!(kind(connect((name, port), &options).map(drop)), expected);
        assert_eq!(budget.free(), 1);
        let in_task = one_thread().block_on(connie_std::tokio_net::connect((name, port), &options));
        assert_eq!(kind(in_task.map(drop)), expected);
        assert_eq!(budget.free(), 1);
    }
}

/// A look-up does not wait for what only the program can give back, and so says the error (law 11). Told to
/// wait it does.
#[test]
fn where_connections_hold_all_a_look_up_says_so_at_once() {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(1)));
    server.host("name.test", &[here(1)]);
    let target = ("name.test", web.address().port());
    let budget = SocketBudget::new(1);
    let dns = || Dns::new([server.address()]).hosts_file(None);
    let options = within(LIMIT).resolver(dns()).budget(budget.clone());
    let held = connect(web.address(), &options).expect("a connection");
    let began = now();
    for resolver in [options.resolver.clone(), Resolver::System] {
        let options = options.clone().resolver(resolver);
        let error = connect(target, &options).map(drop).expect_err("held");
        assert!(matches!(error.kind(), ConnectErrorKind::BudgetHeld { sockets: 1, .. }), "{error:?}");
        let in_task = one_thread().block_on(connie_std::tokio_net::connect(target, &options)).map(drop);
        assert_eq!(in_task.expect_err("held").to_string(), error.to_string());
    }
    assert!(now() - began < LIMIT / 4, "{:?}", now() - began);
    assert_eq!(server.queries(), [], "nobody was asked");
    let waits = options.budget(budget.waits(LIMIT));
    std::thread::spawn(move || {
        pause(AWAY);
        drop(held);
    });
    drop(connect(target, &waits).expect("it has waited"));
}

/// A race that stands in line goes on with its look-ups, which have places that others wait for. More threads
/// than places here, and in each one family's answer is late.
#[test]
fn who_stands_in_line_keeps_no_places_for_answers_that_have_come() {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(1)));
    for number in 0..CROWDED {
        let name = format!("n{number}.test");
        server.set(&name, RecordType::A, DnsAnswer::addresses(&[here(1)]));
        server.set(&name, RecordType::Aaaa, DnsAnswer::no_data().after(AWAY));
    }
    let dns = Dns::new([server.address()]).hosts_file(None);
    let budget = SocketBudget::new(4);
    let options = within(LIMIT).resolver(dns).budget(budget.clone());
    let began = now();
    let threads: Vec<_> = (0..CROWDED)
        .map(|number| {
            let (options, port) = (options.clone(), web.address().port());
            std::thread::spawn(move || {
                connect((format!("n{number}.test").as_str(), port), &options).map(drop)
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("a connection"));
    assert!(now() - began < LIMIT / 4, "{:?}", now() - began);
    assert_eq!(budget.free(), 4);
}

/// The deadline, a cancel and the drop of the future hold for a look-up that stands in line as for all else.
#[test]
fn who_gives_up_leaves_the_line() {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(1)));
    server.set("name.test", RecordType::A, DnsAnswer::silent());
    server.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
    let dns = Dns::new([server.address()]).hosts_file(None);
    let budget = SocketBudget::new(1);
    let options = within(LIMIT).resolver(dns).budget(budget.clone());
    let target = ("name.test", web.address().port());
    let short = options.race.clone().deadline(Some(AWAY));
    let hurried = options.clone().race(short);
    let began = now();
    one_thread().block_on(async {
        let mut first = Box::pin(connie_std::tokio_net::connect(target, &options));
        let mut second = Box::pin(connie_std::tokio_net::connect(target, &options));
        for future in [&mut first, &mut second] {
            assert!(tokio::time::timeout(Duration::from_millis(20), future).await.is_err(), "in line");
        }
        assert!(poll_until(LIMIT, || !server.queries().is_empty()));
        assert_eq!((budget.free(), server.queries().len()), (0, 1), "one question is under way");
        let error = connie_std::tokio_net::connect(target, &hurried).await.map(drop).expect_err("in line");
        assert_eq!(error.io_kind(), io::ErrorKind::TimedOut);
        drop(second);
        drop(first);
        assert_eq!(budget.free(), 1);
    });
    // In threads, behind a question that has the only place.
    let canceler = Canceler::new().expect("a canceler");
    let patient = options.clone().canceler(canceler.clone());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (patient, port) = (patient.clone(), target.1);
            std::thread::spawn(move || connect(("name.test", port), &patient).map(drop))
        })
        .collect();
    assert!(poll_until(LIMIT, || budget.free() == 0));
    let error = connect(target, &hurried).map(drop).expect_err("in line");
    assert_eq!(error.io_kind(), io::ErrorKind::TimedOut);
    canceler.cancel();
    assert!(
        threads.into_iter().all(|thread| thread.join().expect("no panic").is_err_and(|it| it.is_canceled()))
    );
    assert_eq!(budget.free(), 1);
    assert!(
        now() - began < Duration::from_secs(6),
        "{:?}, and the question gives up after eight",
        now() - began
    );
    drop(connect(web.address(), &options).expect("the place is free"));
}

/// A race that has tried all that it knows keeps no place from its look-up, which may bring it more.
#[test]
fn a_race_with_nothing_to_try_keeps_no_place_from_its_look_up() {
    let (first, second) = (DnsServer::start(any_port(1)), DnsServer::start(any_port(1)));
    let closed = closed_port(here(1));
    first.set("name.test", RecordType::A, DnsAnswer::addresses(&[here(1)]));
    first.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
    second.set("name.test", RecordType::Aaaa, DnsAnswer::no_data());
    // With nothing in its cache.
    let dns = || Dns::new([first.address(), second.address()]).hosts_file(None);
    let budget = SocketBudget::new(2);
    let options = within(LIMIT).resolver(dns()).budget(budget.clone());
    let target = ("name.test", closed.address().port());
    let expect_refused = |end: Result<(), ConnectError>, began: Instant| {
        assert_eq!(end.map_err(|error| error.io_kind()), Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(budget.free(), 2);
        // The first server keeps its socket for eight seconds.
        assert!(now() - began < Duration::from_secs(6), "{:?}", now() - began);
    };
    let began = now();
    expect_refused(connect(target, &options).map(drop), began);
    let options = options.resolver(dns());
    let began = now();
    let end = one_thread().block_on(connie_std::tokio_net::connect(target, &options));
    expect_refused(end.map(drop), began);
}

/// A race whose places are all at silent addresses, with the look-up in line behind it that brings the live
/// one.
struct Behind {
    first: DnsServer,
    second: DnsServer,
    _web: Live,
    _holes: Vec<BlackHole>,
    port: u16,
}

impl Behind {
    /// `name.test` has so many silent IPv4 addresses.
    fn silent(addresses: u8) -> Self {
        let (first, second) = (DnsServer::start(any_port(1)), DnsServer::start(any_port(1)));
        let web = Live::silent((Ipv6Addr::LOCALHOST, 0));
        let port = web.address().port();
        let silent: Vec<_> = (0..addresses).map(|last| here(100 + last)).collect();
        let holes = silent.iter().map(|&ip| BlackHole::open(SocketAddr::new(ip, port))).collect();
        first.set("name.test", RecordType::A, DnsAnswer::addresses(&silent));
        Behind { first, second, _web: web, _holes: holes, port }
    }

    /// In a thread and in a task it connects by IPv6, with so many places. A look-up that waits for a silent
    /// address waits until the deadline.
    #[track_caller]
    fn expect_connected(&self, places: usize, servers: &[&DnsServer]) {
        for in_task in [false, true] {
            let began = now();
            let budget = SocketBudget::new(places);
            let dns = Dns::new(servers.iter().map(|server| server.address())).hosts_file(None);
            let race = Options::default().race.deadline(Some(Duration::from_secs(20)));
            let options = Options::new().resolver(dns).race(race).budget(budget.clone());
            let target = ("name.test", self.port);
            let end = match in_task {
                true => one_thread()
                    .block_on(connie_std::tokio_net::connect(target, &options))
                    .map(|stream| stream.destination()),
                false => connect(target, &options).map(|stream| stream.destination()),
            };
            let to = end.unwrap_or_else(|error| panic!("{places} places, in a task {in_task}: {error}"));
            assert!(to.is_ipv6());
            assert_eq!(budget.free(), places);
            // A server that is silent keeps its socket for eight seconds.
            assert!(now() - began < Duration::from_secs(6), "{places} places: {:?}", now() - began);
        }
    }
}

/// The target of an alias is asked for when the silent addresses have been told.
#[test]
fn a_look_up_does_not_wait_for_the_silent_addresses_of_its_race() {
    for (addresses, places) in [(4, 4), (4, 5), (4, 2)] {
        let behind = Behind::silent(addresses);
        behind.first.set("name.test", RecordType::Aaaa, DnsAnswer::alias("next.test").after(AWAY));
        behind.first.set("next.test", RecordType::Aaaa, DnsAnswer::addresses(&[Ipv6Addr::LOCALHOST.into()]));
        behind.expect_connected(places, &[&behind.first]);
    }
}

/// Question by question, each of which stands in line behind the race.
#[test]
fn with_a_single_place_a_silent_address_yields_to_the_look_up() {
    let behind = Behind::silent(1);
    for (name, target) in [("name", "b"), ("b", "c"), ("c", "d"), ("d", "e")] {
        let alias = DnsAnswer::alias(&format!("{target}.test"));
        behind.first.set(&format!("{name}.test"), RecordType::Aaaa, alias);
    }
    behind.first.set("e.test", RecordType::Aaaa, DnsAnswer::addresses(&[Ipv6Addr::LOCALHOST.into()]));
    behind.expect_connected(1, &[&behind.first]);
}

/// The first server keeps its place, and says nothing.
#[test]
fn a_second_server_does_not_wait_for_silent_addresses() {
    for (addresses, places) in [(1, 2), (3, 4)] {
        let behind = Behind::silent(addresses);
        behind.first.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
        behind.second.set("name.test", RecordType::Aaaa, DnsAnswer::addresses(&[Ipv6Addr::LOCALHOST.into()]));
        behind.expect_connected(places, &[&behind.first, &behind.second]);
    }
}

/// Look-ups and races over dead addresses want more places than there are, and each waits for the other's.
#[test]
fn names_with_dead_addresses_go_through_few_places() {
    let (server, web) = (DnsServer::start(any_port(1)), Live::silent(any_port(4)));
    let port = web.address().port();
    let _holes = [2, 3].map(|last| BlackHole::open(SocketAddr::new(here(last), port)));
    for number in 0..CROWDED {
        let name = format!("n{number}.test");
        server.set(&name, RecordType::A, DnsAnswer::addresses(&[here(2), here(3), here(4)]));
        server.set(&name, RecordType::Aaaa, DnsAnswer::no_data().after(AWAY));
    }
    let dns = || Dns::new([server.address()]).hosts_file(None);
    let budget = SocketBudget::new(5);
    let options = || within(LIMIT).resolver(dns()).budget(budget.clone());
    let (field, began) = (Field { names: server.address(), port }, now());
    let tasks = field.tasks(CROWDED, &options());
    let options = options();
    let threads: Vec<_> = (0..CROWDED)
        .map(|number| {
            let options = options.clone();
            std::thread::spawn(move || {
                connect((format!("n{number}.test").as_str(), port), &options).map(drop)
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("a connection"));
    assert_eq!(tasks.0, BTreeMap::from([("connected".to_owned(), CROWDED)]));
    assert!(now() - began < LIMIT / 2, "{:?}", now() - began);
    assert_eq!(budget.free(), 5);
}
