//! What `-v` shows on stderr.

use std::fmt::{self, Display};
use std::io::{self, Write};

use connie_core::Instant;
use connie_std::http1::{AnyConnection, OpeningRecord, ResponseRecord};
use connie_web::Proxy;

use crate::connect::FinishedRace;
use crate::response;
use crate::terminal;

/// The lines of one transfer. Where several run at a time each line begins with the transfer's number, and
/// what belongs together is shown without one of another between.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    number: Option<usize>,
}

impl Log {
    /// Of the transfer with this number.
    pub fn numbered(number: usize) -> Self {
        Log { number: Some(number) }
    }

    /// Shows a line.
    pub fn say(self, line: &str) {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{self}* {line}");
    }

    /// Shows how a connection was opened: the race, the tunnel and TLS.
    pub fn show_opening(
        self,
        raced: &FinishedRace,
        opening: &OpeningRecord,
        client: &AnyConnection,
        proxy: Option<&Proxy>,
    ) {
        // Taken again by what is called.
        let _stderr = io::stderr().lock();
        self.show_race(raced);
        if let (Some(_), Some(proxy)) = (opening.tunneled, proxy) {
            self.say(&format!("tunnel through {proxy} to {} port {}", client.host(), client.port()));
        }
        if let (Some(version), Some(name)) = (opening.tls_version, &opening.tls_name) {
            self.say(&format!("{} with {name}", version.replace('_', ".")));
        }
    }

    /// Shows the race, each line after a `*`.
    pub fn show_race(self, raced: &FinishedRace) {
        let mut stderr = io::stderr().lock();
        let picture = raced.timeline().waterfall(self.width(), terminal::style(&stderr)).to_string();
        for line in picture.lines() {
            let _ = writeln!(stderr, "{self}* {line}");
        }
        for line in raced.notes() {
            let _ = writeln!(stderr, "{self}* {line}");
        }
    }

    /// Shows the race to the first byte of an answer, where more than one connection was tried.
    pub fn show_response(self, record: &ResponseRecord, now: Instant) {
        let mut stderr = io::stderr().lock();
        for line in response::picture(record, now, self.width(), terminal::style(&stderr)) {
            let _ = writeln!(stderr, "{}", format!("{self}* {line}").trim_end());
        }
    }

    /// Shows a head, each line after `mark`. What a terminal would act on is shown as dots.
    pub fn show_head(self, mark: char, head: &[u8]) {
        let mut stderr = io::stderr().lock();
        for line in head.strip_suffix(b"\n").unwrap_or(head).split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            let shown: String =
                line.chars().map(|c| if c.is_control() && c != '\t' { '.' } else { c }).collect();
            let _ = writeln!(stderr, "{self}{mark} {shown}");
        }
    }

    /// How wide a picture may be.
    fn width(self) -> usize {
        let mark = self.to_string().len() + "* ".len();
        terminal::width(&io::stderr()).saturating_sub(mark)
    }
}

impl Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.map_or(Ok(()), |number| write!(f, "[{number}] "))
    }
}
