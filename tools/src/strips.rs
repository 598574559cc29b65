//! A picture of rows: one for each network, in it a mark for each client, over one logarithmic axis of time.

use std::fmt::Write as _;

use crate::svg::{self, WIDTH, escape, line, portion, text};

/// Such a picture.
#[derive(Debug)]
pub struct Strips<'a> {
    /// What it shows: its first line.
    pub title: &'a str,
    /// How to read it: its second line.
    pub about: &'a str,
    /// What stands in the file for those who do not see it.
    pub description: &'a str,
    /// The clients, in the order of the legend.
    pub clients: Vec<Client<'a>>,
    /// The rows, from above.
    pub rows: Vec<Row<'a>>,
}

/// A client.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Whether it is the one that the picture is about: a diamond, on top of all others.
    pub is_ours: bool,
}

/// One network.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where the bar stands, in milliseconds; `None` for no bar.
    pub bar: Option<f64>,
    /// When each client was there, in milliseconds; `None` for one that took too long.
    pub marks: Vec<Option<f64>>,
}

// In pixels.
const LEFT: f64 = 220.0;
const RIGHT: f64 = 850.0;
/// Where those stand that took too long.
const RAIL: f64 = 900.0;
const TOP: f64 = 132.0;
const ROW: f64 = 30.0;
/// How far the marks of two clients lie apart, so that those at the same place are all seen.
const APART: f64 = 2.6;
/// The ends of the axis, in milliseconds.
const FIRST: f64 = 30.0;
const LAST: f64 = 10_000.0;
const TICKS: [(f64, &str); 8] = [
    (50.0, "50 ms"),
    (100.0, "100 ms"),
    (200.0, "200 ms"),
    (500.0, "500 ms"),
    (1_000.0, "1 s"),
    (2_000.0, "2 s"),
    (5_000.0, "5 s"),
    (10_000.0, "10 s"),
];

const STYLE: &str = "
  .oracle { stroke: #1f2328; stroke-width: 2; }
  .connie { fill: #1a7f37; }
  .peer { fill-opacity: 0.75; stroke: #ffffff; stroke-width: 0.8; }
  .c0 { fill: #0969da; } .c1 { fill: #54aeff; } .c2 { fill: #bf8700; } .c3 { fill: #8250df; }
  .c4 { fill: #cf222e; } .c5 { fill: #bc4c00; } .c6 { fill: #953800; } .c7 { fill: #6e7781; }
  @media (prefers-color-scheme: dark) {
    .oracle { stroke: #e6edf3; } .connie { fill: #3fb950; } .peer { stroke: #0d1117; }
  }
";

impl Strips<'_> {
    /// The picture, as SVG.
    #[must_use]
    pub fn draw(&self) -> String {
        let height = TOP + ROW * self.rows.len() as f64 + 44.0;
        let mut content = String::new();
        text(&mut content, "title", 24.0, 36.0, self.title);
        text(&mut content, "soft", 24.0, 56.0, self.about);
        self.legend(&mut content);
        axis(&mut content, height - 40.0);
        for (index, row) in self.rows.iter().enumerate() {
            self.row(&mut content, row, TOP + ROW * (index as f64 + 0.5));
        }
        svg::page(self.title, self.description, height, STYLE, &content)
    }

    /// The marks of the others first, so that they do not hide the bar, and ours on top.
    fn row(&self, content: &mut String, row: &Row<'_>, y: f64) {
        text(content, "", 24.0, y + 4.0, row.name);
        let (ours, others): (Vec<usize>, Vec<usize>) =
            (0..self.clients.len()).partition(|index| self.clients[*index].is_ours);
        let at = |index: usize| row.marks.get(index).copied().flatten().map_or(RAIL, x);
        for &index in others.iter().rev() {
            self.mark(content, index, at(index), y + self.offset(index));
        }
        if let Some(bar) = row.bar {
            line(content, "oracle", (x(bar), y - 13.0), (x(bar), y + 13.0));
        }
        for &index in ours.iter().rev() {
            self.mark(content, index, at(index), y);
        }
    }

    fn legend(&self, content: &mut String) {
        let mut at = 30.0;
        for (index, client) in self.clients.iter().enumerate() {
            self.mark(content, index, at, 86.0);
            text(content, "", at + 12.0, 90.0, client.name);
            at += 30.0 + client.name.len() as f64 * 7.2;
        }
        debug_assert!(at < WIDTH, "the legend is wider than the page");
    }

    fn mark(&self, content: &mut String, index: usize, x: f64, y: f64) {
        let name = escape(self.clients[index].name);
        if self.clients[index].is_ours {
            let (top, right, bottom, left) = (y - 8.0, x + 8.0, y + 8.0, x - 8.0);
            let _ = writeln!(
                content,
                "<path class=\"connie\" d=\"M{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}L{left:.1} {y:.1}Z\">\
                 <title>{name}</title></path>"
            );
            return;
        }
        let colour = self.place(index) % 8;
        let _ = writeln!(
            content,
            "<circle class=\"peer c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{name}</title></circle>"
        );
    }

    /// Which of the others it is.
    fn place(&self, index: usize) -> usize {
        self.clients[..index].iter().filter(|client| !client.is_ours).count()
    }

    fn offset(&self, index: usize) -> f64 {
        (self.place(index) as f64 - 3.5) * APART
    }
}

fn axis(content: &mut String, bottom: f64) {
    for (millis, name) in TICKS {
        let x = x(millis);
        line(content, "grid", (x, TOP), (x, bottom));
        text(content, "soft middle", x, bottom + 18.0, name);
    }
    line(content, "grid", (RAIL, TOP), (RAIL, bottom));
    text(content, "soft middle", RAIL, bottom + 18.0, "longer");
}

fn x(millis: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * portion(millis.max(FIRST), FIRST, LAST).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_bar_over_the_others_and_ours_over_the_bar() {
        let clients = ["connie", "curl"].map(|name| Client { name, is_ours: name == "connie" });
        let rows = vec![Row { name: "a < b", bar: Some(30.0), marks: vec![Some(30.0), None] }];
        let strips = Strips { title: "t", about: "a", description: "d", clients: clients.into(), rows };
        let picture = strips.draw();
        assert!(picture.contains("a &lt; b"));
        // The legend has a mark of each before.
        let last = |part: &str| picture.rfind(part).unwrap();
        assert!(last("class=\"peer c0\"") < last("class=\"oracle\""));
        assert!(last("class=\"oracle\"") < last("class=\"connie\""));
        assert!(picture.contains(&format!("cx=\"{RAIL:.1}\"")), "what took too long stands on the rail");
        assert!(picture.contains(&format!("x1=\"{LEFT:.1}\" y1=\"{:.1}\"", TOP + ROW / 2.0 - 13.0)));
    }
}
