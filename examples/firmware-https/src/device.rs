//! The Ethernet controller of this board.

use crate::lan9118::Driver;

/// What the network stands on.
pub type Device = &'static mut Driver;
