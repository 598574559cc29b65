//! How late the machine itself is.

use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use connie_tests::clock::{now, pause, timed};
use connie_tests::lab::ms;

/// What every sleep may take too long.
const USUAL: Duration = ms(2);
/// A sleep of the watch.
const STEP: Duration = ms(5);

/// The sleeps that took too long: when each ended, and by how much it was late.
static LATE: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());

/// Asks for the processor before others: a test that measures time must not measure the rest of the machine.
/// An ordinary user may not ask, and waits in line.
pub fn hurry() {
    let _ = rustix::process::setpriority_process(None, -10);
}

/// Begins to watch, on a thread that sleeps a little again and again for as long as the process lives.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(|| {
            hurry();
            loop {
                let ((), slept) = timed(|| pause(STEP));
                let late = slept.saturating_sub(STEP + USUAL);
                if !late.is_zero() {
                    LATE.lock().unwrap_or_else(PoisonError::into_inner).push((now(), late));
                }
            }
        });
    });
}

/// How late a thread that only slept was in the last while, all in all. A race that was so late as well is
/// not to blame.
pub fn lateness(last: Duration) -> Duration {
    let late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    late.iter().filter(|(at, _)| at.elapsed() <= last).map(|(_, late)| *late).sum()
}
