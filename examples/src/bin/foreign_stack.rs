//! How do I race over an embedded-nal stack that I have? Wrapped in `Foreign`, within the limits that its docs state.
//!
//! `std-embedded-nal` is such a stack. Its `connect` blocks, so that its races are serial, and the connector shows it.

use std::time::Duration;

use connie_core::{AttemptErrorKind, Config, Connector, Foreign, Waiter};
use connie_std::SleepWaiter;
use std_embedded_nal::Stack;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    // This stack's errors are `std::io::Error`s in a wrapper that shows them only as text.
    let mut stack = Foreign::with_errors(Stack, |error| match format!("{error:?}") {
        text if text.contains("ConnectionRefused") => AttemptErrorKind::Refused.into(),
        _ => AttemptErrorKind::Other.into(),
    });
    let mut waiter = SleepWaiter::new(Duration::from_millis(1));
    let start = Waiter::<Foreign<Stack>>::now(&mut waiter);
    let mut connector = Connector::<_, 16, 4>::new(&Config::default(), start);
    connector.handle_addresses(&addresses, start);
    let connection = connector.run(&mut stack, &mut waiter)?;
    println!("connected to {}", connection.destination);
    println!("the slowest connect call took {:?}", connector.slowest_connect());
    Ok(())
}
