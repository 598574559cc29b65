//! Clients in Rust, each in a process of its own: this program again.

use std::time::Duration;

/// Fetches a page and drops it.
pub fn fetch(client: &str, url: &str) -> Result<(), String> {
    match client {
        "reqwest" => reqwest(url).map_err(|error| error.to_string()),
        "ureq" => ureq::get(url)
            .call()
            .and_then(|mut answer| answer.body_mut().read_to_vec())
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => Err(format!("no client {client:?}")),
    }
}

fn reqwest(url: &str) -> Result<(), reqwest::Error> {
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    client.get(url).send()?.bytes().map(drop)
}
