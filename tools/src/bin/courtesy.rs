//! What connie costs the network and the servers, beside others.
//!
//! ```text
//! cargo run --release -p connie-tools --bin courtesy
//!     writes the measured parts of docs/courtesy.md and its pictures; --seeds N for other than 200, a part's name for that one alone
//! cargo run --release -p connie-tools --bin courtesy -- --ci
//!     holds fewer seeds to the targets, in half a minute
//! CONNIE_SEED=N cargo run --release -p connie-tools --bin courtesy
//!     prints the same for only one seed, and writes nothing
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use connie_tools::courtesy::{self, Part};

const USAGE: &str =
    "usage: courtesy [PART] [--seeds N] | courtesy --ci [PART]; the parts are paths and service";

/// What is asked for.
struct Asked {
    parts: Vec<Part>,
    seeds: u64,
    check: bool,
}

fn main() -> ExitCode {
    match asked().and_then(|asked| if asked.check { check(&asked.parts) } else { write(&asked) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("courtesy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked { parts: Vec::new(), seeds: 200, check: false };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match &word[..] {
            "--ci" => asked.check = true,
            "--seeds" => {
                let count = given.next().and_then(|count| count.parse().ok());
                asked.seeds = count.filter(|count| *count > 0).ok_or(USAGE)?;
            }
            name => asked.parts.push(Part::ALL.into_iter().find(|part| part.name() == name).ok_or(USAGE)?),
        }
    }
    if asked.parts.is_empty() {
        asked.parts.extend(Part::ALL);
    }
    Ok(asked)
}

fn check(parts: &[Part]) -> Result<(), String> {
    let mut missed = Vec::new();
    for part in parts {
        match part.check() {
            Ok(measured) => print!("{measured}"),
            Err(error) => missed.push(error),
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n")) }
}

/// Measures, and puts what comes of it into the documentation.
fn write(asked: &Asked) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for part in &asked.parts {
        let measured = part.measure(asked.seeds);
        print!("{}", measured.text);
        if std::env::var_os("CONNIE_SEED").is_some() {
            continue;
        }
        let page = docs.join("courtesy.md");
        replace(&page, part.name(), &measured.text)?;
        let text = fs::read_to_string(&page).map_err(|error| failed(&page, &error))?;
        let path = docs.join("courtesy.svg");
        fs::write(&path, courtesy::picture(&text)?).map_err(|error| failed(&path, &error))?;
        for (name, picture) in &measured.pictures {
            let path = docs.join(name);
            fs::write(&path, picture).map_err(|error| failed(&path, &error))?;
        }
    }
    Ok(())
}

/// Puts `text` at the place of the part called `name`.
fn replace(path: &PathBuf, name: &str, text: &str) -> Result<(), String> {
    let begin = format!("<!-- {name}: measured from here to the end mark, written by courtesy -->\n");
    let end = format!("<!-- end of {name} -->");
    let page = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    let (before, rest) = page.split_once(&begin).ok_or(format!("{} lacks {begin}", path.display()))?;
    let (_, after) = rest.split_once(&end).ok_or(format!("{} lacks {end}", path.display()))?;
    fs::write(path, format!("{before}{begin}\n{text}\n{end}{after}")).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
