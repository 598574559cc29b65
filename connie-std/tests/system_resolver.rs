//! The operating system's resolver: that look-ups leave neither descriptors nor threads behind, and that the
//! program need not wait for them. One test, since it counts what belongs to the whole process. The names are
//! those of the hosts file: no query leaves the machine.

#![cfg(any(target_os = "linux", windows))]

use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use connie_core::{Families, Family};
use connie_std::resolve::{
    MAX_THREADS, PendingLookup, Resolve, ResolveEvent, ResolveRequest, SystemResolver, WatchSet,
};
use connie_std::{Options, OsClock, connect};

/// The doorbells of this process: what a look-up holds. The system's resolver opens files of its own
/// meanwhile. On Windows it holds a socket, which is among the handles.
fn doorbells() -> usize {
    if cfg!(windows) {
        return 0;
    }
    let all = std::fs::read_dir("/proc/self/fd").expect("proc");
    let links = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("eventfd")).count()
}

/// All descriptors of this process, or handles.
fn descriptors() -> usize {
    connie_servers::descriptors::descriptors().total
}

/// On Windows nobody counts them.
fn threads() -> usize {
    if cfg!(windows) { 0 } else { std::fs::read_dir("/proc/self/task").expect("proc").count() }
}

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "waiting for threads of the system")]
    std::thread::sleep(Duration::from_micros(500));
}

fn begin(clock: OsClock) -> Box<dyn PendingLookup> {
    let mut question = ResolveRequest::new("localhost", 80, clock);
    // Not every hosts file has its IPv6 address, and then the system would ask elsewhere.
    question.families = Families::Only(Family::V4);
    let lookup = SystemResolver.lookup(&question, clock.now());
    // As a `connect` does before it waits.
    lookup.watch(&mut WatchSet::default());
    lookup
}

fn finish(lookup: &mut dyn PendingLookup, clock: OsClock) -> Vec<ResolveEvent> {
    let mut events = Vec::new();
    for _ in 0..20_000 {
        events.extend(std::iter::from_fn(|| lookup.poll(clock.now())));
        if !events.is_empty() {
            break;
        }
        pause();
    }
    events
}

#[test]
fn lookups_leave_nothing_behind() {
    let clock = OsClock::start();
    if cfg!(windows) {
        // The first call of a process opens what it keeps.
        assert_eq!(finish(&mut *begin(clock), clock).len(), 1);
    }
    let before = (descriptors(), threads());
    let doorbells_before = doorbells();
    let mut most = 0;
    for round in 0..1_000 {
        let mut lookup = begin(clock);
        if round % 2 == 0 {
            let events = finish(&mut *lookup, clock);
            assert_eq!(events.len(), 1, "{events:?}");
            let v4 = events.iter().find_map(|event| match event {
                ResolveEvent::Answered(answer) if answer.family == Family::V4 => {
                    Some(answer.addresses.clone())
                }
                _ => None,
            });
            assert_eq!(v4.map(|list| list[0].to_string()), Some("127.0.0.1:80".to_owned()), "{events:?}");
            assert_eq!(doorbells(), doorbells_before, "after its last answer a look-up holds nothing");
        }
        drop(lookup);
        assert_eq!(doorbells(), doorbells_before, "an abandoned look-up frees its descriptors at once");
        most = most.max(threads());
    }
    // Many at the same time do not take a thread each, and share the calls for the same name.
    let mut crowd: Vec<_> = (0..300).map(|_| begin(clock)).collect();
    most = most.max(threads());
    for lookup in crowd.iter_mut().skip(1).step_by(2) {
        assert_eq!(finish(&mut **lookup, clock).len(), 1);
    }
    drop(crowd);
    assert_eq!(doorbells(), doorbells_before);
    assert!(most <= before.1 + MAX_THREADS, "{most} threads");

    // A whole connect by the system's resolver: the machine's own name, where its hosts file has it.
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut own = hosts.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let local = words.next()?.parse::<IpAddr>().ok()?.is_loopback();
        words
            .find(|name| local && !name.starts_with("localhost") && !name.starts_with("ip6-"))
            .map(str::to_owned)
    });
    if let Some(name) = own.next_back() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut options = Options::default();
        options.race.families = Families::Only(Family::V4);
        let winner = connect((name.as_str(), port), &options).expect(&name);
        assert!(winner.destination().ip().is_loopback());
    }

    // Idle threads end.
    for _ in 0..20_000 {
        if (descriptors(), threads()) <= before {
            break;
        }
        pause();
    }
    if cfg!(windows) {
        // With the first call's thread, which is a handle, and has ended.
        assert!(descriptors() <= before.0, "{before:?}, and now {}", descriptors());
    } else {
        assert_eq!((descriptors(), threads()), before);
    }
}
