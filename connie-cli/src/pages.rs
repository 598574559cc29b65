//! `connie-pages DIR`: writes the manual pages of the program and the completions of three shells into a
//! folder, from the very command line that the program reads. A program of its own, so that `connie` carries
//! none of it.

// The program's modules, for the command line alone.
#![allow(dead_code, unused_imports, reason = "main.rs uses the rest")]

mod advice;
mod args;
mod error;
mod exit_code;
mod memory;
mod output;
mod progress;
mod stdio;
mod stdout_queue;
mod terminal;
mod usage;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("connie-pages: wants the folder to write into");
        return ExitCode::from(exit_code::USAGE);
    };
    let written = manual(&folder).and_then(|()| completions(&folder));
    if let Err(error) = written {
        eprintln!("connie-pages: could not write into {}: {error}", folder.display());
        return ExitCode::from(exit_code::WRITE);
    }
    ExitCode::SUCCESS
}

/// The whole command line, with all options of all commands, and without `connie help`, which only says again
/// what is there.
fn whole() -> Command {
    let mut command = usage::command().disable_help_subcommand(true);
    command.build();
    command
}

/// `connie.1`, and one for each command: `connie-get.1`.
fn manual(folder: &Path) -> io::Result<()> {
    let folder = folder.join("man");
    fs::create_dir_all(&folder)?;
    let whole = whole();
    page(&folder, "connie", &whole)?;
    for subcommand in whole.get_subcommands() {
        let name = format!("connie-{}", subcommand.get_name());
        page(&folder, &name, subcommand)?;
    }
    Ok(())
}

fn page(folder: &Path, name: &str, command: &Command) -> io::Result<()> {
    let version = concat!("connie ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).source(version).manual("connie");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.extend(sections(&below).bytes());
    let related = if name == "connie" { "curl" } else { "connie" };
    page.extend(format!(".SH \"SEE ALSO\"\n.BR {related} (1)\n").bytes());
    fs::write(folder.join(format!("{name}.1")), page)
}

/// What stands below the options in `--help`, each paragraph under the heading that manuals have for it.
fn sections(below: &str) -> String {
    let mut page = String::new();
    for paragraph in below.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (heading, kept, text) = match paragraph.strip_prefix("Examples:\n") {
            Some(examples) => ("EXAMPLES", true, examples),
            None if paragraph.starts_with("Exit codes") => ("EXIT STATUS", false, paragraph),
            None => ("NOTES", false, paragraph),
        };
        page += &format!(".SH \"{heading}\"\n");
        // As it is broken into lines, or to be broken anew.
        let (begin, end) = if kept { (".nf\n", ".fi\n") } else { ("", "") };
        page += begin;
        page.extend(text.lines().map(|line| format!("{}\n", escaped(line.trim_start()))));
        page += end;
    }
    page
}

/// A line of text that roff shows as it stands: hyphens that can be copied, and no request at its beginning.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

/// Under the names by which each shell looks for them.
fn completions(folder: &Path) -> io::Result<()> {
    for (shell, file) in
        [(Shell::Bash, "bash/connie"), (Shell::Zsh, "zsh/_connie"), (Shell::Fish, "fish/connie.fish")]
    {
        let file = folder.join("completions").join(file);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut whole(), "connie", &mut script);
        fs::write(file, script)?;
    }
    Ok(())
}
