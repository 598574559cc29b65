//! A picture of pairs: rows in groups, in each row a mark without something and one with it, over one
//! logarithmic axis of time.

use std::fmt::Write as _;

use crate::svg::{self, LEADING, MARGIN, NOTES, escape, line, portion, text};

/// Such a picture.
#[derive(Debug)]
pub struct Pairs<'a> {
    /// What it shows: its first line.
    pub title: &'a str,
    /// How to read it, line by line.
    pub notes: Vec<&'a str>,
    /// What stands in the file for those who do not see it.
    pub description: &'a str,
    /// What the first mark of a row is, in the legend.
    pub before: &'a str,
    /// What the second is.
    pub after: &'a str,
    /// The groups, from above.
    pub groups: Vec<Group<'a>>,
}

/// Rows below one heading.
#[derive(Debug)]
pub struct Group<'a> {
    /// The heading.
    pub name: &'a str,
    /// Where the bar stands in each of its rows, in milliseconds; `None` for no bar.
    pub bar: Option<f64>,
    /// The rows, from above.
    pub pairs: Vec<Pair<'a>>,
}

/// One row. A time of `None` is one that took too long.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Its name.
    pub name: &'a str,
    /// Milliseconds without.
    pub before: Option<f64>,
    /// Milliseconds with.
    pub after: Option<f64>,
}

// In pixels.
const LEFT: f64 = 160.0;
const RIGHT: f64 = 396.0;
/// Where those stand that took too long.
const RAIL: f64 = 446.0;
const ROW: f64 = 24.0;
const HEADING: f64 = 36.0;
/// The ends of the axis, in milliseconds.
const FIRST: f64 = 35.0;
const LAST: f64 = 10_000.0;
const TICKS: [(f64, &str); 4] = [(50.0, "50 ms"), (300.0, "0.3 s"), (2_000.0, "2 s"), (10_000.0, "10 s")];

const STYLE: &str = "
  .oracle { stroke: #1f2328; stroke-width: 2; }
  .before { fill: #cf222e; } .after { fill: #1a7f37; }
  .way { stroke: #afb8c1; stroke-width: 2; }
  text.heading { font-weight: bold; }
  @media (prefers-color-scheme: dark) {
    .oracle { stroke: #e6edf3; } .before { fill: #f85149; } .after { fill: #3fb950; } .way { stroke: #59636e; }
  }
";

impl Pairs<'_> {
    /// The picture, as SVG.
    #[must_use]
    pub fn draw(&self) -> String {
        let rows: f64 = self.groups.iter().map(|group| HEADING + ROW * group.pairs.len() as f64).sum();
        let legend = NOTES + LEADING * self.notes.len() as f64 + 4.0;
        let top = legend + 10.0;
        let bottom = top + rows + 8.0;
        let mut content = String::new();
        svg::head(&mut content, self.title, self.notes.iter().copied());
        circle(&mut content, self.before, MARGIN + 6.0, legend - 5.0);
        text(&mut content, "", MARGIN + 20.0, legend, self.before);
        diamond(&mut content, self.after, 206.0, legend - 5.0);
        text(&mut content, "", 220.0, legend, self.after);
        axis(&mut content, top + HEADING, bottom);
        let mut y = top;
        for group in &self.groups {
            y += HEADING;
            text(&mut content, "heading", MARGIN, y - 8.0, group.name);
            for pair in &group.pairs {
                row(&mut content, group.bar, pair, y + ROW / 2.0);
                y += ROW;
            }
        }
        svg::page(self.title, self.description, bottom + 34.0, STYLE, &content)
    }
}

fn row(content: &mut String, bar: Option<f64>, pair: &Pair<'_>, y: f64) {
    text(content, "", MARGIN, y + 5.0, pair.name);
    let at = |time: Option<f64>| time.map_or(RAIL, x);
    let (before, after) = (at(pair.before), at(pair.after));
    line(content, "way", (before.min(after), y), (before.max(after), y));
    circle(content, "without", before, y);
    if let Some(bar) = bar {
        line(content, "oracle", (x(bar), y - 10.0), (x(bar), y + 10.0));
    }
    diamond(content, "with", after, y);
}

fn axis(content: &mut String, top: f64, bottom: f64) {
    for (millis, name) in TICKS {
        let x = x(millis);
        line(content, "grid", (x, top), (x, bottom));
        text(content, "soft middle", x, bottom + 20.0, name);
    }
    line(content, "grid", (RAIL, top), (RAIL, bottom));
    text(content, "soft middle", RAIL, bottom + 20.0, "longer");
}

fn x(millis: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * portion(millis.max(FIRST), FIRST, LAST).clamp(0.0, 1.0)
}

fn circle(content: &mut String, name: &str, x: f64, y: f64) {
    let name = escape(name);
    let _ = writeln!(
        content,
        "<circle class=\"before\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{name}</title></circle>"
    );
}

fn diamond(content: &mut String, name: &str, x: f64, y: f64) {
    let (top, right, bottom, left) = (y - 7.0, x + 7.0, y + 7.0, x - 7.0);
    let name = escape(name);
    let _ = writeln!(
        content,
        "<path class=\"after\" d=\"M{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}L{left:.1} {y:.1}Z\">\
         <title>{name}</title></path>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_both_marks_and_its_bar_between_them() {
        let pairs = vec![Pair { name: "a < b", before: None, after: Some(70.0) }];
        let groups = vec![Group { name: "g", bar: Some(70.0), pairs }];
        let (before, after) = ("without", "with");
        let picture = Pairs { title: "t", notes: vec!["a"], description: "d", before, after, groups }.draw();
        assert!(picture.contains("a &lt; b"));
        let last = |part: &str| picture.rfind(part).unwrap();
        assert!(last("class=\"before\"") < last("class=\"oracle\""));
        assert!(last("class=\"oracle\"") < last("class=\"after\""));
        assert!(picture.contains(&format!("cx=\"{RAIL:.1}\"")), "what took too long stands on the rail");
        assert!(picture.contains(&format!("d=\"M{:.1} ", x(70.0))), "what did not stands at its time");
    }
}
