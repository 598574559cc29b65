//! How do I connect?

use connie_std::{Options, connect};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    let stream = connect(&addresses, &Options::default())?;
    println!("connected to {}", stream.peer_addr()?);
    for attempt in stream.timeline().attempts() {
        let outcome = attempt.outcome.map_or("in flight".to_owned(), |outcome| outcome.to_string());
        println!("{} {outcome}", attempt.destination);
    }
    Ok(())
}
