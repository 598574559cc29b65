//! How a lookup opens its sockets, and its clock.

use crate::egress::Egress;
use crate::{OsClock, SocketBudget};

pub(super) struct LookupContext {
    /// The clock of the lookup, whose times the clients do not know.
    pub(super) clock: OsClock,
    pub(super) egress: Egress,
    /// Where the room for sockets comes from.
    pub(super) budget: Option<SocketBudget>,
}
