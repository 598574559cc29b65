//! How do I race under ureq?

use connie_ureq::RaceConnector;
use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::Connector;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://localhost:8080/")?;
    // With ureq's feature `rustls`, for https: .chain(RustlsConnector::default())
    let connector = ().chain(RaceConnector::default());
    let agent = Agent::with_parts(Config::default(), connector, DefaultResolver::default());
    print!("{}", agent.get(&url).call()?.body_mut().read_to_string()?);
    Ok(())
}
