//! Draws the picture of the README: the time that visits take beyond the fastest possible, against the SYNs
//! that they send. The data are the records of real clients by `benches/peers`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::scatter::{self, Height, Point, Scatter};

/// The clients that are shown: the recorded name, the name in the picture, and the class of the point.
const SHOWN: [(&str, &str, &str); 14] = [
    ("connie with a memory", "connie", "ours"),
    ("connie with a memory, staggered", "connie with Staggered pacing", "ours"),
    ("connie, all at once", "all at once (connie, no memory)", "ours"),
    ("connie, staggered", "Happy Eyeballs", "rival"),
    ("reqwest with OrderedResolver", "reqwest, connie's resolver", "ours"),
    ("curl, newest", "curl", "rival"),
    ("Node", "Node", "rival"),
    ("aiohttp", "aiohttp", "rival"),
    ("Chromium", "Chromium", "rival"),
    ("Go", "Go", "rival"),
    ("Java", "Java", "rival"),
    ("reqwest", "reqwest", "rival"),
    ("http.client", "http.client", "rival"),
    ("ureq", "ureq", "rival"),
];

/// The results of a client's visits to all networks, without the first visits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum {
    /// Milliseconds beyond the best address's: the mean of the networks on which it did not give up.
    pub mean: f64,
    /// The same in the median network.
    pub median: f64,
    /// SYNs per connect: the mean.
    pub syns: f64,
    /// On how many networks it gave up.
    pub lost: usize,
}

/// The picture of these records, which are lines of JSON.
///
/// # Errors
///
/// What is wrong with the records, in a line.
pub fn picture(records: &str) -> Result<String, String> {
    let records = parse(records)?;
    let networks = networks(&records);
    let sums = SHOWN.map(|(client, ..)| sum(&records, client, &networks));
    let sums: Vec<Sum> = sums.into_iter().collect::<Result<_, _>>()?;
    let mut rows: Vec<usize> = sums.iter().map(|sum| sum.lost).filter(|lost| *lost > 0).collect();
    rows.sort_unstable_by(|one, other| other.cmp(one));
    rows.dedup();
    let mut points = vec![Point { name: String::new(), class: "best", x: 1.0, y: Height::At(0.0) }];
    for ((_, name, class), sum) in SHOWN.iter().zip(&sums) {
        let row = rows.iter().position(|lost| *lost == sum.lost);
        let y = row.map_or(Height::At(sum.mean.max(0.0)), Height::Row);
        points.push(Point { name: (*name).to_owned(), class, x: sum.syns, y });
    }
    let of = networks.len();
    let chart = Scatter {
        title: "Time lost, and SYNs sent, per connect",
        notes: vec![
            format!("Mean of {of} networks, all visits but the first. The"),
            "ring: the fastest live address, dialled alone.".into(),
        ],
        x_name: "SYNs per connect",
        x_ticks: vec![1.0, 1.5, 2.0, 3.0, 5.0, 8.0],
        most: 9.0,
        y_ticks: vec![0.0, 50.0, 100.0, 150.0],
        unit: "ms",
        rows: rows.iter().map(|lost| format!("{lost} of {of}")).collect(),
        rows_name: "gave up (10 s) on so many networks:",
        points,
    };
    let description = "The numbers are in visits.md.";
    Ok(scatter::page(chart.title, description, &[chart]))
}

/// The figures of one client, by the name with which it is recorded.
///
/// # Errors
///
/// What is wrong with the records, in a line.
pub fn figures(records: &str, client: &str) -> Result<Sum, String> {
    let records = parse(records)?;
    sum(&records, client, &networks(&records))
}

fn parse(records: &str) -> Result<Vec<Value>, String> {
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| format!("{line:.40}: {error}"));
    records.lines().map(parse).collect()
}

fn networks(records: &[Value]) -> BTreeSet<&str> {
    records.iter().filter_map(|it| it["network"].as_str()).collect()
}

/// The results of one client, from the median of its runs on each network.
fn sum(records: &[Value], client: &str, networks: &BTreeSet<&str>) -> Result<Sum, String> {
    let (mut overs, mut syns) = (Vec::new(), Vec::new());
    for network in networks {
        let is_it = |it: &&Value| it["client"] == client && it["network"] == *network;
        let runs: Vec<&Value> = records.iter().filter(is_it).collect();
        if runs.is_empty() {
            return Err(format!("no run of {client:?} on {network:?} is recorded"));
        }
        let later = |figure: usize| runs.iter().filter_map(|run| run["later"][figure].as_f64()).collect();
        let gave_up = runs.iter().filter(|run| !run["gave_up"].is_null()).count();
        if let (Some(over), Some(sent), false) =
            (middle(later(0)), middle(later(1)), 2 * gave_up > runs.len())
        {
            overs.push(over);
            syns.push(sent);
        }
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    Ok(Sum {
        mean: mean(&overs),
        syns: mean(&syns),
        lost: networks.len() - overs.len(),
        median: between(overs),
    })
}

/// The median; of an even number of values, the mean of the two in the middle.
fn between(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or_default();
    f64::midpoint(at(all.len().saturating_sub(1) / 2), at(all.len() / 2))
}

/// The same, but of an even number of values the greater of the two, as in `docs/visits.md`.
fn middle(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(client: &str, network: &str, later: &str) -> String {
        let gave_up = if later == "null" { "\"late\"" } else { "null" };
        format!(r#"{{"client":"{client}","network":"{network}","later":{later},"gave_up":{gave_up}}}"#)
    }

    fn records(networks: &[(&str, [&str; 3])]) -> Vec<Value> {
        let lines = networks.iter().flat_map(|(name, runs)| runs.map(|later| record("curl", name, later)));
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    #[test]
    fn a_client_has_the_mean_of_the_medians_and_a_network_on_which_it_gave_up_is_counted() {
        let networks = BTreeSet::from(["a", "b", "c"]);
        let one = ["[9.0,2.0,0]", "[1.0,1.0,0]", "[2.0,1.0,0]"];
        let two = ["[4.0,4.0,0]", "[4.0,4.0,0]", "null"];
        let records = records(&[("a", one), ("b", two), ("c", ["null", "null", "[1.0,1.0,0]"])]);
        let sum = sum(&records, "curl", &networks).unwrap();
        assert_eq!(sum, Sum { mean: 3.0, median: 3.0, syns: 2.5, lost: 1 });
    }

    #[test]
    fn a_client_that_was_not_measured_is_an_error() {
        let why = picture(&record("curl", "a", "[1,1,0]")).unwrap_err();
        assert!(why.starts_with("no run of \"connie with a memory\" on \"a\""), "{why}");
        assert!(picture("{").unwrap_err().starts_with("{: "), "the line is named");
    }
}
