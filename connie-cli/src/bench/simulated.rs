//! The bench on the simulated internet, in virtual time.

use std::time::Duration;

use connie_core::timeline::Attempt;
use connie_sim::sites::{self, Client, Site};
use connie_sim::{Ending, Visit};

use super::report::Report;
use super::trial::Trial;
use crate::args::{Bench, Contender};

pub fn simulate(args: &Bench) -> Report {
    let sites = sites::all();
    let mut trials = Vec::new();
    for (place, site) in sites.iter().enumerate() {
        for round in 0..args.rounds() {
            // In one round all meet the same weather.
            let seed = args.seed.wrapping_add(u64::from(round).wrapping_mul(0x9e37_79b9));
            for contender in args.contenders() {
                let client =
                    contender.race(args.max_sockets as usize).map_or(Client::OneAddress, Client::Race);
                let trial = Trial { site: place, round, ..Trial::of(contender) };
                match args.visits {
                    None => trials.push(connect(site, &client, seed, args.limit(), trial)),
                    Some(count) => {
                        let visits = site.visits(&client, contender == Contender::Connie, count, seed);
                        let visited = |(visit, number)| {
                            visited(visit, args.limit(), Trial { visit: number, ..trial.clone() })
                        };
                        trials.extend(visits.iter().zip(0..).map(visited));
                    }
                }
            }
        }
    }
    let described = sites.iter().map(|site| (site.name.to_owned(), format!("{} (simulated)", site.about)));
    args.report(described.collect(), trials)
}

fn connect(site: &Site, client: &Client, seed: u64, limit: Duration, trial: Trial) -> Trial {
    let outcome = site.visit(client, seed);
    let winner = match outcome.ending {
        Ending::Connected(address) => Some(address.to_string()),
        _ => None,
    };
    ended(outcome.elapsed, winner, outcome.attempts(), limit, trial)
}

fn visited(visit: &Visit, limit: Duration, trial: Trial) -> Trial {
    let timeline = visit.recording.timeline();
    let winner = timeline.winner().map(|winner| winner.destination.to_string());
    Trial { wasted: visit.wasted, ..ended(visit.took, winner, timeline.attempts(), limit, trial) }
}

fn ended(
    took: Duration,
    winner: Option<String>,
    attempts: impl Iterator<Item = Attempt>,
    limit: Duration,
    trial: Trial,
) -> Trial {
    Trial {
        elapsed: took.min(limit),
        // What would have come after the limit was never opened.
        sockets: attempts.filter(|attempt| attempt.started < limit).count() as u32,
        result: winner.filter(|_| took <= limit).ok_or_else(|| "not connected in time".to_owned()),
        ..trial
    }
}
