//! What each adapter does with each of 24 names: the order of its SYNs, and the winner or the kind of error, as committed.
//!
//! The names are data (`connie_tests::names_table`), and the same for all. SYNs are taken from the wire: where there is a kernel, from
//! the laboratory's router and, for loopback addresses, from a packet socket.
#![cfg(target_os = "linux")]

mod kernel_support;
mod syn_log_support;

use connie_tests::lab::in_namespace;
use syn_log_support::{Adapter, file, hold, os, sim, stage};

/// How many names are run side by side: most of the time all they do is wait.
const LANES: usize = 8;

/// Each name in a namespace within a namespace, so that an ordinary user needs to become root of one only once.
fn in_the_laboratory(adapter: Adapter, client: stage::Client) {
    hold(adapter, LANES, &|name| stage::play(name, client));
}

#[test]
fn std_does_what_it_did() {
    in_namespace(|_| in_the_laboratory(Adapter::Std, os::blocking));
}

#[test]
fn sim_does_what_it_did() {
    hold(Adapter::Sim, 1, &sim::play);
}

#[test]
fn the_file_has_a_line_for_each_name_and_adapter_and_no_other() {
    let text = std::fs::read_to_string("tests/syn_logs/logs.txt").expect("the file of the logs");
    let logs = file::Logs::parse(&text);
    if !file::accepts() {
        assert_eq!(logs.render(), text, "not as the tests write it");
        for name in &connie_tests::names_table::NAMES {
            for adapter in Adapter::ALL {
                let whose = (name.label, adapter.label());
                assert!(logs.line(name, adapter).is_some(), "{whose:?} is missing");
            }
        }
    }
}
