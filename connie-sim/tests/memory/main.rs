//! Races with a memory, in virtual time.

mod crowds;
mod explained;
mod exploring;
mod forgetting;
mod history;
mod holding;
mod incumbent;
mod law;
mod leading;
mod networks;
mod paying;
mod wrong_elsewhere;

use connie_core::Config;
use connie_sim::{SimHost, Visits};

/// A program that visits a host with these addresses.
fn visits<const N: usize>(config: &Config, hosts: [(&str, SimHost); N]) -> Visits {
    let mut visits = Visits::new(config, 1);
    visits.answer(&hosts.each_ref().map(|(label, _)| *label).join(" "));
    for (label, host) in hosts {
        visits.put(label, host);
    }
    visits
}

/// The same, which has visited it so often that it knows what to expect.
fn regular<const N: usize>(config: &Config, hosts: [(&str, SimHost); N]) -> Visits {
    let mut visits = visits(config, hosts);
    for _ in 0..4 {
        visits.visit();
    }
    visits
}
