//! Draws the pictures whose data are in the repository: `docs/regret.svg` from `benches/peers/visits.jsonl`,
//! `docs/benchmarks.svg` from the table in `docs/benchmarks.md`, and `docs/courtesy.svg` from two tables in
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

/// The source of each picture, its file, and the function that draws it.
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
