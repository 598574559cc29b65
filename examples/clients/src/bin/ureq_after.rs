//! ureq's client, as docs/from/ureq.md has it over connie.

use std::time::Duration;

use connie_std::{Memory, Options};
use connie_ureq::RaceConnector;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::Connector;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org/")?;
    let config = Agent::config_builder().timeout_connect(Some(Duration::from_secs(10))).build();
    // With ureq's feature `rustls`, for https: .chain(RustlsConnector::default())
    let connector = ().chain(RaceConnector::new(Options::new().memory(Memory::new())));
    let agent = Agent::with_parts(config, connector, DefaultResolver::default());

    print!("{}", agent.get(&url).call()?.body_mut().read_to_string()?);
    Ok(())
}
