//! The connector that scenarios run.

use connie_core::Connector as Core;

use crate::stack::Stack;

/// The most sockets that a scenario's race may have.
pub(crate) const SOCKETS: usize = 16;

/// The connector that a scenario runs: up to 64 destinations, 16 sockets, and 256 attempts on record.
pub type Connector = Core<Stack, 64, SOCKETS, 256>;
