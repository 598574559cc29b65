//! Holds the committed corpus to what it was decoded to when it was accepted. How bytes become inputs is
//! frozen: a decoder that reads them in another way would silently turn the corpus into other inputs, and
//! what a file was kept for would be tried no longer.
//!
//! ```text
//! cargo run -q -p connie-fuzz-targets --bin decoded                   whether all is decoded as it was
//! cargo run -q -p connie-fuzz-targets --bin decoded -- show race/deadline   a file in words
//! cargo run -q -p connie-fuzz-targets --bin decoded -- --accept       as it is decoded now is right
//! ```
//!
//! Beside the files there are inputs made here, named `connection/#…`: every act of a client and every byte
//! that decides about the network, since of a connection the words end where its code begins to decide what
//! is drawn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use connie_fuzz_targets::{TARGETS, Target, decoded};
use connie_sim::words;

const KEPT: &str = "tests/decoded.txt";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--accept"] => accept(),
        ["show", name] => show(name),
        _ => Err("give nothing, --accept, or show TARGET/FILE".to_owned()),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(said) => {
            println!("decoded: {said}");
            ExitCode::FAILURE
        }
    }
}

/// An input: its name, its target and its bytes.
struct Input {
    name: String,
    target: Target,
    bytes: Vec<u8>,
    /// How many events of the network are noted: of a file the first, since code that is mended may ask for
    /// others after that.
    events: u32,
}

impl Input {
    fn words(&self) -> Vec<String> {
        decoded(self.target, &self.bytes, self.events)
    }

    fn line(&self) -> String {
        format!("{} {:08x}", self.name, words::hash(&self.words()))
    }
}

/// This crate's folder.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every file of the corpus in the order of the names, and what is made beside them.
fn inputs() -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for (name, target) in TARGETS {
        let folder = here().join("../corpus").join(name);
        let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            files.push(entry.map_err(wrong)?.path());
        }
        files.sort();
        for file in files {
            let own = file.file_name().unwrap_or_default().to_string_lossy();
            let bytes = fs::read(&file).map_err(wrong)?;
            inputs.push(Input { name: format!("{name}/{own}"), target, bytes, events: 1 });
        }
        if name == "connection" {
            let named = |own| format!("{name}/#{own}");
            let made = made().map(|(own, bytes)| Input { name: named(own), target, bytes, events: 3 });
            inputs.extend(made);
        }
    }
    Ok(inputs)
}

/// Connections of which the first act, or the first thing that the network does, is what the name says.
fn made() -> impl Iterator<Item = (String, Vec<u8>)> {
    const SAYS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const EXCHANGE: u8 = 19;
    let input = |how: u8, decisions: &[u8]| {
        let count = decisions.len() as u8;
        [&[how, count], decisions, SAYS].concat()
    };
    let acts = (0..30_u8).flat_map(move |act| {
        [(0, "given"), (5, "opening")].into_iter().flat_map(move |(how, called)| {
            (0..6_u8).map(move |more| {
                let decisions = [0, 0, act, more, more / 2, more + 1, more / 3, more * 40, more];
                (format!("{called}-act-{act}-{more}"), input(how, &decisions))
            })
        })
    });
    let network = (0..=255_u8).flat_map(move |byte| {
        [
            (format!("sends-{byte}"), input(0, &[0, 0, EXCHANGE, byte])),
            (format!("receives-{byte}"), input(0, &[0, 0, EXCHANGE, 0, byte])),
            (format!("wakes-{byte}"), input(0, &[0, 0, EXCHANGE, 0, 0xc0, byte])),
            (format!("opens-{byte}"), input(5, &[0, 0, EXCHANGE, byte, byte / 2])),
            (format!("setup-{byte}"), input(byte, &[byte, byte, byte])),
        ]
    });
    acts.chain(network)
}

fn compare() -> Result<String, String> {
    let path = here().join(KEPT);
    let kept = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let inputs = inputs()?;
    let now: Vec<String> = inputs.iter().map(Input::line).collect();
    let kept: BTreeMap<&str, &str> = kept.lines().filter_map(|line| line.split_once(' ')).collect();
    let now: BTreeMap<&str, &str> = now.iter().filter_map(|line| line.split_once(' ')).collect();
    let mut said = Vec::new();
    for (name, hash) in &now {
        match kept.get(name) {
            Some(kept) if kept == hash => {}
            Some(kept) => said.push(format!("{name} was decoded to {kept}, and is to {hash}")),
            None => said.push(format!("{name} is new")),
        }
    }
    said.extend(kept.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} is gone")));
    if said.is_empty() {
        return Ok(format!("{} inputs are decoded as they were", now.len()));
    }
    let count = said.len();
    said.truncate(20);
    Err(format!("{count} inputs differ from {KEPT}:\n{}\n{HOW_TO_GO_ON}", said.join("\n")))
}

const HOW_TO_GO_ON: &str = "\
  One in words:      cargo run -q -p connie-fuzz-targets --bin decoded -- show TARGET/FILE
  A decoder changed: undo it. It is frozen, and a new kind of input gets a new target (fuzz/README.md)
  A file is new or gone, or the race does something else on purpose (then connie-sim's traces differ too):
                     cargo run -q -p connie-fuzz-targets --bin decoded -- --accept, in a commit that says why";

fn accept() -> Result<String, String> {
    let lines: Vec<String> = inputs()?.iter().map(Input::line).collect();
    let path = here().join(KEPT);
    fs::write(&path, lines.join("\n") + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(format!("wrote {} lines to {KEPT}: commit them with the reason", lines.len()))
}

fn show(name: &str) -> Result<String, String> {
    let inputs = inputs()?;
    let input = inputs.iter().find(|input| input.name == name);
    let input = input.ok_or_else(|| format!("there is no {name:?} in fuzz/corpus: give TARGET/FILE"))?;
    Ok(input.words().join("\n"))
}
