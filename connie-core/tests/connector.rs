//! What a connector hands on to its race.

use std::net::SocketAddr;

use connie_core::doc_stack::Stack;
use connie_core::{Config, Connector, Failure, Family, Instant, Progress};

const NOW: Instant = Instant::ZERO;

/// A race over one socket, whose addresses are told answer by answer.
fn race() -> Connector<Stack, 16, 1> {
    Connector::new(&Config::all_at_once(), NOW)
}

/// Where the first attempt leads, which succeeds at once.
#[track_caller]
fn winner(connector: &mut Connector<Stack, 16, 1>) -> SocketAddr {
    let stack = &mut Stack;
    // The first look begins the handshake, the second finds it complete.
    for _ in 0..2 {
        if let Progress::Connected(connection) = connector.poll(stack, NOW) {
            return connection.destination;
        }
    }
    panic!("the first address answers at the second look");
}

#[test]
fn an_answer_is_the_races() {
    let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
    let mut connector = race();
    connector.resolved(Family::V4, &[v4], NOW);
    assert_eq!(winner(&mut connector), v4);
}

#[test]
fn a_preference_is_the_races() {
    let v4 = SocketAddr::from(([192, 0, 2, 1], 80));
    let v6 = "[2001:db8::1]:80".parse().unwrap();
    for (preferred, first) in [(Family::V6, v6), (Family::V4, v4)] {
        let mut connector = race();
        connector.prefer(preferred);
        connector.resolved(Family::V6, &[v6], NOW);
        connector.resolved(Family::V4, &[v4], NOW);
        assert_eq!(winner(&mut connector), first);
    }
}

#[test]
fn the_end_of_a_query_is_the_races() {
    let mut connector = race();
    for family in [Family::V6, Family::V4] {
        connector.resolution_failed(family, NOW);
    }
    let progress = connector.poll(&mut Stack, NOW);
    assert!(matches!(progress, Progress::Failed(Failure::NoDestinations)), "{progress:?}");
}

#[test]
fn a_limit_is_the_races() {
    let stack = &mut Stack;
    let mut connector = Connector::<Stack, 16, 4>::new(&Config::all_at_once(), NOW);
    connector.limit_to(1);
    connector.resolved(Family::V4, &[1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], 80))), NOW);
    assert!(matches!(connector.poll(stack, NOW), Progress::WaitUntil(_)));
    assert_eq!(connector.race().in_flight(), 1);
    let _ = connector.cancel(stack, NOW);
}

#[test]
fn a_growth_is_the_races() {
    let stack = &mut Stack;
    let mut connector = Connector::<Stack, 16, 4>::new(&Config::all_at_once(), NOW);
    connector.limit_to(1);
    connector.grow_to(2);
    connector.resolved(Family::V4, &[1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 80))), NOW);
    assert!(matches!(connector.poll(stack, NOW), Progress::WaitUntil(_)));
    assert_eq!((connector.race().in_flight(), connector.race().limit()), (2, 2));
    let _ = connector.cancel(stack, NOW);
}
