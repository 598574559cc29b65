//! reqwest's client, as docs/from/reqwest.md has it with connie's order of addresses.

use std::sync::Arc;
use std::time::Duration;

use connie_std::{Memory, tokio_net::OrderedResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A host's addresses, the one that has won a race in front.
struct Ordered(OrderedResolver);

impl Resolve for Ordered {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://example.org/")?;
    // The port that the client calls most: races are to that one.
    let port = reqwest::Url::parse(&url)?.port_or_known_default().unwrap_or(443);
    let resolver = OrderedResolver::new(&Memory::new(), port);
    let client = reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
    let client = client.dns_resolver(Arc::new(Ordered(resolver))).build()?;

    print!("{}", client.get(&url).send().await?.error_for_status()?.text().await?);
    Ok(())
}
