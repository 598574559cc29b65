//! The table against itself, against the system's own numbers, and against its page.

use std::fmt::Write as _;
use std::io;

use super::*;
use crate::os_error::{OsError, describe};

const CALLS: [Call; 10] = [
    Call::Socket,
    Call::Bind,
    Call::Connect,
    Call::ConnectFromSource,
    Call::GetSockOpt,
    Call::GetPeerName,
    Call::Poll,
    Call::Watch,
    Call::SetSockOpt,
    Call::Close,
];

const SYSTEMS: [&str; 6] = ["Linux", "Apple", "FreeBSD", "NetBSD", "OpenBSD", "Windows"];

fn rows_of(call: Call) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.call == call)
}

#[test]
fn every_number_of_every_system_has_one_name_and_every_name_one_meaning() {
    for (column, system) in SYSTEMS.iter().enumerate() {
        let mut seen = Vec::new();
        for number in Name::ALL.iter().map(|name| name.numbers()[column]).filter(|&number| number != 0) {
            assert!(!seen.contains(&number), "{system}: {number} twice");
            seen.push(number);
        }
        assert!(seen.len() > 25, "{system}");
    }
    for call in CALLS {
        let named: Vec<_> = rows_of(call).flat_map(|row| row.names).collect();
        for (index, name) in named.iter().enumerate() {
            assert!(!named[..index].contains(name), "{call:?}: {name:?} twice");
        }
        assert!(rows_of(call).count() > 0, "{call:?}");
        // The row of all the rest is the last.
        assert!(rows_of(call).filter(|row| row.names.is_empty()).count() <= 1, "{call:?}");
    }
    for name in Name::ALL {
        assert!(ROWS.iter().any(|row| row.names.contains(name)), "{name:?} is nowhere");
    }
}

#[test]
fn a_time_out_is_what_connect_calls_one_and_the_stack_is_never_gone() {
    for row in ROWS {
        let timed_out = row.means == Means::Fails(TimedOut);
        assert_eq!(timed_out, row.call == Call::Connect && row.names == [Name::TimedOut], "{}", row.when);
        assert_ne!(row.means, Means::Fails(AttemptErrorKind::StackGone), "{}", row.when);
    }
}

#[test]
fn rows_that_say_the_same_kind_of_the_same_number_say_it_in_the_same_words() {
    for (index, one) in ROWS.iter().enumerate() {
        for other in &ROWS[index + 1..] {
            let shared = one.names.iter().any(|name| other.names.contains(name));
            if shared && one.means == other.means && matches!(one.means, Means::Fails(_)) {
                assert_eq!(one.words, other.words, "{} / {}", one.when, other.when);
            }
        }
    }
}

/// Where the numbers are the usual ones.
#[cfg(not(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    target_arch = "sparc",
    target_arch = "sparc64"
)))]
#[test]
fn the_numbers_of_this_system_are_those_of_its_headers() {
    let column = if cfg!(any(target_os = "linux", target_os = "android")) {
        0
    } else if cfg!(target_vendor = "apple") {
        1
    } else if cfg!(target_os = "freebsd") {
        2
    } else if cfg!(target_os = "netbsd") {
        3
    } else if cfg!(target_os = "openbsd") {
        4
    } else if cfg!(windows) {
        5
    } else {
        return;
    };
    for name in Name::ALL {
        let here = HERE.iter().find(|(_, own)| own == name).map_or(0, |(errno, _)| errno.raw_os_error());
        assert_eq!(here, name.numbers()[column], "{name:?}");
    }
}

/// Linux has 133 error numbers; the rest are those that other systems have and that come of nowhere.
#[test]
fn every_number_of_every_call_means_something_on_purpose() {
    for call in CALLS {
        for number in 1..=255 {
            let errno = Errno::from_raw_os_error(number);
            let error = OsError::of(call, errno).attempt_error();
            let listed = ROWS.iter().any(|row| {
                let is_it = row.call == call || call == Call::ConnectFromSource && row.call == Call::Connect;
                is_it
                    && row.means == Means::Fails(error.kind())
                    && row.names.iter().any(|&own| HERE.contains(&(errno, own)))
            });
            assert!(listed || error == Other, "{call:?} {number}: {error:?}");
            assert_eq!(error.number(), Some(number));
            let timed_out = call_is_connect(call) && errno == Errno::TIMEDOUT;
            assert_eq!(error == TimedOut, timed_out, "{call:?} {number}");
            let words = describe(error);
            assert!(!words.is_empty() && !words.contains("os error"), "{call:?} {number}: {words}");
        }
    }
}

fn call_is_connect(call: Call) -> bool {
    matches!(call, Call::Connect | Call::ConnectFromSource)
}

#[test]
fn what_speaks_of_a_route_or_a_family_is_unreachable() {
    let errors = [
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::ACCESS,
        Errno::ADDRNOTAVAIL,
        Errno::AFNOSUPPORT,
        Errno::PFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
    ];
    for errno in errors {
        assert_eq!(OsError::from(errno).attempt_error(), Unreachable, "{errno:?}");
    }
}

#[test]
fn the_same_number_can_mean_something_else_to_another_call() {
    let meaning = |call, errno: Errno| OsError::of(call, errno).attempt_error().kind();
    assert_eq!(meaning(Call::Socket, Errno::ACCESS), Other);
    assert_eq!(meaning(Call::Connect, Errno::ACCESS), Unreachable);
    assert_eq!(meaning(Call::Bind, Errno::ADDRNOTAVAIL), NoSourceAddress);
    assert_eq!(meaning(Call::ConnectFromSource, Errno::ADDRNOTAVAIL), Other);
    assert_eq!(meaning(Call::ConnectFromSource, Errno::CONNREFUSED), Refused);
    assert_eq!(meaning(Call::GetSockOpt, Errno::TIMEDOUT), Other);
    assert_eq!(describe(OsError::of(Call::ConnectFromSource, Errno::ADDRNOTAVAIL).attempt_error()), NO_PORT);
}

// The page.

fn call(call: Call) -> &'static str {
    match call {
        Call::Socket => "socket",
        Call::Bind => "bind",
        Call::Connect => "connect",
        Call::ConnectFromSource => "connect, with a source",
        Call::GetSockOpt => "getsockopt",
        Call::GetPeerName => "getpeername",
        Call::Poll => "poll",
        Call::Watch => "epoll_ctl",
        Call::SetSockOpt => "setsockopt",
        Call::Close => "close",
    }
}

fn means(means: Means) -> String {
    match means {
        Means::Fails(kind) => format!("{kind:?}"),
        Means::Begun => "under way".to_owned(),
        Means::AskAgain => "asked again".to_owned(),
        Means::Wakes => "an early wake-up".to_owned(),
        Means::AskEach => "each socket is asked".to_owned(),
        Means::Ignored => "ignored".to_owned(),
    }
}

fn words_of(row: &Row) -> String {
    match (row.means, row.words) {
        (_, Some(words)) => words.to_owned(),
        (Means::Fails(Other), None) => "the system's".to_owned(),
        (Means::Fails(kind), None) => kind.to_string(),
        _ => "none".to_owned(),
    }
}

fn race(means: Means) -> &'static str {
    match means {
        Means::Fails(OutOfSockets) => {
            "goes on, and comes back when a socket is free; fails where no other attempt is in flight"
        }
        Means::Fails(_) => "goes on with the other addresses",
        _ => "goes on",
    }
}

const HEAD: &str = "# What an error number means\n\n\
    What a system call of a connection attempt can say, and what that means to the attempt, to the race and to the error line. \
    `connie-std` reads the same table (`connie-std/src/errno.rs`), for a thread, for tokio, and for TLS over either. A number that has no row is \
    `Other`, in the system's words. No number ends the race: it fails when every address has failed.\n\n\
    An address for which there is no socket is tried again while another attempt is in flight, whose socket it can have. Without one \
    it has failed: a race of one address ends at once with `OutOfSockets`, and so does one of many that finds no socket at all.\n\n\
    A lookup whose socket cannot be opened since there are too many (the first rows) asks for one again, for five seconds, and fails for want of \
    sockets then. Other numbers fail the name server that was to be asked.\n\n\
    `connect` is also what `SO_ERROR` says of one that went on. `connect, with a source` is an `EADDRNOTAVAIL` where a UDP socket \
    finds a source address for the destination, so that ports are what is missing. `epoll_ctl` is tokio's alone, `poll` all others'. \
    A tokio whose `epoll_wait` fails panics; that is its own.\n\n";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page += "| call | number | means | the race | words | when |\n|---|---|---|---|---|---|\n";
    for row in ROWS {
        let names: Vec<_> = row.names.iter().map(|name| name.text()).collect();
        let names = if names.is_empty() { "any other".to_owned() } else { names.join(" ") };
        let (call, means, race, words) = (call(row.call), means(row.means), race(row.means), words_of(row));
        let _ = writeln!(page, "| {call} | {names} | {means} | {race} | {words} | {} |", row.when);
    }
    page += "\n## The numbers\n\nLinux's are those of all its architectures but MIPS and SPARC, where the names count as well.\n\n";
    let _ = writeln!(page, "| name | {} |\n|---|{}", SYSTEMS.join(" | "), "---|".repeat(SYSTEMS.len()));
    for name in Name::ALL {
        let number = |number: i32| if number == 0 { "none".to_owned() } else { number.to_string() };
        let _ = writeln!(page, "| {} | {} |", name.text(), name.numbers().map(number).join(" | "));
    }
    page
}

#[test]
fn the_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errno.md");
    let page = page();
    if std::env::var_os("CONNIE_WRITE_PAGE").is_some() {
        std::fs::write(path, &page).expect("the page is written");
    }
    let found = std::fs::read_to_string(path).map_err(|error: io::Error| error.to_string());
    assert!(
        found.as_ref() == Ok(&page),
        "docs/errno.md is not the table: CONNIE_WRITE_PAGE=1 cargo test -p connie-std the_page_is_the_table"
    );
}
