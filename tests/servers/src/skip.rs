//! Tests that cannot run here: a loud word on stderr, or a failure where everything must run.

use std::io::Write as _;

/// The environment variable that turns skipped tests into failed ones, if its value is `1`.
pub const STRICT: &str = "CONNIE_STRICT";

/// Says that the running test is skipped: what it needs and how to get it. The test then returns.
///
/// The line starts with `SKIPPED` and reaches the terminal even when the test harness holds the test's own
/// output back.
///
/// # Panics
/// With `CONNIE_STRICT=1` in the environment, so that the test fails instead.
#[track_caller]
pub fn skip(needs: &str, how_to_get_it: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: needs {needs}; {how_to_get_it}\n");
    assert!(std::env::var_os(STRICT).is_none_or(|value| value != "1"), "{STRICT}=1 and {line}");
    say(&line);
}

/// Writes to the terminal past the harness, which only holds back what is printed by macro.
pub fn say(text: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
