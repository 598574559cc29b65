//! The page that the records become: `docs/visits.md`.

use std::fmt::Write as _;
use std::path::Path;

use connie_tests::visits::{Network, networks};

use super::clients::{OTHERS, OURS};
use super::record::{Figures, Record, Records};

/// The client that the first visits of those with a memory are held against: they are to be as fast.
const WITHOUT: &str = "connie, all at once";
/// How much later a first visit may be.
const FIRST_LATE: f64 = 3.0;

/// When the recorded visits were measured. Change it whenever they are measured again.
const RECORDED: &str =
    "Measured on 2026-11-30, at revision 079e7a9, on 2 cores that were also busy with other work.";

const HEAD: &str = "# Visits

Written by `cargo run --release --manifest-path benches/peers/Cargo.toml -- visits` from what is recorded in `benches/peers/visits.jsonl`. Do not edit.

Each client fetches the page of one host forty times (200 times where packets are lost), in one process and each time over a connection of its own,
on a network that may change under it. It is in a namespace of its own, with a name server that answers at once and a router in user space that delays
and drops. What a client learns by one visit it may use for the next. The oracle knows which address is the fastest that is alive, and dials that.

A visit is counted from its first query or SYN to the end of the handshake that its request came on. Time is milliseconds over the oracle's, less jitter and
loss: a client that dials many can be before it. SYNs are those on the wire, also those that a kernel sends again. A handshake is wasted where a
server has answered it, and no request came on it; a connection that the client keeps for later is closed when the visit is over. All clients have the same losses and jitter in the same run.

";

/// Writes the page, and says what was missed.
pub fn write(records: &Records) -> Result<(), String> {
    let (page, missed) = page(records);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/visits.md");
    std::fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    print!("{page}");
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n")) }
}

/// The page, and the targets that were missed.
fn page(records: &Records) -> (String, Vec<String>) {
    let networks = networks();
    let clients = in_order(records);
    let mut page = HEAD.to_owned();
    let _ = writeln!(
        page,
        "Each figure is the median of {}. {RECORDED}\n",
        how_many(records, &clients, &networks)
    );
    page.push_str("## Every visit but the first\n\nMilliseconds over the oracle / SYNs / wasted handshakes, a visit.\n\n");
    table(&mut page, &clients, &networks, |client, network| {
        let runs = records.runs(network.name, client);
        let gave_up = runs.iter().filter(|run| run.gave_up.is_some()).count();
        match median(&runs, |run| run.later) {
            // A client that gives up in most runs has no figures there.
            Some(_) if 2 * gave_up > runs.len() => "given up".to_owned(),
            Some(Figures { over, syns, wasted }) => {
                format!("{over:.1} / {} / {}", short(syns), short(wasted))
            }
            None if gave_up > 0 => "given up".to_owned(),
            None => String::new(),
        }
    });
    page.push_str(
        "\n\"Given up\": a visit took more than 10 s, or failed. An empty place: not measured.\n\n\
        ## The first visit\n\nMilliseconds over the oracle / SYNs.\n\n",
    );
    table(&mut page, &clients, &networks, |client, network| {
        let first = median(&records.runs(network.name, client), |run| run.first);
        first.map_or_else(String::new, |it| format!("{:.1} / {}", it.over, short(it.syns)))
    });
    page.push_str("\n## What was wanted\n\n");
    let missed = targets(&mut page, records, &networks);
    page.push_str("\n## The clients\n\n");
    for (client, about) in &clients {
        let _ = writeln!(page, "- {client}: {about}");
    }
    for name in OTHERS.iter().filter(|name| clients.iter().all(|(client, _)| client != *name)) {
        let _ = writeln!(page, "- {name}: not to be had where this was measured");
    }
    (page, missed)
}

/// The runs of each client on each network that it was run on.
fn how_many(records: &Records, clients: &[(&str, &str)], networks: &[Network]) -> String {
    let pairs =
        clients.iter().flat_map(|(client, _)| networks.iter().map(move |network| (network.name, *client)));
    let counts =
        pairs.map(|(network, client)| records.runs(network, client).len()).filter(|count| *count > 0);
    match (counts.clone().min(), counts.max()) {
        (Some(1), Some(1)) => "one run".to_owned(),
        (Some(least), Some(most)) if least == most => format!("{most} runs"),
        (Some(least), Some(most)) => format!("{least} to {most} runs"),
        _ => "no run".to_owned(),
    }
}

/// The clients with records, connie's first.
fn in_order(records: &Records) -> Vec<(&str, &str)> {
    let names: Vec<&str> = OURS.iter().map(|(name, ..)| *name).chain(OTHERS).collect();
    let mut clients = records.clients();
    clients.sort_by_key(|(client, _)| names.iter().position(|name| name == client).unwrap_or(names.len()));
    clients
}

fn table(
    page: &mut String,
    clients: &[(&str, &str)],
    networks: &[Network],
    cell: impl Fn(&str, &Network) -> String,
) {
    page.push_str("| client |");
    for network in networks {
        let _ = write!(page, " {} |", network.name);
    }
    page.push_str("\n|---|");
    page.push_str(&"--:|".repeat(networks.len()));
    for (client, _) in clients {
        let _ = write!(page, "\n| {client} |");
        for network in networks {
            let _ = write!(page, " {} |", cell(client, network));
        }
    }
    page.push('\n');
}

/// Writes for each network whether each client with a memory meets the targets, and returns those that are
/// missed.
fn targets(page: &mut String, records: &Records, networks: &[Network]) -> Vec<String> {
    let held: Vec<&str> = OURS.iter().filter(|(.., held)| *held).map(|(name, ..)| *name).collect();
    let _ = writeln!(page, "| network | wanted, at most | {} |", held.join(" | "));
    let _ = writeln!(page, "|---|--:|{}", "---|".repeat(held.len()));
    let mut missed = Vec::new();
    for network in networks {
        let wanted = network.wanted;
        let wanted = Figures { over: wanted.over, syns: wanted.syns, wasted: wanted.wasted };
        let Figures { over, syns, wasted } = wanted;
        let _ = write!(page, "| {} | {over} / {} / {} |", network.name, short(syns), short(wasted));
        for client in &held {
            let verdict = verdict(records, network, client, wanted);
            if let Some(Err(why)) = &verdict {
                missed.push(format!("missed: {} on {:?}: {why}", client, network.name));
            }
            let said = match verdict {
                None => String::new(),
                Some(Ok(())) => "met".to_owned(),
                Some(Err(why)) => format!("**missed**: {why}"),
            };
            let _ = write!(page, " {said} |");
        }
        page.push('\n');
    }
    let _ = writeln!(
        page,
        "\nThe first visit is to be no more than {FIRST_LATE} ms later than that of \"{WITHOUT}\"."
    );
    missed
}

/// `None` where nothing was measured.
fn verdict(
    records: &Records,
    network: &Network,
    client: &str,
    wanted: Figures,
) -> Option<Result<(), String>> {
    let runs = records.runs(network.name, client);
    if runs.is_empty() {
        return None;
    }
    let Some(later) = median(&runs, |run| run.later) else { return Some(Err("given up".to_owned())) };
    let mut why = Vec::new();
    if later.over > wanted.over {
        why.push(format!("{:.2} ms", later.over));
    }
    if later.syns > wanted.syns {
        why.push(format!("{:.3} SYNs", later.syns));
    }
    if later.wasted > wanted.wasted {
        why.push(format!("{:.3} wasted", later.wasted));
    }
    let without = median(&records.runs(network.name, WITHOUT), |run| run.first);
    if let (Some(first), Some(without)) = (median(&runs, |run| run.first), without) {
        if first.over > without.over + FIRST_LATE {
            why.push(format!("first visit {:.1} ms, {:.1} without", first.over, without.over));
        }
    }
    Some(if why.is_empty() { Ok(()) } else { Err(why.join(", ")) })
}

/// The median of each figure over the runs that have it.
fn median(runs: &[&Record], of: impl Fn(&Record) -> Option<Figures>) -> Option<Figures> {
    let figures: Vec<Figures> = runs.iter().filter_map(|run| of(run)).collect();
    let middle = |of: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = figures.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    Some(Figures {
        over: middle(|it| it.over)?,
        syns: middle(|it| it.syns)?,
        wasted: middle(|it| it.wasted)?,
    })
}

/// With at most two digits behind the point, and none for nothing.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(client: &str, network: &Network, round: usize, over: f64) -> Record {
        let figures = Figures { over, syns: 1.0, wasted: 0.0 };
        Record {
            network: network.name.to_owned(),
            client: client.to_owned(),
            about: "a client".to_owned(),
            round,
            visits: 40,
            first: Some(figures),
            later: Some(figures),
            gave_up: None,
        }
    }

    #[test]
    fn the_median_of_five_is_what_the_page_shows_and_what_is_held_against_the_target() {
        let network = &networks()[0];
        let wanted = network.wanted.over;
        let five = |overs: [f64; 5]| {
            let runs = overs.iter().zip(1..).map(|(over, round)| record(OURS[0].0, network, round, *over));
            page(&Records::of(runs.collect()))
        };
        let (met, none) = five([wanted + 90.0, 0.0, wanted, wanted + 90.0, 0.0]);
        assert_eq!(none, [] as [&str; 0]);
        assert!(met.contains(&format!("| {wanted:.1} / 1 / 0 |")), "{met}");
        assert!(met.contains("| met |") && met.contains("the median of 5 runs"), "{met}");
        let (text, missed) = five([wanted + 0.1, 0.0, wanted + 0.1, wanted + 90.0, 0.0]);
        assert!(text.contains(&format!("**missed**: {:.2} ms", wanted + 0.1)), "{text}");
        assert_eq!(missed.len(), 1, "{missed:?}");
    }

    #[test]
    fn a_first_visit_that_is_late_is_missed() {
        let network = &networks()[0];
        let with = record(OURS[0].0, network, 1, 0.5);
        let first = |over| Some(Figures { over, syns: 12.0, wasted: 0.0 });
        let without = Record { first: first(1.0), ..record(WITHOUT, network, 1, 0.5) };
        let missed = |late| {
            let with = Record { first: first(1.0 + late), ..with.clone() };
            page(&Records::of(vec![with, without.clone()])).1.len()
        };
        assert_eq!([missed(FIRST_LATE), missed(FIRST_LATE + 0.1)], [0, 1]);
    }

    #[test]
    fn the_page_in_the_tree_is_what_is_recorded() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/visits.md");
        let written = std::fs::read_to_string(path).expect("the page");
        assert_eq!(page(&Records::load().expect("records")).0, written);
    }

    #[test]
    fn who_gave_up_and_who_is_not_there_is_said() {
        let network = &networks()[0];
        let gave_up =
            Record { later: None, gave_up: Some("visit 1: late".into()), ..record("Go", network, 1, 0.0) };
        let (text, missed) = page(&Records::of(vec![gave_up]));
        assert!(text.contains("| Go | given up |"), "{text}");
        assert!(text.contains("- Java: not to be had"), "{text}");
        assert_eq!(missed, [] as [&str; 0]);
    }
}
