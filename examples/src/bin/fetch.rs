//! How do I fetch a page over the winner? With the same `HttpConnection` as on a microcontroller.

use std::io::Write as _;

use connie_http::{Authority, HttpConnection};
use connie_std::{Options, OsPoller, OsStack, connect_socket};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    let (socket, destination, _) = connect_socket(&addresses, &Options::default())?;

    let (mut stack, mut poller) = (OsStack::default(), OsPoller::new(None));
    let name = destination.ip().to_string();
    let mut buffer = [0; 4096];
    let host = Authority::http(&name, destination.port());
    let mut connection = HttpConnection::new(&mut stack, &mut poller, socket, host, &mut buffer)?;

    connection.request("GET", "/", &[("Accept", "*/*")], b"")?;
    let mut response = connection.response()?;
    eprintln!("{} {}", response.status(), response.reason());
    let mut part = [0; 1024];
    loop {
        match response.read(&mut part)? {
            0 => return Ok(()),
            count => std::io::stdout().write_all(&part[..count])?,
        }
    }
}
