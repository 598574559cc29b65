//! The file of the logs: for each name the line that is expected of every adapter, and those of the few that
//! differ, with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;

use connie_tests::names_table::{NAMES, Name};
use rustix::fs::{FlockOperation, flock};

use super::Adapter;

const ACCEPT: &str = "CONNIE_ACCEPT";

/// What to do where a log is meant to differ.
pub const HOW_TO_ACCEPT: &str = "\
    If that is meant: CONNIE_ACCEPT=1 cargo test -p connie-tests --test syn_logs, and once more where std differs\n\
    Then commit tests/tests/syn_logs/logs.txt by itself, and say why in the message.\n";

/// Whether what is seen is to be committed.
pub fn accepts() -> bool {
    std::env::var_os(ACCEPT).is_some_and(|value| value == "1")
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/syn_logs/logs.txt")
}

/// What stands above the lines of a name.
fn title(name: &Name) -> String {
    format!("# {:02} {}: {}", name.number, name.label, name.what)
}

/// Who the line that holds for every adapter is said to be of.
const ALL: &str = "all";

/// The committed logs.
pub struct Logs {
    head: String,
    /// What is expected of all, by the number of the name. It is what `std` does.
    expected: BTreeMap<u8, String>,
    /// What an adapter does in its place.
    differences: BTreeMap<(u8, Adapter), String>,
}

impl Logs {
    /// # Panics
    /// When the file cannot be read, or has a line that is none of any name and adapter.
    #[track_caller]
    pub fn read() -> Self {
        Self::parse(&std::fs::read_to_string(path()).expect("the file of the logs"))
    }

    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let first = title(&NAMES[0]);
        let end = text.find(&first).unwrap_or(text.len());
        let (head, rest) = text.split_at(end);
        let mut logs =
            Logs { head: head.to_owned(), expected: BTreeMap::new(), differences: BTreeMap::new() };
        for line in rest.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let (number, who, log) = entry(line).unwrap_or_else(|| panic!("no line of the logs: {line:?}"));
            let before = match who {
                None => logs.expected.insert(number, log),
                Some(adapter) => logs.differences.insert((number, adapter), log),
            };
            assert!(before.is_none(), "twice in the logs: {line:?}");
        }
        logs
    }

    /// What `adapter` is expected to do with `name`.
    pub fn line(&self, name: &Name, adapter: Adapter) -> Option<String> {
        let own = self.difference(name, adapter).map(str::to_owned);
        own.or_else(|| self.expected.get(&name.number).map(|line| adapter.view(name, line)))
    }

    /// The same, where it is not what is expected of all.
    pub fn difference(&self, name: &Name, adapter: Adapter) -> Option<&str> {
        self.differences.get(&(name.number, adapter)).map(String::as_str)
    }

    /// The whole file.
    pub fn render(&self) -> String {
        let mut text = self.head.clone();
        for (index, name) in NAMES.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { "\n" });
            writeln!(text, "{}", title(name)).expect("text grows");
            let mut line = |who: &str, line: &str, why: Option<&str>| {
                let why = why.map(|why| format!("  ({why})")).unwrap_or_default();
                let (number, label) = (name.number, name.label);
                writeln!(text, "{number:02} {label:15}  {who:9}  {line}{why}").expect("text grows");
            };
            if let Some(expected) = self.expected.get(&name.number) {
                line(ALL, expected, None);
            }
            for adapter in Adapter::ALL {
                if let Some(own) = self.difference(name, adapter) {
                    line(adapter.label(), own, adapter.reason(name));
                }
            }
        }
        text
    }

    /// Puts these lines in the place of the adapter's, while nobody else does the same. What `std` does is
    /// expected of all.
    pub fn rewrite(adapter: Adapter, lines: &[(&Name, String)]) {
        let path = path();
        let folder = File::open(path.parent().expect("its folder")).expect("the folder of the logs");
        flock(&folder, FlockOperation::LockExclusive).expect("a lock");
        let mut logs = Self::read();
        for (name, line) in lines {
            let expected = logs.expected.get(&name.number).map(|expected| adapter.view(name, expected));
            if adapter == Adapter::Std {
                logs.expected.insert(name.number, line.clone());
            } else if expected.as_ref() == Some(line) {
                logs.differences.remove(&(name.number, adapter));
            } else {
                logs.differences.insert((name.number, adapter), line.clone());
            }
        }
        // Nobody reads half of it.
        let new = path.with_extension("new");
        std::fs::write(&new, logs.render()).expect("the folder of the logs takes a file");
        std::fs::rename(new, path).expect("the file of the logs is replaced");
    }
}

/// The number of a line's name, whose it is where not everybody's, and what it says without the reason.
fn entry(line: &str) -> Option<(u8, Option<Adapter>, String)> {
    let (number, rest) = line.split_once(' ')?;
    let (label, rest) = rest.split_once(' ')?;
    let (who, log) = rest.trim_start().split_once(' ')?;
    let name = NAMES.iter().find(|name| name.label == label && format!("{:02}", name.number) == number)?;
    let adapter = Adapter::ALL.into_iter().find(|adapter| adapter.label() == who);
    let log = log.trim_start();
    let log = log.split_once("  (").map_or(log, |(log, _)| log);
    (adapter.is_some() || who == ALL).then(|| (name.number, adapter, log.to_owned()))
}
