//! `connie demo`: three clients visit the same site over a simulated network, in virtual time. connie
//! remembers.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use connie_core::timeline::Style;
use connie_sim::SimVisit;
use connie_sim::demo::{self, HOST, Lane, PORT, SHOWN};

use crate::args::Demo;
use crate::error::Error;
use crate::output::{is_stdout, print, write_file};
use crate::svg::{Sheet, SummaryChart, SummaryRow, Svg};
use crate::terminal;

pub fn run(args: &Demo) -> Result<(), Error> {
    let lanes = demo::run(args.seed, args.max_in_flight as usize);
    if let Some(path) = &args.svg {
        write_file(path, picture(&lanes))?;
        if is_stdout(path) {
            return Ok(());
        }
    }
    print(show(&lanes, terminal::width(&io::stdout()), terminal::style(&io::stdout())))
}

/// What to call each visit that is shown.
fn titles(lane: &Lane) -> [String; 3] {
    let [_, second, last] = SHOWN;
    [
        format!("visit 1: {}", lane.about),
        format!("visit {second}: the one that answered starts alone"),
        format!(
            "visit {last}: {} has died (visits {} to {} took {} SYNs)",
            demo::best().ip(),
            second + 1,
            last - 1,
            lane.between
        ),
    ]
}

/// The visits of connie, and above them what all clients come to.
fn picture(lanes: &[Lane; 3]) -> Sheet {
    let [connie, others @ ..] = lanes;
    let titled = titles(connie).into_iter().zip(&connie.visits).zip(&connie.plans);
    let race = |((title, visit), plan): ((String, &SimVisit), &Option<String>)| {
        let title = format!("{}, {title}", connie.name);
        Svg::titled(visit.recording.timeline(), &title, PORT).noting(plan.clone())
    };
    let fastest = fastest(lanes);
    let entry = |name: String, visit: &SimVisit, is_ours: bool| SummaryRow {
        name,
        time: time(visit.took),
        length: visit.took.as_secs_f64(),
        cost: syns(visit.syns),
        note: if is_ours { String::new() } else { times(visit.took, fastest) },
        is_ours,
    };
    let [_, _, last] = SHOWN;
    let ours = SHOWN.iter().zip(&connie.visits).map(|(number, visit)| {
        let died = if *number == last { ", best has died" } else { "" };
        entry(format!("{}, visit {number}{died}", connie.name), visit, true)
    });
    let others =
        others.iter().map(|lane| entry(format!("{}, each visit", lane.name), &lane.visits[0], false));
    let addresses = demo::addresses();
    let which = |does: &str| addresses.iter().filter(|address| address.does.starts_with(does)).count();
    let summary = SummaryChart {
        title: format!("Time to connect to {HOST}, which has {} addresses", addresses.len()),
        about: format!(
            "simulated · {} are dead, {} refuse, {} cannot be reached, {} answer",
            which("dead"),
            which("refuses"),
            which("unreachable"),
            which("answers")
        ),
        entries: ours.chain(others).collect(),
    };
    Sheet { summary, races: titled.map(race).collect() }
}

fn show(lanes: &[Lane; 3], width: usize, style: Style) -> String {
    let [connie, ..] = lanes;
    let mut text = format!(
        "{HOST} port {PORT} has {} addresses (simulated, in virtual time):\n\n",
        demo::addresses().len()
    );
    write_addresses(&mut text, width);
    for ((title, visit), plan) in titles(connie).iter().zip(&connie.visits).zip(&connie.plans) {
        let _ = write!(text, "\n== {}, {title}\n\n", connie.name);
        let _ = write!(text, "{}", visit.recording.timeline().waterfall(width, style));
        if let Some(plan) = plan {
            let _ = writeln!(text, "  {plan}");
        }
    }
    text.push_str("\n== In short: time to connect, and SYNs\n\n");
    let heads = SHOWN.map(|number| format!("{:>17}", format!("visit {number}"))).concat();
    let _ = writeln!(text, "  {:<14}{heads}{:>11}", "", "in all");
    for lane in lanes {
        let cell =
            |visit: &SimVisit| format!("{:>17}", format!("{}, {}", time(visit.took), syns(visit.syns)));
        let cells = lane.visits.iter().map(cell).collect::<String>();
        let all = lane.visits.iter().map(|visit| visit.syns).sum::<u32>() + lane.between;
        let _ = writeln!(text, "  {:<14}{cells}{:>11}", lane.name, syns(all));
    }
    text.push_str(NEXT);
    text
}

/// Both families beside each other where there is room.
fn write_addresses(text: &mut String, width: usize) {
    let addresses = demo::addresses();
    let line =
        |it: &demo::DemoAddress, wide: usize| format!("{:<wide$}  {}", it.address.ip().to_string(), it.does);
    let (v6, v4) = addresses.split_at(addresses.len() / 2);
    if width < 80 {
        addresses.iter().for_each(|it| text.push_str(&format!("  {}\n", line(it, 11))));
        return;
    }
    for (one, other) in v6.iter().zip(v4) {
        let _ = writeln!(text, "  {:<38}{}", line(one, 11), line(other, 9));
    }
}

/// What to type next.
const NEXT: &str = "
Now a real host:   connie race example.org:80
or a page of it:   connie get http://example.org/
and what else:     connie --help   (from a checkout: cargo run --release -- ...)
";

/// The least that a first visit takes.
fn fastest(lanes: &[Lane; 3]) -> Duration {
    lanes.iter().map(|lane| lane.visits[0].took).min().unwrap_or_default()
}

fn syns(count: u32) -> String {
    format!("{count:>2} SYN{}", if count == 1 { "" } else { "s" })
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
        let (_, short) = shown.trim_end_matches(NEXT).split_once("== In short").unwrap();
        let lines: Vec<&str> = short.lines().skip(3).collect();
        assert!(shown.ends_with(NEXT));
        let starts = ["  connie ", "  Happy Eyeballs ", "  plain client "];
        let ends = ["  41 SYNs", "  140 SYNs", "  80 SYNs"];
        for (line, (start, end)) in lines.iter().zip(starts.into_iter().zip(ends)) {
            assert!(line.starts_with(start) && line.ends_with(end), "{shown}");
        }
        assert!(lines.len() == 3 && lines[0].contains(" ms, 12 SYNs ") && lines[0].contains(" ms,  1 SYN "));
        // One screen.
        assert!(shown.lines().count() <= 68, "{}", shown.lines().count());
        for width in [79, 80, 120] {
            let shown = show(&demo::run(0, 16), width, Style::default());
            assert_eq!(shown.lines().find(|line| line.chars().count() > width.max(80)), None);
        }
    }

    #[test]
    fn factors_are_said_where_they_can_be_felt() {
        let times = |elapsed, fastest| times(Duration::from_millis(elapsed), Duration::from_millis(fastest));
        assert_eq!(times(100, 100), "");
        assert_eq!(times(150, 100), "1.5 times as long");
        assert_eq!(times(40_000, 100), "400 times as long");
    }
}
