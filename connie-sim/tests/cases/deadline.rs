//! The end that the program sets: its deadline, and its cancel.

use connie_core::stack::TcpClientStack;
use connie_core::{AttemptErrorKind, Config, Failure, Progress};
use connie_sim::{Bench, Scenario, cancels, connects, fails, hang, ok, refuse, starts, waits_until};

#[test]
fn case_13_canceled_with_four_pending() {
    let outcome = Scenario::staggered().v6s(2, hang()).v4s(2, hang()).cancel_at(5_000).run();
    outcome.starts("6a@0 4a@250 6b@500 4b@750").fails(Failure::Canceled, 5_000);
    outcome.ends("6a:canceled@5000 4a:canceled@5000 6b:canceled@5000 4b:canceled@5000");
}

#[test]
fn case_20_three_black_holes() {
    Scenario::staggered()
        .v6(hang())
        .v6(hang())
        .v4(hang())
        .deadline(1_000)
        .run()
        .starts("6a@0 4a@250 6b@500")
        .fails(Failure::DeadlineExceeded, 1_000)
        .errors("6a timed_out, 6b timed_out, 4a timed_out");
}

#[test]
fn case_20_a_success_at_the_deadline_still_counts() {
    let scenario = |time| Scenario::staggered().v6s(2, hang()).v6(ok(time)).deadline(1_000);
    scenario(499).run().connects("6c", 999);
    scenario(500).run().connects("6c", 1_000);
    scenario(501).run().fails(Failure::DeadlineExceeded, 1_000);
}

#[test]
fn case_20_nothing_starts_at_the_deadline() {
    let scenario = |deadline| Scenario::staggered().v6s(2, hang()).deadline(deadline);
    scenario(249).run().starts("6a@0").fails(Failure::DeadlineExceeded, 249);
    scenario(250).run().starts("6a@0").fails(Failure::DeadlineExceeded, 250);
    scenario(251).run().starts("6a@0 6b@250").fails(Failure::DeadlineExceeded, 251);
}

#[test]
fn case_29_canceled_after_success_the_winner_stays_usable() {
    let mut live = Scenario::staggered().v6(hang()).v4(ok(20).serves("hello", 5)).connect();
    let now = live.stack.now();
    assert_eq!(live.driver.cancel(&mut live.stack, now), Progress::Finished);
    let mut socket = live.connection.take().unwrap().socket;
    assert_eq!(live.stack.send(&mut socket, b"hi").unwrap(), 2);
    live.clock.advance_to(connie_core::Instant::from_millis(270 + 20 + 5));
    let mut buffer = [0; 8];
    assert_eq!(live.stack.receive(&mut socket, &mut buffer).unwrap(), 5);
    assert_eq!((&buffer[..5], live.stack.open()), (&b"hello"[..], 1));
    live.stack.close(socket).unwrap();
}

#[test]
fn case_30_canceled_while_pending_is_not_a_time_out() {
    let scenario = |cancel| Scenario::staggered().v4(hang()).deadline(1_000).cancel_at(cancel);
    scenario(500).run().ends("4a:canceled@500").fails(Failure::Canceled, 500);
    scenario(999).run().fails(Failure::Canceled, 999);
    scenario(1_000).run().fails(Failure::Canceled, 1_000);
    scenario(1_001).run().fails(Failure::DeadlineExceeded, 1_000);
}

#[test]
fn case_30_canceled_at_the_moment_of_success() {
    let scenario = |cancel| Scenario::staggered().v4(ok(100)).cancel_at(cancel);
    scenario(99).run().fails(Failure::Canceled, 99);
    scenario(100).run().fails(Failure::Canceled, 100);
    scenario(101).run().connects("4a", 100);
}

#[test]
fn case_49_canceled_before_the_start_opens_no_socket() {
    for scenario in [Scenario::all_at_once(), Scenario::staggered(), Scenario::one_by_one()] {
        let outcome = scenario.v6(ok(10)).v4(ok(10)).cancel_at(0).run();
        outcome.starts("").fails(Failure::Canceled, 0);
        assert_eq!(outcome.peak, 0);
    }
}

#[test]
fn case_49_canceled_while_the_start_is_held_back() {
    let scenario = |cancel| Scenario::staggered().v4(ok(10)).aaaa_never().cancel_at(cancel);
    scenario(49).run().starts("").fails(Failure::Canceled, 49);
    scenario(50).run().starts("").fails(Failure::Canceled, 50);
    scenario(51).run().starts("4a@50").fails(Failure::Canceled, 51);
}

#[test]
fn case_64_the_only_address_hangs() {
    let outcome = Scenario::staggered().v4(hang()).deadline(1_000).run();
    outcome.ends("4a:timed_out@1000").fails(Failure::DeadlineExceeded, 1_000).errors("4a timed_out");
    let late = |time| Scenario::staggered().v4(ok(time)).deadline(1_000).run();
    late(999).connects("4a", 999);
    late(1_000).connects("4a", 1_000);
    late(1_001).fails(Failure::DeadlineExceeded, 1_000);
}

#[test]
fn case_64_a_failure_at_the_deadline_is_a_failure() {
    let scenario = |time| Scenario::staggered().v4(refuse(time)).deadline(1_000).run();
    scenario(999).fails(Failure::AllAttemptsFailed, 999);
    scenario(1_001).fails(Failure::DeadlineExceeded, 1_000).errors("4a timed_out");
    // At the deadline itself the address is known to have refused, and the race to have run out of time.
    scenario(1_000).fails(Failure::DeadlineExceeded, 1_000).errors("4a refused");
}

#[test]
fn case_64_step_by_step() {
    let deadline = Some(std::time::Duration::from_secs(1));
    let mut race = Bench::new(&Config::staggered().deadline(deadline));
    race.resolves("4a");
    race.expect([starts("4a"), waits_until(1_000)]);
    race.advance(999);
    race.expect(waits_until(1_000));
    race.advance(1_000);
    race.expect([cancels("4a"), fails(Failure::DeadlineExceeded)]);
    race.succeeds("4a");
    race.cancel();
    race.expect(fails(Failure::DeadlineExceeded));
}

#[test]
fn case_29_step_by_step() {
    let mut race = Bench::new(&Config::staggered());
    race.resolves("4a");
    race.expect(starts("4a"));
    race.succeeds("4a");
    race.cancel();
    race.fails("4a", AttemptErrorKind::Reset);
    race.expect(connects("4a"));
    race.expect_idle();
}
