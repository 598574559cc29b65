//! Where no address of the first answer is known and the host is, the race waits for the other family: 25 ms,
//! as a part of Δ.

use std::time::Duration;

use connie_core::memory::{Finish, Memory, Visit};
use connie_core::race::PlannedRace;
use connie_core::{Config, Family, Input, Instant, Output};
use connie_sim::{Visits, addresses, hang, label, ok};

use crate::regular;

const ALL: Config = Config::all_at_once();

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A race of a program that knows its host, step by step. Times are in microseconds since its start.
struct Steps {
    memory: Memory<64>,
    visit: Visit,
    race: PlannedRace<16, 16, 32>,
    start: Instant,
}

impl Steps {
    fn new(visits: &mut Visits, config: &Config) -> Self {
        let memory = visits.memory.take().expect("it has one");
        let visit = memory.visit(&visits.host, Finish::Tcp, 0, &visits.network);
        let start = visits.now();
        Steps { memory, visit, race: PlannedRace::new(config, start), start }
    }

    fn answer(&mut self, family: Family, labels: &str, micros: u64) {
        let now = self.start + Duration::from_micros(micros);
        self.race.handle_input(Input::Resolved { family, addresses: &addresses(labels) }, now);
        let plan = self.memory.plan(&self.visit, &self.race, 0, now);
        self.race.follow(&plan);
    }

    /// What it starts at this moment.
    fn starts(&mut self, micros: u64) -> String {
        let now = self.start + Duration::from_micros(micros);
        let mut started = Vec::new();
        while let Output::StartAttempt { destination, .. } = self.race.poll_output(now) {
            started.push(label(destination));
        }
        started.join(" ")
    }
}

/// A program that knows the host by `4a`, which is `round_trip` away.
fn knows(round_trip: u64) -> Visits {
    regular(&ALL, [("4a", ok(round_trip))])
}

#[test]
fn a_race_is_held_for_25_ms_and_no_longer() {
    let mut steps = Steps::new(&mut knows(30), &ALL);
    steps.answer(Family::V6, "6a 6b", 0);
    for held in [0, 1, 24_999] {
        assert_eq!(steps.starts(held), "", "{held}");
    }
    assert_eq!(steps.starts(25_000), "6a 6b");
    let mut steps = Steps::new(&mut knows(30), &ALL);
    steps.answer(Family::V6, "6a 6b", 7_000);
    assert_eq!(steps.starts(31_999), "", "it counts from the answer");
    assert_eq!(steps.starts(32_000), "6a 6b");
}

#[test]
fn the_other_answer_ends_the_wait_and_what_is_known_leads() {
    for (millis, starts) in [(24, "4a"), (25, "4a"), (26, "")] {
        let mut steps = Steps::new(&mut knows(30), &ALL);
        steps.answer(Family::V6, "6a 6b", 0);
        assert_eq!(steps.starts(0), "");
        if millis > 25 {
            assert_eq!(steps.starts(25_000), "6a 6b");
        }
        steps.answer(Family::V4, "4a", millis * 1_000);
        let late = steps.starts(millis * 1_000);
        match millis {
            // Those that were unknown have started: it is the whole race.
            26 => assert_eq!(late, "4a"),
            _ => assert_eq!(late, starts, "{millis}"),
        }
    }
}

#[test]
fn an_answer_without_addresses_ends_the_wait() {
    let mut steps = Steps::new(&mut knows(30), &ALL);
    steps.answer(Family::V6, "6a 6b", 0);
    assert_eq!(steps.starts(3_000), "");
    steps.answer(Family::V4, "", 4_000);
    assert_eq!(steps.starts(4_000), "6a 6b");
}

#[test]
fn a_host_that_was_never_met_is_not_held() {
    let mut visits = knows(30);
    visits.host = "other.test".into();
    let mut steps = Steps::new(&mut visits, &ALL);
    steps.answer(Family::V6, "6a 6b", 0);
    assert_eq!(steps.starts(0), "6a 6b");
}

#[test]
fn nor_is_one_of_which_an_address_is_known() {
    let mut visits = regular(&ALL, [("6b", ok(30))]);
    let mut steps = Steps::new(&mut visits, &ALL);
    steps.answer(Family::V6, "6a 6b", 0);
    assert_eq!(steps.starts(0), "6b");
}

/// Δ is at most a quarter of the time that is left.
#[test]
fn with_a_short_deadline_the_wait_is_shorter() {
    for (deadline, held) in [(40, 10_000), (100, 25_000), (99, 24_750)] {
        let mut steps = Steps::new(&mut knows(30), &ALL.deadline(Some(ms(deadline))));
        steps.answer(Family::V6, "6a", 0);
        assert_eq!(steps.starts(held - 1), "", "{deadline}");
        assert_eq!(steps.starts(held), "6a", "{deadline}");
    }
    let mut steps = Steps::new(&mut knows(30), &ALL.patience(ms(20)));
    steps.answer(Family::V6, "6a", 0);
    assert_eq!((steps.starts(19_999), steps.starts(20_000)), (String::new(), "6a".into()));
}

/// What is waited for the answer is taken off what the others may be held back: they have all started by Δ
/// after the first answer.
#[test]
fn the_wait_is_a_part_of_the_longest_delay() {
    let mut steps = Steps::new(&mut knows(900), &ALL);
    steps.answer(Family::V6, "6a 6b", 0);
    steps.answer(Family::V4, "4a", 20_000);
    assert_eq!(steps.starts(20_000), "4a");
    assert_eq!(steps.starts(249_999), "");
    assert_eq!(steps.starts(250_000), "6a 6b");
}

/// `Staggered` has the Resolution Delay, which is for the family that is preferred.
#[test]
fn a_stagger_is_not_held() {
    let mut steps = Steps::new(&mut knows(30), &Config::staggered());
    steps.answer(Family::V6, "6a 6b", 0);
    assert_eq!(steps.starts(0), "6a");
    let mut visits = regular(&Config::staggered(), [("6a", ok(30))]);
    let mut steps = Steps::new(&mut visits, &Config::staggered());
    steps.answer(Family::V4, "4a 4b", 0);
    assert_eq!((steps.starts(49_999), steps.starts(50_000)), (String::new(), "4a".into()));
}

/// The first visit of another program, over the simulated stack: nothing is held.
#[test]
fn a_first_visit_is_as_fast_as_ever() {
    let mut visits = Visits::new(&ALL, 1);
    visits.answer("6a 4a").put("6a", hang()).put("4a", ok(30));
    let visit = visits.visit();
    assert_eq!((visit.starts.as_str(), visit.took), ("6a@0 4a@0", ms(30)));
}
