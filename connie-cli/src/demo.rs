//! `connie demo`: three clients connect to the same site over a simulated network, in virtual time.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use connie_core::timeline::Style;
use connie_sim::demo::{self, HOST, Lane, PORT};

use crate::args::Demo;
use crate::error::Error;
use crate::output::{is_stdout, print, write_file};
use crate::svg::{Entry, Sheet, Summary, Svg};
use crate::terminal;

pub fn run(args: &Demo) -> Result<(), Error> {
    let lanes = demo::run(args.seed, args.max_sockets as usize);
    if let Some(path) = &args.svg {
        write_file(path, picture(&lanes))?;
        if is_stdout(path) {
            return Ok(());
        }
    }
    print(show(&lanes, terminal::width(&io::stdout()), terminal::style(&io::stdout())))
}

/// The three races, and above them what they come to.
fn picture(lanes: &[Lane]) -> Sheet {
    let race = |lane: &Lane| {
        let title = format!("{}: {}", lane.name, lane.about);
        Svg::titled(lane.outcome.recording.timeline(), &title, PORT)
    };
    let fastest = fastest(lanes);
    let entry = |lane: &Lane| Entry {
        name: lane.name.to_owned(),
        time: time(lane.outcome.elapsed),
        length: lane.outcome.elapsed.as_secs_f64(),
        cost: sockets(lane, 0),
        note: times(lane.outcome.elapsed, fastest),
    };
    let addresses = demo::addresses();
    let which = |does: &str| addresses.iter().filter(|address| address.does.starts_with(does)).count();
    let summary = Summary {
        title: format!("Time to connect to {HOST}, which has {} addresses", addresses.len()),
        about: format!(
            "simulated · {} are dead, {} refuse, {} cannot be reached, {} answer",
            which("dead"),
            which("refuses"),
            which("unreachable"),
            which("answers")
        ),
        entries: lanes.iter().map(entry).collect(),
    };
    Sheet { summary, races: lanes.iter().map(race).collect() }
}

fn show(lanes: &[Lane], width: usize, style: Style) -> String {
    let addresses = demo::addresses();
    let mut text =
        format!("{HOST} port {PORT} has {} addresses (simulated, in virtual time):\n\n", addresses.len());
    for address in &addresses {
        let _ = writeln!(text, "  {:<14} {}", address.address.ip(), address.does);
    }
    for lane in lanes {
        let _ = write!(text, "\n== {}: {}\n\n", lane.name, lane.about);
        let _ = write!(text, "{}", lane.outcome.recording.timeline().waterfall(width, style));
    }
    text.push_str("\n== In short\n\n");
    let fastest = fastest(lanes);
    for lane in lanes {
        let elapsed = lane.outcome.elapsed;
        let line = format!("  {:<14} {:>9}   {}", lane.name, time(elapsed), sockets(lane, 2));
        let _ = writeln!(text, "{}", format!("{line:<41}{}", times(elapsed, fastest)).trim_end());
    }
    text.push_str(NEXT);
    text
}

/// What to type next.
const NEXT: &str = "
Now a real host:   connie race example.org:80
or a page of it:   connie get http://example.org/
and what else:     connie --help   (from a checkout: cargo run --release -- ...)
";

fn fastest(lanes: &[Lane]) -> Duration {
    lanes.iter().map(|lane| lane.outcome.elapsed).min().unwrap_or_default()
}

/// How many sockets it held at most, in `width` digits.
fn sockets(lane: &Lane, width: usize) -> String {
    let sockets = lane.outcome.peak;
    format!("{sockets:>width$} socket{}", if sockets == 1 { "" } else { "s" })
}

fn time(elapsed: Duration) -> String {
    match elapsed.as_micros() {
        micros @ 0..10_000_000 => format!("{} ms", (micros + 500) / 1_000),
        _ => format!("{:.1} s", elapsed.as_secs_f64()),
    }
}

/// How many times as long as the fastest, where that can be felt.
fn times(elapsed: Duration, fastest: Duration) -> String {
    let factor = elapsed.as_secs_f64() / fastest.as_secs_f64().max(1e-6);
    match factor {
        _ if factor < 1.05 => String::new(),
        _ if factor < 10.0 => format!("{factor:.1} times as long"),
        _ => format!("{factor:.0} times as long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_was_how_fast_and_what_to_type_next() {
        let shown = show(&demo::run(0, 16), 80, Style::default());
        let last: Vec<&str> = shown.trim_end_matches(NEXT).lines().rev().take(3).collect();
        assert!(shown.ends_with(NEXT));
        assert!(last[2].starts_with("  connie ") && last[2].ends_with(" 12 sockets"), "{shown}");
        assert!(last[1].starts_with("  Happy Eyeballs ") && last[1].ends_with(" times as long"), "{shown}");
        assert!(last[0].starts_with("  plain client ") && last[0].ends_with(" times as long"), "{shown}");
        assert_eq!(shown.lines().find(|line| line.chars().count() > 80), None);
    }

    #[test]
    fn factors_are_said_where_they_can_be_felt() {
        let times = |elapsed, fastest| times(Duration::from_millis(elapsed), Duration::from_millis(fastest));
        assert_eq!(times(100, 100), "");
        assert_eq!(times(150, 100), "1.5 times as long");
        assert_eq!(times(40_000, 100), "400 times as long");
    }
}
