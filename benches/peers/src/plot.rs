//! What the picture shows: a row for each network, a mark for each client.

use connie_tools::strips::{self, Row, Strips};

use crate::clients::{Client, Kind};
use crate::scenarios::Scenario;
use crate::trial::Trial;

const TITLE: &str = "From the first query to the request at the server";
/// Below the title. Where a first SYN is lost, a second one gets through before the bar.
const ABOUT: &str = "bar: the best with one SYN to each address, which a client that sends a second one can beat; logarithmic";

pub fn draw(scenarios: &[Scenario], clients: &[Client], results: &[Vec<Trial>]) -> String {
    let shown: Vec<usize> = (0..clients.len()).filter(|index| is_shown(&clients[*index])).collect();
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let rows = scenarios.iter().zip(results).map(|(scenario, trials)| Row {
        name: scenario.name,
        bar: scenario.oracle.map(millis),
        marks: shown.iter().map(|&index| trials[index].time.map(millis)).collect(),
    });
    let clients = shown.iter().map(|&index| strips::Client {
        name: clients[index].name.split(", 16").next().unwrap_or_default(),
        is_ours: !clients[index].kind.is_peer(),
    });
    let description = "The numbers are in benchmarks.md.";
    Strips { title: TITLE, about: ABOUT, description, clients: clients.collect(), rows: rows.collect() }
        .draw()
}

/// One connie is enough in a picture.
fn is_shown(client: &Client) -> bool {
    client.kind.is_peer() || client.kind == Kind::AllAtOnce(16)
}
