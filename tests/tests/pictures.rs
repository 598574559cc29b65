//! What the pictures of the documentation say about themselves, beside what they show.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The numbers behind `start` in a line, to the next letter.
fn numbers(line: &str, start: &str) -> Option<(f64, f64)> {
    let (x, rest) = line.split_once(start)?.1.split_once(' ')?;
    let y: String = rest.chars().take_while(|one| one.is_ascii_digit() || *one == '.').collect();
    Some((x.parse().ok()?, y.parse().ok()?))
}

/// Where a mark is left of its row's bar, the bar is nothing that nobody can beat.
#[test]
fn a_bar_that_a_client_has_beaten_is_not_called_the_best_there_is() {
    let picture = read("docs/benchmarks.svg");
    let lines = || picture.lines();
    let bars: Vec<(f64, f64)> =
        lines().filter_map(|line| numbers(line, r#"<path class="oracle" d="M"#)).collect();
    assert_eq!(bars.len(), 16, "a row for each network");
    let connie = lines().filter_map(|line| numbers(line, r#"<path class="connie" d="M"#));
    let peer = |line: &str| {
        let x = line.split_once(r#"cx=""#)?.1.split_once('"')?.0.parse().ok()?;
        let y = line.split_once(r#"cy=""#)?.1.split_once('"')?.0.parse().ok()?;
        Some((x, y))
    };
    let peers = lines().filter(|line| line.contains(r#"class="peer "#)).filter_map(peer);
    let marks: Vec<(f64, f64)> = connie.chain(peers).collect();
    // A bar begins above all marks of its row, which has 30 pixels. Two pixels are the width of a bar.
    let beaten = bars
        .iter()
        .filter(|(x, top)| marks.iter().any(|(at, y)| *y >= *top && *y < top + 28.0 && *at < x - 2.0));
    assert_eq!(beaten.count(), 1, "the network in which first SYNs are lost");
    let about = lines().find(|line| line.contains("bar: ")).expect("what the bar is");
    assert!(about.contains("can beat") && !picture.contains("nobody can beat"), "{about}");
}

/// A picture that takes many clients to measure is not drawn anew for a word: the program that draws it has
/// the same words.
#[test]
fn the_program_that_draws_the_benchmarks_has_their_words() {
    let (picture, program) = (read("docs/benchmarks.svg"), read("benches/peers/src/plot.rs"));
    for class in ["title", "soft"] {
        let start = format!(r#"<text class="{class}" x="24.0""#);
        let line = picture.lines().find(|line| line.starts_with(&start)).expect("a line of text");
        let text = line.split_once('>').and_then(|(_, rest)| rest.split_once('<')).expect("its text").0;
        assert!(program.contains(text), "{text}");
    }
}
