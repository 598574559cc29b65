//! What the examples share: reading addresses from the command line.

use std::net::SocketAddr;

/// The addresses on the command line.
///
/// # Errors
///
/// A line that says how to call the program, or what is wrong with an address.
pub fn addresses() -> Result<Vec<SocketAddr>, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        return Err("give one address or more, such as 127.0.0.1:1 127.0.0.1:8080".to_owned());
    }
    let parse = |text: &String| {
        text.parse().map_err(|_| format!("{text:?} is not an address with a port, such as 127.0.0.1:8080"))
    };
    arguments.iter().map(parse).collect()
}
