//! What every adapter does with each of 24 names: the order of its SYNs, and the winner or the kind of error,
//! as committed. It is the same for all, but for the few that cannot see a name as it is.
//!
//! The names are data (`connie_tests::names_table`), and the same for all. SYNs are taken from the wire:
//! where there is a kernel, from the laboratory's router and, for loopback addresses, from a packet socket.
#![cfg(target_os = "linux")]

mod kernel_support;
mod syn_log_support;

use std::sync::Arc;

use connie_tests::lab::in_namespace;
use connie_tests::wasi::Runtime;
use syn_log_support::{Adapter, Ended, asynchronous, component, file, guest, hold, os, sim, stage};

/// How many names are run side by side: most of the time all they do is wait.
const LANES: usize = 8;
/// The same where each takes the processor to start a runtime.
const RUNTIMES: usize = 4;

/// Each name in a namespace within a namespace, so that an ordinary user needs to become root of one only
/// once.
fn in_the_laboratory(
    adapter: Adapter,
    lanes: usize,
    client: impl Fn(&stage::Stage<'_>) -> Ended + Send + Sync + 'static,
) {
    let client: stage::Client = Arc::new(client);
    hold(adapter, lanes, &|name| stage::play(name, &client));
}

#[test]
fn std_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::Std, LANES, os::blocking));
}

#[test]
fn std_with_the_systems_resolver_does_what_it_did() {
    if os::child() {
        return;
    }
    in_namespace(|_| {
        in_the_laboratory(Adapter::System, LANES, |stage| {
            os::by_the_system("std_with_the_systems_resolver_does_what_it_did", stage)
        });
    });
}

#[test]
fn tokio_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::Tokio, LANES, os::tokio));
}

#[test]
fn async_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::Async, LANES, asynchronous::one_call));
}

#[test]
fn async_in_two_calls_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::TwoCalls, LANES, asynchronous::two_calls));
}

#[test]
fn smoltcp_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::Smoltcp, LANES, guest::connect));
}

#[test]
fn wasi_does_what_it_did() {
    let Some(runtime) = Runtime::find() else { return };
    let component = runtime.build("connie-wasi", &["--example", "one_race"], "examples/one_race.wasm");
    in_namespace(move |_| {
        in_the_laboratory(Adapter::Wasi, RUNTIMES, move |stage| {
            component::connect(&runtime, &component, stage)
        });
    });
}

#[test]
fn sim_does_what_it_did() {
    hold(Adapter::Sim, 1, &sim::play);
}

/// Of how many of the 24 names an adapter may make something else.
const MOST_DIFFERENCES: usize = connie_tests::names_table::NAMES.len() / 3;

#[test]
fn every_adapter_does_the_same_but_where_it_has_a_reason() {
    let text = std::fs::read_to_string("tests/syn_logs/logs.txt").expect("the file of the logs");
    let logs = file::Logs::parse(&text);
    if file::accepts() {
        return;
    }
    assert_eq!(logs.render(), text, "not as the tests write it");
    for adapter in Adapter::ALL {
        let mut differences = 0;
        for name in &connie_tests::names_table::NAMES {
            let whose = (name.label, adapter.label());
            assert!(logs.line(name, adapter).is_some(), "{whose:?} is missing");
            let differs = logs.difference(name, adapter).is_some();
            assert_eq!(differs, adapter.reason(name).is_some(), "{whose:?}: differs, and has a reason to");
            differences += usize::from(differs);
        }
        let who = adapter.label();
        assert!(differences <= MOST_DIFFERENCES, "{who} does something else with {differences} names");
    }
}
