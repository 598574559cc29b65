//! A test in a process of its own.

use std::process::{Command, Stdio};

use connie_tests::limits;

/// Set in the process that runs one test.
const ALONE: &str = "CONNIE_KERNEL_ALONE";

/// Runs a test's body in a process in which no other test runs: one that counts the descriptors of the
/// process, or takes them away. Call it directly in the test function with a closure: its name tells which
/// test to run again.
///
/// # Panics
/// When the body panics.
#[track_caller]
pub fn alone<F: FnOnce()>(body: F) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let path = std::any::type_name::<F>();
    let test = path.split_once("::").map_or(path, |(_binary, rest)| rest);
    let test = test.split("::{{closure}}").next().unwrap_or(test);
    let child = Command::new(std::env::current_exe().expect("the path of this test"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .stdout(Stdio::piped())
        // Straight to the terminal: that a test is skipped must be seen.
        .stderr(Stdio::inherit())
        .spawn()
        .expect("a process");
    let output = limits::finish(child).expect("its output");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "alone: {said}");
    assert!(said.contains("1 passed"), "the test {test:?} was not found when it was run again: {said}");
}
