//! From a name to a connection by the operating system's resolver: the whole path, in a namespace that has a
//! name server of its own.
//!
//! One test, since the threads that call `getaddrinfo` belong to the process and to the namespace in which
//! they were made.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

use connie_core::{Config, Families, Family};
use connie_std::resolve::MAX_THREADS;
use connie_std::{Canceler, ConnectErrorKind, Options, SocketBudget, connect};
use connie_tests::clock::{poll_until, timed};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, replace_files};
use connie_tests::limits;
use connie_tests::servers::{DnsAnswer, DnsQuery, DnsServer, RecordType};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use kernel_support::{PORT, abandon, on_your_marks, unattended};

/// Set in the process that this test starts: what it does there.
const CHILD: &str = "CONNIE_CHILD";
/// It connects while its name server is silent.
const IMPATIENT: &str = "impatient";
/// It connects by many names at once, with few descriptors.
const CROWD: &str = "crowd";
/// It connects while many of its names wait for a silent name server.
const QUEUED: &str = "queued";

/// How many names, no more than wait in a listener's queue, and how many descriptors that process is allowed.
const NAMES: usize = 100;
const DESCRIPTORS: u64 = 64;
/// How many names wait there, with how many places in a budget.
const QUEUE: usize = 200;
const BUDGETS: [usize; 2] = [128, 4];

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// When the name server answers.
const DNS: Duration = ms(10);
const RTT: Duration = ms(30);

/// Asks 127.0.0.1, once each five seconds, and no hosts file before.
fn set_up_resolver() {
    replace_files(&[
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n"),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
        ("/etc/hosts", "192.0.2.1 hosted.test\n"),
    ]);
}

fn name_server(lab: &Lab) -> DnsServer {
    lab.add_address("2001:db8:ffff::1".parse().expect("an address"));
    for network in ["192.0.2.0/24", "2001:db8::/32"] {
        lab.route(network);
    }
    lab.set(V4, Behaviour::accept(RTT));
    DnsServer::start((Ipv4Addr::LOCALHOST, 53).into())
}

fn options(race: Config) -> Options {
    Options::new().race(race.clone().deadline(Some(ms(30_000))))
}

/// Connects to `host` no later than `expected`, at best.
#[track_caller]
fn connects(lab: &Lab, host: &str, race: Config, least: Duration) {
    on_your_marks();
    let options = options(race);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let (result, time) = timed(|| connect((host, PORT), &options));
        let winner = result.unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(winner.destination().ip(), V4);
        assert!(time >= least, "{time:?}, early for {least:?}");
        abandon(lab, winner);
        best = best.min(time);
        if best <= least + ms(5) {
            return;
        }
    }
    // To wait for the other family would cost the Resolution Delay at least.
    assert!(best < least + Config::DEFAULT_RESOLUTION_DELAY / 2, "{best:?} at best, {least:?} would do");
}

#[test]
fn late_answers_cost_nothing_by_the_systems_resolver_either() {
    match std::env::var(CHILD).as_deref() {
        Ok(IMPATIENT) => return impatient(),
        Ok(CROWD) => return crowd(),
        Ok(QUEUED) => return queued(),
        _ => {}
    }
    in_namespace(|lab| {
        set_up_resolver();
        let (server, _web) = (name_server(lab), unattended());
        let a = DnsAnswer::addresses(&[V4]).after(DNS);
        server.set("name.test", RecordType::A, a.clone());
        // Late by two seconds, never, and failed.
        for (index, aaaa) in
            [DnsAnswer::no_data().after(ms(2_000)), DnsAnswer::silent(), DnsAnswer::code(2).after(DNS)]
                .into_iter()
                .enumerate()
        {
            let host = format!("n{index}.test");
            server.set(&host, RecordType::A, a.clone());
            server.set(&host, RecordType::Aaaa, aaaa);
            connects(lab, &host, Config::all_at_once(), DNS + RTT);
        }
        // With `Staggered` at most the Resolution Delay more.
        let delayed = DNS + Config::DEFAULT_RESOLUTION_DELAY + RTT;
        connects(lab, "n1.test", Config::staggered(), delayed);
        // The hosts file holds.
        let only_v4 = Config::all_at_once().families(Families::Only(Family::V4));
        connects(lab, "hosted.test", only_v4, RTT);
        errors_name_the_query(&server);
        the_program_ends_before_the_look_up();
        few_descriptors_are_enough_for_a_crowd(&server);
        names_that_wait_hold_no_places(&server);
        dead_names_hold_up_nobody(&server);
    });
}

fn errors_name_the_query(server: &DnsServer) {
    let error =
        |host: &str| connect((host, PORT), &options(Config::all_at_once())).map(|_| ()).expect_err(host);
    let nowhere = error("no-such.test");
    assert!(matches!(nowhere.kind(), ConnectErrorKind::Resolve(_)), "{nowhere:?}");
    assert_eq!(
        nowhere.to_string(),
        "could not resolve no-such.test: AAAA and A queries failed: no such name"
    );
    server.set("broken.test", RecordType::A, DnsAnswer::code(2));
    server.set("broken.test", RecordType::Aaaa, DnsAnswer::no_data());
    let broken = error("broken.test").to_string();
    assert_eq!(
        broken,
        "could not resolve broken.test: A query failed: a temporary failure of name resolution"
    );
}

/// A process that has its connection ends, though the system's resolver waits for another nine seconds.
fn the_program_ends_before_the_look_up() {
    let (said, time) = timed(|| child(IMPATIENT));
    assert!(said.contains("impatient: connected"), "{said}");
    assert!(time < ms(4_000), "{time:?}");
}

/// What this test says in a process that does `what` in this namespace.
#[track_caller]
fn child(what: &str) -> String {
    let test = "late_answers_cost_nothing_by_the_systems_resolver_either";
    let program = std::env::current_exe().expect("the path of this test");
    let mut command = Command::new(program);
    let output = limits::output(command.args([test, "--exact", "--nocapture"]).env(CHILD, what));
    let output = output.expect("a process");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn few_descriptors_are_enough_for_a_crowd(server: &DnsServer) {
    for index in 0..NAMES {
        let host = format!("c{index}.test");
        server.set(&host, RecordType::A, DnsAnswer::addresses(&[V4]).after(ms(100)));
        server.set(&host, RecordType::Aaaa, DnsAnswer::no_data().after(ms(100)));
    }
    let said = child(CROWD);
    assert!(said.contains(&format!("crowd: {NAMES} connected\n")), "{said}");
}

/// Of a silent name server, ten seconds and more.
fn names_that_wait_hold_no_places(server: &DnsServer) {
    for host in BUDGETS.iter().flat_map(|places| (0..QUEUE).map(|index| queued_name(index, *places))) {
        server.set(&host, RecordType::A, DnsAnswer::silent());
        server.set(&host, RecordType::Aaaa, DnsAnswer::silent());
    }
    let said = child(QUEUED);
    for budget in BUDGETS {
        for host in ["192.0.2.1", "hosted.test"] {
            assert!(said.contains(&format!("queued: {host} at once, of {budget}\n")), "{said}");
        }
    }
}

/// Twice as many calls as there are threads wait for a silent name server, five seconds and more.
fn dead_names_hold_up_nobody(server: &DnsServer) {
    for index in 0..MAX_THREADS {
        let host = format!("dead{index}.test");
        server.set(&host, RecordType::A, DnsAnswer::silent());
        server.set(&host, RecordType::Aaaa, DnsAnswer::silent());
    }
    server.set("live.test", RecordType::A, DnsAnswer::addresses(&[V4]));
    server.set("live.test", RecordType::Aaaa, DnsAnswer::no_data());
    let canceler = Canceler::new().expect("a canceler");
    let patient = options(Config::all_at_once()).canceler(canceler.clone());
    let dead: Vec<_> = (0..MAX_THREADS)
        .map(|index| {
            let patient = patient.clone();
            std::thread::spawn(move || {
                connect((format!("dead{index}.test").as_str(), PORT), &patient).is_err()
            })
        })
        .collect();
    let is_asked = |query: &DnsQuery| query.name.starts_with("dead");
    let all_busy = || server.queries().iter().filter(|query| is_asked(query)).count() >= MAX_THREADS;
    assert!(poll_until(ms(9_000), all_busy), "{} queries", server.queries().len());
    // They are waited for, and a name of the hosts file does not wait.
    let (result, time) = timed(|| connect(("hosted.test", PORT), &options(Config::all_at_once())));
    assert_eq!(result.expect("a connection").destination().ip(), V4);
    assert!(time < ms(4_000), "{time:?}");
    // Nobody waits for them any more: no other name does for them.
    canceler.cancel();
    assert!(dead.into_iter().all(|dead| dead.join().expect("no panic")));
    let (result, time) = timed(|| connect(("live.test", PORT), &options(Config::all_at_once())));
    assert_eq!(result.expect("a connection").destination().ip(), V4);
    assert!(time < ms(4_000), "{time:?}");
}

/// Runs in the namespace that its parent has set up.
fn impatient() {
    let winner = connect(("n1.test", PORT), &options(Config::all_at_once()));
    println!("impatient: {}", if winner.is_ok() { "connected" } else { "failed" });
}

/// A thread for each name.
fn crowd() {
    let limit = Rlimit { current: Some(DESCRIPTORS), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).expect("a lower limit");
    let threads: Vec<_> = (0..NAMES)
        .map(|index| {
            let options = options(Config::all_at_once());
            std::thread::spawn(move || connect((format!("c{index}.test").as_str(), PORT), &options).map(drop))
        })
        .collect();
    let ends = threads.into_iter().map(|thread| thread.join().expect("no panic"));
    let (connected, failed): (Vec<_>, Vec<_>) = ends.partition(Result::is_ok);
    println!("crowd: {} connected", connected.len());
    failed.into_iter().filter_map(Result::err).for_each(|error| println!("{error}"));
}

/// Others for each budget: calls for those of the one before are still under way, and would be joined.
fn queued_name(index: usize, places: usize) -> String {
    format!("q{index}-{places}.test")
}

/// A thread for each name, and then somebody who needs no name server.
fn queued() {
    for places in BUDGETS {
        let budget = SocketBudget::new(places);
        let canceler = Canceler::new().expect("a canceler");
        let options = options(Config::all_at_once()).budget(budget.clone()).canceler(canceler.clone());
        let dead: Vec<_> = (0..QUEUE)
            .map(|index| {
                let options = options.clone();
                std::thread::spawn(move || {
                    connect((queued_name(index, places).as_str(), PORT), &options).is_err()
                })
            })
            .collect();
        // Calls have no more than half.
        assert!(poll_until(ms(9_000), || budget.free() <= places / 2), "{} of {places} free", budget.free());
        for host in ["192.0.2.1", "hosted.test"] {
            let race = options.race.clone().deadline(Some(ms(20_000)));
            let own = options.clone().race(race).canceler(None);
            let (result, time) = timed(|| connect((host, PORT), &own).map(drop));
            let end = if result.is_ok() && time < ms(4_000) { "at once" } else { "late" };
            println!("queued: {host} {end}, of {places}");
            println!("{result:?} after {time:?}, {} of {places} free", budget.free());
        }
        canceler.cancel();
        assert!(dead.into_iter().all(|dead| dead.join().expect("no panic")));
    }
}
