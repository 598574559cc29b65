//! What the firmware for the board LM3S6965EVB is made of.
//!
//! - [`command_line`]: what to do.
//! - [`exit_code`]: how it ends.
//! - [`stellaris`]: the driver of the Ethernet controller.
//! - `board`: the rest of the board: clock, sleep, console, exit.
//! - `net`: an address of our own, and the addresses of the host.
//! - `client`: what the programs on connie's stack have in common.
//!
//! The last three are there in a build for a microcontroller only. The first three are tested where they are
//! built. The programs in `src/bin` are run by `tests/` in QEMU.

#![no_std]

#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
pub mod client;
pub mod command_line;
pub mod exit_code;
#[cfg(target_os = "none")]
pub mod net;
pub mod stellaris;

#[cfg(not(any(feature = "ipv4", feature = "ipv6")))]
compile_error!("turn on an address family: the features ipv4 and ipv6");
