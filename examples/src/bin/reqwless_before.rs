//! reqwless over a stack, as docs/from/reqwless.md has it before connie.

use reqwless::client::HttpClient;
use reqwless::request::Method;
use std_embedded_nal_async::Stack;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("give a URL, such as http://localhost:8080/")?;
    async_io::block_on(async {
        let net = Stack::default();
        let mut client = HttpClient::new(&net, &net);
        // With reqwless's feature `embedded-tls` it would send https:// in the clear, and not say so.
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
