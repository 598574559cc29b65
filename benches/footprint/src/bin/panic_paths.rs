//! Looks for ways that lead to a panic in an HTTP client for a microcontroller, in a connect to a host by
//! name, in the DNS client, and in a memory:
//!
//! ```text
//! cargo run -p connie-footprint --bin panic_paths
//! ```
//!
//! `http_client`, `names`, `dns_client` and `memory` link only if there is none, and the linker then says no
//! more than that. Here they are linked in any case, with every reference between functions kept in the file,
//! so that the way can be told.

#[cfg(not(unix))]
fn main() {
    eprintln!("panic_paths: needs a Unix system");
}

#[cfg(unix)]
#[path = "../firmware.rs"]
mod firmware;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    match search::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("panic_paths: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(unix)]
mod search {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::path::Path;

    use object::{
        File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, Section, SectionKind,
        SymbolKind,
    };

    use crate::firmware::build;

    /// Each with a feature of it.
    const PROGRAMS: [(&str, &str); 4] =
        [("http_client", ""), ("names", ""), ("dns_client", "all"), ("memory", "all")];
    const START: &str = "_start";
    /// What the panic handler calls.
    const PANIC: &str = "a_path_leads_to_a_panic";

    pub fn main() -> Result<(), String> {
        for (program, feature) in PROGRAMS {
            for level in ["z", "s"] {
                let found = References::read(&build(program, level, true, feature)?)?;
                if let Some(way) = found.way_to_panic() {
                    return Err(format!(
                        "{program} at opt-level {level} has a way to a panic:{}",
                        lines(&way)
                    ));
                }
                println!("{program} at opt-level {level}: {} functions, no way to a panic", found.of.len());
            }
            bites(program)?;
        }
        Ok(())
    }

    /// With an index that may be out of bounds the search must find it.
    fn bites(program: &str) -> Result<(), String> {
        let found = References::read(&build(program, "z", true, "bite")?)?;
        match found.way_to_panic() {
            Some(way) => println!("an index put into {program} on purpose is found:{}", lines(&way)),
            None => return Err(format!("an index was put into {program} on purpose, and not found")),
        }
        Ok(())
    }

    /// Which functions each function refers to, by their names in the file.
    struct References {
        of: BTreeMap<String, BTreeSet<String>>,
    }

    impl References {
        fn read(path: &Path) -> Result<Self, String> {
            let data = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = File::parse(&*data).map_err(|error| error.to_string())?;
            let functions = functions(&file);
            let mut references = References { of: BTreeMap::new() };
            for name in functions.values() {
                references.of.entry(name.clone()).or_default();
            }
            for section in file.sections() {
                match section.kind() {
                    SectionKind::Text | SectionKind::Data | SectionKind::ReadOnlyData => {
                        references.add(&file, &section, &functions)?;
                    }
                    _ => {}
                }
            }
            Ok(references)
        }

        /// Adds the references out of `section`. Those out of data count as the start's own, since anybody
        /// may use them.
        fn add(
            &mut self,
            file: &File<'_>,
            section: &Section<'_, '_>,
            functions: &BTreeMap<u64, String>,
        ) -> Result<(), String> {
            for (at, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    return Err(format!("what is referred to at {at:#x} has no name"));
                };
                let symbol = file.symbol_by_index(index).map_err(|error| error.to_string())?;
                let name = symbol.name().map_err(|error| error.to_string())?;
                let within = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
                let code = within.is_some_and(|within| within.kind() == SectionKind::Text);
                let to = match (name, code) {
                    (PANIC, _) => PANIC.to_owned(),
                    (_, true) if symbol.kind() != SymbolKind::Section => name.to_owned(),
                    (_, true) => return Err(format!("the function referred to at {at:#x} has no name")),
                    (_, false) => continue,
                };
                let from = match section.kind() {
                    SectionKind::Text => functions.range(..=at).next_back().map(|(_, name)| name.as_str()),
                    _ => Some(START),
                };
                let from = from.ok_or_else(|| format!("no function is at {at:#x}"))?;
                self.of.entry(from.to_owned()).or_default().insert(to);
            }
            Ok(())
        }

        /// The shortest way from the start to a panic.
        fn way_to_panic(&self) -> Option<Vec<&str>> {
            let mut before: BTreeMap<&str, &str> = BTreeMap::new();
            let mut next = VecDeque::from([START]);
            while let Some(function) = next.pop_front() {
                if function == PANIC {
                    let way = std::iter::successors(Some(PANIC), |last| before.get(last).copied());
                    let mut way: Vec<_> = way.collect();
                    way.reverse();
                    return Some(way);
                }
                for to in self.of.get(function).into_iter().flatten() {
                    if to != START && !before.contains_key(to.as_str()) {
                        before.insert(to, function);
                        next.push_back(to);
                    }
                }
            }
            None
        }
    }

    /// All functions by the address of their first instruction.
    fn functions(file: &File<'_>) -> BTreeMap<u64, String> {
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        // The lowest bit says that a function is in Thumb code.
        functions.filter_map(|symbol| Some((symbol.address() & !1, symbol.name().ok()?.to_owned()))).collect()
    }

    /// A function as its source names it.
    fn plain(name: &str) -> String {
        format!("{:#}", rustc_demangle::demangle(name))
    }

    fn lines(way: &[&str]) -> String {
        way.iter().map(|function| format!("\n  {}", plain(function))).collect()
    }
}
