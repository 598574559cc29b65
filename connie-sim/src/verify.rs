//! The laws of a race as far as they show from outside the driver: its sockets, its timeline and what the
//! hosts saw.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{AttemptErrorKind, AttemptOutcome as End, Config, Failure};

use crate::driver::{Machine, SOCKETS};
use crate::host::SynAnswer;
use crate::outcome::{Ending, RaceOutcome};
use crate::stack::SimStack;

/// After each step: a socket for each attempt in flight, and none beside them. Where the program `shares` its
/// sockets out, what is in flight beyond a new limit goes on.
#[track_caller]
pub(crate) fn step(connect: &Machine, stack: &SimStack, ended: bool, shares: bool) {
    let race = connect.race();
    if ended {
        assert_eq!(race.in_flight(), 0, "law 3: a race has ended with an attempt in flight");
        assert!(stack.open() <= 1, "law 3: {} sockets are open after the end", stack.open());
    } else {
        assert!(shares || race.in_flight() <= race.max_in_flight(), "law 2: more in flight than allowed");
        assert_eq!(stack.open(), race.in_flight(), "law 3: a socket for each attempt in flight");
    }
}

/// At the end. `listed` is what the last answers hold; a race that was woken `late` may end that much after
/// its deadline.
#[track_caller]
pub(crate) fn outcome(
    outcome: &RaceOutcome,
    config: &Config,
    stack: &SimStack,
    listed: &[SocketAddr],
    late: Duration,
) {
    let allowed = config.max_in_flight.clamp(1, SOCKETS);
    assert!(outcome.peak <= allowed, "law 2: {} sockets open, {allowed} allowed", outcome.peak);
    ends(outcome);
    deadline(outcome, config, late);
    winner(outcome, stack);
    books(outcome, stack);
    every_destination_was_started(outcome, listed);
    every_error_is_true(outcome, config, stack);
}

/// Laws 1 and 3: every attempt ends once, at most one wins, and nothing outlives the race.
#[track_caller]
fn ends(outcome: &RaceOutcome) {
    let connected = matches!(outcome.ending, Ending::Connected(_));
    let won = outcome.attempts().filter(|attempt| attempt.outcome == Some(End::Established)).count();
    assert_eq!(won, usize::from(connected), "law 1: one winner of a race that is won, none of another");
    if outcome.ending == Ending::Waiting {
        return;
    }
    // The record stops at 71 minutes.
    let latest = outcome.elapsed.min(Duration::from_micros(u32::MAX.into()));
    for attempt in outcome.attempts() {
        let ended = attempt.ended.expect("law 3: every attempt has ended");
        assert!(attempt.started <= ended && ended <= latest, "law 1: {attempt:?} outlives the race");
    }
}

/// Law 5.
#[track_caller]
fn deadline(outcome: &RaceOutcome, config: &Config, late: Duration) {
    let Some(deadline) = config.deadline else { return };
    assert_ne!(outcome.ending, Ending::Waiting, "law 5: a race with a deadline ends");
    assert!(outcome.elapsed <= deadline.saturating_add(late), "law 5: ended at {:?}", outcome.elapsed);
    if let Ending::Failed(Failure::DeadlineExceeded) = outcome.ending {
        assert!(outcome.elapsed >= deadline, "law 5: the deadline has not come");
    }
}

/// Law 7, and that the winner is still connected.
#[track_caller]
fn winner(outcome: &RaceOutcome, stack: &SimStack) {
    let Ending::Connected(winner) = outcome.ending else {
        // One that waits for an answer still waits because nothing is in flight; so this holds for it too.
        assert_eq!(stack.open(), 0, "law 3: a socket is open after a race that is lost");
        return;
    };
    assert_eq!(stack.open(), 1, "law 3: the winner's socket is open, and no other");
    let tally = stack.tally(winner);
    assert!(tally.completed >= 1, "law 7: the winner has completed no handshake");
    assert_eq!(tally.open(), 1, "the winner's connection is open");
}

/// What the hosts saw is what the timeline says.
#[track_caller]
fn books(outcome: &RaceOutcome, stack: &SimStack) {
    let timeline = outcome.recording.timeline();
    let summary = timeline.summary();
    let seen: u32 = outcome.tallies.iter().map(|(_, tally)| tally.attempts).sum();
    assert!(seen <= summary.attempts, "more attempts were seen than the race knows of");
    assert!(summary.attempts <= seen + stack.failed_opens() + 1, "attempts without a socket");
    if stack.failed_opens() == 0 {
        assert!(outcome.peak <= summary.max_in_flight, "more sockets open than attempts in flight");
    }
    if outcome.ending == Ending::Waiting {
        return;
    }
    for (address, tally) in &outcome.tallies {
        let open = u32::from(outcome.ending == Ending::Connected(*address));
        assert_eq!(tally.open(), open, "law 3: {address} saw {tally:?}");
        if summary.omitted_attempts == 0 && stack.failed_opens() == 0 {
            let known = outcome.attempts().filter(|attempt| attempt.destination == *address).count();
            let gone = u32::from(summary.failure == Some(Failure::StackGone));
            assert!(tally.attempts <= known as u32, "{address} saw an attempt that is not on record");
            assert!(known as u32 <= tally.attempts + gone, "an attempt on {address} is only on record");
        }
    }
}

/// Law 6.
#[track_caller]
fn every_destination_was_started(outcome: &RaceOutcome, listed: &[SocketAddr]) {
    let Ending::Failed(Failure::AllAttemptsFailed | Failure::NoDestinations) = outcome.ending else { return };
    let timeline = outcome.recording.timeline();
    if timeline.summary().omitted_destinations > 0 {
        return;
    }
    for address in listed {
        // An IPv4-mapped address is the IPv4 address.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let known = timeline.destinations().find(|destination| destination.address() == address);
        let started = known.is_some_and(|destination| destination.was_started());
        assert!(started, "law 6: the race failed before {address} was started");
        let failed = known.is_some_and(|destination| destination.error().is_some());
        assert!(failed, "law 6: every address has failed, and {address} has no error");
    }
}

/// An address that is said to have refused does refuse, and so on; one that accepts has failed only where
/// something stood in its way.
#[track_caller]
fn every_error_is_true(outcome: &RaceOutcome, config: &Config, stack: &SimStack) {
    let timed = config.attempt_timeout.is_some() || config.deadline.is_some();
    for destination in outcome.recording.timeline().destinations() {
        let (address, Some(error)) = (destination.address(), destination.error()) else { continue };
        let host = stack.host(address);
        let is_true = match error.kind() {
            AttemptErrorKind::Refused => host.is_some_and(|host| host.answer == SynAnswer::Refuse),
            AttemptErrorKind::Unreachable => {
                stack.lacks_family_of(address)
                    || host.is_some_and(|host| {
                        matches!(host.answer, SynAnswer::Unreachable | SynAnswer::NoRoute)
                    })
            }
            AttemptErrorKind::Reset => host.is_some_and(|host| host.resets_after.is_some()),
            AttemptErrorKind::TimedOut => timed || host.is_none_or(|host| !host.accepts_every_syn()),
            AttemptErrorKind::OutOfSockets => stack.failed_opens() > 0,
            AttemptErrorKind::StackGone => stack.is_gone(),
            _ => false,
        };
        assert!(is_true, "{address} is said to have failed with {error:?}, and it is {host:?}");
    }
}
