//! How do I race under hyper, to the end of TLS?
//!
//! Addresses after the URL are raced in the place of those that its host has.

use std::net::IpAddr;
use std::time::Duration;

use connie_hyper::{HttpsConnector, RaceInfo};
use connie_std::tokio_net::TlsConnector;
use connie_std::{Options, Override};
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url: Uri = arguments.next().ok_or("give a URL, such as https://example.org/")?.parse()?;
    let addresses = arguments.map(|text| text.parse()).collect::<Result<Vec<IpAddr>, _>>()?;

    let mut options = Options::new().deadline(Duration::from_secs(10));
    if !addresses.is_empty() {
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        options.overrides.push(Override { host: "*".to_owned(), port, addresses });
    }
    // The machine's authorities, and HTTP/1.1.
    let connector = HttpsConnector::new(TlsConnector::system()?, options);
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);

    let response = client.get(url).await?;
    if let Some(race) = response.extensions().get::<RaceInfo>() {
        eprint!("{} won\n{}", race.destination(), race.timeline().waterfall(80, Default::default()));
    }
    print!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
