//! How do I race from a loop of my own? Poll the driver whenever there may be news; it never waits.

use std::time::Duration;

use connie_core::{Config, Progress, RaceDriver};
use connie_std::{OsClock, OsStack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    let clock = OsClock::start();
    let mut stack = OsStack::default();
    let config = Config::default().deadline(Some(Duration::from_secs(10)));
    let mut driver = RaceDriver::<OsStack, 16, 4>::new(&config, clock.now());
    driver.handle_addresses(&addresses, clock.now());

    let mut turns = 0_u64;
    loop {
        match driver.poll(&mut stack, clock.now()) {
            Progress::Connected(connection) => {
                println!("connected to {} after {turns} turns of the loop", connection.destination);
                return Ok(());
            }
            Progress::Failed(failure) => return Err(failure.into()),
            Progress::WaitUntil(_) | Progress::WaitForInput | Progress::Finished => {}
        }
        turns += 1;
        work();
    }
}

/// The rest of the program.
#[expect(clippy::disallowed_methods, reason = "this program has nothing else to do")]
fn work() {
    std::thread::sleep(Duration::from_millis(1));
}
