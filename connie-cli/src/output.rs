//! Where the answer goes, and the progress that is shown meanwhile.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use connie_core::Instant;
use connie_std::OsClock;

use crate::error::Error;

/// stdout, or the file of `-o`.
pub enum Output {
    Stdout(io::StdoutLock<'static>),
    File(File, PathBuf),
}

impl Output {
    /// Opens the file, whose old content is lost; `-` is stdout, as for curl.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        match path.filter(|path| !is_stdout(path)) {
            None => Ok(Output::Stdout(io::stdout().lock())),
            Some(path) => match File::create(path) {
                Ok(file) => Ok(Output::File(file, path.to_owned())),
                Err(error) => Err(Error::write(path.display(), &error)),
            },
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Output::Stdout(stdout) => stdout.write_all(bytes).map_err(|error| Error::write("stdout", &error)),
            Output::File(file, path) => {
                file.write_all(bytes).map_err(|error| Error::write(path.display(), &error))
            }
        }
    }

    /// Everything is written; only now are the last errors known.
    pub fn finish(&mut self) -> Result<(), Error> {
        match self {
            Output::Stdout(stdout) => stdout.flush().map_err(|error| Error::write("stdout", &error)),
            Output::File(file, path) => file.flush().map_err(|error| Error::write(path.display(), &error)),
        }
    }
}

/// Whether the path of `-o` stands for stdout.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Prints `text` on stdout.
pub fn print(text: impl std::fmt::Display) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| Error::write("stdout", &error))
}

/// A line on stderr that says how much of a body has come. Quick transfers show none.
pub struct Progress {
    clock: OsClock,
    total: Option<u64>,
    got: u64,
    /// When the line is drawn the next time; `None` where it is not wanted.
    next: Option<Instant>,
    drawn: bool,
}

impl Progress {
    const FIRST: Duration = Duration::from_millis(500);
    const STEP: Duration = Duration::from_millis(100);

    /// `wanted` unless stderr is no terminal.
    pub fn new(wanted: bool, total: Option<u64>) -> Self {
        let next = (wanted && io::stderr().is_terminal()).then(|| Instant::ZERO + Self::FIRST);
        Progress { clock: OsClock::start(), total, got: 0, next, drawn: false }
    }

    pub fn add(&mut self, bytes: usize) {
        self.got = self.got.saturating_add(bytes as u64);
        let Some(next) = self.next else { return };
        let now = self.clock.now();
        if now >= next {
            self.next = Some(now + Self::STEP);
            self.drawn = true;
            let line = line(self.got, self.total, now.since(Instant::ZERO));
            let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(got: u64, total: Option<u64>, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = size(got.saturating_mul(1_000) / millis);
    match total {
        Some(total) => {
            let percent = got.saturating_mul(100).checked_div(total).unwrap_or(100);
            format!("{} of {}  {percent} %  {rate}/s", size(got), size(total))
        }
        None => format!("{}  {rate}/s", size(got)),
    }
}

/// A number of bytes in the largest unit that it fills.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_much_and_how_fast() {
        let second = Duration::from_secs(1);
        assert_eq!(line(512, None, second), "512 B  512 B/s");
        assert_eq!(line(1_572_864, Some(3_145_728), second * 2), "1.5 MiB of 3.0 MiB  50 %  768.0 KiB/s");
        assert_eq!(line(0, Some(0), Duration::ZERO), "0 B of 0 B  100 %  0 B/s");
        assert_eq!(size(u64::MAX), "17179869183.9 GiB");
    }
}
