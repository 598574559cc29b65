//! How do I have hyper-util's own `HttpConnector` try the best address of a host first?
//!
//! Better is a connector that keeps the connection that won: `hyper.rs`. This is for a client that takes
//! nothing but a resolver. Addresses after the URL are used in the place of those that its host has.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use connie_std::tokio_net::OrderedResolver;
use connie_std::{ConnectError, Memory, Options, Override};
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{HttpConnector, HttpInfo};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

/// The recipe.
#[derive(Clone)]
struct Ordered(OrderedResolver);

impl Service<Name> for Ordered {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move { resolver.resolve(name.as_str()).await.map(Vec::into_iter) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url: Uri = arguments.next().ok_or("give a URL, such as http://example.org/")?.parse()?;
    let addresses = arguments.map(|text| text.parse()).collect::<Result<Vec<IpAddr>, _>>()?;
    let port = url.port_u16().unwrap_or(80);
    let mut options = Options::default();
    if !addresses.is_empty() {
        options.overrides.push(Override { host: "*".to_owned(), port, addresses });
    }

    let resolver = OrderedResolver::new(&Memory::new(), port).with_options(options);
    let connector = HttpConnector::new_with_resolver(Ordered(resolver));
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);

    let response = client.get(url).await?;
    if let Some(info) = response.extensions().get::<HttpInfo>() {
        eprintln!("from {}", info.remote_addr());
    }
    print!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}
