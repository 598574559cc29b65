//! Every row of `docs/errno.md` for Linux, brought about: the call fails with that number, for a thread, for
//! a task, and for TLS in either. Where a filter can tell one address from another the other must win, and
//! alone the error must have the row's kind, number and words.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use connie_core::AttemptErrorKind;
use connie_std::{ConnectError, Options, TlsConnector, TlsOptions};
use connie_tests::clock::timed;
use connie_tests::lab::deny::{Denied, calls, deny};
use connie_tests::lab::{HOST_V4, in_namespace};
use connie_tests::servers::{Authority, TlsServer};
use connie_tests::skip;

/// Far beyond what any row takes. What ends by it is a time-out that was none.
const DEADLINE: Duration = Duration::from_secs(5);
/// What no row may take.
const LATE: Duration = Duration::from_secs(4);
const ENOTCONN: i32 = 107;
/// For a row of any number.
const ANY: [i32; 5] = [1, 12, 22, 38, 110];

// The page.

/// One number of one call.
#[derive(Clone, Debug)]
struct Case {
    call: String,
    errno: i32,
    means: String,
    words: String,
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn cases() -> Vec<Case> {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errno.md")).unwrap();
    let (rows, names) = page.split_once("## The numbers").expect("two tables");
    let table = |text: &'static str, page: &str| -> Vec<Vec<String>> {
        let lines = page.lines().filter(|line| line.starts_with('|')).map(cells);
        lines.skip_while(|cells| cells[0] != text).skip(2).collect()
    };
    let numbers: HashMap<String, i32> = table("name", names)
        .into_iter()
        .filter_map(|cells| cells[1].parse().ok().map(|number| (cells[0].clone(), number)))
        .collect();
    let mut cases = Vec::new();
    for row in table("call", rows) {
        let errnos: Vec<i32> = match row[1].as_str() {
            "any other" => ANY.to_vec(),
            names => names.split(' ').filter_map(|name| numbers.get(name).copied()).collect(),
        };
        cases.extend(errnos.into_iter().map(|errno| Case {
            call: row[0].clone(),
            errno,
            means: row[2].clone(),
            words: row[4].clone(),
        }));
    }
    assert!(cases.len() > 80, "{}", cases.len());
    cases
}

impl Case {
    /// The calls that fail, and whether only those of IPv6 do.
    fn denied(&self) -> (Vec<Denied>, bool) {
        let of_v6 = |call, place, value| {
            (vec![Denied { call, argument: Some((place, value)), errno: self.errno }], true)
        };
        let all = |calls: &[_]| {
            let denied = calls.iter().map(|&call| Denied { call, argument: None, errno: self.errno });
            (denied.collect(), false)
        };
        match self.call.as_str() {
            // AF_INET6, and the size of its address.
            "socket" => of_v6(calls::SOCKET, 0, 10),
            "bind" => of_v6(calls::BIND, 2, 28),
            "connect" => of_v6(calls::CONNECT, 2, 28),
            "getsockopt" => all(&[calls::GETSOCKOPT]),
            "getpeername" => all(&[calls::GETPEERNAME]),
            "setsockopt" => all(&[calls::SETSOCKOPT]),
            "close" => all(&[calls::CLOSE]),
            "poll" => all(calls::POLL),
            // EPOLL_CTL_ADD.
            "epoll_ctl" => {
                (vec![Denied { call: calls::EPOLL_CTL, argument: Some((1, 1)), errno: self.errno }], false)
            }
            other => panic!("{other}: no such call"),
        }
    }

    /// What the error line ends with.
    fn text(&self) -> String {
        match self.words.as_str() {
            "the system's" => words(self.errno),
            words => words.to_owned(),
        }
    }

    /// The kind's name, the number and the words of an attempt that fails; `None` where it goes on.
    fn failure(&self) -> Option<(String, i32, String)> {
        match self.means.as_str() {
            // Nothing was begun in truth: a socket that never is connected.
            "under way" | "asked again" => Some(("Other".to_owned(), ENOTCONN, words(ENOTCONN))),
            "each socket is asked" | "ignored" => None,
            kind => Some((kind.to_owned(), self.errno, self.text())),
        }
    }
}

/// The system's words.
fn words(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

// The stacks.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stack {
    Std,
    Tls,
    Tokio,
    TlsOnTokio,
}

/// A server for each stack, and the authority of its certificate.
struct World {
    plain: TcpListener,
    tls: TlsServer,
    authority: String,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let tls = TlsServer::echo(&authority.certify(&["name.test"]));
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        World { plain, tls, authority: authority.pem() }
    }

    fn live(&self, stack: Stack) -> SocketAddr {
        match stack {
            Stack::Tls | Stack::TlsOnTokio => self.tls.address(),
            Stack::Std | Stack::Tokio => self.plain.local_addr().unwrap(),
        }
    }

    fn connector(&self) -> TlsConnector {
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_pem(self.authority.clone().into_bytes())
            .server_name("name.test".to_owned());
        TlsConnector::new(&options).unwrap()
    }
}

fn options(case: &Case) -> Options {
    let race = Options::default().race.deadline(Some(DEADLINE));
    let binds = case.call == "bind";
    Options::new()
        .race(race)
        .source_v4(binds.then_some(Ipv4Addr::LOCALHOST))
        .source_v6(binds.then_some(Ipv6Addr::LOCALHOST))
}

/// Connects in a thread of its own, whose calls fail. Answers which address has won.
fn connect(
    world: &World,
    stack: Stack,
    case: &Case,
    addresses: &[SocketAddr],
) -> Result<SocketAddr, ConnectError> {
    let (denied, options) = (case.denied().0, options(case));
    std::thread::scope(|scope| {
        let run = || match stack {
            Stack::Std => {
                deny(&denied).expect("a filter");
                connie_std::connect(addresses, &options).map(|stream| stream.destination())
            }
            Stack::Tls => {
                let connector = world.connector();
                deny(&denied).expect("a filter");
                connector.connect(addresses, &options).map(|stream| stream.destination())
            }
            Stack::Tokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                deny(&denied).expect("a filter");
                let connected = connie_std::tokio_net::connect(addresses, &options);
                runtime.block_on(connected).map(|stream| stream.destination())
            }
            Stack::TlsOnTokio => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let connector = connie_std::tokio_net::TlsConnector::from(world.connector());
                deny(&denied).expect("a filter");
                let connected = connector.connect(addresses, &options);
                runtime.block_on(connected).map(|stream| stream.destination())
            }
        };
        scope.spawn(run).join().expect("no panic")
    })
}

fn check(world: &World, stack: Stack, case: &Case) {
    let live = world.live(stack);
    let (_, is_of_v6) = case.denied();
    let bad = if is_of_v6 { SocketAddr::from((Ipv6Addr::LOCALHOST, live.port())) } else { live };
    let (alone, time) = timed(|| connect(world, stack, case, &[bad]));
    assert!(time < LATE, "{stack:?} {case:?}: {time:?}");
    match (case.failure(), alone) {
        (None, alone) => assert_eq!(alone.ok(), Some(live), "{stack:?} {case:?}"),
        (Some(_), Ok(winner)) => panic!("{stack:?} {case:?}: {winner} has won"),
        (Some((kind, errno, words)), Err(error)) => {
            let told = error.timeline().and_then(|timeline| timeline.most_telling()).map(|(_, error)| error);
            let told = told.unwrap_or_else(|| panic!("{stack:?} {case:?}: {error}"));
            assert_eq!(
                (format!("{:?}", told.kind()), told.number()),
                (kind.clone(), Some(errno)),
                "{stack:?} {case:?}"
            );
            // What to do comes last, where there is something.
            let line = error.to_string();
            let line = line.split(": close some,").next().unwrap_or_default();
            // And the source address, where that is what the machine does not have.
            let line = line.strip_suffix(": ::1").filter(|_| kind == "NoSourceAddress").unwrap_or(line);
            assert!(line.ends_with(&words), "{stack:?} {case:?}: {error}");
            assert_eq!(error.raw_os_error(), Some(errno), "{stack:?} {case:?}");
            let timed_out = told == AttemptErrorKind::TimedOut;
            assert_eq!(error.io_kind() == io::ErrorKind::TimedOut, timed_out, "{stack:?} {case:?}");
            let again = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
            assert!(!again.contains(&error.io_kind()), "{stack:?} {case:?}: {error}");
        }
    }
    if is_of_v6 {
        let (both, time) = timed(|| connect(world, stack, case, &[bad, live]));
        assert_eq!(both.ok(), Some(live), "{stack:?} {case:?}");
        assert!(time < LATE, "{stack:?} {case:?}: {time:?}");
    }
}

fn every_row(stack: Stack) {
    if std::thread::spawn(|| deny(&[])).join().unwrap().is_err() {
        return skip(
            "seccomp",
            "build the kernel with CONFIG_SECCOMP_FILTER, and run where no other filter forbids one",
        );
    }
    let world = World::new();
    let mut count = 0;
    for case in cases() {
        let is_elsewhere = match case.call.as_str() {
            // `ports_that_are_all_in_use_are_no_matter_of_routes` below.
            "connect, with a source" => true,
            "epoll_ctl" => !matches!(stack, Stack::Tokio | Stack::TlsOnTokio),
            // A signal comes once, and not at every call.
            "poll" => case.means == "an early wake-up",
            _ => false,
        };
        if !is_elsewhere {
            check(&world, stack, &case);
            count += 1;
        }
    }
    assert!(count > 70, "{count}");
}

#[test]
fn every_row_means_what_it_says_to_a_thread() {
    every_row(Stack::Std);
}

#[test]
fn every_row_means_what_it_says_to_tls() {
    every_row(Stack::Tls);
}

#[test]
fn every_row_means_what_it_says_to_a_task() {
    every_row(Stack::Tokio);
}

#[test]
fn every_row_means_what_it_says_to_tls_in_a_task() {
    every_row(Stack::TlsOnTokio);
}

/// Both ports that there are lead to one server already. Another server can still be reached from them.
#[test]
fn ports_that_are_all_in_use_are_no_matter_of_routes() {
    in_namespace(|_| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001").expect("a range of ports");
        let listen = |port| TcpListener::bind((HOST_V4, port)).expect("a listener");
        let (full, other) = (listen(8081), listen(8082));
        let (crowded, free) = (full.local_addr().unwrap(), other.local_addr().unwrap());
        let held: Vec<_> = std::iter::from_fn(|| TcpStream::connect(crowded).ok()).take(10).collect();
        assert_eq!(held.len(), 2);
        let race = Options::default().race.deadline(Some(DEADLINE));
        let options = Options::new().race(race);
        let error = connie_std::connect([crowded], &options).map(drop).unwrap_err();
        assert_eq!(error.to_string(), format!("could not connect to {crowded}: no free port on this side"));
        assert_eq!((error.raw_os_error(), error.io_kind()), (Some(99), io::ErrorKind::AddrNotAvailable));
        let winner = connie_std::connect([crowded, free], &options).expect("the other server");
        assert_eq!(winner.destination(), free);
    });
}
