//! The committed hashes, and what is said where they differ.

use std::fs;
use std::io;

/// A scenario's or a case's line: its name, and the hashes of its trace and of its timeline.
pub(crate) struct TraceLine {
    pub(crate) name: String,
    pub(crate) trace: u32,
    pub(crate) timeline: u32,
}

impl TraceLine {
    fn text(&self) -> String {
        format!("{} {:08x} {:08x}\n", self.name, self.trace, self.timeline)
    }
}

/// A file of them.
pub(crate) struct Kept {
    pub(crate) file: &'static str,
    /// What its lines are about, for people.
    pub(crate) what: &'static str,
}

impl Kept {
    fn path(&self) -> String {
        format!("{}/tests/traces/{}", env!("CARGO_MANIFEST_DIR"), self.file)
    }

    /// Writes `lines` in place of what was accepted.
    pub(crate) fn accept(&self, lines: &[TraceLine]) -> io::Result<()> {
        fs::write(self.path(), lines.iter().map(TraceLine::text).collect::<String>())
    }

    /// Says what differs, and how many lines do.
    pub(crate) fn compare(&self, lines: &[TraceLine]) -> io::Result<usize> {
        let accepted = fs::read_to_string(self.path())?;
        let accepted: Vec<&str> = accepted.lines().collect();
        let mut differ = 0;
        for (place, line) in lines.iter().enumerate() {
            let now = line.text();
            let before = accepted.get(place).copied().unwrap_or("nothing");
            if now.trim_end() != before {
                differ += 1;
                if differ <= MOST {
                    println!("{} {} was {before}, is {}", self.what, line.name, now.trim_end());
                }
            }
        }
        let extra = accepted.len().saturating_sub(lines.len());
        if differ > MOST {
            println!("... and {} more", differ - MOST);
        }
        if differ + extra > 0 {
            println!("{} of {} lines differ in tests/traces/{}", differ + extra, accepted.len(), self.file);
        }
        Ok(differ + extra)
    }
}

/// The most differences that are named.
const MOST: usize = 20;
