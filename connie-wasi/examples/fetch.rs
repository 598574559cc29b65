//! Fetches a page over the address that answers first.
//!
//! `cargo build -p connie-wasi --example fetch --target wasm32-wasip2`, then
//! `wasmtime run -S inherit-network=y,allow-ip-name-lookup=y target/wasm32-wasip2/debug/examples/fetch.wasm example.org`

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use connie_wasi::{HttpConnection, Options, WasiPoller, http1};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let host = std::env::args().nth(1).ok_or("give a host, and a port if it is not 80")?;
    let port = std::env::args().nth(2).map_or(Ok(80), |port| port.parse())?;
    let options = Options::new().deadline(Duration::from_secs(10));
    let mut connection = http1::connection(&host, port, options, WasiPoller::new())?;
    connection.set_timeout(Some(Duration::from_secs(30)));
    let fetched = fetch(&mut connection);
    if let Some(error) = connection.opener().error() {
        // It knows more than HTTP does: the name, and each address.
        eprintln!("{error:?}");
        return Ok(ExitCode::FAILURE);
    }
    fetched.map(|()| ExitCode::SUCCESS)
}

fn fetch(connection: &mut HttpConnection) -> Result<(), Box<dyn Error>> {
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    eprintln!("{} {}", response.status(), response.reason());
    let mut piece = [0; 16 * 1024];
    loop {
        match response.read(&mut piece)? {
            0 => return Ok(()),
            count => io::stdout().write_all(&piece[..count])?,
        }
    }
}
