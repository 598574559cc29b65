//! Scatter charts: each point has two costs, one on each axis, and the best is in the corner.

use std::fmt::Write;

use crate::svg::{self, LEADING, MARGIN, NOTES, WIDTH, line, portion, text};

/// One of the things that are compared.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// What styles it: `ours`, `rival` or `best`.
    pub(crate) class: &'static str,
    pub(crate) x: f64,
    pub(crate) y: Height,
}

/// How high a point is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Height {
    /// On the axis.
    At(f64),
    /// In this row above the axis, for a point without a value on it.
    Row(usize),
}

/// A chart with a logarithmic x axis and a linear y axis.
pub(crate) struct Scatter {
    pub(crate) title: &'static str,
    pub(crate) notes: Vec<String>,
    pub(crate) x_name: &'static str,
    /// The marks of the x axis, from the least.
    pub(crate) x_ticks: Vec<f64>,
    /// The value at the right end of the x axis.
    pub(crate) most: f64,
    /// The marks of the y axis, and their unit.
    pub(crate) y_ticks: Vec<f64>,
    pub(crate) unit: &'static str,
    /// The rows above the y axis, and the text above them.
    pub(crate) rows: Vec<String>,
    pub(crate) rows_name: &'static str,
    pub(crate) points: Vec<Point>,
}

const LEFT: f64 = 76.0;
const RIGHT: f64 = WIDTH - 14.0;
/// The height of the axis.
const TALL: f64 = 216.0;
/// The height of a row above it: a name that has no room beside its point fits between two rows.
const ROW: f64 = 38.0;
/// From the axis to the end of the chart.
const FOOT: f64 = 54.0;
/// An upper bound of the average width of a character.
const CHARACTER: f64 = 8.8;
/// From a point to its name.
const BESIDE: f64 = 13.0;

const STYLE: &str = "
  text.name { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  .lead { stroke: #afb8c1; }
  .ours { fill: #1a7f37; } text.ours { fill: #1a7f37; font-weight: bold; }
  .rival { fill: #59636e; } text.rival { fill: #1f2328; }
  circle.best { fill: none; stroke: #59636e; stroke-width: 1.6; } text.best { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    text.name { stroke: #0d1117; }
    .lead { stroke: #59636e; }
    .ours { fill: #3fb950; } text.ours { fill: #3fb950; }
    .rival { fill: #9198a1; } text.rival { fill: #e6edf3; }
    circle.best { stroke: #9198a1; } text.best { fill: #9198a1; }
  }
";

/// One SVG with `charts` one below the other.
pub(crate) fn page(title: &str, description: &str, charts: &[Scatter]) -> String {
    let (mut content, mut top) = (String::new(), 0.0);
    for chart in charts {
        let _ = writeln!(content, "<g transform=\"translate(0 {top})\">");
        chart.draw(&mut content);
        content.push_str("</g>\n");
        top += chart.bottom() + FOOT;
    }
    svg::page(title, description, top, STYLE, &content)
}

impl Scatter {
    fn draw(&self, svg: &mut String) {
        svg::head(svg, self.title, self.notes.iter().map(String::as_str));
        self.axes(svg);
        let named = self.merged();
        let places: Vec<f64> = self.labels(&named);
        for (point, y) in named.iter().zip(&places).filter(|(point, _)| !point.name.is_empty()) {
            let ((x, at), side) = (self.place(point), self.side(point));
            line(svg, "lead", (x, at), (x + (BESIDE - 2.0) * side, y - 5.0));
        }
        for point in &self.points {
            let ((x, y), class) = (self.place(point), point.class);
            let _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\"/>");
        }
        for (point, y) in named.iter().zip(places).filter(|(point, _)| !point.name.is_empty()) {
            let ((x, _), side) = (self.place(point), self.side(point));
            let end = if side < 0.0 { " end" } else { "" };
            text(svg, &format!("{} name{end}", point.class), x + BESIDE * side, y, &point.name);
        }
    }

    fn axes(&self, svg: &mut String) {
        let (top, bottom) = (self.top(), self.bottom());
        for value in &self.y_ticks {
            let y = self.y(Height::At(*value));
            line(svg, "grid", (LEFT, y), (RIGHT, y));
            text(svg, "soft end", LEFT - 10.0, y + 5.0, &format!("{value} {}", self.unit));
        }
        if !self.rows.is_empty() {
            text(svg, "soft", MARGIN, self.y(Height::Row(0)) - 16.0, self.rows_name);
        }
        for (row, name) in self.rows.iter().enumerate() {
            let y = self.y(Height::Row(row));
            line(svg, "grid", (LEFT, y), (RIGHT, y));
            text(svg, "soft end", LEFT - 10.0, y + 5.0, name);
        }
        for value in &self.x_ticks {
            let x = self.x(*value);
            line(svg, "grid", (x, top), (x, bottom));
            text(svg, "soft middle", x, bottom + 20.0, &value.to_string());
        }
        text(svg, "soft middle", f64::midpoint(LEFT, RIGHT), bottom + 40.0, self.x_name);
    }

    /// The points, with those that are too close together for a name each merged into one that has all their
    /// names.
    fn merged(&self) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for point in &self.points {
            let (x, y) = self.place(point);
            let near = |other: &Point| {
                let (its_x, its_y) = self.place(other);
                let room = if matches!(point.y, Height::Row(_)) { 24.0 } else { 8.0 };
                other.class == point.class && (its_x - x).abs() < room && (its_y - y).abs() < 5.0
            };
            match points.iter_mut().find(|other| near(other)) {
                // The name stands beside the last of them.
                Some(other) => {
                    (other.name, other.x) = (format!("{}, {}", other.name, point.name), other.x.max(point.x))
                }
                None => points.push(point.clone()),
            }
        }
        points
    }

    /// The baselines of the names: beside their points, or as little above or below as keeps them clear of
    /// other names and points.
    fn labels(&self, points: &[Point]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..points.len()).collect();
        let y = |index: usize| self.y(points[index].y) + 5.0;
        order.sort_by(|one, other| y(*other).total_cmp(&y(*one)));
        let mut placed: Vec<(usize, f64)> = Vec::new();
        // From the bottom up.
        for index in order {
            let away = (0..200).flat_map(|away| [-f64::from(away), f64::from(away)]);
            let mut places = away.map(|away| y(index) + away).filter(|at| *at <= self.bottom() + 5.0);
            let clear = places.find(|at| self.is_clear(points, index, *at, &placed));
            placed.push((index, clear.unwrap_or(y(index))));
        }
        placed.sort_by_key(|(index, _)| *index);
        placed.into_iter().map(|(_, at)| at).collect()
    }

    /// Whether the name of a point can have its baseline at `at`.
    fn is_clear(&self, points: &[Point], index: usize, at: f64, placed: &[(usize, f64)]) -> bool {
        let (from, to) = self.extent(&points[index]);
        let of_names = placed.iter().all(|(other, its)| {
            let (begin, end) = self.extent(&points[*other]);
            to < begin || end < from || (at - its).abs() >= LEADING
        });
        of_names
            && points.iter().enumerate().all(|(other, point)| {
                let (x, y) = self.place(point);
                other == index || x + 7.0 < from || to < x - 7.0 || (y - at + 5.0).abs() > 13.0
            })
    }

    /// Where the name of a point begins and ends.
    fn extent(&self, point: &Point) -> (f64, f64) {
        let ((x, _), width) = (self.place(point), width(point));
        if self.side(point) < 0.0 {
            (x - BESIDE - width, x - BESIDE)
        } else {
            (x + BESIDE, x + BESIDE + width)
        }
    }

    /// On which side its name stands: on the left where there is no room on the right.
    fn side(&self, point: &Point) -> f64 {
        if self.x(point.x) + BESIDE + width(point) > WIDTH { -1.0 } else { 1.0 }
    }

    fn place(&self, point: &Point) -> (f64, f64) {
        (self.x(point.x), self.y(point.y))
    }

    fn x(&self, value: f64) -> f64 {
        let least = self.x_ticks.first().copied().unwrap_or(1.0);
        LEFT + (RIGHT - LEFT) * portion(value, least, self.most)
    }

    fn y(&self, height: Height) -> f64 {
        match height {
            Height::At(value) => self.bottom() - TALL * value / self.y_ticks.last().copied().unwrap_or(1.0),
            Height::Row(row) => self.top() - 10.0 - ROW * (self.rows.len() - row) as f64 + 14.0,
        }
    }

    /// Where the axis begins.
    fn top(&self) -> f64 {
        let rows = if self.rows.is_empty() { 0.0 } else { ROW * self.rows.len() as f64 + 22.0 };
        NOTES + LEADING * self.notes.len() as f64 + rows
    }

    fn bottom(&self) -> f64 {
        self.top() + TALL
    }
}

/// How wide the name of a point is.
fn width(point: &Point) -> f64 {
    let bold = if point.class == "ours" { 1.1 } else { 1.0 };
    point.name.chars().count() as f64 * CHARACTER * bold
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Point {
        Point { name: "a policy".into(), class: "rival", x, y: Height::At(y) }
    }

    fn chart(points: Vec<Point>) -> Scatter {
        Scatter {
            title: "a < b",
            notes: vec!["a note".into()],
            x_name: "x",
            x_ticks: vec![1.0, 5.0],
            most: 14.0,
            y_ticks: vec![0.0, 80.0],
            unit: "ms",
            rows: vec!["one".into(), "two".into()],
            rows_name: "rows",
            points,
        }
    }

    #[test]
    fn the_best_is_in_the_corner_and_what_has_no_height_above_the_axis() {
        let chart = chart(Vec::new());
        assert_eq!((chart.x(1.0), chart.y(Height::At(0.0))), (LEFT, chart.bottom()));
        assert_eq!((chart.x(14.0), chart.y(Height::At(80.0))), (RIGHT, chart.top()));
        assert!(chart.y(Height::Row(0)) < chart.y(Height::Row(1)));
        assert!(chart.y(Height::Row(1)) < chart.y(Height::At(80.0)));
    }

    #[test]
    fn names_do_not_overlap() {
        let points = [point(1.2, 11.0), point(1.2, 11.2), point(1.25, 12.0), point(12.0, 11.0)];
        let chart = chart(Vec::new());
        let at = chart.labels(&points);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            assert!((at[one] - at[other]).abs() >= LEADING, "{at:?}");
        }
        let beside = chart.y(Height::At(11.0)) + 5.0;
        assert!((at[3] - beside).abs() < 1e-9, "far from the others it stays beside its point");
    }

    #[test]
    fn points_at_the_same_place_have_one_name_but_ours_is_its_own() {
        let named = |name: &str, class| Point { name: name.into(), class, ..point(1.2, 11.0) };
        let points =
            vec![named("one", "rival"), named("two", "rival"), named("three", "ours"), point(8.0, 11.0)];
        let names: Vec<String> = chart(points).merged().into_iter().map(|point| point.name).collect();
        assert_eq!(names, ["one, two", "three", "a policy"]);
    }
}
