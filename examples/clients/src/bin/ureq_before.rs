//! ureq's client, as docs/from/ureq.md has it before connie.

use std::time::Duration;

use ureq::Agent;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org/")?;
    let config = Agent::config_builder().timeout_connect(Some(Duration::from_secs(10))).build();
    let agent = Agent::new_with_config(config);

    print!("{}", agent.get(&url).call()?.body_mut().read_to_string()?);
    Ok(())
}
