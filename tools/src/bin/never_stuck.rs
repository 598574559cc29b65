//! How long races take with fewer sockets than addresses.
//!
//! ```text
//! cargo run --release -p connie-tools --bin never_stuck
//!     writes the tables of docs/never-stuck.md and docs/never-stuck.svg; --networks N for other than 20,000 a number
//! cargo run --profile search -p connie-tools --bin never_stuck -- --check
//!     holds 100,000 random networks to the law, or as many as follow; CONNIE_SEED=N runs that one alone
//! ```

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use connie_tools::never_stuck::{Survey, Trial, Verdict, numbers, picture};

const USAGE: &str = "usage: never_stuck [--networks N] | never_stuck --check [N]";
const BEGIN: &str = "<!-- measured: from here to the end mark, written by never_stuck -->\n";
const END: &str = "<!-- end of what is measured -->";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let count = |text: &str| text.parse::<u64>().ok().filter(|count| *count > 0);
    let result = match given[..] {
        [] => write(20_000),
        ["--networks", networks] => count(networks).ok_or(USAGE.to_string()).and_then(write),
        ["--check"] => check(100_000),
        ["--check", trials] => count(trials).ok_or(USAGE.to_string()).and_then(check),
        _ => Err(USAGE.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("never_stuck: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and puts what comes of it into the documentation.
fn write(networks: u64) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let (text, image) = (docs.join("never-stuck.md"), docs.join("never-stuck.svg"));
    let page = fs::read_to_string(&text).map_err(|error| failed(&text, &error))?;
    let (before, rest) = page.split_once(BEGIN).ok_or(format!("{} lacks {BEGIN}", text.display()))?;
    let (_, after) = rest.split_once(END).ok_or(format!("{} lacks {END}", text.display()))?;
    let survey = Survey::run(networks);
    let measured = numbers(&survey);
    let page = format!("{before}{BEGIN}\n{measured}\n{END}{after}");
    fs::write(&text, page).map_err(|error| failed(&text, &error))?;
    fs::write(&image, picture(&survey)).map_err(|error| failed(&image, &error))?;
    print!("{measured}");
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Holds `trials` random networks to the law.
fn check(trials: u64) -> Result<(), String> {
    if !cfg!(debug_assertions) {
        eprintln!("never_stuck: the race's own assertions are compiled out; --profile search has them");
    }
    if let Ok(seed) = std::env::var("CONNIE_SEED") {
        let seed =
            seed.trim().parse().map_err(|_| format!("CONNIE_SEED must be a whole number, not {seed:?}"))?;
        println!("{:#?}", Trial::draw(seed).check());
        return Ok(());
    }
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let work = || scope.spawn(|| share(&next, trials));
        let running: Vec<_> = (0..workers).map(|_| work()).collect();
        running
            .into_iter()
            .map(|worker| worker.join().expect("a worker catches its panics"))
            .collect::<Vec<_>>()
    });
    let mut sum = Tally::default();
    for part in parts {
        sum.add(part?);
    }
    sum.tell();
    Ok(())
}

/// Takes seeds until none is left, or until one breaks a law.
fn share(next: &AtomicU64, trials: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= trials {
            return Ok(tally);
        }
        match catch_unwind(AssertUnwindSafe(|| Trial::draw(seed).check())) {
            Ok(verdict) => tally.count(&verdict),
            Err(_) => {
                next.store(trials, Ordering::Relaxed);
                return Err(format!("a law is broken; CONNIE_SEED={seed} replays it"));
            }
        }
    }
}

/// What many trials came to.
#[derive(Default)]
struct Tally {
    networks: u64,
    /// Those in which addresses had to wait for a socket and one was alive.
    bound: u64,
    /// Those of them that took exactly as long as they may.
    attained: u64,
    lost: u64,
    /// The greatest time, as a share of the bound.
    tightest: f64,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.networks += 1;
        self.lost += u64::from(verdict.took.is_none());
        if let (Some(took), Some(bound), true) = (verdict.took, verdict.bound, verdict.n > verdict.k) {
            self.bound += 1;
            self.attained += u64::from(took == bound);
            self.tightest = self.tightest.max(took.as_secs_f64() / bound.as_secs_f64());
        }
    }

    fn add(&mut self, other: Tally) {
        self.networks += other.networks;
        self.bound += other.bound;
        self.attained += other.attained;
        self.lost += other.lost;
        self.tightest = self.tightest.max(other.tightest);
    }

    fn tell(&self) {
        let Tally { networks, bound, attained, lost, tightest } = self;
        println!("{networks} networks: the law holds on each");
        println!(
            "{bound} had fewer sockets than addresses and one alive; {attained} took all the time they may"
        );
        println!("the longest took {tightest:.4} of its bound; {lost} were dead or lost too many SYNs");
    }
}
