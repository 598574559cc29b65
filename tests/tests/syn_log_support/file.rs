//! The file of the logs: a line for each name and adapter, under a head in plain words.

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
    If that is meant: CONNIE_ACCEPT=1 cargo test -p connie-tests --test syn_logs\n\
    Then commit tests/tests/syn_logs/logs.txt by itself, and say why in the message.\n";

/// Whether what is seen is to be committed.
pub fn accepts() -> bool {
    std::env::var_os(ACCEPT).is_some_and(|value| value == "1")
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/syn_logs/logs.txt")
}

/// A log with the reason for which it tells less than it seems to.
pub fn text(log: String, blind: Option<&str>) -> String {
    match blind {
        Some(why) => format!("{log}  (blind: {why})"),
        None => log,
    }
}

/// What stands above the lines of a name.
fn title(name: &Name) -> String {
    format!("# {:02} {}: {}", name.number, name.label, name.what)
}

/// The committed logs.
pub struct Logs {
    head: String,
    /// By number, then in the order of the adapters' names here.
    lines: BTreeMap<(u8, Adapter), String>,
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
        let mut lines = BTreeMap::new();
        for line in rest.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let (key, log) = entry(line).unwrap_or_else(|| panic!("no line of the logs: {line:?}"));
            assert!(lines.insert(key, log).is_none(), "twice in the logs: {line:?}");
        }
        Logs { head: head.to_owned(), lines }
    }

    /// The line of `name` for `adapter`, without what says whose it is.
    pub fn line(&self, name: &Name, adapter: Adapter) -> Option<&str> {
        self.lines.get(&(name.number, adapter)).map(String::as_str)
    }

    /// The whole file.
    pub fn render(&self) -> String {
        let mut text = self.head.clone();
        for (index, name) in NAMES.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { "\n" });
            writeln!(text, "{}", title(name)).expect("text grows");
            for adapter in Adapter::ALL {
                if let Some(line) = self.line(name, adapter) {
                    let (number, label, who) = (name.number, name.label, adapter.label());
                    writeln!(text, "{number:02} {label:15}  {who:9}  {line}").expect("text grows");
                }
            }
        }
        text
    }

    /// Puts these lines in the place of the adapter's, while nobody else does the same.
    pub fn rewrite(adapter: Adapter, lines: &[(&Name, String)]) {
        let path = path();
        let folder = File::open(path.parent().expect("its folder")).expect("the folder of the logs");
        flock(&folder, FlockOperation::LockExclusive).expect("a lock");
        let mut logs = Self::read();
        for (name, line) in lines {
            logs.lines.insert((name.number, adapter), line.clone());
        }
        // Nobody reads half of it.
        let new = path.with_extension("new");
        std::fs::write(&new, logs.render()).expect("the folder of the logs takes a file");
        std::fs::rename(new, path).expect("the file of the logs is replaced");
    }
}

/// Whose line it is, and its log.
fn entry(line: &str) -> Option<((u8, Adapter), String)> {
    let (number, rest) = line.split_once(' ')?;
    let (label, rest) = rest.split_once(' ')?;
    let (who, log) = rest.trim_start().split_once(' ')?;
    let name = NAMES.iter().find(|name| name.label == label && format!("{:02}", name.number) == number)?;
    let adapter = Adapter::ALL.into_iter().find(|adapter| adapter.label() == who)?;
    Some(((name.number, adapter), log.trim_start().to_owned()))
}
