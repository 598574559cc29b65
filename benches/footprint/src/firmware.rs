//! Builds the programs for a microcontroller, for those that read them.

use std::path::{Path, PathBuf};
use std::process::Command;

pub const TARGET: &str = "thumbv7m-none-eabi";

/// Builds `program` at `opt-level` `level` (`z` or `s`) and says where it is. With `linked`, in spite of
/// paths that lead to a panic; every reference from one function to another is then kept in it, to be read.
pub fn build(program: &str, level: &str, linked: bool, features: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).env("CARGO_PROFILE_SIZE_OPT_LEVEL", level);
    for package in ["connie-core", "connie-http", "connie-dns", "connie-footprint", "memchr", "heapless"] {
        cargo.args(["--config", &format!("profile.size.package.{package}.opt-level='{level}'")]);
    }
    cargo.args([
        "rustc",
        "--quiet",
        "--locked",
        "-p",
        "connie-footprint",
        "--bin",
        program,
        "--target",
        TARGET,
    ]);
    cargo.args(["--profile", "size", "--features", features]);
    if linked {
        cargo.args(["--", "-Clink-arg=--emit-relocs", "-Clink-arg=--defsym=a_path_leads_to_a_panic=0"]);
    }
    let status = cargo.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(format!("{program} cannot be built for {TARGET} at opt-level {level}"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join("size").join(program))
}
