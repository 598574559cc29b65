//! The figures that were accepted, and whether those of today keep to them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::figures::Figures;
use crate::tools::run;

/// How many percent of a figure it may grow before somebody has to say that it is worth it.
const TOLERANCE: u64 = 5;

fn file(root: &Path) -> PathBuf {
    root.join("benches/footprint/budget.txt")
}

/// Another compiler writes other code: its figures say nothing about ours.
fn compiler() -> Result<String, String> {
    run(Command::new("rustc").arg("--version"), "install Rust").map(|version| format!("# {}", version.trim()))
}

/// Makes the figures of today the ones to keep to.
pub fn accept(root: &Path, figures: &Figures) -> Result<(), String> {
    let head = "# What connie may cost: 5 % more fails `cargo run --release -p connie-footprint -- --check`.\n\
        # To accept what it costs today: cargo run --release -p connie-footprint -- --accept\n";
    let lines = figures.all().map(|figure| format!("{} {}\n", figure.key, figure.value));
    let head = format!("{head}{}\n", compiler()?);
    let text = std::iter::once(head).chain(lines).collect::<String>();
    let path = file(root);
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Fails where a figure has grown too much, or where there is none to compare with.
pub fn check(root: &Path, figures: &Figures) -> Result<(), String> {
    let path = file(root);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let compiler = compiler()?;
    if !text.lines().any(|line| line == compiler) {
        println!(
            "NOT CHECKED: the figures were accepted with another compiler than {}",
            compiler.trim_start_matches("# ")
        );
        return Ok(());
    }
    let today: Vec<_> = figures.all().map(|figure| (figure.key, figure.value)).collect();
    let (lines, kept) = compare(&text, &today);
    lines.iter().for_each(|line| println!("{line}"));
    if kept {
        return Ok(());
    }
    Err("what connie costs has grown; if that is worth it: cargo run --release -p connie-footprint -- --accept".to_owned())
}

/// A line for each figure, and whether all keep to what was accepted.
fn compare(accepted: &str, today: &[(&str, u64)]) -> (Vec<String>, bool) {
    let accepted: Vec<(&str, u64)> = accepted
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key, value.trim().parse().ok()?)))
        .collect();
    let mut kept = true;
    let lines = today.iter().map(|(key, value)| {
        let Some((_, known)) = accepted.iter().find(|(name, _)| name == key) else {
            kept = false;
            return format!("{key}: {value}, and no figure to compare with");
        };
        let grown = value * 100 > known * (100 + TOLERANCE);
        kept &= !grown;
        let change = (*value as f64 / *known as f64 - 1.0) * 100.0;
        format!("{key}: {value}, accepted {known} ({change:+.1} %){}", if grown { ": too much" } else { "" })
    });
    (lines.collect(), kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(accepted: &str, today: u64) -> bool {
        compare(accepted, &[("text", today)]).1
    }

    #[test]
    fn five_percent_more_is_kept_and_one_byte_more_is_not() {
        assert!(kept("# head\ntext 1000\n", 1_050));
        assert!(!kept("# head\ntext 1000\n", 1_051));
        assert!(kept("text 1000\n", 1));
    }

    #[test]
    fn a_figure_without_a_budget_fails() {
        assert!(!kept("other 1000\n", 1));
        assert!(!kept("", 1));
        assert!(!kept("text many\n", 1));
    }
}
