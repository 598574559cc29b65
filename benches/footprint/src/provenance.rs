//! When, at which revision and on what a page's times were measured: without these a time says nothing.
//! `tools/figures.py` asks for them in each page with times.

use std::path::Path;
use std::process::Command;

/// One sentence, with the day, the revision of the folder's repository and the processor.
pub fn provenance(folder: &Path) -> Result<String, String> {
    let day = printed(Command::new("date").args(["-u", "+%F"]))?;
    let revision =
        printed(Command::new("git").arg("-C").arg(folder).args(["rev-parse", "--short=8", "HEAD"]))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let model = model.map_or_else(String::new, |model| format!(" ({})", model.trim()));
    Ok(format!("Measured on {day}, at revision {revision}, on {cores} cores{model}."))
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !text.is_empty() {
        Ok(text)
    } else {
        Err(format!("{command:?}: no answer"))
    }
}
