//! The timeline as a picture in text: a row for each attempt, with a bar over a common time axis.
//!
//! ```text
//! connected to 192.0.2.4:80 in 301.5 ms (5 attempts, 3 in flight at most)
//!
//!   192.0.2.1  refused       13.3 ms  ──×
//!   192.0.2.2  evicted      250.0 ms  ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
//!   192.0.2.3  canceled     301.5 ms  ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
//!   192.0.2.4  established  301.5 ms    ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━●
//!   192.0.2.2  canceled     301.5 ms                                     ╌╌╌╌╌╌╌╌
//!                                     ├──────┬──────┬──────┬──────┬──────┬──────┬
//!                                     0 ms   50     100    150    200    250  300
//! ```

use core::fmt::{self, Write};
use core::net::SocketAddr;
use core::time::Duration;

use heapless::String;

use super::{Attempt, Timeline};
use crate::race::{AttemptErrorKind, AttemptOutcome, Signed};
use crate::resolution::{AddressText, HostText};
use crate::time::micros;

impl<'a> Timeline<'a> {
    /// The timeline as a picture of at most `width` columns, held within 40 and 1,000; 80 suits most places.
    /// It ends with a line break.
    ///
    /// Each attempt has a row: its destination, how and when it ended, and a bar from its start to its end. A
    /// `+` marks a second attempt beside one that had outstayed its patience. Under 60 columns a row takes
    /// two lines. Addresses that are too long lose their middle, and the port where it is the same in all
    /// rows.
    pub fn waterfall(&self, width: usize, style: Style) -> Waterfall<'a> {
        Waterfall { timeline: *self, width: width.clamp(40, 1_000), style }
    }
}

/// How a [`Waterfall`] is drawn. The default is ASCII without colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Style {
    /// Line-drawing characters instead of ASCII.
    pub unicode: bool,
    /// ANSI escape sequences for colour.
    pub colour: bool,
}

/// The same with one field changed.
impl Style {
    /// With another [`unicode`](field@Style::unicode).
    #[must_use]
    pub const fn unicode(mut self, unicode: bool) -> Self {
        self.unicode = unicode;
        self
    }

    /// With another [`colour`](field@Style::colour).
    #[must_use]
    pub const fn colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }
}

/// A timeline that prints as a picture in text: from [`Timeline::waterfall`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing until it is printed"]
pub struct Waterfall<'a> {
    timeline: Timeline<'a>,
    width: usize,
    style: Style,
}

impl fmt::Display for Waterfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_header(f)?;
        if self.timeline.attempts().next().is_some() {
            let layout = Layout::new(self);
            f.write_str("\n")?;
            if layout.with_wait {
                let resolved = self.timeline.summary().resolved.map_or(0, micros);
                self.write_row(f, &layout, &DestinationRow::wait(resolved, self.style))?;
            }
            for attempt in self.timeline.attempts() {
                self.write_row(f, &layout, &DestinationRow::attempt(&attempt, &layout, self.style))?;
            }
            self.write_axis(f, &layout)?;
        }
        self.write_notes(f)
    }
}

impl Waterfall<'_> {
    /// The result and the counts behind it, broken where a line would be too long.
    fn write_header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.timeline.summary();
        let span = self.span();
        let elapsed = AxisTime { at: summary.ended.map_or(span, micros), span };
        let (mut result, mut reason, mut counts) = (TextLine::new(), TextLine::new(), TextLine::new());
        // A line has room for each of these: the address is cut, and the rest has known lengths.
        let _ = match (summary.failure, self.timeline.winner()) {
            (Some(failure), _) => {
                let _ = write!(reason, "{failure}");
                write!(result, "failed after {elapsed}:")
            }
            (None, Some(winner)) => {
                let mut after = TextLine::new();
                let _ = write!(after, " in {elapsed}");
                let around = "connected to ".len().saturating_add(columns(&after));
                let room = self.width.saturating_sub(around);
                let address = elide(&name(winner.destination, true), room, self.style);
                write!(result, "connected to {address}{after}")
            }
            (None, None) => write!(result, "racing for {elapsed}"),
        };
        let (attempts, most) = (summary.attempts, summary.max_in_flight);
        let _ = match attempts {
            0 => Ok(()),
            1 => write!(counts, "(1 attempt)"),
            _ => write!(counts, "({attempts} attempts, {most} in flight at most)"),
        };
        let colour = match (summary.failure, summary.ended) {
            (Some(_), _) => Colour::Red,
            (None, Some(_)) => Colour::Green,
            (None, None) => Colour::Cyan,
        };
        // No line is longer than three pieces, so the sums are small.
        let mut column = 0;
        for (text, colour) in [(result, colour), (reason, colour), (counts, Colour::Dim)] {
            let length = columns(&text);
            if length > 0 && column > 0 {
                let fits = column + length < self.width;
                f.write_str(if fits { " " } else { "\n" })?;
                column = if fits { column + 1 } else { 0 };
            }
            self.paint(f, colour, &text)?;
            column += length;
        }
        f.write_str("\n")
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, layout: &Layout, row: &DestinationRow) -> fmt::Result {
        let name = elide(&row.name, layout.name, self.style);
        let mut time = TextLine::new();
        let _ = write!(time, "{}", AxisTime { at: row.ended, span: layout.span });
        f.write_str(if row.hedge { "+ " } else { "  " })?;
        write!(f, "{name}{}  ", spaces(layout.name.saturating_sub(columns(&name))))?;
        self.paint(f, row.colour, &row.word)?;
        let gap = layout.word.saturating_sub(row.word.len()) + layout.time.saturating_sub(time.len());
        write!(f, "{}  {time}", spaces(gap))?;
        f.write_str(if layout.two_lines { "\n  " } else { "  " })?;

        let first = layout.cell(row.started);
        let cells = layout.cell(row.ended).saturating_sub(first);
        write!(f, "{}", spaces(first))?;
        self.begin_colour(f, row.colour)?;
        write!(f, "{}{}", Repeat(row.line, cells), row.end)?;
        self.end_colour(f)?;
        f.write_str("\n")
    }

    /// The axis with its ticks, and their labels below.
    fn write_axis(&self, f: &mut fmt::Formatter<'_>, layout: &Layout) -> fmt::Result {
        let step = layout.tick().max(1);
        let ticks = || (0..=layout.span / step).map(|tick| tick.saturating_mul(step));
        let (corner, tick, line) = if self.style.unicode { ('├', '┬', '─') } else { ('+', '+', '-') };
        self.begin_colour(f, Colour::Dim)?;
        write!(f, "{}", spaces(layout.left))?;
        let mut column = 0;
        for time in ticks() {
            let cell = layout.cell(time);
            let tick = if time == 0 { corner } else { tick };
            write!(f, "{}{tick}", Repeat(line, cell.saturating_sub(column)))?;
            column = cell.saturating_add(1);
        }
        write!(f, "{}\n{}", Repeat(line, layout.bar.saturating_sub(column)), spaces(layout.left))?;

        // Where the last label ended, and where the next may begin.
        let (mut column, mut free) = (0, 0);
        for time in ticks() {
            let mut label = TextLine::new();
            let _ = write!(label, "{}", AxisTick { at: time, step, span: layout.span });
            // The last may have to stand to the left of its tick.
            let length = columns(&label);
            let at = layout.cell(time).min(layout.bar.saturating_sub(length));
            if at >= free {
                write!(f, "{}{label}", spaces(at.saturating_sub(column)))?;
                column = at.saturating_add(length);
                free = column.saturating_add(1);
            }
        }
        self.end_colour(f)?;
        f.write_str("\n")
    }

    /// What the rows do not show.
    fn write_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.timeline.summary();
        let idle = self.timeline.destinations().filter(|destination| !destination.was_started()).count();
        let no_room = summary.omitted_destinations;
        let forgotten = usize::try_from(summary.omitted_attempts).unwrap_or(usize::MAX);
        let notes = [
            (idle, "address was never started", "addresses were never started"),
            (no_room, "address found no room", "addresses found no room"),
            (forgotten, "attempt is not shown", "attempts are not shown"),
        ];
        for (count, one, many) in notes.into_iter().filter(|(count, ..)| *count > 0) {
            writeln!(f, "  {count} {}", if count == 1 { one } else { many })?;
        }
        Ok(())
    }

    /// The newest moment that the timeline knows, in microseconds; at least 1.
    fn span(&self) -> u64 {
        let summary = self.timeline.summary();
        let ends = self.timeline.attempts().map(|attempt| attempt.ended.unwrap_or(attempt.started));
        let newest = ends.chain(summary.ended).chain(summary.resolved).max();
        micros(newest.unwrap_or(Duration::ZERO)).max(1)
    }

    fn paint(&self, f: &mut fmt::Formatter<'_>, colour: Colour, text: &str) -> fmt::Result {
        if text.is_empty() {
            return Ok(());
        }
        self.begin_colour(f, colour)?;
        f.write_str(text)?;
        self.end_colour(f)
    }

    fn begin_colour(&self, f: &mut fmt::Formatter<'_>, colour: Colour) -> fmt::Result {
        if self.style.colour { write!(f, "\x1b[{}m", colour as u8) } else { Ok(()) }
    }

    fn end_colour(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.style.colour { "\x1b[0m" } else { "" })
    }
}

/// Where everything goes, in columns.
struct Layout {
    /// The length of the time axis, in microseconds; at least 1.
    span: u64,
    name: usize,
    word: usize,
    time: usize,
    /// What stands before a bar.
    left: usize,
    bar: usize,
    two_lines: bool,
    with_ports: bool,
    with_wait: bool,
}

impl Layout {
    fn new(waterfall: &Waterfall<'_>) -> Self {
        let (timeline, style, width) = (&waterfall.timeline, waterfall.style, waterfall.width);
        let span = waterfall.span();
        let resolved = timeline.summary().resolved.map_or(0, micros);
        let port = timeline.attempts().next().map(|attempt| attempt.destination.port());
        let mut layout = Layout {
            span,
            name: 0,
            word: 0,
            time: 0,
            left: 2,
            bar: 1,
            two_lines: width < 60,
            with_ports: timeline.attempts().any(|attempt| Some(attempt.destination.port()) != port),
            // What is shorter than a cell of a wide bar is not worth a row.
            with_wait: resolved > 0 && resolved.saturating_mul(100) >= span,
        };
        let wait = layout.with_wait.then(|| DestinationRow::wait(resolved, style));
        let rows =
            timeline.attempts().map(|attempt| DestinationRow::attempt(&attempt, &layout, style)).chain(wait);
        let (name, word) = rows
            .fold((0, 0), |(name, word), row| (name.max(columns(&row.name)), word.max(columns(&row.word))));
        let mut time = TextLine::new();
        let _ = write!(time, "{}", AxisTime { at: span, span });
        layout.word = word;
        layout.time = time.len();
        // The mark of a hedge, and what stands between the columns.
        let fixed = 2 + 2 + word + 2 + time.len();
        if layout.two_lines {
            layout.name = name.min(width.saturating_sub(fixed));
        } else {
            // A bar gets at least a third of the width.
            layout.name = name.min(width.saturating_sub(fixed + 2 + width / 3));
            layout.left = fixed + layout.name + 2;
        }
        layout.bar = width.saturating_sub(layout.left).max(1);
        layout
    }

    /// The cell of a bar that shows the moment `at`.
    fn cell(&self, at: u64) -> usize {
        // `span` is at least 1. A bar has at most 1,000 cells: the product stays in range for 584 years.
        let cell = at.saturating_mul(self.bar as u64) / self.span.max(1);
        usize::try_from(cell).unwrap_or(usize::MAX).min(self.bar.saturating_sub(1))
    }

    /// The distance of two ticks in microseconds: 1, 2 or 5 times a power of ten, so that each has 6 cells
    /// for its label. At least 1.
    fn tick(&self) -> u64 {
        let most = (self.bar / 6).clamp(1, 10) as u64;
        let least = self.span.div_ceil(most);
        let mut power: u64 = 1;
        loop {
            let steps = [1, 2, 5].map(|factor| power.saturating_mul(factor));
            if let Some(step) = steps.into_iter().find(|step| *step >= least) {
                return step;
            }
            // Grows up to the greatest number, which is enough for every `least`.
            power = power.saturating_mul(10);
        }
    }
}

/// One row: what it says and how its bar is drawn.
struct DestinationRow {
    hedge: bool,
    name: TextLine,
    word: TextLine,
    started: u64,
    ended: u64,
    line: char,
    end: char,
    colour: Colour,
}

impl DestinationRow {
    fn attempt(attempt: &Attempt, layout: &Layout, style: Style) -> Self {
        let (line, end, colour) = match (attempt.outcome, style.unicode) {
            (Some(AttemptOutcome::Established), true) => ('━', '●', Colour::Green),
            (Some(AttemptOutcome::Established), false) => ('=', 'O', Colour::Green),
            (Some(AttemptOutcome::Failed(_)), true) => ('─', '×', Colour::Red),
            (Some(AttemptOutcome::Failed(_)), false) => ('-', 'x', Colour::Red),
            (Some(AttemptOutcome::Evicted), true) => ('┄', '◂', Colour::Yellow),
            (Some(AttemptOutcome::Evicted), false) => ('~', '<', Colour::Yellow),
            (Some(AttemptOutcome::Canceled), true) => ('╌', '╌', Colour::Dim),
            (Some(AttemptOutcome::Canceled), false) => ('.', '.', Colour::Dim),
            (None, true) => ('─', '▸', Colour::Cyan),
            (None, false) => ('-', '>', Colour::Cyan),
        };
        DestinationRow {
            hedge: attempt.hedge,
            name: name(attempt.destination, layout.with_ports),
            word: word(attempt),
            started: micros(attempt.started),
            ended: attempt.ended.map_or(layout.span, micros),
            line,
            end,
            colour,
        }
    }

    /// The wait for the first address.
    fn wait(resolved: u64, style: Style) -> Self {
        let dot = if style.unicode { '·' } else { ':' };
        let (mut name, mut word) = (TextLine::new(), TextLine::new());
        let _ = (name.push_str("first address"), word.push_str("known"));
        DestinationRow {
            hedge: false,
            name,
            word,
            started: 0,
            ended: resolved,
            line: dot,
            end: dot,
            colour: Colour::Dim,
        }
    }
}

/// The parameters of ANSI's "select graphic rendition".
#[derive(Clone, Copy, Debug)]
enum Colour {
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// A piece of a line. The longest is the header's with a whole address: 96 bytes.
type TextLine = String<96>;

/// How many columns `text` takes: all characters used here take one.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// An address, with its port or without.
fn name(address: SocketAddr, with_port: bool) -> TextLine {
    let mut name = TextLine::new();
    // At most 65 bytes: eight groups, a zone of ten digits, brackets and a port.
    let _ = match with_port {
        true => write!(name, "{}", AddressText(address)),
        false => write!(name, "{}", HostText(address)),
    };
    name
}

fn word(attempt: &Attempt) -> TextLine {
    let mut word = TextLine::new();
    let _ = match attempt.outcome {
        None => write!(word, "in flight"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::Other)) => match attempt.number {
            Some(number) => write!(word, "error {}", Signed(number)),
            None => write!(word, "failed"),
        },
        Some(AttemptOutcome::Failed(AttemptErrorKind::NoSourceAddress)) => write!(word, "no source"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::Setup(_))) => write!(word, "not set up"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::StackGone)) => write!(word, "network down"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::SourceGone)) => write!(word, "source gone"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::OutOfSockets)) => write!(word, "no socket"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::TimedOut)) => write!(word, "timed out"),
        Some(AttemptOutcome::Failed(AttemptErrorKind::Tls(failure))) if failure.is_certificate() => {
            write!(word, "bad certificate")
        }
        Some(AttemptOutcome::Failed(AttemptErrorKind::Tls(_))) => write!(word, "TLS failed"),
        Some(outcome) => write!(word, "{}", outcome.name()),
    };
    word
}

/// `text` in at most `most` columns: where it is longer its middle is left out.
fn elide(text: &str, most: usize, style: Style) -> TextLine {
    let mut line = TextLine::new();
    let length = columns(text);
    let dots = if style.unicode { "…" } else { ".." };
    let keep = most.saturating_sub(columns(dots));
    let (head, tail) = (keep / 2, keep - keep / 2);
    // What is cut is never longer than the text, which fits a line.
    let _ = match length <= most {
        true => line.push_str(text),
        false => text
            .chars()
            .take(head)
            .chain(dots.chars())
            .chain(text.chars().skip(length.saturating_sub(tail)))
            .try_for_each(|c| line.push(c)),
    };
    line
}

/// A character, so many times.
struct Repeat(char, usize);

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.1).try_for_each(|_| f.write_char(self.0))
    }
}

fn spaces(count: usize) -> Repeat {
    Repeat(' ', count)
}

/// A moment in microseconds, as precise as the length of the axis deserves: the same unit and decimals in all
/// rows.
struct AxisTime {
    at: u64,
    span: u64,
}

impl fmt::Display for AxisTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What one digit of the last place stands for, and how many of them a unit has.
        let (digit, per_unit, unit) = match self.span {
            0..10_000 => (10, 100, "ms"),
            10_000..1_000_000 => (100, 10, "ms"),
            1_000_000..10_000_000 => (1_000, 1, "ms"),
            _ => (100_000, 10, "s"),
        };
        let digits = self.at.saturating_add(digit / 2) / digit;
        write_decimal(f, digits, per_unit)?;
        write!(f, " {unit}")
    }
}

/// The label of a tick; the first says the unit.
struct AxisTick {
    at: u64,
    step: u64,
    span: u64,
}

impl fmt::Display for AxisTick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same unit as in `AxisTime`.
        let (micros_per_unit, unit) = if self.span < 10_000_000 { (1_000, "ms") } else { (1_000_000, "s") };
        if self.at == 0 {
            return write!(f, "0 {unit}");
        }
        let mut per_unit = 1;
        while per_unit < micros_per_unit && self.step.saturating_mul(per_unit) % micros_per_unit != 0 {
            // Stays below `micros_per_unit`, which is a power of ten.
            per_unit *= 10;
        }
        write_decimal(f, self.at.saturating_mul(per_unit) / micros_per_unit, per_unit)
    }
}

/// `digits` with as many decimals as `per_unit` has zeros: it is 1, 10, 100 or a higher power of ten.
fn write_decimal(f: &mut fmt::Formatter<'_>, digits: u64, per_unit: u64) -> fmt::Result {
    let per_unit = per_unit.max(1);
    write!(f, "{}", digits / per_unit)?;
    if per_unit > 1 {
        f.write_str(".")?;
    }
    let mut place = per_unit / 10;
    while place > 0 {
        write!(f, "{}", digits / place % 10)?;
        place /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::{String, ToString};

    use super::*;
    use crate::common::Recorded;
    use crate::{AttemptError, Config, TlsFailure};

    const ASCII: Style = Style { unicode: false, colour: false };
    const UNICODE: Style = Style { unicode: true, colour: false };

    /// Both in one: as long as the widths of columns agree, what differs is the characters.
    fn picture(race: &Recorded, width: usize, style: Style) -> String {
        let picture = race.timeline().waterfall(width, style).to_string();
        let too_wide = picture.lines().find(|line| columns(line) > width);
        assert_eq!(too_wide, None, "within {width} columns");
        picture
    }

    /// Three sockets for six addresses, the fifth good: looked up, evicted, refused, canceled, established.
    fn everything() -> Recorded {
        let mut race = Recorded::unwatched(&Config { max_in_flight: 3, ..Config::all_at_once() });
        race.at(12_300).resolves(&[
            "[2001:db8:1234:5678:9abc:def0:1234:5678]:80",
            "[2001:db8::2]:80",
            "192.0.2.1:80",
            "192.0.2.2:80",
            "192.0.2.3:80",
            "192.0.2.4:80",
        ]);
        race.at(13_300).fails("192.0.2.1:80", AttemptErrorKind::Refused);
        race.at(301_456).succeeds("192.0.2.4:80");
        race
    }

    #[test]
    fn in_80_columns() {
        let expected = "\
connected to 192.0.2.4:80 in 301.5 ms (6 attempts, 3 in flight at most)

  first address                known         12.3 ms  ··
  2001:db8:1234…ef0:1234:5678  evicted      262.3 ms   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.1                    refused       13.3 ms   ×
  2001:db8::2                  evicted      262.3 ms   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.2                    canceled     301.5 ms   ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  192.0.2.3                    canceled     301.5 ms                        ╌╌╌╌
  192.0.2.4                    established  301.5 ms                        ━━━●
                                                      ├───────┬────────┬───────┬
                                                      0 ms    100      200   300
";
        assert_eq!(picture(&everything(), 80, UNICODE), expected);
    }

    #[test]
    fn in_ascii() {
        let expected = "\
connected to 192.0.2.4:80 in 301.5 ms (6 attempts, 3 in flight at most)

  first address                known         12.3 ms  ::
  2001:db8:123..ef0:1234:5678  evicted      262.3 ms   ~~~~~~~~~~~~~~~~~~~~~<
  192.0.2.1                    refused       13.3 ms   x
  2001:db8::2                  evicted      262.3 ms   ~~~~~~~~~~~~~~~~~~~~~<
  192.0.2.2                    canceled     301.5 ms   .........................
  192.0.2.3                    canceled     301.5 ms                        ....
  192.0.2.4                    established  301.5 ms                        ===O
                                                      +-------+--------+-------+
                                                      0 ms    100      200   300
";
        assert_eq!(picture(&everything(), 80, ASCII), expected);
    }

    #[test]
    fn in_40_columns() {
        let expected = "\
connected to 192.0.2.4:80 in 301.5 ms
(6 attempts, 3 in flight at most)

  first address    known         12.3 ms
  ··
  2001:db…34:5678  evicted      262.3 ms
   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.1        refused       13.3 ms
   ×
  2001:db8::2      evicted      262.3 ms
   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.2        canceled     301.5 ms
   ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  192.0.2.3        canceled     301.5 ms
                                   ╌╌╌╌╌
  192.0.2.4        established  301.5 ms
                                   ━━━━●
  ├───────────┬────────────┬───────────┬
  0 ms        100          200       300
";
        assert_eq!(picture(&everything(), 40, UNICODE), expected);
    }

    #[test]
    fn colour_is_balanced_and_moves_nothing() {
        let race = everything();
        let coloured = race.timeline().waterfall(80, Style { colour: true, ..UNICODE }).to_string();
        let mut plain = coloured.clone();
        for parameter in [0, 2, 31, 32, 33, 36] {
            plain = plain.replace(&format!("\x1b[{parameter}m"), "");
        }
        assert_eq!(plain, picture(&race, 80, UNICODE));
        assert!(coloured.contains("\x1b[32mestablished\x1b[0m"), "{coloured}");
        assert!(coloured.contains("\x1b[31m×\x1b[0m"), "{coloured}");
        assert_eq!(coloured.matches("\x1b[0m").count() * 2, coloured.matches("\x1b[").count());
    }

    #[test]
    fn a_hedge_and_a_deadline() {
        let config = Config { deadline: Some(Duration::from_secs(5)), ..Config::all_at_once() };
        let mut race = Recorded::racing(&config, &["192.0.2.1:80"]);
        race.at(5_000_000);
        let expected = "\
failed after 5000 ms: timed out (2 attempts, 2 in flight at most)

  192.0.2.1  timed out  5000 ms  ----------------------------------------------x
+ 192.0.2.1  timed out  5000 ms    --------------------------------------------x
                                 +--------+--------+---------+--------+--------+
                                 0 ms     1000     2000      3000     4000  5000
";
        assert_eq!(picture(&race, 80, ASCII), expected);
    }

    #[test]
    fn a_race_that_runs() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80", "192.0.2.2:81"]);
        race.at(40_000).fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Other).with_number(113));
        let expected = "\
racing for 40.0 ms (2 attempts, 2 in flight at most)

  192.0.2.1:80  error 113  40.0 ms  -----------------------x
  192.0.2.2:81  in flight  40.0 ms  ----------------------->
                                    +-----+-----+-----+----+
                                    0 ms  10    20    30  40
";
        assert_eq!(picture(&race, 60, ASCII), expected);
    }

    #[test]
    fn a_race_of_one_attempt() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.at(30_000).succeeds("192.0.2.1:80");
        let picture = picture(&race, 80, ASCII);
        assert_eq!(picture.lines().next(), Some("connected to 192.0.2.1:80 in 30.0 ms (1 attempt)"));
    }

    #[test]
    fn an_attempt_s_end_has_its_word() {
        let said_of = |error: AttemptError| {
            let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
            race.fails("192.0.2.1:80", error);
            word(&race.timeline().attempts().next().unwrap()).to_string()
        };
        let said = |kind: AttemptErrorKind| said_of(AttemptError::new(kind).with_number(113));
        assert_eq!(said(AttemptErrorKind::Other), "error 113");
        assert_eq!(said_of(AttemptErrorKind::Other.into()), "failed", "the stack gave no reason");
        assert_eq!(said(AttemptErrorKind::NoSourceAddress), "no source");
        assert_eq!(said(AttemptErrorKind::Setup(3)), "not set up");
        assert_eq!(said(AttemptErrorKind::StackGone), "network down");
        assert_eq!(said(AttemptErrorKind::SourceGone), "source gone");
        assert_eq!(said(AttemptErrorKind::OutOfSockets), "no socket");
        assert_eq!(said(AttemptErrorKind::Tls(TlsFailure::CertificateExpired)), "bad certificate");
        assert_eq!(said(AttemptErrorKind::Tls(TlsFailure::NotTls)), "TLS failed");
    }

    #[test]
    fn a_race_without_addresses() {
        let race = Recorded::racing(&Config::all_at_once(), &[]);
        assert_eq!(picture(&race, 80, ASCII), "failed after 0.00 ms: no address to connect to\n");
        assert_eq!(picture(&race, 40, ASCII), "failed after 0.00 ms:\nno address to connect to\n");
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let addresses: std::vec::Vec<String> = (1..=17).map(|last| format!("192.0.2.{last}:80")).collect();
        let addresses: std::vec::Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mut race = Recorded::racing(&Config::all_at_once(), &addresses);
        race.at(600_000).succeeds("192.0.2.9:80");
        let picture = picture(&race, 80, ASCII);
        let notes: std::vec::Vec<&str> = picture.lines().rev().take(3).collect();
        let expected =
            ["  4 attempts are not shown", "  1 address found no room", "  4 addresses were never started"];
        assert_eq!(notes, expected, "{picture}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten thousand addresses take minutes there")]
    fn a_count_of_five_digits_keeps_to_the_narrowest_width() {
        let addresses: std::vec::Vec<String> =
            (0..10_016).map(|n| format!("198.51.{}.{}:80", n / 256, n % 256)).collect();
        let addresses: std::vec::Vec<&str> = addresses.iter().map(String::as_str).collect();
        let race = Recorded::racing(&Config::all_at_once(), &addresses);
        assert!(picture(&race, 40, ASCII).ends_with("  10000 addresses found no room\n"));
    }

    #[test]
    fn a_race_of_a_year_keeps_to_the_narrowest_width() {
        let mut race =
            Recorded::racing(&Config::all_at_once(), &["[2001:db8:1234:5678:9abc:def0:1234:5678]:80"]);
        race.at(365 * 86_400 * 1_000_000).succeeds("[2001:db8:1234:5678:9abc:def0:1234:5678]:80");
        let picture = picture(&race, 40, ASCII);
        assert_eq!(picture.lines().next(), Some("connected to [200..8]:80 in 31536000.0 s"));
    }

    /// Every width; two under Miri, which takes a thousand times as long.
    fn widths() -> impl Iterator<Item = usize> {
        (40..=200).step_by(if cfg!(miri) { 160 } else { 1 })
    }

    #[test]
    fn every_width_is_kept_to() {
        let race = everything();
        // Its header has a third piece: why it failed.
        let mut failed = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        failed.at(13_300).fails("192.0.2.1:80", AttemptErrorKind::Refused);
        for width in widths() {
            picture(&race, width, UNICODE);
            picture(&race, width, ASCII);
            picture(&failed, width, ASCII);
        }
        assert_eq!(race.timeline().waterfall(0, ASCII).to_string(), picture(&race, 40, ASCII));
    }

    #[test]
    fn labels_stand_apart() {
        let mut race = Recorded::racing(&Config::staggered(), &["192.0.2.1:80"]);
        race.at(2_000_000).succeeds("192.0.2.1:80");
        for width in widths() {
            let picture = picture(&race, width, ASCII);
            let labels = picture.lines().last().unwrap().replace("0 ms", "0");
            let labels: std::vec::Vec<u32> =
                labels.split_whitespace().map(|label| label.parse().unwrap()).collect();
            assert!(
                labels.len() >= 3 && labels.is_sorted() && labels[labels.len() - 1] <= 2_000,
                "{picture}"
            );
        }
    }

    #[test]
    fn long_addresses_lose_their_middle() {
        let cut = |most, style| elide("2001:db8:1234:5678:9abc:def0:1234:5678", most, style).to_string();
        assert_eq!(cut(38, UNICODE), "2001:db8:1234:5678:9abc:def0:1234:5678");
        assert_eq!(cut(20, UNICODE), "2001:db8:…:1234:5678");
        assert_eq!(cut(20, ASCII), "2001:db8:..1234:5678");
        assert_eq!(cut(0, UNICODE), "…");
        let longest = "[1111:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535".parse().unwrap();
        assert_eq!(name(longest, true), "[1111:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535");
        assert_eq!(name(longest, false), "1111:1111:1111:1111:1111:1111:1111:1111%4294967295");
    }

    #[test]
    fn times_have_the_precision_that_the_axis_deserves() {
        let time = |at, span| AxisTime { at, span }.to_string();
        assert_eq!(time(1_234, 9_999), "1.23 ms");
        assert_eq!(time(1_234, 10_000), "1.2 ms");
        assert_eq!(time(1_234, 1_000_000), "1 ms");
        assert_eq!(time(1_234_567, 10_000_000), "1.2 s");
        assert_eq!(time(u64::MAX, u64::MAX), "18446744073709.5 s");
    }

    #[test]
    fn ticks_have_as_many_decimals_as_they_need() {
        let tick = |at, step, span| AxisTick { at, step, span }.to_string();
        assert_eq!(tick(0, 1, 5), "0 ms");
        assert_eq!(tick(3, 1, 5), "0.003");
        assert_eq!(tick(150, 50, 300), "0.15");
        assert_eq!(tick(1_500, 500, 3_000), "1.5");
        assert_eq!(tick(40_000, 20_000, 90_000), "40");
        assert_eq!(tick(0, 5_000_000, 20_000_000), "0 s");
        assert_eq!((tick(0, 1, 9_999_999), tick(0, 1, 10_000_000)), ("0 ms".into(), "0 s".into()));
        assert_eq!(tick(15_000_000, 5_000_000, 20_000_000), "15");
    }
}
