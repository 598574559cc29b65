//! Hands the memory map to the linker, where the build is for a microcontroller.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-check-cfg=cfg(armv7m)");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    let mut memory = include_str!("memory.x").to_owned();
    if target.starts_with("thumbv6m") {
        // What a Cortex-M0+ has, where the board has 64 KiB.
        memory = memory.replace("LENGTH = 64K", "LENGTH = 32K");
    } else {
        println!("cargo:rustc-cfg=armv7m");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("memory.x"), memory).expect("OUT_DIR takes a file");
    // cortex-m-rt asks for the names of interrupt handlers, of which there are none.
    std::fs::write(out.join("device.x"), "").expect("OUT_DIR takes a file");
    println!("cargo:rustc-link-search={}", out.display());
    // cortex-m-rt's linker script, which includes memory.x.
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Functions that are the same instructions are there once. Nothing here compares the addresses of two.
    println!("cargo:rustc-link-arg-bins=--icf=all");
}
