//! Failures, and how they are told.

use connie_core::stack::TcpClientStack;
use connie_core::{AttemptErrorKind, Failure, Family, RaceStack};
use connie_sim::{Ending, Scenario, hang, no_route, ok, refuse, unreachable};

#[test]
fn case_03_the_only_address_fails() {
    Scenario::staggered().v4(refuse(123)).run().fails(Failure::AllAttemptsFailed, 123).errors("4a refused");
    Scenario::all_at_once()
        .v6(unreachable(123))
        .run()
        .fails(Failure::AllAttemptsFailed, 123)
        .errors("6a unreachable");
}

#[test]
fn case_14_a_reset_with_the_handshake_is_a_failure_and_the_socket_is_closed() {
    Scenario::staggered()
        .v4(ok(20).resets_after(0))
        .run()
        .fails(Failure::AllAttemptsFailed, 20)
        .errors("4a reset");
}

#[test]
fn case_14_a_reset_after_the_handshake_is_told_to_the_holder_of_the_connection() {
    let mut live = Scenario::staggered().v4(ok(20).resets_after(10)).connect();
    let mut connection = live.connection.take().expect("the handshake was complete");
    live.outcome.connects("4a", 20);
    live.clock.advance_to(connie_core::Instant::from_millis(30));
    let error = live.stack.receive(&mut connection.socket, &mut [0; 8]);
    let Err(connie_core::stack::nb::Error::Other(error)) = error else { panic!("no error: {error:?}") };
    assert_eq!(live.stack.attempt_error(&error), AttemptErrorKind::Reset);
    live.stack.abort(connection.socket);
    assert_eq!(live.stack.open(), 0);
}

#[test]
fn case_43_both_errors_are_told_with_their_addresses() {
    Scenario::staggered()
        .v6(refuse(10))
        .v4(unreachable(20))
        .run()
        .ends("6a:refused@10 4a:unreachable@30")
        .fails(Failure::AllAttemptsFailed, 30)
        .errors("6a refused, 4a unreachable");
}

#[test]
fn case_43_so_are_those_of_more_addresses_than_the_record_has_room_for() {
    // 64 addresses, each attempted several times: 256 attempts are kept.
    let mut scenario = Scenario::all_at_once().sockets(1).patience(10).v4s(63, hang());
    scenario = scenario.v6(no_route());
    let outcome = scenario.run();
    assert_eq!(outcome.ending, Ending::Failed(Failure::AllAttemptsFailed));
    let timeline = outcome.recording.timeline();
    assert!(timeline.summary().omitted_attempts > 0);
    assert_eq!(timeline.destinations().filter(|destination| destination.error().is_some()).count(), 64);
}

#[test]
fn case_63_a_stack_that_is_gone_ends_the_race() {
    Scenario::staggered()
        .v6s(2, ok(1_000))
        .v4s(2, ok(1_000))
        .gone_at(300)
        .run()
        .starts("6a@0 4a@250")
        .fails(Failure::StackGone, 300);
}

#[test]
fn case_63_a_stack_that_is_gone_from_the_start_is_asked_once() {
    Scenario::all_at_once().v6s(8, ok(10)).gone_at(0).run().starts("6a@0").fails(Failure::StackGone, 0);
}

#[test]
fn case_63_just_before_and_just_after_the_handshake() {
    let scenario = |gone| Scenario::staggered().v4(ok(100)).gone_at(gone);
    scenario(99).run().fails(Failure::StackGone, 99);
    scenario(100).run().fails(Failure::StackGone, 100);
    let mut live = scenario(101).connect();
    live.outcome.connects("4a", 100);
    live.stack.abort(live.connection.take().unwrap().socket);
}

/// What was sent from the old address has no answer to hope for.
#[test]
fn case_79_a_source_that_changes_begins_its_family_anew() {
    let outcome =
        Scenario::all_at_once().patience(2_000).v4s(2, ok(300)).v6(hang()).moves_at(Family::V4, 200).run();
    outcome.starts("6a@0 4a@0 4b@0 4a@200 4b@200").connects("4a", 500);
    let outcome = Scenario::staggered().v4s(2, ok(300)).moves_at(Family::V4, 200).run();
    outcome.starts("4a@0 4a@200 4b@450").connects("4a", 500);
}

#[test]
fn case_79_just_before_and_just_after_the_handshake() {
    let scenario = |at| Scenario::all_at_once().v4(ok(100)).moves_at(Family::V4, at);
    scenario(99).run().connects("4a", 199);
    scenario(100).run().connects("4a", 200);
    scenario(101).run().connects("4a", 100);
}

#[test]
fn case_79_around_the_deadline() {
    for (at, starts) in [(999, "4a@0 4a@999"), (1_000, "4a@0"), (1_001, "4a@0")] {
        let scenario = Scenario::all_at_once().patience(2_000).deadline(1_000).v4(hang());
        let outcome = scenario.moves_at(Family::V4, at).run();
        outcome.starts(starts).fails(Failure::DeadlineExceeded, 1_000);
    }
}

#[test]
fn the_stack_itself_gives_up_after_127_seconds() {
    Scenario::staggered().v4(hang()).run().fails(Failure::AllAttemptsFailed, 127_000).errors("4a timed_out");
    let outcome = Scenario::one_by_one().v4(hang()).v4(ok(30)).run();
    outcome.starts("4a@0 4b@127000").connects("4b", 127_030);
    assert_eq!(outcome.tally("4a").syns, 7);
}
