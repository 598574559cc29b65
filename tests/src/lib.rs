//! What the tests of the whole workspace share, which run against a real kernel.
//!
//! - [`lab`]: a private network with remote addresses that accept, refuse, are silent or far away.
//! - [`guest`]: a second host in it, whose TCP stack is smoltcp.
//! - [`servers`]: web servers, silent listeners and black holes on loopback addresses or inside a laboratory.
//! - [`firmware`]: the firmware of `examples/firmware-qemu`, built and run in QEMU.
//! - [`wasi`]: components for WASI 0.2, built and run on wasmtime.
//! - [`wine`]: programs for Windows, built and run on Wine.
//! - [`name_servers`]: those of the table that every DNS driver is tested by, on loopback.
//! - [`names_table`]: names that tell adapters apart.
//! - [`visits`]: what a client's visits to one host cost, on networks that change.
//!
//! The laboratory and the servers are crates of their own, which need nothing of connie's.
//!
//! Linux only, but for `skip`: a test file begins with `#![cfg(target_os = "linux")]`.

/// The examples of the page are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/memory.md")]
mod memory_page {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/finish-line.md")]
mod finish_line_page {}
#[cfg(doctest)]
#[doc = include_str!("../../docs/wasi.md")]
mod wasi_page {}

#[cfg(target_os = "linux")]
pub mod guest;
#[cfg(target_os = "linux")]
pub mod name_servers;
#[cfg(target_os = "linux")]
pub mod names_table;
#[cfg(target_os = "linux")]
pub mod visits;

#[cfg(target_os = "linux")]
pub use connie_lab as lab;
#[cfg(target_os = "linux")]
pub use connie_lab::{firmware, wasi, wine};
pub use connie_servers as servers;
pub use connie_servers::{STRICT, clock, skip};
#[cfg(target_os = "linux")]
pub use connie_servers::{descriptors, limits};
