//! `connie race --watch`: repeats the race, with a line for each, for those who wait for something to break
//! or to be repaired.

use std::fmt::{self, Display};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connie_core::Instant;
use connie_core::race::Destination;
use connie_std::OsClock;

use crate::args::{Limit, RaceArgs};
use crate::connect::{FinishedRace, connect};
use crate::error::Error;
use crate::output::print;

/// Races until the time is up, or until the program is stopped. What came of the last race counts.
pub fn run(args: &RaceArgs, host: &str, port: u16, interval: Duration) -> Result<(), Error> {
    if args.race.qlog.is_some() || args.race.svg.is_some() {
        return Err(Error::usage("--qlog and --svg report one race: drop them, or --watch"));
    }
    let (clock, limit) = (OsClock::start(), args.max_time.and_then(Limit::get));
    loop {
        let began = clock.now().duration_since(Instant::ZERO);
        let left = limit.map(|limit| limit.saturating_sub(began));
        let (raced, winner) = connect(host, port, &args.race, left);
        let result = winner.map(drop);
        if args.json || args.race.report.is_some() {
            print(format_args!("{}\n", raced.json()))?;
        } else if !args.silent {
            print(format_args!("{} {}\n", TimeOfDay::now(), Line { raced: &raced, result: &result }))?;
        }
        let next = began.saturating_add(interval);
        if limit.is_some_and(|limit| next >= limit) {
            return args.race.save_memory().and(result);
        }
        wait(next.saturating_sub(clock.now().duration_since(Instant::ZERO)));
    }
}

/// The result of a race: which address won, and which have failed.
struct Line<'a> {
    raced: &'a FinishedRace,
    result: &'a Result<(), Error>,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeline = self.raced.timeline();
        match (timeline.winner(), self.result) {
            (Some(winner), Ok(())) => {
                let elapsed = timeline.summary().ended.unwrap_or_default();
                write!(f, "connected to {} in {:.1} ms", winner.destination, elapsed.as_secs_f64() * 1e3)?;
            }
            // What to do about it stands at the end, where the last race has failed, too.
            (_, Err(error)) => {
                let line = error.lines.first().map_or("failed", String::as_str);
                f.write_str(line.split("; ").next().unwrap_or(line))?;
            }
            (None, Ok(())) => f.write_str("no winner")?,
        }
        let failed = |it: &Destination| it.error().map(|error| format!("{} {error}", it.address().ip()));
        let failed: Vec<_> = timeline.destinations().filter_map(failed).collect();
        match (&*failed, self.result) {
            // The line has the reason of a single one.
            ([], _) | ([_], Err(_)) => Ok(()),
            (failed, Ok(())) => write!(f, "; failed: {}", failed.join(", ")),
            (failed, Err(_)) => write!(f, ": {}", failed.join(", ")),
        }
    }
}

/// The time of day in UTC, in seconds.
struct TimeOfDay(u64);

impl TimeOfDay {
    #[expect(clippy::disallowed_methods, reason = "when it was, for those who read the lines later")]
    fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimeOfDay(now.as_secs() % 86_400)
    }
}

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TimeOfDay(seconds) = *self;
        write!(f, "{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two races")]
fn wait(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_two_digits_of_each() {
        let times = [0, 59, 60, 3_599, 3_600, 86_399].map(|seconds| TimeOfDay(seconds).to_string());
        assert_eq!(times, ["00:00:00Z", "00:00:59Z", "00:01:00Z", "00:59:59Z", "01:00:00Z", "23:59:59Z"]);
    }
}
