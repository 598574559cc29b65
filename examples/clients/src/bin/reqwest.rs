//! How do I have reqwest try the best address of a host first?
//!
//! `reqwest URL [--visits N] [--plain] [ADDRESS...]`: each visit by a connection of its own, and how long it
//! took. Addresses are used in the place of those that the host has; with `--plain` it is reqwest as it
//! comes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connie_std::tokio_net::OrderedResolver;
use connie_std::{Memory, Options, Override};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The recipe.
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
    let (mut url, mut visits, mut plain, mut given) = (None, 1, false, Vec::<IpAddr>::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--visits" => visits = arguments.next().ok_or("--visits takes a number")?.parse()?,
            "--plain" => plain = true,
            _ if url.is_none() => url = Some(reqwest::Url::parse(&argument)?),
            _ => given.push(argument.parse()?),
        }
    }
    let url = url.ok_or("give a URL, such as http://example.org/")?;
    let port = url.port_or_known_default().ok_or("no port")?;
    let host = url.host_str().ok_or("no host")?.to_owned();

    let mut client = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(30));
    if !plain {
        let mut options = Options::default();
        if !given.is_empty() {
            options.overrides.push(Override { host, port, addresses: given });
        }
        let resolver = OrderedResolver::new(&Memory::new(), port).with_options(options);
        client = client.dns_resolver(Arc::new(Ordered(resolver)));
    } else if !given.is_empty() {
        let given: Vec<_> = given.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        client = client.resolve_to_addrs(&host, &given);
    }
    // No connection is kept, so that each visit makes one.
    let client = client.pool_max_idle_per_host(0).build()?;

    for visit in 1..=visits {
        let began = now();
        let response = client.get(url.clone()).send().await?.error_for_status()?;
        let from = response.remote_addr().map_or_else(String::new, |address| address.to_string());
        let page = response.text().await?;
        eprintln!("{visit} {from} {:.1} ms", began.elapsed().as_secs_f64() * 1_000.0);
        print!("{page}");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a visit's time is what it prints")]
fn now() -> Instant {
    Instant::now()
}
