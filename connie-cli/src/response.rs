//! The race to the first byte of an answer, as `-v` and `--report json` show it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;
use connie_core::timeline::Style;
use connie_http::HttpError;
use connie_std::http1::ResponseRecord;
use serde_json::{Value, json};

/// The object for `--report json`. Times are microseconds from when the request was sent.
pub fn json(record: &ResponseRecord) -> Value {
    let since = |at: Instant| micros(at.duration_since(record.sent));
    let second = record.second.as_ref().map(|second| {
        json!({
            "address": second.address.map(|address| address.to_string()),
            "began_us": since(second.began),
            "sent_us": second.sent.map(since),
            "error": second.error.map(|error| error.to_string()),
        })
    });
    json!({
        "first": record.first.to_string(),
        "patience_us": micros(record.patience),
        "first_error": record.first_error.map(|error| error.to_string()),
        "second": second,
        "kept": record.kept.map(|address| address.to_string()),
        "first_byte_us": record.first_byte.map(since),
        "requests": record.requests(),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// One connection of the race.
struct Row {
    address: Option<SocketAddr>,
    fate: &'static str,
    start: Duration,
    end: Duration,
    is_kept: bool,
}

/// The race as lines with a bar for each connection, at most `width` columns wide. None where one connection
/// alone was tried, and answered.
pub fn picture(record: &ResponseRecord, now: Instant, width: usize, style: Style) -> Vec<String> {
    let Some(second) = &record.second else { return Vec::new() };
    let end = record.first_byte.unwrap_or(now).duration_since(record.sent);
    let first = Row {
        address: Some(record.first),
        fate: fate(record.kept == Some(record.first), record.first_error),
        start: Duration::ZERO,
        end: if record.first_error.is_some() { second.began.duration_since(record.sent) } else { end },
        is_kept: record.kept == Some(record.first),
    };
    let is_kept = record.kept.is_some() && record.kept == second.address;
    let second = Row {
        address: second.address,
        fate: match second.sent {
            Some(_) => fate(is_kept, second.error),
            None if second.address.is_some() => "not asked",
            None => "no connection",
        },
        start: second.began.duration_since(record.sent),
        end,
        is_kept,
    };
    let requests = record.requests();
    let counted = if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
    let head = match record.kept {
        Some(kept) => format!("{kept} answered after {} ({counted})", millis(end)),
        None => format!("no answer after {} ({counted})", millis(end)),
    };
    let rows = [first, second];
    let names: Vec<String> =
        rows.iter().map(|row| row.address.map_or_else(|| "-".to_owned(), |it| it.to_string())).collect();
    let column = names.iter().map(String::len).max().unwrap_or(0);
    let mut lines = vec![head, String::new()];
    for (row, name) in rows.iter().zip(names) {
        let mut line = format!("  {name:column$}  {:13}  {:>9}  ", row.fate, millis(row.end));
        let room = width.saturating_sub(line.len()).max(8);
        line.push_str(&row.bar(end, room, style));
        lines.push(line);
    }
    lines
}

fn fate(is_kept: bool, error: Option<HttpError>) -> &'static str {
    match error {
        _ if is_kept => "answered",
        None | Some(HttpError::TimedOut) => "silent",
        Some(HttpError::EmptyReply) => "closed",
        Some(_) => "failed",
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

impl Row {
    /// From its start to its end, on an axis of `room` columns for the time until `all`.
    fn bar(&self, all: Duration, room: usize, style: Style) -> String {
        let place = |time: Duration| {
            let part = time.as_secs_f64() / all.as_secs_f64().max(0.001);
            // Within the row, whatever the clock says.
            ((part * (room - 1) as f64) as usize).min(room - 1)
        };
        let (start, end) = (place(self.start), place(self.end));
        let (line, mark) = match (style.unicode, self.is_kept) {
            (true, true) => ('━', '●'),
            (true, false) => ('┄', '×'),
            (false, true) => ('=', 'o'),
            (false, false) => ('-', 'x'),
        };
        let mut bar = " ".repeat(start);
        bar.extend(std::iter::repeat_n(line, end.saturating_sub(start)));
        let _ = bar.write_char(mark);
        bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_stays_within_its_row() {
        for (start, end) in [(0, 0), (0, 1_000), (999, 1_000), (1_000, 2_000), (2_000, 1_000)] {
            let [start, end] = [start, end].map(Duration::from_millis);
            let row = Row { address: None, fate: "silent", start, end, is_kept: false };
            for room in [8, 40] {
                for all in [0, 1_000] {
                    let bar = row.bar(Duration::from_millis(all), room, Style::default());
                    assert!(bar.len() <= room && bar.ends_with('x'), "{bar:?}");
                }
            }
        }
    }
}
