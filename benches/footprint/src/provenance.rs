//! When, at which revision and on what machine a page's times were measured: without these a time says
//! nothing. `tools/figures.py` requires them in each page with times.

use std::path::Path;
use std::process::Command;

/// One sentence with the day, the revision of the folder's repository, whether it has changes, and the
/// processor.
pub fn provenance(folder: &Path) -> Result<String, String> {
    let day = printed(Command::new("date").args(["-u", "+%F"]))?;
    let revision =
        printed(Command::new("git").arg("-C").arg(folder).args(["rev-parse", "--short=8", "HEAD"]))?;
    let changes = if has_changes(folder)? { " with changes" } else { "" };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let model = model.map_or_else(String::new, |model| format!(" ({})", model.trim()));
    Ok(format!("Measured on {day}, at revision {revision}{changes}, on {cores} cores{model}."))
}

/// Whether a file of the folder's repository differs from its revision, or is not in it.
fn has_changes(folder: &Path) -> Result<bool, String> {
    let status = output(Command::new("git").arg("-C").arg(folder).args(["status", "--porcelain"]))?;
    Ok(!status.is_empty())
}

fn printed(command: &mut Command) -> Result<String, String> {
    let text = output(command)?;
    if text.is_empty() { Err(format!("{command:?}: no answer")) } else { Ok(text) }
}

/// What a command prints, which may be empty.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: no answer"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
