//! The race at its boundaries; every state that any sequence of events can reach, with the laws; and long
//! random ones over a bucket.

extern crate std;
use super::*;
use std::collections::{BTreeSet, VecDeque};
use std::vec::Vec;
use std::{assert, assert_eq, format, matches};

use ResponseOutput::{Fail, Keep, OpenSecond, SendSecond, Wait};

const PATIENCE: Duration = Duration::from_millis(300);
const DUE: Instant = Instant::from_millis(300);

fn config() -> ResponseRaceConfig {
    ResponseRaceConfig { patience: PATIENCE, may_repeat: true, warm_spare: false }
}

fn begin(config: ResponseRaceConfig) -> (ResponseRace, RetryBucket) {
    let mut bucket = RetryBucket::new();
    (ResponseRace::new(config, &mut bucket, Instant::ZERO), bucket)
}

fn micros(micros: u64) -> Instant {
    Instant::ZERO + Duration::from_micros(micros)
}

#[test]
fn the_second_is_called_for_when_the_patience_has_passed_and_not_before() {
    for (at, opens) in [(0, false), (299_999, false), (300_000, true), (300_001, true)] {
        let (mut race, mut bucket) = begin(config());
        let expected = if opens { OpenSecond } else { Wait(Some(DUE)) };
        assert_eq!(race.poll_output(&mut bucket, micros(at)), expected, "at {at} µs");
    }
}

#[test]
fn a_spare_is_opened_at_once_and_sent_the_request_when_the_patience_has_passed() {
    for (at, sends) in [(299_999, false), (300_000, true), (300_001, true)] {
        let (mut race, mut bucket) = begin(ResponseRaceConfig { warm_spare: true, ..config() });
        assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), OpenSecond);
        race.handle_second_opened();
        let expected = if sends { SendSecond } else { Wait(Some(DUE)) };
        assert_eq!(race.poll_output(&mut bucket, micros(at)), expected, "at {at} µs");
    }
}

#[test]
fn a_connection_that_is_lost_calls_for_the_second_at_once() {
    let (mut race, mut bucket) = begin(config());
    race.handle_lost(Side::First);
    assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), OpenSecond);
    assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), Wait(None));
    race.handle_second_opened();
    assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), SendSecond);
    race.handle_first_byte(Side::Second);
    assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), Keep(Side::Second));
}

#[test]
fn the_first_byte_is_kept_whoever_sends_it() {
    for side in [Side::First, Side::Second] {
        let (mut race, mut bucket) = begin(config());
        assert_eq!(race.poll_output(&mut bucket, DUE), OpenSecond);
        race.handle_second_opened();
        assert_eq!(race.poll_output(&mut bucket, DUE), SendSecond);
        race.handle_first_byte(side);
        race.handle_lost(side);
        assert_eq!(race.poll_output(&mut bucket, DUE), Keep(side));
    }
}

#[test]
fn a_request_that_may_not_be_repeated_is_waited_for_alone() {
    let (mut race, mut bucket) =
        begin(ResponseRaceConfig { may_repeat: false, warm_spare: true, ..config() });
    assert_eq!(race.poll_output(&mut bucket, DUE), Wait(None));
    race.handle_lost(Side::First);
    assert_eq!(race.poll_output(&mut bucket, DUE), Fail);
    assert_eq!(bucket, RetryBucket::new());
}

#[test]
fn without_another_address_the_first_is_waited_for_and_nothing_is_paid() {
    let (mut race, mut bucket) = begin(config());
    assert_eq!(race.poll_output(&mut bucket, DUE), OpenSecond);
    race.handle_second_failed();
    assert_eq!(race.poll_output(&mut bucket, DUE), Wait(None));
    assert_eq!(bucket, RetryBucket::new());
    race.handle_first_byte(Side::First);
    assert_eq!(race.poll_output(&mut bucket, DUE), Keep(Side::First));
}

#[test]
fn when_both_are_lost_the_race_has_failed() {
    for order in [[Side::First, Side::Second], [Side::Second, Side::First]] {
        let (mut race, mut bucket) = begin(config());
        assert_eq!(race.poll_output(&mut bucket, DUE), OpenSecond);
        race.handle_second_opened();
        assert_eq!(race.poll_output(&mut bucket, DUE), SendSecond);
        race.handle_lost(order[0]);
        assert_eq!(race.poll_output(&mut bucket, DUE), Wait(None), "the other may answer");
        race.handle_lost(order[1]);
        assert_eq!(race.poll_output(&mut bucket, DUE), Fail);
    }
}

#[test]
fn a_spare_that_speaks_unasked_is_of_no_use() {
    let (mut race, mut bucket) = begin(ResponseRaceConfig { warm_spare: true, ..config() });
    assert_eq!(race.poll_output(&mut bucket, Instant::ZERO), OpenSecond);
    race.handle_second_opened();
    race.handle_first_byte(Side::Second);
    assert_eq!(race.poll_output(&mut bucket, DUE), Wait(None));
    assert_eq!(bucket, RetryBucket::new());
}

#[test]
fn what_is_given_up_opens_nothing_more() {
    let (mut race, mut bucket) = begin(config());
    assert_eq!(race.poll_output(&mut bucket, DUE), OpenSecond);
    race.handle_given_up();
    race.handle_second_opened();
    assert_eq!(race.poll_output(&mut bucket, DUE), Fail);
    assert_eq!(bucket, RetryBucket::new(), "what was paid for was not sent");
}

#[test]
fn the_bucket_has_three_and_ten_requests_bring_one() {
    let mut bucket = RetryBucket::new();
    let send = |bucket: &mut RetryBucket| {
        let mut race = ResponseRace::new(config(), bucket, Instant::ZERO);
        let opens = race.poll_output(bucket, DUE) == OpenSecond;
        race.handle_second_opened();
        assert_eq!(race.poll_output(bucket, DUE) == SendSecond, opens);
        opens
    };
    // Each of them brings a tenth as well: three full ones, and the tenths of ten more.
    let sent: Vec<bool> = (0..40).map(|_| send(&mut bucket)).collect();
    let more = sent.iter().filter(|more| **more).count();
    assert_eq!(sent[..3], [true; 3]);
    assert_eq!(more, 3 + 3, "{sent:?}");
    assert!(!sent[3] && bucket.available() == 0);
}

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Poll(u64),
    Opened,
    Failed,
    FirstByte(Side),
    Lost(Side),
    GivenUp,
}

const EVENTS: [Event; 11] = [
    Event::Poll(0),
    Event::Poll(299_999),
    Event::Poll(300_000),
    Event::Poll(300_001),
    Event::Opened,
    Event::Failed,
    Event::FirstByte(Side::First),
    Event::FirstByte(Side::Second),
    Event::Lost(Side::First),
    Event::Lost(Side::Second),
    Event::GivenUp,
];

/// What the laws are held against: facts of what was told and answered, and nothing of the race's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Facts {
    config: (bool, bool),
    now: u64,
    opens: u8,
    sends: u8,
    is_open: bool,
    is_opening: bool,
    first_lost: bool,
    second_lost: bool,
    given_up: bool,
    end: Option<u8>,
    /// Tenths.
    begun_with: u8,
}

fn tell(race: &mut ResponseRace, bucket: &mut RetryBucket, facts: &mut Facts, event: Event) {
    let ended = facts.end.is_some();
    match event {
        Event::Poll(at) => {
            // Time does not go back.
            facts.now = facts.now.max(at);
            check(race, bucket, facts);
        }
        Event::Opened => {
            facts.is_open |= facts.is_opening && !ended && !facts.given_up;
            facts.is_opening = false;
            race.handle_second_opened();
        }
        Event::Failed => {
            facts.second_lost |= facts.is_opening;
            facts.is_opening = false;
            race.handle_second_failed();
        }
        Event::FirstByte(side) => race.handle_first_byte(side),
        Event::Lost(side) => {
            match side {
                Side::First => facts.first_lost = true,
                Side::Second => facts.second_lost |= facts.is_open,
            }
            race.handle_lost(side);
        }
        Event::GivenUp => {
            facts.given_up = true;
            race.handle_given_up();
        }
    }
}

fn check(race: &mut ResponseRace, bucket: &mut RetryBucket, facts: &mut Facts) {
    let (may_repeat, warm_spare) = facts.config;
    let called_for = facts.first_lost || facts.now >= 300_000;
    let output = race.poll_output(bucket, micros(facts.now));
    if let Some(end) = facts.end {
        assert_eq!(end_number(output), Some(end), "law 5: {facts:?}");
    }
    facts.end = facts.end.or(end_number(output));
    match output {
        OpenSecond => {
            facts.opens += 1;
            facts.is_opening = true;
            assert!(may_repeat && (called_for || warm_spare), "law 2: {facts:?}");
        }
        SendSecond => {
            facts.sends += 1;
            assert!(may_repeat && called_for && facts.is_open, "laws 1 and 2: {facts:?}");
        }
        Wait(Some(until)) => assert!(until > micros(facts.now), "a wait that is over: {facts:?}"),
        Wait(None) => {}
        Keep(Side::First) => assert!(!facts.is_opening || facts.opens > 0),
        Keep(Side::Second) => assert!(facts.sends == 1, "law 1: {facts:?}"),
        Fail => {
            let may_answer = !facts.first_lost || (facts.sends > 0 && !facts.second_lost);
            assert!(facts.given_up || !may_answer, "law 6: {facts:?}");
        }
    }
    assert!(facts.sends <= 1 && facts.opens <= 1, "laws 1 and 3: {facts:?}");
    // Paid for is what was sent, or may be yet.
    let pending = facts.opens > facts.sends && facts.end.is_none() && race.second != Second::Gone;
    let spent = 10 * (facts.sends + u8::from(pending));
    assert_eq!(bucket.tenths, facts.begun_with - spent, "law 4: {facts:?}");
}

fn end_number(output: ResponseOutput) -> Option<u8> {
    match output {
        Keep(Side::First) => Some(1),
        Keep(Side::Second) => Some(2),
        Fail => Some(3),
        _ => None,
    }
}

#[test]
#[cfg_attr(miri, ignore = "its states take minutes there")]
fn the_laws_hold_in_every_state_that_can_be_reached() {
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::new();
    for may_repeat in [true, false] {
        for warm_spare in [true, false] {
            for tenths in [0, 9, 10, RetryBucket::FULL] {
                let mut bucket = RetryBucket { tenths };
                let config = ResponseRaceConfig { patience: PATIENCE, may_repeat, warm_spare };
                let race = ResponseRace::new(config, &mut bucket, Instant::ZERO);
                let facts = Facts {
                    config: (may_repeat, warm_spare),
                    now: 0,
                    opens: 0,
                    sends: 0,
                    is_open: false,
                    is_opening: false,
                    first_lost: false,
                    second_lost: false,
                    given_up: false,
                    end: None,
                    begun_with: bucket.tenths,
                };
                queue.push_back((race, bucket, facts));
            }
        }
    }
    while let Some(state) = queue.pop_front() {
        if !seen.insert(state) {
            continue;
        }
        for event in EVENTS {
            let (mut race, mut bucket, mut facts) = state;
            tell(&mut race, &mut bucket, &mut facts, event);
            queue.push_back((race, bucket, facts));
        }
    }
    // So that a search that finds nothing is noticed.
    assert!(seen.len() > 500, "only {} states", seen.len());
    let ends: BTreeSet<_> = seen.iter().filter_map(|(_, _, facts)| facts.end).collect();
    assert_eq!(ends.len(), 3);
}

/// Many requests over one bucket, in a random world: no more than a tenth of them and three go out twice.
#[test]
#[cfg_attr(miri, ignore = "its requests take minutes there")]
fn random_requests_over_one_bucket_keep_its_law() {
    let seed = std::env::var("RESPONSE_RACE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed);
    let mut random: u64 = seed;
    let mut draw = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut bucket = RetryBucket::new();
    let mut more = 0_u64;
    for request in 1..=5_000_u64 {
        let config = ResponseRaceConfig { warm_spare: draw(2) == 0, ..config() };
        let mut race = ResponseRace::new(config, &mut bucket, Instant::ZERO);
        let mut now = 0;
        for _ in 0..40 {
            match race.poll_output(&mut bucket, micros(now)) {
                SendSecond => more += 1,
                Keep(_) | Fail => break,
                _ => {}
            }
            match draw(12) {
                0 => race.handle_first_byte(Side::First),
                1 => race.handle_first_byte(Side::Second),
                2 => race.handle_lost(Side::First),
                3 => race.handle_lost(Side::Second),
                4 | 5 => race.handle_second_opened(),
                6 => race.handle_second_failed(),
                _ => now += draw(200_000),
            }
        }
        race.handle_given_up();
        assert!(matches!(race.poll_output(&mut bucket, micros(now)), Keep(_) | Fail));
        let allowed = u64::from(RetryBucket::CAPACITY) + request / 10;
        assert!(more <= allowed, "{}", format!("{more} after {request}; RESPONSE_RACE_SEED={seed}"));
    }
    assert!(more > 300, "too few to tell: {more}");
}
