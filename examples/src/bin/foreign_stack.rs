//! How do I race over an embedded-nal stack that I have? Wrapped in `NalCompat`, within the limits that its
//! docs state.
//!
//! `std-embedded-nal` is such a stack. Its `connect` blocks, so that its races are serial, and the driver
//! shows it.

use std::time::Duration;

use connie_core::{AttemptErrorKind, Config, NalCompat, Poller, RaceDriver};
use connie_std::SleepPoller;
use std_embedded_nal::Stack;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    // This stack's errors are `std::io::Error`s in a wrapper that shows them only as text.
    let mut stack = NalCompat::with_errors(Stack, |error| match format!("{error:?}") {
        text if text.contains("ConnectionRefused") => AttemptErrorKind::Refused.into(),
        _ => AttemptErrorKind::Other.into(),
    });
    let mut poller = SleepPoller::new(Duration::from_millis(1));
    let start = Poller::<NalCompat<Stack>>::now(&mut poller);
    let mut driver = RaceDriver::<_, 16, 4>::new(&Config::default(), start);
    driver.handle_addresses(&addresses, start);
    let connection = driver.run(&mut stack, &mut poller)?;
    println!("connected to {}", connection.destination);
    println!("the slowest connect call took {:?}", driver.slowest_connect());
    Ok(())
}
