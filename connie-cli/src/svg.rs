//! A picture of the race as SVG: self-contained, and readable on light and dark pages. It is narrow enough
//! for a telephone, with text that can still be read there; elsewhere it is shown larger.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use connie_core::timeline::Attempt;
use connie_core::{AttemptOutcome, Timeline};

mod summary;

pub use summary::{SummaryChart, SummaryRow};

/// The width of the picture, in pixels like all lengths here, unless an address needs more.
const WIDTH: f64 = 400.0;
/// How much larger it is shown where there is room.
const SHOWN: f64 = 1.4;
pub const MARGIN: f64 = 16.0;
/// A row is a line of text and a bar below it.
const ROW: f64 = 33.0;
/// From one line of text, or of the title, to the next.
const LEADING: f64 = 17.0;
/// From the last line above the rows to the first row.
const GAP: f64 = 14.0;
/// How wide a character of the rows is: 0.602 em in most monospaced fonts, rounded up.
const CHARACTER: f64 = 7.4;
/// How many characters fit into a line: of the title, of the text below it, and of a note.
const TITLE: usize = 40;
const ABOUT: usize = 50;
const NOTE: usize = 49;

/// The style sheet. It names no font that has to be there, and uses nothing that plain viewers do not know.
pub const STYLE: &str = "
  text { font: 12px ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; }
  text.title { font: bold 14px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
  text.sum { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
  text.soft { fill: #59636e; }
  text.won { font-weight: bold; }
  .page { fill: #ffffff; stroke: #d0d7de; }
  .grid { stroke: #e4e8ec; }
  .established { fill: #1a7f37; stroke: #1a7f37; }
  .failed { fill: #cf222e; stroke: #cf222e; }
  .evicted { fill: #bf8700; stroke: #bf8700; }
  .canceled { fill: #afb8c1; stroke: #afb8c1; }
  .flying { fill: #0969da; stroke: #0969da; }
  .wait { fill: #d0d7de; stroke: #d0d7de; }
  .bar { stroke: none; fill-opacity: 0.45; }
  .mark { stroke: none; }
  .open { fill: none; stroke-width: 2.2; }
  .cut { stroke: #ffffff; stroke-width: 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    text.soft { fill: #9198a1; }
    .page { fill: #0d1117; stroke: #3d444d; }
    .grid { stroke: #262c36; }
    .established { fill: #3fb950; stroke: #3fb950; }
    .failed { fill: #f85149; stroke: #f85149; }
    .evicted { fill: #d29922; stroke: #d29922; }
    .canceled { fill: #545d68; stroke: #545d68; }
    .flying { fill: #4493f8; stroke: #4493f8; }
    .wait { fill: #3d444d; stroke: #3d444d; }
    .bar, .mark { stroke: none; }
    .open { fill: none; }
    .cut { stroke: #0d1117; }
  }
";

/// A race that prints as SVG.
pub struct Svg {
    /// Its description for screen readers.
    label: String,
    title: String,
    result: String,
    rows: Vec<Row>,
    notes: Vec<String>,
    /// The length of the time axis, in milliseconds.
    span: f64,
}

/// An attempt, or the wait for the first address.
struct Row {
    /// A second attempt beside another.
    hedge: bool,
    name: String,
    word: String,
    class: &'static str,
    end: End,
    started: f64,
    ended: f64,
}

/// What stands at the end of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dot,
    Cross,
    Back,
    On,
    Plain,
}

impl Svg {
    /// The picture of a race to `host` and `port`.
    pub fn new(timeline: Timeline<'_>, host: &str, port: u16) -> Self {
        let title = format!("{host} port {port}");
        Svg { label: format!("Connection race to {title}"), ..Self::titled(timeline, &title, port) }
    }

    /// The picture of a race, with a title of its own. Only ports other than `port` are named.
    pub fn titled(timeline: Timeline<'_>, title: &str, port: u16) -> Self {
        let summary = timeline.summary();
        let attempts = || timeline.attempts();
        let ends = attempts().map(|attempt| attempt.ended.unwrap_or(attempt.started));
        let span = ends.chain(summary.ended).chain(summary.resolved).max().unwrap_or_default();
        let span = (span.as_secs_f64() * 1_000.0).max(0.001);
        let resolved = summary.resolved.map_or(0.0, |resolved| resolved.as_secs_f64() * 1_000.0);
        let wait = (resolved >= span / 100.0).then(|| Row::wait(resolved));
        let with_port = attempts().any(|attempt| attempt.destination.port() != port);
        let rows = attempts().map(|attempt| Row::attempt(&attempt, with_port, span));
        Svg {
            label: title.to_owned(),
            title: title.to_owned(),
            result: result(&timeline, span),
            rows: wait.into_iter().chain(rows).collect(),
            notes: notes(&timeline),
            span,
        }
    }

    /// The same with this below it.
    pub fn noting(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    /// Where the time `at` is drawn, in a picture of this width.
    fn x(&self, at: f64, width: f64) -> f64 {
        MARGIN + (width - 2.0 * MARGIN - 8.0) * (at / self.span).clamp(0.0, 1.0)
    }

    fn write_axis(&self, f: &mut fmt::Formatter<'_>, width: f64) -> fmt::Result {
        let bottom = self.top() + ROW * self.rows.len() as f64 + 4.0;
        let step = step(self.span, (width - MARGIN) / 60.0);
        let seconds = self.span >= 10_000.0;
        let mut tick = 0_u32;
        while f64::from(tick) * step <= self.span * 1.000_001 {
            let at = f64::from(tick) * step;
            let x = self.x(at, width);
            self.write_grid(f, x)?;
            let label = round(if seconds { at / 1_000.0 } else { at });
            let (unit, anchor) = match (tick, seconds) {
                (0, true) => (" s", "start"),
                (0, false) => (" ms", "start"),
                _ => ("", "middle"),
            };
            writeln!(
                f,
                r#"<text class="soft" x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{label}{unit}</text>"#,
                bottom + 16.0
            )?;
            tick += 1;
        }
        Ok(())
    }

    /// The grid line of a time. It is drawn only behind the bars: a line through text makes it hard to read.
    fn write_grid(&self, f: &mut fmt::Formatter<'_>, x: f64) -> fmt::Result {
        f.write_str(r#"<path class="grid" d=""#)?;
        for row in 0..self.rows.len() {
            write!(f, "M{x:.1} {:.1}v16", self.top() + ROW * row as f64 + 16.0)?;
        }
        f.write_str("\"/>\n")
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, row: &Row, columns: &Columns, y: f64) -> fmt::Result {
        let (from, to) = (self.x(row.started, columns.width), self.x(row.ended, columns.width));
        let (base, middle) = (y + 13.0, y + 22.0);
        let at = time(row.ended, self.span);
        let won = if row.end == End::Dot { "won" } else { "" };
        let (name, word, class) = (Escaped(&row.name), Escaped(&row.word), row.class);
        let start = time(row.started, self.span);
        writeln!(f, "<g><title>{name}: {word}, from {start} to {at}</title>")?;
        if row.hedge {
            writeln!(f, r#"<text class="soft" x="{:.1}" y="{base:.1}">+</text>"#, MARGIN - 11.0)?;
        }
        writeln!(f, r#"<text class="{won}" x="{MARGIN}" y="{base:.1}">{name}</text>"#)?;
        writeln!(f, r#"<text class="{won}" x="{:.1}" y="{base:.1}">{word}</text>"#, columns.word)?;
        writeln!(
            f,
            r#"<text class="{won}" x="{:.1}" y="{base:.1}" text-anchor="end">{at}</text>"#,
            columns.width - MARGIN
        )?;
        let (width, top) = ((to - from).max(2.0), middle - 3.0);
        writeln!(
            f,
            r#"<rect class="{class} bar" x="{from:.1}" y="{top:.1}" width="{width:.1}" height="6" rx="2"/>"#
        )?;
        write_end(f, row.end, class, from.max(to), middle)?;
        f.write_str("</g>\n")
    }
}

impl Display for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0.0, SHOWN)
    }
}

/// Pictures one below the other, as one.
pub struct Sheet {
    /// Above the others.
    pub summary: SummaryChart,
    /// Below.
    pub races: Vec<Svg>,
}

impl Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let races: f64 = self.races.iter().map(|race| GAP + race.height()).sum();
        let height = self.summary.height() + races;
        let width = self.races.iter().map(|race| Columns::of(race).width).fold(WIDTH, f64::max);
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{}" height="{}">"#,
            pixels(width * SHOWN),
            pixels(height * SHOWN)
        )?;
        self.summary.write(f)?;
        let mut top = self.summary.height();
        for race in &self.races {
            race.write(f, top + GAP, 1.0)?;
            top += GAP + race.height();
        }
        f.write_str("</svg>\n")
    }
}

impl Svg {
    /// Where the first row begins.
    fn top(&self) -> f64 {
        head(&self.title, &self.result)
    }

    /// The height of the rows, and of the axis below them.
    fn rows_and_axis(&self) -> (f64, f64) {
        (ROW * self.rows.len() as f64, if self.rows.is_empty() { -16.0 } else { 26.0 })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.iter().flat_map(|note| wrapped(note, NOTE)).collect()
    }

    fn height(&self) -> f64 {
        let (rows, axis) = self.rows_and_axis();
        self.top() + rows + axis + LEADING * self.notes().len() as f64 + 12.0
    }

    /// Writes the picture, scaled by `scale`, `top` pixels below the top of the picture that contains it.
    fn write(&self, f: &mut fmt::Formatter<'_>, top: f64, scale: f64) -> fmt::Result {
        let columns = Columns::of(self);
        let (rows, axis) = self.rows_and_axis();
        let frame = Frame { top, width: columns.width, height: self.height(), scale };
        frame.write(f, [&self.label, &self.title, &self.result])?;
        if !self.rows.is_empty() {
            self.write_axis(f, columns.width)?;
        }
        for (index, row) in self.rows.iter().enumerate() {
            self.write_row(f, row, &columns, self.top() + ROW * index as f64)?;
        }
        for (index, note) in self.notes().iter().enumerate() {
            let y = self.top() + rows + axis + 14.0 + LEADING * index as f64;
            writeln!(f, r#"<text class="soft" x="{MARGIN}" y="{y:.1}">{}</text>"#, Escaped(note))?;
        }
        close(f)
    }
}

/// Where the content below a title and the text about it begins.
fn head(title: &str, about: &str) -> f64 {
    let lines = wrapped(title, TITLE).len() + wrapped(about, ABOUT).len();
    28.0 + LEADING * (lines as f64 - 1.0) + GAP
}

/// A picture with its border.
struct Frame {
    /// How far below the top of the picture that contains it.
    top: f64,
    width: f64,
    height: f64,
    scale: f64,
}

impl Frame {
    /// Begins it: the label for screen readers, the title and the text below that.
    fn write(&self, f: &mut fmt::Formatter<'_>, texts: [&str; 3]) -> fmt::Result {
        let Frame { top, width, height, scale } = *self;
        let [label, title, about] = texts;
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" y="{top}" viewBox="0 0 {width} {height}" width="{}" height="{}" role="img">"#,
            pixels(width * scale),
            pixels(height * scale)
        )?;
        writeln!(f, "<title>{}</title>\n<desc>{}</desc>", Escaped(label), Escaped(about))?;
        writeln!(f, "<style>{STYLE}</style>")?;
        let (inner, tall) = (width - 1.0, height - 1.0);
        writeln!(f, r#"<rect class="page" x="0.5" y="0.5" width="{inner}" height="{tall}" rx="8"/>"#)?;
        let lines = wrapped(title, TITLE).into_iter().map(|line| ("title", line));
        let lines = lines.chain(wrapped(about, ABOUT).into_iter().map(|line| ("sum soft", line)));
        for (index, (class, line)) in lines.enumerate() {
            let y = 28.0 + LEADING * index as f64;
            writeln!(f, r#"<text class="{class}" x="{MARGIN}" y="{y:.1}">{}</text>"#, Escaped(&line))?;
        }
        Ok(())
    }
}

/// Ends a picture.
fn close(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("</svg>\n")
}

impl Row {
    fn attempt(attempt: &Attempt, with_port: bool, span: f64) -> Self {
        let name = match attempt.destination {
            address if with_port => address.to_string(),
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            address => address.ip().to_string(),
        };
        let millis = |at: std::time::Duration| at.as_secs_f64() * 1_000.0;
        let (class, end) = match attempt.outcome {
            Some(AttemptOutcome::Established) => ("established", End::Dot),
            Some(AttemptOutcome::Failed(_)) => ("failed", End::Cross),
            Some(AttemptOutcome::Evicted) => ("evicted", End::Back),
            Some(AttemptOutcome::Canceled) => ("canceled", End::Plain),
            None => ("flying", End::On),
        };
        let word = match attempt.outcome {
            Some(outcome) => outcome.name().replace('_', " "),
            None => "in flight".to_owned(),
        };
        Row {
            hedge: attempt.hedge,
            name: shorten(&name, 40),
            word,
            class,
            end,
            started: millis(attempt.started),
            ended: attempt.ended.map_or(span, millis),
        }
    }

    fn wait(resolved: f64) -> Self {
        let (name, word) = ("first address".to_owned(), "known".to_owned());
        Row { hedge: false, name, word, class: "wait", end: End::Plain, started: 0.0, ended: resolved }
    }
}

/// How the race ended.
fn result(timeline: &Timeline<'_>, span: f64) -> String {
    let summary = timeline.summary();
    let result = match (timeline.winner(), summary.failure) {
        (Some(winner), _) => format!("connected to {} in {}", winner.destination, time(span, span)),
        (None, Some(failure)) => format!("failed after {}: {failure}", time(span, span)),
        (None, None) => "racing".to_owned(),
    };
    let (attempts, most) = (summary.attempts, summary.max_in_flight);
    match attempts {
        0 => result,
        1 => format!("{result} · 1 attempt"),
        _ => format!("{result} · {attempts} attempts, {most} in flight at most"),
    }
}

/// What the rows do not show.
fn notes(timeline: &Timeline<'_>) -> Vec<String> {
    let summary = timeline.summary();
    let idle = timeline.destinations().filter(|destination| !destination.was_started()).count();
    let notes = [
        (idle, "address was never started", "addresses were never started"),
        (
            summary.omitted_destinations,
            "address found no room in the race",
            "addresses found no room in the race",
        ),
        (summary.omitted_attempts as usize, "attempt is not shown", "attempts are not shown"),
    ];
    let notes = notes.into_iter().filter(|(count, ..)| *count > 0);
    notes.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect()
}

/// Where the word begins, and how wide the picture is. The name stands at the left, the time at the right.
struct Columns {
    word: f64,
    width: f64,
}

impl Columns {
    fn of(race: &Svg) -> Self {
        let widest = |text: fn(&Row) -> &str| {
            let characters = race.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
            characters as f64 * CHARACTER
        };
        let word = MARGIN + widest(|row| &row.name) + 12.0;
        let time = time(race.span, race.span).len() as f64 * CHARACTER;
        let width = (word + widest(|row| &row.word) + 12.0 + time + MARGIN).ceil();
        Columns { word, width: width.max(WIDTH) }
    }
}

/// The mark at the end of a bar, at `x` and `y`: each kind of end has a shape of its own, not only a colour.
fn write_end(f: &mut fmt::Formatter<'_>, end: End, class: &str, x: f64, y: f64) -> fmt::Result {
    match end {
        End::Dot => writeln!(f, r#"<circle class="{class} mark" cx="{x:.1}" cy="{y:.1}" r="6"/>"#),
        End::Cross => {
            let (left, right, top, bottom) = (x - 4.5, x + 4.5, y - 4.5, y + 4.5);
            writeln!(
                f,
                r#"<path class="{class} open" d="M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}"/>"#
            )
        }
        End::Back | End::On => {
            let tip = if end == End::On { x + 8.0 } else { x - 8.0 };
            let (top, bottom) = (y - 6.0, y + 6.0);
            writeln!(f, r#"<path class="{class} mark" d="M{x:.1} {top:.1}V{bottom:.1}L{tip:.1} {y:.1}Z"/>"#)
        }
        End::Plain => Ok(()),
    }
}

/// A time in milliseconds, as precise as the length of the axis deserves: rounded from microseconds as the
/// waterfall does it.
fn time(at: f64, span: f64) -> String {
    let micros = (at * 1_000.0).round();
    let to = |digit: f64| (micros / digit + 0.5).floor() * digit / 1_000.0;
    match span {
        _ if span < 10.0 => format!("{:.2} ms", to(10.0)),
        _ if span < 1_000.0 => format!("{:.1} ms", to(100.0)),
        _ if span < 10_000.0 => format!("{:.0} ms", to(1_000.0)),
        _ => format!("{:.1} s", to(100_000.0) / 1_000.0),
    }
}

/// 1, 2 or 5 times a power of ten, so that `span` has at most `most` steps.
fn step(span: f64, most: f64) -> f64 {
    let least = span / most.max(1.0);
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|step| *step >= least * 0.999_999).unwrap_or(power * 10.0)
}

/// The number without the noise of its last binary digits.
fn round(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

/// A size rounded to a tenth of a pixel.
fn pixels(size: f64) -> f64 {
    (size * 10.0).round() / 10.0
}

/// `text` in lines of at most `most` characters; a longer word is shortened.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, most)),
        }
    }
    lines
}

/// `text` in at most `most` characters: where it is longer its middle is left out.
fn shorten(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let (head, tail) = ((most - 1) / 2, most / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// Text within XML.
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            // XML 1.0 has no way to write the other controls.
            c if c.is_control() => f.write_str("\u{fffd}"),
            c => write!(f, "{c}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(step(301.5, 7.0), 50.0);
        assert_eq!(step(40.0, 8.0), 5.0);
        assert_eq!(step(0.3, 7.0), 0.05);
        assert_eq!(step(135_000.0, 7.0), 20_000.0);
    }

    #[test]
    fn names_cannot_break_out_of_the_picture() {
        assert_eq!(Escaped("<a href=\"x\">&\u{1}").to_string(), "&lt;a href=&quot;x&quot;&gt;&amp;\u{fffd}");
    }

    #[test]
    fn times_are_rounded_as_the_waterfall_rounds_them() {
        let shown = [(0.125, 9.9), (312.45, 999.0), (532.5, 1_224.0), (127_150.0, 127_200.0)];
        let shown = shown.map(|(at, span)| time(at, span));
        assert_eq!(shown, ["0.13 ms", "312.5 ms", "533 ms", "127.2 s"]);
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two", 6), ["one", "two"]);
        assert_eq!(wrapped("one", 7), ["one"]);
        assert_eq!(wrapped("a abcdefghi b", 8), ["a", "abc…fghi", "b"]);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten("abcdefgh", 8), "abcdefgh");
        assert_eq!(shorten("abcdefghi", 8), "abc…fghi");
    }
}
