//! reqwest's client, as docs/from/reqwest.md has it before connie.

use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org/")?;
    let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).build()?;

    print!("{}", client.get(&url).send().await?.error_for_status()?.text().await?);
    Ok(())
}
