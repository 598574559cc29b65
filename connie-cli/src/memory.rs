//! `connie memory`: what is in a file of `--memory`.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use connie_core::memory::Finish;
use connie_std::Memory;
use connie_std::memory::{MemoryFileError, Remembered};
use serde_json::{Value, json};

use crate::args::MemoryArgs;
use crate::error::Error;
use crate::exit_code;
use crate::output::print;

pub fn run(args: &MemoryArgs) -> Result<(), Error> {
    let path = &args.file;
    // For a connect, a file that does not exist is an empty memory; here it is an error.
    let written = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let written = written.map_err(|error| Error::read(path, &error))?;
    let memory = load(path)?;
    let shown =
        MemoryReport { entries: sorted(&memory), life: memory.settings().life, paid: memory.paid_syns() };
    let age = since(written);
    match args.json {
        true => print(format_args!("{}\n", shown.json(age))),
        false => print(shown.table(path, age)),
    }
}

/// The memory in a file; an empty one where there is no such file.
pub fn load(path: &Path) -> Result<Memory, Error> {
    Memory::load(path).map_err(|error| match error {
        MemoryFileError::Read(path, error) => Error::read(&path, &error),
        error => Error::new(exit_code::READ, error.to_string()),
    })
}

/// One that was written in the future was written now.
#[expect(clippy::disallowed_methods, reason = "how long a file is old no other clock knows")]
fn since(written: SystemTime) -> Duration {
    SystemTime::now().duration_since(written).unwrap_or_default()
}

/// By host; of each those first that may lead, and the fastest first.
fn sorted(memory: &Memory) -> Vec<Remembered> {
    let mut entries = memory.entries();
    let time = |it: &Remembered| it.round_trip.unwrap_or(Duration::MAX);
    entries.sort_by_key(|it| (it.host, it.is_demoted, !it.is_live, time(it), it.address));
    entries
}

/// What a memory holds. Where it has a word for what a race's plan also reports, it is the same.
struct MemoryReport {
    entries: Vec<Remembered>,
    /// How long it uses what it has learnt.
    life: Duration,
    /// How many SYNs the bucket pays for.
    paid: usize,
}

impl MemoryReport {
    fn table(&self, path: &Path, age: Duration) -> String {
        let mut hosts: Vec<u32> = self.entries.iter().map(|it| it.host).collect();
        hosts.dedup();
        let addresses = counted(self.entries.len(), "address", "addresses");
        let mut text = format!(
            "{}: {addresses}, last used by {}, written {} ago; {} in the bucket\n",
            path.display(),
            counted(hosts.len(), "host", "hosts"),
            ago(age),
            counted(self.paid, "SYN", "SYNs"),
        );
        let rows: Vec<[String; 5]> = self.entries.iter().map(|it| self.row(it)).collect();
        let heads = ["", "finish", "network", "round trip", "seen"].map(str::to_owned);
        let widths: [usize; 5] = std::array::from_fn(|column| {
            let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        });
        let line = |cells: &[String; 5], last: &str| {
            let cells = cells.iter().zip(widths);
            let line: String = cells.map(|(cell, width)| format!("  {cell:<width$}")).collect();
            format!("{line}  {last}").trim_end().to_owned()
        };
        for host in hosts {
            let _ = write!(text, "\n{}\n", line(&with_first(&heads, format!("host {host:08x}")), ""));
            for (entry, row) in self.entries.iter().zip(&rows).filter(|(entry, _)| entry.host == host) {
                let _ = writeln!(text, "{}", line(row, &self.standing(entry)));
            }
        }
        text
    }

    fn row(&self, entry: &Remembered) -> [String; 5] {
        let round_trip = entry.round_trip.map_or_else(
            || "-".to_owned(),
            |time| {
                format!("{} ms +-{}", millis(time, time), millis(entry.variation.unwrap_or_default(), time))
            },
        );
        [
            format!("  {}", entry.address),
            finish(entry).to_owned(),
            format!("{:08x}", entry.network),
            round_trip,
            format!("{} ago", ago(entry.age)),
        ]
    }

    fn standing(&self, entry: &Remembered) -> String {
        let failures = match entry.failures {
            0 | 1 => "failed",
            _ => "failed again and again",
        };
        match () {
            () if entry.age > self.life => "too old to count".to_owned(),
            () if entry.is_demoted => format!("{failures}, comes last for {} more", ago(entry.demoted_for)),
            () if entry.failures > 0 => format!("{failures}, may not lead until it answers"),
            () if !entry.is_live => "was beaten, may not lead until it answers".to_owned(),
            () if entry.has_led => "has led".to_owned(),
            () => "may lead".to_owned(),
        }
    }

    fn json(&self, age: Duration) -> Value {
        let of_address = |it: &Remembered| {
            json!({
                "address": it.address.to_string(),
                "finish": finish(it),
                "network": format!("{:08x}", it.network),
                "host_hash": format!("{:08x}", it.host),
                "round_trip_us": it.round_trip.map(micros),
                "variation_us": it.variation.map(micros),
                "age_us": micros(it.age),
                "too_old": it.age > self.life,
                "may_lead": it.is_live && it.age <= self.life,
                "has_led": it.has_led,
                "failures": it.failures,
                "paused_us": it.is_demoted.then(|| micros(it.demoted_for)),
            })
        };
        let addresses: Vec<Value> = self.entries.iter().map(of_address).collect();
        json!({"age_us": micros(age), "paid": self.paid, "addresses": addresses})
    }
}

fn with_first(cells: &[String; 5], first: String) -> [String; 5] {
    let mut cells = cells.clone();
    cells[0] = first;
    cells
}

fn finish(entry: &Remembered) -> &'static str {
    match entry.finish {
        Finish::Tcp => "tcp",
        Finish::Tls => "tls",
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds; with two digits more where the whole is under ten of them.
fn millis(time: Duration, whole: Duration) -> String {
    let digits = if whole < Duration::from_millis(10) { 2 } else { 0 };
    format!("{:.digits$}", time.as_secs_f64() * 1_000.0)
}

/// A time in the largest unit of which there are two.
fn ago(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_units_of_which_there_are_two() {
        let said = [0, 1, 119, 120, 7_199, 7_200, 172_799, 172_800].map(Duration::from_secs).map(ago);
        assert_eq!(said, ["0 ms", "1 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
        assert_eq!(ago(Duration::from_millis(999)), "999 ms");
    }

    #[test]
    fn short_round_trips_have_digits() {
        let said = |micros, whole| millis(Duration::from_micros(micros), Duration::from_micros(whole));
        assert_eq!((said(31_400, 31_400), said(4_000, 31_400)), ("31".to_owned(), "4".to_owned()));
        assert_eq!((said(120, 120), said(60, 120)), ("0.12".to_owned(), "0.06".to_owned()));
        assert_eq!((said(9_999, 9_999), said(10_000, 10_000)), ("10.00".to_owned(), "10".to_owned()));
    }
}
