//! connie beside the clients that people use: each fetches a page of the same host over the same network, in
//! a namespace of its own, with addresses that are near, far, dead, refusing, or behind a name server that is
//! slow.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml              # writes docs/benchmarks.md and docs/benchmarks.svg
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- SCENARIO  # runs the scenarios whose names contain SCENARIO
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- visits    # many visits by one process; writes docs/visits.md
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- proxy     # programs through connie proxy; writes docs/proxy-measured.md and docs/proxy.svg
//! ```
//!
//! Needs Linux, root or user namespaces, and a release build of the program `connie`. Clients that are not
//! installed are left out, and the page says so.
//!
//! `visits` goes on with what it has recorded in `visits.jsonl`. After it may stand
//!
//! ```text
//! --network PART   on the networks whose names contain PART
//! --client PART    by the clients whose names contain PART
//! --rounds 5       how many runs of each client on each network
//! --jobs 1         how many at a time; with fewer the times are more exact
//! --again          what is recorded already, too
//! --quick          six visits in one run, nothing recorded
//! --page           no visits: writes the page from what is recorded
//! ```
//!
//! `proxy` takes six minutes, and records all anew in `proxy.jsonl`. After it may stand `--network PART` and
//! `--client PART`, which measure a part of it and record nothing, `--rounds 5`, `--connie FILE` for another
//! build, and `--page` as above.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("peers: needs Linux, for its namespaces and its TUN devices");
}

#[cfg(target_os = "linux")]
mod clients;
#[cfg(target_os = "linux")]
mod own;
#[cfg(target_os = "linux")]
mod page;
// The same sentence in the pages of both benches.
#[cfg(target_os = "linux")]
#[path = "../../footprint/src/provenance.rs"]
mod provenance;
#[cfg(target_os = "linux")]
mod proxied;
#[cfg(target_os = "linux")]
mod scenarios;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod trial;
#[cfg(target_os = "linux")]
mod visits;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--fetch-with", client, url] => own::fetch(client, url),
        ["--visit-with", client, host] => visits::visit_with(client, host),
        ["visits", ref options @ ..] => visits::compare(options),
        ["proxy", ref options @ ..] => proxied::compare(options),
        [] => compare(""),
        [scenario] => compare(scenario),
        _ => Err("give a part of a scenario's name, or nothing".to_owned()),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("peers: {reason}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// How often each client fetches in each scenario; the median counts.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 3;

#[cfg(target_os = "linux")]
fn compare(part: &str) -> Result<(), String> {
    let clients = clients::installed()?;
    let scenarios: Vec<_> = scenarios::all().into_iter().filter(|it| it.name.contains(part)).collect();
    if scenarios.is_empty() {
        return Err(format!("no scenario's name contains {part:?}"));
    }
    let mut results = Vec::new();
    for scenario in &scenarios {
        let mut rows = Vec::new();
        for client in &clients {
            let trials = rounds(scenario, client)?;
            let median = trial::median(trials);
            eprintln!("{:<28} {:<22} {}", scenario.name, client.name, median);
            rows.push(median);
        }
        results.push(rows);
    }
    if part.is_empty() {
        page::write(&scenarios, &clients, &results)?;
    }
    Ok(())
}

/// The trials of one client in one scenario. One that takes seconds is not repeated: no noise of milliseconds
/// matters there.
#[cfg(target_os = "linux")]
fn rounds(scenario: &scenarios::Scenario, client: &clients::Client) -> Result<Vec<trial::Trial>, String> {
    let mut trials = Vec::new();
    for _ in 0..ROUNDS {
        let trial = trial::run(scenario, client)?;
        trials.push(trial);
        if trial.time.is_none_or(|time| time.as_secs() >= 2) {
            return Ok(vec![trial]);
        }
    }
    Ok(trials)
}
