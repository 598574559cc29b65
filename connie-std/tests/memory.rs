//! Races with a memory, on loopback addresses.
#![cfg(not(target_os = "wasi"))]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use connie_core::{Family, Instant};
use connie_std::memory::{AddressPart, MemoryFileError, Verdict, WholeRaceReason};
use connie_std::resolve::{FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, WatchSet};
use connie_std::{Connected, Memory, Options, connect};

/// So many servers that never fail, and their addresses. What they have not accepted waits.
fn servers(count: usize) -> (Vec<TcpListener>, Vec<SocketAddr>) {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")).collect();
    let addresses = listeners.iter().map(|it| it.local_addr().expect("an address")).collect();
    (listeners, addresses)
}

/// A memory that gives its leads all the time there is, so that a busy machine makes none late.
fn memory() -> Memory {
    patient(Memory::new())
}

fn patient(memory: Memory) -> Memory {
    let mut settings = memory.settings();
    settings.least_delay = Duration::from_secs(1);
    memory.set_settings(settings);
    memory
}

fn with(memory: &Memory) -> Options {
    Options::new().memory(memory.clone())
}

/// The addresses of a visit's attempts, in the order of their start, without one that was only explored:
/// whose turn that is hangs on chance.
fn tried(visit: &Connected) -> Vec<SocketAddr> {
    let explored =
        visit.report().explanation().and_then(|it| it.the(AddressPart::Explored)).map(|it| it.address());
    visit.timeline().attempts().map(|it| it.destination).filter(|it| Some(*it) != explored).collect()
}

/// The address that leads in a visit. One that is explored beside it may be sooner, and win.
fn led(visit: &Connected) -> SocketAddr {
    visit.report().explanation().and_then(|it| it.the(AddressPart::Lead)).expect("a lead").address()
}

fn visit(addresses: &[SocketAddr], options: &Options) -> Connected {
    connect(addresses, options).expect("a connection")
}

/// So many visits that start `lead` alone, beside one that is explored. What wins so may come to lead: those
/// that follow it are not looked at.
#[track_caller]
fn stays(addresses: &[SocketAddr], options: &Options, lead: SocketAddr, count: usize) {
    for _ in 0..count {
        let visit = visit(addresses, options);
        assert_eq!(tried(&visit), [lead]);
        if visit.destination() != lead {
            return;
        }
    }
}

/// One SYN is enough for all visits but the first.
#[test]
fn the_second_visit_sends_one_syn() {
    let (_servers, addresses) = servers(4);
    let options = with(&memory());
    let first = visit(&addresses, &options);
    assert_eq!(first.timeline().summary().attempts, 4);
    stays(&addresses, &options, first.destination(), 10);
}

#[test]
fn a_report_says_why() {
    let (_servers, addresses) = servers(2);
    let options = with(&memory());
    let why = |visit: &Connected| visit.report().explanation().expect("a memory").to_string();
    let first = visit(&addresses, &options);
    assert_eq!(why(&first), "whole race: the host was never met here; 2 unknown");
    let second = visit(&addresses, &options);
    let said = why(&second);
    assert!(said.starts_with("lead: "), "{said}");
    // One visit in 32 explores the other beside it, and has no third.
    assert!(said.ends_with("; next at 250 ms") || said.contains("; explored: "), "{said}");
    assert_eq!(led(&second), first.destination());
    assert!(visit(&addresses, &Options::default()).report().explanation().is_none());
}

#[test]
fn without_a_memory_each_visit_is_the_whole_race() {
    let (_servers, addresses) = servers(4);
    for _ in 0..3 {
        let mut tried = tried(&visit(&addresses, &Options::default()));
        tried.sort_unstable();
        let mut all = addresses.clone();
        all.sort_unstable();
        assert_eq!(tried, all);
    }
}

/// A lead that refuses costs nothing but itself, once.
#[test]
fn when_the_best_has_died_the_next_one_leads() {
    let (mut servers, addresses) = servers(3);
    let options = with(&memory());
    let first = visit(&addresses, &options).destination();
    let dead = addresses.iter().position(|it| *it == first).expect("one of them");
    drop(servers.remove(dead));

    let after = visit(&addresses, &options);
    assert_eq!(tried(&after)[0], first);
    assert_ne!(after.destination(), first);
    stays(&addresses, &options, after.destination(), 3);
}

/// Whether the memory knows what it was told by a race to `addresses`.
fn knows(options: &Options, addresses: &[SocketAddr]) -> bool {
    tried(&visit(addresses, options)).len() == 1
}

#[test]
fn a_partition_does_not_learn_of_another() {
    let (_servers, addresses) = servers(3);
    let memory = memory();
    visit(&addresses, &with(&memory));
    assert!(knows(&with(&memory), &addresses));
    let other = memory.partition(1);
    assert!(!knows(&with(&other), &addresses) && knows(&with(&other), &addresses));
}

/// A network is known by the address that this machine sends from.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn what_was_learnt_on_one_network_is_not_used_on_another() {
    let (_servers, addresses) = servers(3);
    let memory = memory();
    let from = |last| with(&memory).source_v4(Ipv4Addr::new(127, 0, 0, last));
    assert!(!knows(&from(2), &addresses) && knows(&from(2), &addresses));
    assert!(!knows(&from(3), &addresses));
    // And is there when one comes back.
    assert!(knows(&from(2), &addresses));
}

#[test]
fn a_network_change_that_it_is_told_of_makes_it_forget() {
    let (_servers, addresses) = servers(3);
    let memory = memory();
    visit(&addresses, &with(&memory));
    memory.network_changed();
    assert!(memory.entries().is_empty());
    assert!(!knows(&with(&memory), &addresses));
}

/// TCP answers, and what is behind it does not do its work.
#[test]
fn what_a_user_reports_is_heeded() {
    let (_servers, addresses) = servers(3);
    let memory = memory();
    let first = visit(&addresses, &with(&memory));
    first.report().report_to_memory(Verdict::Refused);
    let second = visit(&addresses, &with(&memory));
    assert_ne!(tried(&second)[0], first.destination());
    // A race without a memory has nobody to tell.
    visit(&addresses, &Options::default()).report().report_to_memory(Verdict::Refused);
}

/// Tells A and AAAA of any name, in two answers.
#[derive(Debug)]
struct Names(Vec<IpAddr>);

struct Told(Vec<ResolveEvent>);

impl Resolve for Names {
    fn lookup(&self, question: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        let answer = |family| {
            let addresses = self.0.iter().map(|&ip| SocketAddr::new(ip, question.port));
            let addresses = addresses.filter(|it| Family::of(it) == family).collect();
            ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true })
        };
        Box::new(Told(vec![answer(Family::V4), answer(Family::V6)]))
    }
}

impl PendingLookup for Told {
    fn watch<'a>(&'a self, _: &mut WatchSet<'a>) {}

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        self.0.pop()
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

/// Two that were used, and an answer that turns: sessions that are bound to an address stay at the one that
/// was used last.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn a_caller_may_ask_for_the_address_that_was_used_last() {
    let port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let number = port.local_addr().expect("an address").port();
    let memory = memory();
    let to = |list: &[u8], incumbent| {
        let names = list.iter().map(|&last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last))).collect();
        let options = with(&memory).resolver(Arc::new(Names(names))).incumbent(incumbent);
        let visit = connect(("name.test", number), &options).expect("a connection");
        // One that is explored beside the lead may be sooner.
        let lead =
            visit.report().explanation().and_then(|it| it.the(AddressPart::Lead)).map(|it| it.address());
        let IpAddr::V4(ip) = lead.unwrap_or(visit.destination()).ip() else { panic!("it is IPv4") };
        // A memory counts milliseconds.
        connie_servers::clock::pause(Duration::from_millis(3));
        ip.octets()[3]
    };
    assert_eq!((to(&[21], false), to(&[22], false)), (21, 22));
    assert_eq!((to(&[21, 22], true), to(&[22, 21], true)), (22, 22));
    assert_eq!((to(&[21, 22], false), to(&[22, 21], false)), (21, 22));
}

#[test]
#[cfg(any(target_os = "linux", windows))]
fn a_name_is_remembered_however_its_answer_is_turned() {
    let port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let number = port.local_addr().expect("an address").port();
    let ip = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    let memory = memory();
    let answers = |list: &[u8]| {
        let names = Arc::new(Names(list.iter().map(|&last| ip(last)).collect()));
        with(&memory).resolver(names)
    };
    let to = |options: &Options| connect(("name.test", number), options).expect("a connection");
    let first = to(&answers(&[11, 12, 13]));
    assert_eq!(first.timeline().summary().attempts, 3);
    for turned in [[12, 13, 11], [13, 11, 12]] {
        assert_eq!(tried(&to(&answers(&turned))), [first.destination()]);
    }
    // Another name is another host, but the address is the same.
    let other = connect(("other.test", number), &answers(&[11, 12, 13])).expect("a connection");
    assert_eq!(tried(&other).len(), 1);
}

/// Two answers of one name without an address in common, of two networks, looked up by somebody else.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn addresses_that_are_said_to_be_a_hosts_are_known_by_it() {
    let port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let number = port.local_addr().expect("an address").port();
    let answer = |net| [1, 2].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, net, last), number)));
    let whole = |visit: Connected| visit.report().explanation().expect("a memory").whole();
    let memory = memory();
    let of = |host: &str, net| whole(visit(&answer(net), &with(&memory.for_host(host))));
    assert_eq!(of("name.test", 1), Some(WholeRaceReason::NeverMet));
    assert_eq!(of("Name.Test", 2), Some(WholeRaceReason::NothingFresh));
    assert_eq!(of("other.test", 3), Some(WholeRaceReason::NeverMet));
    // It is the host that a race to the name is to.
    let named = |host: &str, net| {
        let addresses = answer(net).map(|it| it.ip()).to_vec();
        let entry = connie_std::Override { host: host.to_owned(), port: number, addresses };
        let options = with(&memory.for_host("other.test")).overrides([entry]);
        whole(connect((host, number), &options).expect("a connection"))
    };
    assert_eq!(named("third.test", 8), Some(WholeRaceReason::NeverMet));
    assert_eq!(named("name.test", 9), Some(WholeRaceReason::NothingFresh));
}

/// An HTTP connection that is opened again goes by what its last opening has shown, in a memory of its own.
#[test]
#[cfg(any(target_os = "linux", windows))]
fn an_http_connection_has_a_memory_of_its_own() {
    use connie_std::{HttpConnection, Override};
    let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 41), 0)).expect("a free port");
    let port = first.local_addr().expect("an address").port();
    let _others = [42, 43]
        .map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).expect("the same port"));
    let addresses = [41, 42, 43].map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)));
    let entry = Override { host: "name.test".to_owned(), port, addresses: addresses.to_vec() };
    let options = Options::new().overrides([entry]);
    let mut connection = HttpConnection::with_options("name.test", port, options).expect("a name");
    let own = connection.options_mut().memory.clone().expect("its own");
    patient(own);
    let open = |connection: &mut HttpConnection| {
        connection.connect().expect("a connection");
        connection.close();
        connection.report().expect("a race").timeline().summary().attempts
    };
    assert_eq!(open(&mut connection), 3);
    // The lead, and by chance one that is explored.
    assert!(open(&mut connection) < 3);
    connection.options_mut().memory = None;
    assert_eq!(open(&mut connection), 3);
}

/// A file of its own in the tests' directory, gone with it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let place = directory.join(format!("memory-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&place);
        Place(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_memory_goes_on_from_a_file() {
    let (_servers, addresses) = servers(3);
    let place = Place::new("file");
    let memory = Memory::load(&place.0).expect("none is an empty one");
    assert!(memory.entries().is_empty());
    let first = visit(&addresses, &with(&memory)).destination();
    memory.save(&place.0).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&place.0).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let later = patient(Memory::load(&place.0).expect("what was written"));
    assert_eq!(tried(&visit(&addresses, &with(&later))), [first]);
    // It is whole after a second time in the same place.
    later.save(&place.0).expect("written");
    assert_eq!(Memory::load(&place.0).expect("what was written").entries().len(), later.entries().len());
    // Nothing is left beside it.
    let name = place.0.file_name().expect("a name").to_string_lossy().into_owned();
    let beside = std::fs::read_dir(place.0.parent().expect("a directory")).expect("a directory");
    let names = beside.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|it| it.starts_with(&name)).count(), 1);
}

/// Each cut and each changed octet of a file is one line, or a memory; never a panic.
#[test]
fn a_file_that_was_not_written_so_is_an_error() {
    let (_servers, addresses) = servers(2);
    let memory = memory();
    visit(&addresses, &with(&memory));
    let place = Place::new("hostile");
    let bytes = memory.to_bytes();
    let refused = |bytes: &[u8]| {
        std::fs::write(&place.0, bytes).expect("written");
        match Memory::load(&place.0) {
            Ok(_) => panic!("{bytes:?}"),
            Err(error @ MemoryFileError::Invalid(..)) => {
                let text = error.to_string();
                assert!(text.starts_with(&*place.0.to_string_lossy()) && text.lines().count() == 1, "{text}");
            }
            Err(other) => panic!("{other}"),
        }
    };
    for len in 1..bytes.len() {
        refused(&bytes[..len]);
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        refused(&changed);
    }
    refused(&vec![0; 3_000_000]);
    // As `mktemp` makes one.
    std::fs::write(&place.0, "").expect("written");
    assert!(Memory::load(&place.0).expect("nothing is known").entries().is_empty());
    let directory = Memory::load(env!("CARGO_TARGET_TMPDIR")).expect_err("a directory");
    assert!(matches!(directory, MemoryFileError::Read(..)), "{directory}");
    #[cfg(unix)]
    {
        assert_eq!(std::io::Error::from(directory).kind(), std::io::ErrorKind::IsADirectory);
        let device = Memory::load("/dev/null").expect_err("a device");
        assert_eq!(device.to_string(), "could not read /dev/null: not a regular file");
    }
    memory.save(place.0.join("in/no/directory")).expect_err("no such directory");
}

/// In a directory where others may write, a link could lead what is written anywhere.
#[cfg(unix)]
#[test]
fn a_link_where_it_writes_first_is_not_followed() {
    let (place, other) = (Place::new("links"), Place::new("other"));
    std::fs::write(&other.0, "kept").expect("written");
    let beside = |count| {
        let mut name = place.0.clone().into_os_string();
        name.push(format!(".{}.{count}.new", std::process::id()));
        std::path::PathBuf::from(name)
    };
    for count in 0..1_000 {
        std::os::unix::fs::symlink(&other.0, beside(count)).expect("a link");
    }
    let written = memory().save(&place.0);
    let left = (0..1_000).filter(|count| std::fs::remove_file(beside(*count)).is_ok()).count();
    written.expect("written");
    assert_eq!(left, 999, "one of them was in the way");
    assert_eq!(std::fs::read(&other.0).expect("a file"), b"kept");
    assert!(Memory::load(&place.0).expect("a whole memory").entries().is_empty());
}

const WRITER: &str = "CONNIE_TEST_MEMORY_WRITER";

/// The other process of the test below.
#[test]
fn writes_the_memory_that_it_is_told_to() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let (_servers, addresses) = servers(2);
    for _ in 0..50 {
        let memory = Memory::load(&path).expect("a whole memory");
        visit(&addresses, &with(&memory));
        memory.save(&path).expect("written");
    }
}

#[test]
fn two_processes_may_write_one_file() {
    let place = Place::new("two");
    let writer = || {
        let program = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(program);
        command.args(["--exact", "writes_the_memory_that_it_is_told_to"]).env(WRITER, &place.0);
        command.stdout(std::process::Stdio::null()).spawn().expect("a process")
    };
    let mut writers = [writer(), writer()];
    for writer in &mut writers {
        assert!(writer.wait().expect("its end").success());
    }
    assert!(!Memory::load(&place.0).expect("a whole memory").entries().is_empty());
}

/// An age is counted over the time in between.
#[test]
fn what_is_too_old_is_not_used() {
    let (_servers, addresses) = servers(3);
    let memory = memory();
    visit(&addresses, &with(&memory));
    let bytes = memory.to_bytes();
    let aged = |age| Memory::from_bytes(&bytes, Duration::from_secs(age)).expect("what was written");
    let aged = |age| patient(aged(age));
    assert!(knows(&with(&aged(3_590)), &addresses));
    assert!(!knows(&with(&aged(3_610)), &addresses), "an hour has passed");
}

/// Races in many threads share it.
#[test]
fn threads_share_a_memory() {
    let (_servers, addresses) = servers(2);
    let memory = memory();
    visit(&addresses, &with(&memory));
    std::thread::scope(|scope| {
        let race = || (0..20).filter(|_| knows(&with(&memory), &addresses)).count();
        let races: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
        let alone: usize = races.into_iter().map(|race| race.join().expect("no panic")).sum();
        assert!(alone >= 70, "{alone} of 80 with one attempt");
    });
    assert!(memory.entries().iter().any(|it| it.has_led && it.is_live));
}

/// From now on nothing answers at the listener's address: its queue is full, and Linux drops every further
/// SYN. What fills it.
#[cfg(target_os = "linux")]
fn silence(server: &TcpListener) -> Vec<std::net::TcpStream> {
    rustix::net::listen(server, 0).expect("no room in the queue");
    let address = server.local_addr().expect("an address");
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    std::iter::from_fn(connect).collect()
}

/// A lead that falls silent is passed by, and does not lead again.
#[test]
#[cfg(target_os = "linux")]
fn a_lead_that_falls_silent_is_passed() {
    let (servers, addresses) = servers(2);
    let memory = memory();
    // What is known best leads.
    visit(&addresses[..1], &with(&memory));
    assert_eq!(tried(&visit(&addresses, &with(&memory))), [addresses[0]]);
    let _full = silence(&servers[0]);
    for _ in 0..3 {
        assert_eq!(visit(&addresses, &with(&memory)).destination(), addresses[1]);
    }
    assert_eq!(tried(&visit(&addresses, &with(&memory))), [addresses[1]]);
}
