//! Instructions, counted by valgrind's tool callgrind: the same on every run of the same program, but for
//! what depends on the moment.

use std::io::PipeWriter;
use std::path::Path;
use std::process::{Command, Stdio};

use connie_servers::limits;

use crate::tools::{run, text_of};

/// How often what goes through the kernel is counted. Of an odd number the median is one of the counts.
const RUNS: usize = 3;

/// What counts `function` of a program and all that it calls, or without one the whole process. The
/// environment is always the same: programs look their variables up in it.
pub fn command(program: &Path, function: Option<&str>) -> Command {
    let mut command = Command::new("valgrind");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.arg("--tool=callgrind").arg("--callgrind-out-file=/dev/null");
    command.args(function.map(|function| format!("--toggle-collect=*{function}*")));
    command.arg(program);
    command
}

/// The version of valgrind, or what is missing.
pub fn version() -> Result<String, String> {
    let version = run(Command::new("valgrind").arg("--version"), "apt-get install valgrind");
    version
        .map(|version| version.trim().to_owned())
        .map_err(|_| "valgrind: apt-get install valgrind".to_owned())
}

/// Runs the command to its end, and says what it counted.
pub fn count(command: &mut Command) -> Result<u64, String> {
    finish(command.stdin(Stdio::null()))
}

/// The same, while `serve` writes to the program's standard input on a thread of its own.
pub fn count_told(
    command: &mut Command,
    serve: impl FnOnce(PipeWriter) + Send + 'static,
) -> Result<u64, String> {
    let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    std::thread::spawn(move || serve(writer));
    finish(command.stdin(reader))
}

fn finish(command: &mut Command) -> Result<u64, String> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.map_err(|error| format!("cannot run valgrind: {error}"))?;
    let output = limits::finish(child).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", text_of(&output)));
    }
    read(&text_of(&output))
}

/// The count in the output of valgrind. 0 is an error: the function was never called.
fn read(text: &str) -> Result<u64, String> {
    let count = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    count.filter(|count| *count > 0).ok_or_else(|| format!("valgrind has counted nothing: {text}"))
}

/// The median of some counts. Says where they differ, which is worth knowing before a budget is blamed.
pub fn median(what: &str, mut counted: impl FnMut() -> Result<u64, String>) -> Result<u64, String> {
    let mut counts = (0..RUNS).map(|_| counted()).collect::<Result<Vec<_>, _>>()?;
    counts.sort_unstable();
    let (least, most) = (counts[0], counts[RUNS - 1]);
    if (most - least) * 200 > least {
        println!("{what}: from {least} to {most} in {RUNS} runs");
    }
    Ok(counts[RUNS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_and_nothing_counted_is_an_error() {
        assert_eq!(read("==7== Events    : Ir\n==7== Collected : 5703\n==7==\n"), Ok(5_703));
        assert!(read("==7== Collected : 0\n").is_err(), "the function has another name");
        assert!(read("valgrind: no such program\n").is_err());
    }

    #[test]
    fn one_count_that_is_off_does_not_matter() {
        let mut counts = [1_000, 700, 1_001].into_iter();
        assert_eq!(median("get", || counts.next().ok_or_else(String::new)), Ok(1_000));
    }
}
