//! Hands the memory map to the linker, where the build is for a microcontroller.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("memory.x"), include_bytes!("memory.x")).expect("OUT_DIR takes a file");
    println!("cargo:rustc-link-search={}", out.display());
    // cortex-m-rt's linker script, which includes memory.x.
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
