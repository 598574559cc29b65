//! A call of gRPC, as docs/from/tonic.md has it over connie.

use std::time::Duration;

use connie_hyper::RaceConnector;
use connie_std::{Memory, Options};
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org:50051")?;
    let endpoint = Endpoint::from_shared(url)?.connect_timeout(Duration::from_secs(10));
    let race = RaceConnector::new(Options::new().memory(Memory::new()));
    let channel = endpoint.connect_with_connector(race).await?;

    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?.into_inner();
    println!("{}", answer.status().as_str_name());
    Ok(())
}
