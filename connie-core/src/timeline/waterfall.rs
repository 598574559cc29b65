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

use core::fmt::{self, Display, Write};
use core::net::SocketAddr;
use core::time::Duration;

use heapless::String;

use super::{Attempt, Timeline};
use crate::plain::Number;
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
        let span = self.span();
        self.write_header(f, span)?;
        if self.timeline.attempts().next().is_some() {
            let layout = Layout::new(self, span);
            f.write_str("\n")?;
            if layout.with_wait {
                let resolved = self.timeline.summary().resolved.map_or(0, micros);
                self.write_row(f, &layout, &DestinationRow::wait(resolved, self.style))?;
            }
            self.each(&mut |attempt| {
                self.write_row(f, &layout, &DestinationRow::attempt(attempt, &layout, self.style))
            })?;
            self.write_axis(f, &layout)?;
        }
        self.write_notes(f)
    }
}

impl Waterfall<'_> {
    /// Visits the attempts in the order of their start: one loop for all who look at them.
    #[inline(never)]
    fn each(&self, visit: &mut dyn FnMut(&Attempt) -> fmt::Result) -> fmt::Result {
        self.timeline.attempts().try_for_each(|attempt| visit(&attempt))
    }

    /// The result and the counts behind it, broken where a line would be too long.
    fn write_header(&self, f: &mut fmt::Formatter<'_>, span: u64) -> fmt::Result {
        let summary = self.timeline.summary();
        let colour = match (summary.failure, summary.ended) {
            (Some(_), _) => Colour::Red,
            (None, Some(_)) => Colour::Green,
            (None, None) => Colour::Cyan,
        };
        // No line is longer than three pieces, so the sums are small.
        let mut column = 0_usize;
        for (part, colour) in
            [(HeaderPart::Result, colour), (HeaderPart::Reason, colour), (HeaderPart::Counts, Colour::Dim)]
        {
            let text = Header { waterfall: self, part, span };
            let length = columns(&text);
            if length == 0 {
                continue;
            }
            if column > 0 {
                let fits = column.saturating_add(length) < self.width;
                f.write_str(if fits { " " } else { "\n" })?;
                column = if fits { column.saturating_add(1) } else { 0 };
            }
            self.begin_colour(f, colour)?;
            text.fmt(f)?;
            self.end_colour(f)?;
            column = column.saturating_add(length);
        }
        f.write_str("\n")
    }

    #[inline(never)]
    fn write_row(&self, f: &mut fmt::Formatter<'_>, layout: &Layout, row: &DestinationRow) -> fmt::Result {
        let name = Elided { name: row.name, most: layout.name, style: self.style };
        let time = AxisTime { at: row.ended, span: layout.span };
        f.write_str(if row.hedge { "+ " } else { "  " })?;
        name.fmt(f)?;
        let gap = layout.name.saturating_sub(columns(&name));
        repeat(f, ' ', gap.saturating_add(2))?;
        self.begin_colour(f, row.colour)?;
        row.word.fmt(f)?;
        self.end_colour(f)?;
        let gap = layout.word.saturating_add(layout.time);
        let gap = gap.saturating_sub(columns(&row.word)).saturating_sub(columns(&time));
        repeat(f, ' ', gap.saturating_add(2))?;
        time.fmt(f)?;
        f.write_str(if layout.two_lines { "\n  " } else { "  " })?;

        let first = layout.cell(row.started);
        repeat(f, ' ', first)?;
        self.begin_colour(f, row.colour)?;
        repeat(f, row.line, layout.cell(row.ended).saturating_sub(first))?;
        f.write_char(row.end)?;
        self.end_colour(f)?;
        f.write_str("\n")
    }

    /// The axis with its ticks, and their labels below.
    fn write_axis(&self, f: &mut fmt::Formatter<'_>, layout: &Layout) -> fmt::Result {
        let step = layout.tick().max(1);
        let (corner, tick, line) = if self.style.unicode { ('├', '┬', '─') } else { ('+', '+', '-') };
        self.begin_colour(f, Colour::Dim)?;
        repeat(f, ' ', layout.left)?;
        let (mut column, mut time) = (0, 0_u64);
        while time <= layout.span {
            let cell = layout.cell(time);
            repeat(f, line, cell.saturating_sub(column))?;
            f.write_char(if time == 0 { corner } else { tick })?;
            column = cell.saturating_add(1);
            time = time.saturating_add(step);
        }
        repeat(f, line, layout.bar.saturating_sub(column))?;
        f.write_str("\n")?;
        repeat(f, ' ', layout.left)?;

        // Where the last label ended, and where the next may begin.
        let (mut column, mut free, mut time) = (0, 0, 0_u64);
        while time <= layout.span {
            let label = AxisTick { at: time, step, span: layout.span };
            // The last may have to stand to the left of its tick.
            let length = columns(&label);
            let at = layout.cell(time).min(layout.bar.saturating_sub(length));
            if at >= free {
                repeat(f, ' ', at.saturating_sub(column))?;
                label.fmt(f)?;
                column = at.saturating_add(length);
                free = column.saturating_add(1);
            }
            time = time.saturating_add(step);
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
            (idle, " address was never started", " addresses were never started"),
            (no_room, " address found no room", " addresses found no room"),
            (forgotten, " attempt is not shown", " attempts are not shown"),
        ];
        for (count, one, many) in notes.into_iter().filter(|(count, ..)| *count > 0) {
            f.write_str("  ")?;
            Number::of_size(count).fmt(f)?;
            f.write_str(if count == 1 { one } else { many })?;
            f.write_str("\n")?;
        }
        Ok(())
    }

    /// The newest moment that the timeline knows, in microseconds; at least 1.
    fn span(&self) -> u64 {
        let summary = self.timeline.summary();
        let mut newest = summary.ended.max(summary.resolved).unwrap_or(Duration::ZERO);
        let _ = self.each(&mut |attempt| {
            newest = newest.max(attempt.ended.unwrap_or(attempt.started));
            Ok(())
        });
        micros(newest).max(1)
    }

    fn begin_colour(&self, f: &mut fmt::Formatter<'_>, colour: Colour) -> fmt::Result {
        if !self.style.colour {
            return Ok(());
        }
        f.write_str("\x1b[")?;
        Number(colour as u64).fmt(f)?;
        f.write_str("m")
    }

    fn end_colour(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.style.colour { "\x1b[0m" } else { "" })
    }
}

/// A part of the header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderPart {
    Result,
    /// Why it failed, if it did.
    Reason,
    Counts,
}

/// A part of the header of a waterfall that is so many microseconds long.
struct Header<'w, 'a> {
    waterfall: &'w Waterfall<'a>,
    part: HeaderPart,
    span: u64,
}

impl fmt::Display for Header<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waterfall { timeline, width, style } = *self.waterfall;
        let summary = timeline.summary();
        if self.part == HeaderPart::Counts {
            return write_counts(f, summary.attempts, summary.max_in_flight);
        }
        if self.part == HeaderPart::Reason {
            return summary.failure.map_or(Ok(()), |failure| failure.fmt(f));
        }
        let elapsed = AxisTime { at: summary.ended.map_or(self.span, micros), span: self.span };
        match (summary.failure, timeline.winner()) {
            (Some(_), _) => {
                f.write_str("failed after ")?;
                elapsed.fmt(f)?;
                f.write_str(":")
            }
            (None, Some(winner)) => {
                let around = "connected to  in ".len().saturating_add(columns(&elapsed));
                let name = RowName::Address(winner.destination, true);
                f.write_str("connected to ")?;
                Elided { name, most: width.saturating_sub(around), style }.fmt(f)?;
                f.write_str(" in ")?;
                elapsed.fmt(f)
            }
            (None, None) => {
                f.write_str("racing for ")?;
                elapsed.fmt(f)
            }
        }
    }
}

fn write_counts(f: &mut fmt::Formatter<'_>, attempts: u32, most: usize) -> fmt::Result {
    if attempts <= 1 {
        return f.write_str(if attempts == 0 { "" } else { "(1 attempt)" });
    }
    f.write_str("(")?;
    Number(attempts.into()).fmt(f)?;
    f.write_str(" attempts, ")?;
    Number::of_size(most).fmt(f)?;
    f.write_str(" in flight at most)")
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
    fn new(waterfall: &Waterfall<'_>, span: u64) -> Self {
        let (style, width) = (waterfall.style, waterfall.width);
        let resolved = waterfall.timeline.summary().resolved.map_or(0, micros);
        let mut layout = Layout {
            span,
            name: 0,
            word: 0,
            time: columns(&AxisTime { at: span, span }),
            left: 2,
            bar: 1,
            two_lines: width < 60,
            with_ports: false,
            // What is shorter than a cell of a wide bar is not worth a row.
            with_wait: resolved > 0 && resolved.saturating_mul(100) >= span,
        };
        let mut port = None;
        let _ = waterfall.each(&mut |attempt| {
            let own = attempt.destination.port();
            layout.with_ports |= *port.get_or_insert(own) != own;
            Ok(())
        });
        let (mut name, mut word) = (0, 0);
        let mut measure = |row: &DestinationRow| {
            (name, word) = (columns(&row.name).max(name), columns(&row.word).max(word));
        };
        let _ = waterfall.each(&mut |attempt| {
            measure(&DestinationRow::attempt(attempt, &layout, style));
            Ok(())
        });
        if layout.with_wait {
            measure(&DestinationRow::wait(resolved, style));
        }
        layout.word = word;
        // The mark of a hedge, and what stands between the columns.
        let fixed = 2 + 2 + word + 2 + layout.time;
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
    name: RowName,
    word: Word,
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
            name: RowName::Address(attempt.destination, layout.with_ports),
            word: Word::of(attempt),
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
        DestinationRow {
            hedge: false,
            name: RowName::Wait,
            word: Word { text: "known", number: None },
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

/// A name as it is shortened: at most 65 bytes, of eight groups, a zone of ten digits, brackets and a port.
type TextLine = String<72>;

/// How many columns `text` takes: all characters used here take one.
#[inline(never)]
fn columns(text: &dyn Display) -> usize {
    let mut columns = Columns(0);
    let _ = write!(columns, "{text}");
    columns.0
}

/// Counts the characters that are written.
struct Columns(usize);

impl Write for Columns {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Those bytes that do not continue a character (RFC 3629 section 3).
        let begun = text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
        self.0 = self.0.saturating_add(begun);
        Ok(())
    }
}

/// What a row is about.
#[derive(Clone, Copy)]
enum RowName {
    /// An address, with its port or without.
    Address(SocketAddr, bool),
    /// The wait for the first address.
    Wait,
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RowName::Address(address, true) => AddressText(address).fmt(f),
            RowName::Address(address, false) => HostText(address).fmt(f),
            RowName::Wait => f.write_str("first address"),
        }
    }
}

/// How an attempt ended, in a word or two, with the number of its error.
#[derive(Clone, Copy)]
struct Word {
    text: &'static str,
    number: Option<i32>,
}

impl Word {
    fn of(attempt: &Attempt) -> Self {
        let kind = match attempt.outcome {
            None => return Word { text: "in flight", number: None },
            Some(AttemptOutcome::Failed(kind)) => kind,
            Some(outcome) => return Word { text: outcome.name(), number: None },
        };
        let text = match kind {
            AttemptErrorKind::Other => match attempt.number {
                Some(number) => return Word { text: "error ", number: Some(number) },
                None => "failed",
            },
            AttemptErrorKind::NoSourceAddress => "no source",
            AttemptErrorKind::Setup(_) => "not set up",
            AttemptErrorKind::StackGone => "network down",
            AttemptErrorKind::SourceGone => "source gone",
            AttemptErrorKind::OutOfSockets => "no socket",
            AttemptErrorKind::TimedOut => "timed out",
            AttemptErrorKind::Tls(failure) if failure.is_certificate() => "bad certificate",
            AttemptErrorKind::Tls(_) => "TLS failed",
            kind => AttemptOutcome::Failed(kind).name(),
        };
        Word { text, number: None }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)?;
        self.number.map_or(Ok(()), |number| Signed(number).fmt(f))
    }
}

/// A name in at most `most` columns: where it is longer its middle is left out.
struct Elided {
    name: RowName,
    most: usize,
    style: Style,
}

impl fmt::Display for Elided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = TextLine::new();
        // It fits, and is ASCII.
        let _ = write!(name, "{}", self.name);
        if name.len() <= self.most {
            return f.write_str(&name);
        }
        let (dots, width) = if self.style.unicode { ("…", 1) } else { ("..", 2) };
        let keep = self.most.saturating_sub(width);
        let (head, tail) = (keep / 2, keep - keep / 2);
        f.write_str(name.get(..head).unwrap_or_default())?;
        f.write_str(dots)?;
        f.write_str(name.get(name.len().saturating_sub(tail)..).unwrap_or_default())
    }
}

/// Writes a character so many times.
#[inline(never)]
fn repeat(f: &mut fmt::Formatter<'_>, character: char, count: usize) -> fmt::Result {
    (0..count).try_for_each(|_| f.write_char(character))
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
            0..10_000 => (10, 100, " ms"),
            10_000..1_000_000 => (100, 10, " ms"),
            1_000_000..10_000_000 => (1_000, 1, " ms"),
            _ => (100_000, 10, " s"),
        };
        let digits = self.at.saturating_add(digit / 2) / digit;
        write_decimal(f, digits, per_unit)?;
        f.write_str(unit)
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
        let (micros_per_unit, zero) =
            if self.span < 10_000_000 { (1_000, "0 ms") } else { (1_000_000, "0 s") };
        if self.at == 0 {
            return f.write_str(zero);
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
    Number(digits / per_unit).fmt(f)?;
    if per_unit > 1 {
        f.write_str(".")?;
    }
    let mut place = per_unit / 10;
    while place > 0 {
        Number(digits / place % 10).fmt(f)?;
        place /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
