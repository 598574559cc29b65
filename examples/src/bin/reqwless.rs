//! How do I race under reqwless, or another client for embedded-nal-async?

use std::net::IpAddr;

use connie_async::connie_core::{Family, Instant};
use connie_async::{AddressList, Clock, Lookup, Options, RaceConnect};
use reqwless::client::HttpClient;
use reqwless::request::Method;
use std_embedded_nal_async::Stack;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://localhost:8080/")?;
    async_io::block_on(async {
        let net = RaceConnect::new(Stack::default(), Names, SystemClock::new(), Options::new());
        // From here on it is plain reqwless.
        let mut client = HttpClient::new(&net, &net);
        // With reqwless's feature `embedded-tls` it would write https:// to any port in the clear.
        if !url.starts_with("http://") {
            return Err(format!("{url}: give an http:// URL; this program has no TLS").into());
        }
        let mut buffer = vec![0; 65_536];
        let page = async {
            let mut request = client.request(Method::GET, &url).await?;
            request.send(&mut buffer).await?.body().read_to_end().await.map(|body| body.to_vec())
        };
        let page = page.await.map_err(|error| format!("{url}: {error:?}"))?;
        print!("{}", String::from_utf8_lossy(&page));
        Ok(())
    })
}

/// The system's resolver, with all addresses of a name. std-embedded-nal-async's own gives one.
struct Names;

impl Lookup for Names {
    type Error = std::io::Error;

    async fn lookup(&self, host: &str, _: Family, answers: &mut AddressList<'_>) -> std::io::Result<()> {
        // `answers` passes over those of the other family.
        async_net::resolve((host, 0)).await?.iter().for_each(|address| answers.push(address.ip()));
        Ok(())
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The time of async-io's timers.
struct SystemClock(std::time::Instant);

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a clock of the program's own")]
    fn new() -> Self {
        SystemClock(std::time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    async fn wait_until(&self, at: Instant) {
        async_io::Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
    }
}
