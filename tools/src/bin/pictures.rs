//! Draws the pictures whose figures are in the tree: `docs/regret.svg` of `benches/peers/visits.jsonl`,
//! `docs/benchmarks.svg` of the table in `docs/benchmarks.md`, `docs/courtesy.svg` of two in
//! `docs/courtesy.md`.
//!
//! ```text
//! cargo run -p connie-tools --bin pictures
//! ```

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use connie_tools::{benchmarks, courtesy, regret};

type Draw = fn(&str) -> Result<String, String>;

/// From where to where, by what.
const PICTURES: [(&str, &str, Draw); 3] = [
    ("benches/peers/visits.jsonl", "docs/regret.svg", regret::picture),
    ("docs/benchmarks.md", "docs/benchmarks.svg", benchmarks::picture),
    ("docs/courtesy.md", "docs/courtesy.svg", courtesy::picture),
];

fn main() -> ExitCode {
    for (from, to, draw) in PICTURES {
        if let Err(error) = write(from, to, draw) {
            eprintln!("pictures: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(from: &str, to: &str, draw: Draw) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join(from)).map_err(|error| format!("{from}: {error}"))?;
    let picture = draw(&text).map_err(|error| format!("{from}: {error}"))?;
    fs::write(root.join(to), picture).map_err(|error| format!("{to}: {error}"))
}
