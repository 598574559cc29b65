//! One table of scenarios that every stack passes: the kernel's sockets (`connie-std`), and smoltcp
//! (`connie-smoltcp`) over TUN and over TAP. They share the laboratory's router, and are judged by what it
//! saw on the wire.
#![cfg(target_os = "linux")]

mod kernel_support;
mod scenario_support;

use connie_core::{Config, Failure};
use connie_tests::lab::{Behaviour, Unreachable, ms, v4, v6};
use scenario_support::Scenario;

const RTT: std::time::Duration = ms(30);

fn good() -> Behaviour {
    Behaviour::accept(RTT)
}

fn dead() -> Behaviour {
    Behaviour::black_hole()
}

/// Twelve live addresses; the fastest is in the middle.
fn all_good() -> Scenario {
    let mut scenario = Scenario::over(12).wins(v4(7), ms(20)).syns(12);
    for n in 1..=12 {
        let rtt = if n == 7 { 20 } else { 30 + 15 * u64::from(n) };
        scenario = scenario.at(v4(n), Behaviour::accept(ms(rtt)));
    }
    scenario
}

fn first_dead() -> Scenario {
    Scenario::over(4).at(v4(1), dead()).at(v4(2), good()).wins(v4(2), RTT).syns(2)
}

/// The last of twelve, over a socket for each.
fn eleven_dead_with_twelve_sockets() -> Scenario {
    let scenario = (1..=11).fold(Scenario::over(12), |scenario, n| scenario.at(v4(n), dead()));
    scenario.at(v4(12), good()).wins(v4(12), RTT).syns(12)
}

/// The last of twelve, over four: two rounds of the patience go by before it has its turn.
fn eleven_dead_with_four_sockets() -> Scenario {
    let scenario = (1..=11).fold(Scenario::over(4), |scenario, n| scenario.at(v4(n), dead()));
    scenario.at(v4(12), good()).wins(v4(12), Config::DEFAULT_PATIENCE * 2 + RTT).syns(12)
}

fn all_refused() -> Scenario {
    let scenario = Scenario::over(12).fails(Failure::AllAttemptsFailed, ms(40)).syns(6);
    (1..=3).fold(scenario, |scenario, n| {
        scenario.at(v4(n), Behaviour::refuse(ms(40))).at(v6(n), Behaviour::refuse(ms(20)))
    })
}

fn refused_then_good() -> Scenario {
    let refuse = Behaviour::refuse(ms(20));
    Scenario::over(1).at(v4(1), refuse).at(v4(2), good()).wins(v4(2), ms(20) + RTT).syns(2)
}

fn unreachable_then_good() -> Scenario {
    let unreachable = Behaviour::unreachable(Unreachable::Host, ms(20));
    Scenario::over(1).at(v4(1), unreachable).at(v4(2), good()).wins(v4(2), ms(20) + RTT).syns(2)
}

fn unreachable_v6_then_good() -> Scenario {
    let unreachable = Behaviour::unreachable(Unreachable::Network, ms(20));
    Scenario::over(1).at(v6(1), unreachable).at(v4(2), good()).wins(v4(2), ms(20) + RTT).syns(2)
}

fn v6_broken() -> Scenario {
    let scenario = Scenario::over(4).wins(v4(1), RTT).syns(4);
    (1..=4).fold(scenario, |scenario, n| scenario.at(v6(n), dead()).at(v4(n), good()))
}

fn v6_slow() -> Scenario {
    let slow = Behaviour::accept(ms(200));
    Scenario::over(4).at(v6(1), slow).at(v4(1), good()).wins(v4(1), RTT).syns(2)
}

/// Paced as RFC 8305 has it, the slow family is in time.
fn v6_slow_and_staggered() -> Scenario {
    let slow = Behaviour::accept(ms(150));
    Scenario::of(Config::staggered().max_in_flight(4))
        .at(v6(1), slow)
        .at(v4(1), good())
        .wins(v6(1), ms(150))
        .syns(1)
}

/// The SYNs of the hedges get through, long before the stack repeats the first ones.
fn every_first_syn_lost() -> Scenario {
    let scenario = Scenario::over(8).wins(v4(1), Config::DEFAULT_PATIENCE + RTT).syns(8);
    (1..=4).fold(scenario, |scenario, n| {
        let rtt = RTT + ms(20) * u32::from(n - 1);
        scenario.at(v4(n), Behaviour::accept(rtt).losing_syns(1))
    })
}

fn all_dead() -> Scenario {
    let deadline = ms(700);
    let race = Config::all_at_once().max_in_flight(4).deadline(Some(deadline));
    // Three rounds: the third is under way at the deadline.
    let scenario = Scenario::of(race).fails(Failure::DeadlineExceeded, deadline).syns(12);
    (1..=6).fold(scenario, |scenario, n| scenario.at(v4(n), dead()).at(v6(n), dead()))
}

/// A test of each scenario for each stack.
macro_rules! on_every_stack {
    ($($scenario:ident,)*) => {
        mod the_kernel { $(
            #[test]
            fn $scenario() {
                connie_tests::lab::in_namespace(|lab| super::$scenario().on_the_kernel(lab));
            }
        )* }
        mod smoltcp_over_tun { $(
            #[test]
            fn $scenario() {
                connie_tests::lab::in_namespace(|lab| super::$scenario().on_smoltcp_over_tun(lab));
            }
        )* }
        mod smoltcp_over_tap { $(
            #[test]
            fn $scenario() {
                connie_tests::lab::in_namespace(|lab| super::$scenario().on_smoltcp_over_tap(lab));
            }
        )* }
    };
}

on_every_stack! {
    all_good,
    first_dead,
    eleven_dead_with_twelve_sockets,
    eleven_dead_with_four_sockets,
    all_refused,
    refused_then_good,
    unreachable_then_good,
    unreachable_v6_then_good,
    v6_broken,
    v6_slow,
    v6_slow_and_staggered,
    every_first_syn_lost,
    all_dead,
}
