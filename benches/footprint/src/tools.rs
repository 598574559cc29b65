//! Runs programs, and writes the page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::firmware::TARGET;

/// Builds the program as it ships, and says where it is.
pub fn connie(root: &Path) -> Result<PathBuf, String> {
    cargo(root, &["build", "--quiet", "--locked", "--release", "-p", "connie-cli"])?;
    Ok(built(root, "connie"))
}

/// Builds it with its default features but for the proxy, and says where it is: where the whole one is, too.
pub fn connie_without_proxy(root: &Path) -> Result<PathBuf, String> {
    let manifest = root.join("connie-cli/Cargo.toml");
    let text = std::fs::read_to_string(&manifest).map_err(|error| error.to_string())?;
    let default = text.lines().find_map(|line| line.strip_prefix("default = ["));
    let default = default.ok_or_else(|| format!("{} has no default features", manifest.display()))?;
    let names = default.split('"').skip(1).step_by(2).filter(|name| *name != "proxy");
    let features = names.collect::<Vec<_>>().join(",");
    let build = ["build", "--quiet", "--locked", "--release", "-p", "connie-cli", "--no-default-features"];
    cargo(root, &[&build[..], &["--features", &features]].concat())?;
    Ok(built(root, "connie"))
}

/// Builds a program of this package at `opt-level = 3`, and says where it is. Its functions keep their names,
/// to be counted; all that it depends on is what this program was built with.
pub fn named(root: &Path, program: &str) -> Result<PathBuf, String> {
    let package = ["rustc", "--quiet", "--locked", "--release", "-p", "connie-footprint", "--bin"];
    cargo(root, &[&package[..], &[program, "--", "-Cstrip=none"]].concat())?;
    Ok(built(root, program))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO"));
    // Of this package, from the cargo that has started it: build scripts that look at them would run again.
    let ours = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    let status = command.args(arguments).current_dir(root).status();
    let status = status.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

fn built(root: &Path, program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release").join(program)
}

/// What `command` prints, on both streams.
pub fn run(command: &mut Command, help: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}: {help}"))?;
    Ok(text_of(&output))
}

/// What a command has printed, on both streams.
pub fn text_of(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// Whether there is a standard library for the target, or how to get it.
pub fn target_is_here() -> Result<(), String> {
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let library = library.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if library.is_ok_and(|path| Path::new(&path).is_dir()) {
        Ok(())
    } else {
        Err(format!("rustup target add {TARGET}"))
    }
}

/// Whether a program is installed, in one of the directories for all users or for root.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|place| place.join(program).is_file())
}

pub fn today() -> Result<String, String> {
    run(Command::new("date").args(["-u", "+%F"]), "install coreutils").map(|date| date.trim().to_owned())
}

pub fn say(page: &mut String, line: &str) {
    let _ = writeln!(page, "{line}");
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
