//! Programs that people use, through `connie proxy` and without it, over the networks of the comparison.
//!
//! What was measured is recorded in `proxy.jsonl`; `docs/proxy-measured.md` and `docs/proxy.svg` are written
//! from that.

mod clients;
mod page;
mod picture;
mod record;
mod trial;
mod watch;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::scenarios::{self, Scenario};
use clients::Client;
use record::{Circumstances, Record, Records};

/// Of all networks, these.
const NETWORKS: [&str; 7] = [
    "one address, alive",
    "12 alive, 20 to 200 ms",
    "11 of 12 dead",
    "IPv6 dead",
    "7 dead, 4 refuse, 1 good",
    "AAAA answer 2 s late",
    "AAAA never answered",
];
/// So many programs wait at a time for what takes seconds.
const JOBS: usize = 6;
/// What takes so many milliseconds is measured once, beside others: no noise matters there.
const SLOW: f64 = 1_500.0;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Wanted<'a> {
    network: &'a str,
    client: &'a str,
    rounds: usize,
    /// The program `connie`, where it is not the release build.
    connie: Option<&'a str>,
    /// Whether the page is written from what is recorded.
    page: bool,
}

/// Runs `proxy ARGUMENTS`.
pub fn compare(arguments: &[&str]) -> Result<(), String> {
    let wanted = read(arguments)?;
    if wanted.page {
        return page::write(&Records::load()?);
    }
    let networks: Vec<Scenario> = networks().filter(|it| it.name.contains(wanted.network)).collect();
    let clients: Vec<Client> =
        clients::installed().into_iter().filter(|it| it.name.contains(wanted.client)).collect();
    if networks.is_empty() || clients.is_empty() {
        return Err("proxy: no network, or no program, of such a name".to_owned());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let connie = wanted.connie.map_or_else(|| crate::clients::connie(&root), |path| Ok(path.into()))?;
    let build =
        if wanted.connie.is_some() { "another build than the release's" } else { "the release build" };
    let runs = measure(&connie, &networks, &clients, wanted.rounds)?;
    let records = Records { circumstances: Circumstances::here(&clients, build), runs };
    // A part of it is for the eyes.
    if !wanted.network.is_empty() || !wanted.client.is_empty() {
        return Ok(());
    }
    records.write()?;
    // As they are written, with fewer digits.
    page::write(&Records::load()?)
}

/// In the order of the page.
fn networks() -> impl Iterator<Item = Scenario> {
    let all = scenarios::all();
    NETWORKS.into_iter().filter_map(move |name| all.iter().find(|it| it.name == name).cloned())
}

fn read<'a>(arguments: &[&'a str]) -> Result<Wanted<'a>, String> {
    let mut wanted = Wanted { network: "", client: "", rounds: 3, connie: None, page: false };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match *word {
            "--network" => wanted.network = value()?,
            "--client" => wanted.client = value()?,
            "--rounds" => {
                let text = value()?;
                let rounds = text.parse().ok().filter(|rounds| *rounds > 0);
                wanted.rounds = rounds.ok_or_else(|| format!("{word} needs a number, not {text:?}"))?;
            }
            "--connie" => wanted.connie = Some(value()?),
            "--page" => wanted.page = true,
            _ => return Err(format!("proxy: no option {word:?}")),
        }
    }
    Ok(wanted)
}

/// Programs without the proxy first, many at a time, to find those that take seconds. All else is measured
/// alone.
fn measure(
    connie: &Path,
    networks: &[Scenario],
    clients: &[Client],
    rounds: usize,
) -> Result<Vec<Record>, String> {
    let pairs: Vec<(&Scenario, &Client)> =
        networks.iter().flat_map(|network| clients.iter().map(move |client| (network, client))).collect();
    let mut runs = Vec::new();
    for (slow, (network, client)) in survey(connie, &pairs)?.into_iter().zip(&pairs) {
        match slow {
            Some(record) => runs.push(record),
            None => {
                for round in 1..=rounds {
                    runs.push(run(connie, network, client, false, round)?);
                }
            }
        }
        for round in 1..=rounds {
            runs.push(run(connie, network, client, true, round)?);
        }
    }
    Ok(runs)
}

/// For each pair the run without the proxy, where that takes seconds.
fn survey(connie: &Path, pairs: &[(&Scenario, &Client)]) -> Result<Vec<Option<Record>>, String> {
    let left = Mutex::new((0..pairs.len()).rev().collect::<Vec<_>>());
    let found = Mutex::new(Vec::new());
    let work = || {
        while let Some(index) = { left.lock().unwrap_or_else(PoisonError::into_inner).pop() } {
            let (network, client) = pairs[index];
            let record = run(connie, network, client, false, 1);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((index, record));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    let is_slow = |record: &Record| record.visits.iter().any(|seen| seen.time.is_none_or(|time| time > SLOW));
    found.into_iter().map(|(_, record)| Ok(Some(record?).filter(is_slow))).collect()
}

fn run(
    connie: &Path,
    network: &Scenario,
    client: &Client,
    is_proxied: bool,
    round: usize,
) -> Result<Record, String> {
    let visits = trial::run(connie, network, client, is_proxied)
        .map_err(|error| format!("{} on {:?}: {error}", client.name, network.name))?;
    let record = Record {
        network: network.name.to_owned(),
        client: client.name.to_owned(),
        is_proxied,
        round,
        visits,
    };
    let way = if is_proxied { "proxy" } else { "alone" };
    eprint!("{:<26} {:<16} {way} {round}:", record.network, record.client);
    for seen in &record.visits {
        let time = seen.time.map_or("-".to_owned(), |time| format!("{time:.1} ms"));
        let race = seen.race.map_or("-".to_owned(), |race| format!("{race:.1} ms"));
        eprint!("  {time}, race {race}, {} SYNs for {}", seen.syns, seen.asked);
    }
    eprintln!();
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_networks_are_there() {
        assert_eq!(networks().map(|network| network.name).collect::<Vec<_>>(), NETWORKS);
    }

    #[test]
    fn options_are_read() {
        let wanted = Wanted { network: "a", client: "", rounds: 5, connie: Some("b"), page: true };
        let words = ["--network", "a", "--rounds", "5", "--connie", "b", "--page"];
        assert_eq!(read(&words), Ok(wanted));
        assert!(
            read(&["--rounds", "0"]).is_err() && read(&["--net"]).is_err() && read(&["--client"]).is_err()
        );
    }
}
