//! The bench on the simulated internet, in virtual time.

use std::time::Duration;

use connie_sim::SimVisit;
use connie_sim::sites::{self, SiteClient};

use super::report::BenchReport;
use super::trial::Trial;
use crate::args::{Bench, Contender};

pub fn simulate(args: &Bench) -> BenchReport {
    let sites = sites::all();
    let mut trials = Vec::new();
    for (place, site) in sites.iter().enumerate() {
        for round in 0..args.rounds() {
            // In one round all meet the same weather.
            let seed = args.seed.wrapping_add(u64::from(round).wrapping_mul(0x9e37_79b9));
            for contender in args.contenders() {
                let client = contender
                    .race(args.max_in_flight as usize)
                    .map_or(SiteClient::OneAddress, SiteClient::Race);
                let trial = Trial { site: place, round, ..Trial::of(contender) };
                // One alone is what the first of several is: a race without a memory, which nothing is to be
                // known of.
                let remembers = contender == Contender::Connie && args.visits.is_some();
                let visits = site.visits(&client, remembers, args.visits.unwrap_or(1), seed);
                let visited =
                    |(visit, number)| visited(visit, args.limit(), Trial { visit: number, ..trial.clone() });
                trials.extend(visits.iter().zip(0..).map(visited));
            }
        }
    }
    let described = sites.iter().map(|site| (site.name.to_owned(), format!("{} (simulated)", site.about)));
    args.report(described.collect(), trials)
}

fn visited(visit: &SimVisit, limit: Duration, trial: Trial) -> Trial {
    let timeline = visit.recording.timeline();
    let winner = timeline.winner().map(|winner| winner.destination.to_string());
    Trial {
        elapsed: visit.took.min(limit),
        // What would have come after the limit was never opened.
        sockets: timeline.attempts().filter(|attempt| attempt.started < limit).count() as u32,
        wasted: visit.wasted,
        result: winner.filter(|_| visit.took <= limit).ok_or_else(|| "not connected in time".to_owned()),
        ..trial
    }
}
