//! Tools for tests of the whole workspace against a real kernel.
//!
//! - [`lab`]: a private network with remote addresses that accept, refuse, are silent or far away.
//! - [`servers`]: web servers, silent listeners and black holes on loopback addresses or inside a laboratory.
//! - [`firmware`]: the firmware of `examples/firmware-qemu`, built and run in QEMU.
//! - [`descriptors`]: how many files and sockets this process holds open.
//! - [`clock`]: real time, for tests.
//! - [`limits`]: ends to waiting.
//! - [`names_table`]: names that tell adapters apart.
//! - [`wasi`]: components for WASI 0.2, built and run on wasmtime.
//! - [`skip()`]: what a test says that cannot run here.
//!
//! Linux only, but for `skip`: a test file begins with `#![cfg(target_os = "linux")]`.

pub mod clock;
#[cfg(target_os = "linux")]
pub mod descriptors;
#[cfg(target_os = "linux")]
pub mod firmware;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
pub mod limits;
#[cfg(target_os = "linux")]
pub mod names_table;
#[cfg(target_os = "linux")]
pub mod servers;
mod skip;
#[cfg(target_os = "linux")]
pub mod wasi;

pub use skip::{STRICT, skip};

/// A path in the temporary directory that nobody else uses.
#[cfg(target_os = "linux")]
fn temporary_path(what: &str) -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("connie-{}-{number}-{what}", std::process::id()))
}
