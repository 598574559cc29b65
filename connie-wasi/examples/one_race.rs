//! One race, and what came of it in words that a test can read: `won ADDRESS`, or `lost` with what the error
//! knows.
//!
//! `one_race HOST PORT PACING PREFERRED DEADLINE DELAY RESOLUTION_DELAY`, where the pacing is `all-at-once`,
//! `staggered` or `one-by-one`, the preferred family `ipv6` or `ipv4`, and the times are milliseconds.

use std::error::Error;
use std::time::Duration;

use connie_wasi::connie_core::{Config, Family, Pacing};
use connie_wasi::{ConnectErrorKind, Options, connect};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, pacing, preferred, deadline, delay, resolution_delay] = &arguments[..] else {
        return Err("give seven arguments".into());
    };
    let time = |text: &str| text.parse().map(Duration::from_millis);
    let preset = match pacing.as_str() {
        "all-at-once" => Config::all_at_once(),
        "one-by-one" => Config::one_by_one(),
        "staggered" => {
            Config::staggered().pacing(Pacing::Staggered { delay: time(delay)?, growth_percent: 100 })
        }
        other => return Err(format!("{other}: no pacing").into()),
    };
    let config = preset
        .clone()
        .preferred_family(if preferred == "ipv4" { Family::V4 } else { Family::V6 })
        .resolution_delay(time(resolution_delay)?)
        .deadline(Some(time(deadline)?))
        .max_in_flight(8)
        .hedge(false);
    match connect((host, port.parse()?), &Options::new().race(config)) {
        Ok(winner) => println!("won {}", winner.destination().ip()),
        Err(error) => match error.kind() {
            ConnectErrorKind::Race(failure, report) => {
                println!("lost {failure:?}");
                let destinations = report.timeline();
                let errors = destinations.destinations().filter_map(|destination| destination.error());
                errors.for_each(|error| println!("{}", error.name()));
            }
            ConnectErrorKind::InvalidHost(_) => println!("lost host"),
            ConnectErrorKind::NamedZone => println!("lost zone"),
            ConnectErrorKind::Resolve(error) => println!("lost look-up\n{error:?}"),
            other => println!("lost {other:?}"),
        },
    }
    Ok(())
}
