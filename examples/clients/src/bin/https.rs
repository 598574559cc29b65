//! How do I fetch pages by HTTPS? With a connection that looks the host up and races to the end of the TLS
//! handshake.
//!
//! A second argument names a file with a certificate to trust beside those that the machine trusts.

use std::io::Read as _;
use std::time::Duration;

use connie_std::{HttpsConnection, Options, TlsConnector, TlsOptions};
use connie_web::parse_host_port;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let site = arguments.next().ok_or("give a host with its port, such as example.org:443")?;
    let (host, port) = parse_host_port(&site)?;
    let tls = TlsConnector::new(&TlsOptions::new().ca_files(arguments))?;

    let mut connection = HttpsConnection::with_options(&host, port, Options::default(), tls)?;
    connection.set_deadline(Some(Duration::from_secs(30)));
    for page in ["/", "/again"] {
        connection.request("GET", page, &[("Accept", "*/*")], b"")?;
        let mut response = connection.response()?;
        let mut body = String::new();
        response.read_to_string(&mut body)?;
        println!("{page}: {} {}\n{body}", response.status(), response.reason());
    }
    let report = connection.report().ok_or("never connected")?;
    eprint!("{}", report.timeline().waterfall(80, Default::default()));
    Ok(())
}
