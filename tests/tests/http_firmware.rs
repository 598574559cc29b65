//! The HTTP client says the same of every raw answer on a Cortex-M3 as on this machine.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use connie_http_firmware::{ANSWERS, digest};
use connie_tests::skip;

const TARGET: &str = "thumbv7m-none-eabi";
/// It takes a second.
const LIMIT: Duration = Duration::from_secs(60);

/// Builds the firmware; `None` where there is no compiler for it.
fn firmware() -> Option<PathBuf> {
    let installed =
        Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
    let library = String::from_utf8(installed.stdout).expect("text");
    if !Path::new(library.trim()).is_dir() {
        skip(TARGET, &format!("rustup target add {TARGET}"));
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).args(["build", "--quiet", "--locked", "-p", "connie-http-firmware"]);
    cargo.args(["--bin", "read_answers", "--target", TARGET, "--profile", "size"]);
    assert!(cargo.status().expect("cargo runs").success(), "the firmware does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Some(target.join(TARGET).join("size/read_answers"))
}

/// What the firmware prints; `None` where there is nothing to run it.
fn run(firmware: &Path) -> Option<String> {
    let limit = LIMIT.as_secs().to_string();
    let mut qemu = Command::new("timeout");
    qemu.args([&limit, "qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none"]);
    // Without a word about the network QEMU would put the machine into one.
    qemu.args([
        "-serial",
        "none",
        "-nic",
        "none",
        "-semihosting-config",
        "enable=on,target=native",
        "-kernel",
    ]);
    let output = qemu.arg(firmware).output().expect("timeout is there");
    if output.status.code() == Some(127) {
        skip("qemu-system-arm", "apt-get install qemu-system-arm");
        return None;
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    Some(said)
}

#[test]
fn a_microcontroller_reads_each_answer_as_this_machine_does() {
    let Some(said) = firmware().and_then(|firmware| run(&firmware)) else { return };
    let theirs: Vec<_> = said.lines().collect();
    assert!(ANSWERS.len() >= 120);
    assert_eq!(theirs.len(), ANSWERS.len(), "{said}");
    for ((name, method, raw), line) in ANSWERS.iter().zip(theirs) {
        let digest = digest(method, raw).unwrap_or_else(|| panic!("{name}: the cuts decide"));
        assert_eq!(line, format!("{digest:#010x} {name}"));
    }
}
