//! What is kept, for how long, and who goes when there is no room.

use std::time::Duration;

use connie_core::Config;
use connie_core::memory::{InvalidMemory, Memory};
use connie_sim::{Rng, hang, ok, refuse, seeds};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

#[test]
fn an_hour_later_nothing_is_known() {
    for (seconds, syns) in [(3_599, 1), (3_601, 2)] {
        let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
        visits.wait(Duration::from_secs(seconds));
        let visit = visits.visit();
        assert_eq!(visit.syns - u32::from(visit.plan.explored().is_some()), syns, "{seconds}");
    }
}

/// Those that led a race which they won stay before those that have not.
#[test]
fn a_hundred_thousand_hosts_leave_the_one_that_is_visited_each_minute() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.pause = Duration::ZERO;
    for number in 0..100_000_u32 {
        visits.host = format!("{number}.test");
        let labels: String =
            (0..2).map(|place| char::from(b'a' + (number >> (place * 4) & 15) as u8)).collect();
        let label = format!("6{labels}");
        visits.answer(&label).put(&label, ok(1));
        visits.visit();
        if number % 1_000 == 0 {
            visits.wait(Duration::from_secs(60));
            visits.host = "name.test".into();
            visits.answer("4a 4b");
            let visit = visits.visit();
            let explored = u32::from(visit.plan.explored().is_some());
            assert_eq!((visit.winner.as_deref(), visit.syns - explored), (Some("4a"), 1), "{number}");
        }
    }
}

#[test]
fn it_comes_back_from_bytes_as_it_was() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", refuse(1)), ("6a", ok(60))]);
    let memory = visits.memory.take().unwrap();
    let mut bytes = vec![0; memory.byte_len()];
    assert_eq!(memory.to_bytes(&mut bytes, visits.now()), Some(bytes.len()));
    assert_eq!(memory.to_bytes(&mut vec![0; bytes.len() - 1], visits.now()), None);
    for (age, syns) in [(0, 1), (3_500, 1), (3_601, 3)] {
        let age = Duration::from_secs(age);
        let back = Memory::from_bytes(&bytes, 1 ^ 0x5eed, age, visits.now()).unwrap();
        let mut again = vec![0; back.byte_len()];
        back.to_bytes(&mut again, visits.now()).unwrap();
        assert!(age > Duration::ZERO || again == bytes);
        let mut other = crate::visits(&ALL, [("4a", ok(30)), ("4b", refuse(1)), ("6a", ok(60))]);
        other.memory = Some(back);
        let visit = other.visit();
        assert_eq!(visit.syns - u32::from(visit.plan.explored().is_some()), syns, "{age:?}");
    }
    // Under another salt nothing of it is found.
    let strange = Memory::from_bytes(&bytes, 2, Duration::ZERO, visits.now()).unwrap();
    visits.memory = Some(strange);
    assert_eq!(visits.visit().syns, 3);
}

/// No octet may be another, and none may lack.
#[test]
fn spoilt_bytes_are_an_error() {
    let mut visits = regular(&ALL, [("4a", ok(30)), ("4b", refuse(1)), ("6a", ok(60))]);
    let memory = visits.memory.take().unwrap();
    let mut bytes = vec![0; memory.byte_len()];
    memory.to_bytes(&mut bytes, visits.now()).unwrap();
    let read = |bytes: &[u8]| Memory::<64>::from_bytes(bytes, 1, Duration::ZERO, visits.now());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(read(&bytes).is_err(), "octet {at}, bit {bit}");
            bytes[at] ^= 1 << bit;
        }
    }
    for len in 0..bytes.len() {
        assert!(matches!(read(&bytes[..len]), Err(InvalidMemory::Length | InvalidMemory::Version)), "{len}");
    }
    bytes.push(0);
    assert_eq!(read(&bytes).unwrap_err(), InvalidMemory::Length);
    seeds(1_000, |seed| {
        let mut rng = Rng::new(seed);
        let len = rng.below(200);
        let noise: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
        assert!(read(&noise).is_err());
    });
}

/// The order of the table is no secret, but its names are: there are none in it.
#[test]
fn bytes_have_no_names() {
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", hang())]);
    visits.host = "a-host-that-is-secret.test".into();
    visits.visit();
    let memory = visits.memory.take().unwrap();
    let mut bytes = vec![0; memory.byte_len()];
    memory.to_bytes(&mut bytes, visits.now()).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"secret"));
}
