//! What is counted and not timed, and so comes out the same on every machine with the same compiler: instructions by callgrind, sizes from
//! linked programs.

use std::path::Path;
use std::process::Command;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::board;
use crate::firmware::{TARGET, build};
use crate::tools::{built, cargo, run, say, thousands};

/// One count.
pub struct Figure {
    /// What the budget calls it.
    pub key: &'static str,
    /// What the page calls it.
    what: &'static str,
    pub value: u64,
    /// What it was meant to be at most.
    target: Option<u64>,
}

/// All figures, those of each table in its order.
pub struct Figures {
    instructions: Vec<Figure>,
    sizes: Vec<Figure>,
    /// For the budget: the page has a table of its own for firmware.
    firmware: Vec<Figure>,
}

impl Figures {
    pub fn count(root: &Path) -> Result<Self, String> {
        let firmware = board::budget()?;
        let figure = |(key, value)| Figure { key, what: key, value, target: None };
        Ok(Figures {
            instructions: instructions(root)?,
            sizes: sizes()?,
            firmware: firmware.map(figure).into(),
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.instructions.iter().chain(&self.sizes).chain(&self.firmware)
    }

    pub fn write(&self, page: &mut String) {
        say(page, "\n## Instructions\n");
        say(
            page,
            "A whole race of twelve destinations in the core alone, on x86-64 at `opt-level = 3`, counted by callgrind.\n",
        );
        table(page, "race | instructions", &self.instructions);
        say(page, "\n## A microcontroller's share\n");
        say(
            page,
            &format!(
                "Built for {TARGET} at `opt-level = \"z\"`: 16 destinations, 4 sockets, a record of 32 attempts. The code is linked"
            ),
        );
        say(
            page,
            "into a program with a stack of which the compiler knows nothing; that stub is counted too.\n",
        );
        table(page, "what | bytes", &self.sizes);
    }
}

fn table(page: &mut String, columns: &str, figures: &[Figure]) {
    say(page, &format!("| {columns} | target |\n|---|--:|--:|"));
    for figure in figures {
        let target = figure.target.map_or_else(|| "-".to_owned(), thousands);
        say(page, &format!("| {} | {} | {target} |", figure.what, thousands(figure.value)));
    }
}

/// A whole race in the core alone, counted.
fn instructions(root: &Path) -> Result<Vec<Figure>, String> {
    cargo(root, &["build", "--release", "-p", "connie-footprint", "--bin", "instructions"])?;
    let program = built(root, &["release", "instructions"]);
    let races = [
        (
            "all_at_once_of_twelve",
            "all at once: twelve start, the seventh wins, eleven are canceled",
            Some(6_000),
        ),
        ("staggered_of_twelve", "Happy Eyeballs: the third of twelve answers", None),
        ("four_sockets_eleven_dead", "four sockets, eleven of twelve dead: eight evictions", None),
    ];
    let figure =
        |(key, what, target)| Ok(Figure { key, what, value: instructions_of(&program, key)?, target });
    races.into_iter().map(figure).collect()
}

/// The instructions of `function` and of all that it calls.
fn instructions_of(program: &Path, function: &str) -> Result<u64, String> {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg("--callgrind-out-file=/dev/null");
    valgrind.arg(format!("--toggle-collect=*{function}*")).arg(program);
    let output = run(&mut valgrind, "install valgrind")?;
    let count = output.lines().find_map(|line| line.split_once("Collected :"));
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| "valgrind printed no count".to_owned())
}

/// The race and the connector as a microcontroller links them, and HTTP on top of them.
fn sizes() -> Result<Vec<Figure>, String> {
    let race = Sizes::read(&build("microcontroller", "z", false, "")?)?;
    let client = Sizes::read(&build("http_client", "z", true, "")?)?;
    let figure = |key, what, value, target| Figure { key, what, value, target };
    Ok(vec![
        figure("text_race", "`.text` of race and connector", race.own, Some(8_192)),
        figure("text_memcpy", "`memcpy` and its like beside it, which any firmware has", race.runtime, None),
        figure("text_http", "`.text` with HTTP/1.1, all of it in use", client.own, None),
        figure(
            "text_http_runtime",
            "`memcpy`, 64-bit division and their like beside that",
            client.runtime,
            None,
        ),
        figure("ram_race", "RAM of a `Race`", race.race, Some(1_280)),
        figure("ram_connector", "RAM of a `Connector`, without the stack's sockets", race.connector, None),
    ])
}

/// Bytes in a program for a microcontroller.
#[derive(Default)]
struct Sizes {
    /// `.text` without the runtime.
    own: u64,
    /// What the compiler adds.
    runtime: u64,
    race: u64,
    connector: u64,
}

impl Sizes {
    fn read(path: &Path) -> Result<Self, String> {
        let data = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
        let text = file.section_by_name(".text").ok_or("no .text section")?;
        let mut sizes = Sizes::default();
        for symbol in file.symbols() {
            let name = symbol.name().unwrap_or("");
            let runtime = ["compiler_builtins", "__aeabi", "memcpy", "memmove", "memset", "memcmp"];
            match name {
                "RACE" => sizes.race = symbol.size(),
                "CONNECTOR" => sizes.connector = symbol.size(),
                _ if symbol.section_index() != Some(text.index()) => {}
                _ if runtime.iter().any(|part| name.contains(part)) => sizes.runtime += symbol.size(),
                _ => {}
            }
        }
        sizes.own = text.size() - sizes.runtime;
        Ok(sizes)
    }
}
