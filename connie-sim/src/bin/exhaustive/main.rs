//! Every reachable state of small races and of small names, searched breadth first over the real `Race` and
//! the real `Connect`, with a referee that holds it to the laws after each step.
//!
//! ```text
//! cargo run --profile search -p connie-sim --bin exhaustive             a minute's worth
//! cargo run --profile search -p connie-sim --bin exhaustive -- --large  all of it
//! cargo run --profile search -p connie-sim --bin exhaustive -- --quick  seconds, for the list of mutants
//! cargo run --profile search -p connie-sim --bin exhaustive -- --names  names alone; --races, --memories: those alone
//! cargo run --profile search -p connie-sim --bin exhaustive -- --accept more or fewer states are meant
//! ```
//!
//! How many states each setting has, and how deep they lie, is written down in `accepted.txt` for races and
//! in `accepted_names.txt` for names, and `accepted_memories.txt` for races with a memory: a search that came
//! to fewer would check less and say nothing. Where a count differs the search fails and names the setting.
//! `--accept` writes the files anew, `--unpinned` does not compare. The counts of `--quick` and `--large` are
//! not kept.
//!
//! Time is in units of 10 ms, the least delay there is. Between any two outputs anything may happen that
//! `races` and `names` tell of, or time passes by a unit as long as the race waits. Settings without a
//! deadline are watched for as long as the others run. States are the same when the machine's fingerprint and
//! what the world still has in store are the same; that is our own dozen lines, since a general model checker
//! would want the race rewritten as its model, and the point is to check the race itself.

mod memories;
mod names;
mod pins;
mod races;
mod search;
mod size;

use std::process::ExitCode;

use pins::Pins;
use search::{Job, Search, search_all};
use size::Size;

/// What is done with the counts.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    Compare,
    Accept,
    Ignore,
}

fn main() -> ExitCode {
    let (mut extent, mut counts) = (Extent::Usual, Counts::Compare);
    let (mut races, mut names, mut memories) = (true, true, true);
    for option in std::env::args().skip(1) {
        match option.as_str() {
            "--quick" => extent = Extent::Quick,
            "--large" => extent = Extent::Large,
            "--names" => (races, memories) = (false, false),
            "--races" => (names, memories) = (false, false),
            "--memories" => (races, names) = (false, false),
            "--accept" => counts = Counts::Accept,
            "--unpinned" => counts = Counts::Ignore,
            other => {
                eprintln!(
                    "exhaustive: {other:?} is not an option: give --quick, --large, --names, --races, --memories, --accept, --unpinned or nothing"
                );
                return ExitCode::from(2);
            }
        }
    }
    if !races && !names && !memories {
        eprintln!("exhaustive: --names, --races and --memories are each one kind alone: give one of them");
        return ExitCode::from(2);
    }
    if counts == Counts::Accept && extent != Extent::Usual {
        eprintln!("exhaustive: only the counts of the usual search are kept: give no --quick or --large");
        return ExitCode::from(2);
    }
    let mut jobs: Vec<Box<dyn Job>> = Vec::new();
    if races {
        jobs.extend(
            races::settings(extent.size()).into_iter().map(|setting| Box::new(setting) as Box<dyn Job>),
        );
    }
    let of_races = jobs.len();
    if names {
        jobs.extend(
            names::settings(extent.size()).into_iter().map(|setting| Box::new(setting) as Box<dyn Job>),
        );
    }
    let of_both = jobs.len();
    if memories {
        jobs.extend(extent.memories().into_iter().map(|setting| Box::new(setting) as Box<dyn Job>));
    }
    let searches = search_all(&jobs);
    let states: usize = searches.iter().map(|search| search.states).sum();
    let deepest = searches.iter().map(|search| search.depth).max().unwrap_or(0);
    println!("{} settings, {states} states, {deepest} steps deep: every law holds in each", searches.len());
    let found: Vec<String> = searches.iter().map(Search::line).collect();
    let (of_both, of_memories) = found.split_at(of_both);
    let (of_races, of_names) = of_both.split_at(of_races);
    let mut right = true;
    for (searched, pins, found) in [
        (races, Pins::RACES, of_races),
        (names, Pins::NAMES, of_names),
        (memories, Pins::MEMORIES, of_memories),
    ] {
        right &= match (extent, counts) {
            _ if !searched => true,
            (Extent::Usual, Counts::Compare) => pins.compare(found),
            (Extent::Usual, Counts::Accept) => pins.accept(found),
            _ => true,
        };
    }
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Which of the searches is made.
#[derive(Clone, Copy, PartialEq)]
enum Extent {
    Quick,
    Usual,
    Large,
}

impl Extent {
    /// Races with a memory: to two addresses, and in the large search to three in less time, since those have
    /// very many states.
    fn memories(self) -> Vec<memories::Remembering> {
        match self {
            Extent::Quick | Extent::Usual => memories::settings(self.size(), 2),
            Extent::Large => memories::settings(Size { units: 4, ..Extent::Usual.size() }, 3),
        }
    }

    fn size(self) -> Size {
        match self {
            Extent::Quick => Size { destinations: 2, sockets: 3, units: 5, special: 1, of_family: 1 },
            Extent::Usual => Size { destinations: 3, sockets: 2, units: 6, special: 2, of_family: 2 },
            Extent::Large => Size { destinations: 4, sockets: 3, units: 6, special: 3, of_family: 2 },
        }
    }
}
