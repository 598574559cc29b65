//! The Ethernet controller of this board.

use connie_firmware_qemu::board::Mapped;
use connie_firmware_qemu::stellaris::Driver;

/// What the network stands on.
pub type Device = Driver<'static, Mapped>;
