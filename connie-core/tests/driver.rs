//! What a driver hands on to its race.

use std::net::SocketAddr;
use std::task::Poll;

use connie_core::doc_stack::{Clock, Stack};
use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{
    AttemptError, AttemptErrorKind, Config, Failure, Family, Instant, Poller, Progress, RaceDriver, RaceStack,
};

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

/// A stack whose handshakes come to nothing while its source is gone, and succeed when it is not.
#[derive(Default)]
struct Moving {
    is_gone: bool,
    /// Whether it says so of the first call as well.
    at_once: bool,
    aborted: usize,
    begun: usize,
    /// How often the source of IPv4 has changed, where it counts that.
    changes: Option<u8>,
}

#[derive(Debug)]
struct MovingError;

impl TcpError for MovingError {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

impl TcpClientStack for Moving {
    type TcpSocket = bool;
    type Error = MovingError;

    fn socket(&mut self) -> Result<bool, MovingError> {
        Ok(false)
    }

    fn connect(&mut self, socket: &mut bool, _: SocketAddr) -> nb::Result<(), MovingError> {
        let is_first = !core::mem::replace(socket, true);
        self.begun += usize::from(is_first);
        match self.is_gone && (!is_first || self.at_once) {
            true => Err(nb::Error::Other(MovingError)),
            false => Err(nb::Error::WouldBlock),
        }
    }

    fn send(&mut self, _: &mut bool, _: &[u8]) -> nb::Result<usize, MovingError> {
        Err(nb::Error::WouldBlock)
    }

    fn receive(&mut self, _: &mut bool, _: &mut [u8]) -> nb::Result<usize, MovingError> {
        Err(nb::Error::WouldBlock)
    }

    fn close(&mut self, _: bool) -> Result<(), MovingError> {
        Ok(())
    }
}

impl RaceStack for Moving {
    fn attempt_error(&self, _: &MovingError) -> AttemptError {
        AttemptErrorKind::SourceGone.into()
    }

    fn abort(&mut self, _: bool) {
        self.aborted += 1;
    }

    fn source_changes(&self, family: Family) -> Option<u8> {
        self.changes.filter(|_| family == Family::V4)
    }
}

fn moving() -> (Moving, RaceDriver<Moving, 16, 4>) {
    let mut driver = RaceDriver::new(&Config::all_at_once().hedge(false), NOW);
    let addresses = ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.2:80"].map(|it| it.parse().unwrap());
    driver.handle_addresses(&addresses, NOW);
    let mut stack = Moving::default();
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted), (3, 0));
    (stack, driver)
}

#[test]
fn an_attempt_whose_source_is_gone_stands_for_its_family() {
    let (mut stack, mut driver) = moving();
    driver.source_changed(&mut stack, Family::V4, NOW);
    assert_eq!(driver.race().in_flight(), 1, "that of the other family");
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted, driver.race().in_flight()), (5, 2, 3));
    // The stack says so by itself: of one family, then of the other.
    stack.is_gone = true;
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted, driver.race().in_flight()), (8, 5, 3));
    let _ = driver.cancel(&mut stack, NOW);
}

/// A change is one, whether the stack counts it, says it of an attempt or its user reports it.
#[test]
fn a_stack_that_counts_changes_has_the_family_begin_anew_once_for_each() {
    let (mut stack, mut driver) = moving();
    stack.changes = Some(0);
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted), (3, 0), "there was none");
    // It comes round.
    for changes in [1, 255, 0] {
        let before = (stack.begun, stack.aborted);
        stack.changes = Some(changes);
        for _ in 0..2 {
            let _ = driver.poll(&mut stack, NOW);
            assert_eq!((stack.begun, stack.aborted), (before.0 + 2, before.1 + 2));
            assert_eq!(driver.race().in_flight(), 3);
        }
    }
    let before = (stack.begun, stack.aborted);
    stack.changes = Some(1);
    driver.source_changed(&mut stack, Family::V4, NOW);
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted), (before.0 + 2, before.1 + 2), "reported");
    // Of both families, that of IPv4 counted.
    (stack.changes, stack.is_gone) = (Some(2), true);
    let _ = driver.poll(&mut stack, NOW);
    assert_eq!((stack.begun, stack.aborted), (before.0 + 5, before.1 + 5), "said of an attempt");
    let _ = driver.cancel(&mut stack, NOW);
}

/// Each attempt anew would never end.
#[test]
fn a_stack_that_says_so_of_every_first_call_ends_the_race() {
    let (mut stack, mut driver) = moving();
    (stack.is_gone, stack.at_once) = (true, true);
    let progress = driver.poll(&mut stack, NOW);
    assert!(matches!(progress, Progress::Failed(Failure::AllAttemptsFailed)), "{progress:?}");
    assert_eq!((stack.begun, stack.aborted), (6, 6));
}

#[test]
fn the_winner_of_a_race_is_its_users_whatever_changes() {
    let stack = &mut Stack;
    let mut driver = race();
    driver.resolved(Family::V4, &[SocketAddr::from(([192, 0, 2, 1], 80))], NOW);
    let clock = &mut Clock::default();
    assert!(driver.turn(stack, clock).is_pending(), "won, and not handed over yet");
    driver.source_changed(stack, Family::V4, clock.now());
    let connected = driver.turn(stack, clock);
    assert!(matches!(connected, Poll::Ready(Ok(_))), "{connected:?}");
}
