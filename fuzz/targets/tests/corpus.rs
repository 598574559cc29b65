//! Every file of the corpus, through the functions that the fuzzers run.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use connie_fuzz_targets::{TARGETS, Target};
use connie_sim::{Rng, seeds};

/// Fewer files than this, and somebody has lost the corpus.
const AT_LEAST: usize = 20;

/// The files of a target's corpus, in the order of their names.
fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[track_caller]
fn replay(name: &str) {
    let (_, target): (_, Target) = *TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let files = corpus(name);
    assert!(files.len() >= AT_LEAST, "{name} has a corpus of {} files", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if catch_unwind(|| target(&bytes)).is_err() {
            panic!("{} breaks the target {name}", file.display());
        }
    }
}

#[test]
fn chunked() {
    replay("chunked");
}

#[test]
fn connect() {
    replay("connect");
}

#[test]
fn connection() {
    replay("connection");
}

#[test]
fn dns_client() {
    replay("dns_client");
}

#[test]
fn dns_lookups() {
    replay("dns_lookups");
}

#[test]
fn memory() {
    replay("memory");
}

#[test]
fn memory_bytes() {
    replay("memory_bytes");
}

#[test]
fn proxy_request() {
    replay("proxy_request");
}

#[test]
fn proxy_socks5() {
    replay("proxy_socks5");
}

#[test]
fn race() {
    replay("race");
}

#[test]
fn response_head() {
    replay("response_head");
}

#[test]
fn url() {
    replay("url");
}

#[test]
fn bytes_of_one_kind_break_nothing() {
    for (_, target) in TARGETS {
        for byte in 0..=255 {
            for length in [0, 1, 2, 3, 5, 8, 64, 1_000] {
                target(&vec![byte; length]);
            }
        }
    }
}

#[test]
fn bytes_at_random_break_nothing() {
    seeds(100, |seed| {
        for (_, target) in TARGETS {
            let mut rng = Rng::new(seed);
            let length = rng.below(400);
            target(&(0..length).map(|_| rng.bits() as u8).collect::<Vec<_>>());
        }
    });
}

/// Lives that are long enough for tables that are full, pauses that end and addresses that are explored.
#[test]
fn long_lives_of_memories_break_nothing() {
    seeds(40, |seed| {
        for target in [connie_fuzz_targets::memory, connie_fuzz_targets::memory_bytes] {
            let mut rng = Rng::new(seed);
            target(&(0..3_000).map(|_| rng.bits() as u8).collect::<Vec<_>>());
        }
    });
}
