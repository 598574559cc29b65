//! What the race does, pinned: 10,000 scenarios and the project's list of cases, each as a hash of all that
//! the race is told and answers.
//!
//! ```text
//! cargo run -q -p connie-sim --bin traces                  whether every hash is the one that was accepted
//! cargo run -q -p connie-sim --bin traces -- show 17       a scenario in words; `show case-16b` a case
//! cargo run -q -p connie-sim --bin traces -- kinds         how many scenarios have each kind of event
//! cargo run -q -p connie-sim --bin traces -- --accept      what the race does now is what it shall do
//! ```
//!
//! The scenarios derive from their seeds by `plan.rs`, which no other test shares; `play.rs` is the world
//! around the bare race. A line of the files in `tests/traces` has two hashes: of the inputs and outputs, and
//! of the timeline that the race leaves. Both are over words that `connie_sim::words` writes out, so that a
//! moved module or another layout changes none.

mod cases;
mod kept;
mod plan;
mod play;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use connie_sim::words;

use cases::{Case, cases};
use kept::{Kept, TraceLine};
use plan::TracePlan;
use play::{Trace, play};

const SCENARIOS: u64 = 10_000;
const KEPT_SCENARIOS: Kept = Kept { file: "scenarios.txt", what: "scenario" };
const KEPT_CASES: Kept = Kept { file: "cases.txt", what: "case" };

/// Every kind of event, and how many of the scenarios have it at the least.
const KINDS: &[(&str, usize)] = &[
    ("1 socket", 1_400),
    ("2 sockets", 530),
    ("3 sockets", 540),
    ("4 sockets", 530),
    ("5 sockets", 120),
    ("6 sockets", 120),
    ("7 sockets", 90),
    ("8 sockets", 110),
    ("9 sockets", 100),
    ("10 sockets", 110),
    ("11 sockets", 120),
    ("12 sockets", 120),
    ("13 sockets", 90),
    ("14 sockets", 100),
    ("15 sockets", 110),
    ("16 sockets", 1_000),
    ("64 addresses", 250),
    ("a cancel", 290),
    ("a clock that runs backwards", 100),
    ("a deadline", 2_600),
    ("a failure of TLS", 610),
    ("a family that the stack does not have", 490),
    ("a hedge", 410),
    ("a late answer", 3_200),
    ("a list of addresses", 910),
    ("a look-up that fails", 790),
    ("a loser canceled", 1_400),
    ("a program that wakes for nothing", 1_200),
    ("a program that wakes late", 590),
    ("a result that comes too late", 100),
    ("all attempts failed", 1_000),
    ("AllAtOnce", 2_300),
    ("an address taken back", 540),
    ("an address that joins", 460),
    ("an answer", 4_000),
    ("an attempt that used up its time", 830),
    ("an attempt time-out", 1_200),
    ("an empty answer", 2_700),
    ("an eviction", 760),
    ("another attempt on an address", 780),
    ("another error", 600),
    ("another family preferred", 290),
    ("canceled", 290),
    ("cut", 0),
    ("deadline exceeded", 670),
    ("established", 2_700),
    ("hints", 1_600),
    ("inputs within a drain", 1_200),
    ("left waiting", 150),
    ("limit_to", 280),
    ("more addresses than there is room for", 230),
    ("more attempts than the record holds", 170),
    ("no address", 240),
    ("no destinations", 970),
    ("no end", 150),
    ("OneByOne", 1_100),
    ("out of sockets", 280),
    ("refused", 1_400),
    ("reset", 600),
    ("stack gone", 130),
    ("Staggered", 1_200),
    ("Staggered with a delay that grows", 1_200),
    ("the stack gone", 130),
    ("timed out", 470),
    ("two results at the same moment", 100),
    ("unreachable", 1_400),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--accept"] => accept(),
        ["kinds"] => {
            let (_, kinds) = scenarios();
            kinds.iter().for_each(|(kind, count)| println!("{count:6} {kind}"));
            ExitCode::SUCCESS
        }
        ["show", which] => show(which),
        _ => {
            eprintln!(
                "traces: give nothing, --accept, kinds, or show and the number of a scenario or a case"
            );
            ExitCode::from(2)
        }
    }
}

/// How often each kind of event happens.
type Kinds = BTreeMap<&'static str, usize>;

/// The hashes of all scenarios, played on all cores, and what happened in them.
fn scenarios() -> (Vec<TraceLine>, Kinds) {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let share = SCENARIOS.div_ceil(cores);
    let play_some = |core: u64| {
        let mut kinds = Kinds::new();
        let seeds = core * share..((core + 1) * share).min(SCENARIOS);
        let lines = seeds.map(|seed| {
            let _named = Named(seed);
            let trace = play(&plan::drawn(seed));
            trace.kinds.iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
            line(seed.to_string(), &trace)
        });
        (lines.collect::<Vec<_>>(), kinds)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|core| scope.spawn(move || play_some(core))).collect();
        // A race that broke a law of its own has said so; its panic is this program's.
        workers
            .into_iter()
            .map(|worker| worker.join().expect("every scenario is played to its end"))
            .collect()
    });
    let (mut lines, mut kinds) = (Vec::new(), Kinds::new());
    for (some, of_some) in parts {
        lines.extend(some);
        of_some.into_iter().for_each(|(kind, count)| *kinds.entry(kind).or_default() += count);
    }
    (lines, kinds)
}

/// Says in which scenario a race has panicked.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in scenario {}", self.0);
        }
    }
}

fn line(name: String, trace: &Trace) -> TraceLine {
    TraceLine { name, trace: words::hash(&trace.lines), timeline: words::hash(&trace.timeline) }
}

/// The hashes of the cases, and what they should come to and do not.
fn case_lines() -> (Vec<TraceLine>, Vec<String>) {
    let mut wrong = Vec::new();
    let mut lines = Vec::new();
    for case in cases() {
        let trace = play(&case.plan);
        wrong.extend(case.check(&trace).err());
        lines.push(line(name(&case), &trace));
    }
    (lines, wrong)
}

fn name(case: &Case) -> String {
    format!("case-{}", case.name.replace(' ', "-"))
}

fn compare() -> ExitCode {
    let ((scenarios, kinds), (cases, wrong)) = (scenarios(), case_lines());
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    let rare = rare(&kinds);
    rare.iter().for_each(|rare| println!("{rare}"));
    let differ = KEPT_CASES.compare(&cases).and_then(|some| Ok(some + KEPT_SCENARIOS.compare(&scenarios)?));
    let differ = match differ {
        Ok(differ) => differ,
        Err(error) => {
            println!(
                "traces: the committed hashes cannot be read ({error}): git checkout connie-sim/tests/traces"
            );
            return ExitCode::FAILURE;
        }
    };
    if differ > 0 {
        println!("{HOW_TO_GO_ON}");
    }
    if differ + rare.len() + wrong.len() > 0 {
        return ExitCode::FAILURE;
    }
    println!("{} scenarios and {} cases: the race does what was accepted", scenarios.len(), cases.len());
    ExitCode::SUCCESS
}

/// The kinds of events that too few scenarios have, and those that nobody knows.
fn rare(kinds: &Kinds) -> Vec<String> {
    let count = |kind| kinds.get(kind).copied().unwrap_or(0);
    let few = KINDS.iter().filter(|(kind, least)| count(kind) < *least);
    let few = few.map(|(kind, least)| format!("{kind}: {} scenarios, and {least} are wanted", count(kind)));
    let new = kinds.keys().filter(|kind| KINDS.iter().all(|(known, _)| known != *kind));
    few.chain(new.map(|kind| format!("{kind}: has no place in KINDS of traces/main.rs"))).collect()
}

const HOW_TO_GO_ON: &str = "\
The race does something else than was accepted. First is the hash of its inputs and outputs, then that of its timeline.
  One trace in words:   cargo run -q -p connie-sim --bin traces -- show NUMBER > after
  To compare:           the same > before, in a checkout without the change (git worktree add); diff before after
  If it is meant:       cargo run -q -p connie-sim --bin traces -- --accept, in a commit of its own that says why";

fn accept() -> ExitCode {
    let ((scenarios, _), (cases, wrong)) = (scenarios(), case_lines());
    if !wrong.is_empty() {
        wrong.iter().for_each(|wrong| println!("{wrong}"));
        println!("traces: a case comes to something else than it has to: mend the race, or cases.rs");
        return ExitCode::FAILURE;
    }
    match KEPT_SCENARIOS.accept(&scenarios).and_then(|()| KEPT_CASES.accept(&cases)) {
        Ok(()) => {
            println!(
                "wrote {} scenarios and {} cases: commit them with the reason",
                scenarios.len(),
                cases.len()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("traces: the hashes cannot be written ({error})");
            ExitCode::FAILURE
        }
    }
}

fn show(which: &str) -> ExitCode {
    let case = cases().into_iter().find(|case| name(case) == which);
    let plan = match (case, which.parse::<u64>()) {
        (Some(case), _) => case.plan,
        (None, Ok(seed)) => plan::drawn(seed),
        (None, Err(_)) => {
            let known: Vec<String> = cases().iter().map(name).collect();
            println!("traces: {which:?} is neither a number nor one of {}", known.join(" "));
            return ExitCode::from(2);
        }
    };
    // Whoever reads may have closed the pipe.
    let _ = std::io::stdout().write_all(in_words(which, &plan, &play(&plan)).as_bytes());
    ExitCode::SUCCESS
}

fn in_words(which: &str, plan: &TracePlan, trace: &Trace) -> String {
    let hosts = plan.hosts.iter();
    let mut lines: Vec<String> =
        hosts.map(|host| format!("{} does {:?}", words::address(host.address), host.attempts)).collect();
    lines.push(format!("{:?}, wakes {:?}", plan.stack, plan.wakes));
    lines
        .push("\nmicroseconds, < what the race is told, > what it answers (its limit of sockets)".to_owned());
    lines.extend(trace.lines.iter().cloned());
    lines.push("\nthe timeline that it leaves".to_owned());
    lines.extend(trace.timeline.iter().cloned());
    let line = line(which.to_owned(), trace);
    lines.push(format!("\nhash {:08x}, of the timeline {:08x}\n", line.trace, line.timeline));
    lines.join("\n")
}
