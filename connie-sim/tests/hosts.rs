//! Several hosts, one race, in virtual time: look-ups that come late, fail or hang, addresses that are dead.
//! Whatever they do, each address is tried within the bounds of docs/never-stuck.md from when it is known.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::connect::{AddressOrder, Facts, Hosts, Start};
use connie_core::resolution::{Query, QueryError};
use connie_core::{Config, Failure, Instant, Interest, PollEntry, PollResult, Poller, TurnResult};
use connie_sim::{ConnectDriver, Rng, SimClock, SimSocket, SimStack, hang, ok, refuse, seeds};

const PATIENCE: Duration = Duration::from_millis(250);
/// Addresses that accept do so within a patience, so that nobody has to wait for a second turn.
const SLOWEST: u64 = 200;
const DEADLINE: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// The address number `place` of a host: both can be read from it.
fn address(host: usize, place: usize, is_v6: bool) -> SocketAddr {
    let (host, place) = (host as u16, place as u16);
    match is_v6 {
        true => (Ipv6Addr::new(0x2001, 0xdb8, host, 0, 0, 0, 0, place + 1), 1_000 + host).into(),
        false => (Ipv4Addr::new(198, 18, host as u8, place as u8 + 1), 1_000 + host).into(),
    }
}

/// What is heard of one query, and when.
struct Heard {
    at: u64,
    host: usize,
    query: Query,
    answer: Result<Vec<SocketAddr>, QueryError>,
}

/// A poller that waits no longer than until something is heard.
struct AlsoUntil<'c>(&'c mut SimClock, Option<Instant>);

impl Poller<SimStack> for AlsoUntil<'_> {
    fn now(&mut self) -> Instant {
        Poller::<SimStack>::now(self.0)
    }

    fn wait(
        &mut self,
        stack: &mut SimStack,
        sockets: &mut [PollEntry<'_, SimSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        debug_assert!(sockets.iter().all(|socket| socket.interest == Interest::Connect));
        self.0.wait(stack, sockets, until.into_iter().chain(self.1).min())
    }
}

/// Runs a race to `count` hosts, of which this is heard, and hands out what it came to.
fn run(
    stack: &mut SimStack,
    count: usize,
    sockets: usize,
    heard: &mut Vec<Heard>,
) -> (ConnectDriver, Hosts<4, 64>, Result<SocketAddr, Failure>) {
    let config = Config::all_at_once().max_in_flight(sockets).deadline(Some(DEADLINE));
    let facts = Facts::default();
    let mut hosts = Hosts::<4, 64>::new(&facts);
    for name in ["a.test", "b.test", "c.test", "d.test"].iter().take(count) {
        hosts.add(Start::new(name, 80, &facts).expect("a name"), &config).expect("room");
    }
    let (mut clock, known) = (stack.clock(), hosts.known());
    let mut driver = ConnectDriver::begin(hosts.start(&known), &config, &facts, Instant::ZERO);
    heard.sort_by_key(|heard| std::cmp::Reverse(heard.at));
    let result = loop {
        let now = Poller::<SimStack>::now(&mut clock);
        while heard.last().is_some_and(|next| at(next.at) <= now) {
            let Heard { host, query, answer, .. } = heard.pop().expect("one is there");
            match answer {
                Ok(addresses) => hosts.answered(host, query, &addresses, AddressOrder::Any(&[])),
                Err(error) => hosts.failed(host, query, error),
            }
            while let Some(news) = hosts.news() {
                driver.handle_input(news.input(), now);
            }
        }
        let next = heard.last().map(|next| at(next.at));
        match driver.turn(stack, &mut AlsoUntil(&mut clock, next)) {
            TurnResult::SendQuery(_) | TurnResult::Waited => {}
            TurnResult::Connected(won) => break Ok(won.destination),
            TurnResult::Failed(failure) => break Err(failure),
        }
    };
    (driver, hosts, result)
}

/// Twelve dead addresses of the first host, one live one of the second, over four sockets: nobody has to make
/// room for it.
#[test]
fn the_best_of_each_host_is_tried_before_the_second_best_of_any() {
    let mut stack = SimStack::new(0);
    let dead: Vec<_> = (0..12).map(|place| address(0, place, false)).collect();
    dead.iter().for_each(|address| stack.put(*address, hang()));
    let alive = address(1, 0, false);
    stack.put(alive, ok(30));
    let none = || Ok(Vec::new());
    let heard = [
        (0, Query::A, Ok(dead)),
        (1, Query::A, Ok(vec![alive])),
        (0, Query::Aaaa, none()),
        (1, Query::Aaaa, none()),
    ];
    let mut heard = heard.map(|(host, query, answer)| Heard { at: 10, host, query, answer }).into();
    let (driver, hosts, won) = run(&mut stack, 2, 4, &mut heard);
    assert_eq!((won, hosts.host_of(alive)), (Ok(alive), Some(1)));
    assert_eq!(driver.timeline().summary().ended, Some(Duration::from_millis(40)));
}

/// The deadline ends it where a look-up hangs, and nothing sooner; where all have ended it fails with the
/// last address.
#[test]
fn only_the_end_waits_for_a_look_up_that_hangs() {
    for hangs in [true, false] {
        let mut stack = SimStack::new(0);
        let refuses = address(0, 0, false);
        stack.put(refuses, refuse(30));
        let mut heard: Vec<_> =
            [(0, Query::A, Ok(vec![refuses])), (0, Query::Aaaa, Ok(vec![])), (1, Query::A, Ok(vec![]))]
                .map(|(host, query, answer)| Heard { at: 10, host, query, answer })
                .into();
        if !hangs {
            let answer = Err(QueryError::ServerFailure);
            heard.push(Heard { at: 20, host: 1, query: Query::Aaaa, answer });
        }
        let (driver, _, result) = run(&mut stack, 2, 4, &mut heard);
        let wanted = match hangs {
            true => (Failure::DeadlineExceeded, DEADLINE),
            false => (Failure::AllAttemptsFailed, Duration::from_millis(40)),
        };
        assert_eq!((result, driver.timeline().summary().ended), (Err(wanted.0), Some(wanted.1)));
    }
}

/// Law 10, and the bounds for addresses that arrive late, with the addresses of all hosts for `n`.
#[test]
fn each_address_has_its_turn_from_when_it_is_known() {
    let (won, lost) = (Cell::new(0), Cell::new(0));
    seeds(3_000, |seed| {
        let mut rng = Rng::new(seed);
        let (count, sockets) = (2 + rng.below(3) as usize, 1 + rng.below(4) as usize);
        let mut stack = SimStack::new(seed);
        let (mut heard, mut known, mut all_end) = (Vec::new(), Vec::new(), true);
        for host in 0..count {
            for (query, is_v6) in [(Query::Aaaa, true), (Query::A, false)] {
                if rng.chance(15) {
                    // Of this one nothing is heard.
                    all_end = false;
                    continue;
                }
                let at = rng.below(400);
                let answer = if rng.chance(20) {
                    Err(QueryError::ServerFailure)
                } else {
                    let places = 0..rng.below(5) as usize;
                    Ok(places.map(|place| address(host, place, is_v6)).collect::<Vec<_>>())
                };
                for address in answer.iter().flatten() {
                    let round_trip = 1 + rng.below(SLOWEST);
                    let kind = rng.below(10);
                    let (it, accepts) = match kind {
                        0 => (ok(round_trip), true),
                        1..=3 => (refuse(round_trip), false),
                        _ => (hang(), false),
                    };
                    stack.put(*address, it);
                    known.push((*address, at, accepts.then_some(round_trip), host));
                }
                heard.push(Heard { at, host, query, answer });
            }
        }
        let (driver, hosts, result) = run(&mut stack, count, sockets, &mut heard);
        let timeline = driver.timeline();
        let ended = timeline.summary().ended.expect("it has ended");
        // ⌈n/k⌉ turns, each of a patience: nobody who waits has been waiting for longer.
        let turns = known.len().div_ceil(sockets) as u32;
        for (address, at, round_trip, host) in &known {
            let arrival = Duration::from_millis(*at);
            let first_start = arrival + PATIENCE * turns;
            let started =
                timeline.attempts().filter(|it| it.destination == *address).map(|it| it.started).min();
            match started {
                Some(started) => {
                    assert!(started <= first_start, "{address} at {started:?}, due {first_start:?}")
                }
                None => assert!(ended <= first_start, "{address} was never tried in {ended:?}"),
            }
            if let Some(round_trip) = round_trip {
                let due = first_start + Duration::from_millis(*round_trip);
                assert!(
                    result.is_ok() && ended <= due,
                    "{address} accepts: {result:?} at {ended:?}, due {due:?}"
                );
            }
            assert_eq!(hosts.host_of(*address), Some(*host).filter(|_| arrival <= ended));
        }
        match result {
            Ok(winner) => {
                won.set(won.get() + 1);
                assert!(
                    known
                        .iter()
                        .any(|(address, _, round_trip, _)| *address == winner && round_trip.is_some())
                );
            }
            Err(failure) => {
                lost.set(lost.get() + 1);
                assert_eq!(failure == Failure::DeadlineExceeded, ended == DEADLINE);
                assert!(
                    all_end || failure == Failure::DeadlineExceeded,
                    "{failure}: a look-up could still help"
                );
            }
        }
        assert_eq!(stack.open(), usize::from(result.is_ok()), "law 7");
    });
    assert!(won.get() > 500 && lost.get() > 500, "{won:?} won, {lost:?} lost");
}
