//! The drivers of the simulation.

use connie_core::{Connect, ConnectDriver as HostCore, RaceDriver as Core};

use crate::stack::SimStack;

/// The most addresses that a race here knows.
pub(crate) const DESTINATIONS: usize = 64;
/// The most sockets that a scenario's race may have.
pub(crate) const SOCKETS: usize = 16;
/// How many attempts are on record.
const RECORDS: usize = 256;
/// For how many addresses of each family there is room where IPv4 is reached through NAT64.
pub(crate) const NAT64: usize = 8;

/// A race over the simulated stack: up to 64 destinations, 16 sockets, and 256 attempts on record.
pub type RaceDriver = Core<SimStack, DESTINATIONS, SOCKETS, RECORDS>;

/// What a scenario runs, from a host's text on: the same numbers, and room for eight addresses of each family
/// behind a NAT64.
pub type ConnectDriver = HostCore<SimStack, DESTINATIONS, SOCKETS, RECORDS, NAT64>;

/// The machine in it.
pub(crate) type Machine = Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64>;
