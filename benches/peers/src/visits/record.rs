//! What was measured, a line of JSON for each run, in the tree.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;

use connie_tests::visits::Course;
use serde_json::{Value, json};

/// One client's visits on one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub network: String,
    pub client: String,
    /// What the client is, with its version.
    pub about: String,
    pub round: usize,
    /// How many visits were made.
    pub visits: usize,
    pub first: Option<Figures>,
    /// The mean of all others; `None` where the client gave up.
    pub later: Option<Figures>,
    pub gave_up: Option<String>,
}

/// Milliseconds over the oracle, SYNs and wasted handshakes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub over: f64,
    pub syns: f64,
    pub wasted: f64,
}

impl Figures {
    fn to_json(self) -> Value {
        let rounded = |number: f64| (number * 1e3).round() / 1e3;
        json!([rounded(self.over), rounded(self.syns), rounded(self.wasted)])
    }

    fn of(value: &Value) -> Option<Self> {
        let [over, syns, wasted] = [0, 1, 2].map(|index| value[index].as_f64());
        Some(Figures { over: over?, syns: syns?, wasted: wasted? })
    }
}

impl Record {
    pub fn new(network: &str, client: &str, about: &str, round: usize, course: &Course) -> Self {
        let first = course.visits.first();
        Record {
            network: network.to_owned(),
            client: client.to_owned(),
            about: about.to_owned(),
            round,
            visits: course.visits.len(),
            first: first.map(|seen| Figures {
                over: seen.over,
                syns: seen.syns as f64,
                wasted: seen.wasted as f64,
            }),
            later: course.later().map(|cost| Figures {
                over: cost.over,
                syns: cost.syns,
                wasted: cost.wasted,
            }),
            gave_up: course.gave_up.clone(),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "network": self.network, "client": self.client, "about": self.about, "round": self.round, "visits": self.visits,
            "first": self.first.map(Figures::to_json), "later": self.later.map(Figures::to_json), "gave_up": self.gave_up,
        })
    }

    fn of(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let number = |key: &str| Some(value[key].as_u64()? as usize);
        Some(Record {
            network: text("network")?,
            client: text("client")?,
            about: text("about")?,
            round: number("round")?,
            visits: number("visits")?,
            first: Figures::of(&value["first"]),
            later: Figures::of(&value["later"]),
            gave_up: text("gave_up"),
        })
    }

    fn is(&self, network: &str, client: &str, round: usize) -> bool {
        (&*self.network, &*self.client, self.round) == (network, client, round)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28} {:<28} {}: ", self.network, self.client, self.round)?;
        if let Some(first) = self.first {
            write!(f, "first {:.1} ms, {} SYNs; ", first.over, first.syns)?;
        }
        match (&self.later, &self.gave_up) {
            (_, Some(why)) => write!(f, "gave up: {why}"),
            (Some(later), None) => {
                let Figures { over, syns, wasted } = later;
                write!(f, "then {over:.2} ms, {syns:.3} SYNs, {wasted:.3} wasted")
            }
            (None, None) => write!(f, "no visit more"),
        }
    }
}

/// All records, and their file.
pub struct Records {
    all: Vec<Record>,
    /// `None` for those of a test.
    path: Option<PathBuf>,
}

impl Records {
    /// Those of the tree.
    pub fn load() -> Result<Self, String> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("visits.jsonl");
        // Before the first run there is none.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let read = |line| Record::of(line).ok_or_else(|| format!("{}: no record: {line}", path.display()));
        let all = text.lines().map(read).collect::<Result<_, _>>()?;
        Ok(Records { all, path: Some(path) })
    }

    #[cfg(test)]
    pub fn of(all: Vec<Record>) -> Self {
        Records { all, path: None }
    }

    pub fn has(&self, network: &str, client: &str, round: usize) -> bool {
        self.all.iter().any(|record| record.is(network, client, round))
    }

    /// Takes one out; the file has it until another is added.
    pub fn forget(&mut self, network: &str, client: &str, round: usize) {
        self.all.retain(|record| !record.is(network, client, round));
    }

    /// Adds one, and writes the file: by another name first, so that it is whole whenever this ends.
    pub fn add(&mut self, record: Record) -> Result<(), String> {
        self.all.push(record);
        let Some(path) = &self.path else { return Ok(()) };
        let partly = path.with_extension("partly");
        let write = || {
            let mut file = std::fs::File::create(&partly)?;
            for record in &self.all {
                writeln!(file, "{}", record.to_json())?;
            }
            std::fs::rename(&partly, path)
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The runs of a client on a network.
    pub fn runs(&self, network: &str, client: &str) -> Vec<&Record> {
        self.all.iter().filter(|it| it.network == network && it.client == client).collect()
    }

    /// All clients' names, with what they are by their newest records.
    pub fn clients(&self) -> Vec<(&str, &str)> {
        let mut clients: Vec<(&str, &str)> = Vec::new();
        for record in &self.all {
            match clients.iter_mut().find(|(name, _)| *name == record.client) {
                Some((_, about)) => *about = &record.about,
                None => clients.push((&record.client, &record.about)),
            }
        }
        clients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let figures = Figures { over: 1.25, syns: 12.0, wasted: 0.5 };
        let whole = Record {
            network: "n".into(),
            client: "c".into(),
            about: "a 1".into(),
            round: 2,
            visits: 40,
            first: Some(figures),
            later: Some(figures),
            gave_up: None,
        };
        let short = Record { later: None, gave_up: Some("visit 1: \"why\"".into()), ..whole.clone() };
        for record in [whole, short] {
            assert_eq!(Record::of(&record.to_json().to_string()), Some(record));
        }
        assert_eq!(Record::of("{}"), None);
    }
}
