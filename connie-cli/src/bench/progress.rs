//! A line on stderr that says how far a bench has come and how long it will take.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use connie_core::Instant;
use connie_std::OsClock;

const WIDTH: usize = 24;

pub struct Progress {
    clock: OsClock,
    done: usize,
    total: usize,
    wanted: bool,
}

impl Progress {
    /// Shows progress if it is `wanted` and stderr is a terminal.
    pub fn new(wanted: bool, total: usize, clock: OsClock) -> Self {
        Progress { clock, done: 0, total, wanted: wanted && io::stderr().is_terminal() }
    }

    /// One trial is over.
    pub fn step(&mut self) {
        self.done += 1;
        if self.wanted {
            let line = line(self.done, self.total, self.clock.now().duration_since(Instant::ZERO));
            let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.wanted && self.done > 0 {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(done: usize, total: usize, elapsed: Duration) -> String {
    let filled = WIDTH * done / total.max(1);
    let bar: String = (0..WIDTH).map(|place| if place < filled { '=' } else { ' ' }).collect();
    let left = elapsed.as_secs_f64() / done.max(1) as f64 * total.saturating_sub(done) as f64;
    format!("[{bar}] {done} of {total} trials, {} left", time(left))
}

fn time(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_is_done_and_what_is_left() {
        let shown = line(6, 24, Duration::from_secs(10));
        assert_eq!(shown, "[======                  ] 6 of 24 trials, 30 s left");
        assert_eq!(
            line(24, 24, Duration::from_secs(1)),
            "[========================] 24 of 24 trials, 0 s left"
        );
        assert_eq!(time(61.2), "1 min 02 s");
    }
}
