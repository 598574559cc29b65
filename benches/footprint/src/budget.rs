//! The figures that were accepted, and whether those of today keep to them.

use std::path::{Path, PathBuf};
use std::process::Command;

use connie_servers::STRICT;

use crate::callgrind;
use crate::figure::{Figure, Unit};
use crate::figures::{Figures, ONLY_WRITTEN};
use crate::tools::run;

const HEAD: &str = "\
# What connie may cost. `cargo run --release -p connie-footprint -- --check` fails where a figure is\n\
# above its budget by more than 2 % (instructions) or 1 % (bytes).\n\
# `cargo run --release -p connie-footprint -- --accept` writes this file anew from the figures of today:\n\
# that is a commit of its own, and its message says why. The figures were made with:\n";

fn file(root: &Path) -> PathBuf {
    root.join("benches/footprint/budget.txt")
}

fn read(root: &Path) -> Result<String, String> {
    let path = file(root);
    std::fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// What the figures depend on beside connie, a line each: the compiler, the C library of which a program's
/// instructions are too, and what counts them.
fn tools() -> Result<Vec<String>, String> {
    let compiler = run(Command::new("rustc").arg("--version"), "install Rust")?;
    let library = run(Command::new("getconf").arg("GNU_LIBC_VERSION"), "").unwrap_or_default();
    let lines = [compiler, library, callgrind::version().unwrap_or_default()];
    Ok(lines.iter().map(|line| format!("# {}", line.trim())).filter(|line| line != "# ").collect())
}

/// Makes the figures of today the ones to keep to. One that cannot be counted here keeps its budget.
pub fn accept(root: &Path, figures: &Figures) -> Result<(), String> {
    let old = read(root).unwrap_or_default();
    let today: Vec<_> = figures.all().collect();
    let mut text = format!("{HEAD}{}\n", tools()?.join("\n"));
    for figure in &today {
        text.push_str(&format!("{} {} {}\n", figure.key, figure.value, figure.unit.name()));
    }
    if !figures.missing().is_empty() {
        for budget in budgets(&old)?.iter().filter(|budget| today.iter().all(|it| it.key != budget.key)) {
            println!("KEPT {}: {} {} is not counted here", budget.key, budget.value, budget.unit.name());
            text.push_str(&format!("{} {} {}\n", budget.key, budget.value, budget.unit.name()));
        }
        figures.missing().iter().for_each(|missing| println!("NOT COUNTED {missing}"));
    }
    let path = file(root);
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    println!("{}: to be committed by itself, with the reason", path.display());
    Ok(())
}

/// Fails where a figure has grown too much, or where there is none to compare with.
pub fn check(root: &Path, figures: &Figures) -> Result<(), String> {
    let text = read(root)?;
    let strict = std::env::var_os(STRICT).is_some_and(|value| value == "1");
    let today: Vec<_> = figures.all().collect();
    let report = compare(&budgets(&text)?, &today, figures.missing());
    report.lines.iter().for_each(|line| println!("{line}"));
    let others = others(&text, &tools()?);
    others.iter().for_each(|line| println!("{line}"));
    verdict(&report, !others.is_empty(), strict)
}

/// Another compiler writes other code, so that its figures do not blame connie; but where everything must
/// run, this has to be decided.
fn verdict(report: &Report, other_tools: bool, strict: bool) -> Result<(), String> {
    let accept = "cargo run --release -p connie-footprint -- --accept";
    if !report.broken.is_empty() && (strict || !other_tools) {
        let also = if other_tools { " (or it is the other tools, above)" } else { "" };
        return Err(format!(
            "over the budget: {}{also}; if that is worth it, in a commit of its own that says why: {accept}",
            report.broken.join(", ")
        ));
    }
    if !report.skipped.is_empty() && strict {
        return Err(format!("{STRICT}=1, and not counted: {}", report.skipped.join(", ")));
    }
    Ok(())
}

/// A line for each tool that is another one than the budget was made with.
fn others(budget: &str, tools: &[String]) -> Vec<String> {
    let made: Vec<&str> =
        budget.lines().filter(|line| line.starts_with('#') && !HEAD.contains(*line)).collect();
    let unknown = tools.iter().filter(|tool| !made.contains(&tool.as_str()));
    unknown
        .map(|tool| {
            let tool = tool.trim_start_matches("# ");
            let made = made.iter().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join(", ");
            format!("OTHER TOOLS: this is {tool}, and the budget was made with {made}: what differs can be its doing")
        })
        .collect()
}

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Budget {
    key: String,
    value: u64,
    unit: Unit,
}

fn budgets(text: &str) -> Result<Vec<Budget>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let budget = |line: &str| {
        let mut words = line.split(' ');
        let (key, value, unit) = (words.next()?, words.next()?.parse().ok()?, Unit::named(words.next()?)?);
        Some(Budget { key: key.to_owned(), value, unit })
    };
    lines
        .map(|line| budget(line).ok_or_else(|| format!("budget.txt: {line:?} is not `key value unit`")))
        .collect()
}

/// What came of it.
struct Report {
    lines: Vec<String>,
    /// The keys of figures that are above their budget, or have none.
    broken: Vec<String>,
    /// The keys of budgets for which nothing was counted here.
    skipped: Vec<String>,
}

/// Each figure of today beside its budget, and each budget that has no figure today.
fn compare(budgets: &[Budget], today: &[&Figure], missing: &[String]) -> Report {
    let mut report = Report { lines: Vec::new(), broken: Vec::new(), skipped: Vec::new() };
    for figure in today {
        let known = budgets.iter().find(|budget| budget.key == figure.key && budget.unit == figure.unit);
        let (line, broken) = beside(figure, known);
        report.lines.push(line);
        if broken {
            report.broken.push(figure.key.to_owned());
        }
    }
    for Budget { key, .. } in budgets.iter().filter(|budget| today.iter().all(|it| it.key != budget.key)) {
        if key == ONLY_WRITTEN {
            report.lines.push(format!("{key}: counted by --accept and where the page is written"));
        } else if missing.is_empty() {
            report
                .lines
                .push(format!("{key}: has a budget, and is not counted any more: TOO LITTLE IS COUNTED"));
            report.broken.push(key.clone());
        } else {
            report.lines.push(format!("SKIPPED {key}: not counted here"));
            report.skipped.push(key.clone());
        }
    }
    report.lines.extend(missing.iter().map(|needs| format!("SKIPPED {needs}")));
    report
}

/// A figure's line, and whether it breaks its budget.
fn beside(figure: &Figure, known: Option<&Budget>) -> (String, bool) {
    let Figure { key, value, unit, .. } = figure;
    let name = unit.name();
    let Some(Budget { value: known, .. }) = known else {
        return (format!("{key}: {value} {name}, and NO BUDGET to compare with"), true);
    };
    let percent = unit.tolerance();
    let change = (*value as f64 / *known as f64 - 1.0) * 100.0;
    let line = format!("{key}: {value} {name}, budget {known} ({change:+.2} %)");
    if value * 100 > known * (100 + percent) {
        return (format!("{line}: TOO MUCH, {percent} % more is allowed"), true);
    }
    if value * 100 < known * (100 - percent) {
        return (format!("{line}: better; --accept would keep it so"), false);
    }
    (line, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(key: &'static str, value: u64, unit: Unit) -> Figure {
        Figure { key, what: key, value, unit, target: None }
    }

    fn compared(budget: &str, figures: &[Figure], missing: &[String]) -> Report {
        compare(&budgets(budget).expect("a budget"), &figures.iter().collect::<Vec<_>>(), missing)
    }

    #[test]
    fn two_percent_more_instructions_are_kept_and_one_more_is_not() {
        let broken = |today| {
            compared("# head\nrun 1000 instructions\n", &[figure("run", today, Unit::Instructions)], &[])
                .broken
        };
        assert!(broken(1_020).is_empty());
        assert_eq!(broken(1_021), ["run"]);
    }

    #[test]
    fn one_percent_more_bytes_are_kept_and_one_more_is_not() {
        let report = |today| compared("text 1000 bytes\n", &[figure("text", today, Unit::Bytes)], &[]);
        assert!(report(1_010).broken.is_empty());
        assert_eq!(report(1_011).broken, ["text"]);
        assert_eq!(
            report(1_011).lines,
            ["text: 1011 bytes, budget 1000 (+1.10 %): TOO MUCH, 1 % more is allowed"]
        );
    }

    #[test]
    fn a_figure_that_is_notably_better_is_said_and_kept() {
        let report = |today| compared("text 1000 bytes\n", &[figure("text", today, Unit::Bytes)], &[]);
        assert_eq!(
            report(989).lines,
            ["text: 989 bytes, budget 1000 (-1.10 %): better; --accept would keep it so"]
        );
        assert!(report(989).broken.is_empty());
        assert_eq!(report(990).lines, ["text: 990 bytes, budget 1000 (-1.00 %)"]);
    }

    #[test]
    fn a_figure_without_a_budget_and_a_budget_without_a_figure_fail() {
        let text = || [figure("text", 1, Unit::Bytes)];
        assert_eq!(compared("", &text(), &[]).broken, ["text"]);
        assert_eq!(compared("text 1 instructions\n", &text(), &[]).broken, ["text"], "of another unit");
        assert_eq!(compared("text 1 bytes\nram 7 bytes\n", &text(), &[]).broken, ["ram"]);
        assert!(compared("text 1 bytes\nprogram_without_proxy 7 bytes\n", &text(), &[]).broken.is_empty());
        for line in ["text many bytes\n", "text 1000\n", "text 1000 apples\n"] {
            assert!(budgets(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_counted_here_is_skipped_aloud_and_fails_where_everything_must_run() {
        let missing = ["the instructions: needs valgrind".to_owned()];
        let report =
            compared("text 1 bytes\nrun 7 instructions\n", &[figure("text", 1, Unit::Bytes)], &missing);
        assert_eq!(
            report.lines[1..],
            ["SKIPPED run: not counted here", "SKIPPED the instructions: needs valgrind"]
        );
        assert_eq!(verdict(&report, false, false), Ok(()));
        let error = verdict(&report, false, true).expect_err("strict");
        assert_eq!(error, "CONNIE_STRICT=1, and not counted: run");
    }

    #[test]
    fn another_compiler_is_said_and_fails_nothing_but_where_everything_must_run() {
        let tools = ["# rustc 2.0".to_owned(), "# glibc 2.36".to_owned()];
        let budget = format!("{HEAD}# rustc 1.0\n# glibc 2.36\ntext 1000 bytes\n");
        let lines = others(&budget, &tools);
        assert_eq!(
            lines,
            [
                "OTHER TOOLS: this is rustc 2.0, and the budget was made with rustc 1.0, glibc 2.36: what differs can be its doing"
            ]
        );
        assert!(others(&budget.replace("rustc 1.0", "rustc 2.0"), &tools).is_empty());
        let report = compared(&budget, &[figure("text", 2_000, Unit::Bytes)], &[]);
        assert_eq!(verdict(&report, true, false), Ok(()));
        assert!(verdict(&report, true, true).expect_err("strict").contains("the other tools"));
        assert!(
            verdict(&report, false, false).expect_err("the same tools").starts_with("over the budget: text;")
        );
    }
}
