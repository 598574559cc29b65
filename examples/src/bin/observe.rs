//! How do I count races, and log what they did?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use connie_std::{Observer, Options, RaceOutcome, connect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Lines in words on standard error, by `tracing`: a line for each attempt, and one for each race.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::DEBUG).init();
    let won = Arc::new(AtomicU64::new(0));
    let counter = won.clone();
    let observer = Observer::new(move |observed| {
        if observed.outcome() == RaceOutcome::Won {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // A line of JSON for each race, by serde.
        match serde_json::to_string(observed) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("a race that cannot be written: {error}"),
        }
    });
    let options = Options::new().observer(observer);
    // One race over all addresses, and then one for each.
    let addresses = connie_examples::addresses()?;
    let _ = connect(&addresses, &options);
    for address in &addresses {
        let _ = connect(address, &options);
    }
    println!("{} of {} won", won.load(Ordering::Relaxed), addresses.len() + 1);
    Ok(())
}
