//! The system calls of a race, as `strace` sees them, and what becomes of a race whose calls fail: `strace`
//! can make a call return any error, the rare ones too.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_tests::clock::pause;
use connie_tests::lab::{Behaviour, Closing, in_namespace, ms, v4};
use connie_tests::servers::Live;
use kernel_support::traced::{Call, OneRace, traced};
use kernel_support::{at, everywhere, unattended};
use rustix::process::Signal;

fn count(calls: &[Call], name: &str, with: &str) -> usize {
    calls.iter().filter(|call| call.name == name && call.line.contains(with)).count()
}

fn listing(calls: &[Call]) -> String {
    calls.iter().map(|call| format!("{}\n", call.line)).collect()
}

/// The calls in the order of their waits: what follows each `ppoll`, up to the next.
fn after_each_wait(calls: &[Call]) -> impl Iterator<Item = (&Call, &[Call])> {
    let waits = calls.iter().enumerate().filter(|(_, call)| call.name == "ppoll");
    waits.map(|(index, wait)| {
        let rest = &calls[index + 1..];
        let end = rest.iter().position(|call| call.name == "ppoll").unwrap_or(rest.len());
        (wait, &rest[..end])
    })
}

/// The most sockets that were open at once: `socket` opens one, `close` closes it.
fn most_open(calls: &[Call]) -> usize {
    let (mut open, mut most) = (BTreeSet::new(), 0);
    for call in calls {
        match &*call.name {
            "socket" if call.returned >= 0 => {
                assert!(open.insert(call.returned), "opened twice: {}", call.line);
            }
            "close" => {
                let descriptor = call.line.split(['(', ')']).nth(1).and_then(|text| text.parse().ok());
                assert!(
                    descriptor.is_some_and(|it| open.remove(&it)),
                    "not one of the race's: {}",
                    call.line
                );
            }
            _ => {}
        }
        most = most.max(open.len());
    }
    assert_eq!(open.len(), 1, "the winner's is the only one left\n{}", listing(calls));
    most
}

/// Twelve attempts: four are refused one after the other, then one wins while seven still wait.
#[test]
fn a_wake_up_costs_one_wait_and_one_question_for_each_socket_that_is_ready() {
    in_namespace(|lab| {
        let _listener = unattended();
        (1..=4).for_each(|n| lab.set(v4(n), Behaviour::refuse(ms(20 * u64::from(n)))));
        lab.set(v4(12), Behaviour::accept(ms(100)));
        let Some((told, calls)) = traced(&[], 12, ms(250), &at((1..=12).map(v4))) else { return };
        assert_eq!(told.connected().0.ip(), v4(12));

        let text = listing(&calls);
        let starts: Vec<&str> = calls.iter().take(24).map(|call| &*call.name).collect();
        assert_eq!(starts, ["socket", "connect"].repeat(12), "a start is two calls\n{text}");
        assert_eq!(
            (count(&calls, "socket", "SOCK_NONBLOCK"), count(&calls, "socket", "SOCK_CLOEXEC")),
            (12, 12)
        );
        assert!(
            calls[24].name == "ppoll" && calls[24].line.matches("fd=").count() >= 12,
            "one wait for all\n{text}"
        );
        let mut ready = 0;
        for (wait, answers) in after_each_wait(&calls) {
            let questions = answers.iter().filter(|call| call.name == "getsockopt").count();
            assert_eq!(usize::try_from(wait.returned).ok(), Some(questions), "{}\n{text}", wait.line);
            ready += questions;
        }
        assert_eq!((ready, count(&calls, "getsockopt", "SO_ERROR")), (5, 5), "{text}");
        assert_eq!(
            (count(&calls, "setsockopt", "TCP_NODELAY"), count(&calls, "setsockopt", "SO_LINGER")),
            (1, 7)
        );
        // Nothing else: no epoll, no pipe, no timer, no call to make a socket non-blocking.
        let of_the_race = ["socket", "connect", "ppoll", "getsockopt", "setsockopt", "close"];
        let others: Vec<&Call> = calls.iter().filter(|call| !of_the_race.contains(&&*call.name)).collect();
        let others: Vec<&str> = others.iter().map(|call| &*call.name).collect();
        // The winner is seen to have a peer, which is not itself, and made blocking; then the program asks
        // for its two ends.
        let names = ["getpeername", "getsockname", "ioctl", "getpeername", "getsockname"];
        assert_eq!(others, names, "{text}");
    });
}

/// What an ICMP error can look like while the kernel is still at it. Here the first wait is made to say so of
/// the black hole, which is the first in its list.
#[test]
#[cfg(target_endian = "little")]
fn a_socket_that_is_ready_before_its_error_is_there_has_not_won() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(100)));
        // OUT, ERR and HUP of `struct pollfd`: a descriptor, what is asked, what is answered.
        let ready = ["-e", "inject=ppoll:retval=1:poke_exit=@arg1=0300000004001c00:when=1"];
        let Some((told, calls)) = traced(&ready, 2, ms(250), &at([v4(1), v4(2)])) else { return };
        let text = listing(&calls);
        assert_eq!(told.connected().0.ip(), v4(2), "{text}");
        assert_eq!(told.outcomes(at([v4(1)])[0]), ["canceled"], "{text}");
        assert_eq!(count(&calls, "getpeername", "ENOTCONN"), 1, "{text}");
        assert_eq!(count(&calls, "getsockopt", "SO_ERROR"), 2, "{text}");
    });
}

/// Were the error never to come, the attempt would be ready for ever.
#[test]
#[cfg(target_endian = "little")]
fn a_socket_that_is_ready_and_never_says_why_fails_and_does_not_spin() {
    in_namespace(|lab| {
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        let no_error = ["-e", "inject=getsockopt:retval=0:poke_exit=@arg4=00000000"];
        let Some((told, calls)) = traced(&no_error, 1, ms(250), &at([v4(1)])) else { return };
        let text = || listing(&calls[calls.len().saturating_sub(10)..]);
        assert_eq!(told.outcomes(at([v4(1)])[0]), ["other"], "{}", text());
        let questions = count(&calls, "getpeername", "ENOTCONN");
        assert!((1..=1_001).contains(&questions), "{questions} questions\n{}", text());
    });
}

#[test]
fn a_race_of_64_addresses_over_4_sockets_never_has_more_than_4_open() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(64), Behaviour::accept(ms(10)));
        (1..=3).for_each(|n| lab.set(v4(10 * n), Behaviour::refuse(ms(3))));
        let Some((told, calls)) = traced(&[], 4, ms(20), &at((1..=64).map(v4))) else { return };
        assert_eq!(told.connected().0.ip(), v4(64));
        assert_eq!(most_open(&calls), 4);
        assert!(count(&calls, "socket", "") >= 64, "{}", listing(&calls));
    });
}

#[test]
fn a_wait_that_a_signal_interrupts_is_waited_again() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(100)));
        let interrupted = ["-e", "inject=ppoll:error=EINTR:when=1..5"];
        let Some((told, calls)) = traced(&interrupted, 2, ms(250), &at([v4(1), v4(2)])) else { return };
        assert_eq!(told.connected().0.ip(), v4(2));
        let text = listing(&calls);
        let waits = (count(&calls, "ppoll", "EINTR"), count(&calls, "ppoll", ""));
        assert!(waits.0 == 5 && waits.1 <= 7, "it spins: {text}");
        assert_eq!(count(&calls, "ppoll", ", 2, {"), waits.1, "each wait is for both sockets: {text}");
        assert_eq!(count(&calls, "clock_nanosleep", ""), 0, "{text}");
        assert_eq!(count(&calls, "getsockopt", "SO_ERROR"), 1, "nothing was ready before");
    });
}

/// Where the kernel cannot even wait, the race asks each socket, and rests between its questions.
#[test]
fn a_wait_that_fails_neither_ends_the_race_nor_makes_it_spin() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(60)));
        // One wait and two questions a turn: three turns.
        let out_of_memory = ["-e", "inject=ppoll:error=ENOMEM:when=1..9"];
        let Some((told, calls)) = traced(&out_of_memory, 2, ms(250), &at([v4(1), v4(2)])) else { return };
        assert_eq!(told.connected().0.ip(), v4(2));
        assert_eq!((count(&calls, "ppoll", "ENOMEM"), count(&calls, "clock_nanosleep", "")), (9, 3));
    });
}

#[test]
fn a_process_that_is_stopped_and_continued_goes_on_with_its_race() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(200)));
        let mut race = OneRace::start(2, ms(250), &at([v4(1), v4(2)]));
        lab.wait_until(ms(5000), |log| log.attempts().len() == 2);
        for _ in 0..4 {
            race.signal(Signal::STOP);
            pause(ms(15));
            race.signal(Signal::CONT);
            pause(ms(15));
        }
        let told = race.told();
        assert_eq!(told.attempts.len(), 2, "the stops have started something: {:?}", told.attempts);
        assert_eq!(told.connected().0.ip(), v4(2));
    });
}

/// The whole process is stopped while four handshakes complete.
#[test]
fn case_32_a_process_that_was_stopped_meanwhile_has_one_winner() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere());
        let addresses = at((1..=4).map(v4));
        (1..=4).for_each(|n| lab.set(v4(n), Behaviour::accept(ms(150))));
        let mut race = OneRace::start(4, ms(250), &addresses);
        lab.wait_until(ms(5000), |log| log.attempts().len() == 4);
        race.signal(Signal::STOP);
        lab.wait_until(ms(5000), |log| {
            log.attempts().iter().filter(|it| it.established.is_some()).count() == 4
        });
        race.signal(Signal::CONT);

        let told = race.told();
        let (winner, client) = told.connected();
        for address in addresses {
            let fate = if address == winner { "established" } else { "canceled" };
            assert_eq!(told.outcomes(address), [fate], "{:?}", told.attempts);
        }
        let log = lab.wait_until_closed(&[client]);
        assert_eq!(
            log.attempts().iter().filter(|it| it.closing() == Some(Closing::Reset)).count(),
            3,
            "{log}"
        );
        server.wait_until(|counts| (counts.open, counts.reset, counts.eof) == (1, 3, 0));
    });
}

/// A kernel without IPv6 does not even make the socket.
#[test]
fn case_11_a_family_without_sockets_is_skipped_at_once() {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let missing = SocketAddr::from((Ipv6Addr::LOCALHOST, server.address().port()));
    let no_family = ["-e", "inject=socket:error=EAFNOSUPPORT:when=1"];
    let Some((told, calls)) = traced(&no_family, 4, ms(250), &[missing, server.address()]) else { return };
    assert_eq!(told.connected().0, server.address());
    assert_eq!(told.outcomes(missing), ["unreachable"]);
    assert!(calls[0].line.contains("EAFNOSUPPORT"), "{}", calls[0].line);
    assert_eq!(
        calls[1].name, "socket",
        "the next address is tried before anything is waited for: {}",
        calls[1].line
    );
}

/// Races a first address, one of whose calls fails with `error`, and a good second one.
#[track_caller]
fn first_fails(call: &str, error: &str, outcome: &str) -> bool {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let first = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), server.address().port()));
    let fault = format!("inject={call}:error={error}:when=1");
    let Some((told, calls)) = traced(&["-e", &fault], 1, Duration::from_secs(5), &[first, server.address()])
    else {
        return false;
    };
    assert_eq!(told.outcomes(first), [outcome], "{error} of {call}: {}", told.result);
    assert_eq!(told.connected().0, server.address(), "{error} of {call}: {}", told.result);
    assert_eq!(most_open(&calls), 1, "{}", listing(&calls));
    // It has not waited before the second address was tried.
    let (wait, second) =
        (calls.iter().position(|it| it.name == "ppoll"), calls.iter().rposition(|it| it.name == "socket"));
    assert!(wait > second, "{}", listing(&calls));
    true
}

/// One socket, and five seconds of patience: the second address starts because the first has failed.
#[test]
fn an_error_of_connect_fails_its_address_at_once_and_no_other() {
    let cases = [
        ("ENETUNREACH", "unreachable"),
        ("EHOSTUNREACH", "unreachable"),
        ("EHOSTDOWN", "unreachable"),
        ("EACCES", "unreachable"),
        ("EPERM", "unreachable"),
        // There is a source address, so that ports are what was missing.
        ("EADDRNOTAVAIL", "other"),
        ("ECONNREFUSED", "refused"),
        ("ETIMEDOUT", "timed_out"),
        ("ECONNRESET", "reset"),
        ("EINVAL", "other"),
        ("EAGAIN", "other"),
    ];
    for (error, outcome) in cases {
        if !first_fails("connect", error, outcome) {
            return;
        }
    }
    // A sandbox says nothing about whether an address can be reached.
    for (error, outcome) in [("EAFNOSUPPORT", "unreachable"), ("EACCES", "other"), ("EPERM", "other")] {
        first_fails("socket", error, outcome);
    }
}

/// `EMFILE` is shown with real descriptors in `kernel_descriptors.rs`; the others need the whole machine.
#[test]
fn case_70_whatever_keeps_the_third_socket_from_opening_the_race_goes_on_with_two() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(3), Behaviour::accept(ms(10)));
        for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
            let fault = format!("inject=socket:error={error}:when=3");
            let Some((told, calls)) = traced(&["-e", &fault], 4, ms(100), &at((1..=4).map(v4))) else {
                return;
            };
            assert_eq!(told.connected().0.ip(), v4(3), "{error}");
            assert_eq!(told.outcomes(at([v4(3)])[0]), ["out_of_sockets", "established"], "{error}");
            assert_eq!(most_open(&calls), 2, "{error}\n{}", listing(&calls));
        }
    });
}

/// What one address is told, by an interface that is down and the like, says nothing of the others: those go
/// out over another interface.
#[test]
fn a_network_that_is_down_for_one_address_is_not_down_for_the_next() {
    for (call, errors) in [
        ("connect", &["ENETDOWN", "ENONET", "EPFNOSUPPORT", "EPROTONOSUPPORT"][..]),
        ("socket", &["ENETDOWN", "EPFNOSUPPORT", "EPROTONOSUPPORT"]),
    ] {
        for error in errors {
            if !first_fails(call, error, "unreachable") {
                return;
            }
        }
    }
}

/// What the wait brings counts as what the call says: here the kernel tells it by `SO_ERROR`.
#[test]
#[cfg(target_endian = "little")]
fn a_network_that_goes_down_under_a_handshake_fails_its_address_alone() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        lab.set(v4(2), Behaviour::accept(ms(10)));
        // 100 is ENETDOWN.
        let down = ["-e", "inject=getsockopt:retval=0:poke_exit=@arg4=64000000:when=1"];
        let Some((told, calls)) = traced(&down, 1, ms(5_000), &at([v4(1), v4(2)])) else { return };
        assert_eq!(told.outcomes(at([v4(1)])[0]), ["unreachable"], "{}", listing(&calls));
        assert_eq!(told.connected().0.ip(), v4(2), "{}", listing(&calls));
    });
}

/// Where it is down for all, all are tried: the list costs nothing, and the last may be the one on this
/// machine.
#[test]
fn a_network_that_is_down_for_all_addresses_fails_when_all_were_tried() {
    let network_down = ["-e", "inject=connect:error=ENETDOWN"];
    let addresses = [2, 3].map(|n| SocketAddr::from((Ipv4Addr::new(127, 0, 0, n), 9)));
    let Some((told, calls)) = traced(&network_down, 1, ms(250), &addresses) else { return };
    assert!(told.result.starts_with("failed "), "{}", told.result);
    let names: Vec<&str> = calls.iter().map(|call| &*call.name).collect();
    assert_eq!(names, ["socket", "connect", "close"].repeat(2));
}
