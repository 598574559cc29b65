//! One race in a process of its own, for tests that watch a process from outside: its system calls, its
//! signals.
//!
//! `one-race SOCKETS PATIENCE_MS ADDRESS...` connects to the address that answers first, prints what became
//! of it, keeps the connection until its standard input ends, and closes it. The variable SOURCE has an IPv4
//! address for it to come from, and DEADLINE_MS the time that it has, in milliseconds.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use connie_std::connie_core::Config;
use connie_std::{ConnectError, Connected, Options, connect};

/// A race that a test has got wrong ends after this.
const LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok());
    let (Some(sockets), Some(patience)) = (number(), number()) else {
        eprintln!("usage: one-race SOCKETS PATIENCE_MS ADDRESS...");
        return ExitCode::from(2);
    };
    let addresses: Vec<SocketAddr> = arguments.filter_map(|text| text.parse().ok()).collect();
    let deadline = std::env::var("DEADLINE_MS").ok().and_then(|text| text.parse().ok());
    let deadline = deadline.map_or(LIMIT, Duration::from_millis);
    let options = Options::new()
        .race(
            Config::all_at_once()
                .max_in_flight(usize::try_from(sockets).unwrap_or(usize::MAX))
                .patience(Duration::from_millis(patience))
                .deadline(Some(deadline)),
        )
        .source_v4(std::env::var("SOURCE").ok().and_then(|text| text.parse().ok()));
    let raced = connect(&addresses, &options);
    // A test that no longer reads is gone.
    let _ = std::io::stdout().write_all(describe(&raced).as_bytes());
    let _ = std::io::stdin().read(&mut [0]);
    if raced.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(7) }
}

/// `connected ADDRESS CLIENT` or `failed WHY`, a line `ADDRESS OUTCOME` for each attempt, and `end`.
fn describe(raced: &Result<Connected, ConnectError>) -> String {
    let (first, timeline) = match raced {
        Ok(connected) => {
            // A socket that is not connected has no peer: this is what a false winner shows.
            let client = match (connected.peer_addr(), connected.local_addr()) {
                (Ok(_), Ok(client)) => client.to_string(),
                (Err(error), _) | (_, Err(error)) => format!("nobody: {error}"),
            };
            (format!("connected {} {client}", connected.destination()), Some(connected.timeline()))
        }
        Err(error) => (format!("failed {error}"), error.timeline()),
    };
    let mut text = first + "\n";
    for attempt in timeline.iter().flat_map(|timeline| timeline.attempts()) {
        let outcome = attempt.outcome.map_or("open", |outcome| outcome.name());
        text += &format!("{} {outcome}\n", attempt.destination);
    }
    text + "end\n"
}
