//! A picture of rows: one for each network, in it a mark for each client, over one logarithmic axis of time.
//! Each mark has its client's name below it.

use std::fmt::Write as _;

use crate::svg::{self, LEADING, MARGIN, NOTES, WIDTH, line, portion, text};

/// Such a picture.
pub(crate) struct Strips {
    /// What it shows: its first line.
    pub(crate) title: &'static str,
    /// How to read it.
    pub(crate) notes: [&'static str; 4],
    /// The description for screen readers.
    pub(crate) description: &'static str,
    /// The rows, from above.
    pub(crate) rows: Vec<Row>,
}

/// One network.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Where the bar stands, in milliseconds; `None` for no bar.
    pub(crate) bar: Option<f64>,
    pub(crate) marks: Vec<Mark>,
}

/// A client on a network.
pub(crate) struct Mark {
    pub(crate) name: String,
    /// Whether it is the one that the picture is about: a diamond, on top of all others.
    pub(crate) is_ours: bool,
    /// When its request reached the server; `None` if it took too long.
    pub(crate) millis: Option<f64>,
}

/// Marks at the same place, and where their name stands.
#[derive(Debug, PartialEq)]
struct Label {
    names: Vec<String>,
    /// Where the marks are.
    x: f64,
    /// Where the text begins, and in which line.
    from: f64,
    line: usize,
}

// In pixels.
const LEFT: f64 = 30.0;
const RIGHT: f64 = 410.0;
/// Where those stand that took too long.
const RAIL: f64 = 452.0;
/// From the top of a row to its strip, and to the first line of names.
const STRIP: f64 = 32.0;
const NAMES: f64 = 58.0;
/// From the last line of names to the next row.
const GAP: f64 = 18.0;
/// Marks that are closer than this share a label.
const NEAR: f64 = 9.0;
/// An upper bound of the average width of a character.
const CHARACTER: f64 = 8.6;
/// Between two names in a line.
const APART: f64 = 14.0;
/// The ends of the axis, in milliseconds.
const FIRST: f64 = 35.0;
const LAST: f64 = 10_000.0;
const TICKS: [(f64, &str); 5] =
    [(50.0, "50 ms"), (200.0, "200 ms"), (1_000.0, "1 s"), (3_000.0, "3 s"), (10_000.0, "10 s")];

const STYLE: &str = "
  text.row { font-weight: bold; }
  text.name { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  .oracle { stroke: #1f2328; stroke-width: 2.4; }
  .connie { fill: #1a7f37; }
  .peer { fill: #59636e; fill-opacity: 0.7; }
  .lead { stroke: #afb8c1; }
  @media (prefers-color-scheme: dark) {
    text.name { stroke: #0d1117; }
    .oracle { stroke: #e6edf3; } .connie { fill: #3fb950; } .peer { fill: #9198a1; } .lead { stroke: #59636e; }
  }
";

impl Strips {
    /// The picture, as SVG.
    pub(crate) fn draw(&self) -> String {
        let mut content = String::new();
        svg::head(&mut content, self.title, self.notes);
        let mut top = NOTES + LEADING * self.notes.len() as f64 + 22.0;
        let begin = top;
        let mut rows = String::new();
        for row in &self.rows {
            let labels = row.labels();
            row.draw(&mut rows, &labels, top);
            top += height(&labels);
        }
        axis(&mut content, begin, top - GAP + 4.0);
        content.push_str(&rows);
        svg::page(self.title, self.description, top + 12.0, STYLE, &content)
    }
}

impl Row {
    /// The labels of the other clients, each on the first line that has room for it.
    fn labels(&self) -> Vec<Label> {
        let mut marks: Vec<(f64, &str)> = self.others().map(|mark| (mark.x(), &mark.name[..])).collect();
        marks.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut groups: Vec<(f64, f64, Vec<String>)> = Vec::new();
        for (x, name) in marks {
            match groups.last_mut() {
                Some((first, last, names)) if x - *first < NEAR => {
                    names.push(name.to_owned());
                    *last = x;
                }
                _ => groups.push((x, x, vec![name.to_owned()])),
            }
        }
        let mut labels: Vec<Label> = Vec::new();
        for (first, last, names) in groups {
            let names = self.shortened(names);
            let (x, width) = (f64::midpoint(first, last), width(&names));
            let from = (x - width / 2.0).min(WIDTH - MARGIN - width).max(MARGIN);
            let is_free = |line: &usize| {
                labels.iter().filter(|label| label.line == *line).all(|label| {
                    label.from + self::width(&label.names) + APART <= from
                        || from + width + APART <= label.from
                })
            };
            let line = (0..).find(is_free).unwrap_or(0);
            labels.push(Label { names, x, from, line });
        }
        labels
    }

    /// The names, or "all but" the others where those are far fewer.
    fn shortened(&self, names: Vec<String>) -> Vec<String> {
        let is_absent = |mark: &&Mark| !names.contains(&mark.name);
        let absent: Vec<&str> = self.others().filter(is_absent).map(|mark| &mark.name[..]).collect();
        match absent[..] {
            _ if names.len() < 3 || 2 * absent.len() >= names.len() => names,
            [] => vec!["all others".to_owned()],
            _ => vec![format!("all but {}", absent.join(", "))],
        }
    }

    fn others(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(|mark| !mark.is_ours)
    }

    /// The marks of the others first, so that they do not hide the bar, and ours on top.
    fn draw(&self, content: &mut String, labels: &[Label], top: f64) {
        let y = top + STRIP;
        text(content, "row", MARGIN, top + 12.0, &self.name);
        for label in labels {
            let base = top + NAMES + LEADING * label.line as f64;
            line(content, "lead", (label.x, y), (label.x, base - 12.0));
        }
        for mark in self.others() {
            let x = mark.x();
            let _ = writeln!(content, "<circle class=\"peer\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>");
        }
        if let Some(bar) = self.bar {
            line(content, "oracle", (x(bar), y - 11.0), (x(bar), y + 11.0));
        }
        for mark in self.marks.iter().filter(|mark| mark.is_ours) {
            let (x, size) = (mark.x(), 8.0);
            let (above, right, below, left) = (y - size, x + size, y + size, x - size);
            let _ = writeln!(
                content,
                "<path class=\"connie\" d=\"M{x:.1} {above:.1}L{right:.1} {y:.1}L{x:.1} {below:.1}L{left:.1} {y:.1}Z\"/>"
            );
        }
        for label in labels {
            let base = top + NAMES + LEADING * label.line as f64;
            text(content, "name", label.from, base, &label.names.join(", "));
        }
    }
}

impl Mark {
    fn x(&self) -> f64 {
        self.millis.map_or(RAIL, x)
    }
}

/// How high a row with these names is.
fn height(labels: &[Label]) -> f64 {
    let lines = labels.iter().map(|label| label.line + 1).max().unwrap_or(0);
    NAMES + LEADING * (lines as f64 - 1.0) + GAP
}

/// How wide names are.
fn width(names: &[String]) -> f64 {
    names.join(", ").chars().count() as f64 * CHARACTER
}

fn axis(content: &mut String, top: f64, bottom: f64) {
    for (millis, name) in TICKS.into_iter().chain([(f64::INFINITY, "more")]) {
        let x = if millis.is_finite() { x(millis) } else { RAIL };
        text(content, "soft middle", x, top - 14.0, name);
        line(content, "grid", (x, top - 8.0), (x, bottom));
    }
}

fn x(millis: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * portion(millis.max(FIRST), FIRST, LAST).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(marks: &[(&str, Option<f64>)]) -> Row {
        let mark = |(name, millis): &(&str, Option<f64>)| Mark {
            name: (*name).to_owned(),
            is_ours: *name == "connie",
            millis: *millis,
        };
        Row { name: "a < b".to_owned(), bar: Some(40.0), marks: marks.iter().map(mark).collect() }
    }

    #[test]
    fn a_row_has_its_bar_over_the_others_and_ours_over_the_bar() {
        let rows = vec![row(&[("connie", Some(40.0)), ("curl", None)])];
        let picture = Strips { title: "t", notes: ["a"; 4], description: "d", rows }.draw();
        assert!(picture.contains("a &lt; b"));
        let last = |part: &str| picture.rfind(part).unwrap();
        assert!(last("class=\"peer\"") < last("class=\"oracle\""));
        assert!(last("class=\"oracle\"") < last("class=\"connie\""));
        assert!(picture.contains(&format!("cx=\"{RAIL:.1}\"")), "what took too long stands on the rail");
    }

    #[test]
    fn each_other_has_its_name_and_no_two_names_overlap() {
        let five = [
            ("a", Some(70.0)),
            ("b", Some(71.0)),
            ("somebody", Some(100.0)),
            ("another", Some(110.0)),
            ("c", None),
        ];
        let labels = row(&five).labels();
        let names: Vec<String> = labels.iter().map(|label| label.names.join(", ")).collect();
        assert_eq!(names, ["a, b", "somebody, another", "c"]);
        for (index, one) in labels.iter().enumerate() {
            for other in labels[index + 1..].iter().filter(|other| other.line == one.line) {
                assert!(one.from + width(&one.names) <= other.from, "{one:?} {other:?}");
            }
            assert!(one.from >= MARGIN && one.from + width(&one.names) <= WIDTH - MARGIN, "{one:?}");
        }
        let same = row(&[("connie", Some(40.0)), ("a", None), ("b", None), ("c", None)]).labels();
        assert_eq!(same[0].names, ["all others"]);
        let most = row(&[("a", Some(70.0)), ("b", None), ("c", None), ("d", None)]).labels();
        assert_eq!(most[1].names, ["all but a"]);
    }
}
