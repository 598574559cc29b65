//! The only place of this crate that asks the clock or sleeps.

use std::time::{Duration, Instant};

/// The time now.
#[allow(clippy::disallowed_methods, reason = "tests against a real kernel run in real time")]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds.
#[must_use]
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Waits for at least this long.
#[allow(clippy::disallowed_methods, reason = "tests against a real kernel run in real time")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Runs something and says how long it took.
pub fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let result = run();
    (result, start.elapsed())
}

/// Runs something up to ten times, until it has taken no longer than `late` over what it is expected to take:
/// on a busy machine a thread may have to wait for its turn, but not every time. No run may be early. Returns
/// the last result.
///
/// # Panics
/// When a run is early, or all are late.
#[track_caller]
pub fn takes<T>(expected: Duration, late: Duration, mut run: impl FnMut() -> T) -> T {
    let mut times = Vec::new();
    for _ in 0..10 {
        let (result, time) = timed(&mut run);
        times.push(time);
        assert!(time >= expected, "{time:?}, early for {expected:?}");
        if time <= expected + late {
            return result;
        }
    }
    panic!("{times:?}, late for {expected:?}");
}

/// Asks every millisecond or so until the answer is yes; `false` if it was not within `limit`.
pub fn poll_until(limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let end = now() + limit;
    loop {
        if ask() {
            return true;
        }
        if now() >= end {
            return false;
        }
        pause(Duration::from_millis(1));
    }
}
