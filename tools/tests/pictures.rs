//! The pictures of the documentation, and their captions, agree with the data that they are drawn from.

use std::fs;
use std::path::Path;

use connie_tools::{benchmarks, courtesy, regret};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_pictures_are_what_their_figures_draw() {
    let again = "cargo run -p connie-tools --bin pictures";
    let drawn = regret::picture(&read("benches/peers/visits.jsonl")).expect("records");
    assert!(drawn == read("docs/regret.svg"), "docs/regret.svg: {again}");
    let drawn = benchmarks::picture(&read("docs/benchmarks.md")).expect("a table");
    assert!(drawn == read("docs/benchmarks.svg"), "docs/benchmarks.svg: {again}");
    let drawn = courtesy::picture(&read("docs/courtesy.md")).expect("two tables");
    assert!(drawn == read("docs/courtesy.svg"), "docs/courtesy.svg: {again}");
}

/// The oracle's bar is not called unbeatable where a client has beaten it.
#[test]
fn a_bar_that_a_client_has_beaten_is_not_called_the_best_there_is() {
    let page = read("docs/benchmarks.md");
    let (_, table) = page.split_once("## Time\n").expect("the table");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let times = |line: &str| -> Vec<f64> {
        line.split('|').skip(2).filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    let rows: Vec<Vec<f64>> = rows.map(times).collect();
    assert_eq!(rows.len(), 16, "a row for each network");
    let beaten = rows.iter().filter(|row| row[1..].iter().any(|time| time + 1.0 < row[0]));
    assert_eq!(beaten.count(), 1, "the network in which first SYNs are lost");
    let picture = read("docs/benchmarks.svg");
    assert!(picture.contains("can beat") && !picture.contains("nobody can beat"));
    assert!(page.contains("only a client\nthat sends more can be faster"), "the page says so, too");
}

/// The figures that the README gives for its picture are those that the picture shows.
#[test]
fn the_first_page_has_the_figures_of_its_picture() {
    let records = read("benches/peers/visits.jsonl");
    let readme = read("README.md").replace('\n', " ");
    assert!(readme.contains("](docs/regret.svg)"));
    let [connie, eyeballs] = ["connie with a memory", "connie, staggered"]
        .map(|client| regret::figures(&records, client).expect("figures"));
    let mean = format!("{:.1} ms and {:.2} SYNs", connie.mean, connie.syns);
    assert!(readme.contains(&mean), "{mean}");
    let median = format!(
        "the median network costs connie {:.1} ms and Happy Eyeballs {:.0} ms",
        connie.median, eyeballs.median
    );
    assert!(readme.contains(&median), "{median}");
    let others = ["connie, staggered", "Node", "aiohttp", "curl, newest"]
        .map(|client| (regret::figures(&records, client).expect("figures").mean / 10.0).round() * 10.0);
    let (least, most) = (others.into_iter().fold(f64::MAX, f64::min), others.into_iter().fold(0.0, f64::max));
    let lose = format!("lose {least:.0} to {most:.0} ms");
    assert!(readme.contains(&lose), "{lose}");
}
