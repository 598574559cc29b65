//! `connie bench`: connie beside Happy Eyeballs, a plain client and one that takes any address, on the user's
//! own hosts or on the simulated internet.

mod plot;
mod progress;
mod report;
mod simulated;
mod statistics;
mod trial;
mod waste;
mod written;

use std::path::PathBuf;
use std::time::Duration;

use connie_core::{Families, Family};
use connie_sim::Rng;
use connie_std::{AddressFilter, Memory, Options, OsClock};
use connie_web::{Scheme, Url};

use crate::advice;
use crate::args::{Bench, Contender, Mode};
use crate::error::Error;
use crate::exit_code;
use crate::memory;
use crate::output::{Stdout, is_stdout, print, write_file};
use crate::terminal;
use plot::Plot;
use progress::Progress;
use report::BenchReport;
use trial::{Site, Trial, TrialOptions, look_up};

/// The most rounds that servers of others are asked to bear.
const MAX_ROUNDS: u32 = 50;
/// The least pause that they are left.
const MIN_PAUSE: Duration = Duration::from_millis(100);

pub fn run(args: &Bench) -> Result<(), Error> {
    let stdout = args.stdout()?;
    args.check_visits()?;
    let report = if args.sim { simulated::simulate(args) } else { measure(args)? };
    if let Some(path) = &args.csv {
        write_file(path, report.csv())?;
    }
    if let Some(path) = &args.svg {
        write_file(path, Plot(&report))?;
    }
    if args.json {
        print(format_args!("{}\n", report.json()))?;
    } else if stdout == Stdout::Free {
        print(report.table(terminal::width(&std::io::stdout())))?;
    }
    if report.trials.iter().all(|trial| trial.result.is_err()) {
        return Err(Error::new(exit_code::CONNECT, "every trial failed; the report says why"));
    }
    Ok(())
}

impl Bench {
    /// Whether an option asks for stdout.
    fn stdout(&self) -> Result<Stdout, Error> {
        let there = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdout);
        Stdout::of(&[(self.json, "--json"), (there(&self.csv), "--csv -"), (there(&self.svg), "--svg -")])
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Result<connie_std::TlsConnector, Error> {
        let options = connie_std::TlsOptions::new().ca_files(&self.cacert);
        Ok(connie_std::TlsConnector::new(&options)?)
    }

    /// Refuses what only visits have.
    fn check_visits(&self) -> Result<(), Error> {
        let refused = match self.visits {
            Some(_) => false,
            None => self.memory.is_some() || self.contenders.contains(&Contender::NoMemory),
        };
        if refused {
            let line =
                "without --visits no contender has a memory: give --visits N, or drop --memory and no-memory";
            return Err(Error::usage(line));
        }
        Ok(())
    }

    /// Refuses what other people's servers should not have to bear.
    fn check_manners(&self) -> Result<(), Error> {
        if self.force {
            return Ok(());
        }
        if self.visits.is_some() && self.connections() > MAX_ROUNDS.into() {
            return Err(Error::usage(format!(
                "more than {MAX_ROUNDS} visits in all rounds burden other people's servers: give fewer, or --force if the servers are yours"
            )));
        }
        if self.rounds() > MAX_ROUNDS {
            return Err(Error::usage(format!(
                "more than {MAX_ROUNDS} rounds burden other people's servers: give fewer, or --force if the servers are yours"
            )));
        }
        if self.pause() < MIN_PAUSE {
            return Err(Error::usage(
                "a pause under 100 ms burdens other people's servers: give more, or --force if the servers are yours",
            ));
        }
        Ok(())
    }

    fn report(&self, sites: Vec<(String, String)>, trials: Vec<Trial>) -> BenchReport {
        let measures = match (self.mode, self.dns) {
            (Mode::Connect, false) => "time to connect",
            (Mode::Connect, true) => "time to resolve and connect",
            (Mode::Get, false) => "time to the last byte",
            (Mode::Get, true) => "time to resolve, connect and receive the last byte",
        };
        BenchReport {
            measures,
            limit: self.limit(),
            rounds: self.rounds(),
            visits: self.visits,
            seed: self.seed,
            contenders: self.contenders(),
            sites,
            trials,
        }
    }
}

/// All trials of one round, in random order.
fn shuffled(sites: usize, contenders: &[Contender], rng: &mut Rng) -> Vec<(usize, Contender)> {
    let pairs = (0..sites).flat_map(|site| contenders.iter().map(move |contender| (site, *contender)));
    let mut order: Vec<_> = pairs.collect();
    for place in (1..order.len()).rev() {
        order.swap(place, rng.below(place as u64 + 1) as usize);
    }
    order
}

fn measure(args: &Bench) -> Result<BenchReport, Error> {
    args.check_manners()?;
    let memory = args.memory.as_deref().map(memory::load).transpose()?;
    let families = match (args.ipv4, args.ipv6) {
        (true, _) => Families::Only(Family::V4),
        (_, true) => Families::Only(Family::V6),
        _ => Families::Both,
    };
    let mut options = Options::new().overrides(args.resolve.clone());
    if args.deny_private {
        options.filter = AddressFilter::public_only();
    }
    options.race.families = families;
    let sites = args.urls.iter().map(|url| site(url, &options, args)).collect::<Result<Vec<_>, _>>()?;
    let fetches_https = args.mode == Mode::Get && sites.iter().any(|site| site.scheme == Scheme::Https);
    let rules = TrialOptions {
        mode: args.mode,
        limit: args.limit(),
        max_in_flight: args.max_in_flight as usize,
        options,
        #[cfg(feature = "tls")]
        tls: if fetches_https { Some(args.tls()?) } else { None },
    };
    if fetches_https && !cfg!(feature = "tls") {
        return Err(Error::usage(
            "https needs TLS, which is not in this build: measure it with --mode connect",
        ));
    }
    let mut trials = run_rounds(args, &sites, &rules, memory.as_ref());
    if args.visits.is_some() {
        waste::count(&mut trials, args.limit());
    }
    if let (Some(path), Some(memory)) = (&args.memory, memory) {
        memory.save(path).map_err(|error| Error::write(path.display(), &error))?;
    }
    let described = sites.iter().zip(&args.urls).map(|(site, url)| (url.clone(), about(site)));
    Ok(args.report(described.collect(), trials))
}

fn site(url: &str, options: &Options, args: &Bench) -> Result<Site, Error> {
    let url = Url::parse(url)?;
    let addresses = if args.dns {
        None
    } else {
        let found = look_up(&url.host, url.port, options).map_err(|error| unresolved(&url.host, &error))?;
        if found.is_empty() && args.deny_private {
            let line = format!("no address of {} is public: --deny-private refuses all others", url.host);
            return Err(Error::new(exit_code::CONNECT, line));
        }
        if found.is_empty() {
            let line = format!("no address of {} to connect to; {}", url.host, advice::NO_ADDRESS);
            return Err(Error::new(exit_code::RESOLVE, line));
        }
        Some(found)
    };
    Ok(Site { scheme: url.scheme, host: url.host, port: url.port, target: url.target, addresses })
}

fn unresolved(host: &str, error: &std::io::Error) -> Error {
    let advice = "check the name, or give its addresses with --resolve";
    Error::new(exit_code::RESOLVE, format!("could not resolve {host} ({error}); {advice}"))
}

fn about(site: &Site) -> String {
    match site.addresses.as_ref().map(Vec::len) {
        None => format!("port {}, looked up each time", site.port),
        Some(1) => format!("port {}, 1 address", site.port),
        Some(count) => format!("port {}, {count} addresses", site.port),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program leaves other people's servers alone between rounds"
)]
fn run_rounds(args: &Bench, sites: &[Site], rules: &TrialOptions, memory: Option<&Memory>) -> Vec<Trial> {
    let contenders = args.contenders();
    let mut rng = Rng::new(args.seed);
    let total = args.connections() as usize * sites.len() * contenders.len();
    let mut progress = Progress::new(!args.silent, total, OsClock::start());
    let mut trials = Vec::with_capacity(total);
    for round in 0..args.rounds() {
        // A process of its own has a memory of its own.
        let fresh = || args.visits.map(|_| Memory::new());
        let memory = memory.cloned().or_else(fresh);
        for visit in 0..args.visits.unwrap_or(1) {
            if round > 0 || visit > 0 {
                std::thread::sleep(args.pause());
            }
            for (place, contender) in shuffled(sites.len(), &contenders, &mut rng) {
                let trial = trial::run(contender, &sites[place], rules, memory.as_ref(), &mut rng);
                trials.push(Trial { site: place, round, visit, ..trial });
                progress.step();
            }
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_every_trial_once_and_each_round_an_order_of_its_own() {
        let mut rng = Rng::new(1);
        let (one, other) = (shuffled(3, &Contender::ALL, &mut rng), shuffled(3, &Contender::ALL, &mut rng));
        for order in [&one, &other] {
            assert_eq!(order.len(), 15);
            assert!((0..3).all(|site| Contender::ALL.iter().all(|name| order.contains(&(site, *name)))));
        }
        assert_ne!(one, other);
    }

    #[test]
    fn every_place_of_a_round_is_as_likely() {
        let mut rng = Rng::new(2);
        let first = (0..4_000).filter(|_| shuffled(1, &Contender::ALL, &mut rng)[0].1 == Contender::Plain);
        let first = first.count();
        assert!((720..880).contains(&first), "{first} of 4,000");
    }
}
