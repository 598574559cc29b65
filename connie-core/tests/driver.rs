//! What a driver hands on to its race.

use std::net::SocketAddr;

use connie_core::doc_stack::Stack;
use connie_core::{Config, Failure, Family, Instant, Progress, RaceDriver};

const NOW: Instant = Instant::ZERO;

/// A race over one socket, whose addresses are told answer by answer.
fn race() -> RaceDriver<Stack, 16, 1> {
    RaceDriver::new(&Config::all_at_once(), NOW)
}

/// Where the first attempt leads, which succeeds at once.
#[track_caller]
fn winner(driver: &mut RaceDriver<Stack, 16, 1>) -> SocketAddr {
    let stack = &mut Stack;
    // The first look begins the handshake, the second finds it complete.
    for _ in 0..2 {
        if let Progress::Connected(connection) = driver.poll(stack, NOW) {
            return connection.destination;
        }
    }
    panic!("the first address answers at the second look");
}

#[test]
fn an_answer_is_the_races() {
    let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
    let mut driver = race();
    driver.resolved(Family::V4, &[v4], NOW);
    assert_eq!(winner(&mut driver), v4);
}

#[test]
fn a_preference_is_the_races() {
    let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
    let v6 = "[2001:db8::1]:80".parse().unwrap();
    for (preferred, first) in [(Family::V6, v6), (Family::V4, v4)] {
        let mut driver = race();
        driver.prefer(preferred);
        driver.resolved(Family::V6, &[v6], NOW);
        driver.resolved(Family::V4, &[v4], NOW);
        assert_eq!(winner(&mut driver), first);
    }
}

#[test]
fn the_end_of_a_query_is_the_races() {
    let mut driver = race();
    for family in [Family::V6, Family::V4] {
        driver.resolution_failed(family, NOW);
    }
    let progress = driver.poll(&mut Stack, NOW);
    assert!(matches!(progress, Progress::Failed(Failure::NoDestinations)), "{progress:?}");
}

#[test]
fn a_limit_is_the_races() {
    let stack = &mut Stack;
    let mut driver = RaceDriver::<Stack, 16, 4>::new(&Config::all_at_once(), NOW);
    driver.limit_to(1);
    driver.resolved(Family::V4, &[1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 80))), NOW);
    assert!(matches!(driver.poll(stack, NOW), Progress::WaitUntil(_)));
    assert_eq!(driver.race().in_flight(), 1);
    let _ = driver.cancel(stack, NOW);
}

#[test]
fn a_growth_is_the_races() {
    let stack = &mut Stack;
    let mut driver = RaceDriver::<Stack, 16, 4>::new(&Config::all_at_once(), NOW);
    driver.limit_to(1);
    driver.grow_to(2);
    driver.resolved(Family::V4, &[1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 80))), NOW);
    assert!(matches!(driver.poll(stack, NOW), Progress::WaitUntil(_)));
    assert_eq!((driver.race().in_flight(), driver.race().max_in_flight()), (2, 2));
    let _ = driver.cancel(stack, NOW);
}
