//! Charts of lines over two logarithmic axes.

use std::fmt::Write;

use crate::svg::{self, LEADING, MARGIN, WIDTH, line, portion, text};

/// One line of a chart. A point that is infinite lies on the rail at the top, which says that it never came.
pub(crate) struct Series {
    /// The classes that style it: one for its colour, one for its stroke.
    pub(crate) class: &'static str,
    /// Said at its right end; empty for nothing.
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Dots in the place of a line.
    pub(crate) dots: bool,
}

/// A mark on an axis, and what is written at it.
pub(crate) type Tick = (f64, String);

/// A chart with two logarithmic axes.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) notes: Vec<String>,
    pub(crate) x_name: &'static str,
    pub(crate) x_ticks: Vec<Tick>,
    pub(crate) y_ticks: Vec<Tick>,
    /// What the rail at the top says, where there is one.
    pub(crate) rail: Option<&'static str>,
    /// A vertical line, and the text beside it, which may be empty.
    pub(crate) mark: Option<(f64, &'static str)>,
    pub(crate) series: Vec<Series>,
}

/// The height of a chart with its texts.
pub(crate) const HEIGHT: f64 = 500.0;
const LEFT: f64 = 88.0;
const TOP: f64 = 142.0;
const BOTTOM: f64 = 430.0;
/// From the rail to the top of the axis.
const RAIL: f64 = 26.0;
/// An upper bound of the average width of a character.
const CHARACTER: f64 = 8.6;

/// The lines of a chart, by their colour and their stroke.
const STYLE: &str = "
  .mark { stroke: #59636e; stroke-dasharray: 2 3; }
  .line { fill: none; stroke-width: 2.4; stroke-linejoin: round; }
  .thin { fill: none; stroke-width: 1.6; stroke-dasharray: 6 4; stroke-linejoin: round; }
  .a { stroke: #0969da; } text.a, circle.a { fill: #0969da; stroke: none; }
  .b { stroke: #bf8700; } text.b, circle.b { fill: #9a6700; stroke: none; }
  .c { stroke: #cf222e; } text.c, circle.c { fill: #cf222e; stroke: none; }
  .d { stroke: #1a7f37; } text.d, circle.d { fill: #1a7f37; stroke: none; }
  .e { stroke: #1f2328; } text.e, circle.e { fill: #1f2328; stroke: none; font-weight: bold; }
  @media (prefers-color-scheme: dark) {
    .mark { stroke: #9198a1; }
    .a { stroke: #4493f8; } text.a, circle.a { fill: #4493f8; }
    .b { stroke: #d29922; } text.b, circle.b { fill: #d29922; }
    .c { stroke: #f85149; } text.c, circle.c { fill: #f85149; }
    .d { stroke: #3fb950; } text.d, circle.d { fill: #3fb950; }
    .e { stroke: #e6edf3; } text.e, circle.e { fill: #e6edf3; }
  }
";

/// One SVG with `charts` one below the other.
pub(crate) fn page(title: &str, description: &str, charts: &[Chart]) -> String {
    let mut content = String::new();
    for (place, chart) in charts.iter().enumerate() {
        let _ = writeln!(content, "<g transform=\"translate(0 {})\">", HEIGHT * place as f64);
        chart.draw(&mut content);
        content.push_str("</g>\n");
    }
    svg::page(title, description, HEIGHT * charts.len() as f64, STYLE, &content)
}

impl Chart {
    fn draw(&self, svg: &mut String) {
        svg::head(svg, self.title, self.notes.iter().map(String::as_str));
        self.axes(svg);
        for series in &self.series {
            self.trace(svg, series);
        }
        self.labels(svg);
    }

    fn axes(&self, svg: &mut String) {
        let right = self.right();
        for (value, name) in &self.y_ticks {
            let y = self.y(*value);
            line(svg, "grid", (LEFT, y), (right, y));
            text(svg, "soft end", LEFT - 8.0, y + 5.0, name);
        }
        if let Some(rail) = self.rail {
            line(svg, "grid", (LEFT, TOP), (right, TOP));
            text(svg, "soft end", LEFT - 8.0, TOP + 5.0, rail);
        }
        for (value, name) in &self.x_ticks {
            let x = self.x(*value);
            line(svg, "grid", (x, TOP), (x, BOTTOM));
            text(svg, "soft middle", x, BOTTOM + 21.0, name);
        }
        text(svg, "soft middle", f64::midpoint(LEFT, right), BOTTOM + 42.0, self.x_name);
        if let Some((value, name)) = self.mark {
            let x = self.x(value);
            line(svg, "mark", (x, TOP), (x, BOTTOM));
            if !name.is_empty() {
                text(svg, "soft", x + 5.0, TOP + 14.0, name);
            }
        }
    }

    fn trace(&self, svg: &mut String, series: &Series) {
        let points = series.points.iter().map(|(x, y)| (self.x(*x), self.y(*y)));
        if series.dots {
            for (x, y) in points {
                let _ = writeln!(
                    svg,
                    "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"/>",
                    series.class
                );
            }
            return;
        }
        let path: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline class=\"{}\" points=\"{}\"/>", series.class, path.join(" "));
    }

    /// What is said at the right ends, pushed apart where they would overlap.
    fn labels(&self, svg: &mut String) {
        let named = self.series.iter().filter(|series| !series.label.is_empty());
        let mut ends: Vec<(f64, &Series)> = named
            .filter_map(|series| series.points.last().map(|(_, value)| (self.y(*value) + 4.0, series)))
            .collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        // Each at least a line below the one above it, then from the bottom up so that none leaves the chart.
        let mut floor = f64::NEG_INFINITY;
        for (y, _) in &mut ends {
            *y = y.max(floor);
            floor = *y + LEADING;
        }
        let mut ceiling = BOTTOM + 4.0;
        for (y, _) in ends.iter_mut().rev() {
            *y = y.min(ceiling);
            ceiling = *y - LEADING;
        }
        for (y, series) in ends {
            let colour = series.class.split(' ').next().unwrap_or("");
            text(svg, colour, self.right() + 8.0, y, &series.label);
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (self.right() - LEFT) * along(value, &self.x_ticks)
    }

    /// Where the axis ends: right of it there is room for the labels.
    fn right(&self) -> f64 {
        let widest = self.series.iter().map(|series| series.label.chars().count()).max().unwrap_or(0);
        WIDTH - MARGIN - 8.0 - widest as f64 * CHARACTER
    }

    fn y(&self, value: f64) -> f64 {
        if value.is_infinite() {
            return TOP;
        }
        let top = if self.rail.is_some() { TOP + RAIL } else { TOP };
        BOTTOM - (BOTTOM - top) * along(value, &self.y_ticks)
    }
}

/// Where `value` lies between the first and the last tick, on a logarithmic scale.
fn along(value: f64, ticks: &[Tick]) -> f64 {
    let (Some((least, _)), Some((most, _))) = (ticks.first(), ticks.last()) else { return 0.0 };
    portion(value, *least, *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(values: &[f64]) -> Vec<Tick> {
        values.iter().map(|value| (*value, value.to_string())).collect()
    }

    fn chart(series: Vec<Series>) -> Chart {
        Chart {
            title: "a < b",
            notes: Vec::new(),
            x_name: "x",
            x_ticks: ticks(&[1.0, 10.0]),
            y_ticks: ticks(&[1.0, 100.0]),
            rail: Some("never"),
            mark: None,
            series,
        }
    }

    #[test]
    fn the_axes_are_logarithmic_and_what_never_came_is_on_top() {
        let chart = chart(Vec::new());
        assert_eq!((chart.x(1.0), chart.x(10.0)), (LEFT, chart.right()));
        assert!((chart.y(10.0) - f64::midpoint(TOP + RAIL, BOTTOM)).abs() < 1e-9);
        assert_eq!(chart.y(f64::INFINITY), TOP);
    }

    #[test]
    fn labels_do_not_overlap_and_text_is_escaped() {
        let series = |label: &str| Series {
            class: "a line",
            label: label.to_string(),
            points: vec![(1.0, 1.0), (10.0, 1.0)],
            dots: false,
        };
        let svg = page("t", "d", &[chart(vec![series("one"), series("two")])]);
        assert!(svg.contains("a &lt; b"));
        let height = |label: &str| {
            let row = svg.lines().find(|row| row.ends_with(&format!(">{label}</text>"))).unwrap();
            row.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
        };
        assert!((height("one") - height("two")).abs() >= LEADING);
    }
}
