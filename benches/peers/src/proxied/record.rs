//! What was measured, in `proxy.jsonl`: a line that says where and when, and a line for each run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::clients::Client;
use super::trial::Seen;
use crate::clients::said;

/// Where and when, and by which programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Circumstances {
    pub date: String,
    pub machine: String,
    pub revision: String,
    /// Which build of `connie` it was.
    pub build: String,
    /// How many processes wanted a processor in the minutes before the end.
    pub load: String,
    /// Each program's name, what it is, and how it was told of the proxy.
    pub clients: Vec<[String; 3]>,
}

/// One run of one program on one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub network: String,
    pub client: String,
    pub is_proxied: bool,
    pub round: usize,
    pub visits: Vec<Seen>,
}

/// All that is in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    pub circumstances: Circumstances,
    pub runs: Vec<Record>,
}

impl Circumstances {
    pub fn here(clients: &[Client], build: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.to_string_lossy().into_owned();
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = file("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kernel = file("/proc/sys/kernel/osrelease");
        let kernel = kernel.split('-').next().unwrap_or_default().trim();
        let date = said(Path::new("date"), &["-u", "+%Y-%m-%d"]).unwrap_or_default();
        let revision = said(Path::new("git"), &["-C", &root, "rev-parse", "--short=8", "HEAD"]);
        let load = file("/proc/loadavg").split(' ').nth(1).unwrap_or_default().to_owned();
        let three = |client: &Client| [client.name.to_owned(), client.about.clone(), client.told.clone()];
        Circumstances {
            date,
            machine: format!("{}, {cores} cores, Linux {kernel}", cpu.map_or("", |(_, name)| name)),
            revision: revision.unwrap_or_default(),
            build: build.to_owned(),
            load,
            clients: clients.iter().map(three).collect(),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "date": self.date, "machine": self.machine, "revision": self.revision, "build": self.build, "load": self.load, "clients": self.clients })
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let client = |value: &Value| {
            let word = |index: usize| value[index].as_str().map(str::to_owned);
            Some([word(0)?, word(1)?, word(2)?])
        };
        Some(Circumstances {
            date: text("date")?,
            machine: text("machine")?,
            revision: text("revision")?,
            build: text("build")?,
            load: text("load")?,
            clients: value["clients"].as_array()?.iter().map(client).collect::<Option<_>>()?,
        })
    }
}

impl Record {
    fn to_json(&self) -> Value {
        let rounded = |number: f64| (number * 100.0).round() / 100.0;
        let visit =
            |seen: &Seen| json!([seen.time.map(rounded), seen.race.map(rounded), seen.syns, seen.asked]);
        let visits: Vec<Value> = self.visits.iter().map(visit).collect();
        json!({ "network": self.network, "client": self.client, "proxied": self.is_proxied, "round": self.round, "visits": visits })
    }

    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let number = |value: &Value| Some(value.as_u64()? as usize);
        let visit = |value: &Value| {
            let (time, race) = (value[0].as_f64(), value[1].as_f64());
            Some(Seen { time, race, syns: number(&value[2])?, asked: number(&value[3])? })
        };
        Some(Record {
            network: text("network")?,
            client: text("client")?,
            is_proxied: value["proxied"].as_bool()?,
            round: number(&value["round"])?,
            visits: value["visits"].as_array()?.iter().map(visit).collect::<Option<_>>()?,
        })
    }
}

impl Records {
    fn path() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proxy.jsonl")
    }

    /// Those of the tree.
    pub fn load() -> Result<Self, String> {
        let path = Self::path();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::of(&text).ok_or_else(|| format!("{}: a line that is no record", path.display()))
    }

    pub fn of(text: &str) -> Option<Self> {
        let mut values = text.lines().map(|line| serde_json::from_str::<Value>(line).ok());
        let circumstances = Circumstances::of(&values.next()??)?;
        let runs = values.map(|value| Record::of(&value?)).collect::<Option<_>>()?;
        Some(Records { circumstances, runs })
    }

    pub fn text(&self) -> String {
        let lines = [self.circumstances.to_json()].into_iter().chain(self.runs.iter().map(Record::to_json));
        lines.map(|line| line.to_string() + "\n").collect()
    }

    pub fn write(&self) -> Result<(), String> {
        let path = Self::path();
        std::fs::write(&path, self.text())
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// What visit number `visit`, counted from 0, took in each run.
    pub fn seen(&self, network: &str, client: &str, is_proxied: bool, visit: usize) -> Vec<Seen> {
        let is_wanted =
            |run: &&Record| (&*run.network, &*run.client, run.is_proxied) == (network, client, is_proxied);
        self.runs.iter().filter(is_wanted).filter_map(|run| run.visits.get(visit).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let clients = vec![["a", "b 1", "--c"].map(str::to_owned)];
        let [date, machine, revision, build, load] =
            ["2026-01-02", "m", "0123", "b", "0.5"].map(str::to_owned);
        let circumstances = Circumstances { date, machine, revision, build, load, clients };
        let seen = Seen { time: Some(71.25), race: Some(40.5), syns: 12, asked: 1 };
        let run = Record {
            network: "n".to_owned(),
            client: "a".to_owned(),
            is_proxied: true,
            round: 1,
            visits: vec![seen, Seen { time: None, race: None, syns: 1, asked: 0 }],
        };
        let records = Records { circumstances, runs: vec![run] };
        assert_eq!(Records::of(&records.text()), Some(records.clone()));
        assert_eq!(records.seen("n", "a", true, 0), [seen]);
        assert_eq!(records.seen("n", "a", false, 0), []);
        assert_eq!(Records::of("{}\n"), None);
    }
}
