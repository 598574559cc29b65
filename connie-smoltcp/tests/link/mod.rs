//! A network in virtual time whose hosts are smoltcp too: frames are delayed, lost, doubled and reordered
//! between real TCP stacks, with no kernel and no clock.
//!
//! [`World`] is the network, [`Place`] says what an address does, [`Wire`] is what passed the client's
//! network card.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

pub mod client;
pub mod dhcp;
pub mod edits;
pub mod frames;
mod host;
mod wire;
mod world;

pub use host::Answers;
pub use wire::{Flow, Wire};
pub use world::{CLIENT_MAC, Card, Link, Place, ROUTER_V4, ROUTER_V6, World, client_v4, client_v6};

use std::time::Duration;

use connie_core::Instant;
use connie_smoltcp::smoltcp::iface::Interface;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

/// Milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The moment so many milliseconds after the start.
pub const fn at(milliseconds: u64) -> Instant {
    Instant::from_millis(milliseconds)
}

/// The client's interface, with an address of each family and a router for each.
pub fn client_interface(card: &mut Card, seed: u64) -> Interface {
    let mut interface = connie_smoltcp::interface(card, CLIENT_MAC, seed, Instant::ZERO);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(client_v4(), 24))).unwrap();
        addresses.push(IpCidr::Ipv6(Ipv6Cidr::new(client_v6(), 64))).unwrap();
    });
    interface.routes_mut().add_default_ipv4_route(world::ROUTER_V4).unwrap();
    interface.routes_mut().add_default_ipv6_route(world::ROUTER_V6).unwrap();
    interface
}
