//! What an adapter did with a name, in one line; and how that is held against the committed logs.

pub mod asynchronous;
pub mod component;
pub mod file;
pub mod guest;
pub mod os;
pub mod sim;
pub mod sniffer;
pub mod stage;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use connie_core::{Failure, Timeline};
use connie_tests::clock::timed;
use connie_tests::lab::ms;
use connie_tests::names_table::{NAMES, Name};

use crate::kernel_support::machine;

/// How late the machine may be before a log that differs is not believed.
const LATE: Duration = ms(20);
/// How often a name is run on a busy machine.
const TRIES: usize = 5;

/// An adapter, as the logs name it. In the order of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Adapter {
    /// `connie_std::connect`.
    Std,
    /// The same with the system's resolver.
    System,
    /// `connie_std::tokio_net`.
    Tokio,
    /// `connie_async`, by `connect`.
    Async,
    /// `connie_async`, by the two calls of embedded-nal-async.
    TwoCalls,
    /// `connie_smoltcp`.
    Smoltcp,
    /// `connie_wasi`.
    Wasi,
    /// `connie_sim`.
    Sim,
}

impl Adapter {
    pub const ALL: [Adapter; 8] = [
        Adapter::Std,
        Adapter::System,
        Adapter::Tokio,
        Adapter::Async,
        Adapter::TwoCalls,
        Adapter::Smoltcp,
        Adapter::Wasi,
        Adapter::Sim,
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Adapter::Std => "std",
            Adapter::System => "system",
            Adapter::Tokio => "tokio",
            Adapter::Async => "async",
            Adapter::TwoCalls => "two-calls",
            Adapter::Smoltcp => "smoltcp",
            Adapter::Wasi => "wasi",
            Adapter::Sim => "sim",
        }
    }

    /// Whether it asks a name server itself, and so has the order of the queries in hand. The C library asks
    /// for the others, in an order of its own, or by chance.
    pub const fn orders_queries(self) -> bool {
        !matches!(self, Adapter::System | Adapter::Wasi)
    }

    /// The line that is expected of all, as this adapter can show it.
    pub fn view(self, name: &Name, line: &str) -> String {
        let Some((asked, rest)) = line.split_once("] ").filter(|_| !self.orders_queries()) else {
            return line.to_owned();
        };
        let rest = match rest.split_once(" -> ") {
            // Two threads ask, and this name's race begins with whichever answer is there.
            Some((syns, ended)) if self == Adapter::System && name.label == "both-at-once" => {
                format!("{{{}}} -> {ended}", sorted(syns, ", "))
            }
            _ => rest.to_owned(),
        };
        format!("{{{}}} {rest}", sorted(asked.trim_start_matches('['), " "))
    }

    /// Why it does something else with `name` than is expected of all.
    pub fn reason(self, name: &Name) -> Option<&'static str> {
        match self {
            Adapter::Std | Adapter::System | Adapter::Tokio => None,
            Adapter::Async | Adapter::TwoCalls => asynchronous::reason(name),
            Adapter::Smoltcp => guest::reason(name),
            Adapter::Wasi => component::reason(name),
            Adapter::Sim => sim::reason(name),
        }
    }
}

fn sorted(list: &str, apart: &str) -> String {
    let mut parts: Vec<_> = list.split(apart).collect();
    parts.sort_unstable();
    parts.join(apart)
}

/// How a race ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Won(IpAddr),
    /// With this kind of error.
    Lost(String),
}

/// What an adapter did with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What the name server was asked, in the order of the first queries; `prefix` is the one for a NAT64's.
    pub asked: Vec<String>,
    /// The addresses in the order of their first SYNs, one for each attempt.
    pub syns: Vec<IpAddr>,
    pub ended: Ended,
}

impl Log {
    /// As one line.
    fn line(self) -> String {
        let asked = self.asked.join(" ");
        let syns = self.syns.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        let syns = if syns.is_empty() { "no SYN".to_owned() } else { syns };
        let ended = match self.ended {
            Ended::Won(winner) => winner.to_string(),
            Ended::Lost(why) => why,
        };
        format!("[{asked}] {syns} -> {ended}")
    }
}

/// A race that was lost, in the race's own words: where every address has failed, all the ways in which they
/// have, in the order of the alphabet.
pub fn lost(failure: Failure, timeline: &Timeline<'_>) -> String {
    match failure {
        Failure::NoDestinations => "no address".to_owned(),
        Failure::DeadlineExceeded => "timed out".to_owned(),
        Failure::AllAttemptsFailed => {
            let errors = timeline.destinations().filter_map(|destination| destination.error());
            let names: BTreeSet<_> = errors.map(|error| error.name().replace('_', " ")).collect();
            names.into_iter().collect::<Vec<_>>().join(" + ")
        }
        other => format!("{other:?}"),
    }
}

/// Runs one name.
type Run<'r> = dyn Fn(&'static Name) -> Log + Sync + 'r;

/// Runs every name, `lanes` at a time, and holds the logs against the committed ones, or has them committed.
///
/// # Panics
/// With all logs that differ.
#[track_caller]
pub fn hold(adapter: Adapter, lanes: usize, run: &Run<'_>) {
    machine::watch();
    let (next, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let committed = file::Logs::read();
    thread::scope(|scope| {
        let lane = || {
            while let Some(name) = NAMES.get(next.fetch_add(1, Ordering::Relaxed)) {
                let expected = committed.line(name, adapter);
                let line = settled(expected.as_deref(), &|| adapter.view(name, &run(name).line()));
                seen.lock().expect("no lane has panicked").push((name, line));
            }
        };
        (0..lanes).for_each(|_| drop(scope.spawn(lane)));
    });
    let mut lines: Vec<(&Name, String)> = seen.into_inner().expect("no lane has panicked");
    lines.sort_by_key(|(name, _)| name.number);
    if file::accepts() {
        return file::Logs::rewrite(adapter, &lines);
    }
    let differ = lines.iter().filter_map(|(name, line)| {
        let expected = committed.line(name, adapter).unwrap_or_else(|| "nothing".to_owned());
        let Name { number, label, .. } = name;
        (*line != expected)
            .then(|| format!("{number:02} {label}\n    committed: {expected}\n    seen:      {line}\n"))
    });
    let differ: String = differ.collect();
    assert!(
        differ.is_empty(),
        "{} does not do what it did:\n{differ}{}",
        adapter.label(),
        file::HOW_TO_ACCEPT
    );
}

/// What `run` sees, again while that differs from what is expected and the machine was late meanwhile. Where
/// it is to be committed, what it sees twice in a row.
#[track_caller]
fn settled(expected: Option<&str>, run: &dyn Fn() -> String) -> String {
    let mut last = None;
    for _ in 0..TRIES {
        let (line, took) = timed(run);
        let done = match file::accepts() {
            true => last.as_ref() == Some(&line),
            false => expected == Some(&*line) || machine::lateness(took + ms(100)) < LATE,
        };
        if done {
            return line;
        }
        last = Some(line);
    }
    assert!(!file::accepts(), "not the same twice in {TRIES} runs, and not to be committed: {last:?}");
    last.unwrap_or_default()
}
