//! What the picture shows: for some networks a row for each program, with its time alone and its time
//! through the proxy.

use connie_tools::pairs::{Group, Pair, Pairs};

use super::networks;
use super::page::{DEAD, median};
use super::record::Records;

/// The networks that are drawn; all would be too much for one picture.
const DRAWN: [&str; 3] = [DEAD, "IPv6 dead", "AAAA answer 2 s late"];

const TITLE: &str = "How long until the server has the request";
const NOTES: [&str; 3] = [
    "From the first query, or from the SYN to the proxy; a first",
    "visit, the median of all runs; logarithmic. Bar: the best",
    "with one SYN to each address.",
];

pub fn draw(records: &Records) -> String {
    let programs = &records.circumstances.clients;
    let pair = |network: &str, name: &'_ str| {
        let time = |is_proxied| median(&records.seen(network, name, is_proxied, 0));
        (time(false), time(true))
    };
    let groups = networks().filter(|network| DRAWN.contains(&network.name)).map(|network| Group {
        name: network.name,
        bar: network.oracle.map(|time| time.as_secs_f64() * 1e3),
        pairs: programs
            .iter()
            .map(|[name, ..]| {
                let (before, after) = pair(network.name, name);
                Pair { name, before, after }
            })
            .collect(),
    });
    let description = "The numbers are in proxy-measured.md.";
    let (before, after) = ("without the proxy", "through connie proxy");
    Pairs { title: TITLE, notes: NOTES.to_vec(), description, before, after, groups: groups.collect() }.draw()
}
