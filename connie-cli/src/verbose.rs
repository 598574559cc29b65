//! What `-v` shows on stderr.

use std::io::{self, Write};

use connie_core::Instant;
use connie_std::http1::{AnyConnection, OpeningRecord, ResponseRecord};
use connie_web::Proxy;

use crate::connect::FinishedRace;
use crate::response;
use crate::terminal;

/// Shows a line on stderr, as `-v` does.
pub fn say(line: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "* {line}");
}

/// Shows how a connection was opened: the race, the tunnel and TLS.
pub fn show_opening(
    raced: &FinishedRace,
    opening: &OpeningRecord,
    client: &AnyConnection,
    proxy: Option<&Proxy>,
) {
    show_race(raced);
    if let (Some(_), Some(proxy)) = (opening.tunneled, proxy) {
        say(&format!("tunnel through {proxy} to {} port {}", client.host(), client.port()));
    }
    if let (Some(version), Some(name)) = (opening.tls_version, &opening.tls_name) {
        say(&format!("{} with {name}", version.replace('_', ".")));
    }
}

/// Shows the race on stderr, each line after a `*`.
pub fn show_race(raced: &FinishedRace) {
    let mut stderr = io::stderr().lock();
    let width = terminal::width(&stderr).saturating_sub(2);
    let picture = raced.timeline().waterfall(width, terminal::style(&stderr)).to_string();
    for line in picture.lines() {
        let _ = writeln!(stderr, "* {line}");
    }
    for line in raced.notes() {
        let _ = writeln!(stderr, "* {line}");
    }
}

/// Shows the race to the first byte of an answer, where more than one connection was tried.
pub fn show_response(record: &ResponseRecord, now: Instant) {
    let mut stderr = io::stderr().lock();
    let width = terminal::width(&stderr).saturating_sub(2);
    for line in response::picture(record, now, width, terminal::style(&stderr)) {
        let _ = writeln!(stderr, "{}", format!("* {line}").trim_end());
    }
}

/// Shows a head on stderr, each line after `mark`. What a terminal would act on is shown as dots.
pub fn show_head(mark: char, head: &[u8]) {
    let mut stderr = io::stderr().lock();
    for line in head.strip_suffix(b"\n").unwrap_or(head).split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let shown: String = line.chars().map(|c| if c.is_control() && c != '\t' { '.' } else { c }).collect();
        let _ = writeln!(stderr, "{mark} {shown}");
    }
}
