//! Whether and when a transfer is tried once more.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use connie_core::Instant;
use connie_std::OsClock;
use connie_web::{Backoff, is_transient_status, retry_after};

use crate::args::{Get, Limit};
use crate::error::Error;
use crate::exchange::ResponseHead;
use crate::stop::Stop;
use crate::{exit_code, progress};

/// The tries of one transfer.
pub struct Tries<'a> {
    args: &'a Get,
    /// What to call the transfer, where there are others.
    name: Option<String>,
    /// How many are left after this one.
    left: u32,
    backoff: Backoff,
    started: OsClock,
}

impl<'a> Tries<'a> {
    pub fn new(args: &'a Get, name: Option<String>) -> Self {
        let backoff = Backoff::new(args.retry_delay.and_then(Limit::get));
        Tries { args, name, left: args.retry, backoff, started: OsClock::start() }
    }

    /// The pause before another try after `error`, where there is to be one.
    pub fn after_error(&mut self, error: &Error) -> Option<Duration> {
        let transient = match error.code {
            exit_code::TIMED_OUT | exit_code::RESOLVE | exit_code::RESOLVE_PROXY => true,
            exit_code::CONNECT if error.refused => self.args.retry_connrefused || self.args.retry_all_errors,
            // What another try cannot mend.
            exit_code::UNSUPPORTED_SCHEME
            | exit_code::USAGE
            | exit_code::MALFORMED_URL
            | exit_code::WRITE
            | exit_code::READ
            | exit_code::REWIND => false,
            _ => self.args.retry_all_errors,
        };
        if transient { self.pause(None) } else { None }
    }

    /// The pause before another try after this answer, where there is to be one.
    pub fn after_answer(&mut self, answer: &ResponseHead) -> Option<Duration> {
        if !is_transient_status(answer.status) {
            return None;
        }
        self.pause(answer.header("retry-after").and_then(|value| retry_after(value, time_of_day())))
    }

    /// Says why there is another try, and waits for it, or until the run ends before its time.
    pub fn wait(&self, pause: Duration, reason: &str, stop: Option<&Stop>) {
        if !self.args.silent {
            let left = self.left;
            let more = if left == 1 { "try" } else { "tries" };
            let pause = seconds(pause);
            self.say(&format!("{reason}; next try in {pause} s, {left} {more} left after that"));
        }
        match stop {
            Some(stop) => stop.sleep(pause),
            None => wait(pause),
        }
    }

    /// The pause before another try, where one is left and there is time for it. Says so where there is none.
    fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.backoff.next_pause(asked);
        let end = self.started.now().duration_since(Instant::ZERO).saturating_add(pause);
        let limit = match self.args.retry_max_time.and_then(Limit::get) {
            Some(most) if end > most => "--retry-max-time allows; not tried again",
            None if asked.is_some_and(|asked| asked > Backoff::LONGEST_ASKED) => {
                "6 hours; not tried again: allow it with --retry-max-time"
            }
            _ => return Some(pause),
        };
        if !self.args.silent {
            let who = match asked {
                Some(asked) if asked == pause => "the server asks to wait",
                _ => "the next try would wait",
            };
            let pause = seconds(pause);
            self.say(&format!("{who} {pause} s, longer than {limit}"));
        }
        None
    }

    /// Says it on stderr, in one line.
    fn say(&self, what: &str) {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        progress::beside_bars(|| {
            // Without a stderr there is nobody to tell.
            let _ = writeln!(io::stderr().lock(), "connie: {name}{what}");
        });
    }
}

/// A pause in seconds and thousandths of one. A floating-point number does not hold every pause that a server
/// may ask for, and shows needless digits of one from a date.
fn seconds(pause: Duration) -> String {
    let (whole, thousandths) = (pause.as_secs(), pause.subsec_millis());
    match format!("{thousandths:03}").trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two tries")]
fn wait(mut pause: Duration) {
    // In days: not every system sleeps as long as a `Duration` can be.
    const DAY: Duration = Duration::from_secs(24 * 3600);
    while !pause.is_zero() {
        let piece = pause.min(DAY);
        std::thread::sleep(piece);
        pause = pause.saturating_sub(piece);
    }
}

#[expect(clippy::disallowed_methods, reason = "Retry-After can be a date")]
fn time_of_day() -> SystemTime {
    SystemTime::now()
}
