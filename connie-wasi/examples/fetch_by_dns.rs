//! Fetches a page from a host that name servers know: `fetch_by_dns HOST PORT SERVER...`, where a server is
//! an address with its port.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use connie_wasi::dns::Dns;
use connie_wasi::{HttpConnection, Options, WasiPoller, http1};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, servers @ ..] = &arguments[..] else {
        return Err("give a host, a port, and the name servers".into());
    };
    let servers = servers.iter().map(|server| server.parse()).collect::<Result<Vec<_>, _>>()?;
    let options = Options::new().deadline(Duration::from_secs(5)).resolver(Dns::new(servers));
    let mut connection = http1::connection(host, port.parse()?, options, WasiPoller::new())?;
    let fetched = fetch(&mut connection);
    if let Some(error) = connection.opener().error() {
        // It knows more than HTTP does: the name, and each address.
        eprintln!("{error}");
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
