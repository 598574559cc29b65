//! hyper-util's client, as docs/from/hyper-util.md has it over connie.

use std::time::Duration;

use connie_hyper::RaceConnector;
use connie_std::{Memory, Options};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org/")?;
    let options = Options::new().deadline(Duration::from_secs(10)).memory(Memory::new());
    let connector = RaceConnector::new(options);
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);

    let response = client.get(url.parse()?).await?;
    print!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
