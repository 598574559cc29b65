//! How much each setting has to search, as it was accepted.

use std::fs;
use std::process::ExitCode;

/// A line for each setting.
const ACCEPTED: &str = include_str!("accepted.txt");

/// Holds what was found against what was accepted, and says what differs, line by line.
pub(crate) fn compare(found: &[String]) -> ExitCode {
    let accepted: Vec<&str> = ACCEPTED.lines().collect();
    let new = found.iter().filter(|line| !accepted.contains(&line.as_str()));
    let gone = accepted.iter().filter(|line| !found.iter().any(|found| found == *line));
    let gone = gone.map(|line| format!("accepted: {line}"));
    let differences: Vec<String> = gone.chain(new.map(|line| format!("searched: {line}"))).collect();
    if differences.is_empty() && accepted.len() == found.len() {
        return ExitCode::SUCCESS;
    }
    for line in differences {
        eprintln!("{line}");
    }
    eprintln!(
        "exhaustive: {} settings were searched, {} were accepted, and the lines above differ. Fewer states may be \
         states that nobody checks any more. If it is meant, -- --accept writes them down: in a commit of its own \
         that says why",
        found.len(),
        accepted.len(),
    );
    ExitCode::FAILURE
}

/// Writes what was found in place of what was accepted.
pub(crate) fn accept(found: &[String]) -> ExitCode {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/exhaustive/accepted.txt");
    match fs::write(path, found.join("\n") + "\n") {
        Ok(()) => {
            println!("wrote {path}: commit it with the reason");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("exhaustive: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
