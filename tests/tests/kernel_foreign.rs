//! Programs and stacks that know only embedded-nal's `TcpClientStack`: any such program over connie's stack,
//! and a race over somebody else's stack, with what a `connect` that blocks makes of it.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{
    AttemptError, AttemptErrorKind, Config, Connection, Failure, NalCompat, Poller, RaceDriver, RaceStack,
};
use connie_std::{OsPoller, OsStack, SleepPoller};
use connie_tests::clock::timed;
use connie_tests::lab::{Behaviour, in_namespace, ms, v4, v6};
use connie_tests::servers::Live;
use kernel_support::{
    AT_ONCE, LATE, all_at_once, at, everywhere, in_time, nothing_is_left, on_your_marks, outcomes,
};

/// A program for embedded-nal, written without a thought of connie: one request, and the answer of `length`
/// octets.
fn fetch<S: TcpClientStack>(stack: &mut S, remote: SocketAddr, length: usize) -> Result<Vec<u8>, S::Error> {
    let mut socket = stack.socket()?;
    nb::block!(stack.connect(&mut socket, remote))?;
    let mut request = &b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"[..];
    while !request.is_empty() {
        let sent = nb::block!(stack.send(&mut socket, request))?;
        request = &request[sent..];
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 512]);
    while answer.len() < length {
        match nb::block!(stack.receive(&mut socket, &mut buffer))? {
            0 => break,
            received => answer.extend_from_slice(&buffer[..received]),
        }
    }
    stack.close(socket)?;
    Ok(answer)
}

#[test]
fn a_program_for_embedded_nal_runs_over_connies_stack_as_over_any_other() {
    in_namespace(|lab| {
        let body = "x".repeat(3000);
        let server = Live::http(everywhere(), &body);
        let expected = format!("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{body}");
        for (n, remote) in [(1, v4(1)), (2, v6(1))] {
            lab.set(remote, Behaviour::accept(ms(10)));
            let address = SocketAddr::new(remote, kernel_support::PORT);
            let ours = fetch(&mut OsStack::default(), address, expected.len()).expect("an answer");
            let theirs = fetch(&mut std_embedded_nal::Stack, address, expected.len()).expect("an answer");
            let wrapped = fetch(&mut NalCompat::new(std_embedded_nal::Stack), address, expected.len())
                .expect("an answer");
            assert_eq!(String::from_utf8(ours), Ok(expected.clone()));
            assert_eq!((theirs == expected.as_bytes(), wrapped == expected.as_bytes()), (true, true));
            server.wait_until(|counts| (counts.answered, counts.eof, counts.reset) == (3 * n, 3 * n, 0));
        }
    });
}

#[test]
fn a_program_for_embedded_nal_hears_of_a_refusal_over_either_stack() {
    in_namespace(|lab| {
        lab.set(v4(1), Behaviour::refuse(ms(10)));
        let ours = fetch(&mut OsStack::default(), at([v4(1)])[0], 1).expect_err("a refusal");
        let theirs = fetch(&mut std_embedded_nal::Stack, at([v4(1)])[0], 1).expect_err("a refusal");
        assert_eq!(ours.as_io().kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(ours.as_io().kind(), theirs.0.kind());
    });
}

/// A race over any stack, and how long it took.
struct Raced<S: RaceStack> {
    driver: RaceDriver<S>,
    result: Result<Connection<S::TcpSocket>, Failure>,
    took: Duration,
}

impl<S: RaceStack> Raced<S> {
    fn run(mut stack: S, mut poller: impl Poller<S>, addresses: &[SocketAddr], config: &Config) -> Self {
        on_your_marks();
        let mut driver = RaceDriver::new(config, poller.now());
        driver.handle_addresses(addresses, poller.now());
        let (result, took) = timed(|| driver.run(&mut stack, &mut poller));
        Self { driver, result, took }
    }

    #[track_caller]
    fn won_by(&self, winner: SocketAddr, expected: Duration) {
        let connection = self.result.as_ref().unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(connection.destination, winner);
        in_time(self.took, expected, "the race");
    }
}

/// Every error of this stack is one of the operating system's, which can be told apart.
fn errors(error: &<std_embedded_nal::Stack as TcpClientStack>::Error) -> AttemptError {
    match error.0.kind() {
        std::io::ErrorKind::ConnectionRefused => AttemptErrorKind::Refused.into(),
        std::io::ErrorKind::TimedOut => AttemptErrorKind::TimedOut.into(),
        _ => AttemptErrorKind::Other.into(),
    }
}

fn over_std_embedded_nal(
    addresses: &[SocketAddr],
    config: &Config,
) -> Raced<NalCompat<std_embedded_nal::Stack>> {
    let stack = NalCompat::with_errors(std_embedded_nal::Stack, errors);
    Raced::run(stack, SleepPoller::new(ms(1)), addresses, config)
}

fn over_connies_stack(addresses: &[SocketAddr], config: &Config) -> Raced<OsStack> {
    Raced::run(OsStack::default(), OsPoller::new(None), addresses, config)
}

/// The first address is far away and alive. Over a stack whose `connect` blocks it is waited for, and the
/// near one is not even called.
#[test]
fn over_a_stack_that_blocks_a_far_first_address_wins_before_a_near_second_is_tried() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(1), Behaviour::accept(ms(150)));
        lab.set(v4(2), Behaviour::accept(ms(20)));
        let addresses = at([v4(1), v4(2)]);

        let blocking = over_std_embedded_nal(&addresses, &all_at_once(4));
        blocking.won_by(addresses[0], ms(150));
        in_time(blocking.driver.slowest_connect(), ms(150), "one call");
        assert_eq!(lab.log().order(), [v4(1)], "the second was called");

        lab.clear_log();
        let ours = over_connies_stack(&addresses, &all_at_once(4));
        ours.won_by(addresses[1], ms(20));
        assert!(ours.driver.slowest_connect() < AT_ONCE, "{:?}", ours.driver.slowest_connect());
        assert_eq!(lab.log().order(), [v4(1), v4(2)]);
    });
}

/// One after the other: each refusal is waited for before the next address is tried.
#[test]
fn over_a_stack_that_blocks_refusals_add_up() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set(v4(1), Behaviour::refuse(ms(40)));
        lab.set(v4(2), Behaviour::refuse(ms(60)));
        lab.set(v4(3), Behaviour::accept(ms(30)));
        let addresses = at((1..=3).map(v4));

        let blocking = over_std_embedded_nal(&addresses, &all_at_once(4));
        blocking.won_by(addresses[2], ms(40 + 60 + 30));
        let fates = [(v4(1), "refused"), (v4(2), "refused"), (v4(3), "established")];
        assert_eq!(outcomes(&blocking.driver.timeline()), fates);
        assert_eq!(lab.log().most_handshakes(), 1, "a serial race\n{}", lab.log());
        assert_eq!(lab.client_sockets().len(), 1);

        lab.clear_log();
        over_connies_stack(&addresses, &all_at_once(4)).won_by(addresses[2], ms(30));
        assert_eq!(lab.log().most_handshakes(), 3, "{}", lab.log());
    });
}

/// One dead address costs the stack's whole time-out, here cut to 3 s (by default it is more than two
/// minutes). Patience and deadline cannot help: they act between calls.
#[test]
fn over_a_stack_that_blocks_a_dead_first_address_outlasts_the_deadline() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere());
        lab.set_sysctl("net/ipv4/tcp_syn_retries", "1");
        lab.set(v4(2), Behaviour::accept(ms(20)));
        let addresses = at([v4(1), v4(2)]);
        let config = all_at_once(4).deadline(Some(ms(400)));

        let blocking = over_std_embedded_nal(&addresses, &config);
        assert_eq!(blocking.result.err(), Some(Failure::DeadlineExceeded));
        let dead = ms(3000);
        assert!((dead..dead + LATE + LATE).contains(&blocking.took), "{:?}", blocking.took);
        assert!(blocking.driver.slowest_connect() >= dead);
        assert_eq!(lab.log().order(), [v4(1)], "the good one was never called");
        nothing_is_left(lab);

        over_connies_stack(&addresses, &config).won_by(addresses[1], ms(20));
    });
}

/// Without a reading of its errors, all that a foreign stack's failures say is that they are failures.
#[test]
fn errors_of_a_foreign_stack_are_other_unless_they_are_told_apart() {
    in_namespace(|lab| {
        lab.set(v4(1), Behaviour::refuse(ms(10)));
        let stack = NalCompat::new(std_embedded_nal::Stack);
        let raced = Raced::run(stack, SleepPoller::new(ms(1)), &at([v4(1)]), &all_at_once(4));
        assert_eq!(raced.result.err(), Some(Failure::AllAttemptsFailed));
        assert_eq!(outcomes(&raced.driver.timeline()), [(v4(1), "other")]);
    });
}

/// A poller that only sleeps serves a stack that does not block as well, a millisecond or so later.
#[test]
fn connies_own_stack_wins_in_time_as_a_foreign_one() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere());
        lab.set(v4(1), Behaviour::accept(ms(150)));
        lab.set(v4(2), Behaviour::accept(ms(30)));
        lab.set(v4(3), Behaviour::refuse(ms(10)));
        let addresses = at((1..=3).map(v4));
        let raced = Raced::run(
            NalCompat::new(OsStack::default()),
            SleepPoller::new(ms(1)),
            &addresses,
            &all_at_once(4),
        );
        raced.won_by(addresses[1], ms(30));
        let fates = [(v4(1), "canceled"), (v4(2), "established"), (v4(3), "other")];
        assert_eq!(outcomes(&raced.driver.timeline()), fates);
        server.wait_until(|counts| counts.open == 1);
    });
}
