//! The page that the comparison becomes.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::clients::{Client, Kind};
use crate::provenance::provenance;
use crate::scenarios::Scenario;
use crate::trial::{LIMIT, Trial};

/// How far behind the oracle connie may be: a tenth, and this.
const LATE: f64 = 3.0;
/// How much faster a peer may be.
const FASTER: f64 = 5.0;

const HEAD: &str = "# connie beside other clients

Written by `cargo run --release --manifest-path benches/peers/Cargo.toml`. Do not edit.

Each client fetches a page of the same host, in a namespace of its own with a name server (10 ms) and a router in user space that
delays, drops, refuses. The time is from the first query that the name server sees to the arrival of the request at the web
server, so that what a client needs to start does not count. The oracle knows beforehand which answer and which address will be
first, and sends each address one SYN: only a client that sends more can be faster. Times are milliseconds, the median of three runs;
what takes seconds is run once, and what takes more than 10 s is given up.

Where the first SYN to each address is lost, a second one to the same address gets through. connie sends it after its patience (250 ms).
Chromium opens two connections to the first address in every network, one of them for nothing, and so has its second SYN on the way at once.

Here each visit is the first. What many visits by one process cost, connie's with a memory, is in [visits.md](visits.md). MEASURED

![Time to the request in every network](benchmarks.svg)

The picture is drawn from the first table below, by `cargo run -p connie-tools --bin pictures`.
";

pub fn write(scenarios: &[Scenario], clients: &[Client], results: &[Vec<Trial>]) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let measured = provenance(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let page = page(scenarios, clients, results).replacen("MEASURED", &measured, 1);
    let picture = connie_tools::benchmarks::picture(&page)?;
    for (name, text) in [("benchmarks.md", &page), ("benchmarks.svg", &picture)] {
        let path = docs.join(name);
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    print!("{page}");
    Ok(())
}

fn page(scenarios: &[Scenario], clients: &[Client], results: &[Vec<Trial>]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Time\n\n");
    table(&mut page, scenarios, clients, results, true, |trial| cell(trial.time));
    page.push_str("\n## What it costs\n\nSYNs sent / the most sockets open at a time / connections that a server accepted for nothing. Sockets are counted on\nthe wire, which learns of one that was closed without a packet some milliseconds late: where attempts are evicted, those\nof a moment ago are counted beside their successors.\n\n");
    table(&mut page, scenarios, clients, results, false, |trial| {
        format!("{} / {} / {}", trial.syns, trial.open, trial.wasted)
    });
    page.push_str("\n## What was promised\n\n");
    promises(&mut page, scenarios, clients, results);
    page.push_str("\n## The clients\n\n");
    for client in clients {
        let _ = writeln!(page, "- {}: {}", client.name, client.about);
    }
    page
}

fn table(
    page: &mut String,
    scenarios: &[Scenario],
    clients: &[Client],
    results: &[Vec<Trial>],
    with_oracle: bool,
    show: impl Fn(&Trial) -> String,
) {
    page.push_str("| network |");
    if with_oracle {
        page.push_str(" oracle |");
    }
    for client in clients {
        let _ = write!(page, " {} |", client.name);
    }
    page.push_str("\n|---|");
    page.push_str(&"--:|".repeat(clients.len() + usize::from(with_oracle)));
    page.push('\n');
    for (scenario, trials) in scenarios.iter().zip(results) {
        let _ = write!(page, "| {} |", scenario.name);
        if with_oracle {
            let _ = write!(page, " {} |", cell(scenario.oracle));
        }
        for trial in trials {
            let _ = write!(page, " {} |", show(trial));
        }
        page.push('\n');
    }
}

fn cell(time: Option<Duration>) -> String {
    time.map_or_else(|| format!("> {} s", LIMIT.as_secs()), |time| format!("{:.0}", millis(time)))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Says of each promise where it was kept, and where not.
fn promises(page: &mut String, scenarios: &[Scenario], clients: &[Client], results: &[Vec<Trial>]) {
    let late = scenarios.iter().zip(results).flat_map(|(scenario, trials)| {
        let pairs = clients.iter().zip(trials);
        let enough = pairs.filter(
            |(client, _)| matches!(client.kind, Kind::AllAtOnce(sockets) if sockets >= scenario.addresses()),
        );
        enough.filter_map(|(client, trial)| {
            let allowed = millis(scenario.oracle?) * 1.1 + LATE;
            let time = trial.time.map_or(f64::INFINITY, millis);
            (time > allowed)
                .then(|| format!("{}: {} ({time:.0} ms, allowed {allowed:.0})", scenario.name, client.name))
        })
    });
    say(
        page,
        "With a socket for each address, connie is within 1.1 times the oracle and 3 ms",
        late.collect(),
    );

    let faster = scenarios.iter().zip(results).flat_map(|(scenario, trials)| {
        let best =
            clients.iter().zip(trials).filter(|(client, _)| matches!(client.kind, Kind::AllAtOnce(16)));
        let ours = best.filter_map(|(_, trial)| trial.time).min().map_or(f64::INFINITY, millis);
        let peers = clients.iter().zip(trials).filter(|(client, _)| client.kind.is_peer());
        peers.filter_map(move |(client, trial)| {
            let theirs = millis(trial.time?);
            (theirs + FASTER < ours)
                .then(|| format!("{}: {} ({theirs:.0} ms, connie {ours:.0})", scenario.name, client.name))
        })
    });
    say(page, "No other client is faster than connie with 16 sockets by more than 5 ms", faster.collect());

    let stuck = scenarios.iter().zip(results).flat_map(|(scenario, trials)| {
        clients.iter().zip(trials).filter_map(|(client, trial)| {
            let Kind::AllAtOnce(sockets) = client.kind else { return None };
            let bound = bound(scenario.addresses(), sockets, scenario.needs) + Duration::from_millis(30);
            let time = trial.time.unwrap_or(Duration::MAX);
            // The look-up and the request's way beside the race.
            let race = time.saturating_sub(scenario.oracle?.saturating_sub(scenario.needs));
            (race > bound).then(|| {
                format!(
                    "{}: {} ({} ms, bound {})",
                    scenario.name,
                    client.name,
                    cell(trial.time),
                    millis(bound)
                )
            })
        })
    });
    say(
        page,
        "With few sockets connie is within the bound of [never stuck](never-stuck.md)",
        stuck.collect(),
    );
}

fn say(page: &mut String, promise: &str, broken: Vec<String>) {
    if broken.is_empty() {
        let _ = writeln!(page, "- {promise}: in every network.");
        return;
    }
    let _ = writeln!(page, "- {promise}, but not here:");
    for line in broken {
        let _ = writeln!(page, "  - {line}");
    }
}

/// `(4·⌈n/k⌉ − 3) · max(r, P)`: the third part of the law of `docs/never-stuck.md`.
fn bound(addresses: usize, sockets: usize, needs: Duration) -> Duration {
    let rounds = addresses.div_ceil(sockets) as u32;
    if rounds <= 1 {
        return needs;
    }
    needs.max(Duration::from_millis(250)) * (4 * rounds - 3)
}
