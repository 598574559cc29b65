//! Certificates of clients.

use super::Table;
use crate::client_certificate::Club;

pub fn certificates(table: &mut Table) {
    for arguments in [
        &["--cert", "CERT", "--key", "KEY"][..],
        &["-E", "BOTH"],
        &["--cert", "BOTH", "--key", "KEY"],
        &["--cert", "/nonexistent"],
        &["--cert", "KEY"],
        &["--cert", "CERT"],
        &["--cert", "CERT", "--key", "/nonexistent"],
        &["--cert", "CERT", "--key", "OTHER"],
        &[],
    ] {
        table.row(&format!("a client's certificate: {}", arguments.join(" ")), |run| {
            let club = Club::new();
            let arguments = club.arguments(arguments);
            run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        });
    }
}
