//! Who wins, and what becomes of the others.

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptErrorKind, Config, Instant, Progress};
use connie_sim::{
    Bench, RaceDriver, Scenario, SimStack, address, cancels, connects, hang, ok, refuse, starts,
};

#[test]
fn case_01_the_only_address_wins_in_its_own_time() {
    Scenario::staggered().v4(ok(123)).run().starts("4a@0").connects("4a", 123);
    Scenario::all_at_once().v6(ok(123)).run().starts("6a@0").connects("6a", 123);
    Scenario::one_by_one().v6(ok(123)).run().starts("6a@0").connects("6a", 123);
}

#[test]
fn case_02_without_a_deadline_the_race_waits() {
    Scenario::staggered().v4(ok(100_000)).run().starts("4a@0").connects("4a", 100_000);
    Scenario::all_at_once().v4(ok(100_000)).run().connects("4a", 100_000);
}

#[test]
fn case_28_ten_races_at_once_five_times_over_leave_no_socket() {
    let mut stack = SimStack::new(0);
    let (dead, refusing, good) = (address("6a"), address("4a"), address("4b"));
    stack.put(refusing, refuse(10));
    stack.put(good, ok(30));
    let mut clock = stack.clock();
    for round in 0..5 {
        let mut races: Vec<RaceDriver> =
            (0..10).map(|_| RaceDriver::new(&Config::all_at_once(), stack.now())).collect();
        for race in &mut races {
            race.handle_addresses(&[dead, refusing, good], stack.now());
        }
        while !races.is_empty() {
            let now = stack.now();
            races.retain_mut(|race| match race.poll(&mut stack, now) {
                Progress::Connected(connection) => {
                    assert_eq!(connection.destination, good);
                    stack.close(connection.socket).unwrap();
                    false
                }
                progress => {
                    assert!(matches!(progress, Progress::WaitUntil(_)), "{progress:?}");
                    true
                }
            });
            clock.advance_to(now + std::time::Duration::from_millis(5));
        }
        assert_eq!(stack.open(), 0, "after round {round}");
    }
    assert_eq!(stack.peak(), 30);
    assert_eq!(stack.tally(good).completed, 50);
}

#[test]
fn case_32_four_complete_in_one_tick_and_one_wins() {
    let outcome = Scenario::all_at_once().v6s(2, ok(30)).v4s(2, ok(30)).run();
    outcome.connects("6a", 30);
    outcome.ends("6a:established@30 4a:canceled@30 6b:canceled@30 4b:canceled@30");
    for loser in ["4a", "6b", "4b"] {
        let seen = outcome.tally(loser);
        assert_eq!((seen.attempts, seen.completed, seen.aborted, seen.resets), (1, 1, 1, 1), "{loser}");
    }
}

#[test]
fn case_32_step_by_step() {
    let mut race = Bench::new(&Config::all_at_once());
    race.resolves("4a 4b 4c 4d");
    race.expect([starts("4a"), starts("4b"), starts("4c"), starts("4d")]);
    race.expect_idle();
    race.advance(30);
    for label in ["4c", "4a", "4d", "4b"] {
        race.succeeds(label);
    }
    race.expect([cancels("4d"), cancels("4b"), cancels("4a"), connects("4c")]);
}

#[test]
fn case_37_a_second_attempt_comes_too_late() {
    Scenario::staggered()
        .v6(ok(260))
        .v4(ok(20))
        .run()
        .ends("6a:established@260 4a:canceled@260")
        .connects("6a", 260);
}

#[test]
fn case_38_a_second_attempt_comes_just_in_time() {
    Scenario::staggered()
        .v6(ok(270))
        .v4(ok(10))
        .run()
        .ends("6a:canceled@260 4a:established@260")
        .connects("4a", 260);
}

#[test]
fn case_38_of_two_at_the_same_moment_the_one_that_started_first_wins() {
    let scenario = |second| Scenario::staggered().v6(ok(270)).v4(ok(second));
    scenario(19).run().connects("4a", 269);
    scenario(20).run().connects("6a", 270);
    scenario(21).run().connects("6a", 270);
}

#[test]
fn case_58_success_cancels_the_others_and_late_results_are_ignored() {
    let mut race = Bench::new(&Config::all_at_once());
    race.resolves("6a 4a 4b");
    race.expect([starts("6a"), starts("4a"), starts("4b")]);
    race.succeeds("4a");
    // Before the cancels are said, ...
    race.succeeds("6a");
    race.fails("4b", AttemptErrorKind::Refused);
    race.expect([cancels("6a"), connects("4a")]);
    // ... and after.
    race.succeeds("6a");
    race.fails("4a", AttemptErrorKind::Reset);
    race.resolves("6c 4d");
    race.advance(10_000);
    race.expect([connects("4a"), connects("4a")]);
}

#[test]
fn case_68_a_refusal_that_comes_first_does_not_win() {
    let outcome = Scenario::all_at_once().v4(refuse(10)).v4(ok(50)).run();
    outcome.ends("4a:refused@10 4b:established@50").connects("4b", 50);
    // At the same moment as the success, too.
    Scenario::all_at_once().v4(refuse(50)).v4(ok(50)).run().connects("4b", 50);
    // Nor does one that is reset as soon as it is complete.
    let scenario = Scenario::all_at_once().v4(ok(10).resets_after(0)).v4(ok(50));
    scenario.run().ends("4a:reset@10 4b:established@50").connects("4b", 50);
}

#[test]
fn case_69_a_server_that_never_speaks_first() {
    let mut live = Scenario::all_at_once().v4(ok(20)).connect();
    live.outcome.connects("4a", 20);
    let mut socket = live.connection.take().unwrap().socket;
    live.clock.advance_to(Instant::from_millis(60_000));
    assert_eq!(live.stack.receive(&mut socket, &mut [0; 8]), Err(nb::Error::WouldBlock));
    live.stack.close(socket).unwrap();
}

#[test]
fn case_67_two_hang_two_refuse_and_the_fifth_wins_at_once() {
    Scenario::all_at_once()
        .sockets(4)
        .v4s(2, hang())
        .v4s(2, refuse(20))
        .v4(ok(30))
        .run()
        .starts("4a@0 4b@0 4c@0 4d@0 4e@20")
        .connects("4e", 50);
}
