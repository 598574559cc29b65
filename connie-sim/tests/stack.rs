//! The simulated stack itself, and a race over one that keeps fewer promises than a race asks for.

use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{
    AttemptErrorKind, Config, Instant, Interest, NalCompat, PollEntry, PollResult, Poller, RaceDriver,
    RaceStack,
};
use connie_sim::{Scenario, SimClock, SimHost, SimSocket, SimStack, address, hang, ok, refuse, seeds};

/// A stack with `host` behind `4a`, and a socket that has begun to connect there.
fn begun(host: SimHost) -> (SimStack, SimClock, SimSocket) {
    let mut stack = SimStack::new(0);
    stack.put(address("4a"), host);
    let clock = stack.clock();
    let mut socket = stack.socket().unwrap();
    assert_eq!(stack.connect(&mut socket, address("4a")), Err(nb::Error::WouldBlock));
    (stack, clock, socket)
}

#[track_caller]
fn waits(stack: &mut SimStack, clock: &mut SimClock, socket: &mut SimSocket, until: Option<Instant>) -> u64 {
    let mut watched = [PollEntry::new(socket, Interest::Connect)];
    assert_eq!(clock.wait(stack, &mut watched, until), PollResult::Look);
    stack.now().as_micros() / 1_000
}

#[test]
fn a_syn_is_sent_again_after_1_3_7_15_31_and_63_seconds() {
    for (lost, seconds) in [(1, 1), (2, 3), (3, 7), (4, 15), (5, 31), (6, 63)] {
        let (mut stack, mut clock, mut socket) = begun(ok(40).lose_first(lost));
        assert_eq!(waits(&mut stack, &mut clock, &mut socket, None), seconds * 1_000 + 40);
        assert_eq!(stack.connect(&mut socket, address("4a")), Ok(()));
        assert_eq!(stack.tally(address("4a")).syns, lost + 1);
        stack.close(socket).unwrap();
    }
}

#[test]
fn the_stack_gives_up_after_seven_syns() {
    let (mut stack, mut clock, mut socket) = begun(ok(40).lose_first(7));
    assert_eq!(waits(&mut stack, &mut clock, &mut socket, None), 127_000);
    let Err(nb::Error::Other(error)) = stack.connect(&mut socket, address("4a")) else { panic!() };
    assert_eq!(stack.attempt_error(&error), AttemptErrorKind::TimedOut);
    stack.abort(socket);
}

#[test]
fn a_wait_ends_at_its_time_or_with_the_news() {
    let (mut stack, mut clock, mut socket) = begun(ok(40));
    assert_eq!(waits(&mut stack, &mut clock, &mut socket, Some(Instant::from_millis(39))), 39);
    assert_eq!(waits(&mut stack, &mut clock, &mut socket, Some(Instant::from_millis(90))), 40);
    stack.abort(socket);
}

#[test]
#[should_panic(expected = "law 4")]
fn a_wait_of_no_length_is_a_broken_law() {
    let (mut stack, mut clock, mut socket) = begun(hang());
    let now = stack.now();
    waits(&mut stack, &mut clock, &mut socket, Some(now));
}

#[test]
#[should_panic(expected = "has failed was connected")]
fn a_socket_that_has_failed_is_good_for_nothing() {
    let (mut stack, mut clock, mut socket) = begun(refuse(10));
    waits(&mut stack, &mut clock, &mut socket, None);
    let _ = stack.connect(&mut socket, address("4a"));
    let _ = stack.connect(&mut socket, address("4a"));
}

#[test]
#[should_panic(expected = "of another stack")]
fn a_socket_belongs_to_its_stack() {
    let (_, _, socket) = begun(ok(10));
    SimStack::new(0).abort(socket);
}

#[test]
fn an_abort_counts_as_a_reset_only_where_the_peer_has_answered() {
    let seen = |host: SimHost, millis| {
        let (mut stack, mut clock, socket) = begun(host);
        clock.advance_to(Instant::from_millis(millis));
        stack.abort(socket);
        let tally = stack.tally(address("4a"));
        (tally.aborted, tally.completed, tally.resets)
    };
    assert_eq!(seen(hang(), 100), (1, 0, 0));
    assert_eq!(seen(refuse(50), 20), (1, 0, 0));
    assert_eq!(seen(ok(50), 20), (1, 0, 1));
    assert_eq!(seen(ok(50), 50), (1, 1, 1));
}

#[test]
fn chance_follows_the_seed() {
    let scenario = |seed| Scenario::all_at_once().v4s(6, ok(30).jitter(40).loss(50)).seed(seed);
    seeds(20, |seed| assert_eq!(scenario(seed).run(), scenario(seed).run()));
    let ends: std::collections::BTreeSet<String> =
        (0..20).map(|seed| scenario(seed).run().end_list()).collect();
    assert!(ends.len() > 10, "twenty seeds make only {} different races", ends.len());
}

#[test]
fn a_stack_whose_connect_blocks_makes_the_race_serial() {
    let mut stack = SimStack::new(0);
    stack.blocks();
    stack.put(address("4a"), refuse(100));
    stack.put(address("4b"), ok(30));
    stack.put(address("4c"), ok(10));
    let mut clock = stack.clock();
    let mut foreign = NalCompat::new(stack);
    let mut driver = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), Instant::ZERO);
    driver.handle_addresses(&["4a", "4b", "4c"].map(address), Instant::ZERO);
    let connection = driver.run(&mut foreign, &mut clock).unwrap();
    assert_eq!(connection.destination, address("4b"));
    assert_eq!(driver.slowest_connect(), Duration::from_millis(100));
    let attempts: Vec<_> = driver.timeline().attempts().map(|attempt| attempt.started).collect();
    assert_eq!(attempts, [Duration::ZERO, Duration::from_millis(100)]);
    foreign.close(connection.socket).unwrap();
    assert_eq!((foreign.get_mut().open(), foreign.get_mut().peak()), (0, 1));
}

#[test]
fn a_foreign_stack_that_does_not_block_races_as_any_other() {
    let mut stack = SimStack::new(0);
    stack.put(address("4b"), ok(30));
    let mut clock = stack.clock();
    let mut foreign = NalCompat::with_errors(stack, |_| AttemptErrorKind::Other.into());
    let mut driver = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), Instant::ZERO);
    driver.handle_addresses(&["4a", "4b"].map(address), Instant::ZERO);
    let connection = driver.run(&mut foreign, &mut clock).unwrap();
    assert_eq!(connection.destination, address("4b"));
    assert_eq!(driver.slowest_connect(), Duration::ZERO);
    foreign.close(connection.socket).unwrap();
    assert_eq!(foreign.get_mut().open(), 0);
}
