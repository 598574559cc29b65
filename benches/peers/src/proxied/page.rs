//! The page that the measurements become.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::record::Records;
use super::trial::Seen;
use super::{networks, picture};
use crate::scenarios::Scenario;
use crate::trial::LIMIT;

/// How many milliseconds after the oracle a page may be asked for through the proxy.
const LATE: f64 = 5.0;
/// Where the proxy is to show what it is for.
pub const DEAD: &str = "11 of 12 dead";
/// Where there is nothing to gain.
const ALIVE: &str = "one address, alive";

const HEAD: &str = "# Programs through connie proxy, and without it

Written by `cargo run --release --manifest-path benches/peers/Cargo.toml -- proxy` from what is recorded in
`benches/peers/proxy.jsonl`. Do not edit.

Each program fetches a page of the same host, in a namespace of its own with a name server (10 ms) and a router in user space that
delays, drops, refuses: the networks of [benchmarks.md](benchmarks.md). Without the proxy the time is from the program's first query to
the arrival of its request at the web server. Through the proxy it is from the program's SYN to the proxy to the same arrival: the
program's own way to the proxy counts. What the program needs to start does not. The oracle knows beforehand which answer and which
address will be first.

Each run through the proxy is two visits by a proxy that was started for them, and each visit is a process of its own, with nothing
left from the one before. What is learnt by the first visit is in the proxy's memory.

![Without the proxy and through it](proxy.svg)
";

pub fn write(records: &Records) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = page(records);
    for (name, text) in [("proxy-measured.md", &page), ("proxy.svg", &picture::draw(records))] {
        let path = docs.join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let wrapped = std::process::Command::new("python3")
        .args(["tools/wrap.py", "--write", "docs/proxy-measured.md"])
        .current_dir(docs.join(".."))
        .status();
    if !wrapped.is_ok_and(|status| status.success()) {
        eprintln!("docs/proxy-measured.md: not wrapped");
    }
    print!("{page}");
    Ok(())
}

/// The runs of one program on one network.
struct Cell {
    alone: Vec<Seen>,
    first: Vec<Seen>,
    second: Vec<Seen>,
}

impl Cell {
    fn of(records: &Records, network: &Scenario, client: &str) -> Self {
        let seen = |is_proxied, visit| records.seen(network.name, client, is_proxied, visit);
        Cell { alone: seen(false, 0), first: seen(true, 0), second: seen(true, 1) }
    }

    fn three(&self, figure: impl Fn(&[Seen]) -> String) -> String {
        format!("{} → {}, {}", figure(&self.alone), figure(&self.first), figure(&self.second))
    }
}

fn page(records: &Records) -> String {
    let mut page = HEAD.to_owned();
    let rounds = records.runs.iter().map(|run| run.round).max().unwrap_or_default();
    let of = if rounds == 1 { "of one run".to_owned() } else { format!("the median of {rounds} runs") };
    let _ = writeln!(
        page,
        "\n## Time\n\nWithout the proxy → the first visit through it, the second. Milliseconds, {of}.\nWhat takes seconds is run once, and what takes more than {} s is given up.\n",
        LIMIT.as_secs()
    );
    table(&mut page, records, true, |cell| cell.three(|seen| time(median(seen))));
    if rounds > 1 {
        let _ = writeln!(page, "\n## The worst run\n\nThe same, the longest of {rounds} runs.\n");
        table(&mut page, records, true, |cell| cell.three(|seen| time(worst(seen))));
    }
    page.push_str("\n## The race\n\nMilliseconds from the first SYN that leaves the machine to the end of the first handshake: the first visit\nthrough the proxy, the second.\n\n");
    table(&mut page, records, false, |cell| {
        format!("{}, {}", time(median_race(&cell.first)), time(median_race(&cell.second)))
    });
    page.push_str("\n## SYNs\n\nThose that leave the machine, the kernel's repetitions too: without the proxy → the first visit through it, the second.\nIn brackets: for how many connections a program asked, where it was more than one.\n\n");
    table(&mut page, records, false, |cell| cell.three(syns));
    page.push_str("\n## What was wanted\n\n");
    wanted(&mut page, records);
    page.push_str("\n## The programs\n\n");
    for [name, about, told] in &records.circumstances.clients {
        let _ = writeln!(page, "- {name}: {about}, `{told}`");
    }
    let it = &records.circumstances;
    let _ = writeln!(
        page,
        "\nMeasured on {} at {}, {}, on {}. {} processes wanted a processor at a time, on average over the last five minutes.",
        it.date, it.revision, it.build, it.machine, it.load
    );
    page
}

fn table(page: &mut String, records: &Records, has_oracle: bool, cell: impl Fn(&Cell) -> String) {
    let clients = &records.circumstances.clients;
    let names: Vec<&str> = clients.iter().map(|[name, ..]| &**name).collect();
    let _ =
        writeln!(page, "| network | {}{} |", if has_oracle { "oracle | " } else { "" }, names.join(" | "));
    let columns = names.len() + usize::from(has_oracle);
    let _ = writeln!(page, "|---|{}", "--:|".repeat(columns));
    for network in networks() {
        let _ = write!(page, "| {} |", network.name);
        if has_oracle {
            let _ = write!(page, " {} |", time(network.oracle.map(millis)));
        }
        for name in &names {
            let _ = write!(page, " {} |", cell(&Cell::of(records, &network, name)));
        }
        page.push('\n');
    }
}

fn wanted(page: &mut String, records: &Records) {
    let clients: Vec<&str> = records.circumstances.clients.iter().map(|[name, ..]| &**name).collect();
    let _ = writeln!(
        page,
        "The request is to be at the server by the oracle and {LATE} ms. How many milliseconds after the oracle it was there, by the medians:\nthe most of all networks, and what the program takes by itself when there is one address, which is alive.\n"
    );
    let _ = writeln!(
        page,
        "| program | first visit | second visit | one address, without the proxy |\n|---|--:|--:|--:|"
    );
    for name in &clients {
        let most = |pick: fn(&Cell) -> &[Seen]| {
            let late = networks().map(|network| late(pick(&Cell::of(records, &network, name)), &network));
            late.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other))).flatten()
        };
        let alone = networks().find(|network| network.name == ALIVE);
        let alone = alone.and_then(|network| late(&Cell::of(records, &network, name).alone, &network));
        let (first, second) = (most(|cell| &cell.first), most(|cell| &cell.second));
        let _ = writeln!(page, "| {name} | {} | {} | {} |", time(first), time(second), time(alone));
    }
    page.push('\n');
    let (mut more, mut quick) = (Vec::new(), Vec::new());
    for name in &clients {
        let cells = networks().map(|network| Cell::of(records, &network, name));
        if cells.flat_map(|cell| cell.second).any(|seen| seen.syns > 1) {
            more.push((*name).to_owned());
        }
        let dead = networks().find(|network| network.name == DEAD);
        let alone = dead.and_then(|network| median(&Cell::of(records, &network, name).alone));
        if alone.is_some_and(|time| time < 1_000.0) {
            quick.push((*name).to_owned());
        }
    }
    for (promise, broken) in [
        ("The second visit sends one SYN, in every run".to_owned(), more),
        (
            format!("Without the proxy, where {DEAD}, each program takes a second and more, or gives up"),
            quick,
        ),
    ] {
        let met = if broken.is_empty() { "met".to_owned() } else { format!("not by {}", broken.join(", ")) };
        let _ = writeln!(page, "- {promise}: {met}.");
    }
}

/// How many milliseconds after the oracle the request came, by the median.
fn late(seen: &[Seen], network: &Scenario) -> Option<f64> {
    Some(median(seen)? - millis(network.oracle?))
}

fn syns(seen: &[Seen]) -> String {
    let mut seen = seen.to_vec();
    seen.sort_by_key(|seen| seen.syns);
    seen.get(seen.len() / 2).map_or(String::new(), |seen| one(seen.syns, seen.asked))
}

fn one(syns: usize, asked: usize) -> String {
    if asked > 1 { format!("{syns} ({asked})") } else { syns.to_string() }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn time(time: Option<f64>) -> String {
    time.map_or_else(|| format!("> {} s", LIMIT.as_secs()), |time| format!("{time:.0}"))
}

/// `None` where it is none, or where nothing was measured.
pub fn median(seen: &[Seen]) -> Option<f64> {
    middle(seen.iter().map(|seen| seen.time))
}

fn median_race(seen: &[Seen]) -> Option<f64> {
    middle(seen.iter().map(|seen| seen.race))
}

fn middle(times: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut times: Vec<f64> = times.map(|time| time.unwrap_or(f64::INFINITY)).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().filter(|time| time.is_finite())
}

fn worst(seen: &[Seen]) -> Option<f64> {
    seen.iter().map(|seen| seen.time).try_fold(0.0, |worst: f64, time| Some(worst.max(time?)))
}

#[cfg(test)]
mod tests {
    use super::super::record::{Circumstances, Record};
    use super::*;

    fn records(times: [f64; 3], syns: usize) -> Records {
        let [date, machine, revision, build, load] =
            ["2026-01-02", "m", "0123", "b", "0.5"].map(str::to_owned);
        let clients = vec![["curl", "curl 1", "-x"].map(str::to_owned)];
        let visit = |time, syns| Seen { time, race: Some(40.0), syns, asked: 1 };
        let run = |network: &Scenario, is_proxied, round, visits| Record {
            network: network.name.to_owned(),
            client: "curl".to_owned(),
            is_proxied,
            round,
            visits,
        };
        let runs = networks().flat_map(|network| {
            let oracle = network.oracle.map(millis).unwrap_or_default();
            let proxied = [1, 2, 3].map(|round| {
                let late = Some(oracle + times[round - 1]);
                run(&network, true, round, vec![visit(late, 12), visit(late, syns)])
            });
            proxied.into_iter().chain([run(&network, false, 1, vec![visit(None, 14)])]).collect::<Vec<_>>()
        });
        let runs = runs.collect();
        Records { circumstances: Circumstances { date, machine, revision, build, load, clients }, runs }
    }

    #[test]
    fn the_median_is_held_against_what_was_wanted_and_the_worst_is_shown() {
        let text = page(&records([0.0, 5.0, 90.0], 1));
        assert!(text.contains("| 11 of 12 dead | 70 | > 10 s → 75, 75 |"), "{text}");
        assert!(text.contains("| 11 of 12 dead | 70 | > 10 s → 160, 160 |"), "{text}");
        assert!(text.contains("| 11 of 12 dead | 14 → 12, 1 |"), "{text}");
        assert!(text.contains("| curl | 5 | 5 | > 10 s |"), "{text}");
        assert!(text.contains("in every run: met.") && !text.contains("not by"), "{text}");
        let text = page(&records([0.0, 6.0, 90.0], 2));
        assert!(text.contains("| curl | 6 | 6 |"), "{text}");
        assert!(text.contains("in every run: not by curl"), "{text}");
    }

    #[test]
    fn the_page_in_the_tree_is_what_is_recorded() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proxy-measured.md");
        let written = std::fs::read_to_string(path).ok();
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        // Neither is there without the other.
        assert_eq!(Records::load().ok().map(|records| words(page(&records))), written.map(words));
    }
}
