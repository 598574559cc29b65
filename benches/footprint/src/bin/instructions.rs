//! Whole races in the core alone, each in a function of its own for callgrind to count (`--toggle-collect`).
//!
//! The race lives on the stack and its configuration passes through `black_box`, so that nothing is computed
//! ahead.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network};
use connie_core::race::PlannedRace;
use connie_core::{Config, Input, Instant, Output, Race};

fn main() {
    let addresses: Vec<SocketAddr> = (1..=12).map(address).collect();
    let config = Config::all_at_once().max_in_flight(12);
    black_box(all_at_once_of_twelve(&config, &addresses));
    let config = Config::staggered();
    black_box(staggered_of_twelve(&config, &addresses));
    let config = Config::all_at_once().max_in_flight(4);
    black_box(four_sockets_eleven_dead(&config, &addresses));
    let config = Config::all_at_once().max_in_flight(12);
    let mut memory = Memory::<64>::new(black_box(7), Instant::ZERO);
    for number in 0..5 {
        black_box(visit(&mut memory, "host", &config, &addresses, Instant::from_millis(1_000 * number)));
    }
    black_box(warm_memory_of_twelve(&mut memory, &config, &addresses));
    let mut memory = Box::new(Memory::<1024>::new(black_box(7), Instant::ZERO));
    for number in 0..512 {
        let host = SocketAddr::from(([10, (number >> 8) as u8, number as u8, 1], 443));
        let now = Instant::from_millis(number);
        black_box(visit(&mut memory, &number.to_string(), &config, &[host], now));
    }
    for number in 0..5 {
        black_box(visit(&mut memory, "host", &config, &addresses, Instant::from_millis(1_000 * number)));
    }
    black_box(full_memory_of_twelve(&mut memory, &config, &addresses));
}

/// Six addresses of each family, in turn.
fn address(n: u16) -> SocketAddr {
    match n % 2 {
        0 => SocketAddr::from(([192, 0, 2, n as u8], 443)),
        _ => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 443)),
    }
}

/// All start at once, the seventh wins, eleven are canceled.
#[inline(never)]
fn all_at_once_of_twelve(config: &Config, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let mut race = Race::<16, 12>::new(config, Instant::ZERO);
    race.handle_addresses(addresses, Instant::ZERO);
    let mut seventh = None;
    for _ in 0..12 {
        match race.poll_output(Instant::ZERO) {
            Output::StartAttempt { id, destination } if destination == addresses[6] => seventh = Some(id),
            _ => {}
        }
    }
    let _ = black_box(race.poll_output(Instant::ZERO));
    let now = Instant::from_millis(20);
    race.handle_input(Input::AttemptSucceeded { id: seventh? }, now);
    finish(&mut race, now)
}

/// Happy Eyeballs: the third of twelve answers.
#[inline(never)]
fn staggered_of_twelve(config: &Config, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let mut race = Race::<16, 12>::new(config, Instant::ZERO);
    race.handle_addresses(addresses, Instant::ZERO);
    let mut now = Instant::ZERO;
    let mut started = 0;
    loop {
        match race.poll_output(now) {
            Output::StartAttempt { id, .. } => {
                started += 1;
                if started == 3 {
                    race.handle_input(Input::AttemptSucceeded { id }, now);
                }
            }
            Output::WaitUntil(until) => now = until,
            Output::Established { destination, .. } => return Some(destination),
            Output::CancelAttempt { .. } => {}
            Output::WaitForInput | Output::Failed(_) => return None,
        }
    }
}

/// Four sockets, twelve addresses of which the last answers: eight evictions on the way.
#[inline(never)]
fn four_sockets_eleven_dead(config: &Config, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let mut race = Race::<16, 12>::new(config, Instant::ZERO);
    race.handle_addresses(addresses, Instant::ZERO);
    let mut now = Instant::ZERO;
    loop {
        match race.poll_output(now) {
            Output::StartAttempt { id, destination } if destination == addresses[11] => {
                race.handle_input(Input::AttemptSucceeded { id }, now);
                return finish(&mut race, now);
            }
            Output::WaitUntil(until) => now = until,
            Output::StartAttempt { .. } | Output::CancelAttempt { .. } => {}
            _ => return None,
        }
    }
}

/// A visit to a host of twelve that the memory knows: its lead starts alone, and wins. The plan, the race and
/// the lessons.
#[inline(never)]
fn warm_memory_of_twelve(memory: &mut Memory<64>, config: &Config, to: &[SocketAddr]) -> Option<SocketAddr> {
    visit(memory, "host", config, to, Instant::from_millis(9_000))
}

/// The same with a memory in which each of 1,024 places is taken.
#[inline(never)]
fn full_memory_of_twelve(
    memory: &mut Memory<1024>,
    config: &Config,
    to: &[SocketAddr],
) -> Option<SocketAddr> {
    visit(memory, "host", config, to, Instant::from_millis(9_000))
}

/// The first that starts answers after 20 ms.
fn visit<const N: usize>(
    memory: &mut Memory<N>,
    host: &str,
    config: &Config,
    addresses: &[SocketAddr],
    now: Instant,
) -> Option<SocketAddr> {
    let visit = memory.visit(host, Finish::Tcp, 0, &Network::default());
    let mut race = PlannedRace::<16, 12>::new(config, now);
    race.handle_addresses(addresses, now);
    race.follow(&memory.plan(&visit, &race, 0, now));
    let mut first = None;
    while let Output::StartAttempt { id, .. } = race.poll_output(now) {
        first = first.or(Some(id));
    }
    let now = now + Duration::from_millis(20);
    race.handle_input(Input::AttemptSucceeded { id: first? }, now);
    let won = loop {
        match race.poll_output(now) {
            Output::CancelAttempt { .. } => {}
            Output::Established { destination, .. } => break destination,
            _ => return None,
        }
    };
    memory.learn(&visit, &race, false, now);
    Some(won)
}

fn finish<const D: usize, const S: usize>(race: &mut Race<D, S>, now: Instant) -> Option<SocketAddr> {
    loop {
        match race.poll_output(now) {
            Output::CancelAttempt { .. } => {}
            Output::Established { destination, .. } => return Some(destination),
            _ => return None,
        }
    }
}
