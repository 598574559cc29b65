//! What is counted and not timed, and so comes out the same on every machine with the same compiler and C
//! library: instructions by callgrind, sizes from linked programs, stack from runs in QEMU.

use std::path::Path;

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::figure::{Figure, Unit};
use crate::firmware::{TARGET, build};
use crate::tools::{self, say, thousands};
use crate::{board, callgrind, network};

/// 5 MiB.
const MOST_BYTES: u64 = 5 << 20;
/// 4 MiB.
const MOST_BYTES_WITHOUT_PROXY: u64 = 4 << 20;

/// The figure that is counted when it is written, and not when the figures are checked: two minutes of
/// linking for what changes only where the whole program does.
pub const ONLY_WRITTEN: &str = "program_without_proxy";

/// All figures, those of each table in its order.
#[derive(Default)]
pub struct Figures {
    instructions: Vec<Figure>,
    network: Vec<Figure>,
    program: Vec<Figure>,
    sizes: Vec<Figure>,
    /// For the budget: the page has a table of its own for firmware.
    firmware: Vec<Figure>,
    /// What could not be counted here, and what that needs.
    missing: Vec<String>,
}

impl Figures {
    /// Counts all that can be counted here. What is broken, rather than missing, is an error.
    pub fn count(root: &Path) -> Result<Self, String> {
        // Before the whole one, which takes its place.
        let without_proxy = Figure {
            key: "program_without_proxy",
            what: "the same without `connie proxy`, and without tokio",
            value: size(&tools::connie_without_proxy(root)?)?,
            unit: Unit::Bytes,
            target: Some(MOST_BYTES_WITHOUT_PROXY),
        };
        debug_assert_eq!(without_proxy.key, ONLY_WRITTEN);
        let mut figures = Self::count_checked(root)?;
        figures.program.push(without_proxy);
        Ok(figures)
    }

    /// The same without [`ONLY_WRITTEN`].
    pub fn count_checked(root: &Path) -> Result<Self, String> {
        let connie = tools::connie(root)?;
        let program = Figure {
            key: "program",
            what: "the stripped release binary `connie`, TLS included",
            value: size(&connie)?,
            unit: Unit::Bytes,
            target: Some(MOST_BYTES),
        };
        let mut figures = Figures { program: vec![program], ..Figures::default() };
        match callgrind::version() {
            Ok(_) => {
                figures.instructions = instructions(root)?;
                figures.network = network::figures(&connie, &tools::named(root, "network_paths")?)?;
            }
            Err(needs) => figures.missing.push(format!("the instructions: needs {needs}")),
        }
        if let Err(needs) = tools::target_is_here() {
            figures.missing.push(format!("a microcontroller's share, and firmware: needs {needs}"));
            return Ok(figures);
        }
        figures.sizes = sizes()?;
        let runs = board::missing_to_run();
        figures.firmware = board::budget(runs.is_none())?;
        figures.missing.extend(runs.map(|needs| format!("the firmware's stack: needs {needs}")));
        Ok(figures)
    }

    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        let host = self.instructions.iter().chain(&self.network).chain(&self.program);
        host.chain(&self.sizes).chain(&self.firmware)
    }

    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    pub fn write(&self, page: &mut String) {
        say(page, "\n## Instructions\n");
        say(
            page,
            "A whole race of twelve destinations in the core alone, on x86-64 at `opt-level = 3`, counted by callgrind.\n",
        );
        table(page, "race | instructions", &self.instructions);
        say(page, "");
        for line in [
            "The same for whole paths through the kernel, to servers on the loopback interface: what the program, the Rust",
            "and the C library run, and not the kernel. `connie get` is counted from the start of its process to its end, with",
            "one page and with nine; the paths in the libraries are gone eight times in one process, after a first time that is",
            "not counted, and the figure is that of one. Each is the median of three runs; they came out the same to the digit.\n",
        ] {
            say(page, line);
        }
        table(page, "path | instructions", &self.network);
        say(page, "\n## The program\n");
        table(page, "what | bytes", &self.program);
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
        say(page, "");
        for line in [
            "A memory's rules are what is linked for `Memory::plan` and `Memory::learn` and what a race does with a plan, beside the same race without one.",
            "3 KiB were wanted. Why they take more, and what was tried, is in the `DECISIONS.md` of connie-core.",
        ] {
            say(page, line);
        }
    }
}

fn size(path: &Path) -> Result<u64, String> {
    std::fs::metadata(path).map(|it| it.len()).map_err(|error| error.to_string())
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
    let program = tools::named(root, "instructions")?;
    let races = [
        (
            "all_at_once_of_twelve",
            "all at once: twelve start, the seventh wins, eleven are canceled",
            Some(6_000),
        ),
        ("staggered_of_twelve", "Happy Eyeballs: the third of twelve answers", None),
        ("four_sockets_eleven_dead", "four sockets, eleven of twelve dead: eight evictions", None),
        ("warm_memory_of_twelve", "with a memory: one of twelve starts, and wins; plan and lessons", None),
        ("full_memory_of_twelve", "the same with a memory of 1,024 places, all taken", None),
    ];
    let figure = |(key, what, target)| {
        let value = callgrind::count(&mut callgrind::command(&program, Some(key)))?;
        Ok(Figure { key, what, value, unit: Unit::Instructions, target })
    };
    races.into_iter().map(figure).collect()
}

/// The race and the driver as a microcontroller links them, HTTP on top of them, the DNS client, and a
/// memory.
fn sizes() -> Result<Vec<Figure>, String> {
    let race = Sizes::read(&build("microcontroller", "z", false, "")?)?;
    let connect = Sizes::read(&build("names", "z", true, "text")?)?;
    let client = Sizes::read(&build("http_client", "z", true, "")?)?;
    let around = Sizes::read(&build("dns_client", "z", true, "stand-in")?)?;
    let dns = Sizes::read(&build("dns_client", "z", true, "")?)?;
    let memory = Sizes::read(&build("memory", "z", true, "")?)?;
    let all = Sizes::read(&build("memory", "z", true, "all")?)?;
    let figure = |key, what, value, target| Figure { key, what, value, unit: Unit::Bytes, target };
    Ok(vec![
        figure("text_race", "`.text` of race and driver", race.own, Some(8_192)),
        figure("text_memcpy", "`memcpy` and its like beside it, which any firmware has", race.runtime, None),
        figure(
            "text_connect",
            "`.text` with resolution: a race, its driver and all that a host's text means",
            connect.own,
            None,
        ),
        figure("text_http", "`.text` with HTTP/1.1, all of it in use", client.own, None),
        figure(
            "text_http_runtime",
            "`memcpy`, 64-bit division and their like beside that",
            client.runtime,
            None,
        ),
        figure(
            "text_dns",
            "`.text` of the DNS client and its lookup, without the program around them",
            dns.own.saturating_sub(around.own),
            Some(10_240),
        ),
        figure("text_dns_runtime", "`memcpy` and its like beside that", dns.runtime, None),
        figure(
            "ram_dns_client",
            "RAM of a `DnsClient` with room for two names, without datagrams",
            dns.dns,
            None,
        ),
        figure("ram_dns_lookup", "RAM of a `RecordLookup`", dns.lookup, None),
        figure(
            "text_memory",
            "`.text` of a memory's rules: what they add to the race and its driver",
            memory.own.saturating_sub(race.own),
            Some(3_072),
        ),
        figure(
            "text_memory_all",
            "`.text` of verdicts from above and of a memory as bytes, beside that",
            all.own.saturating_sub(memory.own),
            None,
        ),
        figure("text_memory_runtime", "`memcpy` and its like beside these", all.runtime, None),
        figure("ram_memory_entry", "RAM of an address or a host in a memory", memory.entry, Some(40)),
        figure("ram_memory_of_16", "RAM of a `Memory` of 16 places", memory.memory, None),
        figure("ram_planned_race", "RAM of a race with room for a plan", memory.race, None),
        figure("ram_race", "RAM of a `Race`", race.race, Some(1_280)),
        figure("ram_driver", "RAM of a `RaceDriver`, without the stack's sockets", race.driver, None),
        figure("ram_connect", "RAM of a `ConnectDriver`, without the stack's sockets", connect.connect, None),
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
    driver: u64,
    connect: u64,
    dns: u64,
    lookup: u64,
    memory: u64,
    /// One place of a memory.
    entry: u64,
}

impl Sizes {
    fn read(path: &Path) -> Result<Self, String> {
        let data = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let file = object::File::parse(&*data).map_err(|error| error.to_string())?;
        let text = file.section_by_name(".text").ok_or("no .text section")?;
        let (mut sizes, mut stand_in) = (Sizes::default(), 0);
        for symbol in file.symbols() {
            let name = symbol.name().unwrap_or("");
            let runtime = ["compiler_builtins", "__aeabi", "memcpy", "memmove", "memset", "memcmp"];
            match name {
                "RACE" => sizes.race = symbol.size(),
                "CONNECT" => sizes.connect = symbol.size(),
                "CONNECTOR" => sizes.driver = symbol.size(),
                "DNS_CLIENT" => sizes.dns = symbol.size(),
                "DNS_LOOKUP" => sizes.lookup = symbol.size(),
                "MEMORY" => sizes.memory = symbol.size(),
                "ENTRY" => sizes.entry = symbol.size(),
                _ if symbol.section_index() != Some(text.index()) => {}
                // A stand-in is not part of what surrounds it.
                _ if name.contains("stand_in") => stand_in += symbol.size(),
                _ if runtime.iter().any(|part| name.contains(part)) => sizes.runtime += symbol.size(),
                _ => {}
            }
        }
        sizes.own = text.size() - sizes.runtime - stand_in;
        Ok(sizes)
    }
}
