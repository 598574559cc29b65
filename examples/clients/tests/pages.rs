//! The parts of programs in docs/tokio.md, as they stand there: this file is compiled, and compared with the
//! page. None is run; the programs in `src/bin` have the same lines, and are.

#![allow(dead_code, unused_variables, reason = "parts of programs")]

use std::error::Error;

mod tokio {
    use super::Error;
    use connie_std::Options;
    use connie_std::tokio_net::connect;
    use std::time::Duration;

    async fn connects() -> Result<(), Box<dyn Error>> {
        let options = Options::new().deadline(Duration::from_secs(10));
        let stream = connect("example.org:80", &options).await?;
        println!("{} won", stream.destination());
        Ok(())
    }
}

mod hyper_util_client {
    use super::Error;
    use connie_hyper::{RaceConnector, RaceInfo};
    use http_body_util::Empty;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    async fn gets() -> Result<(), Box<dyn Error>> {
        let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(RaceConnector::default());
        let response = client.get("http://example.org/".parse()?).await?;
        let winner = response.extensions().get::<RaceInfo>().map(RaceInfo::destination);
        Ok(())
    }
}

mod https {
    use super::Error;
    use connie_hyper::HttpsConnector;
    use connie_std::{Options, tokio_net::TlsConnector};
    use http_body_util::Empty;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    fn client() -> Result<(), Box<dyn Error>> {
        let connector = HttpsConnector::new(TlsConnector::system()?, Options::default());
        let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
        Ok(())
    }
}

mod by_hyper_rustls {
    use super::Error;
    use connie_hyper::RaceConnector;
    use hyper_rustls::HttpsConnectorBuilder;

    fn connector() -> Result<(), Box<dyn Error>> {
        let https = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1();
        let connector = https.wrap_connector(RaceConnector::default().enforce_http(false));
        Ok(())
    }
}

mod a_resolver {
    use super::Error;
    use connie_std::{Memory, tokio_net::OrderedResolver};
    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use std::sync::Arc;

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

    fn client() -> Result<(), Box<dyn Error>> {
        // The port of the URLs that the client fetches: its probes go there.
        let resolver = OrderedResolver::new(&Memory::new(), 443);
        let client = reqwest::Client::builder().dns_resolver(Arc::new(Ordered(resolver))).build()?;
        Ok(())
    }
}

/// Without indents.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_part_of_a_program_in_the_page_is_compiled_here() {
    let page = include_str!("../../../docs/tokio.md");
    let own = trimmed(include_str!("pages.rs"));
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("rust,ignore\n"));
    let mut seen = 0;
    // tonic is not among the dependencies here.
    for block in blocks.filter(|block| !block.contains("connect_with_connector")) {
        seen += 1;
        for paragraph in block.trim_end().split("\n\n") {
            assert!(
                own.contains(&trimmed(paragraph)),
                "docs/tokio.md has what is not compiled here:\n{paragraph}"
            );
        }
    }
    assert_eq!(seen, 5, "parts of programs");
}
