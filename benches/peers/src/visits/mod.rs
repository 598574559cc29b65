//! Visits: each client fetches the page of one host forty times and more, in one process, each time over a
//! connection of its own, while the network changes under it. What one visit teaches the next is what is
//! measured.
//!
//! Each client's runs are recorded in `visits.jsonl`, a line each, and what is recorded is not run again; so
//! it can be run in pieces, and be ended at any time. `docs/visits.md` is written from what is recorded.

mod clients;
mod own;
mod page;
mod record;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connie_lab::in_namespace_within;
use connie_tests::visits::{Course, Network, Process, go, networks};

use clients::Client;
pub use own::visit_with;
use record::{Record, Records};

/// A client's visits on one network end by force after this.
const RUN_LIMIT: Duration = Duration::from_secs(900);
/// So few visits, and one run, are the quick form.
const QUICK_VISITS: usize = 6;

/// What the command line asks for.
struct Wanted {
    network: String,
    client: String,
    /// How often each client visits on each network; what counts is the median.
    rounds: usize,
    /// How many clients visit at a time, each in a network of its own.
    jobs: usize,
    /// Whether what is recorded is measured anew.
    again: bool,
    /// Whether a few visits are made, and nothing is recorded.
    quick: bool,
    /// Whether nothing is measured, and the page is written.
    page: bool,
}

/// Runs `visits ARGUMENTS`.
pub fn compare(arguments: &[&str]) -> Result<(), String> {
    let wanted = read(arguments)?;
    let networks: Vec<Network> =
        networks().into_iter().filter(|network| network.name.contains(&wanted.network)).collect();
    if networks.is_empty() {
        return Err(format!("no network's name contains {:?}", wanted.network));
    }
    let records = Records::load()?;
    if wanted.page {
        return page::write(&records);
    }
    let clients: Vec<Client> =
        clients::installed()?.into_iter().filter(|client| client.name.contains(&wanted.client)).collect();
    if clients.is_empty() {
        return Err(format!("no client's name contains {:?}", wanted.client));
    }
    measure(&wanted, &networks, &clients, records)?;
    // As they are written, with fewer digits.
    if wanted.quick { Ok(()) } else { page::write(&Records::load()?) }
}

fn read(arguments: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        network: String::new(),
        client: String::new(),
        rounds: 5,
        jobs: 1,
        again: false,
        quick: false,
        page: false,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: &&str| text.parse().map_err(|_| format!("{word} needs a number, not {text:?}"));
        match *word {
            "--network" => wanted.network = value()?.to_string(),
            "--client" => wanted.client = value()?.to_string(),
            "--rounds" => wanted.rounds = number(value()?)?,
            "--jobs" => wanted.jobs = number(value()?)?,
            "--again" => wanted.again = true,
            "--quick" => wanted.quick = true,
            "--page" => wanted.page = true,
            _ => return Err(format!("visits: no option {word:?}")),
        }
    }
    if wanted.quick {
        wanted.rounds = 1;
    }
    Ok(wanted)
}

/// Makes all runs that are wanted and not recorded yet.
fn measure(
    wanted: &Wanted,
    networks: &[Network],
    clients: &[Client],
    mut records: Records,
) -> Result<(), String> {
    let mut runs = Vec::new();
    // The last first: they are taken from the end.
    for round in (1..=wanted.rounds).rev() {
        for network in networks.iter().rev() {
            for client in clients.iter().rev() {
                if wanted.again {
                    records.forget(network.name, &client.name, round);
                }
                if wanted.quick || !records.has(network.name, &client.name, round) {
                    runs.push((network, client, round));
                }
            }
        }
    }
    let count = runs.len();
    let (runs, records, failed) = (Mutex::new(runs), Mutex::new(records), Mutex::new(Vec::new()));
    let work = || {
        while let Some((network, client, round)) = { lock(&runs).pop() } {
            match run(network, client, round, wanted.quick) {
                Ok(record) => {
                    eprintln!("{record}");
                    let recorded = if wanted.quick { Ok(()) } else { lock(&records).add(record) };
                    lock(&failed).extend(recorded.err());
                }
                Err(why) => lock(&failed).push(format!("{} on {:?}: {why}", client.name, network.name)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..wanted.jobs.max(1) {
            scope.spawn(work);
        }
    });
    eprintln!("{count} runs");
    match failed.into_inner().unwrap_or_default().as_slice() {
        [] => Ok(()),
        failed => Err(failed.join("\n")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One client's visits on one network, in a namespace of their own.
fn run(network: &Network, client: &Client, round: usize, quick: bool) -> Result<Record, String> {
    let slot = Arc::new(Mutex::new(None));
    let (network, client, result) = (network.clone(), client.clone(), Arc::clone(&slot));
    let at_most = if quick { QUICK_VISITS } else { usize::MAX };
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/visits");
    std::fs::create_dir_all(&log).map_err(|error| error.to_string())?;
    let log = log.join(format!("{}-{}-{round}.log", file_name(&client.name), file_name(network.name)));
    let (name, who, about) = (network.name, client.name.clone(), client.about.clone());
    let ran = std::panic::catch_unwind(move || {
        in_namespace_within(RUN_LIMIT, move |lab| {
            let course = go(lab, &network, round as u64, at_most, || Process::start(&client.command, &log));
            *lock(&result) = Some(course);
        });
    });
    ran.map_err(|_| "the run panicked".to_owned())?;
    let course: Option<std::io::Result<Course>> = lock(&slot).take();
    let course = course.ok_or("no namespace: run it as root")?.map_err(|error| error.to_string())?;
    Ok(Record::new(name, &who, &about, round, &course))
}

fn file_name(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}
