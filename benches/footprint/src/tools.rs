//! Runs programs, and writes the page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root)
        // The functions must keep their names to be counted; the program is measured as it ships.
        .env(
            "CARGO_PROFILE_RELEASE_STRIP",
            if arguments.contains(&"instructions") { "none" } else { "symbols" },
        )
        .status()
        .map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

pub fn built(root: &Path, parts: &[&str]) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    parts.iter().fold(target, |path, part| path.join(part))
}

/// What `command` prints, on both streams.
pub fn run(command: &mut Command, help: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}: {help}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(text)
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
